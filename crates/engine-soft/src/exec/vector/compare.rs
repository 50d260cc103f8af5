//! Comparisons: all ones where they hold, else 0.

use super::lanes::{Lane, signed, unsigned};

#[inline(always)]
pub(in crate::exec) fn equal(a: u128, b: u128, size: u32) -> u128 {
    unsigned!(size, T => T::map2(a, b, |a, b| T::from(a == b).wrapping_neg()))
}

#[inline(always)]
pub(in crate::exec) fn greater(a: u128, b: u128, size: u32) -> u128 {
    signed!(size, T => T::map2(a, b, |a, b| T::from(a > b).wrapping_neg()))
}

#[inline(always)]
pub(in crate::exec) fn higher(a: u128, b: u128, size: u32) -> u128 {
    unsigned!(size, T => T::map2(a, b, |a, b| T::from(a > b).wrapping_neg()))
}
