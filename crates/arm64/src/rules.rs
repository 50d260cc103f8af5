//! What may happen to each register of a vCPU between two hosts.

use crate::id_fields as id;
use crate::{SysReg, kvm};
use abide_reg::{Absent, Direction, Field, Fit, Readback, RegId, Rule};

const fn sysreg(op1: u16, crn: u16, crm: u16, op2: u16) -> RegId {
    kvm::sysreg(SysReg::new(3, op1, crn, crm, op2))
}

pub(crate) const ID_AA64PFR0_EL1: RegId = sysreg(0, 0, 4, 0);
pub(crate) const ID_AA64PFR1_EL1: RegId = sysreg(0, 0, 4, 1);
const ID_AA64PFR2_EL1: RegId = sysreg(0, 0, 4, 2);
pub(crate) const ID_AA64DFR0_EL1: RegId = sysreg(0, 0, 5, 0);
pub(crate) const ID_AA64ISAR1_EL1: RegId = sysreg(0, 0, 6, 1);
pub(crate) const ID_AA64ISAR2_EL1: RegId = sysreg(0, 0, 6, 2);
const ID_AA64MMFR2_EL1: RegId = sysreg(0, 0, 7, 2);
const ID_AA64MMFR3_EL1: RegId = sysreg(0, 0, 7, 3);
const CLIDR_EL1: RegId = sysreg(1, 0, 0, 1);
/// `PMCR_EL0` as KVM's register.
pub const PMCR_EL0: RegId = sysreg(3, 9, 12, 0);

/// The feature-off conditions, each for one group of registers.
static RAS_OFF: [(RegId, Field); 1] = [(ID_AA64PFR0_EL1, id::RAS)];
static SVE_OFF: [(RegId, Field); 1] = [(ID_AA64PFR0_EL1, id::SVE)];
static PMU_OFF: [(RegId, Field); 1] = [(ID_AA64DFR0_EL1, id::PMU_VER)];
static MTE_OFF: [(RegId, Field); 1] = [(ID_AA64PFR1_EL1, id::MTE)];
static FPMR_OFF: [(RegId, Field); 1] = [(ID_AA64PFR2_EL1, id::FPMR)];
static TCRX_OFF: [(RegId, Field); 1] = [(ID_AA64MMFR3_EL1, id::TCRX)];
static SCTLRX_OFF: [(RegId, Field); 1] = [(ID_AA64MMFR3_EL1, id::SCTLRX)];
static S1PIE_OFF: [(RegId, Field); 1] = [(ID_AA64MMFR3_EL1, id::S1PIE)];
static S1POE_OFF: [(RegId, Field); 1] = [(ID_AA64MMFR3_EL1, id::S1POE)];
static ADDRESS_KEYS_OFF: [(RegId, Field); 3] =
    [(ID_AA64ISAR1_EL1, id::APA), (ID_AA64ISAR1_EL1, id::API), (ID_AA64ISAR2_EL1, id::APA3)];
static GENERIC_KEY_OFF: [(RegId, Field); 3] =
    [(ID_AA64ISAR1_EL1, id::GPA), (ID_AA64ISAR1_EL1, id::GPI), (ID_AA64ISAR2_EL1, id::GPA3)];
/// The physical timer of EL1 is switched off.
static PTIMER_OFF: [(RegId, Field); 1] = [(kvm::PTIMER_CTL, exact("ENABLE", 0, 1))];

const fn exact(name: &'static str, shift: u8, width: u8) -> Field {
    Field { name, shift, width, signed: false, direction: Direction::Same }
}

/// CNTx_CTL.ISTATUS follows from the count and the comparator.
const ISTATUS: u64 = 1 << 2;
/// PMCR_EL0.IMP and IDCODE: whose PMU it is, for people. Linux 6.2 and later show neither; 0 in IMP
/// says that MIDR_EL1 tells `[DDI0487 D24.5]`.
///
/// LP, bit 7, is state like the others. Where ID_AA64DFR0_EL1.PMUVer is below 6 it is RES0: Linux
/// 6.1 lets a guest set it all the same, and resets it to 1; later kernels clear it when the vCPU
/// runs next. [`PMCR_STATE`] is reset here for all of them.
const PMCR_NAME: u64 = 0xffff_0000;

