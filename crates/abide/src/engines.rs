//! Engines by their names on the command line.

use crate::cli::{CpuName, EngineName, RunArgs};
use abide_engine::Engine;
use abide_engine_kvm::KvmEngine;
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::{CpuModel, INT, N1_LIKE, PORTABLE, V8_0};
use abide_firmware::Firmware;
use abide_firmware::spec::{REG_ARCH_WORKAROUND_1, REG_ARCH_WORKAROUND_2, REG_ARCH_WORKAROUND_3};
use abide_reg::{Registers, Value};
use anyhow::{Result, bail};

/// The CPU features that a guest is born with.
pub enum Cpus {
    /// Of every vCPU; the engine's own if not told.
    All(Option<CpuName>),
    /// Of each vCPU, in their order.
    Each(Vec<CpuName>),
}

impl Cpus {
    /// What the command line asks for.
    pub fn of(args: &RunArgs) -> Result<Self> {
        let (each, vcpus) = (&args.asymmetric, args.vcpus);
        if each.is_empty() {
            return Ok(Self::All(args.cpu));
        }
        if u32::try_from(each.len()) != Ok(vcpus) {
            let found = each.len();
            bail!("--asymmetric names {found} CPUs for --vcpus {vcpus}; name one for each");
        }
        Ok(Self::Each(each.clone()))
    }

    /// The engine for the guest.
    pub fn open(&self, engine: EngineName) -> Result<Box<dyn Engine>> {
        match (engine, self) {
            (EngineName::Soft, Self::All(cpu)) => {
                Ok(Box::new(SoftEngine::with_model(model(cpu.unwrap_or(CpuName::V80)))))
            }
            (EngineName::Soft, Self::Each(cpus)) => {
                let models = cpus.iter().map(|&cpu| model(cpu)).collect();
                Ok(Box::new(SoftEngine::with_models(models)))
            }
            (EngineName::Kvm, Self::All(None)) => open_any_cpu(engine),
            // KVM shows the host's CPU; a chosen one comes with contracts.
            (EngineName::Kvm, Self::All(Some(_))) => bail!(
                "--engine kvm shows the guest the host's CPU; --cpu names a model of --engine soft"
            ),
            (EngineName::Kvm, Self::Each(_)) => bail!(
                "--engine kvm gives all vCPUs the same ID registers; --asymmetric is for \
                 --engine soft"
            ),
        }
    }

    /// The firmware that goes with them: the VM's, as is what its first vCPU shows.
    pub fn firmware(&self) -> Result<Firmware> {
        let first = match self {
            Self::All(cpu) => *cpu,
            Self::Each(cpus) => cpus.first().copied(),
        };
        let mut firmware = Firmware::default();
        if first == Some(CpuName::Portable) {
            // A Cortex-A57 host offers no workarounds to its guests, and KVM takes no better answer
            // than the host's own.
            for register in [REG_ARCH_WORKAROUND_1, REG_ARCH_WORKAROUND_2, REG_ARCH_WORKAROUND_3] {
                firmware.store(register, &Value::u64(0))?;
            }
        }
        Ok(firmware)
    }
}

/// The CPU model of this name.
const fn model(cpu: CpuName) -> &'static CpuModel {
    match cpu {
        CpuName::Int => &INT,
        CpuName::V80 => &V8_0,
        CpuName::N1Like => &N1_LIKE,
        CpuName::Portable => &PORTABLE,
    }
}

/// The name of the CPU model, as reports say it.
pub const fn model_name(cpu: CpuName) -> &'static str {
    model(cpu).name
}

/// The engine for a guest whose CPU features come from its file.
pub fn open_any_cpu(engine: EngineName) -> Result<Box<dyn Engine>> {
    match engine {
        EngineName::Soft => Ok(Box::new(SoftEngine::with_model(&INT))),
        EngineName::Kvm => Ok(Box::new(KvmEngine::open()?)),
    }
}
