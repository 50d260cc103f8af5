//! KVM ONE_REG ids of AArch64 state `[linux arch/arm64/include/uapi/asm/kvm.h]`.

use crate::SysReg;
use abide_reg::RegId;

const ARM64: u64 = 0x6000_0000_0000_0000;
const SIZE_U32: u64 = 0x0020_0000_0000_0000;
const SIZE_U64: u64 = 0x0030_0000_0000_0000;
const SIZE_U128: u64 = 0x0040_0000_0000_0000;
const CORE: u64 = 0x0010_0000;
const SYSREG: u64 = 0x0013_0000;

/// Core register at `offset` bytes into `struct kvm_regs`; the id counts in 32-bit words.
const fn core(size: u64, offset: u64) -> RegId {
    RegId::Kvm(ARM64 | size | CORE | (offset / 4))
}

/// The affinity of vCPU `number` in the fields of MPIDR_EL1, as KVM gives them: 16 vCPUs to an Aff0
/// group, so that one SGI reaches all of a group `[linux arch/arm64/kvm/sys_regs.c reset_mpidr]`.
#[must_use]
pub const fn affinity(number: u32) -> u64 {
    let number = number as u64;
    (number & 0xf) | (number >> 4 & 0xff) << 8 | (number >> 12 & 0xff) << 16
}

/// General register `n`, 0…30: u64.
#[must_use]
pub const fn x(n: u8) -> RegId {
    core(SIZE_U64, 8 * n as u64)
}

/// SP_EL0: u64.
pub const SP_EL0: RegId = core(SIZE_U64, 8 * 31);
/// The program counter: u64.
pub const PC: RegId = core(SIZE_U64, 8 * 32);
/// CCSIDR_EL1 as CSSELR_EL1 = `selector` shows it: u32 (`KVM_REG_ARM_DEMUX_ID_CCSIDR`).
#[must_use]
pub const fn ccsidr(selector: u8) -> RegId {
    RegId::Kvm(0x6020_0000_0011_0000 | selector as u64)
}

/// PSTATE, in the form of an SPSR: u64.
pub const PSTATE: RegId = core(SIZE_U64, 8 * 33);
/// SP_EL1: u64.
pub const SP_EL1: RegId = core(SIZE_U64, 8 * 34);
/// ELR_EL1: u64.
pub const ELR_EL1: RegId = core(SIZE_U64, 8 * 35);
/// SPSR_EL1: u64. KVM keeps an array of five SPSRs, this is its first.
pub const SPSR_EL1: RegId = core(SIZE_U64, 8 * 36);

/// Vector register `n`, 0…31: u128.
#[must_use]
pub const fn v(n: u8) -> RegId {
    core(SIZE_U128, 0x150 + 16 * n as u64)
}

/// FPSR: u32.
pub const FPSR: RegId = core(SIZE_U32, 0x350);
/// FPCR: u32.
pub const FPCR: RegId = core(SIZE_U32, 0x354);

/// The id of a system register: u64.
#[must_use]
pub const fn sysreg(reg: SysReg) -> RegId {
    RegId::Kvm(ARM64 | SIZE_U64 | SYSREG | reg.0 as u64)
}

/// The system register behind an id, or `None` for ids of other kinds.
#[must_use]
pub const fn to_sysreg(id: RegId) -> Option<SysReg> {
    match id {
        RegId::Kvm(id) if id & !0xffff == ARM64 | SIZE_U64 | SYSREG => {
            Some(SysReg((id & 0xffff) as u16))
        }
        _ => None,
    }
}

/// MPIDR_EL1, each vCPU's own: u64.
pub const MPIDR_EL1: RegId = sysreg(SysReg::new(3, 0, 0, 0, 5));
/// CNTV_CTL_EL0: u64.
pub const TIMER_CTL: RegId = sysreg(SysReg::new(3, 3, 14, 3, 1));
/// The virtual count. KVM published it under the encoding of CNTV_CVAL_EL0 and the comparator
/// under that of the count; both ids are ABI and stay swapped.
pub const TIMER_CNT: RegId = sysreg(SysReg::new(3, 3, 14, 3, 2));
/// CNTV_CVAL_EL0, see [`TIMER_CNT`].
pub const TIMER_CVAL: RegId = sysreg(SysReg::new(3, 3, 14, 0, 2));
/// CNTP_CTL_EL0: u64. Absent before Linux 6.4.
pub const PTIMER_CTL: RegId = sysreg(SysReg::new(3, 3, 14, 2, 1));
/// CNTP_CVAL_EL0: u64. Absent before Linux 6.4.
pub const PTIMER_CVAL: RegId = sysreg(SysReg::new(3, 3, 14, 2, 2));
/// CNTPCT_EL0: u64. Absent before Linux 6.4.
pub const PTIMER_CNT: RegId = sysreg(SysReg::new(3, 3, 14, 0, 1));

