//! Conversions to other formats, to and from integers, and rounding to integers.

use super::round::{Exact, round_cv, round_mode, shift_right_sticky};
use super::unpack::{Class, Unpacked, process_nan, unpack, unpack_cv};
use super::{Context, Format, Fpcr, Rounding, flag};

/// The number in another format [DDI0487 J1 FPConvert].
pub(crate) fn convert<From: Format, To: Format>(
    operand: u64,
    mode: Rounding,
    context: &mut Context,
) -> u64 {
    let operand = unpack_cv::<From>(operand, context);
    let alternative = To::BITS == 16 && context.fpcr.has(Fpcr::AHP);
    let sign = To::sign(operand.negative);
    match operand.class {
        Class::QuietNan | Class::SignalingNan => {
            if operand.class == Class::SignalingNan || alternative {
                context.raise(flag::IOC);
            }
            if alternative {
                sign
            } else if context.fpcr.has(Fpcr::DN) {
                To::DEFAULT_NAN
            } else {
                sign | To::DEFAULT_NAN | convert_payload::<From, To>(operand.bits)
            }
        }
        Class::Infinity if alternative => {
            context.raise(flag::IOC);
            sign | (To::SIGN - 1)
        }
        Class::Infinity => sign | To::INFINITY,
        Class::Zero => sign,
        Class::Number => round_cv::<To>(exact(&operand), mode, context),
    }
}

/// The fraction of a NaN, aligned at its top [DDI0487 J1 FPConvertNaN].
fn convert_payload<From: Format, To: Format>(bits: u64) -> u64 {
    let fraction = bits & From::FRACTION;
    if From::FRACTION_BITS > To::FRACTION_BITS {
        fraction >> (From::FRACTION_BITS - To::FRACTION_BITS)
    } else {
        fraction << (To::FRACTION_BITS - From::FRACTION_BITS)
    }
}

const fn exact(number: &Unpacked) -> Exact {
    let Unpacked { negative, exponent, significand, .. } = *number;
    Exact { negative, exponent, significand }
}

/// A type of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer {
    /// 16, 32 or 64.
    pub bits: u32,
    pub unsigned: bool,
}

impl Integer {
    /// The largest magnitude, and whether it was exceeded; the sign is that of the result.
    fn saturate(self, negative: bool, magnitude: u128) -> (u64, bool) {
        let limit = match (self.unsigned, negative) {
            (true, false) => u128::from(u64::MAX >> (64 - self.bits)),
            (true, true) => 0,
            (false, false) => (1 << (self.bits - 1)) - 1,
            (false, true) => 1 << (self.bits - 1),
        };
        let kept = magnitude.min(limit) as u64;
        let value = if negative { kept.wrapping_neg() } else { kept };
        (value & u64::MAX >> (64 - self.bits), magnitude > limit)
    }
}

/// A magnitude rounded to an integer, and whether that changed it.
fn round_to_integer(value: Exact, mode: Rounding) -> (u128, bool) {
    // With 64 binary places; all that is larger has none, and saturates everywhere.
    let places = u128::from(value.significand) << 1;
    let fixed = match value.exponent {
        64.. => return (u128::MAX, false),
        exponent @ 0.. => places << exponent,
        exponent => shift_right_sticky(places, exponent.unsigned_abs()),
    };
    let (whole, error) = (fixed >> 64, fixed as u64);
    let up = mode.goes_up(value.negative, whole & 1 == 1, error);
    (whole + u128::from(up), error != 0)
}

/// To an integer, or to a fixed-point number of `fraction_bits` binary places: times
/// `2^fraction_bits`, rounded, saturated [DDI0487 J1 FPToFixed].
pub(crate) fn fp_to_fixed<F: Format>(
    operand: u64,
    fraction_bits: u32,
    to: Integer,
    mode: Rounding,
    context: &mut Context,
) -> u64 {
    let operand = unpack::<F>(operand, context);
    let (magnitude, inexact) = match operand.class {
        Class::Zero => return 0,
        Class::QuietNan | Class::SignalingNan => {
            context.raise(flag::IOC);
            return 0;
        }
        Class::Infinity => (u128::MAX, false),
        Class::Number => {
            let value = exact(&operand);
            let exponent = value.exponent + fraction_bits as i32;
            round_to_integer(Exact { exponent, ..value }, mode)
        }
    };
    let (value, saturated) = to.saturate(operand.negative, magnitude);
    if saturated {
        context.raise(flag::IOC);
    } else if inexact {
        context.raise(flag::IXC);
    }
    value
}

/// From an integer, or from a fixed-point number of `fraction_bits` binary places; bits of
/// `operand` above the integer's are ignored [DDI0487 J1 FixedToFP].
pub(crate) fn fixed_to_fp<F: Format>(
    operand: u64,
    fraction_bits: u32,
    from: Integer,
    context: &mut Context,
) -> u64 {
    let top = operand << (64 - from.bits);
    let (negative, magnitude) = if from.unsigned {
        (false, top >> (64 - from.bits))
    } else {
        let value = top.cast_signed() >> (64 - from.bits);
        (value < 0, value.unsigned_abs())
    };
    match Exact::new(negative, magnitude.into(), -(fraction_bits as i32)) {
        Some(value) => round_mode::<F>(value, context.fpcr.rounding(), context),
        None => 0,
    }
}

/// The nearest integer in the way of `mode`, as a floating-point number; inexact is told only if
/// `exact_wanted` [DDI0487 J1 FPRoundInt].
pub(crate) fn round_int<F: Format>(
    operand: u64,
    mode: Rounding,
    exact_wanted: bool,
    context: &mut Context,
) -> u64 {
    let operand = unpack::<F>(operand, context);
    match operand.class {
        Class::QuietNan | Class::SignalingNan => return process_nan::<F>(&operand, context),
        Class::Zero | Class::Infinity => return operand.bits,
        Class::Number if operand.exponent >= F::FRACTION_BITS as i32 => return operand.bits,
        Class::Number => {}
    }
    let (magnitude, inexact) = round_to_integer(exact(&operand), mode);
    if inexact && exact_wanted {
        context.raise(flag::IXC);
    }
    match Exact::new(operand.negative, magnitude, 0) {
        Some(value) => round_mode::<F>(value, Rounding::Zero, context),
        None => F::sign(operand.negative),
    }
}
