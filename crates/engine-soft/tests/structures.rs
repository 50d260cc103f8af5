//! Loads and stores of structures at the edges; their results are among the vectors.

#![expect(clippy::cast_possible_truncation, reason = "numbers below 16")]
#![expect(clippy::unwrap_used, reason = "it is a test")]

mod support;

use abide_arm64::kvm;
use abide_engine_soft::cpu_model::INT;
use abide_reg::Value;
use support::{CPACR, DATA, DEVICE, ESR, FAR, Guest, SCTLR, pte};

const VA: u64 = 0x10_0000_0000;
const ABORT: u64 = 0x25 << 26 | 1 << 25;
const WNR: u64 = 1 << 6;

/// LD1 {v0.16b, v1.16b}, [x1], #32
const LD1_TWO: u32 = 0x4cdf_a020;
/// ST3 {v0.4s, v1.4s, v2.4s}, [x1], #48
const ST3: u32 = 0x4c9f_4820;
/// ST4 {v0.8h - v3.8h}, [x1]
const ST4: u32 = 0x4c00_0420;
/// LD2 {v0.s, v1.s}[3], [x1], x2
const LD2_LANE: u32 = 0x4de2_9020;
/// LD1R {v0.4s}, [sp]
const LD1R_SP: u32 = 0x4d40_cbe0;

fn v(guest: &Guest, number: u8) -> u128 {
    guest.vcpu.load(kvm::v(number)).unwrap().to_u128().unwrap()
}

/// One page at [`VA`], nothing behind it, and vector registers that tell themselves apart.
fn one_page() -> Guest {
    let (mut guest, mut tables) = Guest::with_mmu();
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF);
    for number in 0..4 {
        let bytes: [u8; 16] = std::array::from_fn(|at| 0x10 * (number + 1) + at as u8);
        guest.vcpu.store(kvm::v(number), &Value::u128(u128::from_le_bytes(bytes))).unwrap();
    }
    guest
}

#[test]
fn a_load_that_aborts_changes_no_register() {
    let mut guest = one_page();
    let before = [v(&guest, 0), v(&guest, 1)];
    for (word, base, far) in [
        (LD1_TWO, VA + 0xff0, VA + 0x1000),
        (LD1_TWO, VA + 0xfe1, VA + 0x1000),
        (LD2_LANE, VA + 0xffc, VA + 0x1000),
        (LD2_LANE, VA + 0xffe, VA + 0x1000),
    ] {
        guest.set_x(1, base);
        guest.set_x(2, 8);
        guest.run(&[word]);
        assert_eq!((guest.sys(ESR), guest.sys(FAR)), (ABORT | 7, far), "{word:#x}");
        assert_eq!(guest.x(1), base);
        assert_eq!([v(&guest, 0), v(&guest, 1)], before);
    }
    // Right up to the end of the page.
    guest.set_x(1, VA + 0xfe0);
    guest.write_u64(DATA + 0xff8, 0x0123_4567_89ab_cdef);
    guest.run(&[LD1_TWO]);
    assert_eq!(guest.x(1), VA + 0x1000);
    assert_eq!(v(&guest, 1), 0x0123_4567_89ab_cdef << 64);
}

#[test]
fn a_store_that_aborts_has_stored_the_elements_before() {
    let mut guest = one_page();
    guest.set_x(1, VA + 0xff0);
    guest.run(&[ST3]);
    assert_eq!((guest.sys(ESR), guest.sys(FAR)), (ABORT | WNR | 7, VA + 0x1000));
    assert_eq!(guest.x(1), VA + 0xff0);
    assert_eq!(guest.read_u64(DATA + 0xff0), 0x2322_2120_1312_1110);
    assert_eq!(guest.read_u64(DATA + 0xff8), 0x1716_1514_3332_3130);
}

#[test]
fn alignment_is_that_of_an_element_and_of_the_stack() {
    let mut guest = one_page();
    guest.set_sys(SCTLR, 0x00c5_0078 | 1 | 2);
    guest.set_x(1, VA + 2);
    guest.run(&[ST4]);
    assert_eq!(guest.read_u64(DATA + 2), 0x4140_3130_2120_1110);
    guest.set_x(1, VA + 3);
    guest.run(&[ST4]);
    assert_eq!((guest.sys(ESR), guest.sys(FAR)), (ABORT | WNR | 0x21, VA + 3));
    guest.set_sys(SCTLR, 0x00c5_0078 | 1 | 8);
    guest.set(kvm::SP_EL1, VA + 8);
    guest.run(&[LD1R_SP]);
    assert_eq!(guest.sys(ESR), 0x26 << 26 | 1 << 25);
}

/// A device sees each element, and ordinary alignment rules.
#[test]
fn devices_see_elements() {
    let mut guest = one_page();
    guest.set_sys(SCTLR, 0x00c5_0078);
    guest.set_x(1, DEVICE + 4);
    guest.run(&[ST3]);
    let writes = guest.bus.writes.lock().unwrap();
    assert_eq!(writes.len(), 12);
    assert_eq!(writes[..2], [(DEVICE + 4, 4, 0x1312_1110), (DEVICE + 8, 4, 0x2322_2120)]);
    assert_eq!(writes[11], (DEVICE + 48, 4, 0x3f3e_3d3c));
}

#[test]
fn hidden_is_undefined_and_switched_off_is_trapped() {
    let mut guest = one_page();
    guest.set_sys(CPACR, 0);
    guest.set_x(1, VA);
    guest.run(&[ST4]);
    assert_eq!(guest.sys(ESR), 0x07 << 26 | 1 << 25 | 1 << 24 | 0xe << 20);
    let mut guest = Guest::with_model(&INT);
    guest.stop_at_vectors();
    for word in [LD1_TWO, ST3, LD2_LANE, LD1R_SP] {
        guest.set_x(1, DATA);
        guest.run(&[word]);
        assert_eq!((guest.vector(), guest.sys(ESR)), (0x200, 1 << 25), "{word:#x}");
    }
}
