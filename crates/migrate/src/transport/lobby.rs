//! Those who have connected and are known to nobody yet.
//!
//! Whoever connects and says nothing, or little by little, must not keep those out who are awaited,
//! so nobody waits for one of them: all of them are waited for at once.

use super::timespec;
use crate::driver::Link;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long somebody may take to come in.
pub const ENTER_MAX: Duration = Duration::from_secs(10);
/// How many may be here; of more, the first to have come are dropped.
const LOBBY_MAX: usize = 64;

/// A connection that has to do something before anybody attends to it. One that has nothing to
/// prove has to say something, for it could be anybody's who only connects.
pub trait Enter: Link {
    /// What it has not done if it has not come in within [`ENTER_MAX`].
    const MISSED: &'static str = "it has said nothing";

    /// Where it comes from, for people.
    fn peer(&self) -> String;

    /// What it waits for.
    fn awaited(&self) -> PollFd<'_>;

    /// Goes on without waiting, after what it waited for; whether it has come in.
    ///
    /// # Errors
    /// Why it never will.
    fn go_on(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

/// What is said of a connection that has not come in within [`ENTER_MAX`].
pub fn too_slow<L: Enter>() -> io::Error {
    let what = format!("{} within {} s", L::MISSED, ENTER_MAX.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// Some connections, the first to have come first.
#[derive(Debug)]
pub struct Lobby<L>(VecDeque<Waiting<L>>);

#[derive(Debug)]
struct Waiting<L> {
    link: L,
    since: Instant,
}

impl<L> Default for Lobby<L> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<L: Enter + 'static> Lobby<L> {
    /// The next one to come in, if one does within `wait` and nobody is sent away before: limits
    /// are looked at in between. `take` makes a link of who has come to `listener`, which never
    /// waits.
    ///
    /// # Errors
    /// What the host says, if nobody can connect any more.
    pub fn admit(
        &mut self,
        listener: &impl AsFd,
        wait: Duration,
        take: impl Fn() -> io::Result<L>,
    ) -> io::Result<Option<Box<dyn Link>>> {
        let begun = Instant::now();
        loop {
            let left = wait.saturating_sub(begun.elapsed());
            let (has_come, is_ready) = self.await_news(listener, left)?;
            let (entered, mut is_one_gone) = self.go_on(is_ready);
            if has_come {
                match take() {
                    Ok(link) => self.0.push_back(Waiting { link, since: Instant::now() }),
                    // It went away again, is another user's, or this host is out of something.
                    Err(error) => {
                        tracing::warn!(%error, "connection refused");
                        is_one_gone = true;
                    }
                }
            }
            if self.0.len() > LOBBY_MAX
                && let Some(first) = self.0.pop_front()
            {
                refused(&first.link, &io::Error::other("too many come at once"));
            }
            if let Some(link) = entered {
                return Ok(Some(Box::new(link)));
            }
            if is_one_gone || left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Waits until somebody comes or does something, and for whom there is something to do: the
    /// listener itself, and each of those who are here.
    fn await_news(&self, listener: &impl AsFd, wait: Duration) -> io::Result<(bool, Vec<bool>)> {
        let mut ends = vec![PollFd::new(listener, PollFlags::IN)];
        ends.extend(self.0.iter().map(|waiting| waiting.link.awaited()));
        match poll(&mut ends, Some(&timespec(wait))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut is_ready = ends.iter().map(|end| !end.revents().is_empty());
        Ok((is_ready.next().unwrap_or(false), is_ready.collect()))
    }

    /// Lets go on who has done something; the first one who comes in, and whether somebody was
    /// sent away.
    fn go_on(&mut self, is_ready: Vec<bool>) -> (Option<L>, bool) {
        let (mut entered, mut is_one_gone) = (None, false);
        for is_ready in is_ready {
            let Some(mut waiting) = self.0.pop_front() else { break };
            let step = match is_ready && entered.is_none() {
                _ if waiting.since.elapsed() > ENTER_MAX => Err(too_slow::<L>()),
                true => waiting.link.go_on(),
                false => Ok(false),
            };
            match step {
                Ok(true) => entered = Some(waiting.link),
                Ok(false) => self.0.push_back(waiting),
                Err(error) => {
                    refused(&waiting.link, &error);
                    is_one_gone = true;
                }
            }
        }
        (entered, is_one_gone)
    }
}

fn refused<L: Enter>(link: &L, error: &io::Error) {
    tracing::warn!(peer = %link.peer(), %error, "connection refused");
}
