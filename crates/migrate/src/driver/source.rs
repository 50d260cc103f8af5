//! The source over real connections.

use super::{
    Channel, ChannelError, Dial, HandoffError, Keep, Patience, SEND_LIMIT, SourceGuest, TELL_LIMIT,
    join,
};
use crate::handoff::{Source, SourceAction, SourceEvent, SourceState};
use crate::message::{
    Accept, Compression, Hello, Kind, Message, Purpose, Reason, Standing, VERSIONS, Welcome,
};
use crate::ownership::{Ownership, Record};
use crate::token::{Attempt, PeerId, RunToken, StateDigest};
use std::time::{Duration, Instant};

/// What became of a handoff on the source.
#[derive(Debug)]
pub enum SourceEnd {
    /// The destination has the guest.
    GivenAway,
    /// The guest runs here as before, with this token.
    Kept {
        /// The right to run that it has: a new one if it had been given away.
        token: RunToken,
        /// Why.
        why: HandoffError,
    },
    /// The guest rests here, and may not run before this is settled. [`SourceHandoff::run`] tries
    /// again.
    Unsettled {
        /// Where it stands.
        state: SourceState,
        /// What was last in the way.
        why: HandoffError,
    },
    /// The guest's process was lost before it was handed over.
    Crashed,
}

/// One attempt to hand a guest over.
pub struct SourceHandoff<'a> {
    machine: Source,
    guest: Option<&'a mut dyn SourceGuest>,
    dial: &'a mut dyn Dial,
    journal: &'a mut dyn Keep,
    patience: Patience,
    channel: Option<Channel>,
    record: Record,
    /// How many connections and which compression were offered.
    offered: (u16, Compression),
    accept: Option<Accept>,
    round: u32,
    why: Option<HandoffError>,
    /// The guest was stopped and could not be let go on: nothing is done about it here.
    resume_failed: bool,
    /// When it was last connected anew.
    redialled: Option<Instant>,
}

type Step = Result<Option<SourceEvent>, HandoffError>;

impl<'a> SourceHandoff<'a> {
    /// A new attempt to hand over `guest`, which runs with `token`. `attempt` is sixteen fresh
    /// random bytes.
    pub fn new(
        guest: &'a mut dyn SourceGuest,
        dial: &'a mut dyn Dial,
        journal: &'a mut dyn Keep,
        (token, attempt): (RunToken, Attempt),
        patience: Patience,
    ) -> Self {
        let record = Record { attempt, ..Record::running(token) };
        Self::with(Source::running(), Some(guest), dial, journal, record, patience)
    }

    /// Settles what a process that is gone has left in `journal`. `None` if that leaves nothing to
    /// settle. The caller holds the guest's lock, so that no such process lives.
    pub fn orphan(
        dial: &'a mut dyn Dial,
        journal: &'a mut dyn Keep,
        patience: Patience,
    ) -> Option<Self> {
        let record = journal.record()?.clone();
        let machine = Source::orphan(record.ownership)?;
        Some(Self::with(machine, None, dial, journal, record, patience))
    }