/// The bits of PMCR_EL0 that a guest writes, all of them UNKNOWN after a reset but E, which is 0
/// `[DDI0487 D24.5]`.
pub const PMCR_STATE: u64 = 0xff;

/// The rule of a register of a vCPU. What has no line of its own is plain state.
#[must_use]
pub fn rule(id: RegId) -> Rule {
    if let RegId::Kvm(number) = id {
        // KVM_REG_ARM_DEMUX, CCSIDR; KVM_REG_ARM64_SVE.
        match number >> 16 & 0xffff {
            0x0011 if number & 0xff00 == 0 => return ccsidr(number & 0xff),
            0x0015 if number & 0xffff == 0xffff => return rule_of(Fit::Exact, &SVE_OFF),
            0x0015 => return rule_of(Fit::Any, &SVE_OFF),
            _ => {}
        }
    }
    if is_of_aarch32(id) {
        return state_if(&[]);
    }
    if let Some(reg) = kvm::to_sysreg(id) { sysreg_rule(reg, id) } else { Rule::STATE }
}

/// The bits of a register of state in which some hosts tell a name of their own, and in which 0 is
/// the architecture's word for none.
#[must_use]
pub const fn name_bits(id: RegId) -> u64 {
    match (id, PMCR_EL0) {
        (RegId::Kvm(number), RegId::Kvm(pmcr)) if number == pmcr => PMCR_NAME,
        _ => 0,
    }
}

/// State of AArch32 at EL1, which is for a hypervisor to reach: SPSR_abt, SPSR_und, SPSR_irq and
/// SPSR_fiq, DBGVCR32_EL2, DACR32_EL2, IFSR32_EL2 and FPEXC32_EL2 `[DDI0487 D24.2]`. KVM lists them
/// for vCPUs that are in AArch64 there, too, as all of abide's are.
fn is_of_aarch32(id: RegId) -> bool {
    const DBGVCR32_EL2: RegId = kvm::sysreg(SysReg::new(2, 4, 0, 7, 0));
    let spsrs = 0x6030_0000_0010_004a..=0x6030_0000_0010_0050;
    matches!(id, RegId::Kvm(number) if spsrs.contains(&number))
        || [DBGVCR32_EL2, sysreg(4, 3, 0, 0), sysreg(4, 5, 0, 1), sysreg(4, 5, 3, 0)].contains(&id)
}

/// Whether KVM lists the register among those whose bits it tells the writable ones of
/// `[linux Documentation/virt/kvm/api.rst 4.139]`.
#[must_use]
pub const fn is_feature_id(id: RegId) -> bool {
    match kvm::to_sysreg(id) {
        // op0 = 3, op1 = 0, 1 or 3, CRn = 0, CRm < 8; MPIDR_EL1 is the vCPU's own.
        Some(SysReg(reg)) => {
            let op1 = reg >> 11 & 7;
            reg & 0xc7c0 == 0xc000 && matches!(op1, 0 | 1 | 3) && reg != 0xc005
        }
        None => false,
    }
}

const fn rule_of(fit: Fit, off: &'static [(RegId, Field)]) -> Rule {
    Rule { fit, absent: Absent::DropIfOff(off), readback: Readback::Equal }
}

const fn state_if(off: &'static [(RegId, Field)]) -> Rule {
    rule_of(Fit::Any, off)
}

