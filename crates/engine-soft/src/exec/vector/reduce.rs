//! Operations among the elements of a vector.

use super::Operands;
use super::lanes::{Lane, signed, unsigned};
use crate::decode::Simd;

/// One result for all elements of Vn.
pub(super) fn across(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, size, .. } = *operands;
    // A short vector twice has the same minimum and maximum as it has once.
    let twice = if operands.is_upper() { n } else { n << 64 | n };
    match kind {
        Simd::Smaxv => signed!(size, T => bits(T::reduce(twice, T::max).into(), T::BITS)),
        Simd::Sminv => signed!(size, T => bits(T::reduce(twice, T::min).into(), T::BITS)),
        Simd::Uaddlv => unsigned!(size, T => {
            T::split(n).into_iter().map(u128::from).sum::<u128>()
        }),
        _ => signed!(size, T => {
            bits(T::split(n).into_iter().map(i128::from).sum(), 2 * T::BITS)
        }),
    }
}

/// The low `count` bits.
const fn bits(value: i128, count: u32) -> u128 {
    value.cast_unsigned() & (u128::MAX >> (128 - count))
}
