//! The life of a guest across machines, step by step.
//!
//! ```text
//! source:       run → quiesce → flush → save ─┬→ (file or wire) → end
//!                 ↑                           │
//!                 └───────── abort ───────────┘
//! destination:                restore → prepared → commit → activate → run
//! ```
//!
//! | step | what happens | what may not |
//! |---|---|---|
//! | quiesce | vCPUs stand at an instruction boundary, and show one moment ([`MachineClock::pause`]), requests of the guest to the machine are done | a vCPU runs |
//! | flush | units write what they still owe: disks are flushed, into guest RAM none of this board's does | RAM changes afterwards |
//! | save | every register is read, in the order of [`ORDER`] | a register with side effects is read |
//! | restore | a new machine is made from registers, written and read back | guest RAM is written except by the saved pages, an interrupt is raised |
//! | prepared | [`Prepared`]: it could run, and can still be thrown away | it runs |
//! | commit | [`Prepared::commit`]: from here on this is the guest | it is thrown away |
//! | activate | units do what their guest must be told about ([`Intent`]) | |
//!
//! [`MachineClock::pause`]: crate::clock::MachineClock::pause
//! [`ORDER`]: crate::units::ORDER

use crate::board::{VMCLOCK_INTID, VMGENID_INTID};
use crate::bus::lock;
use crate::counter::{self, Course, Off};
use crate::departure::{Arrival, ClockPolicy, Departure, Moment};
use crate::devices::virtio::RunEpoch;
use crate::devices::vmclock;
use crate::entropy;
use crate::error::MachineError;
use crate::machine::Machine;
use crate::restore::RestoreReport;
use abide_gic::spec::{GICD_ISENABLER, GRP_DIST_REGS};
use abide_reg::{Entry, RegId};
use abide_snapshot::RightToRun;
use std::path::Path;
use std::time::Duration;

/// Why a guest comes to life again. It decides what the guest has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It moved to another machine: the same guest, a little later.
    Move,
    /// It was put back in time: what it did since the save has not happened.
    Restore,
    /// A second one of it lives elsewhere.
    Clone,
    /// It and its origin go on side by side.
    Fork,
}

/// A restored machine that has not run yet. Dropping it leaves nothing behind.
pub struct Prepared {
    machine: Machine,
    report: RestoreReport,
    /// The registers of the guest's counter, as they were saved.
    counter: Vec<Entry>,
}

impl Prepared {
    pub(crate) fn new(machine: Machine, report: RestoreReport, counter: Vec<Entry>) -> Self {
        Self { machine, report, counter }
    }

    /// What the restore did besides restoring.
    #[must_use]
    pub fn report(&self) -> &RestoreReport {
        &self.report
    }

    /// The machine, to look at; it cannot run.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Takes the right to run from `path`, the file that this machine was made from, for good, and
    /// commits a guest that has moved: of this file it is the only one.
    ///
    /// Who copies the file before the right is taken has two rights, and nothing here can know: the
    /// file is the guest, as a disk image is.
    ///
    /// # Errors
    /// [`MachineError::Right`], and nothing runs; else as [`Self::commit`].
    pub fn commit_moved(self, right: RightToRun, path: &Path) -> Result<Machine, MachineError> {
        right.take(path)?;
        self.commit(Intent::Move)
    }

    /// Takes disks, networks and sockets that the process had which ran the guest until now. A
    /// guest that is restored from a file has them already. Nothing is lost by an error: it may be
    /// tried again, and until it is done the guest cannot be committed. Where the right to run it
    /// is counted in epochs, disks are marked with the new one.
    ///
    /// # Errors
    /// [`MachineError::Disk`], [`MachineError::Net`] or [`MachineError::Vsock`].
    pub fn claim(&mut self, epoch: Option<RunEpoch>) -> Result<(), MachineError> {
        self.machine.bus.claim(epoch)
    }

    /// Commits a guest that was handed over by a running machine, with its counter as `policy`
    /// says.
    ///
    /// # Errors
    /// As [`Self::commit`], and [`MachineError::Engine`] if the counter cannot be set.
    pub fn commit_arrival(
        mut self,
        policy: ClockPolicy,
    ) -> Result<(Machine, Arrival), MachineError> {
        self.claim(None)?;
        let counter = std::mem::take(&mut self.counter);
        let arrival = self.machine.catch_up(policy, self.report.departure.as_ref(), counter)?;
        Ok((self.commit(Intent::Move)?, arrival))
    }

