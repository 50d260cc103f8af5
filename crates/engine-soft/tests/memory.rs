//! Loads, stores and exclusives at the edges.

mod support;

use abide_arm64::kvm;
use abide_reg::Gpa;
use support::{CODE, DATA, DEVICE, ESR, FAR, Guest, HVC, SCTLR, asm, pte};

const VA: u64 = 0x10_0000_0000;
const ABORT: u64 = 0x25 << 26 | 1 << 25;
const WNR: u64 = 1 << 6;

/// Two virtual pages next to each other on physical pages that are not, the second if `mapped`.
fn two_pages(mapped: bool) -> Guest {
    let (mut guest, mut tables) = Guest::with_mmu();
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF);
    if mapped {
        tables.map(&guest, VA + 0x1000, 3, (DATA + 0x8000) | pte::PAGE | pte::AF);
    }
    for at in 0..16 {
        guest.write_u64(DATA + 0xf80 + 8 * at, 0x0111_1111_1111_1111 * at);
        guest.write_u64(DATA + 0x8000 + 8 * at, !(0x0111_1111_1111_1111 * (at + 1)));
    }
    guest.set_x(0, 0x0102_0304_0506_0708);
    guest
}

#[test]
fn unaligned_accesses_read_and_write_each_byte() {
    let mut guest = two_pages(true);
    for offset in 0xff0..0x1008u64 {
        let mut bytes = [0; 8];
        for (at, byte) in (offset..).zip(&mut bytes) {
            let page = if at < 0x1000 { DATA } else { DATA + 0x8000 - 0x1000 };
            guest.ram.read(Gpa(page + at), std::slice::from_mut(byte)).unwrap();
        }
        guest.set_x(1, VA + offset);
        guest.run(&[asm::ldr(2, 1)]);
        assert_eq!(guest.x(2), u64::from_le_bytes(bytes), "{offset:#x}");
        // LDRH and LDRSW.
        guest.run(&[0x7940_0022, 0xb980_0023]);
        assert_eq!(guest.x(2), u64::from(u16::from_le_bytes([bytes[0], bytes[1]])));
        let word = i32::from_le_bytes(bytes[..4].try_into().unwrap());
        assert_eq!(guest.x(3), i64::from(word).cast_unsigned());
        // STR and LDR back, and the byte behind is untouched.
        guest.run(&[asm::str(0, 1), asm::ldr(2, 1)]);
        assert_eq!(guest.x(2), 0x0102_0304_0506_0708, "{offset:#x}");
    }
}

#[test]
fn a_store_that_faults_in_its_second_page_writes_nothing() {
    let mut guest = two_pages(false);
    let before = guest.read_u64(DATA + 0xff8);
    guest.set_x(1, VA + 0xffc);
    guest.run(&[asm::str(0, 1)]);
    assert_eq!(guest.sys(ESR), ABORT | WNR | 7);
    assert_eq!(guest.sys(FAR), VA + 0x1000, "the part that faulted");
    assert_eq!(guest.read_u64(DATA + 0xff8), before);
    // A pair whose second register is beyond: the base is not written back, nor is a register.
    guest.set_x(1, VA + 0xff8);
    guest.set_x(2, 5);
    // LDP x2, x3, [x1], #16
    guest.run(&[0xa8c1_0c22]);
    assert_eq!(guest.sys(ESR), ABORT | 7);
    assert_eq!((guest.x(1), guest.x(2)), (VA + 0xff8, 5));
}

#[test]
fn alignment_is_checked_where_it_is_demanded() {
    let mut guest = two_pages(true);
    guest.set_x(1, VA + 1);
    for (name, word, write) in [
        ("LDAR", 0xc8df_fc22, false),
        ("STLR", 0xc89f_fc22, true),
        ("LDXR", 0xc85f_7c22, false),
        ("STXR", 0xc803_7c22, true),
    ] {
        guest.run(&[word]);
        let expected = ABORT | 0x21 | if write { WNR } else { 0 };
        assert_eq!(guest.sys(ESR), expected, "{name}");
    }
    guest.set_sys(SCTLR, 0x00c5_0078 | 1 | 2);
    guest.run(&[asm::ldr(2, 1)]);
    assert_eq!(guest.sys(ESR), ABORT | 0x21, "SCTLR_EL1.A");
    guest.set_sys(SCTLR, 0x00c5_0078 & !2);
    guest.set_x(1, DATA + 1);
    guest.run(&[asm::ldr(2, 1)]);
    assert_eq!(guest.sys(ESR), ABORT | 0x21, "device memory: the MMU is off");
}

