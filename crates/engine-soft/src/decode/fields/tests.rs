//! Fields of words whose operands are known from the manual's definition of the encoding, each
//! word written next to its assembly.

use super::*;

#[test]
fn bit_ranges_include_both_ends() {
    assert_eq!(bits(0xffff_ffff, 31, 0), 0xffff_ffff);
    assert_eq!(bits(0x8000_0000, 31, 31), 1);
    assert_eq!(bits(0x0000_01e0, 8, 5), 0xf);
    assert_eq!(bits(0x0000_0210, 8, 5), 0);
}

#[test]
fn signs_are_extended_from_the_top_bit_of_the_field() {
    assert_eq!(sign_extend(0x40, 7), -64);
    assert_eq!(sign_extend(0x3f, 7), 63);
    assert_eq!(sign_extend(0xffff_ff80, 7), 0, "bits above the field do not count");
    assert_eq!(sign_extend(0x8000_0000, 32), i64::from(i32::MIN));
}

#[test]
fn registers() {
    let madd = 0x9b03_1041; // madd x1, x2, x3, x4
    assert_eq!((rd(madd), rn(madd), rm(madd), ra(madd)), (1, 2, 3, 4));
    assert!(is_64_bit(madd));
    assert!(!is_64_bit(0x1b03_1041)); // madd w1, w2, w3, w4
    let stxp = 0xc825_0c82; // stxp w5, x2, x3, [x4]
    assert_eq!((rs(stxp), rt(stxp), rt2(stxp), rn(stxp)), (5, 2, 3, 4));
    assert_eq!(exclusive_size_log2(stxp), 3);
    assert!(!is_load(stxp) && !is_acquire_release(stxp));
    let ldaxrb = 0x085f_fc20; // ldaxrb w0, [x1]
    assert_eq!(exclusive_size_log2(ldaxrb), 0);
    assert!(is_load(ldaxrb) && is_acquire_release(ldaxrb));
}

#[test]
fn immediates_of_add_and_move() {
    assert_eq!(add_sub_immediate(0x913f_fc20), 0xfff); // add x0, x1, #0xfff
    assert_eq!(add_sub_immediate(0x917f_fc20), 0xff_f000); // add x0, x1, #0xfff, lsl #12
    assert_eq!(move_wide(0xf2ff_ffe0), (0xffff, 48)); // movk x0, #0xffff, lsl #48
    assert_eq!(move_wide(0x5280_0020), (1, 0)); // mov w0, #1
}

#[test]
fn pc_relative_offsets() {
    assert_eq!(adr_offset(0x1000_0000), 0); // adr x0, .
    assert_eq!(adr_offset(0x70ff_ffe0), -1); // adr x0, .-1
    assert_eq!(adr_offset(0x1080_0000), -0x10_0000);
    assert_eq!(adrp_offset(0xb000_0000), 0x1000); // adrp x0, .+0x1000
    assert_eq!(adrp_offset(0xf0ff_ffe0), -0x1000);
    assert_eq!(adrp_offset(0x9080_0000), -0x1_0000_0000);
}

#[test]
fn branch_offsets() {
    assert_eq!(branch_offset(0x17ff_ffff), -4); // b .-4
    assert_eq!(branch_offset(0x95ff_ffff), 0x7ff_fffc); // bl, farthest forward
    assert_eq!(branch_offset(0x9600_0000), -0x800_0000);
    assert_eq!(imm19_offset(0x54ff_ffe1), -4); // b.ne .-4
    assert_eq!(branch_cond(0x54ff_ffe1), 1);
    assert_eq!(imm19_offset(0xb47f_ffe0), 0xf_fffc); // cbz x0, farthest forward
    assert_eq!(test_branch_offset(0xb7f8_0040), 8); // tbnz x0, #63, .+8
    assert_eq!(test_bit(0xb7f8_0040), 63);
    assert_eq!(test_branch_offset(0x3604_0000), -0x8000); // tbz w0, #0, farthest back
    assert_eq!(test_bit(0x3604_0000), 0);
}

#[test]
fn shifts_extensions_and_conditions() {
    let word = 0x8b82_fc20; // add x0, x1, x2, asr #63
    assert_eq!((shift_type(word), shift_amount(word)), (ShiftType::Asr, 63));
    assert_eq!(shift_type(0xaac2_0420), ShiftType::Ror); // orr x0, x1, x2, ror #1
    assert_eq!(shift_type(0x8b02_0420), ShiftType::Lsl);
    assert_eq!(shift_type(0x8b42_0420), ShiftType::Lsr);
    let word = 0x8b22_d020; // add x0, x1, w2, sxtw #4
    assert_eq!((extend_type(word), extend_shift(word)), (ExtendType::Sxtw, 4));
    let ccmp = 0xfa5f_ab04; // ccmp x24, #31, #4, ge
    assert_eq!((cond(ccmp), compare_immediate(ccmp), nzcv(ccmp)), (10, 31, 4));
    assert_eq!(crc_size_log2(0x9ac2_4c20), 3); // crc32x w0, w1, x2
    assert_eq!(crc_size_log2(0x1ac2_4020), 0); // crc32b w0, w1, w2
}

