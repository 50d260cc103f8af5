//! Connections between two ends, and guest RAM over them.
//!
//! | way | who is at the other end | guest RAM |
//! |---|---|---|
//! | [`unix`] | a process of the same user on this host, as the kernel says | by [`descriptor`] |
//! | [`tls`] | who has the key that was named as trusted: TLS 1.3, mutual | as [`pages`] |
//! | [`tunnel`] | whoever made it knows: pipes of a program such as ssh | as [`pages`] |
//! | [`tcp`] | nobody knows: plain TCP, for who asks for it by name | as [`pages`] |

use rustix::event::{PollFd, Timespec, poll};
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

/// What [`crate::driver::Link::set_wait`] does for a socket.
fn set_wait(socket: &impl AsFd, wait: Duration) -> io::Result<()> {
    for way in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(socket, way, Some(wait.max(WAIT_MIN)))?;
    }
    Ok(())
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
