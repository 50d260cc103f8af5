//! Engines by their names on the command line.

use crate::cli::{CpuName, EngineName};
use abide_engine::Engine;
use abide_engine_kvm::KvmEngine;
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::{CpuModel, INT, N1_LIKE, PORTABLE, V8_0};
use abide_firmware::Firmware;
use abide_firmware::spec::{REG_ARCH_WORKAROUND_1, REG_ARCH_WORKAROUND_2, REG_ARCH_WORKAROUND_3};
use abide_reg::{Registers, Value};
use anyhow::{Result, bail};

/// The engine for a guest that is born with these CPU features.
pub fn open(engine: EngineName, cpu: Option<CpuName>) -> Result<Box<dyn Engine>> {
    match (engine, cpu) {
        (EngineName::Soft, cpu) => {
            Ok(Box::new(SoftEngine::with_model(model(cpu.unwrap_or(CpuName::V80)))))
        }
        // KVM shows the host's CPU; a chosen one comes with contracts.
        (EngineName::Kvm, Some(_)) => bail!(
            "--engine kvm shows the guest the host's CPU; --cpu names a model of --engine soft"
        ),
        (EngineName::Kvm, None) => open_any_cpu(engine),
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

/// The firmware that goes with these CPU features.
pub fn firmware(cpu: Option<CpuName>) -> Result<Firmware> {
    let mut firmware = Firmware::default();
    if cpu == Some(CpuName::Portable) {
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
