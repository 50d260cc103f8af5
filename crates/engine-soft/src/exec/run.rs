//! The loop itself.

use super::integer::{
    extended, flags, holds, shifted, sw8, sw16, sx8, sx16, sx32, zx8, zx16, zx32, zx64,
};
use super::{access, exclusive, fetch, groups, integer, simd, system};
use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, Exit, FETCH_HALF, Flow};
use crate::lower::{Code, PAGE_OPS, lower, slot};
use crate::tlb::{DEVICE, PAGE_MASK};
use abide_memory::{Order, RamOffset};
use std::sync::atomic::{Ordering, fence};

/// Executes from `cpu.pc` until the slice `cpu.left` is used up or something else ends it; then
/// `cpu.pc` and `cpu.left` say where and what is left.
///
/// Longer than other functions, because only as one is it fast: its operands stay in registers.
pub(crate) fn execute(cpu: &mut Cpu, code: &mut CodeCache, env: &Env) -> Exit {
    let ram = env.ram.view();
    'fetch: loop {
        if cpu.left <= 0 || cpu.looked_outside {
            return Exit::Slice;
        }
        let Some(mut ip) = cpu.fetch(code, env) else { continue 'fetch };
        let mut limit = cpu.left + ip as i64;
        let mut ops = code.ops.as_slice();

        macro_rules! x {
            ($number:expr) => {
                cpu.x[usize::from($number)]
            };
        }
        macro_rules! w {
            ($number:expr) => {
                cpu.x[usize::from($number)] as u32
            };
        }
        macro_rules! set_x {
            ($op:expr, $value:expr) => {{
                let value: u64 = $value;
                cpu.x[usize::from($op.d)] = value;
            }};
        }
        macro_rules! set_w {
            ($op:expr, $value:expr) => {{
                let value: u32 = $value;
                cpu.x[usize::from($op.d)] = u64::from(value);
            }};
        }
        // Goes on at another op of the same page.
        macro_rules! take {
            ($target:expr) => {{
                let target: usize = $target;
                limit += target as i64 - (ip as i64 + 1);
                ip = target;
                if limit <= ip as i64 {
                    cpu.pc = cpu.pc_bias.wrapping_add(4 * ip as u64);
                    cpu.left = limit - ip as i64;
                    return Exit::Slice;
                }
                continue;
            }};
        }
        macro_rules! branch {
            ($op:expr, $condition:expr) => {
                if $condition {
                    take!(ip.wrapping_add($op.imm as usize))
                }
            };
        }
        macro_rules! pc {
            () => {
                cpu.pc_bias.wrapping_add(4 * ip as u64)
            };
        }
        // Goes on at a virtual address.
        macro_rules! jump {
            ($address:expr) => {{
                let va: u64 = $address;
                let at = (va >> 12) as usize & (FETCH_HALF - 1) | (cpu.half >> 2) & FETCH_HALF;
                let entry = cpu.fetch_tlb[at];
                if va & (PAGE_MASK | 3) == entry.tag {
                    cpu.pc_bias = entry.tag.wrapping_sub(4 * entry.base as u64);
                    take!(entry.base + (va as usize & 0xfff) / 4)
                }
                cpu.pc = va;
                cpu.left = limit - (ip as i64 + 1);
                continue 'fetch;
            }};
        }
        // Leaves the loop behind the current instruction if it reached the outside: the outside may
        // have raised an interrupt.
        macro_rules! look_outside {
            () => {
                if cpu.looked_outside {
                    cpu.pc = pc!().wrapping_add(4);
                    cpu.left = limit - (ip as i64 + 1);
                    return Exit::Slice;
                }
            };
        }
        macro_rules! slow {
            ($call:expr) => {{
                cpu.ip = ip;
                cpu.limit = limit;
                match $call {
                    Flow::Next => look_outside!(),
                    Flow::Refetch => continue 'fetch,
                    Flow::Leave(exit) => return exit,
                }
            }};
        }
        macro_rules! system {
            ($op:expr) => {{
                let word = $op.imm as u32;
                slow!(system::execute(cpu, code, env, word));
                ops = code.ops.as_slice();
            }};
        }
        // Reads at `$va`, then does `$tail` with the value. `$low`: bits of the base that must be
        // clear.
        macro_rules! read {
            ($ty:ty, $va:expr, $low:expr, $value:ident => $tail:expr) => {{
                let (va, low): (u64, u64) = ($va, $low);
                let entry = cpu.tlb.entry(cpu.half, va);
                if (va & (PAGE_MASK | (size_of::<$ty>() as u64 - 1))) | low == entry.read {
                    let place = RamOffset(va.wrapping_add(entry.addend));
                    let $value = ram.load::<$ty>(place, Order::Relaxed);
                    $tail
                } else {
                    cpu.ip = ip;
                    cpu.limit = limit;
                    let size_log2 = size_of::<$ty>().trailing_zeros();
                    let Some($value) = cpu.read_slow(env, va, size_log2, low != 0) else {
                        continue 'fetch;
                    };
                    let $value = $value as $ty;
                    $tail;
                    look_outside!();
                }
            }};
        }
        macro_rules! write {
            ($ty:ty, $va:expr, $low:expr, $value:expr, $tail:expr) => {{
                let (va, low): (u64, u64) = ($va, $low);
                let value = $value as $ty;
                let entry = cpu.tlb.entry(cpu.half, va);
                if (va & (PAGE_MASK | (size_of::<$ty>() as u64 - 1))) | low == entry.write {
                    let place = RamOffset(va.wrapping_add(entry.addend));
                    ram.store::<$ty>(place, value, Order::Relaxed);
                    $tail
                } else {
                    cpu.ip = ip;
                    cpu.limit = limit;
                    let size_log2 = size_of::<$ty>().trailing_zeros();
                    let value = u64::from(value);
                    if cpu.write_slow(env, va, size_log2, value, low != 0).is_none() {
                        continue 'fetch;
                    }
                    $tail;
                    look_outside!();
                }
            }};
        }
        macro_rules! low {
            ($op:expr) => {
                x!($op.n) & u64::from($op.m)
            };
        }
        // Base plus offset.
        macro_rules! load_i {
            ($op:expr, $ty:ty, $extend:expr) => {{
                let va = x!($op.n).wrapping_add($op.imm);
                read!($ty, va, low!($op), value => set_x!($op, $extend(value)))
            }};
        }
        macro_rules! store_i {
            ($op:expr, $ty:ty) => {
                write!($ty, x!($op.n).wrapping_add($op.imm), low!($op), x!($op.d), ())
            };
        }
        // With an update of the base; of equal registers the base's update comes last.
        macro_rules! load_u {
            ($op:expr, $ty:ty, $extend:expr) => {{
                let base = x!($op.n);
                let va = base.wrapping_add($op.aux as i32 as u64);
                read!($ty, va, low!($op), value => {
                    set_x!($op, $extend(value));
                    x!($op.n) = base.wrapping_add($op.imm);
                })
            }};
        }
        macro_rules! store_u {
            ($op:expr, $ty:ty) => {{
                let base = x!($op.n);
                let va = base.wrapping_add($op.aux as i32 as u64);
                let after = base.wrapping_add($op.imm);
                write!($ty, va, low!($op), x!($op.d), x!($op.n) = after)
            }};
        }
        macro_rules! address_r {
            ($op:expr) => {
                (
                    x!($op.n).wrapping_add(x!($op.m) << ($op.aux & 7)),
                    x!($op.n) & u64::from($op.aux >> 8),
                )
            };
        }
        macro_rules! load_r {
            ($op:expr, $ty:ty, $extend:expr) => {{
                let (va, low) = address_r!($op);
                read!($ty, va, low, value => set_x!($op, $extend(value)))
            }};
        }
        // The index is a W register, sign-extended where `imm` is 1.
        macro_rules! load_e {
            ($op:expr, $ty:ty, $extend:expr) => {{
                let index = w!($op.m);
                let index = if $op.imm != 0 { sx32(index) } else { zx32(index) };
                let va = x!($op.n).wrapping_add(index << ($op.aux & 7));
                let low = x!($op.n) & u64::from($op.aux >> 8);
                read!($ty, va, low, value => set_x!($op, $extend(value)))
            }};
        }
        macro_rules! store_r {
            ($op:expr, $ty:ty) => {{
                let (va, low) = address_r!($op);
                write!($ty, va, low, x!($op.d), ())
            }};
        }
        // Both registers of a pair stand in one page and are aligned, or the slow path does it.
        macro_rules! load_pair {
            ($op:expr, $ty:ty, $extend:expr, $tail:expr) => {{
                let size = size_of::<$ty>() as u64;
                let base = x!($op.n);
                let va = base.wrapping_add($op.aux as i16 as u64);
                let low = base & u64::from($op.aux >> 16);
                let entry = cpu.tlb.entry(cpu.half, va);
                let second = va.wrapping_add(size);
                if (va & (PAGE_MASK | (size - 1))) | low == entry.read
                    && second & PAGE_MASK == entry.read
                {
                    let place = va.wrapping_add(entry.addend);
                    let a = ram.load::<$ty>(RamOffset(place), Order::Relaxed);
                    let b = ram.load::<$ty>(RamOffset(place + size), Order::Relaxed);
                    x!($op.d) = $extend(a);
                    x!($op.m) = $extend(b);
                    $tail(cpu, base);
                } else {
                    cpu.ip = ip;
                    cpu.limit = limit;
                    let Some((a, b)) = cpu.read_pair(env, va, size, low != 0) else {
                        continue 'fetch;
                    };
                    x!($op.d) = $extend(a as $ty);
                    x!($op.m) = $extend(b as $ty);
                    $tail(cpu, base);
                    look_outside!();
                }
            }};
        }
        macro_rules! store_pair {
            ($op:expr, $ty:ty, $tail:expr) => {{
                let size = size_of::<$ty>() as u64;
                let base = x!($op.n);
                let va = base.wrapping_add($op.aux as i16 as u64);
                let low = base & u64::from($op.aux >> 16);
                let entry = cpu.tlb.entry(cpu.half, va);
                let second = va.wrapping_add(size);
                let (a, b) = (x!($op.d), x!($op.m));
                if (va & (PAGE_MASK | (size - 1))) | low == entry.write
                    && second & PAGE_MASK == entry.write
                {
                    let place = va.wrapping_add(entry.addend);
                    ram.store(RamOffset(place), a as $ty, Order::Relaxed);
                    ram.store(RamOffset(place + size), b as $ty, Order::Relaxed);
                    $tail(cpu, base);
                } else {
                    cpu.ip = ip;
                    cpu.limit = limit;
                    if cpu.write_pair(env, va, size, a, b, low != 0).is_none() {
                        continue 'fetch;
                    }
                    $tail(cpu, base);
                    look_outside!();
                }
            }};
        }
        macro_rules! keep_base {
            () => {
                |_: &mut Cpu, _: u64| ()
            };
        }
        macro_rules! update_base {
            ($op:expr) => {
                |cpu: &mut Cpu, base: u64| cpu.x[usize::from($op.n)] = base.wrapping_add($op.imm)
            };
        }
        macro_rules! literal {
            ($op:expr, $ty:ty, $extend:expr) => {{
                read!($ty, pc!().wrapping_add($op.imm), 0, value => set_x!($op, $extend(value)))
            }};
        }
        macro_rules! select {
            ($set:ident, $register:ident, $op:expr, $else:expr) => {{
                let value = if holds(cpu, $op.aux) { $register!($op.n) } else { $else };
                $set!($op, value)
            }};
        }
        macro_rules! logic {
            ($flags:ident, $set:ident, $op:expr, $value:expr) => {{
                let value = $value;
                flags::$flags(cpu, value);
                $set!($op, value);
            }};
        }
        macro_rules! arith {
            ($flags:ident, $set:ident, $op:expr, $a:expr, $b:expr) => {{
                let value = flags::$flags(cpu, $a, $b);
                $set!($op, value);
            }};
        }
        // Compares if the condition holds, else sets the flags given.
        macro_rules! conditional {
            ($flags:ident, $op:expr, $a:expr, $b:expr) => {
                if holds(cpu, $op.aux & 0xf) {
                    flags::$flags(cpu, $a, $b);
                } else {
                    cpu.set_nzcv(u64::from($op.aux >> 8 & 0xf) << 28);
                }
            };
        }
        // Compares, and is the branch behind as well.
        macro_rules! compare_branch {
            ($flags:ident, $a:expr, $b:expr, $op:expr, $relation:tt) => {{
                ip += 1;
                if flags::$flags(cpu, $a, $b) $relation 0 {
                    take!(ip.wrapping_add($op.aux as i32 as usize))
                }
            }};
        }
        macro_rules! test_branch {
            ($flags:ident, $value:expr, $op:expr, $relation:tt) => {{
                ip += 1;
                let value = $value;
                flags::$flags(cpu, value);
                if value $relation 0 {
                    take!(ip.wrapping_add($op.aux as i32 as usize))
                }
            }};
        }
        macro_rules! sx {
            ($op:expr) => {
                shifted(x!($op.m), $op.aux)
            };
        }
        macro_rules! sw {
            ($op:expr) => {
                integer::shifted_w(w!($op.m), $op.aux)
            };
        }
        macro_rules! ex {
            ($op:expr) => {
                extended(x!($op.m), $op.aux)
            };
        }

        loop {
            let op = &ops[ip];
            match op.code {
                Code::Decode => {
                    let Some((offset, index)) = code.origin(ip) else {
                        fetch::leave_lost_place(cpu, ip, limit);
                        continue 'fetch;
                    };
                    let word = ram.load(RamOffset(offset), Order::Relaxed);
                    let next = (index + 1 < PAGE_OPS)
                        .then(|| ram.load(RamOffset(offset + 4), Order::Relaxed));
                    code.ops[ip] = lower(word, index, next);
                    ops = code.ops.as_slice();
                    continue;
                }
                Code::PageEnd => {
                    cpu.pc = pc!();
                    cpu.left = limit - ip as i64;
                    continue 'fetch;
                }
                Code::Slow => system!(op),
                Code::Nop => {}
                Code::MovImm => set_x!(op, op.imm),
                Code::MovkX => set_x!(op, x!(op.n) & !(0xffff << op.aux) | op.imm),
                Code::MovkW => set_w!(op, w!(op.n) & !(0xffff << op.aux) | op.imm as u32),
                Code::Adr => set_x!(op, pc!().wrapping_add(op.imm)),
                Code::Adrp => set_x!(op, (pc!() & PAGE_MASK).wrapping_add(op.imm)),
                Code::AddImmX => set_x!(op, x!(op.n).wrapping_add(op.imm)),
                Code::AddImmW => set_w!(op, w!(op.n).wrapping_add(op.imm as u32)),
                Code::AddsImmX => arith!(add, set_x, op, x!(op.n), op.imm),
                Code::AddsImmW => arith!(add_w, set_w, op, w!(op.n), op.imm as u32),
                Code::SubsImmX => arith!(sub, set_x, op, x!(op.n), op.imm),
                Code::SubsImmW => arith!(sub_w, set_w, op, w!(op.n), op.imm as u32),
                Code::AndImm => set_x!(op, x!(op.n) & op.imm),
                Code::OrrImmX => set_x!(op, x!(op.n) | op.imm),
                Code::OrrImmW => set_w!(op, w!(op.n) | op.imm as u32),
                Code::EorImmX => set_x!(op, x!(op.n) ^ op.imm),
                Code::EorImmW => set_w!(op, w!(op.n) ^ op.imm as u32),
                Code::AndsImmX => logic!(logic, set_x, op, x!(op.n) & op.imm),
                Code::AndsImmW => logic!(logic_w, set_w, op, w!(op.n) & op.imm as u32),
                Code::Ubfx => set_x!(op, x!(op.n) >> op.aux & op.imm),
                Code::Ubfiz => set_x!(op, (x!(op.n) & op.imm) << op.aux),
                Code::SbfX => set_x!(op, ((x!(op.n) << op.aux) as i64 >> op.imm) as u64),
                Code::SbfW => set_w!(op, ((x!(op.n) << op.aux) as i64 >> op.imm) as u32),
                Code::BfmX => {
                    let moved = x!(op.n).rotate_right(op.aux) & op.imm;
                    set_x!(op, x!(op.m) & !op.imm | moved);
                }
                Code::BfmW => {
                    let mask = op.imm as u32;
                    let moved = w!(op.n).rotate_right(op.aux) & mask;
                    set_w!(op, w!(op.m) & !mask | moved);
                }
                Code::ExtrX => {
                    let both = u128::from(x!(op.n)) << 64 | u128::from(x!(op.m));
                    set_x!(op, (both >> op.aux) as u64);
                }
                Code::ExtrW => {
                    let both = u64::from(w!(op.n)) << 32 | u64::from(w!(op.m));
                    set_w!(op, (both >> op.aux) as u32);
                }

                Code::AddX => set_x!(op, x!(op.n).wrapping_add(x!(op.m))),
                Code::AddW => set_w!(op, w!(op.n).wrapping_add(w!(op.m))),
                Code::AddsX => arith!(add, set_x, op, x!(op.n), x!(op.m)),
                Code::AddsW => arith!(add_w, set_w, op, w!(op.n), w!(op.m)),
                Code::SubX => set_x!(op, x!(op.n).wrapping_sub(x!(op.m))),
                Code::SubW => set_w!(op, w!(op.n).wrapping_sub(w!(op.m))),
                Code::SubsX => arith!(sub, set_x, op, x!(op.n), x!(op.m)),
                Code::SubsW => arith!(sub_w, set_w, op, w!(op.n), w!(op.m)),
                Code::AndX => set_x!(op, x!(op.n) & x!(op.m)),
                Code::AndW => set_w!(op, w!(op.n) & w!(op.m)),
                Code::AndsX => logic!(logic, set_x, op, x!(op.n) & x!(op.m)),
                Code::AndsW => logic!(logic_w, set_w, op, w!(op.n) & w!(op.m)),
                Code::BicX => set_x!(op, x!(op.n) & !x!(op.m)),
                Code::BicW => set_w!(op, w!(op.n) & !w!(op.m)),
                Code::BicsX => logic!(logic, set_x, op, x!(op.n) & !x!(op.m)),
                Code::BicsW => logic!(logic_w, set_w, op, w!(op.n) & !w!(op.m)),
                Code::OrrX => set_x!(op, x!(op.n) | x!(op.m)),
                Code::OrrW => set_w!(op, w!(op.n) | w!(op.m)),
                Code::OrnX => set_x!(op, x!(op.n) | !x!(op.m)),
                Code::OrnW => set_w!(op, w!(op.n) | !w!(op.m)),
                Code::EorX => set_x!(op, x!(op.n) ^ x!(op.m)),
                Code::EorW => set_w!(op, w!(op.n) ^ w!(op.m)),
                Code::EonX => set_x!(op, x!(op.n) ^ !x!(op.m)),
                Code::EonW => set_w!(op, w!(op.n) ^ !w!(op.m)),

                Code::AddXs => set_x!(op, x!(op.n).wrapping_add(sx!(op))),
                Code::AddWs => set_w!(op, w!(op.n).wrapping_add(sw!(op))),
                Code::AddsXs => arith!(add, set_x, op, x!(op.n), sx!(op)),
                Code::AddsWs => arith!(add_w, set_w, op, w!(op.n), sw!(op)),
                Code::SubXs => set_x!(op, x!(op.n).wrapping_sub(sx!(op))),
                Code::SubWs => set_w!(op, w!(op.n).wrapping_sub(sw!(op))),
                Code::SubsXs => arith!(sub, set_x, op, x!(op.n), sx!(op)),
                Code::SubsWs => arith!(sub_w, set_w, op, w!(op.n), sw!(op)),
                Code::AndXs => set_x!(op, x!(op.n) & sx!(op)),
                Code::AndWs => set_w!(op, w!(op.n) & sw!(op)),
                Code::AndsXs => logic!(logic, set_x, op, x!(op.n) & sx!(op)),
                Code::AndsWs => logic!(logic_w, set_w, op, w!(op.n) & sw!(op)),
                Code::BicXs => set_x!(op, x!(op.n) & !sx!(op)),
                Code::BicWs => set_w!(op, w!(op.n) & !sw!(op)),
                Code::BicsXs => logic!(logic, set_x, op, x!(op.n) & !sx!(op)),
                Code::BicsWs => logic!(logic_w, set_w, op, w!(op.n) & !sw!(op)),
                Code::OrrXs => set_x!(op, x!(op.n) | sx!(op)),
                Code::OrrWs => set_w!(op, w!(op.n) | sw!(op)),
                Code::OrnXs => set_x!(op, x!(op.n) | !sx!(op)),
                Code::OrnWs => set_w!(op, w!(op.n) | !sw!(op)),
                Code::EorXs => set_x!(op, x!(op.n) ^ sx!(op)),
                Code::EorWs => set_w!(op, w!(op.n) ^ sw!(op)),
                Code::EonXs => set_x!(op, x!(op.n) ^ !sx!(op)),
                Code::EonWs => set_w!(op, w!(op.n) ^ !sw!(op)),

                Code::AddXe => set_x!(op, x!(op.n).wrapping_add(ex!(op))),
                Code::AddWe => set_w!(op, w!(op.n).wrapping_add(ex!(op) as u32)),
                Code::AddsXe => arith!(add, set_x, op, x!(op.n), ex!(op)),
                Code::AddsWe => arith!(add_w, set_w, op, w!(op.n), ex!(op) as u32),
                Code::SubXe => set_x!(op, x!(op.n).wrapping_sub(ex!(op))),
                Code::SubWe => set_w!(op, w!(op.n).wrapping_sub(ex!(op) as u32)),
                Code::SubsXe => arith!(sub, set_x, op, x!(op.n), ex!(op)),
                Code::SubsWe => arith!(sub_w, set_w, op, w!(op.n), ex!(op) as u32),

                Code::AdcX => set_x!(op, x!(op.n).wrapping_add(x!(op.m)).wrapping_add(cpu.c_flag)),
                Code::AdcW => {
                    let carry = cpu.c_flag as u32;
                    set_w!(op, w!(op.n).wrapping_add(w!(op.m)).wrapping_add(carry));
                }
                Code::AdcsX => arith!(adc, set_x, op, x!(op.n), x!(op.m)),
                Code::AdcsW => arith!(adc_w, set_w, op, w!(op.n), w!(op.m)),
                Code::SbcX => set_x!(op, x!(op.n).wrapping_add(!x!(op.m)).wrapping_add(cpu.c_flag)),
                Code::SbcW => {
                    let carry = cpu.c_flag as u32;
                    set_w!(op, w!(op.n).wrapping_add(!w!(op.m)).wrapping_add(carry));
                }
                Code::SbcsX => arith!(adc, set_x, op, x!(op.n), !x!(op.m)),
                Code::SbcsW => arith!(adc_w, set_w, op, w!(op.n), !w!(op.m)),
                Code::CcmpX => conditional!(sub, op, x!(op.n), x!(op.m) | op.imm),
                Code::CcmpW => conditional!(sub_w, op, w!(op.n), w!(op.m) | op.imm as u32),
                Code::CcmnX => conditional!(add, op, x!(op.n), x!(op.m) | op.imm),
                Code::CcmnW => conditional!(add_w, op, w!(op.n), w!(op.m) | op.imm as u32),
                Code::CselX => select!(set_x, x, op, x!(op.m)),
                Code::CselW => select!(set_w, w, op, w!(op.m)),
                Code::CsincX => select!(set_x, x, op, x!(op.m).wrapping_add(1)),
                Code::CsincW => select!(set_w, w, op, w!(op.m).wrapping_add(1)),
                Code::CsinvX => select!(set_x, x, op, !x!(op.m)),
                Code::CsinvW => select!(set_w, w, op, !w!(op.m)),
                Code::CsnegX => select!(set_x, x, op, x!(op.m).wrapping_neg()),
                Code::CsnegW => select!(set_w, w, op, w!(op.m).wrapping_neg()),

                Code::MaddX => {
                    let product = x!(op.n).wrapping_mul(x!(op.m));
                    set_x!(op, x!(op.aux as u8).wrapping_add(product));
                }
                Code::MaddW => {
                    let product = w!(op.n).wrapping_mul(w!(op.m));
                    set_w!(op, w!(op.aux as u8).wrapping_add(product));
                }
                Code::MsubX => {
                    let product = x!(op.n).wrapping_mul(x!(op.m));
                    set_x!(op, x!(op.aux as u8).wrapping_sub(product));
                }
                Code::MsubW => {
                    let product = w!(op.n).wrapping_mul(w!(op.m));
                    set_w!(op, w!(op.aux as u8).wrapping_sub(product));
                }
                Code::Umaddl => {
                    let product = zx32(w!(op.n)).wrapping_mul(zx32(w!(op.m)));
                    set_x!(op, x!(op.aux as u8).wrapping_add(product));
                }
                Code::Umsubl => {
                    let product = zx32(w!(op.n)).wrapping_mul(zx32(w!(op.m)));
                    set_x!(op, x!(op.aux as u8).wrapping_sub(product));
                }
                Code::Smaddl => {
                    let product = sx32(w!(op.n)).wrapping_mul(sx32(w!(op.m)));
                    set_x!(op, x!(op.aux as u8).wrapping_add(product));
                }
                Code::Smsubl => {
                    let product = sx32(w!(op.n)).wrapping_mul(sx32(w!(op.m)));
                    set_x!(op, x!(op.aux as u8).wrapping_sub(product));
                }
                Code::Smulh => {
                    let product = i128::from(x!(op.n) as i64) * i128::from(x!(op.m) as i64);
                    set_x!(op, (product >> 64) as u64);
                }
                Code::Umulh => {
                    let product = u128::from(x!(op.n)) * u128::from(x!(op.m));
                    set_x!(op, (product >> 64) as u64);
                }
                Code::UdivX => set_x!(op, x!(op.n).checked_div(x!(op.m)).unwrap_or(0)),
                Code::UdivW => set_w!(op, w!(op.n).checked_div(w!(op.m)).unwrap_or(0)),
                Code::SdivX => set_x!(op, integer::sdiv(x!(op.n), x!(op.m))),
                Code::SdivW => set_w!(op, integer::sdiv_w(w!(op.n), w!(op.m))),
                Code::LslvX => set_x!(op, x!(op.n).wrapping_shl(w!(op.m))),
                Code::LslvW => set_w!(op, w!(op.n).wrapping_shl(w!(op.m))),
                Code::LsrvX => set_x!(op, x!(op.n).wrapping_shr(w!(op.m))),
                Code::LsrvW => set_w!(op, w!(op.n).wrapping_shr(w!(op.m))),
                Code::AsrvX => set_x!(op, (x!(op.n) as i64).wrapping_shr(w!(op.m)) as u64),
                Code::AsrvW => set_w!(op, (w!(op.n) as i32).wrapping_shr(w!(op.m)) as u32),
                Code::RorvX => set_x!(op, x!(op.n).rotate_right(w!(op.m) & 63)),
                Code::RorvW => set_w!(op, w!(op.n).rotate_right(w!(op.m) & 31)),
                Code::RbitX => set_x!(op, x!(op.n).reverse_bits()),
                Code::RbitW => set_w!(op, w!(op.n).reverse_bits()),
                Code::Rev16X => set_x!(op, integer::rev16(x!(op.n))),
                Code::Rev16W => set_w!(op, integer::rev16(x!(op.n)) as u32),
                Code::RevX => set_x!(op, x!(op.n).swap_bytes()),
                Code::RevW => set_w!(op, w!(op.n).swap_bytes()),
                Code::Rev32X => set_x!(op, x!(op.n).swap_bytes().rotate_right(32)),
                Code::ClzX => set_x!(op, u64::from(x!(op.n).leading_zeros())),
                Code::ClzW => set_w!(op, w!(op.n).leading_zeros()),
                Code::ClsX => set_x!(op, integer::cls(x!(op.n))),
                Code::ClsW => set_w!(op, integer::cls_w(w!(op.n))),
                Code::Crc32 if !cpu.ids.has_crc32() => system!(op),
                Code::Crc32 => set_w!(op, integer::crc32(w!(op.n), x!(op.m), op.aux)),

                Code::B => branch!(op, true),
                Code::BFar => jump!(pc!().wrapping_add(op.imm)),
                Code::Bl => {
                    x!(30u8) = pc!().wrapping_add(4);
                    branch!(op, true);
                }
                Code::BlFar => {
                    let pc = pc!();
                    x!(30u8) = pc.wrapping_add(4);
                    jump!(pc.wrapping_add(op.imm));
                }
                Code::BEq => branch!(op, cpu.z_flag == 0),
                Code::BNe => branch!(op, cpu.z_flag != 0),
                Code::BCs => branch!(op, cpu.c_flag != 0),
                Code::BCc => branch!(op, cpu.c_flag == 0),
                Code::BMi => branch!(op, (cpu.n_flag as i64) < 0),
                Code::BPl => branch!(op, (cpu.n_flag as i64) >= 0),
                Code::BVs => branch!(op, (cpu.v_flag as i64) < 0),
                Code::BVc => branch!(op, (cpu.v_flag as i64) >= 0),
                Code::BHi => branch!(op, cpu.c_flag != 0 && cpu.z_flag != 0),
                Code::BLs => branch!(op, cpu.c_flag == 0 || cpu.z_flag == 0),
                Code::BGe => branch!(op, (cpu.n_flag ^ cpu.v_flag) as i64 >= 0),
                Code::BLt => branch!(op, ((cpu.n_flag ^ cpu.v_flag) as i64) < 0),
                Code::BGt => {
                    branch!(op, cpu.z_flag != 0 && (cpu.n_flag ^ cpu.v_flag) as i64 >= 0);
                }
                Code::BLe => {
                    branch!(op, cpu.z_flag == 0 || ((cpu.n_flag ^ cpu.v_flag) as i64) < 0);
                }
                Code::BCondFar => {
                    if holds(cpu, op.aux) {
                        jump!(pc!().wrapping_add(op.imm));
                    }
                }
                Code::CmpImmEqX => compare_branch!(sub, x!(op.n), op.imm, op, ==),
                Code::CmpImmEqW => compare_branch!(sub_w, w!(op.n), op.imm as u32, op, ==),
                Code::CmpImmNeX => compare_branch!(sub, x!(op.n), op.imm, op, !=),
                Code::CmpImmNeW => compare_branch!(sub_w, w!(op.n), op.imm as u32, op, !=),
                Code::CmpEqX => compare_branch!(sub, x!(op.n), x!(op.m), op, ==),
                Code::CmpEqW => compare_branch!(sub_w, w!(op.n), w!(op.m), op, ==),
                Code::CmpNeX => compare_branch!(sub, x!(op.n), x!(op.m), op, !=),
                Code::CmpNeW => compare_branch!(sub_w, w!(op.n), w!(op.m), op, !=),
                Code::TstImmEqX => test_branch!(logic, x!(op.n) & op.imm, op, ==),
                Code::TstImmEqW => test_branch!(logic_w, w!(op.n) & op.imm as u32, op, ==),
                Code::TstImmNeX => test_branch!(logic, x!(op.n) & op.imm, op, !=),
                Code::TstImmNeW => test_branch!(logic_w, w!(op.n) & op.imm as u32, op, !=),
                Code::AdrpAdd => {
                    set_x!(op, (pc!() & PAGE_MASK).wrapping_add(op.imm));
                    ip += 1;
                }
                Code::CbzX => branch!(op, x!(op.n) == 0),
                Code::CbzW => branch!(op, w!(op.n) == 0),
                Code::CbnzX => branch!(op, x!(op.n) != 0),
                Code::CbnzW => branch!(op, w!(op.n) != 0),
                Code::CbFar => {
                    let value = if op.aux & 2 != 0 { x!(op.n) } else { zx32(w!(op.n)) };
                    if (value != 0) == (op.aux & 1 != 0) {
                        jump!(pc!().wrapping_add(op.imm));
                    }
                }
                Code::Tbz => branch!(op, x!(op.n) >> op.aux & 1 == 0),
                Code::Tbnz => branch!(op, x!(op.n) >> (op.aux & 63) & 1 != 0),
                Code::TbFar => {
                    if x!(op.n) >> (op.aux & 63) & 1 == u64::from(op.aux >> 8) {
                        jump!(pc!().wrapping_add(op.imm));
                    }
                }
                Code::Br => jump!(x!(op.n)),
                Code::Blr => {
                    let target = x!(op.n);
                    x!(30u8) = pc!().wrapping_add(4);
                    jump!(target);
                }

                Code::LdrbI => load_i!(op, u8, zx8),
                Code::LdrhI => load_i!(op, u16, zx16),
                Code::LdrWI => load_i!(op, u32, zx32),
                Code::LdrXI => load_i!(op, u64, zx64),
                Code::LdrsbXI => load_i!(op, u8, sx8),
                Code::LdrsbWI => load_i!(op, u8, sw8),
                Code::LdrshXI => load_i!(op, u16, sx16),
                Code::LdrshWI => load_i!(op, u16, sw16),
                Code::LdrswI => load_i!(op, u32, sx32),
                Code::StrbI => store_i!(op, u8),
                Code::StrhI => store_i!(op, u16),
                Code::StrWI => store_i!(op, u32),
                Code::StrXI => store_i!(op, u64),
                Code::LdrbU => load_u!(op, u8, zx8),
                Code::LdrhU => load_u!(op, u16, zx16),
                Code::LdrWU => load_u!(op, u32, zx32),
                Code::LdrXU => load_u!(op, u64, zx64),
                Code::LdrsbXU => load_u!(op, u8, sx8),
                Code::LdrsbWU => load_u!(op, u8, sw8),
                Code::LdrshXU => load_u!(op, u16, sx16),
                Code::LdrshWU => load_u!(op, u16, sw16),
                Code::LdrswU => load_u!(op, u32, sx32),
                Code::StrbU => store_u!(op, u8),
                Code::StrhU => store_u!(op, u16),
                Code::StrWU => store_u!(op, u32),
                Code::StrXU => store_u!(op, u64),
                Code::LdrbR => load_r!(op, u8, zx8),
                Code::LdrhR => load_r!(op, u16, zx16),
                Code::LdrWR => load_r!(op, u32, zx32),
                Code::LdrXR => load_r!(op, u64, zx64),
                Code::LdrsbXR => load_r!(op, u8, sx8),
                Code::LdrsbWR => load_r!(op, u8, sw8),
                Code::LdrshXR => load_r!(op, u16, sx16),
                Code::LdrshWR => load_r!(op, u16, sw16),
                Code::LdrswR => load_r!(op, u32, sx32),
                Code::StrbR => store_r!(op, u8),
                Code::StrhR => store_r!(op, u16),
                Code::StrWR => store_r!(op, u32),
                Code::StrXR => store_r!(op, u64),
                Code::LdrbE => load_e!(op, u8, zx8),
                Code::LdrWE => load_e!(op, u32, zx32),
                Code::LdrXE => load_e!(op, u64, zx64),
                Code::LdrWLit => literal!(op, u32, zx32),
                Code::LdrXLit => literal!(op, u64, zx64),
                Code::LdrswLit => literal!(op, u32, sx32),
                Code::LdpXI => load_pair!(op, u64, zx64, keep_base!()),
                Code::LdpWI => load_pair!(op, u32, zx32, keep_base!()),
                Code::LdpswI => load_pair!(op, u32, sx32, keep_base!()),
                Code::StpXI => store_pair!(op, u64, keep_base!()),
                Code::StpWI => store_pair!(op, u32, keep_base!()),
                Code::LdpXU => load_pair!(op, u64, zx64, update_base!(op)),
                Code::LdpWU => load_pair!(op, u32, zx32, update_base!(op)),
                Code::LdpswU => load_pair!(op, u32, sx32, update_base!(op)),
                Code::StpXU => store_pair!(op, u64, update_base!(op)),
                Code::StpWU => store_pair!(op, u32, update_base!(op)),

                Code::Access => slow!(access::execute(cpu, env, op)),
                Code::Exclusive => slow!(exclusive::execute(cpu, env, op)),
                Code::SimdOne => slow!(simd::one(cpu, env, op)),
                Code::SimdPair => slow!(simd::pair(cpu, env, op)),
                Code::Group => slow!(groups::execute(cpu, env, op)),
                Code::MrsPlain => {
                    if cpu.el == 1 || op.aux >> 16 != 0 {
                        set_x!(op, cpu.sys[usize::from(op.aux as u8)]);
                    } else {
                        system!(op);
                    }
                }
                Code::MsrPlain => {
                    if cpu.el == 1 || op.aux >> 16 != 0 {
                        cpu.sys[usize::from(op.aux as u8)] = x!(op.n);
                    } else {
                        system!(op);
                    }
                }
                Code::MrsSpEl0 => {
                    if cpu.el == 1 && cpu.sp_sel {
                        set_x!(op, x!(slot::SP_EL0));
                    } else {
                        system!(op);
                    }
                }
                Code::MrsDaif => {
                    if cpu.el == 1 {
                        set_x!(op, cpu.daif);
                    } else {
                        system!(op);
                    }
                }
                Code::MsrDaif => {
                    if cpu.el != 1 {
                        system!(op);
                    } else {
                        let daif = x!(op.n) & 0x3c0;
                        let opened = cpu.daif & !daif != 0;
                        cpu.daif = daif;
                        if opened && (env.lines.any() || cpu.serror.is_some()) {
                            cpu.pc = pc!().wrapping_add(4);
                            cpu.left = limit - (ip as i64 + 1);
                            return Exit::Slice;
                        }
                    }
                }
                Code::DaifSet => {
                    if cpu.el == 1 {
                        cpu.daif |= op.imm;
                    } else {
                        slow!(system::daif_from_el0(cpu, op));
                    }
                }
                Code::DaifClr => {
                    if cpu.el != 1 {
                        slow!(system::daif_from_el0(cpu, op));
                    }
                    cpu.daif &= !op.imm;
                    if env.lines.any() || cpu.serror.is_some() {
                        cpu.pc = pc!().wrapping_add(4);
                        cpu.left = limit - (ip as i64 + 1);
                        return Exit::Slice;
                    }
                }
                Code::DcZva => {
                    let va = x!(op.n) & !63;
                    let entry = cpu.tlb.entry(cpu.half, va);
                    if cpu.el == 1 && va & PAGE_MASK == entry.write && entry.flags & DEVICE == 0 {
                        let place = va.wrapping_add(entry.addend);
                        for at in (0..64).step_by(8) {
                            ram.store(RamOffset(place + at), 0u64, Order::Relaxed);
                        }
                    } else {
                        system!(op);
                    }
                }
                Code::FenceLoad => fence(Ordering::Acquire),
                Code::FenceStore => fence(Ordering::Release),
                Code::FenceAll if cpu.awaits_others && op.imm != 0 => system!(op),
                Code::FenceAll => fence(Ordering::SeqCst),
            }
            ip += 1;
        }
    }
}
