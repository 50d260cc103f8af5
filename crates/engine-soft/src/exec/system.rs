//! Exception generation, waiting, system instructions, and what is not implemented.

use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, Exit, Flow, Wait, esr};
use crate::decode::{Kind, decode, fields};
use crate::lower::{Code, Op, slot};
use crate::mmu::{Access, Fault, sctlr, status};
use crate::shared::{request, serve};
use crate::sysreg::{Slot, trap_syndrome};
use crate::timer::Timer;
use abide_engine::{AfterCall, SMCCC_REGISTERS, SystemEvent};
use abide_memory::{Order, RamOffset};

use super::access::{Abort, Place};
use super::{exclusive, patience};

/// Executes an instruction from its word.
#[inline(never)]
pub(super) fn execute(cpu: &mut Cpu, code: &mut CodeCache, env: &Env, word: u32) -> Flow {
    match decode(word) {
        Kind::Mrs => match cpu.read_system_register(env, word) {
            Ok(value) => set(cpu, fields::rt(word), value),
            Err(flow) => flow,
        },
        Kind::MsrRegister => {
            let value = get(cpu, fields::rt(word));
            cpu.write_system_register(env, word, value)
        }
        Kind::MsrImmediate => msr_immediate(cpu, word),
        Kind::Sys => sys(cpu, code, env, word),
        Kind::Svc => {
            let pc = cpu.current_pc().wrapping_add(4);
            cpu.leave_to(pc);
            // The step is over [DDI0487 J1 SSAdvance].
            cpu.single_step = false;
            cpu.enter_synchronous(esr::SVC | immediate(word), pc);
            Flow::Refetch
        }
        Kind::Brk => cpu.raise(esr::BRK | immediate(word)),
        Kind::Hvc if cpu.el == 1 => hypercall(cpu, env),
        Kind::Eret if cpu.el == 1 => exception_return(cpu, env),
        Kind::Wfi => wait_for_interrupt(cpu, env),
        Kind::Wfe => wait_for_event(cpu, env),
        Kind::Sev => {
            cpu.event = true;
            env.shared.send_event(env.id.index());
            Flow::Next
        }
        Kind::Yield => {
            patience::yield_now(cpu, env);
            Flow::Next
        }
        Kind::Dsb => complete_maintenance(cpu, code, env),
        Kind::Sevl => {
            cpu.event = true;
            Flow::Next
        }
        Kind::Clrex => {
            cpu.monitor.size = 0;
            Flow::Next
        }
        Kind::Sb if cpu.ids.has_sb() => Flow::Next,
        // No EL2, EL3, no debug state; and UDF is there to be undefined.
        Kind::Hvc
        | Kind::Smc
        | Kind::Eret
        | Kind::Drps
        | Kind::Hlt
        | Kind::Dcps1
        | Kind::Dcps2
        | Kind::Dcps3
        | Kind::Udf => cpu.undefined(),
        kind => unimplemented(cpu, env, kind, word),
    }
}

fn get(cpu: &Cpu, number: u8) -> u64 {
    cpu.x[usize::from(number)]
}

fn set(cpu: &mut Cpu, number: u8, value: u64) -> Flow {
    let place = if number == slot::ZERO { slot::SINK } else { number };
    cpu.x[usize::from(place)] = value;
    Flow::Next
}

fn immediate(word: u32) -> u64 {
    fields::exception_immediate(word).into()
}

/// Names what is not implemented, once for each kind, and makes it UNDEFINED.
fn unimplemented(cpu: &mut Cpu, env: &Env, kind: Kind, word: u32) -> Flow {
    let named = match kind {
        Kind::Unimplemented(feature) => 2 << 32 | feature as u64,
        // What programs try on purpose is not worth a line each.
        _ => 3 << 32,
    };
    if env.shared.warn_once(named) {
        let (pc, el) = (cpu.current_pc(), cpu.el);
        tracing::warn!(%kind, word = %format_args!("{word:#010x}"), el,
            pc = %format_args!("{pc:#x}"), "instruction is UNDEFINED to the guest");
    }
    cpu.undefined()
}

