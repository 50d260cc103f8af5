//! The operands inside an instruction word.
//!
//! Pure functions over the word, for execution and disassembly alike. Each is meaningful only for
//! the kinds its doc names; for other words it returns whatever the bits say. Bit numbers and
//! field names are those of the instruction pages of [DDI0487 C6.2] and [DDI0487 C7.2].

/// Bits `high` down to `low`, both included, as a number.
#[must_use]
pub const fn bits(word: u32, high: u32, low: u32) -> u32 {
    (word << (31 - high)) >> (31 - high + low)
}

/// One bit.
#[must_use]
pub const fn bit(word: u32, number: u32) -> bool {
    word >> number & 1 == 1
}

/// The low `width` bits of `value` as a two's complement number [DDI0487 J1 SignExtend].
#[must_use]
pub const fn sign_extend(value: u32, width: u32) -> i64 {
    let unused = 32 - width;
    ((value << unused).cast_signed() >> unused) as i64
}

/// A register field of five bits. 31 is the zero register or SP, as the instruction says.
const fn register(word: u32, low: u32) -> u8 {
    (word >> low & 0x1f) as u8
}

/// `Rd`, bits 4:0: the destination of data processing.
#[must_use]
pub const fn rd(word: u32) -> u8 {
    register(word, 0)
}

/// `Rt`, bits 4:0: the register transferred, tested or moved to a system register. For PRFM the
/// prefetch operation.
#[must_use]
pub const fn rt(word: u32) -> u8 {
    register(word, 0)
}

/// `Rn`, bits 9:5: the first source, the base of an address or the target of a branch.
#[must_use]
pub const fn rn(word: u32) -> u8 {
    register(word, 5)
}

/// `Ra`, bits 14:10: the addend of MADD and its relatives.
#[must_use]
pub const fn ra(word: u32) -> u8 {
    register(word, 10)
}

/// `Rt2`, bits 14:10: the second register of a pair.
#[must_use]
pub const fn rt2(word: u32) -> u8 {
    register(word, 10)
}

/// `Rm`, bits 20:16: the second source or the register of an offset.
#[must_use]
pub const fn rm(word: u32) -> u8 {
    register(word, 16)
}

/// `Rs`, bits 20:16: the status result of a store exclusive.
#[must_use]
pub const fn rs(word: u32) -> u8 {
    register(word, 16)
}

/// `sf`, bit 31: the operation is on X registers, else on W registers.
#[must_use]
pub const fn is_64_bit(word: u32) -> bool {
    bit(word, 31)
}

// ---------------------------------------------------------------------------------------------
// Data processing, immediate [DDI0487 C4.1 Data Processing -- Immediate]
// ---------------------------------------------------------------------------------------------

/// `imm12`, shifted left by 12 where `sh` says so: ADD, ADDS, SUB, SUBS (immediate).
#[must_use]
pub const fn add_sub_immediate(word: u32) -> u64 {
    let imm12 = bits(word, 21, 10) as u64;
    if bit(word, 22) { imm12 << 12 } else { imm12 }
}

/// `immhi:immlo`, the offset of ADR in bytes.
#[must_use]
pub const fn adr_offset(word: u32) -> i64 {
    sign_extend(bits(word, 23, 5) << 2 | bits(word, 30, 29), 21)
}

/// `immhi:immlo`, the offset of ADRP in bytes; to be added to the PC with bits 11:0 cleared.
#[must_use]
pub const fn adrp_offset(word: u32) -> i64 {
    adr_offset(word) << 12
}

/// `imm16` and the shift in bits that `hw` stands for: MOVN, MOVZ, MOVK.
#[must_use]
pub const fn move_wide(word: u32) -> (u64, u32) {
    (bits(word, 20, 5) as u64, bits(word, 22, 21) * 16)
}

/// `N`, bit 22, of logical immediates and bitfields.
#[must_use]
pub const fn immn(word: u32) -> bool {
    bit(word, 22)
}

/// `immr`, bits 21:16: the rotation of logical immediates and bitfields.
#[must_use]
pub const fn immr(word: u32) -> u32 {
    bits(word, 21, 16)
}

/// `imms`, bits 15:10: the leftmost bit of bitfields, size and ones of logical immediates, and the
/// lowest bit taken by EXTR.
#[must_use]
pub const fn imms(word: u32) -> u32 {
    bits(word, 15, 10)
}

