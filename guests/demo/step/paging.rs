//! Two MiB of memory through a window of 32 pages: a page is fetched when it is touched, and the
//! one that came first goes.

use super::Sequence;
use crate::Done;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use kit::mmu::{self, PAGE_BYTES, Use};
use kit::{Arena, Frame, Verdict, hash};

const WINDOW: usize = 0x20_0000_0000;
const PAGES: usize = 512;
const FRAMES: usize = 32;
const TOUCHES: usize = 600_000;

const CLASS_DATA_ABORT_EL1: u64 = 0x25;
const NO_PAGE: usize = usize::MAX;

static STORE: AtomicUsize = AtomicUsize::new(0);
static FRAME_BASE: AtomicUsize = AtomicUsize::new(0);
static HELD: [AtomicUsize; FRAMES] = [const { AtomicUsize::new(NO_PAGE) }; FRAMES];
static FAULTS: AtomicUsize = AtomicUsize::new(0);

pub fn run(arena: &mut Arena) -> Done {
    let store = arena.take(PAGES * PAGE_BYTES / 8);
    store.fill(0);
    let frames = arena.take((FRAMES + 1) * PAGE_BYTES / 8);
    let skip = frames.as_ptr().align_offset(PAGE_BYTES);
    FRAME_BASE.store(frames[skip..].as_mut_ptr() as usize, Relaxed);
    STORE.store(store.as_mut_ptr() as usize, Relaxed);
    let mut sequence = Sequence::new(8);
    let mut page = 0;
    for touch in 0..TOUCHES {
        let random = sequence.next();
        // Mostly near the last place, as programs do.
        if touch % 256 == 0 {
            page = random as usize % PAGES;
        }
        let near = (page + (random >> 32) as usize % 4) % PAGES;
        let word = (random >> 40) as usize % (PAGE_BYTES / 8);
        let place = (WINDOW + near * PAGE_BYTES + 8 * word) as *mut u64;
        // SAFETY: the window is no Rust object; the fault handler backs each page of it. Only this
        // loop touches it, so the read and the write belong together.
        unsafe { place.write_volatile(place.read_volatile() + 1) }
    }
    HELD.iter().enumerate().for_each(|(frame, _)| evict(frame));
    let sum: u64 = store.iter().sum();
    let faults = FAULTS.load(Relaxed) as u64;
    Done {
        number: faults,
        unit: "page faults",
        right: sum == TOUCHES as u64 && faults > PAGES as u64,
        hash: hash::of(store),
    }
}

/// Backs the page that was touched.
pub fn on_fault(frame: &mut Frame) -> Verdict {
    let address = frame.far as usize;
    let inside = (WINDOW..WINDOW + PAGES * PAGE_BYTES).contains(&address);
    if frame.class() != CLASS_DATA_ABORT_EL1 || !inside {
        return Verdict::Fatal;
    }
    let faults = FAULTS.load(Relaxed);
    FAULTS.store(faults + 1, Relaxed);
    let slot = faults % FRAMES;
    evict(slot);
    let page = (address - WINDOW) / PAGE_BYTES;
    copy_page(STORE.load(Relaxed) + page * PAGE_BYTES, frame_address(slot));
    HELD[slot].store(page, Relaxed);
    mmu::map_page(WINDOW + page * PAGE_BYTES, frame_address(slot), Use::Data);
    Verdict::Handled
}

fn frame_address(slot: usize) -> usize {
    FRAME_BASE.load(Relaxed) + slot * PAGE_BYTES
}

fn evict(slot: usize) {
    let page = HELD[slot].swap(NO_PAGE, Relaxed);
    if page != NO_PAGE {
        mmu::unmap_page(WINDOW + page * PAGE_BYTES);
        copy_page(frame_address(slot), STORE.load(Relaxed) + page * PAGE_BYTES);
    }
}

fn copy_page(from: usize, to: usize) {
    // SAFETY: both are whole pages of the arena that `run` set aside, and differ.
    unsafe { core::ptr::copy_nonoverlapping(from as *const u64, to as *mut u64, PAGE_BYTES / 8) }
}
