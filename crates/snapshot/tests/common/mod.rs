//! What the tests share: samples, and a second, independent writer of the format that can also
//! write what a correct program never would.
#![expect(dead_code, reason = "no test uses all of it")]

pub mod sample;

use std::path::PathBuf;

/// The bytes of a golden file.
pub fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A record as raw fields.
#[derive(Clone)]
pub struct RawRecord {
    pub kind: u32,
    pub class: u8,
    pub scope: (u8, u32),
    pub flags: u16,
    pub reserved: u32,
    pub unit: &'static [u8],
    pub payload: Vec<u8>,
    /// What to write instead of the payload's length.
    pub len: Option<u64>,
    /// What to write into the padding.
    pub padding: u8,
}

impl RawRecord {
    pub fn new(kind: u32, class: u8, unit: &'static [u8], payload: &[u8]) -> Self {
        let payload = payload.to_vec();
        let (scope, flags, reserved, len, padding) = ((0, 0), 0, 0, None, 0);
        Self { kind, class, scope, flags, reserved, unit, payload, len, padding }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut payload = self.payload.clone();
        payload.resize(payload.len().next_multiple_of(8), self.padding);
        let mut unit = self.unit.to_vec();
        unit.resize(32, 0);
        let len = self.len.unwrap_or(self.payload.len() as u64);
        let mut out = Vec::new();
        out.extend(self.kind.to_le_bytes());
        out.extend([self.class, self.scope.0]);
        out.extend(self.flags.to_le_bytes());
        out.extend(self.scope.1.to_le_bytes());
        out.extend(self.reserved.to_le_bytes());
        out.extend(len.to_le_bytes());
        out.extend(unit);
        out.extend(crc32c::crc32c(&payload).to_le_bytes());
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        out.extend(payload);
        out
    }
}

/// A header of any version.
pub fn raw_header(major: u16, minor: u16) -> Vec<u8> {
    let mut out = b"\x89ABIDE\r\n".to_vec();
    out.extend(major.to_le_bytes());
    out.extend(minor.to_le_bytes());
    out.extend(183u16.to_le_bytes());
    out.extend([12, 0]);
    out.resize(64, 0);
    out.extend(b"future 9.9");
    out.resize(252, 0);
    reseal_header(&mut out);
    out
}

/// Makes the header's CRC right again.
pub fn reseal_header(file: &mut Vec<u8>) {
    let crc = crc32c::crc32c(&file[..252]).to_le_bytes();
    file.truncate(file.len().max(252));
    if file.len() < 256 {
        file.resize(256, 0);
    }
    file[252..256].copy_from_slice(&crc);
}

/// A file of these records, with an end record that is right, and `rest` at the next 64 KiB.
pub fn file(mut out: Vec<u8>, records: &[RawRecord], rest: &[u8]) -> Vec<u8> {
    for record in records {
        out.extend(record.bytes());
    }
    let metadata_len = out.len() + 64 + 40;
    let section = metadata_len.next_multiple_of(64 << 10);
    let len = if rest.is_empty() { metadata_len } else { section + rest.len() };
    let mut end = (len as u64).to_le_bytes().to_vec();
    end.extend(blake3::hash(&out).as_bytes());
    out.extend(RawRecord::new(3, 0, b"end", &end).bytes());
    if !rest.is_empty() {
        out.resize(section, 0);
        out.extend(rest);
    }
    out
}

/// A chunk of the chunk list as raw fields.
#[derive(Clone)]
pub struct RawChunk {
    pub gpa: u64,
    pub offset: u64,
    pub stored_len: u32,
    pub encoding: u32,
    pub crc: u32,
    pub reserved: u32,
    pub hash: [u8; 32],
}

/// A memory record.
pub fn memory(ranges: &[(u64, u64)], chunks: &[RawChunk]) -> RawRecord {
    let mut payload = (2u32 << 20).to_le_bytes().to_vec();
    payload.extend(u32::try_from(ranges.len()).expect("few").to_le_bytes());
    payload.extend((chunks.len() as u64).to_le_bytes());
    for (gpa, size) in ranges {
        payload.extend(gpa.to_le_bytes());
        payload.extend(size.to_le_bytes());
    }
    for chunk in chunks {
        payload.extend(chunk.gpa.to_le_bytes());
        payload.extend(chunk.offset.to_le_bytes());
        payload.extend(chunk.stored_len.to_le_bytes());
        payload.extend(chunk.encoding.to_le_bytes());
        payload.extend(chunk.crc.to_le_bytes());
        payload.extend(chunk.reserved.to_le_bytes());
        payload.extend(chunk.hash);
    }
    RawRecord::new(2, 0, b"ram", &payload)
}
