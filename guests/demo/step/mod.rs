//! The pieces of work, one a file.

pub mod atomics;
pub mod interrupts;
pub mod life;
pub mod lz;
pub mod matrix;
pub mod memory;
pub mod mersenne;
pub mod paging;
pub mod sieve;
pub mod sleep;
pub mod sort;
pub mod user;

/// A sequence of numbers that look random and are always the same.
pub struct Sequence(u64);

impl Sequence {
    /// The sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Its next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 29
    }
}
