//! Advanced SIMD on integers.
//!
//! An instruction on single elements is one on a vector whose other elements are 0, and one with
//! an element of a vector is one with a vector full of it. So each operation is written once.

mod arithmetic;
pub(super) mod compare;
mod fixed_point;
pub(super) mod lanes;
mod long;
mod moves;
mod reduce;
mod shift;
mod unary;

use crate::cpu::Cpu;
use crate::decode::{Simd, fields};

/// FPSR.QC: something saturated [DDI0487 C5.2 FPSR].
const QC: u32 = 1 << 27;

/// What an instruction works on.
struct Operands {
    word: u32,
    /// The size of an element is `1 << size` bytes.
    size: u32,
    /// Vn, Vm and the old Vd, without what does not take part.
    n: u128,
    m: u128,
    d: u128,
    /// The whole of each.
    whole_n: u128,
    whole_m: u128,
    whole_d: u128,
    /// What of Vd is written with elements; all else becomes 0.
    mask: u128,
    /// Something saturated.
    saturated: bool,
}

impl Operands {
    fn new(cpu: &Cpu, word: u32) -> Self {
        let [whole_n, whole_m, whole_d] = [fields::rn(word), fields::rm(word), fields::rd(word)]
            .map(|register| cpu.v[usize::from(register)]);
        let size = if is_shift(word) { shift_size(word) } else { fields::bits(word, 23, 22) };
        let whole_m = if is_by_element(word) { element(cpu, word) } else { whole_m };
        let mask = mask(word, size);
        let [n, m, d] = [whole_n, whole_m, whole_d].map(|whole| whole & mask);
        Self { word, size, n, m, d, whole_n, whole_m, whole_d, mask, saturated: false }
    }

    fn is_scalar(&self) -> bool {
        fields::bit(self.word, 28)
    }

    /// Of a vector the upper half is meant: the `2` at the end of a name.
    fn is_upper(&self) -> bool {
        fields::bit(self.word, 30) && !self.is_scalar()
    }

    /// The half of a vector that is extended.
    fn half(&self, vector: u128) -> u64 {
        (if self.is_upper() { vector >> 64 } else { vector }) as u64
    }

    /// What of a vector of elements of twice the size takes part.
    fn wide_mask(&self) -> u128 {
        if self.is_scalar() { u128::MAX >> (128 - (16 << self.size)) } else { u128::MAX }
    }

    /// Vd from half a vector of narrow elements.
    fn narrowed(&self, half: u64) -> u128 {
        let half = u128::from(half);
        match (self.is_scalar(), self.is_upper()) {
            (true, _) => half & self.mask,
            (false, false) => half,
            (false, true) => half << 64 | self.whole_d & u128::from(u64::MAX),
        }
    }
}

/// Shift by immediate: immh is the element size.
const fn is_shift(word: u32) -> bool {
    word & 0x0100_0400 == 0x0100_0400
}

/// log2 of the bytes of an element, from immh.
fn shift_size(word: u32) -> u32 {
    fields::bits(word, 22, 19).checked_ilog2().unwrap_or(0)
}

const fn is_by_element(word: u32) -> bool {
    word & 0x0100_0400 == 0x0100_0000
}

/// A vector full of the element Vm.Ts[index].
fn element(cpu: &Cpu, word: u32) -> u128 {
    let (h, l, m) = (fields::bits(word, 11, 11), fields::bits(word, 21, 21), word >> 20 & 1);
    let register = fields::rm(word);
    if fields::bits(word, 23, 22) == 1 {
        let vector = cpu.v[usize::from(register & 15)];
        moves::broadcast(vector, 1, h << 2 | l << 1 | m)
    } else {
        moves::broadcast(cpu.v[usize::from(register)], 2, h << 1 | l)
    }
}

/// The bits of a vector, or of one element.
fn mask(word: u32, size: u32) -> u128 {
    match (fields::bit(word, 28), fields::bit(word, 30)) {
        (true, _) => u128::MAX >> (128 - (8 << size)),
        (false, false) => u64::MAX.into(),
        (false, true) => u128::MAX,
    }
}

