//! The body of the fuzz target, run on words of every line and on random bytes.

use abide_engine_soft::decode::{entries, fuzz_decode};
use proptest::prelude::*;

#[test]
fn words_of_every_line_keep_their_promises() {
    const SPREAD: u32 = 0x9e37_79b9; // 2^32 / golden ratio: multiples are well spread
    for line in entries() {
        let bytes: Vec<u8> = (0..300_u32)
            .map(|n| n.wrapping_mul(SPREAD))
            .chain([u32::MAX])
            .flat_map(|free| line.pattern().word(free).to_le_bytes())
            .collect();
        fuzz_decode(&bytes);
    }
}

#[test]
fn odd_bytes_are_ignored() {
    fuzz_decode(&[]);
    fuzz_decode(&[0xff; 3]);
    fuzz_decode(&[0xff; 5]);
}

proptest! {
    #[test]
    fn random_bytes(data: Vec<u8>) {
        fuzz_decode(&data);
    }
}
