//! The two wires from an interrupt controller to a CPU.

use crate::Parking;
use std::sync::atomic::{AtomicU8, Ordering};

/// The IRQ and FIQ inputs of one vCPU, driven by an interrupt controller that the machine brings
/// and sampled by the vCPU between slices and after every call on the bus; and the place where the
/// vCPU's thread waits for them.
#[derive(Debug, Default)]
pub struct InterruptLines {
    levels: AtomicU8,
    parking: Parking,
}

impl InterruptLines {
    const IRQ: u8 = 1;
    const FIQ: u8 = 2;

    /// Drives both inputs. One that is asserted ends the vCPU's wait.
    pub fn set(&self, irq: bool, fiq: bool) {
        let bits = (u8::from(irq) * Self::IRQ) | (u8::from(fiq) * Self::FIQ);
        self.levels.store(bits, Ordering::Release);
        if bits != 0 {
            self.parking.wake();
        }
    }

    /// Whether any input is asserted.
    #[inline]
    #[must_use]
    pub fn any(&self) -> bool {
        self.levels.load(Ordering::Acquire) != 0
    }

    /// Whether IRQ is asserted.
    #[must_use]
    pub fn irq(&self) -> bool {
        self.levels.load(Ordering::Acquire) & Self::IRQ != 0
    }

    /// Whether FIQ is asserted.
    #[must_use]
    pub fn fiq(&self) -> bool {
        self.levels.load(Ordering::Acquire) & Self::FIQ != 0
    }

    /// Where the vCPU's thread waits.
    #[must_use]
    pub fn parking(&self) -> &Parking {
        &self.parking
    }
}
