//! Any file whose header is intact, with all that can be told about it.

use crate::digest::Digest;
use crate::finding::{Finding, Place, Problem};
use crate::head::{HEAD_LEN, Head, RECORD_ALIGN, RecordKind};
use crate::header::{HEADER_LEN, Header, Version};
use crate::kept::KeptMemory;
use crate::map::{MAX_MAP_LEN, MemoryMap, SECTION_ALIGN};
use crate::right::RightToRun;
use crate::source::Source;
use crate::wire::{ZEROS_LEN, array, is_zero, u64_at};
use abide_reg::{Entry, codec};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// The most bytes that all records besides the memory record may have together.
pub const MAX_STATE_LEN: u64 = 16 << 20;

/// The length of the end record's payload: the file's length and the digest.
pub(crate) const END_LEN: u64 = 40;

/// Why a file cannot be looked into at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The host cannot open it.
    #[error("{path}: {source}", path = path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The header is missing, damaged or not abide's.
    #[error("{0}")]
    Header(Finding),
}

/// What a record holds.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Unit(Vec<Entry>),
    Foreign(Vec<u8>),
    Memory,
    Kept(KeptMemory),
    Right(RightToRun),
    End,
    /// Damaged, or of a form that nobody wrote.
    Unusable,
}

/// A record and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) offset: u64,
    pub(crate) head: Head,
    pub(crate) body: Body,
}

impl Located {
    pub(crate) fn place(&self) -> Place {
        let Head { kind, unit, scope, .. } = self.head;
        Place::Record { kind, unit, scope }
    }
}

/// What the end record says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Where the record ends: the length of all metadata.
    pub(crate) metadata_len: u64,
    pub(crate) file_len: u64,
    pub(crate) digest: Digest,
}

/// A snapshot file whose header is intact: of any version, damaged or not.
///
/// Opening reads the metadata and notes everything that is wrong with it. [`crate::inspect()`],
/// [`crate::diff()`] and [`crate::verify()`] work on this; to restore, open a [`crate::Reader`].
pub struct Container {
    /// Shared with who brings RAM later.
    pub(crate) source: Arc<dyn Source>,
    pub(crate) file_len: u64,
    pub(crate) header: Header,
    pub(crate) records: Vec<Located>,
    pub(crate) map: Option<MemoryMap>,
    pub(crate) end: Option<End>,
    /// Whether every chunk is where it must be, so that chunks can be read at bounded cost.
    pub(crate) is_laid_out: bool,
    pub(crate) findings: Vec<Finding>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("file_len", &self.file_len)
            .field("header", &self.header)
            .field("records", &self.records.len())
            .field("findings", &self.findings)
            .finish_non_exhaustive()
    }
}

