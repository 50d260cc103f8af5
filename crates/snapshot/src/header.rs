//! The fixed header, which every version reads.

use crate::wire::{is_zero, put, u16_at, u32_at, u64_at, unpadded};
use crate::{Digest, Problem};
use std::fmt;

/// The first eight bytes. The high bit and the line end show a file that was mangled on its way.
pub const MAGIC: [u8; 8] = *b"\x89ABIDE\r\n";

/// The length of the header in bytes, the same in every version.
pub const HEADER_LEN: usize = 256;

/// The longest producer or kernel text, in bytes.
pub const TEXT_LEN: usize = 64;

/// The page size that every version so far writes: 4096 bytes, as a power of two.
pub(crate) const PAGE_SHIFT: u8 = 12;

const AT_MAJOR: usize = 8;
const AT_MINOR: usize = 10;
const AT_ARCH: usize = 12;
const AT_PAGE_SHIFT: usize = 14;
const AT_RESERVED: usize = 15;
const AT_FLAGS: usize = 16;
const AT_RESERVED_2: usize = 20;
const AT_CREATED: usize = 24;
const AT_CONTRACT: usize = 32;
const AT_PRODUCER: usize = 64;
const AT_KERNEL: usize = 128;
const AT_RESERVED_3: usize = 192;
const AT_CRC: usize = 252;

/// The container's version. A new minor adds what older readers handle by a record's class; a new
/// major changes what they would misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Readers refuse to restore from a major they do not know.
    pub major: u16,
    /// Readers accept any minor.
    pub minor: u16,
}

impl Version {
    /// The version that this crate writes.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };

    fn is_newer_minor(self) -> bool {
        self.major == Self::CURRENT.major && self > Self::CURRENT
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The guest's architecture, by its ELF machine number `[ELF gABI e_machine]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Architecture(pub u16);

impl Architecture {
    /// `EM_AARCH64`
    pub const AARCH64: Self = Self(183);
    /// `EM_X86_64`
    pub const X86_64: Self = Self(62);
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AARCH64 => f.pad("aarch64"),
            Self::X86_64 => f.pad("x86_64"),
            Self(other) => write!(f, "ELF machine {other}"),
        }
    }
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The container's version as found. Writing stamps [`Version::CURRENT`], whatever stands here.
    pub version: Version,
    /// The guest's architecture.
    pub architecture: Architecture,
    /// The granule of RAM ranges, in bytes as a power of two.
    pub page_shift: u8,
    /// Bits 15:0 forbid a restore where they are not known, bits 31:16 do not. None is defined, and
    /// none is written.
    pub flags: u32,
    /// When the snapshot was made, in nanoseconds since 1970-01-01 UTC; 0 where that is not told.
    pub created_unix_ns: u64,
    /// The digest of the contract under which the guest runs; zero where it has none.
    pub contract: Digest,
    /// Which program wrote it, with its version: at most [`TEXT_LEN`] printable ASCII letters.
    pub producer: String,
    /// The host's kernel release: at most [`TEXT_LEN`] printable ASCII letters.
    pub kernel: String,
}

impl Header {
    /// The header of a guest of `architecture`, with neither contract nor time nor texts.
    #[must_use]
    pub fn new(architecture: Architecture) -> Self {
        Self {
            version: Version::CURRENT,
            architecture,
            page_shift: PAGE_SHIFT,
            flags: 0,
            created_unix_ns: 0,
            contract: Digest::default(),
            producer: String::new(),
            kernel: String::new(),
        }
    }

    /// The name of a text that cannot be written, if there is one.
    pub(crate) fn bad_text(&self) -> Option<(&'static str, &str)> {
        [("producer", &self.producer), ("kernel", &self.kernel)]
            .into_iter()
            .find(|(_, text)| text.len() > TEXT_LEN || !text.bytes().all(is_printable))
            .map(|(field, text)| (field, text.as_str()))
    }

