//! What is wrong with a file, and where.

use crate::head::{RecordKind, ScopeField};
use crate::header::Version;
use abide_reg::{Gpa, Name, RegId, codec::CodecError};
use std::fmt;
use thiserror::Error;

/// The part of a file that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// The fixed header.
    Header,
    /// A record whose head is intact.
    Record {
        /// What it is.
        kind: RecordKind,
        /// The unit it belongs to.
        unit: Name,
        /// Whose state it is.
        scope: ScopeField,
    },
    /// A record whose head is damaged, so that even its name is doubtful.
    Head {
        /// The name found there, if it is one.
        unit: Option<Name>,
    },
    /// A range in the list of RAM ranges.
    Range {
        /// Its place in the list, from 0.
        index: u64,
    },
    /// A chunk of guest RAM.
    Chunk {
        /// The guest physical address of its first byte.
        gpa: Gpa,
    },
    /// The zeros between two parts of the file.
    Gap,
    /// What stands after the end of the file's content.
    Tail,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Header => f.write_str("header"),
            Self::Record { kind, unit, scope } => write!(f, "{kind} record `{unit}` ({scope})"),
            Self::Head { unit: Some(unit) } => write!(f, "head of a record, by its name `{unit}`"),
            Self::Head { unit: None } => f.write_str("head of a record"),
            Self::Range { index } => write!(f, "RAM range {index}"),
            Self::Chunk { gpa } => write!(f, "RAM chunk at {gpa}"),
            Self::Gap => f.write_str("gap"),
            Self::Tail => f.write_str("tail"),
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The file does not begin as a snapshot does.
    #[error("not a snapshot of abide: the first eight bytes are others")]
    Magic,
    /// The header was changed.
    #[error("CRC32C {found:#010x} found, {computed:#010x} computed: the header is damaged")]
    HeaderCrc {
        /// As stored.
        found: u32,
        /// As computed.
        computed: u32,
    },
    /// A text has other than printable ASCII letters.
    #[error("the {field} text has letters other than printable ASCII")]
    HeaderText {
        /// Which text.
        field: &'static str,
    },
    /// The container has a major version that this one cannot restore.
    #[error(
        "container version {found} found (written by `{producer}`), {major}.x allowed; restore \
         with that program, here it can only be inspected",
        major = Version::CURRENT.major
    )]
    OtherMajor {
        /// The version found.
        found: Version,
        /// Who wrote the file.
        producer: String,
    },
    /// A page size that this version cannot handle.
    #[error("page shift {found} found, 12 (4096 bytes) allowed; restore with a newer version")]
    PageShift {
        /// As found.
        found: u8,
    },
    /// A header flag forbids versions that do not know it.
    #[error("flags {unknown:#x} are unknown to this version; restore with a newer one")]
    HeaderFlags {
        /// The unknown bits.
        unknown: u32,
    },
    /// Bytes that must be zero are not.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// The host could not read it.
    #[error("the host cannot read it ({kind})")]
    Unreadable {
        /// What it said.
        kind: std::io::ErrorKind,
    },
    /// The file ends inside.
    #[error("the file ends here; {missing} more bytes are needed: it was truncated")]
    Truncated {
        /// How many bytes are missing at least.
        missing: u64,
    },
    /// The file goes on where it must end.
    #[error("{extra} bytes stand after the end: not part of the snapshot")]
    Trailing {
        /// How many there are.
        extra: u64,
    },
    /// A record's head was changed.
    #[error("CRC32C {found:#010x} found, {computed:#010x} computed: the head is damaged")]
    HeadCrc {
        /// As stored.
        found: u32,
        /// As computed.
        computed: u32,
    },
    /// A record names no unit.
    #[error("the unit name is not 1 to 31 letters of a-z, 0-9, `_`, `-` and `.`")]
    UnitName,
    /// A record's payload was changed.
    #[error("CRC32C {found:#010x} found, {computed:#010x} computed: the payload is damaged")]
    PayloadCrc {
        /// As stored.
        found: u32,
        /// As computed.
        computed: u32,
    },
    /// A payload's padding is not zero.
    #[error("the padding after the payload is not zero")]
    Padding,
    /// A payload is longer than the format allows.
    #[error("{found} bytes of payload found, at most {allowed} allowed")]
    TooLong {
        /// As found.
        found: u64,
        /// The limit that it exceeds.
        allowed: u64,
    },
    /// A record's class has no meaning.
    #[error("class {found} found, 0 (mandatory), 1 (static) or 2 (volatile) allowed")]
    Class {
        /// As found.
        found: u8,
    },
    /// A mandatory record is not understood.
    #[error("mandatory and unknown to this version; restore with a newer one")]
    UnknownMandatory,
    /// The record tells of a memory file that cannot be.
    #[error("the memory file is described in a way that nobody wrote")]
    Kept,
    /// The right to run is told in a way that nobody wrote.
    #[error("the right to run is told in a way that nobody wrote, or not in the first record")]
    Right,
    /// The same record stands there twice.
    #[error("the same record stands already at byte {first}")]
    Twice {
        /// Where it stands first.
        first: u64,
    },
    /// The payload is no list of registers.
    #[error("{0}")]
    Registers(CodecError),
    /// A register stands there twice.
    #[error("register {id} stands there twice")]
    RegisterTwice {
        /// The register.
        id: RegId,
    },
    /// The memory record is not the last before the end.
    #[error("the memory record must stand right before the end record")]
    MemoryNotLast,
    /// The payload has not the length that its own counts ask for.
    #[error("{found} bytes of payload found, {allowed} allowed")]
    PayloadLen {
        /// As found.
        found: u64,
        /// As it must be.
        allowed: u64,
    },
    /// Metadata differs from what the end record sealed.
    #[error("the metadata's BLAKE3 digest is another than the end record's")]
    Digest,
    /// The recorded length of the file contradicts the chunk list.
    #[error("the end record says the file has {found} bytes, the chunk list says {allowed}")]
    FileLen {
        /// As the end record says.
        found: u64,
        /// As it must be.
        allowed: u64,
    },
    /// The chunk size is another.
    #[error("chunks of {found:#x} bytes found, {allowed:#x} allowed; restore with a newer version")]
    ChunkSize {
        /// As found.
        found: u32,
        /// As it must be.
        allowed: u32,
    },
    /// There are too many or no ranges of RAM.
    #[error("{found} RAM ranges found, 1 to {allowed} allowed")]
    RangeCount {
        /// As found.
        found: u32,
        /// The limit.
        allowed: u32,
    },
    /// A range of RAM cannot exist.
    #[error(
        "{size:#x} bytes of RAM at {gpa}: multiples of 4096 that end below 2^52, ascending and \
         apart from each other, are allowed"
    )]
    Range {
        /// Where it begins.
        gpa: Gpa,
        /// Its size in bytes.
        size: u64,
    },
    /// A chunk is outside RAM, off the grid, out of order or doubled.
    #[error("not the next place on the grid of chunks of any RAM range")]
    ChunkGpa,
    /// A chunk is not where the chunk before it ends.
    #[error("stored at byte {found}, {allowed} allowed")]
    ChunkOffset {
        /// As found.
        found: u64,
        /// As it must be.
        allowed: u64,
    },
    /// A chunk's stored length cannot be.
    #[error("{found} bytes stored, {allowed} allowed")]
    StoredLen {
        /// As found.
        found: u32,
        /// As it must be, in words.
        allowed: &'static str,
    },
    /// A chunk is stored in a way that this version does not know.
    #[error("encoding {found} is unknown to this version; restore with a newer one")]
    Encoding {
        /// As found.
        found: u32,
    },
    /// A chunk's stored bytes were changed.
    #[error("CRC32C {found:#010x} found, {computed:#010x} computed: stored bytes are damaged")]
    ChunkCrc {
        /// As recorded.
        found: u32,
        /// As computed.
        computed: u32,
    },
    /// A chunk's stored bytes do not unpack to its size.
    #[error("the compressed bytes do not unpack to {allowed} bytes")]
    Unpack {
        /// The size of the chunk.
        allowed: u32,
    },
    /// A chunk's content is another.
    #[error("the content's BLAKE3 digest is another than the chunk list's: it is damaged")]
    ChunkHash,
    /// Zeros that are not.
    #[error("{found:#04x} found, zero allowed")]
    Gap {
        /// The first byte that is not zero.
        found: u8,
    },
    /// Nothing can be said about the rest: it follows the rules of another version, or what tells
    /// where its parts are is damaged.
    #[error("not judged from here on")]
    NotJudged,
}

/// How grave a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Intact as far as can be told, but of another version: it cannot be judged.
    NotJudged,
    /// Intact, but this version may not restore it.
    Refused,
    /// Damaged, or never written by a correct program.
    Damaged,
}

impl Problem {
    /// How grave it is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotJudged => Verdict::NotJudged,
            Self::OtherMajor { .. }
            | Self::PageShift { .. }
            | Self::HeaderFlags { .. }
            | Self::UnknownMandatory
            | Self::ChunkSize { .. }
            | Self::Encoding { .. } => Verdict::Refused,
            _ => Verdict::Damaged,
        }
    }

    pub(crate) fn unreadable(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Truncated { missing: 1 },
            kind => Self::Unreadable { kind },
        }
    }
}

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place} at byte {offset}: {problem}")]
pub struct Finding {
    /// The part of the file.
    pub place: Place,
    /// Where in the file, in bytes from its start.
    pub offset: u64,
    /// What is wrong.
    pub problem: Problem,
}

impl Finding {
    pub(crate) fn new(place: Place, offset: u64, problem: Problem) -> Self {
        Self { place, offset, problem }
    }
}
