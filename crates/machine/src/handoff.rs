//! A running guest is handed over to another process, step by step.
//!
//! The source's side. Nothing here speaks to the other process: whoever does so asks the machine,
//! through its [`Control`], for one step after the other.
//!
//! | step | the guest | what is given |
//! |---|---|---|
//! | [`Command::Offer`] | rests for as long as its registers are read, and runs on | [`Offered`] |
//! | [`Command::Harvest`] | runs | the pages written since the last harvest |
//! | [`Command::Freeze`] | rests, its time stands still | [`Frozen`] |
//! | [`Command::TakeBack`] | runs on, as if nobody had asked | |
//! | [`Command::GiveAway`] | has ended here, its disks are free | |
//!
//! Until `GiveAway` the machine keeps all that it needs to go on: RAM, registers, disks and their
//! locks, connections. So taking it back cannot fail, and needs nobody's consent.
//!
//! [`Control`]: crate::runner::Control
//! [`Command::Offer`]: crate::runner::Command::Offer
//! [`Command::Harvest`]: crate::runner::Command::Harvest
//! [`Command::Freeze`]: crate::runner::Command::Freeze
//! [`Command::TakeBack`]: crate::runner::Command::TakeBack
//! [`Command::GiveAway`]: crate::runner::Command::GiveAway

use crate::bus::lock;
use crate::error::MachineError;
use crate::machine::Machine;
use abide_memory::{GuestRam, PageSet};
use abide_snapshot::{Compression, Digest, write_to};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far a guest is on its way to another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handoff {
    /// It stays here.
    #[default]
    None,
    /// It is offered, and runs.
    Offered {
        /// Whether its writes to RAM are logged.
        logs_writes: bool,
    },
    /// It stands still, and could go on here or there.
    Frozen {
        /// Whether its writes to RAM are logged.
        logs_writes: bool,
    },
}

impl Handoff {
    /// Whether it stands still for it.
    #[must_use]
    pub const fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen { .. })
    }
}

/// What another process needs to know before it takes a guest, and what its RAM is read from.
#[derive(Debug)]
pub struct Offered {
    /// Every register as it was for a moment, as a snapshot without RAM: who can restore that onto
    /// empty RAM of this size can have the guest.
    pub state: Vec<u8>,
    /// RAM, which the guest goes on to write.
    pub ram: Arc<GuestRam>,
}

/// A guest that stands still.
#[derive(Debug)]
pub struct Frozen {
    /// Every register, as a snapshot without RAM; the contract is in it.
    pub state: Vec<u8>,
    /// The hash over these registers.
    pub digest: Digest,
    /// The pages written since the last harvest. None where writes are not logged.
    pub written: PageSet,
    /// How long each share of it took.
    pub times: FreezeTimes,
}

/// How long each share of a freeze took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreezeTimes {
    /// Until disks had all that the guest wrote.
    pub flush: Duration,
    /// Until the last pages were known.
    pub pages: Duration,
    /// Until every register was read.
    pub save: Duration,
}

impl Machine {
    /// Offers the guest: between two of its instructions, and before it is waited for again.
    pub(crate) fn offer(&mut self, logs_writes: bool) -> Result<Offered, MachineError> {
        if let Some(file) = &self.memory_file {
            return Err(MachineError::HandoffMemoryFile { path: file.path().to_owned() });
        }
        // What is read by the other process must be there.
        self.complete_ram();
        let (state, _) = self.state_bytes()?;
        if logs_writes {
            self.ram.dirty().start();
            // From here on the kernel logs too; what was written before is copied anyway.
            let started = self.vm.sync_dirty_log();
            drop(self.ram.dirty().harvest());
            if let Err(error) = started {
                self.end_log();
                return Err(error.into());
            }
            self.vm.settle_dirty_log();
        }
        Ok(Offered { state, ram: Arc::clone(&self.ram) })
    }

    /// The pages written since the last harvest, once nobody writes to them any more without their
    /// being logged again: what is copied from now on is no older than the log.
    pub(crate) fn harvest(&mut self) -> Result<PageSet, MachineError> {
        self.vm.sync_dirty_log()?;
        let pages = self.ram.dirty().harvest();
        self.vm.settle_dirty_log();
        Ok(pages)
    }

    /// All that another process needs to go on; no vCPU executes, and time stands still.
    pub(crate) fn freeze(&mut self, logs_writes: bool) -> Result<Frozen, MachineError> {
        let mut begun = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            now.duration_since(std::mem::replace(&mut begun, now))
        };
        for device in &self.bus.virtio {
            lock(device).flush()?;
        }
        let flush = lap();
        let written = if logs_writes { self.harvest()? } else { PageSet::default() };
        let pages = lap();
        let (state, digest) = self.state_bytes()?;
        let times = FreezeTimes { flush, pages, save: lap() };
        Ok(Frozen { state, digest, written, times })
    }

    /// Ends the log of writes.
    pub(crate) fn end_log(&mut self) {
        self.ram.dirty().stop();
        // A kernel that goes on to log costs time, and does no harm.
        if let Err(error) = self.vm.sync_dirty_log() {
            tracing::warn!(%error, "the host goes on to log the guest's writes");
        }
    }

    /// Leaves disks, networks and sockets to another process, for good.
    pub(crate) fn give_away(&mut self) -> Result<(), MachineError> {
        // Whatever fails now: this guest is another process's.
        self.is_given_away = true;
        self.bus.release()
    }

    /// Every register as bytes, and their hash.
    fn state_bytes(&mut self) -> Result<(Vec<u8>, Digest), MachineError> {
        let snapshot = self.snapshot()?;
        let digest = abide_snapshot::state_hash(snapshot.units(), &[])?;
        let mut state = Vec::new();
        write_to(&mut state, &snapshot, &[], Compression::None)?;
        Ok((state, digest))
    }
}
