//! The machine's clock: one for all of its devices and vCPUs.

use crate::counter::{now_ns, ticks_in};
use abide_engine::Clock;
use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use rustix::time::ClockId;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many instructions make a tick of virtual time: at 62.5 MHz the guest believes to run 500
/// million instructions a second, about what it gets.
const INSTRUCTIONS_PER_TICK: u64 = 8;

/// The date at which virtual time begins: 2026-01-01 00:00:00 UTC.
const VIRTUAL_EPOCH_S: u64 = 1_767_225_600;

const VIRTUAL: u8 = 1;
const HOST: u8 = 0;

const KIND: RegDef = RegDef::state(RegId::named("clock.virtual"), "virtual", 1);
const TICKS: RegDef = RegDef::state(RegId::named("clock.ticks"), "ticks", 8);
const INSTRUCTIONS: RegDef = RegDef::state(RegId::named("clock.instructions"), "instructions", 8);
/// Every register of the clock.
pub const TABLE: &[RegDef] = &[KIND, TICKS, INSTRUCTIONS];

/// What makes time pass.
#[derive(Debug)]
enum Source {
    /// Retired instructions and the jumps of an idle machine.
    Virtual {
        /// Ticks jumped over while every vCPU slept, plus the start.
        warp_ticks: AtomicU64,
    },
    /// The host's own oscillator, while running: whoever corrects the host's clock does not bend
    /// the guest's counter, which has a fixed frequency.
    Host(RwLock<HostTime>),
}

#[derive(Debug)]
struct HostTime {
    /// The counter when `since` was taken.
    ticks: u64,
    /// Since when it runs, by [`oscillator_ns`]; `None` before its first run.
    since_ns: Option<u64>,
    /// What is shown of it while nobody may see it move.
    held: Option<u64>,
}

impl HostTime {
    fn stopped(ticks: u64) -> Self {
        Self { ticks, since_ns: None, held: None }
    }

    fn now_ticks(&self, cntfrq_hz: u64) -> u64 {
        let ran_ns = self.since_ns.map_or(0, |since| oscillator_ns().saturating_sub(since));
        let now = self.ticks.saturating_add(ticks_in(ran_ns.into(), cntfrq_hz));
        self.held.unwrap_or(now)
    }
}

/// What the host's oscillator has counted, in ns: CLOCK_MONOTONIC_RAW, which is neither set nor
/// slewed.
fn oscillator_ns() -> u64 {
    now_ns(ClockId::MonotonicRaw)
}

/// The system counter of a machine.
#[derive(Debug)]
pub struct MachineClock {
    cntfrq_hz: u64,
    instructions: AtomicU64,
    source: Source,
}

impl MachineClock {
    /// A clock that moves with instructions only: the same on every run.
    #[must_use]
    pub fn new_virtual(cntfrq_hz: u64) -> Self {
        let source = Source::Virtual { warp_ticks: AtomicU64::new(0) };
        Self { cntfrq_hz, instructions: AtomicU64::new(0), source }
    }

    /// A clock that follows the host's once [`Self::resume`]d.
    #[must_use]
    pub fn new_host(cntfrq_hz: u64) -> Self {
        let source = Source::Host(RwLock::new(HostTime::stopped(0)));
        Self { cntfrq_hz, instructions: AtomicU64::new(0), source }
    }

