//! The dirty log: which pages were written since the last harvest.

use crate::PAGE_SIZE;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A set of page numbers, each counted from the start of RAM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSet {
    words: Vec<u64>,
}

impl PageSet {
    /// The number of pages in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether the set has no page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// The pages, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.words.iter().zip(0u64..).flat_map(|(&word, index)| {
            // Most words of most sets are zero.
            let after = |left: &u64| Some(left & (left - 1)).filter(|&left| left != 0);
            let lefts = std::iter::successors(Some(word).filter(|&word| word != 0), after);
            lefts.map(move |left| index * 64 + u64::from(left.trailing_zeros()))
        })
    }

    /// Adds a page. The set takes a bit for each page up to the highest.
    ///
    /// # Panics
    /// If no host could have so many pages.
    pub fn insert(&mut self, page: u64) {
        let at = usize::try_from(page / 64).expect("usize has 64 bits on every host");
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        self.words[at] |= 1 << (page % 64);
    }

    /// Adds every page of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.words.resize(self.words.len().max(other.words.len()), 0);
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }
}

/// The log of written pages. Off until [`DirtyLog::start`], and free of cost while off.
///
/// A harvest and the writers meet like this: the harvester takes the bits and moves the
/// generation; a software vCPU that sees a new generation drops its write translations before it
/// writes again, and marks the page anew when it installs the next one. The harvester copies pages
/// only after every vCPU has seen the generation.
#[derive(Debug)]
pub struct DirtyLog {
    words: Box<[AtomicU64]>,
    enabled: AtomicBool,
    generation: AtomicU64,
}

impl DirtyLog {
    pub(crate) fn new(pages: u64) -> Self {
        let words = (0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { words, enabled: AtomicBool::new(false), generation: AtomicU64::new(0) }
    }

    /// Begins to log, with an empty log.
    pub fn start(&self) {
        for word in &self.words {
            word.store(0, Ordering::Relaxed);
        }
        self.enabled.store(true, Ordering::SeqCst);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends logging.
    pub fn stop(&self) {
        self.enabled.store(false, Ordering::SeqCst);
    }

    /// Whether writes are logged.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Moves whenever a page that was marked has to be marked again on its next write.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Marks the pages that `len` bytes at `offset` touch. Places outside RAM are ignored.
    #[inline]
    pub fn mark(&self, offset: u64, len: u64) {
        if !self.is_enabled() || len == 0 {
            return;
        }
        let last = offset.saturating_add(len - 1) / PAGE_SIZE;
        for page in offset / PAGE_SIZE..=last {
            let Some(word) = usize::try_from(page / 64).ok().and_then(|at| self.words.get(at))
            else {
                return;
            };
            word.fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
    }

    /// Takes the marked pages out of the log and moves the generation.
    #[must_use]
    pub fn harvest(&self) -> PageSet {
        let words = self.words.iter().map(|word| word.swap(0, Ordering::SeqCst)).collect();
        self.generation.fetch_add(1, Ordering::SeqCst);
        PageSet { words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harvest_takes_each_page_once_and_moves_the_generation() {
        let log = DirtyLog::new(200);
        log.mark(0, 1);
        assert!(log.harvest().is_empty(), "nothing is logged before start");
        log.start();
        let before = log.generation();
        log.mark(4095, 2);
        log.mark(130 * 4096, 4096);
        assert_eq!(log.harvest().iter().collect::<Vec<_>>(), [0, 1, 130]);
        assert!(log.generation() > before);
        assert!(log.harvest().is_empty());
    }

    #[test]
    fn marks_outside_ram_are_ignored() {
        let log = DirtyLog::new(1);
        log.start();
        log.mark(u64::MAX - 1, 100);
        log.mark(0, 0);
        assert!(log.harvest().is_empty());
    }

    #[test]
    fn inserted_pages_are_there_in_order() {
        let mut set = PageSet::default();
        for page in [130, 0, 63, 64, 130] {
            set.insert(page);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 130]);
        assert_eq!(set.len(), 4);
    }

    #[test]
    fn merged_sets_hold_the_pages_of_both() {
        let log = DirtyLog::new(100);
        log.start();
        log.mark(0, 1);
        let mut all = log.harvest();
        log.mark(99 * 4096, 1);
        all.merge(&log.harvest());
        assert_eq!(all.iter().collect::<Vec<_>>(), [0, 99]);
        assert_eq!(all.len(), 2);
    }
}
