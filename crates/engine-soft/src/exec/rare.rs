//! Data processing that is too rare for a place in the loop.

use super::integer::{self, extended, flags, holds, shifted, sx32, zx32};
use crate::cpu::Cpu;
use crate::lower::{Op, Rare};

/// A 32-bit result, as it stands in a register.
const fn w(value: u32) -> u64 {
    value as u64
}

/// [`Code::Outside`](crate::lower::Code::Outside).
#[inline(never)]
#[rustfmt::skip]
pub(super) fn execute(cpu: &mut Cpu, op: &Op) {
    let how = op.aux;
    let [xn, xm, xa] = [op.n, op.m, op.aux as u8].map(|number| cpu.x[usize::from(number)]);
    let [wn, wm, wa] = [xn as u32, xm as u32, xa as u32];
    let value = match Rare::ALL[op.imm as usize] {
        Rare::OrnW => w(wn | !wm),
        Rare::EonX => xn ^ !xm,
        Rare::EonW => w(wn ^ !wm),
        Rare::BicsW => w(flags::logic_w(cpu, wn & !wm)),
        Rare::BicW => w(wn & !wm),
        Rare::AddsXs => flags::add(cpu, xn, shifted(xm, how)),
        Rare::AddsWs => w(flags::add_w(cpu, wn, integer::shifted_w(wm, how))),
        Rare::SubWs => w(wn.wrapping_sub(integer::shifted_w(wm, how))),
        Rare::SubsWs => w(flags::sub_w(cpu, wn, integer::shifted_w(wm, how))),
        Rare::AndXs => xn & shifted(xm, how),
        Rare::AndWs => w(wn & integer::shifted_w(wm, how)),
        Rare::AndsWs => w(flags::logic_w(cpu, wn & integer::shifted_w(wm, how))),
        Rare::BicXs => xn & !shifted(xm, how),
        Rare::BicWs => w(wn & !integer::shifted_w(wm, how)),
        Rare::BicsXs => flags::logic(cpu, xn & !shifted(xm, how)),
        Rare::BicsWs => w(flags::logic_w(cpu, wn & !integer::shifted_w(wm, how))),
        Rare::OrnXs => xn | !shifted(xm, how),
        Rare::OrnWs => w(wn | !integer::shifted_w(wm, how)),
        Rare::EonXs => xn ^ !shifted(xm, how),
        Rare::EonWs => w(wn ^ !integer::shifted_w(wm, how)),
        Rare::AddWe => w(wn.wrapping_add(extended(xm, how) as u32)),
        Rare::AddsXe => flags::add(cpu, xn, extended(xm, how)),
        Rare::AddsWe => w(flags::add_w(cpu, wn, extended(xm, how) as u32)),
        Rare::SubXe => xn.wrapping_sub(extended(xm, how)),
        Rare::SubWe => w(wn.wrapping_sub(extended(xm, how) as u32)),
        Rare::SubsXe => flags::sub(cpu, xn, extended(xm, how)),
        Rare::SubsWe => w(flags::sub_w(cpu, wn, extended(xm, how) as u32)),
        Rare::AdcW => {
            let carry = cpu.c_flag as u32;
            w(wn.wrapping_add(wm).wrapping_add(carry))
        }
        Rare::AdcsW => w(flags::adc_w(cpu, wn, wm)),
        Rare::SbcX => xn.wrapping_add(!xm).wrapping_add(cpu.c_flag),
        Rare::SbcW => {
            let carry = cpu.c_flag as u32;
            w(wn.wrapping_add(!wm).wrapping_add(carry))
        }
        Rare::SbcsW => w(flags::adc_w(cpu, wn, !wm)),
        Rare::CsnegX => if holds(cpu, how) { xn } else { xm.wrapping_neg() },
        Rare::CsnegW => w(if holds(cpu, how) { wn } else { wm.wrapping_neg() }),
        Rare::CsinvW => w(if holds(cpu, how) { wn } else { !wm }),
        Rare::MsubW => {
            let product = wn.wrapping_mul(wm);
            w(wa.wrapping_sub(product))
        }
        Rare::Smsubl => {
            let product = sx32(wn).wrapping_mul(sx32(wm));
            xa.wrapping_sub(product)
        }
        Rare::Umsubl => {
            let product = zx32(wn).wrapping_mul(zx32(wm));
            xa.wrapping_sub(product)
        }
        Rare::Smulh => {
            let product = i128::from(xn as i64) * i128::from(xm as i64);
            (product >> 64) as u64
        }
        Rare::UdivX => xn.checked_div(xm).unwrap_or(0),
        Rare::UdivW => w(wn.checked_div(wm).unwrap_or(0)),
        Rare::SdivX => integer::sdiv(xn, xm),
        Rare::SdivW => w(integer::sdiv_w(wn, wm)),
        Rare::AsrvX => (xn as i64).wrapping_shr(wm) as u64,
        Rare::AsrvW => w((wn as i32).wrapping_shr(wm) as u32),
        Rare::RorvX => xn.rotate_right(wm & 63),
        Rare::RorvW => w(wn.rotate_right(wm & 31)),
        Rare::RbitX => xn.reverse_bits(),
        Rare::RbitW => w(wn.reverse_bits()),
        Rare::Rev16X => integer::rev16(xn),
        Rare::Rev16W => w(integer::rev16(xn) as u32),
        Rare::Rev32X => xn.swap_bytes().rotate_right(32),
        Rare::ClsX => integer::cls(xn),
        Rare::ClsW => w(integer::cls_w(wn)),
    };
    cpu.x[usize::from(op.d)] = value;
}