    /// Whether time is virtual.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        matches!(self.source, Source::Virtual { .. })
    }

    /// Instructions executed since the guest was started, by all vCPUs that count them.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.instructions.load(Ordering::Relaxed)
    }

    /// The counter's frequency, in Hz.
    #[must_use]
    pub fn cntfrq_hz(&self) -> u64 {
        self.cntfrq_hz
    }

    /// Lets virtual time jump to `ticks`, if that is ahead.
    pub fn warp_to(&self, ticks: u64) {
        if let Source::Virtual { warp_ticks } = &self.source {
            let ahead = ticks.saturating_sub(self.now_ticks());
            warp_ticks.fetch_add(ahead, Ordering::Relaxed);
        }
    }

    /// Lets the host's time, which stands still, go on from `ahead` later than where it stood.
    /// Virtual time has nothing to catch up with. Returns the ticks.
    pub(crate) fn skip(&self, ahead: std::time::Duration) -> u64 {
        let Source::Host(time) = &self.source else { return 0 };
        let ticks = ticks_in(ahead.as_nanos(), self.cntfrq_hz);
        let mut time = time.write().unwrap_or_else(PoisonError::into_inner);
        time.ticks = time.ticks.saturating_add(ticks);
        ticks
    }

    /// Holds what is shown of time: all that looks at a machine at rest, a save above all, sees one
    /// moment. Virtual time stops by itself.
    pub fn pause(&self) {
        if let Source::Host(time) = &self.source {
            let mut time = time.write().unwrap_or_else(PoisonError::into_inner);
            time.held = Some(time.now_ticks(self.cntfrq_hz));
        }
    }

    /// Shows time again: as on hardware, and as KVM does it, the counter went on meanwhile, so what
    /// was known of it still holds. A clock that never ran begins to.
    pub fn resume(&self) {
        if let Source::Host(time) = &self.source {
            let mut time = time.write().unwrap_or_else(PoisonError::into_inner);
            time.held = None;
            time.since_ns.get_or_insert_with(oscillator_ns);
        }
    }

    /// Nanoseconds since 1970: the host's real time, or virtual time from a fixed date on.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        match self.source {
            Source::Virtual { .. } => {
                let ran_ns =
                    u128::from(self.now_ticks()) * 1_000_000_000 / u128::from(self.cntfrq_hz);
                let epoch_ns = u128::from(VIRTUAL_EPOCH_S) * 1_000_000_000;
                u64::try_from(epoch_ns + ran_ns).unwrap_or(u64::MAX)
            }
            Source::Host(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| u64::try_from(since.as_nanos()).ok())
                .unwrap_or(0),
        }
    }

    /// Seconds since 1970, as the real-time clock shows them.
    #[must_use]
    pub fn wall_s(&self) -> u64 {
        self.wall_ns() / 1_000_000_000
    }

    /// When virtual time shows `wall_s`, in ticks.
    #[must_use]
    pub fn ticks_of_wall_s(&self, wall_s: u64) -> u64 {
        wall_s.saturating_sub(VIRTUAL_EPOCH_S).saturating_mul(self.cntfrq_hz)
    }

    /// How long the host must wait until the counter reaches `ticks`; `None` if time is virtual.
    #[must_use]
    pub fn host_wait(&self, ticks: u64) -> Option<std::time::Duration> {
        if self.is_virtual() {
            return None;
        }
        let ahead = u128::from(ticks.saturating_sub(self.now_ticks()));
        let wait_ns = (ahead * 1_000_000_000).div_ceil(u128::from(self.cntfrq_hz));
        Some(std::time::Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(u64::MAX)))
    }

    /// The clock's registers.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let kind = if self.is_virtual() { VIRTUAL } else { HOST };
        vec![
            Entry::of(&KIND, Value::u8(kind)),
            Entry::of(&TICKS, Value::u64(self.now_ticks())),
            Entry::of(&INSTRUCTIONS, Value::u64(self.instructions())),
        ]
    }

    /// The clock that [`Self::save`] saved, stopped.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub fn restore(cntfrq_hz: u64, entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let kind = intake.take(&KIND)?;
        let ticks = intake.u64(&TICKS)?;
        let instructions = intake.u64(&INSTRUCTIONS)?;
        let source = match kind.to_u8() {
            Some(VIRTUAL) => {
                let by_instructions = instructions / INSTRUCTIONS_PER_TICK;
                let warp = ticks.checked_sub(by_instructions).ok_or(IntakeError::Value {
                    id: TICKS.id,
                    found: Value::u64(ticks),
                    allowed: "at least an eighth of clock.instructions",
                })?;
                Source::Virtual { warp_ticks: AtomicU64::new(warp) }
            }
            Some(HOST) => Source::Host(RwLock::new(HostTime::stopped(ticks))),
            _ => {
                let allowed = "0 (host time) or 1 (virtual time)";
                return Err(IntakeError::Value { id: KIND.id, found: kind, allowed });
            }
        };
        let clock = Self { cntfrq_hz, instructions: AtomicU64::new(instructions), source };
        Ok((clock, intake.finish()?))
    }
}

