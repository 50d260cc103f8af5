//! The smallest machine: one vCPU, 2 MiB of RAM, a GICv3.

use abide_engine::{
    AfterCall, Bus, Clock, Engine, InterruptLines, Irqchip, SMCCC_REGISTERS, Vcpu, Vm, VmConfig,
};
use abide_engine_kvm::KvmEngine;
use abide_memory::GuestRam;
use abide_reg::{Gpa, VcpuId};
use std::error::Error;
use std::sync::Arc;

pub const RAM_BASE: Gpa = Gpa(0x4000_0000);
pub const RAM_SIZE: u64 = 2 << 20;

/// A clock for an engine that never asks.
struct NoClock;

impl Clock for NoClock {
    fn now_ticks(&self) -> u64 {
        0
    }
    fn retire(&self, _instructions: u64) {}
    fn instructions_until(&self, _ticks: u64) -> Option<u64> {
        None
    }
}

pub struct Machine {
    pub ram: Arc<GuestRam>,
    pub vcpu: Box<dyn Vcpu>,
    pub gic: Arc<dyn Irqchip>,
    pub vm: Box<dyn Vm>,
}

impl Machine {
    pub fn new(engine: &KvmEngine) -> Result<Self, Box<dyn Error>> {
        let (mut vcpus, parts) = parts(engine, 1)?;
        let vcpu = vcpus.pop().ok_or("no vCPU")?;
        Ok(Self { vcpu, ram: parts.ram, gic: parts.gic, vm: parts.vm })
    }
}

/// What a machine has besides its vCPUs.
pub struct Parts {
    pub ram: Arc<GuestRam>,
    pub gic: Arc<dyn Irqchip>,
    pub vm: Box<dyn Vm>,
}

pub type Vcpus = Vec<Box<dyn Vcpu>>;

/// A machine with more vCPUs.
pub fn parts(engine: &KvmEngine, vcpu_count: u32) -> Result<(Vcpus, Parts), Box<dyn Error>> {
    parts_with(engine, vcpu_count, RAM_SIZE)
}

/// One with more RAM.
pub fn parts_with(
    engine: &KvmEngine,
    vcpu_count: u32,
    ram_size: u64,
) -> Result<(Vcpus, Parts), Box<dyn Error>> {
    let ram = Arc::new(GuestRam::new(RAM_BASE, ram_size)?);
    let mut vm = engine.create_vm(VmConfig {
        vcpu_count,
        cntfrq_hz: engine.cntfrq_hz(),
        ram: Arc::clone(&ram),
        clock: Arc::new(NoClock),
        gicd: Gpa(0x0800_0000),
        gicr: Gpa(0x080a_0000),
        gic_intids: 288,
        features: abide_arm64::features::CpuFeatures::NONE,
    })?;
    let vcpus = (0..vcpu_count)
        .map(|id| vm.create_vcpu(VcpuId(id), Arc::new(InterruptLines::default())))
        .collect::<Result<Vec<_>, _>>()?;
    let gic = vm.create_irqchip()?.ok_or("the engine brings no interrupt controller")?;
    Ok((vcpus, Parts { ram, gic, vm }))
}

/// A bus on which only `mmio` answers.
pub struct Devices<F>(pub F);

impl<F: Fn(Gpa, usize, Option<u64>) -> Option<u64> + Sync> Bus for Devices<F> {
    fn mmio_read(&self, _vcpu: VcpuId, gpa: Gpa, size: usize) -> Option<u64> {
        self.0(gpa, size, None)
    }
    fn mmio_write(&self, _vcpu: VcpuId, gpa: Gpa, size: usize, value: u64) -> Option<()> {
        self.0(gpa, size, Some(value)).map(|_| ())
    }
    fn sysreg_read(&self, _vcpu: VcpuId, _reg: abide_arm64::SysReg) -> Option<u64> {
        None
    }
    fn sysreg_write(&self, _vcpu: VcpuId, _reg: abide_arm64::SysReg, _value: u64) -> Option<()> {
        None
    }
    fn smccc(&self, _vcpu: VcpuId, _x: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        AfterCall::Leave
    }
    fn set_ppi(&self, _vcpu: VcpuId, _intid: u32, _level: bool) {}
}
