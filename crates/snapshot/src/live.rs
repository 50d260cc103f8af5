//! Reading the RAM of a paused guest, without making absent pages present.

use crate::map::{CHUNK_SIZE, RamRange};
use crate::wire::is_zero;
use abide_memory::{GuestRam, MemoryError, PAGE_SIZE, RamOffset};
use abide_reg::Gpa;
use std::io;
use thiserror::Error;

const PAGES: u64 = CHUNK_SIZE / PAGE_SIZE;
/// [`PAGE_SIZE`] as a length of slices.
pub(crate) const PAGE: usize = 4096;
const _: () = assert!(PAGE as u64 == PAGE_SIZE);

/// Why guest RAM could not be read.
#[derive(Debug, Error)]
pub enum RamError {
    /// The host does not tell which pages are present.
    #[error("the host does not tell which pages of guest RAM are present: {0}")]
    Host(#[from] io::Error),
    /// A range is not RAM.
    #[error("{0}")]
    Memory(#[from] MemoryError),
    /// Two ranges of RAM overlap, or there are too many.
    #[error("guest RAM must be 1 to 64 ranges apart from each other")]
    Ranges,
}

/// A chunk of live RAM that holds something.
#[derive(Clone, Debug)]
pub(crate) struct LiveChunk {
    pub(crate) gpa: Gpa,
    pub(crate) len: usize,
    /// Which RAM it is in, by its place in the list.
    ram: usize,
    /// One bit for each page that the host has memory for. The others are zero, and reading them
    /// would make the host allocate them.
    present: [u64; (PAGES / 64) as usize],
}

/// All RAM of a paused guest.
pub(crate) struct LiveRam<'a> {
    rams: Vec<&'a GuestRam>,
    pub(crate) chunks: Vec<LiveChunk>,
}

impl<'a> LiveRam<'a> {
    /// Finds the chunks that are not all zero.
    pub(crate) fn scan(rams: &[&'a GuestRam]) -> Result<Self, RamError> {
        let mut rams = rams.to_vec();
        rams.sort_by_key(|ram| ram.base());
        let apart = rams.windows(2).all(|pair| range(pair[0]).end() <= pair[1].base().0);
        if !apart || rams.len() > crate::map::MAX_RANGES as usize {
            return Err(RamError::Ranges);
        }
        let mut chunks = Vec::new();
        for (index, ram) in rams.iter().enumerate() {
            scan_one(index, ram, &mut chunks)?;
        }
        Ok(Self { rams, chunks })
    }

    pub(crate) fn ranges(&self) -> Vec<RamRange> {
        self.rams.iter().map(|ram| range(ram)).collect()
    }

    /// The content of a chunk, in a buffer that may hold anything.
    pub(crate) fn read(
        &self,
        chunk: &LiveChunk,
        mut content: Vec<u8>,
    ) -> Result<Vec<u8>, MemoryError> {
        content.resize(chunk.len, 0);
        let ram = self.rams[chunk.ram];
        let mut done = 0;
        for (from, to) in runs(&chunk.present) {
            // Pages past a short chunk's end are never present.
            let (from, to) = ((from * PAGE).min(chunk.len), (to * PAGE).min(chunk.len));
            content[done..from].fill(0);
            ram.read(Gpa(chunk.gpa.0 + from as u64), &mut content[from..to])?;
            done = to;
        }
        content[done..].fill(0);
        Ok(content)
    }
}

fn range(ram: &GuestRam) -> RamRange {
    RamRange { gpa: ram.base(), size: ram.size() }
}

/// The runs of set bits, as page numbers from and up to.
fn runs(present: &[u64]) -> impl Iterator<Item = (usize, usize)> {
    let is_set =
        |page: usize| present.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 == 1);
    let end = present.len() * 64;
    let mut next = 0;
    std::iter::from_fn(move || {
        let from = (next..end).find(|&page| is_set(page))?;
        let to = (from..end).find(|&page| !is_set(page)).unwrap_or(end);
        next = to;
        Some((from, to))
    })
}

fn scan_one(index: usize, ram: &GuestRam, found: &mut Vec<LiveChunk>) -> Result<(), RamError> {
    let mut last: Option<(u64, LiveChunk)> = None;
    let mut at = RamOffset(0);
    while let Some((from, to)) = ram.next_present(at)? {
        // Hosts with larger pages report runs of those; anything finer is widened to whole pages.
        for page in from.0 / PAGE_SIZE..to.0.div_ceil(PAGE_SIZE) {
            let number = page / PAGES;
            if last.as_ref().is_none_or(|(at, _)| *at != number) {
                keep(ram, last.take(), found)?;
                let offset = number * CHUNK_SIZE;
                let len = usize::try_from((ram.size() - offset).min(CHUNK_SIZE));
                let len = len.map_err(|_| RamError::Ranges)?;
                let gpa = Gpa(ram.base().0 + offset);
                last = Some((number, LiveChunk { gpa, len, ram: index, present: [0; 8] }));
            }
            if let Some((_, chunk)) = &mut last {
                let bit = page % PAGES;
                let word = (bit / 64) as usize;
                chunk.present[word] |= 1 << (bit % 64);
            }
        }
        at = to;
    }
    keep(ram, last, found)
}

/// Keeps the chunk if one of its present pages holds something.
fn keep(
    ram: &GuestRam,
    chunk: Option<(u64, LiveChunk)>,
    found: &mut Vec<LiveChunk>,
) -> Result<(), RamError> {
    let Some((_, chunk)) = chunk else { return Ok(()) };
    let present = chunk.present;
    let mut page = [0; PAGE];
    for number in runs(&present).flat_map(|(from, to)| from..to) {
        ram.read(Gpa(chunk.gpa.0 + (number * PAGE) as u64), &mut page)?;
        if !is_zero(&page) {
            found.push(chunk);
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bits_are_found_up_to_both_ends() {
        assert_eq!(runs(&[0, 0]).collect::<Vec<_>>(), []);
        assert_eq!(runs(&[u64::MAX, u64::MAX]).collect::<Vec<_>>(), [(0, 128)]);
        assert_eq!(runs(&[1 | 1 << 63, 1]).collect::<Vec<_>>(), [(0, 1), (63, 65)]);
    }

    #[test]
    fn scanning_and_reading_leave_absent_pages_absent() {
        let ram = GuestRam::new(Gpa(0x4000_0000), 5 * CHUNK_SIZE + PAGE_SIZE).unwrap();
        ram.write(Gpa(0x4000_3000), &[1]).unwrap();
        // Present, but zero.
        ram.write(Gpa(0x4000_0000 + 2 * CHUNK_SIZE), &[0]).unwrap();
        ram.write(Gpa(0x4000_0000 + 5 * CHUNK_SIZE + 4095), &[2]).unwrap();
        let runs = |ram: &GuestRam| {
            let mut all = Vec::new();
            let mut at = RamOffset(0);
            while let Some((from, to)) = ram.next_present(at).unwrap() {
                all.push((from, to));
                at = to;
            }
            all
        };
        let before = runs(&ram);
        let live = LiveRam::scan(&[&ram]).unwrap();
        let found: Vec<_> = live.chunks.iter().map(|chunk| (chunk.gpa, chunk.len)).collect();
        let last = Gpa(0x4000_0000 + 5 * CHUNK_SIZE);
        assert_eq!(found, [(Gpa(0x4000_0000), 2 << 20), (last, 4096)]);
        let content = live.read(&live.chunks[0], Vec::new()).unwrap();
        assert_eq!(content.iter().position(|&byte| byte == 1), Some(0x3000));
        assert_eq!(live.read(&live.chunks[1], Vec::new()).unwrap()[4095], 2);
        // What a buffer held before is gone.
        assert!(live.read(&live.chunks[0], vec![7; 4096]).unwrap() == content);
        assert!(live.read(&live.chunks[0], vec![7; 3 << 20]).unwrap() == content);
        assert_eq!(runs(&ram), before);
    }

    #[test]
    fn overlapping_ram_is_refused() {
        let low = GuestRam::new(Gpa(0), 8192).unwrap();
        let high = GuestRam::new(Gpa(4096), 8192).unwrap();
        assert!(matches!(LiveRam::scan(&[&high, &low]), Err(RamError::Ranges)));
    }
}
