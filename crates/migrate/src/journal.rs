//! The journal of one guest: a small file that says who has it.
//!
//! ```text
//! 0      slot A   one sector: magic, version, sequence number, record, CRC
//! 4096   slot B   as slot A
//! ```
//!
//! The file is made whole (another name, fsync, rename, fsync of the directory), with both slots
//! filled. After that a record goes over the *older* slot and is synchronized: a power cut in the
//! middle leaves the newer one, and a full disk cannot prevent it: the room is taken already. It
//! is one fsync, which matters: the guest rests while `given away` is written.
//!
//! A damaged slot is an error and never "nothing": it could have been the last word.

use crate::driver::Keep;
use crate::ownership::Record;
use crate::wire::{Fields, Malformed};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

const MAGIC: [u8; 8] = *b"ABIDEJRN";
const VERSION: u16 = 1;
/// A slot's length: a sector of any disk, which is written whole or not at all.
pub(crate) const SLOT_LEN: usize = 512;
/// Where slot B stands: in another sector of disks with large ones.
pub(crate) const SLOT_B_AT: usize = 4096;
pub(crate) const FILE_LEN: usize = SLOT_B_AT + SLOT_LEN;
const HEAD_LEN: usize = 24;
pub(crate) const CRC_AT: usize = SLOT_LEN - 4;

/// File systems that live in memory, by their magic numbers
/// [linux include/uapi/linux/magic.h]: tmpfs, ramfs.
const VOLATILE: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// Whether the journal must outlive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A file system that lives in memory is refused.
    Required,
    /// It is taken: after a power cut the journal is gone, and an operator has to say who runs.
    Volatile,
}

/// What went wrong with a journal.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The host refused a step.
    #[error("journal {}: cannot {step}: {source}", path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// What was done.
        step: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// It cannot be read, so nobody knows what it said.
    #[error(
        "journal {}: {slot}: {what}; who has the guest cannot be read from it: look at the other \
         side, then say with `abide migrate --resolve` who is to run",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        slot: &'static str,
        /// What is wrong.
        what: Malformed,
    },
    /// Another process uses it.
    #[error("journal {}: another process has it: the guest's own, or a resolution", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Its file system forgets.
    #[error(
        "journal {}: it is on a file system in memory, which a power cut empties: who has the \
         guest would be forgotten; give a --state-dir on a disk, or --volatile-journal",
        path.display()
    )]
    Volatile {
        /// The file.
        path: PathBuf,
    },
}

/// One guest's journal. While it has a record, this process holds its lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    durability: Durability,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    sequence: u64,
    record: Record,
}

impl Journal {
    /// Opens the journal at `path`. Where there is none, the first record makes it.
    ///
    /// # Errors
    /// [`JournalError`]; a damaged one is an error.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, JournalError> {
        let path = path.to_owned();
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(Self { path, durability, open: None }),
            Err(errno) => return Err(host(&path, "open")(errno.into())),
        };
        lock(&file, &path)?;
        check_durability(&file, &path, durability)?;
        let (sequence, record) = read_file(&file, &path)?;
        Ok(Self { path, durability, open: Some(Open { file, sequence, record }) })
    }

    /// What the journal at `path` says, without taking it: also while its guest runs.
    ///
    /// # Errors
    /// [`JournalError`]; a damaged one is an error.
    pub fn look(path: &Path) -> Result<Option<Record>, JournalError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(host(path, "open")(error)),
        };
        read_file(&file, path).map(|(_, record)| Some(record))
    }

    /// What it says, if it says anything.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.open.as_ref().map(|open| &open.record)
    }

    /// Makes the file whole, under another name first: a cut leaves no half of it.
    fn create(&self, record: &Record) -> Result<Open, JournalError> {
        let host = |step| host(&self.path, step);
        // Hidden, as no guest's name is: no other guest's journal can be there.
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let partial = self.path.with_file_name(format!(".{name}.new"));
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&partial, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(file.map_err(|errno| host("create")(errno.into()))?);
        lock(&file, &self.path)?;
        check_durability(&file, &self.path, self.durability)?;
        let mut bytes = vec![0; FILE_LEN];
        bytes[..SLOT_LEN].copy_from_slice(&seal(1, record));
        bytes[SLOT_B_AT..].copy_from_slice(&seal(2, record));
        file.set_len(0).map_err(host("empty"))?;
        file.write_all_at(&bytes, 0).map_err(host("write"))?;
        file.sync_all().map_err(host("synchronize"))?;
        std::fs::rename(&partial, &self.path).map_err(host("rename"))?;
        sync_directory(&self.path).map_err(host("synchronize the directory of"))?;
        Ok(Open { file, sequence: 2, record: record.clone() })
    }
}

impl Keep for Journal {
    fn record(&self) -> Option<&Record> {
        self.record()
    }

