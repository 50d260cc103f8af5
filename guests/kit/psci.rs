//! Power, and what the firmware says of itself, by SMCCC over HVC `[DEN0022] [DEN0028]`.

use crate::cpu::{hypercall, wait_for_interrupt};

/// PSCI_VERSION `[DEN0022 5.1.1]`.
pub const PSCI_VERSION: u32 = 0x8400_0000;
/// SYSTEM_OFF `[DEN0022 5.1.9]`.
pub const SYSTEM_OFF: u32 = 0x8400_0008;
/// SYSTEM_RESET `[DEN0022 5.1.11]`.
pub const SYSTEM_RESET: u32 = 0x8400_0009;
/// SMCCC_VERSION `[DEN0028 7.2]`.
pub const SMCCC_VERSION: u32 = 0x8000_0000;
/// Call UID of the vendor-specific hypervisor services `[DEN0028 6.2]`.
pub const VENDOR_HYP_UID: u32 = 0x8600_ff01;
/// What a call returns that the firmware does not know.
pub const NOT_SUPPORTED: u32 = u32::MAX;

/// Calls `function` without arguments; the low halves of x0…x3.
#[must_use]
pub fn ask(function: u32) -> [u32; 4] {
    hypercall(function, [0; 3]).map(|x| x as u32)
}

/// Switches the machine off.
pub fn system_off() -> ! {
    end(SYSTEM_OFF)
}

/// Resets the machine.
pub fn system_reset() -> ! {
    end(SYSTEM_RESET)
}

fn end(function: u32) -> ! {
    hypercall(function, [0; 3]);
    // Firmware that returns from this is broken; sleeping is the least harm.
    loop {
        wait_for_interrupt();
    }
}
