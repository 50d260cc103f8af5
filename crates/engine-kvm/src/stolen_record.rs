//! A vCPU's record of stolen time while threads change under it.
//!
//! The kernel adds to the record, each time it loads the vCPU, what the thread that runs it waited
//! for a CPU since the last load: its run delay then, minus the one that it noted. At first it has
//! noted 0, so that a guest would be charged for the whole life of the thread that restores it; and
//! where another thread comes, which has waited for less, the record would fall
//! `[linux arch/arm64/kvm/pvtime.c kvm_update_stolen_time]`. So the difference is taken out of the
//! record before a thread runs the vCPU for the first time: what the kernel then adds puts it back.
//!
//! Until the kernel has done so, in its first steps inside `KVM_RUN`, the record holds less than
//! before; the vCPU whose record it is executes nothing meanwhile. A run that ends before it began
//! leaves the record as it was.

use abide_memory::{GuestRam, Order, RamOffset};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::ThreadId;

/// Where a thread's own count stands: three numbers, of which the second is its run delay in
/// nanoseconds `[linux Documentation/scheduler/sched-stats.rst]`.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// What the calling thread has waited for a CPU.
pub(crate) struct RunDelay {
    /// Whose.
    pub(crate) thread: ThreadId,
    schedstat: File,
}

impl RunDelay {
    /// That of the calling thread, or `None` on a host that does not tell.
    pub(crate) fn of_caller() -> Option<Self> {
        let schedstat = File::open(SCHEDSTAT).ok()?;
        Some(Self { thread: std::thread::current().id(), schedstat })
    }

    /// In nanoseconds, since the thread began.
    pub(crate) fn waited_ns(&self) -> Option<u64> {
        let mut bytes = [0; 80];
        let len = self.schedstat.read_at(&mut bytes, 0).ok()?;
        std::str::from_utf8(bytes.get(..len)?).ok()?.split_whitespace().nth(1)?.parse().ok()
    }
}

/// What was taken out of the record when a thread came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Discount {
    before_ns: u64,
    after_ns: u64,
}

/// The record of one vCPU.
pub(crate) struct StolenRecord {
    ram: Arc<GuestRam>,
    /// Where its count is.
    count: RamOffset,
    /// The thread that last ran the vCPU, and what that had waited when it left: at least what the
    /// kernel noted.
    last: Option<(ThreadId, u64)>,
}

impl StolenRecord {
    /// The record whose count is at `count`, of a vCPU that has not run.
    pub(crate) fn new(ram: Arc<GuestRam>, count: RamOffset) -> Self {
        Self { ram, count, last: None }
    }

    fn load(&self) -> u64 {
        u64::from_le(self.ram.load(self.count, Order::Relaxed))
    }

    fn store(&self, ns: u64) {
        self.ram.store(self.count, ns.to_le(), Order::Relaxed);
    }

    /// A thread that has waited for `waited_ns` is about to run the vCPU.
    pub(crate) fn enter(&self, thread: ThreadId, waited_ns: u64) -> Option<Discount> {
        let noted_ns = match self.last {
            Some((last, _)) if last == thread => return None,
            Some((_, noted_ns)) => noted_ns,
            None => 0,
        };
        let before_ns = self.load();
        // Below 0 it is as good: the kernel adds by the same arithmetic.
        let after_ns = before_ns.wrapping_add(noted_ns).wrapping_sub(waited_ns);
        self.store(after_ns);
        Some(Discount { before_ns, after_ns })
    }

