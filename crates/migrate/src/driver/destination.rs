//! The destination over real connections.

use super::join::Joining;
use super::{
    Channel, ChannelError, DestinationGuest, HandoffError, Keep, Listen, Patience, Resolution,
    SEND_LIMIT, TELL_LIMIT,
};
use crate::handoff::{
    Destination, DestinationAction, DestinationEvent, DestinationState, Greeting, greet,
};
use crate::message::{
    Accept, Compression, Hello, Kind, Message, Offer, Reason, Round, Standing, Welcome,
};
use crate::ownership::{Ownership, Record};
use crate::token::{Attempt, PeerId, RunToken};
use std::io;
use std::time::{Duration, Instant};

/// How long one look for a connection takes, so that a cancel is seen.
const LOOK: Duration = Duration::from_millis(50);

/// What became of a handoff on the destination.
#[derive(Debug)]
pub enum DestinationEnd {
    /// The guest runs here with this token. [`DestinationHandoff::run`] goes on to answer a source
    /// that did not hear of it, and writes no record any more.
    Runs {
        /// The right to run that it has.
        token: RunToken,
        /// The source has heard of it.
        is_settled: bool,
    },
    /// Nothing of a guest is here. [`DestinationHandoff::run`] waits for the next try.
    Nothing {
        /// Why.
        why: HandoffError,
    },
    /// A guest is prepared here, and its source does not answer. [`DestinationHandoff::run`] waits
    /// on.
    Unsettled {
        /// The right to run that it would have.
        token: RunToken,
        /// What was last in the way.
        why: Option<HandoffError>,
    },
    /// Nobody can connect any more.
    Deaf {
        /// What the host said.
        source: io::Error,
    },
}

/// What is known of the attempt in hand.
#[derive(Default)]
struct Hand {
    hello: Option<Hello>,
    offer: Option<Offer>,
    round: Option<Round>,
    state: Option<Vec<u8>>,
    next_round: u32,
    has_last_round: bool,
    /// Connections that come before the first round.
    joining: Option<Joining>,
}

/// Receives one guest.
pub struct DestinationHandoff<'a> {
    machine: Destination,
    guest: &'a mut dyn DestinationGuest,
    listen: &'a mut dyn Listen,
    journal: &'a mut dyn Keep,
    patience: Patience,
    channel: Option<Channel>,
    record: Option<Record>,
    hand: Hand,
    why: Option<HandoffError>,
    is_settled: bool,
    accept: Option<Accept>,
    is_greeted: bool,
    /// The caller knows that the guest runs.
    is_told: bool,
}

type Step = Result<Option<DestinationEvent>, HandoffError>;

