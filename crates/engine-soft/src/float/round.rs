//! From numbers to bits.

use super::{Context, Format, Fpcr, Rounding, flag};

/// A number with more digits than a format has: `significand * 2^(exponent - 63)`. Bit 63 of
/// `significand` is one; bit 0 is also one if there are digits below it ("sticky").
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u64,
}

impl Exact {
    /// `magnitude * 2^scale`; `None` if it is zero.
    pub fn new(negative: bool, magnitude: u128, scale: i32) -> Option<Self> {
        let top = magnitude.checked_ilog2()? as i32;
        let aligned = magnitude << (127 - top);
        let significand = (aligned >> 64) as u64 | u64::from(aligned as u64 != 0);
        Some(Self { negative, exponent: scale + top, significand })
    }
}

/// `value / 2^count`, with bit 0 set if digits were lost.
pub(super) const fn shift_right_sticky(value: u128, count: u32) -> u128 {
    if count == 0 {
        value
    } else if count < 128 {
        value >> count | (value << (128 - count) != 0) as u128
    } else {
        (value != 0) as u128
    }
}

/// Rounds the way that FPCR says [DDI0487 J1 FPRound].
pub(super) fn round<F: Format>(value: Exact, context: &mut Context) -> u64 {
    round_mode::<F>(value, context.fpcr.rounding(), context)
}

/// Rounds in a given way [DDI0487 J1 FPRound].
pub(super) fn round_mode<F: Format>(value: Exact, mode: Rounding, context: &mut Context) -> u64 {
    if value.exponent < F::EXPONENT_MIN && context.fpcr.has(F::FLUSH) {
        // Not inexact, though it is.
        context.raise(flag::UFC);
        return F::sign(value.negative);
    }
    let (magnitude, inexact) = round_finite::<F>(value, mode, context);
    let sign = F::sign(value.negative);
    if magnitude >= F::INFINITY {
        context.raise(flag::OFC | flag::IXC);
        let infinite = mode.overflows_to_infinity(value.negative);
        return sign | if infinite { F::INFINITY } else { F::MAX_NORMAL };
    }
    if inexact {
        context.raise(flag::IXC);
    }
    sign | magnitude
}

/// Rounds the result of a conversion between formats: half-precision results stay denormal, and
/// have no infinities where FPCR.AHP says so [DDI0487 J1 FPRoundCV].
pub(super) fn round_cv<F: Format>(value: Exact, mode: Rounding, context: &mut Context) -> u64 {
    if F::BITS != 16 {
        return round_mode::<F>(value, mode, context);
    }
    let fpcr = context.fpcr;
    if !fpcr.has(Fpcr::AHP) {
        context.fpcr = fpcr.without(Fpcr::FZ16);
        let rounded = round_mode::<F>(value, mode, context);
        context.fpcr = fpcr;
        return rounded;
    }
    let (magnitude, inexact) = round_finite::<F>(value, mode, context);
    let sign = F::sign(value.negative);
    if magnitude >= F::SIGN {
        context.raise(flag::IOC);
        return sign | (F::SIGN - 1);
    }
    if inexact {
        context.raise(flag::IXC);
    }
    sign | magnitude
}

/// The bits of the magnitude as if exponents had no end, and whether it is inexact. Underflow is
/// found before rounding.
#[inline]
fn round_finite<F: Format>(value: Exact, mode: Rounding, context: &mut Context) -> (u64, bool) {
    let dropped = 63 - F::FRACTION_BITS;
    let below = F::EXPONENT_MIN - value.exponent;
    let significand = match below {
        1.. => shift_right_sticky(value.significand.into(), below as u32) as u64,
        _ => value.significand,
    };
    let (kept, error) = (significand >> dropped, significand << (64 - dropped));
    if below > 0 && error != 0 {
        context.raise(flag::UFC);
    }
    let up = mode.goes_up(value.negative, kept & 1 == 1, error);
    let rounded = kept + u64::from(up);
    // The leading one adds one to the exponent field, and so does a carry out of the digits. A
    // field beyond that of infinity is all the same.
    let field = (value.exponent - F::EXPONENT_MIN).clamp(0, F::EXPONENT_MAX + 1) as u64;
    (rounded + (field << F::FRACTION_BITS), error != 0)
}
