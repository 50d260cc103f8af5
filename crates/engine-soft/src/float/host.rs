//! The host's own arithmetic, where its result is sure to be that of the architecture.
//!
//! That is: rounding to nearest, operands that are normal or zero, and a result that is well inside
//! the normal numbers. Then flushing, NaNs and traps play no part, and what is left to find out is
//! whether the result is inexact. Some functions find that out by themselves; all others wait
//! until FPSR says so anyway, which in most programs is soon the case.

use super::{Context, Double, Format, Half, Integer, Order, Rounding, Single};
use super::{arithmetic, flag, neg};

/// What the host can compute of a format; `None` is for the long way.
pub(crate) trait Host: Format {
    fn host_add(a: u64, b: u64, context: &mut Context) -> Option<u64>;
    fn host_mul(a: u64, b: u64, context: &mut Context) -> Option<u64>;
    fn host_div(a: u64, b: u64, context: &mut Context) -> Option<u64>;
    fn host_sqrt(operand: u64, context: &mut Context) -> Option<u64>;
    fn host_mul_add(addend: u64, a: u64, b: u64, context: &mut Context) -> Option<u64>;
    fn host_compare(a: u64, b: u64) -> Option<Order>;
    /// Of an integer that the format has exactly.
    fn host_from_integer(operand: u64, from: Integer) -> Option<u64>;
    /// Towards zero.
    fn host_to_integer(operand: u64, to: Integer, context: &mut Context) -> Option<u64>;
}

/// Hosts need not have it.
impl Host for Half {
    fn host_add(_: u64, _: u64, _: &mut Context) -> Option<u64> {
        None
    }

    fn host_mul(_: u64, _: u64, _: &mut Context) -> Option<u64> {
        None
    }

    fn host_div(_: u64, _: u64, _: &mut Context) -> Option<u64> {
        None
    }

    fn host_sqrt(_: u64, _: &mut Context) -> Option<u64> {
        None
    }

    fn host_mul_add(_: u64, _: u64, _: u64, _: &mut Context) -> Option<u64> {
        None
    }

    fn host_compare(_: u64, _: u64) -> Option<Order> {
        None
    }

    fn host_from_integer(_: u64, _: Integer) -> Option<u64> {
        None
    }

    fn host_to_integer(_: u64, _: Integer, _: &mut Context) -> Option<u64> {
        None
    }
}

/// Normal, and not of one of the two smallest exponents.
fn is_ordinary<F: Format>(bits: u64) -> bool {
    (2..F::EXPONENT_MAX).contains(&F::biased_exponent(bits))
}

fn is_ordinary_or_zero<F: Format>(bits: u64) -> bool {
    is_ordinary::<F>(bits) || bits & !F::SIGN == 0
}

fn rounds_to_nearest(context: &Context) -> bool {
    context.fpcr.rounding() == Rounding::TieEven
}

/// Nobody can tell whether the next result is inexact.
fn is_inexact_anyway(context: &Context) -> bool {
    context.fpsr & flag::IXC != 0
}

/// Zeros below the lowest one of the digits.
fn trailing_zeros<F: Format>(bits: u64) -> u32 {
    (bits | 1 << F::FRACTION_BITS).trailing_zeros()
}

