//! A few pages as bytes.

use super::{PAGE_LEN, PagesError, place_of};
use crate::message::Compression;
use abide_memory::GuestRam;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

/// The length of a chunk's head, in bytes.
pub const HEAD_LEN: usize = 16;
/// The most pages of a chunk.
pub const PAGES_MAX: usize = 64;
const ENTRY_LEN: usize = 8;
const CONTENT_MAX_LEN: usize = PAGES_MAX * PAGE_LEN;
/// A chunk's longest body, in bytes.
pub const BODY_MAX_LEN: usize = PAGES_MAX * ENTRY_LEN + CONTENT_MAX_LEN;
const PLAIN: u16 = 0;
const LZ4: u16 = 1;
/// In an entry: the page is all zero, and has no content.
const IS_ZERO: u64 = 1 << 63;

/// Who finds that a chunk was changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Its CRC32C.
    Crc32c,
    /// The transport: the chunk's own field is zero.
    Transport,
}

/// What stands before a chunk's entries and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries follow; none at the end of a round.
    pub pages: usize,
    encoding: u16,
    /// The content's length as it is sent, in bytes; at the end, the round's number.
    stored: u32,
    crc: u32,
}

impl Head {
    /// Reads a head; its checksum is that of [`Self::check`].
    ///
    /// # Errors
    /// [`PagesError::Chunk`] if it is none, or `compression` was not agreed upon.
    pub fn decode(bytes: &[u8; HEAD_LEN], compression: Compression) -> Result<Self, PagesError> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
        let pages = u32::from_le_bytes([a, b, c, d]);
        let encoding = u16::from_le_bytes([e, f]);
        let zero = u16::from_le_bytes([g, h]);
        let stored = u32::from_le_bytes([i, j, k, l]);
        let bad = |what, found: u32| Err(PagesError::Chunk { what, found: found.into() });
        if pages as usize > PAGES_MAX {
            return bad("at most 64 pages are allowed", pages);
        }
        if zero != 0 {
            return bad("zero is allowed in bytes 6 and 7", zero.into());
        }
        match encoding {
            PLAIN => {}
            LZ4 if pages != 0 && compression == Compression::Lz4 => {}
            _ => return bad("its encoding was not agreed upon", encoding.into()),
        }
        if pages != 0 && stored as usize > pages as usize * PAGE_LEN {
            return bad("its content is longer than its pages", stored);
        }
        let crc = u32::from_le_bytes([m, n, o, p]);
        Ok(Self { pages: pages as usize, encoding, stored, crc })
    }

    fn encode(self) -> [u8; HEAD_LEN] {
        let Self { pages, encoding, stored, crc } = self;
        let mut out = [0; HEAD_LEN];
        let pages = u32::try_from(pages).expect("at most 64");
        out[..4].copy_from_slice(&pages.to_le_bytes());
        out[4..6].copy_from_slice(&encoding.to_le_bytes());
        out[8..12].copy_from_slice(&stored.to_le_bytes());
        out[12..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The head that ends round `number`, with its bytes.
    pub fn end(number: u32, seal: Seal) -> [u8; HEAD_LEN] {
        Self { pages: 0, encoding: PLAIN, stored: number, crc: 0 }.sealed(&[], seal)
    }

    /// The number of the round that ends here.
    pub fn round(&self) -> Option<u32> {
        (self.pages == 0).then_some(self.stored)
    }

    fn sealed(self, body: &[u8], seal: Seal) -> [u8; HEAD_LEN] {
        Self { crc: self.crc_with(body, seal), ..self }.encode()
    }

    fn crc_with(self, body: &[u8], seal: Seal) -> u32 {
        match seal {
            Seal::Transport => 0,
            Seal::Crc32c => {
                let head = self.encode();
                crc32c::crc32c_append(crc32c::crc32c(&head[..12]), body)
            }
        }
    }

    /// How many bytes of entries and content follow it.
    pub fn body_len(&self) -> usize {
        if self.pages == 0 { 0 } else { self.pages * ENTRY_LEN + self.stored as usize }
    }

    /// Whether head and body are those that were sent.
    ///
    /// # Errors
    /// [`PagesError::Damaged`] if not.
    pub fn check(&self, body: &[u8], seal: Seal) -> Result<(), PagesError> {
        if self.crc_with(body, seal) == self.crc { Ok(()) } else { Err(PagesError::Damaged) }
    }
}

/// Makes chunks of pages.
pub struct Packer {
    compression: Compression,
    seal: Seal,
    /// Head, entries and content, one behind the other.
    plain: Vec<u8>,
    /// The same with packed content.
    packed: Vec<u8>,
}

impl Packer {
    pub fn new(compression: Compression, seal: Seal) -> Self {
        let start = HEAD_LEN + PAGES_MAX * ENTRY_LEN;
        let packed_len = match compression {
            Compression::None => 0,
            Compression::Lz4 => start + get_maximum_output_size(CONTENT_MAX_LEN),
        };
        let plain = vec![0; HEAD_LEN + BODY_MAX_LEN];
        Self { compression, seal, plain, packed: vec![0; packed_len] }
    }

    /// A chunk of these pages, at most [`PAGES_MAX`].
    pub fn pack(&mut self, ram: &GuestRam, pages: &[u64]) -> Result<&[u8], PagesError> {
        let start = HEAD_LEN + pages.len() * ENTRY_LEN;
        let mut end = start;
        for (index, &page) in pages.iter().enumerate() {
            let content = &mut self.plain[end..end + PAGE_LEN];
            // The guest may write it meanwhile: what is summed and sent is this copy.
            ram.read(place_of(ram, page), content)?;
            let is_zero = is_zero(content);
            let entry = if is_zero { page | IS_ZERO } else { page };
            let at = HEAD_LEN + index * ENTRY_LEN;
            self.plain[at..at + ENTRY_LEN].copy_from_slice(&entry.to_le_bytes());
            end += if is_zero { 0 } else { PAGE_LEN };
        }
        let (encoding, bytes) = match self.shrunk(start, end) {
            Some(end) => (LZ4, &mut self.packed[..end]),
            None => (PLAIN, &mut self.plain[..end]),
        };
        let stored = u32::try_from(bytes.len() - start).expect("at most 256 KiB");
        let head = Head { pages: pages.len(), encoding, stored, crc: 0 };
        let head = head.sealed(&bytes[HEAD_LEN..], self.seal);
        bytes[..HEAD_LEN].copy_from_slice(&head);
        Ok(bytes)
    }

    /// Packs the content, which stands from `start` to `end`; where that ends, if it is shorter.
    fn shrunk(&mut self, start: usize, end: usize) -> Option<usize> {
        if self.compression == Compression::None || start == end {
            return None;
        }
        let (before, room) = self.packed.split_at_mut(start);
        let len = compress_into(&self.plain[start..end], room).ok()?;
        before[HEAD_LEN..].copy_from_slice(&self.plain[HEAD_LEN..start]);
        (start + len < end).then_some(start + len)
    }
}

/// Most pages that are not zero show it in their first bytes.
fn is_zero(page: &[u8]) -> bool {
    let (words, _) = page.as_chunks::<64>();
    words.iter().all(|word| word.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Pages that stand side by side in RAM.
pub struct Run<'a> {
    /// The number of the first one.
    pub first: u64,
    /// How many there are, at least one.
    pub pages: u64,
    /// What they hold, if they are not zero.
    pub content: Option<&'a [u8]>,
}

/// The pages of a chunk whose checksum holds.
pub struct Unpacker {
    entries: Vec<u64>,
    unpacked: Vec<u8>,
}

impl Unpacker {
    pub fn new(compression: Compression) -> Self {
        let len = match compression {
            Compression::None => 0,
            Compression::Lz4 => CONTENT_MAX_LEN,
        };
        Self { entries: Vec::with_capacity(PAGES_MAX), unpacked: vec![0; len] }
    }

    /// The pages in `body`, those that stand side by side in RAM together.
    pub fn unpack<'a>(
        &'a mut self,
        head: &Head,
        body: &'a [u8],
    ) -> Result<impl Iterator<Item = Run<'a>>, PagesError> {
        let (entries, stored) = body.split_at(head.pages * ENTRY_LEN);
        let (entries, _) = entries.as_chunks::<ENTRY_LEN>();
        self.entries.clear();
        self.entries.extend(entries.iter().map(|entry| u64::from_le_bytes(*entry)));
        let is_full = |entry: &&u64| **entry & IS_ZERO == 0;
        let len = self.entries.iter().filter(is_full).count() * PAGE_LEN;
        let bad = || {
            let what = "its content is not that of its pages";
            PagesError::Chunk { what, found: stored.len() as u64 }
        };
        let mut content = match head.encoding {
            PLAIN => stored,
            _ => {
                let room = self.unpacked.get_mut(..len).ok_or_else(bad)?;
                let unpacked = decompress_into(stored, room).map_err(|_| bad())?;
                &self.unpacked[..unpacked]
            }
        };
        if content.len() != len {
            return Err(bad());
        }
        let is_beside = |one: &u64, next: &u64| {
            one.checked_add(1) == Some(*next) && (one ^ next) & IS_ZERO == 0
        };
        let runs = self.entries.chunk_by(is_beside);
        Ok(runs.map(move |run| {
            let (entry, pages) = (run[0], run.len() as u64);
            if entry & IS_ZERO != 0 {
                return Run { first: entry ^ IS_ZERO, pages, content: None };
            }
            let (own, rest) = content.split_at(run.len() * PAGE_LEN);
            content = rest;
            Run { first: entry, pages, content: Some(own) }
        }))
    }
}
