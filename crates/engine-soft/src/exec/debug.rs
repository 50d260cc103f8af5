//! Self-hosted debug: software step, breakpoints, watchpoints `[DDI0487 D2]`.
//!
//! While MDSCR_EL1 enables any of them, instructions are executed here, one by one, each alone in
//! an op page of this loop's own. So the fast loop knows nothing of debug exceptions.

use super::{run, watch};
use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, Exit, esr};
use crate::decode::{Kind, decode};
use crate::lower::{Op, PAGE_OPS, lower};
use crate::sysreg::Slot;
use abide_memory::{Order, RamOffset};

/// MDSCR_EL1: software step.
const SS: u64 = 1;
/// MDSCR_EL1: debug exceptions at EL1, too, while PSTATE.D is clear.
const KDE: u64 = 1 << 13;
/// MDSCR_EL1: breakpoints and watchpoints.
const MDE: u64 = 1 << 15;
/// OSLSR_EL1: the OS lock is locked.
const OSLK: u64 = 1 << 1;
/// PSTATE.D
const D: u64 = 1 << 9;
/// The fault status of a debug exception.
const DEBUG: u64 = 0x22;

impl Cpu {
    /// Whether instructions have to be executed here.
    pub(super) fn debugs(&self) -> bool {
        self.sys(Slot::MdscrEl1) & (SS | MDE) != 0 && !self.debug_locked()
    }

    fn debug_locked(&self) -> bool {
        self.sys(Slot::OslsrEl1) & OSLK != 0 || self.sys(Slot::OsdlrEl1) & 1 != 0
    }

    /// Whether debug exceptions are taken at an exception level with this PSTATE.D
    /// [DDI0487 J1 AArch64.GenerateDebugExceptionsFrom].
    fn debug_enabled(&self, el: u8, daif: u64) -> bool {
        let open = el == 0 || self.sys(Slot::MdscrEl1) & KDE != 0 && daif & D == 0;
        open && !self.debug_locked()
    }

    /// Whether software step is active.
    fn steps(&self) -> bool {
        self.sys(Slot::MdscrEl1) & SS != 0 && self.debug_enabled(self.el, self.daif)
    }

    /// PSTATE.SS after an exception return with `spsr` [DDI0487 J1 DebugExceptionReturnSS].
    pub(super) fn step_after_return(&self, spsr: u64) -> bool {
        let enabled_at_source = self.debug_enabled(self.el, self.daif);
        let enabled_at_target = self.debug_enabled(u8::from(spsr & 0xc != 0), spsr);
        let wanted = spsr >> 21 & 1 == 1 && self.sys(Slot::MdscrEl1) & SS != 0;
        wanted && !enabled_at_source && enabled_at_target
    }

    fn debug_exception(&mut self, class: u64, more: u64) {
        let same_el = if self.el == 0 { 0 } else { esr::SAME_EL };
        self.left -= 1;
        self.enter_synchronous(class | same_el | more | DEBUG, self.pc);
    }

    /// Whether breakpoint or watchpoint `number` with this control register is enabled for an
    /// access with the rights of `el` [DDI0487 J1 AArch64.StateMatch].
    fn debug_state_matches(&self, control: u64, el: u8) -> bool {
        let enabled = control & 1 != 0;
        let level = control >> if el == 0 { 2 } else { 1 } & 1 != 0;
        // Secure state alone does not match here.
        let secure_only = control >> 14 & 3 == 2;
        enabled && level && !secure_only
    }

    /// Whether the breakpoint that another is linked to matches the context.
    fn linked_context_matches(&self, control: u64) -> bool {
        let number = control >> 16 & 0xf;
        let (value, control) = self.breakpoint(number);
        let linked_context = control >> 20 & 0xf == 0b0011 && control & 1 != 0;
        linked_context && self.is_context_aware(number) && self.context_matches(value)
    }

    fn context_matches(&self, value: u64) -> bool {
        self.sys(Slot::ContextidrEl1) as u32 == value as u32
    }

    /// The breakpoints with the highest numbers match contexts.
    fn is_context_aware(&self, number: u64) -> bool {
        let count = self.ids.debug_registers(false);
        number < count && number + self.ids.context_breakpoints() >= count
    }

    /// The value and control registers of a breakpoint.
    fn breakpoint(&self, number: u64) -> (u64, u64) {
        let at = Slot::Dbgbvr0 as usize + 4 * number as usize;
        (self.sys[at], self.sys[at + 1])
    }

    /// Whether a breakpoint stops the instruction at `pc`.
    fn breakpoint_hits(&self) -> bool {
        (0..self.ids.debug_registers(false)).any(|number| {
            let (value, control) = self.breakpoint(number);
            if !self.debug_state_matches(control, self.el) {
                return false;
            }
            // Addresses have 49 bits of which the highest stands for all above.
            let here = (self.pc ^ value) << 15 >> 17 == 0;
            match control >> 20 & 0xf {
                0b0000 => here,
                0b0001 => here && self.linked_context_matches(control),
                0b0010 => self.is_context_aware(number) && self.context_matches(value),
                // Linked contexts stop nothing by themselves; the rest is of AArch32 and EL2.
                _ => false,
            }
        })
    }

