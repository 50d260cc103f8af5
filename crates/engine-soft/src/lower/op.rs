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
    Nop,
    // Immediates.
    MovImm, MovkX, MovkW, Adr, Adrp,
    AddImmX, AddImmW, AddsImmX, AddsImmW, SubsImmX, SubsImmW,
    AndImm, OrrImmX, OrrImmW, EorImmX, EorImmW, AndsImmX, AndsImmW,
    Ubfx, Ubfiz, SbfX, SbfW, BfmX, BfmW, ExtrX, ExtrW,
    // Registers, unshifted.
    AddX, AddW, AddsX, AddsW, SubX, SubW, SubsX, SubsW,
    AndX, AndW, AndsX, AndsW, BicX, BicW, BicsX, BicsW,
    OrrX, OrrW, OrnX, OrnW, EorX, EorW, EonX, EonW,
    // Registers, shifted.
    AddXs, AddWs, AddsXs, AddsWs, SubXs, SubWs, SubsXs, SubsWs,
    AndXs, AndWs, AndsXs, AndsWs, BicXs, BicWs, BicsXs, BicsWs,
    OrrXs, OrrWs, OrnXs, OrnWs, EorXs, EorWs, EonXs, EonWs,
    // Registers, extended.
    AddXe, AddWe, AddsXe, AddsWe, SubXe, SubWe, SubsXe, SubsWe,
    // With carry; conditional.
    AdcX, AdcW, AdcsX, AdcsW, SbcX, SbcW, SbcsX, SbcsW,
    CcmpX, CcmpW, CcmnX, CcmnW,
    CselX, CselW, CsincX, CsincW, CsinvX, CsinvW, CsnegX, CsnegW,
    // Multiplication, division, shifts by register, one source.
    MaddX, MaddW, MsubX, MsubW, Smaddl, Smsubl, Umaddl, Umsubl, Smulh, Umulh,
    UdivX, UdivW, SdivX, SdivW,
    LslvX, LslvW, LsrvX, LsrvW, AsrvX, AsrvW, RorvX, RorvW,
    RbitX, RbitW, Rev16X, Rev16W, RevX, RevW, Rev32X, ClzX, ClzW, ClsX, ClsW,
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
    LdrbU, LdrhU, LdrWU, LdrXU, LdrsbXU, LdrsbWU, LdrshXU, LdrshWU, LdrswU,
    StrbU, StrhU, StrWU, StrXU,
    LdrbR, LdrhR, LdrWR, LdrXR, LdrsbXR, LdrsbWR, LdrshXR, LdrshWR, LdrswR,
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
    // System.
    MrsPlain, MsrPlain, MrsSpEl0, MrsDaif, MsrDaif, DaifSet, DaifClr,
    DcZva,
    FenceLoad, FenceStore,
    /// DMB, or DSB with its instruction word in `imm`: after maintenance it waits for others.
    FenceAll,
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
