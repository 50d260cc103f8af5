//! Snapshot files: complete or not there.

use crate::Snapshot;
use crate::source::Sink;
use crate::write::{Compression, WriteError, Written, write_to};
use abide_memory::GuestRam;
use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

/// What is appended to the name of a file that is not complete.
pub const PARTIAL_SUFFIX: &str = ".partial";

/// Guest RAM holds the guest's secrets: only the owner may read a snapshot.
const MODE: u32 = 0o600;

/// How often to begin again when another save takes the half file away in between.
const ATTEMPTS: usize = 8;

/// What is there already under the name of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Is kept, and the save refused.
    #[default]
    Keep,
    /// Is replaced at once when the new file is complete, and kept if that fails.
    Replace,
}

/// A snapshot file in the making.
///
/// The bytes go to a file with the suffix [`PARTIAL_SUFFIX`] in the same directory, which gets its
/// final name only when all of it is on the disk. Until then it is locked, and removed if anything
/// fails; one that a power cut left behind is taken over.
///
/// ```
/// use abide_snapshot::{Architecture, Compression, Existing, Header, Reader, Snapshot, Writer};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("web.abide");
/// let snapshot = Snapshot { header: Header::new(Architecture::AARCH64), records: vec![] };
/// let written = Writer::create(&path, Existing::Keep)?.write(&snapshot, &[], Compression::None)?;
/// assert_eq!(Reader::open(&path)?.digest(), written.digest);
/// assert!(Writer::create(&path, Existing::Keep).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    existing: Existing,
    file: File,
    /// Whether the half file has got its final name, so that there is nothing to remove.
    is_done: bool,
}

/// How many bytes are written before the disk is asked to take them.
const SYNC_LEN: usize = 64 << 20;

/// A file whose bytes go to the disk while the next ones are read and hashed, so that not all of
/// that waits for the end.
struct Syncing<'a> {
    file: &'a File,
    /// Bytes written since the last request.
    unsynced: usize,
    requests: SyncSender<()>,
}

impl<'a> Syncing<'a> {
    /// Lets `write` write to `file`; returns what came of that, and of the disk's part. **The host
    /// tells an error of the disk only once**, so who ignores this one never hears of it again.
    fn during<T>(file: &'a File, write: impl FnOnce(&mut Self) -> T) -> (T, io::Result<()>) {
        let (requests, requested) = sync_channel(1);
        std::thread::scope(|scope| {
            let sync = move || requested.iter().try_for_each(|()| file.sync_data());
            // Where the host gives no thread, all is synchronized at the end.
            let thread = std::thread::Builder::new().spawn_scoped(scope, sync);
            let mut sink = Self { file, unsynced: 0, requests };
            let written = write(&mut sink);
            drop(sink);
            let synced = thread.map_or(Ok(()), |thread| {
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
            });
            (written, synced)
        })
    }
}

