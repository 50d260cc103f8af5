//! The table of system registers.

use abide_arm64::SysReg;
use std::sync::LazyLock;

/// SP_EL0 `[DDI0487 C5.2]`, which Linux reads all the time.
pub(crate) const SP_EL0: SysReg = SysReg::new(3, 0, 4, 1, 0);

/// DAIF `[DDI0487 C5.2]`, which Linux saves and restores around each critical section.
pub(crate) const DAIF: SysReg = SysReg::new(3, 3, 4, 2, 1);

/// Who may read or write a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Never,
    El1,
    El0,
}
use Who::{El0, El1, Never};

/// What stands behind a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word of state without side effects.
    Plain,
    /// A word of state with side effects or traps.
    Custom,
    /// An ID register: fixed by the CPU model.
    Id,
    /// No state of its own.
    Alias,
}
use Kind::{Alias, Custom, Id, Plain};

/// A system register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Def {
    pub slot: Slot,
    pub reg: SysReg,
    /// As the manual spells it.
    pub name: &'static str,
    pub kind: Kind,
    pub read: Who,
    pub write: Who,
    /// The bits that a write can change.
    pub mask: u64,
    /// After a reset.
    pub reset: u64,
}

macro_rules! registers {
    ($($slot:ident $name:ident ($($field:literal),+) $kind:ident $read:ident $write:ident
        $mask:expr, $reset:expr;)+) => {
        /// Where a register stands in [`TABLE`] and, if it has state of its own, in the CPU.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Slot {
            $(#[doc = concat!("`", stringify!($name), "`")] $slot,)+
        }

        /// Every system register of the CPU. Those of the interrupt controller are the machine's.
        pub(crate) static TABLE: &[Def] = &[$(Def {
            slot: Slot::$slot,
            reg: SysReg::new($($field),+),
            name: stringify!($name),
            kind: $kind,
            read: $read,
            write: $write,
            mask: $mask,
            reset: $reset,
        },)+];
    };
}

