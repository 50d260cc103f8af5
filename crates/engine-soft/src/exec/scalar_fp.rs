//! Scalar floating point.

use crate::cpu::Cpu;
use crate::decode::{ScalarFp, fields};
use crate::float::{self, Context, Double, Half, Host, Integer, Rounding, Single, Which};
use crate::lower::slot;

use super::integer::holds;

/// Executes an instruction that is neither hidden nor switched off.
pub(super) fn execute(cpu: &mut Cpu, kind: ScalarFp, word: u32) {
    match word >> 22 & 3 {
        0 => execute_in::<Single>(cpu, kind, word),
        1 => execute_in::<Double>(cpu, kind, word),
        3 => execute_in::<Half>(cpu, kind, word),
        // Of this `ftype` there is but FMOV from and to the upper half of a vector.
        _ => move_general::<Double>(cpu, word, 64),
    }
}

/// The low bits of a vector register, as many as the format has.
fn read<F: Host>(cpu: &Cpu, number: u8) -> u64 {
    cpu.v[usize::from(number & 31)] as u64 & F::MASK
}

/// Sets the low bits of a vector register and clears all others.
fn write(cpu: &mut Cpu, number: u8, value: u64) {
    cpu.v[usize::from(number & 31)] = value.into();
}

/// A general register as a source; 31 is zero.
fn general(cpu: &Cpu, number: u8, wide: bool) -> u64 {
    let value = cpu.x[usize::from(number)];
    if wide { value } else { value & u64::from(u32::MAX) }
}

/// Writes a general register; 31 is nowhere.
fn write_general(cpu: &mut Cpu, number: u8, value: u64) {
    let place = if number == slot::ZERO { slot::SINK } else { number };
    cpu.x[usize::from(place)] = value;
}

/// Executes in the format that `ftype` says.
fn execute_in<F: Host>(cpu: &mut Cpu, kind: ScalarFp, word: u32) {
    let context = &mut Context::new(cpu.fpcr, cpu.fpsr);
    let n = read::<F>(cpu, fields::rn(word));
    let result = match kind {
        ScalarFp::FmovGeneral => return move_general::<F>(cpu, word, 0),
        ScalarFp::FmovImmediate => F::expand_immediate(word >> 13 & 0xff),
        ScalarFp::FmovRegister => n,
        ScalarFp::Fabs => float::abs::<F>(n),
        ScalarFp::Fneg => float::neg::<F>(n),
        ScalarFp::Fcsel => {
            let number =
                if holds(cpu, word >> 12 & 15) { fields::rn(word) } else { fields::rm(word) };
            read::<F>(cpu, number)
        }
        ScalarFp::Fcmp | ScalarFp::Fcmpe | ScalarFp::Fccmp | ScalarFp::Fccmpe => {
            compare::<F>(cpu, kind, word, context);
            cpu.fpsr = context.fpsr;
            return;
        }
        ScalarFp::Fmadd | ScalarFp::Fmsub | ScalarFp::Fnmadd | ScalarFp::Fnmsub => {
            let m = read::<F>(cpu, fields::rm(word));
            let a = read::<F>(cpu, fields::ra(word));
            three_source::<F>(kind, [n, m, a], context)
        }
        ScalarFp::ScvtfInteger
        | ScalarFp::UcvtfInteger
        | ScalarFp::ScvtfFixed
        | ScalarFp::UcvtfFixed => from_integer::<F>(cpu, kind, word, context),
        ScalarFp::Fmul
        | ScalarFp::Fdiv
        | ScalarFp::Fadd
        | ScalarFp::Fsub
        | ScalarFp::Fmax
        | ScalarFp::Fmin
        | ScalarFp::Fmaxnm
        | ScalarFp::Fminnm
        | ScalarFp::Fnmul => {
            let m = read::<F>(cpu, fields::rm(word));
            two_source::<F>(kind, n, m, context)
        }
        ScalarFp::Fsqrt
        | ScalarFp::Fcvt
        | ScalarFp::Frintn
        | ScalarFp::Frintp
        | ScalarFp::Frintm
        | ScalarFp::Frintz
        | ScalarFp::Frinta
        | ScalarFp::Frintx
        | ScalarFp::Frinti => one_source::<F>(kind, word, n, context),
        _ => {
            let value = to_integer::<F>(kind, word, n, context);
            write_general(cpu, fields::rd(word), value);
            cpu.fpsr = context.fpsr;
            return;
        }
    };
    cpu.fpsr = context.fpsr;
    write(cpu, fields::rd(word), result);
}

/// Moves bits between a general register and those of a vector register from `place` on.
fn move_general<F: Host>(cpu: &mut Cpu, word: u32, place: u32) {
    let (d, n) = (fields::rd(word), fields::rn(word));
    let from_general = word >> 16 & 1 == 1;
    if !from_general {
        let value = (cpu.v[usize::from(n)] >> place) as u64 & F::MASK;
        write_general(cpu, d, value);
        return;
    }
    let value = general(cpu, n, true) & F::MASK;
    let kept = if place == 0 { 0 } else { u128::from(cpu.v[usize::from(d)] as u64) };
    cpu.v[usize::from(d)] = kept | u128::from(value) << place;
}

