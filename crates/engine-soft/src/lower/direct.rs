//! Lowering of SIMD and floating point to functions of their own.
//!
//! What is common in programs becomes a [`Code::Direct`] op: `aux` names one of the [`FORMS`]
//! functions of a [`Direct`], compiled for one element size and one length of vector, and operands
//! are where the function wants them. Everything else stays [`Code::Group`], which finds its way
//! from the instruction word each time.

use super::{Code, Op, write};
use crate::decode::{Extension, Kind, ScalarFp, Simd, SimdFp, fields};
use crate::float::{Double, Format, Single};

/// Functions of each [`Direct`]: of elements of 1, 2, 4 and 8 bytes, each for short vectors or one
/// element, and for long vectors.
pub(crate) const FORMS: u32 = 8;

/// Declares [`Direct`].
macro_rules! direct {
    ($($direct:ident,)+) => {
        /// Instructions with functions of their own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Direct {
            $($direct,)+
        }

        impl Direct {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$direct,)+];
        }
    };
}

direct! {
    And, Bic, Orr, Orn, Eor, Bsl, Bit, Bif, Not,
    Add, Sub, Mul, Mla, Mls, Neg,
    Smax, Smin, Umax, Umin,
    Cmeq, CmeqZero, Cmgt, CmgtZero, CmltZero, Cmge, CmgeZero, CmleZero, Cmhi, Cmhs, Cmtst,
    Shl, Sli, Sri, Sshr, Ushr, Ssra, Usra,
    Addp, Smaxp, Sminp, Umaxp, Uminp, AddpScalar, Addv, Umaxv, Uminv,
    Uzp1, Uzp2, Trn1, Trn2, Zip1, Zip2, Ext, Tbl,
    Shrn, Xtn, Ushll, Sshll, Umull, Umlal, Smull, Smlal, Uaddl, Uaddw,
    Cnt, Rev16, Rev32, Rev64,
    DupElement, DupScalar, DupGeneral, Umov, InsGeneral, InsElement,
    Movi, OrrImmediate, BicImmediate,
    Fmov, FmovGeneral, Fabs, Fneg, Fsqrt, Fadd, Fsub, Fmul, Fnmul, Fdiv,
    Fmax, Fmin, Fmaxnm, Fminnm,
    Fmadd, Fmsub, Fnmadd, Fnmsub, Fcmp, Fcmpe, Fcsel, Fcvt,
    Scvtf, Ucvtf, Fcvtzs, Fcvtzu,
    FaddVector, FsubVector, FmulVector, FdivVector, FmlaVector, FmlsVector,
}

impl Direct {
    /// The op of this instruction, with the registers where most have them.
    fn op(self, word: u32, size: u32, quad: bool) -> Op {
        let form = 2 * (size & 3) + u32::from(quad);
        Op {
            d: fields::rd(word),
            n: fields::rn(word),
            m: fields::rm(word),
            aux: self as u32 * FORMS + form,
            ..Op::new(Code::Direct)
        }
    }
}

/// The op of an instruction that has a function of its own; `None` for all others.
pub(super) fn lower(kind: Kind, word: u32) -> Option<Op> {
    match kind {
        Kind::Simd(kind) => elements(kind, word)
            .or_else(|| whole(kind, word))
            .or_else(|| shift(kind, word))
            .or_else(|| long(kind, word))
            .or_else(|| moves(kind, word))
            .or_else(|| immediate(kind, word)),
        Kind::ScalarFp(kind) => scalar_fp(kind, word),
        Kind::SimdFp(kind) => vector_fp(kind, word),
        _ => None,
    }
}

const fn is_quad(word: u32) -> bool {
    fields::bit(word, 30)
}

const fn is_scalar(word: u32) -> bool {
    fields::bit(word, 28)
}

