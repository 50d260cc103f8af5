//! The state of one CPU and what exceptions do to it.

use crate::cpu_model::IdSpace;
use crate::exec::Patience;
use crate::lower::slot;
use crate::mmu::{Regime, physical_bits};
use crate::sysreg::{Slot, TABLE};
use crate::tlb::{Blocks, HALF, NO_TAG, Tlb};
use abide_engine::{Bus, Clock, InterruptLines, PowerState, SystemEvent};
use abide_memory::GuestRam;
use abide_reg::VcpuId;
use std::sync::Arc;

/// Everything outside the CPU that execution needs, for the length of one `run`.
pub(crate) struct Env<'a> {
    pub ram: &'a GuestRam,
    pub bus: &'a dyn Bus,
    pub clock: &'a dyn Clock,
    pub lines: &'a InterruptLines,
    pub shared: &'a crate::shared::Shared,
    pub id: VcpuId,
}

/// What an instruction of the slow path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next instruction.
    Next,
    /// Go on at `pc`: a jump, an exception, another translation.
    Refetch,
    /// Leave the loop at `pc`.
    Leave(Exit),
}

/// Why the execution loop was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The slice is used up, or interrupts and timers are to be looked at.
    Slice,
    /// The guest waits.
    Wait(Wait),
    /// The machine wants to stop.
    System(SystemEvent),
}

/// For what a CPU waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wait {
    #[default]
    Nothing = 0,
    /// For an interrupt: WFI.
    Interrupt = 1,
    /// For an interrupt, an event or the event stream: WFE.
    Event = 2,
}

/// What a load-exclusive remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Monitor {
    /// The physical address.
    pub pa: u64,
    /// What was loaded.
    pub value: u128,
    /// Its length in bytes; 0 if the monitor is open.
    pub size: u8,
}

/// A translation for fetching: the virtual page and its op page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchEntry {
    pub tag: u64,
    pub base: usize,
}

/// Entries of the fetch TLB per exception level.
pub(crate) const FETCH_HALF: usize = 256;

impl FetchEntry {
    const EMPTY: Self = Self { tag: NO_TAG, base: 0 };

    /// Where the entry for `va` stands among those of its exception level if there is one.
    #[inline(always)]
    pub fn index(va: u64) -> usize {
        let page = (va >> 12) as usize;
        page & (FETCH_HALF - 1)
    }
}

/// One CPU.
pub(crate) struct Cpu {
    /// General registers, SP and helpers at the places of [`slot`]. The length makes every 8-bit
    /// index valid without a check; most of it is never touched.
    pub x: [u64; 256],
    /// N is its top bit.
    pub n_flag: u64,
    /// Z is set when it is 0.
    pub z_flag: u64,
    /// C, 0 or 1.
    pub c_flag: u64,
    /// V is its top bit.
    pub v_flag: u64,
    /// The program counter while the execution loop is not in it.
    pub pc: u64,
    /// 0 or 1.
    pub el: u8,
    /// At EL1: SP_EL1 is the current stack pointer.
    pub sp_sel: bool,
    /// D, A, I and F at bits 9 to 6.
    pub daif: u64,
    /// PSTATE.IL: the next instruction is an Illegal Execution state exception.
    pub illegal: bool,
    /// PSTATE.SS: one instruction is to be executed before a software step exception.
    pub single_step: bool,
    /// System registers, by [`Slot`].
    pub sys: [u64; 256],
    pub v: [u128; 32],
    pub fpsr: u32,
    pub fpcr: u32,
    /// SIMD and floating point are there and not switched off at this exception level. Follows
    /// from other fields, see [`Cpu::find_simd`].
    pub simd_open: bool,
    /// CCSIDR_EL1 for each selector.
    pub ccsidr: [u32; CACHES],
    pub monitor: Monitor,
    /// The event register.
    pub event: bool,
    pub wait: Wait,
    /// The virtual count at which the event stream ends a wait for an event.
    pub wait_until: u64,
    pub power: PowerState,
    /// A pending SError, with its syndrome if it has one.
    pub serror: Option<Option<u64>>,
    pub mpidr: u64,
    /// What the guest sees of features here, copied from the VM when `run` begins.
    pub ids: Arc<IdSpace>,