    /// Commits and activates: from here on this is the guest, and it may run.
    ///
    /// A guest with a page of time is told of the disruption, and a copy of being one. Whatever the
    /// intent, network cards make themselves known where others must learn where they
    /// are, and guests with virtio sockets are told that all their connections are over.
    ///
    /// # Errors
    /// As [`Self::claim`];
    /// [`MachineError::MemoryFile`] if a file that RAM is in does not take that its guest runs now;
    /// [`MachineError::Random`] if the host has no random bits for a copy's generation.
    pub fn commit(mut self, intent: Intent) -> Result<Machine, MachineError> {
        self.claim(None)?;
        if let Some(file) = &mut self.machine.memory_file {
            file.begin()?;
        }
        tracing::debug!(?intent, registers = self.report.registers, "guest goes on");
        self.machine.tell_of_arrival(intent)?;
        self.machine.bus.activate();
        Ok(self.machine)
    }
}

impl Machine {
    /// Lets the counter go on, from now on and not only once a vCPU executes.
    fn catch_up(
        &mut self,
        policy: ClockPolicy,
        departure: Option<&Departure>,
        counter: Vec<Entry>,
    ) -> Result<Arrival, MachineError> {
        // An engine that does not count instructions has the host's counter, and no clock of ours.
        let is_hosts = !self.vm.counts_instructions();
        let now = Moment::now();
        let standstill = departure.map(|it| it.standstill(&now));
        let ahead = match (policy, standstill) {
            (ClockPolicy::Continue, Some(standstill)) => standstill.len,
            _ => Duration::ZERO,
        };
        let skipped_ticks = self.clock.skip(ahead);
        self.clock.resume();
        let mut off = Off::default();
        let hz = self.board.cntfrq_hz;
        if let Some(vcpu) = self.vcpus.first_mut().filter(|_| is_hosts && departure.is_some()) {
            // It has gone on since it was restored, which is neither policy.
            for Entry { id, value, .. } in counter {
                let ticks = value.to_u64().unwrap_or(0).wrapping_add(skipped_ticks);
                let course = Course { ticks, at_ns: now.uptime_ns, hz };
                let set = course.set(vcpu.as_mut(), id, counter::uptime_ns);
                off = off.max(set.map_err(|error| MachineError::Engine(error.into()))?);
            }
        }
        // Where it was read it was not known any better.
        let there_ns = departure.map_or(0, |it| it.counter_error_ns);
        off.error_ns = off.error_ns.saturating_add(there_ns);
        Ok(Arrival { standstill, skipped_ticks, off })
    }

    /// Writes the pages of time and generation, and raises their interrupts: the controller is
    /// restored, and no vCPU runs.
    ///
    /// In virtual time nothing is told: such a run is repeated to the last bit, and the restored
    /// one *is* the run that was saved.
    fn tell_of_arrival(&self, intent: Intent) -> Result<(), MachineError> {
        let Some(device) = &self.bus.vmclock else { return Ok(()) };
        if self.is_repeatable() {
            return Ok(());
        }
        let told = match intent {
            Intent::Move => vmclock::Intent::Move,
            Intent::Restore | Intent::Clone | Intent::Fork => vmclock::Intent::Copy,
        };
        // A guest that moves needs nothing new of the host, which could refuse it.
        let generation = match told {
            vmclock::Intent::Move => Default::default(),
            vmclock::Intent::Copy => entropy::memory_id()?.0,
        };
        let mut device = lock(device);
        device.arrive(told, generation);
        let has_generation = device.has_generation();
        drop(device);
        if self.takes(VMCLOCK_INTID) {
            self.bus.notify_vmclock();
        }
        if told == vmclock::Intent::Copy && has_generation && self.takes(VMGENID_INTID) {
            self.bus.pulse(VMGENID_INTID);
        }
        Ok(())
    }

    /// Whether the guest has enabled this interrupt. An edge before that would wait for the driver
    /// and come while it begins; it finds the page as it is by then. Linux 6.12 is not even ready
    /// for it: the handler of vmgenid follows a pointer that is not set yet, and the guest is lost.
    fn takes(&self, intid: u32) -> bool {
        let register = RegId::gic(GRP_DIST_REGS, u64::from(GICD_ISENABLER + intid / 32 * 4));
        let enabled = self.irqchip.load(register).ok().and_then(|value| value.to_u32());
        // Where the controller does not say, rather once too often.
        enabled.is_none_or(|enabled| enabled >> (intid % 32) & 1 == 1)
    }

    /// Whether its run repeats itself: time is instructions, and the engine counts them.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.clock.is_virtual() && self.vm.counts_instructions()
    }
}
