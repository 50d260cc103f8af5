//! Messages over a connection, each within its bound and its time.

use super::Link;
use crate::frame::{HEAD_LEN, Head};
use crate::message::{Incoming, Kind, Message, MessageError, judge};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How often somebody who waits looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);
/// How much is made room for at once: a length is believed as far as its bytes have come.
const PIECE_LEN: usize = 256 * 1024;
/// How long a message may take to be written.
pub(super) const SEND_LIMIT: Duration = Duration::from_secs(60);
/// The same for one on which nothing depends.
pub(super) const TELL_LIMIT: Duration = Duration::from_secs(2);

/// What went wrong on a connection. It is not used any more after that.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The other end is gone.
    #[error("the connection was closed by the peer")]
    Closed,
    /// Too slow, or dead.
    #[error("{what} took more than {} ms: the peer is given up", limit.as_millis())]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
    },
    /// The host.
    #[error("the connection failed: {0}")]
    Host(#[source] io::Error),
    /// What came is no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Somebody wanted it.
    #[error("cancelled")]
    Cancelled,
}

/// A connection on which messages go back and forth, and those that carry memory beside it.
pub struct Channel {
    link: Box<dyn Link>,
    further: Vec<Box<dyn Link>>,
    sent: u32,
    received: u32,
}

impl Channel {
    /// Of a new connection.
    #[must_use]
    pub fn new(link: Box<dyn Link>) -> Self {
        Self { link, further: Vec::new(), sent: 0, received: 0 }
    }

    /// The connection itself.
    #[must_use]
    pub fn link(&self) -> &dyn Link {
        &*self.link
    }

    /// The connections for memory between two messages; this one is the first of them.
    pub fn links(&mut self) -> Vec<&mut dyn Link> {
        let further = self.further.iter_mut().map(|link| &mut **link as &mut dyn Link);
        std::iter::once(&mut *self.link as &mut dyn Link).chain(further).collect()
    }

    /// From here on memory goes over `other` too, on which no message comes any more.
    pub(super) fn join(&mut self, other: Self) {
        self.further.push(other.link);
    }

    /// Sends a message, within `limit`.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn send(&mut self, message: &Message, limit: Duration) -> Result<(), ChannelError> {
        let frame = message.seal(self.sent);
        self.sent = self.sent.wrapping_add(1);
        let deadline = Instant::now() + limit;
        let late = || ChannelError::Late { what: format!("sending {:?}", message.kind()), limit };
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            self.link.set_wait(left).map_err(ChannelError::Host)?;
            match self.link.write(rest) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(len) => rest = &rest[len..],
                Err(error) => again(error)?,
            }
        }
        self.link.flush().map_err(ChannelError::Host)
    }

    /// Receives the next message. `expected` is only to say what was waited for, `limit` is for the
    /// whole of it: who sends slowly is given up too.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn receive(
        &mut self,
        expected: Kind,
        limit: Duration,
        mut is_cancelled: impl FnMut() -> bool,
    ) -> Result<Message, ChannelError> {
        let deadline = Instant::now() + limit;
        let late = || ChannelError::Late { what: format!("{expected:?}"), limit };
        loop {
            let mut head = [0; HEAD_LEN];
            self.fill(&mut head, deadline, &late, &mut is_cancelled)?;
            let head = Head::decode(&head).map_err(MessageError::Head)?;
            let incoming = judge(&head, self.received)?;
            self.received = self.received.wrapping_add(1);
            let mut payload = Vec::new();
            let mut left = head.len as usize;
            while left > 0 {
                let (at, piece) = (payload.len(), left.min(PIECE_LEN));
                payload.resize(at + piece, 0);
                self.fill(&mut payload[at..], deadline, &late, &mut is_cancelled)?;
                left -= piece;
            }
            match incoming {
                Incoming::Known(kind) => match Message::open(kind, &head, &payload)? {
                    Message::Note(text) => tracing::info!(%text, "note from the peer"),
                    message => return Ok(message),
                },
                Incoming::Skip => {
                    tracing::debug!(kind = head.kind, "optional message skipped");
                }
            }
        }
    }

    fn fill(
        &mut self,
        mut room: &mut [u8],
        deadline: Instant,
        late: &dyn Fn() -> ChannelError,
        is_cancelled: &mut dyn FnMut() -> bool,
    ) -> Result<(), ChannelError> {
        while !room.is_empty() {
            if is_cancelled() {
                return Err(ChannelError::Cancelled);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            self.link.set_wait(left.min(LOOK)).map_err(ChannelError::Host)?;
            match self.link.read(room) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(len) => room = &mut room[len..],
                Err(error) => again(error)?,
            }
        }
        Ok(())
    }
}

/// Whether to try once more.
fn again(error: io::Error) -> Result<(), ChannelError> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
            Err(ChannelError::Closed)
        }
        _ => Err(ChannelError::Host(error)),
    }
}
