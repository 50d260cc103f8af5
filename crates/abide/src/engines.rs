//! Engines by their names on the command line.

use crate::cli::{CpuName, EngineName};
use abide_engine::Engine;
use abide_engine_kvm::KvmEngine;
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::{INT, PORTABLE};
use abide_firmware::Firmware;
use abide_firmware::spec::{REG_ARCH_WORKAROUND_1, REG_ARCH_WORKAROUND_2, REG_ARCH_WORKAROUND_3};
use abide_reg::{Registers, Value};
use anyhow::{Result, bail};

/// The engine for a guest that is born with these CPU features.
pub fn open(engine: EngineName, cpu: CpuName) -> Result<Box<dyn Engine>> {
    match (engine, cpu) {
        (EngineName::Soft, CpuName::Int) => Ok(Box::new(SoftEngine::with_model(&INT))),
        (EngineName::Soft, CpuName::Portable) => Ok(Box::new(SoftEngine::with_model(&PORTABLE))),
        // KVM shows the host's CPU; a chosen one comes with contracts.
        (EngineName::Kvm, CpuName::Portable) => bail!(
            "--engine kvm shows the guest the host's CPU; --cpu portable is a model of \
             --engine soft"
        ),
        (EngineName::Kvm, CpuName::Int) => open_any_cpu(engine),
    }
}

/// The firmware that goes with these CPU features.
pub fn firmware(cpu: CpuName) -> Result<Firmware> {
    let mut firmware = Firmware::default();
    if cpu == CpuName::Portable {
        // A Cortex-A57 host offers no workarounds to its guests, and KVM takes no better answer
        // than the host's own.
        for register in [REG_ARCH_WORKAROUND_1, REG_ARCH_WORKAROUND_2, REG_ARCH_WORKAROUND_3] {
            firmware.store(register, &Value::u64(0))?;
        }
    }
    Ok(firmware)
}

/// The engine for a guest whose CPU features come from its file.
pub fn open_any_cpu(engine: EngineName) -> Result<Box<dyn Engine>> {
    match engine {
        EngineName::Soft => Ok(Box::new(SoftEngine::with_model(&INT))),
        EngineName::Kvm => Ok(Box::new(KvmEngine::open()?)),
    }
}
