//! Lowering of loads and stores.

use super::{Code, Op, read, slot, sp, write};
use crate::decode::{Kind, Structures, fields};

/// Fields of `aux` of [`Code::Access`], [`Code::SimdOne`] and [`Code::SimdPair`].
pub(crate) mod access {
    /// Bytes as a power of two: 0…4.
    pub const SIZE: u32 = 7;
    /// From memory into the register.
    pub const LOAD: u32 = 1 << 3;
    /// Sign-extended.
    pub const SIGNED: u32 = 1 << 4;
    /// Sign-extended to 64 bits rather than 32.
    pub const TO_64: u32 = 1 << 5;
    /// Load-acquire or store-release: ordered, and alignment is demanded.
    pub const ORDERED: u32 = 1 << 6;
    /// With the rights of EL0.
    pub const UNPRIVILEGED: u32 = 1 << 7;
    /// Where the extension of the index register stands, three bits.
    pub const EXTEND_SHIFT: u32 = 8;
    /// Where the left shift of the index register stands, three bits.
    pub const SHIFT_SHIFT: u32 = 11;
    /// The base is written back.
    pub const WRITE_BACK: u32 = 1 << 16;
    /// The offset counts only after the access.
    pub const POST: u32 = 1 << 17;
    /// The base is the PC.
    pub const LITERAL: u32 = 1 << 18;
    /// Where the number of the function stands that does the access if the TLB answers it:
    /// [`fast`] and the size, for pairs and [`FAST_PAIRS`].
    pub const FAST_SHIFT: u32 = 24;
    pub const FAST_PAIRS: u32 = 64;
    /// There is none.
    pub const FAST_NEVER: u32 = 255;
    /// Forms: base plus offset, with an update of the base before or behind the access, base plus
    /// register.
    pub const FAST_OFFSET: u32 = 0;
    pub const FAST_PRE: u32 = 1;
    pub const FAST_POST: u32 = 2;
    pub const FAST_REGISTER: u32 = 3;

    /// The number of the first function of a form.
    pub const fn fast(form: u32, load: bool) -> u32 {
        form << 4 | if load { 8 } else { 0 }
    }
}

/// Fields of `aux` of [`Code::SimdRows`] above those of [`Code::Group`].
pub(crate) mod rows {
    /// Where the number of registers stands, three bits.
    pub const COUNT_SHIFT: u32 = 16;
    /// Whole registers, and not their lower halves.
    pub const QUAD: u32 = 1 << 20;
    pub const LOAD: u32 = 1 << 21;
    /// The base is written back: plus `m`, or plus the length where that is no register.
    pub const POST: u32 = 1 << 22;
}

/// Fields of `aux` of [`Code::Exclusive`].
pub(crate) mod exclusive {
    /// Bytes of one register as a power of two: 0…3.
    pub const SIZE: u32 = 3;
    pub const LOAD: u32 = 1 << 3;
    pub const PAIR: u32 = 1 << 4;
    pub const ORDERED: u32 = 1 << 5;
    /// Where the status register stands.
    pub const STATUS_SHIFT: u32 = 8;
}

/// The bits of a base register that must be clear: those of SP, where SCTLR_EL1 says so.
const fn base_mask(n: u8) -> u8 {
    if n == slot::SP { 15 } else { 0 }
}

/// The op of a load or store; `None` for other kinds.
pub(super) fn lower(kind: Kind, word: u32) -> Option<Op> {
    one_register(kind, word)
        .or_else(|| general_register(kind, word))
        .or_else(|| literal(kind, word))
        .or_else(|| pair(kind, word))
        .or_else(|| exclusive_or_ordered(kind, word))
        .or_else(|| simd(kind, word))
}

/// How a load or store of one register forms its address.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Unscaled,
    Unsigned,
    Pre,
    Post,
    Register,
}

