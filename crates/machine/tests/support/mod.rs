//! An engine whose guests are closures, and machines on it.
#![allow(dead_code, clippy::allow_attributes, reason = "each test uses a part of it")]

use abide_arm64::{SysReg, kvm};
use abide_engine::{
    Abi, Bus, Clock, Engine, EngineError, InterruptLines, Irqchip, Kick, PowerState, Provider,
    SMCCC_REGISTERS, Stop, SystemEvent, Vcpu, Vm, VmConfig,
};
use abide_firmware::Firmware;
use abide_machine::board::BoardConfig;
use abide_machine::devices::virtio::VirtioConfig;
use abide_machine::error::{MachineError, RestoreError};
use abide_machine::lifecycle::{Intent, Prepared};
use abide_machine::{BirthConfig, Machine, TimeSource};
use abide_pvtime::{REVISION_1_0, Revision, Revisions};
use abide_reg::{Class, Gpa, RegError, RegId, Registers, Value, VcpuId};
use abide_snapshot::{Architecture, Compression, Header, Reader, Record, Snapshot, UnitRecord};
use rustix::time::{ClockId, clock_gettime};
pub mod handoff;
pub mod smp;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

/// MIDR_EL1: of the VM, so in the unit `identity`.
pub const MIDR: RegId = kvm::sysreg(SysReg::new(3, 0, 0, 0, 0));
/// Whether the vCPU is off, as both real engines name it.
pub const MP_STATE: RegId = RegId::named("cpu.mp_state");
/// What a host without it may drop.
pub const WAIT: RegId = RegId::named("cpu.wait");
/// The mock guest's memory of its own: how far its closure has come.
pub const STEP: RegId = kvm::x(19);

/// What an engine does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quirk {
    /// Nothing.
    #[default]
    None,
    /// It accepts this register and keeps one bit of it differently.
    Alters(RegId),
    /// It refuses this register.
    Refuses(RegId),
    /// This register cannot be read.
    CannotRead(RegId),
    /// It has no such register.
    Lacks(RegId),
    /// It has a counter of the host's, which never stands still, and takes its time to say what it
    /// has and to set that.
    HostCounter,
    /// It has the physical counter and its timer, which others keep to themselves.
    PhysicalCounter,
}

/// How long a host with a counter of its own takes for what it does slowly, in ns.
const SLOW_NS: u64 = 500_000;

/// The host's CLOCK_BOOTTIME, in ns.
pub fn uptime_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let [seconds, ns] = [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds * 1_000_000_000 + ns
}

/// The host's counter by then. Of a guest's, `TIMER_CNT` holds how far it is behind: at birth,
/// nothing.
pub fn host_ticks(uptime_ns: u64) -> u64 {
    let ticks = u128::from(uptime_ns) * u128::from(BOARD.cntfrq_hz) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// What a vCPU can do in one call of `run`.
pub struct Turn<'a> {
    /// Which vCPU.
    pub id: VcpuId,
    /// Its registers.
    pub regs: &'a mut BTreeMap<RegId, Value>,
    /// What it reaches.
    pub bus: &'a dyn Bus,
    /// The machine's clock.
    pub clock: &'a dyn Clock,
    /// Its inputs.
    pub lines: &'a InterruptLines,
    /// When its timer fires.
    pub deadline: &'a mut Option<u64>,
    /// What makes it leave.
    pub kicked: &'a KickFlag,
}

