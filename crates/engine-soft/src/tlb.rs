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
/// The entry is a piece of a block mapping: one TLBI by address must find all its pieces.
pub(crate) const BLOCK: u32 = 2;

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

/// Translations of both exception levels.
#[derive(Debug)]
pub(crate) struct Tlb {
    entries: Box<[Entry; 2 * HALF]>,
    has_blocks: bool,
}

impl Tlb {
    pub fn new() -> Self {
        Self { entries: Box::new([EMPTY; 2 * HALF]), has_blocks: false }
    }

    /// Where the translation of `va` stands if there is one; `half` is 0 or [`HALF`].
    #[inline(always)]
    fn index(half: usize, va: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the index has ten bits")]
        let page = (va >> 12) as usize;
        (page & (HALF - 1)) | (half & HALF)
    }

    /// The entry that alone can translate `va`.
    #[inline(always)]
    pub fn entry(&self, half: usize, va: u64) -> &Entry {
        &self.entries[Self::index(half, va)]
    }

    /// Installs the translation of the page of `va`.
    pub fn insert(&mut self, half: usize, va: u64, entry: Entry) {
        self.has_blocks |= entry.flags & BLOCK != 0;
        self.entries[Self::index(half, va)] = entry;
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        self.entries.fill(EMPTY);
        self.has_blocks = false;
    }

    /// Forgets the half of the address space that TTBR0 translates.
    pub fn flush_low(&mut self) {
        for entry in self.entries.iter_mut() {
            if (entry.read & entry.write) >> 55 & 1 == 0 {
                *entry = EMPTY;
            }
        }
    }

    /// Forgets the page of `va` and every piece of a block.
    pub fn flush_page(&mut self, va: u64) {
        for half in [0, HALF] {
            self.entries[Self::index(half, va)] = EMPTY;
        }
        if self.has_blocks {
            // Which block the address was in can no longer be known: the tables have changed.
            for entry in self.entries.iter_mut().filter(|entry| entry.flags & BLOCK != 0) {
                let low = (entry.read & entry.write) >> 55 & 1;
                if low == va >> 55 & 1 {
                    *entry = EMPTY;
                }
            }
        }
    }

    /// Makes every next write find out again whether its page is marked dirty.
    pub fn drop_writes(&mut self) {
        for entry in self.entries.iter_mut() {
            entry.write = NO_TAG;
        }
    }
}
