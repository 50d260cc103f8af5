//! What the host's kernel says of its clock, in the kernel's units.

/// The clock is not synchronised `[linux include/uapi/linux/timex.h STA_UNSYNC]`.
pub const STA_UNSYNC: u32 = 0x0040;
/// A second is to be inserted, or was `[linux include/uapi/linux/timex.h STA_INS]`.
pub const STA_INS: u32 = 0x0010;
/// A second is to be left out, or was `[linux include/uapi/linux/timex.h STA_DEL]`.
pub const STA_DEL: u32 = 0x0020;

/// Parts of 10^12 in a millionth.
pub const PPT_OF_PPM: i64 = 1_000_000;
/// What the kernel takes every oscillator to keep to, in parts of 10^12
/// `[linux include/linux/timex.h MAXFREQ]`.
pub const TOLERANCE_PPT: u64 = 500_000_000;
/// The error at which the kernel itself calls its clock unsynchronised
/// `[linux include/linux/timex.h NTP_PHASE_LIMIT]`.
pub const ERROR_LIMIT_NS: u64 = 16_000_000_000;
/// `tick` of a clock that runs at its nominal speed.
const TICK_US: i64 = 10_000;
/// The least offset of TAI that UTC has had since it has leap seconds: a kernel that was never told
/// begins at 0, and counts the leap seconds that it makes from there.
const TAI_SEC_MIN: i32 = 10;
/// What is taken for an offset at most: a leap second each month until 2100.
const TAI_SEC_MAX: i32 = 1000;

/// Where the kernel is with a leap second: what `adjtimex` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeapState {
    /// TIME_OK: none is armed.
    None,
    /// TIME_INS: this day ends with a second more.
    Insert,
    /// TIME_DEL: this day ends with a second less.
    Delete,
    /// TIME_OOP: 23:59:60; the clock shows 23:59:59 again.
    InProgress,
    /// TIME_WAIT: it has been; nobody has disarmed it yet.
    Over,
    /// TIME_ERROR: not told, for the clock is not synchronised.
    Unknown,
}

impl LeapState {
    /// From what `adjtimex` returns.
    #[must_use]
    pub const fn from_return(value: i32) -> Self {
        match value {
            0 => Self::None,
            1 => Self::Insert,
            2 => Self::Delete,
            3 => Self::InProgress,
            4 => Self::Over,
            _ => Self::Unknown,
        }
    }
}

/// The state of the kernel's clock `[linux include/uapi/linux/timex.h struct timex]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Where it is with a leap second.
    pub leap: LeapState,
    /// `status`: `STA_*`.
    pub status: u32,
    /// `freq`: how much faster than its oscillator the clock runs, in 2^-16 ppm.
    pub freq_scaled_ppm: i64,
    /// `tick`: µs for each hundredth of a second; the coarse half of the frequency.
    pub tick_us: i64,
    /// `maxerror`, in µs. The kernel adds 500 with each second of UTC.
    pub maxerror_us: i64,
    /// `esterror`, in µs.
    pub esterror_us: i64,
    /// `tai`: TAI - UTC in seconds; 0 where nobody has told the kernel.
    pub tai_sec: i32,
}

impl Discipline {
    /// Whether the kernel's clock follows a source.
    #[must_use]
    pub const fn is_synchronised(&self) -> bool {
        self.status & STA_UNSYNC == 0
    }

    /// How much faster than its oscillator the clock runs, in parts of 10^12, rounded down.
    #[must_use]
    pub const fn rate_ppt(&self) -> i64 {
        // Twelve digits and sixteen bits fit by far: what is implausible is refused before.
        let coarse = (self.tick_us - TICK_US) * (PPT_OF_PPM * 1_000_000 / TICK_US);
        coarse + (self.freq_scaled_ppm * PPT_OF_PPM).div_euclid(1 << 16)
    }

    /// TAI - UTC, if the kernel was told.
    #[must_use]
    pub fn tai_offset(&self) -> Option<i16> {
        let is_set = (TAI_SEC_MIN..=TAI_SEC_MAX).contains(&self.tai_sec);
        is_set.then(|| i16::try_from(self.tai_sec).ok()).flatten()
    }

    /// The field that no kernel gives this value, if there is one.
    #[must_use]
    pub fn implausible(&self) -> Option<(&'static str, i64)> {
        let tolerance_scaled = (TOLERANCE_PPT.cast_signed() / PPT_OF_PPM) << 16;
        let allowed = [
            ("freq", self.freq_scaled_ppm, -tolerance_scaled..=tolerance_scaled),
            ("tick", self.tick_us, TICK_US * 9 / 10..=TICK_US * 11 / 10),
            ("maxerror", self.maxerror_us, 0..=i64::from(i32::MAX)),
            ("esterror", self.esterror_us, 0..=i64::from(i32::MAX)),
        ];
        let mut wrong = allowed.into_iter().filter(|(_, value, range)| !range.contains(value));
        wrong.next().map(|(field, value, _)| (field, value))
    }

    /// The same with the larger errors of both.
    pub(crate) fn with_worse(&self, other: &Self) -> Self {
        Self {
            maxerror_us: self.maxerror_us.max(other.maxerror_us),
            esterror_us: self.esterror_us.max(other.esterror_us),
            ..*self
        }
    }

    /// Whether nobody has changed anything between these two but errors, which grow.
    #[must_use]
    pub fn has_settings_of(&self, other: &Self) -> bool {
        let errors = (other.maxerror_us, other.esterror_us);
        Self { maxerror_us: errors.0, esterror_us: errors.1, ..*self } == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Discipline = Discipline {
        leap: LeapState::None,
        status: 0,
        freq_scaled_ppm: 0,
        tick_us: 10_000,
        maxerror_us: 0,
        esterror_us: 0,
        tai_sec: 37,
    };

    #[test]
    fn frequencies_have_the_kernels_units() {
        assert_eq!(CLOCK.rate_ppt(), 0);
        // 500 ppm is 32768000 in the kernel's fixed point.
        let fast = Discipline { freq_scaled_ppm: 32_768_000, ..CLOCK };
        assert_eq!(fast.rate_ppt(), 500_000_000);
        let slow = Discipline { freq_scaled_ppm: -1, ..CLOCK };
        assert_eq!(slow.rate_ppt(), -16, "2^-16 ppm is 15.26 parts of 10^12");
        // A microsecond in a hundredth of a second is 100 ppm.
        let coarse = Discipline { tick_us: 10_001, freq_scaled_ppm: -65_536, ..CLOCK };
        assert_eq!(coarse.rate_ppt(), 99_000_000);
    }

    #[test]
    fn an_offset_that_nobody_set_is_none() {
        let with = |tai_sec| Discipline { tai_sec, ..CLOCK }.tai_offset();
        // 1: never told, and a leap second was made.
        assert_eq!([0, 1, -1, 9, i32::MAX].map(with), [None; 5]);
        assert_eq!([10, 37].map(with), [Some(10), Some(37)]);
    }

    #[test]
    fn impossible_values_are_named() {
        assert_eq!(CLOCK.implausible(), None);
        let with = |clock: Discipline| clock.implausible().map(|(field, _)| field);
        assert_eq!(with(Discipline { freq_scaled_ppm: 32_768_001, ..CLOCK }), Some("freq"));
        assert_eq!(with(Discipline { tick_us: 0, ..CLOCK }), Some("tick"));
        assert_eq!(with(Discipline { maxerror_us: -1, ..CLOCK }), Some("maxerror"));
        assert_eq!(with(Discipline { esterror_us: i64::MAX, ..CLOCK }), Some("esterror"));
    }
}
