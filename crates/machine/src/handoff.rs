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
//! | [`Command::Release`] | rests; its disks, networks and sockets are free | |
//! | [`Command::GiveAway`] | has ended here | |
//!
//! Until `Release` the machine keeps all that it needs to go on: RAM, registers, disks and their
//! locks, connections. So taking it back cannot fail, and needs nobody's consent. After that it
//! can only be taken back if the other process wants none of it, and connections are lost.
//!
//! [`Control`]: crate::runner::Control
//! [`Command::Offer`]: crate::runner::Command::Offer
//! [`Command::Harvest`]: crate::runner::Command::Harvest
//! [`Command::Freeze`]: crate::runner::Command::Freeze
//! [`Command::TakeBack`]: crate::runner::Command::TakeBack
//! [`Command::Release`]: crate::runner::Command::Release
//! [`Command::GiveAway`]: crate::runner::Command::GiveAway

use crate::board::BoardConfig;
use crate::bus::lock;
use crate::counter::{self, Course};
use crate::departure::{Departure, Moment};
use crate::devices::virtio::RunEpoch;
use crate::error::MachineError;
use crate::machine::Machine;
use crate::units::Unit;
use abide_memory::{GuestRam, PageSet};
use abide_reg::{Entry, Scope, Value};
use abide_snapshot::{Compression, Digest, Record, write_to};
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
    /// It stands still, and has left what it had of the host.
    Released {
        /// Whether its writes to RAM are logged.
        logs_writes: bool,
    },
}

impl Handoff {
    /// Whether it stands still for it.
    #[must_use]
    pub const fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen { .. } | Self::Released { .. })
    }
}

/// What another process needs to know before it takes a guest, and what its RAM is read from.
#[derive(Debug)]
pub struct Offered {
    /// Every register as it was for a moment, as a snapshot without RAM: who can restore that onto
    /// empty RAM of this size can have the guest.
    pub state: Vec<u8>,
    /// The machine in short.
    pub board: BoardConfig,
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
    /// Until every vCPU rested.
    pub pause: Duration,
    /// Until disks had all that the guest wrote.
    pub flush: Duration,
    /// Until the last pages were known.
    pub pages: Duration,
    /// Until every register was read.
    pub save: Duration,
}

/// Registers of a unit, and whose they are.
type OfScope = (Scope, Vec<Entry>);

impl Machine {
    /// Offers the guest: between two of its instructions, and before it is waited for again.
    pub(crate) fn offer(&mut self, logs_writes: bool) -> Result<Offered, MachineError> {
        // A file that RAM is in is locked, and labelled with whose it is.
        if let Some(file) = self.memory_file.as_ref().filter(|_| !logs_writes) {
            return Err(MachineError::HandoffMemoryFile { path: file.path().to_owned() });
        }
        // What is read by the other process must be there.
        self.complete_ram();
        let (state, _) = self.state_bytes(None)?;
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
        Ok(Offered { state, board: self.board.clone(), ram: Arc::clone(&self.ram) })
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
    /// `pause` is how long it took until it was so; `is_paused`: it stays so when it has come.
    pub(crate) fn freeze(
        &mut self,
        logs_writes: bool,
        pause: Duration,
        is_paused: bool,
    ) -> Result<Frozen, MachineError> {
        let at = Moment::now();
        // The counter of a guest that is paused went on: it stands still from now on.
        self.clock.resume();
        self.clock.pause();
        let (counter, counter_error_ns) = self.counter_at(&at)?;
        let departure = Departure { counter_error_ns, is_paused, pause, ..Departure::new(at) };
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
        let departure = Departure { flush, pages, ..departure };
        let (state, digest) = self.state_bytes(Some((&departure, &counter)))?;
        let times = FreezeTimes { pause, flush, pages, save: lap() };
        Ok(Frozen { state, digest, written, times })
    }

    /// The counter's registers as they were at that moment, from which on the guest's standstill is
    /// counted; and how many ns that may be wrong. A host's own counter goes on while it is read,
    /// and while all else is saved: what it shows by then would count twice.
    fn counter_at(&self, moment: &Moment) -> Result<(Vec<OfScope>, u64), MachineError> {
        let mut counter = self.unit_entries(Unit::Counter)?;
        let mut error_ns = 0;
        let vcpu = self.vcpus.first().filter(|_| !self.vm.counts_instructions());
        let Some(vcpu) = vcpu else { return Ok((counter, error_ns)) };
        for (scope, entries) in &mut counter {
            for Entry { id, value, .. } in entries {
                let read = || counter::load(vcpu.as_ref(), *id);
                let seen = counter::look(counter::uptime_ns, read).map_err(|source| {
                    MachineError::Save { unit: Unit::Counter.name(), scope: *scope, source }
                })?;
                let (ticks, hz) = (seen.found, self.board.cntfrq_hz);
                let course = Course { ticks, at_ns: seen.at_ns, hz };
                *value = Value::u64(course.ticks_at(moment.uptime_ns));
                error_ns = error_ns.max(seen.error_ns);
            }
        }
        Ok((counter, error_ns))
    }

    /// Ends the log of writes.
    pub(crate) fn end_log(&mut self) {
        self.ram.dirty().stop();
        // A kernel that goes on to log costs time, and does no harm.
        if let Err(error) = self.vm.sync_dirty_log() {
            tracing::warn!(%error, "the host goes on to log the guest's writes");
        }
    }

    /// Leaves disks, networks and sockets to another process.
    pub(crate) fn release(&mut self) -> Result<(), MachineError> {
        self.bus.release()
    }

    /// Takes disks, networks and sockets again, which no other process wanted, and tells the guest
    /// what it lost with them.
    pub(crate) fn claim_again(&mut self, epoch: Option<RunEpoch>) -> Result<(), MachineError> {
        self.bus.claim(epoch)?;
        self.bus.activate();
        Ok(())
    }

    /// Every register as bytes, and their hash. Of a guest that departs, the counter is what it was
    /// then.
    fn state_bytes(
        &mut self,
        departs: Option<(&Departure, &[OfScope])>,
    ) -> Result<(Vec<u8>, Digest), MachineError> {
        let mut snapshot = self.snapshot()?;
        if let Some((departure, counter)) = departs {
            set_counter(&mut snapshot.records, counter);
            snapshot.records.push(Record::Unit(departure.save()));
        }
        let digest = abide_snapshot::state_hash(snapshot.units(), &[])?;
        let mut state = Vec::new();
        write_to(&mut state, &snapshot, &[], Compression::None)?;
        Ok((state, digest))
    }
}

/// Gives the counter's registers the values of another moment.
fn set_counter(records: &mut [Record], counter: &[OfScope]) {
    for record in records {
        let Record::Unit(record) = record else { continue };
        if record.unit != Unit::Counter.name() {
            continue;
        }
        let then = counter.iter().filter(|(scope, _)| *scope == record.scope);
        for then in then.flat_map(|(_, entries)| entries) {
            let entry = record.entries.iter_mut().find(|entry| entry.id == then.id);
            if let Some(entry) = entry {
                entry.value = then.value.clone();
            }
        }
    }
}
