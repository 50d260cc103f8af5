//! Lowering: from an instruction word to the [`Op`] that execution wants.
//!
//! Pure: what comes out depends on the word, its place in the page and the CPU's extensions alone,
//! so one op page serves every virtual address and exception level under which a physical page is
//! executed.

mod data;
mod direct;
mod fused;
mod memory;
mod op;

pub(crate) use direct::{Direct, FORMS};
pub(crate) use memory::{access, exclusive, rows};
use op::Action;
pub(crate) use op::{Code, Group, Op, Rare, slot};

use crate::decode::{Extensions, Kind, decode, fields};
use crate::sysreg;
use abide_arm64::SysReg;

/// Instructions in a page.
pub(crate) const PAGE_OPS: usize = 1024;

/// A register field where 31 reads as zero.
const fn read(field: u8) -> u8 {
    field
}

/// A register field where 31 is written to nowhere.
const fn write(field: u8) -> u8 {
    if field == 31 { slot::SINK } else { field }
}

/// A register field where 31 is SP.
const fn sp(field: u8) -> u8 {
    if field == 31 { slot::SP } else { field }
}

/// The op of the first of `words`, the instruction number `index` of its page, which the others
/// follow; and the operands of the next op, if the first needs them in their place.
pub(crate) fn lower(
    words: [Option<u32>; 3],
    index: usize,
    extensions: Extensions,
) -> (Op, Option<Op>) {
    let one = |ahead: usize| words[ahead].map(|word| lower_one(word, index + ahead, extensions));
    let Some(first) = one(0) else { return (Op::DECODE, None) };
    // Most ops stand alone, and what follows them is decoded when it is executed.
    if !fuses(first) && !fused::begins(first.code) {
        return (first, None);
    }
    let Some(next) = one(1) else { return (first, None) };
    if let Some(both) = fuse(first, next) {
        return (both, None);
    }
    let second = one(2).filter(|_| fuses(next)).and_then(|last| fuse(next, last)).unwrap_or(next);
    match fused::pair(first.code, second.code) {
        Some(code) => (Op { code, ..first }, Some(second)),
        None => (first, None),
    }
}

/// Whether the op may become one with what follows it: ADRP, and comparisons.
fn fuses(op: Op) -> bool {
    match op.code {
        Code::Adrp => true,
        Code::SubsImmX | Code::SubsImmW | Code::SubsX | Code::SubsW => op.d == slot::SINK,
        Code::AndsImmX | Code::AndsImmW => op.d == slot::SINK,
        _ => false,
    }
}

