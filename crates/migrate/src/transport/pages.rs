//! Guest RAM as pages, round by round, on a connection.
//!
//! ```text
//! round     page ... page, trailer
//! page      0   8   number, ascending in a round
//!           8   4   0 = all zero, 1 = its content follows
//!          12   4   CRC32C of the number and the content
//!          16 4096  the content, if not zero
//! trailer   0  32   BLAKE3 of the first 16 bytes of every page in the round
//! ```
//!
//! How many pages there are the message before them says ([`Round`]), with a digest of which. So a
//! page that is missing, doubled, out of place or damaged is found before the round counts.
//! Everything is little-endian. A round is complete when the trailer is right: rounds are barriers.

use crate::driver::Link;
use crate::message::Round;
use abide_memory::{GuestRam, MemoryError, PAGE_SIZE, PageSet, RamOffset};
use abide_reg::Gpa;
use std::io::{self, ErrorKind};
use std::time::Duration;
use thiserror::Error;

const HEAD_LEN: usize = 16;
const PAGE_LEN: usize = 4096;
const _: () = assert!(PAGE_LEN as u64 == PAGE_SIZE);
const DIGEST_LEN: usize = 32;
const ZERO: u32 = 0;
const WHOLE: u32 = 1;
/// How much is written or read at once, in bytes.
const BUFFER_LEN: usize = 256 << 10;
/// How long a peer may take to take or give any byte.
const WAIT: Duration = Duration::from_secs(10);

/// Why a round did not go over.
#[derive(Debug, Error)]
pub enum PagesError {
    /// The connection.
    #[error("the connection that memory is on: {0}")]
    Link(#[from] io::Error),
    /// Guest RAM.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A number that is none of a page, or stands in no order.
    #[error("page {found} came after page {before:?}; below {count} and ascending is allowed")]
    Number {
        /// The number.
        found: u64,
        /// The one before.
        before: Option<u64>,
        /// How many pages RAM has.
        count: u64,
    },
    /// Something that is no page.
    #[error("page {number}: kind {found}; 0 and 1 are allowed")]
    Kind {
        /// The page.
        number: u64,
        /// What stood there.
        found: u32,
    },
    /// A page that is not what was sent.
    #[error("page {number} was damaged on the way (CRC32C)")]
    Damaged {
        /// The page.
        number: u64,
    },
    /// More pages than RAM has.
    #[error("a round of {found} pages; RAM has {allowed}")]
    Count {
        /// Pages announced.
        found: u64,
        /// Pages there are.
        allowed: u64,
    },
    /// Other pages than were announced.
    #[error("round {number}: the {what} is not that of the pages that came")]
    Digest {
        /// The round.
        number: u32,
        /// Which.
        what: &'static str,
    },
    /// Somebody wanted it.
    #[error("cancelled")]
    Cancelled,
}

/// The pages that the host has memory for: all others are zero.
///
/// # Errors
/// What the host says of them.
pub fn present(ram: &GuestRam) -> io::Result<Vec<u64>> {
    let mut pages = Vec::new();
    let mut at = RamOffset(0);
    while let Some((from, to)) = ram.next_present(at)? {
        pages.extend(from.0 / PAGE_SIZE..to.0.div_ceil(PAGE_SIZE));
        at = to;
    }
    Ok(pages)
}

/// A round that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    pages: Vec<u64>,
}

impl Outgoing {
    /// Of these pages, ascending.
    #[must_use]
    pub fn of(pages: Vec<u64>) -> Self {
        Self { pages }
    }

    /// Of a harvest.
    #[must_use]
    pub fn of_set(pages: &PageSet) -> Self {
        Self::of(pages.iter().collect())
    }

    /// What is announced.
    #[must_use]
    pub fn announce(&self, number: u32, is_last: bool) -> Round {
        let mut numbers = blake3::Hasher::new();
        for page in &self.pages {
            numbers.update(&page.to_le_bytes());
        }
        let digest = numbers.finalize().into();
        Round { number, is_last, pages: self.pages.len() as u64, digest }
    }

    /// Sends it; returns the bytes. The guest may write meanwhile: what it writes is logged, and
    /// comes again.
    ///
    /// # Errors
    /// [`PagesError`].
    pub fn send(
        &self,
        ram: &GuestRam,
        link: &mut dyn Link,
        mut is_cancelled: impl FnMut() -> bool,
    ) -> Result<u64, PagesError> {
        link.set_wait(WAIT)?;
        let (mut heads, mut sent) = (blake3::Hasher::new(), 0);
        let mut buffer = Vec::with_capacity(BUFFER_LEN + HEAD_LEN + PAGE_LEN);
        let mut content = [0; PAGE_LEN];
        for &number in &self.pages {
            ram.read(Gpa(ram.base().0 + number * PAGE_SIZE), &mut content)?;
            let head = head(number, &content);
            heads.update(&head);
            buffer.extend_from_slice(&head);
            if head[8] != 0 {
                buffer.extend_from_slice(&content);
            }
            if buffer.len() >= BUFFER_LEN {
                if is_cancelled() {
                    return Err(PagesError::Cancelled);
                }
                sent += buffer.len() as u64;
                write_all(link, &buffer)?;
                buffer.clear();
            }
        }
        buffer.extend_from_slice(heads.finalize().as_bytes());
        sent += buffer.len() as u64;
        write_all(link, &buffer)?;
        Ok(sent)
    }
}

