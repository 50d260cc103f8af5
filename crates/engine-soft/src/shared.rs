//! What the vCPUs of one VM share, and what they ask of each other.
//!
//! A vCPU translates and decodes by itself and keeps what it found. What another does to
//! translation tables or code it learns by a request, which it serves between two slices. The one
//! who asked may go on past its DSB only when every other has served: each notes the *epoch* it
//! has come to, and the DSB starts a new epoch, after its requests, and waits until all have come
//! to it.
//!
//! A vCPU that executes nothing (its thread waits, it is paused or off, it waits at a DSB itself)
//! is [`ABSENT`]: nobody waits for it, since it serves its requests before it executes again. So
//! two that wait for each other are both absent, and no wait can be for ever.
//!
//! All of this is invisible to the guest: where vCPUs take turns on one thread, all but one are
//! absent, and no DSB waits.

use crate::code_cache::CodeCache;
use crate::cpu::Cpu;
use crate::cpu_model::IdSpace;
use crate::identities::Identities;
use crate::sysreg::Slot;
use abide_engine::{InterruptLines, Unimplemented};
use abide_memory::GuestRam;
use abide_pvtime::Revisions;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

/// Requests from one vCPU to another, served before the other executes its next slice.
pub(crate) mod request {
    /// Forget every translation.
    pub const FLUSH_TLB: u32 = 1;
    /// Forget every decoded instruction.
    pub const FLUSH_CODE: u32 = 2;
    /// SEV: set the event register.
    pub const EVENT: u32 = 4;
    /// Forget the decoded instructions of the lines that are listed.
    pub const FLUSH_LINES: u32 = 8;
}

/// How many different unimplemented things are named in the log of one VM.
const WARNINGS_MAX: usize = 64;

/// Lines of code that are listed for one vCPU before all of its code is forgotten.
const LINES_MAX: usize = 256;

/// The epoch of a vCPU that executes nothing.
const ABSENT: u64 = u64::MAX;

/// What one vCPU is asked for, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Mailbox {
    requests: AtomicU32,
    /// The epoch up to which it has served; [`ABSENT`] while it executes nothing.
    served: AtomicU64,
    /// Places in RAM whose lines of decoded code are to be forgotten.
    lines: Mutex<Vec<u64>>,
    /// Whose wait a request ends.
    thread: OnceLock<Arc<InterruptLines>>,
}

impl Mailbox {
    fn new() -> Self {
        Self {
            requests: AtomicU32::new(0),
            served: AtomicU64::new(ABSENT),
            lines: Mutex::default(),
            thread: OnceLock::new(),
        }
    }

    /// Asks for `what`.
    fn ask(&self, what: u32) {
        // One who has not served an earlier request of this kind serves both: the fences on both
        // sides let it see what was written before this one.
        fence(Ordering::SeqCst);
        if self.requests.load(Ordering::SeqCst) & what != what {
            self.requests.fetch_or(what, Ordering::SeqCst);
        }
    }

    fn ask_line(&self, offset: u64) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(offset);
            drop(lines);
            self.ask(request::FLUSH_LINES);
        } else {
            drop(lines);
            self.ask(request::FLUSH_CODE);
        }
    }
}

/// A VM's common state.
#[derive(Debug)]
pub(crate) struct Shared {
    pub ram: Arc<GuestRam>,
    pub cntfrq_hz: u64,
    /// Of which revisions records of stolen time are kept.
    pub stolen_time: Revisions,
    /// CNTVCT is the machine's clock minus this.
    pub virtual_offset: AtomicU64,
    /// CNTPCT is the machine's clock minus this.
    pub physical_offset: AtomicU64,
    ids: Mutex<Identities>,
    /// Some vCPU has executed: ID registers are fixed.
    pub started: AtomicBool,
    mailboxes: Box<[Mailbox]>,
    /// How many vCPUs are in `run`.
    executing: AtomicU32,
    host_cpus: u32,
    /// Moves with each DSB that others have to answer, and with each harvest of the dirty log.
    epoch: AtomicU64,
    /// How many wait for others to come to an epoch.
    waiting: AtomicU32,
    wait: Mutex<()>,
    /// Somebody came to an epoch while others waited.
    served: Condvar,
    warned: Mutex<BTreeSet<u64>>,
}

impl Shared {
    pub fn new(
        ram: Arc<GuestRam>,
        cntfrq_hz: u64,
        vcpu_count: u32,
        ids: Identities,
        stolen_time: Revisions,
    ) -> Self {
        Self {
            ram,
            cntfrq_hz,
            stolen_time,
            virtual_offset: AtomicU64::new(0),
            physical_offset: AtomicU64::new(0),
            ids: Mutex::new(ids),
            started: AtomicBool::new(false),
            mailboxes: (0..vcpu_count).map(|_| Mailbox::new()).collect(),
            executing: AtomicU32::new(0),
            host_cpus: std::thread::available_parallelism()
                .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
            epoch: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            wait: Mutex::default(),
            served: Condvar::new(),
            warned: Mutex::new(BTreeSet::new()),
        }
    }

    /// What the guest sees of features on vCPU number `vcpu`.
    pub fn ids(&self, vcpu: usize) -> Arc<IdSpace> {
        Arc::clone(self.ids.lock().unwrap_or_else(PoisonError::into_inner).of(vcpu))
    }

