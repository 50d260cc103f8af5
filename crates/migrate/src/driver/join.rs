//! Further connections: they carry memory and nothing else.
//!
//! The source makes them one after another once the offer is taken, and shows the ticket on each.
//! The destination takes them while it waits for the first round. Who comes in between without the
//! ticket is sent away, and disturbs nobody.

use super::{Channel, Dial, HandoffError, Link, Listen, Patience, SEND_LIMIT, TELL_LIMIT};
use crate::message::{Accept, Join, Kind, Message};
use crate::token::{Attempt, PeerId};
use std::time::Duration;

/// How long one look for a connection takes.
const LOOK: Duration = Duration::from_millis(50);

/// Makes the connections that `accept` says beside `channel`.
pub(super) fn dial(
    dial: &mut dyn Dial,
    channel: &mut Channel,
    attempt: Attempt,
    accept: &Accept,
    patience: Patience,
    mut is_cancelled: impl FnMut() -> bool,
) -> Result<(), HandoffError> {
    let limit = Kind::Joined.time_limit().min(patience.message_max);
    for number in 1..=accept.connections {
        let link = dial.dial(limit).map_err(|source| HandoffError::Dial { source })?;
        if link.identities() != channel.link().identities() {
            let what = "another destination answers on a further connection";
            return Err(HandoffError::Untrue { kind: Kind::Joined, what });
        }
        let mut further = Channel::new(link);
        let ticket = accept.ticket.clone();
        further.send(&Message::Join(Join { attempt, number, ticket }), SEND_LIMIT)?;
        match further.receive(Kind::Joined, limit, &mut is_cancelled)? {
            Message::Joined { number: theirs } if theirs == number => channel.join(further),
            other => return Err(unexpected(&other)),
        }
    }
    Ok(())
}

fn unexpected(message: &Message) -> HandoffError {
    HandoffError::Unexpected { found: message.kind(), state: "joining".to_owned() }
}

/// The further connections that are still to come.
pub(super) struct Joining {
    attempt: Attempt,
    accept: Accept,
    identities: (PeerId, PeerId),
    joined: Vec<Channel>,
}

impl Joining {
    /// Beside `link`.
    pub(super) fn new(attempt: Attempt, accept: Accept, link: &dyn Link) -> Self {
        Self { attempt, accept, identities: link.identities(), joined: Vec::new() }
    }

    /// Takes those that have come. Who may not join is sent away.
    pub(super) fn take(&mut self, listen: &mut dyn Listen, patience: Patience) {
        while self.joined.len() < usize::from(self.accept.connections) {
            match listen.accept(LOOK) {
                Ok(Some(link)) => match self.admit(link, patience) {
                    Ok(()) => {}
                    // However many of them come, limits are looked at in between.
                    Err(why) => return tracing::warn!(%why, "further connection refused"),
                },
                // That nobody can connect any more shows when they are missing.
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn admit(&mut self, link: Box<dyn Link>, patience: Patience) -> Result<(), HandoffError> {
        let is_same = link.identities() == self.identities;
        let mut channel = Channel::new(link);
        let limit = Kind::Join.time_limit().min(patience.message_max);
        let join = match channel.receive(Kind::Join, limit, || false)? {
            Message::Join(join) => join,
            other => return Err(unexpected(&other)),
        };
        let untrue = |what| Err(HandoffError::Untrue { kind: Kind::Join, what });
        if !is_same {
            return untrue("it is not from the source of this handoff");
        }
        // Compared by their hashes, in a time that tells nothing about them.
        let is_ticket = blake3::hash(&join.ticket) == blake3::hash(&self.accept.ticket);
        if !is_ticket || join.attempt != self.attempt {
            return untrue("its ticket is not that of this attempt");
        }
        // They come one after another, so that a number that has come is a ticket used again.
        if usize::from(join.number) != self.joined.len() + 1 {
            return untrue("its ticket was used before");
        }
        channel.send(&Message::Joined { number: join.number }, TELL_LIMIT)?;
        self.joined.push(channel);
        Ok(())
    }

    /// Adds them to `channel`, if all are there.
    pub(super) fn complete(self, channel: &mut Channel) -> Result<(), HandoffError> {
        if self.joined.len() != usize::from(self.accept.connections) {
            let what = "not all connections that were agreed upon have come";
            return Err(HandoffError::Untrue { kind: Kind::Round, what });
        }
        self.joined.into_iter().for_each(|further| channel.join(further));
        Ok(())
    }
}
