//! The GICv3 in the host's kernel.

use crate::encoding::{self, GRP_ADDR, GRP_CTRL};
use crate::host;
use abide_engine::{EngineError, Irqchip};
use abide_gic::spec::GRP_NR_IRQS;
use abide_reg::{Gpa, RegError, RegId, Value};
use kvm_bindings::{
    KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_VGIC_V3_ADDR_TYPE_DIST, KVM_VGIC_V3_ADDR_TYPE_REDIST,
    kvm_create_device, kvm_device_attr, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
};
use kvm_ioctls::{DeviceFd, VmFd};
use std::sync::Arc;

/// The longest attribute, in bytes.
const ATTR_LEN_MAX: usize = 8;

/// Makes the device, without addresses and not initialised.
pub(super) fn create_device(vm: &VmFd) -> Result<DeviceFd, EngineError> {
    let mut request =
        kvm_create_device { type_: kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3, fd: 0, flags: 0 };
    vm.create_device(&mut request)
        .map_err(|error| host::refused("KVM_CREATE_DEVICE (GICv3)", error.errno()))
}

/// A GICv3 whose registers are attributes of a KVM device.
pub(super) struct KvmGicV3 {
    device: DeviceFd,
    vm: Arc<VmFd>,
}

impl KvmGicV3 {
    /// Makes the controller once all vCPUs are made: the kernel gives each a redistributor when it
    /// initialises, and takes no vCPU afterwards.
    pub(super) fn new(
        vm: Arc<VmFd>,
        gicd: Gpa,
        gicr: Gpa,
        intids: u32,
    ) -> Result<Self, EngineError> {
        let device = create_device(&vm)?;
        let gic = Self { device, vm };
        let address = |kind: u32, base: Gpa, operation: &'static str| {
            gic.set(GRP_ADDR, u64::from(kind), &base.0.to_le_bytes())
                .map_err(|errno| host::refused(operation, errno))
        };
        address(KVM_VGIC_V3_ADDR_TYPE_DIST, gicd, "KVM_VGIC_V3_ADDR_TYPE_DIST")?;
        address(KVM_VGIC_V3_ADDR_TYPE_REDIST, gicr, "KVM_VGIC_V3_ADDR_TYPE_REDIST")?;
        gic.set(GRP_NR_IRQS, 0, &intids.to_le_bytes())
            .map_err(|errno| host::refused("KVM_DEV_ARM_VGIC_GRP_NR_IRQS", errno))?;
        gic.set(GRP_CTRL, u64::from(KVM_DEV_ARM_VGIC_CTRL_INIT), &[])
            .map_err(|errno| host::refused("KVM_DEV_ARM_VGIC_CTRL_INIT", errno))?;
        Ok(gic)
    }

    fn set(&self, group: u32, attr: u64, data: &[u8]) -> Result<(), i32> {
        // The kernel may read as many bytes as its longest attribute has.
        let mut buffer = [0; ATTR_LEN_MAX];
        buffer[..data.len()].copy_from_slice(data);
        let addr = buffer.as_ptr() as u64;
        let request = kvm_device_attr { flags: 0, group, attr, addr };
        self.device.set_device_attr(&request).map_err(|error| error.errno())
    }

    fn get(&self, group: u32, attr: u64) -> Result<[u8; ATTR_LEN_MAX], i32> {
        let mut buffer = [0; ATTR_LEN_MAX];
        let addr = buffer.as_mut_ptr() as u64;
        let mut request = kvm_device_attr { flags: 0, group, attr, addr };
        #[expect(unsafe_code, reason = "the kernel writes where the request points")]
        // SAFETY: `addr` is that of `buffer`, which lives past the call and is as long as the
        // longest attribute of the groups that callers pass: 8 bytes (CPU_SYSREGS).
        let result = unsafe { self.device.get_device_attr(&mut request) };
        result.map_err(|error| error.errno())?;
        Ok(buffer)
    }

    /// The number of INTIDs is fixed since the controller was initialised, and the kernel then
    /// refuses even the number it has.
    fn check_nr_irqs(&self, id: RegId, value: &Value) -> Result<(), RegError> {
        if *value == self.load(id)? {
            return Ok(());
        }
        let allowed = "the number of INTIDs that the machine was made with";
        Err(RegError::Refused { id, found: value.clone(), allowed })
    }

    /// The group, attribute and length of a register that exists here.
    fn locate(&self, id: RegId) -> Result<(u32, u64, usize), RegError> {
        let RegId::Gic { group, attr } = id else { return Err(RegError::Unknown { id }) };
        let width = encoding::gic_width(group).ok_or(RegError::Unknown { id })?;
        // Get and set themselves succeed at places that are no register: they read as zero and
        // forget what is written.
        if encoding::has_attr_is_reliable(group, attr) {
            let request = kvm_device_attr { flags: 0, group, attr, addr: 0 };
            self.device
                .has_device_attr(&request)
                .map_err(|error| encoding::gic_error(id, error.errno()))?;
        }
        Ok((group, attr, width))
    }
}

impl Irqchip for KvmGicV3 {
    fn set_line(&self, intid: u32, level: bool) -> Result<(), EngineError> {
        let line = encoding::spi_line(intid)
            .ok_or(host::unsupported("a line for this INTID: 32 to 1019 are allowed"))?;
        self.vm
            .set_irq_line(line, level)
            .map_err(|error| host::refused("KVM_IRQ_LINE", error.errno()))
    }

    fn signal_msi(&self, _doorbell: Gpa, _event: u32, _device: u32) -> Result<(), EngineError> {
        Err(host::unsupported("message-signalled interrupts: its GICv3 has no ITS"))
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        let (group, attr, width) = self.locate(id)?;
        let bytes = self.get(group, attr).map_err(|errno| encoding::gic_error(id, errno))?;
        Ok(Value::bytes(&bytes[..width]))
    }

    fn store(&self, id: RegId, value: &Value) -> Result<(), RegError> {
        let (group, attr, width) = self.locate(id)?;
        if value.width() != width {
            return Err(RegError::Width { id, found: value.width(), allowed: width });
        }
        if group == GRP_NR_IRQS {
            return self.check_nr_irqs(id, value);
        }
        self.set(group, attr, value.as_bytes()).map_err(|errno| encoding::gic_error(id, errno))
    }
}
