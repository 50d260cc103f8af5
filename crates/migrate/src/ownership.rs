//! What one side's disk says about a guest: the record that journals hold.

use crate::token::{Attempt, Epoch, GuestId, PeerId, RunToken, StateDigest};
use crate::wire::{Fields, Malformed, put_bytes, sendable};
use std::fmt;

/// Who has a guest, as one side knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Ownership {
    /// It runs here (or did, if its process is gone).
    Running = 1,
    /// It is here, and an attempt to hand it over has begun. **If its process is gone and
    /// the destination is prepared by this very attempt, the destination has its last state.**
    Outgoing = 2,
    /// It was given away by this attempt: here it never runs in this epoch again.
    GivenAway = 3,
    /// As given away, and the destination has confirmed it.
    Settled = 4,
    /// It is being received, and does not run here.
    Incoming = 5,
    /// It is here complete and verified, and does not run: whether it may, the source decides.
    Prepared = 6,
    /// What was received was discarded, and can never run here.
    Discarded = 7,
    /// Its process ended without handing it over: nobody can run it from memory.
    Crashed = 8,
}

const ALL: [Ownership; 8] = [
    Ownership::Running,
    Ownership::Outgoing,
    Ownership::GivenAway,
    Ownership::Settled,
    Ownership::Incoming,
    Ownership::Prepared,
    Ownership::Discarded,
    Ownership::Crashed,
];

impl Ownership {
    /// All of them.
    pub const ALL: [Self; 8] = ALL;

    /// Whether who wrote this held the right to run in the record's epoch.
    #[must_use]
    pub fn has_run(self) -> bool {
        use Ownership::{Crashed, GivenAway, Outgoing, Running, Settled};
        matches!(self, Running | Outgoing | GivenAway | Settled | Crashed)
    }

    /// Whether the other side, or an operator, still has to say something, so that the record may
    /// not be overwritten by another guest's.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Outgoing | Self::GivenAway | Self::Prepared)
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Outgoing => "outgoing",
            Self::GivenAway => "given away",
            Self::Settled => "given away, confirmed",
            Self::Incoming => "incoming",
            Self::Prepared => "prepared",
            Self::Discarded => "discarded",
            Self::Crashed => "crashed",
        })
    }
}

/// The longest address of a peer in a record, in bytes.
pub const PEER_MAX_LEN: usize = 200;

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who has the guest.
    pub ownership: Ownership,
    /// The guest, and the epoch: on the source the one it ran in, on the destination the one it
    /// runs or would run in.
    pub token: RunToken,
    /// The attempt that this is about; zeros before there was one.
    pub attempt: Attempt,
    /// The digest of the state that the destination prepared; zeros before there was one.
    pub digest: StateDigest,
    /// Who the peer proved to be.
    pub peer: PeerId,
    /// Where the peer is, for people.
    pub peer_address: String,
}

impl Record {
    /// The record of a guest that runs here and was in no handoff yet.
    #[must_use]
    pub fn running(token: RunToken) -> Self {
        Self {
            ownership: Ownership::Running,
            token,
            attempt: Attempt([0; 16]),
            digest: StateDigest([0; 32]),
            peer: PeerId::default(),
            peer_address: String::new(),
        }
    }

    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { ownership, token, attempt, digest, peer, peer_address } = self;
        let mut out = Vec::new();
        out.extend_from_slice(&(*ownership as u16).to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&token.epoch.0.to_le_bytes());
        out.extend_from_slice(&token.guest.0);
        out.extend_from_slice(&attempt.0);
        out.extend_from_slice(&digest.0);
        out.extend_from_slice(&peer.0);
        put_bytes(&mut out, sendable(peer_address, PEER_MAX_LEN).as_bytes());
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        let number = fields.u16()?;
        let ownership = ALL.into_iter().find(|ownership| *ownership as u16 == number);
        let ownership =
            ownership.ok_or(Malformed("an ownership that this version does not know"))?;
        if fields.array()? != [0; 6] {
            return Err(Malformed("reserved bytes that are not zero"));
        }
        let epoch = Epoch(fields.u64()?);
        if !epoch.is_possible() {
            return Err(Malformed("an impossible epoch"));
        }
        let record = Self {
            ownership,
            token: RunToken { guest: GuestId(fields.array()?), epoch },
            attempt: Attempt(fields.array()?),
            digest: StateDigest(fields.array()?),
            peer: PeerId(fields.array()?),
            peer_address: fields.text(PEER_MAX_LEN)?,
        };
        fields.end()?;
        Ok(record)
    }
}
