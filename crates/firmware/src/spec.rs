//! Numbers fixed by specifications: function ids, return codes, register ids and their values.

use abide_reg::{Absent, Fit, Readback};
use abide_reg::{Class, Name, RegDef, RegId, Rule};

// ==== SMC calling convention ====

/// Bit 30 of a function id: arguments and results are 64 bits wide `[DEN0028 2.5]`.
pub const SMC64: u32 = 1 << 30;
/// Bits 29:24 of a function id: the owner of the service `[DEN0028 2.5]`.
pub const OWNER_MASK: u32 = 0x3f << 24;
/// Owner 0: Arm architecture calls `[DEN0028 6]`.
pub const OWNER_ARCH: u32 = 0;
/// Bit 31 of a function id: a fast call, which runs to its end `[DEN0028 2.5]`.
pub const FAST_CALL: u32 = 1 << 31;

/// Return code: done `[DEN0028 7.1]`.
pub const SMCCC_SUCCESS: i64 = 0;
/// Return code: no such function `[DEN0028 7.1]`.
pub const SMCCC_NOT_SUPPORTED: i64 = -1;
/// Return code: the workaround is not needed `[DEN0028 7.1]`.
pub const SMCCC_NOT_REQUIRED: i64 = -2;
/// Return code: an argument has no meaning `[DEN0028 7.1]`.
pub const SMCCC_INVALID_PARAMETER: i64 = -3;
/// `ARCH_FEATURES` of workarounds 1 and 3: this CPU is not affected `[DEN0028 7.5]`.
pub const WORKAROUND_UNAFFECTED: i64 = 1;

/// `SMCCC_VERSION` `[DEN0028 7.2]`.
pub const SMCCC_VERSION: u32 = 0x8000_0000;
/// `SMCCC_ARCH_FEATURES` `[DEN0028 7.3]`.
pub const SMCCC_ARCH_FEATURES: u32 = 0x8000_0001;
/// `SMCCC_ARCH_SOC_ID` `[DEN0028 7.4]`; not supported.
pub const SMCCC_ARCH_SOC_ID: u32 = 0x8000_0002;
/// `SMCCC_ARCH_WORKAROUND_1`: CVE-2017-5715 `[DEN0028 7.5]`.
pub const SMCCC_ARCH_WORKAROUND_1: u32 = 0x8000_8000;
/// `SMCCC_ARCH_WORKAROUND_2`: CVE-2018-3639 `[DEN0028 7.6]`.
pub const SMCCC_ARCH_WORKAROUND_2: u32 = 0x8000_7fff;
/// `SMCCC_ARCH_WORKAROUND_3`: CVE-2017-5715 and CVE-2022-23960 `[DEN0028 7.7]`.
pub const SMCCC_ARCH_WORKAROUND_3: u32 = 0x8000_3fff;
/// What `SMCCC_VERSION` answers: 1.1, as KVM does `[linux arch/arm64/kvm/hypercalls.c]`.
pub const SMCCC_VERSION_1_1: u64 = 0x1_0001;

/// `PV_TIME_FEATURES` `[DEN0057A 4.1]`.
pub const PV_TIME_FEATURES: u32 = 0xc500_0020;
/// `PV_TIME_ST` `[DEN0057A 4.1]`: where the caller's record of stolen time is. Drafts before 1.0
/// had 0xc500_0022.
pub const PV_TIME_ST: u32 = 0xc500_0021;

// ==== PSCI ====

/// The last function number that KVM counts as PSCI `[linux arch/arm64/kvm/hypercalls.c]`.
pub const PSCI_FUNCTION_LAST: u32 = 0x1f;
/// First id of the PSCI range with 32-bit arguments `[DEN0022 5]`.
pub const PSCI_BASE: u32 = 0x8400_0000;