impl Turn<'_> {
    /// A register's number.
    pub fn x(&self, id: RegId) -> u64 {
        self.regs.get(&id).and_then(Value::to_u64).unwrap_or(0)
    }

    /// Gives a register another number.
    pub fn set_x(&mut self, id: RegId, number: u64) {
        self.regs.insert(id, Value::u64(number));
    }

    /// Which call of `run` this is, counted in a register, so that it goes on after a restore.
    pub fn next_step(&mut self) -> u64 {
        let step = self.x(STEP);
        self.set_x(STEP, step + 1);
        step
    }

    /// Writes 32 bits to a device.
    pub fn write(&mut self, gpa: u64, value: u64) {
        self.bus.mmio_write(self.id, Gpa(gpa), 4, value).expect("a device");
    }

    /// Reads 32 bits of a device.
    pub fn read(&mut self, gpa: u64) -> u64 {
        self.bus.mmio_read(self.id, Gpa(gpa), 4).expect("a device")
    }

    /// A hypercall of up to three arguments; the stop that it demands.
    pub fn call(&mut self, function: u64, arguments: &[u64]) -> Option<Stop> {
        let mut x = [0; SMCCC_REGISTERS];
        x[0] = function;
        x[1..=arguments.len()].copy_from_slice(arguments);
        match self.bus.smccc(self.id, &mut x) {
            abide_engine::AfterCall::Continue => None,
            abide_engine::AfterCall::Wait => Some(Stop::Idle),
            abide_engine::AfterCall::Leave => Some(Stop::System(SystemEvent::Noted)),
        }
    }

    /// A hypercall that only tells: what it answers in x0 to x3.
    pub fn ask(&mut self, function: u64, about: u64) -> [u64; 4] {
        let mut x = [0; SMCCC_REGISTERS];
        x[..2].copy_from_slice(&[function, about]);
        assert_eq!(self.bus.smccc(self.id, &mut x), abide_engine::AfterCall::Continue);
        [x[0], x[1], x[2], x[3]]
    }

    /// Whether it says that it waits.
    pub fn set_waiting(&mut self, waits: bool) {
        self.regs.insert(WAIT, Value::u8(waits.into()));
    }

    /// PSCI SYSTEM_OFF.
    pub fn power_off(&mut self) -> Stop {
        self.call(0x8400_0008, &[]).expect("SYSTEM_OFF does not return")
    }
}