    fn keep(&mut self, record: &Record) -> Result<(), JournalError> {
        let Some(open) = &mut self.open else {
            self.open = Some(self.create(record)?);
            return Ok(());
        };
        let sequence = open.sequence + 1;
        // The older slot.
        let at = slot_of(sequence) as u64;
        let host = |step| host(&self.path, step);
        open.file.write_all_at(&seal(sequence, record), at).map_err(host("write"))?;
        open.file.sync_data().map_err(host("synchronize"))?;
        (open.sequence, open.record) = (sequence, record.clone());
        Ok(())
    }
}

fn host<'a>(path: &'a Path, step: &'static str) -> impl Fn(io::Error) -> JournalError + 'a {
    move |source| JournalError::Host { path: path.into(), step, source }
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Busy { path: path.into() }),
        Err(errno) => Err(host(path, "lock")(errno.into())),
    }
}

fn check_durability(file: &File, path: &Path, durability: Durability) -> Result<(), JournalError> {
    let stat = rustix::fs::fstatfs(file);
    let stat = stat.map_err(|errno| host(path, "look at the file system of")(errno.into()))?;
    if durability == Durability::Required && VOLATILE.contains(&stat.f_type) {
        return Err(JournalError::Volatile { path: path.into() });
    }
    Ok(())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Where the slot of a sequence number stands: they alternate between A and B.
pub(crate) fn slot_of(sequence: u64) -> usize {
    if sequence % 2 == 1 { 0 } else { SLOT_B_AT }
}

pub(crate) fn seal(sequence: u64, record: &Record) -> [u8; SLOT_LEN] {
    let body = record.encode();
    assert!(HEAD_LEN + body.len() <= CRC_AT, "a record of {} bytes", body.len());
    let mut out = [0; SLOT_LEN];
    out[..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let len = u16::try_from(body.len()).expect("just compared");
    out[10..12].copy_from_slice(&len.to_le_bytes());
    out[16..24].copy_from_slice(&sequence.to_le_bytes());
    out[HEAD_LEN..HEAD_LEN + body.len()].copy_from_slice(&body);
    let crc = crc32c::crc32c(&out[..CRC_AT]);
    out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    out
}

fn unseal(slot: &[u8]) -> Result<(u64, Record), Malformed> {
    let (sealed, crc) = slot.split_at_checked(CRC_AT).ok_or(Malformed("too short"))?;
    if Fields::new(crc).u32()? != crc32c::crc32c(sealed) {
        return Err(Malformed("the CRC is wrong"));
    }
    let mut fields = Fields::new(sealed);
    if fields.array()? != MAGIC {
        return Err(Malformed("no journal of abide"));
    }
    if fields.u16()? != VERSION {
        return Err(Malformed("a journal of a version that this one does not know"));
    }
    let (len, reserved, sequence) = (usize::from(fields.u16()?), fields.u32()?, fields.u64()?);
    let body = sealed.get(HEAD_LEN..HEAD_LEN + len).ok_or(Malformed("a record too long"))?;
    if reserved != 0 || sealed[HEAD_LEN + len..].iter().any(|byte| *byte != 0) {
        return Err(Malformed("reserved bytes that are not zero"));
    }
    Ok((sequence, Record::decode(body)?))
}

/// The last record, and its number.
fn read_file(file: &File, path: &Path) -> Result<(u64, Record), JournalError> {
    let damaged = |slot| move |what| JournalError::Damaged { path: path.into(), slot, what };
    let len = file.metadata().map_err(host(path, "look at"))?.len();
    if len != FILE_LEN as u64 {
        return Err(damaged("the file")(Malformed("its length is wrong")));
    }
    let mut bytes = vec![0; FILE_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(host(path, "read"))?;
    read_bytes(&bytes).map_err(|(slot, what)| damaged(slot)(what))
}

/// As [`read_file`], of the file's bytes.
pub(crate) fn read_bytes(bytes: &[u8]) -> Result<(u64, Record), (&'static str, Malformed)> {
    if bytes.len() != FILE_LEN {
        return Err(("the file", Malformed("its length is wrong")));
    }
    let a = unseal(&bytes[..SLOT_LEN]).map_err(|what| ("slot A", what))?;
    let b = unseal(&bytes[SLOT_B_AT..]).map_err(|what| ("slot B", what))?;
    if bytes[SLOT_LEN..SLOT_B_AT].iter().any(|byte| *byte != 0) {
        return Err(("the gap", Malformed("bytes that are not zero")));
    }
    // Neighbours, the odd one in A: anything else is no history of this file.
    if a.0 % 2 != 1 || b.0 % 2 != 0 || a.0.abs_diff(b.0) != 1 {
        return Err(("both slots", Malformed("sequence numbers that do not follow")));
    }
    Ok(if a.0 > b.0 { a } else { b })
}
