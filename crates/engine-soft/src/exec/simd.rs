//! Loads and stores of SIMD and floating-point registers, where the TLB does not answer.

use crate::cpu::{Cpu, Env, Flow, esr};
use crate::lower::{Code, Op, access as field, slot};
use crate::mmu::{Access, Fault, status};
use crate::tlb::PAGE_MASK;

use super::access::{Abort, Place, index};

/// Whether SIMD and floating point may be used here; else the exception is taken.
#[inline]
pub(crate) fn check(cpu: &mut Cpu) -> Result<(), Flow> {
    if cpu.simd_open { Ok(()) } else { Err(closed(cpu)) }
}

/// The exception of an instruction that needs SIMD and floating point where it may not use them.
#[cold]
#[inline(never)]
pub(super) fn closed(cpu: &mut Cpu) -> Flow {
    if cpu.ids.has_fp() { cpu.raise(esr::FP) } else { cpu.undefined() }
}

/// Refuses an access of 16 bytes that is not aligned to them where SCTLR_EL1.A or device memory
/// demands that: what is aligned is the element, which is all of it `[DDI0487 B2.9]`.
fn check_alignment(cpu: &mut Cpu, env: &Env, va: u64, access: Access) -> Result<(), Abort> {
    if va & 15 == 0 {
        return Ok(());
    }
    let unaligned = Err(Abort { va, fault: Fault(status::ALIGNMENT) });
    if cpu.checks_alignment() {
        return unaligned;
    }
    let last_page = va.wrapping_add(15) & PAGE_MASK;
    for page in [va, last_page.max(va)] {
        if !matches!(cpu.locate(env, page, access, cpu.half)?, Place::Ram { device: false, .. }) {
            return unaligned;
        }
    }
    Ok(())
}

/// Reads `1 << size_log2` bytes, up to 16.
fn read(cpu: &mut Cpu, env: &Env, va: u64, size_log2: u32) -> Result<u128, Abort> {
    let rights = cpu.rights();
    if size_log2 < 4 {
        return cpu.read_data(env, va, 1 << size_log2, rights).map(u128::from);
    }
    check_alignment(cpu, env, va, Access::Read)?;
    let low = cpu.read_data(env, va, 8, rights)?;
    let high = cpu.read_data(env, va.wrapping_add(8), 8, rights)?;
    Ok(u128::from(high) << 64 | u128::from(low))
}

/// Writes `1 << size_log2` bytes, up to 16.
fn write(cpu: &mut Cpu, env: &Env, va: u64, size_log2: u32, value: u128) -> Result<(), Abort> {
    let rights = cpu.rights();
    if size_log2 < 4 {
        return cpu.write_data(env, va, 1 << size_log2, value as u64, rights);
    }
    check_alignment(cpu, env, va, Access::Write)?;
    cpu.write_data(env, va, 8, value as u64, rights)?;
    cpu.write_data(env, va.wrapping_add(8), 8, (value >> 64) as u64, rights)
}

/// The base register, checked; the address of the access; and what is written back, if anything.
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

/// [`Code::SimdOne`] and [`Code::SimdPair`].
pub(super) fn execute(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
    if op.code == Code::SimdPair { pair(cpu, env, op) } else { one(cpu, env, op) }
}

fn one(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
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

fn pair(cpu: &mut Cpu, env: &Env, op: &Op) -> Flow {
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
