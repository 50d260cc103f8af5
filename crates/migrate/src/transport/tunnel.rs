//! One connection that somebody else made: two pipes or sockets, as those of a program that runs
//! on the other host.
//!
//! There is no second one: what was cut off here is settled on other ways, or by an operator. Who
//! is at the other end knows whoever made the tunnel; here nothing is proved.

use super::timespec;
use crate::driver::{Dial, Link, Listen};
use crate::token::PeerId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The two ends of a tunnel that are on this side.
pub struct TunnelLink {
    from: File,
    to: File,
    wait: Duration,
}

impl TunnelLink {
    /// Of what is read from, and what is written to; both may be one socket.
    ///
    /// # Errors
    /// What the host says; `InvalidInput` for anything but pipes and sockets.
    pub fn new(from: OwnedFd, to: OwnedFd) -> io::Result<Self> {
        for end in [&from, &to] {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(end)?.st_mode);
            if !matches!(kind, FileType::Fifo | FileType::Socket) {
                let what = format!("it is a {kind:?}; a pipe or a socket can carry a guest");
                return Err(io::Error::new(ErrorKind::InvalidInput, what));
            }
            // Each end of a pipe has flags of its own: the other side's are not changed.
            let flags = rustix::fs::fcntl_getfl(end)?;
            rustix::fs::fcntl_setfl(end, flags | OFlags::NONBLOCK)?;
        }
        Ok(Self { from: from.into(), to: to.into(), wait: Duration::MAX })
    }
}

/// Does `step` once `file` is ready for it, or fails after `wait`.
fn when_ready(
    file: &File,
    flags: PollFlags,
    wait: Duration,
    mut step: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    match step() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        done => return done,
    }
    match poll(&mut [PollFd::new(file, flags)], Some(&timespec(wait))) {
        Ok(0) => Err(ErrorKind::TimedOut.into()),
        Ok(_) => step(),
        Err(Errno::INTR) => Err(ErrorKind::Interrupted.into()),
        Err(errno) => Err(errno.into()),
    }
}

impl Read for TunnelLink {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut file = &self.from;
        when_ready(&self.from, PollFlags::IN, self.wait, || file.read(into))
    }
}

impl Write for TunnelLink {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let mut file = &self.to;
        when_ready(&self.to, PollFlags::OUT, self.wait, || file.write(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Link for TunnelLink {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        self.wait = wait;
        Ok(())
    }

    /// Nothing is proved.
    fn identities(&self) -> (PeerId, PeerId) {
        Default::default()
    }

    fn address(&self) -> String {
        "a tunnel".to_owned()
    }
}

/// A tunnel, for who begins: one connection, and no other.
pub struct TunnelDial(pub Option<TunnelLink>);

impl Dial for TunnelDial {
    fn dial(&mut self, _wait: Duration) -> io::Result<Box<dyn Link>> {
        let link = self.0.take().ok_or_else(|| {
            let what = "the tunnel has ended, and only who made it could make another one";
            io::Error::new(ErrorKind::NotConnected, what)
        })?;
        Ok(Box::new(link))
    }
}

/// A tunnel, for who expects: one connection, and no other.
pub struct TunnelListen(pub Option<TunnelLink>);

impl Listen for TunnelListen {
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        match self.0.take() {
            Some(link) => Ok(Some(Box::new(link))),
            None => {
                std::thread::sleep(wait);
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_go_both_ways_and_a_wait_ends() {
        let ((from_near, to_far), (from_far, to_near)) = (io::pipe().unwrap(), io::pipe().unwrap());
        let near = TunnelLink::new(from_far.into(), to_far.into()).unwrap();
        let mut near = TunnelDial(Some(near));
        let mut far =
            TunnelListen(Some(TunnelLink::new(from_near.into(), to_near.into()).unwrap()));
        let mut near_link = near.dial(Duration::ZERO).unwrap();
        let mut far_link = far.accept(Duration::ZERO).unwrap().unwrap();
        near_link.write_all(b"there").unwrap();
        let mut bytes = [0; 5];
        far_link.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"there");
        far_link.set_wait(Duration::ZERO).unwrap();
        assert_eq!(far_link.read(&mut bytes).unwrap_err().kind(), ErrorKind::TimedOut);
        // A reader that takes nothing holds nobody for ever.
        near_link.set_wait(Duration::from_millis(1)).unwrap();
        let full = std::iter::repeat_with(|| near_link.write(&[0; 4096])).find_map(Result::err);
        assert_eq!(full.unwrap().kind(), ErrorKind::TimedOut);
        drop(far_link);
        assert_eq!(near_link.read(&mut bytes).unwrap(), 0, "the end is seen");
        assert!(near.dial(Duration::ZERO).is_err(), "there is no second one");
        assert!(far.accept(Duration::ZERO).unwrap().is_none());
    }

    #[test]
    fn only_pipes_and_sockets_carry_a_guest() {
        let (one, other) = UnixStream::pair().unwrap();
        assert!(TunnelLink::new(one.into(), other.into()).is_ok());
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        let error = TunnelLink::new(null(), null()).err().unwrap();
        assert!(error.to_string().contains("a pipe or a socket"), "{error}");
    }
}
