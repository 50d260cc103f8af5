//! The guest that counts: it gives every register of the performance monitors a value that no
//! reset leaves there, counts events of its own and cycles, holds an overflow's interrupt, and
//! says five times a second whether all that is still so.
#![no_std]
#![no_main]

mod monitors;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kit::fdt::Fdt;
use kit::gic::{self, Trigger, priority};
use kit::{Deactivate, Frame, Verdict, println, psci, timer};
use monitors::{HELD, OWN, REGISTERS};

const TICKS_PER_SECOND: u64 = 5;
/// The interrupt of the performance monitors, a PPI.
const INTID: u32 = 23;
/// Lets only the tick through.
const MASK: u8 = 0x80;
/// How many events of its own it counts between two looks.
const EVENTS: u64 = 3;

/// How often an overflow's interrupt was taken since it was last held.
static TAKEN: AtomicU64 = AtomicU64::new(0);

kit::guest!(main, on_interrupt, fault);

fn main(_: Option<Fdt>) -> ! {
    timer::start(TICKS_PER_SECOND);
    let (version, counters) = (monitors::version(), monitors::counters());
    if matches!(version, 0 | 0xf) || counters <= HELD {
        println!("pmu: version {version:#x} with {counters} counters is not enough");
        psci::system_off();
    }
    println!("pmu: version {version:#x}, {counters} counters");
    monitors::set();
    gic::enable(INTID, Trigger::Level);
    let first = REGISTERS.map(|(_, read)| read());
    for ((name, _), value) in REGISTERS.iter().zip(first) {
        println!("pmu: {name}={value:#x}");
    }
    let (mut events, mut cycles) = (monitors::counter(OWN), monitors::cycles());
    for look in 1u64.. {
        for _ in 0..EVENTS {
            monitors::count_one(OWN);
        }
        events += EVENTS;
        hold();
        timer::sleep_ticks(1);
        let mut wrong = overflow_is_wrong();
        for ((name, read), was) in REGISTERS.iter().zip(first) {
            wrong |= differs(name, was, read());
        }
        wrong |= differs("PMEVCNTR0_EL0", events, monitors::counter(OWN));
        let now = monitors::cycles();
        if now <= cycles {
            println!("pmu: PMCCNTR_EL0 went back: {cycles:#x} -> {now:#x}");
            wrong = true;
        }
        cycles = now;
        println!("pmu: {look}: {}", if wrong { "WRONG" } else { "right" });
    }
    psci::system_off()
}

/// Says what a value is that is not what it was.
fn differs(name: &str, was: u64, is: u64) -> bool {
    if was != is {
        println!("pmu: {name}: {was:#x} -> {is:#x}");
    }
    was != is
}

/// Lets a counter overflow behind the mask.
fn hold() {
    TAKEN.store(0, Relaxed);
    gic::set_mask(MASK);
    monitors::set_counter(HELD, u64::from(u32::MAX));
    monitors::count_one(HELD);
}

/// Takes the overflow's interrupt, which must have waited until now.
fn overflow_is_wrong() -> bool {
    let mut wrong = differs("PMOVSSET_EL0", 1 << HELD, monitors::overflows());
    let waits = gic::is_pending(INTID) && TAKEN.load(Relaxed) == 0;
    gic::set_mask(priority::MASK_NONE);
    for _ in 0..1_000_000 {
        if TAKEN.load(Relaxed) != 0 {
            break;
        }
        core::hint::spin_loop();
    }
    let taken = TAKEN.load(Relaxed);
    if !waits || taken != 1 {
        println!("pmu: the overflow's interrupt waited: {waits}, taken {taken} times");
        wrong = true;
    }
    wrong | differs("PMOVSSET_EL0 afterwards", 0, monitors::overflows())
}

fn on_interrupt(intid: u32) -> Deactivate {
    if intid == INTID {
        monitors::clear_overflow(HELD);
        TAKEN.fetch_add(1, Relaxed);
    }
    Deactivate::Now
}

fn fault(_: &mut Frame) -> Verdict {
    Verdict::Fatal
}
