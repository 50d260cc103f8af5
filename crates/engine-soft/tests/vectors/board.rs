//! A VM of the software engine in which cases run, at EL0 or at EL1.
//!
//! Translation is on, because without it data is Device memory, where an unaligned access faults.
//! Everything is mapped to its own address but the two pages of data, whose physical pages are not
//! neighbours. Each case starts at a stub at EL1 that loads all registers and returns into it; each
//! ends with an exception, whose vector is a hypercall that leaves `run`, and a branch to the stub.
//! Nothing is written into the vCPU from outside, so translations and decoded instructions of one
//! case are there in the next.

#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::sync::Arc;

use abide_arm64::{SysReg, kvm};
use abide_engine::{AfterCall, Engine, InterruptLines, Stop, SystemEvent, Vcpu, Vm, VmConfig};
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::CpuModel;
use abide_memory::GuestRam;
use abide_reg::{Gpa, RegId, Value, VcpuId};
use abide_testkit::outside::{NoDevices, Still};

use crate::cases::{
    Case, DATA, End, LITERALS, LITERALS_END, Outcome, PAD, State, WINDOW, WINDOW_SIZE, literal_at,
};

/// All memory that cases can reach, branches included, is in RAM.
const RAM_BASE: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 0x1200_0000;
/// Where the stub stands.
const STUB: u64 = RAM_BASE;
/// What it loads: x0 to x30, SP_EL0, SP_EL1, SPSR, ELR, two ranges of code, whether the rest is to
/// be loaded as well, FPCR, FPSR, all 8 bytes long, and V0 to V31.
const OPERANDS: u64 = STUB + 0x200;
const VECTORS: u64 = RAM_BASE + 0x800;
/// Translation tables of levels 1, 2 and 3.
const TABLES: [u64; 3] = [RAM_BASE + 0x1000, RAM_BASE + 0x2000, RAM_BASE + 0x3000];
/// The physical pages of the data.
const DATA_PAGES: [u64; 2] = [DATA + 0x9000, DATA + 0x4000];

