//! The source: who runs the guest, and gives it away.

use super::Rule;
use crate::message::Standing;
use crate::ownership::Ownership;
use std::fmt;

/// Where the source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceState {
    /// The guest runs here, and nothing else happens.
    Running,
    /// `Running` is being recorded: whatever an earlier attempt left open is over.
    Beginning,
    /// A connection is to be made: one try.
    Dialling,
    /// Connected; the hello is sent.
    Greeting,
    /// The offer is sent.
    Offering,
    /// Memory is sent, round by round, while the guest runs.
    Copying,
    /// `outgoing` is being recorded, while the guest runs.
    Announcing,
    /// The guest is being stopped.
    Freezing,
    /// The guest rests, its state is sent.
    AwaitingPrepared,
    /// The guest rests; `given away` is being recorded. **The point of no return is its end.**
    GivingAway,
    /// The commit is sent.
    Committing,
    /// The link was lost after the guest was given away. A connection is to be made, however often.
    Stranded,
    /// Connected again after that; the hello is sent.
    Rejoining,
    /// The destination has confirmed; that is being recorded.
    Settling,
    /// The guest rests and is to run here again: `running` is being recorded, until that succeeds.
    TakingBack,
    /// The destination has discarded what it was given: `running` in a new epoch is being recorded.
    Reclaiming,
    /// The source's process was lost before it recorded `given away`; another one settles that. A
    /// connection is to be made.
    Orphaned,
    /// As orphaned, connected; the hello is sent.
    OrphanGreeting,
    /// As orphaned, and the destination is prepared: `given away` is being recorded.
    OrphanGivingAway,
    /// Nobody has the guest any more: `crashed` is being recorded.
    Burying,
    /// The guest is the destination's; nothing is left to do.
    Ended,
    /// The guest crashed with its process; nothing is left to do.
    Crashed,
}

/// What happened to the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceEvent {
    /// Somebody wants the guest to be handed over.
    Begin,
    /// There is a connection.
    Linked,
    /// The link was lost, a time limit passed, the peer broke the protocol, or a step failed here.
    Failed,
    /// Somebody wants it to be given up.
    Cancel,
    /// The destination's welcome, and where the attempt stands there.
    Welcomed(Standing),
    /// The destination refuses.
    Refused,
    /// The destination takes the offer.
    Accepted,
    /// A round has arrived, and another is worth it.
    RoundArrived,
    /// A round has arrived, and what is left is little enough.
    Converged,
    /// The record is on the disk.
    Recorded,
    /// The record is not, or perhaps not, on the disk.
    RecordFailed,
    /// The guest rests, and its registers are read.
    Frozen,
    /// The destination is prepared, with the digest that the source has too.
    Prepared,
    /// The destination is prepared with other registers than the source's.
    PreparedOther,
    /// The destination has taken it.
    Acknowledged,
    /// The destination has discarded it for good.
    Discarded,
    /// [`crate::resolve()`] found, by a statement about the destination, that the guest is this
    /// side's.
    ResolvedToReclaim,
    /// Time to try to write the record again.
    Retry,
}

/// What the source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceAction {
    /// Send the hello of a new attempt.
    SendHello,
    /// Send the hello that asks about the attempt that was cut off.
    SendResume,
    /// Send the offer.
    SendOffer,
    /// Start to log dirty pages, and send the first round.
    BeginCopy,
    /// Send another round.
    SendRound,
    /// Stop to log dirty pages.
    EndCopy,
    /// Write the record, durably: `Recorded` or `RecordFailed` follows.
    Record(Ownership),
    /// Write `running` in [`crate::Epoch::of_reclaim`], durably.
    RecordReclaimed,
    /// Stop the vCPUs and time, flush disks, read every register.
    Freeze,
    /// Send the last round.
    SendLastRound,
    /// Send the registers.
    SendState,
    /// Let the guest go on exactly as before.
    Resume,
    /// Let go of what the destination must lock.
    Release,
    /// Tell the destination that it is its own.
    SendCommit,
    /// Tell the destination to discard it.
    SendWithdraw,
    /// Tell the destination that nothing more will be asked.
    SendFarewell,
    /// Close the connection.
    Close,
    /// Drop the guest: its memory is no longer needed.
    End,
}

type SourceRule = Rule<SourceState, SourceEvent, SourceAction>;

const fn rule(
    from: SourceState,
    on: SourceEvent,
    does: &'static [SourceAction],
    to: SourceState,
) -> SourceRule {
    Rule { from, on, does, to }
}

use Ownership as O;
use SourceAction as A;
use SourceEvent as E;
use SourceState as S;