    /// It has left, and had waited for `waited_ns` by then.
    pub(crate) fn leave(&mut self, thread: ThreadId, waited_ns: u64, discount: Option<Discount>) {
        if let Some(Discount { before_ns, after_ns }) = discount
            && before_ns != after_ns
            && self.load() == after_ns
        {
            // The kernel has not loaded the vCPU: it would see the same thread as new once more.
            self.store(before_ns);
            return;
        }
        self.last = Some((thread, waited_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_memory::{AbiPages, PageAccess};
    use abide_reg::Gpa;

    const COUNT: Gpa = Gpa(0x90a_0048);

    /// What the kernel does, from its source, not from the code under test.
    struct Kernel {
        page: Arc<AbiPages>,
        last_steal: u64,
    }

    impl Kernel {
        fn count(&self) -> u64 {
            let mut bytes = [0; 8];
            self.page.host().read(COUNT, &mut bytes).unwrap();
            u64::from_le_bytes(bytes)
        }

        fn set(&self, ns: u64) {
            self.page.host().write(COUNT, &ns.to_le_bytes()).unwrap();
        }

        fn load_vcpu(&mut self, run_delay: u64) {
            let steal = self.count().wrapping_add(run_delay.wrapping_sub(self.last_steal));
            self.last_steal = run_delay;
            self.set(steal);
        }
    }

    fn host() -> (Kernel, StolenRecord) {
        let page = Arc::new(AbiPages::new(Gpa(0x90a_0000), PageAccess::ReadWrite).unwrap());
        let ram = GuestRam::new(Gpa(0x4000_0000), 1 << 20).unwrap();
        let ram = Arc::new(ram.with_pages(vec![Arc::clone(&page)]).unwrap());
        let count = ram.place_of(COUNT, 8).unwrap().offset();
        (Kernel { page, last_steal: 0 }, StolenRecord::new(ram, count))
    }

    /// Ids of threads that have ended.
    fn threads<const N: usize>() -> [ThreadId; N] {
        std::array::from_fn(|_| {
            let thread = std::thread::spawn(|| std::thread::current().id());
            thread.join().unwrap()
        })
    }

    #[test]
    fn a_restored_vcpu_is_charged_for_what_its_thread_waits_from_here_on() {
        for saved in [5_000_000_000, 3, 0] {
            let (mut kernel, mut record) = host();
            let [thread] = threads();
            kernel.set(saved);
            let discount = record.enter(thread, 24_700);
            kernel.load_vcpu(24_700);
            assert_eq!(kernel.count(), saved);
            kernel.load_vcpu(25_000);
            assert_eq!(kernel.count(), saved + 300);
            record.leave(thread, 25_100, discount);
            assert_eq!(record.enter(thread, 25_200), None, "the kernel knows it");
            kernel.load_vcpu(25_200);
            assert_eq!(kernel.count(), saved + 500);
        }
    }

    #[test]
    fn a_thread_that_waited_for_less_takes_nothing_away() {
        let (mut kernel, mut record) = host();
        let [first, second] = threads();
        let discount = record.enter(first, 1_000);
        kernel.load_vcpu(9_000);
        record.leave(first, 9_500, discount);
        assert_eq!(kernel.count(), 8_000);
        let discount = record.enter(second, 10);
        kernel.load_vcpu(10);
        // What the first waited behind its last load was no other's fault than the host's.
        assert_eq!(kernel.count(), 8_500);
        kernel.load_vcpu(60);
        record.leave(second, 60, discount);
        assert_eq!(kernel.count(), 8_550);
    }

    #[test]
    fn a_run_that_ends_before_it_began_changes_nothing() {
        let (mut kernel, mut record) = host();
        let [first, second] = threads();
        kernel.set(70);
        for (thread, waited) in [(first, 1_000), (first, 1_400), (second, 6), (first, 1_500)] {
            let discount = record.enter(thread, waited);
            assert!(discount.is_some());
            record.leave(thread, waited + 1, discount);
            assert_eq!(kernel.count(), 70);
        }
        let discount = record.enter(second, 8);
        kernel.load_vcpu(9);
        record.leave(second, 9, discount);
        assert_eq!(kernel.count(), 71);
    }

    #[test]
    fn a_guest_that_begins_anew_begins_at_0() {
        let (mut kernel, mut record) = host();
        let [first, second] = threads();
        kernel.set(500);
        let discount = record.enter(first, 40);
        kernel.load_vcpu(40);
        // PV_TIME_ST.
        kernel.set(0);
        kernel.last_steal = 50;
        kernel.load_vcpu(52);
        record.leave(first, 52, discount);
        assert_eq!(kernel.count(), 2);
        let discount = record.enter(second, 7_000);
        kernel.load_vcpu(7_001);
        record.leave(second, 7_001, discount);
        assert_eq!(kernel.count(), 3);
    }

    #[test]
    fn the_host_tells_what_its_threads_waited() {
        let delay = RunDelay::of_caller().unwrap();
        assert_eq!(delay.thread, std::thread::current().id());
        let first = delay.waited_ns().unwrap();
        assert!(delay.waited_ns().unwrap() >= first);
    }
}
