//! From what the host's clock shows to what a guest may be told.
//!
//! The time that is claimed is UTC as the kernel shows it, plus the offset of TAI. Its largest
//! error is the sum of
//!
//! * the kernel's `maxerror`, and 500 ppm of the time since the second began, for the kernel adds
//!   them by the second `[linux kernel/time/ntp.c second_overflow]`; a whole second more in its
//!   first 50 ms, when that may not have happened yet;
//! * half of the way that the counter made while the clock was read, a tick for each of the two
//!   readings' roundings, and what the reading of the counter itself may be off.
//!
//! The largest error of the frequency is what every oscillator is held to, 500 ppm of its nominal
//! frequency, plus what was already corrected of it: so it is true however the host's clock is
//! slewed afterwards, for the guest's counter is not.

use crate::discipline::{Discipline, ERROR_LIMIT_NS, LeapState, TOLERANCE_PPT};
use crate::doubt::{Doubt, NoTable};
use crate::leap::{LeapTable, month_of};
use crate::sample::{GuestCounter, HostClock, Sample, Suspended};
use abide_vmclock::{Claim, Line, Period, Time, spec};

/// How long before and after a leap second a clock may be smeared, in seconds: from noon to noon,
/// and an hour for those that count otherwise.
pub const SMEAR_S: i64 = 13 * 3600;
/// How long before its leap second the kernel may be told, in seconds: on the day, and an hour.
const ANNOUNCED_S: i64 = 25 * 3600;
/// How long after its leap second the kernel may still say so, in seconds.
const DISARMED_S: i64 = 32 * 86_400;
/// In which part of a second the kernel may not have come to its end yet, in nanoseconds.
const LATE_NS: u32 = 50_000_000;
/// The kernel's unit of frequency, in parts of 10^12, rounded up.
const FREQ_STEP_PPT: u64 = 16;

/// What the operator says of the host's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: a clock that is not told of a leap second is taken for a smeared one around it.
    #[default]
    Unstated,
    /// It makes leap seconds and is never smeared.
    Exact,
    /// It is smeared: it tells no TAI.
    Smeared,
}

/// Judges what the host's clock shows, and remembers what it takes for that.
#[derive(Clone, Debug)]
pub struct Assessor {
    kind: Kind,
    table: Result<LeapTable, NoTable>,
    /// The last claim that rested on a synchronised clock: true for ever, if ever wider.
    trusted: Option<Claim>,
    /// The first second after a leap second that the kernel was seen to know of.
    witnessed: Option<i64>,
    suspended: Option<Suspended>,
    /// The host slept, and its time daemon was not seen to look since.
    slept: bool,
    /// `maxerror` at the last look.
    maxerror_us: Option<i64>,
    counter: Option<u64>,
    /// The frequency last seen, and how far it moved when it last did, in parts of 10^12.
    rate_ppt: Option<i64>,
    moved_ppt: Option<u64>,
}

impl Assessor {
    /// One that has seen nothing.
    #[must_use]
    pub const fn new(kind: Kind, table: Result<LeapTable, NoTable>) -> Self {
        Self {
            kind,
            table,
            trusted: None,
            witnessed: None,
            suspended: None,
            slept: false,
            maxerror_us: None,
            counter: None,
            rate_ppt: None,
            moved_ppt: None,
        }
    }

    /// Takes another table of leap seconds: they are renewed twice a year.
    pub fn set_table(&mut self, table: Result<LeapTable, NoTable>) {
        self.table = table;
    }

    /// The guest's counter may have stood still: nothing that was known of it holds.
    const fn counter_disturbed(&mut self) {
        self.trusted = None;
        self.counter = None;
    }

    /// Looks at the clock and judges. What comes back is to be published while the counter is
    /// near: the reference point is just behind.
    ///
    /// # Errors
    /// [`Doubt`], where nothing can be claimed. Where the clock was trusted before, it is carried
    /// on by the counter, as not synchronised; why is [`Assessment::doubt`].
    pub fn assess(
        &mut self,
        clock: &mut dyn HostClock,
        counter: &GuestCounter<'_>,
    ) -> Result<Assessment, Doubt> {
        self.watch_sleep(clock.suspended());
        match Sample::take(clock, counter).and_then(|sample| self.judge(&sample)) {
            Ok(claim) => {
                self.trusted = Some(claim);
                Ok(Assessment { claim, doubt: None })
            }
            Err(doubt) if doubt.lets_run_on() => self.run_on(doubt, counter),
            Err(doubt) => {
                self.trusted = None;
                Err(doubt)
            }
        }
    }

