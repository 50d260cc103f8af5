//! The destination: who receives the guest, and runs it when it was given away.

use super::Rule;
use crate::message::Standing;
use crate::ownership::Ownership;
use std::fmt;

/// Where the destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationState {
    /// Nobody is connected, and no guest is here: none came yet, or it is gone.
    Listening,
    /// Somebody is connected, and has said nothing.
    Greeting,
    /// A new attempt; the offer is awaited.
    Greeted,
    /// The offer is being checked.
    Checking,
    /// `Incoming` is being recorded.
    Claiming,
    /// Memory and state are received.
    Receiving,
    /// A machine is being made from them, and read back.
    Preparing,
    /// `Prepared` is being recorded.
    Vouching,
    /// The machine is complete, and may not run before the commit.
    Prepared,
    /// As prepared, and nobody is connected.
    PreparedAlone,
    /// As prepared, and somebody is connected who has said nothing.
    PreparedGreeting,
    /// The source begins anew with the guest that was prepared here: `discarded` is being recorded.
    Renewing,
    /// `Running` is being recorded.
    Taking,
    /// It is this side's guest, and is being started.
    Starting,
    /// The guest runs, or has run, here.
    Running,
    /// What was received is gone; `discarded` is being recorded.
    Discarding,
}

/// What happened to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationEvent {
    /// There is a connection.
    Linked,
    /// The link was lost, a time limit passed, the peer broke the protocol, or a step failed here.
    Failed,
    /// Somebody here wants it to be given up.
    Cancel,
    /// A hello that begins a new attempt, of a guest that may come.
    Begin,
    /// As begin, of the very guest that is prepared here: its source has taken it back since.
    BeginAnew,
    /// A hello about the guest that is prepared here.
    Resume,
    /// A hello about an attempt that ended in the guest's running here, now or before.
    ResumeTaken,
    /// A hello about an attempt of which nothing is left here, and nothing ran.
    ResumeDiscarded,
    /// A hello about an attempt that nothing here speaks of.
    ResumeUnknown,
    /// A hello that is refused: another version, a stale epoch, a wrong identity.
    Unwelcome,
    /// The offer.
    Offered,
    /// The guest fits here.
    Fits,
    /// It does not.
    Unfit,
    /// A round of memory.
    Round,
    /// The guest's registers.
    State,
    /// The machine is made, and read back.
    Made,
    /// The guest runs.
    Started,
    /// The guest could not be started, and has executed nothing.
    StartFailed,
    /// The record is on the disk.
    Recorded,
    /// The record is not, or perhaps not, on the disk.
    RecordFailed,
    /// The source has given the guest away.
    Commit,
    /// The source keeps the guest.
    Withdrawn,
    /// The source will ask nothing more.
    Farewell,
    /// A resolution found that the guest is this side's.
    ResolvedToRun,
    /// A resolution found that it never will be.
    ResolvedToDiscard,
}

/// What the destination does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationAction {
    /// Send the welcome, with where the attempt stands.
    SendWelcome(Standing),
    /// Send why not.
    SendRefuse,
    /// Check the offer against this host.
    CheckOffer,
    /// Write the record, durably.
    Record(Ownership),
    /// Send that the offer is taken.
    SendAccept,
    /// Receive a round, and say that it has arrived.
    ReceiveRound,
    /// Make the machine, and read it back. No byte of guest RAM is written by that.
    Prepare,
    /// Send that it is prepared, with the digest of what was read back.
    SendPrepared,
    /// Lock disks, activate, let the guest run.
    Run,
    /// Send that it is taken.
    SendAcknowledged,
    /// Drop all that was received.
    Discard,
    /// Send that it is discarded.
    SendDiscarded,
    /// Close the connection.
    Close,
}

type DestinationRule = Rule<DestinationState, DestinationEvent, DestinationAction>;

const fn rule(
    from: DestinationState,
    on: DestinationEvent,
    does: &'static [DestinationAction],
    to: DestinationState,
) -> DestinationRule {
    Rule { from, on, does, to }
}

use DestinationAction as A;
use DestinationEvent as E;
use DestinationState as S;
use Ownership as O;

