//! A guest comes back.
//!
//! Everything is checked before it is used, written in the order of [`ORDER`], and **read back and
//! compared**: that a host accepted a write is no evidence that it kept it. Whatever goes wrong,
//! nothing of the machine is left.

use crate::board::{self, BoardConfig};
use crate::clock::MachineClock;
use crate::console::Console;
use crate::create::{Parts, try_memory, with_pages};
use crate::departure::{self, Departure};
use crate::devices::vmclock::VmclockDevice;
use crate::devices::{Pl011, Pl031};
use crate::entropy::Entropy;
use crate::error::{MachineError, RestoreError};
use crate::lifecycle::Prepared;
use crate::machine::Machine;
use crate::save::{CNTFRQ_HZ, RAM_LEN, VCPU_COUNT};
use crate::units::{ORDER, Unit};
use abide_arm64::features::CpuFeatures;
use abide_contract::{Extra, Guest, Profile, Step, rules};
use abide_engine::{Engine, PowerState, Provider};
use abide_firmware::Firmware;
use abide_memory::GuestRam;
use abide_reg::{Class, Entry, Intake, IntakeError, Leftover, Name, RegError, RegId, Scope, Value};
use abide_snapshot::{Architecture, Digest, Reader, RecordKind, UnitRecord, state_hash};
use memory::{Memory, Place};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use times::Stopwatch;

mod contract;
mod identity;
mod memory;
mod readback;
mod registers;
mod stolen_time;
mod times;
mod virtio;

pub use memory::{RamRestore, RamRestored, Watch};
pub use registers::Written;
pub use times::Times;
pub use virtio::{DiskChange, Elsewhere};

/// What a restore did besides restoring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Volatile registers that nothing here knows: not restored.
    pub dropped: Vec<(Name, Scope, RegId)>,
    /// Static registers that nothing here knows: kept, and saved again.
    pub carried: Vec<(Name, Scope, RegId)>,
    /// Volatile records of unknown kinds, or without a register: kind and unit; not restored.
    pub dropped_records: Vec<(u32, Name)>,
    /// Registers saved in a form that none keeps: restored as what they mean.
    pub changed: Vec<Changed>,
    /// How many registers were written and read back.
    pub registers: usize,
    /// How many of them to the engine: those of the VM once, those of each vCPU.
    pub written: Written,
    /// What became of registers that this host has not or has otherwise, with the reason: dropped,
    /// masked, or kept as the original. With the unit.
    pub steps: Vec<(Name, Step)>,
    /// What only this host has and was hidden.
    pub hidden: Vec<Extra>,
    /// How RAM comes.
    pub ram: RamRestored,
    /// The hash over every register that was saved, made only after all were read back.
    pub digest: Digest,
    /// When its guest stood still, if it comes from a running machine.
    pub departure: Option<Departure>,
    /// How long it took.
    pub times: Times,
}

/// A register that holds another value than the file, which means the same to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The unit.
    pub unit: Name,
    /// Whose.
    pub scope: Scope,
    /// The register.
    pub id: RegId,
    /// Its name in the specification.
    pub name: &'static str,
    /// The value in the file.
    pub found: Value,
    /// The value restored.
    pub made: Value,
}

/// The records still to be restored.
pub(crate) struct Pending {
    states: BTreeMap<(Name, Scope), UnitRecord>,
    carried: Vec<UnitRecord>,
    /// What the host shows of itself.
    host: Profile,
    /// What stands against the guest.
    refused: Vec<(Name, Step)>,
    /// All that was saved, for questions about what the guest uses.
    guest: Guest,
    pub(crate) report: RestoreReport,
}

impl Pending {
    fn new(records: Vec<UnitRecord>) -> Result<Self, RestoreError> {
        let units = records.iter().map(|unit| (unit.unit, unit.scope, unit.entries.as_slice()));
        let guest = Guest::saved("saved", units, 0, 0);
        let mut states = BTreeMap::new();
        for record in records {
            let (unit, scope) = (record.unit, record.scope);
            if states.insert((unit, scope), record).is_some() {
                return Err(RestoreError::Twice { unit, scope });
            }
        }
        let (host, report) = (Profile::default(), RestoreReport::default());
        Ok(Self { states, carried: Vec::new(), host, refused: Vec::new(), guest, report })
    }

