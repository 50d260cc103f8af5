//! Registers by the names of their specifications.

use crate::{SysReg, kvm};
use abide_reg::RegId;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// The name of a KVM register: `x7`, `SCTLR_EL1`, `V3`, `PSCI_VERSION`. `None` for other kinds of
/// id and for registers without a name here; those have at least their encoding
/// ([`SysReg`]'s text).
#[must_use]
pub fn register_name(id: RegId) -> Option<String> {
    let RegId::Kvm(number) = id else { return None };
    if let Some((_, name)) = NAMED.iter().find(|(named, _)| *named == id) {
        return Some((*name).to_owned());
    }
    if let Some(n) = (0..31).find(|&n| kvm::x(n) == id) {
        return Some(format!("x{n}"));
    }
    if let Some(n) = (0..32).find(|&n| kvm::v(n) == id) {
        return Some(format!("V{n}"));
    }
    // KVM_REG_ARM_DEMUX with the id CCSIDR: the low byte is CSSELR_EL1.
    if number & !0xff == 0x6020_0000_0011_0000 {
        return Some(format!("CCSIDR_EL1[{}]", number & 0xff));
    }
    // KVM_REG_ARM64_SVE: five bits of slice, five of number.
    if number >> 16 & 0xffff == 0x0015 {
        return sve_name(number & 0xffff);
    }
    let reg = kvm::to_sysreg(id)?;
    // PMEVCNTR<n>_EL0 and PMEVTYPER<n>_EL0.
    match reg.0 {
        0xdf40..=0xdf5e => return Some(format!("PMEVCNTR{}_EL0", reg.0 & 0x1f)),
        0xdf60..=0xdf7e => return Some(format!("PMEVTYPER{}_EL0", reg.0 & 0x1f)),
        _ => {}
    }
    Some(sysreg_name(reg).map_or_else(|| format!("{reg}"), ToOwned::to_owned))
}

fn sve_name(number: u64) -> Option<String> {
    let (n, slice) = (number >> 5 & 0x1f, number & 0x1f);
    let name = match number {
        0xffff => return Some("SVE_VLS".to_owned()),
        0..0x400 => format!("Z{n}"),
        0x400..0x600 => format!("P{n}"),
        0x600..0x620 => "FFR".to_owned(),
        _ => return None,
    };
    Some(if slice == 0 { name } else { format!("{name}[{slice}]") })
}

/// The name of a system register.
#[must_use]
pub fn sysreg_name(reg: SysReg) -> Option<&'static str> {
    let found = SYSREGS.binary_search_by_key(&reg.0, |&(encoding, _)| encoding).ok()?;
    Some(SYSREGS[found].1)
}

const fn of_64_bits(number: u64) -> RegId {
    RegId::Kvm(0x6030_0000_0000_0000 | number)
}

/// Registers outside the space of system registers, and those whose id says another name.
const NAMED: &[(RegId, &str)] = &[
    (kvm::SP_EL0, "SP_EL0"),
    (kvm::PC, "PC"),
    (kvm::PSTATE, "PSTATE"),
    (kvm::SP_EL1, "SP_EL1"),
    (kvm::ELR_EL1, "ELR_EL1"),
    (kvm::SPSR_EL1, "SPSR_EL1"),
    (of_64_bits(0x10_004a), "SPSR_abt"),
    (of_64_bits(0x10_004c), "SPSR_und"),
    (of_64_bits(0x10_004e), "SPSR_irq"),
    (of_64_bits(0x10_0050), "SPSR_fiq"),
    (kvm::FPSR, "FPSR"),
    (kvm::FPCR, "FPCR"),
    (kvm::TIMER_CTL, "CNTV_CTL_EL0"),
    (kvm::TIMER_CNT, "CNTVCT_EL0"),
    (kvm::TIMER_CVAL, "CNTV_CVAL_EL0"),
    (kvm::PTIMER_CTL, "CNTP_CTL_EL0"),
    (kvm::PTIMER_CNT, "CNTPCT_EL0"),
    (kvm::PTIMER_CVAL, "CNTP_CVAL_EL0"),
    (of_64_bits(0x14_0000), "PSCI_VERSION"),
    (of_64_bits(0x14_0001), "ARCH_WORKAROUND_1"),
    (of_64_bits(0x14_0002), "ARCH_WORKAROUND_2"),
    (of_64_bits(0x14_0003), "ARCH_WORKAROUND_3"),
    (of_64_bits(0x16_0000), "STD_BMAP"),
    (of_64_bits(0x16_0001), "STD_HYP_BMAP"),
    (of_64_bits(0x16_0002), "VENDOR_HYP_BMAP"),
    (of_64_bits(0x16_0003), "VENDOR_HYP_BMAP_2"),
];

