//! Stolen time: the vCPUs' records, and who is charged for what.
//!
//! The records stand in a page of the board's, and nowhere else: what the guest reads there is what
//! is saved. Where the host's kernel brings the firmware it keeps them too; here only their place
//! is known. Where the machine brings it, a vCPU is charged
//!
//! * in the host's time: for what the host's scheduler counts of its thread, while that could run
//!   and did not (*run delay*), from when the vCPU came to that thread on;
//! * in virtual time: for exactly the time in which another vCPU executed and it could have. There
//!   is one thread for all of them, whose own waiting moves no guest's clock. A vCPU that waits for
//!   an interrupt is not charged before it has looked whether one came.

use crate::board::PVTIME_BASE;
use crate::error::MachineError;
use abide_contract::{Accepts, Offer, Whose};
use abide_memory::{AbiPages, GuestRam, Order, PageAccess, RamOffset};
use abide_pvtime::{
    DEF_TABLE_GPA, NO_VERSION, RECORD_LEN, Record, Revision, Revisions, STOLEN_NS_OFFSET,
    StolenTime, Tally,
};
use abide_reg::{Entry, Gpa, IntakeError, Value, VcpuId};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// How old a count of the host's may be: asking takes a system call, guests look every millisecond
/// at most.
const FRESH: Duration = Duration::from_millis(1);

/// Where a thread's own count stands `[linux Documentation/scheduler/sched-stats.rst]`: three
/// numbers, of which the second is the run delay in nanoseconds.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// The board has room for a record of each vCPU.
const _: () = assert!(crate::board::VCPU_MAX as u64 * RECORD_LEN as u64 <= AbiPages::LEN);

/// What the host counts for one thread.
struct Thread {
    id: ThreadId,
    /// `None` on a host that does not count: nothing is charged.
    schedstat: Option<File>,
    tally: Tally,
    asked: Instant,
}

impl Thread {
    /// The thread that calls.
    fn current() -> Self {
        let schedstat = File::open(SCHEDSTAT).ok();
        let waited_ns = schedstat.as_ref().and_then(run_delay_ns).unwrap_or(0);
        let id = std::thread::current().id();
        Self { id, schedstat, tally: Tally::begin(waited_ns), asked: Instant::now() }
    }
}

/// The second number of a schedstat file.
fn run_delay_ns(schedstat: &File) -> Option<u64> {
    let mut bytes = [0; 80];
    let len = schedstat.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(bytes.get(..len)?).ok()?.split_whitespace().nth(1)?.parse().ok()
}

/// One vCPU's record.
struct Seat {
    table_gpa: Gpa,
    revision: Revision,
    /// Where its count is in the page.
    count: RamOffset,
    /// The thread that last executed the vCPU.
    thread: Mutex<Option<Thread>>,
}

/// The records of all vCPUs.
pub(crate) struct Records {
    page: Arc<AbiPages>,
    seats: Vec<Seat>,
}

/// A place for a record on this board.
const ALLOWED: &str = "a record of its own in the board's page of stolen time, at 0x90a0000";

impl Records {
    /// Fresh ones for a guest that is born, one after another.
    pub(crate) fn new(revision: Revision, vcpu_count: u32) -> Result<Self, MachineError> {
        let gpa = |n: u32| PVTIME_BASE.0 + u64::from(n) * RECORD_LEN as u64;
        let states = (0..vcpu_count).filter_map(|n| StolenTime::new(Gpa(gpa(n)), revision).ok());
        Self::of(&states.collect::<Vec<_>>())
    }

    /// Those of vCPUs that were saved and have their places, vCPU by vCPU.
    pub(crate) fn of(states: &[StolenTime]) -> Result<Self, MachineError> {
        let page = Arc::new(AbiPages::new(PVTIME_BASE, PageAccess::ReadWrite)?);
        let host = page.host();
        let seat = |state: &StolenTime| {
            let (table_gpa, revision) = (state.table_gpa(), state.record.revision);
            let at = table_gpa.checked_add(STOLEN_NS_OFFSET)?;
            let count = host.offset_of(at, size_of::<u64>() as u64)?;
            Some(Seat { table_gpa, revision, count, thread: Mutex::default() })
        };
        let seats: Vec<Seat> = states.iter().filter_map(seat).collect();
        assert_eq!(seats.len(), states.len(), "places are looked at before");
        let records = Self { page, seats };
        for (seat, state) in records.seats.iter().zip(states) {
            records.write(seat, state.record);
        }
        Ok(records)
    }

