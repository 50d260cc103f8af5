//! Random histories of a host's clock: whatever it does within its own bounds, the page's bounds
//! hold the true time, and every later page keeps what an earlier one promised.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use abide_testkit::rng::Rng;
use abide_vmclock::nest::{Promises, TOO_WIDE, Verdict};
use abide_vmclock::{Line, Period, Time};

const HZ: u64 = 1_000_000_000;
/// How far the counter may go on between judging and writing.
const WINDOW: u64 = HZ / 1000;

/// The truth, which only the test knows: time as the sum of stretches of constant frequency.
struct World {
    rng: Rng,
    counter: u64,
    time: Time,
    /// How fast the counter runs against its nominal frequency, in parts of 10^12.
    wrong_ppt: i64,
    /// What that wanders around, and how far at most.
    base_ppt: i64,
    wander_ppt: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        // Some counters wrap on the way.
        let counter = rng.next_u64() >> (rng.below(2) * 20);
        let counter = if rng.below(4) == 0 { counter | u64::MAX << 37 } else { counter };
        let base_ppt = i64::try_from(rng.below(100_000_000)).unwrap() - 50_000_000;
        let wander_ppt = 10_000 << rng.below(9);
        let time = Time::from_parts(1_800_000_000, 0);
        Self { rng, counter, time, wrong_ppt: base_ppt, base_ppt, wander_ppt }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(usize::try_from(bound).unwrap()) as u64
    }

    /// A number between `-bound` and `bound`.
    fn around(&mut self, bound: u64) -> i64 {
        self.below(2 * bound).cast_signed() - bound.cast_signed()
    }

    /// Lets time go on, and then the frequency change.
    fn go_on(&mut self, ticks: u64) {
        let nominal = Period::of_hz(HZ).unwrap();
        let wrong = nominal.parts_per_trillion(self.wrong_ppt.unsigned_abs()).of_ticks(ticks);
        let passed = nominal.of_ticks(ticks);
        let passed = if self.wrong_ppt < 0 { passed - wrong } else { passed + wrong };
        self.time = self.time + passed;
        self.counter = self.counter.wrapping_add(ticks);
        self.wrong_ppt = self.base_ppt + self.around(self.wander_ppt);
    }

    /// What the host knows: the time and the frequency, each wrong within what it says, now and
    /// later.
    fn claim(&mut self, maxerror_ns: u64) -> Line {
        let off = Time::from_ns(self.below(maxerror_ns));
        let time = if self.below(2) == 0 { self.time + off } else { self.time - off };
        let nominal = Period::of_hz(HZ).unwrap();
        let known_ppt = self.wrong_ppt + self.around(self.wander_ppt);
        let change = nominal.parts_per_trillion(known_ppt.unsigned_abs()).frac_sec;
        let frac_sec =
            if known_ppt < 0 { nominal.frac_sec - change } else { nominal.frac_sec + change };
        Line {
            counter_value: self.counter,
            time,
            period: Period { frac_sec, ..nominal },
            period_maxerror: nominal.parts_per_trillion(3 * self.wander_ppt).frac_sec + 2,
            time_maxerror_ns: maxerror_ns,
        }
    }
}

/// A counter reading of the past, with what the page of that moment made of it.
struct Reading {
    update: u32,
    counter: u64,
    earliest: Time,
    latest: Time,
}

/// The time that a line gives for a counter on either side of its reference point.
fn time_at(line: &Line, counter: u64) -> Time {
    let before = line.counter_value.wrapping_sub(counter);
    if before > u64::MAX / 2 {
        return line.time_at(counter);
    }
    line.time - line.period.of_ticks(before)
}

#[derive(Debug, Default)]
struct Seen {
    followed: u64,
    kept: u64,
    went_back: u64,
    /// The page's error over the host's, in per cent.
    widest: i128,
    /// Readings that were turned into time again, by later pages.
    asked_again: u64,
    /// Those whose first bounds did not hold.
    given_up: u64,
}

fn history(seed: u64) -> Seen {
    let mut world = World::new(seed);
    let mut promises = Promises::default();
    let (mut readings, mut seen) = (Vec::<Reading>::new(), Seen::default());
    let maxerror_ns = 10 << world.below(20);
    for update in 0..40 {
        let claim = world.claim(maxerror_ns);
        let verdict = promises.judge(&claim, WINDOW);
        let passed = 1 + world.below(WINDOW - 1);
        world.go_on(passed);
        match verdict {
            Verdict::Follow { line, is_monotonic } => {
                let old = promises.line().copied();
                if let Some(old) = old.filter(|_| is_monotonic) {
                    assert!(line.time_at(world.counter) >= old.time_at(world.counter));
                }
                seen.went_back += u64::from(!is_monotonic);
                seen.followed += 1;
                promises.publish(line, WINDOW);
            }
            Verdict::Keep => seen.kept += 1,
            wrong => panic!("seed {seed}: {wrong:?} for {claim:?}"),
        }
        let line = *promises.line().unwrap();
        let width = |line: &Line| line.maxerror_at(claim.counter_value).0;
        seen.widest = seen.widest.max(width(&line) * 100 / width(&claim));
        for reading in &readings {
            let now = time_at(&line, reading.counter);
            let is_kept = (reading.earliest..=reading.latest).contains(&now);
            // Those that were made with the page before this one.
            assert!(
                is_kept || reading.update + 1 < update,
                "seed {seed}: {now} is not in {}..{}",
                reading.earliest,
                reading.latest
            );
            seen.asked_again += 1;
            seen.given_up += u64::from(!is_kept);
        }
        for _ in 0..3 {
            let passed = 1 + world.below(5 * HZ);
            world.go_on(passed);
            let bounds = line.bounds_at(world.counter);
            assert!(
                bounds.contains(&world.time),
                "seed {seed}: {} is not in {bounds:?}",
                world.time
            );
            let (earliest, latest) = bounds.into_inner();
            readings.push(Reading { update, counter: world.counter, earliest, latest });
        }
        let keep = readings.len().saturating_sub(12);
        readings.drain(..keep);
    }
    seen
}

#[test]
fn truth_stays_in_bounds_and_promises_are_kept() {
    let mut all = Seen::default();
    for seed in 0..10_000 {
        let seen = history(seed);
        all.followed += seen.followed;
        all.kept += seen.kept;
        all.went_back += seen.went_back;
        all.asked_again += seen.asked_again;
        all.given_up += seen.given_up;
        all.widest = all.widest.max(seen.widest);
    }
    println!("{all:?}");
    // A page that never follows keeps all promises, and is of no use.
    assert!(all.widest <= 100 * TOO_WIDE, "{all:?}");
    assert!(20 * all.given_up < all.asked_again, "{all:?}");
}
