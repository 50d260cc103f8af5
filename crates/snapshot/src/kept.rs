//! The record that stands in the place of RAM: RAM stays in a file of its own, which this names.

use crate::Digest;
use crate::finding::{Finding, Place, Problem};
use crate::map::RamRange;
use crate::wire::{array, u64_at};
use abide_reg::Gpa;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The longest path of a memory file, in bytes: Linux's PATH_MAX without the zero at the end.
const MAX_PATH_LEN: usize = 4095;
const FIXED_LEN: usize = 80;
const AT_SIZE: usize = 8;
const AT_GUEST: usize = 16;
const AT_SAVE: usize = 32;
const AT_HASH: usize = 48;

/// A random number that no other guest, or no other save, has. Never all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryId(pub [u8; 16]);

impl fmt::Display for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a guest's RAM is, when it is not in the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMemory {
    /// The RAM.
    pub range: RamRange,
    /// The guest whose memory file it is.
    pub guest: MemoryId,
    /// The save: the memory file holds the same number until its guest runs again.
    pub save: MemoryId,
    /// [`crate::ram_hash`] of the RAM, where that was asked for.
    pub hash: Option<Digest>,
    /// Where the memory file was: 1 to 4095 bytes, none of them 0.
    pub path: PathBuf,
}

impl KeptMemory {
    /// Whether every field is one that may stand in a file.
    pub(crate) fn is_possible(&self) -> bool {
        let path = self.path.as_os_str().as_bytes();
        let named = !path.is_empty() && path.len() <= MAX_PATH_LEN && !path.contains(&0);
        let ids = ![self.guest, self.save].contains(&MemoryId::default());
        named && ids && self.hash != Some(Digest::default()) && self.range.is_possible()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_LEN + self.path.as_os_str().len());
        bytes.extend_from_slice(&self.range.gpa.0.to_le_bytes());
        bytes.extend_from_slice(&self.range.size.to_le_bytes());
        bytes.extend_from_slice(&self.guest.0);
        bytes.extend_from_slice(&self.save.0);
        bytes.extend_from_slice(&self.hash.unwrap_or_default().0);
        bytes.extend_from_slice(self.path.as_os_str().as_bytes());
        bytes
    }

    /// Reads the payload that stands at byte `at` of the file.
    pub(crate) fn decode(payload: &[u8], at: u64, place: Place) -> Result<Self, Finding> {
        let found = payload.len() as u64;
        if payload.len() <= FIXED_LEN {
            let allowed = FIXED_LEN as u64 + 1;
            return Err(Finding::new(place, at, Problem::PayloadLen { found, allowed }));
        }
        let (fixed, path) = payload.split_at(FIXED_LEN);
        let hash = Digest(array(fixed, AT_HASH));
        let kept = Self {
            range: RamRange { gpa: Gpa(u64_at(fixed, 0)), size: u64_at(fixed, AT_SIZE) },
            guest: MemoryId(array(fixed, AT_GUEST)),
            save: MemoryId(array(fixed, AT_SAVE)),
            hash: (hash != Digest::default()).then_some(hash),
            path: PathBuf::from(OsStr::from_bytes(path)),
        };
        if kept.is_possible() { Ok(kept) } else { Err(Finding::new(place, at, Problem::Kept)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> KeptMemory {
        KeptMemory {
            range: RamRange { gpa: Gpa(0x4000_0000), size: 8192 },
            guest: MemoryId([0x11; 16]),
            save: MemoryId([0x22; 16]),
            hash: Some(Digest([0x33; 32])),
            path: "/m".into(),
        }
    }

    fn decode(payload: &[u8]) -> Result<KeptMemory, Finding> {
        KeptMemory::decode(payload, 0, Place::File)
    }

    #[test]
    fn fields_stand_where_the_document_says() {
        let bytes = kept().encode();
        assert_eq!(bytes.len(), 82);
        assert_eq!(bytes[..16], [0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0]);
        assert_eq!((bytes[16], bytes[31], bytes[32], bytes[47]), (0x11, 0x11, 0x22, 0x22));
        assert_eq!((bytes[48], bytes[79], &bytes[80..]), (0x33, 0x33, &b"/m"[..]));
        assert_eq!(decode(&bytes).unwrap(), kept());
        let unhashed = KeptMemory { hash: None, ..kept() };
        assert_eq!(decode(&unhashed.encode()).unwrap(), unhashed);
    }

    #[test]
    fn impossible_fields_are_refused() {
        let bytes = kept().encode();
        for len in [0, 16, 79, 80] {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        // A size of 0, one that is no multiple of pages; no guest, no save; a zero in the path.
        for zeros in [8..16, 16..32, 32..48, 81..82] {
            let mut wrong = bytes.clone();
            wrong[zeros.clone()].fill(0);
            assert!(decode(&wrong).is_err(), "{zeros:?}");
        }
        let mut wrong = bytes.clone();
        wrong[8] = 1;
        assert!(decode(&wrong).is_err());
        let long = KeptMemory { path: "x".repeat(4096).into(), ..kept() };
        assert!(decode(&long.encode()).is_err());
    }
}