impl Container {
    /// Opens a file.
    ///
    /// # Errors
    /// [`OpenError`]; anything wrong after the header is noted in [`Self::findings`] instead.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let host = |source| OpenError::Host { path: path.to_owned(), source };
        // Opening a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(host)?.is_file() {
            return Err(host(io::Error::other("not a regular file")));
        }
        Self::from_source(Box::new(File::open(path).map_err(host)?))
    }

    /// Looks into bytes that are already here.
    ///
    /// # Errors
    /// [`OpenError::Header`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, OpenError> {
        Self::from_source(Box::new(bytes))
    }

    /// Looks into any source.
    ///
    /// # Errors
    /// [`OpenError::Header`].
    pub fn from_source(source: Box<dyn Source>) -> Result<Self, OpenError> {
        let wrong = |offset: usize, problem| {
            OpenError::Header(Finding::new(Place::Header, offset as u64, problem))
        };
        let unreadable = |error: io::Error| wrong(0, Problem::unreadable(&error));
        let file_len = source.len().map_err(unreadable)?;
        let mut bytes = [0; HEADER_LEN];
        let there = usize::try_from(file_len).unwrap_or(HEADER_LEN).min(HEADER_LEN);
        source.read_at(0, &mut bytes[..there]).map_err(unreadable)?;
        // A file of another kind is called that, however short it is.
        if !crate::MAGIC.starts_with(&bytes[..there.min(crate::MAGIC.len())]) {
            return Err(wrong(0, Problem::Magic));
        }
        if there < HEADER_LEN {
            let missing = (HEADER_LEN - there) as u64;
            return Err(wrong(there, Problem::Truncated { missing }));
        }
        let header = Header::decode(&bytes).map_err(|(at, problem)| wrong(at, problem))?;
        let objections = header.objections(&bytes);
        let mut walk = Walk::new(&*source, file_len, &bytes);
        walk.run();
        let Walk { records, map, end, is_laid_out, mut findings, .. } = walk;
        if header.version.major != Version::CURRENT.major {
            // Under other rules, what looks wrong here may be right.
            let from = findings.first().map_or(HEADER_LEN as u64, |finding| finding.offset);
            findings = vec![Finding::new(Place::File, from, Problem::NotJudged)];
        }
        let at_header = |(at, problem): (usize, _)| Finding::new(Place::Header, at as u64, problem);
        findings.splice(..0, objections.into_iter().map(at_header));
        let source = Arc::from(source);
        Ok(Self { source, file_len, header, records, map, end, is_laid_out, findings })
    }

    /// What the header says.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Everything that is wrong with the metadata, in the order of the file. Empty for a file that
    /// this version can restore, as far as that shows without reading its RAM.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Where guest RAM is in the file; `None` where it holds none, or that is damaged.
    #[must_use]
    pub fn memory_map(&self) -> Option<&MemoryMap> {
        self.map.as_ref()
    }

    /// Whether the file follows the rules of this version, so that it can be judged.
    pub(crate) fn is_judged(&self) -> bool {
        self.header.version.major == Version::CURRENT.major
    }
}

/// The way through the records.
struct Walk<'a> {
    source: &'a dyn Source,
    file_len: u64,
    offset: u64,
    state_len: u64,
    hasher: blake3::Hasher,
    seen: BTreeMap<(RecordKind, abide_reg::Name, crate::ScopeField), u64>,
    records: Vec<Located>,
    map: Option<MemoryMap>,
    /// A record says that RAM is elsewhere.
    is_kept: bool,
    /// Where the memory record's payload begins.
    map_at: u64,
    end: Option<End>,
    is_laid_out: bool,
    findings: Vec<Finding>,
}

/// The walk cannot go on.
struct Stop;

impl<'a> Walk<'a> {
    fn new(source: &'a dyn Source, file_len: u64, header: &[u8; HEADER_LEN]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(header);
        Self {
            source,
            file_len,
            offset: HEADER_LEN as u64,
            state_len: 0,
            hasher,
            seen: BTreeMap::new(),
            records: Vec::new(),
            map: None,
            is_kept: false,
            map_at: 0,
            end: None,
            is_laid_out: false,
            findings: Vec::new(),
        }
    }

    fn run(&mut self) {
        while self.end.is_none() {
            if self.step().is_err() {
                return;
            }
        }
        self.judge_layout();
    }

    fn note(&mut self, place: Place, offset: u64, problem: Problem) {
        self.findings.push(Finding::new(place, offset, problem));
    }

    fn fatal(&mut self, place: Place, offset: u64, problem: Problem) -> Stop {
        self.note(place, offset, problem);
        Stop
    }

    /// Reads `len` bytes at `offset` that belong to `place`; no more than the file has.
    fn bytes(&mut self, place: Place, offset: u64, len: u64) -> Result<Vec<u8>, Stop> {
        let there = self.file_len.saturating_sub(offset);
        if there < len {
            let problem = Problem::Truncated { missing: len - there };
            return Err(self.fatal(place, self.file_len, problem));
        }
        let len = usize::try_from(len).map_err(|_| Stop)?;
        let mut bytes = vec![0; len];
        match self.source.read_at(offset, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(self.fatal(place, offset, Problem::unreadable(&error))),
        }
    }