#[rustfmt::skip]
fn one_register(kind: Kind, word: u32) -> Option<Op> {
    use Code::*;
    const I: usize = 0;
    const U: usize = 1;
    const R: usize = 2;
    let pick = |codes: [Code; 3], form: Form| codes[match form {
        Form::Unscaled | Form::Unsigned => I,
        Form::Pre | Form::Post => U,
        Form::Register => R,
    }];
    let (form, codes) = match kind {
        Kind::Sturb => (Form::Unscaled, [StrbI, StrbU, StrbR]),
        Kind::StrbImmediatePost => (Form::Post, [StrbI, StrbU, StrbR]),
        Kind::StrbImmediatePre => (Form::Pre, [StrbI, StrbU, StrbR]),
        Kind::StrbRegister => (Form::Register, [StrbI, StrbU, StrbR]),
        Kind::StrbImmediateUnsigned => (Form::Unsigned, [StrbI, StrbU, StrbR]),
        Kind::Sturh => (Form::Unscaled, [StrhI, StrhU, StrhR]),
        Kind::StrhImmediatePost => (Form::Post, [StrhI, StrhU, StrhR]),
        Kind::StrhImmediatePre => (Form::Pre, [StrhI, StrhU, StrhR]),
        Kind::StrhRegister => (Form::Register, [StrhI, StrhU, StrhR]),
        Kind::StrhImmediateUnsigned => (Form::Unsigned, [StrhI, StrhU, StrhR]),
        Kind::Stur => (Form::Unscaled, str_codes(word)),
        Kind::StrImmediatePost => (Form::Post, str_codes(word)),
        Kind::StrImmediatePre => (Form::Pre, str_codes(word)),
        Kind::StrRegister => (Form::Register, str_codes(word)),
        Kind::StrImmediateUnsigned => (Form::Unsigned, str_codes(word)),
        Kind::Ldurb => (Form::Unscaled, [LdrbI, LdrbU, LdrbR]),
        Kind::LdrbImmediatePost => (Form::Post, [LdrbI, LdrbU, LdrbR]),
        Kind::LdrbImmediatePre => (Form::Pre, [LdrbI, LdrbU, LdrbR]),
        Kind::LdrbRegister => (Form::Register, [LdrbI, LdrbU, LdrbR]),
        Kind::LdrbImmediateUnsigned => (Form::Unsigned, [LdrbI, LdrbU, LdrbR]),
        Kind::Ldurh => (Form::Unscaled, [LdrhI, LdrhU, LdrhR]),
        Kind::LdrhImmediatePost => (Form::Post, [LdrhI, LdrhU, LdrhR]),
        Kind::LdrhImmediatePre => (Form::Pre, [LdrhI, LdrhU, LdrhR]),
        Kind::LdrhRegister => (Form::Register, [LdrhI, LdrhU, LdrhR]),
        Kind::LdrhImmediateUnsigned => (Form::Unsigned, [LdrhI, LdrhU, LdrhR]),
        Kind::Ldur => (Form::Unscaled, ldr_codes(word)),
        Kind::LdrImmediatePost => (Form::Post, ldr_codes(word)),
        Kind::LdrImmediatePre => (Form::Pre, ldr_codes(word)),
        Kind::LdrRegister => (Form::Register, ldr_codes(word)),
        Kind::LdrImmediateUnsigned => (Form::Unsigned, ldr_codes(word)),
        Kind::Ldursb => (Form::Unscaled, ldrsb_codes(word)),
        Kind::LdrsbImmediatePost => (Form::Post, ldrsb_codes(word)),
        Kind::LdrsbImmediatePre => (Form::Pre, ldrsb_codes(word)),
        Kind::LdrsbRegister => (Form::Register, ldrsb_codes(word)),
        Kind::LdrsbImmediateUnsigned => (Form::Unsigned, ldrsb_codes(word)),
        Kind::Ldursh => (Form::Unscaled, ldrsh_codes(word)),
        Kind::LdrshImmediatePost => (Form::Post, ldrsh_codes(word)),
        Kind::LdrshImmediatePre => (Form::Pre, ldrsh_codes(word)),
        Kind::LdrshRegister => (Form::Register, ldrsh_codes(word)),
        Kind::LdrshImmediateUnsigned => (Form::Unsigned, ldrsh_codes(word)),
        Kind::Ldursw => (Form::Unscaled, [LdrswI, Access, LdrswR]),
        Kind::LdrswImmediatePost => (Form::Post, [LdrswI, Access, LdrswR]),
        Kind::LdrswImmediatePre => (Form::Pre, [LdrswI, Access, LdrswR]),
        Kind::LdrswRegister => (Form::Register, [LdrswI, Access, LdrswR]),
        Kind::LdrswImmediateUnsigned => (Form::Unsigned, [LdrswI, Access, LdrswR]),
        Kind::Prfum | Kind::PrfmRegister | Kind::PrfmImmediate => return Some(Op::new(Nop)),
        _ => return None,
    };
    addressed(form, pick(codes, form), word)
}

const fn str_codes(word: u32) -> [Code; 3] {
    match word >> 30 {
        2 => [Code::StrWI, Code::StrWU, Code::StrWR],
        _ => [Code::StrXI, Code::StrXU, Code::StrXR],
    }
}