/// Makes the instructions in the two ranges of code visible to fetches, loads every register from
/// [`OPERANDS`], goes to the case. The targets of branches are offsets from [`STUB`].
const STUB_CODE: [u32; 58] = [
    0x1000_101e, // adr x30, 200
    0xa951_87c0, // ldp x0, x1, [x30, #280]
    0xa952_8fc2, // ldp x2, x3, [x30, #296]
    0xd50b_7520, // ic ivau, x0
    0x9101_0000, // add x0, x0, #0x40
    0xeb01_001f, // cmp x0, x1
    0x54ff_ffa3, // b.cc c
    0xd50b_7522, // ic ivau, x2
    0x9101_0042, // add x2, x2, #0x40
    0xeb03_005f, // cmp x2, x3
    0x54ff_ffa3, // b.cc 1c
    0xd503_3b9f, // dsb ish
    0xd503_3fdf, // isb
    0xa94f_87c0, // ldp x0, x1, [x30, #248]
    0xd518_4100, // msr sp_el0, x0
    0x9100_003f, // mov sp, x1
    0xa950_87c0, // ldp x0, x1, [x30, #264]
    0xd518_4000, // msr spsr_el1, x0
    0xd518_4021, // msr elr_el1, x1
    0xf940_9fc0, // ldr x0, [x30, #312]
    0xb400_02a0, // cbz x0, a4
    0xa954_07c0, // ldp x0, x1, [x30, #320]
    0xd51b_4400, // msr fpcr, x0
    0xd51b_4421, // msr fpsr, x1
    0x9105_43c0, // add x0, x30, #0x150
    0xad40_0400, // ldp q0, q1, [x0]
    0xad41_0c02, // ldp q2, q3, [x0, #32]
    0xad42_1404, // ldp q4, q5, [x0, #64]
    0xad43_1c06, // ldp q6, q7, [x0, #96]
    0xad44_2408, // ldp q8, q9, [x0, #128]
    0xad45_2c0a, // ldp q10, q11, [x0, #160]
    0xad46_340c, // ldp q12, q13, [x0, #192]
    0xad47_3c0e, // ldp q14, q15, [x0, #224]
    0xad48_4410, // ldp q16, q17, [x0, #256]
    0xad49_4c12, // ldp q18, q19, [x0, #288]
    0xad4a_5414, // ldp q20, q21, [x0, #320]
    0xad4b_5c16, // ldp q22, q23, [x0, #352]
    0xad4c_6418, // ldp q24, q25, [x0, #384]
    0xad4d_6c1a, // ldp q26, q27, [x0, #416]
    0xad4e_741c, // ldp q28, q29, [x0, #448]
    0xad4f_7c1e, // ldp q30, q31, [x0, #480]
    0xa940_07c0, // ldp x0, x1, [x30]
    0xa941_0fc2, // ldp x2, x3, [x30, #16]
    0xa942_17c4, // ldp x4, x5, [x30, #32]
    0xa943_1fc6, // ldp x6, x7, [x30, #48]
    0xa944_27c8, // ldp x8, x9, [x30, #64]
    0xa945_2fca, // ldp x10, x11, [x30, #80]
    0xa946_37cc, // ldp x12, x13, [x30, #96]
    0xa947_3fce, // ldp x14, x15, [x30, #112]
    0xa948_47d0, // ldp x16, x17, [x30, #128]
    0xa949_4fd2, // ldp x18, x19, [x30, #144]
    0xa94a_57d4, // ldp x20, x21, [x30, #160]
    0xa94b_5fd6, // ldp x22, x23, [x30, #176]
    0xa94c_67d8, // ldp x24, x25, [x30, #192]
    0xa94d_6fda, // ldp x26, x27, [x30, #208]
    0xa94e_77dc, // ldp x28, x29, [x30, #224]
    0xf940_7bde, // ldr x30, [x30, #240]
    0xd69f_03e0, // eret
];
const HVC: u32 = 0xd400_0002;

const SCTLR_EL1: SysReg = SysReg::new(3, 0, 1, 0, 0);
const CPACR_EL1: SysReg = SysReg::new(3, 0, 1, 0, 2);
const TTBR0_EL1: SysReg = SysReg::new(3, 0, 2, 0, 0);
const TCR_EL1: SysReg = SysReg::new(3, 0, 2, 0, 2);
const ESR_EL1: SysReg = SysReg::new(3, 0, 5, 2, 0);
const MAIR_EL1: SysReg = SysReg::new(3, 0, 10, 2, 0);
const VBAR_EL1: SysReg = SysReg::new(3, 0, 12, 0, 0);

/// The exception level of the cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    El0,
    El1,
}

/// The VM.
pub struct Board {
    ram: Arc<GuestRam>,
    vcpu: Box<dyn Vcpu>,
    level: Level,
    /// Where the code of the case before stood.
    previous: [u64; 2],
    // The vCPU belongs to it.
    _vm: Box<dyn Vm>,
}

