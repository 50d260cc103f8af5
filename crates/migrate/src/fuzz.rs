//! The bodies that fuzzing and ordinary tests share: each end against a peer that says anything.
//!
//! The input is a script: a byte that says which message, and one that varies it; so a fuzzer comes
//! past the checksums and deep into the protocol. Some bytes stand for garbage.

use crate::driver::{
    DestinationEnd, DestinationGuest, DestinationHandoff, Dial, GuestError, Keep, Link, Listen,
    Patience, SourceEnd, SourceGuest, SourceHandoff,
};
use crate::frame::{HEAD_LEN, Head};
use crate::journal::{self, JournalError};
use crate::message::{
    Accept, Compression, Hello, Incoming, Join, MemoryWay, Message, Offer, Purpose, Reason,
    Refusal, Round, Standing, VERSIONS, Welcome, judge,
};
use crate::ownership::{Ownership, Record};
use crate::token::{Attempt, Epoch, GuestId, PeerId, RunToken, StateDigest};
use crate::transport::pages::{self, Outgoing};
use abide_memory::{GuestRam, PAGE_SIZE};
use abide_reg::Gpa;
use std::io::{self, Read, Write};
use std::time::Duration;

const TOKEN: RunToken = RunToken { guest: GuestId([1; 16]), epoch: Epoch(5) };
const ATTEMPT: Attempt = Attempt([2; 16]);
const DIGEST: StateDigest = StateDigest([3; 32]);
const TICKET: [u8; 1] = [7];
/// Nothing is waited for: the peer has said all it will say.
const PATIENCE: Patience = Patience {
    message_max: Duration::from_secs(10),
    settle: Duration::ZERO,
    retry: Duration::ZERO,
};

/// What the peer does next.
enum Line {
    Say(Box<Message>),
    Garbage(u8),
    HangUp,
}

/// One line of the script.
fn line(verb: u8, how: u8) -> Line {
    let attempt = if how & 0x80 == 0 { ATTEMPT } else { Attempt([how; 16]) };
    let low = how & 7;
    let text = || "\u{e9}".repeat(usize::from(low));
    let identities = (PeerId([how >> 7; 32]), PeerId::default());
    let compression = if how & 0x40 == 0 { Compression::None } else { Compression::Lz4 };
    let message = match verb % 20 {
        0 => Message::Hello(Hello {
            versions: if low == 7 { (9, 9) } else { VERSIONS },
            purpose: if low & 1 == 0 { Purpose::Begin } else { Purpose::Resume },
            token: RunToken { epoch: Epoch(4 + u64::from(low / 2)), ..TOKEN },
            attempt,
            identities,
        }),
        1 => {
            let all = [Standing::New, Standing::Prepared, Standing::Taken];
            let more = [Standing::Discarded, Standing::Unknown];
            let standing = *all.iter().chain(&more).nth(usize::from(low % 5)).unwrap_or(&all[0]);
            Message::Welcome(Welcome { version: 1, standing, attempt, identities })
        }
        2 => Message::Offer(Offer { compression, ..offer(u16::from(low)) }),
        3 => {
            let connections = u16::from(low / 4);
            Message::Accept(Accept { connections, compression, ticket: vec![how] })
        }
        4 => Message::Refuse(Refusal { reason: Reason::Unfit, text: text() }),
        5 => Message::Round(Round {
            number: u32::from(low / 2),
            is_last: how & 1 == 1,
            pages: u64::from(how),
            digest: [how; 32],
        }),
        6 => Message::RoundDone { number: u32::from(low) },
        7 => Message::State(vec![how; usize::from(low)]),
        8 => {
            let digest = if low == 0 { DIGEST } else { StateDigest([low; 32]) };
            Message::Prepared { attempt, digest }
        }
        9 => Message::Commit { attempt, epoch: Epoch(6 + u64::from(low)) },
        10 => Message::Acknowledged { attempt },
        11 => Message::Withdraw { attempt, text: text() },
        12 => Message::Discarded { attempt, text: text() },
        13 => Message::Farewell { attempt },
        14 => Message::Note(text()),
        15 | 16 => return Line::Garbage(how),
        18 => {
            let ticket = if low & 1 == 0 { TICKET.to_vec() } else { vec![how] };
            Message::Join(Join { attempt, number: u16::from(low / 2), ticket })
        }
        19 => Message::Joined { number: u16::from(low) },
        _ => return Line::HangUp,
    };
    Line::Say(Box::new(message))
}

