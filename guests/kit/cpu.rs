//! The CPU: system registers, barriers, interrupt mask, sleep, hypercalls.

use core::arch::asm;

/// Reads a system register by its name.
#[macro_export]
macro_rules! mrs {
    ($register:literal) => {{
        let value: u64;
        // SAFETY: reading the system registers used here changes nothing that Rust relies on.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $register), out(reg) value, options(nostack));
        }
        value
    }};
}

/// Writes a system register by its name. What that does to the program is the caller's concern;
/// the kit keeps memory mapped as Rust expects it.
#[macro_export]
macro_rules! msr {
    ($register:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: see the macro's description.
        unsafe {
            core::arch::asm!(concat!("msr ", $register, ", {}"), in(reg) value, options(nostack));
        }
    }};
}

/// Lets interrupts in.
pub fn unmask_interrupts() {
    // SAFETY: handlers touch only atomics and device registers.
    unsafe { asm!("msr daifclr, #2", options(nostack)) }
}

/// Keeps interrupts out.
pub fn mask_interrupts() {
    // SAFETY: holding interrupts back is always sound.
    unsafe { asm!("msr daifset, #2", options(nostack)) }
}

/// Waits for an interrupt; returns at once if one is pending, masked or not.
pub fn wait_for_interrupt() {
    // SAFETY: WFI is a hint.
    unsafe { asm!("dsb sy", "wfi", options(nostack)) }
}

/// Makes all that was written visible to whoever looks next, and later instructions see its
/// effects.
pub fn barrier() {
    // SAFETY: barriers only order.
    unsafe { asm!("dsb sy", "isb", options(nostack)) }
}

/// Calls the hypervisor with a function number and three arguments; x0…x3 of the answer
/// `[DEN0028 2.6]`.
pub fn hypercall(function: u32, arguments: [u64; 3]) -> [u64; 4] {
    let (x0, x1, x2, x3): (u64, u64, u64, u64);
    // SAFETY: the call preserves all but x0…x17, and memory is not its business.
    unsafe {
        asm!("hvc #0",
            inout("x0") u64::from(function) => x0,
            inout("x1") arguments[0] => x1,
            inout("x2") arguments[1] => x2,
            inout("x3") arguments[2] => x3,
            out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x8") _, out("x9") _,
            out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _, out("x15") _,
            out("x16") _, out("x17") _, options(nostack));
    }
    [x0, x1, x2, x3]
}