    /// Gives an ID register another value; [`Identities::set`] says whose.
    pub fn set_id(&self, vcpu: usize, slot: Slot, value: u64) -> Result<(), &'static str> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).set(vcpu, slot, value)
    }

    /// As [`Identities::unimplemented`].
    pub fn unimplemented(&self) -> Vec<Unimplemented> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).unimplemented()
    }

    /// Says where the thread of vCPU `number` waits.
    pub fn waits_at(&self, number: usize, lines: Arc<InterruptLines>) {
        if let Some(mailbox) = self.mailboxes.get(number) {
            mailbox.thread.get_or_init(|| lines);
        }
    }

    fn others(&self, own: usize) -> impl Iterator<Item = &Mailbox> {
        let numbered = self.mailboxes.iter().enumerate();
        numbered.filter(move |&(number, _)| number != own).map(|(_, mailbox)| mailbox)
    }

    /// Asks every vCPU but `own` to forget something: one of the `FLUSH` requests.
    pub fn ask_others(&self, own: usize, what: u32) {
        self.others(own).for_each(|mailbox| mailbox.ask(what));
    }

    /// Asks every vCPU but `own` to forget what it decoded from the line at `offset` in RAM.
    pub fn ask_others_line(&self, own: usize, offset: u64) {
        self.others(own).for_each(|mailbox| mailbox.ask_line(offset));
    }

    /// SEV: an event for every vCPU but `own`, which ends its wait.
    pub fn send_event(&self, own: usize) {
        for mailbox in self.others(own) {
            mailbox.ask(request::EVENT);
            if let Some(thread) = mailbox.thread.get() {
                thread.parking().wake();
            }
        }
    }

    /// Whether another vCPU's SEV waits to be applied to `own`.
    pub fn event_requested(&self, own: usize) -> bool {
        let asked =
            self.mailboxes.get(own).map_or(0, |mailbox| mailbox.requests.load(Ordering::SeqCst));
        asked & request::EVENT != 0
    }

    /// `own` is about to execute: from here on others wait for it. It must [`serve`] first.
    pub fn enter(&self, own: usize) -> Inside<'_> {
        self.come_to(own, self.epoch.load(Ordering::SeqCst));
        self.executing.fetch_add(1, Ordering::Relaxed);
        Inside { shared: self, own }
    }

    /// Whether more vCPUs execute than the host has CPUs, so that some vCPU waits for one.
    pub fn is_crowded(&self) -> bool {
        self.executing.load(Ordering::Relaxed) > self.host_cpus
    }

    fn come_to(&self, own: usize, epoch: u64) {
        let Some(mailbox) = self.mailboxes.get(own) else { return };
        mailbox.served.store(epoch, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) != 0 {
            // Who waits holds the lock from its look at the epochs until it sleeps.
            drop(self.wait.lock().unwrap_or_else(PoisonError::into_inner));
            self.served.notify_all();
        }
    }

    /// Starts a new epoch and waits until every vCPU but `own` has come to it or is absent.
    fn wait_for_others(&self, own: usize) {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        let behind = || self.others(own).any(|it| it.served.load(Ordering::SeqCst) < epoch);
        if !behind() {
            return;
        }
        // The vCPU executes nothing meanwhile, and must not be waited for by those it waits for.
        self.come_to(own, ABSENT);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.wait.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.served.wait_while(guard, |()| behind()));
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// DSB after requests to others: waits until they are served. `own` must [`serve`] before it
    /// executes on.
    pub fn complete(&self, own: usize) {
        self.wait_for_others(own);
        self.come_to(own, self.epoch.load(Ordering::SeqCst));
    }

    /// Waits until every vCPU that executes has seen the dirty log's generation of now.
    pub fn settle(&self) {
        self.wait_for_others(usize::MAX);
    }

    /// Whether `what` is to be named in the log: once each, and not without bound.
    pub fn warn_once(&self, what: u64) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < WARNINGS_MAX && warned.insert(what)
    }
}

/// A vCPU's stay in execution. However it ends, nobody waits for it afterwards.
pub(crate) struct Inside<'a> {
    shared: &'a Shared,
    own: usize,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.shared.executing.fetch_sub(1, Ordering::Relaxed);
        self.shared.come_to(self.own, ABSENT);
    }
}

/// Serves what others asked of `own` and what a harvest of the dirty log demands, between slices.
pub(crate) fn serve(shared: &Shared, own: usize, cpu: &mut Cpu, code: &mut CodeCache) {
    let Some(mailbox) = shared.mailboxes.get(own) else { return };
    // Read before the requests: all that were made before this epoch began are found below.
    let epoch = shared.epoch.load(Ordering::SeqCst);
    // The common case must not write to a line that other vCPUs share.
    if mailbox.requests.load(Ordering::SeqCst) != 0 {
        let requests = mailbox.requests.swap(0, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if requests & request::FLUSH_TLB != 0 {
            cpu.flush_tlb();
        }
        if requests & (request::FLUSH_CODE | request::FLUSH_LINES) != 0 {
            let mut lines = mailbox.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if requests & request::FLUSH_CODE != 0 {
                code.flush_ops();
            } else {
                let line_ops = cpu.ids.code_line_ops();
                lines.iter().for_each(|&offset| code.flush_line(offset, line_ops));
            }
            lines.clear();
        }
        if requests & request::EVENT != 0 {
            cpu.event = true;
        }
    }
    let generation = shared.ram.dirty().generation();
    if generation != cpu.dirty_generation {
        cpu.dirty_generation = generation;
        cpu.tlb.drop_writes();
    }
    if mailbox.served.load(Ordering::Relaxed) != epoch {
        shared.come_to(own, epoch);
    }
}
