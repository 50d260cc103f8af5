//! Interrupts that stay in every state for a while: pending behind a mask, active, active and
//! pending, and one preempting another. A save at any time finds the controller busy.

use super::Sequence;
use crate::Done;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kit::{Arena, Deactivate, cpu, gic, hash};

const SGI_ACTIVE: u32 = 1;
const SGI_OUTER: u32 = 2;
const SGI_INNER: u32 = 3;
/// SPI 13, to which the board connects nothing.
const SPI: u32 = 45;
const ROUNDS: u64 = 4;
/// How much work is done in each state.
const WORK: u64 = 60_000;

/// What happened, in order, one hexadecimal digit each, the latest lowest.
static LOG: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);

const SPI_TAKEN: u64 = 0xd;
const ACTIVE_TAKEN: u64 = 1;
const OUTER_BEGUN: u64 = 0xa;
const INNER_TAKEN: u64 = 3;
const OUTER_ENDED: u64 = 0xb;
/// What a round must log.
const ROUND_LOG: u64 = 0xd1_1a3b;

fn log(event: u64) {
    LOG.store(LOG.load(Relaxed) << 4 | event, Relaxed);
}

fn work() -> u64 {
    let mut sequence = Sequence::new(10);
    (0..WORK).fold(0, |sum, _| sum ^ sequence.next())
}

pub fn run(_arena: &mut Arena) -> Done {
    for intid in [SGI_ACTIVE, SGI_OUTER, SGI_INNER, SPI] {
        gic::enable(intid, gic::Trigger::Edge);
    }
    gic::set_priority(SGI_OUTER, gic::priority::LOW);
    gic::set_priority(SGI_INNER, gic::priority::URGENT);
    let mut right = true;
    let mut sum = 0;
    for _ in 0..ROUNDS {
        LOG.store(0, Relaxed);
        right &= pending_behind_mask(&mut sum);
        right &= active_and_pending(&mut sum);
        gic::send_to_self(SGI_OUTER);
        right &= LOG.load(Relaxed) == ROUND_LOG;
    }
    let count = COUNT.load(Relaxed);
    right &= count == 5 * ROUNDS;
    Done {
        number: count,
        unit: "interrupts in all states",
        right,
        hash: hash::of(&[count, sum, LOG.load(Relaxed)]),
    }
}

fn pending_behind_mask(sum: &mut u64) -> bool {
    // Only the tick is more urgent than this.
    gic::set_mask(gic::priority::URGENT - 0x10);
    gic::set_pending(SPI);
    *sum = sum.wrapping_add(work());
    let right = gic::is_pending(SPI) && LOG.load(Relaxed) == 0;
    gic::set_mask(gic::priority::MASK_NONE);
    right && !gic::is_pending(SPI)
}

fn active_and_pending(sum: &mut u64) -> bool {
    gic::split_end_of_interrupt(true);
    gic::send_to_self(SGI_ACTIVE);
    *sum = sum.wrapping_add(work());
    let mut right = gic::is_active(SGI_ACTIVE) && !gic::is_pending(SGI_ACTIVE);
    gic::send_to_self(SGI_ACTIVE);
    *sum = sum.wrapping_add(work());
    right &= gic::is_active(SGI_ACTIVE) && gic::is_pending(SGI_ACTIVE);
    // It comes a second time only now.
    gic::deactivate(SGI_ACTIVE);
    right &= gic::is_active(SGI_ACTIVE) && !gic::is_pending(SGI_ACTIVE);
    gic::deactivate(SGI_ACTIVE);
    gic::split_end_of_interrupt(false);
    right && !gic::is_active(SGI_ACTIVE)
}

pub fn on_interrupt(intid: u32) -> Deactivate {
    COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
    match intid {
        SGI_ACTIVE => {
            log(ACTIVE_TAKEN);
            return Deactivate::Later;
        }
        SGI_OUTER => {
            log(OUTER_BEGUN);
            // The frame on the stack keeps what a second interrupt would overwrite.
            cpu::unmask_interrupts();
            gic::send_to_self(SGI_INNER);
            core::hint::black_box(work());
            cpu::mask_interrupts();
            log(OUTER_ENDED);
        }
        SGI_INNER => {
            core::hint::black_box(work());
            log(INNER_TAKEN);
        }
        SPI => log(SPI_TAKEN),
        _ => {}
    }
    Deactivate::Now
}
