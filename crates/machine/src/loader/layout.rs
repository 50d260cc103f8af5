//! Where things go in RAM, once the kernel has its place.

use super::Loaded;
use crate::error::LoadError;
use abide_memory::GuestRam;
use abide_reg::Gpa;

/// Room kept for the device tree, in bytes: the most that Linux accepts
/// `[linux Documentation/arch/arm64/booting.rst]`.
pub const DTB_MAX_LEN: u64 = 2 << 20;

/// The device tree and the initial RAM disk begin at multiples of this.
const ALIGNMENT: u64 = 2 << 20;

/// What a kernel occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where it starts to execute.
    pub entry: Gpa,
    /// Its first byte.
    pub start: Gpa,
    /// One past the last byte that it needs before it looks at the memory map.
    pub end: Gpa,
}

impl Placement {
    /// Writes `file` at `offset` bytes into RAM, keeping `len` bytes for it.
    pub(super) fn write(
        ram: &GuestRam,
        offset: u64,
        file: &[u8],
        len: u64,
    ) -> Result<Self, LoadError> {
        let short = LoadError::TooLittleMemory {
            what: "the kernel",
            needed: offset.saturating_add(len).saturating_add(DTB_MAX_LEN),
            found: ram.size(),
        };
        let Some(start) = ram.base().checked_add(offset) else { return Err(short) };
        if ram.offset_of(start, len.saturating_add(DTB_MAX_LEN)).is_none() {
            return Err(short);
        }
        ram.write(start, file)?;
        Ok(Self { entry: start, start, end: Gpa(start.0 + len) })
    }
}

/// Puts the initial RAM disk and the device tree behind the kernel, or the device tree before it
/// where it leaves room: at the start of RAM bare-metal programs expect it.
pub(super) fn place_rest(
    ram: &GuestRam,
    kernel: Placement,
    initrd: Option<&[u8]>,
) -> Result<Loaded, LoadError> {
    let ram_end = ram.base().0 + ram.size();
    let dtb_before = kernel.start.0 - ram.base().0 >= DTB_MAX_LEN;
    let (dtb, free) = if dtb_before {
        (ram.base(), kernel.end.0)
    } else {
        let dtb = kernel.end.0.next_multiple_of(ALIGNMENT);
        (Gpa(dtb), dtb + DTB_MAX_LEN)
    };
    let initrd_start = free.next_multiple_of(ALIGNMENT);
    let initrd_len = initrd.map_or(0, <[u8]>::len) as u64;
    let needed_end = if initrd.is_some() { initrd_start.saturating_add(initrd_len) } else { free };
    if needed_end > ram_end {
        return Err(LoadError::TooLittleMemory {
            what: if initrd.is_some() { "the initrd behind the kernel" } else { "the device tree" },
            needed: needed_end - ram.base().0,
            found: ram.size(),
        });
    }
    let Some(initrd) = initrd else {
        return Ok(Loaded { entry: kernel.entry, dtb, initrd: None });
    };
    let start = Gpa(initrd_start);
    ram.write(start, initrd)?;
    Ok(Loaded { entry: kernel.entry, dtb, initrd: Some((start, Gpa(needed_end))) })
}
