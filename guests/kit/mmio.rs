//! Device registers.

/// Reads the 32-bit register at `address`.
#[must_use]
pub fn read32(address: usize) -> u32 {
    let value: u32;
    // One plain load, never a pair or a form with writeback: hypervisors decode no others.
    // SAFETY: callers pass device registers of the board, which no Rust object occupies.
    unsafe {
        core::arch::asm!("ldr {0:w}, [{1}]", out(reg) value, in(reg) address, options(nostack));
    }
    value
}

/// Writes the 32-bit register at `address`.
pub fn write32(address: usize, value: u32) {
    // SAFETY: as in `read32`.
    unsafe {
        core::arch::asm!("str {0:w}, [{1}]", in(reg) value, in(reg) address, options(nostack));
    }
}

/// Writes the 8-bit register at `address`.
pub fn write8(address: usize, value: u8) {
    // SAFETY: as in `read32`.
    unsafe {
        core::arch::asm!("strb {0:w}, [{1}]", in(reg) u32::from(value), in(reg) address,
            options(nostack));
    }
}

/// Writes the 64-bit register at `address`.
pub fn write64(address: usize, value: u64) {
    // SAFETY: as in `read32`.
    unsafe {
        core::arch::asm!("str {0}, [{1}]", in(reg) value, in(reg) address, options(nostack));
    }
}