/// Instructions on elements whose size is in bits 23:22. Those on one element are of 64 bits, and
/// do what they would do to a vector of one.
fn elements(kind: Simd, word: u32) -> Option<Op> {
    let direct = match kind {
        Simd::AddVector => Direct::Add,
        Simd::SubVector => Direct::Sub,
        Simd::MulVector => Direct::Mul,
        Simd::MlaVector => Direct::Mla,
        Simd::MlsVector => Direct::Mls,
        Simd::NegVector => Direct::Neg,
        Simd::Smax => Direct::Smax,
        Simd::Smin => Direct::Smin,
        Simd::Umax => Direct::Umax,
        Simd::Umin => Direct::Umin,
        Simd::CmeqRegister => Direct::Cmeq,
        Simd::CmeqZero => Direct::CmeqZero,
        Simd::CmgtRegister => Direct::Cmgt,
        Simd::CmgtZero => Direct::CmgtZero,
        Simd::CmltZero => Direct::CmltZero,
        Simd::CmgeRegister => Direct::Cmge,
        Simd::CmgeZero => Direct::CmgeZero,
        Simd::CmleZero => Direct::CmleZero,
        Simd::CmhiRegister => Direct::Cmhi,
        Simd::CmhsRegister => Direct::Cmhs,
        Simd::Cmtst => Direct::Cmtst,
        Simd::AddpVector => Direct::Addp,
        Simd::Smaxp => Direct::Smaxp,
        Simd::Sminp => Direct::Sminp,
        Simd::Umaxp => Direct::Umaxp,
        Simd::Uminp => Direct::Uminp,
        Simd::AddpScalar => Direct::AddpScalar,
        Simd::Addv => Direct::Addv,
        Simd::Umaxv => Direct::Umaxv,
        Simd::Uminv => Direct::Uminv,
        Simd::Uzp1 => Direct::Uzp1,
        Simd::Uzp2 => Direct::Uzp2,
        Simd::Trn1 => Direct::Trn1,
        Simd::Trn2 => Direct::Trn2,
        Simd::Zip1 => Direct::Zip1,
        Simd::Zip2 => Direct::Zip2,
        Simd::Rev32Vector => Direct::Rev32,
        Simd::Rev64 => Direct::Rev64,
        _ => return None,
    };
    let quad = is_quad(word) && !is_scalar(word);
    Some(direct.op(word, fields::bits(word, 23, 22), quad))
}

/// Instructions for which elements have one size, or none.
fn whole(kind: Simd, word: u32) -> Option<Op> {
    let direct = match kind {
        Simd::AndVector => Direct::And,
        Simd::BicVectorRegister => Direct::Bic,
        Simd::OrrVectorRegister => Direct::Orr,
        Simd::OrnVector => Direct::Orn,
        Simd::EorVector => Direct::Eor,
        Simd::Bsl => Direct::Bsl,
        Simd::Bit => Direct::Bit,
        Simd::Bif => Direct::Bif,
        Simd::Not => Direct::Not,
        Simd::Cnt => Direct::Cnt,
        Simd::Rev16Vector => Direct::Rev16,
        Simd::Ext => {
            let imm = u64::from(8 * fields::bits(word, 14, 11));
            return Some(Op { imm, ..Direct::Ext.op(word, 0, is_quad(word)) });
        }
        // In the place of the size how many registers the table has, less one.
        Simd::Tbl => return Some(Direct::Tbl.op(word, fields::bits(word, 14, 13), is_quad(word))),
        _ => return None,
    };
    Some(direct.op(word, 0, is_quad(word)))
}

/// Shifts by an immediate, whose amount goes to `imm`.
fn shift(kind: Simd, word: u32) -> Option<Op> {
    let (direct, left) = match kind {
        Simd::Shl => (Direct::Shl, true),
        Simd::Sli => (Direct::Sli, true),
        Simd::Ushll => (Direct::Ushll, true),
        Simd::Sshll => (Direct::Sshll, true),
        Simd::Sri => (Direct::Sri, false),
        Simd::Sshr => (Direct::Sshr, false),
        Simd::Ushr => (Direct::Ushr, false),
        Simd::Ssra => (Direct::Ssra, false),
        Simd::Usra => (Direct::Usra, false),
        Simd::Shrn => (Direct::Shrn, false),
        _ => return None,
    };
    let field = fields::bits(word, 22, 16);
    let size = (field >> 3).checked_ilog2()?;
    let amount = if left { field - (8 << size) } else { (16 << size) - field };
    let quad = is_quad(word) && !is_scalar(word);
    Some(Op { imm: amount.into(), ..direct.op(word, size, quad) })
}

