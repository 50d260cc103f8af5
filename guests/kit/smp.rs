//! A second CPU: started by PSCI, with the translation of the first `[DEN0022 5.4]`.

use crate::{cpu, exception, mrs};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// CPU_ON, in its 64-bit form `[DEN0022 5.4]`.
const CPU_ON: u32 = 0xc400_0003;

/// What another CPU does.
pub trait Other {
    /// Its program, entered at EL1 with translation on and interrupts masked.
    fn run() -> !;
}

/// What the other CPU needs before it can see memory as the first one does: MAIR, TCR, TTBR0,
/// SCTLR, the top of its stack and where it goes on. The code below knows the places.
#[repr(C, align(64))]
struct Start([AtomicU64; 6]);

static START: Start = Start([const { AtomicU64::new(0) }; 6]);

core::arch::global_asm!(
    ".section .text.smp, \"ax\"",
    ".global kit_other",
    "kit_other:",
    "msr spsel, #1",
    "ldp x1, x2, [x0]",
    "msr mair_el1, x1",
    "msr tcr_el1, x2",
    "ldp x1, x2, [x0, #16]",
    "msr ttbr0_el1, x1",
    "msr ttbr1_el1, xzr",
    "isb",
    "tlbi vmalle1",
    "dsb nsh",
    "ic iallu",
    "dsb nsh",
    "isb",
    "msr sctlr_el1, x2",
    "isb",
    "ldp x1, x2, [x0, #32]",
    "mov sp, x1",
    "mov x29, xzr",
    "mov x30, xzr",
    "br x2",
);

unsafe extern "C" {
    static kit_other: u8;
}

extern "C" fn enter<O: Other>() -> ! {
    exception::install();
    O::run()
}

/// Starts the CPU whose affinity is `target`, on `stack`, and returns what PSCI says: 0 if it
/// starts.
pub fn start<O: Other>(target: u64, stack: &'static mut [u64]) -> u64 {
    let stack_top = stack.as_ptr_range().end as u64 & !15;
    let values = [
        mrs!("mair_el1"),
        mrs!("tcr_el1"),
        mrs!("ttbr0_el1"),
        mrs!("sctlr_el1"),
        stack_top,
        enter::<O> as *const () as u64,
    ];
    for (place, value) in START.0.iter().zip(values) {
        place.store(value, Relaxed);
    }
    let start = &raw const START;
    // SAFETY: cleaning a line writes back what is there; the other CPU reads it past the caches.
    unsafe { core::arch::asm!("dc cvac, {0}", "dsb sy", in(reg) start, options(nostack)) }
    let [answer, ..] = cpu::hypercall(CPU_ON, [target, &raw const kit_other as u64, start as u64]);
    answer
}
