//! Engine, VM and vCPU.

use crate::{Bus, Clock, EngineError, InterruptLines, Irqchip};
use abide_arm64::features::CpuFeatures;
use abide_memory::GuestRam;
use abide_pvtime::{Revision, Revisions};
use abide_reg::{Class, Gpa, RegId, Registers, Value, VcpuId};
use std::sync::Arc;

/// A guest ABI that either the engine brings or the machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// The interrupt controller, its system registers included.
    Irqchip,
    /// The generic timers.
    Timer,
    /// PSCI and all of SMCCC.
    Firmware,
}

/// Who brings a guest ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The engine, or the host's kernel behind it.
    Native,
    /// The machine, through the [`Bus`].
    Machine,
}

/// INTID of the performance monitors of every engine that has them: the PPI that
/// boards commonly give them.
pub const PMU_INTID: u32 = 23;

/// What a VM is made of.
pub struct VmConfig {
    /// How many vCPUs, at least 1.
    pub vcpu_count: u32,
    /// The frequency of the system counter, in Hz.
    pub cntfrq_hz: u64,
    /// Guest RAM.
    pub ram: Arc<GuestRam>,
    /// The clock for timers that the engine emulates.
    pub clock: Arc<dyn Clock>,
    /// Where a native interrupt controller has its distributor.
    pub gicd: Gpa,
    /// Where a native interrupt controller has its redistributors.
    pub gicr: Gpa,
    /// How many INTIDs a native interrupt controller has, SGIs and PPIs included.
    pub gic_intids: u32,
    /// With which features its vCPUs are made; what their ID registers show must agree.
    pub features: CpuFeatures,
}

/// Makes VMs.
pub trait Engine: Send + Sync {
    /// Its name on the command line and in reports: `soft` or `kvm`.
    fn name(&self) -> &'static str;

    /// Whether the host's kernel reaches into guest RAM for its vCPUs, as KVM does, and not only
    /// this process's own instructions.
    fn reaches_ram_in_kernel(&self) -> bool {
        true
    }

    /// Tries whether a guest runs from memory of this kind: the one in `ram` begins at `entry` and
    /// powers itself off. Engines that run guests from whatever they can read have nothing to try.
    ///
    /// # Errors
    /// [`EngineError`], with what was seen and what to do.
    fn try_ram(&self, _ram: Arc<GuestRam>, _entry: Gpa) -> Result<(), EngineError> {
        Ok(())
    }

    /// Of which revisions it keeps records of stolen time; of none on an engine without.
    fn stolen_time(&self) -> Revisions {
        Revisions::NONE
    }

    /// Makes a VM without vCPUs.
    ///
    /// # Errors
    /// [`EngineError`].
    fn create_vm(&self, config: VmConfig) -> Result<Box<dyn Vm>, EngineError>;
}

/// A virtual machine as its engine holds it.
pub trait Vm: Send {
    /// Who brings `abi`.
    fn provider(&self, abi: Abi) -> Provider;

    /// Makes the next vCPU, in the order of their numbers. `lines` are driven by the machine where
    /// the interrupt controller is the machine's, and unused otherwise.
    ///
    /// # Errors
    /// [`EngineError`].
    fn create_vcpu(
        &mut self,
        id: VcpuId,
        lines: Arc<InterruptLines>,
    ) -> Result<Box<dyn Vcpu>, EngineError>;

    /// The engine's own interrupt controller, once every vCPU is made; `None` where the machine
    /// brings it.
    ///
    /// # Errors
    /// [`EngineError`].
    fn create_irqchip(&mut self) -> Result<Option<Arc<dyn Irqchip>>, EngineError>;

    /// Whether a vCPU besides the first can show ID registers of its own. Where it can, they are
    /// stored through that vCPU, after the VM's, which are stored through the first. Where it
    /// cannot, those of the first are everybody's.
    fn has_own_identities(&self) -> bool {
        false
    }

    /// The ID registers in which vCPUs show what the engine does not do: those that it was made to
    /// take all the same.
    fn unimplemented(&self) -> Vec<Unimplemented> {
        Vec::new()
    }

    /// Whether its vCPUs count instructions and so leave `run` by themselves when a budget is used
    /// up. Where they do not, only [`Kick`] ends a slice.
    fn counts_instructions(&self) -> bool {
        true
    }

    /// Brings pages that the engine wrote into the RAM's dirty log. Engines whose vCPUs mark pages
    /// themselves have nothing to do.
    ///
    /// # Errors
    /// [`EngineError`].
    fn sync_dirty_log(&mut self) -> Result<(), EngineError>;

    /// Waits until every vCPU that executes has noticed the last harvest of the dirty log: from
    /// here on nobody writes to a harvested page without marking it again, so its content can be
    /// copied. Engines whose pages are protected by the harvest itself have nothing to do.
    fn settle_dirty_log(&self) {}
}

/// Whether a vCPU executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    /// It runs, or waits for an interrupt.
    On,
    /// It waits for PSCI CPU_ON.
    Off,
}

