//! The table of leap seconds, as the IERS publishes it and operating systems carry it:
//! `leap-seconds.list`.
//!
//! Lines of "NTP second, TAI - UTC", and in comments the day it was made (`#$`), the day until
//! which it may be relied upon (`#@`) and a hash of all these digits (`#h`). It is a file that
//! somebody gave us: everything in it is checked.

use std::fmt;

/// From the era of NTP, 1900, to that of Unix, 1970, in seconds.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;
/// Seconds of a day without a leap second.
const DAY_S: i64 = 86_400;
/// How long a table may be, in bytes: the real one has 5 KiB.
pub const TABLE_LEN_MAX: usize = 64 << 10;
/// How many leap seconds it may hold: one a month for 40 years.
const ENTRIES_MAX: usize = 512;

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeapTableError {
    /// Longer than [`TABLE_LEN_MAX`].
    Length {
        /// In bytes.
        found: usize,
    },
    /// A line that is none of a table.
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// `#$`, `#@`, `#h` or the first entry is not there.
    Missing {
        /// Which.
        what: &'static str,
    },
    /// The hash in the file is another than that of its content.
    Hash {
        /// In the file.
        found: [u32; 5],
        /// Of its content.
        allowed: [u32; 5],
    },
}

impl fmt::Display for LeapTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found } => {
                write!(f, "length: found {found} bytes, allowed {TABLE_LEN_MAX}")
            }
            Self::Line { line, wrong } => write!(f, "line {line}: {wrong}"),
            Self::Missing { what } => write!(f, "{what} is missing"),
            Self::Hash { found, allowed } => {
                write!(f, "hash (#h): found {found:08x?}, allowed {allowed:08x?}")
            }
        }
    }
}

impl std::error::Error for LeapTableError {}

/// A leap second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    /// The first second after it, in UTC seconds since 1970.
    pub at_utc_sec: i64,
    /// Whether UTC got a second more, not less.
    pub is_positive: bool,
}

/// What is known of leap seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeapTable {
    made_sec: i64,
    expires_sec: i64,
    /// From which UTC second on TAI is so many seconds ahead, ascending; never empty.
    entries: Vec<(i64, i16)>,
}

impl LeapTable {
    /// Reads a `leap-seconds.list`.
    ///
    /// # Errors
    /// [`LeapTableError`].
    pub fn parse(text: &[u8]) -> Result<Self, LeapTableError> {
        if text.len() > TABLE_LEN_MAX {
            return Err(LeapTableError::Length { found: text.len() });
        }
        let mut draft = Draft::default();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let wrong = |wrong| LeapTableError::Line { line: index + 1, wrong };
            let line = str::from_utf8(line).map_err(|_| wrong("not UTF-8"))?;
            draft.take(line.trim_end_matches('\r')).map_err(wrong)?;
        }
        draft.finish()
    }

    /// When it was made, in UTC seconds since 1970.
    #[must_use]
    pub const fn made_sec(&self) -> i64 {
        self.made_sec
    }

    /// From when on it says nothing, in UTC seconds since 1970.
    #[must_use]
    pub const fn expires_sec(&self) -> i64 {
        self.expires_sec
    }

    /// TAI - UTC at a second of UTC.
    #[must_use]
    pub fn offset_at(&self, utc_sec: i64) -> Option<i16> {
        let behind = self.entries.partition_point(|&(from, _)| from <= utc_sec);
        Some(self.entries.get(behind.checked_sub(1)?)?.1)
    }

    /// TAI - UTC at a second of TAI, and whether it is a 23:59:60: that second has the offset of
    /// the time after it, as kernels count.
    #[must_use]
    pub fn offset_at_tai(&self, tai_sec: i64) -> Option<(i16, bool)> {
        let mut found = None;
        let mut before = None;
        for &(from, offset) in &self.entries {
            let begins =
                from.saturating_add(before.map_or(offset, |old: i16| old.min(offset)).into());
            if tai_sec < begins {
                break;
            }
            found = Some((offset, tai_sec < from.saturating_add(offset.into())));
            before = Some(offset);
        }
        found
    }

    /// The next leap second after this second of UTC.
    #[must_use]
    pub fn next_after(&self, utc_sec: i64) -> Option<Leap> {
        self.leap(self.entries.partition_point(|&(from, _)| from <= utc_sec))
    }

    /// The last one before it.
    #[must_use]
    pub fn last_before(&self, utc_sec: i64) -> Option<Leap> {
        let behind = self.entries.partition_point(|&(from, _)| from <= utc_sec);
        self.leap(behind.checked_sub(1)?)
    }

    fn leap(&self, index: usize) -> Option<Leap> {
        let &(at_utc_sec, offset) = self.entries.get(index)?;
        let &(_, before) = self.entries.get(index.checked_sub(1)?)?;
        Some(Leap { at_utc_sec, is_positive: offset > before })
    }
}

