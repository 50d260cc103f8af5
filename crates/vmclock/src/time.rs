//! Time as the page counts it: seconds in fixed point, and periods of a counter.

use core::fmt;

/// Nanoseconds of a second.
const NS: u128 = 1_000_000_000;
const NS_PER_SEC: u64 = 1_000_000_000;

/// Units of a nanosecond, times 2^60, rounded up: so near that less than a second of nanoseconds
/// comes out as if it had been divided.
const UNITS_OF_NS: u128 = (1 << 124) / NS + 1;

/// A point in time, or a length of it, in units of 2^-64 s. Points are seconds since the epoch of
/// the page's `time_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i128);

impl Time {
    /// From `time_sec` and `time_frac_sec`.
    #[must_use]
    #[inline]
    pub const fn from_parts(sec: u64, frac_sec: u64) -> Self {
        // Seconds past 2^63 are no time that anybody counts; they wrap, as the fields do.
        Self(((sec as u128) << 64 | frac_sec as u128) as i128)
    }

    /// `time_sec` and `time_frac_sec`.
    #[must_use]
    pub const fn parts(self) -> (u64, u64) {
        (low_half(self.0 >> 64), low_half(self.0))
    }

    /// So many nanoseconds, rounded down to the unit.
    #[must_use]
    #[inline]
    pub const fn from_ns(ns: u64) -> Self {
        // A division of 128 bits would take longer than all else that a reader does.
        let (sec, rest) = (ns / NS_PER_SEC, ns % NS_PER_SEC);
        Self::from_parts(sec, low_half(((rest as u128 * UNITS_OF_NS) >> 60) as i128))
    }

    /// In nanoseconds, rounded down.
    #[must_use]
    pub const fn to_ns(self) -> i128 {
        let (sec, frac) = (self.0 >> 64, low_half(self.0));
        sec * NS as i128 + ((frac as u128 * NS) >> 64) as i128
    }

    /// A length in nanoseconds, rounded up: for bounds.
    #[must_use]
    pub fn to_ns_up(self) -> u64 {
        let down = self.to_ns();
        let up = if Self::from_ns(u64::try_from(down).unwrap_or(u64::MAX)) < self {
            down + 1
        } else {
            down
        };
        u64::try_from(up).unwrap_or(if up < 0 { 0 } else { u64::MAX })
    }

    /// The distance between two points, never negative.
    #[must_use]
    pub const fn distance(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0).wrapping_abs())
    }
}

/// What no [`Time`] holds. Apart, so that who computes a usual one does not choose between both.
#[cold]
const fn too_long() -> Time {
    Time(i128::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the low half is meant"
)]
const fn low_half(units: i128) -> u64 {
    units as u64
}

impl core::ops::Add for Time {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl core::ops::Sub for Time {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

/// Seconds and nanoseconds, as `1234.000000001`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.to_ns();
        let sign = if ns < 0 { "-" } else { "" };
        let ns = ns.unsigned_abs();
        write!(f, "{sign}{}.{:09}", ns / NS, ns % NS)
    }
}

/// How long a tick of the counter takes, or how wrong that may be, in units of
/// 2^-(64 + `shift`) s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// `counter_period_frac_sec`, or one of its errors.
    pub frac_sec: u64,
    /// `counter_period_shift`.
    pub shift: u8,
}

impl Period {
    /// The largest shift that a page may have: what every reader can do.
    pub const SHIFT_MAX: u8 = 63;

    /// The period of a counter that runs at `hz`, with all the precision that fits: the highest
    /// bit of `frac_sec` is set. `None` for 0 and 1, whose period is no fraction of a second.
    #[must_use]
    pub fn of_hz(hz: u64) -> Option<Self> {
        let (mut shift, mut quotient) = (0, (1_u128 << 64).checked_div(u128::from(hz))?);
        if quotient >> 64 != 0 {
            return None;
        }
        while quotient >> 63 == 0 && shift < Self::SHIFT_MAX {
            shift += 1;
            quotient = Self::divided(hz, shift);
        }
        Some(Self { frac_sec: u64::try_from(quotient).ok()?, shift })
    }

    /// 2^(64 + shift) / hz, to the nearest.
    fn divided(hz: u64, shift: u8) -> u128 {
        let hz = u128::from(hz);
        // 2^(64 + 63) is the most: it fits.
        let numerator = 1_u128 << (64 + shift);
        numerator / hz + u128::from(numerator % hz >= hz.div_ceil(2))
    }

    /// How long `ticks` take, rounded down, as every reader reckons
    /// `[linux drivers/ptp/ptp_vmclock.c]`. 64 by 64 bits always fit.
    #[must_use]
    #[inline]
    pub const fn of_ticks(self, ticks: u64) -> Time {
        let product = ticks as u128 * self.frac_sec as u128;
        let (high, low) = (low_half((product >> 64) as i128), low_half(product as i128));
        // A shift of 128 bits by an unknown number has twice the latency, and nothing but this
        // stands between the counter and the time.
        let shift = self.shift & Self::SHIFT_MAX;
        let sec = high >> shift;
        let frac_sec = low >> shift | (high << 1) << (Self::SHIFT_MAX - shift);
        if sec >> 63 != 0 { too_long() } else { Time::from_parts(sec, frac_sec) }
    }