    /// The header's bytes in the current version. The texts have been checked.
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, AT_MAJOR, &Version::CURRENT.major.to_le_bytes());
        put(&mut bytes, AT_MINOR, &Version::CURRENT.minor.to_le_bytes());
        put(&mut bytes, AT_ARCH, &self.architecture.0.to_le_bytes());
        bytes[AT_PAGE_SHIFT] = PAGE_SHIFT;
        put(&mut bytes, AT_CREATED, &self.created_unix_ns.to_le_bytes());
        put(&mut bytes, AT_CONTRACT, &self.contract.0);
        put(&mut bytes, AT_PRODUCER, self.producer.as_bytes());
        put(&mut bytes, AT_KERNEL, self.kernel.as_bytes());
        let crc = crc32c::crc32c(&bytes[..AT_CRC]);
        put(&mut bytes, AT_CRC, &crc.to_le_bytes());
        bytes
    }

    /// Reads a header of any version.
    ///
    /// # Errors
    /// The first problem, with its place in the header.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, (usize, Problem)> {
        if bytes[..MAGIC.len()] != MAGIC {
            return Err((0, Problem::Magic));
        }
        let (found, computed) = (u32_at(bytes, AT_CRC), crc32c::crc32c(&bytes[..AT_CRC]));
        if found != computed {
            return Err((AT_CRC, Problem::HeaderCrc { found, computed }));
        }
        Ok(Self {
            version: Version { major: u16_at(bytes, AT_MAJOR), minor: u16_at(bytes, AT_MINOR) },
            architecture: Architecture(u16_at(bytes, AT_ARCH)),
            page_shift: bytes[AT_PAGE_SHIFT],
            flags: u32_at(bytes, AT_FLAGS),
            created_unix_ns: u64_at(bytes, AT_CREATED),
            contract: Digest(crate::wire::array(bytes, AT_CONTRACT)),
            producer: text(bytes, AT_PRODUCER, "producer")?,
            kernel: text(bytes, AT_KERNEL, "kernel")?,
        })
    }

    /// What in an intact header keeps this version from restoring.
    pub(crate) fn objections(&self, bytes: &[u8; HEADER_LEN]) -> Vec<(usize, Problem)> {
        let mut found = Vec::new();
        if self.version.major != Version::CURRENT.major {
            let producer = self.producer.clone();
            found.push((AT_MAJOR, Problem::OtherMajor { found: self.version, producer }));
            return found;
        }
        if self.page_shift != PAGE_SHIFT {
            found.push((AT_PAGE_SHIFT, Problem::PageShift { found: self.page_shift }));
        }
        let unknown = self.flags & 0xffff;
        if unknown != 0 {
            found.push((AT_FLAGS, Problem::HeaderFlags { unknown }));
        }
        // A newer minor may have given these bytes a meaning that does no harm when overlooked.
        if !self.version.is_newer_minor() {
            let reserved =
                [(AT_RESERVED, AT_FLAGS), (AT_RESERVED_2, AT_CREATED), (AT_RESERVED_3, AT_CRC)];
            let set = reserved.iter().find(|&&(from, to)| !is_zero(&bytes[from..to]));
            found.extend(set.map(|&(from, _)| (from, Problem::Reserved)));
            if self.flags >> 16 != 0 {
                found.push((AT_FLAGS, Problem::Reserved));
            }
        }
        found
    }
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn text(
    bytes: &[u8; HEADER_LEN],
    at: usize,
    field: &'static str,
) -> Result<String, (usize, Problem)> {
    unpadded(&bytes[at..at + TEXT_LEN])
        .filter(|text| text.iter().copied().all(is_printable))
        .map(|text| text.iter().copied().map(char::from).collect())
        .ok_or((at, Problem::HeaderText { field }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        Header {
            created_unix_ns: 1_700_000_000_000_000_000,
            contract: Digest([7; 32]),
            producer: "abide 0.1.0".into(),
            kernel: "6.12.57-arm64".into(),
            ..Header::new(Architecture::AARCH64)
        }
    }

    fn sealed(mut bytes: [u8; HEADER_LEN]) -> [u8; HEADER_LEN] {
        let crc = crc32c::crc32c(&bytes[..AT_CRC]);
        put(&mut bytes, AT_CRC, &crc.to_le_bytes());
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = sample().encode();
        assert_eq!(Header::decode(&bytes), Ok(sample()));
        assert!(sample().objections(&bytes).is_empty());
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let good = sample().encode();
        for at in 0..HEADER_LEN {
            let mut bytes = good;
            bytes[at] ^= 0x10;
            assert!(Header::decode(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn texts_that_could_disturb_a_terminal_are_refused() {
        let mut bytes = sample().encode();
        bytes[AT_KERNEL] = 0x1b;
        let refused = Header::decode(&sealed(bytes));
        assert_eq!(refused, Err((AT_KERNEL, Problem::HeaderText { field: "kernel" })));
        let header = Header { producer: "tab\t".into(), ..sample() };
        assert_eq!(header.bad_text(), Some(("producer", "tab\t")));
        let header = Header { kernel: "x".repeat(TEXT_LEN + 1), ..sample() };
        assert!(header.bad_text().is_some());
        let header = Header { kernel: "x".repeat(TEXT_LEN), ..sample() };
        assert_eq!(Header::decode(&header.encode()).unwrap().kernel.len(), TEXT_LEN);
    }

    #[test]
    fn reserved_bytes_are_free_to_newer_minors_only() {
        let mut bytes = sample().encode();
        bytes[AT_RESERVED_3] = 1;
        let bytes = sealed(bytes);
        let header = Header::decode(&bytes).unwrap();
        assert_eq!(header.objections(&bytes), [(AT_RESERVED_3, Problem::Reserved)]);
        let mut newer = bytes;
        newer[AT_MINOR] = 9;
        newer[AT_FLAGS + 2] = 1;
        let newer = sealed(newer);
        let header = Header::decode(&newer).unwrap();
        assert!(header.objections(&newer).is_empty());
        let mut flagged = newer;
        flagged[AT_FLAGS] = 4;
        let flagged = sealed(flagged);
        let header = Header::decode(&flagged).unwrap();
        let refused = [(AT_FLAGS, Problem::HeaderFlags { unknown: 4 })];
        assert_eq!(header.objections(&flagged), refused);
    }
}
