//! Functions of floating-point numbers in single and double precision.

use super::super::integer::holds;
use super::{FORMS, Function, functions, set, v};
use crate::cpu::Cpu;
use crate::float::{self, Context, Double, Format, Host, Integer, Order, Rounding, Single, Which};
use crate::lower::{Direct, Op};

/// `in_format!(F => e)`: `e` with `F` the format of elements of `1 << SIZE` bytes.
macro_rules! in_format {
    ($format:ident => $body:expr) => {
        if SIZE == 2 {
            type $format = Single;
            $body
        } else {
            type $format = Double;
            $body
        }
    };
}

/// The low bits of a vector register, as many as the format has.
#[inline(always)]
fn read<F: Format>(cpu: &Cpu, number: u8) -> u64 {
    v(cpu, number) as u64 & F::MASK
}

/// `f` of one number.
#[inline(always)]
fn one<F: Format>(cpu: &mut Cpu, op: &Op, f: impl Fn(u64, &mut Context) -> u64) {
    let mut context = Context::new(cpu.fpcr, cpu.fpsr);
    let value = f(read::<F>(cpu, op.n), &mut context);
    cpu.fpsr = context.fpsr;
    set::<false>(cpu, op, value.into());
}

/// `f` of two numbers.
#[inline(always)]
fn two<F: Format>(cpu: &mut Cpu, op: &Op, f: impl Fn(u64, u64, &mut Context) -> u64) {
    let m = read::<F>(cpu, op.m);
    one::<F>(cpu, op, |n, context| f(n, m, context));
}

/// A product and an addend; each with another sign where that is wanted.
#[inline(always)]
fn fused<F: Host>(cpu: &mut Cpu, op: &Op, negate_product: bool, negate_addend: bool) {
    let sign = |negate| if negate { F::SIGN } else { 0 };
    let a = read::<F>(cpu, op.imm as u8) ^ sign(negate_addend);
    two::<F>(cpu, op, |n, m, context| float::mul_add::<F>(a, n ^ sign(negate_product), m, context));
}

#[inline(always)]
fn compare<F: Host>(cpu: &mut Cpu, op: &Op, with_zero: bool, signal_nans: bool) {
    let (n, m) = (read::<F>(cpu, op.n), if with_zero { 0 } else { read::<F>(cpu, op.m) });
    let mut context = Context::new(cpu.fpcr, cpu.fpsr);
    let order = F::host_compare(n, m);
    let order = order.unwrap_or_else(|| float::compare::<F>(n, m, signal_nans, &mut context));
    cpu.fpsr = context.fpsr;
    cpu.n_flag = if order == Order::Less { 1 << 63 } else { 0 };
    cpu.z_flag = u64::from(order != Order::Equal);
    cpu.c_flag = u64::from(order != Order::Less);
    cpu.v_flag = if order == Order::Unordered { 1 << 63 } else { 0 };
}

const fn integer(wide: bool, unsigned: bool) -> Integer {
    Integer { bits: if wide { 64 } else { 32 }, unsigned }
}

#[inline(always)]
fn from_integer<F: Host>(cpu: &mut Cpu, op: &Op, from: Integer) {
    let mut context = Context::new(cpu.fpcr, cpu.fpsr);
    // The zero register has the number of a place that holds 0.
    let operand = cpu.x[usize::from(op.n)];
    let value = F::host_from_integer(operand, from);
    let value = value.unwrap_or_else(|| float::fixed_to_fp::<F>(operand, 0, from, &mut context));
    cpu.fpsr = context.fpsr;
    set::<false>(cpu, op, value.into());
}

#[inline(always)]
fn to_integer<F: Host>(cpu: &mut Cpu, op: &Op, to: Integer) {
    let mut context = Context::new(cpu.fpcr, cpu.fpsr);
    let operand = read::<F>(cpu, op.n);
    let value = F::host_to_integer(operand, to, &mut context);
    let mode = Rounding::Zero;
    let value =
        value.unwrap_or_else(|| float::fp_to_fixed::<F>(operand, 0, to, mode, &mut context));
    cpu.fpsr = context.fpsr;
    cpu.x[usize::from(op.d)] = value;
}

/// `f` of each three elements: of Vd, Vn and Vm.
#[inline(always)]
fn each<F: Format, const QUAD: bool>(
    cpu: &mut Cpu,
    op: &Op,
    f: impl Fn(u64, u64, u64, &mut Context) -> u64,
) {
    let mut context = Context::new(cpu.fpcr, cpu.fpsr);
    let [d, n, m] = [op.d, op.n, op.m].map(|number| v(cpu, number));
    let count = if QUAD { 128 } else { 64 } / F::BITS;
    let mut value = 0;
    for place in (0..count).map(|index| index * F::BITS) {
        let [d, n, m] = [d, n, m].map(|vector| (vector >> place) as u64 & F::MASK);
        value |= u128::from(f(d, n, m, &mut context)) << place;
    }
    cpu.fpsr = context.fpsr;
    set::<QUAD>(cpu, op, value);
}