/// The masks of bitfield moves, `(wmask, tmask)` [DDI0487 J1 DecodeBitMasks].
///
/// None where the element has no size or is wider than the register. The further restriction for
/// logical immediates, no element of ones alone, is that of [`logical_immediate`].
#[must_use]
pub const fn decode_bit_masks(n: bool, imms: u32, immr: u32, is_64: bool) -> Option<(u64, u64)> {
    let selector = (n as u32) << 6 | (!imms & 0x3f);
    let Some(size_log2) = selector.checked_ilog2() else { return None };
    if size_log2 == 0 || (size_log2 == 6 && !is_64) {
        return None;
    }
    let element_bits = 1 << size_log2;
    let levels = element_bits - 1;
    let last = imms & levels;
    let rotation = immr & levels;
    let welem = rotate_element(low_ones(last + 1), rotation, element_bits);
    let telem = low_ones((last.wrapping_sub(rotation) & levels) + 1);
    let register_mask = if is_64 { u64::MAX } else { u32::MAX as u64 };
    Some((
        replicate(welem, element_bits) & register_mask,
        replicate(telem, element_bits) & register_mask,
    ))
}

/// The immediate of AND, ORR, EOR, ANDS (immediate) [DDI0487 J1 DecodeBitMasks].
///
/// None for the reserved values, which the table never gives to these instructions.
#[must_use]
pub const fn logical_immediate(word: u32) -> Option<u64> {
    let ones = if is_64_bit(word) { u64::MAX } else { u32::MAX as u64 };
    match decode_bit_masks(immn(word), imms(word), immr(word), is_64_bit(word)) {
        Some((wmask, _)) if wmask != ones => Some(wmask),
        _ => None,
    }
}

/// `count` ones, 1 to 64, at the bottom.
const fn low_ones(count: u32) -> u64 {
    u64::MAX >> (64 - count)
}

/// An element of `element_bits`, rotated right [DDI0487 J1 ROR].
const fn rotate_element(element: u64, rotation: u32, element_bits: u32) -> u64 {
    if rotation == 0 {
        return element;
    }
    (element >> rotation | element << (element_bits - rotation)) & low_ones(element_bits)
}

/// A register full of copies of an element [DDI0487 J1 Replicate].
const fn replicate(element: u64, element_bits: u32) -> u64 {
    let mut filled = element & low_ones(element_bits);
    let mut width = element_bits;
    while width < 64 {
        filled |= filled << width;
        width *= 2;
    }
    filled
}

// ---------------------------------------------------------------------------------------------
// Data processing, register [DDI0487 C4.1 Data Processing -- Register]
// ---------------------------------------------------------------------------------------------

/// How a shifted register is shifted, `shift`, bits 23:22 [DDI0487 J1 DecodeShift].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftType {
    /// Logical left.
    Lsl,
    /// Logical right.
    Lsr,
    /// Arithmetic right.
    Asr,
    /// Rotate right; logical instructions only.
    Ror,
}

/// `shift`, bits 23:22, of logical and add/subtract (shifted register).
#[must_use]
pub const fn shift_type(word: u32) -> ShiftType {
    match bits(word, 23, 22) {
        0 => ShiftType::Lsl,
        1 => ShiftType::Lsr,
        2 => ShiftType::Asr,
        _ => ShiftType::Ror,
    }
}

/// `imm6`, bits 15:10: the shift of a shifted register, in bits.
#[must_use]
pub const fn shift_amount(word: u32) -> u32 {
    bits(word, 15, 10)
}

/// How an extended register is extended, `option`, bits 15:13 [DDI0487 J1 DecodeRegExtend].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendType {
    /// Unsigned byte.
    Uxtb,
    /// Unsigned halfword.
    Uxth,
    /// Unsigned word.
    Uxtw,
    /// All 64 bits; LSL in assembly language.
    Uxtx,
    /// Signed byte.
    Sxtb,
    /// Signed halfword.
    Sxth,
    /// Signed word.
    Sxtw,
    /// All 64 bits.
    Sxtx,
}

impl ExtendType {
    /// The value extended to 64 bits [DDI0487 J1 ExtendReg].
    #[must_use]
    pub const fn extend(self, value: u64) -> u64 {
        match self {
            Self::Uxtb => value & 0xff,
            Self::Uxth => value & 0xffff,
            Self::Uxtw => value & 0xffff_ffff,
            Self::Uxtx | Self::Sxtx => value,
            Self::Sxtb => ((value << 56).cast_signed() >> 56).cast_unsigned(),
            Self::Sxth => ((value << 48).cast_signed() >> 48).cast_unsigned(),
            Self::Sxtw => ((value << 32).cast_signed() >> 32).cast_unsigned(),
        }
    }
}

/// `option`, bits 15:13, of add/subtract (extended register) and of register offsets.
#[must_use]
pub const fn extend_type(word: u32) -> ExtendType {
    match bits(word, 15, 13) {
        0 => ExtendType::Uxtb,
        1 => ExtendType::Uxth,
        2 => ExtendType::Uxtw,
        3 => ExtendType::Uxtx,
        4 => ExtendType::Sxtb,
        5 => ExtendType::Sxth,
        6 => ExtendType::Sxtw,
        _ => ExtendType::Sxtx,
    }
}

