//! The record that a guest reads.

use crate::Revision;

/// Length of a record in bytes; 16 of them have a meaning, the rest is 0
/// `[linux arch/arm64/include/asm/pvclock-abi.h]`.
pub const RECORD_LEN: usize = 64;
/// To what a record is aligned, in bytes `[DEN0057A 3.3.5]`.
pub const RECORD_ALIGN: u64 = 64;
/// Where the stolen nanoseconds stand: 8 bytes, of 8 bytes' alignment, so that a guest reads them
/// with one access `[DEN0057A 3.3.5]`.
pub const STOLEN_NS_OFFSET: u64 = 8;

const ATTRIBUTES_OFFSET: usize = 4;
const STOLEN_OFFSET: usize = 8;
const END: usize = 16;

/// A vCPU's record `[DEN0057A 3.3.5]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset 0, 4 bytes: of what revision the record is; 0 is that of version 1.0.
    pub revision: Revision,
    /// Offset 4, 4 bytes: none is defined, so 0.
    pub attributes: u32,
    /// Offset 8, 8 bytes: how long the vCPU could have run and did not, in nanoseconds, since its
    /// guest last called `PV_TIME_ST`.
    pub stolen_ns: u64,
}

impl Record {
    /// A record as `PV_TIME_ST` leaves it.
    #[must_use]
    pub const fn new(revision: Revision) -> Self {
        Self { revision, attributes: 0, stolen_ns: 0 }
    }

    /// As it stands in memory: little-endian, whatever the guest's own byte order.
    #[must_use]
    pub fn to_bytes(self) -> [u8; RECORD_LEN] {
        let Self { revision, attributes, stolen_ns } = self;
        let mut bytes = [0; RECORD_LEN];
        bytes[..ATTRIBUTES_OFFSET].copy_from_slice(&revision.0.to_le_bytes());
        bytes[ATTRIBUTES_OFFSET..STOLEN_OFFSET].copy_from_slice(&attributes.to_le_bytes());
        bytes[STOLEN_OFFSET..END].copy_from_slice(&stolen_ns.to_le_bytes());
        bytes
    }

    /// What stands in memory. Every content is some record; whether a reader can use it, its
    /// revision tells.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_LEN]) -> Self {
        let [r0, r1, r2, r3, a0, a1, a2, a3, s0, s1, s2, s3, s4, s5, s6, s7, ..] = *bytes;
        Self {
            revision: Revision(u32::from_le_bytes([r0, r1, r2, r3])),
            attributes: u32::from_le_bytes([a0, a1, a2, a3]),
            stolen_ns: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let record = Record {
            revision: Revision(0x0403_0201),
            attributes: 0x0807_0605,
            stolen_ns: 0x100f_0e0d_0c0b_0a09,
        };
        let bytes = record.to_bytes();
        assert!(bytes[..16].iter().copied().eq(1..=16));
        assert_eq!(bytes[16..], [0; 48]);
        assert_eq!(Record::from_bytes(&bytes), record);
    }

    #[test]
    fn a_record_of_version_1_0_is_all_zeros_until_time_is_stolen() {
        assert_eq!(Record::new(crate::REVISION_1_0).to_bytes(), [0; 64]);
    }
}
