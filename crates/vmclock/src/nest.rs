//! Which line may follow another: the promise that bounds nest.
//!
//! A guest that read the counter some time ago has computed bounds from the page of that moment.
//! Whatever the page says later, the time that it then gives for that counter must lie within those
//! bounds `[linux include/uapi/linux/vmclock-abi.h]`. The host's clock makes no such promise: it is
//! corrected, and its frequency changes. So a new line is chosen, not copied: as near to what the
//! host says as the promises of the earlier lines allow, with bounds that hold what the host claims
//! and what the page said, whichever is tighter.
//!
//! Each published line leaves a **gate** where it begins and another where it ends: a counter, and
//! the earliest and latest time that the page gave for it. All that was promised between is
//! linear, so a line that passes its gates keeps every promise. A line is two numbers, its height
//! and its slope; each pair of gates bounds the slope, and once it is chosen, each gate bounds the
//! height. No line may pass all gates: then the old one stays, whose own bounds go on to be true.
//!
//! No straight line can keep promises for ever while a real frequency wanders. What the page that
//! is being replaced promised is always kept: a line through two points of the truth does. Older
//! promises are kept as well while they are younger than [`HORIZON_S`] and among the last
//! [`GATES`], unless the page would become [`TOO_WIDE`] times as wrong as the host for their sake.

use crate::{Line, Period, Time};
use alloc::vec::Vec;

/// How long a counter reading may wait before it is turned into time, in seconds.
pub const HORIZON_S: u64 = 1024;
/// How many gates are kept.
pub const GATES: usize = 16;
/// In how many seconds an error of the page is worked off, in seconds.
const SLEW_S: u64 = 64;
/// How much faster or slower than the host's clock the page may run for that, in parts of 10^12:
/// as much as the kernel's own clock may `[linux kernel/time/ntp.c MAXFREQ]`.
const SLEW_MAX_PPT: u64 = 500_000_000;
/// From how many times the host's error on the page gives up older promises, or goes back in time.
pub const TOO_WIDE: i128 = 4;

/// What becomes of a claim of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This line keeps all promises.
    Follow {
        /// What is to be published.
        line: Line,
        /// Whether no reader sees time go back.
        is_monotonic: bool,
    },
    /// No line keeps all promises, or none without making time go back where the old one is good
    /// enough: it stays, and stays true.
    Keep,
    /// What the host claims and what the page says exclude each other: one of both was wrong.
    Contradiction,
    /// The counter is behind where it was.
    CounterWentBack,
}

/// A counter for which times were promised.
#[derive(Clone, Copy, Debug)]
struct Gate {
    counter: u64,
    earliest: Time,
    latest: Time,
}

/// The promises of a page since its last disruption.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    line: Option<Line>,
    gates: Vec<Gate>,
}

impl Promises {
    /// The line that stands in the page.
    #[must_use]
    pub const fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// Forgets all: a guest that is told of a disruption may not compare times across it.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What may be published for a claim of the host, whose line is right at its reference point.
    /// The page is written while the counter is at most `window_ticks` further on.
    #[must_use]
    pub fn judge(&self, claim: &Line, window_ticks: u64) -> Verdict {
        let Some(old) = &self.line else {
            return Verdict::Follow { line: *claim, is_monotonic: true };
        };
        // Half of the circle lies ahead, half behind.
        if claim.counter_value.wrapping_sub(old.counter_value) > u64::MAX / 2 {
            return Verdict::CounterWentBack;
        }
        let Some(room) = Room::of(old, claim) else {
            return Verdict::Contradiction;
        };
        let follow = |promises, is_monotonic| {
            let line = choose(old, claim, &room, promises, window_ticks, is_monotonic)?;
            Some(Verdict::Follow { line, is_monotonic })
        };
        let (older, own) = self.gates.split_at(self.gates.len().saturating_sub(1));
        if let Some(verdict) = follow([older, own], true) {
            return verdict;
        }
        let error_of = |line: &Line| line.maxerror_at(claim.counter_value).0;
        if error_of(old) <= error_of(claim).saturating_mul(TOO_WIDE) {
            return Verdict::Keep;
        }
        follow([&[], own], true)
            .or_else(|| follow([older, own], false))
            .or_else(|| follow([&[], own], false))
            .unwrap_or(Verdict::Keep)
    }

    /// Notes that this line is in the page, and the counter was at most `window_ticks` behind its
    /// reference point when it came there.
    pub fn publish(&mut self, line: Line, window_ticks: u64) {
        if let Some(old) = &self.line {
            self.gates.push(Gate::of(old, line.counter_value.wrapping_add(window_ticks)));
        }
        self.gates.push(Gate::of(&line, line.counter_value));
        let horizon = i128::from(ticks_of(line.period, HORIZON_S));
        self.gates.retain(|gate| ticks_before(line.counter_value, gate.counter) <= horizon);
        self.gates.drain(..self.gates.len().saturating_sub(GATES));
        self.line = Some(line);
    }
}