/// The whole destination. An event without a row: see [`Destination::handle`].
pub const DESTINATION_RULES: &[DestinationRule] = &[
    rule(S::Listening, E::Linked, &[], S::Greeting),
    rule(S::Greeting, E::Begin, &[A::SendWelcome(Standing::New)], S::Greeted),
    rule(S::Greeting, E::ResumeTaken, &[A::SendWelcome(Standing::Taken), A::Close], S::Listening),
    rule(
        S::Greeting,
        E::ResumeDiscarded,
        &[A::SendWelcome(Standing::Discarded), A::Close],
        S::Listening,
    ),
    rule(
        S::Greeting,
        E::ResumeUnknown,
        &[A::SendWelcome(Standing::Unknown), A::Close],
        S::Listening,
    ),
    rule(S::Greeting, E::Unwelcome, &[A::SendRefuse, A::Close], S::Listening),
    rule(S::Greeting, E::Failed, &[A::Close], S::Listening),
    rule(S::Greeted, E::Offered, &[A::CheckOffer], S::Checking),
    rule(S::Greeted, E::Withdrawn, &[A::Close], S::Listening),
    rule(S::Greeted, E::Failed, &[A::Close], S::Listening),
    rule(S::Checking, E::Fits, &[A::Record(O::Incoming)], S::Claiming),
    rule(S::Checking, E::Unfit, &[A::SendRefuse, A::Close], S::Listening),
    rule(S::Claiming, E::Recorded, &[A::SendAccept], S::Receiving),
    // `Incoming` may be on the disk all the same: it gives no right to anybody.
    rule(S::Claiming, E::RecordFailed, &[A::SendRefuse, A::Close], S::Listening),
    rule(S::Receiving, E::Round, &[A::ReceiveRound], S::Receiving),
    rule(S::Receiving, E::State, &[A::Prepare], S::Preparing),
    rule(S::Receiving, E::Withdrawn, &[A::Discard, A::Record(O::Discarded)], S::Discarding),
    rule(
        S::Receiving,
        E::Failed,
        &[A::SendRefuse, A::Discard, A::Record(O::Discarded)],
        S::Discarding,
    ),
    rule(
        S::Receiving,
        E::Cancel,
        &[A::SendRefuse, A::Discard, A::Record(O::Discarded)],
        S::Discarding,
    ),
    // The record comes before the word: a source that hears `prepared` may rely on this disk.
    rule(S::Preparing, E::Made, &[A::Record(O::Prepared)], S::Vouching),
    rule(
        S::Preparing,
        E::Failed,
        &[A::SendRefuse, A::Discard, A::Record(O::Discarded)],
        S::Discarding,
    ),
    rule(S::Vouching, E::Recorded, &[A::SendPrepared], S::Prepared),
    rule(
        S::Vouching,
        E::RecordFailed,
        &[A::SendRefuse, A::Discard, A::Record(O::Discarded)],
        S::Discarding,
    ),
    // From here on only the source, or a resolution, may decide: no cancel, no time limit.
    rule(S::Prepared, E::Commit, &[A::Record(O::Running)], S::Taking),
    rule(S::Prepared, E::Withdrawn, &[A::Discard, A::Record(O::Discarded)], S::Discarding),
    rule(S::Prepared, E::Failed, &[A::Close], S::PreparedAlone),
    rule(S::PreparedAlone, E::Linked, &[], S::PreparedGreeting),
    rule(S::PreparedAlone, E::ResolvedToRun, &[A::Record(O::Running)], S::Taking),
    rule(
        S::PreparedAlone,
        E::ResolvedToDiscard,
        &[A::Discard, A::Record(O::Discarded)],
        S::Discarding,
    ),
    rule(S::PreparedGreeting, E::Resume, &[A::SendWelcome(Standing::Prepared)], S::Prepared),
    // The source took the guest back and its word about it was lost. Who begins has the guest, so
    // what is prepared here is out of date.
    rule(S::PreparedGreeting, E::BeginAnew, &[A::Discard, A::Record(O::Discarded)], S::Renewing),
    rule(S::Renewing, E::Recorded, &[A::SendWelcome(Standing::New)], S::Greeted),
    rule(S::Renewing, E::RecordFailed, &[A::SendWelcome(Standing::New)], S::Greeted),
    rule(S::PreparedGreeting, E::Begin, &[A::SendRefuse, A::Close], S::PreparedAlone),
    rule(
        S::PreparedGreeting,
        E::ResumeUnknown,
        &[A::SendWelcome(Standing::Unknown), A::Close],
        S::PreparedAlone,
    ),
    rule(S::PreparedGreeting, E::Unwelcome, &[A::SendRefuse, A::Close], S::PreparedAlone),
    rule(S::PreparedGreeting, E::Failed, &[A::Close], S::PreparedAlone),
    rule(S::Taking, E::Recorded, &[A::Run], S::Starting),
    // `Running` may be on the disk all the same, but it was not promised: the source asks again.
    rule(S::Taking, E::RecordFailed, &[A::SendRefuse, A::Close], S::PreparedAlone),
    rule(S::Starting, E::Started, &[A::SendAcknowledged], S::Running),
    // It has executed nothing: once it is gone here, the source may have it back.
    rule(S::Starting, E::StartFailed, &[A::Discard, A::Record(O::Discarded)], S::Discarding),
    rule(S::Running, E::Linked, &[], S::Running),
    rule(S::Running, E::ResumeTaken, &[A::SendWelcome(Standing::Taken)], S::Running),
    rule(S::Running, E::Commit, &[A::SendAcknowledged], S::Running),
    rule(S::Running, E::ResumeUnknown, &[A::SendWelcome(Standing::Unknown), A::Close], S::Running),
    rule(S::Running, E::Begin, &[A::SendRefuse, A::Close], S::Running),
    rule(S::Running, E::Unwelcome, &[A::SendRefuse, A::Close], S::Running),
    rule(S::Running, E::Farewell, &[A::Close], S::Running),
    rule(S::Running, E::Failed, &[A::Close], S::Running),
    // Whatever becomes of the record: what was received is gone, so nobody can run it.
    rule(S::Discarding, E::Recorded, &[A::SendDiscarded, A::Close], S::Listening),
    rule(S::Discarding, E::RecordFailed, &[A::SendDiscarded, A::Close], S::Listening),
];