    /// The number of the first vCPU whose record has no place of its own on this board.
    pub(crate) fn misplaced(states: &[StolenTime]) -> Option<(usize, IntakeError)> {
        let is_placed = |n: usize| {
            let gpa = states[n].table_gpa();
            let inside = gpa.offset_from(PVTIME_BASE).is_some_and(|offset| offset < AbiPages::LEN);
            inside && states[..n].iter().all(|other| other.table_gpa() != gpa)
        };
        let n = (0..states.len()).find(|&n| !is_placed(n))?;
        let (id, found) = (DEF_TABLE_GPA.id, Value::u64(states[n].table_gpa().0));
        Some((n, IntakeError::Value { id, found, allowed: ALLOWED }))
    }

    /// The page in which they stand.
    pub(crate) fn page(&self) -> &Arc<AbiPages> {
        &self.page
    }

    /// Where a vCPU's record is, and its revision.
    pub(crate) fn of_vcpu(&self, vcpu: VcpuId) -> Option<(Gpa, Revision)> {
        self.seats.get(vcpu.index()).map(|seat| (seat.table_gpa, seat.revision))
    }

    /// The version of the interface that its guest is told of.
    pub(crate) fn version(&self) -> u32 {
        let first = self.seats.first().and_then(|seat| seat.revision.version());
        first.unwrap_or(NO_VERSION)
    }

    fn host(&self) -> &GuestRam {
        self.page.host()
    }

    fn write(&self, seat: &Seat, record: Record) {
        // The seat's place is inside.
        self.host().write(seat.table_gpa, &record.to_bytes()).ok();
    }

    fn stolen_ns(&self, seat: &Seat) -> u64 {
        u64::from_le(self.host().load(seat.count, Order::Relaxed))
    }

    /// The registers of a vCPU.
    pub(crate) fn save(&self, vcpu: VcpuId) -> Vec<Entry> {
        let Some(seat) = self.seats.get(vcpu.index()) else { return Vec::new() };
        let Ok(mut state) = StolenTime::new(seat.table_gpa, seat.revision) else {
            return Vec::new();
        };
        state.record.stolen_ns = self.stolen_ns(seat);
        state.save()
    }

    /// Charges a vCPU, of which nobody else is charged meanwhile. A guest that wrote something else
    /// there has what it wrote for its count.
    fn charge(&self, seat: &Seat, ns: u64) {
        if ns != 0 {
            let now = self.stolen_ns(seat).saturating_add(ns);
            self.host().store(seat.count, now.to_le(), Order::Relaxed);
        }
    }

    /// `PV_TIME_ST`: the record begins anew. Called by the vCPU, on its thread.
    pub(crate) fn begin(&self, vcpu: VcpuId) {
        let Some(seat) = self.seats.get(vcpu.index()) else { return };
        let mut thread = crate::bus::lock(&seat.thread);
        self.write(seat, Record::new(seat.revision));
        // What its thread waited so far was before.
        if let Some(Thread { tally, schedstat: Some(schedstat), .. }) = thread.as_mut()
            && let Some(waited_ns) = run_delay_ns(schedstat)
        {
            tally.advance(waited_ns);
        }
    }

    /// A vCPU is about to execute on the calling thread, or `leaves` it: it is charged for what the
    /// thread waited.
    pub(crate) fn visit(&self, vcpu: VcpuId, leaves: bool) {
        let Some(seat) = self.seats.get(vcpu.index()) else { return };
        let mut thread = crate::bus::lock(&seat.thread);
        let own = std::thread::current().id();
        let thread = match thread.as_mut() {
            Some(thread) if thread.id == own => thread,
            _ => thread.insert(Thread::current()),
        };
        if !leaves && thread.asked.elapsed() < FRESH {
            return;
        }
        thread.asked = Instant::now();
        if let Some(waited_ns) = thread.schedstat.as_ref().and_then(run_delay_ns) {
            self.charge(seat, thread.tally.advance(waited_ns));
        }
    }

