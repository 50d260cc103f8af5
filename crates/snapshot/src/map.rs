//! The memory record: ranges of guest RAM and the list of chunks.

use crate::wire::{array, put, u32_at, u64_at};
use crate::{Digest, Finding, Place, Problem};
use abide_memory::PAGE_SIZE;
use abide_reg::Gpa;
use std::fmt;

/// The size of a chunk, in bytes. The last of a range may be shorter.
pub const CHUNK_SIZE: u64 = 2 << 20;

/// Raw chunks and the memory section begin at multiples of this many bytes in the file, the largest
/// page size of any supported host, so that they can be mapped.
pub const SECTION_ALIGN: u64 = 64 << 10;

/// Other chunks begin at multiples of this many bytes in the file.
pub const PACKED_ALIGN: u64 = 8;

/// The largest number of RAM ranges.
pub const MAX_RANGES: u32 = 64;

/// The largest number of chunks that are not zero: 2 TiB of RAM in use.
pub const MAX_CHUNKS: u64 = 1 << 20;

/// The longest payload of a memory record, in bytes.
pub(crate) const MAX_MAP_LEN: u64 =
    COUNTS_LEN as u64 + MAX_RANGES as u64 * RANGE_LEN as u64 + MAX_CHUNKS * CHUNK_LEN as u64;

const COUNTS_LEN: usize = 16;
const RANGE_LEN: usize = 16;
pub(crate) const CHUNK_LEN: usize = 64;
const GPA_END: u64 = 1 << 52;

/// One contiguous range of guest RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RamRange {
    /// Where it begins.
    pub gpa: Gpa,
    /// Its size in bytes.
    pub size: u64,
}

impl RamRange {
    pub(crate) fn is_possible(self) -> bool {
        self.size != 0
            && self.size.is_multiple_of(PAGE_SIZE)
            && self.gpa.0.is_multiple_of(PAGE_SIZE)
            && self.gpa.0.checked_add(self.size).is_some_and(|end| end <= GPA_END)
    }

    pub(crate) fn end(self) -> u64 {
        self.gpa.0 + self.size
    }

    /// The length of the chunk at `gpa`, or `None` where no chunk of this range begins.
    fn chunk_len(self, gpa: Gpa) -> Option<u64> {
        let offset = gpa.offset_from(self.gpa)?;
        let rest = self.size.checked_sub(offset).filter(|&rest| rest != 0)?;
        offset.is_multiple_of(CHUNK_SIZE).then_some(rest.min(CHUNK_SIZE))
    }
}

/// How a chunk is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding(pub u32);

impl Encoding {
    /// As it is in RAM.
    pub const RAW: Self = Self(1);
    /// One LZ4 block `[lz4 lz4_Block_format.md]`.
    pub const LZ4: Self = Self(2);

    pub(crate) fn align(self) -> u64 {
        if self == Self::RAW { SECTION_ALIGN } else { PACKED_ALIGN }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::RAW => f.pad("raw"),
            Self::LZ4 => f.pad("lz4"),
            Self(other) => write!(f, "encoding {other}"),
        }
    }
}

/// A chunk that is not all zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The guest physical address of its first byte.
    pub gpa: Gpa,
    /// Its size in RAM, in bytes.
    pub len: u32,
    /// Where its stored bytes begin in the file.
    pub offset: u64,
    /// How many bytes are stored.
    pub stored_len: u32,
    /// How they are stored.
    pub encoding: Encoding,
    /// CRC32C of the stored bytes; 0 for [`Encoding::RAW`], whose hash covers the same bytes.
    pub stored_crc: u32,
    /// The hash of the content.
    pub hash: Digest,
}

impl Chunk {
    pub(crate) fn place(&self) -> Place {
        Place::Chunk { gpa: self.gpa }
    }

    pub(crate) fn stored_end(&self) -> u64 {
        self.offset.saturating_add(self.stored_len.into())
    }
}

