//! The interrupt controller, whoever brings it.

use crate::EngineError;
use abide_reg::{Gpa, RegError, RegId, Value};

/// An interrupt controller as the machine's devices and its save and restore see it.
///
/// The registers are those of `abide-gic`, whichever engine holds them, in the order that crate
/// lays down. No vCPU runs while they are read or written.
pub trait Irqchip: Send + Sync {
    /// Drives the input of a shared peripheral interrupt (INTID 32 and up).
    ///
    /// # Errors
    /// [`EngineError::Host`] where the host's kernel refuses.
    fn set_line(&self, intid: u32, level: bool) -> Result<(), EngineError>;

    /// Delivers a message-signalled interrupt.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] on a controller without them.
    fn signal_msi(&self, doorbell: Gpa, event: u32, device: u32) -> Result<(), EngineError>;

    /// Reads a register without side effects.
    ///
    /// # Errors
    /// As [`Registers::load`](abide_reg::Registers::load).
    fn load(&self, id: RegId) -> Result<Value, RegError>;

    /// Writes a register as the controller's save and restore interface defines it.
    ///
    /// # Errors
    /// As [`Registers::store`](abide_reg::Registers::store).
    fn store(&self, id: RegId, value: &Value) -> Result<(), RegError>;
}