/// A table being read.
#[derive(Default)]
struct Draft {
    made: Option<i64>,
    expires: Option<i64>,
    hash: Option<[u32; 5]>,
    entries: Vec<(i64, i16)>,
    /// What is hashed: the digits, in this order.
    made_digits: String,
    expires_digits: String,
    entry_digits: String,
}

impl Draft {
    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        if let Some(digits) = line.strip_prefix("#$") {
            put(&mut self.made, second(digits)?)?;
            self.made_digits.push_str(digits.trim());
        } else if let Some(digits) = line.strip_prefix("#@") {
            put(&mut self.expires, second(digits)?)?;
            self.expires_digits.push_str(digits.trim());
        } else if let Some(words) = line.strip_prefix("#h") {
            put(&mut self.hash, hash(words)?)?;
        } else if !line.starts_with('#') && !line.trim().is_empty() {
            self.entry(line)?;
        }
        Ok(())
    }

    fn entry(&mut self, line: &str) -> Result<(), &'static str> {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let (Some(from), Some(offset), None) = (words.next(), words.next(), words.next()) else {
            return Err("not two numbers");
        };
        let at_utc_sec = second(from)?;
        let number: i16 = digits(offset)?.parse().map_err(|_| "no offset")?;
        if at_utc_sec.rem_euclid(DAY_S) != 0 {
            return Err("no beginning of a day");
        }
        match self.entries.last() {
            None if number != 10 => return Err("UTC begins with an offset of 10"),
            Some(&(before, _)) if before >= at_utc_sec => return Err("not later than the last"),
            Some(&(_, before)) if before.abs_diff(number) != 1 => {
                return Err("not a second more or less than the last");
            }
            _ if self.entries.len() == ENTRIES_MAX => return Err("too many"),
            _ => {}
        }
        self.entries.push((at_utc_sec, number));
        self.entry_digits.push_str(from);
        self.entry_digits.push_str(offset);
        Ok(())
    }

    fn finish(self) -> Result<LeapTable, LeapTableError> {
        let missing = |what| LeapTableError::Missing { what };
        let made_sec = self.made.ok_or(missing("the day it was made (#$)"))?;
        let expires_sec = self.expires.ok_or(missing("the day it expires (#@)"))?;
        let found = self.hash.ok_or(missing("the hash (#h)"))?;
        if self.entries.is_empty() {
            return Err(missing("the first leap second"));
        }
        let hashed = self.made_digits + &self.expires_digits + &self.entry_digits;
        let digest = sha1_smol::Sha1::from(hashed).digest().bytes();
        let mut allowed = [0; 5];
        for (word, bytes) in allowed.iter_mut().zip(digest.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        if found != allowed {
            return Err(LeapTableError::Hash { found, allowed });
        }
        Ok(LeapTable { made_sec, expires_sec, entries: self.entries })
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if place.replace(value).is_some() { Err("said twice") } else { Ok(()) }
}

/// Digits and nothing else: `parse` would take a sign.
fn digits(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Ok(text) } else { Err("not a number") }
}

/// A second of NTP's era, in Unix'.
fn second(text: &str) -> Result<i64, &'static str> {
    let second: i64 = digits(text)?.parse().map_err(|_| "too large")?;
    second.checked_sub(NTP_TO_UNIX_S).ok_or("too large")
}

/// Five words of up to eight hexadecimal digits; zeroes in front may be left out.
fn hash(text: &str) -> Result<[u32; 5], &'static str> {
    let (mut hash, mut words) = ([0; 5], text.split_whitespace());
    for place in &mut hash {
        let word = words.next().ok_or("not five words")?;
        let is_hex = word.len() <= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        *place = if is_hex { u32::from_str_radix(word, 16).ok() } else { None }.ok_or("no hash")?;
    }
    if words.next().is_some() { Err("not five words") } else { Ok(hash) }
}