/// Receives a round into `ram`, and checks that all of it is there.
///
/// # Errors
/// [`PagesError`]; what RAM holds then is not defined.
pub fn receive(round: &Round, ram: &GuestRam, link: &mut dyn Link) -> Result<(), PagesError> {
    let count = ram.size() / PAGE_SIZE;
    if round.pages > count {
        return Err(PagesError::Count { found: round.pages, allowed: count });
    }
    link.set_wait(WAIT)?;
    let (mut heads, mut numbers) = (blake3::Hasher::new(), blake3::Hasher::new());
    let mut reader = Reader::new(link, round.pages);
    let mut before = None;
    for _ in 0..round.pages {
        let head: [u8; HEAD_LEN] = reader.take()?;
        let [number, kind, crc] = fields(&head);
        if number >= count || before.is_some_and(|before| number <= before) {
            return Err(PagesError::Number { found: number, before, count });
        }
        before = Some(number);
        let content: [u8; PAGE_LEN] = match u32::try_from(kind) {
            Ok(ZERO) => [0; PAGE_LEN],
            Ok(WHOLE) => reader.take()?,
            _ => return Err(PagesError::Kind { number, found: head[8].into() }),
        };
        if u64::from(page_crc(number, &content)) != crc {
            return Err(PagesError::Damaged { number });
        }
        heads.update(&head);
        numbers.update(&number.to_le_bytes());
        ram.write(Gpa(ram.base().0 + number * PAGE_SIZE), &content)?;
    }
    let trailer: [u8; DIGEST_LEN] = reader.take()?;
    let number = round.number;
    if heads.finalize() != trailer {
        return Err(PagesError::Digest { number, what: "digest behind them" });
    }
    if numbers.finalize() != round.digest {
        return Err(PagesError::Digest { number, what: "announcement" });
    }
    Ok(())
}

fn page_crc(number: u64, content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), content)
}

fn head(number: u64, content: &[u8; PAGE_LEN]) -> [u8; HEAD_LEN] {
    let is_zero = content.iter().fold(0, |all, byte| all | byte) == 0;
    let kind = if is_zero { ZERO } else { WHOLE };
    let mut head = [0; HEAD_LEN];
    head[..8].copy_from_slice(&number.to_le_bytes());
    head[8..12].copy_from_slice(&kind.to_le_bytes());
    head[12..].copy_from_slice(&page_crc(number, content).to_le_bytes());
    head
}

/// Number, kind and CRC.
fn fields(head: &[u8; HEAD_LEN]) -> [u64; 3] {
    let at = |from: usize, len: usize| {
        let bytes = head[from..from + len].iter().rev();
        bytes.fold(0, |number, &byte| (number << 8) | u64::from(byte))
    };
    [at(0, 8), at(8, 4), at(12, 4)]
}

fn write_all(link: &mut dyn Link, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match link.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(slow(error)),
        }
    }
    link.flush()
}

fn slow(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let text = format!("the peer did not move for {} s", WAIT.as_secs());
            io::Error::new(ErrorKind::TimedOut, text)
        }
        _ => error,
    }
}

/// Reads ahead, and never past the round: what follows it is a message.
struct Reader<'a> {
    link: &'a mut dyn Link,
    buffer: Vec<u8>,
    at: usize,
    /// Pages of which no head was read yet.
    heads_left: u64,
    has_trailer: bool,
    /// Bytes that surely belong to the round and were not read.
    sure: usize,
}

impl<'a> Reader<'a> {
    fn new(link: &'a mut dyn Link, pages: u64) -> Self {
        let mut reader =
            Self { link, buffer: Vec::new(), at: 0, heads_left: pages, has_trailer: true, sure: 0 };
        reader.be_sure();
        reader
    }

    /// Counts what must still come whatever the pages are: heads, and the trailer.
    fn be_sure(&mut self) {
        let room = BUFFER_LEN / HEAD_LEN;
        let heads = usize::try_from(self.heads_left).unwrap_or(room).min(room);
        self.heads_left -= heads as u64;
        self.sure += heads * HEAD_LEN;
        if self.heads_left == 0 && std::mem::take(&mut self.has_trailer) {
            self.sure += DIGEST_LEN;
        }
    }

