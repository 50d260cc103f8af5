//! What the loop does aside, with a call: exclusives, system registers, everything rare.

use super::{access, exclusive, integer, system};
use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, Exit, Flow};
use crate::lower::{Code, Op};
use std::sync::atomic::{Ordering, fence};

/// Executes an op for which the loop has no code of its own.
#[inline(never)]
pub(super) fn execute(cpu: &mut Cpu, code: &mut CodeCache, env: &Env, op: &Op) -> Flow {
    // Not privileged, or the privilege is there.
    let open = cpu.el == 1 || op.aux >> 16 != 0;
    match op.code {
        Code::Access => access::execute(cpu, env, op),
        Code::Exclusive => exclusive::execute(cpu, env, op),
        Code::Crc32 if cpu.ids.has_crc32() => {
            let (sum, data) = (cpu.x[usize::from(op.n)] as u32, cpu.x[usize::from(op.m)]);
            set(cpu, op, integer::crc32(sum, data, op.aux).into())
        }
        Code::MrsPlain if open => set(cpu, op, cpu.sys[usize::from(op.aux as u8)]),
        Code::MsrPlain if open => {
            cpu.sys[usize::from(op.aux as u8)] = cpu.x[usize::from(op.n)];
            Flow::Next
        }
        Code::MrsDaif if cpu.el == 1 => set(cpu, op, cpu.daif),
        Code::MsrDaif if cpu.el == 1 => {
            let daif = cpu.x[usize::from(op.n)] & 0x3c0;
            set_daif(cpu, env, daif)
        }
        Code::DaifSet | Code::DaifClr if cpu.el != 1 && !system::el0_masks(cpu) => {
            system::trap_daif(cpu, op)
        }
        Code::DaifSet => {
            cpu.daif |= op.imm;
            Flow::Next
        }
        Code::DaifClr => set_daif(cpu, env, cpu.daif & !op.imm),
        Code::FenceLoad => ordered(Ordering::Acquire),
        Code::FenceStore => ordered(Ordering::Release),
        // A DSB after maintenance waits for the other vCPUs.
        Code::FenceAll if cpu.awaits_others && op.imm != 0 => {
            system::execute(cpu, code, env, op.imm as u32)
        }
        Code::FenceAll => ordered(Ordering::SeqCst),
        _ => system::execute(cpu, code, env, op.imm as u32),
    }
}

fn set(cpu: &mut Cpu, op: &Op, value: u64) -> Flow {
    cpu.x[usize::from(op.d)] = value;
    Flow::Next
}

fn ordered(order: Ordering) -> Flow {
    fence(order);
    Flow::Next
}

/// Sets PSTATE.DAIF; what it opens to a waiting interrupt is taken behind this instruction.
fn set_daif(cpu: &mut Cpu, env: &Env, daif: u64) -> Flow {
    let opened = cpu.daif & !daif != 0;
    cpu.daif = daif;
    if opened && (env.lines.any() || cpu.serror.is_some()) {
        let next = cpu.current_pc().wrapping_add(4);
        cpu.leave_to(next);
        return Flow::Leave(Exit::Slice);
    }
    Flow::Next
}