    fn with(
        machine: Source,
        guest: Option<&'a mut dyn SourceGuest>,
        dial: &'a mut dyn Dial,
        journal: &'a mut dyn Keep,
        record: Record,
        patience: Patience,
    ) -> Self {
        Self {
            machine,
            guest,
            dial,
            journal,
            patience,
            channel: None,
            record,
            offered: (0, Compression::None),
            accept: None,
            round: 0,
            why: None,
            resume_failed: false,
            redialled: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> SourceState {
        self.machine.state()
    }

    /// Goes on until the handoff is over, or cannot go on for now. May be called again after
    /// [`SourceEnd::Unsettled`].
    pub fn run(&mut self) -> SourceEnd {
        let give_up = Instant::now() + self.patience.settle;
        let mut event = match self.begin() {
            Ok(event) => event,
            Err(why) => return self.kept(why),
        };
        loop {
            let follows = self.step(event);
            let state = self.machine.state();
            event = match (follows, state) {
                (Some(event), _) => event,
                (None, SourceState::Running) => {
                    let why = self.why.take().unwrap_or(HandoffError::Cancelled);
                    return self.kept(why);
                }
                (None, SourceState::Ended) => return SourceEnd::GivenAway,
                (None, SourceState::Crashed) => return SourceEnd::Crashed,
                (None, SourceState::Dialling) => self.dial_once(),
                (None, SourceState::Stranded | SourceState::Orphaned) => {
                    match self.redial(give_up) {
                        Ok(event) => event,
                        Err(why) => return SourceEnd::Unsettled { state, why },
                    }
                }
                (None, SourceState::TakingBack | SourceState::Reclaiming) => {
                    if Instant::now() >= give_up {
                        let why = self.why.take().unwrap_or(HandoffError::Cancelled);
                        return SourceEnd::Unsettled { state, why };
                    }
                    std::thread::sleep(self.patience.retry);
                    SourceEvent::Retry
                }
                (None, _) => self.listen(),
            };
        }
    }

    /// The first event: of a new attempt, or of one that goes on.
    fn begin(&mut self) -> Result<SourceEvent, HandoffError> {
        match self.machine.state() {
            // The guest rests: it could not be let go on.
            SourceState::Running if self.resume_failed => {
                std::thread::sleep(self.patience.retry);
                self.perform(SourceAction::Resume)?;
                Err(self.why.take().unwrap_or(HandoffError::Cancelled))
            }
            SourceState::Running => {
                self.check_journal()?;
                Ok(SourceEvent::Begin)
            }
            // A state without a link: what is in the way is asked in the loop.
            _ => Ok(SourceEvent::Retry),
        }
    }

    /// What the journal says may not be overwritten before it is settled.
    fn check_journal(&self) -> Result<(), HandoffError> {
        let Some(found) = self.journal.record() else { return Ok(()) };
        let ours = self.record.token;
        let refuse = |reason, text| Err(HandoffError::Refuses { reason, text });
        if found.token.guest != ours.guest && found.ownership.is_open() {
            let text = format!(
                "the journal here says that guest {} is {}; settle that first with `abide migrate \
                 --resolve`",
                found.token.guest, found.ownership
            );
            return refuse(Reason::Busy, text);
        }
        if found.token.guest == ours.guest && found.token.epoch > ours.epoch {
            let text = format!(
                "this guest was in epoch {}, and the journal here knows of epoch {}: it has gone \
                 on elsewhere since",
                ours.epoch, found.token.epoch
            );
            return refuse(Reason::Stale, text);
        }
        Ok(())
    }

    fn kept(&mut self, why: HandoffError) -> SourceEnd {
        self.channel = None;
        if self.resume_failed {
            return SourceEnd::Unsettled { state: self.machine.state(), why };
        }
        SourceEnd::Kept { token: self.record.token, why }
    }

    fn connect(&mut self, wait: Duration) -> Result<(), HandoffError> {
        let dialled = self.dial.dial(wait.min(self.patience.message_max));
        let link = dialled.map_err(|source| HandoffError::Dial { source })?;
        let (_, peer) = link.identities();
        // What was begun with one peer is settled with no other.
        let is_first = self.machine.state() == SourceState::Dialling;
        if !is_first && peer != self.record.peer {
            let what = "it is not the destination that the attempt was begun with";
            return Err(HandoffError::Untrue { kind: Kind::Welcome, what });
        }
        (self.record.peer, self.record.peer_address) = (peer, link.address());
        self.channel = Some(Channel::new(link));
        Ok(())
    }

    fn dial_once(&mut self) -> SourceEvent {
        match self.connect(self.patience.message_max) {
            Ok(()) => SourceEvent::Linked,
            Err(why) => {
                self.why.get_or_insert(why);
                SourceEvent::Failed
            }
        }
    }

    /// Tries to connect until `give_up`, at least once, unless a resolution comes first.
    fn redial(&mut self, give_up: Instant) -> Result<SourceEvent, HandoffError> {
        // Somebody may take connections in front of a destination that is gone.
        if let Some(before) = self.redialled {
            if Instant::now() >= give_up {
                return Err(self.why.take().unwrap_or_else(|| ChannelError::Closed.into()));
            }
            std::thread::sleep(self.patience.retry.saturating_sub(before.elapsed()));
        }
        loop {
            let may_reclaim = self.machine.takes(SourceEvent::ResolvedToReclaim);
            if may_reclaim && self.guest.as_mut().is_some_and(|guest| guest.is_reclaimed()) {
                return Ok(SourceEvent::ResolvedToReclaim);
            }
            let left = give_up.saturating_duration_since(Instant::now());
            match self.connect(left.max(self.patience.retry)) {
                Ok(()) => {
                    self.redialled = Some(Instant::now());
                    return Ok(SourceEvent::Linked);
                }
                Err(why) if left.is_zero() => return Err(self.why.take().unwrap_or(why)),
                Err(why) => tracing::debug!(%why, "the destination is not there"),
            }
            std::thread::sleep(self.patience.retry.min(left));
        }
    }

    /// Tells the machine what happened and does what it says. The event that follows from that, if
    /// one does.
    fn step(&mut self, event: SourceEvent) -> Option<SourceEvent> {
        let actions = self.machine.handle(event);
        let state = self.machine.state();
        tracing::debug!(?event, %state, "handoff");
        if let Some(guest) = &mut self.guest {
            guest.entered(state);
        }
        let mut follows = None;
        for &action in actions {
            match self.perform(action) {
                Ok(event) => follows = event.or(follows),
                Err(why) => {
                    tracing::warn!(%why, ?action, "handoff");
                    self.why.get_or_insert(why);
                    return Some(failure_of(action));
                }
            }
        }
        follows
    }

    fn perform(&mut self, action: SourceAction) -> Step {
        use SourceAction as A;
        match action {
            A::SendHello => self.send_hello(Purpose::Begin)?,
            A::SendResume => self.send_hello(Purpose::Resume)?,
            A::SendOffer => {
                let offer = self.guest()?.offer().map_err(HandoffError::guest("offer"))?;
                self.offered = (offer.connections, offer.compression);
                self.send(&Message::Offer(offer))?;
            }
            A::BeginCopy => self.begin_copy()?,
            A::SendRound => self.send_round(false)?,
            A::SendLastRound => self.send_round(true)?,
            A::EndCopy => self.guest()?.end_copy(),
            A::Record(ownership) => {
                let record = Record { ownership, ..self.record.clone() };
                self.journal.keep(&record)?;
                self.record = record;
                return Ok(Some(SourceEvent::Recorded));
            }
            A::RecordReclaimed => {
                let RunToken { guest, epoch } = self.record.token;
                let token = RunToken { guest, epoch: epoch.of_reclaim() };
                let record = Record { ownership: Ownership::Running, token, ..self.record.clone() };
                self.journal.keep(&record)?;
                self.record = record;
                return Ok(Some(SourceEvent::Recorded));
            }
            A::Freeze => {
                let digest = self.guest()?.freeze().map_err(HandoffError::guest("freeze"))?;
                self.record.digest = digest;
                return Ok(Some(SourceEvent::Frozen));
            }
            A::SendState => {
                let state = self.guest()?.state().map_err(HandoffError::guest("state"))?;
                self.send(&Message::State(state))?;
            }
            A::Resume => {
                let token = self.record.token;
                let resumed = self.guest()?.resume(token);
                self.resume_failed = resumed.is_err();
                resumed.map_err(HandoffError::guest("resume"))?;
            }
            A::Release => self.guest()?.release(),
            A::SendCommit => {
                let epoch = self.record.token.epoch.of_destination();
                self.send(&Message::Commit { attempt: self.record.attempt, epoch })?;
            }
            A::SendWithdraw => {
                let why = self.why.as_ref().map(ToString::to_string);
                let text = why.unwrap_or_else(|| "cancelled".into());
                self.tell(&Message::Withdraw { attempt: self.record.attempt, text });
            }
            A::SendFarewell => {
                self.tell(&Message::Farewell { attempt: self.record.attempt });
            }
            A::Close => self.channel = None,
            A::End => {
                if let Some(guest) = &mut self.guest {
                    guest.end();
                }
            }
        }
        Ok(None)
    }
}

/// What it means that an action could not be done.
fn failure_of(action: SourceAction) -> SourceEvent {
    match action {
        SourceAction::Record(_) | SourceAction::RecordReclaimed => SourceEvent::RecordFailed,
        _ => SourceEvent::Failed,
    }
}

/// What goes over the connection.
impl SourceHandoff<'_> {
    fn guest(&mut self) -> Result<&mut (dyn SourceGuest + '_), HandoffError> {
        match &mut self.guest {
            Some(guest) => Ok(&mut **guest),
            None => {
                let source = "its process is gone".into();
                Err(HandoffError::Guest { step: "guest", source })
            }
        }
    }

    fn send(&mut self, message: &Message) -> Result<(), HandoffError> {
        let channel = self.channel.as_mut().ok_or(ChannelError::Closed)?;
        Ok(channel.send(message, SEND_LIMIT)?)
    }

    /// Sends what the peer need not hear: nothing depends on it.
    fn tell(&mut self, message: &Message) {
        let Some(channel) = &mut self.channel else { return };
        if let Err(error) = channel.send(message, TELL_LIMIT) {
            tracing::debug!(%error, kind = ?message.kind(), "not told");
        }
    }

    fn identities(&self) -> (PeerId, PeerId) {
        let channel = self.channel.as_ref();
        channel.map(|channel| channel.link().identities()).unwrap_or_default()
    }

    fn send_hello(&mut self, purpose: Purpose) -> Result<(), HandoffError> {
        let identities = self.identities();
        let Record { token, attempt, .. } = self.record;
        let hello = Hello { versions: VERSIONS, purpose, token, attempt, identities };
        self.send(&Message::Hello(hello))
    }

    fn begin_copy(&mut self) -> Result<(), HandoffError> {
        let accept = self.accept.take().ok_or(ChannelError::Closed)?;
        if let (Some(channel), Some(guest)) = (&mut self.channel, &mut self.guest) {
            let attempt = self.record.attempt;
            let is_cancelled = || guest.is_cancelled();
            join::dial(self.dial, channel, attempt, &accept, self.patience, is_cancelled)?;
        }
        let guest = self.guest()?;
        guest.begin_copy(&accept).map_err(HandoffError::guest("begin to copy"))?;
        self.send_round(false)
    }

    fn send_round(&mut self, is_last: bool) -> Result<(), HandoffError> {
        let guest = self.guest.as_mut().ok_or(ChannelError::Closed)?;
        let round = guest.plan_round(is_last).map_err(HandoffError::guest("plan a round"))?;
        self.round = round.number;
        let channel = self.channel.as_mut().ok_or(ChannelError::Closed)?;
        channel.send(&Message::Round(round), SEND_LIMIT)?;
        let sent = guest.send_round(&round, &mut channel.links());
        if sent.is_err() {
            // A message would be taken for the rest of the memory.
            self.channel = None;
        }
        sent.map_err(HandoffError::guest("send a round"))
    }

    /// Waits for the message that the state is about.
    fn listen(&mut self) -> SourceEvent {
        let state = self.machine.state();
        let expected = match state {
            SourceState::Greeting | SourceState::Rejoining | SourceState::OrphanGreeting => {
                Kind::Welcome
            }
            SourceState::Offering => Kind::Accept,
            SourceState::Copying => Kind::RoundDone,
            SourceState::AwaitingPrepared => Kind::Prepared,
            _ => Kind::Acknowledged,
        };
        let limit = expected.time_limit().min(self.patience.message_max);
        let may_cancel = self.machine.takes(SourceEvent::Cancel);
        let (guest, channel) = (&mut self.guest, &mut self.channel);
        let is_cancelled =
            || may_cancel && guest.as_mut().is_some_and(|guest| guest.is_cancelled());
        let received = match channel {
            Some(channel) => channel.receive(expected, limit, is_cancelled),
            None => Err(ChannelError::Closed),
        };
        let judged = match received {
            Ok(message) => {
                let found = message.kind();
                match self.judge(message) {
                    Ok(event) if !self.machine.takes(event) => {
                        Err(HandoffError::Unexpected { found, state: state.to_string() })
                    }
                    judged => judged,
                }
            }
            Err(ChannelError::Cancelled) => {
                self.why.get_or_insert(HandoffError::Cancelled);
                return SourceEvent::Cancel;
            }
            Err(error) => Err(error.into()),
        };
        judged.unwrap_or_else(|why| {
            tracing::warn!(%why, %state, "handoff");
            self.why.get_or_insert(why);
            SourceEvent::Failed
        })
    }

    /// What a message means.
    fn judge(&mut self, message: Message) -> Result<SourceEvent, HandoffError> {
        let kind = message.kind();
        let is_ours = |attempt: Attempt, ours: Attempt| {
            let what = "it is about another attempt";
            if attempt == ours { Ok(()) } else { Err(HandoffError::Untrue { kind, what }) }
        };
        let ours = self.record.attempt;
        match message {
            Message::Welcome(welcome) => self.judge_welcome(&welcome),
            Message::Accept(accept) if accept.connections > self.offered.0 => {
                let what = "it takes more connections than were offered";
                Err(HandoffError::Untrue { kind, what })
            }
            Message::Accept(Accept { compression, .. })
                if ![Compression::None, self.offered.1].contains(&compression) =>
            {
                let what = "it chose a compression that was not offered";
                Err(HandoffError::Untrue { kind, what })
            }
            Message::Accept(accept) => {
                self.accept = Some(accept);
                Ok(SourceEvent::Accepted)
            }
            Message::Refuse(refusal) => {
                let (reason, text) = (refusal.reason, refusal.text);
                self.why.get_or_insert(HandoffError::Refused { reason, text });
                Ok(SourceEvent::Refused)
            }
            Message::RoundDone { number } if number == self.round => {
                let more = self.guest()?.wants_another_round();
                Ok(if more { SourceEvent::RoundArrived } else { SourceEvent::Converged })
            }
            Message::Prepared { attempt, digest } => {
                is_ours(attempt, ours)?;
                Ok(self.judge_digest(digest))
            }
            Message::Acknowledged { attempt } => {
                is_ours(attempt, ours).map(|()| SourceEvent::Acknowledged)
            }
            Message::Discarded { attempt, text } => {
                is_ours(attempt, ours)?;
                self.why.get_or_insert(HandoffError::Discarded { text });
                Ok(SourceEvent::Discarded)
            }
            _ => {
                let state = self.machine.state().to_string();
                Err(HandoffError::Unexpected { found: kind, state })
            }
        }
    }

    fn judge_welcome(&mut self, welcome: &Welcome) -> Result<SourceEvent, HandoffError> {
        let untrue = |what| Err(HandoffError::Untrue { kind: Kind::Welcome, what });
        let (own, peer) = self.identities();
        if !(VERSIONS.0..=VERSIONS.1).contains(&welcome.version) {
            return untrue("it chose a version that was not offered");
        }
        if welcome.attempt != self.record.attempt {
            return untrue("it is about another attempt");
        }
        if welcome.identities != (peer, own) {
            return untrue("its identities are not those that the transport proved");
        }
        if welcome.standing == Standing::Discarded {
            let text = "it can never run there".to_owned();
            self.why.get_or_insert(HandoffError::Discarded { text });
        }
        Ok(SourceEvent::Welcomed(welcome.standing))
    }

    fn judge_digest(&mut self, theirs: StateDigest) -> SourceEvent {
        let ours = self.record.digest;
        if ours == theirs {
            return SourceEvent::Prepared;
        }
        self.why.get_or_insert(HandoffError::Digest { ours, theirs });
        SourceEvent::PreparedOther
    }
}
