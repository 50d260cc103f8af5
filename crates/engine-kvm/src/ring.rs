//! A dirty ring: pages in the order in which one vCPU first wrote them, in memory that it shares
//! with the kernel `[linux Documentation/virt/kvm/api.rst 8.29]`.
//!
//! The kernel writes an entry and says so in its flags; the reader takes it and says so there too;
//! then `KVM_RESET_DIRTY_RINGS` has the kernel watch the pages of all entries that were taken, and
//! use these again.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// `KVM_DIRTY_GFN_F_DIRTY`: the kernel wrote the entry.
const DIRTY: u32 = 1 << 0;
/// `KVM_DIRTY_GFN_F_RESET`: it was taken.
const TAKEN: u32 = 1 << 1;

/// `struct kvm_dirty_gfn`. Both sides reach it at the same time.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Entry {
    flags: AtomicU32,
    slot: AtomicU32,
    offset: AtomicU64,
}

/// A page of the host's size that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The memory slot.
    pub slot: u32,
    /// Counted from the slot's first page.
    pub page: u64,
}

/// The one that takes entries out of a ring, and where it is.
#[derive(Debug, Default)]
pub(crate) struct Taker {
    next: usize,
}

impl Taker {
    /// Takes what the kernel has written until now, in its order; tells how many.
    ///
    /// The kernel uses none of these again before it is asked to, so this ends.
    pub(crate) fn take(&mut self, ring: &[Entry], into: &mut Vec<Written>) -> usize {
        let mut taken = 0;
        while let Some(entry) = ring.get(self.next) {
            // Acquire: what is in the entry was written before its flag.
            if entry.flags.load(Ordering::Acquire) & (DIRTY | TAKEN) != DIRTY {
                break;
            }
            into.push(Written {
                slot: entry.slot.load(Ordering::Relaxed),
                page: entry.offset.load(Ordering::Relaxed),
            });
            // Release: it was read before it can be written again.
            entry.flags.store(TAKEN, Ordering::Release);
            self.next = (self.next + 1) % ring.len();
            taken += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    const LEN: usize = 8;

    fn ring() -> Vec<Entry> {
        (0..LEN).map(|_| Entry::default()).collect()
    }

    /// What the kernel does: writes ahead, and resets behind what was taken.
    #[derive(Default)]
    struct Kernel {
        dirty: usize,
        reset: usize,
    }

    impl Kernel {
        fn push(&mut self, ring: &[Entry], page: u64) -> bool {
            if self.dirty - self.reset == LEN {
                return false;
            }
            let entry = &ring[self.dirty % LEN];
            entry.slot.store(3, Ordering::Relaxed);
            entry.offset.store(page, Ordering::Relaxed);
            entry.flags.store(DIRTY, Ordering::Release);
            self.dirty += 1;
            true
        }

        fn reset(&mut self, ring: &[Entry]) -> usize {
            let mut count = 0;
            while count < LEN {
                let entry = &ring[self.reset % LEN];
                if entry.flags.load(Ordering::Acquire) & TAKEN == 0 {
                    break;
                }
                entry.flags.store(0, Ordering::Relaxed);
                self.reset += 1;
                count += 1;
            }
            count
        }
    }

    #[test]
    fn entries_are_taken_once_and_in_order_over_many_turns_of_a_ring() {
        let (ring, mut kernel, mut taker) = (ring(), Kernel::default(), Taker::default());
        let (mut pushed, mut found) = (0, Vec::new());
        for turn in 0..20 {
            for _ in 0..turn % (LEN + 1) {
                assert!(kernel.push(&ring, pushed));
                pushed += 1;
            }
            let taken = taker.take(&ring, &mut found);
            assert_eq!(taken, turn % (LEN + 1));
            assert_eq!(taker.take(&ring, &mut found), 0, "none is taken twice");
            assert_eq!(kernel.reset(&ring), taken);
        }
        let expected: Vec<Written> = (0..pushed).map(|page| Written { slot: 3, page }).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_full_ring_that_is_not_reset_ends_the_taking() {
        let (ring, mut kernel, mut taker) = (ring(), Kernel::default(), Taker::default());
        while kernel.push(&ring, 7) {}
        let mut found = Vec::new();
        assert_eq!(taker.take(&ring, &mut found), LEN);
        assert_eq!(taker.take(&ring, &mut found), 0);
        assert_eq!(Taker::default().take(&[], &mut found), 0);
    }

    #[test]
    fn a_kernel_that_writes_meanwhile_loses_nothing() {
        const PAGES: u32 = 4000;
        let (ring, kernel) = (ring(), Mutex::new(Kernel::default()));
        let (mut taker, mut found) = (Taker::default(), Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut left: VecDeque<u32> = (0..PAGES).collect();
                while let Some(&page) = left.front() {
                    if kernel.lock().unwrap().push(&ring, page.into()) {
                        left.pop_front();
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
            while found.len() < PAGES as usize {
                if taker.take(&ring, &mut found) > 0 {
                    kernel.lock().unwrap().reset(&ring);
                } else {
                    std::thread::yield_now();
                }
            }
        });
        assert!(found.iter().map(|written| written.page).eq(0..u64::from(PAGES)));
    }
}