    pub(crate) fn take(&mut self, unit: Unit, scope: Scope) -> Result<Vec<Entry>, RestoreError> {
        let unit = unit.name();
        let state = self.states.remove(&(unit, scope));
        Ok(state.ok_or(RestoreError::MissingUnit { unit, scope })?.entries)
    }

    /// The registers of a record that is not taken yet.
    fn entries(&self, unit: Unit, scope: Scope) -> Result<&[Entry], RestoreError> {
        let unit = unit.name();
        let state = self.states.get(&(unit, scope));
        Ok(&state.ok_or(RestoreError::MissingUnit { unit, scope })?.entries)
    }

    /// How many INTIDs the interrupt controller is made with. What no controller could have, it is
    /// left to the saved one to be refused for.
    fn gic_intids(&self) -> u32 {
        let saved = self.entries(Unit::Gic, Scope::Vm).ok().and_then(|entries| {
            entries.iter().find(|entry| entry.id == rules::NR_IRQS)?.value.to_u32()
        });
        saved.filter(|&intids| board::fits_devices(intids)).unwrap_or(board::GIC_INTIDS)
    }

    /// The class of a record that is not taken yet.
    fn class_of(&self, unit: Unit, scope: Scope) -> Option<Class> {
        self.states.get(&(unit.name(), scope)).map(|state| state.class)
    }

    /// As [`build`](Self::build), where the record may not be there: a version that does not know a
    /// unit of the host may have dropped it.
    fn build_if_there<T>(
        &mut self,
        unit: Unit,
        scope: Scope,
        build: impl FnOnce(Vec<Entry>) -> Result<(T, Leftover), IntakeError>,
    ) -> Result<Option<T>, RestoreError> {
        let is_there = self.states.contains_key(&(unit.name(), scope));
        is_there.then(|| self.build(unit, scope, build)).transpose()
    }

    /// The page with the time, and the one with the generation, if the guest was born with them.
    fn build_vmclock(&mut self) -> Result<Option<VmclockDevice>, RestoreError> {
        let device = Scope::Device(0);
        let clock = self.build_if_there(Unit::Vmclock, device, VmclockDevice::restore_clock)?;
        // A generation alone stays where it is, and is refused as a unit that nothing has.
        let Some(clock) = clock else { return Ok(None) };
        let restore = VmclockDevice::restore_generation;
        let generation = self.build_if_there(Unit::Vmgenid, device, restore)?;
        let made = VmclockDevice::restored(clock, generation).map_err(MachineError::from)?;
        Ok(Some(made))
    }

    /// Takes one register out of a record.
    fn take_entry(&mut self, unit: Unit, scope: Scope, id: RegId) -> Option<Entry> {
        let entries = &mut self.states.get_mut(&(unit.name(), scope))?.entries;
        let at = entries.iter().position(|entry| entry.id == id)?;
        Some(entries.remove(at))
    }

    /// Lets a unit take its registers, and keeps track of what it leaves.
    fn build<T>(
        &mut self,
        unit: Unit,
        scope: Scope,
        build: impl FnOnce(Vec<Entry>) -> Result<(T, Leftover), IntakeError>,
    ) -> Result<T, RestoreError> {
        let entries = self.take(unit, scope)?;
        let taken = entries.len();
        let name = unit.name();
        let (built, leftover) =
            build(entries).map_err(|source| RestoreError::Intake { unit: name, scope, source })?;
        self.note_left(name, scope, taken, leftover);
        Ok(built)
    }

    /// Keeps track of what is left of a record of `taken` registers.
    fn note_left(&mut self, unit: Name, scope: Scope, taken: usize, leftover: Leftover) {
        self.report.registers += taken - leftover.carried.len() - leftover.dropped.len();
        for entry in leftover.dropped {
            self.drop_entry(unit, scope, entry.id);
        }
        self.carry(unit, scope, leftover.carried);
    }

    pub(crate) fn drop_entry(&mut self, unit: Name, scope: Scope, id: RegId) {
        self.report.dropped.push((unit, scope, id));
    }

