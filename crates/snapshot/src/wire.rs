//! Little-endian numbers at fixed places.

use abide_reg::Name;

/// The longest run of zeros that is ever compared or written at once, in bytes.
pub(crate) const ZEROS_LEN: usize = 64 * 1024;

pub(crate) static ZEROS: [u8; ZEROS_LEN] = [0; ZEROS_LEN];

/// The `N` bytes at `at`. The caller has checked the length.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Whether all of `bytes` is zero. As fast as comparing memory.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS_LEN).all(|piece| *piece == ZEROS[..piece.len()])
}

/// The text before the zeros that pad it, or `None` where a byte after the first zero is not zero.
pub(crate) fn unpadded(field: &[u8]) -> Option<&[u8]> {
    let len = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    is_zero(&field[len..]).then(|| &field[..len])
}

/// The name in a zero-padded field.
pub(crate) fn name(field: &[u8]) -> Option<Name> {
    Name::from_bytes(unpadded(field)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_after_a_name_must_be_zero() {
        assert_eq!(name(b"gic\0\0"), Some(Name::new("gic")));
        assert_eq!(name(b"gic\0x"), None);
        assert_eq!(name(b"\0\0\0"), None);
        assert_eq!(unpadded(b"full"), Some(&b"full"[..]));
    }

    #[test]
    fn one_set_byte_anywhere_is_not_zero() {
        let mut bytes = vec![0; ZEROS_LEN + 10];
        assert!(is_zero(&bytes));
        bytes[ZEROS_LEN + 9] = 1;
        assert!(!is_zero(&bytes));
    }
}