/// `PSCI_VERSION` `[DEN0022 5]`, since 0.2.
pub const PSCI_VERSION: u32 = 0x8400_0000;
/// `CPU_SUSPEND`, SMC32 `[DEN0022 5]`, since 0.2.
pub const PSCI_CPU_SUSPEND: u32 = 0x8400_0001;
/// `CPU_SUSPEND`, SMC64 `[DEN0022 5]`, since 0.2.
pub const PSCI_CPU_SUSPEND_64: u32 = 0xc400_0001;
/// `CPU_OFF` `[DEN0022 5]`, since 0.2.
pub const PSCI_CPU_OFF: u32 = 0x8400_0002;
/// `CPU_ON`, SMC32 `[DEN0022 5]`, since 0.2.
pub const PSCI_CPU_ON: u32 = 0x8400_0003;
/// `CPU_ON`, SMC64 `[DEN0022 5]`, since 0.2.
pub const PSCI_CPU_ON_64: u32 = 0xc400_0003;
/// `AFFINITY_INFO`, SMC32 `[DEN0022 5]`, since 0.2.
pub const PSCI_AFFINITY_INFO: u32 = 0x8400_0004;
/// `AFFINITY_INFO`, SMC64 `[DEN0022 5]`, since 0.2.
pub const PSCI_AFFINITY_INFO_64: u32 = 0xc400_0004;
/// `MIGRATE` of a trusted OS, SMC32 `[DEN0022 5]`; not supported.
pub const PSCI_MIGRATE: u32 = 0x8400_0005;
/// `MIGRATE_INFO_TYPE` `[DEN0022 5]`, since 0.2.
pub const PSCI_MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
/// `SYSTEM_OFF` `[DEN0022 5]`, since 0.2.
pub const PSCI_SYSTEM_OFF: u32 = 0x8400_0008;
/// `SYSTEM_RESET` `[DEN0022 5]`, since 0.2.
pub const PSCI_SYSTEM_RESET: u32 = 0x8400_0009;
/// `PSCI_FEATURES` `[DEN0022 5]`, since 1.0.
pub const PSCI_FEATURES: u32 = 0x8400_000a;
/// `SYSTEM_SUSPEND`, SMC32 `[DEN0022 5]`; not supported.
pub const PSCI_SYSTEM_SUSPEND: u32 = 0x8400_000e;
/// `SYSTEM_RESET2`, SMC32 `[DEN0022 5]`, since 1.1.
pub const PSCI_SYSTEM_RESET2: u32 = 0x8400_0012;
/// `SYSTEM_RESET2`, SMC64 `[DEN0022 5]`, since 1.1.
pub const PSCI_SYSTEM_RESET2_64: u32 = 0xc400_0012;
/// `SYSTEM_OFF2`, SMC32 `[DEN0022 5]`, since 1.3.
pub const PSCI_SYSTEM_OFF2: u32 = 0x8400_0015;
/// `SYSTEM_OFF2`, SMC64 `[DEN0022 5]`, since 1.3.
pub const PSCI_SYSTEM_OFF2_64: u32 = 0xc400_0015;

/// Return code: done `[DEN0022 5.2.2]`.
pub const PSCI_SUCCESS: i64 = 0;
/// Return code: no such function `[DEN0022 5.2.2]`.
pub const PSCI_NOT_SUPPORTED: i64 = -1;
/// Return code: an argument has no meaning `[DEN0022 5.2.2]`.
pub const PSCI_INVALID_PARAMETERS: i64 = -2;
/// Return code: the CPU runs already `[DEN0022 5.2.2]`.
pub const PSCI_ALREADY_ON: i64 = -4;
/// Return code: what a guest sees that runs on after it was switched off `[DEN0022 5.2.2]`.
pub const PSCI_INTERNAL_FAILURE: i64 = -6;

/// `AFFINITY_INFO`: at least one CPU is on `[DEN0022 5]`.
pub const PSCI_AFFINITY_ON: i64 = 0;
/// `AFFINITY_INFO`: all CPUs are off `[DEN0022 5]`.
pub const PSCI_AFFINITY_OFF: i64 = 1;
/// `MIGRATE_INFO_TYPE`: no trusted OS that would need to migrate `[DEN0022 5]`.
pub const PSCI_TOS_MP: i64 = 2;
/// `SYSTEM_RESET2`: types above [`PSCI_RESET_TYPE_WARM`] and below this are reserved
/// `[DEN0022 5]`.
pub const PSCI_RESET_TYPE_VENDOR_START: u32 = 0x8000_0000;
/// `SYSTEM_RESET2`: `SYSTEM_WARM_RESET` `[DEN0022 5]`.
pub const PSCI_RESET_TYPE_WARM: u32 = 0;
/// `SYSTEM_OFF2`: `HIBERNATE_OFF`, the only type; 0 means the same `[DEN0022 5]`.
pub const PSCI_OFF_TYPE_HIBERNATE: u32 = 1;

/// The affinity fields of `MPIDR_EL1`: Aff3 39:32, Aff2 23:16, Aff1 15:8, Aff0 7:0
/// `[DDI0487 D24.2]`.
pub const MPIDR_AFFINITY_MASK: u64 = 0xff_00ff_ffff;
/// Width of one affinity field, in bits `[DDI0487 D24.2]`.
pub const MPIDR_LEVEL_BITS: u32 = 8;
/// The highest affinity level `[DDI0487 D24.2]`.
pub const AFFINITY_LEVEL_MAX: u64 = 3;

