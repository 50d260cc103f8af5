//! Architecture calls `[DEN0028 7]` and KVM's vendor calls
//! `[linux Documentation/virt/kvm/arm/hypercalls.rst]`.

use crate::call::low32;
use crate::{Environment, Firmware, PtpCounter, Reply, spec};

const UNSUPPORTED: Reply = Reply::code(spec::SMCCC_NOT_SUPPORTED);

/// Answers any function whose owner is the architecture.
pub(crate) fn arch_call(firmware: &Firmware, function: u32, args: &[u64; 4]) -> Reply {
    match function {
        spec::SMCCC_VERSION => Reply::regs([spec::SMCCC_VERSION_1_1, 0, 0, 0]),
        spec::SMCCC_ARCH_FEATURES => Reply::code(arch_features(firmware, low32(args[1]))),
        // Whatever the registers say, KVM returns at once: entering the hypervisor was the
        // workaround. Its shortcut clears x0 and x1 only [linux arch/arm64/kvm/hyp/hyp-entry.S].
        spec::SMCCC_ARCH_WORKAROUND_1
        | spec::SMCCC_ARCH_WORKAROUND_2
        | spec::SMCCC_ARCH_WORKAROUND_3 => Reply::regs([0, 0, args[2], args[3]]),
        _ => UNSUPPORTED,
    }
}

fn arch_features(firmware: &Firmware, function: u32) -> i64 {
    let workaround = |level| match level {
        spec::WORKAROUND_AVAIL => spec::SMCCC_SUCCESS,
        spec::WORKAROUND_NOT_REQUIRED => spec::WORKAROUND_UNAFFECTED,
        _ => spec::SMCCC_NOT_SUPPORTED,
    };
    match function {
        spec::SMCCC_ARCH_WORKAROUND_1 => workaround(firmware.workaround_1()),
        spec::SMCCC_ARCH_WORKAROUND_2
            if firmware.workaround_2() == spec::WORKAROUND_2_NOT_REQUIRED =>
        {
            spec::SMCCC_NOT_REQUIRED
        }
        spec::SMCCC_ARCH_WORKAROUND_3 => workaround(firmware.workaround_3()),
        spec::PV_TIME_FEATURES if firmware.offers_pv_time() => spec::SMCCC_SUCCESS,
        // KVM answers so even for SMCCC_VERSION and SMCCC_ARCH_FEATURES themselves.
        _ => spec::SMCCC_NOT_SUPPORTED,
    }
}

/// Answers the named functions of KVM's vendor range.
pub(crate) fn vendor_call(
    firmware: &Firmware,
    function: u32,
    args: &[u64; 4],
    env: &dyn Environment,
) -> Reply {
    let [words, words_2] = firmware.vendor_hyp_bitmaps();
    let offers = |bit| words & bit != 0;
    let offers_2 = |bit| words_2 & bit != 0 && !firmware.impl_cpus().is_empty();
    match function {
        spec::VENDOR_HYP_CALL_UID if offers(spec::VENDOR_HYP_BIT_FUNC_FEAT) => {
            Reply::regs(spec::VENDOR_HYP_UID_KVM)
        }
        spec::VENDOR_HYP_KVM_FEATURES if offers(spec::VENDOR_HYP_BIT_FUNC_FEAT) => {
            Reply::regs([words, 0, words_2, 0])
        }
        spec::VENDOR_HYP_KVM_PTP if offers(spec::VENDOR_HYP_BIT_PTP) => ptp(args, env),
        // KVM answers neither of these two; a VMM without a list leaves it at that.
        spec::VENDOR_HYP_KVM_DISCOVER_IMPL_VER if offers_2(spec::VENDOR_HYP_2_BIT_IMPL_VER) => {
            Reply::regs([0, spec::IMPL_VERSION_1_0, firmware.impl_cpus().len() as u64, 0])
        }
        spec::VENDOR_HYP_KVM_DISCOVER_IMPL_CPUS if offers_2(spec::VENDOR_HYP_2_BIT_IMPL_CPUS) => {
            impl_cpu(firmware, args[1])
        }
        _ => UNSUPPORTED,
    }
}

fn ptp(args: &[u64; 4], env: &dyn Environment) -> Reply {
    let counter = match low32(args[1]) {
        spec::KVM_PTP_VIRT_COUNTER => PtpCounter::Virtual,
        spec::KVM_PTP_PHYS_COUNTER => PtpCounter::Physical,
        _ => return UNSUPPORTED,
    };
    env.ptp(counter).map_or(UNSUPPORTED, |sample| {
        Reply::regs([
            sample.realtime_ns >> 32,
            u64::from(low32(sample.realtime_ns)),
            sample.counter_ticks >> 32,
            u64::from(low32(sample.counter_ticks)),
        ])
    })
}

/// The reserved arguments are not looked at: the first Linux guests to call this left rubbish in
/// them `[linux drivers/firmware/smccc/kvm_guest.c]`.
fn impl_cpu(firmware: &Firmware, index: u64) -> Reply {
    let cpu = usize::try_from(index).ok().and_then(|index| firmware.impl_cpus().get(index));
    cpu.map_or(Reply::code(spec::SMCCC_INVALID_PARAMETER), |cpu| {
        Reply::regs([0, cpu.midr, cpu.revidr, cpu.aidr])
    })
}
