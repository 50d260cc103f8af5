//! The head that every record begins with.

use crate::wire::{name, put, u16_at, u32_at, u64_at};
use crate::{Problem, Record};
use abide_reg::{Class, Name, Scope, VcpuId};
use std::fmt;

/// The length of a record's head, in bytes.
pub const HEAD_LEN: usize = 64;

/// Records begin at multiples of this many bytes.
pub const RECORD_ALIGN: u64 = 8;

const AT_KIND: usize = 0;
const AT_CLASS: usize = 4;
const AT_SCOPE: usize = 5;
const AT_FLAGS: usize = 6;
const AT_INDEX: usize = 8;
const AT_RESERVED: usize = 12;
const AT_LEN: usize = 16;
const AT_UNIT: usize = 24;
const AT_PAYLOAD_CRC: usize = 56;
const AT_HEAD_CRC: usize = 60;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub u32);

impl RecordKind {
    /// The registers of one unit in one scope.
    pub const UNIT: Self = Self(1);
    /// The ranges of guest RAM and the list of its chunks.
    pub const MEMORY: Self = Self(2);
    /// The last record: the file's length and digest.
    pub const END: Self = Self(3);
    /// Where guest RAM is, if it is not in the file.
    pub const KEPT_MEMORY: Self = Self(4);
    /// The right to run a guest that was moved.
    pub const RIGHT: Self = Self(5);
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNIT => f.pad("unit"),
            Self::MEMORY => f.pad("memory"),
            Self::END => f.pad("end"),
            Self::KEPT_MEMORY => f.pad("kept memory"),
            Self::RIGHT => f.pad("right to run"),
            Self(other) => write!(f, "type {other}"),
        }
    }
}

/// A scope as a file has it, which may be of a kind that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeField {
    /// 0 = the VM, 1 = a vCPU, 2 = an instance of a device.
    pub kind: u8,
    /// Which one; 0 for the VM.
    pub index: u32,
}

impl ScopeField {
    /// The scope, or `None` for one that this version does not know.
    #[must_use]
    pub fn known(self) -> Option<Scope> {
        match (self.kind, self.index) {
            (0, 0) => Some(Scope::Vm),
            (1, index) => Some(Scope::Vcpu(VcpuId(index))),
            (2, index) => Some(Scope::Device(index)),
            _ => None,
        }
    }
}

impl From<Scope> for ScopeField {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Vm => Self { kind: 0, index: 0 },
            Scope::Vcpu(VcpuId(index)) => Self { kind: 1, index },
            Scope::Device(index) => Self { kind: 2, index },
        }
    }
}

impl fmt::Display for ScopeField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(scope) => write!(f, "{scope}"),
            None => write!(f, "scope {}:{}", self.kind, self.index),
        }
    }
}

/// A record's head, with every field as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the record is.
    pub kind: RecordKind,
    /// What a reader that does not know it must do: the number of a [`Class`].
    pub class_number: u8,
    /// Whose state it is.
    pub scope: ScopeField,
    /// A bit that a reader does not know makes the record unknown to it. None is defined.
    pub flags: u16,
    /// As [`Self::flags`].
    pub reserved: u32,
    /// The part of the machine it belongs to.
    pub unit: Name,
    /// The payload's length in bytes, without padding.
    pub payload_len: u64,
    /// CRC32C of the payload and its padding.
    pub payload_crc: u32,
}

impl Head {
    /// The head of a record with this payload, which is to be padded.
    pub(crate) fn new(kind: RecordKind, class: Class, unit: Name, scope: Scope) -> Self {
        Self {
            kind,
            class_number: class as u8,
            scope: scope.into(),
            flags: 0,
            reserved: 0,
            unit,
            payload_len: 0,
            payload_crc: 0,
        }
    }

