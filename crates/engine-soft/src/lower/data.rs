//! Lowering of data processing.

use super::Action::{Call, Loop};
use super::{Action, Code, Op, Rare, read, slot, sp, write};
use crate::decode::{Kind, fields};

/// The op of a data-processing instruction; `None` for other kinds.
pub(super) fn lower(kind: Kind, word: u32) -> Option<Op> {
    immediate(kind, word)
        .or_else(|| bitfield(kind, word))
        .or_else(|| shifted(kind, word))
        .or_else(|| extended(kind, word))
        .or_else(|| three_sources(kind, word))
        .or_else(|| conditional(kind, word))
        .or_else(|| two_sources(kind, word))
        .or_else(|| one_source(kind, word))
}

/// The 64-bit code or the 32-bit code, as `sf` says.
fn width<T>(word: u32, x: T, w: T) -> T {
    if fields::is_64_bit(word) { x } else { w }
}

/// An op with the usual three registers.
fn dnm(word: u32, action: Action) -> Op {
    Op {
        d: write(fields::rd(word)),
        n: read(fields::rn(word)),
        m: read(fields::rm(word)),
        ..Op::of(action)
    }
}

/// A value cut to the width that `sf` says.
const fn cut(word: u32, value: u64) -> u64 {
    if fields::is_64_bit(word) { value } else { value & 0xffff_ffff }
}

fn immediate(kind: Kind, word: u32) -> Option<Op> {
    let d = write(fields::rd(word));
    let n = read(fields::rn(word));
    let pick = |x, w| width(word, x, w);
    let add = || fields::add_sub_immediate(word);
    let logical = || fields::logical_immediate(word);
    Some(match kind {
        Kind::Adr => Op { d, imm: fields::adr_offset(word).cast_unsigned(), ..Op::new(Code::Adr) },
        Kind::Adrp => {
            Op { d, imm: fields::adrp_offset(word).cast_unsigned(), ..Op::new(Code::Adrp) }
        }
        Kind::AddImmediate | Kind::SubImmediate => {
            let imm = if kind == Kind::AddImmediate { add() } else { add().wrapping_neg() };
            let (d, n) = (sp(fields::rd(word)), sp(fields::rn(word)));
            Op { d, n, imm, ..Op::new(pick(Code::AddImmX, Code::AddImmW)) }
        }
        Kind::AddsImmediate => {
            let n = sp(fields::rn(word));
            Op { d, n, imm: add(), ..Op::new(pick(Code::AddsImmX, Code::AddsImmW)) }
        }
        Kind::SubsImmediate => {
            let n = sp(fields::rn(word));
            Op { d, n, imm: add(), ..Op::new(pick(Code::SubsImmX, Code::SubsImmW)) }
        }
        Kind::AndImmediate => {
            Op { d: sp(fields::rd(word)), n, imm: logical()?, ..Op::new(Code::AndImm) }
        }
        Kind::OrrImmediate => {
            let (d, imm) = (sp(fields::rd(word)), logical()?);
            if n == slot::ZERO {
                return Some(Op { d, imm, ..Op::new(Code::MovImm) });
            }
            Op { d, n, imm, ..Op::new(pick(Code::OrrImmX, Code::OrrImmW)) }
        }
        Kind::EorImmediate => {
            let code = pick(Code::EorImmX, Code::EorImmW);
            Op { d: sp(fields::rd(word)), n, imm: logical()?, ..Op::new(code) }
        }
        Kind::AndsImmediate => {
            Op { d, n, imm: logical()?, ..Op::new(pick(Code::AndsImmX, Code::AndsImmW)) }
        }
        Kind::Movz | Kind::Movn => {
            let (imm16, shift) = fields::move_wide(word);
            let imm = if kind == Kind::Movz { imm16 << shift } else { !(imm16 << shift) };
            Op { d, imm: cut(word, imm), ..Op::new(Code::MovImm) }
        }
        Kind::Movk => {
            let (imm16, shift) = fields::move_wide(word);
            // A move to the zero register keeps reading it as zero: source and sink differ.
            let n = read(fields::rd(word));
            let code = pick(Code::MovkX, Code::MovkW);
            Op { d, n, aux: shift, imm: imm16 << shift, ..Op::new(code) }
        }
        _ => return None,
    })
}

