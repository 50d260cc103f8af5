//! What is in a file, as plain data.

use crate::Digest;
use crate::container::{Body, Container};
use crate::finding::Finding;
use crate::head::{RecordKind, ScopeField};
use crate::header::Header;
use crate::map::{Encoding, MemoryMap, RamRange};
use crate::{KeptMemory, RightToRun};
use abide_reg::{Class, Entry, Name, RegId, Value};

/// Tells the name that a register has in its specification.
pub type Namer<'a> = &'a dyn Fn(RegId) -> Option<String>;

/// All that can be told about a file without reading its RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What the header says.
    pub header: Header,
    /// The file's length in bytes.
    pub file_len: u64,
    /// The records in their order, the memory and end records included.
    pub records: Vec<RecordView>,
    /// Where guest RAM is, if it is not in the file.
    pub kept_memory: Option<KeptMemory>,
    /// The right to run, if the file gives it, or gave it.
    pub right: Option<RightToRun>,
    /// Guest RAM, where the file has it.
    pub memory: Option<MemoryView>,
    /// The digest over metadata and chunk list, as the end record has it.
    pub digest: Option<Digest>,
    /// What is wrong, or cannot be judged.
    pub findings: Vec<Finding>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// What it is.
    pub kind: RecordKind,
    /// What a reader that does not know it must do; `None` for a class without meaning.
    pub class: Option<Class>,
    /// The unit it belongs to.
    pub unit: Name,
    /// Whose state it is.
    pub scope: ScopeField,
    /// The payload's length in bytes.
    pub payload_len: u64,
    /// Whether this version knows what such a record holds.
    pub is_known: bool,
    /// The registers of a unit record.
    pub entries: Vec<EntryView>,
}

/// One register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// Its identity.
    pub id: RegId,
    /// Its name in the specification, where the namer knows it.
    pub name: Option<String>,
    /// What a reader that does not know it must do.
    pub class: Class,
    /// Its content.
    pub value: Value,
}

/// Guest RAM in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryView {
    /// The ranges, ascending.
    pub ranges: Vec<RamRange>,
    /// How many chunks are not all zero.
    pub chunks: u64,
    /// How many of them are compressed, or of an encoding that this version does not know.
    pub packed: u64,
    /// The bytes of RAM in all those chunks.
    pub filled_len: u64,
    /// The bytes that they take in the file.
    pub stored_len: u64,
}

/// Says all that can be told about a file without reading its RAM, whatever its version and
/// however damaged it is after the header.
#[must_use]
pub fn inspect(container: &Container, namer: Namer<'_>) -> Inspection {
    let records = container.records.iter().map(|record| {
        let head = &record.head;
        let entries = match &record.body {
            Body::Unit(entries) => entries.iter().map(|entry| view(entry, namer)).collect(),
            _ => Vec::new(),
        };
        RecordView {
            offset: record.offset,
            kind: head.kind,
            class: head.class(),
            unit: head.unit,
            scope: head.scope,
            payload_len: head.payload_len,
            is_known: head.is_known(),
            entries,
        }
    });
    Inspection {
        header: container.header.clone(),
        file_len: container.file_len,
        records: records.collect(),
        kept_memory: container.records.iter().find_map(|record| match &record.body {
            Body::Kept(kept) => Some(kept.clone()),
            _ => None,
        }),
        right: container.records.iter().find_map(|record| match &record.body {
            Body::Right(right) => Some(*right),
            _ => None,
        }),
        memory: container.map.as_ref().map(memory),
        digest: container.end.map(|end| end.digest),
        findings: container.findings.clone(),
    }
}

fn view(entry: &Entry, namer: Namer<'_>) -> EntryView {
    let Entry { id, class, value } = entry.clone();
    EntryView { id, name: namer(id), class, value }
}

fn memory(map: &MemoryMap) -> MemoryView {
    let chunks = &map.chunks;
    MemoryView {
        ranges: map.ranges.clone(),
        chunks: chunks.len() as u64,
        packed: chunks.iter().filter(|chunk| chunk.encoding != Encoding::RAW).count() as u64,
        filled_len: chunks.iter().map(|chunk| u64::from(chunk.len)).sum(),
        stored_len: chunks.iter().map(|chunk| u64::from(chunk.stored_len)).sum(),
    }
}