    fn judge(&mut self, sample: &Sample) -> Result<Claim, Doubt> {
        self.watch_counter(sample)?;
        self.watch_daemon(&sample.discipline)?;
        self.watch_rate(sample.discipline.rate_ppt());
        if self.kind == Kind::Smeared {
            return Err(Doubt::Smeared);
        }
        let Sample { discipline, pair, .. } = sample;
        if !discipline.is_synchronised() {
            return Err(Doubt::Unsynchronised { maxerror_us: discipline.maxerror_us });
        }
        let (tai_sec, leap_indicator) = self.tai(discipline, pair.utc.sec)?;
        let line = line_of(sample, tai_sec)?;
        let likely_ns = u64::try_from(discipline.esterror_us).unwrap_or(0).saturating_mul(1000);
        let nominal = Period { frac_sec: line.period_maxerror, ..line.period };
        let step = self.moved_ppt.map_or(nominal.frac_sec, |moved_ppt| {
            line.period.parts_per_trillion(moved_ppt.max(FREQ_STEP_PPT)).frac_sec
        });
        Ok(Claim {
            line,
            time_esterror_ns: likely_ns.saturating_add(reading_ns(sample)?),
            period_esterror: step,
            tai_offset_sec: Some(-tai_sec),
            leap_indicator,
            is_synchronised: true,
        })
    }

    fn watch_counter(&mut self, sample: &Sample) -> Result<(), Doubt> {
        let to = sample.pair.before;
        let from = self.counter.replace(sample.pair.after).unwrap_or(to);
        if to.wrapping_sub(from) > u64::MAX / 2 {
            return Err(Doubt::CounterWentBack { from, to });
        }
        Ok(())
    }

    /// While a host sleeps its counters may stand still, and its clock is set from one that counts
    /// seconds, without saying so.
    fn watch_sleep(&mut self, now: Suspended) {
        let before = self.suspended.replace(now).unwrap_or(now);
        if now.least_ns > before.most_ns {
            self.slept = true;
            self.counter_disturbed();
        }
    }

    /// A clock is believed again after a sleep when its daemon has looked, which shows in an
    /// error that is smaller than before, or in a clock that was not synchronised meanwhile.
    fn watch_daemon(&mut self, discipline: &Discipline) -> Result<(), Doubt> {
        let maxerror_us = discipline.maxerror_us;
        let before_us = self.maxerror_us.replace(maxerror_us);
        if !discipline.is_synchronised() || before_us.is_some_and(|before| maxerror_us < before) {
            self.slept = false;
        }
        if self.slept { Err(Doubt::Slept) } else { Ok(()) }
    }

    fn watch_rate(&mut self, rate_ppt: i64) {
        match self.rate_ppt.replace(rate_ppt) {
            Some(before) if before != rate_ppt => self.moved_ppt = Some(before.abs_diff(rate_ppt)),
            _ => {}
        }
    }

    /// The table, as long as it may be relied upon.
    fn table_at(&self, utc_sec: i64) -> Result<&LeapTable, NoTable> {
        let table = self.table.as_ref().map_err(Clone::clone)?;
        let expires_sec = table.expires_sec();
        if utc_sec >= expires_sec { Err(NoTable::Expired { expires_sec }) } else { Ok(table) }
    }

    /// TAI - UTC in seconds, by which the kernel's clock is TAI now, and the leap indicator.
    fn tai(&mut self, discipline: &Discipline, utc_sec: i64) -> Result<(i16, u8), Doubt> {
        let tai_sec = discipline.tai_sec;
        let kernel = discipline.tai_offset();
        let table = match self.table_at(utc_sec) {
            Ok(table) => table,
            Err(table) => {
                let offset = kernel.ok_or(Doubt::NoTaiOffset { tai_sec, table })?;
                return Ok((offset, indicator_of_kernel(discipline)));
            }
        };
        if utc_sec < table.made_sec() {
            let made_sec = table.made_sec();
            return Err(Doubt::BeforeTable { utc_sec, made_sec });
        }
        // In 23:59:60 the kernel shows 23:59:59 again, with the offset of the time after.
        let repeats = discipline.leap == LeapState::InProgress;
        let Some(table_sec) = table.offset_at(utc_sec + i64::from(repeats)) else {
            return Err(Doubt::BeforeTable { utc_sec, made_sec: table.made_sec() });
        };
        let near = Near::of(table, utc_sec);
        let knows = near.is_known_to(discipline)?;
        let indicator = near.indicator(repeats);
        if knows.is_some() {
            self.witnessed = knows;
        }
        if let Some(kernel_sec) = kernel.filter(|&kernel_sec| kernel_sec != table_sec) {
            return Err(Doubt::TaiContradiction { kernel_sec, table_sec });
        }
        if let Some(at_utc_sec) = near.suspect()
            && self.kind != Kind::Exact
            && self.witnessed != Some(at_utc_sec)
        {
            return Err(Doubt::LeapNotAnnounced { at_utc_sec, within_s: SMEAR_S });
        }
        Ok((table_sec, indicator))
    }

