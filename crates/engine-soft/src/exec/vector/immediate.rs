//! Immediates of eight bits, spread over a vector.

use super::Operands;
use super::moves::broadcast;
use crate::decode::{Simd, fields};

/// MOVI, MVNI, ORR and BIC with an immediate.
pub(super) fn result(kind: Simd, operands: &Operands) -> u128 {
    let Operands { whole_d, word, .. } = *operands;
    let value = match kind {
        Simd::Movi => expanded(word),
        Simd::Mvni => !expanded(word),
        Simd::OrrVectorImmediate => whole_d | expanded(word),
        _ => whole_d & !expanded(word),
    };
    let mask = if fields::bit(word, 30) { u128::MAX } else { u64::MAX.into() };
    value & mask
}

/// The immediate in each element [DDI0487 J1 AdvSIMDExpandImm]; of a floating-point one not.
fn expanded(word: u32) -> u128 {
    let byte = u128::from(fields::bits(word, 18, 16) << 5 | fields::bits(word, 9, 5));
    let cmode = fields::bits(word, 15, 12);
    match cmode {
        0..8 => broadcast(byte << (8 * (cmode >> 1)), 2, 0),
        8..12 => broadcast(byte << (8 * (cmode >> 1 & 1)), 1, 0),
        12 => broadcast(byte << 8 | 0xff, 2, 0),
        13 => broadcast(byte << 16 | 0xffff, 2, 0),
        _ if !fields::bit(word, 29) => broadcast(byte, 0, 0),
        _ => {
            // Each bit of the immediate is a byte.
            let bytes = (0..8).map(|bit| ((byte >> bit & 1) * 0xff) << (8 * bit));
            broadcast(bytes.fold(0, |all, byte| all | byte), 3, 0)
        }
    }
}
