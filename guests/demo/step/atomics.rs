//! Exclusive loads and stores, with an interrupt handler that writes the same words.

use crate::Done;
use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};
use kit::{Arena, Deactivate, gic, hash};

/// The interrupt that comes in between.
pub const SGI: u32 = 4;

const ROUNDS: u64 = 400_000;
const ROUNDS_PER_INTERRUPT: u64 = 2048;
const INTERRUPTS: u64 = ROUNDS.div_ceil(ROUNDS_PER_INTERRUPT);

static SINGLE: AtomicU64 = AtomicU64::new(0);
static PAIR: Pair = Pair(UnsafeCell::new([0; 2]));

/// Two words that change together.
#[repr(align(16))]
struct Pair(UnsafeCell<[u64; 2]>);

// SAFETY: accessed by exclusive pairs only.
unsafe impl Sync for Pair {}

impl Pair {
    /// Adds 1 to the first word and `second` to the other, as one; LDAXP and STLXP.
    fn add(&self, second: u64) {
        // SAFETY: aligned to 16 bytes, and nobody holds a reference into the cell.
        unsafe {
            asm!("2:", "ldaxp {a}, {b}, [{p}]", "add {a}, {a}, #1", "add {b}, {b}, {s}",
                "stlxp {w:w}, {a}, {b}, [{p}]", "cbnz {w:w}, 2b",
                p = in(reg) self.0.get(), s = in(reg) second,
                a = out(reg) _, b = out(reg) _, w = out(reg) _, options(nostack));
        }
    }

    fn words(&self) -> [u64; 2] {
        let (a, b);
        // SAFETY: as above.
        unsafe {
            asm!("ldp {a}, {b}, [{p}]", p = in(reg) self.0.get(), a = out(reg) a, b = out(reg) b,
                options(nostack));
        }
        [a, b]
    }
}

pub fn run(_arena: &mut Arena) -> Done {
    gic::enable(SGI, gic::Trigger::Edge);
    for round in 0..ROUNDS {
        SINGLE.fetch_add(1, Ordering::AcqRel);
        PAIR.add(round);
        if round % ROUNDS_PER_INTERRUPT == 0 {
            gic::send_to_self(SGI);
        }
    }
    let single = SINGLE.load(Ordering::Acquire);
    let [first, second] = PAIR.words();
    let expected = ROUNDS + INTERRUPTS;
    let right = single == expected
        && first == expected
        && second == ROUNDS * (ROUNDS - 1) / 2 + 7 * INTERRUPTS;
    Done {
        number: single,
        unit: "exclusive additions, twice",
        right,
        hash: hash::of(&[single, first, second]),
    }
}

pub fn on_interrupt() -> Deactivate {
    SINGLE.fetch_add(1, Ordering::AcqRel);
    PAIR.add(7);
    Deactivate::Now
}