/// The destination's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    state: DestinationState,
}

impl Default for Destination {
    fn default() -> Self {
        Self::new()
    }
}

impl Destination {
    /// Of a process that has received nothing yet. What one before it had received is gone with
    /// it, and what became of that is in the journal: [`super::greet()`] answers by it.
    #[must_use]
    pub fn new() -> Self {
        Self { state: S::Listening }
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> DestinationState {
        self.state
    }

    /// Takes an event, and says what is to be done.
    ///
    /// An event that has no row in the state's rules changes nothing, but a message: the peer
    /// broke the protocol, and that is a failure.
    pub fn handle(&mut self, event: DestinationEvent) -> &'static [DestinationAction] {
        self.handle_by(DESTINATION_RULES, event)
    }

    /// Whether this state has a rule for `event`.
    #[must_use]
    pub fn takes(&self, event: DestinationEvent) -> bool {
        DESTINATION_RULES.iter().any(|rule| rule.from == self.state && rule.on == event)
    }

    pub(crate) fn handle_by(
        &mut self,
        rules: &[DestinationRule],
        event: DestinationEvent,
    ) -> &'static [DestinationAction] {
        let find = |event| rules.iter().find(|rule| rule.from == self.state && rule.on == event);
        let rule = match find(event) {
            None if event.is_message() => find(E::Failed),
            found => found,
        };
        let Some(rule) = rule else { return &[] };
        self.state = rule.to;
        rule.does
    }
}

impl DestinationEvent {
    /// Whether the peer caused it: without a rule for it, the peer broke the protocol.
    pub(crate) fn is_message(self) -> bool {
        match self {
            E::Begin
            | E::BeginAnew
            | E::Resume
            | E::ResumeTaken
            | E::ResumeDiscarded
            | E::ResumeUnknown
            | E::Unwelcome
            | E::Offered
            | E::Round
            | E::State
            | E::Commit
            | E::Withdrawn
            | E::Farewell => true,
            E::Linked
            | E::Failed
            | E::Cancel
            | E::Fits
            | E::Unfit
            | E::Made
            | E::Started
            | E::StartFailed
            | E::Recorded
            | E::RecordFailed
            | E::ResolvedToRun
            | E::ResolvedToDiscard => false,
        }
    }
}

impl fmt::Display for DestinationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
