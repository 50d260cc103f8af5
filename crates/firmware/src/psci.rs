//! Power of CPUs and machine `[DEN0022 5]`, with KVM's choices
//! `[linux arch/arm64/kvm/psci.c]`.

use crate::call::low32;
use crate::{Caller, Effect, Environment, Firmware, Reply, spec};
use abide_reg::{Gpa, VcpuId};

/// Answers any function of PSCI's range.
pub(crate) fn call(
    firmware: &Firmware,
    caller: Caller,
    function: u32,
    args: &[u64; 4],
    env: &dyn Environment,
) -> Reply {
    if function & spec::SMC64 != 0 && caller.is_aarch32 {
        return Reply::code(spec::PSCI_NOT_SUPPORTED);
    }
    let version = firmware.psci_version();
    match function {
        spec::PSCI_VERSION => Reply::regs([version, 0, 0, 0]),
        // Power-down states are treated as standby, which PSCI allows: the state is kept.
        spec::PSCI_CPU_SUSPEND | spec::PSCI_CPU_SUSPEND_64 => {
            Reply::code(spec::PSCI_SUCCESS).with(Effect::Suspend)
        }
        spec::PSCI_CPU_OFF => Reply::code(spec::PSCI_SUCCESS).with(Effect::CpuOff),
        spec::PSCI_CPU_ON => cpu_on(caller, narrow(args), env),
        spec::PSCI_CPU_ON_64 => cpu_on(caller, *args, env),
        spec::PSCI_AFFINITY_INFO => Reply::code(affinity_info(narrow(args), env)),
        spec::PSCI_AFFINITY_INFO_64 => Reply::code(affinity_info(*args, env)),
        spec::PSCI_MIGRATE_INFO_TYPE => Reply::code(spec::PSCI_TOS_MP),
        // The guest sees a failure if it is let run on, although it was switched off.
        spec::PSCI_SYSTEM_OFF => Reply::code(spec::PSCI_INTERNAL_FAILURE).with(Effect::SystemOff),
        spec::PSCI_SYSTEM_RESET => {
            Reply::code(spec::PSCI_INTERNAL_FAILURE).with(Effect::SystemReset)
        }
        spec::PSCI_FEATURES if version >= spec::PSCI_1_0 => {
            Reply::code(features(version, caller, low32(args[1])))
        }
        spec::PSCI_SYSTEM_RESET2 if version >= spec::PSCI_1_1 => system_reset2(narrow(args)),
        spec::PSCI_SYSTEM_RESET2_64 if version >= spec::PSCI_1_1 => system_reset2(*args),
        spec::PSCI_SYSTEM_OFF2 if version >= spec::PSCI_1_3 => system_off2(narrow(args)),
        spec::PSCI_SYSTEM_OFF2_64 if version >= spec::PSCI_1_3 => system_off2(*args),
        _ => Reply::code(spec::PSCI_NOT_SUPPORTED),
    }
}

/// What a 32-bit function sees of 64-bit registers.
fn narrow(args: &[u64; 4]) -> [u64; 4] {
    args.map(|arg| u64::from(low32(arg)))
}

fn vcpus(env: &dyn Environment) -> impl Iterator<Item = VcpuId> {
    (0..env.vcpu_count()).map(VcpuId)
}

fn affinity(env: &dyn Environment, vcpu: VcpuId) -> u64 {
    env.mpidr(vcpu) & spec::MPIDR_AFFINITY_MASK
}

fn cpu_on(caller: Caller, args: [u64; 4], env: &dyn Environment) -> Reply {
    let [_, wanted, entry, context_id] = args;
    // A bit outside the affinity fields matches nobody.
    let Some(target) = vcpus(env).find(|&vcpu| affinity(env, vcpu) == wanted) else {
        return Reply::code(spec::PSCI_INVALID_PARAMETERS);
    };
    if env.is_on(target) {
        return Reply::code(spec::PSCI_ALREADY_ON);
    }
    Reply::code(spec::PSCI_SUCCESS).with(Effect::CpuOn {
        target,
        entry: Gpa(entry),
        context_id,
        is_big_endian: caller.is_big_endian,
    })
}

