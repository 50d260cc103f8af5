//! A host's own counter, read and set for a moment of the host's clock.
//!
//! Such a counter goes on while it is read and written, and each of that takes its time: a
//! microsecond, or on a host that is itself emulated a millisecond. What is lost or won by it in
//! one handoff stays for good, and adds up over many. So whoever reads looks at the clock before
//! and after, and whoever writes reads afterwards how far off it went.

use abide_reg::{RegError, RegId, Registers, Value};
use rustix::time::{ClockId, clock_gettime};

/// How often a look is taken of which the closest counts: most hosts let others execute in between
/// now and then.
const LOOKS: usize = 5;
/// How often a counter is set anew that did not come out as it should.
const ATTEMPTS: usize = 5;

/// A clock of this host's, in ns.
pub(crate) fn now_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let [seconds, ns] = [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(ns)
}

/// CLOCK_BOOTTIME, in ns.
pub(crate) fn uptime_ns() -> u64 {
    now_ns(ClockId::Boottime)
}

/// How often a counter of `hz` ticks a second ticks in so many ns.
pub(crate) fn ticks_in(ns: u128, hz: u64) -> u64 {
    let ticks = ns * u128::from(hz) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Something that changes all the time, as it was found at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What was found.
    pub found: u64,
    /// When, by the clock, in ns: halfway between the looks at it before and after.
    pub at_ns: u64,
    /// How much earlier or later that may have been, in ns.
    pub error_ns: u64,
}

/// Finds something with `read`, and when it was so by `clock`.
///
/// # Errors
/// The first of `read`.
pub(crate) fn look<E>(
    mut clock: impl FnMut() -> u64,
    mut read: impl FnMut() -> Result<u64, E>,
) -> Result<Seen, E> {
    let mut once = || {
        let before_ns = clock();
        let found = read()?;
        let took_ns = clock().saturating_sub(before_ns);
        let error_ns = took_ns.div_ceil(2);
        Ok(Seen { found, at_ns: before_ns + took_ns / 2, error_ns })
    };
    let mut closest = once()?;
    for _ in 1..LOOKS {
        let seen = once()?;
        if seen.error_ns < closest.error_ns {
            closest = seen;
        }
    }
    Ok(closest)
}

/// What a counter of `hz` ticks a second shows as time goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    /// What it shows at that moment.
    pub ticks: u64,
    /// The moment, in ns.
    pub at_ns: u64,
    /// Ticks a second.
    pub hz: u64,
}

impl Course {
    /// What it shows at another moment; a counter is modulo 2^64.
    pub(crate) fn ticks_at(&self, ns: u64) -> u64 {
        let ticks = |ns: u64| ticks_in(ns.into(), self.hz);
        match ns.checked_sub(self.at_ns) {
            Some(later_ns) => self.ticks.wrapping_add(ticks(later_ns)),
            None => self.ticks.wrapping_sub(ticks(self.at_ns - ns)),
        }
    }

    /// Sets the register so that it goes on like this, by `clock`. Returns how far behind it is
    /// then.
    ///
    /// # Errors
    /// [`RegError`], of the engine.
    pub(crate) fn set<R: Registers + ?Sized>(
        &self,
        registers: &mut R,
        id: RegId,
        mut clock: impl FnMut() -> u64,
    ) -> Result<Off, RegError> {
        let mut ahead_ticks = 0_u64;
        let mut attempts = 0;
        loop {
            let value = self.ticks_at(clock()).wrapping_add(ahead_ticks);
            registers.store(id, &Value::u64(value))?;
            let seen = look(&mut clock, || load(registers, id))?;
            // Of a counter that is ahead, less than zero modulo 2^64.
            let behind_ticks = self.ticks_at(seen.at_ns).wrapping_sub(seen.found);
            let off = Off { behind_ns: self.signed_ns(behind_ticks), error_ns: seen.error_ns };
            attempts += 1;
            if off.behind_ns.unsigned_abs() <= off.error_ns || attempts == ATTEMPTS {
                return Ok(off);
            }
            ahead_ticks = ahead_ticks.wrapping_add(behind_ticks);
        }
    }

    /// A difference of ticks modulo 2^64, in ns.
    fn signed_ns(&self, ticks: u64) -> i64 {
        let ns = i128::from(ticks.cast_signed()) * 1_000_000_000 / i128::from(self.hz.max(1));
        i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
    }
}

/// How far a counter is from where it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Off {
    /// How far behind, in ns; ahead if below zero.
    pub behind_ns: i64,
    /// How far from that it may be, in ns: it takes so long to look.
    pub error_ns: u64,
}

impl Off {
    /// The one of the two that is farther.
    pub(crate) fn max(self, other: Self) -> Self {
        let reach = |off: &Self| off.behind_ns.unsigned_abs().saturating_add(off.error_ns);
        if reach(&other) > reach(&self) { other } else { self }
    }
}