fn sysreg_rule(reg: SysReg, id: RegId) -> Rule {
    if let Some(fields) = id::fields(reg) {
        return id_rule(id, fields);
    }
    if is_feature_id(id) {
        // CRm from 1 on are features, none of them where a register reads as 0. Below are names.
        let is_feature = reg.0 & 0xff80 == 0xc000 && reg.0 & 0x78 != 0;
        let absent = if is_feature { Absent::DropIfValue(0) } else { Absent::Refuse };
        return Rule { absent, ..Rule::IDENTITY };
    }
    match id {
        kvm::TIMER_CNT => Rule::COUNTER,
        kvm::TIMER_CTL => Rule { readback: Readback::EqualBut(ISTATUS), ..Rule::STATE },
        kvm::PTIMER_CTL => Rule { readback: Readback::EqualBut(ISTATUS), ..state_if(&PTIMER_OFF) },
        kvm::PTIMER_CVAL => state_if(&PTIMER_OFF),
        kvm::PTIMER_CNT => Rule { readback: Readback::Bound, ..state_if(&PTIMER_OFF) },
        PMCR_EL0 => Rule { readback: Readback::EqualBut(PMCR_NAME), ..state_if(&PMU_OFF) },
        _ if is_pmu(reg) => state_if(&PMU_OFF),
        _ => optional_state(reg),
    }
}

fn id_rule(id: RegId, fields: &'static [Field]) -> Rule {
    // Features of EL2 and of memory's partitioning that some kernels show although no guest can use
    // them, and others hide: those take either value and keep their own.
    let shown_by_mistake = match id {
        ID_AA64PFR0_EL1 => id::MPAM.mask(),
        ID_AA64PFR1_EL1 => id::MPAM_FRAC.mask() | id::MTE_FRAC.mask(),
        ID_AA64MMFR2_EL1 => id::NV.mask(),
        _ => 0,
    };
    let readback = match shown_by_mistake {
        0 => Readback::Equal,
        mask => Readback::EqualBut(mask),
    };
    // An ID register that a host does not know reads as 0 there, but CTR_EL0 is always there.
    let is_cache_type = id == sysreg(3, 0, 0, 1);
    let absent = if is_cache_type { Absent::Refuse } else { Absent::DropIfValue(0) };
    Rule { fit: Fit::Fields(fields), absent, readback }
}

/// Registers that only a feature brings.
fn optional_state(reg: SysReg) -> Rule {
    match kvm::sysreg(reg) {
        id if id == sysreg(0, 12, 1, 1) => state_if(&RAS_OFF), // DISR_EL1
        id if id == sysreg(0, 1, 2, 0) => state_if(&SVE_OFF),  // ZCR_EL1
        id if id == sysreg(0, 1, 0, 3) => state_if(&SCTLRX_OFF), // SCTLR2_EL1
        id if id == sysreg(0, 2, 0, 3) => state_if(&TCRX_OFF), // TCR2_EL1
        id if id == sysreg(0, 10, 2, 2) => state_if(&S1PIE_OFF), // PIRE0_EL1
        id if id == sysreg(0, 10, 2, 3) => state_if(&S1PIE_OFF), // PIR_EL1
        id if id == sysreg(0, 10, 2, 4) => state_if(&S1POE_OFF), // POR_EL1
        id if id == sysreg(3, 10, 2, 4) => state_if(&S1POE_OFF), // POR_EL0
        id if id == sysreg(3, 4, 4, 2) => state_if(&FPMR_OFF), // FPMR
        id if id == sysreg(0, 1, 0, 5) => state_if(&MTE_OFF),  // RGSR_EL1
        id if id == sysreg(0, 1, 0, 6) => state_if(&MTE_OFF),  // GCR_EL1
        id if id == sysreg(0, 5, 6, 0) => state_if(&MTE_OFF),  // TFSR_EL1
        id if id == sysreg(0, 5, 6, 1) => state_if(&MTE_OFF),  // TFSRE0_EL1
        // APIAKey to APDBKey; APGAKey.
        _ if matches!(reg.0, 0xc108..=0xc113) => state_if(&ADDRESS_KEYS_OFF),
        _ if matches!(reg.0, 0xc118..=0xc119) => state_if(&GENERIC_KEY_OFF),
        _ => Rule::STATE,
    }
}