    /// The same, rounded up: for bounds.
    #[must_use]
    #[inline]
    pub const fn of_ticks_up(self, ticks: u64) -> Time {
        let product = ticks as u128 * self.frac_sec as u128;
        let rest = (1 << (self.shift & Self::SHIFT_MAX)) - 1;
        let is_exact = low_half(product as i128) & rest == 0;
        let Time(down) = self.of_ticks(ticks);
        Time(if is_exact { down } else { down.saturating_add(1) })
    }

    /// So many parts in 10^12 of this period, rounded up: an error of a frequency.
    #[must_use]
    pub fn parts_per_trillion(self, ppt: u64) -> Self {
        const TRILLION: u128 = 1_000_000_000_000;
        let part = (u128::from(self.frac_sec) * u128::from(ppt)).div_ceil(TRILLION);
        Self { frac_sec: u64::try_from(part).unwrap_or(u64::MAX), ..self }
    }

    /// The same period with another shift, rounded to the nearest; saturates.
    #[must_use]
    pub fn with_shift(self, shift: u8) -> Self {
        let wide = u128::from(self.frac_sec);
        let frac_sec = if shift >= self.shift {
            wide << (shift - self.shift).min(64)
        } else {
            let down = self.shift - shift;
            (wide + (1 << (down - 1))) >> down
        };
        Self { frac_sec: u64::try_from(frac_sec).unwrap_or(u64::MAX), shift }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn periods_of_usual_counters_are_the_known_ones() {
        // The third is the example of the specification; all were computed apart from this code,
        // and rounded to the nearest.
        for (hz, shift, frac_sec) in [
            (24_000_000, 24, 0xb2f4_fc07_9490_8cf2),
            (62_500_000, 25, 0x8970_5f41_36b4_a597),
            (1_000_000_000, 29, 0x8970_5f41_36b4_a597),
            (2_000_000_000, 30, 0x8970_5f41_36b4_a597),
            (2_500_000_000, 31, 0xdbe6_fece_bded_d5bf),
            (3_000_000_000, 31, 0xb740_7f01_9e46_321f),
        ] {
            let period = Period::of_hz(hz).unwrap();
            assert_eq!((period.shift, period.frac_sec), (shift, frac_sec), "{hz} Hz");
        }
        assert_eq!([Period::of_hz(0), Period::of_hz(1)], [None; 2]);
        assert_eq!(Period::of_hz(2), Some(Period { frac_sec: 1 << 63, shift: 0 }));
        assert!(Period::of_hz(u64::MAX).is_some());
    }

    #[test]
    fn ticks_of_a_second_are_a_second() {
        let period = Period::of_hz(1_000_000_000).unwrap();
        let second = period.of_ticks(1_000_000_000);
        assert!(second.distance(Time::from_parts(1, 0)) <= Time(1 << 32), "{second}");
        let year = period.of_ticks(31_536_000_000_000_000);
        assert_eq!(year.distance(Time::from_parts(31_536_000, 0)).to_ns(), 0);
        // The largest product.
        let all = Period { frac_sec: u64::MAX, shift: 0 }.of_ticks(u64::MAX);
        assert_eq!(all, Time(i128::MAX));
    }

    #[test]
    fn halves_are_shifted_as_the_whole() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for shift in 0..=Period::SHIFT_MAX {
            for _ in 0..1000 {
                bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let (ticks, frac_sec) = (bits.rotate_left(17), bits | 1 << 63);
                let whole = (u128::from(ticks) * u128::from(frac_sec)) >> shift;
                let expected = Time(i128::try_from(whole).unwrap_or(i128::MAX));
                let period = Period { frac_sec, shift };
                assert_eq!(period.of_ticks(ticks), expected, "{period:?} × {ticks:#x}");
            }
        }
    }

    #[test]
    fn nanoseconds_are_what_a_division_gives() {
        let divided = |ns: u64| Time(((u128::from(ns) << 64) / NS) as i128);
        let ends = [0, 1, 2, 999_999_999, 1_000_000_000, 1_000_000_001, u64::MAX - 1, u64::MAX];
        // Every remainder class of 5^9, the denominator that is left, comes up.
        let spread = (0..4_000_000u64).map(|n| n * 249 + 1);
        for ns in ends.into_iter().chain(spread) {
            assert_eq!(Time::from_ns(ns), divided(ns), "{ns}");
        }
    }

    #[test]
    fn bounds_are_rounded_up() {
        assert_eq!(Time(1).to_ns_up(), 1);
        assert_eq!(Time(0).to_ns_up(), 0);
        assert_eq!(Time::from_ns(7).to_ns(), 6);
        assert_eq!(Time::from_ns(7).to_ns_up(), 7);
        assert_eq!(Time::from_parts(u64::MAX >> 1, 0).to_ns_up(), u64::MAX);
        let third = Period { frac_sec: 1, shift: 2 };
        assert_eq!([third.of_ticks(4), third.of_ticks_up(4)], [Time(1); 2]);
        assert_eq!([third.of_ticks(5), third.of_ticks_up(5)], [Time(1), Time(2)]);
    }

    #[test]
    fn times_are_told_in_seconds() {
        assert_eq!(Time::from_parts(12, 1 << 63).to_string(), "12.500000000");
        assert_eq!(Time(-(1 << 63)).to_string(), "-0.500000000");
    }
}