/// A guest: what a vCPU does each time it may run.
pub type Guest = Arc<dyn Fn(&mut Turn<'_>) -> Stop + Send + Sync>;

/// An engine of such guests.
#[derive(Clone)]
pub struct MockEngine {
    pub guest: Guest,
    pub quirk: Quirk,
    pub counts_instructions: bool,
}

impl MockEngine {
    pub fn new(guest: impl Fn(&mut Turn<'_>) -> Stop + Send + Sync + 'static) -> Self {
        Self { guest: Arc::new(guest), quirk: Quirk::None, counts_instructions: true }
    }

    /// An engine whose guests only wait.
    pub fn idle() -> Self {
        Self::new(|_| Stop::Idle)
    }

    pub fn with(quirk: Quirk) -> Self {
        Self { quirk, ..Self::idle() }
    }
}

impl Engine for MockEngine {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn stolen_time(&self) -> Revisions {
        Revisions::of([REVISION_1_0])
    }

    fn create_vm(&self, config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        Ok(Box::new(MockVm { engine: self.clone(), clock: config.clock }))
    }
}

struct MockVm {
    engine: MockEngine,
    clock: Arc<dyn Clock>,
}

impl Vm for MockVm {
    fn provider(&self, abi: Abi) -> Provider {
        if abi == Abi::Timer { Provider::Native } else { Provider::Machine }
    }

    fn create_vcpu(
        &mut self,
        id: VcpuId,
        lines: Arc<InterruptLines>,
    ) -> Result<Box<dyn Vcpu>, EngineError> {
        let mut regs: BTreeMap<RegId, Value> = (0..=30)
            .map(|n| (kvm::x(n), Value::u64(0)))
            .chain([kvm::PC, kvm::PSTATE, kvm::SP_EL0, kvm::SP_EL1].map(|id| (id, Value::u64(0))))
            .chain([(MIDR, Value::u64(0x410f_d034)), (kvm::v(3), Value::u128(0))])
            .chain([(WAIT, Value::u8(0)), (MP_STATE, Value::u8(u8::from(id.0 != 0)))])
            .collect();
        if let Quirk::Lacks(lacking) = self.engine.quirk {
            regs.remove(&lacking);
        }
        if self.engine.quirk == Quirk::HostCounter {
            regs.insert(kvm::TIMER_CNT, Value::u64(0));
        }
        if self.engine.quirk == Quirk::PhysicalCounter {
            regs.extend([kvm::PTIMER_CNT, kvm::PTIMER_CTL].map(|id| (id, Value::u64(0))));
        }
        let (engine, clock) = (self.engine.clone(), Arc::clone(&self.clock));
        let kicked = Arc::default();
        Ok(Box::new(MockVcpu { id, regs, engine, clock, lines, deadline: None, kicked }))
    }

    fn create_irqchip(&mut self) -> Result<Option<Arc<dyn Irqchip>>, EngineError> {
        Ok(None)
    }

    fn counts_instructions(&self) -> bool {
        self.engine.counts_instructions
    }

    fn sync_dirty_log(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// A kick that can be waited for.
#[derive(Default)]
pub struct KickFlag {
    kicked: Mutex<bool>,
    changed: Condvar,
}

impl KickFlag {
    /// Waits until somebody kicks.
    pub fn wait(&self) {
        let mut kicked = self.kicked.lock().expect("not poisoned");
        while !std::mem::take(&mut *kicked) {
            kicked = self.changed.wait(kicked).expect("not poisoned");
        }
    }
}

impl Kick for KickFlag {
    fn kick(&self) {
        *self.kicked.lock().expect("not poisoned") = true;
        self.changed.notify_all();
    }
}

struct MockVcpu {
    id: VcpuId,
    regs: BTreeMap<RegId, Value>,
    engine: MockEngine,
    clock: Arc<dyn Clock>,
    lines: Arc<InterruptLines>,
    deadline: Option<u64>,
    kicked: Arc<KickFlag>,
}

/// What others do meanwhile.
fn slow() {
    let end_ns = uptime_ns() + SLOW_NS;
    while uptime_ns() < end_ns {
        std::hint::spin_loop();
    }
}

impl MockVcpu {
    /// How far the register, which is the host's counter, is behind that.
    fn behind(&self, id: RegId) -> Option<u64> {
        let value = self.regs.get(&id).filter(|_| id == kvm::TIMER_CNT)?;
        value.to_u64().filter(|_| self.engine.quirk == Quirk::HostCounter)
    }
}

impl Registers for MockVcpu {
    fn reg_ids(&self) -> Vec<RegId> {
        if self.engine.quirk == Quirk::HostCounter {
            slow();
        }
        self.regs.keys().copied().collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        if self.engine.quirk == Quirk::CannotRead(id) {
            return Err(RegError::Host { id, errno: 5 });
        }
        if let Some(behind) = self.behind(id) {
            return Ok(Value::u64(host_ticks(uptime_ns()).wrapping_sub(behind)));
        }
        self.regs.get(&id).cloned().ok_or(RegError::Unknown { id })
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        let quirk = self.engine.quirk;
        let held = self.regs.get_mut(&id).ok_or(RegError::Unknown { id })?;
        if held.width() != value.width() {
            return Err(RegError::Width { id, found: value.width(), allowed: held.width() });
        }
        if quirk == Quirk::Refuses(id) {
            return Err(RegError::Refused { id, found: value.clone(), allowed: "nothing" });
        }
        *held = value.clone();
        if let Some(count) = value.to_u64().filter(|_| quirk == Quirk::HostCounter)
            && id == kvm::TIMER_CNT
        {
            slow();
            *held = Value::u64(host_ticks(uptime_ns()).wrapping_sub(count));
        }
        if quirk == Quirk::Alters(id) {
            let mut bytes = value.as_bytes().to_vec();
            bytes[0] ^= 1;
            *held = Value::bytes(&bytes);
        }
        Ok(())
    }
}

impl Vcpu for MockVcpu {
    fn id(&self) -> VcpuId {
        self.id
    }

    fn run(&mut self, _budget: u64, bus: &dyn Bus) -> Result<Stop, EngineError> {
        let mut turn = Turn {
            id: self.id,
            regs: &mut self.regs,
            bus,
            clock: &*self.clock,
            lines: &self.lines,
            deadline: &mut self.deadline,
            kicked: &self.kicked,
        };
        Ok((self.engine.guest)(&mut turn))
    }

    fn deadline_ticks(&self) -> Option<u64> {
        self.deadline
    }

    fn power(&self) -> PowerState {
        match self.regs.get(&MP_STATE).and_then(Value::to_u8) {
            Some(0) => PowerState::On,
            _ => PowerState::Off,
        }
    }

    fn power_on(&mut self, entry: Gpa, context: u64) -> Result<(), EngineError> {
        self.store(kvm::PC, &Value::u64(entry.0))?;
        self.store(kvm::x(0), &Value::u64(context))?;
        Ok(self.store(MP_STATE, &Value::u8(0))?)
    }

    fn power_off(&mut self) -> Result<(), EngineError> {
        Ok(self.store(MP_STATE, &Value::u8(1))?)
    }

    fn class_of(&self, id: RegId) -> Class {
        if id == WAIT { Class::Volatile } else { Class::Mandatory }
    }

    fn requires(&self, id: RegId) -> bool {
        id != WAIT
    }

    fn set_stolen_time(&mut self, _: Gpa, _: Revision) -> Result<(), EngineError> {
        Ok(())
    }

    fn is_waiting(&self) -> bool {
        self.regs.get(&WAIT).and_then(Value::to_u8) == Some(1)
    }

    fn kicker(&self) -> Arc<dyn Kick> {
        Arc::clone(&self.kicked) as Arc<dyn Kick>
    }
}

/// The smallest board that loads a kernel, with two vCPUs.
pub const BOARD: BoardConfig = BoardConfig {
    ram_len: 6 << 20,
    vcpu_count: 2,
    cntfrq_hz: 62_500_000,
    virtio: Vec::new(),
    features: abide_arm64::features::CpuFeatures::NONE,
    vmclock: None,
};

/// A guest that was just born.
pub fn born(engine: &dyn Engine, kernel: &[u8]) -> Machine {
    born_with(engine, kernel, BOARD, TimeSource::Virtual)
}

pub fn born_with(
    engine: &dyn Engine,
    kernel: &[u8],
    board: BoardConfig,
    time: TimeSource,
) -> Machine {
    born_with_virtio(engine, kernel, board, time, &[])
}

pub fn born_with_virtio(
    engine: &dyn Engine,
    kernel: &[u8],
    board: BoardConfig,
    time: TimeSource,
    virtio: &[VirtioConfig],
) -> Machine {
    try_born(engine, kernel, board, time, virtio).expect("a guest that can be born")
}

pub fn try_born(
    engine: &dyn Engine,
    kernel: &[u8],
    board: BoardConfig,
    time: TimeSource,
    virtio: &[VirtioConfig],
) -> Result<Machine, MachineError> {
    let birth = BirthConfig {
        board,
        virtio,
        time,
        firmware: Firmware::default(),
        kernel,
        initrd: None,
        bootargs: "",
        console: Box::new(std::io::sink()),
        memory_file: None,
    };
    Machine::create(engine, birth)
}

/// A kernel that no mock executes: NOPs.
pub const KERNEL: &[u8] = [[0x1f, 0x20, 0x03, 0xd5]; 16].as_flattened();

/// A snapshot of the machine in memory, changed by `change`.
pub fn file_with(machine: &Machine, change: impl FnOnce(&mut Vec<Record>)) -> Vec<u8> {
    let mut records: Vec<Record> =
        machine.state().expect("readable").into_iter().map(Record::Unit).collect();
    change(&mut records);
    let snapshot = Snapshot { header: Header::new(Architecture::AARCH64), records };
    let mut file = Vec::new();
    abide_snapshot::write_to(&mut file, &snapshot, &[machine.ram()], Compression::None)
        .expect("a snapshot that can be written");
    file
}

/// The unit's record among `records`.
pub fn record<'a>(records: &'a mut [Record], unit: &str, scope: &str) -> &'a mut UnitRecord {
    records
        .iter_mut()
        .find_map(|record| match record {
            Record::Unit(record)
                if record.unit.as_str() == unit && record.scope.to_string() == scope =>
            {
                Some(record)
            }
            _ => None,
        })
        .unwrap_or_else(|| panic!("no record of {unit} {scope}"))
}

/// Gives a register of the unit another value.
pub fn set(records: &mut [Record], unit: &str, scope: &str, id: RegId, value: Value) {
    let record = record(records, unit, scope);
    let entry = record.entries.iter_mut().find(|entry| entry.id == id);
    entry.unwrap_or_else(|| panic!("{unit} has no {id}")).value = value;
}

pub fn restore(engine: &dyn Engine, file: Vec<u8>) -> Result<Prepared, RestoreError> {
    let reader = Reader::from_bytes(file).expect("a well-formed file");
    abide_machine::restore::restore(engine, &reader, Box::new(std::io::sink()))
}

pub fn restored(engine: &dyn Engine, file: Vec<u8>) -> Machine {
    let prepared = restore(engine, file).unwrap_or_else(|error| panic!("{error}"));
    prepared.commit(Intent::Restore).expect("committed")
}

/// How it was refused.
pub fn refusal(engine: &dyn Engine, file: Vec<u8>) -> RestoreError {
    match restore(engine, file) {
        Ok(_) => panic!("it was restored"),
        Err(error) => error,
    }
}

/// The file with the record of `unit` and this scope's number given another number, and its head's
/// checksum made right again: 64 bytes, the number at 8, the name at 24, the CRC32C at 60.
pub fn rename_scope(mut file: Vec<u8>, unit: &str, from: u32, to: u32) -> Vec<u8> {
    let mut name = unit.as_bytes().to_vec();
    name.resize(32, 0);
    let is_it = |head: &[u8]| head[24..56] == *name && head[8..12] == from.to_le_bytes();
    let heads = (0..file.len().saturating_sub(64)).step_by(8);
    let at = heads.into_iter().find(|&at| is_it(&file[at..at + 64])).expect("such a record");
    file[at + 8..at + 12].copy_from_slice(&to.to_le_bytes());
    let crc = crc32c::crc32c(&file[at..at + 60]);
    file[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    file
}
