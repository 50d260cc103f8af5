//! Why a handoff did not come to its end.

use super::{ChannelError, GuestError};
use crate::journal::JournalError;
use crate::message::{Kind, Reason, Refusal};
use crate::token::StateDigest;
use std::io;
use thiserror::Error;

/// Why a handoff was given up, or cannot go on.
#[derive(Debug, Error)]
pub enum HandoffError {
    /// No connection.
    #[error("the destination cannot be reached: {source}")]
    Dial {
        /// What the host said, and of which address.
        source: io::Error,
    },
    /// The connection.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The peer said no.
    #[error("the peer refuses ({reason:?}): {text}")]
    Refused {
        /// For programs.
        reason: Reason,
        /// The peer's own words.
        text: String,
    },
    /// This side said no.
    #[error("refused ({reason:?}): {text}")]
    Refuses {
        /// For programs.
        reason: Reason,
        /// What the peer is told.
        text: String,
    },
    /// The guest's side of it.
    #[error("{step}: {source}")]
    Guest {
        /// What was to be done.
        step: &'static str,
        /// Why it was not.
        source: GuestError,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A message at the wrong time.
    #[error("the peer sent {found:?} in the middle of {state}: the protocol is broken")]
    Unexpected {
        /// What came.
        found: Kind,
        /// When.
        state: String,
    },
    /// A message that contradicts an earlier one.
    #[error("the peer's {kind:?} is not true: {what}")]
    Untrue {
        /// Which message.
        kind: Kind,
        /// What is wrong.
        what: &'static str,
    },
    /// The destination read back something else.
    #[error(
        "the destination read back registers with the digest {theirs}, the source saved {ours}: \
         the guest would not be the same there"
    )]
    Digest {
        /// The source's.
        ours: StateDigest,
        /// The destination's.
        theirs: StateDigest,
    },
    /// The peer keeps the guest.
    #[error("the source keeps the guest: {text}")]
    Withdrawn {
        /// The source's own words.
        text: String,
    },
    /// The peer has dropped the guest.
    #[error("the destination has discarded the guest: {text}")]
    Discarded {
        /// Why, in the destination's own words.
        text: String,
    },
    /// Somebody wanted it.
    #[error("cancelled")]
    Cancelled,
}

impl HandoffError {
    pub(super) fn guest(step: &'static str) -> impl FnOnce(GuestError) -> Self {
        move |source| Self::Guest { step, source }
    }

    /// What the peer is told.
    pub(super) fn refusal(&self) -> Refusal {
        let reason = match self {
            Self::Refuses { reason, .. } => *reason,
            Self::Cancelled => Reason::Cancelled,
            Self::Guest { step: "check", .. } => Reason::Unfit,
            Self::Unexpected { .. } | Self::Untrue { .. } => Reason::Protocol,
            _ => Reason::Host,
        };
        let text = match self {
            Self::Refuses { text, .. } => text.clone(),
            Self::Guest { step: "check", source } => source.to_string(),
            other => other.to_string(),
        };
        Refusal { reason, text }
    }
}
