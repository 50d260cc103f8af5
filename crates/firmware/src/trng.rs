//! Random numbers `[DEN0098]`, with KVM's choices `[linux arch/arm64/kvm/trng.c]`.

use crate::call::low32;
use crate::{Environment, Firmware, Reply, spec};

/// Result registers of one call: `x1`, `x2` and `x3`.
const RESULT_REGS: u32 = 3;

/// Answers the named functions of the TRNG.
pub(crate) fn call(
    firmware: &Firmware,
    function: u32,
    args: &[u64; 4],
    env: &mut dyn Environment,
) -> Reply {
    if !firmware.offers_trng() {
        return Reply::code(spec::SMCCC_NOT_SUPPORTED);
    }
    match function {
        spec::TRNG_VERSION => Reply::regs([spec::TRNG_VERSION_1_0, 0, 0, 0]),
        spec::TRNG_FEATURES => Reply::code(features(args[1])),
        spec::TRNG_GET_UUID => Reply::regs(spec::TRNG_UUID_KVM),
        spec::TRNG_RND32 => random(low32(args[1]), 32, env),
        spec::TRNG_RND64 => random(low32(args[1]), 64, env),
        _ => Reply::code(spec::TRNG_NOT_SUPPORTED),
    }
}

/// The argument is compared in full width, as KVM compares it.
fn features(function: u64) -> i64 {
    let known = [
        spec::TRNG_VERSION,
        spec::TRNG_FEATURES,
        spec::TRNG_GET_UUID,
        spec::TRNG_RND32,
        spec::TRNG_RND64,
    ];
    if known.iter().any(|&id| u64::from(id) == function) {
        spec::TRNG_SUCCESS
    } else {
        spec::TRNG_NOT_SUPPORTED
    }
}

fn random(bits: u32, reg_bits: u32, env: &mut dyn Environment) -> Reply {
    if bits > RESULT_REGS * reg_bits {
        return Reply::code(spec::TRNG_INVALID_PARAMETERS);
    }
    let mut words = [0u64; RESULT_REGS as usize];
    let mut left = bits;
    for word in &mut words {
        if left == 0 {
            break;
        }
        let Some(drawn) = env.entropy() else {
            return Reply::code(spec::TRNG_NO_ENTROPY);
        };
        let taken = left.min(u64::BITS);
        *word = drawn & (u64::MAX >> (u64::BITS - taken));
        left -= taken;
    }
    let [low, middle, high] = words;
    let success = spec::TRNG_SUCCESS.cast_unsigned();
    if reg_bits == 32 {
        Reply::regs([success, u64::from(low32(middle)), low >> 32, u64::from(low32(low))])
    } else {
        Reply::regs([success, high, middle, low])
    }
}
