//! The messages of a handoff. `docs/migration.md` has them byte by byte.

use crate::frame::{Head, OPTIONAL, UNKNOWN_MAX_LEN};
use crate::token::{Attempt, Epoch, GuestId, PeerId, RunToken, StateDigest};
use crate::wire::{Fields, Malformed, put_bytes, sendable};
use std::time::Duration;
use thiserror::Error;

/// What a connection begins with, so that nothing else is taken for one.
pub const MAGIC: [u8; 8] = *b"ABIDEHO\n";

/// The versions of the protocol that this one speaks, lowest and highest.
pub const VERSIONS: (u16, u16) = (1, 1);

/// The longest text of a refusal, in bytes.
pub const TEXT_MAX_LEN: usize = 16 * 1024;
/// The longest document in an offer (contract, profile, machine), in bytes.
pub const DOCUMENT_MAX_LEN: usize = 1 << 20;
/// The longest state of a guest, without its RAM, in bytes.
pub const STATE_MAX_LEN: usize = 64 << 20;
/// The longest ticket for further connections, in bytes.
pub const TICKET_MAX_LEN: usize = 1024;
/// The longest name of a guest, in bytes.
pub const NAME_MAX_LEN: usize = 64;
/// The most connections that memory may travel on.
pub const CONNECTIONS_MAX: u16 = 64;

/// A message, by what it says. Numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Kind {
    /// Source: who I am, which versions I speak, and which attempt this is about.
    Hello = 1,
    /// Destination: the version chosen, and where that attempt stands here.
    Welcome = 2,
    /// Source: what the guest is promised and needs.
    Offer = 3,
    /// Destination: it fits; send.
    Accept = 4,
    /// Either: no, and why.
    Refuse = 5,
    /// Source: a round of memory begins.
    Round = 6,
    /// Destination: the round has arrived.
    RoundDone = 7,
    /// Source: the registers of the resting guest.
    State = 8,
    /// Destination: it could run now; the digest of what I read back.
    Prepared = 9,
    /// Source: it is yours, by a record on my disk.
    Commit = 10,
    /// Destination: it is mine, by a record on my disk.
    Acknowledged = 11,
    /// Source: I keep it; discard what you have.
    Withdraw = 12,
    /// Destination: I have discarded it, and can never run it.
    Discarded = 13,
    /// Source: nothing more will be asked about this attempt.
    Farewell = 14,
    /// Source, on a further connection: it belongs to this attempt, by the ticket.
    Join = 15,
    /// Destination: it does.
    Joined = 16,
    /// Either: a line for the operator. Optional: who does not know it skips it.
    Note = OPTIONAL | 1,
}

/// All kinds with the longest payload, in bytes, and how long its receiver waits for the whole
/// message once it is due.
pub const LIMITS: [(Kind, usize, Duration); 17] = [
    (Kind::Hello, 256, Duration::from_secs(10)),
    (Kind::Welcome, 256, Duration::from_secs(10)),
    (Kind::Offer, 3 * DOCUMENT_MAX_LEN + 4096, Duration::from_secs(30)),
    (Kind::Accept, TICKET_MAX_LEN + 64, Duration::from_secs(60)),
    (Kind::Refuse, TEXT_MAX_LEN + 64, Duration::from_secs(10)),
    (Kind::Round, 64, Duration::from_secs(60)),
    (Kind::RoundDone, 64, Duration::from_secs(600)),
    (Kind::State, STATE_MAX_LEN + 64, Duration::from_secs(60)),
    (Kind::Prepared, 64, Duration::from_secs(60)),
    (Kind::Commit, 64, Duration::from_secs(30)),
    (Kind::Acknowledged, 64, Duration::from_secs(30)),
    (Kind::Withdraw, TEXT_MAX_LEN + 64, Duration::from_secs(10)),
    (Kind::Discarded, TEXT_MAX_LEN + 64, Duration::from_secs(30)),
    (Kind::Farewell, 64, Duration::from_secs(10)),
    (Kind::Join, TICKET_MAX_LEN + 64, Duration::from_secs(5)),
    (Kind::Joined, 64, Duration::from_secs(60)),
    (Kind::Note, UNKNOWN_MAX_LEN as usize, Duration::from_secs(10)),
];

