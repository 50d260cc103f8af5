//! A tiny guest that tells in a moment whether a KVM runs guests at all.
//!
//! Some hosts have a `/dev/kvm` that answers every question and runs nothing, or only guests of its
//! own kind; no capability tells. So a guest of a few instructions is run, with a limit of time.

use crate::ENGINE_NAME;
use abide_arm64::features::{CpuFeatures, Feature, PmuEvents};
use abide_arm64::{SysReg, kvm};
use abide_engine::{
    AfterCall, Bus, Clock, Engine, EngineError, InterruptLines, SMCCC_REGISTERS, Stop, SystemEvent,
    Vcpu, VmConfig,
};
use abide_memory::{GuestRam, MemoryError};
use abide_reg::{Gpa, RegError, Value, VcpuId};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// How long the tiny guest may take: thousands of times what it needs on an emulated host.
pub const LIMIT: Duration = Duration::from_secs(10);

/// When a guest that does not come to its end is first looked at.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// How long a vCPU may take to notice that it is to stop.
const NOTICE: Duration = Duration::from_secs(3);

/// Where its RAM begins.
pub(crate) const RAM_BASE: Gpa = Gpa(0x4000_0000);
/// How much it has, in bytes.
pub(crate) const RAM_LEN: u64 = 2 << 20;
/// INTIDs of its interrupt controller.
const INTIDS: u32 = 64;

/// PSCI SYSTEM_OFF: `movz w0, #0x8400, lsl #16; movk w0, #8; hvc #0; b .`
pub(crate) const POWER_OFF: [u32; 4] = [0x52b0_8000, 0x7280_0100, 0xd400_0002, 0x1400_0000];
/// `mrs x19, ctr_el0`: what a guest reads there, KVM may tell its user otherwise.
const READ_CTR: u32 = 0xd53b_0033;
/// `mrs x20, pmceid0_el0; mrs x21, pmceid1_el0`: no register of KVM's tells.
const READ_EVENTS: [u32; 2] = [0xd53b_9cd4, 0xd53b_9cf5];
/// What it does before it is off.
const PROGRAM: [u32; 5] = [READ_CTR, POWER_OFF[0], POWER_OFF[1], POWER_OFF[2], POWER_OFF[3]];

/// The one table: level 1, 512 entries of 1 GiB.
const TABLE: u64 = RAM_BASE.0 + 0x10_0000;
/// RAM's gigabyte at its own address: block, AF, inner shareable, attribute 0 `[DDI0487 D8.3]`.
const BLOCK: u64 = RAM_BASE.0 | 1 << 10 | 3 << 8 | 1;
/// 39-bit addresses, 4 KiB granule, cached walks, nothing in the upper half, 40-bit output.
const TCR: u64 = 2 << 32 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 25;
/// As after a reset, with MMU and caches on.
const SCTLR: u64 = 0x00c5_0078 | 1 << 12 | 1 << 2 | 1;
/// Attribute 0: normal memory, write-back.
const MAIR: u64 = 0xff;
/// EL1 with SP_EL1, all interrupts masked `[DDI0487 C5.2.19]`.
const PSTATE: u64 = 0x3c5;

/// Which guest is to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One that starts with its MMU off, as every guest that is born.
    Born,
    /// One whose page tables only the host ever wrote, as those of every restored guest. Its first
    /// instruction makes the CPU walk a table that stage 2 does not map yet, and KVM has to map it
    /// and go on. Where Cortex-A57 erratum 834220 is worked around, kernels from 2025 on do not:
    /// they take the address of such a fault for unreliable, look it up by walking the same table,
    /// fail, and enter the guest again, for ever
    /// `[linux arch/arm64/kvm/hyp/include/hyp/fault.h __hpfar_valid]`.
    Restored,
}

/// A clock for guests that never ask.
pub(crate) struct NoClock;

impl Clock for NoClock {
    fn now_ticks(&self) -> u64 {
        0
    }
    fn retire(&self, _instructions: u64) {}
    fn instructions_until(&self, _ticks: u64) -> Option<u64> {
        None
    }
}

/// A bus on which nothing answers.
struct Nothing;

impl Bus for Nothing {
    fn mmio_read(&self, _vcpu: VcpuId, _gpa: Gpa, _size: usize) -> Option<u64> {
        None
    }
    fn mmio_write(&self, _vcpu: VcpuId, _gpa: Gpa, _size: usize, _value: u64) -> Option<()> {
        None
    }
    fn sysreg_read(&self, _vcpu: VcpuId, _reg: SysReg) -> Option<u64> {
        None
    }
    fn sysreg_write(&self, _vcpu: VcpuId, _reg: SysReg, _value: u64) -> Option<()> {
        None
    }
    fn smccc(&self, _vcpu: VcpuId, _x: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        AfterCall::Leave
    }
    fn set_ppi(&self, _vcpu: VcpuId, _intid: u32, _level: bool) {}
}