/// The line nearest to the claim that keeps all promises.
fn choose(
    old: &Line,
    claim: &Line,
    room: &Room,
    promises: [&[Gate]; 2],
    window_ticks: u64,
    is_monotonic: bool,
) -> Option<Line> {
    let at = claim.counter_value;
    let mut walls = Walls::new(at, claim.period.shift);
    promises.into_iter().flatten().for_each(|gate| walls.add(gate));
    walls.add(&Gate::of(old, at.wrapping_add(window_ticks)));
    walls.add(&Gate { counter: at, earliest: room.earliest, latest: room.latest });
    if is_monotonic {
        // At the end of the window, too, the new line is not below the old one.
        for counter in [at, at.wrapping_add(window_ticks)] {
            walls.add(&Gate { counter, earliest: old.time_at(counter), latest: Time(i128::MAX) });
        }
    }
    let slope = walls.slope_near(i128::from(slewed(old, claim, room).frac_sec))?;
    let period = Period { frac_sec: u64::try_from(slope).ok()?, ..claim.period };
    let time = walls.height_near(claim.time, slope)?;
    let error = room.latest.distance(time).max(time.distance(room.earliest));
    let wrong = period.frac_sec.abs_diff(claim.period.frac_sec);
    Some(Line {
        counter_value: at,
        time,
        period,
        period_maxerror: claim.period_maxerror.saturating_add(wrong),
        time_maxerror_ns: error.to_ns_up(),
    })
}

/// How many ticks so many seconds have, saturating.
fn ticks_of(period: Period, seconds: u64) -> u64 {
    let ticks = (u128::from(seconds) << (64 + period.shift.min(48)))
        .checked_div(u128::from(period.frac_sec))
        .unwrap_or(u128::MAX);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The claim's period, changed so far that the page's error is gone after [`SLEW_S`].
fn slewed(old: &Line, claim: &Line, room: &Room) -> Period {
    let page = old.time_at(claim.counter_value).clamp(room.earliest, room.latest);
    let behind = claim.time - page;
    let ticks = i128::from(ticks_of(claim.period, SLEW_S).max(1));
    let most = i128::from(claim.period.parts_per_trillion(SLEW_MAX_PPT).frac_sec);
    let change = behind
        .0
        .checked_mul(1 << claim.period.shift)
        .map_or(if behind.0 < 0 { -most } else { most }, |scaled| scaled / ticks)
        .clamp(-most, most);
    let slope = i128::from(claim.period.frac_sec) + change;
    Period { frac_sec: u64::try_from(slope).unwrap_or(0), ..claim.period }
}

/// When it may be, by what the page says and what the host claims.
struct Room {
    earliest: Time,
    latest: Time,
}

impl Room {
    fn of(old: &Line, claim: &Line) -> Option<Self> {
        let (page, host) =
            (old.bounds_at(claim.counter_value), claim.bounds_at(claim.counter_value));
        let earliest = *page.start().max(host.start());
        let latest = *page.end().min(host.end());
        (earliest <= latest).then_some(Self { earliest, latest })
    }
}

impl Gate {
    fn of(line: &Line, counter: u64) -> Self {
        let bounds = line.bounds_at(counter);
        Self { counter, earliest: *bounds.start(), latest: *bounds.end() }
    }
}

/// How far `counter` lies before `origin`, negative where it lies behind: the counter may wrap.
fn ticks_before(origin: u64, counter: u64) -> i128 {
    i128::from(origin.wrapping_sub(counter).cast_signed())
}

/// Gates as a line sees them that begins at `origin`.
struct Walls {
    origin: u64,
    shift: u8,
    walls: Vec<Wall>,
}

/// A gate, so many ticks before the origin. Times are in units of 2^-64 s.
struct Wall {
    ticks: i128,
    earliest: i128,
    latest: i128,
}

impl Walls {
    fn new(origin: u64, shift: u8) -> Self {
        Self { origin, shift, walls: Vec::with_capacity(GATES + 4) }
    }

    fn add(&mut self, gate: &Gate) {
        // For a reader's rounding and for ours.
        let (earliest, latest) =
            (gate.earliest.0.saturating_add(4), gate.latest.0.saturating_sub(4));
        let ticks = ticks_before(self.origin, gate.counter);
        self.walls.push(Wall { ticks, earliest, latest });
    }

    /// The slope next to `wished` with which a line can pass, in the period's unit.
    ///
    /// A line of slope p passes a gate at height h if `earliest + p * ticks <= h <= latest + p *
    /// ticks`. Intervals have a point in common if each two of them have: each two gates bound p.
    fn slope_near(&self, wished: i128) -> Option<i128> {
        let (mut least, mut most) = (1, i128::from(u64::MAX));
        for old in &self.walls {
            for new in self.walls.iter().filter(|new| new.ticks <= old.ticks) {
                let ticks = old.ticks - new.ticks;
                if ticks == 0 {
                    if new.earliest > old.latest || old.earliest > new.latest {
                        return None;
                    }
                    continue;
                }
                let slope = |rise: i128| rise.checked_mul(1 << self.shift);
                // A rise too large for a number bounds nothing.
                if let Some(rise) = slope(new.latest.saturating_sub(old.earliest)) {
                    most = most.min(rise.div_euclid(ticks));
                }
                if let Some(rise) = slope(new.earliest.saturating_sub(old.latest)) {
                    least = least.max(rise.div_euclid(ticks) + 1);
                }
            }
        }
        (least <= most).then(|| wished.clamp(least, most))
    }

    /// The height next to `wished` with which a line of this slope passes.
    fn height_near(&self, wished: Time, slope: i128) -> Option<Time> {
        let (mut least, mut most) = (i128::MIN, i128::MAX);
        for wall in &self.walls {
            let rise = slope.checked_mul(wall.ticks)? >> self.shift;
            least = least.max(wall.earliest.saturating_add(rise));
            most = most.min(wall.latest.saturating_add(rise));
        }
        (least <= most).then(|| Time(wished.0.clamp(least, most)))
    }
}
