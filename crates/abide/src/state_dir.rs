//! The state directory: one folder for each guest that runs here.
//!
//! `NAME/lock` is locked as long as the guest's process lives, so a dead one is never taken for a
//! running one; `NAME/control.sock` takes commands.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The longest name of a guest, in bytes.
const NAME_MAX_LEN: usize = 64;
const LOCK: &str = "lock";
const SOCKET: &str = "control.sock";
/// The folder of journals, which outlive the guests' processes. No guest can have this name.
const JOURNALS: &str = ".journals";

/// The directory with everything that runs here.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// A guest's place in the directory, held while its process lives.
#[derive(Debug)]
pub struct Place {
    name: String,
    folder: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl StateDir {
    /// The directory asked for, or the user's own.
    pub fn open(asked: Option<&Path>) -> Result<Self> {
        let path = match asked {
            Some(path) => path.to_owned(),
            None => default_path()?,
        };
        std::fs::create_dir_all(&path)
            .with_context(|| format!("state directory {}: cannot be made", path.display()))?;
        Ok(Self { path })
    }

    /// Takes the place of `name`; without one that of `wish` if it is a free name, else the first
    /// free of vm1, vm2, …
    pub fn take(&self, name: Option<&str>, wish: Option<&str>) -> Result<Place> {
        if let Some(name) = name {
            check_name(name)?;
            return self.try_take(name)?.with_context(|| {
                format!(
                    "a guest named {name} runs here already; choose another name, or \
                     `abide stop {name}`"
                )
            });
        }
        if let Some(wish) = wish.filter(|wish| check_name(wish).is_ok())
            && let Some(place) = self.try_take(wish)?
        {
            return Ok(place);
        }
        for n in 1..10_000 {
            if let Some(place) = self.try_take(&format!("vm{n}"))? {
                return Ok(place);
            }
        }
        bail!("no free name; give one")
    }

    fn try_take(&self, name: &str) -> Result<Option<Place>> {
        let folder = self.path.join(name);
        let unusable = || format!("state directory {}: not usable", folder.display());
        loop {
            std::fs::create_dir_all(&folder).with_context(unusable)?;
            let lock = match File::create(folder.join(LOCK)) {
                // The guest before was just cleaning up.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                result => result.with_context(unusable)?,
            };
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(errno).with_context(unusable),
            }
            // Only a lock on the file that others will open counts.
            if is_same_file(&lock, &folder.join(LOCK)) {
                return Ok(Some(Place { name: name.to_owned(), folder, _lock: lock }));
            }
        }
    }

    /// The names of guests that run, sorted.
    pub fn running(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = std::fs::read_dir(&self.path)
            .with_context(|| format!("state directory {}: cannot be read", self.path.display()))?;
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if check_name(&name).is_ok() && self.is_running(&name) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Whether a guest of this name runs here.
    pub fn is_running(&self, name: &str) -> bool {
        let Ok(lock) = File::open(self.path.join(name).join(LOCK)) else { return false };
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared)
            == Err(rustix::io::Errno::WOULDBLOCK)
    }

    /// Where the journal of the guest of this name is, if it has one.
    pub fn journal(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.path.join(JOURNALS).join(name))
    }

    /// Connects to the guest of this name.
    pub fn connect(&self, name: &str) -> Result<UnixStream> {
        check_name(name)?;
        if !self.is_running(name) {
            bail!(
                "no guest named {name} runs here (state directory {}); `abide ps` lists those \
                 that do",
                self.path.display()
            );
        }
        let folder = self.path.join(name);
        through_fd(&folder, |socket| UnixStream::connect(socket))
            .with_context(|| format!("guest {name}: its socket does not answer"))
    }
}

impl Place {
    /// The guest's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the guest's journal is: it stays when the guest's process is gone.
    pub fn journal(&self) -> Result<PathBuf> {
        let unusable = || format!("state directory {}: not usable", self.folder.display());
        let journals = self.folder.with_file_name(JOURNALS);
        std::fs::create_dir_all(&journals).with_context(unusable)?;
        Ok(journals.join(&self.name))
    }

    /// Begins to listen for commands.
    pub fn listen(&self) -> Result<UnixListener> {
        // A socket that a dead process left; the lock says that nobody else uses it.
        let _ = std::fs::remove_file(self.folder.join(SOCKET));
        through_fd(&self.folder, |socket| UnixListener::bind(socket))
            .with_context(|| format!("{}: cannot listen", self.folder.display()))
    }
}

impl Place {
    /// Leaves the place: for who ends without dropping it.
    pub fn leave(&self) {
        // What cannot be removed does no harm: without its lock it counts as not running.
        let _ = std::fs::remove_file(self.folder.join(SOCKET));
        let _ = std::fs::remove_file(self.folder.join(LOCK));
        let _ = std::fs::remove_dir(&self.folder);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

fn is_same_file(open: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (open.metadata(), std::fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// A socket's path may have 107 bytes; a state directory may be longer. So the path goes through
/// a descriptor of the folder.
fn through_fd<T>(folder: &Path, open: impl FnOnce(&Path) -> std::io::Result<T>) -> Result<T> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(folder, flags, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    Ok(open(&short.join(SOCKET))?)
}

fn default_path() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = set("XDG_STATE_HOME") {
        return Ok(PathBuf::from(path).join("abide"));
    }
    let home = set("HOME").context("neither XDG_STATE_HOME nor HOME is set; give --state-dir")?;
    Ok(PathBuf::from(home).join(".local/state/abide"))
}

fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty()
        || name.len() > NAME_MAX_LEN
        || !name.chars().all(good)
        || name.starts_with('.')
    {
        bail!(
            "{name:?} is no name for a guest: 1 to {NAME_MAX_LEN} letters, digits, '-', '_' and \
             '.', not starting with '.'"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temp() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(dir.path())).unwrap();
        (dir, state)
    }

    #[test]
    fn a_name_is_taken_once_and_free_again_afterwards() {
        let (_dir, state) = temp();
        let place = state.take(Some("web"), None).unwrap();
        assert!(state.take(Some("web"), None).is_err());
        assert_eq!(state.running().unwrap(), ["web"]);
        drop(place);
        assert!(state.running().unwrap().is_empty());
        assert!(state.take(Some("web"), None).is_ok());
    }

    #[test]
    fn unnamed_guests_get_the_first_free_number() {
        let (_dir, state) = temp();
        let first = state.take(None, None).unwrap();
        let second = state.take(None, None).unwrap();
        assert_eq!((first.name(), second.name()), ("vm1", "vm2"));
    }

    #[test]
    fn a_wish_is_granted_while_it_is_free_and_a_name() {
        let (_dir, state) = temp();
        let first = state.take(None, Some("web")).unwrap();
        let second = state.take(None, Some("web")).unwrap();
        let third = state.take(None, Some("no name")).unwrap();
        assert_eq!((first.name(), second.name(), third.name()), ("web", "vm1", "vm2"));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let (_dir, state) = temp();
        for bad in ["", "..", "a/b", ".hidden", "a b", &"x".repeat(65)] {
            assert!(state.take(Some(bad), None).is_err(), "{bad:?}");
            assert!(state.connect(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sockets_work_in_directories_with_long_paths() {
        let (dir, _) = temp();
        let long = dir.path().join("d".repeat(120)).join("e".repeat(120));
        let state = StateDir::open(Some(&long)).unwrap();
        let place = state.take(Some("web"), None).unwrap();
        let _listener = place.listen().unwrap();
        assert!(state.connect("web").is_ok());
    }
}
