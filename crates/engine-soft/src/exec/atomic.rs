//! Atomic operations on memory: one atomic operation of the host each.

use crate::cpu::{Cpu, Env, Flow, esr};
use crate::decode::{Atomic, fields};
use crate::lower::slot;
use crate::mmu::{Access, Fault, status};
use abide_memory::{Order, RamOffset, Rmw};

use super::access::{Abort, Place, Rights};

/// Executes an instruction that is not hidden.
pub(super) fn execute(cpu: &mut Cpu, env: &Env, kind: Atomic, word: u32) -> Flow {
    let n = fields::rn(word);
    let va = cpu.x[usize::from(if n == 31 { slot::SP } else { n })];
    if cpu.stack_fault(n == 31 && va & 15 != 0) {
        return Flow::Refetch;
    }
    let operation = match kind {
        Atomic::Ldapr => return load_acquire(cpu, env, va, word),
        Atomic::Casp => return compare_and_swap_pair(cpu, env, va, word),
        Atomic::Cas => None,
        Atomic::Swp => Some(Rmw::Swap),
        Atomic::Ldadd => Some(Rmw::Add),
        Atomic::Ldclr => Some(Rmw::Clear),
        Atomic::Ldeor => Some(Rmw::Xor),
        Atomic::Ldset => Some(Rmw::Or),
        Atomic::Ldsmax => Some(Rmw::SignedMax),
        Atomic::Ldsmin => Some(Rmw::SignedMin),
        Atomic::Ldumax => Some(Rmw::UnsignedMax),
        Atomic::Ldumin => Some(Rmw::UnsignedMin),
    };
    let size = 1 << (word >> 30);
    let at = match place(cpu, env, va, size) {
        Ok(at) => at,
        Err(flow) => return flow,
    };
    let (s, t) = (usize::from(fields::rs(word)), usize::from(fields::rt(word)));
    let (first, second) = (cpu.x[s], cpu.x[t]);
    if let Some(operation) = operation {
        // A and R stand at bits 23 and 22.
        let old = modify(env, at, size, operation, first, order(word >> 22 & 3));
        return set(cpu, t, old);
    }
    // L and o0 stand at bits 22 and 15.
    let order = order(word >> 22 & 1 | word >> 15 & 1);
    let old = exchange(env, at, size, first.into(), second.into(), order);
    set(cpu, s, old as u64)
}

/// Acquire, release or both is sequentially consistent here, which is more than is asked for.
const fn order(acquire_or_release: u32) -> Order {
    if acquire_or_release == 0 { Order::Relaxed } else { Order::SeqCst }
}

fn set(cpu: &mut Cpu, number: usize, value: u64) -> Flow {
    cpu.x[if number == 31 { usize::from(slot::SINK) } else { number }] = value;
    Flow::Next
}

/// Where in RAM `size` bytes are that are read and written at once.
///
/// A fault that a read alone would have met is told as that of a read
/// [DDI0487 D24.2 ESR_EL1, WnR].
fn place(cpu: &mut Cpu, env: &Env, va: u64, size: u64) -> Result<RamOffset, Flow> {
    let refuse = |cpu: &mut Cpu, fault, more| cpu.data_abort(Abort { va, fault }, more);
    if va & (size - 1) != 0 {
        return Err(refuse(cpu, Fault(status::ALIGNMENT), esr::WNR));
    }
    match cpu.locate(env, va, Access::Write, cpu.half) {
        Ok(Place::Ram { offset, .. }) => Ok(RamOffset(offset)),
        Ok(Place::Outside(_)) => Err(refuse(cpu, Fault(status::UNSUPPORTED_EXCLUSIVE), esr::WNR)),
        Err(abort) => Err(match cpu.locate(env, va, Access::Read, cpu.half) {
            Ok(_) => cpu.data_abort(abort, esr::WNR),
            Err(abort) => cpu.data_abort(abort, 0),
        }),
    }
}

fn modify(env: &Env, at: RamOffset, size: u64, rmw: Rmw, operand: u64, order: Order) -> u64 {
    match size {
        1 => env.ram.rmw(at, rmw, operand as u8, order).into(),
        2 => env.ram.rmw(at, rmw, operand as u16, order).into(),
        4 => env.ram.rmw(at, rmw, operand as u32, order).into(),
        _ => env.ram.rmw(at, rmw, operand, order),
    }
}

/// Writes `new` where `expected` stands; returns what stood there.
fn exchange(env: &Env, at: RamOffset, size: u64, expected: u128, new: u128, order: Order) -> u128 {
    fn either<T: Into<u128>>(result: Result<T, T>) -> u128 {
        result.unwrap_or_else(|old| old).into()
    }
    match size {
        1 => either(env.ram.compare_exchange(at, expected as u8, new as u8, order)),
        2 => either(env.ram.compare_exchange(at, expected as u16, new as u16, order)),
        4 => either(env.ram.compare_exchange(at, expected as u32, new as u32, order)),
        8 => either(env.ram.compare_exchange(at, expected as u64, new as u64, order)),
        _ => either(env.ram.compare_exchange(at, expected, new, order)),
    }
}

fn compare_and_swap_pair(cpu: &mut Cpu, env: &Env, va: u64, word: u32) -> Flow {
    let register_bits: u32 = 32 << (word >> 30 & 1);
    let size = u64::from(register_bits / 4);
    let at = match place(cpu, env, va, size) {
        Ok(at) => at,
        Err(flow) => return flow,
    };
    let mask = u128::MAX >> (128 - register_bits);
    let pair = |cpu: &Cpu, number: usize| {
        let [low, high] = [number, number + 1].map(|at| u128::from(cpu.x[at]) & mask);
        low | high << register_bits
    };
    let (s, t) = (usize::from(fields::rs(word)), usize::from(fields::rt(word)));
    let order = order(word >> 22 & 1 | word >> 15 & 1);
    let old = exchange(env, at, size, pair(cpu, s), pair(cpu, t), order);
    set(cpu, s, (old & mask) as u64);
    set(cpu, s + 1, (old >> register_bits) as u64)
}

/// LDAPR. Its order is stronger than asked for.
fn load_acquire(cpu: &mut Cpu, env: &Env, va: u64, word: u32) -> Flow {
    let rights = Rights { half: cpu.half, aligned: true, order: Order::Acquire };
    match cpu.read_data(env, va, 1 << (word >> 30), rights) {
        Ok(value) => set(cpu, usize::from(fields::rt(word)), value),
        Err(abort) => cpu.data_abort(abort, 0),
    }
}
