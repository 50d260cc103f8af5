//! System registers that guest programs in tests use, by their names `[DDI0487 D24.2]`.

use abide_arm64::SysReg;

/// The form in which `dynasm!` takes a system register: 15 bits, without the upper bit of op0,
/// which is always set.
///
/// ```
/// use abide_testkit::guest::{Program, asm, sysreg};
/// use abide_reg::Gpa;
///
/// let mut program = Program::new(Gpa(0x4000_0000));
/// asm!(program.assembler(); mrs x0, sysreg::operand(sysreg::CNTVCT_EL0));
/// assert_eq!(program.finish()?, 0xd53b_e040_u32.to_le_bytes());
/// # Ok::<(), abide_testkit::guest::ProgramError>(())
/// ```
#[must_use]
pub const fn operand(register: SysReg) -> u32 {
    register.0 as u32 & 0x7fff
}

macro_rules! sysregs {
    ($($name:ident $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal;)*) => {$(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub const $name: SysReg = SysReg::new($op0, $op1, $crn, $crm, $op2);
    )*};
}

sysregs! {
    MIDR_EL1         3 0  0  0 0;
    MPIDR_EL1        3 0  0  0 5;
    ID_AA64PFR0_EL1  3 0  0  4 0;
    ID_AA64ISAR0_EL1 3 0  0  6 0;
    ID_AA64MMFR0_EL1 3 0  0  7 0;
    SCTLR_EL1        3 0  1  0 0;
    CPACR_EL1        3 0  1  0 2;
    TTBR0_EL1        3 0  2  0 0;
    TTBR1_EL1        3 0  2  0 1;
    TCR_EL1          3 0  2  0 2;
    SPSR_EL1         3 0  4  0 0;
    ELR_EL1          3 0  4  0 1;
    SP_EL0           3 0  4  1 0;
    SPSEL            3 0  4  2 0;
    CURRENTEL        3 0  4  2 2;
    ICC_PMR_EL1      3 0  4  6 0;
    ESR_EL1          3 0  5  2 0;
    FAR_EL1          3 0  6  0 0;
    PAR_EL1          3 0  7  4 0;
    MAIR_EL1         3 0 10  2 0;
    VBAR_EL1         3 0 12  0 0;
    ISR_EL1          3 0 12  1 0;
    ICC_RPR_EL1      3 0 12 11 3;
    ICC_DIR_EL1      3 0 12 11 1;
    ICC_SGI1R_EL1    3 0 12 11 5;
    ICC_IAR1_EL1     3 0 12 12 0;
    ICC_EOIR1_EL1    3 0 12 12 1;
    ICC_HPPIR1_EL1   3 0 12 12 2;
    ICC_BPR1_EL1     3 0 12 12 3;
    ICC_CTLR_EL1     3 0 12 12 4;
    ICC_SRE_EL1      3 0 12 12 5;
    ICC_IGRPEN1_EL1  3 0 12 12 7;
    CONTEXTIDR_EL1   3 0 13  0 1;
    TPIDR_EL1        3 0 13  0 4;
    CNTKCTL_EL1      3 0 14  1 0;
    CTR_EL0          3 3  0  0 1;
    DCZID_EL0        3 3  0  0 7;
    NZCV             3 3  4  2 0;
    DAIF             3 3  4  2 1;
    FPCR             3 3  4  4 0;
    FPSR             3 3  4  4 1;
    TPIDR_EL0        3 3 13  0 2;
    TPIDRRO_EL0      3 3 13  0 3;
    CNTFRQ_EL0       3 3 14  0 0;
    CNTPCT_EL0       3 3 14  0 1;
    CNTVCT_EL0       3 3 14  0 2;
    CNTP_TVAL_EL0    3 3 14  2 0;
    CNTP_CTL_EL0     3 3 14  2 1;
    CNTP_CVAL_EL0    3 3 14  2 2;
    CNTV_TVAL_EL0    3 3 14  3 0;
    CNTV_CTL_EL0     3 3 14  3 1;
    CNTV_CVAL_EL0    3 3 14  3 2;
}