/// One op for two instructions that often stand together, with the operands of both. The second
/// keeps its own op, for those who jump to it.
fn fuse(first: Op, next: Op) -> Option<Op> {
    if !fuses(first) {
        return None;
    }
    if first.code == Code::Adrp {
        let continues = next.code == Code::AddImmX && (next.d, next.n) == (first.d, first.d);
        let imm = first.imm.wrapping_add(next.imm);
        return continues.then_some(Op { imm, code: Code::AdrpAdd, ..first });
    }
    let code = match (first.code, next.code) {
        (Code::SubsImmX, Code::BEq) => Code::CmpImmEqX,
        (Code::SubsImmX, Code::BNe) => Code::CmpImmNeX,
        (Code::SubsImmW, Code::BEq) => Code::CmpImmEqW,
        (Code::SubsImmW, Code::BNe) => Code::CmpImmNeW,
        (Code::AndsImmX, Code::BEq) => Code::TstImmEqX,
        (Code::AndsImmX, Code::BNe) => Code::TstImmNeX,
        (Code::AndsImmW, Code::BEq) => Code::TstImmEqW,
        (Code::AndsImmW, Code::BNe) => Code::TstImmNeW,
        (Code::SubsX, Code::BEq) => Code::CmpEqX,
        (Code::SubsX, Code::BNe) => Code::CmpNeX,
        (Code::SubsW, Code::BEq) => Code::CmpEqW,
        (Code::SubsW, Code::BNe) => Code::CmpNeW,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a distance inside a page")]
    let aux = next.imm as u32;
    Some(Op { code, aux, ..first })
}

/// The op of one instruction alone.
fn lower_one(word: u32, index: usize, extensions: Extensions) -> Op {
    let kind = decode(word);
    data::lower(kind, word)
        .or_else(|| memory::lower(kind, word))
        .or_else(|| branch(kind, word, index))
        .or_else(|| system(kind, word))
        .or_else(|| group(kind, word, extensions))
        .unwrap_or(Op::slow(word))
}

/// Picks the near form with a distance in instructions if the target is in the same page, else the
/// far form with a distance in bytes.
fn near_or_far(index: usize, bytes: i64, near: Code, far: Code, op: Op) -> Op {
    let at = i64::try_from(index).unwrap_or(0);
    let code = if (0..PAGE_OPS as i64).contains(&(at + bytes / 4)) { near } else { far };
    let distance = if code == near { bytes / 4 } else { bytes };
    Op { code, imm: distance.cast_unsigned(), ..op }
}

/// The op of an instruction outside the base set; one that the ID registers hide is UNDEFINED.
fn group(kind: Kind, word: u32, extensions: Extensions) -> Option<Op> {
    let (group, number, extension) = match kind {
        Kind::ScalarFp(of) => (Group::ScalarFp, of as u32, of.extension(word)),
        Kind::Simd(of) => (Group::Simd, of as u32, of.extension(word)),
        Kind::SimdFp(of) => (Group::SimdFp, of as u32, of.extension(word)),
        Kind::Crypto(of) => (Group::Crypto, of as u32, of.extension(word)),
        Kind::Structures(of) => (Group::Structures, of as u32, of.extension(word)),
        Kind::Atomic(of) => (Group::Atomic, of as u32, of.extension(word)),
        _ => return None,
    };
    if !extensions.contain(extension) {
        return Some(Op::slow(word));
    }
    let aux = (group as u32) << 8 | number;
    let op = Op { aux, imm: word.into(), ..Op::new(Code::Group) };
    let faster = match kind {
        Kind::Structures(of) => memory::structures(of, word, op),
        _ => direct::lower(kind, word),
    };
    Some(faster.unwrap_or(op))
}

fn branch(kind: Kind, word: u32, index: usize) -> Option<Op> {
    let none = Op::new(Code::Nop);
    let rt = Op { n: read(fields::rt(word)), ..none };
    let x = fields::is_64_bit(word);
    let width = |wide, narrow| if x { wide } else { narrow };
    Some(match kind {
        Kind::B => near_or_far(index, fields::branch_offset(word), Code::B, Code::BFar, none),
        Kind::Bl => near_or_far(index, fields::branch_offset(word), Code::Bl, Code::BlFar, none),
        Kind::BCond => {
            let offset = fields::imm19_offset(word);
            let cond = fields::branch_cond(word);
            let Some(&near) = CONDITIONAL.get(usize::from(cond)) else {
                return Some(near_or_far(index, offset, Code::B, Code::BFar, none));
            };
            let op = Op { aux: u32::from(cond), ..none };
            near_or_far(index, offset, near, Code::BCondFar, op)
        }
        Kind::Cbz | Kind::Cbnz => {
            let nonzero = kind == Kind::Cbnz;
            let near = match nonzero {
                false => width(Code::CbzX, Code::CbzW),
                true => width(Code::CbnzX, Code::CbnzW),
            };
            let aux = u32::from(nonzero) | u32::from(x) << 1;
            near_or_far(index, fields::imm19_offset(word), near, Code::CbFar, Op { aux, ..rt })
        }
        Kind::Tbz | Kind::Tbnz => {
            let nonzero = kind == Kind::Tbnz;
            let near = if nonzero { Code::Tbnz } else { Code::Tbz };
            let aux = fields::test_bit(word) | u32::from(nonzero) << 8;
            near_or_far(
                index,
                fields::test_branch_offset(word),
                near,
                Code::TbFar,
                Op { aux, ..rt },
            )
        }
        Kind::Br | Kind::Ret => Op { n: read(fields::rn(word)), ..Op::new(Code::Br) },
        Kind::Blr => Op { n: read(fields::rn(word)), ..Op::new(Code::Blr) },
        _ => return None,
    })
}

/// The near conditional branches by condition; 14 and 15 are always true.
#[rustfmt::skip]
const CONDITIONAL: [Code; 14] = [
    Code::BEq, Code::BNe, Code::BCs, Code::BCc, Code::BMi, Code::BPl, Code::BVs, Code::BVc,
    Code::BHi, Code::BLs, Code::BGe, Code::BLt, Code::BGt, Code::BLe,
];

fn system(kind: Kind, word: u32) -> Option<Op> {
    Some(match kind {
        // The caches are coherent with memory and there is nothing to prefetch into.
        Kind::Nop | Kind::Hint | Kind::Isb => Op::new(Code::Nop),
        Kind::Dsb => Op { imm: word.into(), ..Op::new(Code::FenceAll) },
        Kind::Dmb => Op::new(match fields::crm(word) & 3 {
            1 => Code::FenceLoad,
            2 => Code::FenceStore,
            _ => Code::FenceAll,
        }),
        // DC ZVA.
        Kind::Sys if word >> 5 & 0x3fff == 0x1ba1 => {
            Op { n: read(fields::rt(word)), imm: word.into(), ..Op::new(Code::DcZva) }
        }
        Kind::MsrImmediate => {
            let imm = u64::from(fields::crm(word)) << 6;
            match fields::pstate_field(word) {
                Some(fields::PstateField::DaifSet) => Op { imm, ..Op::new(Code::DaifSet) },
                Some(fields::PstateField::DaifClr) => Op { imm, ..Op::new(Code::DaifClr) },
                _ => return None,
            }
        }
        Kind::Mrs | Kind::MsrRegister => {
            let reg = SysReg(fields::system_register(word));
            let imm = u64::from(word);
            if kind == Kind::Mrs && reg == sysreg::SP_EL0 {
                let d = write(fields::rt(word));
                return Some(Op { d, imm, ..Op::new(Code::MrsSpEl0) });
            }
            if reg == sysreg::DAIF {
                let rt = fields::rt(word);
                return Some(if kind == Kind::Mrs {
                    Op { d: write(rt), imm, ..Op::new(Code::MrsDaif) }
                } else {
                    Op { n: read(rt), imm, ..Op::new(Code::MsrDaif) }
                });
            }
            let (slot, el0) = sysreg::plain(reg, kind == Kind::Mrs)?;
            let aux = u32::from(slot) | u32::from(el0) << 16;
            if kind == Kind::Mrs {
                Op { d: write(fields::rt(word)), aux, imm, ..Op::new(Code::MrsPlain) }
            } else {
                Op { n: read(fields::rt(word)), aux, imm, ..Op::new(Code::MsrPlain) }
            }
        }
        _ => return None,
    })
}
