//! The process that is to get a guest.

use crate::state_dir::Place;
use abide_migrate::{Durability, Journal, Ownership};
use std::process::Child;
use std::sync::atomic::AtomicBool;

/// How it is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lives.
    Lives,
    /// It is gone, and its journal says that the guest never ran there.
    NeverRan,
    /// It is gone, and had the guest.
    Ran,
    /// It is gone, and its journal cannot be read.
    Unknown,
}

/// A process that was started to get the guest.
pub struct Successor {
    /// It.
    pub child: Child,
    /// It listens, and shares the place.
    pub is_ready: AtomicBool,
    /// It knows of no shared place, which it leaves as it is when it ends.
    pub leaves_place: bool,
}

impl Successor {
    /// One that was just started.
    pub fn new(child: Child, leaves_place: bool) -> Self {
        Self { child, is_ready: AtomicBool::new(false), leaves_place }
    }

    /// Ends one that has not got the guest.
    pub fn end(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it is with it. This process is its parent: nobody else takes its number meanwhile, and
    /// the journal of one that is gone is what decides (`docs/migration.md`).
    pub fn standing(&mut self, place: &Place) -> Standing {
        if matches!(self.child.try_wait(), Ok(None)) {
            return Standing::Lives;
        }
        let Ok(path) = place.next_journal() else { return Standing::Unknown };
        let Ok(journal) = Journal::open(&path, Durability::Volatile) else {
            return Standing::Unknown;
        };
        match journal.record().map(|record| record.ownership) {
            // It has its journal where the guest's is, once its source knows that it runs.
            None => Standing::Unknown,
            Some(Ownership::Incoming | Ownership::Prepared | Ownership::Discarded) => {
                Standing::NeverRan
            }
            Some(_) => Standing::Ran,
        }
    }
}
