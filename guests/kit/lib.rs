//! What a guest without an operating system needs on the `virt` board: to start, to see its
//! interrupts and time, to speak, and to stop.
//!
//! One CPU, EL1, identity-mapped. A guest defines its `main` and its hooks with [`guest!`].
//! Devices are where the board has them: GICD 0x0800_0000, GICR 0x080a_0000, PL011 0x0900_0000,
//! PL031 0x0901_0000.
#![no_std]

#[macro_use]
pub mod console;
mod boot;
pub mod cpu;
mod exception;
pub mod fdt;
pub mod gic;
pub mod hash;
pub mod mmio;
pub mod mmu;
pub mod psci;
pub mod smp;
pub mod timer;

pub use boot::{Arena, arena};
pub use exception::{Deactivate, Frame, Verdict};

/// Names a guest's `fn main(fdt: Option<Fdt>) -> !`, its `fn interrupt(intid: u32) -> Deactivate`
/// for interrupts the kit does not handle, and its `fn fault(&mut Frame) -> Verdict` for
/// synchronous exceptions.
#[macro_export]
macro_rules! guest {
    ($main:path, $interrupt:path, $fault:path) => {
        // SAFETY: the kit declares these names with the same signatures and nobody else has them.
        #[unsafe(no_mangle)]
        fn guest_main(fdt: Option<$crate::fdt::Fdt>) -> ! {
            $main(fdt)
        }

        // SAFETY: as above.
        #[unsafe(no_mangle)]
        fn guest_interrupt(intid: u32) -> $crate::Deactivate {
            $interrupt(intid)
        }

        // SAFETY: as above.
        #[unsafe(no_mangle)]
        fn guest_fault(frame: &mut $crate::Frame) -> $crate::Verdict {
            $fault(frame)
        }
    };
}

/// Says what happened and resets the machine, as an operating system set to reboot on panic does.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    cpu::mask_interrupts();
    // Without the source location: it would put paths of the compiler into the image.
    println!("\npanic: {}", info.message());
    psci::system_reset()
}