    /// Reads one record.
    fn step(&mut self) -> Result<(), Stop> {
        let offset = self.offset;
        let head_bytes = self.bytes(Place::Head { unit: None }, offset, HEAD_LEN as u64)?;
        let head = match Head::decode(&array(&head_bytes, 0)) {
            Ok(head) => head,
            Err((unit, problem)) => return Err(self.fatal(Place::Head { unit }, offset, problem)),
        };
        let mut record = Located { offset, head, body: Body::Unusable };
        let place = record.place();
        let len = record.head.payload_len;
        let padded = self.padded_len(&record.head).map_err(|allowed| {
            self.fatal(place, offset, Problem::TooLong { found: len, allowed })
        })?;
        let payload_at = offset + HEAD_LEN as u64;
        let payload = self.bytes(place, payload_at, padded)?;
        self.offset = payload_at + padded;

        let (found, computed) = (record.head.payload_crc, crc32c::crc32c(&payload));
        if found != computed {
            self.note(place, payload_at, Problem::PayloadCrc { found, computed });
        } else {
            let (content, padding) = payload.split_at(usize::try_from(len).unwrap_or(0));
            if !is_zero(padding) {
                self.note(place, payload_at + len, Problem::Padding);
            }
            self.take(&mut record, content, payload_at);
        }
        match record.body {
            // Sealed as it was when nobody had taken it.
            Body::Right(right) => self.hasher.update(&right.given().seal()),
            _ => self.hasher.update(&head_bytes).update(&payload),
        };
        self.records.push(record);
        // A damaged end record is still where the records end.
        match self.records.last() {
            Some(Located { head, body: Body::Unusable, .. }) if head.kind == RecordKind::END => {
                Err(Stop)
            }
            _ => Ok(()),
        }
    }

    /// The length with padding, if it stays below the limits; otherwise the limit.
    fn padded_len(&mut self, head: &Head) -> Result<u64, u64> {
        let len = head.payload_len;
        let allowed = match head.kind {
            RecordKind::MEMORY => MAX_MAP_LEN,
            RecordKind::END => END_LEN,
            _ => {
                // The head counts too: records without payload are not free.
                self.state_len += HEAD_LEN as u64;
                MAX_STATE_LEN.checked_sub(self.state_len).ok_or(0u64)?
            }
        };
        if len > allowed {
            return Err(allowed);
        }
        let padded = len.next_multiple_of(RECORD_ALIGN);
        if !matches!(head.kind, RecordKind::MEMORY | RecordKind::END) {
            self.state_len += padded;
        }
        Ok(padded)
    }

    /// Understands an intact record.
    fn take(&mut self, record: &mut Located, payload: &[u8], at: u64) {
        let place = record.place();
        let offset = record.offset;
        if let Some(&first) = self.seen.get(&record.head.key()) {
            self.note(place, offset, Problem::Twice { first });
            return;
        }
        self.seen.insert(record.head.key(), offset);
        if (self.map.is_some() || self.is_kept) && record.head.kind != RecordKind::END {
            self.note(place, offset, Problem::MemoryNotLast);
        }
        let Some(class) = record.head.class() else {
            let found = record.head.class_number;
            self.note(place, offset, Problem::Class { found });
            record.body = Body::Foreign(payload.to_vec());
            return;
        };
        if !record.head.is_known() {
            if class == abide_reg::Class::Mandatory {
                self.note(place, offset, Problem::UnknownMandatory);
            }
            record.body = Body::Foreign(payload.to_vec());
            return;
        }
        record.body = match record.head.kind {
            RecordKind::MEMORY => self.take_map(place, payload, at),
            RecordKind::END => self.take_end(place, offset, payload, at),
            RecordKind::KEPT_MEMORY => self.take_kept(place, payload, at),
            RecordKind::RIGHT => self.take_right(place, payload, offset),
            _ => self.take_unit(place, payload, at),
        };
    }

    fn take_unit(&mut self, place: Place, payload: &[u8], at: u64) -> Body {
        let entries = match codec::decode(payload) {
            Ok(entries) => entries,
            Err(error) => {
                self.note(place, at, Problem::Registers(error));
                return Body::Unusable;
            }
        };
        let mut ids = BTreeSet::new();
        if let Some(entry) = entries.iter().find(|entry| !ids.insert(entry.id)) {
            self.note(place, at, Problem::RegisterTwice { id: entry.id });
        }
        Body::Unit(entries)
    }

