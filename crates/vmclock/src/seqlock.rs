//! How a writer and any number of readers share a page without a lock.
//!
//! The writer makes `seq_count` odd, changes the rest, makes it even again. A reader that saw the
//! same even number before and after has seen one state and no mixture. The reader's own work,
//! the reading of the counter, happens in between, so that it belongs to that state too.
//!
//! Barriers, and what each is for (the model checker finds a torn reading without any of them):
//!
//! | where | barrier | why |
//! |---|---|---|
//! | writer, behind the odd number | full | no field may be seen changed before it; and who samples the host's clock afterwards does so when every reader is warned |
//! | writer, before the even number | release | every field is there before it |
//! | reader, behind the first look | acquire | no field is read before it |
//! | reader, before the second look | acquire | every field was read before it |

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Shared memory with a sequence count and words behind it. All accesses are relaxed; order comes
/// from [`Cells::fence`] alone.
pub trait Cells {
    /// Reads the sequence count.
    fn seq(&self) -> u32;
    /// Writes the sequence count.
    fn set_seq(&self, seq: u32);
    /// Reads the word at `index`, in one access of 64 bits.
    fn word(&self, index: usize) -> u64;
    /// Writes the word at `index`, in one access of 64 bits: some readers look at one word alone.
    fn set_word(&self, index: usize, word: u64);
    /// A barrier.
    fn fence(&self, order: Ordering);
}

/// The even count that follows `seq`, which may be odd. Never 0: a reader that remembers 0 as
/// "nothing read yet" would take the page for one that it has seen.
#[must_use]
pub const fn next(seq: u32) -> u32 {
    match (seq & !1).wrapping_add(2) {
        0 => 2,
        even => even,
    }
}

/// Writes `words` into a page whose last even count was `seq`, and returns the new one. `sample`
/// is called when readers are warned and before anything is written: what it reads from a clock
/// cannot be older than what any reader of the old state computes.
pub fn update<C: Cells, const N: usize>(
    cells: &C,
    seq: u32,
    sample: impl FnOnce() -> [u64; N],
) -> u32 {
    cells.set_seq(seq | 1);
    cells.fence(Ordering::SeqCst);
    let words = sample();
    for (index, word) in words.into_iter().enumerate() {
        cells.set_word(index, word);
    }
    cells.fence(Ordering::Release);
    let next = next(seq);
    cells.set_seq(next);
    next
}

/// One attempt at reading, with `inside` done within it; nothing if an update was under way.
#[inline]
pub fn try_read<C: Cells, T, const N: usize>(
    cells: &C,
    inside: impl FnOnce() -> T,
) -> Option<(u32, [u64; N], T)> {
    let seq = cells.seq();
    if seq & 1 != 0 {
        return None;
    }
    cells.fence(Ordering::Acquire);
    let words = core::array::from_fn(|index| cells.word(index));
    let done = inside();
    cells.fence(Ordering::Acquire);
    (cells.seq() == seq).then_some((seq, words, done))
}

/// A page in this process's memory, or in memory that is mapped into it: its layout is the
/// structure's own, so that a pointer to a page may be cast to it.
#[derive(Debug, Default)]
#[repr(C)]
pub struct AtomicPage {
    constants: [AtomicU32; 3],
    seq_count: AtomicU32,
    body: [AtomicU64; crate::spec::BODY_WORDS],
}

const _: () = assert!(size_of::<AtomicPage>() == crate::spec::LEN);

impl AtomicPage {
    /// The constants as they stand there.
    #[must_use]
    pub fn constants(&self) -> [u32; 3] {
        self.constants.each_ref().map(|word| u32::from_le(word.load(Ordering::Relaxed)))
    }

    /// Writes the constants: before anybody reads.
    pub fn set_constants(&self, words: [u32; 3]) {
        for (place, word) in self.constants.iter().zip(words) {
            place.store(word.to_le(), Ordering::Relaxed);
        }
    }
}

impl Cells for AtomicPage {
    fn seq(&self) -> u32 {
        u32::from_le(self.seq_count.load(Ordering::Relaxed))
    }

    fn set_seq(&self, seq: u32) {
        self.seq_count.store(seq.to_le(), Ordering::Relaxed);
    }

    fn word(&self, index: usize) -> u64 {
        u64::from_le(self.body[index].load(Ordering::Relaxed))
    }

    fn set_word(&self, index: usize, word: u64) {
        self.body[index].store(word.to_le(), Ordering::Relaxed);
    }

    fn fence(&self, order: Ordering) {
        fence(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_even_and_never_zero() {
        assert_eq!([0, 1, 2, 3, 0x7fff_fffe].map(next), [2, 2, 4, 4, 0x8000_0000]);
        assert_eq!([u32::MAX - 1, u32::MAX].map(next), [2, 2]);
    }

    #[test]
    fn an_update_under_way_is_no_reading() {
        let page = AtomicPage::default();
        let seq = update(&page, 2, || {
            assert!(try_read::<_, _, 12>(&page, || ()).is_none());
            [7; 12]
        });
        assert_eq!(try_read(&page, || "now"), Some((seq, [7; 12], "now")));
        // An update that ends within the reading.
        assert_eq!(try_read::<_, _, 12>(&page, || update(&page, seq, || [8; 12])), None);
    }
}