/// Instructions between elements and those of twice the width; long vectors stand for upper halves.
fn long(kind: Simd, word: u32) -> Option<Op> {
    let direct = match kind {
        Simd::Xtn => Direct::Xtn,
        Simd::UmullVector => Direct::Umull,
        Simd::UmlalVector => Direct::Umlal,
        Simd::SmullVector => Direct::Smull,
        Simd::SmlalVector => Direct::Smlal,
        Simd::Uaddl => Direct::Uaddl,
        Simd::Uaddw => Direct::Uaddw,
        _ => return None,
    };
    Some(direct.op(word, fields::bits(word, 23, 22), is_quad(word)))
}

/// Moves of one element: its place in bits goes to `imm`.
fn moves(kind: Simd, word: u32) -> Option<Op> {
    let imm5 = fields::bits(word, 20, 16);
    let size = imm5.trailing_zeros().min(3);
    let place = u64::from(imm5 >> (size + 1) << (size + 3));
    Some(match kind {
        Simd::DupElement if is_scalar(word) => {
            Op { imm: place, ..Direct::DupScalar.op(word, size, false) }
        }
        Simd::DupElement => Op { imm: place, ..Direct::DupElement.op(word, size, is_quad(word)) },
        Simd::DupGeneral => Direct::DupGeneral.op(word, size, is_quad(word)),
        Simd::Umov => umov(word, size, place),
        Simd::InsGeneral => Op { imm: place, ..Direct::InsGeneral.op(word, size, true) },
        Simd::InsElement => {
            // Of the source `m` has the number of the element.
            let from = fields::bits(word, 14, 11) >> size;
            let m = u8::try_from(from).unwrap_or(0);
            Op { m, imm: place, ..Direct::InsElement.op(word, size, true) }
        }
        _ => return None,
    })
}

fn umov(word: u32, size: u32, place: u64) -> Op {
    let d = write(fields::rd(word));
    Op { d, imm: place, ..Direct::Umov.op(word, size, true) }
}

/// MOVI, MVNI, ORR and BIC with an immediate, of which `imm` has 64 bits.
fn immediate(kind: Simd, word: u32) -> Option<Op> {
    let (direct, imm) = match kind {
        Simd::Movi => (Direct::Movi, expanded(word)),
        Simd::Mvni => (Direct::Movi, !expanded(word)),
        Simd::OrrVectorImmediate => (Direct::OrrImmediate, expanded(word)),
        Simd::BicVectorImmediate => (Direct::BicImmediate, expanded(word)),
        _ => return None,
    };
    Some(Op { imm, ..direct.op(word, 0, is_quad(word)) })
}

/// The immediate in 64 bits [DDI0487 J1 AdvSIMDExpandImm]; of a floating-point one not.
fn expanded(word: u32) -> u64 {
    let byte = u64::from(fields::bits(word, 18, 16) << 5 | fields::bits(word, 9, 5));
    let cmode = fields::bits(word, 15, 12);
    let words = |value: u64| value << 32 | value;
    let halves = |value: u64| words(value << 16 | value);
    match cmode {
        0..8 => words(byte << (8 * (cmode >> 1))),
        8..12 => halves(byte << (8 * (cmode >> 1 & 1))),
        12 => words(byte << 8 | 0xff),
        13 => words(byte << 16 | 0xffff),
        _ if !fields::bit(word, 29) => halves(byte << 8 | byte),
        // Each bit of the immediate is a byte.
        _ => (0..8).fold(0, |all, bit| all | ((byte >> bit & 1) * 0xff) << (8 * bit)),
    }
}

