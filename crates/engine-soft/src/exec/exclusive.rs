//! Load-exclusive and store-exclusive.
//!
//! The monitor remembers the place and what was read there. A store-exclusive succeeds if that
//! still stands there, by one compare-and-exchange of the host. So a value that was changed and
//! changed back goes unnoticed, as in other emulators; no guest lock can tell.

use crate::cpu::{Cpu, Env, Flow, Monitor, esr};
use crate::lower::{Op, exclusive as field, slot};
use crate::mmu::{Access, Fault, status};
use abide_memory::{Order, RamOffset};
use abide_reg::Gpa;

use super::access::{Abort, Place};

/// [`Code::Exclusive`](crate::lower::Code::Exclusive).
pub(super) fn execute(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
    let has = |flag| op.aux & flag != 0;
    let va = cpu.x[usize::from(op.n)];
    if cpu.stack_fault(op.n == slot::SP && va & 15 != 0) {
        return Flow::Refetch;
    }
    let load = has(field::LOAD);
    let size_log2 = (op.aux & field::SIZE) + u32::from(has(field::PAIR));
    let size = 1u64 << size_log2;
    let order = if has(field::ORDERED) { Order::SeqCst } else { Order::Relaxed };
    let (access, more) = if load { (Access::Read, 0) } else { (Access::Write, esr::WNR) };
    if va & (size - 1) != 0 {
        return cpu.data_abort(Abort { va, fault: Fault(status::ALIGNMENT) }, more);
    }
    let offset = match cpu.locate(env, va, access, cpu.half) {
        Ok(Place::Ram { offset, .. }) => offset,
        Ok(Place::Outside(_)) => {
            let fault = Fault(status::UNSUPPORTED_EXCLUSIVE);
            return cpu.data_abort(Abort { va, fault }, more);
        }
        Err(abort) => return cpu.data_abort(abort, more),
    };
    let register_bits = 8 << (op.aux & field::SIZE);
    if load {
        let value = read(env, offset, size, order);
        cpu.monitor = Monitor { pa: env.ram.gpa_of(RamOffset(offset)).0, value, size: size as u8 };
        let mask = u128::MAX >> (128 - register_bits);
        cpu.x[usize::from(op.d)] = (value & mask) as u64;
        if has(field::PAIR) {
            cpu.x[usize::from(op.m)] = (value >> register_bits) as u64;
        }
        return Flow::Next;
    }
    let mask = u128::MAX >> (128 - register_bits);
    let mut value = u128::from(cpu.x[usize::from(op.d)]) & mask;
    if has(field::PAIR) {
        value |= (u128::from(cpu.x[usize::from(op.m)]) & mask) << register_bits;
    }
    let monitor = std::mem::take(&mut cpu.monitor);
    let held = u64::from(monitor.size) == size && monitor.pa == env.ram.gpa_of(RamOffset(offset)).0;
    let stored = held && exchange(env, offset, size, monitor.value, value, order);
    let status = usize::from((op.aux >> field::STATUS_SHIFT) as u8);
    cpu.x[status] = u64::from(!stored);
    Flow::Next
}

/// Whether what the monitor watches was changed since.
pub(super) fn has_lost(cpu: &Cpu, env: &Env) -> bool {
    let Monitor { pa, value, size } = cpu.monitor;
    // A saved monitor may watch any place.
    let size = u64::from(size);
    let place = env.ram.place_of(Gpa(pa), size).filter(|_| size != 0 && pa % size == 0);
    place.is_some_and(|place| read(env, place.offset().0, size, Order::Relaxed) != value)
}

fn read(env: &Env, offset: u64, size: u64, order: Order) -> u128 {
    let at = RamOffset(offset);
    match size {
        1 => env.ram.load::<u8>(at, order).into(),
        2 => env.ram.load::<u16>(at, order).into(),
        4 => env.ram.load::<u32>(at, order).into(),
        8 => env.ram.load::<u64>(at, order).into(),
        _ => env.ram.load::<u128>(at, order),
    }
}

fn exchange(env: &Env, offset: u64, size: u64, old: u128, new: u128, order: Order) -> bool {
    let at = RamOffset(offset);
    match size {
        1 => env.ram.compare_exchange(at, old as u8, new as u8, order).is_ok(),
        2 => env.ram.compare_exchange(at, old as u16, new as u16, order).is_ok(),
        4 => env.ram.compare_exchange(at, old as u32, new as u32, order).is_ok(),
        8 => env.ram.compare_exchange(at, old as u64, new as u64, order).is_ok(),
        _ => env.ram.compare_exchange(at, old, new, order).is_ok(),
    }
}
