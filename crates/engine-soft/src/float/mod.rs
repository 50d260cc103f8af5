//! Floating-point arithmetic on half, single and double precision, bit for bit what the
//! architecture says: its NaNs, its rounding, its cumulative flags.
//!
//! A number is the bits of its [`Format`] at the bottom of a `u64`. What arithmetic depends on
//! (FPCR) and adds to (FPSR) is a [`Context`]; nothing else goes in or out. Names are those of the
//! manual's functions, without their `FP` [DDI0487 J1 shared/functions/float].
//!
//! | part | what is in it |
//! |---|---|
//! | [`format`] | the three formats |
//! | [`unpack`] | from bits to numbers; NaNs |
//! | [`round`] | from numbers to bits |
//! | [`arithmetic`] | sums, products, quotients, roots |
//! | [`host`] | a short cut for some of that |
//! | [`compare`] | comparison, minimum, maximum |
//! | [`convert`] | other formats, integers, rounding to integers |
//! | [`estimate`] | reciprocals |

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "bit fields are cut out of words, and exponents are signed"
)]
mod arithmetic;
mod compare;
mod convert;
mod estimate;
mod format;
mod host;
mod round;
mod unpack;

#[cfg(test)]
mod tests;

pub(crate) use arithmetic::{recip_step_fused, rsqrt_step_fused};
pub(crate) use compare::{Order, Which, compare, compare_eq, compare_ge, compare_gt, max_min};
pub(crate) use convert::{Integer, convert, fixed_to_fp, fp_to_fixed, round_int};
pub(crate) use estimate::{recip_estimate, recip_x, reciprocal, reciprocal_root, rsqrt_estimate};
pub(crate) use format::{Double, Format, Half, Single};
pub(crate) use host::{Host, add, div, mul, mul_add, mulx, sqrt, sub};

/// The cumulative exception bits of FPSR [DDI0487 C5.2 FPSR].
pub(crate) mod flag {
    /// Invalid operation.
    pub const IOC: u32 = 1 << 0;
    /// Division by zero.
    pub const DZC: u32 = 1 << 1;
    /// Overflow.
    pub const OFC: u32 = 1 << 2;
    /// Underflow.
    pub const UFC: u32 = 1 << 3;
    /// Inexact.
    pub const IXC: u32 = 1 << 4;
    /// A denormal operand was taken as zero.
    pub const IDC: u32 = 1 << 7;
}

/// How a number that the format does not have is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// To the nearest, to the even one of two.
    TieEven,
    /// Towards plus infinity.
    PosInf,
    /// Towards minus infinity.
    NegInf,
    /// Towards zero.
    Zero,
    /// To the nearest, away from zero of two.
    TieAway,
    /// To the odd one of both neighbours, so that it can be rounded once more.
    Odd,
}

impl Rounding {
    /// Whether the magnitude grows by one unit. `error` is what was cut off, in units of 2^-64 of
    /// the last place kept; `odd` is whether that place is one.
    const fn goes_up(self, negative: bool, odd: bool, error: u64) -> bool {
        const HALF: u64 = 1 << 63;
        match self {
            Self::TieEven => error > HALF || (error == HALF && odd),
            Self::TieAway => error >= HALF,
            Self::PosInf => error != 0 && !negative,
            Self::NegInf => error != 0 && negative,
            Self::Zero => false,
            Self::Odd => error != 0 && !odd,
        }
    }

    /// Whether what is too large becomes an infinity, or else the largest number.
    const fn overflows_to_infinity(self, negative: bool) -> bool {
        match self {
            Self::TieEven | Self::TieAway => true,
            Self::PosInf => !negative,
            Self::NegInf => negative,
            Self::Zero | Self::Odd => false,
        }
    }
}

/// FPCR, the bits of it that arithmetic reads [DDI0487 C5.2 FPCR].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fpcr(pub u32);

impl Fpcr {
    /// Alternative half precision: no infinities, no NaNs.
    pub const AHP: u32 = 1 << 26;
    /// Default NaN.
    pub const DN: u32 = 1 << 25;
    /// Flush to zero, single and double precision.
    pub const FZ: u32 = 1 << 24;
    /// Flush to zero, half precision.
    pub const FZ16: u32 = 1 << 19;

    /// The rounding mode.
    pub const fn rounding(self) -> Rounding {
        match self.0 >> 22 & 3 {
            0 => Rounding::TieEven,
            1 => Rounding::PosInf,
            2 => Rounding::NegInf,
            _ => Rounding::Zero,
        }
    }

    const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// Without one of its bits.
    const fn without(self, bit: u32) -> Self {
        Self(self.0 & !bit)
    }
}

/// What arithmetic depends on and adds to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub fpcr: Fpcr,
    /// FPSR; its flags are only ever set.
    pub fpsr: u32,
}

impl Context {
    pub const fn new(fpcr: u32, fpsr: u32) -> Self {
        Self { fpcr: Fpcr(fpcr), fpsr }
    }

    const fn raise(&mut self, flags: u32) {
        self.fpsr |= flags;
    }
}

/// The same number with the other sign, NaNs too.
pub(crate) const fn neg<F: Format>(bits: u64) -> u64 {
    bits ^ F::SIGN
}

/// The number without its sign, NaNs too.
pub(crate) const fn abs<F: Format>(bits: u64) -> u64 {
    bits & !F::SIGN
}
