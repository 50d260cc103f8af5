//! The arm64 `Image`, and files without a header.

use super::layout::Placement;
use crate::error::LoadError;
use abide_memory::GuestRam;

/// Length of the header, in bytes.
const HEADER_LEN: usize = 64;
/// Offset of the magic number.
const MAGIC_OFFSET: usize = 56;
const MAGIC: &[u8] = b"ARM\x64";
/// Bit 0 of `flags`: the kernel is big-endian.
const FLAG_BIG_ENDIAN: u64 = 1;
/// Bits 2:1 of `flags`: page size, 0 unspecified, 1 = 4 KiB, 2 = 16 KiB, 3 = 64 KiB.
const FLAG_PAGE_SIZE_SHIFT: u32 = 1;
/// Length of the PE signature and COFF header, and of an entry of the section table, in bytes.
const PE_HEADER_LEN: usize = 24;
const PE_SECTION_LEN: usize = 40;
/// Where a file without a header goes, from the start of RAM, in bytes.
const FLAT_OFFSET: u64 = 0x8_0000;

/// Whether the file begins with an arm64 Image header.
pub(super) fn is_image(file: &[u8]) -> bool {
    file.get(MAGIC_OFFSET..HEADER_LEN).is_some_and(|tail| tail.starts_with(MAGIC))
}

fn u64_at(file: &[u8], offset: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&file[offset..offset + 8]);
    u64::from_le_bytes(bytes)
}

/// Loads an Image whose header [`is_image`] has seen.
pub(super) fn load(ram: &GuestRam, file: &[u8]) -> Result<Placement, LoadError> {
    let (text_offset, image_size, flags) = (u64_at(file, 8), u64_at(file, 16), u64_at(file, 24));
    if flags & FLAG_BIG_ENDIAN != 0 {
        return Err(LoadError::BigEndian);
    }
    let page_size = flags >> FLAG_PAGE_SIZE_SHIFT & 3;
    if page_size > 1 {
        return Err(LoadError::PageSize { found_kib: 4 << (2 * (page_size - 1)) });
    }
    // Kernels before 3.17 leave image_size 0 and mean a text_offset of 0x80000.
    let (text_offset, image_size) =
        if image_size == 0 { (FLAT_OFFSET, file.len() as u64) } else { (text_offset, image_size) };
    let file_len = file.len() as u64;
    if image_size < file_len {
        return Err(LoadError::ImageSize { found: image_size, file_len });
    }
    // The header counts memory the kernel needs beyond its file; a file much shorter than that
    // cannot be told from a whole one, but one that ends before its own PE sections can.
    if let Some(end) = pe_end(file).filter(|&end| end > file_len) {
        return Err(LoadError::TruncatedImage { found: file_len, needed: end });
    }
    Placement::write(ram, text_offset, file, image_size)
}

/// Where the file ends according to its EFI (PE) section table, if it has one; where the table
/// ends, if the file ends before that.
///
/// arm64 kernels are also EFI programs, and this is the only place where they say how long the
/// file itself is.
fn pe_end(file: &[u8]) -> Option<u64> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    if !file.starts_with(b"MZ") {
        return None;
    }
    let pe = usize::try_from(u32_at(60)?).ok()?;
    let header_end = pe.checked_add(PE_HEADER_LEN)?;
    let Some(header) = file.get(pe..header_end) else { return Some(header_end as u64) };
    if !header.starts_with(b"PE\0\0") {
        return None;
    }
    let section_count = usize::from(u16_at(pe + 6)?);
    let table = header_end + usize::from(u16_at(pe + 20)?);
    let table_end = (table + section_count * PE_SECTION_LEN) as u64;
    let sections_end = (0..section_count)
        .map_while(|n| {
            let section = table + n * PE_SECTION_LEN;
            Some(u64::from(u32_at(section + 16)?) + u64::from(u32_at(section + 20)?))
        })
        .max();
    sections_end.max(Some(table_end))
}

/// Loads a file without a header.
pub(super) fn load_flat(ram: &GuestRam, file: &[u8]) -> Result<Placement, LoadError> {
    if file.is_empty() {
        return Err(LoadError::Empty);
    }
    if let Some(found) = foreign_kernel(file) {
        return Err(LoadError::Foreign { found });
    }
    Placement::write(ram, FLAT_OFFSET, file, file.len() as u64)
}

/// Names kernels of other machines, which would otherwise pass for flat binaries.
fn foreign_kernel(file: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| {
        file.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    if at(0x202, b"HdrS") {
        return Some("an x86 bzImage");
    }
    if at(36, &0x016f_2818u32.to_le_bytes()) {
        return Some("a 32-bit Arm zImage");
    }
    if at(48, b"RISCV") || at(56, b"RSC\x05") {
        return Some("a RISC-V Image");
    }
    if at(0, b"MZ") {
        return Some("an EFI program without an arm64 Image header");
    }
    if at(0, &[0x27, 0x05, 0x19, 0x56]) {
        return Some("a U-Boot uImage; unpack it first");
    }
    let text =
        file.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    text.then_some("a text file")
}
