//! Vector registers as rows of elements.
//!
//! An operation is written once, for one element; `unsigned!` and its relatives compile it for each
//! element size. The rows have constant lengths, so that the loops over them become the host's own
//! vector instructions.

use std::hint::black_box;

/// An element.
pub(in crate::exec) trait Lane: Copy {
    /// The elements of a whole vector, lowest first.
    type Row: AsRef<[Self]> + AsMut<[Self]>;

    fn split(vector: u128) -> Self::Row;
    fn join(row: Self::Row) -> u128;

    /// The nearest number that the element can hold, and a note where that is another one.
    fn saturate(value: i128, saturated: &mut bool) -> Self;

    /// `f` of each element.
    #[inline(always)]
    fn map(a: u128, mut f: impl FnMut(Self) -> Self) -> u128 {
        let mut row = Self::split(a);
        row.as_mut().iter_mut().for_each(|a| *a = f(*a));
        Self::join(row)
    }

    /// `f` of each two elements at the same place.
    #[inline(always)]
    fn map2(a: u128, b: u128, mut f: impl FnMut(Self, Self) -> Self) -> u128 {
        let mut row = Self::split(a);
        let b = Self::split(b);
        row.as_mut().iter_mut().zip(b.as_ref()).for_each(|(a, b)| *a = f(*a, *b));
        Self::join(row)
    }

    /// `f` of each three elements at the same place.
    #[inline(always)]
    fn map3(a: u128, b: u128, c: u128, mut f: impl FnMut(Self, Self, Self) -> Self) -> u128 {
        let mut row = Self::split(a);
        let (b, c) = (Self::split(b), Self::split(c));
        let others = b.as_ref().iter().zip(c.as_ref());
        row.as_mut().iter_mut().zip(others).for_each(|(a, (b, c))| *a = f(*a, *b, *c));
        Self::join(row)
    }

    /// Every element of the vector, the first at `first` and `f` of each further one.
    #[inline]
    fn reduce(a: u128, f: impl Fn(Self, Self) -> Self) -> Self {
        let row = Self::split(a);
        let (first, others) = (row.as_ref()[0], &row.as_ref()[1..]);
        others.iter().fold(first, |sum, a| f(sum, *a))
    }
}

/// An element of which there is one of twice the width.
pub(in crate::exec) trait Narrow: Lane {
    type Wide: Lane;

    /// Half a vector, each element extended.
    fn extend(half: u64) -> u128;

    /// A vector of wide elements, each made narrow by `f`.
    fn narrow(vector: u128, f: impl FnMut(Self::Wide) -> Self) -> u64;
}

macro_rules! saturate {
    ($lane:ident) => {
        #[inline]
        fn saturate(value: i128, saturated: &mut bool) -> Self {
            let kept = value.clamp($lane::MIN.into(), $lane::MAX.into());
            *saturated |= kept != value;
            kept as Self
        }
    };
}

macro_rules! lane {
    ($($lane:ident $count:literal $bytes:literal;)+) => {$(
        impl Lane for $lane {
            type Row = [$lane; $count];

            #[inline(always)]
            fn split(vector: u128) -> Self::Row {
                let bytes = vector.to_le_bytes();
                let (elements, _) = bytes.as_chunks::<$bytes>();
                let mut row = [0; $count];
                let mut index = 0;
                while index < $count {
                    row[index] = $lane::from_le_bytes(elements[index]);
                    index += 1;
                }
                row
            }

            #[inline(always)]
            fn join(row: Self::Row) -> u128 {
                let mut bytes = [0; 16];
                let (elements, _) = bytes.as_chunks_mut::<$bytes>();
                let mut index = 0;
                while index < $count {
                    elements[index] = row[index].to_le_bytes();
                    index += 1;
                }
                u128::from_le_bytes(bytes)
            }

            saturate!($lane);
        }
    )+};
}

/// Bytes go through memory whose content compilers cannot follow: else they make sixteen numbers of
/// a vector, and no vector instructions.
macro_rules! byte_lane {
    ($($lane:ident;)+) => {$(
        impl Lane for $lane {
            type Row = [$lane; 16];

            #[inline(always)]
            fn split(vector: u128) -> Self::Row {
                black_box(vector.to_le_bytes()).map(|byte| byte as Self)
            }

            #[inline(always)]
            fn join(row: Self::Row) -> u128 {
                u128::from_le_bytes(row.map(|lane| lane as u8))
            }

            saturate!($lane);
        }
    )+};
}

byte_lane! {
    u8;
    i8;
}

lane! {
    u16 8 2;
    i16 8 2;
    u32 4 4;
    i32 4 4;
    u64 2 8;
    i64 2 8;
}

