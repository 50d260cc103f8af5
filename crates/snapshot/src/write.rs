//! Laying out a snapshot.

use crate::container::{END_LEN, MAX_STATE_LEN};
use crate::head::{END_UNIT, HEAD_LEN, Head, MEMORY_UNIT, RecordKind};
use crate::header::{HEADER_LEN, Header};
use crate::live::{LiveChunk, LiveRam, RamError};
use crate::map::{Chunk, Encoding, MAX_CHUNKS, MemoryMap, SECTION_ALIGN};
use crate::parallel::{Buffers, in_order};
use crate::source::Sink;
use crate::wire::is_zero;
use crate::{Digest, Record, ScopeField, Snapshot};
use abide_memory::{GuestRam, MemoryError};
use abide_reg::codec::{self, CodecError};
use abide_reg::{Class, Name, RegId, Scope};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Zeros of this many bytes inside a raw chunk, at multiples of it, become holes of the file.
const HOLE_LEN: usize = 64 << 10;
const _: () = assert!(HOLE_LEN as u64 == SECTION_ALIGN);

/// Whether chunks are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Raw: larger, faster, and can be mapped.
    #[default]
    None,
    /// LZ4, for each chunk that becomes smaller by it.
    Lz4,
}

/// Why a snapshot could not be written. Unless it says otherwise, there is no file left behind.
#[derive(Debug, Error)]
pub enum WriteError {
    /// There is a file of that name.
    #[error(
        "{path} exists; choose another name or ask for it to be replaced",
        path = path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another program writes the same file.
    #[error("{path} is being written by another save; wait for it", path = path.display())]
    Busy {
        /// The half file.
        path: PathBuf,
    },
    /// There is no room.
    #[error(
        "no room for the snapshot in {path}: {source}; free some, or save elsewhere",
        path = path.display()
    )]
    Full {
        /// The half file, which was removed.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The host refused something else.
    #[error("cannot {step} {path}: {source}", path = path.display())]
    Host {
        /// What was to be done.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The file is complete and in its place, but a power cut could still take its name away.
    #[error(
        "{path} is complete, but its directory could not be synchronized: {source}",
        path = path.display()
    )]
    Unsynced {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The sink refused.
    #[error("cannot write the snapshot: {0}")]
    Sink(#[source] io::Error),
    /// A header text cannot be written.
    #[error("header text {field}: {found:?} found, at most 64 printable ASCII letters allowed")]
    Text {
        /// Which text.
        field: &'static str,
        /// Its content.
        found: String,
    },
    /// A unit's registers cannot be written.
    #[error("unit `{unit}` ({scope}): {source}")]
    Registers {
        /// The unit.
        unit: Name,
        /// Whose registers they are.
        scope: Scope,
        /// What is wrong.
        source: CodecError,
    },
    /// A register stands there twice.
    #[error("unit `{unit}` ({scope}): register {id} stands there twice")]
    RegisterTwice {
        /// The unit.
        unit: Name,
        /// Whose registers they are.
        scope: Scope,
        /// The register.
        id: RegId,
    },
    /// The same record stands there twice.
    #[error("{kind} record `{unit}` ({scope}) stands there twice")]
    RecordTwice {
        /// What it is.
        kind: RecordKind,
        /// The unit.
        unit: Name,
        /// Whose state it is.
        scope: ScopeField,
    },
    /// A foreign record has the form of one of this version's own.
    #[error("record `{unit}` is carried as unknown, but its type, {kind}, is known")]
    NotForeign {
        /// What it is.
        kind: RecordKind,
        /// The unit.
        unit: Name,
    },
    /// The records are longer than the format allows.
    #[error("{found} bytes of records found, at most {MAX_STATE_LEN} allowed")]
    StateLen {
        /// Their length, in bytes.
        found: u64,
    },
    /// More RAM is in use than the format allows.
    #[error("{found} chunks of RAM in use, at most {MAX_CHUNKS} allowed")]
    ChunkCount {
        /// How many.
        found: u64,
    },
    /// RAM is said to be elsewhere in a way that no file can say.
    #[error(
        "the memory file {}: a path of at most 4095 bytes, RAM in pages and no other RAM are \
         allowed, as the last record",
        path.display()
    )]
    Kept {
        /// The memory file.
        path: PathBuf,
    },
    /// The right to run is given in a way that no file can say.
    #[error("the right to run: a number that is not 0 is allowed, in the first record")]
    Right,
    /// Guest RAM cannot be read.
    #[error(transparent)]
    Ram(#[from] RamError),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The digest over metadata and chunk list.
    pub digest: Digest,
    /// The file's length in bytes.
    pub file_len: u64,
    /// The length of header and records, the memory record included, in bytes.
    pub metadata_len: u64,
    /// How many chunks are not all zero.
    pub chunks: u64,
    /// The bytes that they take in the file.
    pub stored_len: u64,
}

