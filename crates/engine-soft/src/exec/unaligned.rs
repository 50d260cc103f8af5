//! Up to 16 bytes of RAM at any place: they are all in one page.

use abide_memory::{Order, RamOffset, RamView};

/// From the words that hold it, each read at once.
#[inline(always)]
pub(super) fn load(ram: RamView, at: u64, bytes: u64) -> u128 {
    let word = |at: u64| u128::from(ram.load::<u64>(RamOffset(at & !7), Order::Relaxed));
    let (last, shift) = (word(at + bytes - 1), 8 * (at & 7));
    if bytes == 16 {
        return (word(at + 8) << 64 | word(at)) >> shift | last << (128 - shift);
    }
    // Where one word holds it, both are that word.
    (last << 64 | word(at)) >> shift & (u128::MAX >> (128 - 8 * bytes))
}

/// In aligned pieces, so that no byte beside them is touched.
#[inline(never)]
pub(super) fn store(ram: RamView, mut at: u64, bytes: u64, mut value: u128) {
    let end = at + bytes;
    macro_rules! put {
        ($piece:ty) => {{
            ram.store(RamOffset(at), value as $piece, Order::Relaxed);
            value >>= <$piece>::BITS;
            at += size_of::<$piece>() as u64;
        }};
    }
    // Up to a multiple of 8, or as far as it goes.
    if at & 1 != 0 {
        put!(u8);
    }
    if at & 2 != 0 && end - at >= 2 {
        put!(u16);
    }
    if at & 4 != 0 && end - at >= 4 {
        put!(u32);
    }
    while end - at >= 8 {
        put!(u64);
    }
    if end - at >= 4 {
        put!(u32);
    }
    if end - at >= 2 {
        put!(u16);
    }
    if at < end {
        ram.store(RamOffset(at), value as u8, Order::Relaxed);
    }
}