    /// The next `N` bytes.
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        if N == PAGE_LEN {
            // A head said that it follows.
            self.sure += PAGE_LEN;
        }
        while self.buffer.len() - self.at < N {
            self.fill()?;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer[self.at..self.at + N]);
        self.at += N;
        Ok(bytes)
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.sure == 0 {
            self.be_sure();
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let len = self.buffer.len();
        self.buffer.resize(len + self.sure.min(BUFFER_LEN), 0);
        let read = loop {
            match self.link.read(&mut self.buffer[len..]) {
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => break Ok(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(slow(error)),
            }
        };
        self.buffer.truncate(len + read.as_ref().copied().unwrap_or(0));
        self.sure -= *read.as_ref().unwrap_or(&0);
        read.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::unix::UnixLink;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    const BASE: Gpa = Gpa(0x4000_0000);
    const PAGES: u64 = 512;

    fn ram() -> GuestRam {
        GuestRam::new(BASE, PAGES * PAGE_SIZE).unwrap()
    }

    fn at(page: u64) -> Gpa {
        Gpa(BASE.0 + page * PAGE_SIZE)
    }

    fn pair() -> (UnixLink, UnixLink) {
        let (near, far) = UnixStream::pair().unwrap();
        let link = |stream| UnixLink::new(stream, Path::new("pair")).unwrap();
        (link(near), link(far))
    }

    fn bytes(ram: &GuestRam) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(ram.size()).unwrap()];
        ram.read(BASE, &mut bytes).unwrap();
        bytes
    }

    /// Sends a round and then a message, and receives both.
    fn over(from: &GuestRam, to: &GuestRam, pages: Vec<u64>) {
        let (mut near, mut far) = pair();
        let outgoing = Outgoing::of(pages);
        let round = outgoing.announce(3, false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                outgoing.send(from, &mut near, || false).unwrap();
                near.write_all(b"message").unwrap();
            });
            receive(&round, to, &mut far).unwrap();
            let mut next = [0; 7];
            far.read_exact(&mut next).unwrap();
            assert_eq!(&next, b"message", "nothing behind the round was taken");
        });
    }

    #[test]
    fn pages_arrive_zeros_too() {
        let (from, to) = (ram(), ram());
        for page in (0..PAGES).step_by(3) {
            from.write(at(page), &page.to_le_bytes()).unwrap();
        }
        over(&from, &to, present(&from).unwrap());
        assert!(bytes(&from) == bytes(&to));
        from.write(at(3), &[0; 8]).unwrap();
        from.write(at(511), &[9; 4096]).unwrap();
        over(&from, &to, vec![3, 511]);
        assert!(bytes(&from) == bytes(&to));
        over(&from, &to, Vec::new());
        over(&from, &to, (0..PAGES).collect());
        assert!(bytes(&from) == bytes(&to));
    }

    /// What the receiver says of a stream.
    fn verdict(round: &Round, stream: &[u8]) -> PagesError {
        let (mut near, mut far) = pair();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // It may be dropped in the middle.
                let _ = near.write_all(stream);
            });
            receive(round, &ram(), &mut far).unwrap_err()
        })
    }

    #[test]
    fn whatever_byte_is_changed_is_found() {
        let from = ram();
        from.write(at(1), b"one").unwrap();
        let outgoing = Outgoing::of(vec![0, 1]);
        let (mut near, mut far) = pair();
        let len = outgoing.send(&from, &mut near, || false).unwrap();
        let mut good = vec![0; usize::try_from(len).unwrap()];
        far.read_exact(&mut good).unwrap();
        assert_eq!(good.len(), 2 * HEAD_LEN + PAGE_LEN + DIGEST_LEN);
        let round = outgoing.announce(0, true);
        for at in (0..good.len()).filter(|at| !(40..4100).contains(at) || at % 97 == 0) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // Any error: most name the page, some the connection that ended.
            let _ = verdict(&round, &bad);
        }
        assert!(matches!(verdict(&round, &good[..100]), PagesError::Link(_)));
        let other = Outgoing::of(vec![1, 2]).announce(0, true);
        assert!(matches!(verdict(&other, &good), PagesError::Digest { .. }));
        let endless = Round { pages: PAGES + 1, ..round };
        assert!(matches!(verdict(&endless, &good), PagesError::Count { .. }));
    }

    #[test]
    fn places_outside_ram_and_doubled_pages_are_refused() {
        let from = ram();
        let stream = |pages: [u64; 2]| -> Vec<u8> {
            pages.iter().flat_map(|&page| head(page, &[0; PAGE_LEN])).collect()
        };
        let round = Outgoing::of(vec![7, 8]).announce(0, false);
        for pages in [[PAGES, 0], [u64::MAX, 0], [7, 7], [8, 7]] {
            let error = verdict(&round, &stream(pages));
            assert!(matches!(error, PagesError::Number { .. }), "{pages:?}: {error}");
        }
        drop(from);
    }

    #[test]
    fn a_cancel_is_seen_in_the_middle() {
        let from = ram();
        from.write(BASE, &vec![1; usize::try_from(PAGES * PAGE_SIZE).unwrap()]).unwrap();
        let (mut near, mut far) = pair();
        let outgoing = Outgoing::of(present(&from).unwrap());
        std::thread::scope(|scope| {
            scope.spawn(move || far.read_to_end(&mut Vec::new()));
            let mut asked = 0;
            let cancelled = outgoing.send(&from, &mut near, || {
                asked += 1;
                asked == 3
            });
            assert!(matches!(cancelled, Err(PagesError::Cancelled)));
            drop(near);
        });
    }
}
