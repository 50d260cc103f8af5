//! The pre-decoded form of an instruction.

/// What an [`Op`] does. `X` is the 64-bit form, `W` the 32-bit one.
///
/// Loads and stores come in forms: `I` base plus offset, `U` with an update of the base (pre- and
/// post-indexed alike), `R` base plus shifted register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Code {
    /// Not decoded yet.
    Decode = 0,
    /// Behind the last instruction of a page.
    PageEnd,
    /// Everything without a form of its own; `imm` is the instruction word.
    Slow,
    /// What the loop calls a function for; `imm` is the number of a [`Rare`].
    Outside,
    Nop,
    // Immediates.
    MovImm, MovkX, MovkW, Adr, Adrp,
    AddImmX, AddImmW, AddsImmX, AddsImmW, SubsImmX, SubsImmW,
    AndImm, OrrImmX, OrrImmW, EorImmX, EorImmW, AndsImmX, AndsImmW,
    Ubfx, Ubfiz, SbfX, SbfW, BfmX, BfmW, ExtrX, ExtrW,
    // Registers, unshifted.
    AddX, AddW, AddsX, AddsW, SubX, SubW, SubsX, SubsW,
    AndX, AndW, AndsX, AndsW, BicX, BicsX, OrrX, OrrW, OrnX, EorX, EorW,
    // Registers, shifted.
    AddXs, AddWs, SubXs, SubsXs, AndsXs, OrrXs, OrrWs, EorXs, EorWs,
    // Registers, extended.
    AddXe,
    // With carry; conditional.
    AdcX, AdcsX, SbcsX, CcmpX, CcmpW, CcmnX, CcmnW,
    CselX, CselW, CsincX, CsincW, CsinvX,
    // Multiplication, shifts by register, one source.
    MaddX, MaddW, MsubX, Smaddl, Umaddl, Umulh,
    LslvX, LslvW, LsrvX, LsrvW, RevX, RevW, ClzX, ClzW,
    Crc32,
    // Branches inside the page by number of instructions, and to other pages by bytes.
    B, BFar, Bl, BlFar,
    BEq, BNe, BCs, BCc, BMi, BPl, BVs, BVc, BHi, BLs, BGe, BLt, BGt, BLe, BCondFar,
    // A comparison and the branch behind it: `d` is not used, `aux` is the distance from the
    // branch in instructions.
    CmpImmEqX, CmpImmEqW, CmpImmNeX, CmpImmNeW, CmpEqX, CmpEqW, CmpNeX, CmpNeW,
    TstImmEqX, TstImmEqW, TstImmNeX, TstImmNeW,
    // ADRP and the ADD behind it.
    AdrpAdd,
    CbzX, CbzW, CbnzX, CbnzW, CbFar, Tbz, Tbnz, TbFar, Br, Blr,
    // Loads and stores of one register.
    LdrbI, LdrhI, LdrWI, LdrXI, LdrsbXI, LdrsbWI, LdrshXI, LdrshWI, LdrswI,
    StrbI, StrhI, StrWI, StrXI,
    LdrbU, LdrhU, LdrWU, LdrXU, StrbU, StrhU, StrWU, StrXU,
    LdrbR, LdrhR, LdrWR, LdrXR, LdrsbXR, LdrswR,
    StrbR, StrhR, StrWR, StrXR,
    // Base plus extended and shifted W register: the common ones.
    LdrbE, LdrWE, LdrXE,
    LdrWLit, LdrXLit, LdrswLit,
    // Pairs.
    LdpXI, LdpWI, LdpswI, StpXI, StpWI, LdpXU, LdpWU, LdpswU, StpXU, StpWU,
    // Accesses of every other form, see `exec::access`.
    Access, Exclusive, SimdOne, SimdPair,
    // An instruction of a group outside the base set: `aux` is the kind as `exec::groups` numbers
    // it, `imm` the instruction word.
    Group,
    /// SIMD and floating point with functions of their own, see [`Direct`](super::Direct).
    Direct,
    /// LD1 and ST1 of whole registers: a [`Code::Group`] op as well.
    SimdRows,
    // System.
    MrsPlain, MsrPlain, MrsSpEl0, MrsDaif, MsrDaif, DaifSet, DaifClr,
    DcZva,
    // Two ops behind one another, see `lower::fused`.
    LdrXILdrXI, OrrXOrrX, NopNop, NopBr,
    AddImmXSubsImmX, EorXEorX, LdrbUCbzW, AndImmCcmpW,
    LdrbETstImmNeX, LdpXILdpXI, BNeLdrXR, EorXMaddX,
    StpXUAddImmX, SubsWBCs, LdrbUSubsImmW, StpXILdpXI,
    SubsImmWBLs, StpXIOrrX, AddImmXCbzW,
    LdrWISubW, StpXIStpXI, LdrbESubsImmW, LdrXIAddImmX,
    OrrXBlFar, MovImmMovImm, AddXSubsX, CbnzWAddImmW,
    SubXOrrX, LdrWIAddImmW, OrrXNop,
    RevXRevX, ExtrXEorX, SubsImmWBHi, StpXIAddImmX,
    BEqOrrX, CcmpWBNe, MaddXOrrX, CbzXLdrXI,
    StrXRBNe, LdrXIStrXI, OrrXOrrW, AddXAddX,
    SubsWBLs, LdrXILdrXE, AddImmXAddImmX, EorWEorW,
    LdrbIAndImm, LdrXISubsX, LdrXILdrWI, LdrXIBlr,
    SubsImmWBCondFar, LdrXIAndX, EorXStrXI, LdpXILdpXU,
    CcmpXBEq, BicXBicX, MovImmAndImm, AddWAddW,
    BEqLdrbU, SubsXBLs, AddXTstImmNeX, LdpXUNop,
    FenceLoad, FenceStore,
    /// DMB, or DSB with its instruction word in `imm`: after maintenance it waits for others.
    FenceAll,
}

