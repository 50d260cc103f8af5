//! The generic timers of a CPU: the virtual one and the physical one of EL1.
//!
//! [DDI0487 D12 The Generic Timer in AArch64 state]

use crate::cpu::{Cpu, Wait};
use crate::shared::Shared;
use crate::sysreg::Slot;
use abide_engine::{Bus, Clock};
use abide_reg::VcpuId;
use std::sync::atomic::Ordering;

/// The PPI of the virtual timer, as on all common boards
/// `[linux Documentation/devicetree/bindings/timer/arm,arch_timer.yaml]`.
pub const VIRTUAL_TIMER_INTID: u32 = 27;
/// The PPI of the physical timer of EL1.
pub const PHYSICAL_TIMER_INTID: u32 = 30;

const ENABLE: u64 = 1;
const IMASK: u64 = 2;
const ISTATUS: u64 = 4;

/// CNTKCTL_EL1: the event stream is on.
const EVNTEN: u64 = 1 << 2;
/// CNTKCTL_EL1: an event comes when the bit falls rather than rises.
const EVNTDIR: u64 = 1 << 3;

/// One of the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Virtual,
    Physical,
}

/// Both, in the order of their INTIDs.
pub(crate) const TIMERS: [Timer; 2] = [Timer::Virtual, Timer::Physical];

impl Timer {
    const fn ctl(self) -> Slot {
        match self {
            Self::Virtual => Slot::CntvCtlEl0,
            Self::Physical => Slot::CntpCtlEl0,
        }
    }

    const fn cval(self) -> Slot {
        match self {
            Self::Virtual => Slot::CntvCvalEl0,
            Self::Physical => Slot::CntpCvalEl0,
        }
    }

    const fn intid(self) -> u32 {
        match self {
            Self::Virtual => VIRTUAL_TIMER_INTID,
            Self::Physical => PHYSICAL_TIMER_INTID,
        }
    }

    /// How far its count is behind the machine's clock, in ticks.
    fn offset(self, shared: &Shared) -> u64 {
        match self {
            Self::Virtual => shared.virtual_offset.load(Ordering::Relaxed),
            Self::Physical => shared.physical_offset.load(Ordering::Relaxed),
        }
    }

    /// CNTVCT or CNTPCT.
    pub fn count(self, shared: &Shared, clock: &dyn Clock) -> u64 {
        clock.now_ticks().wrapping_sub(self.offset(shared))
    }
}

impl Cpu {
    /// CNTx_CTL with ISTATUS.
    pub fn timer_ctl(&self, timer: Timer, count: u64) -> u64 {
        let ctl = self.sys(timer.ctl());
        let met = ctl & ENABLE != 0 && count >= self.sys(timer.cval());
        ctl | if met { ISTATUS } else { 0 }
    }

    /// CNTx_TVAL: the low 32 bits of the way to go.
    pub fn timer_tval(&self, timer: Timer, count: u64) -> u64 {
        self.sys(timer.cval()).wrapping_sub(count) & 0xffff_ffff
    }

    /// Sets CNTx_TVAL: the comparator at a signed distance.
    pub fn set_timer_tval(&mut self, timer: Timer, count: u64, value: u64) {
        let distance = ((value << 32).cast_signed() >> 32).cast_unsigned();
        self.set_sys(timer.cval(), count.wrapping_add(distance));
    }

    /// Brings the levels of the outputs to the interrupt controller where they changed.
    pub fn update_timers(&mut self, id: VcpuId, shared: &Shared, clock: &dyn Clock, bus: &dyn Bus) {
        for (at, timer) in TIMERS.into_iter().enumerate() {
            let ctl = self.timer_ctl(timer, timer.count(shared, clock));
            let level = ctl & ISTATUS != 0 && ctl & IMASK == 0;
            if self.timer_levels[at] != Some(level) {
                self.timer_levels[at] = Some(level);
                bus.set_ppi(id, timer.intid(), level);
            }
        }
    }

    /// When, in ticks of the machine's clock, an output rises next: at once, if it is due and the
    /// interrupt controller has not heard of it.
    pub fn timer_deadline(&self, shared: &Shared, clock: &dyn Clock) -> Option<u64> {
        // One look for all, for a clock that goes by itself has gone on at the next.
        let now = clock.now_ticks();
        let deadline = |(at, timer): (usize, Timer)| {
            if self.sys(timer.ctl()) & (ENABLE | IMASK) != ENABLE {
                return None;
            }
            let count = now.wrapping_sub(timer.offset(shared));
            let ahead = self.sys(timer.cval()).saturating_sub(count);
            let is_known = ahead == 0 && self.timer_levels[at] == Some(true);
            now.checked_add(ahead).filter(|_| !is_known)
        };
        TIMERS.into_iter().enumerate().filter_map(deadline).min()
    }

    /// When, as a virtual count, the event stream brings its next event; `None` while it is off.
    pub fn next_event(&self, count: u64) -> Option<u64> {
        let cntkctl = self.sys(Slot::CntkctlEl1);
        if cntkctl & EVNTEN == 0 {
            return None;
        }
        let bit = 1u64 << (cntkctl >> 4 & 0xf);
        let phase = if cntkctl & EVNTDIR == 0 { bit } else { 0 };
        // The next count that is `phase` modulo two bits' worth.
        let period = 2 * bit;
        let passed = count.wrapping_sub(phase) & (period - 1);
        Some(count.wrapping_add(period - passed))
    }

    /// Whether a wait for the event stream is over.
    pub fn event_due(&self, count: u64) -> bool {
        self.wait == Wait::Event && count.wrapping_sub(self.wait_until).cast_signed() >= 0
    }
}