fn bitfield(kind: Kind, word: u32) -> Option<Op> {
    let (immr, imms) = (fields::immr(word), fields::imms(word));
    let bits: u32 = if fields::is_64_bit(word) { 64 } else { 32 };
    // The number of bits that move, and their mask at bit 0.
    let extract = imms >= immr;
    let len = if extract { imms - immr + 1 } else { imms + 1 };
    let mask = u64::MAX >> (64 - len.min(64));
    let op = |code| Op { d: write(fields::rd(word)), n: read(fields::rn(word)), ..Op::new(code) };
    Some(match kind {
        Kind::Ubfm if extract => Op { aux: immr, imm: mask, ..op(Code::Ubfx) },
        Kind::Ubfm => Op { aux: bits - immr, imm: mask, ..op(Code::Ubfiz) },
        Kind::Sbfm => {
            let left = 63 - imms;
            let right = if extract { left + immr } else { left - (bits - immr) };
            let code = width(word, Code::SbfX, Code::SbfW);
            Op { aux: left, imm: u64::from(right), ..op(code) }
        }
        Kind::Bfm => {
            let place = if extract { 0 } else { bits - immr };
            Op {
                m: read(fields::rd(word)),
                aux: immr,
                imm: mask << place,
                ..op(width(word, Code::BfmX, Code::BfmW))
            }
        }
        Kind::Extr => {
            let code = width(word, Code::ExtrX, Code::ExtrW);
            Op { m: read(fields::rm(word)), aux: imms, ..op(code) }
        }
        _ => return None,
    })
}

/// The four codes of a shifted-register instruction: 64 and 32 bits, unshifted and shifted.
#[rustfmt::skip]
const fn shifted_codes(kind: Kind) -> Option<[Action; 4]> {
    use Code::*;
    use Rare::*;
    Some(match kind {
        Kind::AddShiftedRegister => [Loop(AddX), Loop(AddW), Loop(AddXs), Loop(AddWs)],
        Kind::AddsShiftedRegister => [Loop(AddsX), Loop(AddsW), Call(AddsXs), Call(AddsWs)],
        Kind::SubShiftedRegister => [Loop(SubX), Loop(SubW), Loop(SubXs), Call(SubWs)],
        Kind::SubsShiftedRegister => [Loop(SubsX), Loop(SubsW), Loop(SubsXs), Call(SubsWs)],
        Kind::AndShiftedRegister => [Loop(AndX), Loop(AndW), Call(AndXs), Call(AndWs)],
        Kind::AndsShiftedRegister => [Loop(AndsX), Loop(AndsW), Loop(AndsXs), Call(AndsWs)],
        Kind::BicShiftedRegister => [Loop(BicX), Call(BicW), Call(BicXs), Call(BicWs)],
        Kind::BicsShiftedRegister => [Loop(BicsX), Call(BicsW), Call(BicsXs), Call(BicsWs)],
        Kind::OrrShiftedRegister => [Loop(OrrX), Loop(OrrW), Loop(OrrXs), Loop(OrrWs)],
        Kind::OrnShiftedRegister => [Loop(OrnX), Call(OrnW), Call(OrnXs), Call(OrnWs)],
        Kind::EorShiftedRegister => [Loop(EorX), Loop(EorW), Loop(EorXs), Loop(EorWs)],
        Kind::EonShiftedRegister => [Call(EonX), Call(EonW), Call(EonXs), Call(EonWs)],
        _ => return None,
    })
}

fn shifted(kind: Kind, word: u32) -> Option<Op> {
    let [x, w, shifted_x, shifted_w] = shifted_codes(kind)?;
    let amount = fields::shift_amount(word);
    if amount == 0 {
        return Some(dnm(word, width(word, x, w)));
    }
    let aux = amount | (fields::shift_type(word) as u32) << 8;
    Some(Op { aux, ..dnm(word, width(word, shifted_x, shifted_w)) })
}

fn extended(kind: Kind, word: u32) -> Option<Op> {
    use Code::*;
    use Rare::*;
    let (code, flags) = match kind {
        Kind::AddExtendedRegister => (width(word, Loop(AddXe), Call(AddWe)), false),
        Kind::SubExtendedRegister => (width(word, Call(SubXe), Call(SubWe)), false),
        Kind::AddsExtendedRegister => (width(word, Call(AddsXe), Call(AddsWe)), true),
        Kind::SubsExtendedRegister => (width(word, Call(SubsXe), Call(SubsWe)), true),
        _ => return None,
    };
    let rd = fields::rd(word);
    Some(Op {
        d: if flags { write(rd) } else { sp(rd) },
        n: sp(fields::rn(word)),
        m: read(fields::rm(word)),
        aux: fields::extend_shift(word) | (fields::extend_type(word) as u32) << 8,
        ..Op::of(code)
    })
}