const fn ldr_codes(word: u32) -> [Code; 3] {
    match word >> 30 {
        2 => [Code::LdrWI, Code::LdrWU, Code::LdrWR],
        _ => [Code::LdrXI, Code::LdrXU, Code::LdrXR],
    }
}

const fn ldrsb_codes(word: u32) -> [Code; 3] {
    match fields::transfer(word).to_64 {
        true => [Code::LdrsbXI, Code::Access, Code::LdrsbXR],
        false => [Code::LdrsbWI, Code::Access, Code::Access],
    }
}

const fn ldrsh_codes(word: u32) -> [Code; 3] {
    match fields::transfer(word).to_64 {
        true => [Code::LdrshXI, Code::Access, Code::Access],
        false => [Code::LdrshWI, Code::Access, Code::Access],
    }
}

fn addressed(form: Form, code: Code, word: u32) -> Option<Op> {
    if code == Code::Access {
        return Some(general(form, word));
    }
    let transfer = fields::transfer(word);
    let rt = fields::rt(word);
    let d = if transfer.load { write(rt) } else { read(rt) };
    let n = sp(fields::rn(word));
    let op = Op { d, n, m: base_mask(n), ..Op::new(code) };
    let signed = fields::signed_offset(word);
    Some(match form {
        Form::Unscaled => Op { imm: signed.cast_unsigned(), ..op },
        Form::Unsigned => Op { imm: fields::unsigned_offset(word, transfer.size_log2), ..op },
        Form::Pre => Op { aux: low_half(signed), imm: signed.cast_unsigned(), ..op },
        Form::Post => Op { aux: 0, imm: signed.cast_unsigned(), ..op },
        Form::Register => {
            let shift = fields::register_offset_shift(word, transfer.size_log2);
            let m = read(fields::rm(word));
            let extend = fields::extend_type(word);
            if matches!(extend, fields::ExtendType::Uxtx | fields::ExtendType::Sxtx) {
                let mask = u32::from(base_mask(n));
                return Some(Op { m, aux: shift | mask << 8, ..op });
            }
            let fast = match code {
                Code::LdrbR => Some(Code::LdrbE),
                Code::LdrWR => Some(Code::LdrWE),
                Code::LdrXR => Some(Code::LdrXE),
                _ => None,
            };
            if let Some(code) = fast {
                let signed = u64::from(extend == fields::ExtendType::Sxtw);
                let mask = u32::from(base_mask(n));
                return Some(Op { code, m, aux: shift | mask << 8, imm: signed, ..op });
            }
            general(form, word)
        }
    })
}

/// The op for forms without one of their own.
fn general(form: Form, word: u32) -> Op {
    let transfer = fields::transfer(word);
    let rt = fields::rt(word);
    let d = if transfer.load { write(rt) } else { read(rt) };
    let op = Op { d, n: sp(fields::rn(word)), m: slot::ZERO, ..Op::new(Code::Access) };
    let signed = fields::signed_offset(word).cast_unsigned();
    let bits = transfer_bits(transfer);
    match form {
        Form::Unscaled => Op { aux: bits | NO_INDEX, imm: signed, ..op },
        Form::Unsigned => {
            let imm = fields::unsigned_offset(word, transfer.size_log2);
            Op { aux: bits | NO_INDEX, imm, ..op }
        }
        Form::Pre => Op { aux: bits | NO_INDEX | access::WRITE_BACK, imm: signed, ..op },
        Form::Post => {
            let post = access::WRITE_BACK | access::POST;
            Op { aux: bits | NO_INDEX | post, imm: signed, ..op }
        }
        Form::Register => {
            let shift = fields::register_offset_shift(word, transfer.size_log2);
            let extend = (fields::extend_type(word) as u32) << access::EXTEND_SHIFT;
            let aux = bits | extend | shift << access::SHIFT_SHIFT;
            Op { m: read(fields::rm(word)), aux, ..op }
        }
    }
}

/// A small signed offset as the low 32 bits of its two's complement.
#[expect(clippy::cast_possible_truncation, reason = "offsets of instructions have few bits")]
const fn low_half(offset: i64) -> u32 {
    offset.cast_unsigned() as u32
}

const fn transfer_bits(transfer: fields::Transfer) -> u32 {
    let mut bits = transfer.size_log2;
    if transfer.load {
        bits |= access::LOAD;
    }
    if transfer.signed {
        bits |= access::SIGNED;
    }
    if transfer.to_64 {
        bits |= access::TO_64;
    }
    bits
}

const NO_INDEX: u32 = (fields::ExtendType::Uxtx as u32) << access::EXTEND_SHIFT;

