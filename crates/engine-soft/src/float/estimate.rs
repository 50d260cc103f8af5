//! Estimates of reciprocals, with eight right bits. The architecture says exactly which.

use super::unpack::{Class, process_nan, unpack};
use super::{Context, Format, flag};

/// The reciprocal of `scaled / 512`, which is at least a half, in units of 1/256
/// [DDI0487 J1 RecipEstimate].
pub(crate) const fn reciprocal(scaled: u32) -> u32 {
    // The middle of what the eight digits can stand for, rounded to the nearest.
    let middle = scaled * 2 + 1;
    ((1 << 19) / middle).div_ceil(2)
}

/// The reciprocal of the root of `scaled / 512`, which is at least a quarter, in units of 1/256
/// [DDI0487 J1 RecipSqrtEstimate].
pub(crate) const fn reciprocal_root(scaled: u32) -> u32 {
    let middle = if scaled < 256 { scaled * 2 + 1 } else { (scaled | 1) * 2 };
    // The largest number whose square, times the middle, is below 2^28.
    ((((1 << 28) - 1) / middle).isqrt()).div_ceil(2)
}

/// The fraction with 52 digits and the exponent field, which is zero or less if the number was
/// denormal.
fn normalized<F: Format>(bits: u64) -> (u64, i32) {
    let fraction = (bits & F::FRACTION) << (52 - F::FRACTION_BITS);
    let exponent = F::biased_exponent(bits);
    if exponent != 0 {
        return (fraction, exponent);
    }
    let shift = fraction.leading_zeros() as i32 - 11;
    (fraction << shift & ((1 << 52) - 1), 1 - shift)
}

/// An estimate of `1 / operand` [DDI0487 J1 FPRecipEstimate].
pub(crate) fn recip_estimate<F: Format>(operand: u64, context: &mut Context) -> u64 {
    let operand = unpack::<F>(operand, context);
    let sign = F::sign(operand.negative);
    match operand.class {
        Class::QuietNan | Class::SignalingNan => return process_nan::<F>(&operand, context),
        Class::Infinity => return sign,
        Class::Zero => {
            context.raise(flag::DZC);
            return sign | F::INFINITY;
        }
        Class::Number => {}
    }
    // The reciprocal of all below is too large.
    if operand.exponent < -F::BIAS - 1 {
        context.raise(flag::OFC | flag::IXC);
        let infinite = context.fpcr.rounding().overflows_to_infinity(operand.negative);
        return sign | if infinite { F::INFINITY } else { F::MAX_NORMAL };
    }
    // The reciprocal of all from here on is denormal.
    if context.fpcr.has(F::FLUSH) && operand.exponent >= F::BIAS - 1 {
        context.raise(flag::UFC);
        return sign;
    }
    let (fraction, exponent) = normalized::<F>(operand.bits);
    let estimate = reciprocal(256 | (fraction >> 44) as u32);
    let digits = u64::from(estimate & 0xff) << 44;
    let (digits, exponent) = match 2 * F::BIAS - 1 - exponent {
        0 => (1 << 51 | digits >> 1, 0),
        ..0 => (1 << 50 | digits >> 2, 0),
        exponent => (digits, exponent as u64),
    };
    sign | exponent << F::FRACTION_BITS | digits >> (52 - F::FRACTION_BITS)
}

/// An estimate of `1 / sqrt(operand)` [DDI0487 J1 FPRSqrtEstimate].
pub(crate) fn rsqrt_estimate<F: Format>(operand: u64, context: &mut Context) -> u64 {
    let operand = unpack::<F>(operand, context);
    match operand.class {
        Class::QuietNan | Class::SignalingNan => return process_nan::<F>(&operand, context),
        Class::Zero => {
            context.raise(flag::DZC);
            return F::sign(operand.negative) | F::INFINITY;
        }
        _ if operand.negative => return super::unpack::invalid::<F>(context),
        Class::Infinity => return 0,
        Class::Number => {}
    }
    let (fraction, exponent) = normalized::<F>(operand.bits);
    let leading = 256 | (fraction >> 44) as u32;
    let scaled = if exponent & 1 == 0 { leading } else { leading >> 1 };
    let estimate = reciprocal_root(scaled);
    let exponent = (3 * F::BIAS - 1 - exponent).div_euclid(2) as u64;
    let digits = u64::from(estimate & 0xff) << (F::FRACTION_BITS - 8);
    exponent << F::FRACTION_BITS | digits
}

/// `2^-n` for a number between `2^n` and `2^(n+1)`, roughly [DDI0487 J1 FPRecpX].
pub(crate) fn recip_x<F: Format>(operand: u64, context: &mut Context) -> u64 {
    let operand = unpack::<F>(operand, context);
    if operand.is_nan() {
        return process_nan::<F>(&operand, context);
    }
    let exponent = match F::biased_exponent(operand.bits) {
        0 => F::EXPONENT_MAX - 1,
        exponent => F::EXPONENT_MAX ^ exponent,
    };
    F::sign(operand.negative) | (exponent as u64) << F::FRACTION_BITS
}
