//! Putting a kernel, an initial RAM disk and the device tree into guest RAM.
//!
//! Five kinds of kernel file are told apart by their content, never by their name:
//!
//! | kind | told by | goes to | starts at |
//! |---|---|---|---|
//! | arm64 `Image` `[linux Documentation/arch/arm64/booting.rst]` | `ARM\x64` at 56 | RAM base + text_offset | its first byte |
//! | the same, gzip | `1f 8b` | as its content | |
//! | EFI zboot `[linux drivers/firmware/efi/libstub/zboot-header.S]` | `MZ` and `zimg` | as its content (gzip or zstd) | |
//! | ELF, little-endian AArch64 | `\x7fELF` | each segment's physical address | `e_entry` |
//! | flat binary | none of these | RAM base + 0x8_0000 | its first byte |
//!
//! The last is what QEMU's `-kernel` does with a file it does not recognise, so bare-metal tests
//! built for it run unchanged. All start at EL1 with the MMU off and x0 = the device tree.

mod compressed;
mod elf;
mod image;
mod layout;

use crate::error::LoadError;
use abide_memory::GuestRam;
use abide_reg::Gpa;

pub use compressed::unpack;
pub use layout::{DTB_MAX_LEN, Placement};

/// The largest kernel, unpacked: larger than any real one and small enough to hold in memory.
pub const KERNEL_MAX_LEN: u64 = 512 << 20;

/// What is needed to start the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where vCPU 0 starts.
    pub entry: Gpa,
    /// Where the device tree goes.
    pub dtb: Gpa,
    /// The initial RAM disk: first byte and one past the last.
    pub initrd: Option<(Gpa, Gpa)>,
}

/// Loads `kernel`, in any of the known forms, and `initrd`.
///
/// # Errors
/// [`LoadError`]: what is wrong with which file, and where. RAM may then hold a part of them.
pub fn load(ram: &GuestRam, kernel: &[u8], initrd: Option<&[u8]>) -> Result<Loaded, LoadError> {
    let kernel = unpack(kernel)?;
    let placement = if kernel.starts_with(elf::MAGIC) {
        elf::load(ram, &kernel)?
    } else if image::is_image(&kernel) {
        image::load(ram, &kernel)?
    } else {
        image::load_flat(ram, &kernel)?
    };
    layout::place_rest(ram, placement, initrd)
}

/// Whatever bytes a file has, loading it ends in a [`Loaded`] or an error.
pub fn fuzz_load(data: &[u8]) {
    let Ok(ram) = GuestRam::new(crate::board::RAM_BASE, 16 << 20) else { return };
    let (kernel, initrd) = data.split_at(data.len() - data.len() / 4);
    if let Ok(loaded) = load(&ram, kernel, Some(initrd)) {
        assert!(ram.offset_of(loaded.entry, 4).is_some(), "a guest starts inside RAM");
        assert!(ram.offset_of(loaded.dtb, DTB_MAX_LEN).is_some(), "the tree fits into RAM");
    }
}

#[cfg(test)]
mod tests;