// ==== TRNG ====

/// `TRNG_VERSION` `[DEN0098]`.
pub const TRNG_VERSION: u32 = 0x8400_0050;
/// `TRNG_FEATURES` `[DEN0098]`.
pub const TRNG_FEATURES: u32 = 0x8400_0051;
/// `TRNG_GET_UUID` `[DEN0098]`.
pub const TRNG_GET_UUID: u32 = 0x8400_0052;
/// `TRNG_RND`, SMC32 `[DEN0098]`.
pub const TRNG_RND32: u32 = 0x8400_0053;
/// `TRNG_RND`, SMC64 `[DEN0098]`.
pub const TRNG_RND64: u32 = 0xc400_0053;
/// What `TRNG_VERSION` answers: 1.0 `[DEN0098]`.
pub const TRNG_VERSION_1_0: u64 = 0x1_0000;
/// Return code: done `[DEN0098]`.
pub const TRNG_SUCCESS: i64 = 0;
/// Return code: no such function `[DEN0098]`.
pub const TRNG_NOT_SUPPORTED: i64 = -1;
/// Return code: more bits were asked for than registers can hold `[DEN0098]`.
pub const TRNG_INVALID_PARAMETERS: i64 = -2;
/// Return code: the source has no entropy at the moment `[DEN0098]`.
pub const TRNG_NO_ENTROPY: i64 = -3;
/// KVM's back end, 0d21e000-4384-11eb-8070-5244554e5a4c, as words `[linux arch/arm64/kvm/trng.c]`.
pub const TRNG_UUID_KVM: [u64; 4] = [0x00e0_210d, 0xeb11_8443, 0x4452_7080, 0x4c5a_4e55];

// ==== Vendor-specific hypervisor service: KVM ====

/// `CALL_UID` `[linux include/linux/arm-smccc.h]`.
pub const VENDOR_HYP_CALL_UID: u32 = 0x8600_ff01;
/// `KVM_FEATURES` `[linux Documentation/virt/kvm/arm/hypercalls.rst]`.
pub const VENDOR_HYP_KVM_FEATURES: u32 = 0x8600_0000;
/// `KVM_PTP` `[linux Documentation/virt/kvm/arm/ptp_kvm.rst]`.
pub const VENDOR_HYP_KVM_PTP: u32 = 0x8600_0001;
/// `DISCOVER_IMPL_VER` `[linux Documentation/virt/kvm/arm/hypercalls.rst]`.
pub const VENDOR_HYP_KVM_DISCOVER_IMPL_VER: u32 = 0xc600_0040;
/// `DISCOVER_IMPL_CPUS` `[linux Documentation/virt/kvm/arm/hypercalls.rst]`.
pub const VENDOR_HYP_KVM_DISCOVER_IMPL_CPUS: u32 = 0xc600_0041;
/// KVM's UID, 28b46fb6-2ec5-11e9-a9ca-4b564d003a74, as words `[linux include/linux/arm-smccc.h]`.
pub const VENDOR_HYP_UID_KVM: [u64; 4] = [0x28b4_6fb6, 0x11e9_2ec5, 0x564b_caa9, 0x743a_004d];
/// `KVM_PTP`: the guest's virtual counter `[linux Documentation/virt/kvm/arm/ptp_kvm.rst]`.
pub const KVM_PTP_VIRT_COUNTER: u32 = 0;
/// `KVM_PTP`: the guest's physical counter `[linux Documentation/virt/kvm/arm/ptp_kvm.rst]`.
pub const KVM_PTP_PHYS_COUNTER: u32 = 1;
/// The version that `DISCOVER_IMPL_VER` answers: 1.0
/// `[linux Documentation/virt/kvm/arm/hypercalls.rst]`.
pub const IMPL_VERSION_1_0: u64 = 0x1_0000;

// ==== Registers ====