    /// What was trusted, carried on to now.
    fn run_on(&self, doubt: Doubt, counter: &GuestCounter<'_>) -> Result<Assessment, Doubt> {
        let Some(trusted) = &self.trusted else {
            return Err(doubt);
        };
        let at = (counter.read)().wrapping_sub(counter.off_ticks);
        let from = trusted.line.counter_value;
        if at.wrapping_sub(from) > u64::MAX / 2 {
            return Err(Doubt::CounterWentBack { from, to: at });
        }
        let error_ns = trusted.line.maxerror_at(at).to_ns_up();
        if error_ns > ERROR_LIMIT_NS {
            return Err(Doubt::LostTooLong { error_ns });
        }
        let time = trusted.line.time_at(at);
        let (tai_offset_sec, leap_indicator) = self.offset_without_clock(time);
        let line = Line { counter_value: at, time, time_maxerror_ns: error_ns, ..trusted.line };
        let ran = at.wrapping_sub(from);
        let likely = Period { frac_sec: trusted.period_esterror, ..line.period };
        let claim = Claim {
            line,
            time_esterror_ns: trusted
                .time_esterror_ns
                .saturating_add(likely.of_ticks_up(ran).to_ns_up())
                .min(error_ns),
            tai_offset_sec,
            leap_indicator,
            is_synchronised: false,
            ..*trusted
        };
        Ok(Assessment { claim, doubt: Some(doubt) })
    }

    /// The offset goes on to be known while the table says so.
    fn offset_without_clock(&self, time: Time) -> (Option<i16>, u8) {
        let tai_sec = i64::try_from(time.0 >> 64).unwrap_or(0);
        let known = self.table_at(tai_sec).ok().and_then(|table| {
            let (offset, repeats) = table.offset_at_tai(tai_sec)?;
            let near = Near::of(table, tai_sec.saturating_sub(offset.into()));
            Some((Some(-offset), near.indicator(repeats)))
        });
        known.unwrap_or((None, spec::LEAP_NONE))
    }
}

/// What can be said, and why no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// For the page.
    pub claim: Claim,
    /// Why the clock itself is not believed, where an earlier time is carried on.
    pub doubt: Option<Doubt>,
}

/// The leap seconds around a moment.
struct Near {
    utc_sec: i64,
    /// The next one, of this month, if it ends with one.
    next: Option<crate::leap::Leap>,
    /// The last one, if this month began with one.
    last: Option<crate::leap::Leap>,
}

impl Near {
    fn of(table: &LeapTable, utc_sec: i64) -> Self {
        let (from, to) = month_of(utc_sec);
        let next = table.next_after(utc_sec).filter(|leap| leap.at_utc_sec == to);
        let last = table.last_before(utc_sec).filter(|leap| leap.at_utc_sec == from);
        Self { utc_sec, next, last }
    }

    const fn indicator(&self, repeats: bool) -> u8 {
        if repeats {
            return spec::LEAP_POS;
        }
        match (self.next, self.last) {
            (Some(leap), _) if leap.is_positive => spec::LEAP_PRE_POS,
            (Some(_), _) => spec::LEAP_PRE_NEG,
            (None, Some(leap)) if leap.is_positive => spec::LEAP_POST_POS,
            (None, Some(_)) => spec::LEAP_POST_NEG,
            (None, None) => spec::LEAP_NONE,
        }
    }

    /// Which of them the kernel knows of.
    fn is_known_to(&self, discipline: &Discipline) -> Result<Option<i64>, Doubt> {
        let ahead = |is_positive| {
            self.next
                .filter(|leap| leap.is_positive == is_positive)
                .filter(|leap| leap.at_utc_sec - self.utc_sec <= ANNOUNCED_S)
        };
        let known = match discipline.leap {
            LeapState::None | LeapState::Unknown => return Ok(None),
            LeapState::Insert => ahead(true),
            LeapState::Delete => ahead(false),
            LeapState::InProgress => ahead(true).filter(|leap| leap.at_utc_sec - self.utc_sec <= 1),
            LeapState::Over => {
                self.last.filter(|leap| self.utc_sec - leap.at_utc_sec <= DISARMED_S)
            }
        };
        known.map(|leap| Some(leap.at_utc_sec)).ok_or(Doubt::LeapDisputed)
    }