/// What the tiny guest read that KVM does not tell, or tells otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// CTR_EL0.
    pub ctr: u64,
    /// PMCEID0_EL0 and PMCEID1_EL0, where it had performance monitors.
    pub pmu_events: Option<PmuEvents>,
}

/// Runs the tiny guest in a VM of its own, for [`LIMIT`] at most; its vCPU is made with these
/// features.
///
/// # Errors
/// [`EngineError::Unavailable`], with what was seen and what to do; or what making the VM gave.
pub fn run(
    engine: &dyn Engine,
    cntfrq_hz: u64,
    features: CpuFeatures,
    kind: Kind,
) -> Result<Option<Seen>, EngineError> {
    let ram = Arc::new(GuestRam::new(RAM_BASE, RAM_LEN).map_err(|error| no_ram(&error))?);
    let mut vm = engine.create_vm(VmConfig { features, ..config(Arc::clone(&ram), cntfrq_hz) })?;
    let mut vcpu = vm.create_vcpu(VcpuId(0), Arc::new(InterruptLines::default()))?;
    let _irqchip = vm.create_irqchip()?;
    prepare(vcpu.as_mut(), &ram, kind)?;
    let has_pmu = features.contains(Feature::Pmu);
    if has_pmu {
        write(&ram, RAM_BASE, [&READ_EVENTS[..], &PROGRAM].concat().as_slice())?;
    }
    let vcpu = finish(vcpu, kind, LIMIT)?;
    let read = |number| vcpu.load(kvm::x(number)).map(|value| value.to_u64());
    let events = read(20)?.zip(read(21)?).filter(|_| has_pmu);
    let pmu_events = events.map(|(first, second)| [first, second]);
    Ok(read(19)?.map(|ctr| Seen { ctr, pmu_events }))
}

/// Runs the guest that begins at `entry` of this RAM in a VM of its own: it must power itself off.
///
/// A kernel may let a VM have memory that no guest can run from. KVM of Linux 6.12 takes every page
/// that is not in the kernel's map of its own memory for a device's, also those of persistent
/// memory, which files on it with DAX are; what is fetched from a device it answers with an abort
/// `[linux arch/arm64/kvm/mmu.c user_mem_abort]`. KVM of 7.2 does not.
///
/// # Errors
/// As [`run`].
pub fn run_from(
    engine: &dyn Engine,
    cntfrq_hz: u64,
    ram: Arc<GuestRam>,
    entry: Gpa,
) -> Result<(), EngineError> {
    let mut vm = engine.create_vm(config(ram, cntfrq_hz))?;
    let mut vcpu = vm.create_vcpu(VcpuId(0), Arc::new(InterruptLines::default()))?;
    let _irqchip = vm.create_irqchip()?;
    for (id, value) in [(kvm::PC, entry.0), (kvm::PSTATE, PSTATE)] {
        vcpu.store(id, &Value::u64(value))?;
    }
    finish_from(vcpu, [FIRST_LOOK, LIMIT])
}

/// Lets the guest run for each limit in turn, and looks at it in between.
fn finish_from(mut vcpu: Box<dyn Vcpu>, limits: [Duration; 2]) -> Result<(), EngineError> {
    for limit in limits {
        let seen = match run_for(vcpu, limit)? {
            Ran::Stopped(_, Ok(Stop::System(SystemEvent::Off))) => return Ok(()),
            Ran::Stopped(_, Ok(stop)) => format!("ended with {stop:?}, not with off"),
            Ran::Stopped(_, Err(error)) => format!("failed: {error}"),
            Ran::Kicked(after) => match aborted_fetch(after.as_ref()) {
                Some(esr) => format!("met an abort, not its first instruction (ESR_EL1 {esr:#x})"),
                None if limit != limits[1] => {
                    vcpu = after;
                    continue;
                }
                None => format!("was not through after {} s", limit.as_secs_f32()),
            },
            Ran::Stuck => "did not stop when it was told to".to_owned(),
        };
        return Err(cannot_run(format!("a tiny guest in this very memory {seen}"), OTHER_MEMORY));
    }
    // Each limit but the last goes on to the next.
    Err(cannot_run("a tiny guest had no time".to_owned(), OTHER_MEMORY))
}

