//! A world with a true time, hosts whose clocks follow it as clocks do, and a guest's counter.

use abide_host_time::discipline::{STA_DEL, STA_INS, STA_UNSYNC, TOLERANCE_PPT};
use abide_host_time::{Discipline, HostClock, LeapState, LeapTable, Suspended, Utc};
use abide_testkit::rng::Rng;
use abide_vmclock::Time;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

const NS: i128 = 1_000_000_000;
const SECOND: i128 = 1 << 64;
/// 2027-07-01, in UTC seconds; TAI - UTC is 37 until then.
pub const LEAP_UTC_SEC: i64 = 1_814_400_000;
const PUBLISHED: &str = include_str!("../data/leap-seconds.list");

pub fn of_ns(ns: i64) -> Time {
    Time(i128::from(ns) * SECOND / NS)
}

/// The published table, made valid until 2030 and with a leap second more.
pub fn table(leap: Option<bool>) -> LeapTable {
    let mut lines: Vec<String> =
        PUBLISHED.lines().filter(|line| !line.starts_with("#h")).map(Into::into).collect();
    let ntp = |utc_sec: i64| utc_sec + 2_208_988_800;
    for line in &mut lines {
        if line.starts_with("#@") {
            *line = format!("#@ {}", ntp(1_893_456_000));
        }
    }
    if let Some(is_positive) = leap {
        lines.push(format!("{} {}", ntp(LEAP_UTC_SEC), if is_positive { 38 } else { 36 }));
    }
    let digits: String = lines
        .iter()
        .flat_map(|line| match line.get(..2) {
            Some("#$" | "#@") => line[2..].split_whitespace().collect::<Vec<_>>(),
            _ => line.split('#').next().unwrap().split_whitespace().collect(),
        })
        .collect();
    let hash = sha1_smol::Sha1::from(digits).digest().bytes();
    let words: Vec<_> = hash
        .chunks(4)
        .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        .collect();
    lines.push(format!("#h {}", words.join(" ")));
    LeapTable::parse(lines.join("\n").as_bytes()).unwrap()
}

/// How a host takes leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaps {
    /// Its kernel is told on the day.
    Told,
    /// Nobody tells it; an hour after, its clock is set.
    Ignored,
    /// Its source is smeared from noon to noon.
    Smeared,
}

/// What a host is like.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its kernel's idea of TAI, of which UTC is shown.
    pub tai: Time,
    /// TAI minus the UTC that it shows.
    pub shown_offset: Time,
    pub discipline: Discipline,
    /// `maxerror` grows from here on, with the whole seconds of this clock.
    error_since: Time,
    error_us: i64,
    /// By how much the end of a second is noticed late.
    late: Time,
    pub leaps: Leaps,
    /// The day of the leap second is over for it.
    is_past: bool,
    oop_until: Option<Time>,
    /// Read, but not by the guest: by so many ticks the counter is off.
    pub off_ticks: i64,
    pub suspended_ns: i64,
}