impl<'a> DestinationHandoff<'a> {
    /// Receives from `listen` what comes there. `journal` says what a process before this one has
    /// left. The caller holds the lock of the guest's name, so that no such process lives.
    pub fn new(
        guest: &'a mut dyn DestinationGuest,
        listen: &'a mut dyn Listen,
        journal: &'a mut dyn Keep,
        patience: Patience,
    ) -> Self {
        let record = journal.record().cloned();
        Self {
            machine: Destination::new(),
            guest,
            listen,
            journal,
            patience,
            channel: None,
            record,
            hand: Hand::default(),
            why: None,
            is_settled: false,
            accept: None,
            is_greeted: false,
            is_told: false,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> DestinationState {
        self.machine.state()
    }

    /// Goes on until something has become of it, or nobody came for [`Patience::settle`]. May be
    /// called again.
    pub fn run(&mut self) -> DestinationEnd {
        let mut give_up = Instant::now() + self.patience.settle;
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            let event = if self.channel.is_some() {
                self.listen_to_peer()
            } else {
                match self.await_peer(give_up) {
                    Ok(Some(event)) => event,
                    Ok(None) => return self.nobody_came(),
                    Err(source) => return DestinationEnd::Deaf { source },
                }
            };
            let mut next = Some(event);
            while let Some(event) = next {
                next = self.step(event);
            }
            give_up = Instant::now() + self.patience.settle;
        }
    }

    /// What the caller wants to hear of, if it has come to that.
    fn end(&mut self) -> Option<DestinationEnd> {
        use DestinationState as S;
        let state = self.machine.state();
        let is_news = state == S::Running && !std::mem::replace(&mut self.is_told, true);
        if self.channel.is_some() && !is_news {
            return None;
        }
        match state {
            S::Running if is_news || self.is_settled => {
                let token = self.record.as_ref()?.token;
                let is_settled = std::mem::take(&mut self.is_settled);
                Some(DestinationEnd::Runs { token, is_settled })
            }
            S::Listening => {
                let why = self.why.take()?;
                Some(DestinationEnd::Nothing { why })
            }
            _ => None,
        }
    }

    fn nobody_came(&mut self) -> DestinationEnd {
        let token = self.record.as_ref().map(|record| record.token);
        let why = self.why.take();
        match (self.machine.state(), token) {
            (DestinationState::PreparedAlone, Some(token)) => {
                DestinationEnd::Unsettled { token, why }
            }
            (DestinationState::Running, Some(token)) => {
                DestinationEnd::Runs { token, is_settled: false }
            }
            _ => DestinationEnd::Nothing { why: why.unwrap_or(HandoffError::Cancelled) },
        }
    }

    /// Waits for a connection, or for what a resolution found.
    fn await_peer(&mut self, give_up: Instant) -> io::Result<Option<DestinationEvent>> {
        loop {
            if self.machine.takes(DestinationEvent::ResolvedToRun) {
                match self.guest.resolution() {
                    Some(Resolution::Run) => return Ok(Some(DestinationEvent::ResolvedToRun)),
                    Some(Resolution::Discard) => {
                        return Ok(Some(DestinationEvent::ResolvedToDiscard));
                    }
                    None => {}
                }
            } else if self.guest.is_cancelled() {
                return Ok(None);
            }
            if let Some(link) = self.listen.accept(LOOK)? {
                self.channel = Some(Channel::new(link));
                (self.is_greeted, self.why) = (false, None);
                return Ok(Some(DestinationEvent::Linked));
            }
            if Instant::now() >= give_up {
                return Ok(None);
            }
        }
    }

    fn step(&mut self, event: DestinationEvent) -> Option<DestinationEvent> {
        let actions = self.machine.handle(event);
        let state = self.machine.state();
        tracing::debug!(?event, %state, "handoff");
        self.guest.entered(state);
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

    fn perform(&mut self, action: DestinationAction) -> Step {
        use DestinationAction as A;
        let lost = || HandoffError::from(ChannelError::Closed);
        match action {
            A::SendWelcome(standing) => self.send_welcome(standing)?,
            A::SendRefuse => {
                if let Some(why) = &self.why {
                    self.tell(&Message::Refuse(why.refusal()));
                }
            }
            A::CheckOffer => return Ok(Some(self.check_offer())),
            A::Record(ownership) => {
                let record = Record { ownership, ..self.record.clone().ok_or_else(lost)? };
                self.journal.keep(&record)?;
                self.record = Some(record);
                return Ok(Some(DestinationEvent::Recorded));
            }
            A::SendAccept => {
                let accept = self.accept.take().ok_or_else(lost)?;
                let attempt = self.record.as_ref().ok_or_else(lost)?.attempt;
                let channel = self.channel.as_ref().ok_or_else(lost)?;
                self.hand.joining = Some(Joining::new(attempt, accept.clone(), channel.link()));
                self.send(&Message::Accept(accept))?;
            }
            A::ReceiveRound => self.receive_round()?,
            A::Prepare => {
                let state = self.hand.state.take().ok_or_else(lost)?;
                let digest = self.guest.prepare(state).map_err(HandoffError::guest("prepare"))?;
                self.record.as_mut().ok_or_else(lost)?.digest = digest;
                return Ok(Some(DestinationEvent::Made));
            }
            A::SendPrepared => {
                let record = self.record.as_ref().ok_or_else(lost)?;
                let (attempt, digest) = (record.attempt, record.digest);
                self.send(&Message::Prepared { attempt, digest })?;
            }
            A::Run => {
                let token = self.record.as_ref().ok_or_else(lost)?.token;
                self.guest.run(token).map_err(HandoffError::guest("start"))?;
                return Ok(Some(DestinationEvent::Started));
            }
            A::SendAcknowledged => {
                let attempt = self.record.as_ref().ok_or_else(lost)?.attempt;
                self.tell(&Message::Acknowledged { attempt });
            }
            A::Discard => {
                self.guest.discard();
                // True from here on, whatever the disk says: a source that asks is told so.
                if let Some(record) = &mut self.record {
                    record.ownership = Ownership::Discarded;
                }
                self.hand = Hand { hello: self.hand.hello.take(), ..Hand::default() };
            }
            A::SendDiscarded => {
                let attempt = self.record.as_ref().ok_or_else(lost)?.attempt;
                let why = self.why.as_ref().map(HandoffError::refusal);
                let text = why.map_or_else(|| "somebody wanted it".to_owned(), |why| why.text);
                self.tell(&Message::Discarded { attempt, text });
            }
            A::Close => self.channel = None,
        }
        Ok(None)
    }
}

/// What it means that an action could not be done.
fn failure_of(action: DestinationAction) -> DestinationEvent {
    match action {
        DestinationAction::Record(_) => DestinationEvent::RecordFailed,
        DestinationAction::Run => DestinationEvent::StartFailed,
        _ => DestinationEvent::Failed,
    }
}

/// What goes over the connection.
impl DestinationHandoff<'_> {
    fn send(&mut self, message: &Message) -> Result<(), HandoffError> {
        let channel = self.channel.as_mut().ok_or(ChannelError::Closed)?;
        Ok(channel.send(message, SEND_LIMIT)?)
    }

    /// Sends what the peer need not hear: it asks again.
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

    fn send_welcome(&mut self, standing: Standing) -> Result<(), HandoffError> {
        let identities = self.identities();
        let hello = self.hand.hello.as_ref().ok_or(ChannelError::Closed)?;
        let version = hello.common_version().unwrap_or(crate::message::VERSIONS.0);
        let attempt = hello.attempt;
        self.send(&Message::Welcome(Welcome { version, standing, attempt, identities }))
    }

    fn check_offer(&mut self) -> DestinationEvent {
        let (Some(hello), Some(offer)) = (&self.hand.hello, &self.hand.offer) else {
            return DestinationEvent::Unfit;
        };
        match self.guest.check(offer) {
            Ok(accept) => {
                let is_packed = accept.compression == offer.compression;
                let accept = Accept {
                    connections: accept.connections.min(offer.connections),
                    compression: if is_packed { offer.compression } else { Compression::None },
                    ..accept
                };
                let RunToken { guest, epoch } = hello.token;
                let token = RunToken { guest, epoch: epoch.of_destination() };
                let channel = self.channel.as_ref();
                let (peer, peer_address) = channel.map_or_else(Default::default, |channel| {
                    (channel.link().identities().1, channel.link().address())
                });
                // Nothing is here yet, and the record that claims it is still to be written.
                self.record = Some(Record {
                    ownership: Ownership::Discarded,
                    attempt: hello.attempt,
                    peer,
                    peer_address,
                    ..Record::running(token)
                });
                self.accept = Some(accept);
                DestinationEvent::Fits
            }
            Err(source) => {
                self.why.get_or_insert(HandoffError::Guest { step: "check", source });
                DestinationEvent::Unfit
            }
        }
    }

    fn receive_round(&mut self) -> Result<(), HandoffError> {
        let round = self.hand.round.take().ok_or(ChannelError::Closed)?;
        let channel = self.channel.as_mut().ok_or(ChannelError::Closed)?;
        if let Some(joining) = self.hand.joining.take() {
            joining.complete(channel)?;
        }
        let received = self.guest.receive_round(&round, &mut channel.links());
        received.map_err(HandoffError::guest("receive memory"))?;
        self.hand.next_round += 1;
        self.hand.has_last_round = round.is_last;
        // The last one is answered by `prepared`: the guest rests.
        if !round.is_last {
            self.send(&Message::RoundDone { number: round.number })?;
        }
        Ok(())
    }

    /// Waits for the message that the state is about.
    fn listen_to_peer(&mut self) -> DestinationEvent {
        use DestinationState as S;
        let state = self.machine.state();
        let expected = match state {
            S::Greeted => Kind::Offer,
            S::Receiving if self.hand.has_last_round => Kind::State,
            S::Receiving => Kind::Round,
            S::Prepared => Kind::Commit,
            S::Running if self.is_greeted => Kind::Farewell,
            _ => Kind::Hello,
        };
        let limit = expected.time_limit().min(self.patience.message_max);
        let may_cancel = self.machine.takes(DestinationEvent::Cancel);
        let (guest, listen, patience) = (&mut *self.guest, &mut *self.listen, self.patience);
        let joining = &mut self.hand.joining;
        let is_cancelled = || {
            if let Some(joining) = joining {
                joining.take(listen, patience);
            }
            may_cancel && guest.is_cancelled()
        };
        let received = match &mut self.channel {
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
                return DestinationEvent::Cancel;
            }
            Err(error) => Err(error.into()),
        };
        judged.unwrap_or_else(|why| {
            if state == DestinationState::Greeting {
                // Anybody may knock; the caller is told.
                tracing::debug!(%why, %state, "handoff");
            } else {
                tracing::warn!(%why, %state, "handoff");
            }
            self.why.get_or_insert(why);
            DestinationEvent::Failed
        })
    }

