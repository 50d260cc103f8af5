//! Memory files: guest RAM in a file, so that it outlives the process and the host's kernel.
//!
//! The file holds RAM, and behind it the label: whose RAM it is, and whether that guest runs or was
//! saved. A snapshot that refers to the file fits the one label of its save; before the
//! guest runs again the label is changed on the disk. So nothing can run twice from one RAM, and
//! registers never meet RAM of another time.

use crate::kept::{KeptMemory, MemoryId};
use crate::wire::{array, put, u32_at, u64_at};
use crate::{Digest, HashError};
use abide_memory::{GuestRam, MemoryError};
use abide_reg::Gpa;
use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The length of the label behind RAM, in bytes.
pub const LABEL_LEN: u64 = 4096;

/// The length of all that is behind RAM, in bytes: the label, a trial guest's program, zeros. It is
/// a page, or some, of every host.
pub const TAIL_LEN: u64 = 1 << 16;

/// A guest that powers itself off by PSCI SYSTEM_OFF, in four instructions of AArch64:
/// `movz w0, #0x8400, lsl #16; movk w0, #8; hvc #0; b .` `[DEN0022 5.1.9]`. It always stands in the
/// file, so that trying whether a host can run a guest there changes nothing.
const TRIAL: [u8; 16] = [
    0x00, 0x80, 0xb0, 0x52, 0x00, 0x01, 0x80, 0x72, 0x02, 0x00, 0x00, 0xd4, 0x00, 0x00, 0x00, 0x14,
];

/// Guest RAM holds the guest's secrets.
const MODE: u32 = 0o600;

const MAGIC: [u8; 8] = *b"\x89ABRAM\r\n";
const VERSION: u32 = 1;
const RUNNING: u32 = 1;
const SAVED: u32 = 2;
const AT_VERSION: usize = 8;
const AT_STATE: usize = 12;
const AT_RAM_LEN: usize = 16;
const AT_GUEST: usize = 32;
const AT_SAVE: usize = 48;
const AT_CRC: usize = 4092;
const _: () = assert!(AT_CRC as u64 + 4 == LABEL_LEN);

/// Why RAM cannot be in a file.
#[derive(Debug, Error)]
pub enum MemoryFileError {
    /// There is none.
    #[error(
        "memory file {}: not there; if it is elsewhere now, --memory-file tells where",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The host refuses something.
    #[error("memory file {}: cannot {step}: {source}", path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// What was to be done.
        step: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// It is something else than a file.
    #[error(
        "memory file {}: {found} found, a regular file is allowed; one on tmpfs, or on persistent \
         memory with a file system mounted with -o dax, is memory itself",
        path.display()
    )]
    Kind {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A guest runs in it.
    #[error(
        "memory file {}: in use by another process; wait for it, or take another file",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is no room. Without it a guest would be killed when it touches its memory.
    #[error(
        "memory file {}: no room for {len} bytes: {source}; free some, or use a smaller --memory",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// The bytes needed.
        len: u64,
        /// What the host said.
        source: io::Error,
    },
    /// What is there is not a guest's memory, and is not overwritten.
    #[error(
        "memory file {}: {len} bytes found that are no guest's memory; name a new file, or remove \
         this one",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// A saved guest's memory is not overwritten.
    #[error(
        "memory file {}: holds the memory of a saved guest (save {save}); restore that, or remove \
         the file and lose the guest",
        path.display()
    )]
    Saved {
        /// The file.
        path: PathBuf,
        /// The save.
        save: MemoryId,
    },
    /// It has another length than RAM and what is behind it.
    #[error("memory file {}: {found} bytes found, {allowed} allowed", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The length of RAM and what is behind it, in bytes.
        allowed: u64,
    },
    /// What is behind RAM does not say whose RAM it is.
    #[error("memory file {}: no label at byte {at}, or a damaged one", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Where the label must be.
        at: u64,
    },
    /// It is another guest's.
    #[error("memory file {}: of guest {found}, the snapshot is of guest {allowed}", path.display())]
    Guest {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: MemoryId,
        /// Whose it must be.
        allowed: MemoryId,
    },
    /// Its guest has run since the save.
    #[error(
        "memory file {}: its guest has run since the save, or the save was cut off; memory and \
         registers no longer belong together",
        path.display()
    )]
    Ran {
        /// The file.
        path: PathBuf,
    },
    /// It is as another save left it.
    #[error("memory file {}: of save {found}, the snapshot is save {allowed}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// The save it is of.
        found: MemoryId,
        /// The save it must be of.
        allowed: MemoryId,
    },
    /// RAM is not what it was at the save.
    #[error("memory file {}: its content is not what it was at the save", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// RAM cannot be mapped.
    #[error("memory file {}: {source}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MemoryError,
    },
    /// RAM cannot be hashed.
    #[error("memory file {}: {source}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// Why.
        source: HashError,
    },
}