macro_rules! host {
    ($format:ident $float:ident $bits:ident) => {
        impl Host for $format {
            #[inline]
            fn host_add(a: u64, b: u64, context: &mut Context) -> Option<u64> {
                let usable = is_ordinary_or_zero::<Self>(a) && is_ordinary_or_zero::<Self>(b);
                if !usable || !rounds_to_nearest(context) {
                    return None;
                }
                let (x, y) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let sum = x + y;
                let result = u64::from(sum.to_bits());
                if !is_ordinary_or_zero::<Self>(result) {
                    return None;
                }
                if !is_inexact_anyway(context) {
                    // What rounding took away, exactly.
                    let rest = sum - x;
                    let error = (x - (sum - rest)) + (y - rest);
                    context.raise(if error == 0.0 { 0 } else { flag::IXC });
                }
                Some(result)
            }

            #[inline]
            fn host_mul(a: u64, b: u64, context: &mut Context) -> Option<u64> {
                let usable = is_ordinary::<Self>(a) && is_ordinary::<Self>(b);
                if !usable || !rounds_to_nearest(context) {
                    return None;
                }
                // A product with fewer zeros below than it has digits to lose is inexact.
                let zeros = trailing_zeros::<Self>(a) + trailing_zeros::<Self>(b);
                if !is_inexact_anyway(context) && zeros >= Self::FRACTION_BITS {
                    return None;
                }
                let product = $float::from_bits(a as $bits) * $float::from_bits(b as $bits);
                let result = u64::from(product.to_bits());
                if !is_ordinary::<Self>(result) {
                    return None;
                }
                context.raise(flag::IXC);
                Some(result)
            }

            #[inline]
            fn host_div(a: u64, b: u64, context: &mut Context) -> Option<u64> {
                let usable = is_ordinary::<Self>(a) && is_ordinary::<Self>(b);
                if !usable || !rounds_to_nearest(context) || !is_inexact_anyway(context) {
                    return None;
                }
                let quotient = $float::from_bits(a as $bits) / $float::from_bits(b as $bits);
                let result = u64::from(quotient.to_bits());
                is_ordinary::<Self>(result).then_some(result)
            }

            #[inline]
            fn host_sqrt(operand: u64, context: &mut Context) -> Option<u64> {
                let usable = is_ordinary::<Self>(operand) && operand & Self::SIGN == 0;
                if !usable || !rounds_to_nearest(context) || !is_inexact_anyway(context) {
                    return None;
                }
                Some(u64::from($float::from_bits(operand as $bits).sqrt().to_bits()))
            }

            #[inline]
            fn host_mul_add(addend: u64, a: u64, b: u64, context: &mut Context) -> Option<u64> {
                let usable = is_ordinary_or_zero::<Self>(addend)
                    && is_ordinary::<Self>(a)
                    && is_ordinary::<Self>(b);
                if !usable || !rounds_to_nearest(context) || !is_inexact_anyway(context) {
                    return None;
                }
                let (x, y) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                let sum = x.mul_add(y, $float::from_bits(addend as $bits));
                let result = u64::from(sum.to_bits());
                is_ordinary::<Self>(result).then_some(result)
            }

            #[inline]
            fn host_compare(a: u64, b: u64) -> Option<Order> {
                if !is_ordinary_or_zero::<Self>(a) || !is_ordinary_or_zero::<Self>(b) {
                    return None;
                }
                let (x, y) = ($float::from_bits(a as $bits), $float::from_bits(b as $bits));
                Some(if x < y {
                    Order::Less
                } else if x > y {
                    Order::Greater
                } else {
                    Order::Equal
                })
            }

            #[inline]
            fn host_from_integer(operand: u64, from: Integer) -> Option<u64> {
                let unused = 64 - from.bits;
                let value = if from.unsigned {
                    (operand << unused >> unused).cast_signed()
                } else {
                    (operand << unused).cast_signed() >> unused
                };
                let limit = 1 << Self::FRACTION_BITS;
                let exact = if from.unsigned { 0..limit } else { -limit..limit };
                exact.contains(&value).then(|| u64::from((value as $float).to_bits()))
            }

            #[inline]
            fn host_to_integer(operand: u64, to: Integer, context: &mut Context) -> Option<u64> {
                // The largest exponent of numbers that fit whatever their digits are.
                let bits_max = if to.unsigned { to.bits } else { to.bits - 1 };
                let exponent_max = Self::BIAS + bits_max as i32 - 1;
                let fits = (2..=exponent_max).contains(&Self::biased_exponent(operand));
                if !fits || to.unsigned && operand & Self::SIGN != 0 {
                    return if operand == 0 { Some(0) } else { None };
                }
                let value = $float::from_bits(operand as $bits);
                let (whole, back) = if to.unsigned {
                    (value as u64, value as u64 as $float)
                } else {
                    ((value as i64).cast_unsigned(), value as i64 as $float)
                };
                if back != value {
                    context.raise(flag::IXC);
                }
                Some(whole & u64::MAX >> (64 - to.bits))
            }
        }
    };
}

host!(Single f32 u32);
host!(Double f64 u64);

/// `a + b` [DDI0487 J1 FPAdd].
pub(crate) fn add<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    match F::host_add(a, b, context) {
        Some(sum) => sum,
        None => arithmetic::add::<F>(a, b, context),
    }
}

/// `a - b` [DDI0487 J1 FPSub].
pub(crate) fn sub<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    match F::host_add(a, neg::<F>(b), context) {
        Some(difference) => difference,
        None => arithmetic::sub::<F>(a, b, context),
    }
}

/// `a * b` [DDI0487 J1 FPMul].
pub(crate) fn mul<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    match F::host_mul(a, b, context) {
        Some(product) => product,
        None => arithmetic::mul::<F>(a, b, context),
    }
}

/// `a * b`, where infinity times zero is two [DDI0487 J1 FPMulX].
pub(crate) fn mulx<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    match F::host_mul(a, b, context) {
        Some(product) => product,
        None => arithmetic::mulx::<F>(a, b, context),
    }
}

/// `a / b` [DDI0487 J1 FPDiv].
pub(crate) fn div<F: Host>(a: u64, b: u64, context: &mut Context) -> u64 {
    match F::host_div(a, b, context) {
        Some(quotient) => quotient,
        None => arithmetic::div::<F>(a, b, context),
    }
}

/// The square root [DDI0487 J1 FPSqrt].
pub(crate) fn sqrt<F: Host>(operand: u64, context: &mut Context) -> u64 {
    match F::host_sqrt(operand, context) {
        Some(root) => root,
        None => arithmetic::sqrt::<F>(operand, context),
    }
}

