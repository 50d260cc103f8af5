//! The hash over the whole guest state.

use crate::live::{LiveRam, RamError};
use crate::map::{CHUNK_SIZE, RamRange};
use crate::parallel::{Buffers, in_order};
use crate::{Digest, ScopeField, UnitRecord};
use abide_memory::{GuestRam, MemoryError};
use abide_reg::codec::{self, CodecError};
use abide_reg::{Class, Entry, Gpa, Name};
use std::path::PathBuf;
use std::sync::OnceLock;
use thiserror::Error;

/// What is hashed first, so that no other hash of abide's can be the same.
const DOMAIN: &[u8; 16] = b"abide state 1\0\0\0";

/// Why the state could not be hashed.
#[derive(Debug, Error)]
pub enum HashError {
    /// A unit's registers cannot be written as bytes.
    #[error("unit `{unit}`: {source}")]
    Registers {
        /// The unit.
        unit: Name,
        /// What is wrong.
        source: CodecError,
    },
    /// Guest RAM cannot be read.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// RAM is not in the file.
    #[error("memory is not in the file, but in {}", path.display())]
    Elsewhere {
        /// Where it is.
        path: PathBuf,
    },
}

/// The hash over the state of a machine that is not running: every register of every unit, and all
/// of its RAM.
///
/// Neither the order of units and registers nor their classes nor which zero pages are present
/// make a difference. The same machine read back from a file has the same hash
/// ([`crate::Reader::state_hash`]). `docs/state-format.md` has the layout.
///
/// # Errors
/// [`HashError`]
pub fn state_hash<'a>(
    units: impl IntoIterator<Item = &'a UnitRecord>,
    rams: &[&GuestRam],
) -> Result<Digest, HashError> {
    let live = LiveRam::scan(rams)?;
    combine(units, &live.ranges(), hash_chunks(&live)?)
}

/// The hash over RAM alone, of a machine that is not running: the state hash of a machine without
/// registers.
///
/// # Errors
/// [`HashError`]
pub fn ram_hash(ram: &GuestRam) -> Result<Digest, HashError> {
    state_hash([], &[ram])
}

fn hash_chunks(live: &LiveRam<'_>) -> Result<Vec<(Gpa, u32, Digest)>, RamError> {
    let mut chunks = Vec::with_capacity(live.chunks.len());
    let buffers = Buffers::default();
    let hash = |index: usize| {
        let content = live.read(&live.chunks[index], buffers.take())?;
        let hash = Digest::of(&content);
        buffers.give(content);
        Ok(hash)
    };
    in_order(live.chunks.len(), hash, |index, hash: Result<_, MemoryError>| {
        let chunk = &live.chunks[index];
        let len = u32::try_from(chunk.len).map_err(|_| RamError::Ranges)?;
        chunks.push((chunk.gpa, len, hash.map_err(RamError::from)?));
        Ok::<_, RamError>(())
    })?;
    Ok(chunks)
}

/// The hash over units, ranges and chunks; chunks that are zero after all are left out.
pub(crate) fn combine<'a>(
    units: impl IntoIterator<Item = &'a UnitRecord>,
    ranges: &[RamRange],
    chunks: impl IntoIterator<Item = (Gpa, u32, Digest)>,
) -> Result<Digest, HashError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN);
    // A volatile record tells of a host: the same guest on another has another.
    let of_guest = units.into_iter().filter(|unit| unit.class != Class::Volatile);
    let mut sorted = of_guest.map(canonical).collect::<Result<Vec<_>, _>>()?;
    sorted.sort();
    hasher.update(&(sorted.len() as u64).to_le_bytes());
    for (unit, scope, registers) in &sorted {
        let mut name = [0; 32];
        name[..unit.as_bytes().len()].copy_from_slice(unit.as_bytes());
        hasher.update(&name);
        hasher.update(&u32::from(scope.kind).to_le_bytes());
        hasher.update(&scope.index.to_le_bytes());
        hasher.update(&(registers.len() as u64).to_le_bytes());
        hasher.update(registers);
    }
    hasher.update(&(ranges.len() as u64).to_le_bytes());
    for range in ranges {
        hasher.update(&range.gpa.0.to_le_bytes());
        hasher.update(&range.size.to_le_bytes());
    }
    let filled = chunks.into_iter().filter(|&(_, len, hash)| hash != zero_hash(len));
    let filled: Vec<_> = filled.collect();
    hasher.update(&(filled.len() as u64).to_le_bytes());
    for (gpa, _, hash) in filled {
        hasher.update(&gpa.0.to_le_bytes());
        hasher.update(&hash.0);
    }
    Ok(hasher.finalize().into())
}

/// A unit's key and its registers as bytes: without class, sorted by those bytes.
fn canonical(unit: &UnitRecord) -> Result<(Name, ScopeField, Vec<u8>), HashError> {
    let mut registers = unit
        .entries
        .iter()
        .map(|entry| codec::encode(&[Entry::new(entry.id, Class::Mandatory, entry.value.clone())]))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| HashError::Registers { unit: unit.unit, source })?;
    registers.sort();
    Ok((unit.unit, unit.scope.into(), registers.concat()))
}

/// The hash of `len` zeros.
fn zero_hash(len: u32) -> Digest {
    static WHOLE: OnceLock<Digest> = OnceLock::new();
    let hash = || Digest::of(&vec![0; len as usize]);
    if u64::from(len) == CHUNK_SIZE { *WHOLE.get_or_init(hash) } else { hash() }
}
