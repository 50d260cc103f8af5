//! The software TLB: from virtual pages straight to places in guest RAM.
//!
//! Direct mapped, one half for EL0 and one for EL1, with separate tags for reading and writing: a
//! page is writable here only after it was marked in the dirty log. Only RAM gets in; all else goes
//! through the bus on every access. Entries carry no ASID, so a change of ASID empties the lower
//! half of the address space.
//!
//! Nothing here is state: whatever is thrown away is found again by walking the tables.

use abide_memory::PAGE_SIZE;

/// Entries per exception level.
pub(crate) const HALF: usize = 1024;

/// The bits of an address that name its page.
pub(crate) const PAGE_MASK: u64 = !(PAGE_SIZE - 1);

/// A tag that no address has: the bits that a comparison leaves are never all ones.
pub(crate) const NO_TAG: u64 = u64::MAX;

/// The page is device memory.
pub(crate) const DEVICE: u32 = 1;
/// Where the entry has the size of the mapping it is a piece of, as a power of two; 0 for a page.
/// One TLBI by address must find all pieces of a block.
pub(crate) const BLOCK_SHIFT: u32 = 8;

/// One translation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The virtual page if it can be read.
    pub read: u64,
    /// The virtual page if it can be written and is marked dirty.
    pub write: u64,
    /// What turns the virtual address into an offset in RAM, added with wrap-around.
    pub addend: u64,
    pub flags: u32,
}

const EMPTY: Entry = Entry { read: NO_TAG, write: NO_TAG, addend: 0, flags: 0 };

/// How many gigabytes with blocks are told apart.
const BLOCK_REGIONS_MAX: usize = 16;

/// The gigabyte of an address, without its tag: no block is larger, but for the flat mapping while
/// the MMU is off, which no TLBI by address concerns.
fn region(va: u64) -> u64 {
    va << 8 >> 38
}

/// Bit 55, which says which half of the address space an address is in.
fn upper(va: u64) -> usize {
    usize::from(va >> 55 & 1 == 1)
}

/// How many blocks are told apart.
const BLOCKS_MAX: usize = 32;

/// The blocks that entries of the fetch TLB are pieces of: one TLBI by address concerns all of
/// those of a block, wherever they stand.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Vec<(u64, u32)>);

impl Blocks {
    /// The block of `va` without its tag, of a size as a power of two.
    fn block(va: u64, size_log2: u32) -> (u64, u32) {
        (va << 8 >> 8 >> size_log2, size_log2)
    }

    /// An entry for `va` is a piece of a block of this size; 0 for a page that is none.
    pub fn note(&mut self, va: u64, size_log2: u32) {
        let block = Self::block(va, size_log2);
        if size_log2 != 0 && self.0.len() < BLOCKS_MAX && !self.0.contains(&block) {
            self.0.push(block);
        }
    }

    /// Whether `va` may be in a block that was noted: any may where too many were.
    pub fn may_hold(&self, va: u64) -> bool {
        let is_in = |&(block, size_log2): &(u64, u32)| Self::block(va, size_log2).0 == block;
        self.0.len() == BLOCKS_MAX || self.0.iter().any(is_in)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Translations of both exception levels.
#[derive(Debug)]
pub(crate) struct Tlb {
    /// Those of the current exception level, apart so that the common access needs not ask which.
    here: Box<[Entry; HALF]>,
    /// Those of the other one.
    there: Box<[Entry; HALF]>,
    /// Which half is here.
    half: usize,
    /// The gigabytes in which pieces of blocks may be; those past [`BLOCK_REGIONS_MAX`] are not
    /// told apart.
    block_regions: Vec<u64>,
}

impl Tlb {
    pub fn new() -> Self {
        let empty = || Box::new([EMPTY; HALF]);
        Self { here: empty(), there: empty(), half: HALF, block_regions: Vec::new() }
    }

    /// Makes `half`, 0 or [`HALF`], the current one.
    pub fn switch(&mut self, half: usize) {
        if half != self.half {
            self.half = half;
            std::mem::swap(&mut self.here, &mut self.there);
        }
    }

    /// Where the translation of `va` stands in its half if there is one.
    #[inline(always)]
    fn index(va: u64) -> usize {
        (va >> 12) as usize & (HALF - 1)
    }

    /// The entry that alone can translate `va` at the current exception level.
    #[inline(always)]
    pub fn entry_here(&self, va: u64) -> &Entry {
        &self.here[Self::index(va)]
    }

    /// The entry that alone can translate `va` in `half`, 0 or [`HALF`].
    pub fn entry(&self, half: usize, va: u64) -> &Entry {
        let entries = if half == self.half { &self.here } else { &self.there };
        &entries[Self::index(va)]
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.here.iter_mut().chain(self.there.iter_mut())
    }

    /// Installs the translation of the page of `va`.
    pub fn insert(&mut self, half: usize, va: u64, entry: Entry) {
        if entry.flags >> BLOCK_SHIFT != 0 {
            self.note_block(region(va));
        }
        let entries = if half == self.half { &mut self.here } else { &mut self.there };
        entries[Self::index(va)] = entry;
    }

    fn note_block(&mut self, region: u64) {
        let full = self.block_regions.len() == BLOCK_REGIONS_MAX;
        if !full && !self.block_regions.contains(&region) {
            self.block_regions.push(region);
        }
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        self.here.fill(EMPTY);
        self.there.fill(EMPTY);
        self.block_regions.clear();
    }

    /// Forgets the half of the address space that TTBR0 translates.
    pub fn flush_low(&mut self) {
        for entry in self.all() {
            if upper(entry.read & entry.write) == 0 {
                *entry = EMPTY;
            }
        }
    }

    /// Forgets the page of `va`, and every piece of a block that `va` is in.
    pub fn flush_page(&mut self, va: u64) {
        self.here[Self::index(va)] = EMPTY;
        self.there[Self::index(va)] = EMPTY;
        let many = self.block_regions.len() == BLOCK_REGIONS_MAX;
        if !many && !self.block_regions.contains(&region(va)) {
            return;
        }
        for entry in self.all() {
            let size_log2 = entry.flags >> BLOCK_SHIFT;
            // Of an entry with both tags they are the same page.
            let tag = entry.read & entry.write;
            if size_log2 != 0 && (tag ^ va) << 8 >> 8 >> size_log2 == 0 {
                *entry = EMPTY;
            }
        }
    }

    /// Makes every next write find out again whether its page is marked dirty.
    pub fn drop_writes(&mut self) {
        for entry in self.all() {
            entry.write = NO_TAG;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_their_pages_and_everything_when_they_are_too_many() {
        let mut blocks = Blocks::default();
        blocks.note(0x4000, 0);
        assert!(!blocks.may_hold(0x4000), "a page is no block");
        for number in 0..BLOCKS_MAX as u64 {
            assert!(!blocks.may_hold(0x7fff_ffff_f000));
            blocks.note((number << 21) + 0x5000, 21);
            blocks.note((number << 21) + 0x6000, 21);
            assert!(blocks.may_hold((number << 21) + 0x1f_f000));
        }
        assert!(blocks.may_hold(0x7fff_ffff_f000));
        blocks.clear();
        assert!(!blocks.may_hold(0x5000));
    }
}
