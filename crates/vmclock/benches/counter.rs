//! This CPU's counter, read in order.
#![expect(unsafe_code, reason = "an instruction that the standard library calls unsafe")]

/// Reads the counter, not before the loads that stand before it.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn read() -> u64 {
    use std::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: every x86-64 CPU has both, and Linux lets programs read the counter.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// Reads the counter, not before the loads that stand before it.
#[cfg(target_arch = "aarch64")]
#[inline]
pub fn read() -> u64 {
    let value;
    // SAFETY: Linux lets programs read the counter, and neither instruction touches memory.
    unsafe {
        std::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack));
    }
    value
}
