//! A guest is born.

use crate::board::{BoardConfig, GIC_INTIDS, GICD_BASE, GICR_BASE, RAM_BASE};
use crate::bus::MachineBus;
use crate::clock::MachineClock;
use crate::console::Console;
use crate::contract::{GuestContract, Kept};
use crate::devices::virtio::{MachineClocks, VirtioConfig, VirtioDevice};
use crate::devices::vmclock::VmclockDevice;
use crate::devices::{Pl011, Pl031};
use crate::doorbell::Doorbell;
use crate::entropy::{self, Entropy};
use crate::error::{ConfigError, LoadError, MachineError};
use crate::fdt::{self, Chosen};
use crate::gic;
use crate::irqchip::SoftIrqchip;
use crate::loader::{self, DTB_MAX_LEN};
use crate::machine::Machine;
use crate::originals::Originals;
use crate::stolen_time::Records;
use abide_arm64::kvm;
use abide_engine::{Abi, Engine, InterruptLines, Irqchip, Provider, Vcpu, Vm, VmConfig};
use abide_firmware::Firmware;
use abide_firmware::spec::REG_PSCI_VERSION;
use abide_gic::GicV3;
use abide_memory::{GuestRam, MemoryError};
use abide_net::NetConfig;
use abide_reg::{Value, VcpuId};
use abide_snapshot::{LazyRam, MemoryFile};
use abide_virtio::DeviceId;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// PSTATE of a CPU that starts: EL1 with SP_EL1, all interrupts masked `[DDI0487 C5.2.19]`.
const PSTATE_AT_START: u64 = 0x3c5;

/// The seed of a deterministic guest's random numbers.
const DETERMINISTIC_SEED: u64 = 0xab1d_e000_0000_0001;

/// What makes the guest's time pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// The host's clock.
    Host,
    /// Executed instructions: two runs are the same to the last bit.
    Virtual,
}

/// A guest to be born.
pub struct BirthConfig<'a> {
    /// The board.
    pub board: BoardConfig,
    /// Its virtio devices, slot by slot; they become the board's `virtio`.
    pub virtio: &'a [VirtioConfig],
    /// What makes its time pass.
    pub time: TimeSource,
    /// What its firmware answers.
    pub firmware: Firmware,
    /// Its kernel, in any form that [`loader`] knows.
    pub kernel: &'a [u8],
    /// Its initial RAM disk.
    pub initrd: Option<&'a [u8]>,
    /// Its kernel's command line.
    pub bootargs: &'a str,
    /// Where its console prints.
    pub console: Box<dyn Write + Send>,
    /// The file that RAM is put into, if it is to outlive the process: [`MemoryFile`].
    pub memory_file: Option<&'a Path>,
}

/// What a machine's devices are made of, before or after a restore.
pub(crate) struct Parts {
    pub(crate) board: BoardConfig,
    pub(crate) gic_intids: u32,
    pub(crate) contract: Option<GuestContract>,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) lazy: Option<LazyRam>,
    pub(crate) memory_file: Option<MemoryFile>,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) entropy: Entropy,
    pub(crate) console: Console,
    pub(crate) uart: Pl011,
    pub(crate) rtc: Pl031,
    pub(crate) vmclock: Option<VmclockDevice>,
    pub(crate) virtio: Vec<VirtioDevice>,
    pub(crate) doorbell: Arc<Doorbell>,
    pub(crate) firmware: Firmware,
    pub(crate) stolen_time: Option<Records>,
}

