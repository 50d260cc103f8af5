//! When a guest that is handed over stood still, by its host's clocks, so that the one that takes
//! it over knows for how long it did.
//!
//! A record of facts about the host: volatile, so that versions which do not know it drop it, and
//! no part of the guest's state or its hash.

use crate::counter::{self, Off, now_ns};
use abide_host_time::discipline::TOLERANCE_PPT;
use abide_host_time::{HostClock, KernelClock};
use abide_reg::{Class, Entry, Intake, IntakeError, Name, RegDef, RegId, Scope, Value};
use abide_snapshot::UnitRecord;
use rustix::time::ClockId;
use std::convert::Infallible;
use std::time::Duration;

/// The record's name.
pub(crate) const NAME: Name = Name::new("departure");

const BOOT: RegId = RegId::named("departure.boot");
const fn volatile(id: &'static str, name: &'static str) -> RegDef {
    RegDef::state(RegId::named(id), name, 8).class(Class::Volatile)
}
const UPTIME_NS: RegDef = volatile("departure.uptime_ns", "CLOCK_BOOTTIME");
const REAL_NS: RegDef = volatile("departure.real_ns", "CLOCK_REALTIME");
const REAL_ERROR_NS: RegDef = volatile("departure.real_error_ns", "its largest error");
const COUNTER_ERROR_NS: RegDef = volatile("departure.counter_error_ns", "the counter's error");
const IS_PAUSED: RegDef = volatile("departure.is_paused", "paused");
const PAUSE_NS: RegDef = volatile("departure.pause_ns", "time to rest");
const FLUSH_NS: RegDef = volatile("departure.flush_ns", "time to flush");
const PAGES_NS: RegDef = volatile("departure.pages_ns", "time to find pages");

/// The length of the kernel's name for one run of a host, in bytes: a UUID as text.
const BOOT_LEN: usize = 36;

/// The error of a clock that nothing keeps right.
const UNSYNCHRONISED: u64 = u64::MAX;

/// A moment, by one host's clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which run of which host `uptime_ns` is of; empty where the host does not tell.
    pub boot: Vec<u8>,
    /// The host's CLOCK_BOOTTIME, in ns.
    pub uptime_ns: u64,
    /// The host's CLOCK_REALTIME, in ns since 1970.
    pub real_ns: u64,
    /// How wrong that may be, in ns; `None` where nothing keeps the host's clock right.
    pub real_error_ns: Option<u64>,
}

/// When a guest stood still, and how it came to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// From when on.
    pub at: Moment,
    /// How far from what its counter was then the saved one may be, in ns: it went on while it was
    /// read.
    pub counter_error_ns: u64,
    /// Whether its operator had paused it: so it stays when it has come.
    pub is_paused: bool,
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
    /// How wrong that may be, in ns: what both clocks may be; `None` where nothing keeps one of
    /// them right.
    pub error_ns: Option<u64>,
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
    /// How far the counter is from that: what reading it there and setting it here left.
    pub off: Off,
}

/// How wrong this host's CLOCK_REALTIME may be, in ns, by its kernel; `None` where nothing keeps it
/// right.
fn real_error_ns() -> Option<u64> {
    let discipline = KernelClock.discipline().ok()?;
    if !discipline.is_synchronised() || discipline.implausible().is_some() {
        return None;
    }
    // The kernel adds what may be added in a second when that is over.
    let maxerror_us = u64::try_from(discipline.maxerror_us).ok()?;
    Some((maxerror_us + TOLERANCE_PPT / 1_000_000) * 1000)
}

fn boot() -> Vec<u8> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = text.trim().as_bytes();
    if text.len() == BOOT_LEN { text.to_vec() } else { Vec::new() }
}

impl Moment {
    /// This one.
    pub(crate) fn now() -> Self {
        // What takes longest comes first.
        let (boot, real_error_ns) = (boot(), real_error_ns());
        let read = || Ok::<_, Infallible>(now_ns(ClockId::Realtime));
        let Ok(seen) = counter::look(counter::uptime_ns, read);
        Self { boot, uptime_ns: seen.at_ns, real_ns: seen.found, real_error_ns }
    }