/// The whole source. An event without a row: see [`Source::handle`].
pub const SOURCE_RULES: &[SourceRule] = &[
    // Makes the journal where there is none, so that a full disk is found while the guest runs.
    rule(S::Running, E::Begin, &[A::Record(O::Running)], S::Beginning),
    rule(S::Beginning, E::Recorded, &[], S::Dialling),
    rule(S::Beginning, E::RecordFailed, &[], S::Running),
    rule(S::Dialling, E::Linked, &[A::SendHello], S::Greeting),
    rule(S::Dialling, E::Failed, &[], S::Running),
    // Until the guest is stopped, every failure leaves it running: there is nothing to undo but the
    // log of dirty pages.
    rule(S::Greeting, E::Welcomed(Standing::New), &[A::SendOffer], S::Offering),
    rule(S::Greeting, E::Refused, &[A::Close], S::Running),
    rule(S::Greeting, E::Failed, &[A::SendWithdraw, A::Close], S::Running),
    rule(S::Greeting, E::Cancel, &[A::SendWithdraw, A::Close], S::Running),
    rule(S::Offering, E::Accepted, &[A::BeginCopy], S::Copying),
    rule(S::Offering, E::Refused, &[A::Close], S::Running),
    rule(S::Offering, E::Failed, &[A::SendWithdraw, A::Close], S::Running),
    rule(S::Offering, E::Cancel, &[A::SendWithdraw, A::Close], S::Running),
    rule(S::Copying, E::RoundArrived, &[A::SendRound], S::Copying),
    // `Outgoing` is written before the guest stops, so that its fsync is no part of the blackout.
    // It is true already: no destination is prepared by this attempt before it has the state.
    rule(S::Copying, E::Converged, &[A::Record(O::Outgoing)], S::Announcing),
    rule(S::Copying, E::Refused, &[A::EndCopy, A::Close], S::Running),
    rule(S::Copying, E::Failed, &[A::EndCopy, A::SendWithdraw, A::Close], S::Running),
    rule(S::Copying, E::Cancel, &[A::EndCopy, A::SendWithdraw, A::Close], S::Running),
    rule(S::Announcing, E::Recorded, &[A::Freeze], S::Freezing),
    // `Outgoing` may be on the disk all the same. It does no harm: no state was sent.
    rule(S::Announcing, E::RecordFailed, &[A::EndCopy, A::SendWithdraw, A::Close], S::Running),
    rule(S::Freezing, E::Frozen, &[A::SendLastRound, A::SendState], S::AwaitingPrepared),
    rule(S::Freezing, E::Failed, &[A::Record(O::Running)], S::TakingBack),
    // From here to the record the guest rests, and a destination may be prepared. The guest may
    // only go on after `running` is on the disk: it says that the prepared state is out of date.
    rule(S::AwaitingPrepared, E::Prepared, &[A::Record(O::GivenAway)], S::GivingAway),
    rule(S::AwaitingPrepared, E::PreparedOther, &[A::Record(O::Running)], S::TakingBack),
    rule(S::AwaitingPrepared, E::Refused, &[A::Record(O::Running)], S::TakingBack),
    rule(S::AwaitingPrepared, E::Discarded, &[A::Record(O::Running)], S::TakingBack),
    rule(S::AwaitingPrepared, E::Failed, &[A::Record(O::Running)], S::TakingBack),
    rule(S::AwaitingPrepared, E::Cancel, &[A::Record(O::Running)], S::TakingBack),
    rule(S::GivingAway, E::Recorded, &[A::Release, A::SendCommit], S::Committing),
    // `Given away` may be on the disk all the same, so `running` has to go over it first.
    rule(S::GivingAway, E::RecordFailed, &[A::Record(O::Running)], S::TakingBack),
    rule(S::TakingBack, E::Recorded, &[A::Resume, A::SendWithdraw, A::Close], S::Running),
    rule(S::TakingBack, E::RecordFailed, &[], S::TakingBack),
    rule(S::TakingBack, E::Retry, &[A::Record(O::Running)], S::TakingBack),
    // Given away: only the destination's word counts now, and no lost link changes that.
    rule(S::Committing, E::Acknowledged, &[A::Record(O::Settled)], S::Settling),
    rule(S::Committing, E::Discarded, &[A::RecordReclaimed], S::Reclaiming),
    rule(S::Committing, E::Refused, &[A::Close], S::Stranded),
    rule(S::Committing, E::Failed, &[A::Close], S::Stranded),
    rule(S::Stranded, E::Linked, &[A::SendResume], S::Rejoining),
    rule(S::Stranded, E::ResolvedToReclaim, &[A::RecordReclaimed], S::Reclaiming),
    rule(S::Rejoining, E::Welcomed(Standing::Prepared), &[A::SendCommit], S::Committing),
    rule(S::Rejoining, E::Welcomed(Standing::Taken), &[A::Record(O::Settled)], S::Settling),
    rule(S::Rejoining, E::Welcomed(Standing::Discarded), &[A::RecordReclaimed], S::Reclaiming),
    // Not knowing is no answer: it may be another host, or one that lost its disk.
    rule(S::Rejoining, E::Welcomed(Standing::Unknown), &[A::Close], S::Stranded),
    rule(S::Rejoining, E::Refused, &[A::Close], S::Stranded),
    rule(S::Rejoining, E::Failed, &[A::Close], S::Stranded),
    rule(S::Settling, E::Recorded, &[A::SendFarewell, A::Close, A::End], S::Ended),
    // `Given away` still stands, which is as good.
    rule(S::Settling, E::RecordFailed, &[A::SendFarewell, A::Close, A::End], S::Ended),
    rule(S::Reclaiming, E::Recorded, &[A::Resume, A::Close], S::Running),
    rule(S::Reclaiming, E::RecordFailed, &[], S::Reclaiming),
    rule(S::Reclaiming, E::Retry, &[A::RecordReclaimed], S::Reclaiming),
    // The process that had the guest is gone. What it recorded decides.
    rule(S::Orphaned, E::Linked, &[A::SendResume], S::OrphanGreeting),
    rule(
        S::OrphanGreeting,
        E::Welcomed(Standing::Prepared),
        &[A::Record(O::GivenAway)],
        S::OrphanGivingAway,
    ),
    rule(S::OrphanGreeting, E::Welcomed(Standing::Taken), &[A::Record(O::Settled)], S::Settling),
    rule(S::OrphanGreeting, E::Welcomed(Standing::Discarded), &[A::Record(O::Crashed)], S::Burying),
    rule(S::OrphanGreeting, E::Welcomed(Standing::Unknown), &[A::Close], S::Orphaned),
    rule(S::OrphanGreeting, E::Refused, &[A::Close], S::Orphaned),
    rule(S::OrphanGreeting, E::Failed, &[A::Close], S::Orphaned),
    rule(S::OrphanGivingAway, E::Recorded, &[A::SendCommit], S::Committing),
    rule(S::OrphanGivingAway, E::RecordFailed, &[A::Close], S::Orphaned),
    rule(S::Burying, E::Recorded, &[A::SendFarewell, A::Close, A::End], S::Crashed),
    rule(S::Burying, E::RecordFailed, &[A::SendFarewell, A::Close, A::End], S::Crashed),
];

