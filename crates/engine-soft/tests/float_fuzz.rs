//! The body of the floating-point fuzz target, run on words of every line and on random bytes.

use abide_engine_soft::decode::{Entry, Kind, entries};
use abide_engine_soft::fuzz::fuzz_float;
use proptest::prelude::*;

/// Successive multiples of it, modulo 2^32, are well spread.
const SPREAD: u32 = 0x9e37_79b9; // 2^32 / golden ratio

fn is_float(line: &&Entry) -> bool {
    matches!(line.kind(), Kind::ScalarFp(_) | Kind::SimdFp(_))
}

/// Numbers that formats end with, in every width; as words they are instructions, or none.
const SPECIAL: [u32; 12] = [
    0x0000_0000,
    0x8000_8000,
    0x0001_0001,
    0x7c00_7c00,
    0x7c01_fc01,
    0x7e00_0000,
    0x7f80_0000,
    0x7f80_0001,
    0x7fc0_0001,
    0x7ff0_0000,
    0x7fef_ffff,
    0x0010_0000,
];

#[test]
fn words_of_every_line_keep_their_promises() {
    let mut lines = 0;
    for line in entries().filter(is_float) {
        lines += 1;
        for fpcr in 0..64_u32 {
            let free = (0..40).map(|n| (n + 40 * fpcr).wrapping_mul(SPREAD));
            let words = free.map(|free| line.pattern().word(free));
            // AHP, DN, FZ, RMode and FZ16 in every combination.
            let control = (fpcr & 31) << 22 | (fpcr >> 5) << 19;
            let head = [control, 0].into_iter().chain(SPECIAL);
            fuzz_float(&head.chain(words).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
        }
    }
    assert!(lines > 250, "{lines} lines");
}

#[test]
fn odd_bytes_are_ignored() {
    fuzz_float(&[]);
    fuzz_float(&[0xff; 8]);
    fuzz_float(&[0xff; 13]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes(data in prop::collection::vec(any::<u8>(), 0..1_000)) {
        fuzz_float(&data);
    }
}
