//! Time: the virtual counter, its timer as a tick, and the PL031 clock `[DDI0487 D12] [DDI0224]`.

use crate::{cpu, gic, mmio, mrs, msr};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The virtual timer's private interrupt.
pub const INTID: u32 = 27;

const PL031_RTCDR: usize = 0x0901_0000;
const CTL_ENABLE: u64 = 1;

static PERIOD_COUNTS: AtomicU64 = AtomicU64::new(0);
static STARTED_AT: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);
static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// The virtual counter.
#[must_use]
pub fn counter() -> u64 {
    cpu::barrier();
    mrs!("cntvct_el0")
}

/// Its frequency, in Hz.
#[must_use]
pub fn frequency_hz() -> u64 {
    mrs!("cntfrq_el0").max(1)
}

/// Starts the tick.
pub fn start(ticks_per_second: u64) {
    let now = counter();
    let period = (frequency_hz() / ticks_per_second).max(1);
    PERIOD_COUNTS.store(period, Relaxed);
    STARTED_AT.store(now, Relaxed);
    msr!("cntv_cval_el0", now + period);
    msr!("cntv_ctl_el0", CTL_ENABLE);
    gic::enable(INTID, gic::Trigger::Level);
}

/// Sets the next deadline from the last one, so that ticks do not drift; deadlines that passed
/// unserved (the machine was paused, and its counter went on) are counted as skipped.
pub(crate) fn on_interrupt() {
    let period = PERIOD_COUNTS.load(Relaxed).max(1);
    let deadline = mrs!("cntv_cval_el0");
    let late = counter().wrapping_sub(deadline) / period;
    msr!("cntv_cval_el0", deadline.wrapping_add(period * (late + 1)));
    TICKS.store(TICKS.load(Relaxed) + 1, Relaxed);
    SKIPPED.store(SKIPPED.load(Relaxed) + late, Relaxed);
}

/// Ticks served.
#[must_use]
pub fn ticks() -> u64 {
    TICKS.load(Relaxed)
}

/// Ticks that passed unserved.
#[must_use]
pub fn skipped() -> u64 {
    SKIPPED.load(Relaxed)
}

/// Milliseconds since [`start`].
#[must_use]
pub fn uptime_ms() -> u64 {
    let counts = u128::from(counter() - STARTED_AT.load(Relaxed));
    (counts * 1000 / u128::from(frequency_hz())) as u64
}

/// Sleeps until the tick was served `count` more times.
pub fn sleep_ticks(count: u64) {
    let end = ticks() + count;
    while ticks() < end {
        cpu::mask_interrupts();
        if ticks() < end {
            cpu::wait_for_interrupt();
        }
        cpu::unmask_interrupts();
    }
}

/// Seconds since 1970 as the real-time clock tells them.
#[must_use]
pub fn rtc_seconds() -> u32 {
    mmio::read32(PL031_RTCDR)
}
