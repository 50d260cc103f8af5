//! What the control socket of a process leads to: a guest that runs, or one that is expected.

use crate::console::Requests;
use abide_migrate::{Journal, Ownership, RunToken};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// The process's one guest, as others see it.
pub struct Desk {
    /// The guest's name.
    pub name: String,
    /// Where its journal is, if it has one.
    pub journal: PathBuf,
    guest: OnceLock<Requests>,
    /// How it stands with the handoff, where the machine does not know it.
    word: Mutex<Option<&'static str>>,
    is_cancelled: AtomicBool,
    is_fenced: AtomicBool,
    is_awaited: AtomicBool,
    right: Mutex<Right>,
}

/// The right to run the guest, as this process has it. Whoever hands it over holds the lock.
#[derive(Default)]
pub struct Right {
    /// Which right; a guest that never moved has none yet.
    pub token: Option<RunToken>,
    /// What says so.
    pub journal: Option<Journal>,
}

impl Desk {
    /// Of a guest that is still to come.
    pub fn new(name: &str, journal: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            journal,
            guest: OnceLock::new(),
            word: Mutex::default(),
            is_cancelled: AtomicBool::new(false),
            is_fenced: AtomicBool::new(false),
            is_awaited: AtomicBool::new(false),
            right: Mutex::default(),
        }
    }

    /// The guest runs from here on.
    pub fn seat(&self, requests: Requests) {
        // There is one guest in a process's life.
        let _ = self.guest.set(requests);
    }

    /// The guest, if it is here.
    pub fn guest(&self) -> Option<&Requests> {
        self.guest.get()
    }

    /// Says how it stands; `None` where the machine knows that itself.
    pub fn say(&self, word: Option<&'static str>) {
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = word;
    }

    /// How it stands.
    pub fn word(&self) -> Option<&'static str> {
        *self.word.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the handoff in hand to be given up.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
    }

    /// A new handoff begins, which nobody has asked to give up.
    pub fn begin(&self) {
        self.is_cancelled.store(false, Ordering::SeqCst);
    }

    /// Somebody states that the other side of the handoff is fenced, or takes it back: a statement
    /// is about the moment at which it was made.
    pub fn fence(&self, is_fenced: bool) {
        self.is_fenced.store(is_fenced, Ordering::SeqCst);
    }

    /// Whether somebody stated that.
    pub fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::SeqCst)
    }

    /// The guest runs here, and its source may still ask whether it does.
    pub fn await_source(&self, is_awaited: bool) {
        self.is_awaited.store(is_awaited, Ordering::SeqCst);
    }

    /// Whether somebody asked for that.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }

    /// The guest has ended here, and nobody asks about it any more: its journal goes with it. One
    /// that says who else has the guest stays.
    pub fn close(&self) {
        if self.is_awaited.load(Ordering::SeqCst) {
            return;
        }
        let Some(mut right) = self.right() else { return };
        let record = right.journal.as_ref().and_then(Journal::record);
        if record.is_some_and(|record| record.ownership == Ownership::Running) {
            // What cannot be removed says that its process is gone, which is so.
            std::fs::remove_file(&self.journal).ok();
            right.journal = None;
        }
    }

    /// The right to run, unless a handoff is under way.
    pub fn right(&self) -> Option<MutexGuard<'_, Right>> {
        match self.right.try_lock() {
            Ok(right) => Some(right),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