impl Board {
    /// A VM for cases at `level`, with a CPU of this model.
    pub fn new(level: Level, model: &'static CpuModel) -> Self {
        let ram = Arc::new(GuestRam::new(Gpa(RAM_BASE), RAM_SIZE).unwrap());
        let config = VmConfig {
            vcpu_count: 1,
            cntfrq_hz: 62_500_000,
            ram: Arc::clone(&ram),
            clock: Arc::new(Still),
            gicd: Gpa(0x0800_0000),
            gicr: Gpa(0x080a_0000),
            gic_intids: 64,
            features: abide_arm64::features::CpuFeatures::NONE,
        };
        let mut vm = SoftEngine::with_model(model).create_vm(config).unwrap();
        let mut vcpu = vm.create_vcpu(VcpuId(0), Arc::new(InterruptLines::default())).unwrap();
        for (reg, value) in [
            (MAIR_EL1, 0xff),
            // 39 bits of address, Normal write-back tables, TTBR1 off, top byte ignored, 40-bit
            // physical addresses.
            (TCR_EL1, 25 | 0x3500 | 25 << 16 | 1 << 23 | 1 << 37 | 2 << 32),
            (TTBR0_EL1, TABLES[0]),
            (VBAR_EL1, VECTORS),
            (CPACR_EL1, 3 << 20),
            // M, C, I; UCI, UCT and DZE for cache maintenance at EL0; no alignment checks.
            (SCTLR_EL1, 0x30d0_1804 | 1 | 1 << 14 | 1 << 15 | 1 << 26),
        ] {
            vcpu.store(kvm::sysreg(reg), &Value::u64(value)).unwrap();
        }
        let mut board = Self { ram, vcpu, level, previous: [STUB; 2], _vm: vm };
        board.fill_ram();
        board.start_at_stub();
        board
    }