#[test]
fn extensions_take_the_low_part() {
    let value = 0x8182_8384_8586_8788;
    let extended = [
        (ExtendType::Uxtb, 0x88),
        (ExtendType::Uxth, 0x8788),
        (ExtendType::Uxtw, 0x8586_8788),
        (ExtendType::Uxtx, value),
        (ExtendType::Sxtb, 0xffff_ffff_ffff_ff88),
        (ExtendType::Sxth, 0xffff_ffff_ffff_8788),
        (ExtendType::Sxtw, 0xffff_ffff_8586_8788),
        (ExtendType::Sxtx, value),
    ];
    for (option, (extend, expected)) in (0..).zip(extended) {
        assert_eq!(extend_type(option << 13), extend);
        assert_eq!(extend.extend(value), expected, "{extend:?}");
    }
    assert_eq!(ExtendType::Sxtw.extend(0x7fff_ffff), 0x7fff_ffff);
}

#[test]
fn system_fields() {
    assert_eq!(exception_immediate(0xd420_0000 | 0x800 << 5), 0x800); // brk #0x800
    assert_eq!(hint_number(0xd503_245f), 34); // bti c
    assert_eq!(crm(0xd503_3bbf), 0xb); // dmb ish
    // msr sctlr_el1, x0 is s3_0_c1_c0_0; KVM's id of it ends in c080.
    assert_eq!(system_register(0xd518_1000), 0xc080);
    // dc civac, x0 is SYS with op0 = 1: s1_3_c7_c14_1.
    assert_eq!(system_register(0xd50b_7e20), 1 << 14 | 3 << 11 | 7 << 7 | 14 << 3 | 1);
}

#[test]
fn pstate_fields() {
    let fields = [
        (0xd500_417f, PstateField::Uao),
        (0xd500_419f, PstateField::Pan),
        (0xd500_41bf, PstateField::SpSel),
        (0xd501_411f, PstateField::AllInt),
        (0xd501_431f, PstateField::Pm),
        (0xd503_413f, PstateField::Ssbs),
        (0xd503_415f, PstateField::Dit),
        (0xd503_419f, PstateField::Tco),
        (0xd503_42df, PstateField::DaifSet),
        (0xd503_42ff, PstateField::DaifClr),
    ];
    for (word, field) in fields {
        assert_eq!(pstate_field(word), Some(field), "{word:#010x}");
        assert_eq!(crate::decode::decode(word), crate::decode::Kind::MsrImmediate);
    }
    assert_eq!(pstate_field(0xd501_441f), None, "op1 = 1, CRm = 4 is reserved");
    assert_eq!(pstate_field(0xd502_40bf), None);
}

/// Every word that the table calls MSR (immediate) has a field, and no other of the class has.
#[test]
fn pstate_field_agrees_with_the_table() {
    for operands in 0..1_u32 << 10 {
        let (op1, crm, op2) = (operands >> 7 & 7, operands >> 3 & 0xf, operands & 7);
        let word = 0xd500_401f | op1 << 16 | crm << 8 | op2 << 5;
        let is_msr = crate::decode::decode(word) == crate::decode::Kind::MsrImmediate;
        assert_eq!(pstate_field(word).is_some(), is_msr, "{word:#010x}");
    }
}

#[test]
fn transfers_by_size_and_opc() {
    let of = |word| {
        let Transfer { size_log2, load, signed, to_64 } = transfer(word);
        (size_log2, load, signed, to_64)
    };
    assert_eq!(of(0x3900_0000), (0, false, false, false)); // strb w0, [x0]
    assert_eq!(of(0x3980_0000), (0, true, true, true)); // ldrsb x0, [x0]
    assert_eq!(of(0x79c0_0000), (1, true, true, false)); // ldrsh w0, [x0]
    assert_eq!(of(0xb980_0000), (2, true, true, true)); // ldrsw x0, [x0]
    assert_eq!(of(0xb940_0000), (2, true, false, false)); // ldr w0, [x0]
    assert_eq!(of(0xf940_0000), (3, true, false, true)); // ldr x0, [x0]
}

