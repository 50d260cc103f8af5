//! What a register holds.

use alloc::vec::Vec;
use core::fmt;

/// The content of a register: its bytes, little-endian for numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Vec<u8>);

impl Value {
    /// The longest value, in bytes: what the file format's 16-bit length can say.
    pub const MAX_LEN: usize = u16::MAX as usize;

    /// The value with these bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// An 8-bit number.
    #[must_use]
    pub fn u8(number: u8) -> Self {
        Self::bytes(&[number])
    }

    /// A 32-bit number.
    #[must_use]
    pub fn u32(number: u32) -> Self {
        Self::bytes(&number.to_le_bytes())
    }

    /// A 64-bit number.
    #[must_use]
    pub fn u64(number: u64) -> Self {
        Self::bytes(&number.to_le_bytes())
    }

    /// A 128-bit number.
    #[must_use]
    pub fn u128(number: u128) -> Self {
        Self::bytes(&number.to_le_bytes())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The length in bytes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.len()
    }

    /// The number in a value of at most 64 bits, or `None` for none and for wider ones.
    #[must_use]
    pub fn to_number(&self) -> Option<u64> {
        if !(1..=8).contains(&self.0.len()) {
            return None;
        }
        Some(self.0.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The 8-bit number, or `None` at another width.
    #[must_use]
    pub fn to_u8(&self) -> Option<u8> {
        Some(u8::from_le_bytes(self.0.as_slice().try_into().ok()?))
    }

    /// The 32-bit number, or `None` at another width.
    #[must_use]
    pub fn to_u32(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.0.as_slice().try_into().ok()?))
    }

    /// The 64-bit number, or `None` at another width.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        Some(u64::from_le_bytes(self.0.as_slice().try_into().ok()?))
    }

    /// The 128-bit number, or `None` at another width.
    #[must_use]
    pub fn to_u128(&self) -> Option<u128> {
        Some(u128::from_le_bytes(self.0.as_slice().try_into().ok()?))
    }
}

impl fmt::Display for Value {
    /// Numbers as `0x…`; longer values as plain hex in memory order, cut after 32 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.width(), 1 | 2 | 4 | 8 | 16) {
            f.write_str("0x")?;
            return self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"));
        }
        self.0.iter().take(32).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.width() > 32 { write!(f, "… ({} bytes)", self.width()) } else { Ok(()) }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
