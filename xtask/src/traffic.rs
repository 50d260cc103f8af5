//! Bytes that go between a guest and this side, which both can make and check.

/// Bytes that follow from a number and their place, as the guests make them.
pub fn bytes(mut state: u64) -> impl Iterator<Item = u8> {
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    })
}

/// FNV-1a.
pub fn hash_of(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_two_numbers_differ_and_the_hash_is_fnv() {
        assert_ne!(hash_of(bytes(1).take(1000)), hash_of(bytes(2).take(1000)));
        // From the hash's description.
        assert_eq!(hash_of(*b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
