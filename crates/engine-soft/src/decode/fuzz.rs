//! The body of the decoder's fuzz target.

use super::fields;
use super::{Kind, entries, lookup};

/// Decodes the little-endian words of `data` and checks what execution relies on: one line for
/// each word, and fields in the range that the line promises. Bytes after the last whole word are
/// ignored.
///
/// # Panics
/// When one of these does not hold.
pub fn fuzz_decode(data: &[u8]) {
    for bytes in data.as_chunks().0 {
        check_word(u32::from_le_bytes(*bytes));
    }
}

fn check_word(word: u32) {
    let line = lookup(word);
    let claims = entries().filter(|line| line.contains(word)).count();
    assert!(claims == 1 && line.contains(word), "{word:#010x} is claimed by {claims} lines");
    let width = if fields::is_64_bit(word) { 64 } else { 32 };
    let fields_in_range = match line.kind() {
        Kind::AndImmediate | Kind::OrrImmediate | Kind::EorImmediate | Kind::AndsImmediate => {
            fields::logical_immediate(word).is_some()
        }
        Kind::Sbfm | Kind::Bfm | Kind::Ubfm => {
            fields::decode_bit_masks(
                fields::immn(word),
                fields::imms(word),
                fields::immr(word),
                width == 64,
            )
            .is_some()
                && fields::imms(word) < width
                && fields::immr(word) < width
        }
        Kind::Extr => fields::imms(word) < width,
        Kind::Movn | Kind::Movz | Kind::Movk => fields::move_wide(word).1 < width,
        Kind::Tbz | Kind::Tbnz => fields::test_bit(word) < width,
        Kind::AddShiftedRegister
        | Kind::AddsShiftedRegister
        | Kind::SubShiftedRegister
        | Kind::SubsShiftedRegister => {
            fields::shift_amount(word) < width && fields::shift_type(word) != fields::ShiftType::Ror
        }
        Kind::AndShiftedRegister
        | Kind::BicShiftedRegister
        | Kind::OrrShiftedRegister
        | Kind::OrnShiftedRegister
        | Kind::EorShiftedRegister
        | Kind::EonShiftedRegister
        | Kind::AndsShiftedRegister
        | Kind::BicsShiftedRegister => fields::shift_amount(word) < width,
        Kind::AddExtendedRegister
        | Kind::AddsExtendedRegister
        | Kind::SubExtendedRegister
        | Kind::SubsExtendedRegister => fields::extend_shift(word) <= 4,
        Kind::MsrImmediate => fields::pstate_field(word).is_some(),
        Kind::Crc32x | Kind::Crc32cx => width == 64 && fields::crc_size_log2(word) == 3,
        kind => load_or_store_in_range(kind, word),
    };
    assert!(fields_in_range, "{word:#010x} is {} with a field out of range", line.kind());
}

/// Sizes of what loads and stores transfer; true for all other kinds.
fn load_or_store_in_range(kind: Kind, word: u32) -> bool {
    match kind {
        Kind::LdrswImmediateUnsigned
        | Kind::LdrswImmediatePost
        | Kind::LdrswImmediatePre
        | Kind::LdrswRegister
        | Kind::Ldursw
        | Kind::Ldtrsw => {
            let expected = fields::Transfer { size_log2: 2, load: true, signed: true, to_64: true };
            fields::transfer(word) == expected
        }
        Kind::StrSimdImmediateUnsigned
        | Kind::StrSimdImmediatePost
        | Kind::StrSimdImmediatePre
        | Kind::StrSimdRegister
        | Kind::SturSimd => fields::simd_size_log2(word) <= 4 && !fields::is_load(word),
        Kind::LdrSimdImmediateUnsigned
        | Kind::LdrSimdImmediatePost
        | Kind::LdrSimdImmediatePre
        | Kind::LdrSimdRegister
        | Kind::LdurSimd => fields::simd_size_log2(word) <= 4 && fields::is_load(word),
        Kind::StpSimdPost
        | Kind::StpSimdOffset
        | Kind::StpSimdPre
        | Kind::StnpSimd
        | Kind::LdpSimdPost
        | Kind::LdpSimdOffset
        | Kind::LdpSimdPre
        | Kind::LdnpSimd
        | Kind::LdrSimdLiteral => fields::simd_pair_size_log2(word) <= 4,
        Kind::LdpswPost | Kind::LdpswOffset | Kind::LdpswPre => fields::pair_size_log2(word) == 2,
        Kind::Stxp | Kind::Stlxp | Kind::Ldxp | Kind::Ldaxp => {
            fields::exclusive_size_log2(word) >= 2
                && fields::is_acquire_release(word) == matches!(kind, Kind::Stlxp | Kind::Ldaxp)
        }
        _ => true,
    }
}
