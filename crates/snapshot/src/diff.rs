//! What differs between two files.

use crate::chunk::read_chunk;
use crate::container::{Body, Container, Located};
use crate::head::{RecordKind, ScopeField};
use crate::inspect::Namer;
use crate::map::{Chunk, RamRange};
use crate::parallel::Buffers;
use abide_memory::PAGE_SIZE;
use abide_reg::{Class, Entry, Gpa, Name, RegId, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// What a record is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// What it is.
    pub kind: RecordKind,
    /// The unit it belongs to.
    pub unit: Name,
    /// Whose state it is.
    pub scope: ScopeField,
}

/// One difference in guest state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A fact in the header that the guest depends on.
    Header {
        /// Which: `architecture`, `page size` or `contract`.
        field: &'static str,
        /// In the first file.
        a: String,
        /// In the second file.
        b: String,
    },
    /// A record is in one file only.
    RecordMissing {
        /// The file without it.
        missing_in: Side,
        /// The record.
        record: RecordKey,
    },
    /// A record that is not understood, or is damaged, has another payload.
    Payload {
        /// The record.
        record: RecordKey,
    },
    /// A record has another class.
    RecordClass {
        /// The record.
        record: RecordKey,
        /// In the first file.
        a: Option<Class>,
        /// In the second file.
        b: Option<Class>,
    },
    /// A register is in one file only.
    RegisterMissing {
        /// The file without it.
        missing_in: Side,
        /// The record.
        record: RecordKey,
        /// The register.
        id: RegId,
        /// Its name in the specification, where the namer knows it.
        name: Option<String>,
        /// What it holds in the other file.
        value: Value,
    },
    /// A register has another value or class.
    Register {
        /// The record.
        record: RecordKey,
        /// The register.
        id: RegId,
        /// Its name in the specification, where the namer knows it.
        name: Option<String>,
        /// In the first file.
        a: (Class, Value),
        /// In the second file.
        b: (Class, Value),
    },
    /// A range of guest RAM is in one file only; its chunks are not compared.
    RangeMissing {
        /// The file without it.
        missing_in: Side,
        /// The range.
        range: RamRange,
    },
    /// A chunk of guest RAM has another content.
    Chunk {
        /// Where it begins.
        gpa: Gpa,
        /// The first page of 4096 bytes that differs; `None` where the content of one file cannot
        /// be read.
        first_page: Option<Gpa>,
    },
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "first",
            Self::B => "second",
        })
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} record `{}` ({})", self.kind, self.unit, self.scope)
    }
}

/// A register by its name, where it has one, and its identity.
struct Shown<'a>(&'a RegId, &'a Option<String>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for Difference {
    /// One line, the first file's side before the second's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { field, a, b } => write!(f, "header: {field} {a} / {b}"),
            Self::RecordMissing { missing_in, record } => {
                write!(f, "{record}: not in the {missing_in} file")
            }
            Self::Payload { record } => write!(f, "{record}: another payload"),
            Self::RecordClass { record, a, b } => {
                let text = |class: &Option<Class>| class.map_or("?".into(), |c| c.to_string());
                write!(f, "{record}: {} / {}", text(a), text(b))
            }
            Self::RegisterMissing { missing_in, record, id, name, value } => {
                let register = Shown(id, name);
                write!(f, "{record}: {register} = {value}, not in the {missing_in} file")
            }
            Self::Register { record, id, name, a, b } => {
                let register = Shown(id, name);
                write!(f, "{record}: {register} {} / {}", a.1, b.1)?;
                if a.0 == b.0 { Ok(()) } else { write!(f, ", {} / {}", a.0, b.0) }
            }
            Self::RangeMissing { missing_in, range } => {
                let (size, gpa) = (range.size, range.gpa);
                write!(f, "{size:#x} bytes of RAM at {gpa}: not in the {missing_in} file")
            }
            Self::Chunk { gpa, first_page: Some(page) } => {
                write!(f, "RAM chunk at {gpa}: differs first in the page at {page}")
            }
            Self::Chunk { gpa, first_page: None } => {
                write!(f, "RAM chunk at {gpa}: differs, and cannot be read in one of the files")
            }
        }
    }
}

/// Lists the differences in guest state between two files of any version: header facts, then
/// records, then RAM.
///
/// Producer, kernel, time and the order of records are no guest state. RAM is compared by the
/// hashes in the chunk lists; chunks that differ are read for their first page.
#[must_use]
pub fn diff(a: &Container, b: &Container, namer: Namer<'_>) -> Vec<Difference> {
    let mut found = headers(a, b);
    records(a, b, namer, &mut found);
    memory(a, b, &mut found);
    found
}

fn headers(a: &Container, b: &Container) -> Vec<Difference> {
    let facts = |container: &Container| {
        let header = &container.header;
        [
            ("architecture", header.architecture.to_string()),
            ("page size", format!("2^{} bytes", header.page_shift)),
            ("contract", header.contract.to_string()),
        ]
    };
    let pairs = facts(a).into_iter().zip(facts(b));
    let differing = pairs.filter(|((_, a), (_, b))| a != b);
    differing.map(|((field, a), (_, b))| Difference::Header { field, a, b }).collect()
}

