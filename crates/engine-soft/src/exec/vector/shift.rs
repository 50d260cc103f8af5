//! Shifts, by an immediate and by a register.

use super::Operands;
use super::lanes::{Lane, Narrow, signed, signed_narrow, unsigned, unsigned_narrow};
use crate::decode::{Simd, fields};

impl Operands {
    /// immh:immb.
    fn shift_field(&self) -> u32 {
        fields::bits(self.word, 22, 16)
    }

    /// By how much to shift right: 1 to the size of an element.
    fn right(&self) -> u32 {
        (16 << self.size) - self.shift_field()
    }

    /// By how much to shift left: less than the size of an element.
    fn left(&self) -> u32 {
        self.shift_field() - (8 << self.size)
    }
}

/// Shifts of elements by an immediate that keep their size.
pub(super) fn by_immediate(kind: Simd, operands: &mut Operands) -> u128 {
    match kind {
        Simd::Srshr | Simd::Srsra => right_signed(kind, operands),
        Simd::Urshr | Simd::Ursra => right_unsigned(kind, operands),
        _ => left_saturating(kind, operands),
    }
}

/// Rounded. The sum is 0 for instructions that do not accumulate.
fn right_signed(kind: Simd, operands: &Operands) -> u128 {
    let (n, by) = (operands.n, operands.right());
    let d = if kind == Simd::Srsra { operands.d } else { 0 };
    signed!(operands.size, T => T::map2(d, n, |d, a| {
        d.wrapping_add(a.unbounded_shr(by)).wrapping_add(a >> (by - 1) & 1)
    }))
}

fn right_unsigned(kind: Simd, operands: &Operands) -> u128 {
    let (n, by) = (operands.n, operands.right());
    let d = if kind == Simd::Ursra { operands.d } else { 0 };
    unsigned!(operands.size, T => T::map2(d, n, |d, a| {
        d.wrapping_add(a.unbounded_shr(by)).wrapping_add(a >> (by - 1) & 1)
    }))
}

fn left_saturating(kind: Simd, operands: &mut Operands) -> u128 {
    let (n, size, by) = (operands.n, operands.size, operands.left());
    let q = &mut operands.saturated;
    match kind {
        Simd::SqshlImmediate => {
            signed!(size, T => T::map(n, |a| T::saturate(i128::from(a) << by, q)))
        }
        Simd::UqshlImmediate => {
            unsigned!(size, T => T::map(n, |a| T::saturate(i128::from(a) << by, q)))
        }
        _ => unsigned!(size, T => {
            T::map(n, |a| T::saturate(i128::from(a.cast_signed()) << by, q))
        }),
    }
}

/// Shifts by the lowest byte of each element of Vm, a signed number: to the left where it is
/// positive.
pub(super) fn by_register(kind: Simd, operands: &mut Operands) -> u128 {
    let (n, m, size, q) = (operands.n, operands.m, operands.size, &mut operands.saturated);
    let round = matches!(kind, Simd::Srshl | Simd::Urshl | Simd::Sqrshl | Simd::Uqrshl);
    match kind {
        Simd::Sshl | Simd::Srshl => signed!(size, T => {
            T::map2(n, m, |a, by| shifted(a.into(), by.into(), round) as T)
        }),
        Simd::Ushl | Simd::Urshl => unsigned!(size, T => {
            T::map2(n, m, |a, by| shifted(a.into(), by.into(), round) as T)
        }),
        Simd::SqshlRegister | Simd::Sqrshl => signed!(size, T => T::map2(n, m, |a, by| {
            T::saturate(shifted_far(a.into(), by.into(), round, T::BITS), q)
        })),
        _ => unsigned!(size, T => T::map2(n, m, |a, by| {
            T::saturate(shifted_far(a.into(), by.into(), round, T::BITS), q)
        })),
    }
}

/// An element of at most 64 bits, shifted by the lowest byte of another; the low 64 bits are right.
const fn shifted(value: i128, by: i128, round: bool) -> i128 {
    let by = by as i8;
    let right = by.unsigned_abs() as u32;
    match (by < 0, round) {
        (false, _) => value << by,
        (true, false) if right > 127 => value >> 127,
        (true, false) => value >> right,
        // Half of what is shifted out is more than the element.
        (true, true) if right > 64 => 0,
        (true, true) => (value + (1 << (right - 1))) >> right,
    }
}

/// The same for a result that is to be saturated: too large where the exact one is.
const fn shifted_far(value: i128, by: i128, round: bool, bits: u32) -> i128 {
    let left = by as i8;
    if left >= 0 && left as u32 >= bits {
        value.signum() * i128::MAX
    } else {
        shifted(value, by, round)
    }
}

/// Wide elements, shifted right and made narrow.
pub(super) fn narrow(kind: Simd, operands: &mut Operands) -> u128 {
    // The highest bit that is shifted out is added to what is kept.
    let round =
        u8::from(matches!(kind, Simd::Rshrn | Simd::Sqrshrn | Simd::Uqrshrn | Simd::Sqrshrun));
    let (source, by) = (operands.whole_n & operands.wide_mask(), operands.right());
    let (size, q) = (operands.size, &mut operands.saturated);
    let half = match kind {
        Simd::Rshrn => {
            unsigned_narrow!(size, T W => T::narrow(source, |a: W| {
                (a >> by).wrapping_add(a >> (by - 1) & W::from(round)) as T
            }))
        }
        Simd::Sqshrn | Simd::Sqrshrn => {
            signed_narrow!(size, T W => T::narrow(source, |a: W| {
                T::saturate(i128::from(a >> by) + i128::from(a >> (by - 1) & W::from(round)), q)
            }))
        }
        Simd::Uqshrn | Simd::Uqrshrn => {
            unsigned_narrow!(size, T W => T::narrow(source, |a: W| {
                T::saturate(i128::from(a >> by) + i128::from(a >> (by - 1) & W::from(round)), q)
            }))
        }
        _ => {
            unsigned_narrow!(size, T W => T::narrow(source, |a: W| {
                let (a, round) = (a.cast_signed(), W::from(round).cast_signed());
                T::saturate(i128::from(a >> by) + i128::from(a >> (by - 1) & round), q)
            }))
        }
    };
    operands.narrowed(half)
}