functions! {
    Fmov any |cpu, op| in_format!(F => one::<F>(cpu, op, |n, _| n));
    Fabs any |cpu, op| in_format!(F => one::<F>(cpu, op, |n, _| float::abs::<F>(n)));
    Fneg any |cpu, op| in_format!(F => one::<F>(cpu, op, |n, _| float::neg::<F>(n)));
    Fsqrt any |cpu, op| in_format!(F => one::<F>(cpu, op, float::sqrt::<F>));
    Fadd any |cpu, op| in_format!(F => two::<F>(cpu, op, float::add::<F>));
    Fsub any |cpu, op| in_format!(F => two::<F>(cpu, op, float::sub::<F>));
    Fmul any |cpu, op| in_format!(F => two::<F>(cpu, op, float::mul::<F>));
    // A NaN, too, gets the other sign.
    Fnmul any |cpu, op| in_format!(F => {
        two::<F>(cpu, op, |n, m, context| float::neg::<F>(float::mul::<F>(n, m, context)))
    });
    Fdiv any |cpu, op| in_format!(F => two::<F>(cpu, op, float::div::<F>));
    Fmax any |cpu, op| in_format!(F => two::<F>(cpu, op, |n, m, context| {
        float::max_min::<F>(Which::Max, n, m, context)
    }));
    Fmin any |cpu, op| in_format!(F => two::<F>(cpu, op, |n, m, context| {
        float::max_min::<F>(Which::Min, n, m, context)
    }));
    Fmaxnm any |cpu, op| in_format!(F => two::<F>(cpu, op, |n, m, context| {
        float::max_min::<F>(Which::MaxNum, n, m, context)
    }));
    Fminnm any |cpu, op| in_format!(F => two::<F>(cpu, op, |n, m, context| {
        float::max_min::<F>(Which::MinNum, n, m, context)
    }));
    Fmadd any |cpu, op| in_format!(F => fused::<F>(cpu, op, false, false));
    Fmsub any |cpu, op| in_format!(F => fused::<F>(cpu, op, true, false));
    Fnmadd any |cpu, op| in_format!(F => fused::<F>(cpu, op, true, true));
    Fnmsub any |cpu, op| in_format!(F => fused::<F>(cpu, op, false, true));
    Fcmp any |cpu, op| in_format!(F => compare::<F>(cpu, op, QUAD, false));
    Fcmpe any |cpu, op| in_format!(F => compare::<F>(cpu, op, QUAD, true));
    Fcsel any |cpu, op| in_format!(F => {
        let value = read::<F>(cpu, if holds(cpu, op.imm as u32) { op.n } else { op.m });
        set::<false>(cpu, op, value.into());
    });
    Fcvt any |cpu, op| if SIZE == 2 {
        one::<Single>(cpu, op, |n, context| {
            float::convert::<Single, Double>(n, context.fpcr.rounding(), context)
        });
    } else {
        one::<Double>(cpu, op, |n, context| {
            float::convert::<Double, Single>(n, context.fpcr.rounding(), context)
        });
    };
    Scvtf any |cpu, op| in_format!(F => from_integer::<F>(cpu, op, integer(QUAD, false)));
    Ucvtf any |cpu, op| in_format!(F => from_integer::<F>(cpu, op, integer(QUAD, true)));
    Fcvtzs any |cpu, op| in_format!(F => to_integer::<F>(cpu, op, integer(QUAD, false)));
    Fcvtzu any |cpu, op| in_format!(F => to_integer::<F>(cpu, op, integer(QUAD, true)));
    FaddVector any |cpu, op| in_format!(F => {
        each::<F, QUAD>(cpu, op, |_, n, m, context| float::add::<F>(n, m, context))
    });
    FsubVector any |cpu, op| in_format!(F => {
        each::<F, QUAD>(cpu, op, |_, n, m, context| float::sub::<F>(n, m, context))
    });
    FmulVector any |cpu, op| in_format!(F => {
        each::<F, QUAD>(cpu, op, |_, n, m, context| float::mul::<F>(n, m, context))
    });
    FdivVector any |cpu, op| in_format!(F => {
        each::<F, QUAD>(cpu, op, |_, n, m, context| float::div::<F>(n, m, context))
    });
    FmlaVector any |cpu, op| in_format!(F => {
        each::<F, QUAD>(cpu, op, float::mul_add::<F>)
    });
    FmlsVector any |cpu, op| in_format!(F => {
        each::<F, QUAD>(cpu, op, |d, n, m, context| {
            float::mul_add::<F>(d, float::neg::<F>(n), m, context)
        })
    });
}
