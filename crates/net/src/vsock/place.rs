//! Where host and guest meet: UNIX sockets in a folder of the host.

use super::VsockError;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The longest name of a socket's file, in bytes: the path of a socket is short, and the ports'
/// sockets have longer ones.
pub const NAME_MAX_LEN: usize = 64;

/// A path whose last part names a socket; the folder stays the same whatever is renamed.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    folder: OwnedFd,
    name: OsString,
}

/// A socket that listens, and its file, which goes with it.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: UnixListener,
    pub(super) place: Place,
    /// Device and number of the file.
    file: (u64, u64),
}

impl Place {
    pub(super) fn new(path: &Path) -> Result<Self, VsockError> {
        let name = path.file_name().filter(|_| path.as_os_str().as_bytes().last() != Some(&b'/'));
        let name = name.map(OsStr::to_os_string).unwrap_or_default();
        if !(1..=NAME_MAX_LEN).contains(&name.len()) {
            return Err(VsockError::Name { path: path.into(), found: name.len() });
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())
            .map_err(|errno| VsockError::host(path, errno.into()))?;
        Ok(Self { path: path.into(), folder, name })
    }

    /// A path that fits a socket's address however long the real one is.
    fn short(&self, name: &OsStr) -> PathBuf {
        Path::new("/proc/self/fd").join(self.folder.as_raw_fd().to_string()).join(name)
    }

    fn stat(&self) -> rustix::io::Result<Stat> {
        rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Connects to whoever listens for connections to this port of the host. Does not wait.
    pub(super) fn connect(&self, port: u32) -> rustix::io::Result<UnixStream> {
        let mut name = self.name.clone();
        name.push(format!("_{port}"));
        reach(&self.short(&name))
    }

    /// Listens there. The file of one who listens no more makes room.
    pub(super) fn bind(self) -> Result<Bound, VsockError> {
        let host = |error| VsockError::host(&self.path, error);
        let listener = match UnixListener::bind(self.short(&self.name)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                self.remove_stale()?;
                UnixListener::bind(self.short(&self.name))
            }
            result => result,
        };
        let listener = listener.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => VsockError::InUse { path: self.path.clone() },
            _ => host(error),
        })?;
        let stat = self.stat().map_err(|errno| host(errno.into()))?;
        let bound = Bound { listener, file: identity(&stat), place: self };
        let nonblocking = bound.listener.set_nonblocking(true);
        nonblocking.map_err(|error| VsockError::host(&bound.place.path, error))?;
        Ok(bound)
    }

    fn remove_stale(&self) -> Result<(), VsockError> {
        let host = |errno: Errno| VsockError::host(&self.path, errno.into());
        let stat = match self.stat() {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat.map_err(host)?,
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(VsockError::NoSocket { path: self.path.clone() });
        }
        match reach(&self.short(&self.name)) {
            Err(Errno::CONNREFUSED) => {}
            // Who is too busy to answer is there as well.
            Ok(_) | Err(Errno::AGAIN) => {
                return Err(VsockError::InUse { path: self.path.clone() });
            }
            Err(errno) => return Err(host(errno)),
        }
        rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()).map_err(host)
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn reach(path: &Path) -> rustix::io::Result<UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Somebody may have put another there, which is not ours to remove.
        if self.place.stat().is_ok_and(|stat| identity(&stat) == self.file) {
            let _ = rustix::fs::unlinkat(&self.place.folder, &self.place.name, AtFlags::empty());
        }
    }
}
