//! Lists of registers as bytes. `docs/state-format.md` describes the same layout for readers of
//! files; this module is what both sides execute.
//!
//! A list is entries one after another, each padded with zeros to a multiple of 4 bytes:
//!
//! | offset | size | content |
//! |---|---|---|
//! | 0 | 1 | bits 7:6 class, bits 5:0 kind of identity |
//! | 1 | 1 | length of the identity, `i` bytes |
//! | 2 | 2 | length of the value, `v` bytes, little-endian |
//! | 4 | `i` | identity |
//! | 4+`i` | `v` | value |
//!
//! Kinds: 1 = KVM ONE_REG id (u64, `i` = 8), 2 = GIC (u32 group, u64 attribute, `i` = 12),
//! 3 = name (`i` = 1…31). Other kinds are of newer versions and are kept as they are.

use crate::id::ForeignId;
use crate::{Class, Entry, Name, RegId, Value};
use alloc::vec::Vec;
use core::fmt;

const KIND_KVM: u8 = 1;
const KIND_GIC: u8 = 2;
const KIND_NAME: u8 = 3;
const KIND_MASK: u8 = 0x3f;
const CLASS_SHIFT: u8 = 6;
const HEAD_LEN: usize = 4;

/// Why bytes are not a list of registers, or a list cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes end inside an entry.
    Truncated {
        /// Where the entry begins.
        offset: usize,
    },
    /// The class has no meaning.
    Class {
        /// Where the entry begins.
        offset: usize,
        /// The class's number.
        found: u8,
    },
    /// The identity has the wrong form for its kind.
    Identity {
        /// Where the entry begins.
        offset: usize,
        /// The kind's number.
        kind: u8,
    },
    /// Padding is not zero.
    Padding {
        /// Where the entry begins.
        offset: usize,
    },
    /// A value is longer than [`Value::MAX_LEN`].
    TooLong {
        /// The register.
        id: RegId,
        /// Its length, in bytes.
        found: usize,
    },
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset } => {
                write!(f, "the register list ends inside the entry at byte {offset}")
            }
            Self::Class { offset, found } => write!(
                f,
                "entry at byte {offset}: class {found} found, 0 (mandatory), 1 (static) or 2 \
                 (volatile) allowed"
            ),
            Self::Identity { offset, kind } => {
                write!(f, "entry at byte {offset}: not an identity of kind {kind}")
            }
            Self::Padding { offset } => {
                write!(f, "entry at byte {offset}: padding is not zero")
            }
            Self::TooLong { id, found } => {
                write!(f, "register {id}: {found} bytes found, at most {} allowed", Value::MAX_LEN)
            }
        }
    }
}

impl core::error::Error for CodecError {}

/// Writes `entries` in the order given.
///
/// # Errors
/// [`CodecError::TooLong`].
pub fn encode(entries: &[Entry]) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    for entry in entries {
        let (kind, id) = identity(&entry.id);
        let value = entry.value.as_bytes();
        let too_long = CodecError::TooLong { id: entry.id, found: value.len() };
        let value_len = u16::try_from(value.len()).map_err(|_| too_long)?;
        let id_len = u8::try_from(id.len()).map_err(|_| too_long)?;
        out.extend_from_slice(&[(entry.class as u8) << CLASS_SHIFT | kind, id_len]);
        out.extend_from_slice(&value_len.to_le_bytes());
        out.extend_from_slice(&id);
        out.extend_from_slice(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    Ok(out)
}

/// Reads a list back.
///
/// # Errors
/// [`CodecError`]; the allocation is bounded by the length of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, CodecError> {
    let mut entries = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let (entry, next) = decode_entry(bytes, offset)?;
        entries.push(entry);
        offset = next;
    }
    Ok(entries)
}

