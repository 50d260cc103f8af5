//! Random histories of hosts' clocks: drift, slews, steps, leap seconds of both signs, smears,
//! loss of synchronisation, moves. Whatever they do, the guest that reads the page reads the truth,
//! and the page is no more wrong than its rule says. The judge knows the true time and sees the
//! page through a guest's reader alone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_host_time::assess::kernel_maxerror_ns;
use abide_host_time::policy::{Action, Policy, REFINE_NS, weigh};
use abide_host_time::{Assessor, Doubt, GuestCounter, HostClock, Kind, LeapTable};
use abide_vmclock::seqlock::AtomicPage;
use abide_vmclock::{Constants, Intent, NoTime, Outcome, Reader, Time, Vmclock, spec};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use support::{SimClock, World};

const CONSTANTS: Constants = Constants {
    size_bytes: 4096,
    counter_id: spec::COUNTER_ARM_VCNT,
    time_type: spec::TIME_TAI,
    notifies: true,
};
/// How far the counter may go on between a look and the page, in seconds.
const WINDOW_S: u64 = 1;
/// How many times as wrong as the host a page may be for longer than it takes to make it better.
const TIMES: i128 = 5;

#[derive(Debug, Default)]
struct Seen {
    reads: u64,
    refused: u64,
    freerunning: u64,
    disrupted: u64,
    notified: u64,
    moves: u64,
    /// What was not told of a claim, by reason.
    doubts: BTreeMap<String, u64>,
    /// By how much the first page after a move is more wrong than the host's kernel, in ns.
    move_added_ns_max: u64,
    leap_seconds_read: u64,
}

struct Guest {
    clock: SimClock,
    table: LeapTable,
    assessor: Assessor,
    vmclock: Vmclock,
    page: AtomicPage,
    policy: Policy,
    wide_since_ns: Option<u64>,
    looked_ns: u64,
    seen: Seen,
}

