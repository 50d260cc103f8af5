//! A board for tests: RAM at 1 GiB, a byte sink for a console, timers wired to IRQ.

#![expect(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its guest has failed")]

use abide_arm64::{SysReg, kvm};
use abide_engine::{
    AfterCall, Bus, Clock, Engine, InterruptLines, SMCCC_REGISTERS, Stop, Vcpu, VmConfig,
};
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::{CpuModel, PORTABLE};
use abide_memory::GuestRam;
use abide_reg::{Gpa, RegId, Value, VcpuId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub const RAM_BASE: u64 = 0x4000_0000;
pub const RAM_LEN: u64 = 16 << 20;
/// Where test programs stand.
pub const CODE: u64 = RAM_BASE + 0x10_0000;
/// Exception vectors.
pub const VECTORS: u64 = RAM_BASE + 0x20_0000;
/// A place for data.
pub const DATA: u64 = RAM_BASE + 0x30_0000;
/// Where a device answers.
pub const DEVICE: u64 = 0x0900_0000;
/// HVC #0: the machine stops.
pub const HVC: u32 = 0xd400_0002;
pub const NOP: u32 = 0xd503_201f;
/// EL1h, everything masked.
pub const EL1H: u64 = 0x3c5;

pub const fn reg(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> SysReg {
    SysReg::new(op0, op1, crn, crm, op2)
}
pub const SCTLR: SysReg = reg(3, 0, 1, 0, 0);
pub const CPACR: SysReg = reg(3, 0, 1, 0, 2);
pub const TTBR0: SysReg = reg(3, 0, 2, 0, 0);
pub const TTBR1: SysReg = reg(3, 0, 2, 0, 1);
pub const TCR: SysReg = reg(3, 0, 2, 0, 2);
pub const MAIR: SysReg = reg(3, 0, 10, 2, 0);
pub const VBAR: SysReg = reg(3, 0, 12, 0, 0);
pub const ESR: SysReg = reg(3, 0, 5, 2, 0);
pub const FAR: SysReg = reg(3, 0, 6, 0, 0);
pub const PAR: SysReg = reg(3, 0, 7, 4, 0);
pub const CNTKCTL: SysReg = reg(3, 0, 14, 1, 0);
pub const CNTV_CTL: SysReg = reg(3, 3, 14, 3, 1);
pub const CNTV_CVAL: SysReg = reg(3, 3, 14, 3, 2);
pub const CNTV_TVAL: SysReg = reg(3, 3, 14, 3, 0);
pub const CNTVCT: SysReg = reg(3, 3, 14, 0, 2);

/// MRS x`rt`, `reg`.
pub const fn mrs(rt: u32, reg: SysReg) -> u32 {
    0xd520_0000 | (reg.0 as u32) << 5 | rt
}

/// MSR `reg`, x`rt`.
pub const fn msr(reg: SysReg, rt: u32) -> u32 {
    0xd500_0000 | (reg.0 as u32) << 5 | rt
}

/// Time by instructions, 8 to a tick.
#[derive(Debug, Default)]
pub struct TestClock {
    pub instructions: AtomicU64,
    pub warp: AtomicU64,
}

impl Clock for TestClock {
    fn now_ticks(&self) -> u64 {
        self.instructions.load(Ordering::Relaxed) / 8 + self.warp.load(Ordering::Relaxed)
    }

    fn retire(&self, instructions: u64) {
        self.instructions.fetch_add(instructions, Ordering::Relaxed);
    }

    fn instructions_until(&self, ticks: u64) -> Option<u64> {
        let target = ticks.saturating_sub(self.warp.load(Ordering::Relaxed)).saturating_mul(8);
        Some(target.saturating_sub(self.instructions.load(Ordering::Relaxed)))
    }
}

/// What the guest did to the outside.
#[derive(Debug, Default)]
pub struct TestBus {
    pub lines: Arc<InterruptLines>,
    pub writes: Mutex<Vec<(u64, usize, u64)>>,
    pub ppis: Mutex<Vec<(u32, bool)>>,
}

impl Bus for TestBus {
    fn mmio_read(&self, _: VcpuId, gpa: Gpa, size: usize) -> Option<u64> {
        (gpa.0 & !0xfff == DEVICE).then_some(0x8877_6655_4433_2211 ^ gpa.0 & 7 ^ size as u64)
    }

    fn mmio_write(&self, _: VcpuId, gpa: Gpa, size: usize, value: u64) -> Option<()> {
        (gpa.0 & !0xfff == DEVICE).then(|| self.writes.lock().unwrap().push((gpa.0, size, value)))
    }

    fn sysreg_read(&self, _: VcpuId, _: SysReg) -> Option<u64> {
        None
    }

    fn sysreg_write(&self, _: VcpuId, _: SysReg, _: u64) -> Option<()> {
        None
    }

    fn smccc(&self, _: VcpuId, _: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        AfterCall::Leave
    }

    fn set_ppi(&self, _: VcpuId, intid: u32, level: bool) {
        let mut ppis = self.ppis.lock().unwrap();
        let any = |ppis: &[(u32, bool)]| {
            let last = |number| ppis.iter().rev().find(|ppi| ppi.0 == number);
            last(27).is_some_and(|ppi| ppi.1) || last(30).is_some_and(|ppi| ppi.1)
        };
        let before = any(&ppis);
        ppis.push((intid, level));
        // Tests drive the lines themselves as well: only changes count.
        if any(&ppis) != before {
            self.lines.set(!before, false);
        }
    }
}

/// One vCPU with its board.
pub struct Guest {
    pub ram: Arc<GuestRam>,
    pub clock: Arc<TestClock>,
    pub bus: TestBus,
    pub vcpu: Box<dyn Vcpu>,
}

impl Guest {
    pub fn new() -> Self {
        Self::with_model(&PORTABLE)
    }

    pub fn with_model(model: &'static CpuModel) -> Self {
        let ram = Arc::new(GuestRam::new(Gpa(RAM_BASE), RAM_LEN).unwrap());
        Self::on(ram, Arc::default(), model)
    }

    /// A fresh vCPU on RAM and a clock that are there already.
    pub fn on(ram: Arc<GuestRam>, clock: Arc<TestClock>, model: &'static CpuModel) -> Self {
        let bus = TestBus::default();
        let vcpu = fresh_vcpu(&ram, &clock, Arc::clone(&bus.lines), model);
        Self::wired(ram, clock, bus, vcpu)
    }

    /// A fresh vCPU that takes ID registers which show what it does not do.
    pub fn showing_unimplemented() -> Self {
        let ram = Arc::new(GuestRam::new(Gpa(RAM_BASE), RAM_LEN).unwrap());
        let (clock, bus): (Arc<TestClock>, TestBus) = Default::default();
        let engine = SoftEngine::with_model(&PORTABLE).showing_unimplemented();
        let mut vm = engine.create_vm(config(&ram, &clock, 1)).unwrap();
        let vcpu = vm.create_vcpu(VcpuId(0), Arc::clone(&bus.lines)).unwrap();
        Self::wired(ram, clock, bus, vcpu)
    }

    /// The vCPUs of one VM, one of each model, each with a bus of its own.
    pub fn each(models: &[&'static CpuModel]) -> Vec<Self> {
        let ram = Arc::new(GuestRam::new(Gpa(RAM_BASE), RAM_LEN).unwrap());
        let clock: Arc<TestClock> = Arc::default();
        let config = config(&ram, &clock, u32::try_from(models.len()).unwrap());
        let mut vm = SoftEngine::with_models(models.to_vec()).create_vm(config).unwrap();
        let numbers = (0..).zip(models).map(|(number, _)| VcpuId(number));
        let guests = numbers.map(|id| {
            let bus = TestBus::default();
            let mut vcpu = vm.create_vcpu(id, Arc::clone(&bus.lines)).unwrap();
            vcpu.power_on(Gpa(CODE), 0).unwrap();
            Self::wired(Arc::clone(&ram), Arc::clone(&clock), bus, vcpu)
        });
        guests.collect()
    }

    fn wired(ram: Arc<GuestRam>, clock: Arc<TestClock>, bus: TestBus, vcpu: Box<dyn Vcpu>) -> Self {
        let mut guest = Self { ram, clock, bus, vcpu };
        guest.set(kvm::PC, CODE);
        guest.set(kvm::PSTATE, EL1H);
        guest.set_sys(VBAR, VECTORS);
        guest.set_sys(CPACR, 3 << 20);
        guest
    }

    pub fn set(&mut self, id: RegId, value: u64) {
        self.vcpu.store(id, &Value::u64(value)).unwrap();
    }

    pub fn get(&self, id: RegId) -> u64 {
        self.vcpu.load(id).unwrap().to_u64().unwrap()
    }

    pub fn x(&self, number: u8) -> u64 {
        self.get(kvm::x(number))
    }

    pub fn set_x(&mut self, number: u8, value: u64) {
        self.set(kvm::x(number), value);
    }

    pub fn sys(&self, reg: SysReg) -> u64 {
        self.get(kvm::sysreg(reg))
    }

    pub fn set_sys(&mut self, reg: SysReg, value: u64) {
        self.set(kvm::sysreg(reg), value);
    }

    pub fn pc(&self) -> u64 {
        self.get(kvm::PC)
    }

    /// Puts instructions at an address.
    pub fn place(&self, at: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.ram.write(Gpa(at), &bytes).unwrap();
    }

    pub fn write_u64(&self, at: u64, value: u64) {
        self.ram.write(Gpa(at), &value.to_le_bytes()).unwrap();
    }

    pub fn read_u64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.ram.read(Gpa(at), &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Puts HVC at every vector, so that an exception stops the machine there.
    pub fn stop_at_vectors(&self) {
        for vector in 0..16 {
            self.place(VECTORS + 0x80 * vector, &[HVC]);
        }
    }

    /// Executes `words` at [`CODE`], with HVC behind them, until the guest stops itself.
    pub fn run(&mut self, words: &[u32]) {
        let mut program = words.to_vec();
        program.push(HVC);
        self.place(CODE, &program);
        self.run_from(CODE);
    }

    /// Executes from an address until the guest stops itself.
    pub fn run_from(&mut self, at: u64) {
        self.set(kvm::PC, at);
        let stop = self.vcpu.run(1_000_000, &self.bus).unwrap();
        assert!(matches!(stop, Stop::System(_)), "{stop:x?} at {:#x}", self.pc());
    }

    /// The vector that the guest stopped at, as an offset from VBAR.
    pub fn vector(&self) -> u64 {
        self.pc() - 4 - VECTORS
    }
}

/// A64 words for the instructions that tests use most.
pub mod asm {
    /// MOVZ x`rd`, #`imm`.
    pub const fn mov(rd: u32, imm: u16) -> u32 {
        0xd280_0000 | (imm as u32) << 5 | rd
    }
    /// ADD x`rd`, x`rn`, #`imm`.
    pub const fn add(rd: u32, rn: u32, imm: u32) -> u32 {
        0x9100_0000 | imm << 10 | rn << 5 | rd
    }
    /// SUBS x`rd`, x`rn`, #`imm`.
    pub const fn subs(rd: u32, rn: u32, imm: u32) -> u32 {
        0xf100_0000 | imm << 10 | rn << 5 | rd
    }
    /// LDR x`rt`, [x`rn`].
    pub const fn ldr(rt: u32, rn: u32) -> u32 {
        0xf940_0000 | rn << 5 | rt
    }
    /// STR x`rt`, [x`rn`].
    pub const fn str(rt: u32, rn: u32) -> u32 {
        0xf900_0000 | rn << 5 | rt
    }
    /// B.`cond`, `words` instructions away.
    pub const fn b_cond(cond: u32, words: i32) -> u32 {
        0x5400_0000 | (words.cast_unsigned() & 0x7_ffff) << 5 | cond
    }
    /// B, `words` instructions away.
    pub const fn b(words: i32) -> u32 {
        0x1400_0000 | words.cast_unsigned() & 0x3ff_ffff
    }
    pub const NE: u32 = 1;
    pub const ERET: u32 = 0xd69f_03e0;
    pub const RET: u32 = 0xd65f_03c0;
    pub const WFI: u32 = 0xd503_207f;
    pub const WFE: u32 = 0xd503_205f;
    pub const SEVL: u32 = 0xd503_20bf;
    pub const ISB: u32 = 0xd503_3fdf;
    pub const DAIF_CLR_I: u32 = 0xd503_42ff;
    pub const SVC: u32 = 0xd400_0001 | 0x1234 << 5;
    /// BLR x`rn`.
    pub const fn blr(rn: u32) -> u32 {
        0xd63f_0000 | rn << 5
    }
    /// SYS #`op1`, C`crn`, C`crm`, #`op2`, x`rt`.
    pub const fn sys(op1: u32, crn: u32, crm: u32, op2: u32, rt: u32) -> u32 {
        0xd508_0000 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5 | rt
    }
}

/// Page tables with the 4 KiB granule and 39-bit addresses, built by tests.
pub struct Tables {
    root: u64,
    next: u64,
}

/// Descriptor bits.
pub mod pte {
    pub const PAGE: u64 = 3;
    pub const BLOCK: u64 = 1;
    pub const AF: u64 = 1 << 10;
    pub const USER: u64 = 1 << 6;
    pub const READ_ONLY: u64 = 1 << 7;
    pub const PXN: u64 = 1 << 53;
    pub const UXN: u64 = 1 << 54;
    /// Index 1 of MAIR_EL1: device memory.
    pub const DEVICE: u64 = 1 << 2;
}

impl Tables {
    /// Empty tables at `root`.
    pub fn new(root: u64) -> Self {
        Self { root, next: root + 0x1000 }
    }

    pub fn root(&self) -> u64 {
        self.root
    }

    /// Writes the descriptor of `va` at `level`, making the tables above it.
    pub fn map(&mut self, guest: &Guest, va: u64, level: u32, descriptor: u64) {
        let mut table = self.root;
        for step in 1..=level {
            let slot = table + 8 * (va >> (12 + 9 * (3 - step)) & 511);
            if step == level {
                guest.write_u64(slot, descriptor);
                return;
            }
            if guest.read_u64(slot) & 1 == 0 {
                guest.write_u64(slot, self.next | 3);
                self.next += 0x1000;
            }
            table = guest.read_u64(slot) & 0xffff_ffff_f000;
        }
    }
}

impl Guest {
    /// Tables that map RAM flat with 2 MiB blocks at EL1, and the MMU on.
    pub fn with_mmu() -> (Self, Tables) {
        Self::with_mmu_and_model(&PORTABLE)
    }

    /// The same on a CPU of `model`.
    pub fn with_mmu_and_model(model: &'static CpuModel) -> (Self, Tables) {
        Self::with_model(model).switch_mmu_on()
    }

    /// The same of a guest that is there already.
    pub fn switch_mmu_on(self) -> (Self, Tables) {
        let mut guest = self;
        let mut tables = Tables::new(RAM_BASE + 0x80_0000);
        for at in (0..RAM_LEN).step_by(2 << 20) {
            let pa = RAM_BASE + at;
            tables.map(&guest, pa, 2, pa | pte::BLOCK | pte::AF);
        }
        guest.set_sys(TTBR0, tables.root());
        guest.set_sys(TTBR1, tables.root());
        // T0SZ and T1SZ 25, TG1 4 KiB, IPS 40 bits.
        guest.set_sys(TCR, 25 | 25 << 16 | 2 << 30 | 2 << 32);
        guest.set_sys(MAIR, 0x00ff);
        guest.set_sys(SCTLR, 0x00c5_0078 | 1);
        guest.stop_at_vectors();
        (guest, tables)
    }
}

impl Guest {
    /// Moves the whole state into a fresh vCPU, register by register, as a restore does.
    pub fn transplant(&mut self) {
        let lines = Arc::clone(&self.bus.lines);
        let mut fresh = fresh_vcpu(&self.ram, &self.clock, lines, &PORTABLE);
        for id in self.vcpu.reg_ids() {
            let value = self.vcpu.load(id).unwrap();
            fresh.store(id, &value).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(fresh.load(id).unwrap(), value, "{id} reads back");
        }
        self.vcpu = fresh;
    }

    /// Every register and all of RAM.
    pub fn everything(&self) -> (Vec<(RegId, Value)>, Vec<u8>) {
        let registers =
            self.vcpu.reg_ids().into_iter().map(|id| (id, self.vcpu.load(id).unwrap())).collect();
        let mut ram = vec![0; usize::try_from(RAM_LEN).unwrap()];
        self.ram.read(Gpa(RAM_BASE), &mut ram).unwrap();
        (registers, ram)
    }
}

fn fresh_vcpu(
    ram: &Arc<GuestRam>,
    clock: &Arc<TestClock>,
    lines: Arc<InterruptLines>,
    model: &'static CpuModel,
) -> Box<dyn Vcpu> {
    let mut vm = SoftEngine::with_model(model).create_vm(config(ram, clock, 1)).unwrap();
    vm.create_vcpu(VcpuId(0), lines).unwrap()
}

/// A VM of so many vCPUs.
pub fn config(ram: &Arc<GuestRam>, clock: &Arc<TestClock>, vcpu_count: u32) -> VmConfig {
    VmConfig {
        vcpu_count,
        cntfrq_hz: 62_500_000,
        ram: Arc::clone(ram),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        gicd: Gpa(0),
        gicr: Gpa(0),
        gic_intids: 64,
        features: abide_arm64::features::CpuFeatures::NONE,
    }
}
