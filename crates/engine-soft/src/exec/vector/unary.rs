//! Instructions with one source: bits of elements, their order, sums of neighbours, estimates.

use super::Operands;
use super::lanes::{Lane, signed, signed_narrow, unsigned, unsigned_narrow};
use crate::decode::Simd;
use crate::float::{reciprocal, reciprocal_root};

/// Instructions on the elements of one vector that neither saturate nor change their size.
pub(super) fn result(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, size, .. } = *operands;
    match kind {
        Simd::Abs => signed!(size, T => T::map(n, T::wrapping_abs)),
        Simd::ClsVector => {
            signed!(size, T => T::map(n, |a| ((a ^ (a >> 1)).leading_zeros() - 1) as T))
        }
        Simd::ClzVector => unsigned!(size, T => T::map(n, |a| a.leading_zeros() as T)),
        Simd::RbitVector => u8::map(n, u8::reverse_bits),
        Simd::Urecpe => u32::map(n, unsigned_recip_estimate),
        _ => u32::map(n, unsigned_rsqrt_estimate),
    }
}

/// Sums of each two neighbours, of twice the width.
pub(super) fn neighbours(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, d, size, .. } = *operands;
    let sums = match kind {
        Simd::Saddlp | Simd::Sadalp => signed_narrow!(size, T W => {
            W::map(n, |pair| W::from(pair as T) + W::from((pair >> T::BITS) as T))
        }),
        _ => unsigned_narrow!(size, T W => {
            W::map(n, |pair| W::from(pair as T) + W::from((pair >> T::BITS) as T))
        }),
    };
    let is_sum = matches!(kind, Simd::Sadalp | Simd::Uadalp);
    let wide = size + 1;
    if is_sum { unsigned!(wide, T => T::map2(d, sums, T::wrapping_add)) } else { sums }
}

/// [DDI0487 J1 UnsignedRecipEstimate].
const fn unsigned_recip_estimate(operand: u32) -> u32 {
    if operand >> 31 == 0 { u32::MAX } else { reciprocal(operand >> 23) << 23 }
}

/// [DDI0487 J1 UnsignedRSqrtEstimate].
const fn unsigned_rsqrt_estimate(operand: u32) -> u32 {
    if operand >> 30 == 0 { u32::MAX } else { reciprocal_root(operand >> 23) << 23 }
}