#[test]
fn simd_sizes() {
    for (word, size_log2) in
        [(0x3d40_0000, 0), (0x7d40_0000, 1), (0xbd40_0000, 2), (0xfd40_0000, 3), (0x3dc0_0000, 4)]
    {
        assert_eq!(simd_size_log2(word), size_log2, "{word:#010x}"); // ldr b0 to q0, [x0]
        assert!(is_load(word));
    }
    assert_eq!(simd_pair_size_log2(0x2d40_0400), 2); // ldp s0, s1, [x0]
    assert_eq!(simd_pair_size_log2(0xad40_0400), 4); // ldp q0, q1, [x0]
    assert_eq!(simd_pair_size_log2(0x5c00_0000), 3); // ldr d0, .
}

#[test]
fn offsets_of_loads_and_stores() {
    assert_eq!(unsigned_offset(0xf97f_fc20, 3), 0x7ff8); // ldr x0, [x1, #32760]
    assert_eq!(signed_offset(0xf850_0c20), -256); // ldr x0, [x1, #-256]!
    assert_eq!(signed_offset(0xf84f_f420), 255); // ldr x0, [x1], #255
    assert_eq!(register_offset_shift(0xf862_7820, 3), 3); // ldr x0, [x1, x2, lsl #3]
    assert_eq!(register_offset_shift(0xf862_6820, 3), 0); // ldr x0, [x1, x2]
    assert_eq!(pair_size_log2(0xa940_0400), 3); // ldp x0, x1, [x0]
    assert_eq!(pair_size_log2(0x6940_0400), 2); // ldpsw x0, x1, [x0]
    assert_eq!(literal_size_log2(0x5800_0040), 3); // ldr x0, .+8
    assert_eq!(literal_size_log2(0x1800_0040), 2); // ldr w0, .+8
    assert_eq!(pair_offset(0xa9bf_7bfd, 3), -16); // stp x29, x30, [sp, #-16]!
    assert_eq!(pair_offset(0xad60_0400, 4), -1024); // ldp q0, q1, [x0, #-1024]
}

/// The reserved values are those the manual's table of element sizes leaves out, and the others
/// give exactly the replicated, rotated runs of ones, each once.
#[test]
fn logical_immediates_are_all_the_rotated_runs_and_nothing_else() {
    let mut expected = std::collections::BTreeSet::new();
    for size in [2_u32, 4, 8, 16, 32, 64] {
        for ones in 1..size {
            for rotation in 0..size {
                let mut value = 0_u64;
                for at in 0..64 {
                    if (at + rotation) % size < ones {
                        value |= 1 << at;
                    }
                }
                expected.insert(value);
            }
        }
    }
    assert_eq!(expected.len(), 5334, "the number of 64-bit logical immediates");
    let is_reserved_in_table =
        |word| crate::decode::decode(word) == crate::decode::Kind::Unallocated;
    let mut found = std::collections::BTreeSet::new();
    for operands in 0..1_u32 << 13 {
        let word = 0x9200_0000 | operands << 10; // and x0, x0, #...
        let value = logical_immediate(word);
        assert_eq!(value.is_none(), is_reserved_in_table(word), "{word:#010x}");
        found.extend(value);
        let half = logical_immediate(word & 0x7fff_ffff);
        assert_eq!(half.is_none(), is_reserved_in_table(word & 0x7fff_ffff), "{word:#010x}");
        assert_eq!(half, value.filter(|_| !immn(word)).map(|value| value & 0xffff_ffff));
    }
    assert_eq!(found, expected);
}

/// `wmask` and `tmask` as the pseudocode of UBFM uses them: a rotation and a mask give the field
/// that the alias LSR, LSL or UBFX names [DDI0487 C6.2 UBFM].
#[test]
fn bitfield_masks_extract_and_insert() {
    let ubfm = |value: u64, immr: u32, imms: u32| {
        let (wmask, tmask) = decode_bit_masks(true, imms, immr, true).expect("64-bit element");
        value.rotate_right(immr) & wmask & tmask
    };
    let value = 0x0123_4567_89ab_cdef;
    for at in 0..64 {
        assert_eq!(ubfm(value, at, 63), value >> at, "lsr #{at}");
        if at > 0 {
            assert_eq!(ubfm(value, 64 - at, 63 - at), value << at, "lsl #{at}");
        }
    }
    assert_eq!(ubfm(value, 8, 23), value >> 8 & 0xffff, "ubfx #8, #16");
    assert_eq!(decode_bit_masks(true, 63, 0, false), None, "64-bit element in a W register");
    assert_eq!(decode_bit_masks(false, 0x3e, 0, true), None, "element of one bit");
    assert_eq!(decode_bit_masks(false, 0x3f, 0, true), None, "no element");
    assert_eq!(
        decode_bit_masks(false, 31, 0, false),
        Some((0xffff_ffff, 0xffff_ffff)),
        "asr w0, w0, #0 keeps all bits"
    );
}