/// Whether EL0 may mask interrupts: SCTLR_EL1.UMA.
pub(super) fn el0_masks(cpu: &Cpu) -> bool {
    cpu.sys(Slot::SctlrEl1) & sctlr::UMA != 0
}

/// MSR DAIFSet and DAIFClr at EL0, where it may not.
pub(super) fn trap_daif(cpu: &mut Cpu, op: &Op) -> Flow {
    // op0 0, op1 3, CRn 4, CRm the immediate, op2 6 or 7.
    let op2 = if op.code == Code::DaifSet { 6 } else { 7 };
    let crm = op.imm >> 6 & 15;
    cpu.raise(esr::SYSREG | op2 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | crm << 1)
}

fn msr_immediate(cpu: &mut Cpu, word: u32) -> Flow {
    match fields::pstate_field(word) {
        Some(fields::PstateField::SpSel) if cpu.el == 1 => {
            cpu.set_mode(1, fields::crm(word) & 1 == 1);
            Flow::Next
        }
        // The others belong to features that ID registers do not show.
        _ => cpu.undefined(),
    }
}

/// HVC: firmware and hypervisor services of the machine.
fn hypercall(cpu: &mut Cpu, env: &Env) -> Flow {
    cpu.reach_outside(env);
    let mut registers = [0; SMCCC_REGISTERS];
    registers.copy_from_slice(&cpu.x[..SMCCC_REGISTERS]);
    let after = env.bus.smccc(env.id, &mut registers);
    cpu.x[..SMCCC_REGISTERS].copy_from_slice(&registers);
    let pc = cpu.current_pc().wrapping_add(4);
    match after {
        AfterCall::Continue => Flow::Next,
        AfterCall::Wait => {
            cpu.leave_to(pc);
            Flow::Leave(Exit::Wait(Wait::Interrupt))
        }
        AfterCall::Leave => {
            cpu.leave_to(pc);
            Flow::Leave(Exit::System(SystemEvent::Noted))
        }
    }
}

/// ERET `[DDI0487 D1.4]`.
fn exception_return(cpu: &mut Cpu, env: &Env) -> Flow {
    let spsr = cpu.sys(Slot::SpsrEl1);
    let pc = cpu.sys(Slot::ElrEl1);
    cpu.leave_to(pc);
    cpu.monitor.size = 0;
    cpu.event = true;
    if matches!(spsr & 0x1f, 0 | 4 | 5) {
        let step = cpu.step_after_return(spsr);
        cpu.set_pstate(spsr);
        cpu.single_step = step;
    } else {
        // An illegal return: flags and masks are restored, level and stack pointer are not.
        cpu.set_nzcv(spsr);
        cpu.daif = spsr & 0x3c0;
        cpu.illegal = true;
    }
    if env.lines.any() || cpu.serror.is_some() {
        return Flow::Leave(Exit::Slice);
    }
    Flow::Refetch
}

/// Whether an interrupt is pending, masked or not.
fn wakes(cpu: &Cpu, env: &Env) -> bool {
    env.lines.any() || cpu.serror.is_some()
}

fn wait_for_interrupt(cpu: &mut Cpu, env: &Env) -> Flow {
    if cpu.el == 0 && cpu.sys(Slot::SctlrEl1) & sctlr::NTWI == 0 {
        return cpu.raise(esr::WFX);
    }
    if wakes(cpu, env) {
        return Flow::Next;
    }
    let pc = cpu.current_pc().wrapping_add(4);
    cpu.leave_to(pc);
    Flow::Leave(Exit::Wait(Wait::Interrupt))
}

