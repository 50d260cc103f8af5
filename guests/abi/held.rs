//! Interrupts that are held in every state between two looks, and then taken: a save at any time
//! finds the controller busy, and what it loses or invents shows in the order they are taken in.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use kit::gic::{self, Trigger, priority};
use kit::mmio::{read32, write32};
use kit::{Deactivate, cpu, println};

/// The clock's interrupt, SPI 2: a level that stays high until it is cleared.
const LEVEL: u32 = 34;
/// SPIs to which the board connects nothing, all edge-triggered.
const PENDING: u32 = 40;
const DISABLED: u32 = 41;
const ACTIVE: u32 = 42;
const ACTIVE_AND_PENDING: u32 = 43;
const LOW: u32 = 44;
/// Sent by this CPU to itself.
const SGI: u32 = 3;

/// Lets only the tick through.
const MASK: u8 = 0x80;
/// What must be taken after [`hold`], in this order: by priority, then what was disabled, then
/// what comes a second time when it is no longer active.
const EXPECTED: [u32; 6] = [LEVEL, PENDING, SGI, LOW, DISABLED, ACTIVE_AND_PENDING];
const LOG_LEN: usize = 16;

static LOG: [AtomicU64; LOG_LEN] = [const { AtomicU64::new(0) }; LOG_LEN];
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// Whether what is taken stays active.
static HOLDING: AtomicBool = AtomicBool::new(false);

const RTCDR: usize = 0x0901_0000;
const RTCMR: usize = 0x0901_0004;
const RTCIMSC: usize = 0x0901_0010;
const RTCRIS: usize = 0x0901_0014;
const RTCICR: usize = 0x0901_001c;
const GICD_ICENABLER1: usize = 0x0800_0184;

/// Configures them, once.
pub fn start() {
    for intid in [PENDING, DISABLED, ACTIVE, ACTIVE_AND_PENDING, LOW, SGI] {
        gic::enable(intid, Trigger::Edge);
    }
    gic::enable(LEVEL, Trigger::Level);
    gic::set_priority(LEVEL, 0x90);
    gic::set_priority(SGI, 0xb0);
    gic::set_priority(LOW, priority::LOW);
    gic::split_end_of_interrupt(true);
    write32(RTCICR, 1);
}

/// Puts each into its state.
pub fn hold() {
    TAKEN.store(0, Relaxed);
    HOLDING.store(true, Relaxed);
    gic::set_pending(ACTIVE);
    gic::set_pending(ACTIVE_AND_PENDING);
    wait_until_taken(2);
    gic::set_mask(MASK);
    gic::set_pending(ACTIVE_AND_PENDING);
    write32(GICD_ICENABLER1, 1 << (DISABLED - 32));
    gic::set_pending(DISABLED);
    gic::set_pending(LOW);
    gic::send_to_self(SGI);
    gic::set_pending(PENDING);
    // A match with the second that it is now is due at once, unless that second just ended.
    write32(RTCIMSC, 1);
    while read32(RTCRIS) == 0 {
        write32(RTCMR, read32(RTCDR));
    }
    cpu::barrier();
}

/// Takes them all. Whether each came, once and in order; if not, says so.
pub fn take() -> bool {
    let states = [PENDING, DISABLED, ACTIVE_AND_PENDING, LOW, SGI, LEVEL]
        .map(gic::is_pending)
        .iter()
        .all(|is| *is)
        && gic::is_active(ACTIVE)
        && gic::is_active(ACTIVE_AND_PENDING)
        && !gic::is_pending(ACTIVE);
    let early = TAKEN.load(Relaxed);
    TAKEN.store(0, Relaxed);
    HOLDING.store(false, Relaxed);
    gic::set_mask(priority::MASK_NONE);
    wait_until_taken(4);
    gic::enable(DISABLED, Trigger::Edge);
    wait_until_taken(5);
    gic::deactivate(ACTIVE_AND_PENDING);
    wait_until_taken(6);
    gic::deactivate(ACTIVE);
    let count = TAKEN.load(Relaxed);
    let same = EXPECTED.iter().zip(&LOG).all(|(a, b)| u64::from(*a) == b.load(Relaxed));
    let right = states && early == 2 && same && count == EXPECTED.len();
    if !right {
        println!("abi: interrupts: states {states}, {early} held active, {count} taken:");
        for place in LOG.iter().take(count) {
            println!("abi: interrupts: {}", place.load(Relaxed));
        }
    }
    right
}

/// How many are held.
pub const COUNT: usize = EXPECTED.len() + 1;

/// An interrupt is taken soon after it can be; one that is lost must show, and not hang the guest.
fn wait_until_taken(count: usize) {
    for _ in 0..1_000_000 {
        if TAKEN.load(Relaxed) >= count {
            return;
        }
        core::hint::spin_loop();
    }
}

/// Notes what is taken.
pub fn on_interrupt(intid: u32) -> Deactivate {
    let at = TAKEN.load(Relaxed);
    if let Some(place) = LOG.get(at) {
        place.store(u64::from(intid), Relaxed);
    }
    TAKEN.store(at + 1, Relaxed);
    if intid == LEVEL {
        write32(RTCIMSC, 0);
        write32(RTCICR, 1);
    }
    if HOLDING.load(Relaxed) { Deactivate::Later } else { Deactivate::Now }
}
