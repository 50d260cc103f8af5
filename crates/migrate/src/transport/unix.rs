//! UNIX sockets: between two processes of one user on one host.
//!
//! The kernel tells who the peer is. Another user's process is refused before it has said anything;
//! among those of one user, who may open the socket may have the guest.

use super::lobby::{Enter, Lobby};
use super::set_wait;
use crate::driver::{Dial, Link, Listen};
use crate::token::PeerId;
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A connection to another process of this host.
#[derive(Debug)]
pub struct UnixLink {
    stream: UnixStream,
    address: String,
}

impl UnixLink {
    /// Of a connected socket, if the process at its other end is of the same user.
    ///
    /// # Errors
    /// What the host says; `PermissionDenied` for another user's process.
    pub fn new(stream: UnixStream, path: &Path) -> io::Result<Self> {
        let peer = rustix::net::sockopt::socket_peercred(&stream)?;
        let own = rustix::process::geteuid();
        if peer.uid != own {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "process {} of user {} is at the other end, this is user {}: both must be one",
                    peer.pid.as_raw_nonzero(),
                    peer.uid.as_raw(),
                    own.as_raw()
                ),
            ));
        }
        let pid = peer.pid.as_raw_nonzero();
        let address = format!("unix:{} (process {pid})", path.display());
        Ok(Self { stream, address })
    }
}

impl Read for UnixLink {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for UnixLink {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Link for UnixLink {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        set_wait(&self.stream, wait)
    }

    /// The host proves who the peer is, and there are no keys.
    fn identities(&self) -> (PeerId, PeerId) {
        Default::default()
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }
}

impl Enter for UnixLink {
    fn peer(&self) -> String {
        self.address.clone()
    }

    fn awaited(&self) -> PollFd<'_> {
        PollFd::new(&self.stream, PollFlags::IN)
    }
}

/// Connects to a path.
#[derive(Clone, Debug)]
pub struct UnixDial {
    /// Where the destination listens.
    pub path: PathBuf,
}

impl Dial for UnixDial {
    fn dial(&mut self, _wait: Duration) -> io::Result<Box<dyn Link>> {
        // It is there or not: a connect to a UNIX socket waits for nobody but a full queue.
        let with_path = |error: io::Error| {
            io::Error::new(error.kind(), format!("unix:{}: {error}", self.path.display()))
        };
        let stream = UnixStream::connect(&self.path).map_err(with_path)?;
        Ok(Box::new(UnixLink::new(stream, &self.path)?))
    }
}

/// Listens at a path, which is removed when this is dropped.
#[derive(Debug)]
pub struct UnixListen {
    listener: UnixListener,
    lobby: Lobby<UnixLink>,
    path: PathBuf,
    /// Which file it is: somebody may put another one there.
    file: (u64, u64),
}

impl UnixListen {
    /// Listens at `path`, which nobody may use. A socket that a dead process left is replaced.
    ///
    /// # Errors
    /// What the host says.
    pub fn bind(path: &Path) -> io::Result<Self> {
        remove_dead(path)?;
        let listener = UnixListener::bind(path)?;
        // Whoever connected before this is looked at like all others.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let metadata = std::fs::symlink_metadata(path)?;
        let file = (metadata.dev(), metadata.ino());
        Ok(Self { listener, lobby: Lobby::default(), path: path.to_owned(), file })
    }
}

fn remove_dead(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        let what = "there is something else than a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
    }
}

impl Drop for UnixListen {
    fn drop(&mut self) {
        let there = std::fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == self.file) {
            // What cannot be removed is a dead socket to whoever comes next.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl Listen for UnixListen {
    /// Those only who have said something.
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        self.lobby.admit(&self.listener, wait, || {
            let (stream, _) = self.listener.accept()?;
            stream.set_nonblocking(false)?;
            UnixLink::new(stream, &self.path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of a connection of somebody who says something, and is heard.
    fn connect(listen: &mut UnixListen) -> (Box<dyn Link>, Box<dyn Link>) {
        let mut near = UnixDial { path: listen.path.clone() }.dial(Duration::ZERO).unwrap();
        near.write_all(b"there").unwrap();
        let mut far = listen.accept(Duration::from_secs(10)).unwrap().unwrap();
        let mut bytes = [0; 5];
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"there");
        (near, far)
    }

    #[test]
    fn bytes_go_both_ways_and_a_wait_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut listen = UnixListen::bind(&folder.path().join("s")).unwrap();
        let (mut near, mut far) = connect(&mut listen);
        far.write_all(b"here").unwrap();
        let mut bytes = [0; 4];
        near.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"here");
        near.set_wait(Duration::ZERO).unwrap();
        let error = near.read(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(far);
        assert_eq!(near.read(&mut bytes).unwrap(), 0, "the end is seen");
    }

    #[test]
    fn place_is_taken_once_and_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listen = UnixListen::bind(&path).unwrap();
        assert_eq!(UnixListen::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(listen);
        assert!(!path.exists());
        // As a process leaves it that was killed.
        drop(UnixListener::bind(&path).unwrap());
        drop(UnixListen::bind(&path).unwrap());
        std::fs::write(&path, "a file").unwrap();
        assert_eq!(UnixListen::bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn who_says_nothing_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut listen = UnixListen::bind(&path).unwrap();
        // More than are waited for at once.
        let silent: Vec<_> = (0..100).map(|_| UnixStream::connect(&path).unwrap()).collect();
        connect(&mut listen);
        drop(silent);
    }

    #[test]
    fn nobody_comes_within_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut listen = UnixListen::bind(&folder.path().join("s")).unwrap();
        assert!(listen.accept(Duration::from_millis(1)).unwrap().is_none());
    }
}
