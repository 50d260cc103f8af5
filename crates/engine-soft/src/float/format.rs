//! The formats.

use super::{Fpcr, flag};

/// A binary interchange format: sign, exponent and fraction, from the top down.
pub(crate) trait Format: Copy {
    /// The whole width in bits.
    const BITS: u32;
    /// The width of the fraction in bits.
    const FRACTION_BITS: u32;
    /// The bit of FPCR with which denormal numbers are taken as zero.
    const FLUSH: u32;
    /// What is raised when a denormal operand is.
    const FLUSHED_INPUT: u32;

    /// The exponent field of infinities and NaNs.
    const EXPONENT_MAX: i32 = (1 << (Self::BITS - 1 - Self::FRACTION_BITS)) - 1;
    /// What the exponent field of 1 is.
    const BIAS: i32 = Self::EXPONENT_MAX >> 1;
    /// The exponent of the smallest normal number.
    const EXPONENT_MIN: i32 = 1 - Self::BIAS;
    const SIGN: u64 = 1 << (Self::BITS - 1);
    const FRACTION: u64 = (1 << Self::FRACTION_BITS) - 1;
    /// The bit that tells quiet NaNs from signaling ones.
    const QUIET: u64 = 1 << (Self::FRACTION_BITS - 1);
    const INFINITY: u64 = (Self::EXPONENT_MAX as u64) << Self::FRACTION_BITS;
    const MAX_NORMAL: u64 = Self::INFINITY - 1;
    const DEFAULT_NAN: u64 = Self::INFINITY | Self::QUIET;
    /// All bits of the format.
    const MASK: u64 = u64::MAX >> (64 - Self::BITS);

    /// Two to the power of `exponent`, a normal number.
    #[must_use]
    fn power_of_two(exponent: i32) -> u64 {
        ((exponent + Self::BIAS) as u64) << Self::FRACTION_BITS
    }

    /// The sign bit of a number that is negative or not.
    #[must_use]
    fn sign(negative: bool) -> u64 {
        u64::from(negative) << (Self::BITS - 1)
    }

    /// The number that eight bits of an instruction stand for [DDI0487 J1 VFPExpandImm].
    #[must_use]
    fn expand_immediate(imm8: u32) -> u64 {
        let sign = u64::from(imm8 >> 7 & 1) << (Self::BITS - 1);
        let low = (imm8 >> 4 & 3) as i32;
        let exponent = if imm8 >> 6 & 1 == 1 { low - 3 } else { low + 1 };
        let fraction = u64::from(imm8 & 0xf) << (Self::FRACTION_BITS - 4);
        sign | Self::power_of_two(exponent) | fraction
    }

    /// The exponent field.
    #[must_use]
    fn biased_exponent(bits: u64) -> i32 {
        (bits >> Self::FRACTION_BITS) as i32 & Self::EXPONENT_MAX
    }
}

/// Half precision, 16 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Half;

/// Single precision, 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single;

/// Double precision, 64 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Double;

impl Format for Half {
    const BITS: u32 = 16;
    const FRACTION_BITS: u32 = 10;
    const FLUSH: u32 = Fpcr::FZ16;
    const FLUSHED_INPUT: u32 = 0;
}

impl Format for Single {
    const BITS: u32 = 32;
    const FRACTION_BITS: u32 = 23;
    const FLUSH: u32 = Fpcr::FZ;
    const FLUSHED_INPUT: u32 = flag::IDC;
}

impl Format for Double {
    const BITS: u32 = 64;
    const FRACTION_BITS: u32 = 52;
    const FLUSH: u32 = Fpcr::FZ;
    const FLUSHED_INPUT: u32 = flag::IDC;
}