    /// The first byte of `access` that a watchpoint watches.
    fn watchpoint_hit(&self, access: &watch::DataAccess) -> Option<u64> {
        let el = if access.unprivileged { 0 } else { self.el };
        let watches = |number: u64, va: u64| {
            let at = Slot::Dbgwvr0 as usize + 4 * number as usize;
            let (value, control) = (self.sys[at], self.sys[at + 1]);
            let direction = control >> 3 & 3;
            let wanted = access.load && direction & 1 != 0 || access.store && direction & 2 != 0;
            let linked = control >> 20 & 1 != 0;
            wanted
                && self.debug_state_matches(control, el)
                && watch::covers(value, control, va)
                && (!linked || self.linked_context_matches(control))
        };
        let count = self.ids.debug_registers(true);
        (0..access.bytes)
            .map(|offset| access.va.wrapping_add(offset))
            .find(|&va| (0..count).any(|number| watches(number, va)))
    }
}

/// Executes as [`run::execute`] does, with debug exceptions.
pub(super) fn execute(cpu: &mut Cpu, code: &mut CodeCache, env: &Env) -> Exit {
    // Places in the fetch TLB are those of a code cache.
    cpu.flush_fetch_tlb();
    let mut own = CodeCache::default();
    own.decode_for(cpu.ids.extensions());
    let mut exit = Exit::Slice;
    while cpu.left > 0 && !cpu.looked_outside {
        if let Some(why) = step(cpu, code, &mut own, env) {
            exit = why;
            break;
        }
    }
    cpu.flush_fetch_tlb();
    exit
}

/// One instruction, or the exception in its place. The result says whether to leave the loop.
fn step(cpu: &mut Cpu, code: &mut CodeCache, own: &mut CodeCache, env: &Env) -> Option<Exit> {
    const ISV: u64 = 1 << 24;
    const EX: u64 = 1 << 6;
    let stepping = cpu.steps();
    if stepping && !cpu.single_step {
        cpu.debug_exception(esr::SOFTWARE_STEP, 0);
        return None;
    }
    let ip = cpu.fetch(own, env)?;
    let breaks = cpu.sys(Slot::MdscrEl1) & MDE != 0 && cpu.debug_enabled(cpu.el, cpu.daif);
    if breaks && cpu.breakpoint_hits() {
        cpu.debug_exception(esr::BREAKPOINT, 0);
        return None;
    }
    let (offset, index) = own.origin(ip)?;
    let word = env.ram.load(RamOffset(offset), Order::Relaxed);
    if breaks
        && let Some(access) = watch::data_access(cpu, word)
        && let Some(far) = cpu.watchpoint_hit(&access)
        && watch::reaches_memory(cpu, env, &access)
    {
        cpu.set_sys(Slot::FarEl1, far);
        let more = if access.load { 0 } else { esr::WNR };
        cpu.debug_exception(esr::WATCHPOINT, more | access.syndrome);
        return None;
    }
    let exit = alone(cpu, own, env, ip, index, word);
    if is_code_maintenance(word) {
        // It was executed on this loop's code.
        code.flush_ops();
    }
    // An exception has cleared it, and stepping ends with it.
    if stepping && cpu.single_step {
        cpu.single_step = false;
        let stopped = matches!(exit, Exit::System(_));
        if cpu.steps() && !stopped {
            let exclusive = if is_load_exclusive(word) { EX } else { 0 };
            cpu.debug_exception(esr::SOFTWARE_STEP, ISV | exclusive);
            return Some(Exit::Slice);
        }
    }
    // The loop's reasons to end a slice are not told apart from the end of the one instruction.
    let look = exit != Exit::Slice || is_system(word) || env.lines.any() || cpu.serror.is_some();
    look.then_some(exit)
}

/// Executes one instruction in the fast loop, with nothing behind it.
fn alone(
    cpu: &mut Cpu,
    own: &mut CodeCache,
    env: &Env,
    ip: usize,
    index: usize,
    word: u32,
) -> Exit {
    own.ops[ip] = lower([Some(word), None, None], index, cpu.ids.extensions()).0;
    if index + 1 < PAGE_OPS {
        own.ops[ip + 1] = Op::PAGE_END;
    }
    // A budget of one: whatever comes next is not executed.
    let rest = cpu.left - 1;
    cpu.left -= rest;
    cpu.told -= rest;
    let exit = run::execute(cpu, own, env);
    cpu.left += rest;
    cpu.told += rest;
    exit
}

/// System instructions and moves to system registers.
fn is_system(word: u32) -> bool {
    matches!(decode(word), Kind::Sys | Kind::MsrRegister | Kind::MsrImmediate | Kind::Eret)
}

/// IC: op1 0 or 3, CRn 7, CRm 1 or 5.
fn is_code_maintenance(word: u32) -> bool {
    decode(word) == Kind::Sys && matches!(word >> 8 & 0xff, 0x71 | 0x75)
}

fn is_load_exclusive(word: u32) -> bool {
    matches!(
        decode(word),
        Kind::Ldxrb
            | Kind::Ldxrh
            | Kind::Ldxr
            | Kind::Ldaxrb
            | Kind::Ldaxrh
            | Kind::Ldaxr
            | Kind::Ldxp
            | Kind::Ldaxp
    )
}
