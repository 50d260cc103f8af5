//! Saturating sums, differences and products of elements.

use super::Operands;
use super::lanes::{Lane, kept, signed, unsigned};
use crate::decode::Simd;

/// Instructions on elements that set FPSR.QC where a result does not fit.
pub(super) fn result(kind: Simd, operands: &mut Operands) -> u128 {
    let (n, m, size, q) = (operands.n, operands.m, operands.size, &mut operands.saturated);
    match kind {
        Simd::Sqadd => signed!(size, T => T::map2(n, m, |a, b| {
            kept(q, a.saturating_add(b), a.wrapping_add(b))
        })),
        Simd::Uqadd => unsigned!(size, T => T::map2(n, m, |a, b| {
            kept(q, a.saturating_add(b), a.wrapping_add(b))
        })),
        Simd::Sqsub => signed!(size, T => T::map2(n, m, |a, b| {
            kept(q, a.saturating_sub(b), a.wrapping_sub(b))
        })),
        Simd::Uqsub => unsigned!(size, T => T::map2(n, m, |a, b| {
            kept(q, a.saturating_sub(b), a.wrapping_sub(b))
        })),
        Simd::Sqabs => signed!(size, T => T::map(n, |a| {
            kept(q, a.saturating_abs(), a.wrapping_abs())
        })),
        _ => signed!(size, T => T::map(n, |a| {
            kept(q, a.saturating_neg(), a.wrapping_neg())
        })),
    }
}

/// SUQADD, USQADD: the addend has a sign where the sum has none, and the other way round.
pub(super) fn mixed_sum(kind: Simd, operands: &mut Operands) -> u128 {
    let (n, d, size, q) = (operands.n, operands.d, operands.size, &mut operands.saturated);
    match kind {
        Simd::Suqadd => signed!(size, T => T::map2(d, n, |d, a| {
            let a = a.cast_unsigned();
            kept(q, d.saturating_add_unsigned(a), d.wrapping_add_unsigned(a))
        })),
        _ => unsigned!(size, T => T::map2(d, n, |d, a| {
            let a = a.cast_signed();
            kept(q, d.saturating_add_signed(a), d.wrapping_add_signed(a))
        })),
    }
}

/// The upper halves of doubled products: `(2 a b + d 2^bits + half) >> bits`, all halved so that 64
/// bits hold every step.
pub(super) fn product(kind: Simd, operands: &mut Operands) -> u128 {
    let round = kind != Simd::SqdmulhVector;
    let (accumulate, negate) = match kind {
        Simd::SqrdmlahVector => (true, false),
        Simd::SqrdmlshVector => (true, true),
        _ => (false, false),
    };
    let (n, m, size, q) = (operands.n, operands.m, operands.size, &mut operands.saturated);
    let d = if accumulate { operands.d } else { 0 };
    let upper_half = |d: i64, a: i64, b: i64, bits: u32| {
        let product = if negate { -(a * b) } else { a * b };
        ((d << (bits - 1)) + product + (i64::from(round) << (bits - 2))) >> (bits - 1)
    };
    match size {
        1 => i16::map3(d, n, m, |d, a, b| {
            i16::saturate(upper_half(d.into(), a.into(), b.into(), 16).into(), q)
        }),
        _ => i32::map3(d, n, m, |d, a, b| {
            i32::saturate(upper_half(d.into(), a.into(), b.into(), 32).into(), q)
        }),
    }
}
