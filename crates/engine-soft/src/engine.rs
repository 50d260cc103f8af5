//! The engine and its VMs.

use crate::cpu::Cpu;
use crate::cpu_model::{CpuModel, INT};
use crate::identities::Identities;
use crate::shared::Shared;
use crate::vcpu::SoftVcpu;
use abide_engine::{
    Abi, Clock, Engine, EngineError, InterruptLines, Irqchip, PowerState, Provider, Unimplemented,
    Vcpu, Vm, VmConfig,
};
use abide_pvtime::{REVISION_1_0, Revisions};
use abide_reg::VcpuId;
use std::sync::Arc;

/// The name of the engine.
pub(crate) const NAME: &str = "soft";

/// The software engine: makes VMs that run on any host.
#[derive(Clone, Debug)]
pub struct SoftEngine {
    model: &'static CpuModel,
    /// The model of each vCPU, where they are not all `model`.
    each: Vec<&'static CpuModel>,
    shows_unimplemented: bool,
    /// Of which revisions it keeps records of stolen time, where that was told.
    stolen_time: Option<Revisions>,
}

impl SoftEngine {
    /// An engine whose VMs have the smallest CPU, [`INT`].
    #[must_use]
    pub const fn new() -> Self {
        Self::with_model(&INT)
    }

    /// An engine whose VMs have this CPU.
    #[must_use]
    pub const fn with_model(model: &'static CpuModel) -> Self {
        Self { model, each: Vec::new(), shows_unimplemented: false, stolen_time: None }
    }

    /// An engine whose VMs have these CPUs, one for each of their vCPUs.
    #[must_use]
    pub const fn with_models(each: Vec<&'static CpuModel>) -> Self {
        Self { model: &INT, each, shows_unimplemented: false, stolen_time: None }
    }

    /// The same engine, whose VMs take ID registers that show AArch32, other exception levels than
    /// EL1 and EL0, big-endian data and granules of 64 KiB, and do none of it: an exception return
    /// to AArch32 is illegal, and to switch on the others is UNDEFINED.
    #[must_use]
    pub const fn showing_unimplemented(mut self) -> Self {
        self.shows_unimplemented = true;
        self
    }

    /// The same engine, which offers records of stolen time of these revisions, instead of 0 alone.
    /// To its guests revisions beyond 0 are a number and nothing else: none is published.
    #[must_use]
    pub fn with_stolen_time(mut self, revisions: Revisions) -> Self {
        self.stolen_time = Some(revisions);
        self
    }

    fn identities(&self, vcpu_count: u32) -> Result<Identities, EngineError> {
        let vcpu_count = vcpu_count as usize;
        if self.each.is_empty() {
            return Ok(Identities::all(self.model, vcpu_count));
        }
        if self.each.len() != vcpu_count {
            let what = "another number of CPU models than of vCPUs";
            return Err(EngineError::Unsupported { engine: NAME, what });
        }
        Ok(Identities::each(&self.each)?)
    }
}

impl Default for SoftEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine for SoftEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reaches_ram_in_kernel(&self) -> bool {
        false
    }

    fn stolen_time(&self) -> Revisions {
        self.stolen_time.clone().unwrap_or_else(|| Revisions::of([REVISION_1_0]))
    }

    fn create_vm(&self, config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        if config.vcpu_count == 0 {
            return Err(EngineError::Unsupported { engine: NAME, what: "a VM without vCPUs" });
        }
        if let Some(feature) = config.features.iter().next() {
            return Err(EngineError::Unsupported { engine: NAME, what: feature.description() });
        }
        let mut ids = self.identities(config.vcpu_count)?;
        ids.shows_unimplemented = self.shows_unimplemented;
        let stolen_time = self.stolen_time();
        let shared = Shared::new(config.ram, config.cntfrq_hz, config.vcpu_count, ids, stolen_time);
        Ok(Box::new(SoftVm {
            shared: Arc::new(shared),
            clock: config.clock,
            vcpu_count: config.vcpu_count,
            next: 0,
        }))
    }
}

/// A VM of the software engine.
struct SoftVm {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    vcpu_count: u32,
    next: u32,
}

/// MPIDR_EL1 of vCPU `number`.
fn mpidr(number: u32) -> u64 {
    const RES1: u64 = 1 << 31;
    RES1 | abide_arm64::kvm::affinity(number)
}

impl Vm for SoftVm {
    fn provider(&self, abi: Abi) -> Provider {
        match abi {
            Abi::Timer => Provider::Native,
            Abi::Irqchip | Abi::Firmware => Provider::Machine,
        }
    }

    fn create_vcpu(
        &mut self,
        id: VcpuId,
        lines: Arc<InterruptLines>,
    ) -> Result<Box<dyn Vcpu>, EngineError> {
        if id.0 != self.next || id.0 >= self.vcpu_count {
            let what = "vCPUs out of order or beyond the number the VM was made with";
            return Err(EngineError::Unsupported { engine: NAME, what });
        }
        self.next += 1;
        let power = if id.0 == 0 { PowerState::On } else { PowerState::Off };
        let cpu = Cpu::new(mpidr(id.0), self.shared.ids(id.index()), power);
        let (shared, clock) = (Arc::clone(&self.shared), Arc::clone(&self.clock));
        Ok(Box::new(SoftVcpu::new(id, cpu, shared, clock, lines)))
    }

    fn has_own_identities(&self) -> bool {
        true
    }

    fn unimplemented(&self) -> Vec<Unimplemented> {
        self.shared.unimplemented()
    }

    fn create_irqchip(&mut self) -> Result<Option<Arc<dyn Irqchip>>, EngineError> {
        Ok(None)
    }

    fn sync_dirty_log(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn settle_dirty_log(&self) {
        self.shared.settle();
    }
}