const fn row(
    op0: u16,
    op1: u16,
    crn: u16,
    crm: u16,
    op2: u16,
    name: &'static str,
) -> (u16, &'static str) {
    (SysReg::new(op0, op1, crn, crm, op2).0, name)
}

/// System registers of EL1 and EL0 `[DDI0487 D24]`, ascending by encoding.
#[rustfmt::skip]
const SYSREGS: &[(u16, &str)] = &[
    row(2, 0,  0,  0, 2, "OSDTRRX_EL1"),
    row(2, 0,  0,  0, 4, "DBGBVR0_EL1"),
    row(2, 0,  0,  0, 5, "DBGBCR0_EL1"),
    row(2, 0,  0,  0, 6, "DBGWVR0_EL1"),
    row(2, 0,  0,  0, 7, "DBGWCR0_EL1"),
    row(2, 0,  0,  1, 4, "DBGBVR1_EL1"),
    row(2, 0,  0,  1, 5, "DBGBCR1_EL1"),
    row(2, 0,  0,  1, 6, "DBGWVR1_EL1"),
    row(2, 0,  0,  1, 7, "DBGWCR1_EL1"),
    row(2, 0,  0,  2, 0, "MDCCINT_EL1"),
    row(2, 0,  0,  2, 2, "MDSCR_EL1"),
    row(2, 0,  0,  2, 4, "DBGBVR2_EL1"),
    row(2, 0,  0,  2, 5, "DBGBCR2_EL1"),
    row(2, 0,  0,  2, 6, "DBGWVR2_EL1"),
    row(2, 0,  0,  2, 7, "DBGWCR2_EL1"),
    row(2, 0,  0,  3, 4, "DBGBVR3_EL1"),
    row(2, 0,  0,  3, 5, "DBGBCR3_EL1"),
    row(2, 0,  0,  3, 6, "DBGWVR3_EL1"),
    row(2, 0,  0,  3, 7, "DBGWCR3_EL1"),
    row(2, 0,  0,  4, 4, "DBGBVR4_EL1"),
    row(2, 0,  0,  4, 5, "DBGBCR4_EL1"),
    row(2, 0,  0,  4, 6, "DBGWVR4_EL1"),
    row(2, 0,  0,  4, 7, "DBGWCR4_EL1"),
    row(2, 0,  0,  5, 4, "DBGBVR5_EL1"),
    row(2, 0,  0,  5, 5, "DBGBCR5_EL1"),
    row(2, 0,  0,  5, 6, "DBGWVR5_EL1"),
    row(2, 0,  0,  5, 7, "DBGWCR5_EL1"),
    row(2, 0,  0,  6, 4, "DBGBVR6_EL1"),
    row(2, 0,  0,  6, 5, "DBGBCR6_EL1"),
    row(2, 0,  0,  6, 6, "DBGWVR6_EL1"),
    row(2, 0,  0,  6, 7, "DBGWCR6_EL1"),
    row(2, 0,  0,  7, 4, "DBGBVR7_EL1"),
    row(2, 0,  0,  7, 5, "DBGBCR7_EL1"),
    row(2, 0,  0,  7, 6, "DBGWVR7_EL1"),
    row(2, 0,  0,  7, 7, "DBGWCR7_EL1"),
    row(2, 0,  0,  8, 4, "DBGBVR8_EL1"),
    row(2, 0,  0,  8, 5, "DBGBCR8_EL1"),
    row(2, 0,  0,  8, 6, "DBGWVR8_EL1"),
    row(2, 0,  0,  8, 7, "DBGWCR8_EL1"),
    row(2, 0,  0,  9, 4, "DBGBVR9_EL1"),
    row(2, 0,  0,  9, 5, "DBGBCR9_EL1"),
    row(2, 0,  0,  9, 6, "DBGWVR9_EL1"),
    row(2, 0,  0,  9, 7, "DBGWCR9_EL1"),
    row(2, 0,  0, 10, 4, "DBGBVR10_EL1"),
    row(2, 0,  0, 10, 5, "DBGBCR10_EL1"),
    row(2, 0,  0, 10, 6, "DBGWVR10_EL1"),
    row(2, 0,  0, 10, 7, "DBGWCR10_EL1"),
    row(2, 0,  0, 11, 4, "DBGBVR11_EL1"),
    row(2, 0,  0, 11, 5, "DBGBCR11_EL1"),
    row(2, 0,  0, 11, 6, "DBGWVR11_EL1"),
    row(2, 0,  0, 11, 7, "DBGWCR11_EL1"),
    row(2, 0,  0, 12, 4, "DBGBVR12_EL1"),
    row(2, 0,  0, 12, 5, "DBGBCR12_EL1"),
    row(2, 0,  0, 12, 6, "DBGWVR12_EL1"),
    row(2, 0,  0, 12, 7, "DBGWCR12_EL1"),
    row(2, 0,  0, 13, 4, "DBGBVR13_EL1"),
    row(2, 0,  0, 13, 5, "DBGBCR13_EL1"),
    row(2, 0,  0, 13, 6, "DBGWVR13_EL1"),
    row(2, 0,  0, 13, 7, "DBGWCR13_EL1"),
    row(2, 0,  0, 14, 4, "DBGBVR14_EL1"),
    row(2, 0,  0, 14, 5, "DBGBCR14_EL1"),
    row(2, 0,  0, 14, 6, "DBGWVR14_EL1"),
    row(2, 0,  0, 14, 7, "DBGWCR14_EL1"),
    row(2, 0,  0, 15, 4, "DBGBVR15_EL1"),
    row(2, 0,  0, 15, 5, "DBGBCR15_EL1"),
    row(2, 0,  0, 15, 6, "DBGWVR15_EL1"),
    row(2, 0,  0, 15, 7, "DBGWCR15_EL1"),
    row(2, 0,  1,  0, 4, "OSLAR_EL1"),
    row(2, 0,  1,  1, 4, "OSLSR_EL1"),
    row(2, 0,  1,  3, 4, "OSDLR_EL1"),
    row(2, 4,  0,  7, 0, "DBGVCR32_EL2"),
    row(3, 0,  0,  0, 0, "MIDR_EL1"),
    row(3, 0,  0,  0, 5, "MPIDR_EL1"),
    row(3, 0,  0,  0, 6, "REVIDR_EL1"),
    row(3, 0,  0,  1, 0, "ID_PFR0_EL1"),
    row(3, 0,  0,  1, 1, "ID_PFR1_EL1"),
    row(3, 0,  0,  1, 2, "ID_DFR0_EL1"),
    row(3, 0,  0,  1, 3, "ID_AFR0_EL1"),
    row(3, 0,  0,  1, 4, "ID_MMFR0_EL1"),
    row(3, 0,  0,  1, 5, "ID_MMFR1_EL1"),
    row(3, 0,  0,  1, 6, "ID_MMFR2_EL1"),
    row(3, 0,  0,  1, 7, "ID_MMFR3_EL1"),
    row(3, 0,  0,  2, 0, "ID_ISAR0_EL1"),
    row(3, 0,  0,  2, 1, "ID_ISAR1_EL1"),
    row(3, 0,  0,  2, 2, "ID_ISAR2_EL1"),
    row(3, 0,  0,  2, 3, "ID_ISAR3_EL1"),
    row(3, 0,  0,  2, 4, "ID_ISAR4_EL1"),
    row(3, 0,  0,  2, 5, "ID_ISAR5_EL1"),
    row(3, 0,  0,  2, 6, "ID_MMFR4_EL1"),
    row(3, 0,  0,  2, 7, "ID_ISAR6_EL1"),
    row(3, 0,  0,  3, 0, "MVFR0_EL1"),
    row(3, 0,  0,  3, 1, "MVFR1_EL1"),
    row(3, 0,  0,  3, 2, "MVFR2_EL1"),
    row(3, 0,  0,  3, 4, "ID_PFR2_EL1"),
    row(3, 0,  0,  3, 5, "ID_DFR1_EL1"),
    row(3, 0,  0,  3, 6, "ID_MMFR5_EL1"),
    row(3, 0,  0,  4, 0, "ID_AA64PFR0_EL1"),
    row(3, 0,  0,  4, 1, "ID_AA64PFR1_EL1"),
    row(3, 0,  0,  4, 2, "ID_AA64PFR2_EL1"),
    row(3, 0,  0,  4, 4, "ID_AA64ZFR0_EL1"),
    row(3, 0,  0,  4, 5, "ID_AA64SMFR0_EL1"),
    row(3, 0,  0,  4, 7, "ID_AA64FPFR0_EL1"),
    row(3, 0,  0,  5, 0, "ID_AA64DFR0_EL1"),
    row(3, 0,  0,  5, 1, "ID_AA64DFR1_EL1"),
    row(3, 0,  0,  5, 2, "ID_AA64DFR2_EL1"),
    row(3, 0,  0,  5, 4, "ID_AA64AFR0_EL1"),
    row(3, 0,  0,  5, 5, "ID_AA64AFR1_EL1"),
    row(3, 0,  0,  6, 0, "ID_AA64ISAR0_EL1"),
    row(3, 0,  0,  6, 1, "ID_AA64ISAR1_EL1"),
    row(3, 0,  0,  6, 2, "ID_AA64ISAR2_EL1"),
    row(3, 0,  0,  6, 3, "ID_AA64ISAR3_EL1"),
    row(3, 0,  0,  7, 0, "ID_AA64MMFR0_EL1"),
    row(3, 0,  0,  7, 1, "ID_AA64MMFR1_EL1"),
    row(3, 0,  0,  7, 2, "ID_AA64MMFR2_EL1"),
    row(3, 0,  0,  7, 3, "ID_AA64MMFR3_EL1"),
    row(3, 0,  0,  7, 4, "ID_AA64MMFR4_EL1"),
    row(3, 0,  1,  0, 0, "SCTLR_EL1"),
    row(3, 0,  1,  0, 1, "ACTLR_EL1"),
    row(3, 0,  1,  0, 2, "CPACR_EL1"),
    row(3, 0,  1,  0, 3, "SCTLR2_EL1"),
    row(3, 0,  1,  2, 0, "ZCR_EL1"),
    row(3, 0,  2,  0, 0, "TTBR0_EL1"),
    row(3, 0,  2,  0, 1, "TTBR1_EL1"),
    row(3, 0,  2,  0, 2, "TCR_EL1"),
    row(3, 0,  2,  0, 3, "TCR2_EL1"),
    row(3, 0,  2,  1, 0, "APIAKeyLo_EL1"),
    row(3, 0,  2,  1, 1, "APIAKeyHi_EL1"),
    row(3, 0,  2,  1, 2, "APIBKeyLo_EL1"),
    row(3, 0,  2,  1, 3, "APIBKeyHi_EL1"),
    row(3, 0,  2,  2, 0, "APDAKeyLo_EL1"),
    row(3, 0,  2,  2, 1, "APDAKeyHi_EL1"),
    row(3, 0,  2,  2, 2, "APDBKeyLo_EL1"),
    row(3, 0,  2,  2, 3, "APDBKeyHi_EL1"),
    row(3, 0,  2,  3, 0, "APGAKeyLo_EL1"),
    row(3, 0,  2,  3, 1, "APGAKeyHi_EL1"),
    row(3, 0,  4,  0, 0, "SPSR_EL1"),
    row(3, 0,  4,  0, 1, "ELR_EL1"),
    row(3, 0,  4,  1, 0, "SP_EL0"),
    row(3, 0,  4,  2, 0, "SPSel"),
    row(3, 0,  4,  2, 2, "CurrentEL"),
    row(3, 0,  4,  2, 3, "PAN"),
    row(3, 0,  4,  2, 4, "UAO"),
    row(3, 0,  4,  6, 0, "ICC_PMR_EL1"),
    row(3, 0,  5,  1, 0, "AFSR0_EL1"),
    row(3, 0,  5,  1, 1, "AFSR1_EL1"),
    row(3, 0,  5,  2, 0, "ESR_EL1"),
    row(3, 0,  5,  3, 0, "ERRIDR_EL1"),
    row(3, 0,  5,  3, 1, "ERRSELR_EL1"),
    row(3, 0,  6,  0, 0, "FAR_EL1"),
    row(3, 0,  7,  4, 0, "PAR_EL1"),
    row(3, 0,  9, 14, 1, "PMINTENSET_EL1"),
    row(3, 0,  9, 14, 2, "PMINTENCLR_EL1"),
    row(3, 0, 10,  2, 0, "MAIR_EL1"),
    row(3, 0, 10,  2, 2, "PIRE0_EL1"),
    row(3, 0, 10,  2, 3, "PIR_EL1"),
    row(3, 0, 10,  3, 0, "AMAIR_EL1"),
    row(3, 0, 12,  0, 0, "VBAR_EL1"),
    row(3, 0, 12,  1, 0, "ISR_EL1"),
    row(3, 0, 12,  1, 1, "DISR_EL1"),
    row(3, 0, 12,  8, 0, "ICC_IAR0_EL1"),
    row(3, 0, 12,  8, 1, "ICC_EOIR0_EL1"),
    row(3, 0, 12,  8, 2, "ICC_HPPIR0_EL1"),
    row(3, 0, 12,  8, 3, "ICC_BPR0_EL1"),
    row(3, 0, 12,  8, 4, "ICC_AP0R0_EL1"),
    row(3, 0, 12,  8, 5, "ICC_AP0R1_EL1"),
    row(3, 0, 12,  8, 6, "ICC_AP0R2_EL1"),
    row(3, 0, 12,  8, 7, "ICC_AP0R3_EL1"),
    row(3, 0, 12,  9, 0, "ICC_AP1R0_EL1"),
    row(3, 0, 12,  9, 1, "ICC_AP1R1_EL1"),
    row(3, 0, 12,  9, 2, "ICC_AP1R2_EL1"),
    row(3, 0, 12,  9, 3, "ICC_AP1R3_EL1"),
    row(3, 0, 12, 11, 1, "ICC_DIR_EL1"),
    row(3, 0, 12, 11, 3, "ICC_RPR_EL1"),
    row(3, 0, 12, 11, 5, "ICC_SGI1R_EL1"),
    row(3, 0, 12, 11, 6, "ICC_ASGI1R_EL1"),
    row(3, 0, 12, 11, 7, "ICC_SGI0R_EL1"),
    row(3, 0, 12, 12, 0, "ICC_IAR1_EL1"),
    row(3, 0, 12, 12, 1, "ICC_EOIR1_EL1"),
    row(3, 0, 12, 12, 2, "ICC_HPPIR1_EL1"),
    row(3, 0, 12, 12, 3, "ICC_BPR1_EL1"),
    row(3, 0, 12, 12, 4, "ICC_CTLR_EL1"),
    row(3, 0, 12, 12, 5, "ICC_SRE_EL1"),
    row(3, 0, 12, 12, 6, "ICC_IGRPEN0_EL1"),
    row(3, 0, 12, 12, 7, "ICC_IGRPEN1_EL1"),
    row(3, 0, 13,  0, 1, "CONTEXTIDR_EL1"),
    row(3, 0, 13,  0, 4, "TPIDR_EL1"),
    row(3, 0, 14,  1, 0, "CNTKCTL_EL1"),
    row(3, 1,  0,  0, 0, "CCSIDR_EL1"),
    row(3, 1,  0,  0, 1, "CLIDR_EL1"),
    row(3, 1,  0,  0, 7, "AIDR_EL1"),
    row(3, 2,  0,  0, 0, "CSSELR_EL1"),
    row(3, 3,  0,  0, 1, "CTR_EL0"),
    row(3, 3,  0,  0, 7, "DCZID_EL0"),
    row(3, 3,  4,  2, 0, "NZCV"),
    row(3, 3,  4,  2, 1, "DAIF"),
    row(3, 3,  4,  4, 0, "FPCR"),
    row(3, 3,  4,  4, 1, "FPSR"),
    row(3, 3,  9, 12, 0, "PMCR_EL0"),
    row(3, 3,  9, 12, 1, "PMCNTENSET_EL0"),
    row(3, 3,  9, 12, 2, "PMCNTENCLR_EL0"),
    row(3, 3,  9, 12, 3, "PMOVSCLR_EL0"),
    row(3, 3,  9, 12, 4, "PMSWINC_EL0"),
    row(3, 3,  9, 12, 5, "PMSELR_EL0"),
    row(3, 3,  9, 12, 6, "PMCEID0_EL0"),
    row(3, 3,  9, 12, 7, "PMCEID1_EL0"),
    row(3, 3,  9, 13, 0, "PMCCNTR_EL0"),
    row(3, 3,  9, 14, 0, "PMUSERENR_EL0"),
    row(3, 3,  9, 14, 3, "PMOVSSET_EL0"),
    row(3, 3, 13,  0, 2, "TPIDR_EL0"),
    row(3, 3, 13,  0, 3, "TPIDRRO_EL0"),
    row(3, 3, 14,  0, 0, "CNTFRQ_EL0"),
    row(3, 3, 14,  0, 1, "CNTPCT_EL0"),
    row(3, 3, 14,  0, 2, "CNTVCT_EL0"),
    row(3, 3, 14,  2, 0, "CNTP_TVAL_EL0"),
    row(3, 3, 14,  2, 1, "CNTP_CTL_EL0"),
    row(3, 3, 14,  2, 2, "CNTP_CVAL_EL0"),
    row(3, 3, 14,  3, 0, "CNTV_TVAL_EL0"),
    row(3, 3, 14,  3, 1, "CNTV_CTL_EL0"),
    row(3, 3, 14,  3, 2, "CNTV_CVAL_EL0"),
    row(3, 3, 14, 15, 7, "PMCCFILTR_EL0"),
    row(3, 4,  3,  0, 0, "DACR32_EL2"),
    row(3, 4,  5,  0, 1, "IFSR32_EL2"),
    row(3, 4,  5,  3, 0, "FPEXC32_EL2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_has_no_name_twice() {
        assert!(SYSREGS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (n, (_, name)) in SYSREGS.iter().enumerate() {
            assert!(SYSREGS[n + 1..].iter().all(|(_, other)| other != name), "{name}");
        }
    }

    #[test]
    fn registers_have_their_names() {
        for (id, name) in [
            (kvm::x(30), "x30"),
            (kvm::v(31), "V31"),
            (kvm::TIMER_CNT, "CNTVCT_EL0"),
            (RegId::Kvm(0x6030_0000_0013_c080), "SCTLR_EL1"),
            (RegId::Kvm(0x6030_0000_0013_c020), "ID_AA64PFR0_EL1"),
            (RegId::Kvm(0x6020_0000_0011_0002), "CCSIDR_EL1[2]"),
            (RegId::Kvm(0x6030_0000_0014_0000), "PSCI_VERSION"),
            (RegId::Kvm(0x6080_0000_0015_03e0), "Z31"),
            (RegId::Kvm(0x6050_0000_0015_0400), "P0"),
            (RegId::Kvm(0x6050_0000_0015_0601), "FFR[1]"),
            (RegId::Kvm(0x6060_0000_0015_ffff), "SVE_VLS"),
            (RegId::Kvm(0x6030_0000_0013_df5e), "PMEVCNTR30_EL0"),
            (RegId::Kvm(0x6030_0000_0013_df60), "PMEVTYPER0_EL0"),
            (RegId::Kvm(0x6030_0000_0013_c113), "APDBKeyHi_EL1"),
            (RegId::Kvm(0x6030_0000_0010_004e), "SPSR_irq"),
            (RegId::Kvm(0x6030_0000_0013_ffff), "s3_7_c15_c15_7"),
        ] {
            assert_eq!(register_name(id).as_deref(), Some(name));
        }
        assert_eq!(register_name(RegId::named("cpu.event")), None);
    }
}
