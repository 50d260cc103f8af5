//! Loads and stores of SIMD and floating-point registers.

use crate::cpu::{Cpu, Env, Flow, esr};
use crate::lower::{Op, access as field, slot};
use crate::tlb::PAGE_MASK;
use abide_memory::{Order, RamOffset};

use super::access::{Abort, index};

impl Cpu {
    /// Whether CPACR_EL1 lets SIMD and floating point be used here.
    pub(super) fn simd_is_open(&self) -> bool {
        let fpen = self.sys(crate::sysreg::Slot::CpacrEl1) >> 20 & 3;
        if self.el == 0 { fpen == 3 } else { fpen & 1 == 1 }
    }
}

/// Whether SIMD and floating point may be used here; else the exception is taken.
#[inline]
pub(crate) fn check(cpu: &mut Cpu) -> Result<(), Flow> {
    match (cpu.ids.has_fp(), cpu.simd_is_open()) {
        (false, _) => Err(cpu.undefined()),
        (true, false) => Err(cpu.raise(esr::FP)),
        (true, true) => Ok(()),
    }
}

/// Whether an access of `1 << size_log2` bytes is all in the page that `tag` names, in aligned
/// pieces of no more than eight bytes.
#[inline(always)]
fn is_in_page(va: u64, size_log2: u32, tag: u64) -> bool {
    let (size, piece) = (1 << size_log2, 1 << size_log2.min(3));
    va & (PAGE_MASK | (piece - 1)) == tag && va.wrapping_add(size - piece) & PAGE_MASK == tag
}

/// Reads `1 << size_log2` bytes, up to 16.
#[inline(always)]
fn read(cpu: &mut Cpu, env: &Env, va: u64, size_log2: u32) -> Result<u128, Abort> {
    let entry = cpu.tlb.entry_here(va);
    if !is_in_page(va, size_log2, entry.read) {
        return read_slow(cpu, env, va, size_log2);
    }
    let at = va.wrapping_add(entry.addend);
    let load = |at| env.ram.load::<u64>(RamOffset(at), Order::Relaxed);
    Ok(match size_log2 {
        0 => env.ram.load::<u8>(RamOffset(at), Order::Relaxed).into(),
        1 => env.ram.load::<u16>(RamOffset(at), Order::Relaxed).into(),
        2 => env.ram.load::<u32>(RamOffset(at), Order::Relaxed).into(),
        3 => load(at).into(),
        _ => u128::from(load(at + 8)) << 64 | u128::from(load(at)),
    })
}

/// Reads what the TLB has no answer for.
#[inline(never)]
fn read_slow(cpu: &mut Cpu, env: &Env, va: u64, size_log2: u32) -> Result<u128, Abort> {
    let rights = cpu.rights();
    if size_log2 < 4 {
        return cpu.read_data(env, va, 1 << size_log2, rights).map(u128::from);
    }
    let low = cpu.read_data(env, va, 8, rights)?;
    let high = cpu.read_data(env, va.wrapping_add(8), 8, rights)?;
    Ok(u128::from(high) << 64 | u128::from(low))
}

/// Writes `1 << size_log2` bytes, up to 16.
#[inline(always)]
fn write(cpu: &mut Cpu, env: &Env, va: u64, size_log2: u32, value: u128) -> Result<(), Abort> {
    let entry = cpu.tlb.entry_here(va);
    if !is_in_page(va, size_log2, entry.write) {
        return write_slow(cpu, env, va, size_log2, value);
    }
    let at = va.wrapping_add(entry.addend);
    let store = |at, value: u128| env.ram.store(RamOffset(at), value as u64, Order::Relaxed);
    match size_log2 {
        0 => env.ram.store(RamOffset(at), value as u8, Order::Relaxed),
        1 => env.ram.store(RamOffset(at), value as u16, Order::Relaxed),
        2 => env.ram.store(RamOffset(at), value as u32, Order::Relaxed),
        3 => store(at, value),
        _ => {
            store(at, value);
            store(at + 8, value >> 64);
        }
    }
    Ok(())
}

/// Writes what the TLB has no answer for.
#[inline(never)]
fn write_slow(cpu: &mut Cpu, env: &Env, va: u64, size_log2: u32, value: u128) -> Result<(), Abort> {
    let rights = cpu.rights();
    if size_log2 < 4 {
        return cpu.write_data(env, va, 1 << size_log2, value as u64, rights);
    }
    cpu.write_data(env, va, 8, value as u64, rights)?;
    cpu.write_data(env, va.wrapping_add(8), 8, (value >> 64) as u64, rights)
}

/// The base register, checked; the address of the access; and what is written back, if anything.
#[inline(always)]
fn addresses(cpu: &mut Cpu, op: &Op) -> Result<(u64, Option<u64>), Flow> {
    let has = |flag| op.aux & flag != 0;
    check(cpu)?;
    let base = if has(field::LITERAL) { cpu.current_pc() } else { cpu.x[usize::from(op.n)] };
    if cpu.stack_fault(!has(field::LITERAL) && op.n == slot::SP && base & 15 != 0) {
        return Err(Flow::Refetch);
    }
    let moved = base.wrapping_add(op.imm);
    let va = if has(field::POST) { base } else { moved };
    Ok((va, has(field::WRITE_BACK).then_some(moved)))
}

/// [`Code::SimdOne`](crate::lower::Code::SimdOne).
pub(super) fn one(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
    let (va, back) = match addresses(cpu, op) {
        Ok(found) => found,
        Err(flow) => return flow,
    };
    let va = va.wrapping_add(index(cpu, op));
    let size_log2 = op.aux & field::SIZE;
    let register = usize::from(op.d & 31);
    if op.aux & field::LOAD != 0 {
        match read(cpu, env, va, size_log2) {
            Ok(value) => cpu.v[register] = value,
            Err(abort) => return cpu.data_abort(abort, 0),
        }
    } else {
        let value = cpu.v[register];
        if let Err(abort) = write(cpu, env, va, size_log2, value) {
            return cpu.data_abort(abort, esr::WNR);
        }
    }
    if let Some(back) = back {
        cpu.x[usize::from(op.n)] = back;
    }
    Flow::Next
}

/// [`Code::SimdPair`](crate::lower::Code::SimdPair).
pub(super) fn pair(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
    let (va, back) = match addresses(cpu, op) {
        Ok(found) => found,
        Err(flow) => return flow,
    };
    let size_log2 = op.aux & field::SIZE;
    let second = va.wrapping_add(1 << size_log2);
    let [a, b] = [op.d, op.m].map(|number| usize::from(number & 31));
    if op.aux & field::LOAD != 0 {
        let both = read(cpu, env, va, size_log2)
            .and_then(|first| Ok((first, read(cpu, env, second, size_log2)?)));
        match both {
            Ok((first, last)) => (cpu.v[a], cpu.v[b]) = (first, last),
            Err(abort) => return cpu.data_abort(abort, 0),
        }
    } else {
        let (first, last) = (cpu.v[a], cpu.v[b]);
        let both = write(cpu, env, va, size_log2, first)
            .and_then(|()| write(cpu, env, second, size_log2, last));
        if let Err(abort) = both {
            return cpu.data_abort(abort, esr::WNR);
        }
    }
    if let Some(back) = back {
        cpu.x[usize::from(op.n)] = back;
    }
    Flow::Next
}
