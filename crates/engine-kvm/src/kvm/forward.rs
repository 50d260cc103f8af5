//! Calls that the kernel hands out, and the state behind their answers.

use crate::implementations::{FORWARDED, Implementations};
use abide_reg::{RegError, RegId, Value, VcpuId};
use kvm_bindings::{
    KVM_ARM_VM_SMCCC_CTRL, KVM_ARM_VM_SMCCC_FILTER, kvm_device_attr, kvm_smccc_filter,
    kvm_smccc_filter_action_KVM_SMCCC_FILTER_FWD_TO_USER as FORWARD,
};
use kvm_ioctls::VmFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The calls of one VM, for all of its vCPUs.
pub(super) struct Calls {
    vm: Arc<VmFd>,
    implementations: Mutex<Implementations>,
}

impl Calls {
    pub(super) fn of(vm: &Arc<VmFd>) -> Arc<Self> {
        Arc::new(Self { vm: Arc::clone(vm), implementations: Mutex::default() })
    }

    fn implementations(&self) -> MutexGuard<'_, Implementations> {
        // Whoever died in the middle of a call has ended the VM.
        self.implementations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reg_ids(&self) -> Vec<RegId> {
        self.implementations().reg_ids()
    }

    pub(super) fn load(&self, id: RegId) -> Result<Value, RegError> {
        self.implementations().load(id)
    }

    pub(super) fn store(&self, id: RegId, value: &Value) -> Result<(), RegError> {
        self.implementations().store(id, value, || self.forward())
    }

    pub(super) fn note_bitmap(&self, value: &Value) {
        self.implementations().note_bitmap(value);
    }

    pub(super) fn answer(&self, vcpu: VcpuId, x: &[u64; 4]) -> [u64; 4] {
        self.implementations().answer(vcpu, x)
    }

    /// Has the kernel hand out the calls that are answered here: before any vCPU runs, once, and
    /// not to be read back `[linux Documentation/virt/kvm/devices/vm.rst 4.1]`.
    fn forward(&self) -> Result<(), i32> {
        let (base, nr_functions) = FORWARDED;
        let filter = kvm_smccc_filter {
            base,
            nr_functions,
            action: u8::try_from(FORWARD).unwrap_or(u8::MAX),
            ..Default::default()
        };
        let request = kvm_device_attr {
            flags: 0,
            group: KVM_ARM_VM_SMCCC_CTRL,
            attr: u64::from(KVM_ARM_VM_SMCCC_FILTER),
            addr: &raw const filter as u64,
        };
        self.vm.set_device_attr(&request).map_err(|error| error.errno())
    }
}