fn affinity_info(args: [u64; 4], env: &dyn Environment) -> i64 {
    let [_, wanted, lowest_level, _] = args;
    if wanted & !spec::MPIDR_AFFINITY_MASK != 0 || lowest_level > spec::AFFINITY_LEVEL_MAX {
        return spec::PSCI_INVALID_PARAMETERS;
    }
    // Three fields of 8 bits at most: the shift stays far below 64. KVM counts levels in steps of
    // 8 bits, although Aff3 stands at bit 32: at level 3 bits 31:24 are outside the mask anyhow.
    let mask =
        spec::MPIDR_AFFINITY_MASK & (u64::MAX << (low32(lowest_level) * spec::MPIDR_LEVEL_BITS));
    let mut matching =
        vcpus(env).filter(|&vcpu| affinity(env, vcpu) & mask == wanted & mask).peekable();
    if matching.peek().is_none() {
        return spec::PSCI_INVALID_PARAMETERS;
    }
    if matching.any(|vcpu| env.is_on(vcpu)) {
        spec::PSCI_AFFINITY_ON
    } else {
        spec::PSCI_AFFINITY_OFF
    }
}

fn features(version: u64, caller: Caller, function: u32) -> i64 {
    if function & spec::SMC64 != 0 && caller.is_aarch32 {
        return spec::PSCI_NOT_SUPPORTED;
    }
    match function {
        spec::PSCI_VERSION
        | spec::PSCI_CPU_SUSPEND
        | spec::PSCI_CPU_SUSPEND_64
        | spec::PSCI_CPU_OFF
        | spec::PSCI_CPU_ON
        | spec::PSCI_CPU_ON_64
        | spec::PSCI_AFFINITY_INFO
        | spec::PSCI_AFFINITY_INFO_64
        | spec::PSCI_MIGRATE_INFO_TYPE
        | spec::PSCI_SYSTEM_OFF
        | spec::PSCI_SYSTEM_RESET
        | spec::PSCI_FEATURES
        | spec::SMCCC_VERSION => spec::PSCI_SUCCESS,
        spec::PSCI_SYSTEM_RESET2 | spec::PSCI_SYSTEM_RESET2_64 if version >= spec::PSCI_1_1 => {
            spec::PSCI_SUCCESS
        }
        // The types supported, one bit each.
        spec::PSCI_SYSTEM_OFF2 | spec::PSCI_SYSTEM_OFF2_64 if version >= spec::PSCI_1_3 => {
            i64::from(spec::PSCI_OFF_TYPE_HIBERNATE)
        }
        _ => spec::PSCI_NOT_SUPPORTED,
    }
}

fn system_reset2(args: [u64; 4]) -> Reply {
    // The type is 32 bits wide even where the cookie is not.
    let reset_type = low32(args[1]);
    if reset_type > spec::PSCI_RESET_TYPE_WARM && reset_type < spec::PSCI_RESET_TYPE_VENDOR_START {
        return Reply::code(spec::PSCI_INVALID_PARAMETERS);
    }
    // KVM overwrites x0 alone here: user space may want the arguments.
    let regs = [spec::PSCI_INTERNAL_FAILURE.cast_unsigned(), args[1], args[2], args[3]];
    Reply::regs(regs).with(Effect::SystemReset2 { reset_type, cookie: args[2] })
}

fn system_off2(args: [u64; 4]) -> Reply {
    let off_type = low32(args[1]);
    if off_type > spec::PSCI_OFF_TYPE_HIBERNATE || args[2] != 0 {
        return Reply::code(spec::PSCI_INVALID_PARAMETERS);
    }
    Reply::code(spec::PSCI_INTERNAL_FAILURE).with(Effect::SystemOff2)
}
