//! The loop itself.

use super::integer::{
    extended, flags, holds, shifted, sw8, sw16, sx8, sx16, sx32, zx8, zx16, zx32, zx64,
};
use super::{aside, direct, fetch, groups, integer, rare, simd};
use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, Exit, FETCH_HALF, FetchEntry, Flow};
use crate::lower::{Code, slot};
use crate::tlb::{DEVICE, PAGE_MASK};
use abide_memory::{Order, RamOffset};

/// Executes as [`super::execute`] does, without debug exceptions.
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
                let at = FetchEntry::index(va) | (cpu.half >> 2) & FETCH_HALF;
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
        macro_rules! aside {
            ($op:expr) => {{
                let op = *$op;
                slow!(aside::execute(cpu, code, env, &op));
                ops = code.ops.as_slice();
            }};
        }
        // Reads at `$va`, then does `$tail` with the value. `$low`: bits of the base that must be
        // clear.
        macro_rules! read {
            ($ty:ty, $va:expr, $low:expr, $value:ident => $tail:expr) => {{
                let (va, low): (u64, u64) = ($va, $low);
                let entry = cpu.tlb.entry_here(va);
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
                let entry = cpu.tlb.entry_here(va);
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
                let entry = cpu.tlb.entry_here(va);
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
                let entry = cpu.tlb.entry_here(va);
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

        // What the ops do that also stand in the fused ones.
        #[rustfmt::skip]
        macro_rules! act {
            (Nop, $op:expr) => {{
                let _ = $op;
            }};
            (MovImm, $op:expr) => { set_x!($op, $op.imm) };
            (AddImmX, $op:expr) => { set_x!($op, x!($op.n).wrapping_add($op.imm)) };
            (AddImmW, $op:expr) => { set_w!($op, w!($op.n).wrapping_add($op.imm as u32)) };
            (SubsImmX, $op:expr) => { arith!(sub, set_x, $op, x!($op.n), $op.imm) };
            (SubsImmW, $op:expr) => { arith!(sub_w, set_w, $op, w!($op.n), $op.imm as u32) };
            (AndImm, $op:expr) => { set_x!($op, x!($op.n) & $op.imm) };
            (ExtrX, $op:expr) => {{
                let both = u128::from(x!($op.n)) << 64 | u128::from(x!($op.m));
                set_x!($op, (both >> $op.aux) as u64);
            }};
            (AddX, $op:expr) => { set_x!($op, x!($op.n).wrapping_add(x!($op.m))) };
            (AddW, $op:expr) => { set_w!($op, w!($op.n).wrapping_add(w!($op.m))) };
            (SubX, $op:expr) => { set_x!($op, x!($op.n).wrapping_sub(x!($op.m))) };
            (SubW, $op:expr) => { set_w!($op, w!($op.n).wrapping_sub(w!($op.m))) };
            (SubsX, $op:expr) => { arith!(sub, set_x, $op, x!($op.n), x!($op.m)) };
            (SubsW, $op:expr) => { arith!(sub_w, set_w, $op, w!($op.n), w!($op.m)) };
            (AndX, $op:expr) => { set_x!($op, x!($op.n) & x!($op.m)) };
            (BicX, $op:expr) => { set_x!($op, x!($op.n) & !x!($op.m)) };
            (OrrX, $op:expr) => { set_x!($op, x!($op.n) | x!($op.m)) };
            (OrrW, $op:expr) => { set_w!($op, w!($op.n) | w!($op.m)) };
            (EorX, $op:expr) => { set_x!($op, x!($op.n) ^ x!($op.m)) };
            (EorW, $op:expr) => { set_w!($op, w!($op.n) ^ w!($op.m)) };
            (CcmpX, $op:expr) => { conditional!(sub, $op, x!($op.n), x!($op.m) | $op.imm) };
            (CcmpW, $op:expr) => {
                conditional!(sub_w, $op, w!($op.n), w!($op.m) | $op.imm as u32)
            };
            (MaddX, $op:expr) => {{
                let product = x!($op.n).wrapping_mul(x!($op.m));
                set_x!($op, x!($op.aux as u8).wrapping_add(product));
            }};
            (RevX, $op:expr) => { set_x!($op, x!($op.n).swap_bytes()) };
            (BlFar, $op:expr) => {{
                let pc = pc!();
                x!(30u8) = pc.wrapping_add(4);
                jump!(pc.wrapping_add($op.imm));
            }};
            (BEq, $op:expr) => { branch!($op, cpu.z_flag == 0) };
            (BNe, $op:expr) => { branch!($op, cpu.z_flag != 0) };
            (BCs, $op:expr) => { branch!($op, cpu.c_flag != 0) };
            (BHi, $op:expr) => { branch!($op, cpu.c_flag != 0 && cpu.z_flag != 0) };
            (BLs, $op:expr) => { branch!($op, cpu.c_flag == 0 || cpu.z_flag == 0) };
            (BCondFar, $op:expr) => {{
                if holds(cpu, $op.aux) {
                    jump!(pc!().wrapping_add($op.imm));
                }
            }};
            (CmpImmEqW, $op:expr) => { compare_branch!(sub_w, w!($op.n), $op.imm as u32, $op, ==) };
            (CmpImmNeW, $op:expr) => { compare_branch!(sub_w, w!($op.n), $op.imm as u32, $op, !=) };
            (TstImmNeX, $op:expr) => { test_branch!(logic, x!($op.n) & $op.imm, $op, !=) };
            (CbzX, $op:expr) => { branch!($op, x!($op.n) == 0) };
            (CbzW, $op:expr) => { branch!($op, w!($op.n) == 0) };
            (CbnzW, $op:expr) => { branch!($op, w!($op.n) != 0) };
            (Br, $op:expr) => { jump!(x!($op.n)) };
            (Blr, $op:expr) => {{
                let target = x!($op.n);
                x!(30u8) = pc!().wrapping_add(4);
                jump!(target);
            }};
            (LdrbI, $op:expr) => { load_i!($op, u8, zx8) };
            (LdrWI, $op:expr) => { load_i!($op, u32, zx32) };
            (LdrXI, $op:expr) => { load_i!($op, u64, zx64) };
            (StrXI, $op:expr) => { store_i!($op, u64) };
            (LdrbU, $op:expr) => { load_u!($op, u8, zx8) };
            (LdrXR, $op:expr) => { load_r!($op, u64, zx64) };
            (StrXR, $op:expr) => { store_r!($op, u64) };
            (LdrbE, $op:expr) => { load_e!($op, u8, zx8) };
            (LdrXE, $op:expr) => { load_e!($op, u64, zx64) };
            (LdpXI, $op:expr) => { load_pair!($op, u64, zx64, keep_base!()) };
            (StpXI, $op:expr) => { store_pair!($op, u64, keep_base!()) };
            (LdpXU, $op:expr) => { load_pair!($op, u64, zx64, update_base!($op)) };
            (StpXU, $op:expr) => { store_pair!($op, u64, update_base!($op)) };
        }
        // Two ops behind one another: the second has its operands in its own place.
        macro_rules! both {
            ($op:expr, $first:ident, $second:ident) => {{
                act!($first, $op);
                ip += 1;
                let second = &ops[ip];
                act!($second, second)
            }};
        }

        loop {
            let op = &ops[ip];
            match op.code {
                Code::Decode => {
                    let Some((offset, index)) = code.origin(ip) else {
                        fetch::leave_lost_place(cpu, ip, limit);
                        continue 'fetch;
                    };
                    code.decode(ip, index, |place| {
                        ram.load(RamOffset(offset + 4 * place as u64), Order::Relaxed)
                    });
                    ops = code.ops.as_slice();
                    continue;
                }
                Code::PageEnd => {
                    cpu.pc = pc!();
                    cpu.left = limit - ip as i64;
                    continue 'fetch;
                }
                Code::Outside => rare::execute(cpu, op),
                Code::Nop => act!(Nop, op),
                Code::MovImm => act!(MovImm, op),
                Code::MovkX => set_x!(op, x!(op.n) & !(0xffff << op.aux) | op.imm),
                Code::MovkW => set_w!(op, w!(op.n) & !(0xffff << op.aux) | op.imm as u32),
                Code::Adr => set_x!(op, pc!().wrapping_add(op.imm)),
                Code::Adrp => set_x!(op, (pc!() & PAGE_MASK).wrapping_add(op.imm)),
                Code::AddImmX => act!(AddImmX, op),
                Code::AddImmW => act!(AddImmW, op),
                Code::AddsImmX => arith!(add, set_x, op, x!(op.n), op.imm),
                Code::AddsImmW => arith!(add_w, set_w, op, w!(op.n), op.imm as u32),
                Code::SubsImmX => act!(SubsImmX, op),
                Code::SubsImmW => act!(SubsImmW, op),
                Code::AndImm => act!(AndImm, op),
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
                Code::ExtrX => act!(ExtrX, op),
                Code::ExtrW => {
                    let both = u64::from(w!(op.n)) << 32 | u64::from(w!(op.m));
                    set_w!(op, (both >> op.aux) as u32);
                }

                Code::AddX => act!(AddX, op),
                Code::AddW => act!(AddW, op),
                Code::AddsX => arith!(add, set_x, op, x!(op.n), x!(op.m)),
                Code::AddsW => arith!(add_w, set_w, op, w!(op.n), w!(op.m)),
                Code::SubX => act!(SubX, op),
                Code::SubW => act!(SubW, op),
                Code::SubsX => act!(SubsX, op),
                Code::SubsW => act!(SubsW, op),
                Code::AndX => act!(AndX, op),
                Code::AndW => set_w!(op, w!(op.n) & w!(op.m)),
                Code::AndsX => logic!(logic, set_x, op, x!(op.n) & x!(op.m)),
                Code::AndsW => logic!(logic_w, set_w, op, w!(op.n) & w!(op.m)),
                Code::BicX => act!(BicX, op),
                Code::BicsX => logic!(logic, set_x, op, x!(op.n) & !x!(op.m)),
                Code::OrrX => act!(OrrX, op),
                Code::OrrW => act!(OrrW, op),
                Code::OrnX => set_x!(op, x!(op.n) | !x!(op.m)),
                Code::EorX => act!(EorX, op),
                Code::EorW => act!(EorW, op),

                Code::AddXs => set_x!(op, x!(op.n).wrapping_add(sx!(op))),
                Code::AddWs => set_w!(op, w!(op.n).wrapping_add(sw!(op))),
                Code::SubXs => set_x!(op, x!(op.n).wrapping_sub(sx!(op))),
                Code::SubsXs => arith!(sub, set_x, op, x!(op.n), sx!(op)),
                Code::AndsXs => logic!(logic, set_x, op, x!(op.n) & sx!(op)),
                Code::OrrXs => set_x!(op, x!(op.n) | sx!(op)),
                Code::OrrWs => set_w!(op, w!(op.n) | sw!(op)),
                Code::EorXs => set_x!(op, x!(op.n) ^ sx!(op)),
                Code::EorWs => set_w!(op, w!(op.n) ^ sw!(op)),

                Code::AddXe => set_x!(op, x!(op.n).wrapping_add(ex!(op))),

                Code::AdcX => set_x!(op, x!(op.n).wrapping_add(x!(op.m)).wrapping_add(cpu.c_flag)),
                Code::AdcsX => arith!(adc, set_x, op, x!(op.n), x!(op.m)),
                Code::SbcsX => arith!(adc, set_x, op, x!(op.n), !x!(op.m)),
                Code::CcmpX => act!(CcmpX, op),
                Code::CcmpW => act!(CcmpW, op),
                Code::CcmnX => conditional!(add, op, x!(op.n), x!(op.m) | op.imm),
                Code::CcmnW => conditional!(add_w, op, w!(op.n), w!(op.m) | op.imm as u32),
                Code::CselX => select!(set_x, x, op, x!(op.m)),
                Code::CselW => select!(set_w, w, op, w!(op.m)),
                Code::CsincX => select!(set_x, x, op, x!(op.m).wrapping_add(1)),
                Code::CsincW => select!(set_w, w, op, w!(op.m).wrapping_add(1)),
                Code::CsinvX => select!(set_x, x, op, !x!(op.m)),

                Code::MaddX => act!(MaddX, op),
                Code::MaddW => {
                    let product = w!(op.n).wrapping_mul(w!(op.m));
                    set_w!(op, w!(op.aux as u8).wrapping_add(product));
                }
                Code::MsubX => {
                    let product = x!(op.n).wrapping_mul(x!(op.m));
                    set_x!(op, x!(op.aux as u8).wrapping_sub(product));
                }
                Code::Umaddl => {
                    let product = zx32(w!(op.n)).wrapping_mul(zx32(w!(op.m)));
                    set_x!(op, x!(op.aux as u8).wrapping_add(product));
                }
                Code::Smaddl => {
                    let product = sx32(w!(op.n)).wrapping_mul(sx32(w!(op.m)));
                    set_x!(op, x!(op.aux as u8).wrapping_add(product));
                }
                Code::Umulh => {
                    let product = u128::from(x!(op.n)) * u128::from(x!(op.m));
                    set_x!(op, (product >> 64) as u64);
                }
                Code::LslvX => set_x!(op, x!(op.n).wrapping_shl(w!(op.m))),
                Code::LslvW => set_w!(op, w!(op.n).wrapping_shl(w!(op.m))),
                Code::LsrvX => set_x!(op, x!(op.n).wrapping_shr(w!(op.m))),
                Code::LsrvW => set_w!(op, w!(op.n).wrapping_shr(w!(op.m))),
                Code::RevX => act!(RevX, op),
                Code::RevW => set_w!(op, w!(op.n).swap_bytes()),
                Code::ClzX => set_x!(op, u64::from(x!(op.n).leading_zeros())),
                Code::ClzW => set_w!(op, w!(op.n).leading_zeros()),

                Code::B => branch!(op, true),
                Code::BFar => jump!(pc!().wrapping_add(op.imm)),
                Code::Bl => {
                    x!(30u8) = pc!().wrapping_add(4);
                    branch!(op, true);
                }
                Code::BlFar => act!(BlFar, op),
                Code::BEq => act!(BEq, op),
                Code::BNe => act!(BNe, op),
                Code::BCs => act!(BCs, op),
                Code::BCc => branch!(op, cpu.c_flag == 0),
                Code::BMi => branch!(op, (cpu.n_flag as i64) < 0),
                Code::BPl => branch!(op, (cpu.n_flag as i64) >= 0),
                Code::BVs => branch!(op, (cpu.v_flag as i64) < 0),
                Code::BVc => branch!(op, (cpu.v_flag as i64) >= 0),
                Code::BHi => act!(BHi, op),
                Code::BLs => act!(BLs, op),
                Code::BGe => branch!(op, (cpu.n_flag ^ cpu.v_flag) as i64 >= 0),
                Code::BLt => branch!(op, ((cpu.n_flag ^ cpu.v_flag) as i64) < 0),
                Code::BGt => {
                    branch!(op, cpu.z_flag != 0 && (cpu.n_flag ^ cpu.v_flag) as i64 >= 0);
                }
                Code::BLe => {
                    branch!(op, cpu.z_flag == 0 || ((cpu.n_flag ^ cpu.v_flag) as i64) < 0);
                }
                Code::BCondFar => act!(BCondFar, op),
                Code::CmpImmEqX => compare_branch!(sub, x!(op.n), op.imm, op, ==),
                Code::CmpImmEqW => act!(CmpImmEqW, op),
                Code::CmpImmNeX => compare_branch!(sub, x!(op.n), op.imm, op, !=),
                Code::CmpImmNeW => act!(CmpImmNeW, op),
                Code::CmpEqX => compare_branch!(sub, x!(op.n), x!(op.m), op, ==),
                Code::CmpEqW => compare_branch!(sub_w, w!(op.n), w!(op.m), op, ==),
                Code::CmpNeX => compare_branch!(sub, x!(op.n), x!(op.m), op, !=),
                Code::CmpNeW => compare_branch!(sub_w, w!(op.n), w!(op.m), op, !=),
                Code::TstImmEqX => test_branch!(logic, x!(op.n) & op.imm, op, ==),
                Code::TstImmEqW => test_branch!(logic_w, w!(op.n) & op.imm as u32, op, ==),
                Code::TstImmNeX => act!(TstImmNeX, op),
                Code::TstImmNeW => test_branch!(logic_w, w!(op.n) & op.imm as u32, op, !=),
                Code::AdrpAdd => {
                    set_x!(op, (pc!() & PAGE_MASK).wrapping_add(op.imm));
                    ip += 1;
                }
                Code::CbzX => act!(CbzX, op),
                Code::CbzW => act!(CbzW, op),
                Code::CbnzX => branch!(op, x!(op.n) != 0),
                Code::CbnzW => act!(CbnzW, op),
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
                Code::Br => act!(Br, op),
                Code::Blr => act!(Blr, op),

                Code::LdrbI => act!(LdrbI, op),
                Code::LdrhI => load_i!(op, u16, zx16),
                Code::LdrWI => act!(LdrWI, op),
                Code::LdrXI => act!(LdrXI, op),
                Code::LdrsbXI => load_i!(op, u8, sx8),
                Code::LdrsbWI => load_i!(op, u8, sw8),
                Code::LdrshXI => load_i!(op, u16, sx16),
                Code::LdrshWI => load_i!(op, u16, sw16),
                Code::LdrswI => load_i!(op, u32, sx32),
                Code::StrbI => store_i!(op, u8),
                Code::StrhI => store_i!(op, u16),
                Code::StrWI => store_i!(op, u32),
                Code::StrXI => act!(StrXI, op),
                Code::LdrbU => act!(LdrbU, op),
                Code::LdrhU => load_u!(op, u16, zx16),
                Code::LdrWU => load_u!(op, u32, zx32),
                Code::LdrXU => load_u!(op, u64, zx64),
                Code::StrbU => store_u!(op, u8),
                Code::StrhU => store_u!(op, u16),
                Code::StrWU => store_u!(op, u32),
                Code::StrXU => store_u!(op, u64),
                Code::LdrbR => load_r!(op, u8, zx8),
                Code::LdrhR => load_r!(op, u16, zx16),
                Code::LdrWR => load_r!(op, u32, zx32),
                Code::LdrXR => act!(LdrXR, op),
                Code::LdrsbXR => load_r!(op, u8, sx8),
                Code::LdrswR => load_r!(op, u32, sx32),
                Code::StrbR => store_r!(op, u8),
                Code::StrhR => store_r!(op, u16),
                Code::StrWR => store_r!(op, u32),
                Code::StrXR => act!(StrXR, op),
                Code::LdrbE => act!(LdrbE, op),
                Code::LdrWE => load_e!(op, u32, zx32),
                Code::LdrXE => act!(LdrXE, op),
                Code::LdrWLit => literal!(op, u32, zx32),
                Code::LdrXLit => literal!(op, u64, zx64),
                Code::LdrswLit => literal!(op, u32, sx32),
                Code::LdpXI => act!(LdpXI, op),
                Code::LdpWI => load_pair!(op, u32, zx32, keep_base!()),
                Code::LdpswI => load_pair!(op, u32, sx32, keep_base!()),
                Code::StpXI => act!(StpXI, op),
                Code::StpWI => store_pair!(op, u32, keep_base!()),
                Code::LdpXU => act!(LdpXU, op),
                Code::LdpWU => load_pair!(op, u32, zx32, update_base!(op)),
                Code::LdpswU => load_pair!(op, u32, sx32, update_base!(op)),
                Code::StpXU => act!(StpXU, op),
                Code::StpWU => store_pair!(op, u32, update_base!(op)),

                Code::MrsSpEl0 => {
                    if cpu.el == 1 && cpu.sp_sel {
                        set_x!(op, x!(slot::SP_EL0));
                    } else {
                        aside!(op);
                    }
                }
                Code::DcZva => {
                    let va = x!(op.n) & !63;
                    let entry = cpu.tlb.entry_here(va);
                    if cpu.el == 1 && va & PAGE_MASK == entry.write && entry.flags & DEVICE == 0 {
                        let place = va.wrapping_add(entry.addend);
                        for at in (0..64).step_by(8) {
                            ram.store(RamOffset(place + at), 0u64, Order::Relaxed);
                        }
                    } else {
                        aside!(op);
                    }
                }
                Code::LdrXILdrXI => both!(op, LdrXI, LdrXI),
                Code::OrrXOrrX => both!(op, OrrX, OrrX),
                Code::NopNop => both!(op, Nop, Nop),
                Code::NopBr => both!(op, Nop, Br),
                Code::AddImmXSubsImmX => both!(op, AddImmX, SubsImmX),
                Code::EorXEorX => both!(op, EorX, EorX),
                Code::LdrbUCbzW => both!(op, LdrbU, CbzW),
                Code::AndImmCcmpW => both!(op, AndImm, CcmpW),
                Code::LdrbETstImmNeX => both!(op, LdrbE, TstImmNeX),
                Code::LdpXILdpXI => both!(op, LdpXI, LdpXI),
                Code::BNeLdrXR => both!(op, BNe, LdrXR),
                Code::EorXMaddX => both!(op, EorX, MaddX),
                Code::StpXUAddImmX => both!(op, StpXU, AddImmX),
                Code::SubsWBCs => both!(op, SubsW, BCs),
                Code::LdrbUSubsImmW => both!(op, LdrbU, SubsImmW),
                Code::StpXILdpXI => both!(op, StpXI, LdpXI),
                Code::SubsImmWBLs => both!(op, SubsImmW, BLs),
                Code::StpXIOrrX => both!(op, StpXI, OrrX),
                Code::AddImmXCbzW => both!(op, AddImmX, CbzW),
                Code::LdrWISubW => both!(op, LdrWI, SubW),
                Code::StpXIStpXI => both!(op, StpXI, StpXI),
                Code::LdrbESubsImmW => both!(op, LdrbE, SubsImmW),
                Code::LdrXIAddImmX => both!(op, LdrXI, AddImmX),
                Code::OrrXBlFar => both!(op, OrrX, BlFar),
                Code::MovImmMovImm => both!(op, MovImm, MovImm),
                Code::AddXSubsX => both!(op, AddX, SubsX),
                Code::CbnzWAddImmW => both!(op, CbnzW, AddImmW),
                Code::SubXOrrX => both!(op, SubX, OrrX),
                Code::LdrWIAddImmW => both!(op, LdrWI, AddImmW),
                Code::OrrXNop => both!(op, OrrX, Nop),
                Code::RevXRevX => both!(op, RevX, RevX),
                Code::ExtrXEorX => both!(op, ExtrX, EorX),
                Code::SubsImmWBHi => both!(op, SubsImmW, BHi),
                Code::StpXIAddImmX => both!(op, StpXI, AddImmX),
                Code::BEqOrrX => both!(op, BEq, OrrX),
                Code::CcmpWBNe => both!(op, CcmpW, BNe),
                Code::MaddXOrrX => both!(op, MaddX, OrrX),
                Code::CbzXLdrXI => both!(op, CbzX, LdrXI),
                Code::StrXRBNe => both!(op, StrXR, BNe),
                Code::LdrXIStrXI => both!(op, LdrXI, StrXI),
                Code::OrrXOrrW => both!(op, OrrX, OrrW),
                Code::AddXAddX => both!(op, AddX, AddX),
                Code::SubsWBLs => both!(op, SubsW, BLs),
                Code::LdrXILdrXE => both!(op, LdrXI, LdrXE),
                Code::AddImmXAddImmX => both!(op, AddImmX, AddImmX),
                Code::EorWEorW => both!(op, EorW, EorW),
                Code::LdrbIAndImm => both!(op, LdrbI, AndImm),
                Code::LdrXISubsX => both!(op, LdrXI, SubsX),
                Code::LdrXILdrWI => both!(op, LdrXI, LdrWI),
                Code::LdrXIBlr => both!(op, LdrXI, Blr),
                Code::SubsImmWBCondFar => both!(op, SubsImmW, BCondFar),
                Code::LdrXIAndX => both!(op, LdrXI, AndX),
                Code::EorXStrXI => both!(op, EorX, StrXI),
                Code::LdpXILdpXU => both!(op, LdpXI, LdpXU),
                Code::CcmpXBEq => both!(op, CcmpX, BEq),
                Code::BicXBicX => both!(op, BicX, BicX),
                Code::MovImmAndImm => both!(op, MovImm, AndImm),
                Code::AddWAddW => both!(op, AddW, AddW),
                Code::BEqLdrbU => both!(op, BEq, LdrbU),
                Code::SubsXBLs => both!(op, SubsX, BLs),
                Code::AddXTstImmNeX => both!(op, AddX, TstImmNeX),
                Code::LdpXUNop => both!(op, LdpXU, Nop),

                Code::SimdOne | Code::SimdPair => {
                    if !cpu.simd_open || !direct::access(cpu, ram, op) {
                        slow!(simd::execute(cpu, env, op));
                    }
                }
                Code::SimdRows => {
                    if !cpu.simd_open || !direct::rows(cpu, ram, op) {
                        slow!(groups::execute(cpu, env, op));
                    }
                }
                Code::Direct if cpu.simd_open => direct::execute(cpu, op),
                Code::Direct => slow!(simd::closed(cpu)),
                Code::Group => slow!(groups::execute(cpu, env, op)),
                _ => aside!(op),
            }
            ip += 1;
        }
    }
}