/// Unprivileged accesses, and those with load-acquire or store-release.
fn general_register(kind: Kind, word: u32) -> Option<Op> {
    let n = sp(fields::rn(word));
    let rt = fields::rt(word);
    let op = Op { n, m: slot::ZERO, ..Op::new(Code::Access) };
    match kind {
        Kind::Sttrb
        | Kind::Ldtrb
        | Kind::Ldtrsb
        | Kind::Sttrh
        | Kind::Ldtrh
        | Kind::Ldtrsh
        | Kind::Sttr
        | Kind::Ldtr
        | Kind::Ldtrsw => {
            let transfer = fields::transfer(word);
            let d = if transfer.load { write(rt) } else { read(rt) };
            let aux = transfer_bits(transfer) | access::UNPRIVILEGED | NO_INDEX;
            Some(Op { d, aux, imm: fields::signed_offset(word).cast_unsigned(), ..op })
        }
        _ => None,
    }
}

fn literal(kind: Kind, word: u32) -> Option<Op> {
    let code = match kind {
        Kind::LdrLiteral if word >> 30 & 1 == 1 => Code::LdrXLit,
        Kind::LdrLiteral => Code::LdrWLit,
        Kind::LdrswLiteral => Code::LdrswLit,
        Kind::PrfmLiteral => Code::Nop,
        _ => return None,
    };
    let imm = fields::imm19_offset(word).cast_unsigned();
    Some(Op { d: write(fields::rt(word)), imm, ..Op::new(code) })
}

fn pair(kind: Kind, word: u32) -> Option<Op> {
    let x = word >> 31 == 1;
    let pick = |x_code, w_code| if x { x_code } else { w_code };
    let (code, load, form) = match kind {
        Kind::Stnp | Kind::StpOffset => (pick(Code::StpXI, Code::StpWI), false, Form::Unscaled),
        Kind::Ldnp | Kind::LdpOffset => (pick(Code::LdpXI, Code::LdpWI), true, Form::Unscaled),
        Kind::LdpswOffset => (Code::LdpswI, true, Form::Unscaled),
        Kind::StpPre => (pick(Code::StpXU, Code::StpWU), false, Form::Pre),
        Kind::StpPost => (pick(Code::StpXU, Code::StpWU), false, Form::Post),
        Kind::LdpPre => (pick(Code::LdpXU, Code::LdpWU), true, Form::Pre),
        Kind::LdpPost => (pick(Code::LdpXU, Code::LdpWU), true, Form::Post),
        Kind::LdpswPre => (Code::LdpswU, true, Form::Pre),
        Kind::LdpswPost => (Code::LdpswU, true, Form::Post),
        _ => return None,
    };
    let register = |field| if load { write(field) } else { read(field) };
    let n = sp(fields::rn(word));
    let offset = fields::pair_offset(word, fields::pair_size_log2(word));
    let before = if form == Form::Post { 0 } else { low_half(offset) & 0xffff };
    Some(Op {
        code,
        d: register(fields::rt(word)),
        n,
        m: register(fields::rt2(word)),
        aux: before | u32::from(base_mask(n)) << 16,
        imm: offset.cast_unsigned(),
    })
}

fn exclusive_or_ordered(kind: Kind, word: u32) -> Option<Op> {
    let size = fields::exclusive_size_log2(word);
    let rt = fields::rt(word);
    let n = sp(fields::rn(word));
    match kind {
        // LDLAR and STLLR belong to FEAT_LOR, which is hidden.
        Kind::Ldarb | Kind::Ldarh | Kind::Ldar => {
            let aux = size | access::LOAD | access::ORDERED | access::TO_64 | NO_INDEX;
            Some(Op { d: write(rt), n, m: slot::ZERO, aux, ..Op::new(Code::Access) })
        }
        Kind::Stlrb | Kind::Stlrh | Kind::Stlr => {
            let aux = size | access::ORDERED | NO_INDEX;
            Some(Op { d: read(rt), n, m: slot::ZERO, aux, ..Op::new(Code::Access) })
        }
        _ => {
            let (load, pair) = match kind {
                Kind::Ldxrb | Kind::Ldxrh | Kind::Ldxr => (true, false),
                Kind::Ldaxrb | Kind::Ldaxrh | Kind::Ldaxr => (true, false),
                Kind::Stxrb | Kind::Stxrh | Kind::Stxr => (false, false),
                Kind::Stlxrb | Kind::Stlxrh | Kind::Stlxr => (false, false),
                Kind::Ldxp | Kind::Ldaxp => (true, true),
                Kind::Stxp | Kind::Stlxp => (false, true),
                _ => return None,
            };
            let register = |field| if load { write(field) } else { read(field) };
            let mut aux = size;
            aux |= if load { exclusive::LOAD } else { 0 };
            aux |= if pair { exclusive::PAIR } else { 0 };
            aux |= if fields::is_acquire_release(word) { exclusive::ORDERED } else { 0 };
            aux |= u32::from(write(fields::rs(word))) << exclusive::STATUS_SHIFT;
            let (d, m) = (register(rt), register(fields::rt2(word)));
            Some(Op { d, n, m, aux, ..Op::new(Code::Exclusive) })
        }
    }
}

