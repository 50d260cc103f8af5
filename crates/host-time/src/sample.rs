//! One look at the host's clock, paired with the guest's counter.

use crate::discipline::Discipline;
use crate::doubt::Doubt;
use std::io;

/// How often a look is begun anew when somebody changes the clock meanwhile.
const ATTEMPTS: usize = 8;
/// How many pairs a look takes at most; the tightest counts.
const PAIRS: usize = 8;
/// A pair as tight as this is good enough, in ns: what two reads of a clock cost.
const TIGHT_NS: u64 = 200;

/// Where the host's time comes from.
pub trait HostClock: Send {
    /// The state of the kernel's clock.
    ///
    /// # Errors
    /// What the kernel says.
    fn discipline(&mut self) -> io::Result<Discipline>;

    /// UTC as the kernel shows it: during a leap second it shows the last second again.
    fn utc(&mut self) -> Utc;

    /// How long the host has slept since it was started, with its counters standing still.
    fn suspended(&mut self) -> Suspended;
}

/// A moment of UTC, in seconds and nanoseconds since 1970-01-01 00:00:00 UTC without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds, below 10^9.
    pub ns: u32,
}

/// Between which bounds the time lies that the host slept, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspended {
    /// At least.
    pub least_ns: i64,
    /// At most.
    pub most_ns: i64,
}

/// The counter that the guest reads.
#[derive(Clone, Copy)]
pub struct GuestCounter<'a> {
    /// Reads it.
    pub read: &'a dyn Fn() -> u64,
    /// Its nominal frequency, in Hz.
    pub hz: u64,
    /// By how many ticks what is read may differ from what the guest reads at that moment.
    pub off_ticks: u64,
}

/// The host's UTC between two reads of the guest's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The counter before.
    pub before: u64,
    /// The time.
    pub utc: Utc,
    /// The counter after.
    pub after: u64,
}

/// One look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The state of the kernel's clock, with the errors that it had at the pair's moment.
    pub discipline: Discipline,
    /// The tightest pair.
    pub pair: Pair,
    /// The counter's nominal frequency, in Hz.
    pub hz: u64,
    /// See [`GuestCounter::off_ticks`].
    pub off_ticks: u64,
}

impl Sample {
    /// Takes one. The state of the clock is read before and after: a pair during which somebody
    /// set it, or a leap second began, is thrown away.
    ///
    /// # Errors
    /// [`Doubt`]: the kernel does not answer, or answers nonsense, is never left alone, or the
    /// counter goes back.
    pub fn take(clock: &mut dyn HostClock, counter: &GuestCounter<'_>) -> Result<Self, Doubt> {
        for _ in 0..ATTEMPTS {
            let start = (counter.read)();
            let before = plausible(clock)?;
            let pair = tightest(clock, counter)?;
            let after = plausible(clock)?;
            if before.has_settings_of(&after) {
                let waited = pair.before.wrapping_sub(start);
                // Errors grow at the end of a second. Where that was not between the first look
                // and the pair, the errors of the first look are the pair's.
                let is_same_second = waited < counter.hz / 4 && pair.utc.ns >= 300_000_000;
                let discipline = if is_same_second { before } else { before.with_worse(&after) };
                let (hz, off_ticks) = (counter.hz, counter.off_ticks);
                return Ok(Self { discipline, pair, hz, off_ticks });
            }
        }
        Err(Doubt::Unsteady)
    }
}

fn plausible(clock: &mut dyn HostClock) -> Result<Discipline, Doubt> {
    let discipline = clock
        .discipline()
        .map_err(|error| Doubt::Unreadable { errno: error.raw_os_error().unwrap_or(0) })?;
    match discipline.implausible() {
        Some((field, found)) => Err(Doubt::Implausible { field, found }),
        None => Ok(discipline),
    }
}

fn tightest(clock: &mut dyn HostClock, counter: &GuestCounter<'_>) -> Result<Pair, Doubt> {
    let tight = u128::from(TIGHT_NS) * u128::from(counter.hz) / 1_000_000_000;
    let mut best: Option<Pair> = None;
    for _ in 0..PAIRS {
        let before = (counter.read)();
        let utc = clock.utc();
        let after = (counter.read)();
        let pair = Pair { before, utc, after };
        // Half of the circle lies ahead, half behind.
        if pair.width_ticks() > u64::MAX / 2 {
            return Err(Doubt::CounterWentBack { from: before, to: after });
        }
        if best.is_none_or(|best| pair.width_ticks() < best.width_ticks()) {
            best = Some(pair);
        }
        if u128::from(pair.width_ticks()) <= tight {
            break;
        }
    }
    best.ok_or(Doubt::Unsteady)
}

impl Pair {
    /// The counter's way from before to after.
    #[must_use]
    pub const fn width_ticks(&self) -> u64 {
        self.after.wrapping_sub(self.before)
    }
}