/// `KVM_REG_ARM_PSCI_VERSION` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_PSCI_VERSION: RegId = RegId::Kvm(0x6030_0000_0014_0000);
/// `KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_ARCH_WORKAROUND_1: RegId = RegId::Kvm(0x6030_0000_0014_0001);
/// `KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_ARCH_WORKAROUND_2: RegId = RegId::Kvm(0x6030_0000_0014_0002);
/// `KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_ARCH_WORKAROUND_3: RegId = RegId::Kvm(0x6030_0000_0014_0003);
/// `KVM_REG_ARM_STD_BMAP` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_STD_BMAP: RegId = RegId::Kvm(0x6030_0000_0016_0000);
/// `KVM_REG_ARM_STD_HYP_BMAP` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_STD_HYP_BMAP: RegId = RegId::Kvm(0x6030_0000_0016_0001);
/// `KVM_REG_ARM_VENDOR_HYP_BMAP` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_VENDOR_HYP_BMAP: RegId = RegId::Kvm(0x6030_0000_0016_0002);
/// `KVM_REG_ARM_VENDOR_HYP_BMAP_2` `[linux arch/arm64/include/uapi/asm/kvm.h]`.
pub const REG_VENDOR_HYP_BMAP_2: RegId = RegId::Kvm(0x6030_0000_0016_0003);
/// How many implementations `DISCOVER_IMPL_VER` reports. abide's own: KVM keeps no list.
pub const REG_IMPL_COUNT: RegId = RegId::named("firmware.impl-count");

/// PSCI 0.2 as a register value `[linux include/kvm/arm_psci.h]`.
pub const PSCI_0_2: u64 = 0x0_0002;
/// PSCI 1.0 as a register value `[linux include/kvm/arm_psci.h]`.
pub const PSCI_1_0: u64 = 0x1_0000;
/// PSCI 1.1 as a register value `[linux include/kvm/arm_psci.h]`.
pub const PSCI_1_1: u64 = 0x1_0001;
/// PSCI 1.2 as a register value `[linux include/kvm/arm_psci.h]`.
pub const PSCI_1_2: u64 = 0x1_0002;
/// PSCI 1.3 as a register value `[linux include/kvm/arm_psci.h]`.
pub const PSCI_1_3: u64 = 0x1_0003;

/// Workarounds 1, 2 and 3: not available, the guest may be vulnerable
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const WORKAROUND_NOT_AVAIL: u64 = 0;
/// Workarounds 1 and 3: available by a call
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const WORKAROUND_AVAIL: u64 = 1;
/// Workarounds 1 and 3: the CPU does not need it
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const WORKAROUND_NOT_REQUIRED: u64 = 2;
/// Workaround 2: the CPU does not need it. KVM holds no other than this and 0
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const WORKAROUND_2_NOT_REQUIRED: u64 = 3;

/// `STD_BMAP` bit 0: TRNG 1.0 `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const STD_BIT_TRNG_V1_0: u64 = 1 << 0;
/// `STD_HYP_BMAP` bit 0: paravirtual time
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const STD_HYP_BIT_PV_TIME: u64 = 1 << 0;
/// `VENDOR_HYP_BMAP` bit 0: `KVM_FEATURES` and `CALL_UID`
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const VENDOR_HYP_BIT_FUNC_FEAT: u64 = 1 << 0;
/// `VENDOR_HYP_BMAP` bit 1: `KVM_PTP`
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const VENDOR_HYP_BIT_PTP: u64 = 1 << 1;
/// `VENDOR_HYP_BMAP_2` bit 0: `DISCOVER_IMPL_VER`
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const VENDOR_HYP_2_BIT_IMPL_VER: u64 = 1 << 0;
/// `VENDOR_HYP_BMAP_2` bit 1: `DISCOVER_IMPL_CPUS`
/// `[linux Documentation/virt/kvm/arm/fw-pseudo-registers.rst]`.
pub const VENDOR_HYP_2_BIT_IMPL_CPUS: u64 = 1 << 1;

/// The most implementations that a list may hold. Linux sets no limit and asks for each; this one
/// keeps the state small, and is far beyond any fleet a VM can roam.
pub const IMPL_CPUS_MAX: usize = 64;
/// Length of one saved implementation, in bytes: MIDR, REVIDR and AIDR as u64.
pub const IMPL_CPU_LEN: usize = 24;

const PINNED: Rule = Rule { fit: Fit::AtMost, absent: Absent::Refuse, readback: Readback::Equal };
// KVM checks a workaround's level and keeps its own.
const PROTECTION: Rule =
    Rule { fit: Fit::AtMost, absent: Absent::Refuse, readback: Readback::Original };
const BITMAP: Rule = Rule { fit: Fit::Subset, absent: Absent::Refuse, readback: Readback::Equal };
// A host without the register answers as one that holds 0.
const BITMAP_OR_ZERO: Rule =
    Rule { fit: Fit::Subset, absent: Absent::DropIfValue(0), readback: Readback::Equal };
const PROTECTION_OR_ZERO: Rule =
    Rule { fit: Fit::AtMost, absent: Absent::DropIfValue(0), readback: Readback::Original };