impl Sink for Syncing<'_> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.unsynced += bytes.len();
        // While one request waits, and once the disk failed, none is added.
        if self.unsynced >= SYNC_LEN && self.requests.try_send(()).is_ok() {
            self.unsynced = 0;
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_done {
            // Nothing is left to do where even that fails; the next save takes it over.
            std::fs::remove_file(&self.partial).ok();
        }
    }
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// [`WriteError::Exists`], [`WriteError::Busy`], [`WriteError::Full`] or [`WriteError::Host`].
    pub fn create(path: &Path, existing: Existing) -> Result<Self, WriteError> {
        match path.symlink_metadata() {
            Ok(_) if existing == Existing::Keep => {
                return Err(WriteError::Exists { path: path.to_owned() });
            }
            // Replacing a device or a directory is never what was meant.
            Ok(there) if !there.is_file() => {
                return Err(host("replace", path, io::Error::other("not a regular file")));
            }
            _ => {}
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(PARTIAL_SUFFIX);
        let partial = PathBuf::from(partial);
        let file = claim(&partial)?;
        Ok(Self { path: path.to_owned(), partial, existing, file, is_done: false })
    }

    /// Writes everything, puts it on the disk and gives the file its name. The guest must not run
    /// meanwhile.
    ///
    /// # Errors
    /// [`WriteError`]; except after [`WriteError::Unsynced`], no new file is there then.
    pub fn write(
        mut self,
        snapshot: &Snapshot,
        rams: &[&GuestRam],
        compression: Compression,
    ) -> Result<Written, WriteError> {
        let (written, synced) =
            Syncing::during(&self.file, |sink| write_to(sink, snapshot, rams, compression));
        let written = written.map_err(|error| match error {
            WriteError::Sink(source) => host("write", &self.partial, source),
            other => other,
        })?;
        synced
            .and_then(|()| self.file.sync_all())
            .map_err(|source| host("synchronize", &self.partial, source))?;
        self.rename()?;
        self.is_done = true;
        sync_directory(&self.path)
            .map_err(|source| WriteError::Unsynced { path: self.path.clone(), source })?;
        Ok(written)
    }

    fn rename(&self) -> Result<(), WriteError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists { path: self.path.clone() },
            _ => host("rename", &self.partial, source),
        };
        if self.existing == Existing::Replace {
            return std::fs::rename(&self.partial, &self.path).map_err(refused);
        }
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(CWD, &self.partial, CWD, &self.path, flags) {
            Ok(()) => Ok(()),
            // Some file systems cannot do that; a hard link never replaces anything either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                std::fs::hard_link(&self.partial, &self.path).map_err(refused)?;
                // The file is in its place; a second name that stays is cleared by the next save.
                std::fs::remove_file(&self.partial).ok();
                Ok(())
            }
            Err(errno) => Err(refused(errno.into())),
        }
    }
}

/// The half file, empty and locked by this process.
fn claim(partial: &Path) -> Result<File, WriteError> {
    let refused = |step| move |source| host(step, partial, source);
    #[expect(clippy::cast_possible_wrap, reason = "the flag is one low bit")]
    let no_follow = OFlags::NOFOLLOW.bits() as i32;
    for _ in 0..ATTEMPTS {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            // A link planted here would lead the guest's RAM somewhere else.
            .custom_flags(no_follow)
            .open(partial)
            .map_err(refused("create"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(WriteError::Busy { path: partial.to_owned() });
            }
            Err(errno) => return Err(refused("lock")(errno.into())),
        }
        // Between opening and locking, its writer may have given it its final name: then it is not
        // ours, and must not be truncated.
        match standing(&file, partial).map_err(refused("look at"))? {
            Standing::Elsewhere => continue,
            Standing::AlsoElsewhere => {
                std::fs::remove_file(partial).map_err(refused("clear"))?;
                continue;
            }
            Standing::Here => {}
        }
        file.set_len(0).map_err(refused("empty"))?;
        file.set_permissions(Permissions::from_mode(MODE)).map_err(refused("protect"))?;
        return Ok(file);
    }
    Err(WriteError::Busy { path: partial.to_owned() })
}

/// Under which names a file stands.
enum Standing {
    /// Under the one asked for alone.
    Here,
    /// Under that and another: a save was cut off right after it gave the file its final name.
    AlsoElsewhere,
    /// Not under the one asked for.
    Elsewhere,
}

fn standing(file: &File, path: &Path) -> io::Result<Standing> {
    let ours = file.metadata()?;
    match path.symlink_metadata() {
        Ok(there) if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) => {
            Ok(Standing::Elsewhere)
        }
        Ok(there) if there.nlink() > 1 => Ok(Standing::AlsoElsewhere),
        Ok(_) => Ok(Standing::Here),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing::Elsewhere),
        Err(error) => Err(error),
    }
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn host(step: &'static str, path: &Path, source: io::Error) -> WriteError {
    let path = path.to_owned();
    match source.kind() {
        // EFBIG is a limit on the size of files: room of another kind.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            WriteError::Full { path, source }
        }
        _ => WriteError::Host { step, path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_the_disk_on_the_way_is_not_lost() {
        let piece = vec![1; SYNC_LEN];
        let of = |path: &str| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            Syncing::during(&file, |sink| sink.write_at(0, &piece))
        };
        // The host takes every byte, and refuses to synchronize a device like that.
        let (written, synced) = of("/dev/null");
        written.unwrap();
        assert_eq!(synced.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let (written, synced) = of("/dev/full");
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
        synced.unwrap();
    }
}