/// Declares [`Rare`].
macro_rules! rare {
    ($($rare:ident,)+) => {
        /// Data processing of the integer registers that the loop calls a function for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Rare {
            $($rare,)+
        }

        impl Rare {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$rare,)+];
        }
    };
}

rare! {
    OrnW, EonX, EonW, BicW, BicsW,
    AddsXs, AddsWs, SubWs, SubsWs, AndXs, AndWs, AndsWs, BicXs, BicWs, BicsXs, BicsWs,
    OrnXs, OrnWs, EonXs, EonWs,
    AddWe, AddsXe, AddsWe, SubXe, SubWe, SubsXe, SubsWe,
    AdcW, AdcsW, SbcX, SbcW, SbcsW, CsinvW, CsnegX, CsnegW,
    MsubW, Smsubl, Umsubl, Smulh, UdivX, UdivW, SdivX, SdivW,
    AsrvX, AsrvW, RorvX, RorvW, RbitX, RbitW, Rev16X, Rev16W, Rev32X, ClsX, ClsW,
}

/// What an instruction becomes: an op of the loop's own, or one that it calls a function for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Loop(Code),
    Call(Rare),
}

/// Whose kind a [`Code::Group`] op names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    ScalarFp,
    Simd,
    SimdFp,
    Crypto,
    Structures,
    Atomic,
}

impl Group {
    /// Every group, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::ScalarFp, Self::Simd, Self::SimdFp, Self::Crypto, Self::Structures, Self::Atomic];
}

/// A pre-decoded instruction. What the operands mean depends on the code.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Op {
    pub code: Code,
    /// Destination or transferred register.
    pub d: u8,
    /// First source or base register.
    pub n: u8,
    /// Second source register; for `I` and `U` accesses the bits of the base that must be clear.
    pub m: u8,
    pub aux: u32,
    pub imm: u64,
}

const _: () = assert!(size_of::<Op>() == 16);

impl Op {
    /// Not decoded yet.
    pub const DECODE: Self = Self::new(Code::Decode);
    /// Behind the last instruction of a page.
    pub const PAGE_END: Self = Self::new(Code::PageEnd);

    pub const fn new(code: Code) -> Self {
        Self { code, d: 0, n: 0, m: 0, aux: 0, imm: 0 }
    }

    pub const fn of(action: Action) -> Self {
        match action {
            Action::Loop(code) => Self::new(code),
            Action::Call(rare) => Self { imm: rare as u64, ..Self::new(Code::Outside) },
        }
    }

    /// The instruction that the slow path executes from its word.
    pub const fn slow(word: u32) -> Self {
        Self { imm: word as u64, ..Self::new(Code::Slow) }
    }
}

/// Where a register stands in the register file of [`Cpu`](crate::cpu::Cpu).
///
/// The zero register is read from a place that always holds 0 and written to one that nobody
/// reads, so that execution needs no test for it.
pub(crate) mod slot {
    /// Reads as zero.
    pub const ZERO: u8 = 31;
    /// The current stack pointer.
    pub const SP: u8 = 32;
    /// Takes what is written to the zero register.
    pub const SINK: u8 = 33;
    /// SP_EL0 while SP_EL1 is the current one.
    pub const SP_EL0: u8 = 34;
    /// SP_EL1 while SP_EL0 is the current one.
    pub const SP_EL1: u8 = 35;
}