fn offer(connections: u16) -> Offer {
    Offer {
        name: "fuzz".into(),
        memory: MemoryWay::Stream,
        connections,
        compression: Compression::None,
        vcpus: 1,
        ram_size: 4096,
        counter_frequency_hz: 1,
        contract: String::new(),
        profile: String::new(),
        machine: Vec::new(),
    }
}

/// What is said on the connections one after another: each ends where the peer hangs up.
fn connections(script: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut number = 0;
    for pair in script.chunks_exact(2) {
        let said: &mut Vec<u8> = match all.last_mut() {
            Some(said) => said,
            None => return all,
        };
        match line(pair[0], pair[1]) {
            Line::Say(message) => {
                said.extend_from_slice(&message.seal(number));
                number += 1;
            }
            Line::Garbage(how) => {
                let head = Head::of(u16::from(how) << 8 | u16::from(how), number, &[how]);
                said.extend_from_slice(&head.encode());
                said.push(how ^ (how >> 7));
                number += 1;
            }
            Line::HangUp => {
                all.push(Vec::new());
                number = 0;
            }
        }
    }
    all.reverse();
    all
}

/// A connection whose peer talks and does not listen.
struct Talk(io::Cursor<Vec<u8>>);

impl Read for Talk {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Link for Talk {
    fn set_wait(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn identities(&self) -> (PeerId, PeerId) {
        Default::default()
    }

    fn address(&self) -> String {
        "fuzz".into()
    }
}

/// The connections that are left.
struct Talks(Vec<Vec<u8>>);

impl Dial for Talks {
    fn dial(&mut self, _: Duration) -> io::Result<Box<dyn Link>> {
        match self.0.pop() {
            Some(said) => Ok(Box::new(Talk(io::Cursor::new(said)))),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

impl Listen for Talks {
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        self.dial(wait).map(Some)
    }
}

#[derive(Default)]
struct Disk(Option<Record>);

impl Keep for Disk {
    fn record(&self) -> Option<&Record> {
        self.0.as_ref()
    }

    fn keep(&mut self, record: &Record) -> Result<(), JournalError> {
        self.0 = Some(record.clone());
        Ok(())
    }
}

/// A guest of either side, that knows whether it runs.
#[derive(Default)]
struct Guest {
    runs: bool,
    is_prepared: bool,
    round: u32,
    /// How many connections memory comes on.
    links: usize,
}

impl SourceGuest for Guest {
    fn offer(&mut self) -> Result<Offer, GuestError> {
        Ok(offer(1))
    }

    fn begin_copy(&mut self, accept: &Accept) -> Result<(), GuestError> {
        assert!(accept.connections <= 1, "more than were offered");
        assert_eq!(accept.compression, Compression::None, "it was not offered");
        self.links = 1 + usize::from(accept.connections);
        Ok(())
    }

    fn plan_round(&mut self, is_last: bool) -> Result<Round, GuestError> {
        assert_eq!(self.runs, !is_last);
        self.round += 1;
        Ok(Round { number: self.round - 1, is_last, pages: 0, digest: [0; 32] })
    }

    fn send_round(&mut self, _: &Round, links: &mut [&mut dyn Link]) -> Result<(), GuestError> {
        assert_eq!(links.len(), self.links);
        Ok(())
    }

    fn wants_another_round(&mut self) -> bool {
        self.round < 3
    }

    fn end_copy(&mut self) {}

    fn freeze(&mut self) -> Result<StateDigest, GuestError> {
        assert!(std::mem::take(&mut self.runs), "stopped twice");
        Ok(DIGEST)
    }

    fn state(&mut self) -> Result<Vec<u8>, GuestError> {
        Ok(vec![0; 8])
    }

    fn resume(&mut self, _: RunToken) -> Result<(), GuestError> {
        assert!(!std::mem::replace(&mut self.runs, true), "resumed twice");
        Ok(())
    }

    fn release(&mut self) {
        assert!(!self.runs);
    }

    fn end(&mut self) {
        assert!(!self.runs);
    }
}

impl DestinationGuest for Guest {
    fn check(&mut self, offer: &Offer) -> Result<Accept, GuestError> {
        if offer.connections == 6 {
            return Err("it does not fit".into());
        }
        self.links = 1 + usize::from(offer.connections);
        Ok(Accept { connections: 9, compression: Compression::Lz4, ticket: TICKET.to_vec() })
    }

    fn receive_round(
        &mut self,
        round: &Round,
        links: &mut [&mut dyn Link],
    ) -> Result<(), GuestError> {
        assert_eq!(links.len(), self.links, "not all connections have come");
        if round.pages == 77 { Err("a page is lost".into()) } else { Ok(()) }
    }

    fn prepare(&mut self, state: Vec<u8>) -> Result<StateDigest, GuestError> {
        assert!(!self.is_prepared && !self.runs);
        if state.len() == 5 {
            return Err("it cannot be made".into());
        }
        self.is_prepared = true;
        Ok(DIGEST)
    }

    fn run(&mut self, _: RunToken) -> Result<(), GuestError> {
        assert!(self.is_prepared && !std::mem::replace(&mut self.runs, true));
        Ok(())
    }

    fn discard(&mut self) {
        assert!(!self.runs, "a running guest is discarded");
        self.is_prepared = false;
    }
}

/// What a script came to, to see that scripts come far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FuzzEnd {
    /// The source has its guest, or the destination has nothing.
    AsBefore,
    /// It is open which side has the guest.
    Open,
    /// The destination has the guest.
    HandedOver,
}

/// A source whose destination says what `script` says. Whatever that is, nothing panics or hangs,
/// the guest never goes on after it was given away but when the destination says that it has
/// discarded it, and the journal tells the truth.
///
/// # Panics
/// If one of these promises is broken.
pub fn fuzz_source(script: &[u8]) -> FuzzEnd {
    let mut guest = Guest { runs: true, ..Guest::default() };
    let (mut talks, mut disk) = (Talks(connections(script)), Disk::default());
    let tokens = (TOKEN, ATTEMPT);
    let end = SourceHandoff::new(&mut guest, &mut talks, &mut disk, tokens, PATIENCE).run();
    let record = disk.0.expect("the first record comes before the first connection");
    match end {
        SourceEnd::Kept { token, .. } => {
            assert!(guest.runs && token == record.token);
            let is_kept = [Ownership::Running, Ownership::Outgoing].contains(&record.ownership);
            assert!(is_kept, "{:?}", record.ownership);
            FuzzEnd::AsBefore
        }
        SourceEnd::Unsettled { .. } => {
            assert!(!guest.runs && record.ownership == Ownership::GivenAway);
            FuzzEnd::Open
        }
        SourceEnd::GivenAway => {
            assert!(!guest.runs && record.ownership == Ownership::Settled);
            FuzzEnd::HandedOver
        }
        SourceEnd::Crashed => panic!("its process lives"),
    }
}

/// A destination whose source says what `script` says. Whatever that is, nothing panics or hangs,
/// the guest runs only when it was prepared and committed, and the journal tells the truth.
///
/// # Panics
/// If one of these promises is broken.
pub fn fuzz_destination(script: &[u8]) -> FuzzEnd {
    let mut guest = Guest::default();
    let (mut talks, mut disk) = (Talks(connections(script)), Disk::default());
    let mut handoff = DestinationHandoff::new(&mut guest, &mut talks, &mut disk, PATIENCE);
    while !matches!(handoff.run(), DestinationEnd::Deaf { .. }) {}
    drop(handoff);
    let ownership = disk.0.map(|record| record.ownership);
    assert_eq!(guest.runs, ownership == Some(Ownership::Running));
    assert_eq!(guest.is_prepared && !guest.runs, ownership == Some(Ownership::Prepared));
    match ownership {
        Some(Ownership::Running) => FuzzEnd::HandedOver,
        Some(Ownership::Prepared) => FuzzEnd::Open,
        _ => FuzzEnd::AsBefore,
    }
}

/// A round of memory, on one connection. Whatever comes, nothing panics, and no page changes but
/// those that stand in a chunk whose checksum holds.
///
/// The first byte is how many pages were announced, and bit 7 whether packed ones are taken; the
/// rest is the stream, in which checksums are put right as far as there are chunks.
///
/// # Panics
/// If one of these promises is broken.
pub fn fuzz_pages(data: &[u8]) -> FuzzEnd {
    const PAGES: u64 = 16;
    let Some((&how, stream)) = data.split_first() else { return FuzzEnd::AsBefore };
    let ram = GuestRam::new(Gpa(0x4000_0000), PAGES * PAGE_SIZE).expect("64 KiB");
    let pages: Vec<u64> = (0..u64::from(how & 0x7f)).collect();
    let round = Outgoing::of(pages).announce(0, false);
    let compression = if how & 0x80 == 0 { Compression::None } else { Compression::Lz4 };
    let mut stream = stream.to_vec();
    let touched = seal_chunks(&mut stream);
    let mut talk = Talk(io::Cursor::new(stream));
    let received = pages::receive(&round, &ram, &mut [&mut talk], compression);
    let present = pages::present(&ram).expect("a memfd that says what it has");
    assert!(present.iter().all(|page| touched.contains(page)), "{present:?} of {touched:?}");
    if received.is_ok() { FuzzEnd::HandedOver } else { FuzzEnd::AsBefore }
}

/// Puts the checksums of chunks right; the pages in them.
fn seal_chunks(mut stream: &mut [u8]) -> Vec<u64> {
    let mut pages = Vec::new();
    while let Some((head, rest)) = std::mem::take(&mut stream).split_first_chunk_mut::<16>() {
        let field = |at: usize| {
            let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            u32::from_le_bytes(bytes) as usize
        };
        let (count, stored) = (field(0), field(8));
        let len = if count == 0 { 0 } else { count.saturating_mul(8).saturating_add(stored) };
        let Some((body, behind)) = rest.split_at_mut_checked(len) else { break };
        let entries = body.as_chunks::<8>().0.iter().take(count);
        pages.extend(entries.map(|entry| u64::from_le_bytes(*entry) & (u64::MAX >> 1)));
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..12]), body);
        head[12..].copy_from_slice(&crc.to_le_bytes());
        stream = behind;
    }
    pages
}

