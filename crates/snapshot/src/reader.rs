//! Restoring from a file.

use crate::chunk::read_chunk;
use crate::container::{Body, Container, OpenError};
use crate::finding::Finding;
use crate::hash::{self, HashError};
use crate::map::{Chunk, RamRange};
use crate::parallel::{Buffers, in_order};
use crate::source::Source;
use crate::wire::is_zero;
use crate::{Digest, ForeignRecord, Head, Record, Snapshot, UnitRecord};
use abide_memory::{GuestRam, MemoryError, RamOffset};
use abide_reg::Gpa;
use std::ops::Range;
use std::path::Path;
use thiserror::Error;

/// Why a file cannot be restored.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be looked into at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something in it is damaged, or not for this version.
    #[error(transparent)]
    Found(#[from] Finding),
}

impl ReadError {
    /// What was found in the file, if it could be opened.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Open(OpenError::Header(finding)) | Self::Found(finding) => Some(finding),
            Self::Open(OpenError::Host { .. }) => None,
        }
    }
}

/// Why guest RAM could not be restored. What it holds then is not defined: throw it away.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The file has no such range of RAM.
    #[error("{size:#x} bytes of RAM at {gpa}: the file has no such range, but {found}")]
    Range {
        /// Where the range begins.
        gpa: Gpa,
        /// Its size in bytes.
        size: u64,
        /// The ranges of the file, in words.
        found: String,
    },
    /// A chunk is damaged.
    #[error(transparent)]
    Found(#[from] Finding),
    /// The range cannot be written.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The host does not tell which pages are present.
    #[error("the host does not tell which pages of guest RAM are present: {0}")]
    Host(#[from] std::io::Error),
    /// RAM that is to come later holds something already.
    #[error("guest RAM at {gpa} is not fresh, so its content cannot come later")]
    NotFresh {
        /// Where the range begins.
        gpa: Gpa,
    },
    /// The host did not bring pages that were there to be brought.
    #[error("RAM chunk at {gpa}: the host does not bring its pages: {source}")]
    Bring {
        /// The guest physical address of its first byte.
        gpa: Gpa,
        /// What the host said.
        source: std::io::Error,
    },
}

/// A file that this version can restore. Its metadata is checked; RAM is checked as it is read.
///
/// ```
/// use abide_memory::GuestRam;
/// use abide_reg::Gpa;
/// use abide_snapshot::{Architecture, Compression, Header, Reader, Snapshot, write_to};
///
/// let ram = GuestRam::new(Gpa(0x4000_0000), 4 << 20)?;
/// ram.write(Gpa(0x4012_3000), b"kept")?;
/// let snapshot = Snapshot { header: Header::new(Architecture::AARCH64), records: vec![] };
/// let mut file = Vec::new();
/// write_to(&mut file, &snapshot, &[&ram], Compression::Lz4)?;
///
/// let reader = Reader::from_bytes(file)?;
/// let again = GuestRam::new(Gpa(0x4000_0000), 4 << 20)?;
/// reader.restore_memory(&again)?;
/// let mut bytes = [0; 4];
/// again.read(Gpa(0x4012_3000), &mut bytes)?;
/// assert_eq!(&bytes, b"kept");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    container: Container,
    snapshot: Snapshot,
}