pub struct World {
    pub rng: Rng,
    pub hz: u64,
    pub tai: Time,
    /// What the oscillator has counted, as if it had its nominal frequency.
    pub raw: Time,
    pub counter_base: u64,
    /// How much longer than nominal a tick is, in parts of 10^12.
    pub wrong_ppt: i64,
    /// Whether the leap second in the middle is one more, or one less.
    pub leap: Option<bool>,
    pub host: Host,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let hz = [62_500_000, 24_000_000, 1_000_000_000, 100_000_000][rng.below(4)];
        let leap = [None, Some(true), Some(false)][rng.below(3)];
        // Within a minute, a day and a half of the leap second, or far from it.
        let away_s = [60, 130_000, 10_000_000][rng.below(3)];
        let start = LEAP_UTC_SEC - i64::try_from(rng.below(away_s)).unwrap();
        let tai = Time(i128::from(start + 37) * SECOND + i128::from(rng.next_u64()));
        let raw = Time(i128::from(rng.next_u64() >> 40) * SECOND);
        let counter_base = if rng.below(4) == 0 { u64::MAX - 1_000_000_000 } else { 0 };
        let wrong_ppt = around(&mut rng, TOLERANCE_PPT / 2);
        let host = Host::new(&mut rng, tai, wrong_ppt, leap);
        Self { rng, hz, tai, raw, counter_base, wrong_ppt, leap, host }
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(usize::try_from(bound).unwrap()) as u64
    }

    /// What the guest reads.
    pub fn counter(&self) -> u64 {
        let ticks = ((self.raw.0 >> 32) * i128::from(self.hz)) >> 32;
        self.counter_base.wrapping_add(u64::try_from(ticks).unwrap())
    }

    /// Lets so much time pass by the oscillator.
    pub fn pass(&mut self, ns: u64) {
        let nominal = of_ns(ns.cast_signed());
        self.raw = self.raw + nominal;
        self.tai = self.tai + stretched(nominal, self.wrong_ppt);
        let leap = self.leap;
        self.host.pass(nominal, leap);
    }

    /// The oscillator wanders, no further from what the kernel makes of it than kernels allow.
    pub fn wander(&mut self) {
        let limit = TOLERANCE_PPT.cast_signed();
        let rate_ppt = self.host.discipline.rate_ppt().clamp(-limit, limit);
        let to = self.wrong_ppt + around(&mut self.rng, TOLERANCE_PPT / 4);
        self.wrong_ppt = to.clamp(rate_ppt - limit, rate_ppt + limit).clamp(-limit, limit);
    }

    /// The time daemon looks: it sets frequency and errors, which are true.
    pub fn daemon(&mut self) {
        if self.host.discipline.status & STA_UNSYNC != 0 {
            // It comes back by setting the clock.
            self.host.tai = self.tai + of_ns(around(&mut self.rng, 2_000_000));
        }
        let off = self.host.tai - self.tai;
        let off_ns = off.to_ns().unsigned_abs() + 1;
        let spread_us = 1 + self.below(2000);
        let limit = TOLERANCE_PPT.cast_signed();
        // It works off a part of what it is off, and knows the frequency not quite.
        let towards = if off.0 > 0 { -1 } else { 1 };
        let slew_ppt = towards * self.below(TOLERANCE_PPT / 3).cast_signed();
        let known_ppt = self.wrong_ppt + around(&mut self.rng, 20_000_000) + slew_ppt;
        let known_ppt = known_ppt.clamp(-limit, limit);
        self.host.discipline.freq_scaled_ppm = (known_ppt << 16) / 1_000_000;
        self.host.discipline.tick_us = 10_000;
        self.host.discipline.status &= !STA_UNSYNC;
        let error_us = i64::try_from(off_ns.div_ceil(1000)).unwrap() + spread_us.cast_signed();
        self.host.discipline.esterror_us = error_us / 4;
        self.host.set_error(error_us);
    }

    /// Somebody sets the clock by hand: the kernel forgets that it was synchronised.
    pub fn step_by_hand(&mut self, by_ns: i64) {
        self.host.tai = self.host.tai + of_ns(by_ns);
        self.host.lose();
    }

    /// The guest comes to another host, whose oscillator is another one.
    pub fn move_on(&mut self) {
        // On the way its counter stands still, and time does not.
        let away = of_ns(self.below(5_000_000_000).cast_signed());
        self.tai = self.tai + away;
        self.counter_base = self.counter();
        self.raw = Time(0);
        self.wrong_ppt = around(&mut self.rng, TOLERANCE_PPT / 2);
        let leap = self.leap;
        self.host = Host::new(&mut self.rng, self.tai, self.wrong_ppt, leap);
    }
}

pub fn around(rng: &mut Rng, bound: u64) -> i64 {
    let number = rng.below(usize::try_from(2 * bound + 1).unwrap()) as u64;
    number.cast_signed() - bound.cast_signed()
}

fn stretched(nominal: Time, ppt: i64) -> Time {
    // The product of a day and a rate has 17 + 64 + 29 bits.
    Time(nominal.0 + nominal.0 * i128::from(ppt) / 1_000_000_000_000)
}

impl Host {
    fn new(rng: &mut Rng, tai: Time, wrong_ppt: i64, leap: Option<bool>) -> Self {
        let leaps = [Leaps::Told, Leaps::Told, Leaps::Ignored, Leaps::Smeared][rng.below(4)];
        let is_past = tai.0 >= i128::from(LEAP_UTC_SEC + 37) * SECOND;
        let step = match leap {
            Some(true) if is_past => 1,
            Some(false) if is_past => -1,
            _ => 0,
        };
        let knows_tai = rng.below(3) != 0;
        let error_us = 20 + i64::try_from(rng.below(5000)).unwrap();
        let bound = u64::try_from(error_us * 1000).unwrap();
        let discipline = Discipline {
            leap: LeapState::None,
            status: 0,
            freq_scaled_ppm: (wrong_ppt << 16) / 1_000_000,
            tick_us: 10_000,
            maxerror_us: error_us,
            esterror_us: error_us / 4,
            tai_sec: if knows_tai { 37 + step } else { 0 },
        };
        let host_tai = tai + of_ns(around(rng, bound));
        let mut host = Self {
            tai: host_tai,
            shown_offset: Time(i128::from(37 + step) * SECOND),
            discipline,
            error_since: host_tai,
            error_us,
            late: of_ns(i64::try_from(rng.below(45_000_000)).unwrap()),
            leaps,
            is_past,
            oop_until: None,
            off_ticks: around(rng, 20),
            suspended_ns: 7,
        };
        host.pass(Time(0), leap);
        host
    }