fn compare<F: Host>(cpu: &mut Cpu, kind: ScalarFp, word: u32, context: &mut Context) {
    let conditional = matches!(kind, ScalarFp::Fccmp | ScalarFp::Fccmpe);
    if conditional && !holds(cpu, word >> 12 & 15) {
        cpu.set_nzcv(u64::from(word & 15) << 28);
        return;
    }
    let with_zero = !conditional && word >> 3 & 1 == 1;
    let a = read::<F>(cpu, fields::rn(word));
    let b = if with_zero { 0 } else { read::<F>(cpu, fields::rm(word)) };
    let signal_nans = matches!(kind, ScalarFp::Fcmpe | ScalarFp::Fccmpe);
    let order = float::compare::<F>(a, b, signal_nans, context);
    cpu.set_nzcv(u64::from(order.nzcv()) << 28);
}

fn three_source<F: Host>(kind: ScalarFp, [n, m, a]: [u64; 3], context: &mut Context) -> u64 {
    let negate = |value, wanted| if wanted { float::neg::<F>(value) } else { value };
    let n = negate(n, matches!(kind, ScalarFp::Fmsub | ScalarFp::Fnmadd));
    let a = negate(a, matches!(kind, ScalarFp::Fnmadd | ScalarFp::Fnmsub));
    float::mul_add::<F>(a, n, m, context)
}

fn two_source<F: Host>(kind: ScalarFp, n: u64, m: u64, context: &mut Context) -> u64 {
    match kind {
        ScalarFp::Fmul => float::mul::<F>(n, m, context),
        // A NaN, too, gets the other sign.
        ScalarFp::Fnmul => float::neg::<F>(float::mul::<F>(n, m, context)),
        ScalarFp::Fdiv => float::div::<F>(n, m, context),
        ScalarFp::Fadd => float::add::<F>(n, m, context),
        ScalarFp::Fsub => float::sub::<F>(n, m, context),
        ScalarFp::Fmax => float::max_min::<F>(Which::Max, n, m, context),
        ScalarFp::Fmin => float::max_min::<F>(Which::Min, n, m, context),
        ScalarFp::Fmaxnm => float::max_min::<F>(Which::MaxNum, n, m, context),
        _ => float::max_min::<F>(Which::MinNum, n, m, context),
    }
}

fn one_source<F: Host>(kind: ScalarFp, word: u32, n: u64, context: &mut Context) -> u64 {
    let current = context.fpcr.rounding();
    let (mode, exact) = match kind {
        ScalarFp::Fsqrt => return float::sqrt::<F>(n, context),
        ScalarFp::Fcvt => {
            return match word >> 15 & 3 {
                0 => float::convert::<F, Single>(n, current, context),
                1 => float::convert::<F, Double>(n, current, context),
                _ => float::convert::<F, Half>(n, current, context),
            };
        }
        ScalarFp::Frintn => (Rounding::TieEven, false),
        ScalarFp::Frintp => (Rounding::PosInf, false),
        ScalarFp::Frintm => (Rounding::NegInf, false),
        ScalarFp::Frintz => (Rounding::Zero, false),
        ScalarFp::Frinta => (Rounding::TieAway, false),
        ScalarFp::Frintx => (current, true),
        _ => (current, false),
    };
    float::round_int::<F>(n, mode, exact, context)
}

/// `scale`, the number of binary places of a fixed-point number.
fn binary_places(word: u32) -> u32 {
    64 - (word >> 10 & 63)
}

/// The type of the general register, by `sf`.
fn general_type(word: u32, unsigned: bool) -> Integer {
    Integer { bits: if fields::is_64_bit(word) { 64 } else { 32 }, unsigned }
}

fn from_integer<F: Host>(cpu: &Cpu, kind: ScalarFp, word: u32, context: &mut Context) -> u64 {
    let unsigned = matches!(kind, ScalarFp::UcvtfInteger | ScalarFp::UcvtfFixed);
    let fixed = matches!(kind, ScalarFp::ScvtfFixed | ScalarFp::UcvtfFixed);
    let places = if fixed { binary_places(word) } else { 0 };
    let value = general(cpu, fields::rn(word), true);
    float::fixed_to_fp::<F>(value, places, general_type(word, unsigned), context)
}

fn to_integer<F: Host>(kind: ScalarFp, word: u32, n: u64, context: &mut Context) -> u64 {
    let (mode, unsigned) = match kind {
        ScalarFp::Fcvtns => (Rounding::TieEven, false),
        ScalarFp::Fcvtnu => (Rounding::TieEven, true),
        ScalarFp::Fcvtas => (Rounding::TieAway, false),
        ScalarFp::Fcvtau => (Rounding::TieAway, true),
        ScalarFp::Fcvtps => (Rounding::PosInf, false),
        ScalarFp::Fcvtpu => (Rounding::PosInf, true),
        ScalarFp::Fcvtms => (Rounding::NegInf, false),
        ScalarFp::Fcvtmu => (Rounding::NegInf, true),
        ScalarFp::FcvtzsInteger | ScalarFp::FcvtzsFixed => (Rounding::Zero, false),
        _ => (Rounding::Zero, true),
    };
    let fixed = matches!(kind, ScalarFp::FcvtzsFixed | ScalarFp::FcvtzuFixed);
    let places = if fixed { binary_places(word) } else { 0 };
    float::fp_to_fixed::<F>(n, places, general_type(word, unsigned), mode, context)
}