impl Clock for MachineClock {
    fn now_ticks(&self) -> u64 {
        match &self.source {
            Source::Virtual { warp_ticks } => {
                let by_instructions = self.instructions() / INSTRUCTIONS_PER_TICK;
                by_instructions.saturating_add(warp_ticks.load(Ordering::Relaxed))
            }
            Source::Host(time) => {
                let time = time.read().unwrap_or_else(PoisonError::into_inner);
                time.now_ticks(self.cntfrq_hz)
            }
        }
    }

    fn retire(&self, instructions: u64) {
        self.instructions.fetch_add(instructions, Ordering::Relaxed);
    }

    fn instructions_until(&self, ticks: u64) -> Option<u64> {
        if !self.is_virtual() {
            return None;
        }
        let now = self.instructions();
        let ahead = ticks.saturating_sub(self.now_ticks());
        // From the last tick's edge, not from now: a part of the next tick is already done.
        let edge = now - now % INSTRUCTIONS_PER_TICK;
        Some(edge.saturating_add(ahead.saturating_mul(INSTRUCTIONS_PER_TICK)).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_reg::Class;

    #[test]
    fn virtual_time_counts_instructions_and_jumps() {
        let clock = MachineClock::new_virtual(62_500_000);
        clock.retire(17);
        assert_eq!(clock.now_ticks(), 2);
        assert_eq!(clock.instructions_until(4), Some(32 - 17));
        assert_eq!(clock.instructions_until(1), Some(0));
        clock.warp_to(100);
        assert_eq!(clock.now_ticks(), 100);
        clock.warp_to(50);
        assert_eq!(clock.now_ticks(), 100, "time never goes back");
        assert_eq!(clock.host_wait(200), None);
    }

    #[test]
    fn a_restored_virtual_clock_goes_on_at_the_very_instruction() {
        let clock = MachineClock::new_virtual(62_500_000);
        clock.retire(1003);
        clock.warp_to(777);
        let (restored, _) = MachineClock::restore(62_500_000, clock.save()).unwrap();
        for clock in [&clock, &restored] {
            clock.retire(5);
        }
        assert_eq!(restored.now_ticks(), clock.now_ticks());
        assert_eq!(restored.save(), clock.save());
        assert_eq!(restored.instructions_until(900), clock.instructions_until(900));
    }

    #[test]
    fn a_host_clock_stands_still_until_resumed() {
        let clock = MachineClock::new_host(62_500_000);
        assert_eq!(clock.now_ticks(), 0);
        assert_eq!(clock.instructions_until(1), None);
        let saved = clock.save();
        let (restored, _) = MachineClock::restore(62_500_000, saved.clone()).unwrap();
        assert_eq!(restored.save(), saved);
    }

    #[test]
    fn a_pause_is_seen_only_afterwards() {
        let clock = MachineClock::new_host(1_000_000_000);
        clock.resume();
        clock.pause();
        let shown = clock.now_ticks();
        let start = oscillator_ns();
        while oscillator_ns() < start + 1_000_000 {}
        clock.pause();
        assert_eq!(clock.now_ticks(), shown, "held from the first pause on");
        clock.resume();
        assert!(clock.now_ticks() >= shown + 1_000_000, "the counter went on");
    }

    #[test]
    fn impossible_clocks_are_refused() {
        let with = |kind: u8, ticks: u64, instructions: u64| {
            MachineClock::restore(
                62_500_000,
                vec![
                    Entry::of(&KIND, Value::u8(kind)),
                    Entry::of(&TICKS, Value::u64(ticks)),
                    Entry::of(&INSTRUCTIONS, Value::u64(instructions)),
                ],
            )
        };
        assert!(matches!(with(2, 0, 0), Err(IntakeError::Value { .. })));
        assert!(matches!(with(VIRTUAL, 1, 1000), Err(IntakeError::Value { .. })));
        assert!(with(VIRTUAL, u64::MAX, u64::MAX).is_ok());
        let unknown = Entry::new(RegId::named("clock.new"), Class::Mandatory, Value::u8(0));
        let mut entries = MachineClock::new_host(1).save();
        entries.push(unknown);
        assert!(matches!(MachineClock::restore(1, entries), Err(IntakeError::Unknown { .. })));
    }
}