/// Writes a snapshot and the RAM of the guest, which must not run meanwhile.
///
/// The metadata, and with it the magic number, is written last: what is cut off is no snapshot.
/// [`crate::Writer`] writes files.
///
/// # Errors
/// [`WriteError`]
pub fn write_to(
    sink: &mut dyn Sink,
    snapshot: &Snapshot,
    rams: &[&GuestRam],
    compression: Compression,
) -> Result<Written, WriteError> {
    let mut metadata = header_bytes(&snapshot.header)?;
    records_bytes(&snapshot.records, &mut metadata)?;
    let is_last = matches!(snapshot.records.last(), Some(Record::Kept(_)));
    if let Some(kept) = snapshot.kept_memory()
        && !(is_last && rams.is_empty())
    {
        return Err(WriteError::Kept { path: kept.path.clone() });
    }
    let live = LiveRam::scan(rams)?;
    let chunk_count = live.chunks.len() as u64;
    if chunk_count > MAX_CHUNKS {
        return Err(WriteError::ChunkCount { found: chunk_count });
    }
    // The map's length is known before its content, so chunks can be written first.
    let map_len = if rams.is_empty() {
        0
    } else {
        HEAD_LEN as u64 + MemoryMap::encoded_len(rams.len(), live.chunks.len())
    };
    let metadata_len = metadata.len() as u64 + map_len + HEAD_LEN as u64 + END_LEN;
    let mut chunks = Chunks { sink, end: metadata_len, list: Vec::new() };
    let buffers = Buffers::default();
    in_order(
        live.chunks.len(),
        |index| prepare(&live, &live.chunks[index], compression, &buffers),
        |_, prepared| {
            let prepared = prepared.map_err(RamError::from)?;
            chunks.place(&prepared)?;
            if prepared.chunk.encoding == Encoding::RAW {
                buffers.give(prepared.stored);
            }
            Ok::<_, WriteError>(())
        },
    )?;
    let (file_len, list) = (chunks.end, chunks.list);
    let stored_len = list.iter().map(|chunk| u64::from(chunk.stored_len)).sum();
    if !rams.is_empty() {
        let map = MemoryMap { ranges: live.ranges(), chunks: list };
        let head = Head::new(RecordKind::MEMORY, Class::Mandatory, MEMORY_UNIT, Scope::Vm);
        metadata.extend(head.seal(&map.encode()));
    }
    let digest = Digest::of(&metadata);
    let head = Head::new(RecordKind::END, Class::Mandatory, END_UNIT, Scope::Vm);
    metadata.extend(head.seal(&[&file_len.to_le_bytes()[..], &digest.0].concat()));
    debug_assert_eq!(metadata.len() as u64, metadata_len, "the length was foretold");
    if let Some(right) = snapshot.right() {
        // The digest is that of the file as it was when nobody had taken it.
        let (at, bytes) = (HEADER_LEN, right.seal());
        metadata[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    sink.set_len(file_len).map_err(WriteError::Sink)?;
    sink.write_at(0, &metadata).map_err(WriteError::Sink)?;
    Ok(Written { digest, file_len, metadata_len, chunks: chunk_count, stored_len })
}

fn header_bytes(header: &Header) -> Result<Vec<u8>, WriteError> {
    if let Some((field, found)) = header.bad_text() {
        return Err(WriteError::Text { field, found: found.to_owned() });
    }
    Ok(header.encode().to_vec())
}

fn records_bytes(records: &[Record], metadata: &mut Vec<u8>) -> Result<(), WriteError> {
    let mut seen = BTreeSet::new();
    for record in records {
        let head = Head::from(record);
        let (kind, unit, scope) = head.key();
        if !seen.insert(head.key()) {
            return Err(WriteError::RecordTwice { kind, unit, scope });
        }
        let sealed = match record {
            Record::Unit(record) => {
                let scope = record.scope;
                let mut ids = BTreeSet::new();
                if let Some(entry) = record.entries.iter().find(|entry| !ids.insert(entry.id)) {
                    return Err(WriteError::RegisterTwice { unit, scope, id: entry.id });
                }
                let payload = codec::encode(&record.entries)
                    .map_err(|source| WriteError::Registers { unit, scope, source })?;
                head.seal(&payload)
            }
            Record::Kept(kept) if kept.is_possible() => head.seal(&kept.encode()),
            Record::Kept(kept) => return Err(WriteError::Kept { path: kept.path.clone() }),
            Record::Right(right) if right.is_possible() && metadata.len() == HEADER_LEN => {
                right.given().seal()
            }
            Record::Right(_) => return Err(WriteError::Right),
            Record::Foreign(_) if head.is_known() => {
                return Err(WriteError::NotForeign { kind, unit });
            }
            Record::Foreign(record) => head.seal(&record.payload),
        };
        metadata.extend(sealed);
        let found = (metadata.len() - HEADER_LEN) as u64;
        if found > MAX_STATE_LEN {
            return Err(WriteError::StateLen { found });
        }
    }
    Ok(())
}

/// A chunk that only waits for its place in the file.
struct Prepared {
    chunk: Chunk,
    stored: Vec<u8>,
}

/// Reads, hashes and compresses a chunk: the costly part, done by several threads.
fn prepare(
    live: &LiveRam<'_>,
    chunk: &LiveChunk,
    compression: Compression,
    buffers: &Buffers,
) -> Result<Prepared, MemoryError> {
    let content = live.read(chunk, buffers.take())?;
    let hash = Digest::of(&content);
    let packed = match compression {
        Compression::None => None,
        Compression::Lz4 => Some(lz4_flex::block::compress(&content)),
    };
    let packed = packed.filter(|packed| packed.len() < content.len());
    #[expect(clippy::cast_possible_truncation, reason = "a chunk has at most 2 MiB")]
    let len = |bytes: &[u8]| bytes.len() as u32;
    let mut described = Chunk {
        gpa: chunk.gpa,
        len: len(&content),
        offset: 0,
        stored_len: len(&content),
        encoding: Encoding::RAW,
        stored_crc: 0,
        hash,
    };
    let Some(packed) = packed else { return Ok(Prepared { chunk: described, stored: content }) };
    buffers.give(content);
    described.stored_len = len(&packed);
    described.encoding = Encoding::LZ4;
    described.stored_crc = crc32c::crc32c(&packed);
    Ok(Prepared { chunk: described, stored: packed })
}

/// The chunks written so far.
struct Chunks<'a> {
    sink: &'a mut dyn Sink,
    end: u64,
    list: Vec<Chunk>,
}

impl Chunks<'_> {
    /// Gives a chunk its place, right after the one before it, and writes it.
    fn place(&mut self, prepared: &Prepared) -> Result<(), WriteError> {
        let mut chunk = prepared.chunk.clone();
        let align = if self.list.is_empty() { SECTION_ALIGN } else { chunk.encoding.align() };
        chunk.offset = self.end.next_multiple_of(align);
        self.end = chunk.stored_end();
        self.write(&chunk, &prepared.stored).map_err(WriteError::Sink)?;
        self.list.push(chunk);
        Ok(())
    }

    fn write(&mut self, chunk: &Chunk, stored: &[u8]) -> io::Result<()> {
        if chunk.encoding != Encoding::RAW {
            return self.sink.write_at(chunk.offset, stored);
        }
        // Pieces of zeros are left out; what lies between them is written at once.
        let mut from = 0;
        for at in (0..stored.len()).step_by(HOLE_LEN) {
            let piece = &stored[at..(at + HOLE_LEN).min(stored.len())];
            if is_zero(piece) {
                self.write_piece(chunk, &stored[from..at], from)?;
                from = at + piece.len();
            }
        }
        self.write_piece(chunk, &stored[from..], from)
    }

    fn write_piece(&mut self, chunk: &Chunk, piece: &[u8], at: usize) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.sink.write_at(chunk.offset + at as u64, piece)
    }
}
