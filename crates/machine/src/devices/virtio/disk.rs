//! A disk's content in a raw file or block device of the host.

use super::epoch::RunEpoch;
use abide_reg::{Class, Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use abide_virtio::block::{IoFailed, SECTOR_LEN, Storage};
use rustix::fs::{FallocateFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, TryLockError};
use std::io::{Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where a disk's path stands in a snapshot: a fact about the host, of any length.
pub const DISK_PATH: RegId = RegId::named("disk.path");
const DIRECT: RegDef =
    RegDef::state(RegId::named("disk.direct"), "O_DIRECT", 1).class(Class::Volatile);

/// The registers of fixed width of a disk's host side; its path stands before them.
pub const DISK_TABLE: &[RegDef] = &[DIRECT];

/// Position, length and memory of an unbuffered transfer are multiples of this, in bytes: enough
/// for every disk and file system in use.
const DIRECT_ALIGN: usize = 4096;

/// Zeros that are written at once where the host cannot make them by itself, in bytes.
const ZEROS_LEN: usize = 64 << 10;

/// A disk that a board is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// The file or block device.
    pub path: PathBuf,
    /// Whether the guest may only read it.
    pub readonly: bool,
    /// Whether the host's page cache is passed by.
    pub direct: bool,
}

/// Why a disk cannot be used.
#[derive(Debug, Error)]
pub enum DiskError {
    /// It cannot be opened.
    #[error("disk {}: {source}", path.display())]
    Open {
        /// The disk.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// Its file system cannot pass the page cache by.
    #[error(
        "disk {}: cannot be used past the page cache here; leave `direct` out",
        path.display()
    )]
    Direct {
        /// The disk.
        path: PathBuf,
    },
    /// What the guest wrote cannot be made to last.
    #[error("disk {}: cannot be flushed: {source}", path.display())]
    Flush {
        /// The disk.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// It is something else than a disk.
    #[error("disk {}: {found}; a regular file or a block device is needed", path.display())]
    Kind {
        /// The disk.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Its length is none of a disk.
    #[error("disk {}: {found} bytes; a multiple of {multiple}, not 0, is needed", path.display())]
    Len {
        /// The disk.
        path: PathBuf,
        /// Its length, in bytes.
        found: u64,
        /// What the length must be a multiple of.
        multiple: u64,
    },
    /// Another process has it.
    #[error(
        "disk {}: in use by another guest or program; end that one, or give each its own copy",
        path.display()
    )]
    InUse {
        /// The disk.
        path: PathBuf,
    },
    /// Its guest has taken it in a later epoch, elsewhere.
    #[error(
        "disk {}: taken in epoch {found} of its guest, which is run in epoch {allowed} here: it \
         goes on elsewhere; end it here",
        path.display()
    )]
    Epoch {
        /// The disk.
        path: PathBuf,
        /// The epoch that stands on it.
        found: u64,
        /// The latest in which this process may find it.
        allowed: u64,
    },
    /// It cannot be locked, so two writers could not be told apart.
    #[error("disk {}: cannot be locked: {source}", path.display())]
    Lock {
        /// The disk.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
}

/// A disk that is open, and locked as long as a guest uses it: by one writer, or by any number of
/// readers.
#[derive(Debug)]
pub struct Disk {
    config: DiskConfig,
    file: File,
    /// In bytes.
    len: u64,
    /// Whether a failure was told: more of them would only fill the log.
    has_complained: bool,
}