fn by_key(container: &Container) -> BTreeMap<RecordKey, &Located> {
    let mut map = BTreeMap::new();
    for record in &container.records {
        if matches!(record.body, Body::Memory | Body::End) {
            continue;
        }
        let (kind, unit, scope) = record.head.key();
        // Of a doubled record, which no valid file has, the first counts.
        map.entry(RecordKey { kind, unit, scope }).or_insert(record);
    }
    map
}

fn records(a: &Container, b: &Container, namer: Namer<'_>, found: &mut Vec<Difference>) {
    let (a, b) = (by_key(a), by_key(b));
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).copied().collect();
    for record in keys {
        match (a.get(&record), b.get(&record)) {
            (Some(a), Some(b)) => both(record, a, b, namer, found),
            (None, _) => found.push(Difference::RecordMissing { missing_in: Side::A, record }),
            (_, None) => found.push(Difference::RecordMissing { missing_in: Side::B, record }),
        }
    }
}

fn both(
    record: RecordKey,
    a: &Located,
    b: &Located,
    namer: Namer<'_>,
    found: &mut Vec<Difference>,
) {
    let classes = (a.head.class(), b.head.class());
    if classes.0 != classes.1 {
        found.push(Difference::RecordClass { record, a: classes.0, b: classes.1 });
    }
    match (&a.body, &b.body) {
        (Body::Unit(a), Body::Unit(b)) => registers(record, a, b, namer, found),
        (Body::Foreign(a), Body::Foreign(b)) if a == b => {}
        (Body::Kept(a), Body::Kept(b)) if a == b => {}
        (Body::Right(a), Body::Right(b)) if a == b => {}
        // Of damaged payloads only the checksums are left to compare.
        (Body::Unusable, Body::Unusable) if a.head.payload_crc == b.head.payload_crc => {}
        _ => found.push(Difference::Payload { record }),
    }
}

fn registers(
    record: RecordKey,
    a: &[Entry],
    b: &[Entry],
    namer: Namer<'_>,
    found: &mut Vec<Difference>,
) {
    let index = |entries: &[Entry]| -> BTreeMap<RegId, (Class, Value)> {
        entries.iter().map(|entry| (entry.id, (entry.class, entry.value.clone()))).collect()
    };
    let (mut a, mut b) = (index(a), index(b));
    let ids: BTreeSet<_> = a.keys().chain(b.keys()).copied().collect();
    for id in ids {
        let name = namer(id);
        let missing = |missing_in, (_, value): (Class, Value)| Difference::RegisterMissing {
            missing_in,
            record,
            id,
            name: name.clone(),
            value,
        };
        match (a.remove(&id), b.remove(&id)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => {
                found.push(Difference::Register { record, id, name, a, b });
            }
            (Some(value), None) => found.push(missing(Side::B, value)),
            (None, Some(value)) => found.push(missing(Side::A, value)),
            (None, None) => {}
        }
    }
}

fn memory(a: &Container, b: &Container, found: &mut Vec<Difference>) {
    let ranges = |container: &Container| -> BTreeSet<RamRange> {
        container.map.iter().flat_map(|map| map.ranges.iter().copied()).collect()
    };
    let (ranges_a, ranges_b) = (ranges(a), ranges(b));
    for &range in ranges_a.symmetric_difference(&ranges_b) {
        let missing_in = if ranges_a.contains(&range) { Side::B } else { Side::A };
        found.push(Difference::RangeMissing { missing_in, range });
    }
    let common: Vec<_> = ranges_a.intersection(&ranges_b).copied().collect();
    let chunks = |container: &Container| -> BTreeMap<Gpa, Chunk> {
        let all = container.map.iter().flat_map(|map| &map.chunks);
        let inside = |gpa: Gpa| common.iter().any(|r| r.gpa <= gpa && gpa.0 < r.end());
        all.filter(|chunk| inside(chunk.gpa)).map(|chunk| (chunk.gpa, chunk.clone())).collect()
    };
    let (chunks_a, chunks_b) = (chunks(a), chunks(b));
    let places: BTreeSet<_> = chunks_a.keys().chain(chunks_b.keys()).copied().collect();
    for gpa in places {
        let pair = (chunks_a.get(&gpa), chunks_b.get(&gpa));
        if pair.0.map(|chunk| chunk.hash) == pair.1.map(|chunk| chunk.hash) {
            continue;
        }
        match first_page(a, b, gpa, pair) {
            // One file lists as a chunk what the other leaves out: all of it is zero.
            Some(None) => {}
            Some(first_page) => found.push(Difference::Chunk { gpa, first_page }),
            None => found.push(Difference::Chunk { gpa, first_page: None }),
        }
    }
}

/// The first page that differs, `Some(None)` for none, `None` where a chunk cannot be read.
fn first_page(
    a: &Container,
    b: &Container,
    gpa: Gpa,
    pair: (Option<&Chunk>, Option<&Chunk>),
) -> Option<Option<Gpa>> {
    let len = pair.0.or(pair.1)?.len;
    let content = |container: &Container, chunk: Option<&Chunk>| match chunk {
        None => Some(vec![0; len as usize]),
        Some(_) if !container.is_laid_out => None,
        Some(chunk) => read_chunk(&*container.source, chunk, &Buffers::default()).ok(),
    };
    let (a, b) = (content(a, pair.0)?, content(b, pair.1)?);
    let first = a.iter().zip(&b).position(|(a, b)| a != b);
    Some(first.map(|at| Gpa(gpa.0 + at as u64 / PAGE_SIZE * PAGE_SIZE)))
}
