//! Vector registers as rows of elements.
//!
//! An operation is written once, for one element; `unsigned!` and its relatives compile it for each
//! element size. The rows have constant lengths, so that the loops over them become the host's own
//! vector instructions.

/// An element.
pub(in crate::exec) trait Lane: Copy {
    /// The elements of a whole vector, lowest first.
    type Row: AsRef<[Self]> + AsMut<[Self]>;

    fn split(vector: u128) -> Self::Row;
    fn join(row: Self::Row) -> u128;

    /// The nearest number that the element can hold, and a note where that is another one.
    fn saturate(value: i128, saturated: &mut bool) -> Self;

    /// `f` of each element.
    #[inline]
    fn map(a: u128, mut f: impl FnMut(Self) -> Self) -> u128 {
        let mut row = Self::split(a);
        row.as_mut().iter_mut().for_each(|a| *a = f(*a));
        Self::join(row)
    }

    /// `f` of each two elements at the same place.
    #[inline]
    fn map2(a: u128, b: u128, mut f: impl FnMut(Self, Self) -> Self) -> u128 {
        let mut row = Self::split(a);
        let b = Self::split(b);
        row.as_mut().iter_mut().zip(b.as_ref()).for_each(|(a, b)| *a = f(*a, *b));
        Self::join(row)
    }

    /// `f` of each three elements at the same place.
    #[inline]
    fn map3(a: u128, b: u128, c: u128, mut f: impl FnMut(Self, Self, Self) -> Self) -> u128 {
        let mut row = Self::split(a);
        let (b, c) = (Self::split(b), Self::split(c));
        let others = b.as_ref().iter().zip(c.as_ref());
        row.as_mut().iter_mut().zip(others).for_each(|(a, (b, c))| *a = f(*a, *b, *c));
        Self::join(row)
    }

    /// Even elements of `low`, then of `high`; odd ones where `odd` is set.
    #[inline]
    fn unzip(low: u128, high: u128, odd: bool) -> u128 {
        let mut row = Self::split(0);
        let (first, second) = row.as_mut().split_at_mut(row_length::<Self>() / 2);
        for (places, source) in [(first, Self::split(low)), (second, Self::split(high))] {
            let (pairs, _) = source.as_ref().as_chunks::<2>();
            for (place, [even_lane, odd_lane]) in places.iter_mut().zip(pairs) {
                *place = if odd { *odd_lane } else { *even_lane };
            }
        }
        Self::join(row)
    }

    /// The elements of the lower halves, or of the upper halves, of `a` and `b` in turn.
    #[inline]
    fn zip(a: u128, b: u128, upper: bool) -> u128 {
        let (a, b) = (Self::split(a), Self::split(b));
        let mut row = Self::split(0);
        let from = if upper { a.as_ref().len() / 2 } else { 0 };
        let sources = a.as_ref()[from..].iter().zip(&b.as_ref()[from..]);
        for (places, (a, b)) in row.as_mut().chunks_exact_mut(2).zip(sources) {
            (places[0], places[1]) = (*a, *b);
        }
        Self::join(row)
    }

    /// The even elements of `a` and `b` in turn; odd ones where `odd` is set.
    #[inline]
    fn transpose(a: u128, b: u128, odd: bool) -> u128 {
        let (a, b) = (Self::split(a), Self::split(b));
        let mut row = Self::split(0);
        let sources = a.as_ref().chunks_exact(2).zip(b.as_ref().chunks_exact(2));
        for (places, (a, b)) in row.as_mut().chunks_exact_mut(2).zip(sources) {
            (places[0], places[1]) = if odd { (a[1], b[1]) } else { (a[0], b[0]) };
        }
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

/// How many elements a vector has.
const fn row_length<T: Lane>() -> usize {
    16 / size_of::<T>()
}

/// An element of which there is one of twice the width.
pub(in crate::exec) trait Narrow: Lane {
    type Wide: Lane;

    /// Half a vector, each element extended.
    fn extend(half: u64) -> u128;

    /// A vector of wide elements, each made narrow by `f`.
    fn narrow(vector: u128, f: impl FnMut(Self::Wide) -> Self) -> u64;
}

macro_rules! lane {
    ($($lane:ident $count:literal $bytes:literal;)+) => {$(
        impl Lane for $lane {
            type Row = [$lane; $count];

            #[inline]
            fn split(vector: u128) -> Self::Row {
                let bytes = vector.to_le_bytes();
                let (elements, _) = bytes.as_chunks::<$bytes>();
                std::array::from_fn(|index| $lane::from_le_bytes(elements[index]))
            }

            #[inline]
            fn join(row: Self::Row) -> u128 {
                let mut bytes = [0; 16];
                let (elements, _) = bytes.as_chunks_mut::<$bytes>();
                elements.iter_mut().zip(row).for_each(|(place, lane)| *place = lane.to_le_bytes());
                u128::from_le_bytes(bytes)
            }

            #[inline]
            fn saturate(value: i128, saturated: &mut bool) -> Self {
                let kept = value.clamp($lane::MIN.into(), $lane::MAX.into());
                *saturated |= kept != value;
                kept as Self
            }
        }
    )+};
}

lane! {
    u8 16 1;
    i8 16 1;
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

            #[inline]
            fn extend(half: u64) -> u128 {
                let row = $lane::split(half.into());
                let mut wide = $wide::split(0);
                wide.iter_mut().zip(row).for_each(|(wide, lane)| *wide = lane.into());
                $wide::join(wide)
            }

            #[inline]
            fn narrow(vector: u128, mut f: impl FnMut($wide) -> Self) -> u64 {
                let wide = $wide::split(vector);
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

pub(super) use {by_narrow_size, by_size, signed, signed_narrow, unsigned, unsigned_narrow};

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
    fn rows_are_taken_apart_and_put_together() {
        let (even, odd) = (u8::unzip(VECTOR, VECTOR, false), u8::unzip(VECTOR, VECTOR, true));
        assert_eq!(even, 0x0e0c_0a08_0604_0200_0e0c_0a08_0604_0200);
        assert_eq!(u8::zip(even, odd, false), VECTOR);
        assert_eq!(u8::zip(even, odd, true), VECTOR);
        assert_eq!(u64::transpose(1 << 64 | 2, 3 << 64 | 4, true), 3 << 64 | 1);
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