impl Parts {
    /// Makes the VM on `engine` and wires everything to it.
    pub(crate) fn assemble(self, engine: &dyn Engine) -> Result<Machine, MachineError> {
        let Self {
            board,
            gic_intids,
            contract,
            ram,
            lazy,
            memory_file,
            clock,
            entropy,
            console,
            uart,
            rtc,
            vmclock,
            virtio,
            doorbell,
            firmware,
            stolen_time,
        } = self;
        let mut vm = engine.create_vm(VmConfig {
            vcpu_count: board.vcpu_count,
            cntfrq_hz: board.cntfrq_hz,
            ram: Arc::clone(&ram),
            clock: Arc::clone(&clock) as Arc<dyn abide_engine::Clock>,
            gicd: GICD_BASE,
            gicr: GICR_BASE,
            gic_intids,
            features: board.features,
        })?;
        let (lines, vcpus) = create_vcpus(vm.as_mut(), board.vcpu_count)?;
        let known = vcpus[0].reg_ids();
        let (irqchip, soft_irqchip) = create_irqchip(vm.as_mut(), lines.clone(), gic_intids)?;
        let vmclock = vmclock.map(|device| Arc::new(Mutex::new(device)));
        let clocks = MachineClocks::new(Arc::clone(&clock), vmclock.clone());
        let bus = Arc::new(MachineBus {
            clock: Arc::clone(&clock),
            panicked: AtomicBool::new(console.has_panicked()),
            console: Mutex::new(console),
            uart: Mutex::new(uart),
            rtc: Mutex::new(rtc),
            vmclock,
            clocks: Mutex::new(clocks),
            has_virtio_console: virtio.iter().any(|device| device.id() == DeviceId::CONSOLE),
            virtio: virtio.into_iter().map(Mutex::new).collect(),
            doorbell,
            ram: Arc::clone(&ram),
            firmware: Mutex::new(firmware),
            irqchip: Arc::clone(&irqchip),
            soft_irqchip,
            entropy: Mutex::new(entropy),
            stolen_time,
            powered: (0..board.vcpu_count).map(|n| AtomicBool::new(n == 0)).collect(),
            requests: Mutex::new(Vec::new()),
        });
        let firmware_provider = vm.provider(Abi::Firmware);
        let offered_stolen_time = engine.stolen_time();
        let engine = engine.name();
        Ok(Machine {
            board,
            engine,
            ram,
            clock,
            bus,
            irqchip,
            firmware_provider,
            gic_intids,
            offered_stolen_time,
            known,
            contract,
            originals: Originals::default(),
            lines,
            vcpus,
            vm,
            lazy,
            memory_file,
            is_given_away: false,
            publisher: None,
            carried: Vec::new(),
            carried_records: Vec::new(),
            #[cfg(feature = "next-version")]
            next: crate::next_version::Next::default(),
        })
    }
}

type Wires = (Vec<Arc<InterruptLines>>, Vec<Box<dyn Vcpu>>);

fn create_vcpus(vm: &mut dyn Vm, count: u32) -> Result<Wires, MachineError> {
    let (mut lines, mut vcpus) = (Vec::new(), Vec::new());
    for n in 0..count {
        let line = Arc::new(InterruptLines::default());
        vcpus.push(vm.create_vcpu(VcpuId(n), Arc::clone(&line))?);
        lines.push(line);
    }
    Ok((lines, vcpus))
}

type Controller = (Arc<dyn Irqchip>, Option<Arc<SoftIrqchip>>);

fn create_irqchip(
    vm: &mut dyn Vm,
    lines: Vec<Arc<InterruptLines>>,
    intids: u32,
) -> Result<Controller, MachineError> {
    if let Some(native) = vm.create_irqchip()? {
        return Ok((native, None));
    }
    let vcpu_count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let gic = GicV3::new(gic::config(vcpu_count, intids))?;
    let chip = Arc::new(SoftIrqchip::new(gic, lines));
    Ok((Arc::clone(&chip) as Arc<dyn Irqchip>, Some(chip)))
}

/// Fresh RAM, in a file if one is named.
pub(crate) fn create_ram(
    len: u64,
    file: Option<&Path>,
) -> Result<(GuestRam, Option<MemoryFile>), MachineError> {
    let Some(path) = file else { return Ok((GuestRam::new(RAM_BASE, len)?, None)) };
    let file = MemoryFile::create(path, len, entropy::memory_id()?)?;
    Ok((file.map(RAM_BASE)?, Some(file)))
}

