//! What the vCPUs of one VM share.

use crate::cpu_model::IdSpace;
use abide_memory::GuestRam;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests from one vCPU to another, applied before the other executes its next slice.
pub(crate) mod request {
    /// Forget every translation.
    pub const FLUSH_TLB: u32 = 1;
    /// Forget every decoded instruction.
    pub const FLUSH_CODE: u32 = 2;
    /// SEV: set the event register.
    pub const EVENT: u32 = 4;
}

/// How many different unimplemented things are named in the log of one VM.
const WARNINGS_MAX: usize = 64;

/// A VM's common state.
#[derive(Debug)]
pub(crate) struct Shared {
    pub ram: Arc<GuestRam>,
    pub cntfrq_hz: u64,
    /// CNTVCT is the machine's clock minus this.
    pub virtual_offset: AtomicU64,
    /// CNTPCT is the machine's clock minus this.
    pub physical_offset: AtomicU64,
    ids: Mutex<Arc<IdSpace>>,
    /// Some vCPU has executed: ID registers are fixed.
    pub started: AtomicBool,
    requests: Box<[AtomicU32]>,
    warned: Mutex<BTreeSet<u64>>,
}

impl Shared {
    pub fn new(ram: Arc<GuestRam>, cntfrq_hz: u64, vcpu_count: u32, ids: IdSpace) -> Self {
        Self {
            ram,
            cntfrq_hz,
            virtual_offset: AtomicU64::new(0),
            physical_offset: AtomicU64::new(0),
            ids: Mutex::new(Arc::new(ids)),
            started: AtomicBool::new(false),
            requests: (0..vcpu_count).map(|_| AtomicU32::new(0)).collect(),
            warned: Mutex::new(BTreeSet::new()),
        }
    }

    /// What the guest sees of features.
    pub fn ids(&self) -> Arc<IdSpace> {
        Arc::clone(&self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_ids(&self, ids: IdSpace) {
        *self.ids.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(ids);
    }

    /// Asks every vCPU but `own` for something.
    pub fn request_others(&self, own: usize, what: u32) {
        for (_, word) in self.requests.iter().enumerate().filter(|&(number, _)| number != own) {
            word.fetch_or(what, Ordering::SeqCst);
        }
    }

    /// Takes what was asked of `own`.
    pub fn take_requests(&self, own: usize) -> u32 {
        let Some(word) = self.requests.get(own) else { return 0 };
        // The common case must not write to a line that other vCPUs share.
        if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::SeqCst) }
    }

    /// Whether another vCPU's SEV waits to be applied to `own`.
    pub fn event_requested(&self, own: usize) -> bool {
        let asked = self.requests.get(own).map_or(0, |word| word.load(Ordering::SeqCst));
        asked & request::EVENT != 0
    }

    /// Whether `what` is to be named in the log: once each, and not without bound.
    pub fn warn_once(&self, what: u64) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < WARNINGS_MAX && warned.insert(what)
    }
}
