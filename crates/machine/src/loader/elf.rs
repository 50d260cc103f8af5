//! ELF files, as bare-metal programs come.

use super::layout::Placement;
use crate::error::LoadError;
use abide_memory::GuestRam;
use abide_reg::Gpa;
use object::Endianness;
use object::elf::{ELFDATA2LSB, EM_AARCH64, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

/// `ELFCLASS32` in `e_ident[EI_CLASS]`.
const CLASS_32: u8 = 1;
pub(super) const MAGIC: &[u8] = b"\x7fELF";

/// Loads each `PT_LOAD` segment at its physical address.
pub(super) fn load(ram: &GuestRam, file: &[u8]) -> Result<Placement, LoadError> {
    let malformed = |_| LoadError::Elf { reason: "its headers are damaged or truncated" };
    // The class comes first: a 32-bit file would otherwise count as damaged.
    if file.get(4) == Some(&CLASS_32) {
        return Err(LoadError::Foreign { found: "a 32-bit ELF file" });
    }
    let header = FileHeader64::<Endianness>::parse(file).map_err(malformed)?;
    let endian = header.endian().map_err(malformed)?;
    if header.e_machine(endian) != EM_AARCH64 {
        return Err(LoadError::Foreign { found: "an ELF file of another architecture" });
    }
    if header.e_ident().data != ELFDATA2LSB {
        return Err(LoadError::BigEndian);
    }
    let (mut lowest, mut highest) = (u64::MAX, 0);
    for segment in header.program_headers(endian, file).map_err(malformed)? {
        if segment.p_type(endian) != PT_LOAD || segment.p_memsz(endian) == 0 {
            continue;
        }
        let data = segment
            .data(endian, file)
            .map_err(|()| LoadError::Elf { reason: "a segment lies outside the file" })?;
        let (gpa, len) = (Gpa(segment.p_paddr(endian)), segment.p_memsz(endian));
        if (data.len() as u64) > len {
            return Err(LoadError::Elf {
                reason: "a segment is longer in the file than in memory",
            });
        }
        if ram.offset_of(gpa, len).is_none() {
            return Err(LoadError::OutsideRam { what: "an ELF segment", gpa, len });
        }
        ram.write(gpa, data)?;
        lowest = lowest.min(gpa.0);
        highest = highest.max(gpa.0 + len);
    }
    if lowest > highest {
        return Err(LoadError::Elf { reason: "it has no segment to load" });
    }
    let entry = Gpa(header.e_entry(endian));
    if ram.offset_of(entry, 4).is_none() {
        return Err(LoadError::OutsideRam { what: "the ELF entry point", gpa: entry, len: 4 });
    }
    Ok(Placement { entry, start: Gpa(lowest), end: Gpa(highest) })
}
