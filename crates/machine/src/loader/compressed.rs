//! Compressed kernels: plain gzip, and the EFI zboot wrapper.

use super::KERNEL_MAX_LEN;
use crate::error::LoadError;
use std::borrow::Cow;
use std::io::Read;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// Offsets in a zboot header, in bytes.
const ZBOOT_MAGIC_OFFSET: usize = 4;
const ZBOOT_PAYLOAD_OFFSET: usize = 8;
const ZBOOT_PAYLOAD_SIZE: usize = 12;
const ZBOOT_COMPRESSION: usize = 24;
const ZBOOT_COMPRESSION_LEN: usize = 32;

/// The kernel itself: unpacked if `file` is packed, else as it is.
///
/// # Errors
/// [`LoadError`] for a damaged or oversized file, or a compression that is not known.
pub fn unpack(file: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    if file.starts_with(GZIP_MAGIC) {
        return gunzip(file).map(Cow::Owned);
    }
    if !is_zboot(file) {
        return Ok(Cow::Borrowed(file));
    }
    let damaged = LoadError::Compressed { format: "EFI zboot", reason: "its header is truncated" };
    let number = |at: usize| {
        let bytes = file.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let (Some(offset), Some(size)) = (number(ZBOOT_PAYLOAD_OFFSET), number(ZBOOT_PAYLOAD_SIZE))
    else {
        return Err(damaged);
    };
    let name = file.get(ZBOOT_COMPRESSION..ZBOOT_COMPRESSION + ZBOOT_COMPRESSION_LEN);
    let Some(name) = name else { return Err(damaged) };
    let payload = offset.checked_add(size).and_then(|end| file.get(offset..end)).ok_or(
        LoadError::Compressed { format: "EFI zboot", reason: "its payload lies outside the file" },
    )?;
    match name.split(|&byte| byte == 0).next() {
        Some(b"gzip") => gunzip(payload).map(Cow::Owned),
        Some(b"zstd" | b"zstd22") => unzstd(payload).map(Cow::Owned),
        _ => Err(LoadError::Compressed {
            format: "EFI zboot",
            reason: "its compression is neither gzip nor zstd; unpack it first",
        }),
    }
}

fn is_zboot(file: &[u8]) -> bool {
    let magic = file.get(ZBOOT_MAGIC_OFFSET..ZBOOT_MAGIC_OFFSET + 4);
    file.starts_with(b"MZ") && magic == Some(b"zimg")
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, LoadError> {
    read_bounded("gzip", flate2::read::GzDecoder::new(packed))
}

fn unzstd(packed: &[u8]) -> Result<Vec<u8>, LoadError> {
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed)
        .map_err(|_| LoadError::Compressed { format: "zstd", reason: "its header is damaged" })?;
    read_bounded("zstd", decoder)
}

/// Reads to the end, but never more than the largest kernel: a small file can unpack to anything.
fn read_bounded(format: &'static str, reader: impl Read) -> Result<Vec<u8>, LoadError> {
    let mut unpacked = Vec::new();
    reader
        .take(KERNEL_MAX_LEN + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| LoadError::Compressed { format, reason: "it is damaged or truncated" })?;
    if unpacked.len() as u64 > KERNEL_MAX_LEN {
        return Err(LoadError::Compressed { format, reason: "it unpacks to more than 512 MiB" });
    }
    Ok(unpacked)
}