    pub(crate) fn carry(&mut self, unit: Name, scope: Scope, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        self.report.carried.extend(entries.iter().map(|entry| (unit, scope, entry.id)));
        self.carried.push(UnitRecord { unit, scope, class: Class::Static, entries });
    }

    /// What no unit asked for goes by its class.
    fn finish(mut self) -> Result<(Vec<UnitRecord>, RestoreReport), RestoreError> {
        for ((unit, scope), state) in std::mem::take(&mut self.states) {
            match state.class {
                Class::Mandatory => return Err(RestoreError::UnknownUnit { unit, scope }),
                // A record without registers is carried like any other.
                Class::Static if state.entries.is_empty() => self.carried.push(state),
                Class::Static => self.carry(unit, scope, state.entries),
                Class::Volatile if state.entries.is_empty() => {
                    self.report.dropped_records.push((RecordKind::UNIT.0, unit));
                }
                Class::Volatile => {
                    for entry in &state.entries {
                        self.drop_entry(unit, scope, entry.id);
                    }
                }
            }
        }
        Ok((self.carried, self.report))
    }
}

/// Makes the machine that the file behind `reader` describes, on `engine`. It does not run yet.
///
/// # Errors
/// [`RestoreError`]; nothing of the machine is left.
pub fn restore(
    engine: &dyn Engine,
    reader: &Reader,
    console: Box<dyn Write + Send>,
) -> Result<Prepared, RestoreError> {
    restore_elsewhere(engine, reader, console, &Elsewhere::default())
}

/// As [`restore`], with what is elsewhere on the host than when the guest was saved.
///
/// # Errors
/// [`RestoreError`]; nothing of the machine is left.
pub fn restore_elsewhere(
    engine: &dyn Engine,
    reader: &Reader,
    console: Box<dyn Write + Send>,
    elsewhere: &Elsewhere,
) -> Result<Prepared, RestoreError> {
    restore_with(engine, reader, console, elsewhere, RamRestore::Eager)
}

/// As [`restore_elsewhere`], with RAM at once or later.
///
/// # Errors
/// [`RestoreError`]; nothing of the machine is left.
pub fn restore_with(
    engine: &dyn Engine,
    reader: &Reader,
    console: Box<dyn Write + Send>,
    elsewhere: &Elsewhere,
    ram: RamRestore,
) -> Result<Prepared, RestoreError> {
    restore_from(engine, reader, console, elsewhere, Memory::Read(ram))
}

/// As [`restore_elsewhere`], of a snapshot without RAM onto `ram`, which holds already what the
/// guest has in it and may be another process's too: nothing writes there before the guest is
/// committed, and nothing that the other process needs to go on is taken before
/// [`Prepared::claim`].
///
/// # Errors
/// [`RestoreError`]; nothing of the machine is left, and RAM is as it was.
pub fn restore_onto(
    engine: &dyn Engine,
    reader: &Reader,
    ram: GuestRam,
    console: Box<dyn Write + Send>,
    elsewhere: &Elsewhere,
) -> Result<Prepared, RestoreError> {
    restore_from(engine, reader, console, elsewhere, Memory::There(ram))
}

