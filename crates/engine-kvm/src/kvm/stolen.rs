//! Stolen time: which version a guest is told of. KVM has no answer for its user, so a guest asks.

use super::engine::KvmEngine;
use super::rings::LogBy;
use super::vm::KvmVm;
use crate::host;
use crate::trial::{self, Kind, LIMIT, RAM_BASE, RAM_LEN};
use abide_arm64::kvm;
use abide_engine::{EngineError, Vm};
use abide_memory::GuestRam;
use abide_pvtime::{NO_VERSION, Revision, Revisions};
use abide_reg::{Gpa, VcpuId};
use std::sync::Arc;

/// Calls PV_TIME_FEATURES for PV_TIME_ST, then PV_TIME_ST, keeps the answers in x19 and x20, and
/// powers off `[DEN0057A 2]`.
const ASK: [u32; 14] = [
    0x52b8_a000, // movz w0, #0xc500, lsl #16
    0x7280_0400, // movk w0, #0x20
    0x52b8_a001, // movz w1, #0xc500, lsl #16
    0x7280_0421, // movk w1, #0x21
    0xd400_0002, // hvc  #0
    0xaa00_03f3, // mov  x19, x0
    0x52b8_a000, // movz w0, #0xc500, lsl #16
    0x7280_0420, // movk w0, #0x21
    0xd400_0002, // hvc  #0
    0xaa00_03f4, // mov  x20, x0
    trial::POWER_OFF[0],
    trial::POWER_OFF[1],
    trial::POWER_OFF[2],
    trial::POWER_OFF[3],
];

/// Where the guest's record of stolen time is.
const RECORD: Gpa = Gpa(RAM_BASE.0 + 0x1_0000);

impl KvmEngine {
    /// The version of stolen time that guests are told of, as DEN0057A numbers it: 0x1_0000 for
    /// 1.0, 0 for none.
    ///
    /// # Errors
    /// [`EngineError`] where the guest that asks cannot be made or run.
    pub fn stolen_time_version(&self) -> Result<u32, EngineError> {
        if !self.facts().has_stolen_time {
            return Ok(NO_VERSION);
        }
        let ram = GuestRam::new(RAM_BASE, RAM_LEN).map_err(|error| trial::no_ram(&error))?;
        let ram = Arc::new(ram);
        let config = trial::config(Arc::clone(&ram), self.cntfrq_hz());
        let fd = self.create_fd_for(&config)?;
        let mut vm = KvmVm::new(fd, config, None, LogBy::Bitmap, Revisions::NONE)?;
        let mut vcpu = vm.make_vcpu(VcpuId(0))?;
        let _irqchip = vm.create_irqchip()?;
        vcpu.tell_kernel_of_record(RECORD)?;
        trial::prepare(&mut vcpu, &ram, Kind::Born)?;
        trial::write(&ram, RAM_BASE, &ASK)?;
        // No revision that there is.
        trial::write(&ram, RECORD, &[u32::MAX])?;
        let vcpu = trial::finish(Box::new(vcpu), Kind::Born, LIMIT)?;
        let answer = |n| Ok::<_, EngineError>(vcpu.load(kvm::x(n))?.to_u64());
        if answer(19)? != Some(0) || answer(20)? != Some(RECORD.0) {
            return Ok(NO_VERSION);
        }
        let mut revision = [0; 4];
        ram.read(RECORD, &mut revision)
            .map_err(|_| host::unsupported("its record of stolen time"))?;
        Ok(Revision(u32::from_le_bytes(revision)).version().unwrap_or(NO_VERSION))
    }
}
