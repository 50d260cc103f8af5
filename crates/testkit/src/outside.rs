//! Outsides for a vCPU under test: time that stands still, and a board without devices.

use abide_arm64::SysReg;
use abide_engine::{AfterCall, Bus, Clock, SMCCC_REGISTERS};
use abide_reg::{Gpa, VcpuId};

/// Time that stands still, and that instructions do not move.
#[derive(Clone, Copy, Debug, Default)]
pub struct Still;

impl Clock for Still {
    fn now_ticks(&self) -> u64 {
        0
    }

    fn retire(&self, _: u64) {}

    fn instructions_until(&self, _: u64) -> Option<u64> {
        None
    }
}

/// No device answers, no register is anybody else's, and this follows every hypercall.
#[derive(Clone, Copy, Debug)]
pub struct NoDevices(pub AfterCall);

impl Bus for NoDevices {
    fn mmio_read(&self, _: VcpuId, _: Gpa, _: usize) -> Option<u64> {
        None
    }

    fn mmio_write(&self, _: VcpuId, _: Gpa, _: usize, _: u64) -> Option<()> {
        None
    }

    fn sysreg_read(&self, _: VcpuId, _: SysReg) -> Option<u64> {
        None
    }

    fn sysreg_write(&self, _: VcpuId, _: SysReg, _: u64) -> Option<()> {
        None
    }

    fn smccc(&self, _: VcpuId, _: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        self.0
    }

    fn set_ppi(&self, _: VcpuId, _: u32, _: bool) {}
}
