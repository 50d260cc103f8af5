//! Loads and stores of SIMD and floating-point registers that the TLB answers, at any address in a
//! page. They say whether they did it; where not, nothing has changed and the slow way does all.

use super::v;
use crate::cpu::Cpu;
use crate::exec::access::index;
use crate::exec::unaligned;
use crate::lower::{Op, access as field, rows as row_field, slot};
use crate::tlb::{DEVICE, PAGE_MASK};
use abide_memory::{Order, PAGE_SIZE, RamOffset, RamView};

type Function = fn(&mut Cpu, RamView, &Op) -> bool;

/// Functions by the number that ops have at [`field::FAST_SHIFT`], which is all bits above it.
static TABLE: [Function; 256] = {
    let mut table: [Function; 256] = [|_, _, _| false; 256];
    macro_rules! fill {
        (@sizes $function:ident, $first:expr, $form:literal, $load:literal: $($size:literal)+) => {
            $(table[($first + field::fast($form, $load) + $size) as usize] =
                $function::<$form, $load, $size>;)+
        };
        ($function:ident, $first:expr, $form:literal: $($size:literal)+) => {
            fill!(@sizes $function, $first, $form, false: $($size)+);
            fill!(@sizes $function, $first, $form, true: $($size)+);
        };
    }
    fill!(one, 0, 0: 0 1 2 3 4);
    fill!(one, 0, 1: 0 1 2 3 4);
    fill!(one, 0, 2: 0 1 2 3 4);
    fill!(one, 0, 3: 0 1 2 3 4);
    fill!(pair, field::FAST_PAIRS, 0: 2 3 4);
    fill!(pair, field::FAST_PAIRS, 1: 2 3 4);
    fill!(pair, field::FAST_PAIRS, 2: 2 3 4);
    table
};

/// [`Code::SimdOne`](crate::lower::Code::SimdOne) and
/// [`Code::SimdPair`](crate::lower::Code::SimdPair).
#[inline(always)]
pub(in crate::exec) fn access(cpu: &mut Cpu, ram: RamView, op: &Op) -> bool {
    TABLE[(op.aux >> field::FAST_SHIFT) as usize](cpu, ram, op)
}

/// The place in RAM of `bytes` bytes at `va`; `None` where the TLB does not say, or where they are
/// not all in a page that may be accessed at any address.
#[inline(always)]
fn place<const LOAD: bool>(cpu: &Cpu, va: u64, bytes: u64, align: u64) -> Option<u64> {
    let entry = cpu.tlb.entry_here(va);
    let tag = if LOAD { entry.read } else { entry.write };
    let is_here = va & PAGE_MASK == tag && va % PAGE_SIZE <= PAGE_SIZE - bytes;
    let may = va & (align - 1) == 0 || (entry.flags & DEVICE == 0 && !cpu.checks_alignment());
    (is_here && may).then(|| va.wrapping_add(entry.addend))
}

/// Reads `1 << SIZE` bytes, all of them in one page.
#[inline(always)]
fn load<const SIZE: u32>(ram: RamView, at: u64) -> u128 {
    let word = |at: u64| ram.load::<u64>(RamOffset(at), Order::Relaxed);
    let misaligned = at & ((1 << SIZE) - 1) & 7;
    if misaligned != 0 {
        return unaligned::load(ram, at, 1 << SIZE);
    }
    match SIZE {
        0 => ram.load::<u8>(RamOffset(at), Order::Relaxed).into(),
        1 => ram.load::<u16>(RamOffset(at), Order::Relaxed).into(),
        2 => ram.load::<u32>(RamOffset(at), Order::Relaxed).into(),
        3 => word(at).into(),
        _ => u128::from(word(at + 8)) << 64 | u128::from(word(at)),
    }
}

/// Writes `1 << SIZE` bytes, all of them in one page.
#[inline(always)]
fn store<const SIZE: u32>(ram: RamView, at: u64, value: u128) {
    let word = |at: u64, value: u128| ram.store(RamOffset(at), value as u64, Order::Relaxed);
    let misaligned = at & ((1 << SIZE) - 1) & 7;
    if misaligned != 0 {
        return unaligned::store(ram, at, 1 << SIZE, value);
    }
    match SIZE {
        0 => ram.store(RamOffset(at), value as u8, Order::Relaxed),
        1 => ram.store(RamOffset(at), value as u16, Order::Relaxed),
        2 => ram.store(RamOffset(at), value as u32, Order::Relaxed),
        3 => word(at, value),
        _ => {
            word(at, value);
            word(at + 8, value >> 64);
        }
    }
}

