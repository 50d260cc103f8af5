//! The two wires from an interrupt controller to a CPU.

use std::sync::atomic::{AtomicU8, Ordering};

/// The IRQ and FIQ inputs of one vCPU, driven by an interrupt controller that the machine brings
/// and sampled by the vCPU between slices and after every call on the bus.
#[derive(Debug, Default)]
pub struct InterruptLines(AtomicU8);

impl InterruptLines {
    const IRQ: u8 = 1;
    const FIQ: u8 = 2;

    /// Drives both inputs.
    pub fn set(&self, irq: bool, fiq: bool) {
        let bits = (u8::from(irq) * Self::IRQ) | (u8::from(fiq) * Self::FIQ);
        self.0.store(bits, Ordering::Release);
    }

    /// Whether any input is asserted.
    #[inline]
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Whether IRQ is asserted.
    #[must_use]
    pub fn irq(&self) -> bool {
        self.0.load(Ordering::Acquire) & Self::IRQ != 0
    }

    /// Whether FIQ is asserted.
    #[must_use]
    pub fn fiq(&self) -> bool {
        self.0.load(Ordering::Acquire) & Self::FIQ != 0
    }
}
