//! Comparison, minimum and maximum.

use super::unpack::{Class, Unpacked, process_nans, unpack};
use super::{Context, Format, flag};

/// How two numbers stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    Equal,
    Greater,
    /// One is a NaN.
    Unordered,
}

impl Order {
    /// N, Z, C and V at bits 3 to 0.
    pub const fn nzcv(self) -> u8 {
        match self {
            Self::Less => 0b1000,
            Self::Equal => 0b0110,
            Self::Greater => 0b0010,
            Self::Unordered => 0b0011,
        }
    }
}

/// A number that is ordered as `operand`, which is no NaN, is; the same for both zeros.
fn key<F: Format>(operand: &Unpacked) -> i64 {
    let magnitude = (operand.bits & !F::SIGN) as i64;
    if operand.negative { -magnitude } else { magnitude }
}

fn order<F: Format>(a: &Unpacked, b: &Unpacked) -> Order {
    if a.is_nan() || b.is_nan() {
        return Order::Unordered;
    }
    match key::<F>(a).cmp(&key::<F>(b)) {
        core::cmp::Ordering::Less => Order::Less,
        core::cmp::Ordering::Equal => Order::Equal,
        core::cmp::Ordering::Greater => Order::Greater,
    }
}

/// Compares; every NaN is invalid if `signal_nans`, else the signaling ones
/// [DDI0487 J1 FPCompare].
pub(crate) fn compare<F: Format>(
    a: u64,
    b: u64,
    signal_nans: bool,
    context: &mut Context,
) -> Order {
    let (a, b) = (unpack::<F>(a, context), unpack::<F>(b, context));
    let order = order::<F>(&a, &b);
    if order != Order::Unordered {
        return order;
    }
    let signaling = [a.class, b.class].contains(&Class::SignalingNan);
    if signal_nans || signaling {
        context.raise(flag::IOC);
    }
    order
}

/// `a = b` [DDI0487 J1 FPCompareEQ].
pub(crate) fn compare_eq<F: Format>(a: u64, b: u64, context: &mut Context) -> bool {
    compare::<F>(a, b, false, context) == Order::Equal
}

/// `a >= b` [DDI0487 J1 FPCompareGE].
pub(crate) fn compare_ge<F: Format>(a: u64, b: u64, context: &mut Context) -> bool {
    matches!(compare::<F>(a, b, true, context), Order::Equal | Order::Greater)
}

/// `a > b` [DDI0487 J1 FPCompareGT].
pub(crate) fn compare_gt<F: Format>(a: u64, b: u64, context: &mut Context) -> bool {
    compare::<F>(a, b, true, context) == Order::Greater
}

/// Which of two numbers is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The larger one; a NaN if there is one.
    Max,
    /// The smaller one; a NaN if there is one.
    Min,
    /// The larger one; the other one if one is a quiet NaN.
    MaxNum,
    /// The smaller one; the other one if one is a quiet NaN.
    MinNum,
}

/// The larger or the smaller number [DDI0487 J1 FPMax, FPMin, FPMaxNum, FPMinNum].
pub(crate) fn max_min<F: Format>(which: Which, a: u64, b: u64, context: &mut Context) -> u64 {
    let (a, b) = (unpack::<F>(a, context), unpack::<F>(b, context));
    if a.is_nan() || b.is_nan() {
        let numbers = matches!(which, Which::MaxNum | Which::MinNum);
        return match (a.class, b.class) {
            (Class::QuietNan, _) if numbers && !b.is_nan() => b.bits,
            (_, Class::QuietNan) if numbers && !a.is_nan() => a.bits,
            _ => process_nans::<F>(&[&a, &b], context).unwrap_or(F::DEFAULT_NAN),
        };
    }
    let max = matches!(which, Which::Max | Which::MaxNum);
    if a.is_zero() && b.is_zero() {
        // Plus zero is larger than minus zero.
        return if max { a.bits & b.bits } else { a.bits | b.bits };
    }
    if (order::<F>(&a, &b) == Order::Greater) == max { a.bits } else { b.bits }
}