const OTHER_MEMORY: &str = "this kernel runs no guest from such memory, as files mapped with DAX \
                            are: mount without it (-o dax=never), start a later kernel (7.2 can), \
                            or use --engine soft";

/// The guest's own word for why it cannot fetch instructions, if that is its state
/// `[DDI0487 D24.2]`.
fn aborted_fetch(vcpu: &dyn Vcpu) -> Option<u64> {
    const ESR_EL1: SysReg = SysReg::new(3, 0, 5, 2, 0);
    let esr = vcpu.load(kvm::sysreg(ESR_EL1)).ok()?.to_u64()?;
    // EC 0x20 and 0x21: an instruction abort from EL0, from EL1.
    matches!(esr >> 26 & 0x3f, 0x20 | 0x21).then_some(esr)
}

/// What its VM is made of.
pub(crate) fn config(ram: Arc<GuestRam>, cntfrq_hz: u64) -> VmConfig {
    VmConfig {
        vcpu_count: 1,
        cntfrq_hz,
        ram,
        clock: Arc::new(NoClock),
        gicd: Gpa(0x0800_0000),
        gicr: Gpa(0x080a_0000),
        gic_intids: INTIDS,
        features: CpuFeatures::NONE,
    }
}

/// Puts the guest into RAM that starts at any address, and the vCPU before its first instruction.
///
/// # Errors
/// As [`run`].
pub fn prepare(vcpu: &mut dyn Vcpu, ram: &GuestRam, kind: Kind) -> Result<(), EngineError> {
    write(ram, ram.base(), &PROGRAM)?;
    let sysreg = |crn, crm, op2| kvm::sysreg(SysReg::new(3, 0, crn, crm, op2));
    let mut registers = vec![(kvm::PC, ram.base().0), (kvm::PSTATE, PSTATE)];
    if kind == Kind::Restored {
        ram.write(Gpa(TABLE + 8), &BLOCK.to_le_bytes()).map_err(|error| no_ram(&error))?;
        registers.extend([
            (sysreg(10, 2, 0), MAIR),
            (sysreg(2, 0, 2), TCR),
            (sysreg(2, 0, 0), TABLE),
            (sysreg(1, 0, 0), SCTLR),
        ]);
    }
    let store = |(id, value)| vcpu.store(id, &Value::u64(value));
    Ok(registers.into_iter().try_for_each(store)?)
}

/// Puts instructions into RAM.
pub(crate) fn write(ram: &GuestRam, at: Gpa, program: &[u32]) -> Result<(), EngineError> {
    let bytes: Vec<u8> = program.iter().flat_map(|word| word.to_le_bytes()).collect();
    ram.write(at, &bytes).map_err(|error| no_ram(&error))
}

pub(crate) fn no_ram(error: &MemoryError) -> EngineError {
    cannot_run(format!("no memory for a tiny guest: {error}"), "free some memory")
}

/// Lets a prepared vCPU run until the guest powers off, for `limit` at most.
///
/// # Errors
/// As [`run`]. A vCPU that does not even stop when it is told to stays behind in a thread.
pub fn finish(
    vcpu: Box<dyn Vcpu>,
    kind: Kind,
    limit: Duration,
) -> Result<Box<dyn Vcpu>, EngineError> {
    match run_for(vcpu, limit)? {
        Ran::Stopped(vcpu, Ok(Stop::System(SystemEvent::Off))) => Ok(vcpu),
        Ran::Stopped(_, Err(error)) => {
            Err(cannot_run(format!("{GUEST} failed: {error}"), ELSEWHERE))
        }
        Ran::Stopped(_, Ok(stop)) => {
            Err(cannot_run(format!("{GUEST} ended with {stop:?}, not with off"), ELSEWHERE))
        }
        Ran::Kicked(vcpu) => Err(too_slow(kind, limit, &where_it_is(vcpu.as_ref()))),
        Ran::Stuck => Err(too_slow(kind, limit, "and did not stop when it was told to")),
    }
}

/// How a vCPU came to stand still.
enum Ran {
    /// By itself, or as it was being told to.
    Stopped(Box<dyn Vcpu>, Result<Stop, EngineError>),
    /// It was told to.
    Kicked(Box<dyn Vcpu>),
    /// It did not, and stays behind in a thread.
    Stuck,
}