/// What the label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Label {
    ram_len: u64,
    guest: MemoryId,
    /// The save that left RAM as it is; `None` while the guest runs, and after it ended.
    save: Option<MemoryId>,
}

impl Label {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; AT_CRC];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, AT_VERSION, &VERSION.to_le_bytes());
        let state = if self.save.is_some() { SAVED } else { RUNNING };
        put(&mut bytes, AT_STATE, &state.to_le_bytes());
        put(&mut bytes, AT_RAM_LEN, &self.ram_len.to_le_bytes());
        put(&mut bytes, AT_GUEST, &self.guest.0);
        put(&mut bytes, AT_SAVE, &self.save.unwrap_or_default().0);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let save = MemoryId(array(bytes, AT_SAVE));
        let save = match u32_at(bytes, AT_STATE) {
            RUNNING => None,
            _ => Some(save),
        };
        let label = Self {
            ram_len: u64_at(bytes, AT_RAM_LEN),
            guest: MemoryId(array(bytes, AT_GUEST)),
            save,
        };
        // Also the magic, the version, the zeros and the CRC are what this version writes.
        (label.encode() == bytes).then_some(label)
    }
}

/// A file with a guest's RAM, locked by this process.
///
/// ```
/// use abide_reg::Gpa;
/// use abide_snapshot::{MemoryFile, MemoryId};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("web.ram");
/// let mut file = MemoryFile::create(&path, 1 << 20, MemoryId([1; 16]))?;
/// file.begin()?;
/// let ram = file.map(Gpa(0x4000_0000))?;
/// ram.write(Gpa(0x4000_0000), b"kept")?;
/// assert_eq!(&std::fs::read(&path)?[..4], b"kept");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryFile {
    path: PathBuf,
    file: File,
    label: Label,
    /// It was not there before, and its guest did not run yet.
    is_new: bool,
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if self.is_new {
            // Nothing is left to do where even that fails.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl MemoryFile {
    /// A file for the RAM of a guest to be born: `ram_len` zeros, all of which have their room.
    ///
    /// A file that is there already is taken if it is empty, or holds the RAM of a guest that has
    /// ended. One that was not there before is removed if it is dropped before [`Self::begin`].
    ///
    /// # Errors
    /// [`MemoryFileError`]; a file that was not there before is not there then.
    pub fn create(path: &Path, ram_len: u64, guest: MemoryId) -> Result<Self, MemoryFileError> {
        let path = absolute(path)?;
        let is_new = path.symlink_metadata().is_err();
        let file = open(&path, true)?;
        let label = Label { ram_len, guest, save: None };
        let mut made = Self { path, file, label, is_new };
        made.make_empty()?;
        let at = ram_len.saturating_add(LABEL_LEN);
        let written = made.file.write_all_at(&TRIAL, at);
        written.map_err(|source| made.host("write behind RAM", source))?;
        made.write_label(None)?;
        Ok(made)
    }

    fn make_empty(&self) -> Result<(), MemoryFileError> {
        let len = self.file.metadata().map_err(|source| self.host("look at it", source))?.len();
        if len != 0 {
            match self.read_label(len)? {
                None => return Err(MemoryFileError::Foreign { path: self.path.clone(), len }),
                Some(Label { save: Some(save), .. }) => {
                    return Err(MemoryFileError::Saved { path: self.path.clone(), save });
                }
                Some(Label { save: None, .. }) => {}
            }
        }
        self.file.set_len(0).map_err(|source| self.host("empty it", source))?;
        self.reserve()
    }

    /// The file that `kept` is about, at `path`, if its RAM is as that save left it. It is not
    /// changed until [`Self::begin`].
    ///
    /// # Errors
    /// [`MemoryFileError`]
    pub fn open(path: &Path, kept: &KeptMemory) -> Result<Self, MemoryFileError> {
        let path = absolute(path)?;
        let file = open(&path, false)?;
        let ram_len = kept.range.size;
        let label = Label { ram_len, guest: kept.guest, save: Some(kept.save) };
        let opened = Self { path, file, label, is_new: false };
        let path = || opened.path.clone();
        let metadata =
            opened.file.metadata().map_err(|source| opened.host("look at it", source))?;
        let (found, allowed) = (metadata.len(), ram_len.saturating_add(TAIL_LEN));
        if found != allowed {
            return Err(MemoryFileError::Length { path: path(), found, allowed });
        }
        let label = opened.read_label(found)?;
        let label = label.filter(|label| label.ram_len == ram_len);
        let label = label.ok_or_else(|| MemoryFileError::Label { path: path(), at: ram_len })?;
        if label.guest != kept.guest {
            let (found, allowed) = (label.guest, kept.guest);
            return Err(MemoryFileError::Guest { path: path(), found, allowed });
        }
        match label.save {
            None => Err(MemoryFileError::Ran { path: path() }),
            Some(found) if found != kept.save => {
                let allowed = kept.save;
                Err(MemoryFileError::Save { path: path(), found, allowed })
            }
            Some(_) => {
                // Somebody may have punched holes into it, or copied it sparsely.
                opened.reserve()?;
                Ok(opened)
            }
        }
    }

    /// The RAM, mapped where it stands.
    ///
    /// # Errors
    /// [`MemoryFileError::Host`] or [`MemoryFileError::Map`].
    pub fn map(&self, base: Gpa) -> Result<GuestRam, MemoryFileError> {
        let shared = self.file.try_clone().map_err(|source| self.host("share it", source))?;
        GuestRam::from_fd(base, self.label.ram_len, shared.into())
            .map_err(|source| MemoryFileError::Map { path: self.path.clone(), source })
    }

    /// What is behind RAM, as RAM of a trial guest of its own at `base`, and where that guest
    /// begins: it powers itself off, and writes nothing. What it shows of a host holds for guests
    /// in the file.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn trial(&self, base: Gpa) -> Result<(GuestRam, Gpa), MemoryFileError> {
        let shared = self.file.try_clone().map_err(|source| self.host("share it", source))?;
        let ram = GuestRam::from_fd_at(base, TAIL_LEN, shared.into(), self.label.ram_len)
            .map_err(|source| MemoryFileError::Map { path: self.path.clone(), source })?;
        Ok((ram, Gpa(base.0 + LABEL_LEN)))
    }

    /// Refuses RAM that does not have this [`crate::ram_hash`].
    ///
    /// # Errors
    /// [`MemoryFileError::Content`] or [`MemoryFileError::Hash`].
    pub fn check(&self, ram: &GuestRam, hash: Digest) -> Result<(), MemoryFileError> {
        let found = crate::ram_hash(ram)
            .map_err(|source| MemoryFileError::Hash { path: self.path.clone(), source })?;
        if found == hash {
            Ok(())
        } else {
            Err(MemoryFileError::Content { path: self.path.clone() })
        }
    }

    /// From here on the guest runs: no snapshot fits the file any more, also after a power cut.
    ///
    /// # Errors
    /// [`MemoryFileError::Host`]: the guest must not run then.
    pub fn begin(&mut self) -> Result<(), MemoryFileError> {
        self.write_label(None)?;
        self.is_new = false;
        Ok(())
    }

    /// The guest stands still, and its snapshot with this number is complete: RAM and then the
    /// label go to the disk, if the file is on one. The guest must not run afterwards.
    ///
    /// # Errors
    /// [`MemoryFileError::Host`]: the snapshot does not fit then, and the guest may go on.
    pub fn keep(&mut self, save: MemoryId) -> Result<(), MemoryFileError> {
        self.file.sync_all().map_err(|source| self.host("synchronize it", source))?;
        let kept = self.write_label(Some(save));
        if kept.is_err() {
            // The label may have reached the file and not the disk. The snapshot is removed, too.
            self.write_label(None).ok();
        }
        kept
    }

    /// Where it is; absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the guest was saved and does not run from it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.label.save.is_some()
    }

    /// Whose it is.
    #[must_use]
    pub fn guest(&self) -> MemoryId {
        self.label.guest
    }

    fn write_label(&mut self, save: Option<MemoryId>) -> Result<(), MemoryFileError> {
        let label = Label { save, ..self.label };
        self.file
            .write_all_at(&label.encode(), self.label.ram_len)
            .and_then(|()| self.file.sync_all())
            .map_err(|source| self.host("write its label", source))?;
        self.label = label;
        Ok(())
    }

    /// The label of a file of this length, if the trial guest is behind it.
    fn read_label(&self, file_len: u64) -> Result<Option<Label>, MemoryFileError> {
        let Some(at) = file_len.checked_sub(TAIL_LEN) else { return Ok(None) };
        let mut bytes = [0; AT_CRC + 4 + TRIAL.len()];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(|source| self.host("read its label", source))?;
        let (label, trial) = bytes.split_at(AT_CRC + 4);
        let label = Label::decode(label).filter(|label| label.ram_len == at);
        Ok(label.filter(|_| trial == TRIAL))
    }

    /// Makes sure that every page has its room: to touch one without ends the process.
    fn reserve(&self) -> Result<(), MemoryFileError> {
        let len = self.label.ram_len.saturating_add(TAIL_LEN);
        let reserve = || rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len);
        retry_on_intr(reserve).map_err(|errno| match errno {
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => {
                MemoryFileError::Full { path: self.path.clone(), len, source: errno.into() }
            }
            _ => self.host("reserve room on this file system", errno.into()),
        })
    }

    fn host(&self, step: &'static str, source: io::Error) -> MemoryFileError {
        MemoryFileError::Host { path: self.path.clone(), step, source }
    }
}

