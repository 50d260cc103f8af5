//! The interrupt controller that the machine brings where the engine has none.

use abide_engine::{EngineError, InterruptLines, Irqchip};
use abide_gic::{GicV3, IntId};
use abide_reg::{Gpa, RegError, RegId, Value, VcpuId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A software GICv3 and the wires from it to the vCPUs.
pub struct SoftIrqchip {
    gic: Mutex<GicV3>,
    lines: Vec<Arc<InterruptLines>>,
}

impl SoftIrqchip {
    /// Wires `gic` to the vCPUs' inputs, one entry of `lines` for each.
    #[must_use]
    pub fn new(gic: GicV3, lines: Vec<Arc<InterruptLines>>) -> Self {
        let chip = Self { gic: Mutex::new(gic), lines };
        for vcpu in 0..chip.lines.len() {
            chip.drive(&chip.lock(), vcpu);
        }
        chip
    }

    fn lock(&self) -> MutexGuard<'_, GicV3> {
        self.gic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drive(&self, gic: &GicV3, vcpu: usize) {
        let outputs = gic.outputs(VcpuId(u32::try_from(vcpu).unwrap_or(u32::MAX)));
        self.lines[vcpu].set(outputs.irq, outputs.fiq);
    }

    /// Runs `access` and passes on to the vCPUs what it changed.
    pub fn with<T>(&self, access: impl FnOnce(&mut GicV3) -> T) -> T {
        let mut gic = self.lock();
        let result = access(&mut gic);
        let mut changed = gic.take_changed();
        while changed != 0 {
            let vcpu = changed.trailing_zeros() as usize;
            changed &= changed - 1;
            self.drive(&gic, vcpu);
        }
        result
    }
}

impl Irqchip for SoftIrqchip {
    fn set_line(&self, intid: u32, level: bool) -> Result<(), EngineError> {
        self.with(|gic| gic.set_spi(IntId(intid), level));
        Ok(())
    }

    fn signal_msi(&self, _doorbell: Gpa, _event: u32, _device: u32) -> Result<(), EngineError> {
        Err(EngineError::Unsupported { engine: "soft", what: "message-signalled interrupts" })
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        self.lock().load(id)
    }

    fn store(&self, id: RegId, value: &Value) -> Result<(), RegError> {
        self.with(|gic| gic.store(id, value))
    }
}