/// The source's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    state: SourceState,
    has_guest: bool,
}

impl Source {
    /// Of a process whose guest runs.
    #[must_use]
    pub fn running() -> Self {
        Self { state: S::Running, has_guest: true }
    }

    /// Of a process that settles what another one left, whose guest is gone with it: by the record
    /// it left. `None` if that record leaves nothing to settle.
    #[must_use]
    pub fn orphan(left: Ownership) -> Option<Self> {
        let state = match left {
            O::Outgoing => S::Orphaned,
            O::GivenAway => S::Stranded,
            _ => return None,
        };
        Some(Self { state, has_guest: false })
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> SourceState {
        self.state
    }

    /// Takes an event, and says what is to be done.
    ///
    /// An event that has no row in the state's rules changes nothing, but a message: the peer
    /// broke the protocol, and that is a failure.
    pub fn handle(&mut self, event: SourceEvent) -> &'static [SourceAction] {
        self.handle_by(SOURCE_RULES, event)
    }

    /// Whether this state has a rule for `event`.
    #[must_use]
    pub fn takes(&self, event: SourceEvent) -> bool {
        SOURCE_RULES.iter().any(|rule| rule.from == self.state && rule.on == event)
    }

    pub(crate) fn handle_by(
        &mut self,
        rules: &[SourceRule],
        event: SourceEvent,
    ) -> &'static [SourceAction] {
        if !self.has_guest && self.is_reclaim(event) {
            // Nothing is left to run, on either side.
            self.state = S::Burying;
            return &[A::Record(O::Crashed)];
        }
        let find = |event| rules.iter().find(|rule| rule.from == self.state && rule.on == event);
        let rule = match find(event) {
            None if event.is_message() => find(E::Failed),
            found => found,
        };
        let Some(rule) = rule else { return &[] };
        self.state = rule.to;
        rule.does
    }

    fn is_reclaim(&self, event: SourceEvent) -> bool {
        match self.state {
            S::Committing => event == E::Discarded,
            S::Rejoining => event == E::Welcomed(Standing::Discarded),
            S::Stranded => event == E::ResolvedToReclaim,
            _ => false,
        }
    }
}

impl SourceEvent {
    /// Whether the peer caused it: without a rule for it, the peer broke the protocol.
    pub(crate) fn is_message(self) -> bool {
        match self {
            E::Welcomed(_)
            | E::Refused
            | E::Accepted
            | E::RoundArrived
            | E::Converged
            | E::Prepared
            | E::PreparedOther
            | E::Acknowledged
            | E::Discarded => true,
            E::Begin
            | E::Linked
            | E::Failed
            | E::Cancel
            | E::Recorded
            | E::RecordFailed
            | E::Frozen
            | E::ResolvedToReclaim
            | E::Retry => false,
        }
    }
}

impl SourceState {
    /// Whether the guest may execute here in this state. It stops after `Announcing`, and goes on
    /// when [`SourceAction::Resume`] was done.
    #[must_use]
    pub fn guest_runs(self) -> bool {
        use S::{Announcing, Beginning, Copying, Dialling, Greeting, Offering, Running};
        let before = [Running, Beginning, Dialling, Greeting, Offering, Copying, Announcing];
        before.contains(&self)
    }

    /// Whether it still has something to do.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, S::Ended | S::Crashed)
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