    /// The half of the TLBs for the current exception level.
    pub half: usize,
    pub tlb: Tlb,
    pub fetch_tlb: Box<[FetchEntry; 2 * FETCH_HALF]>,
    /// What of the fetch TLB is pieces of blocks.
    pub fetch_blocks: Blocks,
    /// `pc = pc_bias + 4 * ip` inside the loop.
    pub pc_bias: u64,
    /// The place of the current instruction, when a slow path was entered.
    pub ip: usize,
    /// The budget in the form the loop has it: what is left at `ip` is `limit - ip`.
    pub limit: i64,
    /// What is left of the slice outside of the loop.
    pub left: i64,
    /// The outside was reached through the bus: lines may have changed.
    pub looked_outside: bool,
    /// `left` when the clock was last told.
    pub told: i64,
    /// What it waited for lately, which only the host's CPUs notice.
    pub patience: Patience,
    /// Others were asked to forget something, and no DSB has waited for them yet.
    pub awaits_others: bool,
    /// The dirty log's generation that the TLB's entries for writing belong to.
    pub dirty_generation: u64,
    /// The levels of the timers' outputs as the interrupt controller was told them.
    pub timer_levels: [Option<bool>; 2],
}

/// How many selectors CSSELR_EL1 has: seven levels, each with a data and an instruction cache.
pub(crate) const CACHES: usize = 14;

/// Lines of 64 bytes, one set of one way, as KVM shows caches since Linux 6.3
/// `[DDI0487 D24.2 CCSIDR_EL1]`.
const CCSIDR: u32 = 2;

impl Cpu {
    pub fn new(mpidr: u64, ids: Arc<IdSpace>, power: PowerState) -> Self {
        let mut cpu = Self {
            x: [0; 256],
            n_flag: 0,
            z_flag: 1,
            c_flag: 0,
            v_flag: 0,
            pc: 0,
            el: 1,
            sp_sel: true,
            daif: 0,
            illegal: false,
            single_step: false,
            sys: [0; 256],
            v: [0; 32],
            fpsr: 0,
            fpcr: 0,
            simd_open: false,
            ccsidr: [CCSIDR; CACHES],
            monitor: Monitor::default(),
            event: false,
            wait: Wait::Nothing,
            wait_until: 0,
            power,
            serror: None,
            mpidr,
            ids,
            half: HALF,
            tlb: Tlb::new(),
            fetch_tlb: Box::new([FetchEntry::EMPTY; 2 * FETCH_HALF]),
            fetch_blocks: Blocks::default(),
            pc_bias: 0,
            ip: 0,
            limit: 0,
            left: 0,
            looked_outside: false,
            told: 0,
            patience: Patience::default(),
            awaits_others: false,
            dirty_generation: 0,
            timer_levels: [None; 2],
        };
        cpu.reset();
        cpu
    }

    /// A warm reset `[DDI0487 D1.6]`; registers that are UNKNOWN then become 0.
    pub fn reset(&mut self) {
        self.x = [0; 256];
        self.v.fill(0);
        (self.fpsr, self.fpcr) = (0, 0);
        for def in TABLE {
            self.sys[def.slot as usize] = def.reset;
        }
        self.pc = 0;
        self.serror = None;
        self.event = false;
        self.wait = Wait::Nothing;
        self.wait_until = 0;
        self.monitor = Monitor::default();
        // EL1h, everything masked.
        self.set_pstate(0x3c5);
        self.flush_tlb();
        self.timer_levels = [None; 2];
    }

    #[inline(always)]
    pub fn sys(&self, slot: Slot) -> u64 {
        self.sys[slot as usize]
    }

    pub fn set_sys(&mut self, slot: Slot, value: u64) {
        self.sys[slot as usize] = value;
    }

    /// NZCV at bits 31 to 28.
    pub fn nzcv(&self) -> u64 {
        (self.n_flag >> 63) << 31
            | u64::from(self.z_flag == 0) << 30
            | self.c_flag << 29
            | (self.v_flag >> 63) << 28
    }

    pub fn set_nzcv(&mut self, value: u64) {
        self.n_flag = value << 32 & 1 << 63;
        self.z_flag = !value >> 30 & 1;
        self.c_flag = value >> 29 & 1;
        self.v_flag = value << 35 & 1 << 63;
    }

