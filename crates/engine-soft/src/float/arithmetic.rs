//! Sums, products, quotients and roots.
//!
//! Each is computed so exactly that one rounding gives the right bits: the digits below those that
//! count are kept as one sticky bit.
//!
//! None is inlined: where the host has the result already, nobody saves registers for them.

use super::round::{Exact, round, shift_right_sticky};
use super::unpack::{Class, Unpacked, invalid, process_nans, unpack};
use super::{Context, Format, Rounding, flag, neg};

/// A sum that is exactly zero.
fn zero_sum<F: Format>(context: &Context) -> u64 {
    F::sign(context.fpcr.rounding() == Rounding::NegInf)
}

/// Rounds a result, which may be zero.
fn round_sum<F: Format>(sum: Option<Exact>, context: &mut Context) -> u64 {
    match sum {
        Some(value) => round::<F>(value, context),
        None => zero_sum::<F>(context),
    }
}

/// A number with room for digits: `magnitude * 2^(exponent - TOP)`, the leading one at bit
/// [`TOP`] or one below.
#[derive(Clone, Copy)]
struct Wide {
    negative: bool,
    exponent: i32,
    magnitude: u128,
}

const TOP: u32 = 125;

impl Wide {
    fn of(number: &Unpacked) -> Self {
        let magnitude = u128::from(number.significand) << (TOP - 63);
        Self { negative: number.negative, exponent: number.exponent, magnitude }
    }

    /// The sum. Where digits are lost, the operands are so far apart that hardly any of the
    /// larger one's are cancelled, and the sticky bit stays far below those that count.
    fn add(self, other: Self) -> Option<Exact> {
        let (large, small) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shifted = shift_right_sticky(small.magnitude, large.exponent.abs_diff(small.exponent));
        let (negative, magnitude) = if large.negative == small.negative {
            (large.negative, large.magnitude + shifted)
        } else if large.magnitude >= shifted {
            (large.negative, large.magnitude - shifted)
        } else {
            (small.negative, shifted - large.magnitude)
        };
        Exact::new(negative, magnitude, large.exponent - TOP as i32)
    }
}

/// The exact product of two numbers.
fn product(a: &Unpacked, b: &Unpacked) -> Wide {
    // Of 64 digits only 53 are used, so nothing is lost below.
    let magnitude = (u128::from(a.significand) * u128::from(b.significand)) >> (127 - TOP);
    Wide { negative: a.negative != b.negative, exponent: a.exponent + b.exponent + 1, magnitude }
}

/// `a + b` [DDI0487 J1 FPAdd].
#[inline(never)]
pub(super) fn add<F: Format>(a: u64, b: u64, context: &mut Context) -> u64 {
    let (a, b) = (unpack::<F>(a, context), unpack::<F>(b, context));
    add_unpacked::<F>(&a, &b, context)
}

/// `a - b` [DDI0487 J1 FPSub].
#[inline(never)]
pub(super) fn sub<F: Format>(a: u64, b: u64, context: &mut Context) -> u64 {
    let (a, mut b) = (unpack::<F>(a, context), unpack::<F>(b, context));
    // A NaN keeps its sign.
    if !b.is_nan() {
        b.negative = !b.negative;
        b.bits = neg::<F>(b.bits);
    }
    add_unpacked::<F>(&a, &b, context)
}

fn add_unpacked<F: Format>(a: &Unpacked, b: &Unpacked, context: &mut Context) -> u64 {
    if let (Class::Number, Class::Number) = (a.class, b.class) {
        return round_sum::<F>(Wide::of(a).add(Wide::of(b)), context);
    }
    if let Some(nan) = process_nans::<F>(&[a, b], context) {
        return nan;
    }
    match (a.class, b.class) {
        (Class::Infinity, Class::Infinity) if a.negative != b.negative => invalid::<F>(context),
        (Class::Infinity, _) => a.bits,
        (_, Class::Infinity) => b.bits,
        (Class::Zero, Class::Zero) if a.negative == b.negative => a.bits,
        (Class::Zero, Class::Zero) => zero_sum::<F>(context),
        // Rounded, because a denormal result may be flushed to zero.
        (Class::Zero, _) => round_sum::<F>(Wide::of(b).exact(), context),
        _ => round_sum::<F>(Wide::of(a).exact(), context),
    }
}

impl Wide {
    fn exact(self) -> Option<Exact> {
        Exact::new(self.negative, self.magnitude, self.exponent - TOP as i32)
    }
}

/// `a * b` [DDI0487 J1 FPMul].
#[inline(never)]
pub(super) fn mul<F: Format>(a: u64, b: u64, context: &mut Context) -> u64 {
    multiply::<F>(a, b, context, |_, context| invalid::<F>(context))
}

/// `a * b`, where infinity times zero is two [DDI0487 J1 FPMulX].
#[inline(never)]
pub(super) fn mulx<F: Format>(a: u64, b: u64, context: &mut Context) -> u64 {
    multiply::<F>(a, b, context, |sign, _| sign | F::power_of_two(1))
}

/// A product; `of_infinity_and_zero` is told its sign.
fn multiply<F: Format>(
    a: u64,
    b: u64,
    context: &mut Context,
    of_infinity_and_zero: fn(u64, &mut Context) -> u64,
) -> u64 {
    let (a, b) = (unpack::<F>(a, context), unpack::<F>(b, context));
    if let (Class::Number, Class::Number) = (a.class, b.class) {
        return round_sum::<F>(product(&a, &b).exact(), context);
    }
    if let Some(nan) = process_nans::<F>(&[&a, &b], context) {
        return nan;
    }
    let sign = F::sign(a.negative != b.negative);
    match (a.class, b.class) {
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => {
            of_infinity_and_zero(sign, context)
        }
        (Class::Infinity, _) | (_, Class::Infinity) => sign | F::INFINITY,
        _ => sign,
    }
}