    /// The class, or `None` for a number without meaning.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        Class::from_number(self.class_number)
    }

    /// Whether this version knows what such a record holds.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let plain = self.flags == 0 && self.reserved == 0;
        let fixed = |unit| {
            let head = Self::new(self.kind, Class::Mandatory, unit, Scope::Vm);
            (head.class_number, head.scope, head.unit) == (self.class_number, self.scope, self.unit)
        };
        plain
            && match self.kind {
                RecordKind::UNIT => self.scope.known().is_some(),
                RecordKind::MEMORY => fixed(MEMORY_UNIT),
                RecordKind::END => fixed(END_UNIT),
                RecordKind::KEPT_MEMORY => fixed(KEPT_UNIT),
                RecordKind::RIGHT => fixed(RIGHT_UNIT),
                _ => false,
            }
    }

    /// What no two records of a file may share.
    pub(crate) fn key(&self) -> (RecordKind, Name, ScopeField) {
        (self.kind, self.unit, self.scope)
    }

    /// The whole record with `payload`: head, payload, padding.
    pub(crate) fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let padded = payload.len().next_multiple_of(8);
        let mut bytes = vec![0; HEAD_LEN + padded];
        put(&mut bytes, HEAD_LEN, payload);
        let payload_crc = crc32c::crc32c(&bytes[HEAD_LEN..]);
        let payload_len = payload.len() as u64;
        let head = Self { payload_len, payload_crc, ..self.clone() }.encode();
        put(&mut bytes, 0, &head);
        bytes
    }

    fn encode(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        put(&mut bytes, AT_KIND, &self.kind.0.to_le_bytes());
        bytes[AT_CLASS] = self.class_number;
        bytes[AT_SCOPE] = self.scope.kind;
        put(&mut bytes, AT_FLAGS, &self.flags.to_le_bytes());
        put(&mut bytes, AT_INDEX, &self.scope.index.to_le_bytes());
        put(&mut bytes, AT_RESERVED, &self.reserved.to_le_bytes());
        put(&mut bytes, AT_LEN, &self.payload_len.to_le_bytes());
        put(&mut bytes, AT_UNIT, self.unit.as_bytes());
        put(&mut bytes, AT_PAYLOAD_CRC, &self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..AT_HEAD_CRC]);
        put(&mut bytes, AT_HEAD_CRC, &crc.to_le_bytes());
        bytes
    }

    /// Reads a head; the unit's name comes along, where it is one, even if the head is damaged.
    pub(crate) fn decode(bytes: &[u8; HEAD_LEN]) -> Result<Self, (Option<Name>, Problem)> {
        let unit = name(&bytes[AT_UNIT..AT_PAYLOAD_CRC]);
        let (found, computed) = (u32_at(bytes, AT_HEAD_CRC), crc32c::crc32c(&bytes[..AT_HEAD_CRC]));
        if found != computed {
            return Err((unit, Problem::HeadCrc { found, computed }));
        }
        Ok(Self {
            kind: RecordKind(u32_at(bytes, AT_KIND)),
            class_number: bytes[AT_CLASS],
            scope: ScopeField { kind: bytes[AT_SCOPE], index: u32_at(bytes, AT_INDEX) },
            flags: u16_at(bytes, AT_FLAGS),
            reserved: u32_at(bytes, AT_RESERVED),
            unit: unit.ok_or((None, Problem::UnitName))?,
            payload_len: u64_at(bytes, AT_LEN),
            payload_crc: u32_at(bytes, AT_PAYLOAD_CRC),
        })
    }
}

/// The unit name of the record of [`RecordKind::MEMORY`].
pub(crate) const MEMORY_UNIT: Name = Name::new("ram");

/// The unit name of the record of [`RecordKind::END`].
pub(crate) const END_UNIT: Name = Name::new("end");

/// The unit name of the record of [`RecordKind::KEPT_MEMORY`].
pub(crate) const KEPT_UNIT: Name = Name::new("memory-file");

/// The unit name of the record of [`RecordKind::RIGHT`].
pub(crate) const RIGHT_UNIT: Name = Name::new("right-to-run");

impl From<&Record> for Head {
    fn from(record: &Record) -> Self {
        match record {
            Record::Unit(unit) => Self::new(RecordKind::UNIT, unit.class, unit.unit, unit.scope),
            Record::Kept(_) => {
                Self::new(RecordKind::KEPT_MEMORY, Class::Mandatory, KEPT_UNIT, Scope::Vm)
            }
            Record::Right(_) => {
                Self::new(RecordKind::RIGHT, Class::Mandatory, RIGHT_UNIT, Scope::Vm)
            }
            Record::Foreign(foreign) => foreign.head.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head::new(RecordKind::UNIT, Class::Static, Name::new("gic"), Scope::Vcpu(VcpuId(3)))
    }

    #[test]
    fn fields_stand_where_the_document_says() {
        let bytes = head().seal(&[9; 5]);
        assert_eq!(bytes.len(), 64 + 8);
        assert_eq!(bytes[..12], [1, 0, 0, 0, 1, 1, 0, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[16..27], [5, 0, 0, 0, 0, 0, 0, 0, b'g', b'i', b'c']);
        assert_eq!(u32_at(&bytes, 56), crc32c::crc32c(&[9, 9, 9, 9, 9, 0, 0, 0]));
        assert_eq!(bytes[64..], [9, 9, 9, 9, 9, 0, 0, 0]);
    }

    #[test]
    fn flags_reserved_bits_and_new_scopes_make_a_record_unknown() {
        assert!(head().is_known());
        assert!(!Head { flags: 1, ..head() }.is_known());
        assert!(!Head { reserved: 1, ..head() }.is_known());
        assert!(!Head { scope: ScopeField { kind: 3, index: 0 }, ..head() }.is_known());
        assert!(!Head { scope: ScopeField { kind: 0, index: 1 }, ..head() }.is_known());
        assert!(!Head { kind: RecordKind(6), ..head() }.is_known());
        assert!(!Head { kind: RecordKind::MEMORY, ..head() }.is_known());
    }

    #[test]
    fn a_damaged_head_still_tells_its_unit() {
        let sealed = head().seal(&[]);
        let mut bytes: [u8; HEAD_LEN] = crate::wire::array(&sealed, 0);
        bytes[16] ^= 1;
        let refused = Head::decode(&bytes);
        assert!(
            matches!(refused, Err((Some(unit), Problem::HeadCrc { .. })) if unit.as_str() == "gic")
        );
    }
}
