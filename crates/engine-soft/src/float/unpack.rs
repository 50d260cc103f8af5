//! From bits to numbers, and what becomes of NaNs.

use super::{Context, Format, Fpcr, flag};

/// What the bits of a number stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Zero,
    /// Neither zero nor infinite.
    Number,
    Infinity,
    QuietNan,
    SignalingNan,
}

/// A number taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unpacked {
    pub class: Class,
    pub negative: bool,
    /// For numbers: the power of two of the leading bit.
    pub exponent: i32,
    /// For numbers: the digits, the leading one at bit 63.
    pub significand: u64,
    /// The bits it was made from; a denormal number taken as zero has those of a zero.
    pub bits: u64,
}

impl Unpacked {
    pub fn is_zero(&self) -> bool {
        self.class == Class::Zero
    }

    pub fn is_infinity(&self) -> bool {
        self.class == Class::Infinity
    }

    pub fn is_nan(&self) -> bool {
        matches!(self.class, Class::QuietNan | Class::SignalingNan)
    }
}

/// Takes an operand apart; FPCR says whether denormal numbers are zero [DDI0487 J1 FPUnpack].
#[inline]
pub(super) fn unpack<F: Format>(bits: u64, context: &mut Context) -> Unpacked {
    let biased = F::biased_exponent(bits);
    if biased == F::EXPONENT_MAX {
        return not_finite::<F>(bits);
    }
    let denormal = biased == 0 && bits & F::FRACTION != 0;
    if denormal && context.fpcr.has(F::FLUSH) {
        context.raise(F::FLUSHED_INPUT);
        return finite::<F>(bits & F::SIGN);
    }
    finite::<F>(bits)
}

/// Takes the operand of a conversion between formats apart: half-precision denormal numbers are
/// never zero, and infinities and NaNs are numbers where FPCR.AHP says so
/// [DDI0487 J1 FPUnpackCV].
pub(super) fn unpack_cv<F: Format>(bits: u64, context: &mut Context) -> Unpacked {
    if F::BITS == 16 && context.fpcr.has(Fpcr::AHP) {
        return finite::<F>(bits);
    }
    let fpcr = context.fpcr;
    context.fpcr = fpcr.without(Fpcr::FZ16);
    let unpacked = unpack::<F>(bits, context);
    context.fpcr = fpcr;
    unpacked
}

fn not_finite<F: Format>(bits: u64) -> Unpacked {
    let class = match bits & F::FRACTION {
        0 => Class::Infinity,
        fraction if fraction & F::QUIET != 0 => Class::QuietNan,
        _ => Class::SignalingNan,
    };
    Unpacked { class, negative: bits & F::SIGN != 0, exponent: 0, significand: 0, bits }
}

/// Zero or a number, whatever the exponent.
#[inline]
fn finite<F: Format>(bits: u64) -> Unpacked {
    let negative = bits & F::SIGN != 0;
    let biased = F::biased_exponent(bits);
    let fraction = bits & F::FRACTION;
    if biased == 0 && fraction == 0 {
        return Unpacked { class: Class::Zero, negative, exponent: 0, significand: 0, bits };
    }
    let (exponent, significand) = match biased {
        0 => {
            let zeros = fraction.leading_zeros();
            let subnormal = (zeros + F::FRACTION_BITS) as i32 - 63;
            (F::EXPONENT_MIN - subnormal, fraction << zeros)
        }
        _ => (biased - F::BIAS, (fraction | 1 << F::FRACTION_BITS) << (63 - F::FRACTION_BITS)),
    };
    Unpacked { class: Class::Number, negative, exponent, significand, bits }
}

/// The NaN that comes of a NaN operand [DDI0487 J1 FPProcessNaN].
pub(super) fn process_nan<F: Format>(operand: &Unpacked, context: &mut Context) -> u64 {
    if operand.class == Class::SignalingNan {
        context.raise(flag::IOC);
    }
    if context.fpcr.has(Fpcr::DN) { F::DEFAULT_NAN } else { operand.bits | F::QUIET }
}

/// The NaN that comes of several operands, if one is a NaN: the first signaling one, else the first
/// quiet one [DDI0487 J1 FPProcessNaNs, FPProcessNaNs3].
#[inline]
pub(super) fn process_nans<F: Format>(
    operands: &[&Unpacked],
    context: &mut Context,
) -> Option<u64> {
    let first = |class| operands.iter().find(|operand| operand.class == class);
    let nan = first(Class::SignalingNan).or_else(|| first(Class::QuietNan))?;
    Some(process_nan::<F>(nan, context))
}

/// The answer to a question that has none.
pub(super) fn invalid<F: Format>(context: &mut Context) -> u64 {
    context.raise(flag::IOC);
    F::DEFAULT_NAN
}
