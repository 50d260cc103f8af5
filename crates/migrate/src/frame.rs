//! Frames: what a message is packed in. The head is the same in every version of the protocol.

use crate::wire::{Fields, Malformed};

/// The length of a frame's head, in bytes.
pub const HEAD_LEN: usize = 24;

/// Set in the type of a message that a receiver who does not know it skips.
pub const OPTIONAL: u16 = 0x8000;

/// The longest payload of an optional message that is unknown here, in bytes.
pub const UNKNOWN_MAX_LEN: u32 = 64 * 1024;

/// A frame's head.
///
/// | offset | size | field |
/// |---:|---:|---|
/// | 0 | 2 | type of the message; bit 15: optional |
/// | 2 | 2 | flags: none defined, zero |
/// | 4 | 4 | length of the payload in bytes |
/// | 8 | 4 | number: how many frames went before it on this connection in this direction |
/// | 12 | 4 | reserved, zero |
/// | 16 | 4 | CRC32C of the payload |
/// | 20 | 4 | CRC32C of bytes 0 to 19 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which message.
    pub kind: u16,
    /// The payload's length in bytes.
    pub len: u32,
    /// The frame's number in its direction, from 0: a repeated or missing one is noticed.
    pub number: u32,
    /// CRC32C of the payload.
    pub payload_crc: u32,
}

impl Head {
    /// The head for `payload`.
    ///
    /// # Panics
    /// If the payload is longer than any message may be.
    #[must_use]
    pub fn of(kind: u16, number: u32, payload: &[u8]) -> Self {
        let len = u32::try_from(payload.len()).expect("messages are bounded far below 4 GiB");
        Self { kind, len, number, payload_crc: crc32c::crc32c(payload) }
    }

    /// The head's bytes.
    #[must_use]
    pub fn encode(self) -> [u8; HEAD_LEN] {
        let Self { kind, len, number, payload_crc } = self;
        let mut out = [0; HEAD_LEN];
        out[..2].copy_from_slice(&kind.to_le_bytes());
        out[4..8].copy_from_slice(&len.to_le_bytes());
        out[8..12].copy_from_slice(&number.to_le_bytes());
        out[16..20].copy_from_slice(&payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&out[..20]);
        out[20..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a head.
    ///
    /// # Errors
    /// [`Malformed`] if it is damaged, or none at all.
    pub fn decode(bytes: &[u8; HEAD_LEN]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        let (kind, flags, len) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let (number, reserved, payload_crc) = (fields.u32()?, fields.u32()?, fields.u32()?);
        if fields.u32()? != crc32c::crc32c(&bytes[..20]) {
            return Err(Malformed("not the head of a frame (CRC)"));
        }
        if flags != 0 || reserved != 0 {
            return Err(Malformed("a flag of a frame that this version does not know"));
        }
        Ok(Self { kind, len, number, payload_crc })
    }

    /// Whether `payload` is the one that was sent.
    #[must_use]
    pub fn covers(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == u64::from(self.len) && crc32c::crc32c(payload) == self.payload_crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_document_says() {
        let head = Head::of(0x0102, 3, b"123456789");
        let bytes = head.encode();
        assert_eq!(bytes[..16], [2, 1, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..20], 0xE306_9283_u32.to_le_bytes());
        assert_eq!(Head::decode(&bytes), Ok(head));
        assert!(
            head.covers(b"123456789") && !head.covers(b"12345678") && !head.covers(b"923456781")
        );
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let bytes = Head::of(1, 0, b"x").encode();
        for bit in 0..HEAD_LEN * 8 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(Head::decode(&wrong).is_err(), "bit {bit}");
        }
    }
}
