//! Connections between two ends, and guest RAM over them.
//!
//! | way | who is at the other end | guest RAM |
//! |---|---|---|
//! | [`unix`] | a process of the same user on this host, as the kernel says | by [`descriptor`] |
//! | [`tls`] | who has the key that was named as trusted: TLS 1.3, mutual | as [`pages`] |
//! | [`tunnel`] | whoever made it knows: pipes of a program such as ssh | as [`pages`] |
//! | [`tcp`] | nobody knows: plain TCP, for who asks for it by name | as [`pages`] |

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

pub mod descriptor;
pub mod pages;
pub mod tcp;
pub mod tls;
pub mod tunnel;
pub mod unix;

/// Whether there is something to take from `socket` within `wait`.
fn ready_within(socket: &impl AsFd, wait: Duration) -> io::Result<bool> {
    let wait = Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    };
    let mut ready = [PollFd::new(socket, PollFlags::IN)];
    match poll(&mut ready, Some(&wait)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}
