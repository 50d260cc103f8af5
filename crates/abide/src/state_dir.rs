//! The state directory: one folder for each guest that runs here.
//!
//! `NAME/lock` is locked as long as the guest's process lives, so a dead one is never taken for a
//! running one; `NAME/control.sock` takes commands.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest name of a guest, in bytes.
const NAME_MAX_LEN: usize = 64;
const LOCK: &str = "lock";
const SOCKET: &str = "control.sock";
/// The control socket of a process that is about to get the guest.
const NEXT_SOCKET: &str = "next.sock";
/// Where it gets the guest.
const HANDOFF_SOCKET: &str = "handoff.sock";
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
    lock: OwnedFd,
    /// Whether it is another process's, or nobody's: then it is not this one that leaves it.
    is_handed_on: AtomicBool,
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
        // A process that takes over may be told, and may have another working directory.
        let path = std::path::absolute(path)?;
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
                return Ok(Some(Place::new(name, folder, lock.into())));
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

    /// The place of `name` together with the process that has it, whose `lock` this is: who asks
    /// whether the guest runs never finds it free. It is left to that process until
    /// [`Place::take_socket`].
    pub fn share(&self, name: &str, lock: OwnedFd) -> Result<Place> {
        check_name(name)?;
        let folder = self.path.join(name);
        let lock = File::from(lock);
        anyhow::ensure!(is_same_file(&lock, &folder.join(LOCK)), "that is no lock of {name}");
        let place = Place::new(name, folder, lock.into());
        place.hand_on();
        Ok(place)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
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
        through_fd(&folder, SOCKET, |socket| UnixStream::connect(socket))
            .with_context(|| format!("guest {name}: its socket does not answer"))
    }
}

impl Place {
    fn new(name: &str, folder: PathBuf, lock: OwnedFd) -> Self {
        Self { name: name.to_owned(), folder, lock, is_handed_on: AtomicBool::new(false) }
    }

    /// The guest's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// Where the guest's journal is: it stays when the guest's process is gone.
    pub fn journal(&self) -> Result<PathBuf> {
        let unusable = || format!("state directory {}: not usable", self.folder.display());
        let journals = self.folder.with_file_name(JOURNALS);
        std::fs::create_dir_all(&journals).with_context(unusable)?;
        Ok(journals.join(&self.name))
    }

    /// Where the process that gets the guest has its journal, while the one that has it uses
    /// [`Self::journal`]. No guest can have this name.
    pub fn next_journal(&self) -> Result<PathBuf> {
        Ok(self.journal()?.with_file_name(format!(".{}", self.name)))
    }

    /// Begins to listen for commands.
    pub fn listen(&self) -> Result<UnixListener> {
        self.listen_at(SOCKET)
    }

    /// Begins to listen, while another process is the one who is asked, until
    /// [`Self::take_socket`].
    pub fn listen_beside(&self) -> Result<UnixListener> {
        self.listen_at(NEXT_SOCKET)
    }

    fn listen_at(&self, socket: &str) -> Result<UnixListener> {
        // A socket that a dead process left; the lock says that nobody else uses it.
        let _ = std::fs::remove_file(self.folder.join(socket));
        through_fd(&self.folder, socket, |socket| UnixListener::bind(socket))
            .with_context(|| format!("{}: cannot listen", self.folder.display()))
    }

    /// From here on who asks for the guest asks this process, which listens beside already. One
    /// step for everybody: there is no moment when nobody answers.
    pub fn take_socket(&self) -> Result<()> {
        std::fs::rename(self.folder.join(NEXT_SOCKET), self.folder.join(SOCKET))
            .with_context(|| format!("{}: cannot take the socket", self.folder.display()))?;
        self.is_handed_on.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Where a guest is handed to another process that shares this place.
    pub fn handoff_socket(&self) -> PathBuf {
        self.folder.join(HANDOFF_SOCKET)
    }

    /// The lock, for a process that is to share the place.
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// The place is another process's from here on, and stands when this one ends.
    pub fn hand_on(&self) {
        self.is_handed_on.store(true, Ordering::SeqCst);
    }
}

impl Place {
    /// Leaves the place, once: for who ends without dropping it.
    pub fn leave(&self) {
        if self.is_handed_on.swap(true, Ordering::SeqCst) {
            return;
        }
        // What cannot be removed does no harm: without its lock it counts as not running.
        for file in [SOCKET, NEXT_SOCKET, HANDOFF_SOCKET, LOCK] {
            let _ = std::fs::remove_file(self.folder.join(file));
        }
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
fn through_fd<T>(
    folder: &Path,
    socket: &str,
    open: impl FnOnce(&Path) -> std::io::Result<T>,
) -> Result<T> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(folder, flags, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    Ok(open(&short.join(socket))?)
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
    fn a_place_goes_to_another_process_and_is_never_free() {
        let (_dir, state) = temp();
        let first = state.take(Some("web"), None).unwrap();
        let _first_listens = first.listen().unwrap();
        let lock = first.lock().try_clone_to_owned().unwrap();
        assert!(state.share("other", lock.try_clone().unwrap()).is_err(), "a lock of another's");
        let second = state.share("web", lock).unwrap();
        let second_listens = second.listen_beside().unwrap();
        second.take_socket().unwrap();
        first.hand_on();
        drop(first);
        assert!(state.is_running("web") && state.take(Some("web"), None).is_err());
        let _asking = state.connect("web").unwrap();
        assert!(second_listens.accept().is_ok(), "it is the second one who is asked");
        drop(second);
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
