//! Connections between two ends, and guest RAM over them.
//!
//! | way | who is at the other end | guest RAM |
//! |---|---|---|
//! | [`unix`] | a process of the same user on this host, as the kernel says | by [`descriptor`] |
//! | [`tls`] | who has the key that was named as trusted: TLS 1.3, mutual | as [`pages`] |
//! | [`tunnel`] | whoever made it knows: pipes of a program such as ssh | as [`pages`] |
//! | [`tcp`] | nobody knows: plain TCP, for who asks for it by name | as [`pages`] |

use crate::driver::Link;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

pub mod descriptor;
mod lobby;
pub mod pages;
pub mod tcp;
pub mod tls;
pub mod tunnel;
pub mod unix;

/// The shortest wait that a socket knows.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// What [`Link::set_wait`] does for a socket.
fn set_wait(socket: &impl AsFd, wait: Duration) -> io::Result<()> {
    for way in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(socket, way, Some(wait.max(WAIT_MIN)))?;
    }
    Ok(())
}

/// What `take` makes of the next connection to `listener`, if one comes within `wait`. Who cannot
/// be taken has said nothing that matters.
fn admit<L: Link + 'static>(
    listener: &impl AsFd,
    wait: Duration,
    take: impl FnOnce() -> io::Result<L>,
) -> io::Result<Option<Box<dyn Link>>> {
    if !ready_within(PollFd::new(listener, PollFlags::IN), wait)? {
        return Ok(None);
    }
    match take() {
        Ok(link) => Ok(Some(Box::new(link))),
        // It went away again, is somebody else, or this host is out of something for a moment.
        Err(error) => {
            tracing::warn!(%error, "connection refused");
            Ok(None)
        }
    }
}

/// Whether `end` is ready for what it waits for within `wait`.
fn ready_within(end: PollFd<'_>, wait: Duration) -> io::Result<bool> {
    match poll(&mut [end], Some(&timespec(wait))) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// As the kernel takes it.
fn timespec(wait: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    }
}