/// WFE. A store by another CPU to what the monitor watches is an event `[DDI0487 D1.6]`, and
/// noticed only here: so it waits no longer than until the next event of the event stream, or
/// without one as [`patience`] says.
fn wait_for_event(cpu: &mut Cpu, env: &Env) -> Flow {
    if std::mem::take(&mut cpu.event) || exclusive::has_lost(cpu, env) {
        return Flow::Next;
    }
    if cpu.el == 0 && cpu.sys(Slot::SctlrEl1) & sctlr::NTWE == 0 {
        return cpu.raise(esr::WFX | 1);
    }
    cpu.tell_clock(env);
    let count = Timer::Virtual.count(env.shared, env.clock);
    if wakes(cpu, env) {
        return Flow::Next;
    }
    let until = cpu.next_event(count).or_else(|| patience::wait_until(cpu, env, count));
    let Some(until) = until else { return Flow::Next };
    cpu.wait_until = until;
    let pc = cpu.current_pc().wrapping_add(4);
    cpu.leave_to(pc);
    Flow::Leave(Exit::Wait(Wait::Event))
}

/// Goes on behind the current instruction with a new fetch.
fn next_fetch(cpu: &mut Cpu) -> Flow {
    let pc = cpu.current_pc().wrapping_add(4);
    cpu.leave_to(pc);
    Flow::Refetch
}

/// Cache and TLB maintenance, address translation `[DDI0487 C5.3 to C5.5]`.
fn sys(cpu: &mut Cpu, code: &mut CodeCache, env: &Env, word: u32) -> Flow {
    let register = fields::system_register(word);
    let [op1, crn, crm, op2] =
        [(11, 7), (7, 15), (3, 15), (0, 7)].map(|(shift, mask)| register >> shift & mask);
    let value = get(cpu, fields::rt(word));
    if op1 == 3 && crn == 7 {
        return cache_from_el0(cpu, code, env, word, value);
    }
    if cpu.el == 0 {
        return cpu.undefined();
    }
    match (op1, crn, crm, op2) {
        // IC IALLUIS, IC IALLU.
        (0, 7, 1 | 5, 0) => {
            code.flush_ops();
            if crm == 1 {
                env.shared.ask_others(env.id.index(), request::FLUSH_CODE);
                cpu.awaits_others = true;
            }
            Flow::Next
        }
        // DC IVAC.
        (0, 7, 6, 1) => maintain(cpu, env, value, Access::Write),
        // DC ISW, CSW, CISW: caches are coherent.
        (0, 7, 6 | 10 | 14, 2) => Flow::Next,
        // AT S1E1R, S1E1W, S1E0R, S1E0W.
        (0, 7, 8, 0..=3) => {
            let access = if op2 & 1 == 0 { Access::Read } else { Access::Write };
            translate(cpu, env, value, access, op2 >= 2)
        }
        // TLBI by address, in the inner shareable domain (CRm 3) or here (CRm 7).
        (0, 8, 3 | 7, 1 | 3 | 5 | 7) => {
            let va = ((value << 20).cast_signed() >> 8).cast_unsigned();
            cpu.tlb.flush_page(va);
            cpu.flush_fetch_page(va);
            flush_others(cpu, env, crm)
        }
        // TLBI VMALLE1, ASIDE1.
        (0, 8, 3 | 7, 0 | 2) => {
            cpu.flush_tlb();
            flush_others(cpu, env, crm)
        }
        _ => unimplemented(cpu, env, Kind::Sys, word),
    }
}

fn flush_others(cpu: &mut Cpu, env: &Env, crm: u16) -> Flow {
    if crm == 3 {
        env.shared.ask_others(env.id.index(), request::FLUSH_TLB);
        cpu.awaits_others = true;
    }
    next_fetch(cpu)
}

/// DSB after TLB or instruction cache maintenance that others take part in: waits until they have
/// done their part `[DDI0487 D8.17, B2.7]`.
fn complete_maintenance(cpu: &mut Cpu, code: &mut CodeCache, env: &Env) -> Flow {
    cpu.awaits_others = false;
    env.shared.complete(env.id.index());
    // What others asked meanwhile comes before anything that is executed after the wait.
    serve(env.shared, env.id.index(), cpu, code);
    next_fetch(cpu)
}