    fn fill_ram(&self) {
        let words = |at: u64, words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            self.ram.write(Gpa(at), &bytes).unwrap();
        };
        words(STUB, &STUB_CODE);
        for vector in 0..16 {
            let at = VECTORS + 0x80 * vector;
            let back = u32::try_from((at + 4 - STUB) / 4).unwrap();
            words(at, &[HVC, 0x1400_0000 | (0x400_0000 - back)]); // b STUB
        }
        for address in (LITERALS..LITERALS_END).step_by(8) {
            self.write_u64(address, literal_at(address));
        }
        const TABLE: u64 = 3;
        // Access flag, inner shareable, attributes 0.
        const BLOCK: u64 = 0x701;
        const PAGE: u64 = 0x703;
        const EL0: u64 = 1 << 6;
        const READ_ONLY: u64 = 1 << 7;
        const NEVER_EXECUTED: u64 = 3 << 53;
        self.write_u64(TABLES[0] + 8, TABLES[1] | TABLE);
        for block in 0..RAM_SIZE >> 21 {
            let pa = RAM_BASE + (block << 21);
            self.write_u64(TABLES[1] + 8 * block, pa | BLOCK | EL0 | READ_ONLY);
        }
        self.write_u64(TABLES[1] + 8 * ((DATA - RAM_BASE) >> 21), TABLES[2] | TABLE);
        for (number, pa) in (0..).zip(DATA_PAGES) {
            let index = (DATA >> 12 & 0x1ff) + number;
            self.write_u64(TABLES[2] + 8 * index, pa | PAGE | EL0 | NEVER_EXECUTED);
        }
    }

    fn write_u64(&self, at: u64, value: u64) {
        self.ram.write(Gpa(at), &value.to_le_bytes()).unwrap();
    }

    fn set(&mut self, id: RegId, value: u64) {
        self.vcpu.store(id, &Value::u64(value)).unwrap();
    }

    fn get(&self, id: RegId) -> u64 {
        self.vcpu.load(id).unwrap().to_u64().unwrap()
    }

    /// The window is half in each page.
    fn halves() -> [u64; 2] {
        [DATA_PAGES[0] + (WINDOW - DATA), DATA_PAGES[1]]
    }

    /// Runs a case without a stop.
    pub fn run(&mut self, case: &Case) -> Outcome {
        // Far more than any case has instructions.
        self.run_in_slices(case, 1_000_000)
    }

    /// Runs a case in slices of `budget` instructions.
    pub fn run_in_slices(&mut self, case: &Case, budget: u64) -> Outcome {
        let mut kept = vec![0; 4 * case.words.len() + 4];
        let code = case.words.iter().chain([&PAD]).flat_map(|word| word.to_le_bytes());
        self.ram.read(Gpa(case.at), &mut kept).unwrap();
        self.ram.write(Gpa(case.at), &code.collect::<Vec<u8>>()).unwrap();
        let halves = case.before.memory.chunks(WINDOW_SIZE / 2);
        for (half, at) in halves.zip(Self::halves()) {
            self.ram.write(Gpa(at), half).unwrap();
        }
        self.enter(case);

        let mut stop = Stop::Budget;
        for _ in 0..100_000 {
            stop = self.vcpu.run(budget, &NoDevices(AfterCall::Leave)).unwrap();
            if stop != Stop::Budget {
                break;
            }
        }
        let outcome = self.leave(case, stop);
        if let End::Other(_) = outcome.end {
            self.start_at_stub();
        }
        self.ram.write(Gpa(case.at), &kept).unwrap();
        outcome
    }

    fn start_at_stub(&mut self) {
        // EL1 with its own stack pointer, everything masked.
        self.set(kvm::PSTATE, 0x3c5);
        self.set(kvm::PC, STUB);
    }

    /// Writes what the stub loads.
    fn enter(&mut self, case: &Case) {
        let before = &case.before;
        let mut operands = before.x.to_vec();
        let (sps, mode) = match self.level {
            Level::El0 => ([before.sp, !before.sp], 0),
            Level::El1 => ([!before.sp, before.sp], 5),
        };
        operands.extend(sps);
        // Interrupts are masked at both levels.
        operands.extend([before.nzcv | 0x3c0 | mode, case.at]);
        let range = [case.at & !63, case.at + 4 * case.words.len() as u64 + 4];
        operands.extend(range);
        operands.extend(self.previous);
        self.previous = range;
        operands.extend([u64::from(case.uses_v), before.fpcr.into(), before.fpsr.into()]);
        let mut bytes: Vec<u8> = operands.iter().flat_map(|value| value.to_le_bytes()).collect();
        if case.uses_v {
            bytes.extend(before.v.iter().flat_map(|value| value.to_le_bytes()));
        }
        self.ram.write(Gpa(OPERANDS), &bytes).unwrap();
    }

    fn leave(&self, case: &Case, stop: Stop) -> Outcome {
        let spsr = self.get(kvm::SPSR_EL1);
        let own_sp = if self.level == Level::El0 { kvm::SP_EL0 } else { kvm::SP_EL1 };
        let other_sp = if self.level == Level::El0 { kvm::SP_EL1 } else { kvm::SP_EL0 };
        let mut after = State {
            x: std::array::from_fn(|number| self.get(kvm::x(u8::try_from(number).unwrap()))),
            sp: self.get(own_sp),
            nzcv: spsr & 0xf000_0000,
            ..case.before.clone()
        };
        if case.uses_v {
            let v = |number: usize| kvm::v(u8::try_from(number).unwrap());
            let load = |id| self.vcpu.load(id).unwrap();
            after.v = std::array::from_fn(|number| load(v(number)).to_u128().unwrap());
            after.fpsr = load(kvm::FPSR).to_u32().unwrap();
            after.fpcr = load(kvm::FPCR).to_u32().unwrap();
        }
        for (half, at) in after.memory.chunks_mut(WINDOW_SIZE / 2).zip(Self::halves()) {
            self.ram.read(Gpa(at), half).unwrap();
        }
        let esr = self.get(kvm::sysreg(ESR_EL1));
        let (vector, mode) = match self.level {
            Level::El0 => (VECTORS + 0x400, 0),
            Level::El1 => (VECTORS + 0x200, 5),
        };
        let untouched = spsr & 0x0fff_ffff == 0x3c0 | mode
            && self.get(other_sp) == !case.before.sp
            && stop == Stop::System(SystemEvent::Noted)
            && self.get(kvm::PC) == vector + 4;
        let end = match esr {
            // Exception class 0x3c, the comment in the lowest bits; then class 0.
            0xf200_0000 if untouched => End::Break,
            0x0200_0000 if untouched => End::Undefined,
            other => End::Other(other),
        };
        Outcome { end, pc: self.get(kvm::ELR_EL1), after }
    }
}