    /// What a message means.
    fn judge(&mut self, message: Message) -> Result<DestinationEvent, HandoffError> {
        let kind = message.kind();
        let state = self.machine.state();
        let ours = self.record.as_ref().map(|record| (record.attempt, record.token.epoch));
        let is_ours = |attempt: Attempt| {
            let what = "it is about another attempt";
            let is_same = ours.is_some_and(|(ours, _)| ours == attempt);
            if is_same { Ok(()) } else { Err(HandoffError::Untrue { kind, what }) }
        };
        match message {
            Message::Hello(hello) => Ok(self.judge_hello(hello)),
            Message::Offer(offer) => {
                self.hand.offer = Some(offer);
                Ok(DestinationEvent::Offered)
            }
            Message::Round(round) => {
                if round.number != self.hand.next_round || self.hand.has_last_round {
                    let what = "the rounds do not follow one another";
                    return Err(HandoffError::Untrue { kind, what });
                }
                self.hand.round = Some(round);
                Ok(DestinationEvent::Round)
            }
            Message::State(_) if !self.hand.has_last_round => {
                Err(HandoffError::Untrue { kind, what: "the last round of memory has not come" })
            }
            Message::State(state) => {
                self.hand.state = Some(state);
                Ok(DestinationEvent::State)
            }
            Message::Commit { attempt, epoch } => {
                is_ours(attempt)?;
                if ours.is_none_or(|(_, ours)| ours != epoch) {
                    let what = "its epoch is not the next one";
                    return Err(HandoffError::Untrue { kind, what });
                }
                Ok(DestinationEvent::Commit)
            }
            Message::Withdraw { attempt, text } => {
                // Before the offer was taken there is no record of the attempt yet.
                let hello = self.hand.hello.as_ref().map(|hello| hello.attempt);
                if hello != Some(attempt) {
                    is_ours(attempt)?;
                }
                self.why.get_or_insert(HandoffError::Withdrawn { text });
                Ok(DestinationEvent::Withdrawn)
            }
            Message::Farewell { attempt } => {
                is_ours(attempt)?;
                self.is_settled = state == DestinationState::Running;
                Ok(DestinationEvent::Farewell)
            }
            _ => Err(HandoffError::Unexpected { found: kind, state: state.to_string() }),
        }
    }