fn restore_from(
    engine: &dyn Engine,
    reader: &Reader,
    console: Box<dyn Write + Send>,
    elsewhere: &Elsewhere,
    memory: Memory,
) -> Result<Prepared, RestoreError> {
    let mut watch = Stopwatch::start();
    let mut times = Times::default();
    let header = &reader.snapshot().header;
    if header.architecture != Architecture::AARCH64 {
        return Err(RestoreError::Architecture { found: header.architecture });
    }
    let mut snapshot = reader.snapshot().clone().into_parts();
    let departure = take_departure(&mut snapshot.units)?;
    let original = snapshot.units.clone();
    #[cfg(feature = "next-version")]
    let (snapshot, next) = next_version(snapshot)?;
    let mut pending = Pending::new(snapshot.units)?;
    let contract = pending.take_contract(header.contract)?;
    let kept = reader.snapshot().kept_memory();
    let (ram, when) = memory.apart();
    let place = Place { kept, wanted: elsewhere.memory_file.as_deref(), there: ram };
    let mut parts = restore_parts(engine, &mut pending, console, elsewhere, place)?;
    parts.contract = contract;
    times.devices = watch.lap();
    let (ram, lazy) = match (&parts.memory_file, when) {
        (Some(file), _) => {
            try_memory(engine, file)?;
            memory::restore_in_file(reader, &parts.ram, file)?
        }
        (None, Some(when)) => memory::restore_ram(engine, reader, &parts.ram, when)?,
        (None, None) => (RamRestored::HandedOver, None),
    };
    pending.report.ram = ram;
    parts.lazy = lazy;
    times.memory = watch.lap();
    let mut machine = parts.assemble(engine)?;
    pending.host = machine.shown()?;
    #[cfg(feature = "next-version")]
    {
        machine.next = next;
    }
    times.vm_made = watch.lap();
    for place in ORDER {
        machine.restore_unit(place.unit, &mut pending)?;
        *times.of_unit(place.unit) += watch.lap();
    }
    let (carried, mut report) = pending.finish()?;
    machine.carried = carried;
    let dropped = snapshot.dropped.iter();
    report.dropped_records.extend(dropped.map(|record| (record.kind().0, record.unit())));
    machine.carried_records = snapshot.carried;
    machine.check_readback(&original, &mut report)?;
    // Now that each register was read back and found to be what it may be.
    report.digest = state_hash(&original, &[]).map_err(MachineError::from)?;
    times.readback = watch.lap();
    (report.times, report.departure) = (times, departure);
    let counter = original.into_iter().find(|record| record.unit == Unit::Counter.name());
    let mut counter = counter.map_or_else(Vec::new, |record| record.entries);
    // What this host has not, the plan has dropped: before Linux 6.4 KVM has no CNTPCT_EL0.
    counter.retain(|entry| machine.known.contains(&entry.id));
    Ok(Prepared::new(machine, report, counter))
}

/// Takes the record that is about the source's host and not the guest.
fn take_departure(units: &mut Vec<UnitRecord>) -> Result<Option<Departure>, RestoreError> {
    let at = units.iter().position(|unit| (unit.unit, unit.scope) == (departure::NAME, Scope::Vm));
    let Some(at) = at else { return Ok(None) };
    let record = units.remove(at);
    let (unit, scope) = (record.unit, record.scope);
    let intake = |source| RestoreError::Intake { unit, scope, source };
    Departure::restore(record.entries).map(Some).map_err(intake)
}

#[cfg(feature = "next-version")]
fn next_version(
    mut parts: abide_snapshot::Parts,
) -> Result<(abide_snapshot::Parts, crate::next_version::Next), RestoreError> {
    let next = crate::next_version::Next::restore(&mut parts.units).map_err(|source| {
        RestoreError::Intake { unit: Name::new("next"), scope: Scope::Vm, source }
    })?;
    Ok((parts, next))
}

fn restore_parts(
    engine: &dyn Engine,
    pending: &mut Pending,
    console: Box<dyn Write + Send>,
    elsewhere: &Elsewhere,
    place: Place<'_>,
) -> Result<Parts, RestoreError> {
    let mut board = pending.build(Unit::Board, Scope::Vm, restore_board)?;
    board.features = pending.cpu_features();
    let hz = board.cntfrq_hz;
    let clock =
        pending.build(Unit::Clock, Scope::Vm, |entries| MachineClock::restore(hz, entries))?;
    let entropy = pending.build(Unit::Entropy, Scope::Vm, Entropy::restore)?;
    let device = Scope::Device(0);
    let console =
        pending.build(Unit::Console, device, |entries| Console::restore(console, entries))?;
    let uart = pending.build(Unit::Uart, device, Pl011::restore)?;
    let rtc = pending.build(Unit::Rtc, device, Pl031::restore)?;
    let vmclock = pending.build_vmclock()?;
    board.vmclock = vmclock.as_ref().map(VmclockDevice::config);
    let stolen_time = pending.build_stolen_time(engine, board.vcpu_count)?;
    let is_shared = place.there.is_some();
    let (ram, memory_file) = place.ram(board.ram_len)?;
    let ram =
        with_pages(ram, vmclock.as_ref(), stolen_time.as_ref()).map_err(MachineError::from)?;
    let doorbell = Arc::default();
    let host = virtio::Host { elsewhere, clock: &clock, doorbell: &doorbell, is_shared };
    let virtio = pending.build_virtio(&board, &ram, &host)?;
    Ok(Parts {
        board,
        gic_intids: pending.gic_intids(),
        contract: None,
        ram: Arc::new(ram),
        lazy: None,
        memory_file,
        clock: Arc::new(clock),
        entropy,
        console,
        uart,
        rtc,
        vmclock,
        virtio,
        doorbell,
        firmware: Firmware::default(),
        stolen_time,
    })
}