/// The ranges of guest RAM, and its chunks that are not all zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryMap {
    /// The ranges, ascending.
    pub ranges: Vec<RamRange>,
    /// The chunks, ascending.
    pub chunks: Vec<Chunk>,
}

impl MemoryMap {
    /// The size of all RAM, in bytes.
    #[must_use]
    pub fn ram_size(&self) -> u64 {
        self.ranges.iter().map(|range| range.size).sum()
    }

    /// The payload's length with this many ranges and chunks.
    pub(crate) fn encoded_len(ranges: usize, chunks: usize) -> u64 {
        (COUNTS_LEN + ranges * RANGE_LEN + chunks * CHUNK_LEN) as u64
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let len = COUNTS_LEN + self.ranges.len() * RANGE_LEN + self.chunks.len() * CHUNK_LEN;
        let mut out = Vec::with_capacity(len);
        #[expect(clippy::cast_possible_truncation, reason = "2 MiB")]
        out.extend_from_slice(&(CHUNK_SIZE as u32).to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_RANGES, checked before")]
        out.extend_from_slice(&(self.ranges.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.chunks.len() as u64).to_le_bytes());
        for range in &self.ranges {
            out.extend_from_slice(&range.gpa.0.to_le_bytes());
            out.extend_from_slice(&range.size.to_le_bytes());
        }
        for chunk in &self.chunks {
            let mut bytes = [0; CHUNK_LEN];
            put(&mut bytes, 0, &chunk.gpa.0.to_le_bytes());
            put(&mut bytes, 8, &chunk.offset.to_le_bytes());
            put(&mut bytes, 16, &chunk.stored_len.to_le_bytes());
            put(&mut bytes, 20, &chunk.encoding.0.to_le_bytes());
            put(&mut bytes, 24, &chunk.stored_crc.to_le_bytes());
            put(&mut bytes, 32, &chunk.hash.0);
            out.extend_from_slice(&bytes);
        }
        out
    }

    /// Reads the payload that stands at byte `at` of the file, up to the first thing that is wrong.
    /// A chunk of an unknown encoding is only noted: all else about it is known.
    pub(crate) fn decode(
        payload: &[u8],
        at: u64,
        place: Place,
    ) -> Result<(Self, Vec<Finding>), Finding> {
        let wrong = |problem| Finding::new(place, at, problem);
        let found = payload.len() as u64;
        if payload.len() < COUNTS_LEN {
            return Err(wrong(Problem::PayloadLen { found, allowed: COUNTS_LEN as u64 }));
        }
        let (chunk_size, ranges) = (u32_at(payload, 0), u32_at(payload, 4));
        if u64::from(chunk_size) != CHUNK_SIZE {
            #[expect(clippy::cast_possible_truncation, reason = "2 MiB")]
            let allowed = CHUNK_SIZE as u32;
            return Err(wrong(Problem::ChunkSize { found: chunk_size, allowed }));
        }
        if ranges == 0 || ranges > MAX_RANGES {
            return Err(wrong(Problem::RangeCount { found: ranges, allowed: MAX_RANGES }));
        }
        let ranges_len = ranges as usize * RANGE_LEN;
        // Both counts only ever choose among lengths that the payload really has.
        let allowed = u64_at(payload, 8)
            .saturating_mul(CHUNK_LEN as u64)
            .saturating_add((COUNTS_LEN + ranges_len) as u64);
        if found != allowed {
            return Err(wrong(Problem::PayloadLen { found, allowed }));
        }
        let (head, chunks) = payload.split_at(COUNTS_LEN + ranges_len);
        let ranges = decode_ranges(&head[COUNTS_LEN..], at + COUNTS_LEN as u64)?;
        let (chunks, noted) = decode_chunks(chunks, at + head.len() as u64, &ranges)?;
        Ok((Self { ranges, chunks }, noted))
    }

    /// Where the chunks' bytes end, if they begin after `metadata_end`: each stands at the first
    /// place that its alignment allows.
    pub(crate) fn check_offsets(&self, metadata_end: u64, list_at: u64) -> Result<u64, Finding> {
        let mut end = metadata_end;
        let mut align = SECTION_ALIGN;
        for (chunk, index) in self.chunks.iter().zip(0u64..) {
            let allowed = end.next_multiple_of(chunk.encoding.align().max(align));
            if chunk.offset != allowed {
                let at = list_at + index * CHUNK_LEN as u64 + 8;
                let problem = Problem::ChunkOffset { found: chunk.offset, allowed };
                return Err(Finding::new(chunk.place(), at, problem));
            }
            end = chunk.stored_end();
            align = 1;
        }
        Ok(end)
    }

    /// Where the list of chunks begins within the payload.
    pub(crate) fn list_start(&self) -> u64 {
        (COUNTS_LEN + self.ranges.len() * RANGE_LEN) as u64
    }
}

fn decode_ranges(bytes: &[u8], at: u64) -> Result<Vec<RamRange>, Finding> {
    let mut ranges: Vec<RamRange> = Vec::new();
    for (bytes, index) in bytes.chunks_exact(RANGE_LEN).zip(0u64..) {
        let range = RamRange { gpa: Gpa(u64_at(bytes, 0)), size: u64_at(bytes, 8) };
        let after = ranges.last().is_none_or(|last| last.end() <= range.gpa.0);
        if !range.is_possible() || !after {
            let problem = Problem::Range { gpa: range.gpa, size: range.size };
            let offset = at + index * RANGE_LEN as u64;
            return Err(Finding::new(Place::Range { index }, offset, problem));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

fn decode_chunks(
    bytes: &[u8],
    at: u64,
    ranges: &[RamRange],
) -> Result<(Vec<Chunk>, Vec<Finding>), Finding> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut noted = Vec::new();
    let mut ranges_left = ranges.iter().peekable();
    for (bytes, index) in bytes.chunks_exact(CHUNK_LEN).zip(0u64..) {
        let gpa = Gpa(u64_at(bytes, 0));
        let offset = at + index * CHUNK_LEN as u64;
        let wrong = |problem| Finding::new(Place::Chunk { gpa }, offset, problem);
        while ranges_left.next_if(|range| range.end() <= gpa.0).is_some() {}
        let ascends = chunks.last().is_none_or(|last| last.gpa < gpa);
        let len = ranges_left.peek().and_then(|range| range.chunk_len(gpa));
        let len = len.filter(|_| ascends).and_then(|len| u32::try_from(len).ok());
        let chunk = Chunk {
            gpa,
            len: len.ok_or_else(|| wrong(Problem::ChunkGpa))?,
            offset: u64_at(bytes, 8),
            stored_len: u32_at(bytes, 16),
            encoding: Encoding(u32_at(bytes, 20)),
            stored_crc: u32_at(bytes, 24),
            hash: Digest(array(bytes, 32)),
        };
        let found = chunk.stored_len;
        let allowed = match chunk.encoding {
            Encoding::RAW if found != chunk.len => Some("as many as the chunk has"),
            Encoding::LZ4 if found >= chunk.len => Some("fewer than the chunk has"),
            _ if found == 0 || found > chunk.len => Some("1 to as many as the chunk has"),
            _ => None,
        };
        if let Some(allowed) = allowed {
            return Err(wrong(Problem::StoredLen { found, allowed }));
        }
        let raw_crc = chunk.encoding == Encoding::RAW && chunk.stored_crc != 0;
        if raw_crc || u32_at(bytes, 28) != 0 {
            return Err(wrong(Problem::Reserved));
        }
        if !matches!(chunk.encoding, Encoding::RAW | Encoding::LZ4) {
            noted.push(wrong(Problem::Encoding { found: chunk.encoding.0 }));
        }
        chunks.push(chunk);
    }
    Ok((chunks, noted))
}
