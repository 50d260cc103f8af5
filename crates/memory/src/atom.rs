//! Numbers that can be reached atomically, and the orders in which they can.
//!
//! # Accesses of different sizes that race
//!
//! A guest may write a word with one vCPU and read one of its bytes with another at the same time;
//! Linux does (a queued spinlock is a word to some and a byte to others). Rust's memory model, as
//! C++'s, does not define atomic accesses that overlap in different sizes and race
//! `[rust core::sync::atomic]`. What happens here is nevertheless what the guest expects:
//!
//! * Each access compiles to the host's single load, store or locked instruction of that size,
//!   because its place comes from an address that the compiler cannot know, and nothing relates it
//!   to accesses of another size.
//! * Arm hosts define such accesses as the guest's architecture does, byte by byte
//!   `[DDI0487 B2.2]`. x86 hosts keep a store whole for every load inside it, forward one from the
//!   store buffer only where that holds all of the bytes, and make locked instructions atomic
//!   whatever their size.
//! * No value that is read can harm the host: it is a number of the guest's, never a pointer,
//!   length or enum of ours without a check.
//!
//! Assembly would keep the rule by the letter and cost the interpreter a call for each access.
//! Should Rust define mixed sizes, or offer another way, [`Atom`] is the one place to change.
//!
//! 128-bit numbers need a host whose instructions reach them whole (`cmpxchg16b` on x86, any Arm);
//! elsewhere they are kept whole among themselves only.

use portable_atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicU128, Ordering};

mod sealed {
    pub trait Sealed {}
}

/// The order of an access to guest memory, as the guest's instruction demands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// LDR, STR: no order with other locations.
    Relaxed,
    /// LDAPR: acquire.
    Acquire,
    /// LDAR, STLR, LDAXR, STLXR: sequentially consistent, as Arm's are among each other
    /// `[DDI0487 B2.3]`.
    SeqCst,
}

impl Order {
    #[inline]
    fn load(self) -> Ordering {
        match self {
            Self::Relaxed => Ordering::Relaxed,
            Self::Acquire => Ordering::Acquire,
            Self::SeqCst => Ordering::SeqCst,
        }
    }

    #[inline]
    fn store(self) -> Ordering {
        match self {
            Self::Relaxed => Ordering::Relaxed,
            // A store cannot acquire; what asks for it means at least release.
            Self::Acquire => Ordering::Release,
            Self::SeqCst => Ordering::SeqCst,
        }
    }

    #[inline]
    fn exchange(self) -> Ordering {
        match self {
            Self::Relaxed => Ordering::Relaxed,
            Self::Acquire => Ordering::AcqRel,
            Self::SeqCst => Ordering::SeqCst,
        }
    }
}

/// An atomic read-modify-write, as LSE instructions do it `[DDI0487 C3.2.12]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rmw {
    /// SWP
    Swap,
    /// LDADD
    Add,
    /// LDCLR: and with the complement
    Clear,
    /// LDEOR
    Xor,
    /// LDSET
    Or,
    /// LDSMAX
    SignedMax,
    /// LDSMIN
    SignedMin,
    /// LDUMAX
    UnsignedMax,
    /// LDUMIN
    UnsignedMin,
}

/// A number with an atomic form of the same size: u8, u16, u32, u64 or u128.
pub trait Atom: Copy + Eq + sealed::Sealed {
    /// Its size in bytes; also the alignment of an access.
    const SIZE: usize;
    #[doc(hidden)]
    type Atomic;
    #[doc(hidden)]
    fn atomic_load(place: &Self::Atomic, order: Order) -> Self;
    #[doc(hidden)]
    fn atomic_store(place: &Self::Atomic, value: Self, order: Order);
    #[doc(hidden)]
    fn atomic_compare_exchange(
        place: &Self::Atomic,
        expected: Self,
        new: Self,
        order: Order,
    ) -> Result<Self, Self>;
    #[doc(hidden)]
    fn atomic_rmw(place: &Self::Atomic, rmw: Rmw, operand: Self, order: Order) -> Self;
}

macro_rules! atom {
    ($number:ty, $signed:ty, $atomic:ty) => {
        impl sealed::Sealed for $number {}
        impl Atom for $number {
            const SIZE: usize = size_of::<$number>();
            type Atomic = $atomic;

            #[inline(always)]
            fn atomic_load(place: &$atomic, order: Order) -> Self {
                place.load(order.load())
            }

            #[inline(always)]
            fn atomic_store(place: &$atomic, value: Self, order: Order) {
                place.store(value, order.store());
            }

            #[inline]
            fn atomic_compare_exchange(
                place: &$atomic,
                expected: Self,
                new: Self,
                order: Order,
            ) -> Result<Self, Self> {
                place.compare_exchange(expected, new, order.exchange(), order.load())
            }

            fn atomic_rmw(place: &$atomic, rmw: Rmw, operand: Self, order: Order) -> Self {
                let order = order.exchange();
                let signed = |pick: fn($signed, $signed) -> $signed| {
                    place
                        .fetch_update(order, Ordering::Relaxed, |old| {
                            Some(pick(old.cast_signed(), operand.cast_signed()).cast_unsigned())
                        })
                        .unwrap_or_else(|old| old)
                };
                match rmw {
                    Rmw::Swap => place.swap(operand, order),
                    Rmw::Add => place.fetch_add(operand, order),
                    Rmw::Clear => place.fetch_and(!operand, order),
                    Rmw::Xor => place.fetch_xor(operand, order),
                    Rmw::Or => place.fetch_or(operand, order),
                    Rmw::SignedMax => signed(Ord::max),
                    Rmw::SignedMin => signed(Ord::min),
                    Rmw::UnsignedMax => place.fetch_max(operand, order),
                    Rmw::UnsignedMin => place.fetch_min(operand, order),
                }
            }
        }
    };
}

atom!(u8, i8, AtomicU8);
atom!(u16, i16, AtomicU16);
atom!(u32, i32, AtomicU32);
atom!(u64, i64, AtomicU64);
atom!(u128, i128, AtomicU128);
