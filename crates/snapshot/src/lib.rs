//! # abide-snapshot: guest state in a file
//!
//! A snapshot is a header that every version of abide can read, a list of records, and guest RAM.
//! `docs/state-format.md` describes every byte of it; this crate is that page in code.
//!
//! | to do | use |
//! |---|---|
//! | save to a file that is complete or not there | [`Writer`] |
//! | save to anything else | [`write_to`] with a [`Sink`] |
//! | restore | [`Reader`], [`Snapshot::into_parts`], [`Reader::restore_memory`] |
//! | restore without waiting for RAM | [`Reader::restore_memory_lazily`] |
//! | leave RAM where it is | [`MemoryFile`], [`KeptMemory`] |
//! | look into newer or damaged files too | [`Container`], [`inspect()`], [`diff()`], [`verify()`] |
//! | compare a live machine with a file | [`state_hash`], [`Reader::state_hash`] |
//!
//! Three rules make a file last:
//!
//! * **Nothing is guessed.** A record that this version does not know is refused, carried along or
//!   dropped, as the record itself says ([`abide_reg::Class`]).
//! * **Every byte is checked.** Whatever byte of a file is changed, [`verify()`] finds it and names
//!   its place. That is against damage, not against malice: whoever can write the file can also
//!   make it consistent again.
//! * **No length is believed.** No more is allocated than the file has, nor than the format's
//!   limits allow, and no chunk unpacks to more than its size.
//!
//! ```
//! use abide_memory::GuestRam;
//! use abide_reg::{Class, Entry, Gpa, Name, RegId, Scope, Value};
//! use abide_snapshot::*;
//!
//! let ram = GuestRam::new(Gpa(0x4000_0000), 4 << 20)?;
//! ram.write(Gpa(0x4000_0000), b"guest")?;
//! let uart = UnitRecord {
//!     unit: Name::new("pl011"),
//!     scope: Scope::Device(0),
//!     class: Class::Mandatory,
//!     entries: vec![Entry::new(RegId::named("pl011.cr"), Class::Mandatory, Value::u32(0x301))],
//! };
//! let header = Header { producer: "doc 1".into(), ..Header::new(Architecture::AARCH64) };
//! let snapshot = Snapshot { header, records: vec![uart.into()] };
//! let mut file = Vec::new();
//! write_to(&mut file, &snapshot, &[&ram], Compression::None)?;
//!
//! let reader = Reader::from_bytes(file.clone())?;
//! assert_eq!(reader.snapshot(), &snapshot);
//! assert_eq!(reader.state_hash()?, state_hash(snapshot.units(), &[&ram])?);
//!
//! file[330] ^= 1;
//! let found = verify(&Container::from_bytes(file)?);
//! assert!(found[0].to_string().contains("`pl011`"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod chunk;
mod container;
mod diff;
mod digest;
mod file;
mod finding;
mod fuzz;
mod hash;
mod head;
mod header;
mod inspect;
mod kept;
mod lazy;
mod live;
mod map;
mod memory_file;
mod parallel;
mod reader;
mod record;
mod right;
mod source;
mod verify;
mod wire;
mod write;

pub use container::{Container, MAX_STATE_LEN, OpenError};
pub use diff::{Difference, RecordKey, Side, diff};
pub use digest::Digest;
pub use file::{Existing, PARTIAL_SUFFIX, Writer};
pub use finding::{Finding, Place, Problem, Verdict};
pub use fuzz::fuzz_reader;
pub use hash::{HashError, ram_hash, state_hash};
pub use head::{HEAD_LEN, Head, RECORD_ALIGN, RecordKind, ScopeField};
pub use header::{Architecture, HEADER_LEN, Header, MAGIC, TEXT_LEN, Version};
pub use inspect::{EntryView, Inspection, MemoryView, Namer, RecordView, inspect};
pub use kept::{KeptMemory, MemoryId};
pub use lazy::{LazyRam, OnFailure};
pub use live::RamError;
pub use map::{
    CHUNK_SIZE, Chunk, Encoding, MAX_CHUNKS, MAX_RANGES, MemoryMap, PACKED_ALIGN, RamRange,
    SECTION_ALIGN,
};
pub use memory_file::{LABEL_LEN, MemoryFile, MemoryFileError, TAIL_LEN};
pub use reader::{ReadError, Reader, RestoreError};
pub use record::{ForeignRecord, Parts, Record, Snapshot, UnitRecord};
pub use right::{RightError, RightToRun};
pub use source::{Sink, Source};
pub use verify::verify;
pub use write::{Compression, WriteError, Written, write_to};
