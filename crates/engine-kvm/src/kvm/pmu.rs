//! Performance monitors of a vCPU.

use crate::{encoding, host};
use abide_arm64::features::PmuEvents;
use abide_engine::{EngineError, PMU_INTID};
use kvm_bindings::{
    KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_FILTER, KVM_ARM_VCPU_PMU_V3_INIT,
    KVM_ARM_VCPU_PMU_V3_IRQ, KVM_PMU_EVENT_DENY, kvm_device_attr, kvm_pmu_event_filter,
};
use kvm_ioctls::{DeviceFd, VcpuFd};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};

/// The performance monitors of one vCPU, not started yet.
///
/// The kernel wants them started behind the interrupt controller, which is made behind the vCPUs,
/// when these belong to others: so this is a second descriptor of the vCPU
/// `[linux Documentation/virt/kvm/devices/vcpu.rst 1]`.
pub(super) struct Pmu(DeviceFd);

/// As the filter takes it.
const DENY: u8 = KVM_PMU_EVENT_DENY.to_le_bytes()[0];

impl Pmu {
    /// Those of the vCPU behind `fd`, which was made with the feature.
    pub(super) fn of(fd: &VcpuFd) -> Result<Self, EngineError> {
        #[expect(unsafe_code, reason = "the library gives no descriptor that knows its life")]
        // SAFETY: the descriptor is open as long as `fd` lives, which is past this call.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
        let own = borrowed.try_clone_to_owned().map_err(|error| {
            host::refused("a second descriptor of a vCPU", error.raw_os_error().unwrap_or(0))
        })?;
        #[expect(unsafe_code, reason = "the library can only be given a raw descriptor")]
        // SAFETY: the descriptor is nobody else's from here on. KVM_SET_DEVICE_ATTR, all that is
        // asked of it, is the same request for vCPUs as for devices.
        Ok(Self(unsafe { DeviceFd::from_raw_fd(own.into_raw_fd()) }))
    }

    /// Hides events from the guests of the VM, whose PMCEID0_EL0 and PMCEID1_EL0 would tell of
    /// them. An event that is hidden is not counted any more. CHAIN is no event to count: the
    /// kernel chains counters all the same.
    pub(super) fn hide(&self, hidden: PmuEvents) -> Result<(), EngineError> {
        for base_event in encoding::events(hidden) {
            let filter =
                kvm_pmu_event_filter { base_event, nevents: 1, action: DENY, ..Default::default() };
            self.set(KVM_ARM_VCPU_PMU_V3_FILTER, &raw const filter as u64)
                .map_err(|errno| host::refused("KVM_ARM_VCPU_PMU_V3_FILTER", errno))?;
        }
        Ok(())
    }

    /// Gives them their interrupt, and starts them.
    pub(super) fn start(&self) -> Result<(), EngineError> {
        let intid: u32 = PMU_INTID;
        self.set(KVM_ARM_VCPU_PMU_V3_IRQ, &raw const intid as u64)
            .map_err(|errno| host::refused("KVM_ARM_VCPU_PMU_V3_IRQ", errno))?;
        self.set(KVM_ARM_VCPU_PMU_V3_INIT, 0)
            .map_err(|errno| host::refused("KVM_ARM_VCPU_PMU_V3_INIT", errno))
    }

    fn set(&self, attr: u32, addr: u64) -> Result<(), i32> {
        let group = KVM_ARM_VCPU_PMU_V3_CTRL;
        let request = kvm_device_attr { flags: 0, group, attr: u64::from(attr), addr };
        self.0.set_device_attr(&request).map_err(|error| error.errno())
    }
}
