//! Comparisons: all ones where they hold, else 0.

use super::Operands;
use super::lanes::{Lane, signed, unsigned};
use crate::decode::Simd;

/// All instructions that compare integers.
pub(super) fn result(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, m, size, .. } = *operands;
    match kind {
        Simd::CmeqRegister => equal(n, m, size),
        Simd::CmeqZero => equal(n, 0, size),
        Simd::CmgtRegister => greater(n, m, size),
        Simd::CmgtZero => greater(n, 0, size),
        Simd::CmltZero => greater(0, n, size),
        Simd::CmgeRegister => !greater(m, n, size),
        Simd::CmgeZero => !greater(0, n, size),
        Simd::CmleZero => !greater(n, 0, size),
        Simd::CmhiRegister => higher(n, m, size),
        Simd::CmhsRegister => !higher(m, n, size),
        _ => !equal(n & m, 0, size),
    }
}

fn equal(a: u128, b: u128, size: u32) -> u128 {
    unsigned!(size, T => T::map2(a, b, |a, b| T::from(a == b).wrapping_neg()))
}

fn greater(a: u128, b: u128, size: u32) -> u128 {
    signed!(size, T => T::map2(a, b, |a, b| T::from(a > b).wrapping_neg()))
}

fn higher(a: u128, b: u128, size: u32) -> u128 {
    unsigned!(size, T => T::map2(a, b, |a, b| T::from(a > b).wrapping_neg()))
}