/// In single and double precision; half precision is rare.
fn scalar_fp(kind: ScalarFp, word: u32) -> Option<Op> {
    let size = match word >> 22 & 3 {
        0 => 2,
        1 => 3,
        2 => return upper_half(word),
        _ => return None,
    };
    let op = |direct: Direct| direct.op(word, size, false);
    // A long form is one with 64-bit general registers, or a comparison with zero.
    let wide = |direct: Direct| direct.op(word, size, fields::is_64_bit(word));
    let compare = |direct: Direct| direct.op(word, size, fields::bit(word, 3));
    let ra = u64::from(fields::ra(word));
    Some(match kind {
        ScalarFp::FmovRegister => op(Direct::Fmov),
        ScalarFp::FmovImmediate => {
            let imm8 = fields::bits(word, 20, 13);
            let single = size == 2;
            let imm =
                if single { Single::expand_immediate } else { Double::expand_immediate }(imm8);
            Op { imm, ..Direct::Movi.op(word, 0, false) }
        }
        ScalarFp::FmovGeneral if fields::bit(word, 16) => op(Direct::FmovGeneral),
        ScalarFp::FmovGeneral => umov(word, size, 0),
        ScalarFp::Fabs => op(Direct::Fabs),
        ScalarFp::Fneg => op(Direct::Fneg),
        ScalarFp::Fsqrt => op(Direct::Fsqrt),
        ScalarFp::Fadd => op(Direct::Fadd),
        ScalarFp::Fsub => op(Direct::Fsub),
        ScalarFp::Fmul => op(Direct::Fmul),
        ScalarFp::Fnmul => op(Direct::Fnmul),
        ScalarFp::Fdiv => op(Direct::Fdiv),
        ScalarFp::Fmax => op(Direct::Fmax),
        ScalarFp::Fmin => op(Direct::Fmin),
        ScalarFp::Fmaxnm => op(Direct::Fmaxnm),
        ScalarFp::Fminnm => op(Direct::Fminnm),
        ScalarFp::Fmadd => Op { imm: ra, ..op(Direct::Fmadd) },
        ScalarFp::Fmsub => Op { imm: ra, ..op(Direct::Fmsub) },
        ScalarFp::Fnmadd => Op { imm: ra, ..op(Direct::Fnmadd) },
        ScalarFp::Fnmsub => Op { imm: ra, ..op(Direct::Fnmsub) },
        ScalarFp::Fcmp => compare(Direct::Fcmp),
        ScalarFp::Fcmpe => compare(Direct::Fcmpe),
        ScalarFp::Fcsel => Op { imm: (word >> 12 & 15).into(), ..op(Direct::Fcsel) },
        // To half precision is rare.
        ScalarFp::Fcvt if word >> 15 & 3 < 2 => op(Direct::Fcvt),
        ScalarFp::ScvtfInteger => wide(Direct::Scvtf),
        ScalarFp::UcvtfInteger => wide(Direct::Ucvtf),
        ScalarFp::FcvtzsInteger => Op { d: write(fields::rd(word)), ..wide(Direct::Fcvtzs) },
        ScalarFp::FcvtzuInteger => Op { d: write(fields::rd(word)), ..wide(Direct::Fcvtzu) },
        _ => return None,
    })
}

/// FMOV between a general register and the upper half of a vector.
fn upper_half(word: u32) -> Option<Op> {
    Some(if fields::bit(word, 16) {
        Op { imm: 64, ..Direct::InsGeneral.op(word, 3, true) }
    } else {
        umov(word, 3, 64)
    })
}

/// Vectors of single and double precision.
fn vector_fp(kind: SimdFp, word: u32) -> Option<Op> {
    if is_scalar(word) || kind.extension(word) == Extension::Fp16 {
        return None;
    }
    let size = 2 + (word >> 22 & 1);
    let direct = match kind {
        SimdFp::FaddVector => Direct::FaddVector,
        SimdFp::FsubVector => Direct::FsubVector,
        SimdFp::FmulVector => Direct::FmulVector,
        SimdFp::FdivVector => Direct::FdivVector,
        SimdFp::FmlaVector => Direct::FmlaVector,
        SimdFp::FmlsVector => Direct::FmlsVector,
        _ => return None,
    };
    Some(direct.op(word, size, is_quad(word)))
}
