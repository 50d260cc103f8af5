//! What a hello means at the destination, by what its journal says.

use super::DestinationEvent;
use crate::message::{Hello, Purpose, Reason};
use crate::ownership::{Ownership, Record};
use crate::token::PeerId;

/// A hello, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// It is taken up.
    Event(DestinationEvent),
    /// It is refused: [`DestinationEvent::Unwelcome`], or [`DestinationEvent::Begin`] while busy.
    Refused(DestinationEvent, Reason),
}

impl Greeting {
    /// What the state machine is told.
    #[must_use]
    pub fn event(self) -> DestinationEvent {
        match self {
            Self::Event(event) | Self::Refused(event, _) => event,
        }
    }
}

/// Judges `hello`. `record` is what the journal says; `identities` are the destination's own and
/// that of the peer, as the transport proved them; `holds` is whether a machine is prepared in this
/// process.
#[must_use]
pub fn greet(
    hello: &Hello,
    record: Option<&Record>,
    identities: (PeerId, PeerId),
    holds: bool,
) -> Greeting {
    use DestinationEvent as E;
    let unwelcome = |reason| Greeting::Refused(E::Unwelcome, reason);
    if hello.common_version().is_none() {
        return unwelcome(Reason::Version);
    }
    if hello.identities != (identities.1, identities.0) {
        return unwelcome(Reason::Identity);
    }
    let ours = record.filter(|record| record.token.guest == hello.token.guest);
    // Whoever was prepared for one peer talks about it with no other.
    let is_open = ours.is_some_and(|ours| ours.ownership == Ownership::Prepared);
    if is_open && ours.is_some_and(|ours| ours.peer != identities.1) {
        return unwelcome(Reason::Identity);
    }
    let next = hello.token.epoch.of_destination();
    match (hello.purpose, ours) {
        (Purpose::Resume, Some(ours)) => {
            let is_same = ours.attempt == hello.attempt && ours.token.epoch == next;
            // Whoever held that epoch or a later one has taken the guest, whatever came after.
            let has_taken = ours.ownership.has_run() && ours.token.epoch >= next;
            Greeting::Event(match (has_taken, is_same, holds) {
                (true, ..) => E::ResumeTaken,
                (false, true, true) => E::Resume,
                (false, true, false) => E::ResumeDiscarded,
                (false, false, _) => E::ResumeUnknown,
            })
        }
        (Purpose::Resume, None) => Greeting::Event(E::ResumeUnknown),
        (Purpose::Begin, Some(ours)) if ours.ownership.has_run() => {
            // Two hosts never hold one epoch: this one had it, so the source's is over.
            if hello.token.epoch <= ours.token.epoch {
                return unwelcome(Reason::Stale);
            }
            Greeting::Event(E::Begin)
        }
        (Purpose::Begin, Some(ours)) if next < ours.token.epoch => unwelcome(Reason::Stale),
        (Purpose::Begin, Some(_)) if holds => Greeting::Event(E::BeginAnew),
        (Purpose::Begin, Some(_)) => Greeting::Event(E::Begin),
        (Purpose::Begin, None) if record.is_some_and(|other| other.ownership.is_open()) => {
            if holds {
                // The rule of the state refuses it, and stays prepared.
                return Greeting::Refused(E::Begin, Reason::Busy);
            }
            unwelcome(Reason::Busy)
        }
        (Purpose::Begin, None) => Greeting::Event(E::Begin),
    }
}