/// The cache instructions that EL1 can open to EL0.
fn cache_from_el0(cpu: &mut Cpu, code: &mut CodeCache, env: &Env, word: u32, va: u64) -> Flow {
    let (crm, op2) = (word >> 8 & 15, word >> 5 & 7);
    let zva = (crm, op2) == (4, 1);
    if cpu.el == 0 {
        let enable = if zva { sctlr::DZE } else { sctlr::UCI };
        if cpu.sys(Slot::SctlrEl1) & enable == 0 {
            return cpu.raise(trap_syndrome(word));
        }
    }
    match (crm, op2) {
        (4, 1) => zero_block(cpu, env, va),
        // DC CVAP: memory keeps what is written to it as well as anything here does.
        (12, 1) if cpu.ids.has_dc_cvap() => maintain(cpu, env, va, Access::Read),
        // DC CVAC, CVAU, CIVAC.
        (10 | 11 | 14, 1) => maintain(cpu, env, va, Access::Read),
        // IC IVAU.
        (5, 1) => match cpu.locate(env, va, Access::Read, cpu.half) {
            Ok(Place::Ram { offset, .. }) => {
                code.flush_line(offset, cpu.ids.code_line_ops());
                env.shared.ask_others_line(env.id.index(), offset);
                cpu.awaits_others = true;
                Flow::Next
            }
            Ok(Place::Outside(_)) => Flow::Next,
            Err(abort) => cpu.data_abort(abort, esr::CM | esr::WNR),
        },
        _ => unimplemented(cpu, env, Kind::Sys, word),
    }
}

/// A data cache instruction by address: nothing to do, but the address must be mapped.
fn maintain(cpu: &mut Cpu, env: &Env, va: u64, access: Access) -> Flow {
    let found = if access == Access::Write {
        // Only its translation counts: KVM lets it pass where the guest may only read, too.
        let leaf = cpu.regime().translate(env.ram, va, access, cpu.half == 0);
        leaf.map(|_| ()).map_err(|fault| Abort { va, fault })
    } else {
        cpu.locate(env, va, access, cpu.half).map(|_| ())
    };
    match found {
        Ok(()) => Flow::Next,
        Err(abort) => cpu.data_abort(abort, esr::CM | esr::WNR),
    }
}

/// DC ZVA: 64 bytes of zeros.
fn zero_block(cpu: &mut Cpu, env: &Env, va: u64) -> Flow {
    match cpu.locate(env, va & !63, Access::Write, cpu.half) {
        Ok(Place::Ram { offset, device: false }) => {
            for at in (0..64).step_by(8) {
                env.ram.store(RamOffset(offset + at), 0u64, Order::Relaxed);
            }
            Flow::Next
        }
        Ok(_) => {
            let abort = Abort { va, fault: Fault(status::ALIGNMENT) };
            cpu.data_abort(abort, esr::WNR)
        }
        Err(abort) => cpu.data_abort(Abort { va, ..abort }, esr::WNR),
    }
}

/// AT: translates and reports in PAR_EL1 `[DDI0487 D24.2 PAR_EL1]`.
fn translate(cpu: &mut Cpu, env: &Env, va: u64, access: Access, el0: bool) -> Flow {
    const RES1: u64 = 1 << 11;
    let par = match cpu.regime().translate(env.ram, va, access, el0) {
        Ok(leaf) => {
            u64::from(leaf.attributes) << 56
                | leaf.pa & 0x0000_ffff_ffff_f000
                | RES1
                | u64::from(leaf.shareability) << 7
        }
        // An external abort is taken, not reported.
        Err(fault) if fault.is_external_on_walk() => {
            return cpu.data_abort(Abort { va, fault }, esr::CM | esr::WNR);
        }
        Err(Fault(status)) => RES1 | u64::from(status) << 1 | 1,
    };
    cpu.set_sys(Slot::ParEl1, par);
    Flow::Next
}
