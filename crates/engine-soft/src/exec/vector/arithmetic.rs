//! Products, halves and differences of elements.

use super::Operands;
use super::lanes::{Lane, signed, unsigned};
use crate::decode::Simd;

/// Instructions on elements that neither widen nor saturate.
pub(super) fn result(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, m, d, size, .. } = *operands;
    match kind {
        Simd::MulVector => unsigned!(size, T => T::map2(n, m, T::wrapping_mul)),
        Simd::MlaVector => {
            unsigned!(size, T => T::map3(d, n, m, |d, a, b| d.wrapping_add(a.wrapping_mul(b))))
        }
        Simd::MlsVector => {
            unsigned!(size, T => T::map3(d, n, m, |d, a, b| d.wrapping_sub(a.wrapping_mul(b))))
        }
        Simd::Pmul => u8::map2(n, m, polynomial_product),
        Simd::Sabd => signed!(size, T => T::map2(n, m, |a, b| a.abs_diff(b) as T)),
        Simd::Uabd => unsigned!(size, T => T::map2(n, m, T::abs_diff)),
        Simd::Saba => {
            signed!(size, T => T::map3(d, n, m, |d, a, b| d.wrapping_add(a.abs_diff(b) as T)))
        }
        _ => {
            unsigned!(size, T => T::map3(d, n, m, |d, a, b| d.wrapping_add(a.abs_diff(b))))
        }
    }
}

/// Sums and differences halved. They have one bit more than the elements, so they are never made:
/// `a + b = 2 (a & b) + (a ^ b)`, and `a - b = (a ^ b) - 2 (!a & b)`.
pub(super) fn halving(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, m, size, .. } = *operands;
    match kind {
        Simd::Shadd => signed!(size, T => T::map2(n, m, |a, b| (a & b) + ((a ^ b) >> 1))),
        Simd::Uhadd => unsigned!(size, T => T::map2(n, m, |a, b| (a & b) + ((a ^ b) >> 1))),
        Simd::Srhadd => signed!(size, T => T::map2(n, m, |a, b| (a | b) - ((a ^ b) >> 1))),
        Simd::Urhadd => unsigned!(size, T => T::map2(n, m, |a, b| (a | b) - ((a ^ b) >> 1))),
        Simd::Shsub => {
            signed!(size, T => T::map2(n, m, |a, b| ((a ^ b) >> 1).wrapping_sub(!a & b)))
        }
        _ => {
            unsigned!(size, T => T::map2(n, m, |a, b| ((a ^ b) >> 1).wrapping_sub(!a & b)))
        }
    }
}

/// SDOT, UDOT: sums of four products of bytes.
pub(super) fn dot_product(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, m, d, .. } = *operands;
    match kind {
        Simd::SdotVector => i32::map3(d, n, m, |d, a, b| {
            let pairs = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
            let product =
                |(a, b): (u8, u8)| i32::from(a.cast_signed()) * i32::from(b.cast_signed());
            pairs.map(product).fold(d, i32::wrapping_add)
        }),
        _ => u32::map3(d, n, m, |d, a, b| {
            let pairs = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
            pairs.map(|(a, b)| u32::from(a) * u32::from(b)).fold(d, u32::wrapping_add)
        }),
    }
}

/// The product of polynomials over {0, 1}, without its upper half.
fn polynomial_product(a: u8, b: u8) -> u8 {
    (0..8).fold(0, |sum, bit| sum ^ (a & (b >> bit & 1).wrapping_neg()) << bit)
}