impl Disk {
    /// Opens and locks it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(config: &DiskConfig) -> Result<Self, DiskError> {
        let disk = Self::open_unlocked(config)?;
        disk.lock()?;
        Ok(disk)
    }

    /// Opens it while another process may still have it: nothing is read or written until
    /// [`Self::lock`].
    ///
    /// # Errors
    /// [`DiskError`].
    pub(crate) fn open_unlocked(config: &DiskConfig) -> Result<Self, DiskError> {
        let path = config.path.clone();
        let open = |source| DiskError::Open { path: path.clone(), source };
        let access = if config.readonly { OFlags::RDONLY } else { OFlags::RDWR };
        // NONBLOCK: what is no disk, such as a pipe, must not hold up.
        let mut flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        if config.direct {
            flags |= OFlags::DIRECT;
        }
        let fd = rustix::fs::open(&config.path, flags, Mode::empty());
        if config.direct && matches!(fd, Err(Errno::INVAL)) {
            return Err(DiskError::Direct { path });
        }
        let mut file = File::from(fd.map_err(|errno| open(errno.into()))?);
        let stat = rustix::fs::fstat(&file).map_err(|errno| open(errno.into()))?;
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::BlockDevice => None,
            FileType::Directory => Some("a directory"),
            FileType::CharacterDevice => Some("a character device"),
            _ => Some("a pipe or a socket"),
        };
        if let Some(found) = found {
            return Err(DiskError::Kind { path, found });
        }
        let len = file.seek(SeekFrom::End(0)).map_err(open)?;
        let multiple = if config.direct { DIRECT_ALIGN as u64 } else { SECTOR_LEN };
        if len == 0 || !len.is_multiple_of(multiple) {
            return Err(DiskError::Len { path, found: len, multiple });
        }
        Ok(Self { config: config.clone(), file, len, has_complained: false })
    }

    /// Locks it; once is enough.
    ///
    /// # Errors
    /// [`DiskError::InUse`] or [`DiskError::Lock`].
    pub(crate) fn lock(&self) -> Result<(), DiskError> {
        let path = || self.config.path.clone();
        let file = &self.file;
        let locked = if self.config.readonly { file.try_lock_shared() } else { file.try_lock() };
        match locked {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(DiskError::InUse { path: path() }),
            Err(TryLockError::Error(source)) => Err(DiskError::Lock { path: path(), source }),
        }
    }

    /// Locks it for a guest that another process may have had, in an epoch of its own if it has
    /// one; once is enough.
    ///
    /// # Errors
    /// As [`Self::lock`], and [`DiskError::Epoch`]: it is not locked then.
    pub(crate) fn claim(&self, epoch: Option<RunEpoch>) -> Result<(), DiskError> {
        self.lock()?;
        let Some(epoch) = epoch.filter(|_| !self.config.readonly) else { return Ok(()) };
        let marked = epoch.mark(&self.file, &self.config.path);
        if marked.is_err() {
            self.unlock()?;
        }
        marked
    }

    /// Leaves it to another process; nothing is read or written from here on.
    ///
    /// # Errors
    /// [`DiskError::Lock`].
    pub(crate) fn unlock(&self) -> Result<(), DiskError> {
        let lock = |source| DiskError::Lock { path: self.config.path.clone(), source };
        self.file.unlock().map_err(lock)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.config.path
    }

    /// Its size, in sectors.
    #[must_use]
    pub const fn sectors(&self) -> u64 {
        self.len / SECTOR_LEN
    }

    /// Makes what the guest wrote last, also what it did not flush: a snapshot counts on it.
    ///
    /// # Errors
    /// [`DiskError::Flush`].
    pub fn make_last(&self) -> Result<(), DiskError> {
        let flush = |source| DiskError::Flush { path: self.config.path.clone(), source };
        self.file.sync_data().map_err(flush)
    }

    /// Where it is and how it is used, for a snapshot.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let DiskConfig { path, readonly: _, direct } = &self.config;
        vec![
            Entry::new(DISK_PATH, Class::Volatile, Value::bytes(path.as_os_str().as_bytes())),
            Entry::of(&DIRECT, Value::u8(u8::from(*direct))),
        ]
    }

    /// Where a saved disk was; whether it is read-only, its device says.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub(crate) fn saved(
        mut entries: Vec<Entry>,
    ) -> Result<((PathBuf, bool), Leftover), IntakeError> {
        let path = super::take_path(&mut entries, DISK_PATH)?;
        let mut intake = Intake::new(entries)?;
        let direct = intake.take(&DIRECT)?;
        let is_direct = match direct.to_u8() {
            Some(bit @ 0..=1) => bit != 0,
            _ => {
                let allowed = "0 or 1";
                return Err(IntakeError::Value { id: DIRECT.id, found: direct, allowed });
            }
        };
        Ok(((path, is_direct), intake.finish()?))
    }

    /// Tells of a failure once, and makes it one that the guest is told of.
    fn failed(&mut self, what: &str, error: &std::io::Error) -> IoFailed {
        if !self.has_complained {
            self.has_complained = true;
            let path = self.config.path.display();
            tracing::warn!(%path, %error, "disk: cannot {what}; the guest is told, each time");
        }
        IoFailed
    }

    fn try_read(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        if !self.config.direct {
            return self.file.read_exact_at(into, at);
        }
        let mut around = Around::new(at, into.len());
        around.read(&self.file)?;
        into.copy_from_slice(around.part());
        Ok(())
    }

    fn try_write(&self, at: u64, from: &[u8]) -> std::io::Result<()> {
        if !self.config.direct {
            return self.file.write_all_at(from, at);
        }
        let mut around = Around::new(at, from.len());
        if !around.is_whole() {
            around.read(&self.file)?;
        }
        around.part().copy_from_slice(from);
        around.write(&self.file)
    }

    fn try_zero(&self, at: u64, len: u64, may_free: bool) -> std::io::Result<()> {
        let how = if may_free { FallocateFlags::PUNCH_HOLE } else { FallocateFlags::ZERO_RANGE };
        match rustix::fs::fallocate(&self.file, how | FallocateFlags::KEEP_SIZE, at, len) {
            Ok(()) => return Ok(()),
            // A host that has no such thing; every other failure is one.
            Err(Errno::OPNOTSUPP | Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
        }
        let zeros = vec![0; ZEROS_LEN];
        let mut done = 0;
        while done < len {
            let now = usize::try_from(len - done).unwrap_or(ZEROS_LEN).min(ZEROS_LEN);
            self.try_write(at + done, &zeros[..now])?;
            done += now as u64;
        }
        Ok(())
    }
}