impl Reader {
    /// Opens a file to restore it.
    ///
    /// # Errors
    /// [`ReadError`] with the first thing that is wrong.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::from_container(Container::open(path)?)
    }

    /// As [`Self::open`], of bytes that are already here.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ReadError> {
        Self::from_container(Container::from_bytes(bytes)?)
    }

    /// As [`Self::open`], of any source.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_source(source: Box<dyn Source>) -> Result<Self, ReadError> {
        Self::from_container(Container::from_source(source)?)
    }

    /// As [`Self::open`], of what was looked into already.
    ///
    /// # Errors
    /// [`ReadError::Found`].
    pub fn from_container(mut container: Container) -> Result<Self, ReadError> {
        if let Some(finding) = container.findings.first() {
            return Err(finding.clone().into());
        }
        let mut records = Vec::new();
        for located in &mut container.records {
            let head = &located.head;
            match (&mut located.body, head.scope.known(), head.class()) {
                (Body::Unit(entries), Some(scope), Some(class)) => {
                    let entries = entries.clone();
                    records.push(UnitRecord { unit: head.unit, scope, class, entries }.into());
                }
                (Body::Right(right), ..) => records.push(Record::Right(*right)),
                (Body::Kept(kept), ..) => records.push(Record::Kept(kept.clone())),
                (Body::Foreign(payload), ..) => {
                    let head = Head { payload_len: 0, payload_crc: 0, ..head.clone() };
                    records.push(Record::Foreign(ForeignRecord { head, payload: payload.clone() }));
                }
                _ => {}
            }
        }
        let snapshot = Snapshot { header: container.header.clone(), records };
        Ok(Self { container, snapshot })
    }

    /// The header and the records.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The file behind it, for [`crate::inspect()`], [`crate::diff()`] and [`crate::verify()`].
    #[must_use]
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// The digest over metadata and chunk list, which names this very file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.container.end.map(|end| end.digest).unwrap_or_default()
    }

    /// The ranges of guest RAM, ascending; none where the file holds no RAM.
    #[must_use]
    pub fn ram_ranges(&self) -> &[RamRange] {
        self.container.map.as_ref().map_or(&[], |map| &map.ranges)
    }

    /// The chunks of guest RAM that are not all zero, ascending. Those of [`crate::Encoding::RAW`]
    /// can be mapped where they stand.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        self.container.map.as_ref().map_or(&[], |map| &map.chunks)
    }

    /// Reads one of [`Self::chunks`] and checks it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_chunk(&self, chunk: &Chunk) -> Result<Vec<u8>, Finding> {
        read_chunk(&*self.container.source, chunk, &Buffers::default())
    }

    /// Makes `ram`, which must be one of [`Self::ram_ranges`], hold what the file says. Pages that
    /// are zero stay absent.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub fn restore_memory(&self, ram: &GuestRam) -> Result<(), RestoreError> {
        let chunks = self.chunks_of(ram)?;
        clear(ram)?;
        let (source, buffers) = (&*self.container.source, Buffers::default());
        let restore = |index: usize| -> Result<(), RestoreError> {
            let chunk = &chunks[index];
            let content = read_chunk(source, chunk, &buffers)?;
            write_runs(ram, chunk.gpa, &content)?;
            buffers.give(content);
            Ok(())
        };
        in_order(chunks.len(), restore, |_, restored| restored)
    }

    /// The chunks in `ram`, which must be one of [`Self::ram_ranges`].
    pub(crate) fn chunks_of(&self, ram: &GuestRam) -> Result<&[Chunk], RestoreError> {
        let range = RamRange { gpa: ram.base(), size: ram.size() };
        if !self.ram_ranges().contains(&range) {
            let found: Vec<_> = self
                .ram_ranges()
                .iter()
                .map(|range| format!("{:#x} bytes at {}", range.size, range.gpa))
                .collect();
            let found = if found.is_empty() { "no RAM".to_owned() } else { found.join(", ") };
            return Err(RestoreError::Range { gpa: range.gpa, size: range.size, found });
        }
        let chunks = self.chunks();
        let from = chunks.partition_point(|chunk| chunk.gpa < range.gpa);
        let to = chunks.partition_point(|chunk| chunk.gpa.0 < range.end());
        Ok(&chunks[from..to])
    }

    /// The hash over the whole guest state, the same that [`crate::state_hash`] computes of a live
    /// machine. RAM enters by the hashes in the chunk list and is not read: `verify` tells whether
    /// it is intact.
    ///
    /// # Errors
    /// [`HashError`]
    pub fn state_hash(&self) -> Result<Digest, HashError> {
        if let Some(kept) = self.snapshot.kept_memory() {
            return Err(HashError::Elsewhere { path: kept.path.clone() });
        }
        let chunks = self.chunks().iter().map(|chunk| (chunk.gpa, chunk.len, chunk.hash));
        hash::combine(self.snapshot.units(), self.ram_ranges(), chunks)
    }
}

/// Makes all of `ram` zero. Costs nothing where it is fresh.
fn clear(ram: &GuestRam) -> Result<(), RestoreError> {
    let mut at = RamOffset(0);
    while let Some((from, to)) = ram.next_present(at)? {
        write_zeros(ram, from.0, to.0)?;
        at = to;
    }
    Ok(())
}

fn write_zeros(ram: &GuestRam, mut from: u64, to: u64) -> Result<(), MemoryError> {
    while from < to {
        let len = (to - from).min(crate::wire::ZEROS_LEN as u64);
        #[expect(clippy::cast_possible_truncation, reason = "at most ZEROS_LEN")]
        ram.write(Gpa(ram.base().0 + from), &crate::wire::ZEROS[..len as usize])?;
        from += len;
    }
    Ok(())
}

/// Writes the pages of `content` that are not zero, neighbours together.
fn write_runs(ram: &GuestRam, gpa: Gpa, content: &[u8]) -> Result<(), MemoryError> {
    for run in filled_runs(content, crate::live::PAGE) {
        ram.write(Gpa(gpa.0 + run.start as u64), &content[run])?;
    }
    Ok(())
}

/// Where pieces of `piece_len` bytes that are not zero begin and end, neighbours together.
pub(crate) fn filled_runs(content: &[u8], piece_len: usize) -> impl Iterator<Item = Range<usize>> {
    let filled = content.chunks(piece_len).map(|piece| !is_zero(piece));
    let mut pieces = filled.enumerate().peekable();
    std::iter::from_fn(move || {
        let (first, _) = pieces.find(|&(_, filled)| filled)?;
        let mut end = first + 1;
        while pieces.next_if(|&(_, filled)| filled).is_some() {
            end += 1;
        }
        Some(first * piece_len..(end * piece_len).min(content.len()))
    })
}