/// Where each instruction is written: the group of functions that has it.
macro_rules! parts {
    ($($(#[$about:meta])* $part:ident: $($kind:ident)+;)+) => {
        #[derive(Clone, Copy)]
        enum Part {
            $($(#[$about])* $part,)+
        }

        const fn part(kind: Simd) -> Part {
            match kind {
                $($(Simd::$kind)|+ => Part::$part,)+
            }
        }
    };
}

parts! {
    /// Lowered to functions of their own, see [`Direct`](crate::lower::Direct).
    Direct: AndVector BicVectorRegister OrrVectorRegister OrnVector EorVector Bsl Bit Bif Not
        AddVector SubVector NegVector Smax Smin Umax Umin
        CmeqRegister CmeqZero CmgtRegister CmgtZero CmltZero CmgeRegister CmgeZero CmleZero
        CmhiRegister CmhsRegister Cmtst
        Shl Sli Sri Sshr Ssra Ushr Usra Sshll Ushll Shrn Xtn Uaddl Uaddw
        AddpVector Smaxp Sminp Umaxp Uminp AddpScalar Addv Umaxv Uminv
        Uzp1 Uzp2 Trn1 Trn2 Zip1 Zip2 Ext Tbl Cnt Rev16Vector Rev32Vector Rev64
        DupElement DupGeneral Umov InsGeneral InsElement
        Movi Mvni OrrVectorImmediate BicVectorImmediate;
    Arithmetic: MulVector MlaVector MlsVector Pmul Sabd Uabd Saba Uaba;
    Halving: Shadd Uhadd Srhadd Urhadd Shsub Uhsub;
    DotProduct: SdotVector UdotVector;
    ShiftByImmediate: Srshr Srsra Urshr Ursra SqshlImmediate Sqshlu UqshlImmediate;
    ShiftByRegister: Sshl Ushl Srshl Urshl SqshlRegister UqshlRegister Sqrshl Uqrshl;
    Saturating: Sqadd Uqadd Sqsub Uqsub Sqabs Sqneg;
    MixedSum: Suqadd Usqadd;
    FixedPoint: SqdmulhVector SqrdmulhVector SqrdmlahVector SqrdmlshVector;
    Unary: Abs ClsVector ClzVector RbitVector Urecpe Ursqrte;
    Neighbours: Saddlp Uaddlp Sadalp Uadalp;
    ToGeneral: Smov;
    Lookup: Tbx;
    Across: Saddlv Uaddlv Smaxv Sminv;
    LongSum: Saddl Ssubl Usubl Saddw Ssubw Usubw Sabdl Uabdl Sabal Uabal;
    LongProduct: SmullVector UmullVector SmlalVector UmlalVector SmlslVector UmlslVector;
    DoubledProduct: SqdmullVector SqdmlalVector SqdmlslVector;
    Unlike: Shll Pmull;
    NarrowShift: Rshrn Sqshrn Sqrshrn Uqshrn Uqrshrn Sqshrun Sqrshrun;
    UpperHalf: Addhn Raddhn Subhn Rsubhn;
    Extract: Sqxtn Uqxtn Sqxtun;
    ByElement: MlaByElement MlsByElement MulByElement SmlalByElement SmlslByElement SmullByElement
        UmlalByElement UmlslByElement UmullByElement SqdmlalByElement SqdmlslByElement
        SqdmullByElement SqdmulhByElement SqrdmulhByElement SqrdmlahByElement SqrdmlshByElement
        SdotByElement UdotByElement;
}

/// Executes an instruction that is neither hidden nor switched off.
pub(super) fn execute(cpu: &mut Cpu, kind: Simd, word: u32) {
    let mut operands = Operands::new(cpu, word);
    let value = match part(kind) {
        Part::ToGeneral => return moves::to_general(cpu, word),
        Part::Lookup => moves::looked_up(cpu, &operands),
        Part::ByElement => {
            let kind = with_vector(kind);
            result(part(kind), kind, &mut operands)
        }
        Part::Direct => unreachable!("{kind:?} has functions of its own"),
        part => result(part, kind, &mut operands),
    };
    cpu.v[usize::from(fields::rd(word))] = value;
    if operands.saturated {
        cpu.fpsr |= QC;
    }
}

/// The new Vd, of instructions that compute it from elements.
fn result(part: Part, kind: Simd, operands: &mut Operands) -> u128 {
    let of_elements = match part {
        Part::Arithmetic => arithmetic::result(kind, operands),
        Part::Halving => arithmetic::halving(kind, operands),
        Part::DotProduct => arithmetic::dot_product(kind, operands),
        Part::ShiftByImmediate => shift::by_immediate(kind, operands),
        Part::ShiftByRegister => shift::by_register(kind, operands),
        Part::Saturating => fixed_point::result(kind, operands),
        Part::MixedSum => fixed_point::mixed_sum(kind, operands),
        Part::FixedPoint => fixed_point::product(kind, operands),
        Part::Unary => unary::result(kind, operands),
        Part::Neighbours => unary::neighbours(kind, operands),
        Part::Across => return reduce::across(kind, operands),
        Part::NarrowShift => return shift::narrow(kind, operands),
        Part::UpperHalf => return operands.narrowed(long::upper_halves(kind, operands)),
        Part::Extract => {
            let half = long::extracted(kind, operands);
            return operands.narrowed(half);
        }
        _ => return long(part, kind, operands) & operands.wide_mask(),
    };
    of_elements & operands.mask
}

/// The new Vd, of elements of twice the size.
fn long(part: Part, kind: Simd, operands: &mut Operands) -> u128 {
    match part {
        Part::LongSum => long::sum(kind, operands),
        Part::LongProduct => long::product(kind, operands),
        Part::DoubledProduct => long::doubled_product(kind, operands),
        _ => long::unlike(kind, operands),
    }
}

/// The instruction on vectors that does what `kind` does with one element for each element of Vm.
const fn with_vector(kind: Simd) -> Simd {
    match kind {
        Simd::MlaByElement => Simd::MlaVector,
        Simd::MlsByElement => Simd::MlsVector,
        Simd::MulByElement => Simd::MulVector,
        Simd::SmlalByElement => Simd::SmlalVector,
        Simd::SmlslByElement => Simd::SmlslVector,
        Simd::SmullByElement => Simd::SmullVector,
        Simd::UmlalByElement => Simd::UmlalVector,
        Simd::UmlslByElement => Simd::UmlslVector,
        Simd::UmullByElement => Simd::UmullVector,
        Simd::SqdmlalByElement => Simd::SqdmlalVector,
        Simd::SqdmlslByElement => Simd::SqdmlslVector,
        Simd::SqdmullByElement => Simd::SqdmullVector,
        Simd::SqdmulhByElement => Simd::SqdmulhVector,
        Simd::SqrdmulhByElement => Simd::SqrdmulhVector,
        Simd::SqrdmlahByElement => Simd::SqrdmlahVector,
        Simd::SqrdmlshByElement => Simd::SqrdmlshVector,
        Simd::SdotByElement => Simd::SdotVector,
        Simd::UdotByElement => Simd::UdotVector,
        other => other,
    }
}
