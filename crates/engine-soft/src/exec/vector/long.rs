//! Instructions whose result has elements of twice, or of half the width of a source's.

use super::Operands;
use super::lanes::{Lane, Narrow, kept, signed_narrow, unsigned, unsigned_narrow};
use crate::decode::Simd;

/// Sums and differences of extended elements.
pub(super) fn sum(kind: Simd, operands: &Operands) -> u128 {
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    let (wide_a, d, size) = (operands.whole_n, operands.whole_d, operands.size);
    match kind {
        Simd::Saddl => {
            signed_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a + b))
        }
        Simd::Ssubl => {
            signed_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a - b))
        }
        Simd::Usubl => {
            unsigned_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), W::wrapping_sub))
        }
        Simd::Saddw => signed_narrow!(size, T W => W::map2(wide_a, T::extend(b), W::wrapping_add)),
        Simd::Ssubw => signed_narrow!(size, T W => W::map2(wide_a, T::extend(b), W::wrapping_sub)),
        Simd::Usubw => {
            unsigned_narrow!(size, T W => W::map2(wide_a, T::extend(b), W::wrapping_sub))
        }
        Simd::Sabdl | Simd::Sabal => signed_narrow!(size, T W => {
            let d = if kind == Simd::Sabal { d } else { 0 };
            W::map3(d, T::extend(a), T::extend(b), |d, a, b| d.wrapping_add((a - b).abs()))
        }),
        _ => unsigned_narrow!(size, T W => {
            let d = if kind == Simd::Uabal { d } else { 0 };
            W::map3(d, T::extend(a), T::extend(b), |d, a, b| d.wrapping_add(a.abs_diff(b)))
        }),
    }
}

/// Products of extended elements, added to, or subtracted from Vd.
pub(super) fn product(kind: Simd, operands: &Operands) -> u128 {
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    let size = operands.size;
    let products = match kind {
        Simd::SmullVector | Simd::SmlalVector | Simd::SmlslVector => {
            signed_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a * b))
        }
        _ => {
            unsigned_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a * b))
        }
    };
    let (d, wide) = (operands.whole_d, size + 1);
    match kind {
        Simd::SmlalVector | Simd::UmlalVector => {
            unsigned!(wide, T => T::map2(d, products, T::wrapping_add))
        }
        Simd::SmlslVector | Simd::UmlslVector => {
            unsigned!(wide, T => T::map2(d, products, T::wrapping_sub))
        }
        _ => products,
    }
}

/// SQDMULL, SQDMLAL, SQDMLSL: the product is saturated, and so is the sum.
pub(super) fn doubled_product(kind: Simd, operands: &mut Operands) -> u128 {
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    let (d, wide_mask) = (operands.whole_d, operands.wide_mask());
    let (size, q) = (operands.size, &mut operands.saturated);
    signed_narrow!(size, T W => {
        let products = W::map2(T::extend(a), T::extend(b), |a, b| {
            let product = a * b;
            kept(q, product.saturating_mul(2), product.wrapping_mul(2))
        });
        let d = d & wide_mask;
        match kind {
            Simd::SqdmlalVector => W::map2(d, products, |d, product| {
                kept(q, d.saturating_add(product), d.wrapping_add(product))
            }),
            Simd::SqdmlslVector => W::map2(d, products, |d, product| {
                kept(q, d.saturating_sub(product), d.wrapping_sub(product))
            }),
            _ => products,
        }
    })
}

/// SHLL, PMULL.
pub(super) fn unlike(kind: Simd, operands: &Operands) -> u128 {
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    match kind {
        Simd::Shll => unsigned_narrow!(operands.size, T W => {
            W::map(T::extend(a), |a| a << T::BITS)
        }),
        Simd::Pmull if operands.size == 0 => u16::map2(u8::extend(a), u8::extend(b), |a, b| {
            (0..8).fold(0, |sum, bit| sum ^ (a & (b >> bit & 1).wrapping_neg()) << bit)
        }),
        _ => polynomial_product(a, b),
    }
}

/// The product of polynomials over {0, 1}, from products of halves.
fn polynomial_product(a: u64, b: u64) -> u128 {
    let [(a_low, a_high), (b_low, b_high)] = [a, b].map(|x| (x as u32, (x >> 32) as u32));
    let low = half_product(a_low, b_low);
    let high = half_product(a_high, b_high);
    let middle = half_product(a_low ^ a_high, b_low ^ b_high) ^ low ^ high;
    u128::from(high) << 64 ^ u128::from(middle) << 32 ^ u128::from(low)
}

/// The same of 32 bits each. With every fourth bit alone a product of integers has room for the
/// carries, at most 8 of them, which are then cut off.
fn half_product(a: u32, b: u32) -> u64 {
    const FOURTH: u64 = 0x1111_1111_1111_1111;
    let [a, b]: [[u64; 4]; 2] = [a, b].map(|x| {
        let part = |place| u64::from(x) & (FOURTH << place);
        [part(0), part(1), part(2), part(3)]
    });
    (0..4).fold(0, |sum, place| {
        let column =
            (0..4).fold(0, |all, from| all ^ a[from].wrapping_mul(b[(4 + place - from) % 4]));
        sum | column & (FOURTH << place)
    })
}

/// The upper halves of sums and differences.
pub(super) fn upper_halves(kind: Simd, operands: &Operands) -> u64 {
    let is_sum = matches!(kind, Simd::Addhn | Simd::Raddhn);
    let round = matches!(kind, Simd::Raddhn | Simd::Rsubhn);
    let (a, b) = (operands.whole_n, operands.whole_m);
    unsigned_narrow!(operands.size, T W => {
        let half = W::from(round) << (T::BITS - 1);
        let b = if is_sum { b } else { W::map(b, W::wrapping_neg) };
        let sums = W::map2(a, b, |a, b| a.wrapping_add(b).wrapping_add(half));
        T::narrow(sums, |sum: W| (sum >> T::BITS) as T)
    })
}

/// Wide elements that are made narrow as they are, or saturated.
pub(super) fn extracted(kind: Simd, operands: &mut Operands) -> u64 {
    let source = operands.whole_n & operands.wide_mask();
    let (size, q) = (operands.size, &mut operands.saturated);
    match kind {
        Simd::Sqxtn => {
            signed_narrow!(size, T W => T::narrow(source, |a: W| T::saturate(a.into(), q)))
        }
        Simd::Uqxtn => {
            unsigned_narrow!(size, T W => T::narrow(source, |a: W| T::saturate(a.into(), q)))
        }
        _ => unsigned_narrow!(size, T W => {
            T::narrow(source, |a: W| T::saturate(a.cast_signed().into(), q))
        }),
    }
}