/// Which vector lengths SVE has, 64 bytes; to be written before a vCPU's features are final.
pub const SVE_VLS: RegId = RegId::Kvm(0x6060_0000_0015_ffff);

/// Two registers that show the same bits: a guest sets them by one and clears them by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetClearPair {
    /// Where ones set.
    pub set: RegId,
    /// Where ones clear.
    pub clear: RegId,
}

const fn pair(set: SysReg, clear: SysReg) -> SetClearPair {
    SetClearPair { set: sysreg(set), clear: sysreg(clear) }
}

/// The pairs of the PMU: PMCNTEN, PMINTEN and PMOVS `[DDI0487 D24.5]`.
pub const SET_CLEAR_PAIRS: [SetClearPair; 3] = [
    pair(SysReg::new(3, 3, 9, 12, 1), SysReg::new(3, 3, 9, 12, 2)),
    pair(SysReg::new(3, 0, 9, 14, 1), SysReg::new(3, 0, 9, 14, 2)),
    pair(SysReg::new(3, 3, 9, 14, 3), SysReg::new(3, 3, 9, 12, 3)),
];

/// The pair that a register belongs to.
#[must_use]
pub fn set_clear_pair(id: RegId) -> Option<SetClearPair> {
    SET_CLEAR_PAIRS.into_iter().find(|pair| pair.set == id || pair.clear == id)
}

/// EL1 and EL0 system registers of Armv8.0 that are state whatever a CPU's features
/// `[DDI0487 D24]`.
const BASE_SYSREGS: &[RegId] = &[
    MPIDR_EL1,
    sysreg(SysReg::new(3, 0, 1, 0, 0)),  // SCTLR_EL1
    sysreg(SysReg::new(3, 0, 1, 0, 2)),  // CPACR_EL1
    sysreg(SysReg::new(3, 0, 2, 0, 0)),  // TTBR0_EL1
    sysreg(SysReg::new(3, 0, 2, 0, 1)),  // TTBR1_EL1
    sysreg(SysReg::new(3, 0, 2, 0, 2)),  // TCR_EL1
    sysreg(SysReg::new(3, 0, 5, 1, 0)),  // AFSR0_EL1
    sysreg(SysReg::new(3, 0, 5, 1, 1)),  // AFSR1_EL1
    sysreg(SysReg::new(3, 0, 5, 2, 0)),  // ESR_EL1
    sysreg(SysReg::new(3, 0, 6, 0, 0)),  // FAR_EL1
    sysreg(SysReg::new(3, 0, 7, 4, 0)),  // PAR_EL1
    sysreg(SysReg::new(3, 0, 10, 2, 0)), // MAIR_EL1
    sysreg(SysReg::new(3, 0, 10, 3, 0)), // AMAIR_EL1
    sysreg(SysReg::new(3, 0, 12, 0, 0)), // VBAR_EL1
    sysreg(SysReg::new(3, 0, 13, 0, 1)), // CONTEXTIDR_EL1
    sysreg(SysReg::new(3, 0, 13, 0, 4)), // TPIDR_EL1
    sysreg(SysReg::new(3, 0, 14, 1, 0)), // CNTKCTL_EL1
    sysreg(SysReg::new(3, 2, 0, 0, 0)),  // CSSELR_EL1
    sysreg(SysReg::new(3, 3, 13, 0, 2)), // TPIDR_EL0
    sysreg(SysReg::new(3, 3, 13, 0, 3)), // TPIDRRO_EL0
    sysreg(SysReg::new(2, 0, 0, 2, 2)),  // MDSCR_EL1
    TIMER_CTL,
    TIMER_CNT,
    TIMER_CVAL,
];

/// Whether the register is state of every AArch64 CPU at EL1, whatever its features. An ID register
/// is one too: it says what the features are.
#[must_use]
pub fn is_base_state(id: RegId) -> bool {
    let special = [SP_EL0, PC, PSTATE, SP_EL1, ELR_EL1, SPSR_EL1, FPSR, FPCR];
    // ID_AA64PFR0_EL1 to ID_AA64MMFR2_EL1 as far as Armv8.0 has them, and MIDR_EL1.
    let id_register = to_sysreg(id).is_some_and(|reg| {
        matches!(reg.0, 0xc000 | 0xc020 | 0xc021 | 0xc028 | 0xc030 | 0xc031 | 0xc038 | 0xc039)
    });
    id_register
        || special.contains(&id)
        || BASE_SYSREGS.contains(&id)
        || (0..31).any(|n| x(n) == id)
        || (0..32).any(|n| v(n) == id)
}