/// PMINTEN{SET,CLR}_EL1, PM*_EL0 with CRn 9, PMEV{CNTR,TYPER}n_EL0 and PMCCFILTR_EL0.
fn is_pmu(reg: SysReg) -> bool {
    matches!(reg.0, 0xc4f1..=0xc4f2 | 0xdce0..=0xdce7 | 0xdce8..=0xdcea | 0xdcf0..=0xdcf3)
        || matches!(reg.0, 0xdf40..=0xdf7f)
}

/// CCSIDR_EL1 as CSSELR_EL1 = `selector` shows it: state of a cache that is there, and nothing at
/// all of one that is not.
fn ccsidr(selector: u64) -> Rule {
    let absent = match usize::try_from(selector).ok().and_then(|n| CACHE_OFF.get(n)) {
        Some(off) => Absent::DropIfOff(off),
        None => Absent::Refuse,
    };
    Rule { fit: Fit::Fields(&CCSIDR_FIELDS), absent, readback: Readback::Equal }
}

/// Cleaning by lines that are shorter than told leaves some out.
static CCSIDR_FIELDS: [Field; 2] = [
    Field {
        name: "LineSize",
        shift: 0,
        width: 3,
        signed: false,
        direction: Direction::HigherIsSafe,
    },
    Field { name: "geometry", shift: 3, width: 29, signed: false, direction: Direction::Any },
];

/// For each selector (level 3:1, instruction cache 0) the bits of CLIDR_EL1 that are 0 where there
/// is no such cache: of a level's three bits, the lowest is the instruction cache.
static CACHE_OFF: [[(RegId, Field); 1]; 14] = cache_off();