/// Lets a vCPU run for `limit` at most.
fn run_for(mut vcpu: Box<dyn Vcpu>, limit: Duration) -> Result<Ran, EngineError> {
    let kick = vcpu.kicker();
    let (done, finished) = mpsc::channel();
    let body = move || {
        let stop = vcpu.run(u64::MAX, &Nothing);
        // Nobody listens only where the limit is long over.
        let _ = done.send((vcpu, stop));
    };
    let spawned = thread::Builder::new().name("trial".to_owned()).spawn(body);
    spawned.map_err(|error| {
        cannot_run(format!("no thread for a tiny guest: {error}"), "end other programs")
    })?;
    if let Ok((vcpu, stop)) = finished.recv_timeout(limit) {
        return Ok(Ran::Stopped(vcpu, stop));
    }
    kick.kick();
    Ok(match finished.recv_timeout(NOTICE) {
        Ok((vcpu, stop @ (Err(_) | Ok(Stop::System(SystemEvent::Off))))) => {
            Ran::Stopped(vcpu, stop)
        }
        Ok((vcpu, Ok(_))) => Ran::Kicked(vcpu),
        Err(_) => Ran::Stuck,
    })
}

fn cannot_run(reason: String, next: &'static str) -> EngineError {
    EngineError::Unavailable { engine: ENGINE_NAME, reason, next }
}

const GUEST: &str = "a tiny guest, run to see whether /dev/kvm can,";
const ELSEWHERE: &str = "this KVM cannot run arm64 guests: choose another host, or --engine soft";

fn where_it_is(vcpu: &dyn Vcpu) -> String {
    let pc: Result<Value, RegError> = vcpu.load(kvm::PC);
    match pc.ok().and_then(|value| value.to_u64()) {
        Some(pc) => format!("at {pc:#x}"),
        None => "at an unknown address".to_owned(),
    }
}