fn simd(kind: Kind, word: u32) -> Option<Op> {
    const PRE: u32 = access::WRITE_BACK;
    const POST: u32 = access::WRITE_BACK | access::POST;
    let (d, n) = (fields::rt(word), sp(fields::rn(word)));
    let is_load = fields::is_load(word);
    let load = if is_load { access::LOAD } else { 0 };
    let fast = |form, size: u32| (access::fast(form, is_load) + size) << access::FAST_SHIFT;
    let signed = fields::signed_offset(word).cast_unsigned();
    let size = fields::simd_size_log2(word);
    let one = Op { d, n, m: slot::ZERO, ..Op::new(Code::SimdOne) };
    let bits = |form| size | load | NO_INDEX | fast(form, size);
    let pair_size = fields::simd_pair_size_log2(word);
    let pair = |flags, form| Op {
        d,
        n,
        m: fields::rt2(word),
        aux: pair_size | load | flags | fast(form, access::FAST_PAIRS + pair_size),
        imm: fields::pair_offset(word, pair_size).cast_unsigned(),
        ..Op::new(Code::SimdPair)
    };
    Some(match kind {
        Kind::LdrSimdLiteral => {
            let never = access::FAST_NEVER << access::FAST_SHIFT;
            let aux = pair_size | access::LOAD | access::LITERAL | NO_INDEX | never;
            Op { aux, imm: fields::imm19_offset(word).cast_unsigned(), ..one }
        }
        Kind::StnpSimd | Kind::LdnpSimd | Kind::StpSimdOffset | Kind::LdpSimdOffset => {
            pair(0, access::FAST_OFFSET)
        }
        Kind::StpSimdPre | Kind::LdpSimdPre => pair(PRE, access::FAST_PRE),
        Kind::StpSimdPost | Kind::LdpSimdPost => pair(POST, access::FAST_POST),
        Kind::SturSimd | Kind::LdurSimd => {
            Op { aux: bits(access::FAST_OFFSET), imm: signed, ..one }
        }
        Kind::StrSimdImmediatePost | Kind::LdrSimdImmediatePost => {
            Op { aux: bits(access::FAST_POST) | POST, imm: signed, ..one }
        }
        Kind::StrSimdImmediatePre | Kind::LdrSimdImmediatePre => {
            Op { aux: bits(access::FAST_PRE) | PRE, imm: signed, ..one }
        }
        Kind::StrSimdImmediateUnsigned | Kind::LdrSimdImmediateUnsigned => {
            let imm = fields::unsigned_offset(word, size);
            Op { aux: bits(access::FAST_OFFSET), imm, ..one }
        }
        Kind::StrSimdRegister | Kind::LdrSimdRegister => {
            let shift = fields::register_offset_shift(word, size) << access::SHIFT_SHIFT;
            let index = (fields::extend_type(word) as u32) << access::EXTEND_SHIFT;
            let aux = size | load | index | shift | fast(access::FAST_REGISTER, size);
            Op { m: read(fields::rm(word)), aux, ..one }
        }
        _ => return None,
    })
}

/// The op of an LD1 or ST1 of whole registers; `group` is the one for all structures.
pub(super) fn structures(kind: Structures, word: u32, group: Op) -> Option<Op> {
    let load = match kind {
        Structures::Ld1Multiple => rows::LOAD,
        Structures::St1Multiple => 0,
        _ => return None,
    };
    let count = match fields::bits(word, 15, 12) {
        0b0111 => 1,
        0b1010 => 2,
        0b0110 => 3,
        _ => 4,
    };
    let quad = if fields::bit(word, 30) { rows::QUAD } else { 0 };
    let post = if fields::bit(word, 23) { rows::POST } else { 0 };
    Some(Op {
        code: Code::SimdRows,
        d: fields::rt(word),
        n: sp(fields::rn(word)),
        m: read(fields::rm(word)),
        aux: group.aux | count << rows::COUNT_SHIFT | quad | load | post,
        ..group
    })
}
