//! Eratosthenes: loads and stores at growing strides.

use crate::Done;
use kit::{Arena, hash};

const LIMIT: usize = 3_000_000;
/// The number of primes below three million.
const PRIMES: u64 = 216_816;

pub fn run(arena: &mut Arena) -> Done {
    // One byte for each odd number, kept as words.
    let words = arena.take(LIMIT / 2 / 8);
    let composite = bytes_of(words);
    composite.fill(0);
    let mut factor = 3;
    while factor * factor < LIMIT {
        if composite[factor / 2] == 0 {
            for multiple in (factor * factor..LIMIT).step_by(2 * factor) {
                composite[multiple / 2] = 1;
            }
        }
        factor += 2;
    }
    // The place of 1 stands for 2.
    let primes = composite.iter().filter(|&&mark| mark == 0).count() as u64;
    Done {
        number: primes,
        unit: "primes below 3000000",
        right: primes == PRIMES,
        hash: hash::of(words),
    }
}

fn bytes_of(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: bytes need no alignment, and the borrow is passed on.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