/// The month that holds this second: its first second, and that of the next.
#[must_use]
pub fn month_of(utc_sec: i64) -> (i64, i64) {
    let (year, month) = civil(utc_sec.div_euclid(DAY_S));
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    (days(year, month).saturating_mul(DAY_S), days(next.0, next.1).saturating_mul(DAY_S))
}

/// Year and month of a day since 1970-01-01.
const fn civil(day: i64) -> (i64, i64) {
    // Years that begin with March: the leap day is their last, and months have a rule.
    let shifted = day.saturating_add(719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (year, month) = (year + era * 400, month + 3);
    if month > 12 { (year + 1, month - 12) } else { (year, month) }
}

/// The first day of a month, since 1970-01-01.
const fn days(year: i64, month: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of July 2025, without its comments. The hash is the IERS's.
    const TABLE: &str = include_str!("../tests/data/leap-seconds.list");

    #[test]
    fn the_published_table_is_read() {
        let table = LeapTable::parse(TABLE.as_bytes()).unwrap();
        // 2025-07-07 and 2026-06-28.
        assert_eq!((table.made_sec(), table.expires_sec()), (1_751_846_400, 1_782_604_800));
        let at = |sec| table.offset_at(sec);
        assert_eq!(at(63_072_000 - 1), None, "before 1972");
        assert_eq!(at(63_072_000), Some(10));
        // 2017-01-01.
        assert_eq!([at(1_483_228_799), at(1_483_228_800)], [Some(36), Some(37)]);
        let at_tai = |sec| table.offset_at_tai(sec);
        assert_eq!(at_tai(63_072_009), None);
        assert_eq!(at_tai(1_483_228_835), Some((36, false)), "23:59:59");
        assert_eq!(at_tai(1_483_228_836), Some((37, true)), "23:59:60");
        assert_eq!(at_tai(1_483_228_837), Some((37, false)), "00:00:00");
        let leap = Leap { at_utc_sec: 1_483_228_800, is_positive: true };
        assert_eq!(table.next_after(1_483_228_799), Some(leap));
        assert_eq!(table.last_before(1_483_228_800), Some(leap));
        assert_eq!(table.next_after(1_483_228_800), None);
        assert_eq!(table.last_before(63_072_000), None, "1972 began, no second leapt");
    }

    #[test]
    fn what_is_no_table_is_refused_by_name() {
        let parse = |text: &str| LeapTable::parse(text.as_bytes()).unwrap_err();
        let missing = |what| LeapTableError::Missing { what };
        assert_eq!(parse(""), missing("the day it was made (#$)"));
        let without = |line: &str| {
            let kept: Vec<_> = TABLE.lines().filter(|found| !found.starts_with(line)).collect();
            parse(&kept.join("\n"))
        };
        assert_eq!(without("#@"), missing("the day it expires (#@)"));
        assert_eq!(without("#h"), missing("the hash (#h)"));
        assert!(matches!(without("3692217600"), LeapTableError::Hash { .. }));
        // A later expiry than the IERS's.
        let later = TABLE.replace("3991593600", "4991593600");
        assert!(matches!(parse(&later), LeapTableError::Hash { .. }));
        for (line, wrong) in [
            ("3692217600 +38", "not a number"),
            ("3692217601 38", "no beginning of a day"),
            ("3692217600 38 1", "not two numbers"),
            ("3692217600 38", "not later than the last"),
            ("3692304000 39", "not a second more or less than the last"),
            ("99999999999999999999 38", "too large"),
            ("#$ 1", "said twice"),
            ("#h 1 2 3 4", "not five words"),
            ("#h 1 2 3 4 123456789", "no hash"),
        ] {
            match parse(&format!("{TABLE}\n{line}\n")) {
                LeapTableError::Line { wrong: found, .. } => assert_eq!(found, wrong, "{line}"),
                other => panic!("{line}: {other}"),
            }
        }
        assert_eq!(parse(&"#".repeat(65_537)), LeapTableError::Length { found: 65_537 });
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        // 2024-02-29 12:00, 2023-12-31 23:59:59, 2000-03-01, 1969-12-31.
        for (sec, from, to) in [
            (1_709_208_000, 1_706_745_600, 1_709_251_200),
            (1_704_067_199, 1_701_388_800, 1_704_067_200),
            (951_868_800, 951_868_800, 954_547_200),
            (-1, -2_678_400, 0),
        ] {
            assert_eq!(month_of(sec), (from, to), "{sec}");
        }
        // No second is too far away to be in a month.
        assert_eq!([i64::MAX, i64::MIN].map(month_of).len(), 2);
    }
}
