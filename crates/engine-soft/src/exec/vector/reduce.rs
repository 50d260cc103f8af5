//! Operations among the elements of a vector.

use super::Operands;
use super::lanes::{Lane, signed, unsigned};
use crate::decode::Simd;

/// One result for each two neighbours in Vn and Vm.
pub(super) fn pairwise(kind: Simd, operands: &Operands) -> u128 {
    let (low, high) = operands.end_to_end();
    let size = operands.size;
    let [a, b] = [false, true].map(|odd| unsigned!(size, T => T::unzip(low, high, odd)));
    match kind {
        Simd::Smaxp => signed!(size, T => T::map2(a, b, T::max)),
        Simd::Sminp => signed!(size, T => T::map2(a, b, T::min)),
        Simd::Umaxp => unsigned!(size, T => T::map2(a, b, T::max)),
        Simd::Uminp => unsigned!(size, T => T::map2(a, b, T::min)),
        _ => unsigned!(size, T => T::map2(a, b, T::wrapping_add)),
    }
}

/// One result for all elements of Vn.
pub(super) fn across(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, size, .. } = *operands;
    // A short vector twice has the same minimum and maximum as it has once.
    let twice = if operands.is_upper() { n } else { n << 64 | n };
    match kind {
        Simd::Addv => unsigned!(size, T => T::reduce(n, T::wrapping_add).into()),
        Simd::AddpScalar => u64::reduce(operands.whole_n, u64::wrapping_add).into(),
        Simd::Umaxv => unsigned!(size, T => T::reduce(twice, T::max).into()),
        Simd::Uminv => unsigned!(size, T => T::reduce(twice, T::min).into()),
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