impl Kind {
    /// The kind with this number on the wire.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        LIMITS.iter().map(|(kind, ..)| *kind).find(|kind| *kind as u16 == number)
    }

    fn row(self) -> (usize, Duration) {
        let row = LIMITS.iter().find(|(kind, ..)| *kind == self);
        row.map(|&(_, len, wait)| (len, wait)).expect("every kind has a row")
    }

    /// The longest payload, in bytes.
    #[must_use]
    pub fn max_len(self) -> usize {
        self.row().0
    }

    /// How long its receiver waits for it once it is due.
    #[must_use]
    pub fn time_limit(self) -> Duration {
        self.row().1
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new attempt.
    Begin,
    /// To settle an attempt that was cut off.
    Resume,
}

/// Where an attempt stands at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// A new attempt may begin.
    New,
    /// The guest is prepared and waits for the commit.
    Prepared,
    /// The guest was taken over, and is or was run here.
    Taken,
    /// What was received is discarded, and can never run.
    Discarded,
    /// Nothing here speaks of this attempt. It may be the wrong destination.
    Unknown,
}

/// First message of a connection. Its layout is the same in every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The lowest and the highest version that the source speaks.
    pub versions: (u16, u16),
    /// What the connection is for.
    pub purpose: Purpose,
    /// The right to run that the source has, or had until it gave it away.
    pub token: RunToken,
    /// Which attempt.
    pub attempt: Attempt,
    /// The source's own identity, and that of the destination as the source's transport proved it.
    /// The destination compares both with its own view: a third party between them would show.
    pub identities: (PeerId, PeerId),
}

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that both speak from here on.
    pub version: u16,
    /// Where the attempt stands.
    pub standing: Standing,
    /// Which attempt.
    pub attempt: Attempt,
    /// The destination's own identity, and that of the source as its transport proved it.
    pub identities: (PeerId, PeerId),
}

/// How guest RAM gets to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryWay {
    /// By descriptor, on the same host: nothing is copied.
    Descriptor,
    /// As pages, on this connection or on others.
    Stream,
}

/// How the content of pages is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u16)]
pub enum Compression {
    /// Not at all.
    #[default]
    None = 0,
    /// As LZ4 blocks, where that makes it shorter.
    Lz4 = 1,
}

/// What the guest is promised and needs, told before any of its memory moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The guest's name on the source.
    pub name: String,
    /// How memory would travel.
    pub memory: MemoryWay,
    /// On how many connections beside this one.
    pub connections: u16,
    /// How its pages would be packed.
    pub compression: Compression,
    /// How many vCPUs it has.
    pub vcpus: u32,
    /// The size of guest RAM, in bytes.
    pub ram_size: u64,
    /// The frequency of its counter, in Hz.
    pub counter_frequency_hz: u64,
    /// The contract it was promised, as text; empty if none.
    pub contract: String,
    /// The profile of the source's host, as text; empty if not measured.
    pub profile: String,
    /// The machine: its registers without values that change, as bytes that the machine defines.
    pub machine: Vec<u8>,
}

/// The destination's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// On how many further connections it takes memory, at most as many as were offered.
    pub connections: u16,
    /// How pages are packed: as was offered, or not at all.
    pub compression: Compression,
    /// What a further connection shows to be taken: nobody else can guess it.
    pub ticket: Vec<u8>,
}

/// A further connection asks to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Which attempt it belongs to.
    pub attempt: Attempt,
    /// Which one it is, from 1. None comes twice.
    pub number: u16,
    /// That of the accept.
    pub ticket: Vec<u8>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused, for programs.
    pub reason: Reason,
    /// Why and what to do, for people.
    pub text: String,
}