fn decode_entry(bytes: &[u8], offset: usize) -> Result<(Entry, usize), CodecError> {
    let truncated = CodecError::Truncated { offset };
    let rest = &bytes[offset..];
    let (head, rest) = rest.split_at_checked(HEAD_LEN).ok_or(truncated)?;
    let (kind, id_len) = (head[0] & KIND_MASK, usize::from(head[1]));
    let value_len = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let class = head[0] >> CLASS_SHIFT;
    let class = Class::from_number(class).ok_or(CodecError::Class { offset, found: class })?;
    let (id, rest) = rest.split_at_checked(id_len).ok_or(truncated)?;
    let (value, rest) = rest.split_at_checked(value_len).ok_or(truncated)?;
    let used = HEAD_LEN + id_len + value_len;
    let padding = rest.get(..used.next_multiple_of(4) - used).ok_or(truncated)?;
    if padding.iter().any(|&byte| byte != 0) {
        return Err(CodecError::Padding { offset });
    }
    let id = parse_identity(kind, id).ok_or(CodecError::Identity { offset, kind })?;
    Ok((Entry::new(id, class, Value::bytes(value)), offset + used.next_multiple_of(4)))
}

fn identity(id: &RegId) -> (u8, Vec<u8>) {
    match id {
        RegId::Kvm(number) => (KIND_KVM, number.to_le_bytes().to_vec()),
        RegId::Gic { group, attr } => {
            (KIND_GIC, [&group.to_le_bytes()[..], &attr.to_le_bytes()[..]].concat())
        }
        RegId::Named(name) => (KIND_NAME, name.as_bytes().to_vec()),
        RegId::Foreign { kind, id } => (*kind, id.as_bytes().to_vec()),
    }
}

fn parse_identity(kind: u8, bytes: &[u8]) -> Option<RegId> {
    match kind {
        // Kind 0 stays free, so that a run of zeros is never an entry.
        0 => None,
        KIND_KVM => Some(RegId::Kvm(u64::from_le_bytes(bytes.try_into().ok()?))),
        KIND_GIC => {
            let (group, attr) = bytes.split_at_checked(4)?;
            Some(RegId::Gic {
                group: u32::from_le_bytes(group.try_into().ok()?),
                attr: u64::from_le_bytes(attr.try_into().ok()?),
            })
        }
        KIND_NAME => Name::from_bytes(bytes).map(RegId::Named),
        _ => Some(RegId::Foreign { kind, id: ForeignId::from_bytes(bytes)? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn sample() -> Vec<Entry> {
        vec![
            Entry::new(RegId::Kvm(0x6030_0000_0010_0042), Class::Mandatory, Value::u64(5)),
            Entry::new(RegId::gic(1, 0x104), Class::Static, Value::u32(0xffff)),
            Entry::new(RegId::named("clock.warp"), Class::Volatile, Value::bytes(&[1, 2, 3])),
        ]
    }

    #[test]
    fn layout_is_the_documented_one() {
        let bytes = encode(&sample()[..1]).unwrap();
        let (head, id) = ([1, 8, 8, 0], [0x42, 0, 0x10, 0, 0, 0, 0x30, 0x60]);
        assert_eq!(bytes, [&head[..], &id, &[5, 0, 0, 0, 0, 0, 0, 0]].concat());
    }

    #[test]
    fn every_truncation_inside_an_entry_is_refused() {
        let bytes = encode(&sample()).unwrap();
        let ends = [0, 20, 40];
        for len in (0..bytes.len()).filter(|len| !ends.contains(len)) {
            assert!(
                matches!(decode(&bytes[..len]), Err(CodecError::Truncated { .. })),
                "cut at {len}"
            );
        }
        assert_eq!(decode(&bytes).unwrap(), sample());
    }

    #[test]
    fn unknown_kinds_are_carried_byte_for_byte() {
        let mut bytes = encode(&sample()).unwrap();
        bytes[0] = 1 << CLASS_SHIFT | 9;
        let decoded = decode(&bytes).unwrap();
        assert!(matches!(decoded[0].id, RegId::Foreign { kind: 9, .. }));
        assert_eq!(encode(&decoded).unwrap(), bytes);
    }

    #[test]
    fn nonsense_is_named_with_its_place() {
        let good = encode(&sample()).unwrap();
        let mut class = good.clone();
        class[20] |= 0xc0;
        assert_eq!(decode(&class), Err(CodecError::Class { offset: 20, found: 3 }));
        let mut padding = good.clone();
        *padding.last_mut().unwrap() = 1;
        assert_eq!(decode(&padding), Err(CodecError::Padding { offset: 40 }));
        assert_eq!(decode(&[0; 8]), Err(CodecError::Identity { offset: 0, kind: 0 }));
    }
}
