//! When a guest that is handed over stood still, by its host's clocks, so that the one that takes
//! it over knows for how long it did.
//!
//! A record of facts about the host: volatile, so that versions which do not know it drop it, and
//! no part of the guest's state or its hash.

use abide_reg::{Class, Entry, Intake, IntakeError, Name, RegDef, RegId, Scope, Value};
use abide_snapshot::UnitRecord;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The record's name.
pub(crate) const NAME: Name = Name::new("departure");

const BOOT: RegId = RegId::named("departure.boot");
const fn volatile(id: &'static str, name: &'static str) -> RegDef {
    RegDef::state(RegId::named(id), name, 8).class(Class::Volatile)
}
const UPTIME_NS: RegDef = volatile("departure.uptime_ns", "CLOCK_BOOTTIME");
const REAL_NS: RegDef = volatile("departure.real_ns", "CLOCK_REALTIME");
const PAUSE_NS: RegDef = volatile("departure.pause_ns", "time to rest");
const FLUSH_NS: RegDef = volatile("departure.flush_ns", "time to flush");
const PAGES_NS: RegDef = volatile("departure.pages_ns", "time to find pages");

/// The length of the kernel's name for one run of a host, in bytes: a UUID as text.
const BOOT_LEN: usize = 36;

/// When a guest stood still, and how it came to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Which run of which host `uptime_ns` is of; empty where the host does not tell.
    pub boot: Vec<u8>,
    /// The host's CLOCK_BOOTTIME, in ns.
    pub uptime_ns: u64,
    /// The host's CLOCK_REALTIME, in ns since 1970.
    pub real_ns: u64,
    /// How long it took until every vCPU rested.
    pub pause: Duration,
    /// How long its disks took to be flushed.
    pub flush: Duration,
    /// How long the last written pages took to be found.
    pub pages: Duration,
}

/// How long a guest stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standstill {
    /// How long.
    pub len: Duration,
    /// Whether one clock says so, and not those of two hosts.
    pub is_of_one_clock: bool,
}

/// What a guest's counter shows of the time for which it stood still. Its real-time clock and the
/// page with the time always tell what the new host says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockPolicy {
    /// All of it: the counter goes on as if it had never stood still, and timers that were due
    /// meanwhile fire.
    #[default]
    Continue,
    /// Nothing of it: the counter goes on where it stood.
    Freeze,
}

/// How a guest came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// For how long it stood still, until its counter went on; `None` where nothing tells.
    pub standstill: Option<Standstill>,
    /// By how many ticks its counter was set ahead. None in virtual time, which has not passed.
    pub skipped_ticks: u64,
}

fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let [seconds, ns] = [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(ns)
}

fn boot() -> Vec<u8> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = text.trim().as_bytes();
    if text.len() == BOOT_LEN { text.to_vec() } else { Vec::new() }
}

impl Departure {
    /// A guest that stands still from now on.
    pub(crate) fn now(pause: Duration) -> Self {
        let none = Duration::ZERO;
        // Which takes longest, and is no time of the guest's.
        let boot = boot();
        let (uptime_ns, real_ns) = (now_ns(ClockId::Boottime), now_ns(ClockId::Realtime));
        Self { boot, uptime_ns, real_ns, pause, flush: none, pages: none }
    }

    /// For how long it has stood still by now. A clock that was set back counts as none at all.
    #[must_use]
    pub fn standstill(&self) -> Standstill {
        let is_of_one_clock = !self.boot.is_empty() && self.boot == boot();
        let ns = if is_of_one_clock {
            now_ns(ClockId::Boottime).saturating_sub(self.uptime_ns)
        } else {
            now_ns(ClockId::Realtime).saturating_sub(self.real_ns)
        };
        Standstill { len: Duration::from_nanos(ns), is_of_one_clock }
    }

    pub(crate) fn save(&self) -> UnitRecord {
        let Self { boot, uptime_ns, real_ns, pause, flush, pages } = self;
        let ns = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let numbers = [
            (&UPTIME_NS, *uptime_ns),
            (&REAL_NS, *real_ns),
            (&PAUSE_NS, ns(pause)),
            (&FLUSH_NS, ns(flush)),
            (&PAGES_NS, ns(pages)),
        ];
        let mut entries = vec![Entry::new(BOOT, Class::Volatile, Value::bytes(boot))];
        entries.extend(numbers.map(|(def, number)| Entry::of(def, Value::u64(number))));
        UnitRecord { unit: NAME, scope: Scope::Vm, class: Class::Volatile, entries }
    }

    /// What [`Self::save`] saved; what else stands there is no longer true.
    pub(crate) fn restore(mut entries: Vec<Entry>) -> Result<Self, IntakeError> {
        let at = entries.iter().position(|entry| entry.id == BOOT);
        let missing = IntakeError::Missing { id: BOOT, name: "boot" };
        let boot = entries.remove(at.ok_or(missing)?).value.as_bytes().to_vec();
        let mut intake = Intake::new(entries)?;
        let mut ns = |def| intake.u64(def);
        let (uptime_ns, real_ns) = (ns(&UPTIME_NS)?, ns(&REAL_NS)?);
        let [pause, flush, pages] = [ns(&PAUSE_NS)?, ns(&FLUSH_NS)?, ns(&PAGES_NS)?];
        let [pause, flush, pages] = [pause, flush, pages].map(Duration::from_nanos);
        Ok(Self { boot, uptime_ns, real_ns, pause, flush, pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_found_again() {
        let mut departure = Departure::now(Duration::from_nanos(7));
        departure.flush = Duration::from_nanos(8);
        let record = departure.save();
        assert_eq!((record.class, record.unit.as_str()), (Class::Volatile, "departure"));
        assert_eq!(Departure::restore(record.entries).unwrap(), departure);
        assert!(Departure::restore(Vec::new()).is_err());
    }

    #[test]
    fn standstill_is_told_by_one_clock_only_on_the_same_host() {
        let here = Departure { boot: boot(), ..Departure::now(Duration::ZERO) };
        assert_eq!(here.standstill().is_of_one_clock, !here.boot.is_empty());
        let real_ns = here.real_ns - 5_000_000_000;
        let elsewhere = Departure { boot: vec![b'x'; BOOT_LEN], real_ns, ..here.clone() };
        let stood = elsewhere.standstill();
        assert!(!stood.is_of_one_clock && stood.len >= Duration::from_secs(5), "{stood:?}");
        let ahead = Departure { uptime_ns: u64::MAX, ..here };
        assert!(ahead.boot.is_empty() || ahead.standstill().len.is_zero());
    }
}