/// Why somebody refuses, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Reason {
    /// No common version.
    Version = 1,
    /// Another guest, or another attempt, is in hand.
    Busy = 2,
    /// The guest has gone on since: its token is of an epoch that is over.
    Stale = 3,
    /// The guest does not fit here.
    Unfit = 4,
    /// The peer is not who it says.
    Identity = 5,
    /// The host failed: disk, memory, engine.
    Host = 6,
    /// The peer broke the protocol.
    Protocol = 7,
    /// Somebody asked for it.
    Cancelled = 8,
    /// Nothing here knows of the attempt.
    Unknown = 9,
}

const REASONS: [Reason; 9] = [
    Reason::Version,
    Reason::Busy,
    Reason::Stale,
    Reason::Unfit,
    Reason::Identity,
    Reason::Host,
    Reason::Protocol,
    Reason::Cancelled,
    Reason::Unknown,
];

/// One round of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// From 0.
    pub number: u32,
    /// The guest rests, and its state follows.
    pub is_last: bool,
    /// How many pages are sent in it.
    pub pages: u64,
    /// A digest of which pages with which content; what is hashed is the transport's business.
    pub digest: [u8; 32],
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Kind` says what each is, and the fields are of types that do")]
pub enum Message {
    Hello(Hello),
    Welcome(Welcome),
    Offer(Offer),
    Accept(Accept),
    Refuse(Refusal),
    Round(Round),
    RoundDone { number: u32 },
    State(Vec<u8>),
    Prepared { attempt: Attempt, digest: StateDigest },
    Commit { attempt: Attempt, epoch: Epoch },
    Acknowledged { attempt: Attempt },
    Withdraw { attempt: Attempt, text: String },
    Discarded { attempt: Attempt, text: String },
    Farewell { attempt: Attempt },
    Join(Join),
    Joined { number: u16 },
    Note(String),
}

/// Why a frame holds no message that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The head is none.
    #[error("the peer sent no frame: {0}; is it abide, and this port?")]
    Head(Malformed),
    /// A mandatory message of a newer version.
    #[error(
        "the peer sent a message of type {found:#06x}, which this version does not know and may \
         not skip; use versions that both sides speak"
    )]
    Unknown {
        /// The type.
        found: u16,
    },
    /// Longer than allowed.
    #[error("{kind:?} of {found} bytes, allowed are {allowed}: the connection is dropped")]
    Oversize {
        /// Which message.
        kind: Kind,
        /// Its length in bytes.
        found: u32,
        /// The most, in bytes.
        allowed: usize,
    },
    /// A frame was lost or repeated.
    #[error("frame {found} came where frame {expected} was due: the connection is dropped")]
    Number {
        /// The number of the frame that came.
        found: u32,
        /// The number that was due.
        expected: u32,
    },
    /// Damaged on the way.
    #[error("{kind:?}: the payload's CRC is wrong: the connection is dropped")]
    Damaged {
        /// Which message.
        kind: Kind,
    },
    /// A payload that is none.
    #[error("{kind:?}: {what}: the connection is dropped")]
    Malformed {
        /// Which message.
        kind: Kind,
        /// What is wrong.
        what: Malformed,
    },
}

/// What is to be done with a frame, by its head alone: before its payload is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Read the payload and decode it.
    Known(Kind),
    /// Read the payload and forget it.
    Skip,
}

/// Judges a head before anything is read or allocated for its payload.
///
/// # Errors
/// [`MessageError`] if the connection is to be dropped.
pub fn judge(head: &Head, expected_number: u32) -> Result<Incoming, MessageError> {
    if head.number != expected_number {
        let (found, expected) = (head.number, expected_number);
        return Err(MessageError::Number { found, expected });
    }
    match Kind::from_number(head.kind) {
        Some(kind) if head.len as usize > kind.max_len() => {
            let (found, allowed) = (head.len, kind.max_len());
            Err(MessageError::Oversize { kind, found, allowed })
        }
        Some(kind) => Ok(Incoming::Known(kind)),
        None if head.kind & OPTIONAL != 0 && head.len <= UNKNOWN_MAX_LEN => Ok(Incoming::Skip),
        None => Err(MessageError::Unknown { found: head.kind }),
    }
}

impl Message {
    /// Which message it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Welcome(_) => Kind::Welcome,
            Self::Offer(_) => Kind::Offer,
            Self::Accept(_) => Kind::Accept,
            Self::Refuse(_) => Kind::Refuse,
            Self::Round(_) => Kind::Round,
            Self::RoundDone { .. } => Kind::RoundDone,
            Self::State(_) => Kind::State,
            Self::Prepared { .. } => Kind::Prepared,
            Self::Commit { .. } => Kind::Commit,
            Self::Acknowledged { .. } => Kind::Acknowledged,
            Self::Withdraw { .. } => Kind::Withdraw,
            Self::Discarded { .. } => Kind::Discarded,
            Self::Farewell { .. } => Kind::Farewell,
            Self::Join(_) => Kind::Join,
            Self::Joined { .. } => Kind::Joined,
            Self::Note(_) => Kind::Note,
        }
    }

    /// The whole frame, with this number.
    ///
    /// # Panics
    /// If a field is longer than the protocol allows: who makes a message bounds it.
    #[must_use]
    pub fn seal(&self, number: u32) -> Vec<u8> {
        let payload = self.payload();
        let (kind, allowed) = (self.kind(), self.kind().max_len());
        assert!(payload.len() <= allowed, "{kind:?} of {} bytes, allowed {allowed}", payload.len());
        let mut out = Head::of(kind as u16, number, &payload).encode().to_vec();
        out.extend_from_slice(&payload);
        out
    }

    fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Hello(hello) => hello.put(&mut out),
            Self::Welcome(welcome) => welcome.put(&mut out),
            Self::Offer(offer) => offer.put(&mut out),
            Self::Accept(Accept { connections, compression, ticket }) => {
                out.extend_from_slice(&connections.to_le_bytes());
                out.extend_from_slice(&(*compression as u16).to_le_bytes());
                put_bytes(&mut out, ticket);
            }
            Self::Refuse(Refusal { reason, text }) => {
                out.extend_from_slice(&(*reason as u16).to_le_bytes());
                put_bytes(&mut out, sendable(text, TEXT_MAX_LEN).as_bytes());
            }
            Self::Round(Round { number, is_last, pages, digest }) => {
                out.extend_from_slice(&number.to_le_bytes());
                out.extend_from_slice(&u32::from(*is_last).to_le_bytes());
                out.extend_from_slice(&pages.to_le_bytes());
                out.extend_from_slice(digest);
            }
            Self::RoundDone { number } => out.extend_from_slice(&number.to_le_bytes()),
            Self::State(bytes) => put_bytes(&mut out, bytes),
            Self::Prepared { attempt, digest } => {
                out.extend_from_slice(&attempt.0);
                out.extend_from_slice(&digest.0);
            }
            Self::Commit { attempt, epoch } => {
                out.extend_from_slice(&attempt.0);
                out.extend_from_slice(&epoch.0.to_le_bytes());
            }
            Self::Withdraw { attempt, text } | Self::Discarded { attempt, text } => {
                out.extend_from_slice(&attempt.0);
                put_bytes(&mut out, sendable(text, TEXT_MAX_LEN).as_bytes());
            }
            Self::Acknowledged { attempt } | Self::Farewell { attempt } => {
                out.extend_from_slice(&attempt.0);
            }
            Self::Join(Join { attempt, number, ticket }) => {
                out.extend_from_slice(&attempt.0);
                out.extend_from_slice(&number.to_le_bytes());
                put_bytes(&mut out, ticket);
            }
            Self::Joined { number } => out.extend_from_slice(&number.to_le_bytes()),
            Self::Note(text) => {
                put_bytes(&mut out, sendable(text, TEXT_MAX_LEN).as_bytes());
            }
        }
        out
    }

    /// Reads the payload of a frame with this head, which was judged before.
    ///
    /// # Errors
    /// [`MessageError`] if the connection is to be dropped.
    pub fn open(kind: Kind, head: &Head, payload: &[u8]) -> Result<Self, MessageError> {
        if !head.covers(payload) {
            return Err(MessageError::Damaged { kind });
        }
        Self::decode(kind, payload).map_err(|what| MessageError::Malformed { kind, what })
    }

    fn decode(kind: Kind, payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(payload);
        let f = &mut fields;
        let message = match kind {
            Kind::Hello => Self::Hello(Hello::take(f)?),
            Kind::Welcome => Self::Welcome(Welcome::take(f)?),
            Kind::Offer => Self::Offer(Offer::take(f)?),
            Kind::Accept => Self::Accept(Accept {
                connections: connections(f)?,
                compression: compression(f)?,
                ticket: f.bytes(TICKET_MAX_LEN)?.to_vec(),
            }),
            Kind::Refuse => {
                let number = f.u16()?;
                let reason = REASONS.into_iter().find(|reason| *reason as u16 == number);
                // A reason of a newer version is a refusal all the same; its text says more.
                let reason = reason.unwrap_or(Reason::Protocol);
                Self::Refuse(Refusal { reason, text: f.text(TEXT_MAX_LEN)? })
            }
            Kind::Round => Self::Round(Round {
                number: f.u32()?,
                is_last: flag(f.u32()?)?,
                pages: f.u64()?,
                digest: f.array()?,
            }),
            Kind::RoundDone => Self::RoundDone { number: f.u32()? },
            Kind::State => Self::State(f.bytes(STATE_MAX_LEN)?.to_vec()),
            Kind::Prepared => {
                Self::Prepared { attempt: Attempt(f.array()?), digest: StateDigest(f.array()?) }
            }
            Kind::Commit => Self::Commit { attempt: Attempt(f.array()?), epoch: epoch(f)? },
            Kind::Acknowledged => Self::Acknowledged { attempt: Attempt(f.array()?) },
            Kind::Withdraw => {
                Self::Withdraw { attempt: Attempt(f.array()?), text: f.text(TEXT_MAX_LEN)? }
            }
            Kind::Discarded => {
                Self::Discarded { attempt: Attempt(f.array()?), text: f.text(TEXT_MAX_LEN)? }
            }
            Kind::Farewell => Self::Farewell { attempt: Attempt(f.array()?) },
            Kind::Join => Self::Join(Join {
                attempt: Attempt(f.array()?),
                number: connections(f)?,
                ticket: f.bytes(TICKET_MAX_LEN)?.to_vec(),
            }),
            Kind::Joined => Self::Joined { number: connections(f)? },
            Kind::Note => Self::Note(f.text(TEXT_MAX_LEN)?),
        };
        fields.end()?;
        Ok(message)
    }
}

fn flag(number: u32) -> Result<bool, Malformed> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("neither yes nor no")),
    }
}

fn epoch(fields: &mut Fields<'_>) -> Result<Epoch, Malformed> {
    let epoch = Epoch(fields.u64()?);
    if epoch.is_possible() { Ok(epoch) } else { Err(Malformed("an impossible epoch")) }
}

fn connections(fields: &mut Fields<'_>) -> Result<u16, Malformed> {
    let count = fields.u16()?;
    if count <= CONNECTIONS_MAX { Ok(count) } else { Err(Malformed("too many connections")) }
}

fn compression(fields: &mut Fields<'_>) -> Result<Compression, Malformed> {
    match fields.u16()? {
        0 => Ok(Compression::None),
        1 => Ok(Compression::Lz4),
        _ => Err(Malformed("a compression that this version does not know")),
    }
}

impl Hello {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { versions, purpose, token, attempt, identities } = self;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&versions.0.to_le_bytes());
        out.extend_from_slice(&versions.1.to_le_bytes());
        let purpose: u32 = match purpose {
            Purpose::Begin => 1,
            Purpose::Resume => 2,
        };
        out.extend_from_slice(&purpose.to_le_bytes());
        out.extend_from_slice(&token.guest.0);
        out.extend_from_slice(&token.epoch.0.to_le_bytes());
        out.extend_from_slice(&attempt.0);
        out.extend_from_slice(&identities.0.0);
        out.extend_from_slice(&identities.1.0);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        if fields.array()? != MAGIC {
            return Err(Malformed("no hello of abide"));
        }
        Ok(Self {
            versions: (fields.u16()?, fields.u16()?),
            purpose: match fields.u32()? {
                1 => Purpose::Begin,
                2 => Purpose::Resume,
                _ => return Err(Malformed("a purpose that this version does not know")),
            },
            token: RunToken { guest: GuestId(fields.array()?), epoch: epoch(fields)? },
            attempt: Attempt(fields.array()?),
            identities: (PeerId(fields.array()?), PeerId(fields.array()?)),
        })
    }

    /// The highest version that both speak.
    #[must_use]
    pub fn common_version(&self) -> Option<u16> {
        let (low, high) = (self.versions.0.max(VERSIONS.0), self.versions.1.min(VERSIONS.1));
        (low <= high).then_some(high)
    }
}

const STANDINGS: [Standing; 5] =
    [Standing::New, Standing::Prepared, Standing::Taken, Standing::Discarded, Standing::Unknown];

impl Welcome {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { version, standing, attempt, identities } = self;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&version.to_le_bytes());
        out.extend_from_slice(&(*standing as u16).to_le_bytes());
        out.extend_from_slice(&attempt.0);
        out.extend_from_slice(&identities.0.0);
        out.extend_from_slice(&identities.1.0);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        if fields.array()? != MAGIC {
            return Err(Malformed("no welcome of abide"));
        }
        let (version, standing) = (fields.u16()?, usize::from(fields.u16()?));
        let standing = *STANDINGS.get(standing).ok_or(Malformed("an unknown standing"))?;
        let attempt = Attempt(fields.array()?);
        let identities = (PeerId(fields.array()?), PeerId(fields.array()?));
        Ok(Self { version, standing, attempt, identities })
    }
}

impl Offer {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { name, memory, connections, compression, vcpus, .. } = self;
        let Self { ram_size, counter_frequency_hz, contract, profile, machine, .. } = self;
        let memory: u16 = match memory {
            MemoryWay::Descriptor => 1,
            MemoryWay::Stream => 2,
        };
        out.extend_from_slice(&memory.to_le_bytes());
        out.extend_from_slice(&connections.to_le_bytes());
        out.extend_from_slice(&(*compression as u16).to_le_bytes());
        out.extend_from_slice(&vcpus.to_le_bytes());
        out.extend_from_slice(&ram_size.to_le_bytes());
        out.extend_from_slice(&counter_frequency_hz.to_le_bytes());
        for field in [name.as_bytes(), contract.as_bytes(), profile.as_bytes(), machine] {
            put_bytes(out, field);
        }
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let memory = match fields.u16()? {
            1 => MemoryWay::Descriptor,
            2 => MemoryWay::Stream,
            _ => return Err(Malformed("a way of memory that this version does not know")),
        };
        Ok(Self {
            memory,
            connections: connections(fields)?,
            compression: compression(fields)?,
            vcpus: fields.u32()?,
            ram_size: fields.u64()?,
            counter_frequency_hz: fields.u64()?,
            name: fields.text(NAME_MAX_LEN)?,
            contract: fields.text(DOCUMENT_MAX_LEN)?,
            profile: fields.text(DOCUMENT_MAX_LEN)?,
            machine: fields.bytes(DOCUMENT_MAX_LEN)?.to_vec(),
        })
    }
}