/// What the guest asked of the whole machine, or of one CPU's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemEvent {
    /// PSCI SYSTEM_OFF.
    Off,
    /// PSCI SYSTEM_RESET or SYSTEM_RESET2.
    Reset,
    /// The machine itself took note of the event while it answered the call.
    Noted,
}

/// Why a vCPU left `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The budget is used up.
    Budget,
    /// It waits for an interrupt or an event and there is none.
    Idle,
    /// [`Kick`] was called.
    Kicked,
    /// The guest asked something of the machine.
    System(SystemEvent),
}

/// Makes a running vCPU leave `run`, from any thread.
pub trait Kick: Send + Sync {
    /// Makes the current or, if none, the next `run` return [`Stop::Kicked`] soon. Does not end a
    /// wait between two of them: that is [`Parking`](crate::Parking)'s.
    fn kick(&self);
}

/// CNTVCT_EL0 of a guest, read from any thread while its vCPUs execute.
pub trait GuestCounter: Send + Sync {
    /// What the guest would read now.
    fn now(&self) -> u64;

    /// By how many ticks that may be less or more than what it reads.
    fn off_ticks(&self) -> u64;
}

/// An ID register that shows what its engine does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unimplemented {
    /// Of which vCPU. What the first shows is the VM's.
    pub vcpu: VcpuId,
    /// The register.
    pub id: RegId,
    /// What it shows.
    pub shown: Value,
    /// What it would show of what is done.
    pub done: Value,
}

/// A virtual CPU. Its registers are read and written only while it does not run.
///
/// [`Registers`] holds all its state; which of it is the VM's rather than its own,
/// `abide_arm64::kvm::is_vm_scoped` tells; for ID registers see [`Vm::has_own_identities`].
pub trait Vcpu: Registers + Send {
    /// Its number.
    fn id(&self) -> VcpuId;

    /// Runs until a stop. An engine that counts instructions returns [`Stop::Budget`] at the first
    /// taken branch or exception at which `budget` instructions were executed; an engine that does
    /// not runs until something else happens.
    ///
    /// # Errors
    /// [`EngineError`] if the host fails the vCPU; never because of what the guest does.
    fn run(&mut self, budget: u64, bus: &dyn Bus) -> Result<Stop, EngineError>;

    /// When the next of its own timers fires, in ticks of the machine's clock, if one is set and
    /// could wake it.
    fn deadline_ticks(&self) -> Option<u64>;

    /// Whether it executes.
    fn power(&self) -> PowerState;

    /// Switches it on at `entry` with x0 = `context`, all else as after a reset, as PSCI CPU_ON
    /// demands `[DEN0022 6.4]`; only for a machine that brings the firmware.
    ///
    /// # Errors
    /// [`EngineError`].
    fn power_on(&mut self, entry: Gpa, context: u64) -> Result<(), EngineError>;

    /// Switches it off, as PSCI CPU_OFF does.
    ///
    /// # Errors
    /// [`EngineError`].
    fn power_off(&mut self) -> Result<(), EngineError>;

    /// What a host without this register must do with it. Only what the guest cannot miss is
    /// [`Class::Volatile`].
    fn class_of(&self, id: RegId) -> Class;

    /// Whether a saved vCPU without this register cannot be whole. A restore that lacks it is
    /// refused, instead of going on with what a reset leaves there.
    fn requires(&self, id: RegId) -> bool;

    /// Registers that it does not have yet, with their widths in bytes: storing one makes it have
    /// it. They are the VM's; a guest that does without has no trace of them in its files.
    fn takes_too(&self) -> Vec<(RegId, usize)> {
        Vec::new()
    }

    /// The virtual counter as this vCPU reads it, for who pairs it with the host's clock. It is
    /// right until a register of the counter is stored. `None`: this engine cannot tell.
    ///
    /// # Errors
    /// [`EngineError`].
    fn counter(&self) -> Result<Option<Arc<dyn GuestCounter>>, EngineError> {
        Ok(None)
    }

    /// Gives it its record of stolen time, in a page of the RAM's that holds the record already:
    /// once, before it first runs. From here on an engine that brings the firmware keeps the record
    /// by itself; what was stolen before is in it, and stays so.
    ///
    /// # Errors
    /// [`EngineError::StolenTime`] where it keeps none of this revision, or none there.
    fn set_stolen_time(&mut self, table_gpa: Gpa, _: Revision) -> Result<(), EngineError> {
        Err(EngineError::StolenTime {
            engine: "in use",
            table_gpa,
            reason: "it keeps none at all".to_owned(),
            next: "choose another engine",
        })
    }

    /// Whether it waits for an interrupt or an event, and so would not execute if it were let. A
    /// vCPU that has not looked yet whether its wait is over still waits.
    fn is_waiting(&self) -> bool {
        false
    }

    /// A handle that makes it stop.
    fn kicker(&self) -> Arc<dyn Kick>;
}