/// A register of a counter.
///
/// # Errors
/// [`RegError`], of the engine.
pub(crate) fn load<R: Registers + ?Sized>(registers: &R, id: RegId) -> Result<u64, RegError> {
    let value = registers.load(id)?;
    let allowed = 8;
    value.to_u64().ok_or(RegError::Width { id, found: value.width(), allowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    const ID: RegId = RegId::named("counter");
    const HZ: u64 = 62_500_000;
    const TICK_NS: u64 = 1_000_000_000 / HZ;
    const BORN: Course = Course { ticks: 0, at_ns: 0, hz: HZ };
    const COURSE: Course = Course { ticks: 700, at_ns: 5_000_000, hz: HZ };

    /// A host on which reading and writing take their time.
    struct Host {
        now_ns: Rc<Cell<u64>>,
        /// How long a read takes until it finds something, and then until it returns.
        load_ns: [u64; 2],
        /// How long the first write takes until it is done; each further one a tenth more.
        store_ns: Cell<u64>,
        stores: Cell<usize>,
        /// How many ticks the counter is behind the host's own.
        offset: u64,
    }

    impl Host {
        fn new(store_ns: u64, load_ns: [u64; 2]) -> Self {
            let (now_ns, store_ns) = (Rc::new(Cell::new(9_000_000)), Cell::new(store_ns));
            Self { now_ns, load_ns, store_ns, stores: Cell::new(0), offset: 0 }
        }

        fn clock(&self) -> impl FnMut() -> u64 + use<> {
            let now_ns = Rc::clone(&self.now_ns);
            move || now_ns.get()
        }

        fn pass(&self, ns: u64) {
            self.now_ns.set(self.now_ns.get() + ns);
        }

        fn ticks(&self) -> u64 {
            BORN.ticks_at(self.now_ns.get()).wrapping_sub(self.offset)
        }
    }

    impl Registers for Host {
        fn reg_ids(&self) -> Vec<RegId> {
            vec![ID]
        }

        fn load(&self, _: RegId) -> Result<Value, RegError> {
            self.pass(self.load_ns[0]);
            let ticks = self.ticks();
            self.pass(self.load_ns[1]);
            Ok(Value::u64(ticks))
        }

        fn store(&mut self, _: RegId, value: &Value) -> Result<(), RegError> {
            let took_ns = self.store_ns.get();
            self.store_ns.set(took_ns + took_ns / 10);
            self.stores.set(self.stores.get() + 1);
            self.pass(took_ns);
            let own = BORN.ticks_at(self.now_ns.get());
            self.offset = own.wrapping_sub(value.to_u64().unwrap_or(0));
            Ok(())
        }
    }

    /// Sets the counter, and tells how far behind it is by what was said, and by the host's clock.
    fn set(host: &mut Host) -> (Off, i64) {
        let clock = host.clock();
        let off = COURSE.set(host, ID, clock).expect("it can be set");
        let behind = COURSE.ticks_at(host.now_ns.get()).wrapping_sub(host.ticks());
        (off, COURSE.signed_ns(behind))
    }

    #[test]
    fn closest_look_counts_and_its_middle_is_the_moment() {
        let now_ns = Cell::new(0);
        let took_ns = Cell::new([900, 40, 700, 50, 60].into_iter());
        let read = || {
            let mut left = took_ns.take();
            now_ns.set(now_ns.get() + left.next().unwrap_or(1000));
            took_ns.set(left);
            Ok::<_, ()>(now_ns.get())
        };
        let seen = look(|| now_ns.get(), read);
        assert_eq!(seen, Ok(Seen { found: 940, at_ns: 920, error_ns: 20 }));
    }

    #[test]
    fn course_goes_both_ways_and_round() {
        let ms = HZ / 1000;
        assert_eq!(COURSE.ticks_at(COURSE.at_ns), 700);
        assert_eq!(COURSE.ticks_at(COURSE.at_ns + 1_000_000), 700 + ms);
        assert_eq!(COURSE.ticks_at(COURSE.at_ns - 1_000_000), 700_u64.wrapping_sub(ms));
        let full = Course { ticks: u64::MAX, ..COURSE };
        assert_eq!(full.ticks_at(COURSE.at_ns + 1_000_000), ms - 1);
    }

    #[test]
    fn counter_is_set_for_the_moment_at_which_that_is_done() {
        // The second attempt knows how long the first took.
        let mut host = Host::new(1_000_000, [110_000, 110_000]);
        let (off, behind_ns) = set(&mut host);
        assert_eq!((host.stores.get(), off.error_ns), (2, 110_000));
        assert!((99_000..=101_000).contains(&behind_ns), "{behind_ns}");
        assert!(off.behind_ns.abs_diff(behind_ns) <= 2 * TICK_NS, "{off:?}, {behind_ns}");
    }

    #[test]
    fn what_is_told_holds_where_a_read_is_not_found_halfway() {
        for load_ns in [[0, 30_000], [30_000, 0], [20_000, 10_000]] {
            let (off, behind_ns) = set(&mut Host::new(3000, load_ns));
            assert_eq!(off.error_ns, 15_000);
            let apart_ns = off.behind_ns.abs_diff(behind_ns);
            assert!(apart_ns <= off.error_ns + 2 * TICK_NS, "{off:?}, {behind_ns}");
        }
    }

    #[test]
    fn attempts_end_and_tell_what_is_left() {
        // Reading costs nothing, so nothing is close enough; the last write takes 133 us longer
        // than the one before, whose delay is known by then.
        let mut host = Host::new(1_000_000, [0, 0]);
        let (off, behind_ns) = set(&mut host);
        assert_eq!(host.stores.get(), ATTEMPTS);
        assert!((100_000..150_000).contains(&off.behind_ns) && off.error_ns == 0, "{off:?}");
        assert!(off.behind_ns.abs_diff(behind_ns) <= 2 * TICK_NS, "{off:?}, {behind_ns}");
    }

    #[test]
    fn farther_one_is_told() {
        let [near, far] =
            [(30, 4), (-31, 4)].map(|(behind_ns, error_ns)| Off { behind_ns, error_ns });
        assert_eq!((near.max(far), far.max(near)), (far, far));
    }
}