/// The address of an access of this form, and what the base becomes. `None`: the base is SP, and
/// not aligned.
#[inline(always)]
fn address<const FORM: u32>(cpu: &Cpu, op: &Op) -> Option<(u64, u64)> {
    let base = cpu.x[usize::from(op.n)];
    if op.n == slot::SP && base & 15 != 0 {
        return None;
    }
    let moved = base.wrapping_add(op.imm);
    Some(match FORM {
        field::FAST_POST => (base, moved),
        field::FAST_REGISTER => (base.wrapping_add(index(cpu, op)), base),
        _ => (moved, moved),
    })
}

#[inline(always)]
fn write_back<const FORM: u32>(cpu: &mut Cpu, op: &Op, value: u64) {
    if FORM == field::FAST_PRE || FORM == field::FAST_POST {
        cpu.x[usize::from(op.n)] = value;
    }
}

/// The alignment that accesses of `1 << SIZE` bytes need where it is demanded: that of the whole.
const fn alignment(size: u32) -> u64 {
    1 << size
}

fn one<const FORM: u32, const LOAD: bool, const SIZE: u32>(
    cpu: &mut Cpu,
    ram: RamView,
    op: &Op,
) -> bool {
    let Some((va, back)) = address::<FORM>(cpu, op) else { return false };
    let Some(at) = place::<LOAD>(cpu, va, 1 << SIZE, alignment(SIZE)) else { return false };
    if LOAD {
        cpu.v[usize::from(op.d & 31)] = load::<SIZE>(ram, at);
    } else {
        store::<SIZE>(ram, at, v(cpu, op.d));
    }
    write_back::<FORM>(cpu, op, back);
    true
}

fn pair<const FORM: u32, const LOAD: bool, const SIZE: u32>(
    cpu: &mut Cpu,
    ram: RamView,
    op: &Op,
) -> bool {
    let Some((va, back)) = address::<FORM>(cpu, op) else { return false };
    let Some(at) = place::<LOAD>(cpu, va, 2 << SIZE, alignment(SIZE)) else { return false };
    let second = at + (1 << SIZE);
    if LOAD {
        let both = (load::<SIZE>(ram, at), load::<SIZE>(ram, second));
        (cpu.v[usize::from(op.d & 31)], cpu.v[usize::from(op.m & 31)]) = both;
    } else {
        store::<SIZE>(ram, at, v(cpu, op.d));
        store::<SIZE>(ram, second, v(cpu, op.m));
    }
    write_back::<FORM>(cpu, op, back);
    true
}

/// [`Code::SimdRows`](crate::lower::Code::SimdRows).
pub(in crate::exec) fn rows(cpu: &mut Cpu, ram: RamView, op: &Op) -> bool {
    let has = |flag| op.aux & flag != 0;
    let base = cpu.x[usize::from(op.n)];
    if op.n == slot::SP && base & 15 != 0 {
        return false;
    }
    let each = if has(row_field::QUAD) { 16 } else { 8 };
    let count = op.aux >> row_field::COUNT_SHIFT & 7;
    let bytes = each * u64::from(count);
    let registers = (0..count as u8).map(|number| usize::from(op.d.wrapping_add(number) & 31));
    let places = (0..).step_by(each as usize);
    if has(row_field::LOAD) {
        let Some(at) = place::<true>(cpu, base, bytes, 8) else { return false };
        for (register, place) in registers.zip(places) {
            cpu.v[register] =
                if each == 16 { load::<4>(ram, at + place) } else { load::<3>(ram, at + place) };
        }
    } else {
        let Some(at) = place::<false>(cpu, base, bytes, 8) else { return false };
        for (register, place) in registers.zip(places) {
            if each == 16 {
                store::<4>(ram, at + place, cpu.v[register]);
            } else {
                store::<3>(ram, at + place, cpu.v[register]);
            }
        }
    }
    if has(row_field::POST) {
        let offset = if op.m == slot::ZERO { bytes } else { cpu.x[usize::from(op.m)] };
        cpu.x[usize::from(op.n)] = base.wrapping_add(offset);
    }
    true
}
