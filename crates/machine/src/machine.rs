//! The machine itself.

use crate::board::BoardConfig;
use crate::bus::{MachineBus, lock};
use crate::clock::MachineClock;
use crate::contract::GuestContract;
use crate::originals::Originals;
use crate::time_of_day::Publisher;
use abide_engine::{Clock, InterruptLines, Irqchip, Provider, Vcpu, Vm};
use abide_memory::{AbiPages, GuestRam};
use abide_pvtime::Revisions;
use abide_reg::RegId;
use abide_snapshot::{ForeignRecord, LazyRam, MemoryFile, UnitRecord};
use std::sync::Arc;

/// A virtual machine that is not running right now.
///
/// [`runner`](crate::runner) runs it; whoever holds it can save it.
pub struct Machine {
    pub(crate) board: BoardConfig,
    pub(crate) engine: &'static str,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) bus: Arc<MachineBus>,
    pub(crate) irqchip: Arc<dyn Irqchip>,
    pub(crate) firmware_provider: Provider,
    /// INTIDs of the interrupt controller, SGIs and PPIs included.
    pub(crate) gic_intids: u32,
    /// Of which revisions its engine keeps records of stolen time.
    pub(crate) offered_stolen_time: Revisions,
    /// The registers that its vCPUs have.
    pub(crate) known: Vec<RegId>,
    /// What the guest was promised.
    pub(crate) contract: Option<GuestContract>,
    /// What this host answers by itself.
    pub(crate) originals: Originals,
    /// The inputs of each vCPU, and where its thread waits.
    pub(crate) lines: Vec<Arc<InterruptLines>>,
    /// In the order of their numbers; with their threads while these execute.
    pub(crate) vcpus: Vec<Box<dyn Vcpu>>,
    pub(crate) vm: Box<dyn Vm>,
    /// RAM that is still on its way. It stands behind the vCPUs, to be dropped after them.
    pub(crate) lazy: Option<LazyRam>,
    /// The file that RAM is in, if it is not this process's alone.
    pub(crate) memory_file: Option<MemoryFile>,
    /// It goes on elsewhere, and never here.
    pub(crate) is_given_away: bool,
    /// Who writes the page with the time.
    pub(crate) publisher: Option<Publisher>,
    /// Registers that this version does not know and passes on.
    pub(crate) carried: Vec<UnitRecord>,
    /// Records of kinds that this version does not know and passes on.
    pub(crate) carried_records: Vec<ForeignRecord>,
    #[cfg(feature = "next-version")]
    pub(crate) next: crate::next_version::Next,
}

impl Machine {
    /// What it was made of.
    #[must_use]
    pub fn board(&self) -> &BoardConfig {
        &self.board
    }

    /// The name of the engine that executes it.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.engine
    }

    /// The contract it lives under, if it has one.
    #[must_use]
    pub fn contract(&self) -> Option<&GuestContract> {
        self.contract.as_ref()
    }

    /// Its RAM, all of it: after a lazy restore this waits for what is still to come.
    #[must_use]
    pub fn ram(&self) -> &GuestRam {
        self.complete_ram();
        &self.ram
    }

    /// Waits until all of RAM is there, where a restore lets it come later.
    pub(crate) fn complete_ram(&self) {
        if let Some(lazy) = &self.lazy {
            lazy.complete();
        }
    }

    /// Instructions executed since the guest was started; 0 on an engine that does not count.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.clock.instructions()
    }

    /// Whether its time is virtual, so that its run can be repeated.
    #[must_use]
    pub fn is_deterministic(&self) -> bool {
        self.clock.is_virtual()
    }

    /// How long the guest has run, by its system counter.
    #[must_use]
    pub fn guest_ns(&self) -> u64 {
        let ns =
            u128::from(self.clock.now_ticks()) * 1_000_000_000 / u128::from(self.board.cntfrq_hz);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// How many vCPUs are on, by PSCI; `None` where only the host's kernel knows.
    #[must_use]
    pub fn vcpus_on(&self) -> Option<u32> {
        (self.firmware_provider == Provider::Machine).then(|| self.bus.powered_count())
    }

    /// The page with the time as it stands in the guest's memory, if it has one.
    #[must_use]
    pub fn vmclock_page(&self) -> Option<Arc<AbiPages>> {
        self.bus.vmclock.as_ref().map(|device| Arc::clone(lock(device).clock_page()))
    }

    /// Bytes that the guest has printed on its console.
    #[must_use]
    pub fn console_bytes(&self) -> u64 {
        lock(&self.bus.console).tx_bytes()
    }
}