fn too_slow(kind: Kind, limit: Duration, place: &str) -> EngineError {
    let limit_s = limit.as_secs_f32();
    match kind {
        Kind::Born => cannot_run(
            format!("{GUEST} was not through its few instructions after {limit_s} s, {place}"),
            ELSEWHERE,
        ),
        Kind::Restored => cannot_run(
            format!(
                "a tiny guest with page tables that it did not write itself, as those of every \
                 restored guest, was not through its few instructions after {limit_s} s, {place} \
                 (known of Cortex-A57 with Linux 6.13 and later)"
            ),
            "restore on another host, or with --engine soft; new guests may run here",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_engine::{Kick, PowerState};
    use abide_reg::{Class, RegId, Registers};
    use std::sync::Mutex;

    /// What a vCPU does when it is run.
    #[derive(Clone, Copy)]
    enum Does {
        Stop(Stop),
        Fail,
        RunUntilKicked,
        RunForEver,
    }

    impl Does {
        /// By itself: then no time is tested, and it has all of it.
        fn ends(&self) -> bool {
            matches!(self, Self::Stop(_) | Self::Fail)
        }
    }

    struct Fake {
        does: Does,
        kicked: Arc<Signal>,
        stored: Vec<(RegId, u64)>,
        esr: u64,
    }

    /// A kick, and the thread that waits for it.
    #[derive(Default)]
    struct Signal(Mutex<bool>, std::sync::Condvar);

    impl Kick for Signal {
        fn kick(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }
    }

    impl Registers for Fake {
        fn reg_ids(&self) -> Vec<RegId> {
            vec![kvm::PC]
        }
        fn load(&self, id: RegId) -> Result<Value, RegError> {
            match id {
                kvm::PC => Ok(Value::u64(0x4000_000c)),
                _ if id == kvm::sysreg(SysReg::new(3, 0, 5, 2, 0)) => Ok(Value::u64(self.esr)),
                _ => Err(RegError::Unknown { id }),
            }
        }
        fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
            self.stored.push((id, value.to_u64().unwrap()));
            Ok(())
        }
    }

    impl Vcpu for Fake {
        fn id(&self) -> VcpuId {
            VcpuId(0)
        }
        fn run(&mut self, _budget: u64, _bus: &dyn Bus) -> Result<Stop, EngineError> {
            match self.does {
                Does::Stop(stop) => Ok(stop),
                Does::Fail => Err(crate::host::refused("KVM_RUN", 8)),
                Does::RunUntilKicked => {
                    let kicked = self.kicked.0.lock().unwrap();
                    // One kick ends one run.
                    *self.kicked.1.wait_while(kicked, |kicked| !*kicked).unwrap() = false;
                    Ok(Stop::Kicked)
                }
                Does::RunForEver => loop {
                    thread::park();
                },
            }
        }
        fn deadline_ticks(&self) -> Option<u64> {
            None
        }
        fn power(&self) -> PowerState {
            PowerState::On
        }
        fn power_on(&mut self, _entry: Gpa, _context: u64) -> Result<(), EngineError> {
            Ok(())
        }
        fn power_off(&mut self) -> Result<(), EngineError> {
            Ok(())
        }
        fn class_of(&self, _id: RegId) -> Class {
            Class::Mandatory
        }
        fn requires(&self, _id: RegId) -> bool {
            false
        }
        fn kicker(&self) -> Arc<dyn Kick> {
            Arc::clone(&self.kicked) as Arc<dyn Kick>
        }
    }

    fn fake(does: Does) -> Box<Fake> {
        Box::new(Fake { does, kicked: Arc::default(), stored: Vec::new(), esr: 0 })
    }

    fn tried(does: Does, kind: Kind, limit: Duration) -> Result<(), String> {
        finish(fake(does), kind, limit).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_guest_that_powers_off_proves_the_host() {
        assert_eq!(tried(Does::Stop(Stop::System(SystemEvent::Off)), Kind::Born, LIMIT), Ok(()));
    }

    #[test]
    fn a_kvm_that_runs_no_guest_is_found_out_in_one_line_with_what_to_do() {
        let short = Duration::from_millis(1);
        for (does, kind, words) in [
            (Does::RunUntilKicked, Kind::Born, "at 0x4000000c"),
            (Does::RunUntilKicked, Kind::Restored, "Cortex-A57"),
            (Does::RunForEver, Kind::Born, "did not stop when it was told to"),
            (Does::Fail, Kind::Born, "KVM_RUN: the host refused with errno 8"),
            (Does::Stop(Stop::System(SystemEvent::Reset)), Kind::Born, "System(Reset)"),
            (Does::Stop(Stop::Idle), Kind::Born, "Idle"),
        ] {
            let limit = if does.ends() { LIMIT } else { short };
            let text = tried(does, kind, limit).unwrap_err();
            assert!(text.contains(words), "{text}");
            assert!(text.contains("--engine soft") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn memory_that_no_guest_runs_from_is_found_out_with_what_to_do() {
        let tried = |does: Does, esr| {
            let short = [Duration::from_millis(1), Duration::from_millis(2)];
            let limits = if does.ends() { [LIMIT; 2] } else { short };
            let vcpu = Box::new(Fake { esr, ..*fake(does) });
            finish_from(vcpu, limits).map_err(|error| error.to_string())
        };
        let off = Does::Stop(Stop::System(SystemEvent::Off));
        assert_eq!(tried(off, 0), Ok(()));
        // An external abort of an instruction fetch at EL1, and what KVM leaves in a register that
        // nothing wrote yet.
        let (abort, unknown) = (0x8600_0010, 0x1de7_ec7e_dbad_c0de);
        for (does, esr, words) in [
            (Does::RunUntilKicked, abort, "met an abort"),
            (Does::RunUntilKicked, abort, "(ESR_EL1 0x86000010)"),
            (Does::RunUntilKicked, unknown, "was not through after 0.002 s"),
            (Does::RunForEver, abort, "did not stop"),
            (Does::Fail, unknown, "KVM_RUN: the host refused with errno 8"),
            (Does::Stop(Stop::Idle), unknown, "ended with Idle"),
        ] {
            let text = tried(does, esr).unwrap_err();
            assert!(text.contains(words), "{text}");
            assert!(text.contains("dax=never") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn only_the_restored_guest_finds_tables_that_it_did_not_write() {
        let sctlr = kvm::sysreg(SysReg::new(3, 0, 1, 0, 0));
        for (kind, has_mmu) in [(Kind::Born, false), (Kind::Restored, true)] {
            let ram = GuestRam::new(RAM_BASE, RAM_LEN).unwrap();
            let mut vcpu = fake(Does::Fail);
            prepare(vcpu.as_mut(), &ram, kind).unwrap();
            assert!(vcpu.stored.contains(&(kvm::PC, 0x4000_0000)));
            assert_eq!(
                vcpu.stored.iter().any(|&(id, value)| id == sctlr && value & 1 == 1),
                has_mmu
            );
            let mut block = [0; 8];
            ram.read(Gpa(0x4010_0008), &mut block).unwrap();
            assert_eq!(block != [0; 8], has_mmu);
            let mut first = [0; 4];
            ram.read(RAM_BASE, &mut first).unwrap();
            // mrs x19, ctr_el0
            assert_eq!(u32::from_le_bytes(first), 0xd53b_0033);
        }
    }
}
