//! The program that runs the script, as instruction words: the same on every machine.

/// Offsets of labels in [`CODE`], in bytes.
pub const LOOP: u64 = 0x50;
pub const COMMON: u64 = 0xb0;

/// Instruction words with their assembly text.
#[rustfmt::skip]
pub const CODE: [u32; 93] = [
    // start: Starts with the MMU off. Operands: see `script::image`.
    0x1000_2014, // adr x20, the operands
    0xa940_0680, // ldp x0, x1, [x20]
    0xd518_a200, // msr mair_el1, x0
    0xd518_2041, // msr tcr_el1, x1
    0xa941_0680, // ldp x0, x1, [x20, #16]
    0xd518_2000, // msr ttbr0_el1, x0
    0xd518_2021, // msr ttbr1_el1, x1
    0xa942_2a89, // ldp x9, x10, [x20, #32]
    0xd518_c00a, // msr vbar_el1, x10
    0xa943_5693, // ldp x19, x21, [x20, #48]
    0xa944_6297, // ldp x23, x24, [x20, #64]
    0xa945_6a99, // ldp x25, x26, [x20, #80]
    0xf940_328b, // ldr x11, [x20, #96]
    0xd280_0016, // mov x22, #0x0
    0xd508_871f, // tlbi vmalle1
    0xd503_3b9f, // dsb ish
    0xd503_3fdf, // isb
    0xd518_1009, // msr sctlr_el1, x9
    0xd503_3fdf, // isb
    0xd61f_0160, // br x11
    // loop: The next entry of the script at x19, if there is one.
    0xb400_08d5, // cbz x21, done
    0xa940_2a69, // ldp x9, x10, [x19]
    0xa941_326b, // ldp x11, x12, [x19, #16]
    0xa942_0660, // ldp x0, x1, [x19, #32]
    0xa943_3a6d, // ldp x13, x14, [x19, #48]
    0xf900_02ed, // str x13, [x23]
    0xd503_3b9f, // dsb ish
    0xd50b_7538, // ic ivau, x24
    0xd503_3b9f, // dsb ish
    0xd503_3fdf, // isb
    0xd518_204a, // msr tcr_el1, x10
    0xd518_200b, // msr ttbr0_el1, x11
    0xd518_104c, // msr cpacr_el1, x12
    0xd503_3fdf, // isb
    0xd508_871f, // tlbi vmalle1
    0xd503_3b9f, // dsb ish
    0xd503_3fdf, // isb
    0xd518_1009, // msr sctlr_el1, x9
    0xd503_3fdf, // isb
    0xd518_4038, // msr elr_el1, x24
    0xd518_400e, // msr spsr_el1, x14
    0xd280_0002, // mov x2, #0x0
    0xd503_3f5f, // clrex
    0xd69f_03e0, // eret
    // common: Every exception ends here, its vector in x18: prints the line, goes on.
    0xaa16_03fb, // mov x27, x22
    0x9400_001c, // bl print
    0xaa12_03fb, // mov x27, x18
    0x9400_001a, // bl print
    0xd538_521c, // mrs x28, esr_el1
    0xaa1c_03fb, // mov x27, x28
    0x9400_0017, // bl print
    0xd35a_ff9c, // lsr x28, x28, #26
    0x9adc_275c, // lsr x28, x26, x28
    0xd538_601b, // mrs x27, far_el1
    0xf240_039f, // tst x28, #0x1
    0x9a9f_137b, // csel x27, x27, xzr, ne
    0x9400_0011, // bl print
    0xd538_403b, // mrs x27, elr_el1
    0x9400_000f, // bl print
    0xd538_401b, // mrs x27, spsr_el1
    0x9400_000d, // bl print
    0xaa00_03fb, // mov x27, x0
    0x9400_000b, // bl print
    0xaa01_03fb, // mov x27, x1
    0x9400_0009, // bl print
    0xaa02_03fb, // mov x27, x2
    0x9400_0007, // bl print
    0x5280_014a, // mov w10, #0xa
    0xb900_032a, // str w10, [x25]
    0x9101_0273, // add x19, x19, #0x40
    0xd100_06b5, // sub x21, x21, #0x1
    0x9100_06d6, // add x22, x22, #0x1
    0x17ff_ffcc, // b loop
    // print: Prints x27 in hexadecimal and a space.
    0xb240_036a, // orr x10, x27, #0x1
    0xdac0_1149, // clz x9, x10
    0x927e_0d29, // and x9, x9, #0x3c
    0xd280_078a, // mov x10, #0x3c
    0xcb09_0149, // sub x9, x10, x9
    0x9ac9_276a, // lsr x10, x27, x9
    0x9240_0d4a, // and x10, x10, #0xf
    0x9100_c14b, // add x11, x10, #0x30
    0x9101_5d4c, // add x12, x10, #0x57
    0xf100_295f, // cmp x10, #0xa
    0x9a8c_316a, // csel x10, x11, x12, cc
    0xb900_032a, // str w10, [x25]
    0xf100_1129, // subs x9, x9, #0x4
    0x54ff_ff05, // b.pl print + 0x14
    0x5280_040a, // mov w10, #0x20
    0xb900_032a, // str w10, [x25]
    0xd65f_03c0, // ret
    // done: PSCI SYSTEM_OFF.
    0x5280_0100, // mov w0, #0x8
    0x72b0_8000, // movk w0, #0x8400, lsl #16
    0xd400_0002, // hvc #0x0
];