/// So that a snapshot can name the file wherever it is read.
fn absolute(path: &Path) -> Result<PathBuf, MemoryFileError> {
    let step = "make its path absolute";
    std::path::absolute(path).map_err(|source| MemoryFileError::Host {
        path: path.to_owned(),
        step,
        source,
    })
}

/// Opens and locks.
fn open(path: &Path, create: bool) -> Result<File, MemoryFileError> {
    let host = |step, source| MemoryFileError::Host { path: path.to_owned(), step, source };
    match std::fs::metadata(path) {
        Ok(there) => check_kind(path, there.file_type())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && create => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(MemoryFileError::Missing { path: path.to_owned() });
        }
        Err(source) => return Err(host("look at it", source)),
    }
    #[expect(clippy::cast_possible_wrap, reason = "the flag is one low bit")]
    let no_waiting = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .truncate(false)
        .mode(MODE)
        // Should it have become a pipe meanwhile.
        .custom_flags(no_waiting)
        .open(path)
        .map_err(|source| host("open it for writing", source))?;
    let opened = file.metadata().map_err(|source| host("look at it", source))?;
    check_kind(path, opened.file_type())?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(MemoryFileError::Locked { path: path.to_owned() }),
        Err(errno) => Err(host("lock it", errno.into())),
    }
}

fn check_kind(path: &Path, kind: std::fs::FileType) -> Result<(), MemoryFileError> {
    let found = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(MemoryFileError::Kind { path: path.to_owned(), found })
}
