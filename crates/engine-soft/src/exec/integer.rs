//! Integer arithmetic that is more than one operator.

use crate::cpu::Cpu;

/// Arithmetic that sets NZCV `[DDI0487 J1 AddWithCarry]`.
///
/// N and V stand at bit 63 of their words and Z is a word that is 0, so that setting them costs
/// as little as possible; see [`Cpu::nzcv`].
pub(super) mod flags {
    use super::Cpu;

    #[inline(always)]
    pub fn add(cpu: &mut Cpu, a: u64, b: u64) -> u64 {
        let (sum, carry) = a.overflowing_add(b);
        set(cpu, sum, carry, (a ^ sum) & (b ^ sum))
    }

    #[inline(always)]
    pub fn add_w(cpu: &mut Cpu, a: u32, b: u32) -> u32 {
        let (sum, carry) = a.overflowing_add(b);
        set_w(cpu, sum, carry, (a ^ sum) & (b ^ sum))
    }

    #[inline(always)]
    pub fn sub(cpu: &mut Cpu, a: u64, b: u64) -> u64 {
        let (difference, borrow) = a.overflowing_sub(b);
        set(cpu, difference, !borrow, (a ^ b) & (a ^ difference))
    }

    #[inline(always)]
    pub fn sub_w(cpu: &mut Cpu, a: u32, b: u32) -> u32 {
        let (difference, borrow) = a.overflowing_sub(b);
        set_w(cpu, difference, !borrow, (a ^ b) & (a ^ difference))
    }

    #[inline(always)]
    pub fn adc(cpu: &mut Cpu, a: u64, b: u64) -> u64 {
        let (partial, carry) = a.overflowing_add(b);
        let (sum, more) = partial.overflowing_add(cpu.c_flag);
        set(cpu, sum, carry | more, (a ^ sum) & (b ^ sum))
    }

    #[inline(always)]
    pub fn adc_w(cpu: &mut Cpu, a: u32, b: u32) -> u32 {
        let (partial, carry) = a.overflowing_add(b);
        let (sum, more) = partial.overflowing_add(cpu.c_flag as u32);
        set_w(cpu, sum, carry | more, (a ^ sum) & (b ^ sum))
    }

    #[inline(always)]
    pub fn logic(cpu: &mut Cpu, result: u64) -> u64 {
        set(cpu, result, false, 0)
    }

    #[inline(always)]
    pub fn logic_w(cpu: &mut Cpu, result: u32) -> u32 {
        set_w(cpu, result, false, 0)
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, result: u64, carry: bool, overflow: u64) -> u64 {
        cpu.n_flag = result;
        cpu.z_flag = result;
        cpu.c_flag = u64::from(carry);
        cpu.v_flag = overflow;
        result
    }

    #[inline(always)]
    fn set_w(cpu: &mut Cpu, result: u32, carry: bool, overflow: u32) -> u32 {
        cpu.n_flag = u64::from(result) << 32;
        cpu.z_flag = u64::from(result);
        cpu.c_flag = u64::from(carry);
        cpu.v_flag = u64::from(overflow) << 32;
        result
    }
}

/// Zero- and sign-extensions of what a load read, by the names that the loop's macros take:
/// `zx` to 64 bits with zeros, `sx` to 64 bits with the sign, `sw` to 32 bits with the sign.
macro_rules! extensions {
    ($($name:ident: $ty:ty => |$value:ident| $extended:expr;)+) => {$(
        #[inline(always)]
        pub(super) fn $name($value: $ty) -> u64 {
            $extended
        }
    )+};
}
extensions! {
    zx8: u8 => |value| value.into();
    zx16: u16 => |value| value.into();
    zx32: u32 => |value| value.into();
    zx64: u64 => |value| value;
    sx8: u8 => |value| value as i8 as u64;
    sx16: u16 => |value| value as i16 as u64;
    sx32: u32 => |value| value as i32 as u64;
    sw8: u8 => |value| u64::from(value as i8 as u32);
    sw16: u16 => |value| u64::from(value as i16 as u32);
}

/// Whether a condition holds `[DDI0487 J1 ConditionHolds]`.
#[inline(always)]
pub(super) fn holds(cpu: &Cpu, cond: u32) -> bool {
    let negative = cpu.n_flag as i64 >> 63 != 0;
    let overflow = cpu.v_flag as i64 >> 63 != 0;
    let (zero, carry) = (cpu.z_flag == 0, cpu.c_flag != 0);
    let base = match cond >> 1 & 7 {
        0 => zero,
        1 => carry,
        2 => negative,
        3 => overflow,
        4 => carry && !zero,
        5 => negative == overflow,
        6 => !zero && negative == overflow,
        _ => return true,
    };
    base != (cond & 1 == 1)
}

/// The shifted operand of a data-processing instruction `[DDI0487 J1 ShiftReg]`.
#[inline(always)]
pub(super) fn shifted(value: u64, how: u32) -> u64 {
    let amount = how & 63;
    match how >> 8 {
        0 => value << amount,
        1 => value >> amount,
        2 => (value as i64 >> amount) as u64,
        _ => value.rotate_right(amount),
    }
}

/// The same for 32 bits.
#[inline(always)]
pub(super) fn shifted_w(value: u32, how: u32) -> u32 {
    let amount = how & 31;
    match how >> 8 {
        0 => value << amount,
        1 => value >> amount,
        2 => (value as i32 >> amount) as u32,
        _ => value.rotate_right(amount),
    }
}

/// The extended operand of a data-processing instruction or address `[DDI0487 J1 ExtendReg]`:
/// option at bit 8, left shift below.
#[inline(always)]
pub(super) fn extended(value: u64, how: u32) -> u64 {
    let whole = match how >> 8 & 7 {
        0 => value & 0xff,
        1 => value & 0xffff,
        2 => value & 0xffff_ffff,
        4 => value as i8 as u64,
        5 => value as i16 as u64,
        6 => value as i32 as u64,
        _ => value,
    };
    whole << (how & 7)
}

/// Signed division, rounding to zero; by zero gives zero and the quotient wraps.
pub(super) fn sdiv(a: u64, b: u64) -> u64 {
    if b == 0 { 0 } else { (a as i64).wrapping_div(b as i64) as u64 }
}

/// The same for 32 bits.
pub(super) fn sdiv_w(a: u32, b: u32) -> u32 {
    if b == 0 { 0 } else { (a as i32).wrapping_div(b as i32) as u32 }
}

/// Swaps the bytes of each half-word.
pub(super) fn rev16(value: u64) -> u64 {
    value >> 8 & 0x00ff_00ff_00ff_00ff | (value & 0x00ff_00ff_00ff_00ff) << 8
}

/// Counts how many bits below the sign bit equal it.
pub(super) fn cls(value: u64) -> u64 {
    u64::from((value ^ value << 1 | 1).leading_zeros())
}

/// The same for 32 bits.
pub(super) fn cls_w(value: u32) -> u32 {
    (value ^ value << 1 | 1).leading_zeros()
}

/// CRC32 (bit 8 of `how` clear) and CRC32C over `1 << (how & 3)` bytes `[DDI0487 J1 BitReverse]`.
pub(super) fn crc32(sum: u32, data: u64, how: u32) -> u32 {
    let polynomial: u32 = if how >> 8 == 0 { 0xedb8_8320 } else { 0x82f6_3b78 };
    data.to_le_bytes().into_iter().take(1 << (how & 3)).fold(sum, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { polynomial } else { 0 }
        })
    })
}