/// `imm3`, bits 12:10: the left shift, 0 to 4, after the extension of add/subtract (extended
/// register).
#[must_use]
pub const fn extend_shift(word: u32) -> u32 {
    bits(word, 12, 10)
}

/// `cond`, bits 15:12, of conditional compare and select [DDI0487 C1.2 Condition code].
#[must_use]
pub const fn cond(word: u32) -> u8 {
    (word >> 12 & 0xf) as u8
}

/// `imm5`, bits 20:16, of CCMN and CCMP (immediate), unsigned.
#[must_use]
pub const fn compare_immediate(word: u32) -> u64 {
    bits(word, 20, 16) as u64
}

/// `nzcv`, bits 3:0, of conditional compare; N is bit 3.
#[must_use]
pub const fn nzcv(word: u32) -> u8 {
    (word & 0xf) as u8
}

/// Bytes of the data that CRC32 and CRC32C take, as a power of two: `sz`, bits 11:10.
#[must_use]
pub const fn crc_size_log2(word: u32) -> u32 {
    bits(word, 11, 10)
}

// ---------------------------------------------------------------------------------------------
// Branches, exceptions, system
// [DDI0487 C4.1 Branches, Exception Generating and System instructions]
// ---------------------------------------------------------------------------------------------

/// `imm26`, the offset of B and BL in bytes from the instruction.
#[must_use]
pub const fn branch_offset(word: u32) -> i64 {
    sign_extend(bits(word, 25, 0), 26) * 4
}

/// `imm19`, the offset of B.cond, CBZ, CBNZ and of literal loads in bytes from the instruction.
#[must_use]
pub const fn imm19_offset(word: u32) -> i64 {
    sign_extend(bits(word, 23, 5), 19) * 4
}

/// `imm14`, the offset of TBZ and TBNZ in bytes from the instruction.
#[must_use]
pub const fn test_branch_offset(word: u32) -> i64 {
    sign_extend(bits(word, 18, 5), 14) * 4
}

/// `b5:b40`, the number of the bit that TBZ and TBNZ test.
#[must_use]
pub const fn test_bit(word: u32) -> u32 {
    bits(word, 31, 31) << 5 | bits(word, 23, 19)
}

/// `cond`, bits 3:0, of B.cond [DDI0487 C1.2 Condition code].
#[must_use]
pub const fn branch_cond(word: u32) -> u8 {
    (word & 0xf) as u8
}

/// `imm16`, bits 20:5, of SVC, HVC, SMC, BRK, HLT and DCPS.
#[must_use]
pub const fn exception_immediate(word: u32) -> u16 {
    (word >> 5 & 0xffff) as u16
}

/// `CRm`, bits 11:8: the domain of a barrier or the immediate of MSR (immediate).
#[must_use]
pub const fn crm(word: u32) -> u8 {
    (word >> 8 & 0xf) as u8
}

/// `CRm:op2`, the number of a hint.
#[must_use]
pub const fn hint_number(word: u32) -> u8 {
    (word >> 5 & 0x7f) as u8
}

/// `op0:op1:CRn:CRm:op2`, bits 20:5, of MSR (register), MRS, SYS and SYSL.
///
/// The same 16 bits as the index in KVM's ids of AArch64 system registers
/// (`KVM_REG_ARM64_SYSREG`) [linux arch/arm64/include/uapi/asm/kvm.h].
#[must_use]
pub const fn system_register(word: u32) -> u16 {
    (word >> 5 & 0xffff) as u16
}

/// What MSR (immediate) writes, by `op1:op2` [DDI0487 C6.2 MSR (immediate)].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PstateField {
    /// User access override, FEAT_UAO.
    Uao,
    /// Privileged access never, FEAT_PAN.
    Pan,
    /// Stack pointer selection.
    SpSel,
    /// All interrupt mask, FEAT_NMI.
    AllInt,
    /// Profiling exception mask, FEAT_EBEP.
    Pm,
    /// Speculative store bypass safe, FEAT_SSBS.
    Ssbs,
    /// Data independent timing, FEAT_DIT.
    Dit,
    /// Tag check override, FEAT_MTE.
    Tco,
    /// Interrupt masks to set.
    DaifSet,
    /// Interrupt masks to clear.
    DaifClr,
}

