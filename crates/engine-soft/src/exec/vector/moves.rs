//! Elements moved, repeated, interleaved and looked up.

use super::Operands;
use super::lanes::{Lane, unsigned};
use crate::cpu::Cpu;
use crate::decode::{Simd, fields};
use crate::lower::slot;

/// A vector full of one element.
pub(super) fn broadcast(vector: u128, size: u32, index: u32) -> u128 {
    let place = index << (size + 3);
    unsigned!(size, T => {
        let element = (vector >> place) as T;
        T::map(0, |_| element)
    })
}

impl Operands {
    /// Vn and Vm end to end, as two vectors; short ones make one vector of both.
    pub(super) const fn end_to_end(&self) -> (u128, u128) {
        if self.mask == u128::MAX { (self.n, self.m) } else { (self.m << 64 | self.n, 0) }
    }
}

/// ZIP, UZP, TRN.
pub(super) fn permuted(kind: Simd, operands: &Operands) -> u128 {
    let Operands { n, m, size, .. } = *operands;
    let (low, high) = operands.end_to_end();
    match kind {
        Simd::Uzp1 => unsigned!(size, T => T::unzip(low, high, false)),
        Simd::Uzp2 => unsigned!(size, T => T::unzip(low, high, true)),
        Simd::Trn1 => unsigned!(size, T => T::transpose(n, m, false)),
        Simd::Trn2 => unsigned!(size, T => T::transpose(n, m, true)),
        Simd::Zip1 => unsigned!(size, T => T::zip(n, m, false)),
        // All of two short vectors fits into a long one.
        Simd::Zip2 if !operands.is_upper() => unsigned!(size, T => T::zip(n, m, false)) >> 64,
        _ => unsigned!(size, T => T::zip(n, m, true)),
    }
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

/// UMOV and SMOV.
pub(super) fn to_general(cpu: &mut Cpu, kind: Simd, word: u32) {
    let (size, index) = named(word);
    let value = element(cpu.v[usize::from(fields::rn(word))], size, index);
    let unused = 64 - (8 << size);
    let extended = ((value << unused).cast_signed() >> unused).cast_unsigned();
    let value = match (kind == Simd::Smov, fields::bit(word, 30)) {
        (false, _) => value,
        (true, true) => extended,
        (true, false) => extended & u64::from(u32::MAX),
    };
    let register = match fields::rd(word) {
        slot::ZERO => slot::SINK,
        register => register,
    };
    cpu.x[usize::from(register)] = value;
}

/// DUP, INS, EXT, TBL, TBX.
pub(super) fn result(cpu: &Cpu, kind: Simd, operands: &Operands) -> u128 {
    let word = operands.word;
    let (size, index) = named(word);
    let general = || cpu.x[usize::from(fields::rn(word))];
    match kind {
        Simd::DupElement if operands.is_scalar() => element(operands.whole_n, size, index).into(),
        Simd::DupElement => broadcast(operands.whole_n, size, index) & operands.vector_mask(),
        Simd::DupGeneral => broadcast(general().into(), size, 0) & operands.vector_mask(),
        Simd::InsGeneral => inserted(operands.whole_d, size, index, general()),
        Simd::InsElement => {
            let from = fields::bits(word, 14, 11) >> size;
            let value = element(operands.whole_n, size, from);
            inserted(operands.whole_d, size, index, value)
        }
        Simd::Ext => extracted(cpu, operands),
        Simd::Tbl => looked_up(cpu, operands, 0),
        _ => looked_up(cpu, operands, operands.whole_d),
    }
}

impl Operands {
    /// The bits of a long or a short vector.
    fn vector_mask(&self) -> u128 {
        if fields::bit(self.word, 30) { u128::MAX } else { u64::MAX.into() }
    }
}

/// The vector with another element at `index`.
const fn inserted(vector: u128, size: u32, index: u32, value: u64) -> u128 {
    let bits = 8 << size;
    let mask = (u64::MAX >> (64 - bits)) as u128;
    vector & !(mask << (index * bits)) | (value as u128 & mask) << (index * bits)
}

/// EXT: bytes from the middle of two vectors end to end.
fn extracted(cpu: &Cpu, operands: &Operands) -> u128 {
    let m = cpu.v[usize::from(fields::rm(operands.word))];
    let place = 8 * fields::bits(operands.word, 14, 11);
    if operands.is_upper() {
        operands.whole_n >> place | m.unbounded_shl(128 - place)
    } else {
        let both = m << 64 | operands.whole_n & u128::from(u64::MAX);
        both >> place & u128::from(u64::MAX)
    }
}

/// TBL, TBX: bytes of one to four vectors; `otherwise` where an index is beyond them.
fn looked_up(cpu: &Cpu, operands: &Operands, otherwise: u128) -> u128 {
    let first = usize::from(fields::rn(operands.word));
    let count = fields::bits(operands.word, 14, 13) as usize + 1;
    let mut table = [0; 64];
    let (vectors, _) = table.as_chunks_mut::<16>();
    for (number, bytes) in vectors.iter_mut().enumerate() {
        *bytes = cpu.v[(first + number) % 32].to_le_bytes();
    }
    let table = &table[..16 * count];
    let indices = cpu.v[usize::from(fields::rm(operands.word))];
    let value = u8::map2(indices, otherwise, |index, otherwise| {
        table.get(usize::from(index)).copied().unwrap_or(otherwise)
    });
    value & operands.vector_mask()
}
