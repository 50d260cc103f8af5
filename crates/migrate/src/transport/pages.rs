//! Guest RAM as pages, round by round, over one connection or several.
//!
//! On each connection a round is a stream of chunks, and a last head that ends it:
//!
//! | offset | size | field |
//! |---:|---:|---|
//! | 0 | 4 | pages: 1 to 64; 0 ends the round on this connection |
//! | 4 | 2 | encoding of the content: 0 = plain, 1 = one LZ4 block |
//! | 6 | 2 | zero |
//! | 8 | 4 | length of the content as it is sent, in bytes; at the end, the round's number |
//! | 12 | 4 | CRC32C of bytes 0 to 11, of the entries, and of the content as it is sent; over TLS, which finds damage itself, zero |
//! | 16 | 8 each | entries: numbers of pages, ascending in a round; bit 63: all zero |
//! | | | the content of the pages that are not zero, in this order |
//!
//! Which pages a round has, the message before it says by their count and a digest
//! ([`Round`](crate::message::Round)): on which connection each of them comes, is the sender's
//! business. So a page that is missing, doubled, out of place or damaged is found before the round
//! counts. A round is over when it has ended on every connection: rounds are barriers. Everything
//! is little-endian.

mod chunk;
mod receive;
mod send;

pub use receive::receive;
pub use send::Outgoing;

use crate::driver::Link;
use abide_memory::{GuestRam, MemoryError, PAGE_SIZE, RamOffset};
use abide_reg::Gpa;
use chunk::Seal;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

const PAGE_LEN: usize = 4096;
const _: () = assert!(PAGE_LEN as u64 == PAGE_SIZE);

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// For any byte.
    wait: Duration,
    /// For a whole chunk: who drips is late too.
    chunk: Duration,
}

const PACE: Pace = Pace { wait: Duration::from_secs(10), chunk: Duration::from_secs(30) };

/// Why a round did not go over.
#[derive(Debug, Error)]
pub enum PagesError {
    /// A connection.
    #[error("connection {number} of memory: {source}")]
    Link {
        /// Which one: 0 is that of the messages.
        number: usize,
        /// What the host says.
        source: io::Error,
    },
    /// Guest RAM.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Guest RAM, by the host.
    #[error("guest memory: {0}")]
    Ram(#[source] io::Error),
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
    /// Something that is no chunk.
    #[error("{found} came where a chunk of pages was due: {what}")]
    Chunk {
        /// Which field.
        what: &'static str,
        /// What stood there.
        found: u64,
    },
    /// A chunk that is not what was sent.
    #[error("pages were damaged on the way (CRC32C)")]
    Damaged,
    /// More pages than RAM has.
    #[error("a round of {found} pages; RAM has {allowed}")]
    Count {
        /// Pages announced.
        found: u64,
        /// Pages there are.
        allowed: u64,
    },
    /// Other pages than were announced.
    #[error("round {number}: the pages that came are not those that were announced")]
    Announced {
        /// The round.
        number: u32,
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

/// Which pages they are, ascending: the digest of a round.
fn digest_of(pages: impl Iterator<Item = u64>) -> [u8; 32] {
    const GATHERED_LEN: usize = 64 << 10;
    let (mut hasher, mut gathered) = (blake3::Hasher::new(), Vec::with_capacity(GATHERED_LEN));
    for page in pages {
        gathered.extend_from_slice(&page.to_le_bytes());
        if gathered.len() >= GATHERED_LEN {
            hasher.update(&gathered);
            gathered.clear();
        }
    }
    hasher.update(&gathered).finalize().into()
}

fn place_of(ram: &GuestRam, page: u64) -> Gpa {
    Gpa(ram.base().0 + page * PAGE_SIZE)
}

/// Does `work` on every connection at the same time; `work` also learns whether another one failed.
/// What each came to, unless one failed.
fn on_all<T: Send>(
    links: &mut [&mut dyn Link],
    work: impl Fn(&mut Lane<'_>) -> Result<T, PagesError> + Sync,
) -> Result<Vec<T>, PagesError> {
    let is_over = AtomicBool::new(false);
    let run = |number: usize, link: &mut dyn Link| {
        let mut lane = Lane { link, number, is_over: &is_over };
        let done = lane.begin().and_then(|()| work(&mut lane));
        if done.is_err() {
            is_over.store(true, Ordering::Relaxed);
        }
        done
    };
    let Some((first, further)) = links.split_first_mut() else { return Ok(Vec::new()) };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..)
            .zip(further)
            .map(|(number, link)| {
                let run = &run;
                scope.spawn(move || run(number, &mut **link))
            })
            .collect();
        let mut all = vec![run(0, &mut **first)];
        for thread in threads {
            all.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        // Who only stopped because of another one has no error of its own.
        all.into_iter().collect()
    })
}

/// One connection in a round.
struct Lane<'a> {
    link: &'a mut dyn Link,
    number: usize,
    is_over: &'a AtomicBool,
}

impl Lane<'_> {
    fn begin(&mut self) -> Result<(), PagesError> {
        self.link.set_wait(PACE.wait).map_err(|source| self.error(source))
    }

    fn seal(&self) -> Seal {
        if self.link.is_sealed() { Seal::Transport } else { Seal::Crc32c }
    }

    /// Whether another connection has failed.
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn error(&self, source: io::Error) -> PagesError {
        PagesError::Link { number: self.number, source }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PagesError> {
        let done = whole(bytes.len(), PACE, |at| self.link.write(&bytes[at..]));
        done.and_then(|()| self.link.flush().map_err(slow)).map_err(|source| self.error(source))
    }

    fn read(&mut self, room: &mut [u8]) -> Result<(), PagesError> {
        let done = whole(room.len(), PACE, |at| self.link.read(&mut room[at..]));
        done.map_err(|source| self.error(source))
    }
}

/// Reads or writes until all of `len` bytes are done, or that takes too long.
fn whole(
    len: usize,
    pace: Pace,
    mut part: impl FnMut(usize) -> io::Result<usize>,
) -> io::Result<()> {
    let (mut at, give_up) = (0, Instant::now() + pace.chunk);
    while at < len {
        match part(at) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(done) => at += done,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(slow(error)),
        }
        if at < len && Instant::now() >= give_up {
            let text = format!("the peer drips: {} s for {at} bytes", pace.chunk.as_secs());
            return Err(io::Error::new(ErrorKind::TimedOut, text));
        }
    }
    Ok(())
}

fn slow(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let text = format!("the peer did not move for {} s", PACE.wait.as_secs());
            io::Error::new(ErrorKind::TimedOut, text)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests;