const fn pseudo(id: RegId, name: &'static str, rule: Rule) -> RegDef {
    RegDef { id, name, width: 8, class: Class::Mandatory, rule }
}

/// [`REG_PSCI_VERSION`]: u64, one of 0x2, 0x10000 … 0x10003.
pub const DEF_PSCI_VERSION: RegDef = pseudo(REG_PSCI_VERSION, "PSCI_VERSION", PINNED);
/// [`REG_ARCH_WORKAROUND_1`]: u64, 0 … 2, ordered by protection.
pub const DEF_ARCH_WORKAROUND_1: RegDef =
    pseudo(REG_ARCH_WORKAROUND_1, "ARCH_WORKAROUND_1", PROTECTION);
/// [`REG_ARCH_WORKAROUND_2`]: u64, 0 or 3, ordered by protection.
pub const DEF_ARCH_WORKAROUND_2: RegDef =
    pseudo(REG_ARCH_WORKAROUND_2, "ARCH_WORKAROUND_2", PROTECTION);
/// [`REG_ARCH_WORKAROUND_3`]: u64, 0 … 2, ordered by protection.
pub const DEF_ARCH_WORKAROUND_3: RegDef =
    pseudo(REG_ARCH_WORKAROUND_3, "ARCH_WORKAROUND_3", PROTECTION_OR_ZERO);
/// [`REG_STD_BMAP`]: u64, bit 0.
pub const DEF_STD_BMAP: RegDef = pseudo(REG_STD_BMAP, "STD_BMAP", BITMAP);
/// [`REG_STD_HYP_BMAP`]: u64, bit 0.
pub const DEF_STD_HYP_BMAP: RegDef = pseudo(REG_STD_HYP_BMAP, "STD_HYP_BMAP", BITMAP);
/// [`REG_VENDOR_HYP_BMAP`]: u64, bits 1:0.
pub const DEF_VENDOR_HYP_BMAP: RegDef = pseudo(REG_VENDOR_HYP_BMAP, "VENDOR_HYP_BMAP", BITMAP);
/// [`REG_VENDOR_HYP_BMAP_2`]: u64, bits 1:0.
pub const DEF_VENDOR_HYP_BMAP_2: RegDef =
    pseudo(REG_VENDOR_HYP_BMAP_2, "VENDOR_HYP_BMAP_2", BITMAP_OR_ZERO);
/// [`REG_IMPL_COUNT`]: u64, 0 … [`IMPL_CPUS_MAX`].
pub const DEF_IMPL_COUNT: RegDef = RegDef::state(REG_IMPL_COUNT, "IMPL_COUNT", 8)
    .rule(Rule { absent: Absent::DropIfValue(0), ..Rule::STATE });

/// Every register that always exists, in the order in which it is to be written.
pub static DEFS: [RegDef; 9] = [
    DEF_PSCI_VERSION,
    DEF_ARCH_WORKAROUND_1,
    DEF_ARCH_WORKAROUND_2,
    DEF_ARCH_WORKAROUND_3,
    DEF_STD_BMAP,
    DEF_STD_HYP_BMAP,
    DEF_VENDOR_HYP_BMAP,
    DEF_VENDOR_HYP_BMAP_2,
    DEF_IMPL_COUNT,
];

/// The registers `firmware.impl-cpu-00` …, [`IMPL_CPU_LEN`] bytes each. Only the first
/// [`REG_IMPL_COUNT`] of them exist.
pub static IMPL_CPU_DEFS: [RegDef; IMPL_CPUS_MAX] = impl_cpu_defs();

const fn impl_cpu_defs() -> [RegDef; IMPL_CPUS_MAX] {
    let mut defs = [RegDef::state(REG_IMPL_COUNT, "IMPL_CPU", IMPL_CPU_LEN); IMPL_CPUS_MAX];
    let mut text = *b"firmware.impl-cpu-00";
    let digits = *b"0123456789";
    let mut index = 0;
    while index < IMPL_CPUS_MAX {
        text[18] = digits[index / 10];
        text[19] = digits[index % 10];
        // A name that is none would leave the wrong id, which `every_id_is_its_own` sees.
        if let Some(name) = Name::from_bytes(&text) {
            defs[index].id = RegId::Named(name);
        }
        index += 1;
    }
    defs
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_id_is_its_own() {
        let ids: BTreeSet<RegId> = DEFS.iter().chain(&IMPL_CPU_DEFS).map(|def| def.id).collect();
        assert_eq!(ids.len(), DEFS.len() + IMPL_CPUS_MAX);
        assert_eq!(IMPL_CPU_DEFS[63].id, RegId::named("firmware.impl-cpu-63"));
    }
}
