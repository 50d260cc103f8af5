//! What the control socket of a process leads to: a guest that runs, or one that is expected.

use super::Progress;
use crate::console::Requests;
use crate::out::say;
use crate::upgrade::Around;
use abide_machine::runner::{Command, Reply};
use abide_migrate::driver::Resolution;
use abide_migrate::{Journal, Ownership, RunToken};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// The process's one guest, as others see it.
pub struct Desk {
    /// The guest's name.
    pub name: String,
    journal: Mutex<PathBuf>,
    guest: OnceLock<Requests>,
    around: OnceLock<Around>,
    /// How it stands with the handoff, where the machine does not know it.
    word: Mutex<Option<&'static str>>,
    /// How far it is on its way out.
    progress: Mutex<Option<Progress>>,
    is_cancelled: AtomicBool,
    resolution: Mutex<Option<Resolution>>,
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
            journal: Mutex::new(journal),
            guest: OnceLock::new(),
            around: OnceLock::new(),
            word: Mutex::default(),
            progress: Mutex::default(),
            is_cancelled: AtomicBool::new(false),
            resolution: Mutex::default(),
            is_awaited: AtomicBool::new(false),
            right: Mutex::default(),
        }
    }

    /// The guest runs from here on.
    pub fn seat(&self, requests: Requests) {
        // There is one guest in a process's life.
        let _ = self.guest.set(requests);
    }

    /// Where its journal is, if it has one.
    pub fn journal(&self) -> PathBuf {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its journal is there from now on.
    pub fn move_journal(&self, to: PathBuf) -> std::io::Result<()> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::rename(&*journal, &to)?;
        *journal = to;
        Ok(())
    }

    /// What is around the guest, from here on.
    pub fn surround(&self, around: Around) {
        // There is one guest in a process's life.
        let _ = self.around.set(around);
    }

    /// What is around the guest, if it is here.
    pub fn around(&self) -> Option<&Around> {
        self.around.get()
    }

    /// What executes the guest.
    pub fn engine(&self) -> Option<&'static str> {
        match self.guest()?.ask(Command::Status)? {
            Reply::Status(status) => Some(status.engine),
            _ => None,
        }
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

    /// Says how far it is on its way out; `None` where it is on none.
    pub fn report(&self, progress: Option<Progress>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// How far it is on its way out.
    pub fn progress(&self) -> Option<Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the handoff in hand to be given up.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
    }

    /// A signal says that this process is to end, before a guest runs here. One that is prepared
    /// may be the only one that there is, and is not lost for a key that was pressed.
    pub fn interrupt(&self) {
        let name = &self.name;
        match self.word() {
            Some(word @ ("prepared" | "taken")) => say(&format!(
                "{name} is {word}, its source may have ended, and no other copy may be left: it \
                 stays. `abide migrate {name} --resolve --discard` drops it, and --fenced in \
                 place of --discard lets it run"
            )),
            _ => self.cancel(),
        }
    }

    /// A new handoff begins, which nobody has asked to give up.
    pub fn begin(&self) {
        self.is_cancelled.store(false, Ordering::SeqCst);
    }

    /// Somebody states whose the guest is, where the other side does not; `None`: the other side
    /// has been heard since, so that the statement is out of date.
    pub fn resolve(&self, resolution: Option<Resolution>) {
        *self.resolution.lock().unwrap_or_else(PoisonError::into_inner) = resolution;
    }

    /// What somebody stated.
    pub fn resolution(&self) -> Option<Resolution> {
        *self.resolution.lock().unwrap_or_else(PoisonError::into_inner)
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
            std::fs::remove_file(self.journal()).ok();
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
