//! Doing nothing: the CPU waits for the tick, and time passes without instructions.

use crate::Done;
use kit::{Arena, hash, timer};

const TICKS: u64 = 100;

pub fn run(_arena: &mut Arena) -> Done {
    let before = timer::ticks();
    let counter_before = timer::counter();
    timer::sleep_ticks(TICKS);
    let slept = timer::ticks() - before;
    // At least 99 whole periods lie between the first and the last of 100 ticks.
    let counts = timer::counter() - counter_before;
    let period = timer::frequency_hz() / crate::TICKS_PER_SECOND;
    Done {
        number: slept,
        unit: "ticks slept through",
        right: slept >= TICKS && counts >= (TICKS - 1) * period,
        hash: hash::of(&[slept]),
    }
}