impl Storage for Disk {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), IoFailed> {
        self.try_read(at, into).map_err(|error| self.failed("read", &error))
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Result<(), IoFailed> {
        self.try_write(at, from).map_err(|error| self.failed("write", &error))
    }

    fn flush(&mut self) -> Result<(), IoFailed> {
        self.file.sync_data().map_err(|error| self.failed("flush", &error))
    }

    fn zero(&mut self, at: u64, len: u64, may_free: bool) -> Result<(), IoFailed> {
        self.try_zero(at, len, may_free).map_err(|error| self.failed("zero", &error))
    }
}

/// The aligned blocks around a piece of a disk, in aligned memory.
struct Around {
    bytes: Vec<u8>,
    /// Where aligned memory begins in `bytes`.
    start: usize,
    /// Where the blocks begin on the disk.
    at: u64,
    /// How long they are.
    len: usize,
    /// Where the piece begins in them.
    offset: usize,
    part_len: usize,
}

impl Around {
    fn new(at: u64, part_len: usize) -> Self {
        let align = DIRECT_ALIGN;
        let into_block = at % align as u64;
        let first = at - into_block;
        let offset = usize::try_from(into_block).unwrap_or(0);
        let len = (offset + part_len).next_multiple_of(align);
        let bytes = vec![0; len + align];
        let start = bytes.as_ptr().align_offset(align);
        Self { bytes, start, at: first, len, offset, part_len }
    }

    fn is_whole(&self) -> bool {
        self.part_len == self.len
    }

    fn blocks(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }

    fn part(&mut self) -> &mut [u8] {
        let start = self.start + self.offset;
        &mut self.bytes[start..start + self.part_len]
    }

    fn read(&mut self, file: &File) -> std::io::Result<()> {
        let at = self.at;
        file.read_exact_at(self.blocks(), at)
    }

    fn write(&mut self, file: &File) -> std::io::Result<()> {
        let at = self.at;
        file.write_all_at(self.blocks(), at)
    }
}