macro_rules! narrow {
    ($($lane:ident $wide:ident;)+) => {$(
        impl Narrow for $lane {
            type Wide = $wide;

            #[inline(always)]
            fn extend(half: u64) -> u128 {
                let row = $lane::split(half.into());
                let row = if $lane::BITS == 8 { black_box(row) } else { row };
                let mut wide = $wide::split(0);
                wide.iter_mut().zip(row).for_each(|(wide, lane)| *wide = lane.into());
                $wide::join(wide)
            }

            #[inline(always)]
            fn narrow(vector: u128, mut f: impl FnMut($wide) -> Self) -> u64 {
                let wide = $wide::split(vector);
                let wide = if $lane::BITS == 8 { black_box(wide) } else { wide };
                let mut row = $lane::split(0);
                row.iter_mut().zip(wide).for_each(|(lane, wide)| *lane = f(wide));
                $lane::join(row) as u64
            }
        }
    )+};
}

narrow! {
    u8 u16;
    i8 i16;
    u16 u32;
    i16 i32;
    u32 u64;
    i32 i64;
}

/// `unsigned!(size, T => e)`: `e` with `T` the unsigned element of `1 << size` bytes.
macro_rules! unsigned {
    ($size:expr, $lane:ident => $body:expr) => {
        $crate::exec::vector::lanes::by_size!($size, $lane, u8 u16 u32 u64 => $body)
    };
}

/// `signed!(size, T => e)`: `e` with `T` the signed element of `1 << size` bytes.
macro_rules! signed {
    ($size:expr, $lane:ident => $body:expr) => {
        $crate::exec::vector::lanes::by_size!($size, $lane, i8 i16 i32 i64 => $body)
    };
}

macro_rules! by_size {
    ($size:expr, $lane:ident, $b:ident $h:ident $s:ident $d:ident => $body:expr) => {
        match $size {
            0 => {
                type $lane = $b;
                $body
            }
            1 => {
                type $lane = $h;
                $body
            }
            2 => {
                type $lane = $s;
                $body
            }
            _ => {
                type $lane = $d;
                $body
            }
        }
    };
}

/// The same for elements of which there are wide ones: `unsigned_narrow!(size, T W => e)`.
macro_rules! unsigned_narrow {
    ($size:expr, $lane:ident $wide:ident => $body:expr) => {
        $crate::exec::vector::lanes::by_narrow_size!(
            $size, $lane $wide, u8 u16 u32 u64 => $body)
    };
}

macro_rules! signed_narrow {
    ($size:expr, $lane:ident $wide:ident => $body:expr) => {
        $crate::exec::vector::lanes::by_narrow_size!(
            $size, $lane $wide, i8 i16 i32 i64 => $body)
    };
}

macro_rules! by_narrow_size {
    ($size:expr, $lane:ident $wide:ident, $b:ident $h:ident $s:ident $d:ident => $body:expr) => {
        match $size {
            0 => {
                type $lane = $b;
                type $wide = $h;
                $body
            }
            1 => {
                type $lane = $h;
                type $wide = $s;
                $body
            }
            _ => {
                type $lane = $s;
                type $wide = $d;
                $body
            }
        }
    };
}

pub(in crate::exec) use {
    by_narrow_size, by_size, signed, signed_narrow, unsigned, unsigned_narrow,
};

/// What was kept of a result, and a note where it is not the exact one.
#[inline]
pub(super) fn kept<T: PartialEq>(saturated: &mut bool, kept: T, exact: T) -> T {
    *saturated |= kept != exact;
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR: u128 = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;

    #[test]
    fn the_lowest_element_is_the_first() {
        assert_eq!(u16::split(VECTOR)[..2], [0x0100, 0x0302]);
        assert_eq!(u64::split(VECTOR)[1], 0x0f0e_0d0c_0b0a_0908);
        assert_eq!(u32::join(u32::split(VECTOR)), VECTOR);
    }

    #[test]
    fn elements_are_extended_by_their_sign() {
        assert_eq!(i16::extend(0xffff_0000_8000_7fff) as u64, 0xffff_8000_0000_7fff);
        assert_eq!(u16::extend(0xffff_0000_8000_7fff) as u64, 0x0000_8000_0000_7fff);
        assert_eq!(u8::narrow(u128::MAX, |wide| wide as u8), u64::MAX);
    }

    #[test]
    fn saturation_is_noted() {
        let mut saturated = false;
        assert_eq!(i8::saturate(127, &mut saturated), 127);
        assert!(!saturated);
        assert_eq!(i8::saturate(-129, &mut saturated), -128);
        assert!(saturated);
    }
}