const fn cache_off() -> [[(RegId, Field); 1]; 14] {
    let mut table = [[(CLIDR_EL1, exact("Ctype1", 0, 1))]; 14];
    let names = ["Ctype1", "Ctype2", "Ctype3", "Ctype4", "Ctype5", "Ctype6", "Ctype7"];
    let mut selector = 0;
    while selector < 14 {
        let level = selector / 2;
        #[expect(clippy::cast_possible_truncation, reason = "at most 18")]
        let shift = 3 * level as u8;
        let field = if selector % 2 == 1 {
            exact(names[level], shift, 1)
        } else {
            exact(names[level], shift + 1, 2)
        };
        table[selector] = [(CLIDR_EL1, field)];
        selector += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drops_if(id: RegId, other: RegId, value: u64) -> bool {
        match rule(id).absent {
            Absent::DropIfOff(off) => {
                off.iter().all(|(reg, field)| *reg == other && field.bits_of(value) == 0)
            }
            _ => false,
        }
    }

    #[test]
    fn a_cache_that_is_not_there_may_be_absent() {
        let ccsidr = |n| RegId::Kvm(0x6020_0000_0011_0000 | n);
        // Separate level 1, unified level 2.
        let clidr = 0x8200_0023;
        let there: [bool; 4] =
            core::array::from_fn(|n| !drops_if(ccsidr(n as u64), CLIDR_EL1, clidr));
        assert_eq!(there, [true, true, true, false]);
        assert!((4..14).all(|n| drops_if(ccsidr(n), CLIDR_EL1, clidr)));
        assert!(!drops_if(ccsidr(4), CLIDR_EL1, clidr | 4 << 6));
    }

    #[test]
    fn cache_lines_may_be_longer_than_the_hosts_and_the_rest_is_free() {
        let Fit::Fields(fields) = rule(RegId::Kvm(0x6020_0000_0011_0000)).fit else { panic!() };
        let fits = |saved, host| fields.iter().all(|field| field.fits(saved, host));
        assert!(fits(0x700f_e01a, 2) && fits(3, 2) && fits(2, 0x700f_e01a));
        assert!(!fits(1, 2));
    }

    #[test]
    fn registers_of_a_feature_may_be_absent_where_it_is_off() {
        let tcr2 = sysreg(0, 2, 0, 3);
        assert!(drops_if(tcr2, ID_AA64MMFR3_EL1, 0x100));
        assert!(!drops_if(tcr2, ID_AA64MMFR3_EL1, 0x1));
        let pir = sysreg(0, 10, 2, 3);
        assert!(!drops_if(pir, ID_AA64MMFR3_EL1, 0x100));
        assert!(drops_if(kvm::PTIMER_CVAL, kvm::PTIMER_CTL, 4));
        assert!(!drops_if(kvm::PTIMER_CVAL, kvm::PTIMER_CTL, 5));
        assert!(drops_if(RegId::Kvm(0x6080_0000_0015_0000), ID_AA64PFR0_EL1, 0x11));
        assert!(drops_if(sysreg(3, 14, 8, 0), ID_AA64DFR0_EL1, 6));
        assert_eq!(rule(kvm::PC).absent, Absent::Refuse);
    }

    #[test]
    fn what_no_guest_can_reach_may_be_absent_whatever_is_in_it() {
        // SPSR_abt to SPSR_fiq; DBGVCR32_EL2, DACR32_EL2, IFSR32_EL2, FPEXC32_EL2.
        for number in [0x10_004a, 0x10_004c, 0x10_004e, 0x10_0050, 0x13_a038, 0x13_e180, 0x13_e281]
            .into_iter()
            .chain([0x13_e298])
        {
            let rule = rule(RegId::Kvm(0x6030_0000_0000_0000 | number));
            assert_eq!(rule.absent, Absent::DropIfOff(&[]), "{number:#x}");
        }
        // SPSR_EL1, and what stands before and behind.
        for number in [0x10_0048, 0x10_0049, 0x10_0052, 0x13_e182] {
            let rule = rule(RegId::Kvm(0x6030_0000_0000_0000 | number));
            assert_eq!(rule.absent, Absent::Refuse, "{number:#x}");
        }
        let disr = sysreg(0, 12, 1, 1);
        assert!(drops_if(disr, ID_AA64PFR0_EL1, 0x0100_0011));
        assert!(!drops_if(disr, ID_AA64PFR0_EL1, 0x1100_0011));
    }

    #[test]
    fn names_must_be_the_same_and_features_may_be_absent_at_zero() {
        let midr = sysreg(0, 0, 0, 0);
        assert_eq!(rule(midr), Rule::IDENTITY);
        assert_eq!(rule(sysreg(0, 0, 3, 3)).absent, Absent::DropIfValue(0));
        assert_eq!(rule(ID_AA64MMFR3_EL1).absent, Absent::DropIfValue(0));
        assert_eq!(rule(sysreg(0, 0, 0, 5)), Rule::STATE);
        assert_eq!(rule(CLIDR_EL1), Rule::IDENTITY);
    }

    #[test]
    fn what_hosts_answer_by_themselves_is_known() {
        assert_eq!(rule(ID_AA64MMFR2_EL1).readback, Readback::EqualBut(0xf << 24));
        assert_eq!(rule(PMCR_EL0).readback, Readback::EqualBut(0xffff_0000));
        assert_eq!(rule(kvm::TIMER_CTL).readback, Readback::EqualBut(4));
        assert_eq!(rule(kvm::TIMER_CNT).readback, Readback::Bound);
        assert_eq!(rule(kvm::TIMER_CVAL).readback, Readback::Equal);
    }

    #[test]
    fn ids_of_features_are_those_of_the_kernel() {
        assert!(is_feature_id(ID_AA64PFR0_EL1) && is_feature_id(CLIDR_EL1));
        assert!(is_feature_id(sysreg(3, 0, 0, 1)) && is_feature_id(sysreg(0, 0, 0, 0)));
        assert!(!is_feature_id(sysreg(0, 0, 0, 5)) && !is_feature_id(sysreg(0, 1, 0, 0)));
        assert!(!is_feature_id(kvm::PC));
    }
}