/// `a / b` [DDI0487 J1 FPDiv].
#[inline(never)]
pub(super) fn div<F: Format>(a: u64, b: u64, context: &mut Context) -> u64 {
    let (a, b) = (unpack::<F>(a, context), unpack::<F>(b, context));
    if let (Class::Number, Class::Number) = (a.class, b.class) {
        return round_sum::<F>(quotient(&a, &b), context);
    }
    if let Some(nan) = process_nans::<F>(&[&a, &b], context) {
        return nan;
    }
    let sign = F::sign(a.negative != b.negative);
    match (a.class, b.class) {
        (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => invalid::<F>(context),
        (Class::Infinity, _) => sign | F::INFINITY,
        (_, Class::Zero) => {
            context.raise(flag::DZC);
            sign | F::INFINITY
        }
        _ => sign,
    }
}

fn quotient(a: &Unpacked, b: &Unpacked) -> Option<Exact> {
    // 63 or 64 digits and, as a sticky bit, the remainder.
    let dividend = u128::from(a.significand) << 63;
    let divisor = u128::from(b.significand);
    let whole = dividend / divisor;
    let digits = whole << 1 | u128::from(whole * divisor != dividend);
    Exact::new(a.negative != b.negative, digits, a.exponent - b.exponent - 64)
}

/// The square root [DDI0487 J1 FPSqrt].
#[inline(never)]
pub(super) fn sqrt<F: Format>(operand: u64, context: &mut Context) -> u64 {
    let operand = unpack::<F>(operand, context);
    if let Some(nan) = process_nans::<F>(&[&operand], context) {
        return nan;
    }
    match operand.class {
        Class::Zero => operand.bits,
        _ if operand.negative => invalid::<F>(context),
        Class::Number => {
            // An even power of two goes out of the root.
            let odd = operand.exponent & 1;
            let square = u128::from(operand.significand) << (63 + odd);
            let root = square.isqrt();
            let digits = root << 1 | u128::from(root * root != square);
            // square = operand * 2^(126 + odd - exponent), and the root has half of that.
            let scale = (operand.exponent - odd) / 2 - 64;
            round_sum::<F>(Exact::new(false, digits, scale), context)
        }
        _ => operand.bits,
    }
}

/// `addend + a * b`, rounded once [DDI0487 J1 FPMulAdd].
#[inline(never)]
pub(super) fn mul_add<F: Format>(addend: u64, a: u64, b: u64, context: &mut Context) -> u64 {
    let addend = unpack::<F>(addend, context);
    let (a, b) = (unpack::<F>(a, context), unpack::<F>(b, context));
    let numbers = a.class == Class::Number && b.class == Class::Number;
    if numbers && addend.class == Class::Number {
        return round_sum::<F>(Wide::of(&addend).add(product(&a, &b)), context);
    }
    let meaningless = a.is_infinity() && b.is_zero() || a.is_zero() && b.is_infinity();
    if meaningless && addend.class == Class::QuietNan {
        return invalid::<F>(context);
    }
    if let Some(nan) = process_nans::<F>(&[&addend, &a, &b], context) {
        return nan;
    }
    let negative = a.negative != b.negative;
    let infinite = a.is_infinity() || b.is_infinity();
    if meaningless || addend.is_infinity() && infinite && addend.negative != negative {
        return invalid::<F>(context);
    }
    if addend.is_infinity() || infinite {
        let negative = if infinite { negative } else { addend.negative };
        return F::sign(negative) | F::INFINITY;
    }
    match (addend.class, numbers) {
        (Class::Number, _) => round_sum::<F>(Wide::of(&addend).exact(), context),
        (_, true) => round_sum::<F>(product(&a, &b).exact(), context),
        _ if addend.negative == negative => addend.bits,
        _ => zero_sum::<F>(context),
    }
}

/// `2 - a * b`, a step of the approximation to a reciprocal [DDI0487 J1 FPRecipStepFused].
pub(crate) fn recip_step_fused<F: Format>(a: u64, b: u64, context: &mut Context) -> u64 {
    step_fused::<F>(a, b, context, Step { constant: 2, halved: 0 })
}

/// `(3 - a * b) / 2`, a step of the approximation to the reciprocal of a root
/// [DDI0487 J1 FPRSqrtStepFused].
pub(crate) fn rsqrt_step_fused<F: Format>(a: u64, b: u64, context: &mut Context) -> u64 {
    step_fused::<F>(a, b, context, Step { constant: 3, halved: 1 })
}

/// `(constant - a * b) / 2^halved`.
struct Step {
    constant: u64,
    halved: i32,
}

fn step_fused<F: Format>(a: u64, b: u64, context: &mut Context, step: Step) -> u64 {
    let (a, b) = (unpack::<F>(neg::<F>(a), context), unpack::<F>(b, context));
    if let Some(nan) = process_nans::<F>(&[&a, &b], context) {
        return nan;
    }
    let constant =
        Wide { negative: false, exponent: 1, magnitude: u128::from(step.constant) << (TOP - 1) };
    let sum = match (a.class, b.class) {
        (Class::Number, Class::Number) => constant.add(product(&a, &b)),
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => constant.exact(),
        (Class::Infinity, _) | (_, Class::Infinity) => {
            return F::sign(a.negative != b.negative) | F::INFINITY;
        }
        _ => constant.exact(),
    };
    let halved = sum.map(|sum| Exact { exponent: sum.exponent - step.halved, ..sum });
    round_sum::<F>(halved, context)
}