/// The same RAM, with the pages of these beside it.
pub(crate) fn with_pages(
    ram: GuestRam,
    vmclock: Option<&VmclockDevice>,
    stolen_time: Option<&Records>,
) -> Result<GuestRam, MemoryError> {
    let mut pages = vmclock.map_or_else(Vec::new, VmclockDevice::pages);
    pages.extend(stolen_time.map(|records| Arc::clone(records.page())));
    if pages.is_empty() { Ok(ram) } else { ram.with_pages(pages) }
}

/// Makes sure that guests of `engine` run from this file.
pub(crate) fn try_memory(engine: &dyn Engine, file: &MemoryFile) -> Result<(), MachineError> {
    let (ram, entry) = file.trial(RAM_BASE)?;
    engine.try_ram(Arc::new(ram), entry).map_err(|source| MachineError::MemoryForEngine {
        path: file.path().to_owned(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        source,
    })
}

/// Records of stolen time for a guest that is born: of the version that it is promised, if that is
/// kept here, and else of the oldest that is.
fn create_records(
    engine: &dyn Engine,
    contract: Option<&GuestContract>,
    vcpu_count: u32,
) -> Result<Option<Records>, MachineError> {
    let offered = engine.stolen_time();
    let revision = match contract {
        // What is promised and not kept here, is told with all else that is not.
        Some(contract) => contract.stolen_time().filter(|&revision| offered.offers(revision)),
        None => offered.choose(),
    };
    revision.map(|revision| Records::new(revision, vcpu_count)).transpose()
}

fn create_virtio(
    configs: &[VirtioConfig],
    time: TimeSource,
    doorbell: &Arc<Doorbell>,
) -> Result<Vec<VirtioDevice>, MachineError> {
    for config in configs {
        let time_is_virtual = time == TimeSource::Virtual;
        match config {
            VirtioConfig::Net(card) => check_repeatable(&card.network, time_is_virtual)?,
            VirtioConfig::Vsock(vsock) => check_no_sockets(&vsock.path, time_is_virtual)?,
            VirtioConfig::Block(_) | VirtioConfig::Rng | VirtioConfig::Console => {}
            VirtioConfig::Rtc { .. } => {}
        }
    }
    let devices = configs.iter().enumerate();
    devices.map(|(slot, config)| VirtioDevice::create(config, slot, doorbell)).collect()
}

/// What comes from other people's networks comes whenever it comes.
pub(crate) fn check_repeatable(
    network: &NetConfig,
    time_is_virtual: bool,
) -> Result<(), ConfigError> {
    if time_is_virtual && !network.is_repeatable() {
        return Err(ConfigError::NotRepeatable { found: format!("network {network}") });
    }
    Ok(())
}

/// What comes from other people's programs does too.
pub(crate) fn check_no_sockets(path: &Path, time_is_virtual: bool) -> Result<(), ConfigError> {
    if time_is_virtual {
        return Err(ConfigError::SocketsNotRepeatable { path: path.into() });
    }
    Ok(())
}

impl Machine {
    /// Makes a machine with a guest that is about to execute its first instruction.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn create(engine: &dyn Engine, birth: BirthConfig<'_>) -> Result<Self, MachineError> {
        let mut machine = Self::assemble(engine, birth, None)?;
        machine.0.start_at(machine.1)?;
        Ok(machine.0)
    }

    /// As [`create`](Self::create), for a guest that is promised `contract`: every register of it
    /// is written and read back, and what only this host has is hidden.
    ///
    /// # Errors
    /// [`MachineError`]; [`MachineError::Contract`] names every register that stands against it.
    pub fn create_under(
        engine: &dyn Engine,
        birth: BirthConfig<'_>,
        contract: &GuestContract,
    ) -> Result<(Self, Kept), MachineError> {
        let (mut machine, loaded) = Self::assemble(engine, birth, Some(contract))?;
        let kept = machine.keep(contract)?;
        machine.start_at(loaded)?;
        Ok((machine, kept))
    }

    fn assemble(
        engine: &dyn Engine,
        birth: BirthConfig<'_>,
        contract: Option<&GuestContract>,
    ) -> Result<(Self, loader::Loaded), MachineError> {
        let doorbell = Arc::default();
        let virtio = create_virtio(birth.virtio, birth.time, &doorbell)?;
        let mut board = birth.board;
        contract.map_or(Ok(()), |contract| contract.shape(&mut board))?;
        let gic_intids = contract.map_or(Ok(GIC_INTIDS), GuestContract::intids)?;
        board.virtio = virtio.iter().map(VirtioDevice::id).collect();
        board.check()?;
        let (ram, memory_file) = create_ram(board.ram_len, birth.memory_file)?;
        memory_file.as_ref().map_or(Ok(()), |file| try_memory(engine, file))?;
        let mut entropy = match birth.time {
            TimeSource::Host => Entropy::Host,
            TimeSource::Virtual => Entropy::Seeded { state: DETERMINISTIC_SEED },
        };
        let rng_seed = entropy.seed();
        let vmclock = match board.vmclock {
            Some(config) => Some(VmclockDevice::new(config, entropy.generation()?)?),
            None => None,
        };
        let stolen_time = create_records(engine, contract, board.vcpu_count)?;
        let ram = Arc::new(with_pages(ram, vmclock.as_ref(), stolen_time.as_ref())?);
        let loaded = loader::load(&ram, birth.kernel, birth.initrd)?;
        let clock = match birth.time {
            TimeSource::Host => MachineClock::new_host(board.cntfrq_hz),
            TimeSource::Virtual => MachineClock::new_virtual(board.cntfrq_hz),
        };
        let firmware = birth.firmware;
        let promised = contract.and_then(|contract| contract.number(REG_PSCI_VERSION));
        let psci_version = promised.unwrap_or(firmware.psci_version());
        let chosen = Chosen {
            bootargs: birth.bootargs,
            initrd: loaded.initrd,
            rng_seed,
            psci_version: u32::try_from(psci_version).unwrap_or(u32::MAX),
        };
        let tree = fdt::build(&board, &chosen)?;
        if tree.len() as u64 > DTB_MAX_LEN {
            return Err(LoadError::DeviceTree { found: tree.len(), allowed: DTB_MAX_LEN }.into());
        }
        ram.write(loaded.dtb, &tree)?;
        let parts = Parts {
            board,
            gic_intids,
            contract: contract.cloned(),
            ram,
            lazy: None,
            memory_file,
            clock: Arc::new(clock),
            entropy,
            console: Console::new(birth.console),
            uart: Pl011::default(),
            rtc: Pl031::new(),
            vmclock,
            virtio,
            doorbell,
            firmware,
            stolen_time,
        };
        let machine = parts.assemble(engine).map_err(|error| match (error, contract) {
            (MachineError::Engine(error), Some(contract)) => contract.not_kept(error),
            (error, _) => error,
        })?;
        Ok((machine, loaded))
    }

    fn start_at(&mut self, loaded: loader::Loaded) -> Result<(), MachineError> {
        let boot = &mut self.vcpus[0];
        let mut set = |id, value| boot.store(id, &Value::u64(value)).map_err(engine_error);
        set(kvm::x(0), loaded.dtb.0)?;
        set(kvm::PC, loaded.entry.0)?;
        set(kvm::PSTATE, PSTATE_AT_START)?;
        if self.firmware_provider == Provider::Machine {
            for vcpu in &mut self.vcpus[1..] {
                vcpu.power_off()?;
            }
        }
        self.hand_out_records()?;
        if let Some(file) = &mut self.memory_file {
            file.begin()?;
        }
        Ok(())
    }

    /// Gives each vCPU its record of stolen time, if the guest has any.
    pub(crate) fn hand_out_records(&mut self) -> Result<(), MachineError> {
        let Some(records) = &self.bus.stolen_time else { return Ok(()) };
        for vcpu in &mut self.vcpus {
            if let Some((table_gpa, revision)) = records.of_vcpu(vcpu.id()) {
                vcpu.set_stolen_time(table_gpa, revision)?;
            }
        }
        Ok(())
    }
}

fn engine_error(error: abide_reg::RegError) -> MachineError {
    MachineError::Engine(error.into())
}
