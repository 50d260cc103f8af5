//! The whole table, and the way from a word to its line.

use std::sync::LazyLock;

use super::cube::Cube;
use super::entry::Entry;
use super::kind::Kind;
use super::{
    advsimd_crypto, advsimd_indexed, advsimd_permute, advsimd_scalar, advsimd_shift,
    advsimd_three_different, advsimd_three_same, advsimd_two_register, atomic, branches_system,
    data_processing_immediate, data_processing_register, loads_stores, scalar_fp,
    simd_fp_loads_stores, structures, unimplemented,
};

/// The parts of the table, in the order of [DDI0487 C4.1].
static PARTS: [&[Entry]; 17] = [
    unimplemented::ENTRIES,
    data_processing_immediate::ENTRIES,
    branches_system::ENTRIES,
    data_processing_register::ENTRIES,
    loads_stores::ENTRIES,
    atomic::ENTRIES,
    structures::ENTRIES,
    simd_fp_loads_stores::ENTRIES,
    scalar_fp::ENTRIES,
    advsimd_scalar::ENTRIES,
    advsimd_permute::ENTRIES,
    advsimd_three_same::ENTRIES,
    advsimd_two_register::ENTRIES,
    advsimd_three_different::ENTRIES,
    advsimd_shift::ENTRIES,
    advsimd_indexed::ENTRIES,
    advsimd_crypto::ENTRIES,
];

/// Every line of the table.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    PARTS.into_iter().flatten()
}

/// What the instruction word means. Total: there is no word without an answer.
#[must_use]
pub fn decode(word: u32) -> Kind {
    lookup(word).kind()
}

/// The line of the table that claims `word`.
#[must_use]
pub fn lookup(word: u32) -> &'static Entry {
    let index = &*INDEX;
    let bucket = (word >> BUCKET_SHIFT) as usize;
    let range = index.starts[bucket] as usize..index.starts[bucket + 1] as usize;
    index.lines[range].iter().find(|line| line.contains(word)).unwrap_or(&&NO_LINE)
}

/// The answer for a word that no line claims. The tests prove that there is none; it stands here
/// so that a hole made by a later edit is UNDEFINED to the guest and not a panic of the host.
static NO_LINE: Entry = Entry::new("no line of the table", Cube::ALL, &[], Kind::Unallocated, "");

/// Bits 31:21 choose the bucket: the encoding classes are told apart there, almost always.
const BUCKET_SHIFT: u32 = 21;
const BUCKETS: u32 = 1 << (32 - BUCKET_SHIFT);

/// For each bucket the lines that meet it.
struct Index {
    /// Where each bucket's lines start in `lines`; one more than there are buckets.
    starts: Vec<u32>,
    lines: Vec<&'static Entry>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index { starts: vec![0], lines: Vec::new() };
    for bucket in 0..BUCKETS {
        let words = Cube::high_bits(bucket << BUCKET_SHIFT, 32 - BUCKET_SHIFT);
        index.lines.extend(entries().filter(|line| line.pattern().meets(words)));
        index.starts.push(u32::try_from(index.lines.len()).unwrap_or(u32::MAX));
    }
    index
});

#[cfg(test)]
mod tests;
