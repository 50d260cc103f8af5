//! The handoff over real connections: a state machine of [`crate::handoff`], a journal, a guest.
//!
//! The traits are what a machine and a transport must bring. All of it blocks, and every wait has
//! an end.

mod channel;
mod destination;
mod error;
mod join;
mod source;

pub use channel::{Channel, ChannelError};
use channel::{SEND_LIMIT, TELL_LIMIT};
pub use destination::{DestinationEnd, DestinationHandoff};
pub use error::HandoffError;
pub use source::{SourceEnd, SourceHandoff};

use crate::journal::JournalError;
use crate::message::{Accept, Offer, Round};
use crate::ownership::Record;
use crate::token::{PeerId, RunToken, StateDigest};
use crate::{DestinationState, SourceState};
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// How long a driver waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// No message is waited for any longer than this, nor than [`crate::message::LIMITS`] says.
    pub message_max: Duration,
    /// How long it is tried to settle what was cut off, before the caller is asked.
    pub settle: Duration,
    /// The pause between two tries.
    pub retry: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            message_max: Duration::from_secs(600),
            settle: Duration::from_secs(60),
            retry: Duration::from_millis(500),
        }
    }
}

/// Why a guest could not do its part: for the operator, and for the peer as a text.
pub type GuestError = Box<dyn std::error::Error + Send + Sync>;

/// A connection.
pub trait Link: Read + Write + Send {
    /// From here on a read or a write that gets nothing done for `wait` fails with
    /// [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::TimedOut`].
    ///
    /// # Errors
    /// What the host says.
    fn set_wait(&mut self, wait: Duration) -> io::Result<()>;

    /// This side's own identity, and the peer's as the transport proved it.
    fn identities(&self) -> (PeerId, PeerId);

    /// Where the peer is, for people.
    fn address(&self) -> String;

    /// Whether the transport itself refuses what was changed on the way, by more than a checksum.
    fn is_sealed(&self) -> bool {
        false
    }

    /// The socket, where descriptors can be passed over it.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Makes connections to one destination.
pub trait Dial {
    /// Connects.
    ///
    /// # Errors
    /// What the host says; it is tried again as long as there is time.
    fn dial(&mut self, wait: Duration) -> io::Result<Box<dyn Link>>;
}

/// Takes connections from sources.
pub trait Listen {
    /// The next connection, or `None` if none came within `wait`.
    ///
    /// # Errors
    /// What the host says, if nobody can connect any more.
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>>;
}

/// Where records are kept: [`crate::Journal`], or a test's own.
pub trait Keep {
    /// The last record that was written for sure, if there is one.
    fn record(&self) -> Option<&Record>;

    /// Writes a record. When this returns `Ok`, a power cut does not take it back. When it returns
    /// an error, the record may stand all the same.
    ///
    /// # Errors
    /// [`JournalError`].
    fn keep(&mut self, record: &Record) -> Result<(), JournalError>;
}

/// The guest on the source. Called from one thread.
pub trait SourceGuest {
    /// What the guest is promised and needs. It runs.
    ///
    /// # Errors
    /// If it cannot be handed over; it runs on.
    fn offer(&mut self) -> Result<Offer, GuestError>;

    /// The destination takes the offer, and further connections are made: log dirty pages.
    ///
    /// # Errors
    /// If that cannot be; [`Self::end_copy`] follows.
    fn begin_copy(&mut self, accept: &Accept) -> Result<(), GuestError>;

    /// What the next round sends: number and pages. The last one when `is_last`: the guest rests.
    ///
    /// # Errors
    /// The handoff is given up.
    fn plan_round(&mut self, is_last: bool) -> Result<Round, GuestError>;

    /// Sends the round that was planned last, on `links`: the first one, on which its head was
    /// sent, and those that were agreed upon. Only the way to the destination is free on them.
    ///
    /// # Errors
    /// The handoff is given up.
    fn send_round(&mut self, round: &Round, links: &mut [&mut dyn Link]) -> Result<(), GuestError>;

    /// Whether another round is worth it before the guest is stopped. The last one has arrived.
    fn wants_another_round(&mut self) -> bool;

    /// Stop to log dirty pages: the guest stays. It runs.
    fn end_copy(&mut self);

    /// Stop vCPUs and time, flush disks, read every register; their digest.
    ///
    /// # Errors
    /// [`Self::resume`] follows.
    fn freeze(&mut self) -> Result<StateDigest, GuestError>;

    /// The registers that [`Self::freeze`] read, as bytes.
    ///
    /// # Errors
    /// [`Self::resume`] follows.
    fn state(&mut self) -> Result<Vec<u8>, GuestError>;

    /// Go on exactly as before [`Self::freeze`], and before [`Self::release`] if that was called:
    /// nothing is logged any more, disks are locked. The guest has `token` from here on.
    ///
    /// # Errors
    /// The guest keeps resting here; it is the only one.
    fn resume(&mut self, token: RunToken) -> Result<(), GuestError>;

    /// Let go of what the destination has to lock. The guest was given away.
    fn release(&mut self);

    /// Drop the guest: the destination has it.
    fn end(&mut self);

    /// Whether [`crate::resolve()`] gave the guest back, by a statement that the destination is
    /// fenced: asked while the guest is given away and the destination does not answer.
    fn is_reclaimed(&mut self) -> bool {
        false
    }

    /// Whether somebody wants the handoff to be given up.
    fn is_cancelled(&mut self) -> bool {
        false
    }

    /// The handoff has come to this state.
    fn entered(&mut self, _state: SourceState) {}
}

/// What was decided about a prepared guest whose source does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is this side's.
    Run,
    /// It is not, and never will be.
    Discard,
}

/// The guest on the destination. Called from one thread.
pub trait DestinationGuest {
    /// Checks an offer against this host, before any memory moves. A ticket is needed only where
    /// further connections are taken.
    ///
    /// # Errors
    /// Why it does not fit, and what would help.
    fn check(&mut self, offer: &Offer) -> Result<Accept, GuestError>;

    /// Receives a round from `links`, the first one and those that were agreed upon, and checks
    /// that all of it is there. No byte behind the round is read from any, and nothing written.
    ///
    /// # Errors
    /// The handoff is given up.
    fn receive_round(
        &mut self,
        round: &Round,
        links: &mut [&mut dyn Link],
    ) -> Result<(), GuestError>;

    /// Makes a machine from memory and registers, reads it back, and returns the digest of that.
    /// **No byte of guest RAM is written, no interrupt raised, nothing outside touched.**
    ///
    /// # Errors
    /// The handoff is given up.
    fn prepare(&mut self, state: Vec<u8>) -> Result<StateDigest, GuestError>;

    /// Commits: locks disks, activates, and lets the guest run with `token`. Its record is on the
    /// disk. Returns when the guest runs, not when it ends.
    ///
    /// # Errors
    /// The guest has executed nothing; [`Self::discard`] follows, and the source has it back.
    fn run(&mut self, token: RunToken) -> Result<(), GuestError>;

    /// Drops all that was received: afterwards this process cannot run it.
    fn discard(&mut self);

    /// What a resolution found, if somebody ran it: asked while the guest is prepared and
    /// nobody is connected.
    fn resolution(&mut self) -> Option<Resolution> {
        None
    }

    /// Whether somebody wants the handoff to be given up. Not asked once it is prepared.
    fn is_cancelled(&mut self) -> bool {
        false
    }

    /// The handoff has come to this state.
    fn entered(&mut self, _state: DestinationState) {}
}