/// Whether the register is one of KVM's firmware pseudo-registers
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`, or one that says what calls answer
/// which KVM leaves to its VMM.
#[must_use]
pub fn is_firmware(id: RegId) -> bool {
    match id {
        RegId::Kvm(number) => matches!(number >> 16 & 0xff, 0x14 | 0x16),
        RegId::Named(name) => name.as_str().starts_with("firmware."),
        _ => false,
    }
}

/// PMCEID0_EL0 and PMCEID1_EL0, u64 each, as a guest reads them: registers of abide's own, for KVM
/// has none. Its event filter, which is the VM's, hides events
/// `[linux Documentation/virt/kvm/devices/vcpu.rst 1.3]`.
pub const PMU_EVENTS: [RegId; 2] = [RegId::named("cpu.pmceid0"), RegId::named("cpu.pmceid1")];

/// Whether the register is the whole VM's rather than one vCPU's.
///
/// KVM shows ID registers (feature-ID range `[linux Documentation/virt/kvm/api.rst 4.139]`) and
/// counts on every vCPU but keeps one copy for the VM.
#[must_use]
pub fn is_vm_scoped(id: RegId) -> bool {
    if is_firmware(id) || PMU_EVENTS.contains(&id) {
        return true;
    }
    match to_sysreg(id) {
        // op0 = 3, op1 = 0, CRn = 0, CRm = 0: MIDR (op2 0) and REVIDR (6) are the VM's,
        // MPIDR (5) is the vCPU's own.
        Some(SysReg(reg)) if reg & 0xfff8 == 0xc000 => reg != 0xc005,
        Some(SysReg(reg)) => {
            let id_register = reg & 0xff80 == 0xc000;
            // CTR_EL0 and AIDR_EL1. CLIDR_EL1 and CCSIDR_EL1 are each vCPU's own: clusters may have
            // other caches, and KVM keeps them so.
            let cache = reg == 0xd801 || reg == 0xc807;
            let count = reg == 0xdf1a || reg == 0xdf01;
            id_register || cache || count
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_numbers_of_the_kernel() {
        assert_eq!(x(2), RegId::Kvm(0x6030_0000_0010_0004));
        assert_eq!(SP_EL0, RegId::Kvm(0x6030_0000_0010_003e));
        assert_eq!(PSTATE, RegId::Kvm(0x6030_0000_0010_0042));
        assert_eq!(SP_EL1, RegId::Kvm(0x6030_0000_0010_0044));
        assert_eq!(SPSR_EL1, RegId::Kvm(0x6030_0000_0010_0048));
        assert_eq!(v(0), RegId::Kvm(0x6040_0000_0010_0054));
        assert_eq!(v(31), RegId::Kvm(0x6040_0000_0010_00d0));
        assert_eq!(FPSR, RegId::Kvm(0x6020_0000_0010_00d4));
        assert_eq!(FPCR, RegId::Kvm(0x6020_0000_0010_00d5));
        assert_eq!(TIMER_CVAL, RegId::Kvm(0x6030_0000_0013_df02));
        assert_eq!(TIMER_CNT, RegId::Kvm(0x6030_0000_0013_df1a));
        assert_eq!(TIMER_CTL, RegId::Kvm(0x6030_0000_0013_df19));
    }

    #[test]
    fn base_state_leaves_out_what_only_some_cpus_have() {
        for id in [x(30), PC, v(31), FPCR, TIMER_CVAL, sysreg(SysReg::new(3, 0, 1, 0, 0))] {
            assert!(is_base_state(id), "{id}");
        }
        // SPSR_und of AArch32, TCR2_EL1, CNTPCT_EL0, PMCR_EL0, a firmware register.
        let others = [0x10_004c, 0x13_c103, 0x13_df01, 0x13_dce0, 0x14_0000];
        for number in others {
            assert!(!is_base_state(RegId::Kvm(0x6030_0000_0000_0000 | number)), "{number:#x}");
        }
    }

    #[test]
    fn identities_are_vm_scoped_and_affinity_is_not() {
        assert!(is_vm_scoped(sysreg(SysReg::new(3, 0, 0, 0, 0))), "MIDR_EL1");
        assert!(!is_vm_scoped(sysreg(SysReg::new(3, 0, 0, 0, 5))), "MPIDR_EL1");
        assert!(is_vm_scoped(sysreg(SysReg::new(3, 0, 0, 4, 0))), "ID_AA64PFR0_EL1");
        assert!(is_vm_scoped(sysreg(SysReg::new(3, 3, 0, 0, 1))), "CTR_EL0");
        assert!(!is_vm_scoped(sysreg(SysReg::new(3, 1, 0, 0, 1))), "CLIDR_EL1");
        assert!(is_vm_scoped(RegId::Kvm(0x6030_0000_0014_0000)), "PSCI version");
        assert!(is_vm_scoped(TIMER_CNT));
        assert!(!is_vm_scoped(TIMER_CVAL));
        assert!(!is_vm_scoped(sysreg(SysReg::new(3, 0, 1, 0, 0))), "SCTLR_EL1");
        assert!(!is_vm_scoped(x(0)));
    }
}