#[rustfmt::skip]
registers! {
    // Slot, name, encoding, kind, who reads, who writes, bits that can be written, reset value.
    SctlrEl1          SCTLR_EL1          (3, 0, 1, 0, 0)     Custom El1 El1   u64::MAX, 0x00c5_0078;
    ActlrEl1          ACTLR_EL1          (3, 0, 1, 0, 1)     Plain  El1 El1   u64::MAX, 0;
    CpacrEl1          CPACR_EL1          (3, 0, 1, 0, 2)     Plain  El1 El1   u64::MAX, 0;
    Ttbr0El1          TTBR0_EL1          (3, 0, 2, 0, 0)     Custom El1 El1   u64::MAX, 0;
    Ttbr1El1          TTBR1_EL1          (3, 0, 2, 0, 1)     Custom El1 El1   u64::MAX, 0;
    TcrEl1            TCR_EL1            (3, 0, 2, 0, 2)     Custom El1 El1   u64::MAX, 0;
    SpsrEl1           SPSR_EL1           (3, 0, 4, 0, 0)     Plain  El1 El1   u64::MAX, 0;
    ElrEl1            ELR_EL1            (3, 0, 4, 0, 1)     Plain  El1 El1   u64::MAX, 0;
    Afsr0El1          AFSR0_EL1          (3, 0, 5, 1, 0)     Plain  El1 El1   u64::MAX, 0;
    Afsr1El1          AFSR1_EL1          (3, 0, 5, 1, 1)     Plain  El1 El1   u64::MAX, 0;
    EsrEl1            ESR_EL1            (3, 0, 5, 2, 0)     Plain  El1 El1   u64::MAX, 0;
    FarEl1            FAR_EL1            (3, 0, 6, 0, 0)     Plain  El1 El1   u64::MAX, 0;
    ParEl1            PAR_EL1            (3, 0, 7, 4, 0)     Plain  El1 El1   u64::MAX, 0;
    MairEl1           MAIR_EL1           (3, 0, 10, 2, 0)    Custom El1 El1   u64::MAX, 0;
    AmairEl1          AMAIR_EL1          (3, 0, 10, 3, 0)    Plain  El1 El1   u64::MAX, 0;
    VbarEl1           VBAR_EL1           (3, 0, 12, 0, 0)    Custom El1 El1   !0x7ff, 0;
    ContextidrEl1     CONTEXTIDR_EL1     (3, 0, 13, 0, 1)    Plain  El1 El1   u64::MAX, 0;
    TpidrEl1          TPIDR_EL1          (3, 0, 13, 0, 4)    Plain  El1 El1   u64::MAX, 0;
    TpidrEl0          TPIDR_EL0          (3, 3, 13, 0, 2)    Plain  El0 El0   u64::MAX, 0;
    TpidrroEl0        TPIDRRO_EL0        (3, 3, 13, 0, 3)    Plain  El0 El1   u64::MAX, 0;
    CntkctlEl1        CNTKCTL_EL1        (3, 0, 14, 1, 0)    Plain  El1 El1   u64::MAX, 0;
    CsselrEl1         CSSELR_EL1         (3, 2, 0, 0, 0)     Custom El1 El1   0xf, 0;
    MdscrEl1          MDSCR_EL1          (2, 0, 0, 2, 2)     Custom El1 El1   u64::MAX, 0;
    MdccintEl1        MDCCINT_EL1        (2, 0, 0, 2, 0)     Plain  El1 El1   u64::MAX, 0;
    OslsrEl1          OSLSR_EL1          (2, 0, 1, 1, 4)     Custom El1 Never u64::MAX, 8;
    CntvCtlEl0        CNTV_CTL_EL0       (3, 3, 14, 3, 1)    Custom El0 El0   3, 0;
    CntvCvalEl0       CNTV_CVAL_EL0      (3, 3, 14, 3, 2)    Custom El0 El0   u64::MAX, 0;
    CntpCtlEl0        CNTP_CTL_EL0       (3, 3, 14, 2, 1)    Custom El0 El0   3, 0;
    CntpCvalEl0       CNTP_CVAL_EL0      (3, 3, 14, 2, 2)    Custom El0 El0   u64::MAX, 0;
    Dbgbvr0           DBGBVR0_EL1        (2, 0, 0, 0, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr0           DBGBCR0_EL1        (2, 0, 0, 0, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr0           DBGWVR0_EL1        (2, 0, 0, 0, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr0           DBGWCR0_EL1        (2, 0, 0, 0, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr1           DBGBVR1_EL1        (2, 0, 0, 1, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr1           DBGBCR1_EL1        (2, 0, 0, 1, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr1           DBGWVR1_EL1        (2, 0, 0, 1, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr1           DBGWCR1_EL1        (2, 0, 0, 1, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr2           DBGBVR2_EL1        (2, 0, 0, 2, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr2           DBGBCR2_EL1        (2, 0, 0, 2, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr2           DBGWVR2_EL1        (2, 0, 0, 2, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr2           DBGWCR2_EL1        (2, 0, 0, 2, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr3           DBGBVR3_EL1        (2, 0, 0, 3, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr3           DBGBCR3_EL1        (2, 0, 0, 3, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr3           DBGWVR3_EL1        (2, 0, 0, 3, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr3           DBGWCR3_EL1        (2, 0, 0, 3, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr4           DBGBVR4_EL1        (2, 0, 0, 4, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr4           DBGBCR4_EL1        (2, 0, 0, 4, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr4           DBGWVR4_EL1        (2, 0, 0, 4, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr4           DBGWCR4_EL1        (2, 0, 0, 4, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr5           DBGBVR5_EL1        (2, 0, 0, 5, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr5           DBGBCR5_EL1        (2, 0, 0, 5, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr5           DBGWVR5_EL1        (2, 0, 0, 5, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr5           DBGWCR5_EL1        (2, 0, 0, 5, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr6           DBGBVR6_EL1        (2, 0, 0, 6, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr6           DBGBCR6_EL1        (2, 0, 0, 6, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr6           DBGWVR6_EL1        (2, 0, 0, 6, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr6           DBGWCR6_EL1        (2, 0, 0, 6, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr7           DBGBVR7_EL1        (2, 0, 0, 7, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr7           DBGBCR7_EL1        (2, 0, 0, 7, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr7           DBGWVR7_EL1        (2, 0, 0, 7, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr7           DBGWCR7_EL1        (2, 0, 0, 7, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr8           DBGBVR8_EL1        (2, 0, 0, 8, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr8           DBGBCR8_EL1        (2, 0, 0, 8, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr8           DBGWVR8_EL1        (2, 0, 0, 8, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr8           DBGWCR8_EL1        (2, 0, 0, 8, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr9           DBGBVR9_EL1        (2, 0, 0, 9, 4)     Custom El1 El1   u64::MAX, 0;
    Dbgbcr9           DBGBCR9_EL1        (2, 0, 0, 9, 5)     Custom El1 El1   u64::MAX, 0;
    Dbgwvr9           DBGWVR9_EL1        (2, 0, 0, 9, 6)     Custom El1 El1   u64::MAX, 0;
    Dbgwcr9           DBGWCR9_EL1        (2, 0, 0, 9, 7)     Custom El1 El1   u64::MAX, 0;
    Dbgbvr10          DBGBVR10_EL1       (2, 0, 0, 10, 4)    Custom El1 El1   u64::MAX, 0;
    Dbgbcr10          DBGBCR10_EL1       (2, 0, 0, 10, 5)    Custom El1 El1   u64::MAX, 0;
    Dbgwvr10          DBGWVR10_EL1       (2, 0, 0, 10, 6)    Custom El1 El1   u64::MAX, 0;
    Dbgwcr10          DBGWCR10_EL1       (2, 0, 0, 10, 7)    Custom El1 El1   u64::MAX, 0;
    Dbgbvr11          DBGBVR11_EL1       (2, 0, 0, 11, 4)    Custom El1 El1   u64::MAX, 0;
    Dbgbcr11          DBGBCR11_EL1       (2, 0, 0, 11, 5)    Custom El1 El1   u64::MAX, 0;
    Dbgwvr11          DBGWVR11_EL1       (2, 0, 0, 11, 6)    Custom El1 El1   u64::MAX, 0;
    Dbgwcr11          DBGWCR11_EL1       (2, 0, 0, 11, 7)    Custom El1 El1   u64::MAX, 0;
    Dbgbvr12          DBGBVR12_EL1       (2, 0, 0, 12, 4)    Custom El1 El1   u64::MAX, 0;
    Dbgbcr12          DBGBCR12_EL1       (2, 0, 0, 12, 5)    Custom El1 El1   u64::MAX, 0;
    Dbgwvr12          DBGWVR12_EL1       (2, 0, 0, 12, 6)    Custom El1 El1   u64::MAX, 0;
    Dbgwcr12          DBGWCR12_EL1       (2, 0, 0, 12, 7)    Custom El1 El1   u64::MAX, 0;
    Dbgbvr13          DBGBVR13_EL1       (2, 0, 0, 13, 4)    Custom El1 El1   u64::MAX, 0;
    Dbgbcr13          DBGBCR13_EL1       (2, 0, 0, 13, 5)    Custom El1 El1   u64::MAX, 0;
    Dbgwvr13          DBGWVR13_EL1       (2, 0, 0, 13, 6)    Custom El1 El1   u64::MAX, 0;
    Dbgwcr13          DBGWCR13_EL1       (2, 0, 0, 13, 7)    Custom El1 El1   u64::MAX, 0;
    Dbgbvr14          DBGBVR14_EL1       (2, 0, 0, 14, 4)    Custom El1 El1   u64::MAX, 0;
    Dbgbcr14          DBGBCR14_EL1       (2, 0, 0, 14, 5)    Custom El1 El1   u64::MAX, 0;
    Dbgwvr14          DBGWVR14_EL1       (2, 0, 0, 14, 6)    Custom El1 El1   u64::MAX, 0;
    Dbgwcr14          DBGWCR14_EL1       (2, 0, 0, 14, 7)    Custom El1 El1   u64::MAX, 0;
    Dbgbvr15          DBGBVR15_EL1       (2, 0, 0, 15, 4)    Custom El1 El1   u64::MAX, 0;
    Dbgbcr15          DBGBCR15_EL1       (2, 0, 0, 15, 5)    Custom El1 El1   u64::MAX, 0;
    Dbgwvr15          DBGWVR15_EL1       (2, 0, 0, 15, 6)    Custom El1 El1   u64::MAX, 0;
    Dbgwcr15          DBGWCR15_EL1       (2, 0, 0, 15, 7)    Custom El1 El1   u64::MAX, 0;
    Cntfrq            CNTFRQ_EL0         (3, 3, 14, 0, 0)    Alias  El0 El1   u64::MAX, 0;
    Cntpct            CNTPCT_EL0         (3, 3, 14, 0, 1)    Alias  El0 Never u64::MAX, 0;
    Cntvct            CNTVCT_EL0         (3, 3, 14, 0, 2)    Alias  El0 Never u64::MAX, 0;
    CntvTval          CNTV_TVAL_EL0      (3, 3, 14, 3, 0)    Alias  El0 El0   u64::MAX, 0;
    CntpTval          CNTP_TVAL_EL0      (3, 3, 14, 2, 0)    Alias  El0 El0   u64::MAX, 0;
    SpEl0             SP_EL0             (3, 0, 4, 1, 0)     Alias  El1 El1   u64::MAX, 0;
    SpSel             SPSEL              (3, 0, 4, 2, 0)     Alias  El1 El1   u64::MAX, 0;
    CurrentEl         CURRENTEL          (3, 0, 4, 2, 2)     Alias  El1 Never u64::MAX, 0;
    Nzcv              NZCV               (3, 3, 4, 2, 0)     Alias  El0 El0   u64::MAX, 0;
    Daif              DAIF               (3, 3, 4, 2, 1)     Alias  El0 El0   u64::MAX, 0;
    Fpcr              FPCR               (3, 3, 4, 4, 0)     Alias  El0 El0   u64::MAX, 0;
    Fpsr              FPSR               (3, 3, 4, 4, 1)     Alias  El0 El0   u64::MAX, 0;
    IsrEl1            ISR_EL1            (3, 0, 12, 1, 0)    Alias  El1 Never u64::MAX, 0;
    OslarEl1          OSLAR_EL1          (2, 0, 1, 0, 4)     Alias  Never El1   u64::MAX, 0;
    OsdlrEl1          OSDLR_EL1          (2, 0, 1, 3, 4)     Custom El1 El1   1, 0;
    DbgprcrEl1        DBGPRCR_EL1        (2, 0, 1, 4, 4)     Alias  El1 El1   u64::MAX, 0;
    OseccrEl1         OSECCR_EL1         (2, 0, 0, 6, 2)     Alias  El1 El1   u64::MAX, 0;
    OsdtrrxEl1        OSDTRRX_EL1        (2, 0, 0, 0, 2)     Alias  El1 El1   u64::MAX, 0;
    OsdtrtxEl1        OSDTRTX_EL1        (2, 0, 0, 3, 2)     Alias  El1 El1   u64::MAX, 0;
    DbgclaimsetEl1    DBGCLAIMSET_EL1    (2, 0, 7, 8, 6)     Alias  El1 El1   u64::MAX, 0;
    DbgclaimclrEl1    DBGCLAIMCLR_EL1    (2, 0, 7, 9, 6)     Alias  El1 El1   u64::MAX, 0;
    DbgauthstatusEl1  DBGAUTHSTATUS_EL1  (2, 0, 7, 14, 6)    Alias  El1 Never u64::MAX, 0;
    MdrarEl1          MDRAR_EL1          (2, 0, 1, 0, 0)     Alias  El1 Never u64::MAX, 0;
    MdccsrEl0         MDCCSR_EL0         (2, 3, 0, 1, 0)     Alias  El1 Never u64::MAX, 0;
    DbgdtrEl0         DBGDTR_EL0         (2, 3, 0, 4, 0)     Alias  El1 El1   u64::MAX, 0;
    DbgdtrrxEl0       DBGDTRRX_EL0       (2, 3, 0, 5, 0)     Alias  El1 El1   u64::MAX, 0;
    MpidrEl1          MPIDR_EL1          (3, 0, 0, 0, 5)     Custom El1 Never u64::MAX, 0;
    CtrEl0            CTR_EL0            (3, 3, 0, 0, 1)     Id     El0 Never u64::MAX, 0;
    DczidEl0          DCZID_EL0          (3, 3, 0, 0, 7)     Alias  El0 Never u64::MAX, 0;
    MidrEl1           MIDR_EL1           (3, 0, 0, 0, 0)     Id     El1 Never u64::MAX, 0;
    RevidrEl1         REVIDR_EL1         (3, 0, 0, 0, 6)     Id     El1 Never u64::MAX, 0;
    AidrEl1           AIDR_EL1           (3, 1, 0, 0, 7)     Id     El1 Never u64::MAX, 0;
    ClidrEl1          CLIDR_EL1          (3, 1, 0, 0, 1)     Id     El1 Never u64::MAX, 0;
    IdPfr0            ID_PFR0_EL1        (3, 0, 0, 1, 0)     Id     El1 Never u64::MAX, 0;
    IdPfr1            ID_PFR1_EL1        (3, 0, 0, 1, 1)     Id     El1 Never u64::MAX, 0;
    IdDfr0            ID_DFR0_EL1        (3, 0, 0, 1, 2)     Id     El1 Never u64::MAX, 0;
    IdAfr0            ID_AFR0_EL1        (3, 0, 0, 1, 3)     Id     El1 Never u64::MAX, 0;
    IdMmfr0           ID_MMFR0_EL1       (3, 0, 0, 1, 4)     Id     El1 Never u64::MAX, 0;
    IdMmfr1           ID_MMFR1_EL1       (3, 0, 0, 1, 5)     Id     El1 Never u64::MAX, 0;
    IdMmfr2           ID_MMFR2_EL1       (3, 0, 0, 1, 6)     Id     El1 Never u64::MAX, 0;
    IdMmfr3           ID_MMFR3_EL1       (3, 0, 0, 1, 7)     Id     El1 Never u64::MAX, 0;
    IdIsar0           ID_ISAR0_EL1       (3, 0, 0, 2, 0)     Id     El1 Never u64::MAX, 0;
    IdIsar1           ID_ISAR1_EL1       (3, 0, 0, 2, 1)     Id     El1 Never u64::MAX, 0;
    IdIsar2           ID_ISAR2_EL1       (3, 0, 0, 2, 2)     Id     El1 Never u64::MAX, 0;
    IdIsar3           ID_ISAR3_EL1       (3, 0, 0, 2, 3)     Id     El1 Never u64::MAX, 0;
    IdIsar4           ID_ISAR4_EL1       (3, 0, 0, 2, 4)     Id     El1 Never u64::MAX, 0;
    IdIsar5           ID_ISAR5_EL1       (3, 0, 0, 2, 5)     Id     El1 Never u64::MAX, 0;
    IdMmfr4           ID_MMFR4_EL1       (3, 0, 0, 2, 6)     Id     El1 Never u64::MAX, 0;
    IdIsar6           ID_ISAR6_EL1       (3, 0, 0, 2, 7)     Id     El1 Never u64::MAX, 0;
    Mvfr0             MVFR0_EL1          (3, 0, 0, 3, 0)     Id     El1 Never u64::MAX, 0;
    Mvfr1             MVFR1_EL1          (3, 0, 0, 3, 1)     Id     El1 Never u64::MAX, 0;
    Mvfr2             MVFR2_EL1          (3, 0, 0, 3, 2)     Id     El1 Never u64::MAX, 0;
    IdPfr2            ID_PFR2_EL1        (3, 0, 0, 3, 4)     Id     El1 Never u64::MAX, 0;
    IdDfr1            ID_DFR1_EL1        (3, 0, 0, 3, 5)     Id     El1 Never u64::MAX, 0;
    IdMmfr5           ID_MMFR5_EL1       (3, 0, 0, 3, 6)     Id     El1 Never u64::MAX, 0;
    IdAa64Pfr0        ID_AA64PFR0_EL1    (3, 0, 0, 4, 0)     Id     El1 Never u64::MAX, 0;
    IdAa64Pfr1        ID_AA64PFR1_EL1    (3, 0, 0, 4, 1)     Id     El1 Never u64::MAX, 0;
    IdAa64Pfr2        ID_AA64PFR2_EL1    (3, 0, 0, 4, 2)     Id     El1 Never u64::MAX, 0;
    IdAa64Zfr0        ID_AA64ZFR0_EL1    (3, 0, 0, 4, 4)     Id     El1 Never u64::MAX, 0;
    IdAa64Smfr0       ID_AA64SMFR0_EL1   (3, 0, 0, 4, 5)     Id     El1 Never u64::MAX, 0;
    IdAa64Fpfr0       ID_AA64FPFR0_EL1   (3, 0, 0, 4, 7)     Id     El1 Never u64::MAX, 0;
    IdAa64Dfr0        ID_AA64DFR0_EL1    (3, 0, 0, 5, 0)     Id     El1 Never u64::MAX, 0;
    IdAa64Dfr1        ID_AA64DFR1_EL1    (3, 0, 0, 5, 1)     Id     El1 Never u64::MAX, 0;
    IdAa64Afr0        ID_AA64AFR0_EL1    (3, 0, 0, 5, 4)     Id     El1 Never u64::MAX, 0;
    IdAa64Afr1        ID_AA64AFR1_EL1    (3, 0, 0, 5, 5)     Id     El1 Never u64::MAX, 0;
    IdAa64Isar0       ID_AA64ISAR0_EL1   (3, 0, 0, 6, 0)     Id     El1 Never u64::MAX, 0;
    IdAa64Isar1       ID_AA64ISAR1_EL1   (3, 0, 0, 6, 1)     Id     El1 Never u64::MAX, 0;
    IdAa64Isar2       ID_AA64ISAR2_EL1   (3, 0, 0, 6, 2)     Id     El1 Never u64::MAX, 0;
    IdAa64Isar3       ID_AA64ISAR3_EL1   (3, 0, 0, 6, 3)     Id     El1 Never u64::MAX, 0;
    IdAa64Mmfr0       ID_AA64MMFR0_EL1   (3, 0, 0, 7, 0)     Id     El1 Never u64::MAX, 0;
    IdAa64Mmfr1       ID_AA64MMFR1_EL1   (3, 0, 0, 7, 1)     Id     El1 Never u64::MAX, 0;
    IdAa64Mmfr2       ID_AA64MMFR2_EL1   (3, 0, 0, 7, 2)     Id     El1 Never u64::MAX, 0;
    IdAa64Mmfr3       ID_AA64MMFR3_EL1   (3, 0, 0, 7, 3)     Id     El1 Never u64::MAX, 0;
    IdAa64Mmfr4       ID_AA64MMFR4_EL1   (3, 0, 0, 7, 4)     Id     El1 Never u64::MAX, 0;
    CcsidrEl1         CCSIDR_EL1         (3, 1, 0, 0, 0)     Alias  El1 Never u64::MAX, 0;
}

/// The places in [`TABLE`] in the order of the encoding.
static INDEX: LazyLock<Vec<(SysReg, u8)>> = LazyLock::new(|| {
    let mut index: Vec<_> = TABLE.iter().map(|def| (def.reg, def.slot as u8)).collect();
    index.sort_unstable();
    index
});

/// The register of this encoding.
pub(crate) fn find(reg: SysReg) -> Option<&'static Def> {
    let at = INDEX.binary_search_by_key(&reg, |&(reg, _)| reg).ok()?;
    TABLE.get(usize::from(INDEX[at].1))
}

/// The slot of a register whose access has no side effect, and whether EL0 may do it.
pub(crate) fn plain(reg: SysReg, read: bool) -> Option<(u8, bool)> {
    let def = find(reg)?;
    let who = if read { def.read } else { def.write };
    // Traps of timer and debug registers are looked at on every access.
    let silent_read = matches!(
        def.slot,
        Slot::SctlrEl1
            | Slot::Ttbr0El1
            | Slot::Ttbr1El1
            | Slot::TcrEl1
            | Slot::MairEl1
            | Slot::VbarEl1
    );
    // What CPACR_EL1 lets be used is found out when it is written.
    let silent = def.kind == Plain && (read || def.slot != Slot::CpacrEl1);
    let direct = silent || (read && silent_read);
    (direct && who != Never).then_some((def.slot as u8, who == El0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_count_through_the_table_and_encodings_are_unique() {
        for (at, def) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(def.slot as u8), at);
            assert_eq!(find(def.reg).unwrap().slot, def.slot);
        }
        assert!(INDEX.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
