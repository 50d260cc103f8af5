//! Instructions whose result has elements of twice, or of half the width of a source's.

use super::Operands;
use super::lanes::{Lane, Narrow, kept, signed_narrow, unsigned, unsigned_narrow};
use crate::decode::Simd;

/// Instructions with a result of wide elements.
pub(super) fn result(kind: Simd, operands: &mut Operands) -> Option<u128> {
    let value = sum(kind, operands)
        .or_else(|| product(kind, operands))
        .or_else(|| doubled_product(kind, operands))
        .or_else(|| unlike(kind, operands))?;
    Some(value & operands.wide_mask())
}

/// Sums and differences of extended elements.
fn sum(kind: Simd, operands: &Operands) -> Option<u128> {
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    let (wide_a, d, size) = (operands.whole_n, operands.whole_d, operands.size);
    Some(match kind {
        Simd::Saddl => {
            signed_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a + b))
        }
        Simd::Uaddl => {
            unsigned_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a + b))
        }
        Simd::Ssubl => {
            signed_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a - b))
        }
        Simd::Usubl => {
            unsigned_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), W::wrapping_sub))
        }
        Simd::Saddw => signed_narrow!(size, T W => W::map2(wide_a, T::extend(b), W::wrapping_add)),
        Simd::Uaddw => {
            unsigned_narrow!(size, T W => W::map2(wide_a, T::extend(b), W::wrapping_add))
        }
        Simd::Ssubw => signed_narrow!(size, T W => W::map2(wide_a, T::extend(b), W::wrapping_sub)),
        Simd::Usubw => {
            unsigned_narrow!(size, T W => W::map2(wide_a, T::extend(b), W::wrapping_sub))
        }
        Simd::Sabdl | Simd::Sabal => signed_narrow!(size, T W => {
            let d = if kind == Simd::Sabal { d } else { 0 };
            W::map3(d, T::extend(a), T::extend(b), |d, a, b| d.wrapping_add((a - b).abs()))
        }),
        Simd::Uabdl | Simd::Uabal => unsigned_narrow!(size, T W => {
            let d = if kind == Simd::Uabal { d } else { 0 };
            W::map3(d, T::extend(a), T::extend(b), |d, a, b| d.wrapping_add(a.abs_diff(b)))
        }),
        _ => return None,
    })
}

/// Products of extended elements, added to, or subtracted from Vd.
fn product(kind: Simd, operands: &Operands) -> Option<u128> {
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    let size = operands.size;
    let products = match kind {
        Simd::SmullVector | Simd::SmlalVector | Simd::SmlslVector => {
            signed_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a * b))
        }
        Simd::UmullVector | Simd::UmlalVector | Simd::UmlslVector => {
            unsigned_narrow!(size, T W => W::map2(T::extend(a), T::extend(b), |a, b| a * b))
        }
        _ => return None,
    };
    let (d, wide) = (operands.whole_d, size + 1);
    Some(match kind {
        Simd::SmlalVector | Simd::UmlalVector => {
            unsigned!(wide, T => T::map2(d, products, T::wrapping_add))
        }
        Simd::SmlslVector | Simd::UmlslVector => {
            unsigned!(wide, T => T::map2(d, products, T::wrapping_sub))
        }
        _ => products,
    })
}

/// SQDMULL, SQDMLAL, SQDMLSL: the product is saturated, and so is the sum.
fn doubled_product(kind: Simd, operands: &mut Operands) -> Option<u128> {
    if !matches!(kind, Simd::SqdmullVector | Simd::SqdmlalVector | Simd::SqdmlslVector) {
        return None;
    }
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    let (d, wide_mask) = (operands.whole_d, operands.wide_mask());
    let (size, q) = (operands.size, &mut operands.saturated);
    Some(signed_narrow!(size, T W => {
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
    }))
}

/// SHLL, PMULL.
fn unlike(kind: Simd, operands: &Operands) -> Option<u128> {
    let (a, b) = (operands.half(operands.n), operands.half(operands.m));
    Some(match kind {
        Simd::Shll => unsigned_narrow!(operands.size, T W => {
            W::map(T::extend(a), |a| a << T::BITS)
        }),
        Simd::Pmull if operands.size == 0 => {
            u16::map2(u8::extend(a), u8::extend(b), |a, b| polynomial_product(a, b) as u16)
        }
        Simd::Pmull => polynomial_product(a, b),
        _ => return None,
    })
}

/// The product of polynomials over {0, 1}.
fn polynomial_product(a: impl Into<u64>, b: impl Into<u64>) -> u128 {
    let (a, b) = (u128::from(a.into()), b.into());
    (0..64).filter(|bit| b >> bit & 1 == 1).fold(0, |sum, bit| sum ^ a << bit)
}

/// ADDHN and its relatives, XTN and its relatives: results of narrow elements.
pub(super) fn narrow(kind: Simd, operands: &mut Operands) -> Option<u128> {
    let half = upper_halves(kind, operands).or_else(|| extracted(kind, operands))?;
    Some(operands.narrowed(half))
}

/// The upper halves of sums and differences.
fn upper_halves(kind: Simd, operands: &Operands) -> Option<u64> {
    let (is_sum, round) = match kind {
        Simd::Addhn => (true, false),
        Simd::Raddhn => (true, true),
        Simd::Subhn => (false, false),
        Simd::Rsubhn => (false, true),
        _ => return None,
    };
    let (a, b) = (operands.whole_n, operands.whole_m);
    Some(unsigned_narrow!(operands.size, T W => {
        let half = W::from(round) << (T::BITS - 1);
        let b = if is_sum { b } else { W::map(b, W::wrapping_neg) };
        let sums = W::map2(a, b, |a, b| a.wrapping_add(b).wrapping_add(half));
        T::narrow(sums, |sum: W| (sum >> T::BITS) as T)
    }))
}

/// Wide elements that are made narrow as they are, or saturated.
fn extracted(kind: Simd, operands: &mut Operands) -> Option<u64> {
    let source = operands.whole_n & operands.wide_mask();
    let (size, q) = (operands.size, &mut operands.saturated);
    Some(match kind {
        Simd::Xtn => unsigned_narrow!(size, T W => T::narrow(source, |a: W| a as T)),
        Simd::Sqxtn => {
            signed_narrow!(size, T W => T::narrow(source, |a: W| T::saturate(a.into(), q)))
        }
        Simd::Uqxtn => {
            unsigned_narrow!(size, T W => T::narrow(source, |a: W| T::saturate(a.into(), q)))
        }
        Simd::Sqxtun => unsigned_narrow!(size, T W => {
            T::narrow(source, |a: W| T::saturate(a.cast_signed().into(), q))
        }),
        _ => return None,
    })
}