    /// PSTATE in the form of an SPSR.
    pub fn pstate(&self) -> u64 {
        let mode = if self.el == 0 { 0 } else { 4 | u64::from(self.sp_sel) };
        self.nzcv()
            | u64::from(self.single_step) << 21
            | u64::from(self.illegal) << 20
            | self.daif
            | mode
    }

    /// Sets PSTATE from the form of an SPSR whose mode is one of EL0t, EL1t and EL1h.
    pub fn set_pstate(&mut self, value: u64) {
        self.set_nzcv(value);
        self.single_step = value >> 21 & 1 == 1;
        self.illegal = value >> 20 & 1 == 1;
        self.daif = value & 0x3c0;
        self.set_mode(u8::from(value & 0xc != 0), value & 1 == 1);
    }

    /// Changes exception level and stack pointer.
    pub fn set_mode(&mut self, el: u8, sp_sel: bool) {
        let on_el1 = |el: u8, sp_sel: bool| el == 1 && sp_sel;
        let [sp, sp0, sp1] = [slot::SP, slot::SP_EL0, slot::SP_EL1].map(usize::from);
        if on_el1(self.el, self.sp_sel) {
            self.x[sp1] = self.x[sp];
        } else {
            self.x[sp0] = self.x[sp];
        }
        self.el = el;
        self.sp_sel = sp_sel;
        self.x[sp] = if on_el1(el, sp_sel) { self.x[sp1] } else { self.x[sp0] };
        self.half = if el == 0 { 0 } else { HALF };
        self.tlb.switch(self.half);
        self.find_simd();
    }

    /// Finds out whether SIMD and floating point can be used. To be called when CPACR_EL1, the
    /// exception level or ID registers have changed.
    pub fn find_simd(&mut self) {
        let fpen = self.sys(Slot::CpacrEl1) >> 20 & 3;
        let enabled = if self.el == 0 { fpen == 3 } else { fpen & 1 == 1 };
        self.simd_open = enabled && self.ids.has_fp();
    }

    /// SP_EL0 (`false`) or SP_EL1 (`true`), current or not.
    pub fn banked_sp(&mut self, el1: bool) -> &mut u64 {
        let current = (self.el == 1 && self.sp_sel) == el1;
        let other = if el1 { slot::SP_EL1 } else { slot::SP_EL0 };
        let place = if current { slot::SP } else { other };
        &mut self.x[usize::from(place)]
    }

    pub fn regime(&self) -> Regime {
        Regime {
            sctlr: self.sys(Slot::SctlrEl1),
            tcr: self.sys(Slot::TcrEl1),
            ttbr0: self.sys(Slot::Ttbr0El1),
            ttbr1: self.sys(Slot::Ttbr1El1),
            mair: self.sys(Slot::MairEl1),
            pa_bits: physical_bits(self.ids.get(Slot::IdAa64Mmfr0) & 0xf),
        }
    }

    pub fn flush_tlb(&mut self) {
        self.tlb.flush();
        self.flush_fetch_tlb();
    }

    pub fn flush_fetch_tlb(&mut self) {
        self.fetch_tlb.fill(FetchEntry::EMPTY);
        self.fetch_blocks.clear();
    }

    /// Forgets how to fetch from the page of `va`, and from every piece of a block it is in.
    pub fn flush_fetch_page(&mut self, va: u64) {
        if self.fetch_blocks.may_hold(va) {
            return self.flush_fetch_tlb();
        }
        let at = FetchEntry::index(va);
        self.fetch_tlb[at] = FetchEntry::EMPTY;
        self.fetch_tlb[at + FETCH_HALF] = FetchEntry::EMPTY;
    }

    /// The address of the current instruction in a slow path.
    pub fn current_pc(&self) -> u64 {
        self.pc_bias.wrapping_add(4 * self.ip as u64)
    }

    /// What is left of the slice at the current instruction, in a slow path.
    fn left_now(&self) -> i64 {
        #[expect(clippy::cast_possible_wrap, reason = "an index into the op pages")]
        let ip = self.ip as i64;
        self.limit - ip
    }