fn restore_board(entries: Vec<Entry>) -> Result<(BoardConfig, Leftover), IntakeError> {
    let mut intake = Intake::new(entries)?;
    let board = BoardConfig {
        ram_len: intake.u64(&RAM_LEN)?,
        vcpu_count: intake.u32(&VCPU_COUNT)?,
        cntfrq_hz: intake.u64(&CNTFRQ_HZ)?,
        virtio: virtio::restore_slots(&mut intake)?,
        features: CpuFeatures::NONE,
        vmclock: None,
    };
    // With each value in turn in a board that is possible: so the refusal names the right one.
    let BoardConfig { ram_len, vcpu_count, cntfrq_hz, .. } = board;
    let good = BoardConfig::DEFAULT;
    let lone = [
        (RAM_LEN.id, Value::u64(ram_len), BoardConfig { ram_len, ..good.clone() }),
        (VCPU_COUNT.id, Value::u32(vcpu_count), BoardConfig { vcpu_count, ..good.clone() }),
        (CNTFRQ_HZ.id, Value::u64(cntfrq_hz), BoardConfig { cntfrq_hz, ..good }),
    ];
    for (id, found, with) in lone {
        if let Err(error) = with.check() {
            tracing::debug!(%error, "board refused");
            let allowed = "what `abide run` could make a board with";
            return Err(IntakeError::Value { id, found, allowed });
        }
    }
    Ok((board, intake.finish()?))
}

impl Machine {
    fn restore_unit(&mut self, unit: Unit, pending: &mut Pending) -> Result<(), RestoreError> {
        match unit {
            // Made with their state, before the machine was.
            Unit::Contract | Unit::Board | Unit::Clock | Unit::Entropy | Unit::Console => Ok(()),
            Unit::Uart | Unit::Rtc | Unit::Vmclock | Unit::Vmgenid => Ok(()),
            Unit::Disk | Unit::VirtioBlock | Unit::VirtioRng | Unit::VirtioRtc => Ok(()),
            Unit::VirtioConsole => Ok(()),
            Unit::Cable | Unit::VirtioNet | Unit::Sockets | Unit::VirtioVsock => Ok(()),
            Unit::Firmware if self.firmware_provider == Provider::Machine => {
                let firmware = pending.build(unit, Scope::Vm, Firmware::restore)?;
                *crate::bus::lock(&self.bus.firmware) = firmware;
                Ok(())
            }
            Unit::Identity => self.restore_identity(pending),
            Unit::Firmware => {
                self.restore_vm(unit, pending)?;
                self.hide_extras(pending);
                Ok(())
            }
            Unit::Counter => self.restore_vm(unit, pending),
            // Refuses for the VM's registers, too: one refusal names every register.
            Unit::Cpu => {
                self.restore_cpus(pending)?;
                self.note_power();
                Ok(())
            }
            // Its records stand in memory already.
            Unit::PvTime => Ok(self.hand_out_records()?),
            Unit::Gic => self.restore_gic(pending),
        }
    }

    /// PSCI answers from the bus which vCPUs are on; the truth is each vCPU's own.
    fn note_power(&self) {
        for vcpu in &self.vcpus {
            self.bus.set_power(vcpu.id(), vcpu.power() == PowerState::On);
        }
    }
}

fn register_error(unit: Name, scope: Scope, id: RegId, source: RegError) -> RestoreError {
    RestoreError::Register { unit, scope, name: crate::names::register_name(id), source }
}