/// The field that MSR (immediate) writes; None for words that are not this instruction.
#[must_use]
pub const fn pstate_field(word: u32) -> Option<PstateField> {
    match (bits(word, 18, 16), bits(word, 7, 5)) {
        (0b000, 0b011) => Some(PstateField::Uao),
        (0b000, 0b100) => Some(PstateField::Pan),
        (0b000, 0b101) => Some(PstateField::SpSel),
        (0b001, 0b000) if crm(word) < 2 => Some(PstateField::AllInt),
        (0b001, 0b000) if crm(word) < 4 => Some(PstateField::Pm),
        (0b011, 0b001) => Some(PstateField::Ssbs),
        (0b011, 0b010) => Some(PstateField::Dit),
        (0b011, 0b100) => Some(PstateField::Tco),
        (0b011, 0b110) => Some(PstateField::DaifSet),
        (0b011, 0b111) => Some(PstateField::DaifClr),
        _ => None,
    }
}

// ---------------------------------------------------------------------------------------------
// Loads and stores [DDI0487 C4.1 Loads and Stores]
// ---------------------------------------------------------------------------------------------

/// What one register of a load or store transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes in memory, as a power of two: 0 is a byte, 4 a Q register.
    pub size_log2: u32,
    /// From memory into the register.
    pub load: bool,
    /// The value is sign-extended to the register; else zero-extended.
    pub signed: bool,
    /// The general-purpose register is an X register: matters for signed loads only.
    pub to_64: bool,
}

/// `size` and `opc`, bits 31:30 and 23:22, of loads and stores of one general-purpose register
/// with any addressing but literal.
#[must_use]
pub const fn transfer(word: u32) -> Transfer {
    let size_log2 = bits(word, 31, 30);
    match bits(word, 23, 22) {
        0 => Transfer { size_log2, load: false, signed: false, to_64: size_log2 == 3 },
        1 => Transfer { size_log2, load: true, signed: false, to_64: size_log2 == 3 },
        2 => Transfer { size_log2, load: true, signed: true, to_64: true },
        _ => Transfer { size_log2, load: true, signed: true, to_64: false },
    }
}

/// `opc<1>:size`, the bytes of a SIMD&FP register in memory as a power of two, B to Q, for loads
/// and stores of one register with any addressing but literal.
#[must_use]
pub const fn simd_size_log2(word: u32) -> u32 {
    bits(word, 23, 23) << 2 | bits(word, 31, 30)
}

/// `opc<0>`, bit 22: loads of SIMD&FP registers, of pairs and of exclusives, else stores.
#[must_use]
pub const fn is_load(word: u32) -> bool {
    bit(word, 22)
}

/// `size`, bits 31:30, the bytes in memory as a power of two: exclusives and ordered accesses.
/// For exclusive pairs that of each of the two registers.
#[must_use]
pub const fn exclusive_size_log2(word: u32) -> u32 {
    bits(word, 31, 30)
}

/// `o0`, bit 15: an exclusive or ordered access is load-acquire or store-release.
#[must_use]
pub const fn is_acquire_release(word: u32) -> bool {
    bit(word, 15)
}

/// `imm12`, the unsigned offset in bytes, scaled by an access of `1 << size_log2` bytes.
#[must_use]
pub const fn unsigned_offset(word: u32, size_log2: u32) -> u64 {
    (bits(word, 21, 10) as u64) << size_log2
}

/// `imm9`, the offset in bytes: unscaled, post-indexed, pre-indexed, unprivileged.
#[must_use]
pub const fn signed_offset(word: u32) -> i64 {
    sign_extend(bits(word, 20, 12), 9)
}

/// `S`, the left shift of a register offset in bits for an access of `1 << size_log2` bytes.
#[must_use]
pub const fn register_offset_shift(word: u32, size_log2: u32) -> u32 {
    if bit(word, 12) { size_log2 } else { 0 }
}

/// `opc`, the bytes of each general-purpose register of a pair as a power of two: STP, LDP, STNP,
/// LDNP, and 2 for LDPSW.
#[must_use]
pub const fn pair_size_log2(word: u32) -> u32 {
    2 + bits(word, 31, 31)
}

/// `opc`, the bytes of each SIMD&FP register of a pair as a power of two, and of a SIMD&FP literal.
#[must_use]
pub const fn simd_pair_size_log2(word: u32) -> u32 {
    2 + bits(word, 31, 30)
}

/// `opc`, the bytes that LDR (literal) of a general-purpose register takes as a power of two.
#[must_use]
pub const fn literal_size_log2(word: u32) -> u32 {
    2 + bits(word, 30, 30)
}

/// `imm7`, the offset of a pair in bytes, scaled by registers of `1 << size_log2` bytes.
#[must_use]
pub const fn pair_offset(word: u32, size_log2: u32) -> i64 {
    sign_extend(bits(word, 21, 15), 7) << size_log2
}

#[cfg(test)]
mod tests;
