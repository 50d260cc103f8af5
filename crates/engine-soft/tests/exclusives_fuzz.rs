//! The body of the fuzz target for exclusives, run on chosen and on random steps.

use abide_engine_soft::fuzz::fuzz_exclusives;
use proptest::prelude::*;

#[test]
fn odd_bytes_are_ignored() {
    fuzz_exclusives(&[]);
    fuzz_exclusives(&[0xff; 2]);
    fuzz_exclusives(&[0xff; 700]);
}

/// Each access between a load-exclusive and its store, by either vCPU.
#[test]
fn whatever_comes_between_is_noticed() {
    for size in 0..4 {
        for between in 0..=255u8 {
            for value in [0, 1] {
                let (load, store) = (0x10, 0x14);
                fuzz_exclusives(&[load, size, 0, between, size, value, store, size, 7]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_steps(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz_exclusives(&data);
    }
}