    /// How long it has been from `then` until this one. A clock that was set back counts as none at
    /// all.
    fn since(&self, then: &Self) -> Standstill {
        let is_of_one_clock = !then.boot.is_empty() && then.boot == self.boot;
        let (ns, error_ns) = if is_of_one_clock {
            (self.uptime_ns.saturating_sub(then.uptime_ns), Some(0))
        } else {
            let errors = then.real_error_ns.zip(self.real_error_ns);
            let sum = errors.map(|(there, here)| there.saturating_add(here));
            (self.real_ns.saturating_sub(then.real_ns), sum)
        };
        Standstill { len: Duration::from_nanos(ns), is_of_one_clock, error_ns }
    }
}

impl Departure {
    /// A guest that stands still from `at` on.
    pub(crate) fn new(at: Moment) -> Self {
        let [pause, flush, pages] = [Duration::ZERO; 3];
        Self { at, counter_error_ns: 0, is_paused: false, pause, flush, pages }
    }

    /// For how long it has stood still at another moment.
    pub(crate) fn standstill(&self, until: &Moment) -> Standstill {
        until.since(&self.at)
    }

    pub(crate) fn save(&self) -> UnitRecord {
        let Self { at, counter_error_ns, is_paused, pause, flush, pages } = self;
        let Moment { boot, uptime_ns, real_ns, real_error_ns } = at;
        let ns = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let numbers = [
            (&UPTIME_NS, *uptime_ns),
            (&REAL_NS, *real_ns),
            (&REAL_ERROR_NS, real_error_ns.unwrap_or(UNSYNCHRONISED)),
            (&COUNTER_ERROR_NS, *counter_error_ns),
            (&IS_PAUSED, u64::from(*is_paused)),
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
        // Who did not tell had nothing that keeps its clock right, and a guest that ran.
        let real_error_ns = ns(&REAL_ERROR_NS).ok().filter(|error| *error != UNSYNCHRONISED);
        let counter_error_ns = ns(&COUNTER_ERROR_NS).unwrap_or(0);
        let is_paused = ns(&IS_PAUSED).is_ok_and(|paused| paused != 0);
        let [pause, flush, pages] = [ns(&PAUSE_NS)?, ns(&FLUSH_NS)?, ns(&PAGES_NS)?];
        let [pause, flush, pages] = [pause, flush, pages].map(Duration::from_nanos);
        let at = Moment { boot, uptime_ns, real_ns, real_error_ns };
        Ok(Self { at, counter_error_ns, is_paused, pause, flush, pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_found_again() {
        let mut departure = Departure::new(Moment::now());
        [departure.pause, departure.flush] = [7, 8].map(Duration::from_nanos);
        (departure.at.real_error_ns, departure.is_paused) = (Some(9), true);
        departure.counter_error_ns = 10;
        let record = departure.save();
        assert_eq!((record.class, record.unit.as_str()), (Class::Volatile, "departure"));
        assert_eq!(Departure::restore(record.entries).unwrap(), departure);
        assert!(Departure::restore(Vec::new()).is_err());
    }

    #[test]
    fn standstill_is_told_by_one_clock_only_on_the_same_host() {
        let (here, boot) = (Moment::now(), vec![b'x'; BOOT_LEN]);
        let stood = here.since(&here);
        assert_eq!(stood.is_of_one_clock, !here.boot.is_empty());
        assert!(stood.len.is_zero(), "{stood:?}");
        let sure = Moment { real_error_ns: Some(3), ..here.clone() };
        let real_ns = here.real_ns - 5_000_000_000;
        let elsewhere = Moment { boot, real_ns, real_error_ns: Some(4), ..here.clone() };
        let stood = sure.since(&elsewhere);
        assert!(!stood.is_of_one_clock && stood.len == Duration::from_secs(5), "{stood:?}");
        // Both hosts' clocks, or nobody knows.
        assert_eq!(stood.error_ns, Some(7));
        let unsure = Moment { real_error_ns: None, ..elsewhere };
        assert_eq!(sure.since(&unsure).error_ns, None);
        assert_eq!(unsure.since(&sure).error_ns, None);
        let ahead = Moment { uptime_ns: u64::MAX, ..here.clone() };
        assert!(ahead.boot.is_empty() || here.since(&ahead).len.is_zero());
    }

    #[test]
    fn clocks_of_a_moment_are_read_together() {
        let [first, second] = [Moment::now(), Moment::now()];
        let [uptime_ns, real_ns] =
            [second.uptime_ns - first.uptime_ns, second.real_ns - first.real_ns];
        // They go on alike but for what corrects the one; nobody sets it just now.
        assert!(uptime_ns.abs_diff(real_ns) < 1_000_000 + uptime_ns / 1000);
    }
}
