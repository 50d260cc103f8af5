//! Paravirtual time `[DEN0057A 4]`, with KVM's choices `[linux arch/arm64/kvm/hypercalls.c]`
//! `[linux arch/arm64/kvm/pvtime.c]`.

use crate::call::low32;
use crate::{Caller, Environment, Firmware, Reply, spec};

const UNSUPPORTED: Reply = Reply::code(spec::SMCCC_NOT_SUPPORTED);

/// Answers the two functions. That there are such calls at all, `ARCH_FEATURES` says by the bitmap
/// alone; that the caller has a record, only these do.
pub(crate) fn call(
    firmware: &Firmware,
    caller: Caller,
    function: u32,
    args: &[u64; 4],
    env: &mut dyn Environment,
) -> Reply {
    let record = env.stolen_time_record(caller.vcpu).filter(|_| firmware.offers_pv_time());
    let Some(record) = record else { return UNSUPPORTED };
    if function == spec::PV_TIME_ST {
        env.begin_stolen_time(caller.vcpu);
        return Reply::regs([record.0, 0, 0, 0]);
    }
    match low32(args[1]) {
        spec::PV_TIME_FEATURES | spec::PV_TIME_ST => Reply::code(spec::SMCCC_SUCCESS),
        _ => UNSUPPORTED,
    }
}
