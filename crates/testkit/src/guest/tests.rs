//! Encodings are compared with words from the architecture's tables, not with the assembler's.

use super::*;
use crate::rng::Rng;

fn words(build: impl FnOnce(&mut Program)) -> Vec<u32> {
    let mut program = Program::new(RAM);
    build(&mut program);
    let bytes = program.finish().unwrap();
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

/// What MOVZ and MOVK leave in their register.
fn run_moves(words: &[u32]) -> u64 {
    words.iter().fold(0, |value, word| {
        assert_eq!(word & 31, 7);
        let (shift, half) = (16 * (word >> 21 & 3), u64::from(word >> 5 & 0xffff));
        match word >> 23 {
            0b1_1010_0101 => half << shift,
            0b1_1110_0101 => value & !(0xffff << shift) | half << shift,
            _ => panic!("{word:#x} is no move"),
        }
    })
}

#[test]
fn mov64_makes_any_value() {
    let mut rng = Rng::new(1);
    let extremes = [0, 1, u64::MAX, 0xffff, 0x1_0000, 1 << 63, 0xffff_0000_0000_0001];
    // Sparse values too, as most addresses are.
    let random = (0..1000).map(|_| {
        let mask = [0xffff, 0xffff_0000, 0xffff_0000_0000, u64::MAX][rng.below(4)];
        rng.next_u64() & mask
    });
    for value in extremes.into_iter().chain(random.collect::<Vec<_>>()) {
        let moves = words(|program| program.mov64(x(7), value));
        assert_eq!(run_moves(&moves), value);
        assert!((1..=4).contains(&moves.len()), "{value:#x}");
    }
}

#[test]
fn instructions_are_those_of_the_architecture() {
    let found = words(|program| {
        program.mrs(x(3), sysreg::SCTLR_EL1);
        program.msr(sysreg::VBAR_EL1, x(4));
        program.load(x(5), Gpa(0x10), Width::Word);
        program.store_register(Gpa(0x10), x(6), Width::Double);
        program.call(PSCI_VERSION, &[9]);
        program.spin();
    });
    let expected = [
        0xd538_1003, // mrs x3, sctlr_el1
        0xd518_c004, // msr vbar_el1, x4
        0xd280_0211, // mov x17, #16
        0xb940_0225, // ldr w5, [x17]
        0xd280_0211, // mov x17, #16
        0xf900_0226, // str x6, [x17]
        0xd2b0_8000, // mov x0, #0x84000000
        0xd280_0121, // mov x1, #9
        0xd400_0002, // hvc #0
        0x1400_0000, // b .
    ];
    assert_eq!(found, expected);
}

#[test]
fn labels_reach_both_ways() {
    let found = words(|program| {
        let (back, ahead) = (program.label(), program.label());
        program.bind(back);
        program.branch(ahead);
        program.branch_if_zero(x(1), back);
        program.address_of(x(2), back);
        program.bind(ahead);
        program.branch_if_not_zero(x(1), ahead);
    });
    // b +12, cbz x1 -4, adr x2 -8, cbnz x1 +0
    assert_eq!(found, [0x1400_0003, 0xb4ff_ffe1, 0x10ff_ffc2, 0xb500_0001]);
}

#[test]
fn free_assembly_takes_the_same_labels() {
    let mut program = Program::new(RAM);
    let end = program.label();
    asm!(program.assembler(); mrs x0, sysreg::operand(sysreg::MIDR_EL1); b =>end; nop);
    program.bind(end);
    assert_eq!(program.here(), Gpa(0x4000_000c));
    let bytes = program.finish().unwrap();
    assert_eq!(bytes[..4], 0xd538_0000_u32.to_le_bytes());
    assert_eq!(bytes[4..8], 0x1400_0002_u32.to_le_bytes());
}

#[test]
fn unbound_label_is_an_error() {
    let mut program = Program::new(RAM);
    let nowhere = program.label();
    program.branch(nowhere);
    assert!(matches!(program.finish(), Err(ProgramError::Assemble(_))));
}

#[test]
fn vectors_are_aligned_and_go_to_their_handlers() {
    let mut program = Program::new(RAM);
    let handler = program.label();
    let mut handlers = [None; 16];
    handlers[5] = Some(handler);
    let _table = program.vectors(handlers);
    program.bind(handler);
    program.word(0xd69f_03e0);
    let bytes = program.finish().unwrap();
    let target = |entry: usize| {
        let at = 2048 + 128 * entry;
        let word = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(word >> 26, 5, "an unconditional branch");
        at + 4 * (word as usize & 0x3ff_ffff)
    };
    assert_eq!(bytes[target(5)..], 0xd69f_03e0_u32.to_le_bytes());
    let unexpected = target(0);
    assert!((0..16).filter(|&entry| entry != 5).all(|entry| target(entry) == unexpected));
    // mov x0, #9; movk x0, #0x8400, lsl #16: SYSTEM_RESET
    assert_eq!(bytes[unexpected..unexpected + 4], 0xd280_0120_u32.to_le_bytes());
    assert_eq!(bytes[unexpected + 4..unexpected + 8], 0xf2b0_8000_u32.to_le_bytes());
}

#[test]
fn vectors_are_aligned_behind_the_header_of_an_image() {
    let mut program = Program::new(Gpa(RAM.0 + IMAGE_HEADER_BYTES as u64));
    program.word(0xd503_201f);
    let table = program.vectors([None; 16]);
    program.address_of(x(0), table);
    let image = program.finish_image(1 << 20).unwrap();
    let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
    // The image lies at a multiple of 2 MiB: each entry at a multiple of 128 of it is a branch.
    for entry in 0..16 {
        assert_eq!(word(2048 + 128 * entry) >> 26, 5, "entry {entry}");
    }
    assert_eq!(word(2044), 0, "nothing but zeros before the table");
}

#[test]
fn image_has_the_documented_header() {
    let mut program = Program::new(RAM);
    program.spin();
    let image = program.finish_image(0x1_0000).unwrap();
    assert_eq!(image.len(), 68);
    assert_eq!(image[..4], 0x1400_0010_u32.to_le_bytes());
    assert_eq!(image[8..16], [0; 8]);
    assert_eq!(image[16..24], 0x1_0000_u64.to_le_bytes());
    assert_eq!(image[56..60], *b"ARMd");
    let mut program = Program::new(RAM);
    program.spin();
    assert!(matches!(
        program.finish_image(67),
        Err(ProgramError::TooLarge { len: 68, memory_bytes: 67 })
    ));
}

#[test]
fn registers_have_the_encodings_of_the_architecture() {
    // Words of `mrs x0, …` as the architecture's tables give them.
    let cases = [
        (sysreg::ICC_IAR1_EL1, 0xd538_cc00),
        (sysreg::ICC_PMR_EL1, 0xd538_4600),
        (sysreg::CNTV_CVAL_EL0, 0xd53b_e340),
        (sysreg::CNTFRQ_EL0, 0xd53b_e000),
        (sysreg::PAR_EL1, 0xd538_7400),
        (sysreg::TPIDR_EL0, 0xd53b_d040),
        (sysreg::DCZID_EL0, 0xd53b_00e0),
    ];
    for (register, expected) in cases {
        assert_eq!(words(|program| program.mrs(x(0), register)), [expected], "{register}");
    }
}
