//! The page's fields, to words and back.

use crate::{Line, Period, Time, spec};

/// What is fixed when the guest is born, and the same for ever. A driver reads it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// `size`: the length of the region in bytes. `[linux drivers/ptp/ptp_vmclock.c]` makes
    /// /dev/vmclock0 only where it is at least a page of the guest's, and some readers map all of
    /// it: it says what is there, and no more.
    pub size_bytes: u32,
    /// `counter_id`, one of `spec::COUNTER_*`.
    pub counter_id: u8,
    /// `time_type`, one of `spec::TIME_*`.
    pub time_type: u8,
    /// Whether an interrupt follows each update (`spec::FLAG_NOTIFICATION_PRESENT`). Linux asks
    /// once, and without the interrupt's wire it then refuses the device.
    pub notifies: bool,
}

impl Constants {
    /// Bytes 0 to 0xb, as three words of 32 bits.
    #[must_use]
    pub const fn to_words(&self) -> [u32; 3] {
        let low = spec::VERSION as u32;
        let kinds = (self.counter_id as u32) << 16 | (self.time_type as u32) << 24;
        [spec::MAGIC, self.size_bytes, low | kinds]
    }
}

/// What an update may change. Numbers without a meaning in this version stay what they are: a
/// reader must live with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Changes whenever the counter may have been disturbed, to what it never was before.
    pub disruption_marker: u64,
    /// `spec::FLAG_*`.
    pub flags: u64,
    /// One of `spec::STATUS_*`.
    pub clock_status: u8,
    /// A wish of how a guest smears leap seconds. The page itself never does.
    pub smearing_hint: u8,
    /// UTC - TAI, in seconds: -37 since 2017.
    pub tai_offset_sec: i16,
    /// One of `spec::LEAP_*`, at the reference time.
    pub leap_indicator: u8,
    /// Time as a function of the counter, with its largest errors.
    pub line: Line,
    /// The likely error of the reference time, in nanoseconds.
    pub time_esterror_ns: u64,
    /// The likely error of the period, in its unit.
    pub period_esterror: u64,
    /// Changes whenever the guest may be one of several copies, to what it never was before.
    pub vm_generation_counter: u64,
}

impl Body {
    /// Bytes 0x10 to 0x6f, as words of 64 bits.
    #[must_use]
    pub const fn to_words(&self) -> [u64; spec::BODY_WORDS] {
        let Line { counter_value, time, period, period_maxerror, time_maxerror_ns } = self.line;
        let (time_sec, time_frac_sec) = time.parts();
        let [tai_low, tai_high] = self.tai_offset_sec.to_le_bytes();
        let [status, hint] = [self.clock_status, self.smearing_hint];
        let mixed = [0, 0, status, hint, tai_low, tai_high, self.leap_indicator, period.shift];
        [
            self.disruption_marker,
            self.flags,
            u64::from_le_bytes(mixed),
            counter_value,
            period.frac_sec,
            self.period_esterror,
            period_maxerror,
            time_sec,
            time_frac_sec,
            self.time_esterror_ns,
            time_maxerror_ns,
            self.vm_generation_counter,
        ]
    }

    /// The fields in these words. Each pattern of bits is some page: nothing is refused.
    #[must_use]
    #[inline]
    pub const fn from_words(words: &[u64; spec::BODY_WORDS]) -> Self {
        let [
            disruption_marker,
            flags,
            mixed,
            counter_value,
            frac_sec,
            period_esterror,
            period_maxerror,
            time_sec,
            time_frac_sec,
            time_esterror_ns,
            time_maxerror_ns,
            vm_generation_counter,
        ] = *words;
        let [_, _, clock_status, smearing_hint, tai_low, tai_high, leap_indicator, shift] =
            mixed.to_le_bytes();
        Self {
            disruption_marker,
            flags,
            clock_status,
            smearing_hint,
            tai_offset_sec: i16::from_le_bytes([tai_low, tai_high]),
            leap_indicator,
            line: Line {
                counter_value,
                time: Time::from_parts(time_sec, time_frac_sec),
                period: Period { frac_sec, shift },
                period_maxerror,
                time_maxerror_ns,
            },
            time_esterror_ns,
            period_esterror,
            vm_generation_counter,
        }
    }