    fn judge_hello(&mut self, hello: Hello) -> DestinationEvent {
        use DestinationState as S;
        let holds = matches!(self.machine.state(), S::PreparedGreeting | S::Prepared);
        let identities = self.identities();
        let greeting = greet(&hello, self.record.as_ref(), identities, holds);
        if let Greeting::Refused(_, reason) = greeting {
            let text = refusal_text(reason, &hello, self.record.as_ref());
            self.why = Some(HandoffError::Refuses { reason, text });
        }
        if greeting.event() == DestinationEvent::Begin && self.machine.state() == S::Running {
            let text = "the guest that was received here runs".to_owned();
            self.why.get_or_insert(HandoffError::Refuses { reason: Reason::Busy, text });
        }
        self.hand.hello = Some(hello);
        self.is_greeted = true;
        greeting.event()
    }
}

fn refusal_text(reason: Reason, hello: &Hello, record: Option<&Record>) -> String {
    let (low, high) = crate::message::VERSIONS;
    match (reason, record) {
        (Reason::Version, _) => format!(
            "the source speaks versions {} to {} of the protocol, this side {low} to {high}",
            hello.versions.0, hello.versions.1
        ),
        (Reason::Identity, _) => "the identities in the hello are not those that the transport \
                                  proved, or not those that the attempt was begun with"
            .into(),
        (Reason::Stale, Some(record)) => format!(
            "the source has the guest in epoch {}, and this side has seen epoch {} of it ({}): the \
             guest has gone on since; do not run the older one",
            hello.token.epoch, record.token.epoch, record.ownership
        ),
        (_, Some(record)) => format!(
            "guest {} is {} here; settle that first with `abide migrate --resolve`",
            record.token.guest, record.ownership
        ),
        (_, None) => "not now".into(),
    }
}