/// `addend + a * b`, rounded once [DDI0487 J1 FPMulAdd].
pub(crate) fn mul_add<F: Host>(addend: u64, a: u64, b: u64, context: &mut Context) -> u64 {
    match F::host_mul_add(addend, a, b, context) {
        Some(sum) => sum,
        None => arithmetic::mul_add::<F>(addend, a, b, context),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::bits;
    use super::super::{Fpcr, compare, fixed_to_fp, fp_to_fixed};
    use super::*;
    use proptest::prelude::*;

    type Way<'a> = &'a dyn Fn(&mut Context) -> Option<u64>;

    /// Where the host has an answer, it is that of the long way. Tells whether it had one.
    fn agree(fpsr: u32, host: Way, ours: Way) -> bool {
        let [mut one, mut other] = [Context::new(0, fpsr); 2];
        let Some(found) = host(&mut one) else { return false };
        assert_eq!((Some(found), one.fpsr), (ours(&mut other), other.fpsr));
        true
    }

    fn all<F: Host>(a: u64, b: u64, c: u64) -> u32 {
        let mut answers = 0;
        for fpsr in [0, flag::IXC] {
            let mut try_both = |host: Way, ours: Way| {
                answers += u32::from(agree(fpsr, host, ours));
            };
            try_both(&|context| F::host_add(a, b, context), &|context| {
                Some(arithmetic::add::<F>(a, b, context))
            });
            try_both(&|context| F::host_mul(a, b, context), &|context| {
                Some(arithmetic::mul::<F>(a, b, context))
            });
            try_both(&|context| F::host_div(a, b, context), &|context| {
                Some(arithmetic::div::<F>(a, b, context))
            });
            try_both(&|context| F::host_sqrt(a, context), &|context| {
                Some(arithmetic::sqrt::<F>(a, context))
            });
            try_both(&|context| F::host_mul_add(c, a, b, context), &|context| {
                Some(arithmetic::mul_add::<F>(c, a, b, context))
            });
        }
        answers
    }

    /// The same of comparisons and conversions; `integer` is any bits.
    fn all_others<F: Host>(a: u64, b: u64, integer: u64) -> u32 {
        let mut answers = 0;
        for fpcr in [0, Fpcr::FZ] {
            let [mut host, mut ours] = [Context::new(fpcr, 0); 2];
            if let Some(order) = F::host_compare(a, b) {
                assert_eq!(order, compare::<F>(a, b, true, &mut ours));
                assert_eq!(ours.fpsr, 0);
                answers += 1;
            }
            for (bits, unsigned) in [(32, false), (32, true), (64, false), (64, true)] {
                let of = Integer { bits, unsigned };
                // Numbers that formats have, too.
                for value in [integer, integer >> 12, integer >> 42, 0] {
                    if let Some(found) = F::host_from_integer(value, of) {
                        assert_eq!(found, fixed_to_fp::<F>(value, 0, of, &mut ours));
                        assert_eq!(ours.fpsr, 0);
                        answers += 1;
                    }
                }
                if let Some(found) = F::host_to_integer(a, of, &mut host) {
                    let zero = Rounding::Zero;
                    assert_eq!(found, fp_to_fixed::<F>(a, 0, of, zero, &mut ours));
                    assert_eq!(host.fpsr, ours.fpsr);
                    answers += 1;
                }
                (host.fpsr, ours.fpsr) = (0, 0);
            }
        }
        answers
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50_000))]

        #[test]
        fn the_host_is_right_in_double_precision(
            a in bits::<Double>(), b in bits::<Double>(), c in bits::<Double>(),
        ) {
            all::<Double>(a, b, c);
            all_others::<Double>(a, b, c);
        }

        #[test]
        fn the_host_is_right_in_single_precision(
            a in bits::<Single>(), b in bits::<Single>(), c in bits::<Single>(),
        ) {
            all::<Single>(a, b, c);
            all_others::<Single>(a, b, c);
        }

        /// Numbers that integers are near to.
        #[test]
        fn the_host_converts_integers_right(integer in any::<i64>(), shift in 0_u32..64) {
            let number = (integer >> shift) as f64 + 0.25 * (shift % 4) as f64;
            all_others::<Double>(number.to_bits(), 0, integer.cast_unsigned());
            all_others::<Single>((number as f32).to_bits().into(), 0, integer.cast_unsigned());
        }
    }

    #[test]
    fn the_host_answers_for_ordinary_numbers() {
        let [a, b, c] = [0.1_f64, 0.3, 7.7].map(f64::to_bits);
        assert_eq!(all::<Double>(a, b, c), 7);
        assert_eq!(all::<Half>(0x3c01, 0x3c02, 0x3c03), 0);
        assert!(all_others::<Double>(a, b, 7) > 30);
        assert_eq!(all_others::<Half>(0x3c01, 0x3c02, 7), 0);
        let upwards = &mut Context::new(1 << 22, flag::IXC);
        assert_eq!(Double::host_add(a, b, upwards), None);
    }
}