/// Bytes as a message, as a record and as the two slots of a journal, with checksums put right:
/// what is read is written again the same. Whether any of them was read.
///
/// # Panics
/// If it is not.
pub fn fuzz_bytes(data: &[u8]) -> bool {
    let are_read = [reads_message(data), reads_record(data), reads_journal(data)];
    are_read.contains(&true)
}

/// Its type, and its payload.
fn reads_message(data: &[u8]) -> bool {
    let Some((kind, payload)) = data.split_first_chunk() else { return false };
    let bytes = [&Head::of(u16::from_le_bytes(*kind), 0, payload).encode(), payload].concat();
    let Some((head, payload)) = bytes.split_first_chunk::<HEAD_LEN>() else { return false };
    if let Ok(head) = Head::decode(head)
        && let Ok(Incoming::Known(kind)) = judge(&head, 0)
        && let Ok(message) = Message::open(kind, &head, payload)
    {
        // A reason of a newer version is read as another one.
        let is_refusal = matches!(message, Message::Refuse(_));
        assert!(is_refusal || message.seal(0) == bytes, "{message:?}");
        return true;
    }
    false
}

fn reads_record(data: &[u8]) -> bool {
    let Ok(record) = Record::decode(data) else { return false };
    assert_eq!(record.encode(), data);
    true
}

/// The slots, each without its checksum.
fn reads_journal(data: &[u8]) -> bool {
    let mut bytes = vec![0; journal::FILE_LEN];
    for (at, data) in [0, journal::SLOT_B_AT].into_iter().zip(data.chunks(journal::CRC_AT)) {
        let slot = &mut bytes[at..][..journal::SLOT_LEN];
        slot[..data.len()].copy_from_slice(data);
        let crc = crc32c::crc32c(&slot[..journal::CRC_AT]);
        slot[journal::CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    }
    let read = journal::read_bytes(&bytes);
    if let Ok((sequence, record)) = &read {
        let at = journal::slot_of(*sequence);
        assert_eq!(bytes[at..][..journal::SLOT_LEN], journal::seal(*sequence, record));
    }
    read.is_ok()
}
