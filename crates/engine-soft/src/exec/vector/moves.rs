//! Elements moved, repeated and looked up.

use super::Operands;
use super::lanes::{Lane, unsigned};
use crate::cpu::Cpu;
use crate::decode::fields;
use crate::lower::slot;

/// A vector full of one element.
pub(super) fn broadcast(vector: u128, size: u32, index: u32) -> u128 {
    let place = index << (size + 3);
    unsigned!(size, T => {
        let element = (vector >> place) as T;
        T::map(0, |_| element)
    })
}

/// Size and index of the element that imm5 names: log2 of its bytes, and its number.
fn named(word: u32) -> (u32, u32) {
    let imm5 = fields::bits(word, 20, 16);
    let size = imm5.trailing_zeros().min(3);
    (size, imm5 >> (size + 1))
}

/// One element of a vector.
const fn element(vector: u128, size: u32, index: u32) -> u64 {
    let bits = 8 << size;
    (vector >> (index * bits)) as u64 & (u64::MAX >> (64 - bits))
}

/// SMOV.
pub(super) fn to_general(cpu: &mut Cpu, word: u32) {
    let (size, index) = named(word);
    let value = element(cpu.v[usize::from(fields::rn(word))], size, index);
    let unused = 64 - (8 << size);
    let extended = ((value << unused).cast_signed() >> unused).cast_unsigned();
    let width = if fields::bit(word, 30) { u64::MAX } else { u64::from(u32::MAX) };
    let register = match fields::rd(word) {
        slot::ZERO => slot::SINK,
        register => register,
    };
    cpu.x[usize::from(register)] = extended & width;
}

/// TBX: bytes of one to four vectors; of Vd where an index is beyond them.
pub(super) fn looked_up(cpu: &Cpu, operands: &Operands) -> u128 {
    let first = usize::from(fields::rn(operands.word));
    let count = fields::bits(operands.word, 14, 13) as usize + 1;
    let mut table = [0; 64];
    let (vectors, _) = table.as_chunks_mut::<16>();
    for (number, bytes) in vectors.iter_mut().enumerate() {
        *bytes = cpu.v[(first + number) % 32].to_le_bytes();
    }
    let table = &table[..16 * count];
    let value = u8::map2(operands.whole_m, operands.whole_d, |index, otherwise| {
        table.get(usize::from(index)).copied().unwrap_or(otherwise)
    });
    if fields::bit(operands.word, 30) { value } else { u128::from(value as u64) }
}
