//! Integer instructions give what another emulator gives.

mod support;

use abide_arm64::kvm;
use support::{EL1H, Guest};

/// Each line: the instruction, x0 to x3 and NZCV before, x0 and NZCV after. Random instructions on
/// values at the edges, recorded from QEMU.
const VECTORS: &str = include_str!("data/integer.vectors");

#[test]
fn integer_instructions_match_the_recording() {
    let extra = std::env::var("ABIDE_VECTORS").ok().map(|path| std::fs::read_to_string(path));
    let more = extra.transpose().unwrap().unwrap_or_default();
    let mut guest = Guest::new();
    let mut count = 0;
    for line in VECTORS.lines().chain(more.lines()).filter(|line| !line.starts_with('#')) {
        let fields: Vec<u64> =
            line.split(' ').map(|field| u64::from_str_radix(field, 16).unwrap()).collect();
        let [word, x0, x1, x2, x3, nzcv, after, nzcv_after] = fields[..] else {
            panic!("malformed line {line}");
        };
        for (number, value) in (0..).zip([x0, x1, x2, x3]) {
            guest.set_x(number, value);
        }
        guest.set(kvm::PSTATE, EL1H | nzcv << 28);
        guest.run(&[u32::try_from(word).unwrap()]);
        assert_eq!(guest.x(0), after, "{line}");
        assert_eq!(guest.get(kvm::PSTATE) >> 28, nzcv_after, "{line}");
        assert_eq!(guest.x(1), x1, "{line}");
        count += 1;
    }
    assert!(count >= 3000, "{count} vectors");
}