    /// The leap second around which a clock may be smeared now.
    fn suspect(&self) -> Option<i64> {
        let near = |leap: &crate::leap::Leap| (leap.at_utc_sec - self.utc_sec).abs() <= SMEAR_S;
        let next = self.next.filter(near);
        next.or(self.last.filter(near)).map(|leap| leap.at_utc_sec)
    }
}

/// The kernel knows of leap seconds on the day only.
const fn indicator_of_kernel(discipline: &Discipline) -> u8 {
    use crate::discipline::STA_DEL;
    match discipline.leap {
        LeapState::None | LeapState::Unknown => spec::LEAP_NONE,
        LeapState::Insert => spec::LEAP_PRE_POS,
        LeapState::Delete => spec::LEAP_PRE_NEG,
        LeapState::InProgress => spec::LEAP_POS,
        LeapState::Over if discipline.status & STA_DEL != 0 => spec::LEAP_POST_NEG,
        LeapState::Over => spec::LEAP_POST_POS,
    }
}

/// The largest error of the kernel's clock at this moment, in nanoseconds.
#[must_use]
pub fn kernel_maxerror_ns(discipline: &Discipline, ns_of_second: u32) -> u64 {
    let at_second_ns = u64::try_from(discipline.maxerror_us).unwrap_or(0).saturating_mul(1000);
    let late_ns = if ns_of_second < LATE_NS { 1_000_000_000 } else { 0 };
    let since_ns = u64::from(ns_of_second) + late_ns;
    at_second_ns.saturating_add((since_ns * TOLERANCE_PPT).div_ceil(1_000_000_000_000))
}

/// How wrong the reading of clock and counter together may be, in ticks.
fn reading_ticks(sample: &Sample) -> u64 {
    (sample.pair.width_ticks().div_ceil(2)).saturating_add(1).saturating_add(sample.off_ticks)
}

fn nominal(sample: &Sample) -> Result<Period, Doubt> {
    Period::of_hz(sample.hz).ok_or(Doubt::Frequency { hz: sample.hz })
}

/// The same in nanoseconds; a counter that is 500 ppm slow is within its rounding and a
/// nanosecond more for the clock's own.
fn reading_ns(sample: &Sample) -> Result<u64, Doubt> {
    let ns = nominal(sample)?.of_ticks_up(reading_ticks(sample)).to_ns_up();
    Ok(ns.saturating_add(ns / 1000).saturating_add(2))
}

/// Time over the counter, with `tai_sec` added to UTC.
fn line_of(sample: &Sample, tai_sec: i16) -> Result<Line, Doubt> {
    let Sample { discipline, pair, off_ticks, .. } = sample;
    let nominal = nominal(sample)?;
    // Faster than any oscillator is off: it is being slewed, and says nothing of its frequency.
    let rate_ppt = Some(discipline.rate_ppt())
        .filter(|rate_ppt| rate_ppt.unsigned_abs() <= TOLERANCE_PPT)
        .unwrap_or(0);
    let corrected = nominal.parts_per_trillion(rate_ppt.unsigned_abs()).frac_sec;
    let frac_sec = if rate_ppt < 0 {
        nominal.frac_sec.saturating_sub(corrected)
    } else {
        nominal.frac_sec.saturating_add(corrected)
    };
    let wrong_ppt = TOLERANCE_PPT + rate_ppt.unsigned_abs();
    let period_maxerror = nominal.parts_per_trillion(wrong_ppt).frac_sec.saturating_add(2);
    let tai_sec = u64::try_from(pair.utc.sec.saturating_add(tai_sec.into())).unwrap_or(0);
    let shown = Time::from_parts(tai_sec, 0) + Time::from_ns(pair.utc.ns.into());
    // The middle of the pair is at half its width; the reference point before all of it.
    let back = pair.width_ticks() / 2 + off_ticks;
    let time = shown - nominal.of_ticks(back);
    let kernel_ns = kernel_maxerror_ns(discipline, pair.utc.ns);
    Ok(Line {
        counter_value: pair.before.wrapping_sub(*off_ticks),
        time,
        period: Period { frac_sec, ..nominal },
        period_maxerror,
        time_maxerror_ns: kernel_ns.saturating_add(reading_ns(sample)?),
    })
}