    fn take_map(&mut self, place: Place, payload: &[u8], at: u64) -> Body {
        match MemoryMap::decode(payload, at, place) {
            Ok((map, noted)) => {
                self.findings.extend(noted);
                self.map = Some(map);
                self.map_at = at;
                Body::Memory
            }
            Err(finding) => {
                self.findings.push(finding);
                Body::Unusable
            }
        }
    }

    fn take_kept(&mut self, place: Place, payload: &[u8], at: u64) -> Body {
        self.is_kept = true;
        match KeptMemory::decode(payload, at, place) {
            Ok(kept) => Body::Kept(kept),
            Err(finding) => {
                self.findings.push(finding);
                Body::Unusable
            }
        }
    }

    fn take_right(&mut self, place: Place, payload: &[u8], offset: u64) -> Body {
        match RightToRun::decode(payload, offset, place) {
            Ok(right) => Body::Right(right),
            Err(finding) => {
                self.findings.push(finding);
                Body::Unusable
            }
        }
    }

    fn take_end(&mut self, place: Place, offset: u64, payload: &[u8], at: u64) -> Body {
        let found = payload.len() as u64;
        if found != END_LEN {
            self.note(place, offset, Problem::PayloadLen { found, allowed: END_LEN });
            return Body::Unusable;
        }
        let end = End {
            metadata_len: self.offset,
            file_len: u64_at(payload, 0),
            digest: Digest(array(payload, 8)),
        };
        // Where something was found already, the digest would only say so again.
        if self.findings.is_empty() && Digest::from(self.hasher.finalize()) != end.digest {
            self.note(place, at + 8, Problem::Digest);
        }
        self.end = Some(end);
        Body::End
    }

    /// Compares the chunk list, the end record and the file's length with each other.
    fn judge_layout(&mut self) {
        let Some(end) = self.end else { return };
        let end_at = end.metadata_len - END_LEN;
        let mut content_end = end.metadata_len;
        if let Some(map) = &self.map {
            match map.check_offsets(end.metadata_len, self.map_at + map.list_start()) {
                Ok(end) => content_end = end,
                Err(finding) => return self.findings.push(finding),
            }
        }
        let map_lost = self.records.iter().any(|record| {
            record.head.kind == RecordKind::MEMORY && matches!(record.body, Body::Unusable)
        });
        if content_end != end.file_len && !map_lost {
            let problem = Problem::FileLen { found: end.file_len, allowed: content_end };
            return self.note(Place::File, end_at, problem);
        }
        self.is_laid_out = !map_lost;
        match end.file_len.cmp(&self.file_len) {
            std::cmp::Ordering::Greater => {
                let problem = Problem::Truncated { missing: end.file_len - self.file_len };
                self.note(Place::File, self.file_len, problem);
            }
            std::cmp::Ordering::Less => {
                let problem = Problem::Trailing { extra: self.file_len - end.file_len };
                self.note(Place::Tail, end.file_len, problem);
            }
            std::cmp::Ordering::Equal => {}
        }
        let section = end.metadata_len.next_multiple_of(SECTION_ALIGN).min(end.file_len);
        let gap = check_gap(self.source, end.metadata_len, section.min(self.file_len));
        self.findings.extend(gap);
    }
}

/// What is wrong with the zeros from one place of a file up to another.
pub(crate) fn check_gap(source: &dyn Source, from: u64, to: u64) -> Option<Finding> {
    let len = usize::try_from(to.checked_sub(from)?).ok()?.min(ZEROS_LEN);
    let mut bytes = vec![0; len];
    if let Err(error) = source.read_at(from, &mut bytes) {
        return Some(Finding::new(Place::Gap, from, Problem::unreadable(&error)));
    }
    let at = bytes.iter().position(|&byte| byte != 0)?;
    Some(Finding::new(Place::Gap, from + at as u64, Problem::Gap { found: bytes[at] }))
}