    /// Charges a vCPU for the virtual time in which another executed.
    pub(crate) fn steal(&self, vcpu: VcpuId, ns: u64) {
        if let Some(seat) = self.seats.get(vcpu.index()) {
            self.charge(seat, ns);
        }
    }
}

/// What an engine that keeps records of these revisions offers, to a guest that has records of
/// version `own`.
pub(crate) fn offer(offered: &Revisions, own: u32) -> Offer {
    let versions = offered.iter().filter_map(Revision::version).map(u64::from);
    let accepts: std::collections::BTreeSet<u64> = versions.chain([NO_VERSION.into()]).collect();
    if accepts.len() == 1 {
        return Offer::fixed(Whose::Vm, Value::u32(own));
    }
    Offer::taking(Whose::Vm, Value::u32(own), Accepts::Values(accepts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_pvtime::REVISION_1_0;

    fn record(records: &Records, vcpu: u32) -> Record {
        let mut bytes = [0; RECORD_LEN];
        let (gpa, _) = records.of_vcpu(VcpuId(vcpu)).unwrap();
        records.page().host().read(gpa, &mut bytes).unwrap();
        Record::from_bytes(&bytes)
    }

    #[test]
    fn records_stand_where_the_guest_is_told_and_hold_what_was_saved() {
        let records = Records::new(Revision(1), 3).unwrap();
        assert_eq!(records.of_vcpu(VcpuId(2)), Some((Gpa(0x90a_0080), Revision(1))));
        assert_eq!((records.version(), records.of_vcpu(VcpuId(3))), (0x1_0001, None));
        records.steal(VcpuId(1), 70);
        records.steal(VcpuId(1), 7);
        records.steal(VcpuId(9), 7);
        let found = [0, 1, 2].map(|vcpu| record(&records, vcpu).stolen_ns);
        assert_eq!(found, [0, 77, 0]);
        let states =
            [0, 1, 2].map(|vcpu| StolenTime::restore(records.save(VcpuId(vcpu))).unwrap().0);
        let again = Records::of(&states).unwrap();
        assert_eq!(record(&again, 1), record(&records, 1));
        again.begin(VcpuId(1));
        assert_eq!(record(&again, 1), Record::new(Revision(1)));
    }

    #[test]
    fn places_outside_the_page_or_of_two_are_refused_by_number() {
        let refused = |gpas: [u64; 2]| {
            let states = gpas.map(|gpa| StolenTime::new(Gpa(gpa), REVISION_1_0).unwrap());
            Records::misplaced(&states).map(|(n, error)| (n, error.to_string()))
        };
        assert_eq!(refused([0x90a_0040, 0x90a_ffc0]), None);
        for (gpas, number) in [
            ([0x90a_0040, 0x90a_0040], 1),
            ([0x90a_0000, 0x90b_0000], 1),
            ([0x909_ffc0, 0x90a_0000], 0),
            ([0x4000_0000, 0x90a_0000], 0),
        ] {
            let (n, text) = refused(gpas).unwrap();
            assert_eq!(n, number);
            assert!(text.contains("pvtime.table-gpa") && text.contains(ALLOWED), "{text}");
        }
    }

    #[test]
    fn a_thread_is_charged_for_its_own_waiting_only() {
        let records = Records::new(REVISION_1_0, 1).unwrap();
        let schedstat = File::open(SCHEDSTAT).unwrap();
        // Whatever it waited until now was before the vCPU came.
        let before = run_delay_ns(&schedstat).unwrap();
        records.visit(VcpuId(0), false);
        let mut seen = 0;
        for leaves in [true, false, true] {
            records.visit(VcpuId(0), leaves);
            let stolen = record(&records, 0).stolen_ns;
            assert!(stolen >= seen && stolen <= run_delay_ns(&schedstat).unwrap() - before);
            seen = stolen;
        }
        records.steal(VcpuId(0), 1_000);
        // Another thread begins where it is, and takes nothing away.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let own = File::open(SCHEDSTAT).unwrap();
                let before = run_delay_ns(&own).unwrap();
                records.visit(VcpuId(0), true);
                records.visit(VcpuId(0), true);
                let stolen = record(&records, 0).stolen_ns;
                let waited = run_delay_ns(&own).unwrap() - before;
                assert!((seen + 1_000..=seen + 1_000 + waited).contains(&stolen));
            });
        });
    }
}