    /// Leaves the loop's form of the state: the current instruction counts as executed.
    pub fn leave_to(&mut self, pc: u64) {
        self.pc = pc;
        self.left = self.left_now() - 1;
    }

    /// Tells the clock of every instruction before the current one, in a slow path.
    pub fn tell_clock(&mut self, env: &Env) {
        let left = self.left_now();
        let executed = u64::try_from(self.told - left).unwrap_or(0);
        self.told = left;
        env.clock.retire(executed);
    }

    /// Prepares a call on the bus: the clock is told, and the loop will be left behind the
    /// instruction, because lines may have changed.
    pub fn reach_outside(&mut self, env: &Env) {
        self.tell_clock(env);
        self.looked_outside = true;
    }

    /// Takes an exception to EL1 `[DDI0487 D1.3]`. `vector` is 0 for synchronous ones, 0x80 for
    /// IRQ, 0x100 for FIQ, 0x180 for SError; `return_pc` becomes ELR_EL1.
    pub fn enter_exception(&mut self, vector: u64, return_pc: u64) {
        let source = match (self.el, self.sp_sel) {
            (0, _) => 0x400,
            (_, true) => 0x200,
            (_, false) => 0,
        };
        let spsr = self.pstate();
        self.set_sys(Slot::SpsrEl1, spsr);
        self.set_sys(Slot::ElrEl1, return_pc);
        self.daif = 0x3c0;
        self.illegal = false;
        self.single_step = false;
        self.monitor.size = 0;
        self.set_mode(1, true);
        self.pc = self.sys(Slot::VbarEl1).wrapping_add(source | vector);
    }

    /// Takes a synchronous exception with `syndrome` outside of the loop.
    pub fn enter_synchronous(&mut self, syndrome: u64, return_pc: u64) {
        self.set_sys(Slot::EsrEl1, syndrome);
        self.enter_exception(0, return_pc);
    }

    /// Takes a synchronous exception in a slow path, to return to the instruction itself.
    pub fn raise(&mut self, syndrome: u64) -> Flow {
        let pc = self.current_pc();
        self.leave_to(pc);
        self.enter_synchronous(syndrome, pc);
        Flow::Refetch
    }

    /// Exception class 0: the instruction is UNDEFINED.
    pub fn undefined(&mut self) -> Flow {
        self.raise(esr::UNKNOWN)
    }
}

/// Syndromes, ESR_EL1 `[DDI0487 D24.2 ESR_EL1]`.
pub(crate) mod esr {
    /// The instruction is 32 bits long.
    pub const IL: u64 = 1 << 25;

    pub const fn class(ec: u64) -> u64 {
        ec << 26 | IL
    }

    pub const UNKNOWN: u64 = class(0);
    /// A trapped WFI or WFE; TI in bit 0 tells which.
    pub const WFX: u64 = class(0x01) | 1 << 24 | 0xe << 20;
    /// Access to SIMD and floating point.
    pub const FP: u64 = class(0x07) | 1 << 24 | 0xe << 20;
    pub const ILLEGAL_STATE: u64 = class(0x0e);
    pub const SVC: u64 = class(0x15);
    pub const SYSREG: u64 = class(0x18);
    /// From EL0; from EL1 the class is one more.
    pub const INSTRUCTION_ABORT: u64 = class(0x20);
    pub const PC_ALIGNMENT: u64 = class(0x22);
    /// From EL0; from EL1 the class is one more.
    pub const DATA_ABORT: u64 = class(0x24);
    pub const SP_ALIGNMENT: u64 = class(0x26);
    pub const SERROR: u64 = class(0x2f);
    pub const BRK: u64 = class(0x3c);
    /// From EL0; from EL1 the class is one more, as of the two next.
    pub const BREAKPOINT: u64 = class(0x30);
    pub const SOFTWARE_STEP: u64 = class(0x32);
    pub const WATCHPOINT: u64 = class(0x34);
    /// What the class of an abort from EL1 has on top.
    pub const SAME_EL: u64 = 1 << 26;
    /// Data aborts: the access was a write.
    pub const WNR: u64 = 1 << 6;
    /// Data aborts: a cache maintenance or address translation instruction.
    pub const CM: u64 = 1 << 8;
}