/// An access of 16 bytes is one element; what LD1 moves is as many as the arrangement says.
#[test]
fn alignment_of_vectors_is_that_of_their_elements() {
    const LDR_Q: u32 = 0x3dc0_0020; // ldr q0, [x1]
    const STR_Q: u32 = 0x3d80_0020; // str q0, [x1]
    const LDP_Q: u32 = 0xad40_0420; // ldp q0, q1, [x1]
    const STP_Q: u32 = 0xad00_0420; // stp q0, q1, [x1]
    const LDP_D: u32 = 0x6d40_0420; // ldp d0, d1, [x1]
    const LD1_16B: u32 = 0x4c40_7020; // ld1 {v0.16b}, [x1]
    const LD1_2D: u32 = 0x4c40_7c20; // ld1 {v0.2d}, [x1]
    const ST1_4S: u32 = 0x4c00_7820; // st1 {v0.4s}, [x1]
    let cases = [
        (LDR_Q, 16, 0),
        (STR_Q, 16, WNR),
        (LDP_Q, 16, 0),
        (STP_Q, 16, WNR),
        (LDP_D, 8, 0),
        (LD1_16B, 1, 0),
        (LD1_2D, 8, 0),
        (ST1_4S, 4, WNR),
    ];
    // With SCTLR_EL1.A, in a page and across two; in device memory; and where nothing demands it.
    let strict = 0x00c5_0078 | 1 | 2;
    for (sctlr, base, checked) in [
        (strict, VA + 0x100, true),
        (strict, VA + 0xff0, true),
        (strict & !2, VA + 0x2000, true),
        (strict & !2, VA + 0x100, false),
        (strict & !2, VA + 0xff0, false),
    ] {
        let (mut guest, mut tables) = Guest::with_mmu();
        for page in [0, 0x1000] {
            tables.map(&guest, VA + page, 3, (DATA + page) | pte::PAGE | pte::AF);
            let device = (DATA + 0x4000 + page) | pte::PAGE | pte::AF | pte::DEVICE;
            tables.map(&guest, VA + 0x2000 + page, 3, device);
        }
        guest.set_sys(SCTLR, sctlr);
        for (word, element, write) in cases {
            // Twice: the second finds what the first left in the TLB.
            for offset in [8, 8, 4, 1, 0, 16, 24, 24] {
                guest.set_x(1, base + offset);
                guest.run(&[word, word]);
                let faults = checked && offset % element != 0;
                if faults {
                    let found = (guest.sys(ESR), guest.sys(FAR));
                    let expected = (ABORT | 0x21 | write, base + offset);
                    assert_eq!(found, expected, "{word:#010x} at {:#x}", base + offset);
                }
                let at_vector = guest.pc() != CODE + 12;
                assert_eq!(at_vector, faults, "{word:#010x} at {:#x}", base + offset);
            }
        }
    }
}

#[test]
fn a_misaligned_stack_pointer_faults_if_enabled() {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    guest.set(kvm::SP_EL1, DATA + 8);
    // LDR x0, [sp, #8]: the access is aligned, SP is not.
    let load = 0xf940_07e0;
    guest.set_sys(SCTLR, 0x00c5_0078);
    guest.run(&[load]);
    assert_eq!(guest.sys(ESR), 0x26 << 26 | 1 << 25);
    guest.set_sys(SCTLR, 0x00c5_0078 & !8);
    guest.run(&[load]);
    assert_eq!(guest.pc(), CODE + 8, "SA is off");
}

#[test]
fn writeback_and_register_offsets() {
    let mut guest = Guest::new();
    guest.write_u64(DATA, 0xfedc_ba98_7654_3210);
    guest.write_u64(DATA + 8, 0x8000_0000_8000_0001);
    guest.set_x(1, DATA - 8);
    // LDR x0, [x1, #8]!
    guest.run(&[0xf840_8c20]);
    assert_eq!((guest.x(0), guest.x(1)), (0xfedc_ba98_7654_3210, DATA));
    // LDRB w0, [x1], #-3
    guest.run(&[0x385f_d420]);
    assert_eq!((guest.x(0), guest.x(1)), (0x10, DATA - 3));
    // LDRSW x0, [x2, w3, sxtw #2], w3 = -1, x2 = DATA + 16
    guest.set_x(2, DATA + 16);
    guest.set_x(3, 0xffff_ffff);
    guest.run(&[0xb8a3_d840]);
    assert_eq!(guest.x(0), 0xffff_ffff_8000_0000);
    // LDRSB w0, [x2, x3]: sign-extended to 32 bits only; x3 = -9.
    guest.set_x(3, (-9i64).cast_unsigned());
    guest.run(&[0x38e3_6840]);
    assert_eq!(guest.x(0), 0xffff_fffe);
    // LDP w4, w5, [x2, #-8]; LDPSW x6, x7, [x2, #-8]
    guest.run(&[0x297f_1444, 0x697f_1c46]);
    assert_eq!((guest.x(4), guest.x(5)), (0x8000_0001, 0x8000_0000));
    assert_eq!(guest.x(6), 0xffff_ffff_8000_0001);
    // STP x4, x5, [x2, #16]!; the base comes with it.
    guest.run(&[0xa981_1444]);
    assert_eq!(guest.x(2), DATA + 32);
    assert_eq!(guest.read_u64(DATA + 40), 0x8000_0000);
}

