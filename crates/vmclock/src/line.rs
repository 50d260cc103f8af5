//! Time as a straight line over the counter, and when one line may follow another.

use crate::{Period, Time};
use core::ops::RangeInclusive;

/// Time as a function of the counter, and how wrong it may be: at the reference point
/// `time_maxerror_ns`, and `period_maxerror` more with each tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The counter at the reference point.
    pub counter_value: u64,
    /// The time there.
    pub time: Time,
    /// How long a tick takes.
    pub period: Period,
    /// The largest error of `period`, in its unit.
    pub period_maxerror: u64,
    /// The largest error of `time`, in nanoseconds.
    pub time_maxerror_ns: u64,
}

impl Line {
    /// The time when the counter shows `counter`, at or behind the reference point: the very
    /// sum that Linux and every other reader computes. Before it, the difference wraps, and the
    /// result is centuries off: a writer's reference point must not lie ahead of any counter.
    #[must_use]
    #[inline]
    pub const fn time_at(&self, counter: u64) -> Time {
        let Time(since) = self.period.of_ticks(counter.wrapping_sub(self.counter_value));
        Time(self.time.0.wrapping_add(since))
    }

    /// The largest error of [`Self::time_at`]. A reader's rounding is within it.
    #[must_use]
    #[inline]
    pub const fn maxerror_at(&self, counter: u64) -> Time {
        let rate = Period { frac_sec: self.period_maxerror, shift: self.period.shift };
        let Time(grown) = rate.of_ticks_up(counter.wrapping_sub(self.counter_value));
        // A nanosecond has no exact fraction: the next larger one.
        let Time(at_reference) = Time::from_ns(self.time_maxerror_ns);
        Time(grown.saturating_add(at_reference).saturating_add(1))
    }

    /// The earliest and the latest time that it may be.
    #[must_use]
    pub fn bounds_at(&self, counter: u64) -> RangeInclusive<Time> {
        let (time, error) = (self.time_at(counter), self.maxerror_at(counter));
        Time(time.0.saturating_sub(error.0))..=Time(time.0.saturating_add(error.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_widen_with_the_counter() {
        let period = Period::of_hz(1_000_000_000).unwrap();
        let line = Line {
            counter_value: 1000,
            time: Time::from_parts(10, 0),
            period,
            // 1 ppm.
            period_maxerror: period.parts_per_trillion(1_000_000).frac_sec,
            time_maxerror_ns: 50,
        };
        // A unit more than 50 ns, which have no exact fraction.
        assert_eq!(line.maxerror_at(1000).to_ns_up(), 51);
        assert_eq!(line.maxerror_at(1000 + 1_000_000_000).to_ns_up(), 1051);
        let later = line.bounds_at(1000 + 1_000_000_000);
        assert!(later.contains(&Time::from_parts(11, 0)));
        assert!(!later.contains(&(Time::from_parts(11, 0) + Time::from_ns(1060))));
    }
}