fn three_sources(kind: Kind, word: u32) -> Option<Op> {
    use Code::*;
    use Rare::*;
    let code = match kind {
        Kind::Madd => width(word, Loop(MaddX), Loop(MaddW)),
        Kind::Msub => width(word, Loop(MsubX), Call(MsubW)),
        Kind::Smaddl => Loop(Smaddl),
        Kind::Smsubl => Call(Smsubl),
        Kind::Umaddl => Loop(Umaddl),
        Kind::Umsubl => Call(Umsubl),
        Kind::Smulh => Call(Smulh),
        Kind::Umulh => Loop(Umulh),
        _ => return None,
    };
    Some(Op { aux: u32::from(read(fields::ra(word))), ..dnm(word, code) })
}

fn conditional(kind: Kind, word: u32) -> Option<Op> {
    use Code::*;
    use Rare::*;
    let aux = u32::from(fields::cond(word));
    let select = |x, w| Some(Op { aux, ..dnm(word, width(word, x, w)) });
    let (x, w, immediate) = match kind {
        Kind::Csel => return select(Loop(CselX), Loop(CselW)),
        Kind::Csinc => return select(Loop(CsincX), Loop(CsincW)),
        Kind::Csinv => return select(Loop(CsinvX), Call(CsinvW)),
        Kind::Csneg => return select(Call(CsnegX), Call(CsnegW)),
        Kind::CcmpRegister => (Loop(CcmpX), Loop(CcmpW), false),
        Kind::CcmpImmediate => (Loop(CcmpX), Loop(CcmpW), true),
        Kind::CcmnRegister => (Loop(CcmnX), Loop(CcmnW), false),
        Kind::CcmnImmediate => (Loop(CcmnX), Loop(CcmnW), true),
        _ => return None,
    };
    // The second operand is the sum of a register and an immediate; one of them is zero.
    let (m, imm) = if immediate {
        (slot::ZERO, fields::compare_immediate(word))
    } else {
        (read(fields::rm(word)), 0)
    };
    let aux = aux | u32::from(fields::nzcv(word)) << 8;
    Some(Op { n: read(fields::rn(word)), m, aux, imm, ..Op::of(width(word, x, w)) })
}

fn two_sources(kind: Kind, word: u32) -> Option<Op> {
    use Code::*;
    use Rare::*;
    let (x, w) = match kind {
        Kind::Udiv => (Call(UdivX), Call(UdivW)),
        Kind::Sdiv => (Call(SdivX), Call(SdivW)),
        Kind::Lslv => (Loop(LslvX), Loop(LslvW)),
        Kind::Lsrv => (Loop(LsrvX), Loop(LsrvW)),
        Kind::Asrv => (Call(AsrvX), Call(AsrvW)),
        Kind::Rorv => (Call(RorvX), Call(RorvW)),
        Kind::Adc => (Loop(AdcX), Call(AdcW)),
        Kind::Adcs => (Loop(AdcsX), Call(AdcsW)),
        Kind::Sbc => (Call(SbcX), Call(SbcW)),
        Kind::Sbcs => (Loop(SbcsX), Call(SbcsW)),
        Kind::Crc32b | Kind::Crc32h | Kind::Crc32w | Kind::Crc32x => {
            let aux = fields::crc_size_log2(word);
            return Some(Op { aux, imm: u64::from(word), ..dnm(word, Loop(Crc32)) });
        }
        Kind::Crc32cb | Kind::Crc32ch | Kind::Crc32cw | Kind::Crc32cx => {
            let aux = fields::crc_size_log2(word) | 1 << 8;
            return Some(Op { aux, imm: u64::from(word), ..dnm(word, Loop(Crc32)) });
        }
        _ => return None,
    };
    Some(dnm(word, width(word, x, w)))
}

fn one_source(kind: Kind, word: u32) -> Option<Op> {
    use Code::*;
    use Rare::*;
    let (x, w) = match kind {
        Kind::Rbit => (Call(RbitX), Call(RbitW)),
        Kind::Rev16 => (Call(Rev16X), Call(Rev16W)),
        Kind::Rev => (Loop(RevX), Loop(RevW)),
        Kind::Rev32 => (Call(Rev32X), Call(Rev32X)),
        Kind::Clz => (Loop(ClzX), Loop(ClzW)),
        Kind::Cls => (Call(ClsX), Call(ClsW)),
        _ => return None,
    };
    Some(Op { d: write(fields::rd(word)), n: read(fields::rn(word)), ..Op::of(width(word, x, w)) })
}