    pub fn set_error(&mut self, error_us: i64) {
        self.error_us = error_us;
        self.error_since = self.tai;
        self.discipline.maxerror_us = error_us;
    }

    pub fn lose(&mut self) {
        self.discipline.status |= STA_UNSYNC;
        self.set_error(16_000_000);
    }

    fn pass(&mut self, nominal: Time, leap: Option<bool>) {
        self.tai = self.tai + stretched(nominal, self.discipline.rate_ppt());
        let seconds = |time: Time| (time - self.late).0 >> 64;
        let grown = seconds(self.tai) - seconds(self.error_since);
        self.discipline.maxerror_us = self.error_us + 500 * i64::try_from(grown).unwrap();
        if self.discipline.maxerror_us > 16_000_000 {
            self.lose();
        }
        if let Some(is_positive) = leap {
            self.leap(is_positive);
        }
        // What the return value tells is hidden while the clock is not synchronised.
    }

    fn leap(&mut self, is_positive: bool) {
        let at = i128::from(LEAP_UTC_SEC + 37) * SECOND;
        let happens = if is_positive { at } else { at - SECOND };
        let sign = if is_positive { 1 } else { -1 };
        let noon = 43_200 * SECOND;
        let (status, before) =
            if is_positive { (STA_INS, LeapState::Insert) } else { (STA_DEL, LeapState::Delete) };
        match self.leaps {
            Leaps::Told if !self.is_past => {
                if self.tai.0 > at - 86_400 * SECOND {
                    self.discipline.status |= status;
                    self.discipline.leap = before;
                }
                if self.tai.0 >= happens {
                    self.is_past = true;
                    self.shown_offset = Time((37 + i128::from(sign)) * SECOND);
                    self.discipline.tai_sec += sign;
                    let oop = is_positive.then_some(Time(at + SECOND));
                    self.oop_until = oop;
                    self.discipline.leap =
                        if oop.is_some() { LeapState::InProgress } else { LeapState::Over };
                }
            }
            Leaps::Ignored if !self.is_past && self.tai.0 > at + 3600 * SECOND => {
                self.is_past = true;
                self.shown_offset = Time((37 + i128::from(sign)) * SECOND);
                if self.discipline.tai_sec != 0 {
                    self.discipline.tai_sec += sign;
                }
                self.lose();
            }
            Leaps::Smeared => {
                let smeared = (self.tai.0 - (at - noon)).clamp(0, 2 * noon) / 86_400;
                self.shown_offset = Time(37 * SECOND + smeared * i128::from(sign));
            }
            _ => {}
        }
        if self.oop_until.is_some_and(|until| self.tai >= until) {
            self.oop_until = None;
            self.discipline.leap = LeapState::Over;
        }
    }
}

/// A host's clock, in a world that goes on while it is read.
#[derive(Clone)]
pub struct SimClock(pub Arc<Mutex<World>>);

impl SimClock {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Reading takes time, and sometimes somebody else runs first.
    fn spend(&self) {
        let mut world = self.world();
        let ns = match world.below(12) {
            0 => world.below(300_000),
            _ => 20 + world.below(200),
        };
        world.pass(ns);
    }

    /// The counter as the publisher reads it.
    pub fn counter(&self) -> u64 {
        self.spend();
        let world = self.world();
        world.counter().wrapping_add_signed(world.host.off_ticks)
    }
}

impl HostClock for SimClock {
    fn discipline(&mut self) -> io::Result<Discipline> {
        self.spend();
        let discipline = self.world().host.discipline;
        let hidden = discipline.status & STA_UNSYNC != 0;
        Ok(Discipline {
            leap: if hidden { LeapState::Unknown } else { discipline.leap },
            ..discipline
        })
    }

    fn utc(&mut self) -> Utc {
        self.spend();
        let world = self.world();
        let shown = world.host.tai - world.host.shown_offset;
        let ns = ((shown.0 & (SECOND - 1)) * NS) >> 64;
        Utc { sec: i64::try_from(shown.0 >> 64).unwrap(), ns: u32::try_from(ns).unwrap() }
    }

    fn suspended(&mut self) -> Suspended {
        let suspended_ns = self.world().host.suspended_ns;
        Suspended { least_ns: suspended_ns - 50, most_ns: suspended_ns + 50 }
    }
}