#[test]
fn simd_registers_move_through_memory() {
    let mut guest = Guest::new();
    guest.write_u64(DATA, 0x1122_3344_5566_7788);
    guest.write_u64(DATA + 8, 0x99aa_bbcc_ddee_ff00);
    guest.set_x(1, DATA);
    // LDR q0, [x1]; LDR s1, [x1, #4]; STP q0, q1, [x1, #32]
    guest.run(&[0x3dc0_0020, 0xbd40_0421, 0xad01_0420]);
    assert_eq!(guest.read_u64(DATA + 32), 0x1122_3344_5566_7788);
    assert_eq!(guest.read_u64(DATA + 40), 0x99aa_bbcc_ddee_ff00);
    assert_eq!(guest.read_u64(DATA + 48), 0x1122_3344, "the rest of the register is cleared");
    assert_eq!(guest.read_u64(DATA + 56), 0);
    // FADD h0, h0, h0 needs FP16, which ID registers do not show: UNDEFINED.
    guest.stop_at_vectors();
    guest.run(&[0x1ee0_2800]);
    assert_eq!(guest.sys(ESR), 1 << 25);
    // Access is trapped before.
    guest.set_sys(support::CPACR, 0);
    guest.run(&[0x3dc0_0020]);
    assert_eq!(guest.sys(ESR), 0x07 << 26 | 1 << 25 | 1 << 24 | 0xe << 20);
}

#[test]
fn exclusives_succeed_once_and_only_unchanged() {
    let mut guest = Guest::new();
    guest.set_x(1, DATA);
    guest.set_x(2, 5);
    let (ldxr, stxr) = (0xc85f_7c20, 0xc803_7c22);
    guest.run(&[ldxr, stxr, 0xc804_7c22]);
    assert_eq!((guest.x(3), guest.x(4)), (0, 1), "the monitor opens with the store");
    assert_eq!(guest.read_u64(DATA), 5);
    // Somebody else wrote in between: here the program itself, by a plain store.
    guest.set_x(5, 6);
    guest.run(&[ldxr, asm::str(5, 1), stxr]);
    assert_eq!((guest.x(3), guest.read_u64(DATA)), (1, 6));
    // CLREX, and a monitor of another size.
    guest.run(&[ldxr, 0xd503_3f5f, stxr]);
    assert_eq!(guest.x(3), 1);
    guest.run(&[0x885f_7c20, stxr]);
    assert_eq!(guest.x(3), 1);
    // LDXP x6, x7; STLXP w3, x2, x5.
    guest.write_u64(DATA + 8, 9);
    guest.run(&[0xc87f_1c26, 0xc823_9422]);
    assert_eq!((guest.x(6), guest.x(7), guest.x(3)), (6, 9, 0));
    assert_eq!((guest.read_u64(DATA), guest.read_u64(DATA + 8)), (5, 6));
}

#[test]
fn an_exception_opens_the_monitor() {
    let mut guest = Guest::new();
    guest.set_x(1, DATA);
    guest.place(support::VECTORS + 0x200, &[asm::ERET]);
    guest.run(&[0xc85f_7c20, asm::SVC, 0xc803_7c22]);
    assert_eq!(guest.x(3), 1);
}

#[test]
fn devices_are_reached_with_size_and_value() {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    guest.set_x(1, DEVICE);
    guest.set_x(0, 0x1234_5678_9abc_def0);
    // STRB w0, [x1, #1]; STRH w0, [x1, #2]; STR w0, [x1, #4]; LDRH w2, [x1, #6]
    guest.run(&[0x3900_0420, 0x7900_0420, 0xb900_0420, 0x7940_0c22]);
    let writes = guest.bus.writes.lock().unwrap().clone();
    assert_eq!(
        writes,
        [(DEVICE + 1, 1, 0xf0), (DEVICE + 2, 2, 0xdef0), (DEVICE + 4, 4, 0x9abc_def0)]
    );
    assert_eq!(guest.x(2), (0x2211 ^ 6 ^ 2));
    guest.set_x(1, DEVICE + 0x1000);
    guest.run(&[asm::ldr(2, 1), HVC]);
    assert_eq!(guest.sys(ESR), ABORT | 0x10, "nothing answers there");
}

#[test]
fn writes_mark_their_pages_dirty_again_after_a_harvest() {
    let mut guest = Guest::new();
    guest.ram.dirty().start();
    guest.set_x(1, DATA);
    let page = (DATA - support::RAM_BASE) / 4096;
    let program = [asm::str(0, 1), 0x3900_0420, asm::ldr(2, 1)];
    for round in 0..3 {
        guest.run(&program);
        assert!(guest.ram.dirty().harvest().iter().any(|found| found == page), "round {round}");
        // Going on without storing any register keeps the TLB as it is.
        guest.vcpu.run(1, &guest.bus).unwrap();
    }
    // A read alone marks nothing.
    guest.run(&[asm::ldr(2, 1)]);
    let _ = guest.ram.dirty().harvest();
    guest.place(CODE, &[asm::ldr(2, 1), HVC]);
    let _ = guest.ram.dirty().harvest();
    guest.run_from(CODE);
    assert!(guest.ram.dirty().harvest().is_empty());
}