    /// Whether all of these flags are set.
    #[must_use]
    #[inline]
    pub const fn has(&self, flags: u64) -> bool {
        self.flags & flags == flags
    }
}

/// The whole structure as bytes: for files, tests and whoever maps no page.
#[must_use]
pub fn to_bytes(constants: &Constants, seq_count: u32, body: &Body) -> [u8; spec::LEN] {
    let mut bytes = [0; spec::LEN];
    let [magic, size, kinds] = constants.to_words();
    let head = [magic, size, kinds, seq_count].map(u32::to_le_bytes);
    bytes[..spec::BODY].copy_from_slice(head.as_flattened());
    bytes[spec::BODY..].copy_from_slice(body.to_words().map(u64::to_le_bytes).as_flattened());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Body {
        Body {
            disruption_marker: 0x1111_1111_1111_1110,
            flags: 0x2222_2222_2222_2220,
            clock_status: 3,
            smearing_hint: 4,
            tai_offset_sec: -37,
            leap_indicator: 5,
            line: Line {
                counter_value: 0x3333_3333_3333_3330,
                time: Time::from_parts(0x4444_4444_4444_4440, 0x5555_5555_5555_5550),
                period: Period { frac_sec: 0x6666_6666_6666_6660, shift: 29 },
                period_maxerror: 0x7777_7777_7777_7770,
                time_maxerror_ns: 0x8888_8888_8888_8880,
            },
            time_esterror_ns: 0x9999_9999_9999_9990,
            period_esterror: 0xaaaa_aaaa_aaaa_aaa0,
            vm_generation_counter: 0xbbbb_bbbb_bbbb_bbb0,
        }
    }

    #[test]
    fn every_field_has_its_place() {
        let constants =
            Constants { size_bytes: 0x1000, counter_id: 0, time_type: 1, notifies: true };
        let bytes = to_bytes(&constants, 0x0102_0304, &body());
        let at = |offset: usize, len: usize| {
            let mut word = [0; 8];
            word[..len].copy_from_slice(&bytes[offset..offset + len]);
            u64::from_le_bytes(word)
        };
        assert_eq!(&bytes[..4], b"VCLK");
        // Offsets and lengths as the compiler prints them for the header.
        for (offset, len, value) in [
            (0x04, 4, 0x1000),
            (0x08, 2, 1),
            (0x0a, 1, 0),
            (0x0b, 1, 1),
            (0x0c, 4, 0x0102_0304),
            (0x10, 8, 0x1111_1111_1111_1110),
            (0x18, 8, 0x2222_2222_2222_2220),
            (0x20, 2, 0),
            (0x22, 1, 3),
            (0x23, 1, 4),
            (0x24, 2, 0xffdb),
            (0x26, 1, 5),
            (0x27, 1, 29),
            (0x28, 8, 0x3333_3333_3333_3330),
            (0x30, 8, 0x6666_6666_6666_6660),
            (0x38, 8, 0xaaaa_aaaa_aaaa_aaa0),
            (0x40, 8, 0x7777_7777_7777_7770),
            (0x48, 8, 0x4444_4444_4444_4440),
            (0x50, 8, 0x5555_5555_5555_5550),
            (0x58, 8, 0x9999_9999_9999_9990),
            (0x60, 8, 0x8888_8888_8888_8880),
            (0x68, 8, 0xbbbb_bbbb_bbbb_bbb0),
        ] {
            assert_eq!(at(offset, len), value, "offset {offset:#x}");
        }
    }

    #[test]
    fn words_come_back_as_fields() {
        assert_eq!(Body::from_words(&body().to_words()), body());
        let noise = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
            .map(|by| 0x0123_4567_89ab_cdef_u64.rotate_left(by));
        let mut kept = noise;
        // The padding is nobody's.
        kept[2] &= !0xffff;
        assert_eq!(Body::from_words(&noise).to_words(), kept);
    }
}