impl Guest {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let table = support::table(world.leap);
        let clock = SimClock(Arc::new(Mutex::new(world)));
        let page = AtomicPage::default();
        let mut vmclock = Vmclock::new(CONSTANTS, 0);
        vmclock.write_all(&page, |words| page.set_constants(words));
        let assessor = Assessor::new(Kind::Unstated, Ok(table.clone()));
        Self {
            clock,
            table,
            assessor,
            vmclock,
            page,
            policy: Policy::new(0),
            wide_since_ns: None,
            looked_ns: 0,
            seen: Seen::default(),
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.world().raw.to_ns()).unwrap()
    }

    /// The publisher looks, and writes if it is worth it.
    fn look(&mut self, is_arrival: bool) {
        let clock = self.clock.clone();
        let hz = clock.world().hz;
        let read = || clock.counter();
        let counter = GuestCounter { read: &read, hz, off_ticks: 20 };
        let assessed = self.assessor.assess(&mut self.clock, &counter);
        let reason = match &assessed {
            Ok(assessment) => assessment.doubt.as_ref(),
            Err(doubt) => Some(doubt),
        };
        if let Some(reason) = reason {
            let name = format!("{reason:?}").split([' ', '(']).next().unwrap().to_owned();
            *self.seen.doubts.entry(name).or_default() += 1;
        }
        let claim = assessed.ok().map(|assessment| assessment.claim);
        let worth = weigh(&self.vmclock.body(), claim.as_ref());
        let now_ns = self.now_ns();
        let Action { write, notify } = self.policy.decide(now_ns, worth);
        self.seen.notified += u64::from(notify);
        if write || is_arrival {
            self.write(claim, is_arrival);
        }
        self.hold_to_rule(claim, now_ns);
        self.looked_ns = now_ns;
    }

    fn write(&mut self, claim: Option<abide_vmclock::Claim>, is_arrival: bool) {
        // A guest that arrives runs after the page is written.
        let before = if is_arrival { None } else { self.read() };
        match claim {
            Some(claim) => {
                let window = WINDOW_S * self.clock.world().hz;
                let outcome = self.vmclock.claim(claim, window);
                self.seen.disrupted += u64::from(outcome == Outcome::Disrupted);
                assert_ne!(outcome, Outcome::Disrupted, "honest hosts do not contradict");
            }
            None => self.vmclock.doubt(),
        }
        self.vmclock.write(&self.page);
        let is_monotonic = self.vmclock.body().has(spec::FLAG_TIME_MONOTONIC);
        if let (Some(before), Some(after), true) = (before, self.read(), is_monotonic) {
            assert!(after >= before, "time went back");
        }
    }

    /// No page is much more wrong than its host for longer than it takes to write another.
    fn hold_to_rule(&mut self, claim: Option<abide_vmclock::Claim>, now_ns: u64) {
        let body = self.vmclock.body();
        let Some(claim) = claim.filter(|_| body.clock_status != spec::STATUS_UNRELIABLE) else {
            self.wide_since_ns = None;
            return;
        };
        let at = claim.line.counter_value.max(body.line.counter_value);
        let [page, host] = [body.line, claim.line].map(|line| line.maxerror_at(at).0);
        if page <= TIMES * host + Time::from_ns(1000).0 {
            self.wide_since_ns = None;
            return;
        }
        let since_ns = *self.wide_since_ns.get_or_insert(now_ns);
        let late_ns = now_ns - self.looked_ns;
        assert!(
            now_ns - since_ns <= 2 * REFINE_NS + late_ns,
            "{} of {} for {} s",
            Time(page),
            Time(host),
            (now_ns - since_ns) / 1_000_000_000
        );
    }

    /// What the guest reads, held against the truth.
    fn read(&mut self) -> Option<Time> {
        let found = Constants::from_words(self.page.constants(), 4096).unwrap();
        let reader = Reader::new(found, spec::COUNTER_ARM_VCNT, 10);
        let truth = self.clock.world().tai;
        let world = self.clock.clone();
        let look = reader.look(&self.page, || world.world().counter()).unwrap();
        self.seen.reads += 1;
        match reader.time(&look) {
            Ok(reading) => {
                let maxerror = reading.maxerror().expect("a page with a time has its errors");
                assert!(
                    reading.time.distance(truth) <= maxerror,
                    "read {} ± {maxerror}, but it is {truth}: {:?}",
                    reading.time,
                    look.body
                );
                self.seen.freerunning += u64::from(reading.is_freerunning);
                self.hold_offset(&look.body);
                Some(reading.time)
            }
            Err(NoTime::Unreliable { clock_status: 4 }) => {
                self.seen.refused += 1;
                None
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// The offset and the leap indicator are right at the reference time, of which the page tells.
    fn hold_offset(&mut self, body: &abide_vmclock::Body) {
        if !body.has(spec::FLAG_TAI_OFFSET_VALID) {
            return;
        }
        let leap = self.clock.world().leap;
        let at = i128::from(support::LEAP_UTC_SEC + 37) << 64;
        let reference = body.line.time.0;
        let error = Time::from_ns(body.line.time_maxerror_ns).0 + (1 << 32);
        let happens = if leap == Some(false) { at - (1 << 64) } else { at };
        // At the very moment either is right.
        if (reference - happens).abs() <= error {
            return;
        }
        let step = match leap {
            Some(true) if reference > at => 1,
            Some(false) if reference > happens => -1,
            _ => 0,
        };
        assert_eq!(body.tai_offset_sec, -37 - step, "{leap:?}, {} s", (reference - at) >> 64);
        let is_inside =
            leap == Some(true) && (error..(1 << 64) - error).contains(&(reference - at));
        if is_inside {
            assert_eq!(body.leap_indicator, spec::LEAP_POS);
        }
        self.seen.leap_seconds_read += u64::from(is_inside);
    }

    /// The guest goes to another host, or a copy of it does.
    fn go(&mut self, intent: Intent) {
        let saved = self.vmclock.save();
        self.clock.world().move_on();
        let (mut vmclock, _) = Vmclock::restore(saved).unwrap();
        vmclock.arrive(intent);
        self.vmclock = vmclock;
        self.assessor = Assessor::new(Kind::Unstated, Ok(self.table.clone()));
        self.policy = Policy::new(self.now_ns());
        self.wide_since_ns = None;
        self.looked_ns = self.now_ns();
        let before_ns = self.kernel_error_ns();
        self.look(true);
        self.seen.moves += 1;
        let page_ns = self.vmclock.body().line.time_maxerror_ns;
        if self.read().is_some() {
            // The kernel's own error is told by the second: the look may be in either.
            let kernel_ns = before_ns.max(self.kernel_error_ns());
            let added_ns = page_ns.saturating_sub(kernel_ns);
            self.seen.move_added_ns_max = self.seen.move_added_ns_max.max(added_ns);
        }
    }

    fn kernel_error_ns(&mut self) -> u64 {
        let mut clock = self.clock.clone();
        let discipline = clock.discipline().unwrap();
        kernel_maxerror_ns(&discipline, clock.utc().ns)
    }
}

fn event(guest: &mut Guest) {
    let clock = guest.clock.clone();
    let what = clock.world().below(40);
    let mut world = clock.world();
    match what {
        0..10 => world.daemon(),
        10..14 => world.wander(),
        14 => {
            let by_ns = support::around(&mut world.rng, 3_000_000_000);
            world.step_by_hand(by_ns);
        }
        15 => world.host.lose(),
        16 => {
            drop(world);
            guest.go(Intent::Move);
        }
        17 => {
            drop(world);
            guest.go(Intent::Copy);
        }
        _ => {}
    }
}

fn history(seed: u64) -> Seen {
    let mut guest = Guest::new(seed);
    guest.look(true);
    for _ in 0..80 {
        event(&mut guest);
        let pass_ns = {
            let mut world = guest.clock.world();
            match world.below(40) {
                0 => world.below(3_600_000_000_000),
                1..4 => world.below(120_000_000_000),
                _ => world.below(1_100_000_000),
            }
        };
        for _ in 0..2 {
            guest.clock.world().pass(pass_ns / 2);
            guest.read();
        }
        guest.look(false);
        guest.read();
    }
    guest.seen
}

/// Runs every history and adds up what was seen.
fn all(count: u64) -> Seen {
    let mut all = Seen::default();
    for seed in 0..count {
        let told = std::panic::catch_unwind(|| history(seed));
        let seen = told.unwrap_or_else(|_| panic!("in the history of seed {seed}"));
        all.reads += seen.reads;
        all.refused += seen.refused;
        all.freerunning += seen.freerunning;
        all.disrupted += seen.disrupted;
        all.notified += seen.notified;
        all.moves += seen.moves;
        all.leap_seconds_read += seen.leap_seconds_read;
        all.move_added_ns_max = all.move_added_ns_max.max(seen.move_added_ns_max);
        for (name, count) in seen.doubts {
            *all.doubts.entry(name).or_default() += count;
        }
    }
    all
}

#[test]
fn ten_thousand_histories_are_read_truly() {
    let seen = all(10_000);
    println!("{seen:#?}");
    // A page that never tells the time is never wrong, and of no use.
    assert!(5 * seen.refused < 2 * seen.reads, "{seen:?}");
    assert!(seen.freerunning > 0 && seen.moves > 10_000, "{seen:?}");
    for name in ["Unsynchronised", "TaiContradiction", "LeapNotAnnounced"] {
        assert!(seen.doubts.contains_key(name), "{name} was never met: {seen:?}");
    }
    assert!(seen.leap_seconds_read > 0, "{seen:?}");
    assert!(seen.move_added_ns_max <= 50_000, "{seen:?}");
}

#[test]
fn a_host_that_lied_is_a_disruption() {
    let mut guest = Guest::new(3);
    guest.clock.world().leap = None;
    guest.clock.world().daemon();
    guest.look(true);
    let marker = guest.vmclock.body().disruption_marker;
    // It says it was synchronised all the time, and is somewhere else.
    {
        let mut world = guest.clock.world();
        world.host.tai = world.host.tai + support::of_ns(9_000_000_000);
        world.pass(1_000_000_000);
    }
    let clock = guest.clock.clone();
    let read = || clock.counter();
    let counter = GuestCounter { read: &read, hz: clock.world().hz, off_ticks: 20 };
    let claim = guest.assessor.assess(&mut guest.clock, &counter).unwrap().claim;
    assert_eq!(weigh(&guest.vmclock.body(), Some(&claim)), abide_host_time::policy::Worth::Change);
    assert_eq!(guest.vmclock.claim(claim, 1000), Outcome::Disrupted);
    assert_eq!(guest.vmclock.body().disruption_marker, marker + 1);
}

#[test]
fn a_host_that_slept_is_believed_after_its_daemon_looked() {
    let mut guest = Guest::new(5);
    guest.clock.world().leap = None;
    guest.clock.world().daemon();
    guest.look(true);
    assert!(guest.read().is_some());
    guest.clock.world().host.suspended_ns += 7_000_000_000;
    let clock = guest.clock.clone();
    let read = || clock.counter();
    let hz = clock.world().hz;
    let counter = GuestCounter { read: &read, hz, off_ticks: 20 };
    for _ in 0..3 {
        clock.world().pass(1_000_000_000);
        assert_eq!(guest.assessor.assess(&mut guest.clock, &counter), Err(Doubt::Slept));
    }
    {
        let mut world = clock.world();
        world.host.tai = world.tai;
        world.host.set_error(1);
    }
    assert!(guest.assessor.assess(&mut guest.clock, &counter).is_ok());
}
