//! The transport's registers in a snapshot.

use abide_reg::{RegDef, RegId};

/// The most queues of a device.
pub const QUEUES_MAX: usize = 4;

pub(crate) const DEVICE_ID: RegDef = RegDef::state(RegId::named("virtio.device_id"), "DeviceID", 4);
pub(crate) const DEVICE_FEATURES: RegDef =
    RegDef::state(RegId::named("virtio.device_features"), "DeviceFeatures", 8);
pub(crate) const DEVICE_FEATURES_SEL: RegDef =
    RegDef::state(RegId::named("virtio.device_features_sel"), "DeviceFeaturesSel", 4);
pub(crate) const DRIVER_FEATURES: RegDef =
    RegDef::state(RegId::named("virtio.driver_features"), "DriverFeatures", 8);
pub(crate) const DRIVER_FEATURES_SEL: RegDef =
    RegDef::state(RegId::named("virtio.driver_features_sel"), "DriverFeaturesSel", 4);
pub(crate) const QUEUE_SEL: RegDef = RegDef::state(RegId::named("virtio.queue_sel"), "QueueSel", 4);
/// Only of devices that may share memory.
pub(crate) const SHM_SEL: RegDef = RegDef::state(RegId::named("virtio.shm_sel"), "SHMSel", 4);
pub(crate) const STATUS: RegDef = RegDef::state(RegId::named("virtio.status"), "Status", 1);
pub(crate) const INTERRUPT_STATUS: RegDef =
    RegDef::state(RegId::named("virtio.interrupt_status"), "InterruptStatus", 1);
pub(crate) const CONFIG_GENERATION: RegDef =
    RegDef::state(RegId::named("virtio.config_generation"), "ConfigGeneration", 4);
pub(crate) const UNSERVED: RegDef =
    RegDef::state(RegId::named("virtio.unserved"), "queues to be served on", 1);

/// The registers of the transport itself.
const TRANSPORT: [RegDef; 10] = [
    DEVICE_ID,
    DEVICE_FEATURES,
    DEVICE_FEATURES_SEL,
    DRIVER_FEATURES,
    DRIVER_FEATURES_SEL,
    QUEUE_SEL,
    STATUS,
    INTERRUPT_STATUS,
    CONFIG_GENERATION,
    UNSERVED,
];

/// The registers of one queue.
pub(crate) struct QueueDefs {
    pub(crate) size_max: RegDef,
    pub(crate) size: RegDef,
    pub(crate) ready: RegDef,
    pub(crate) desc: RegDef,
    pub(crate) driver: RegDef,
    pub(crate) device: RegDef,
    pub(crate) next_avail: RegDef,
    pub(crate) next_used: RegDef,
}

impl QueueDefs {
    fn list(&self) -> [RegDef; 8] {
        let Self { size_max, size, ready, desc, driver, device, next_avail, next_used } = *self;
        [size_max, size, ready, desc, driver, device, next_avail, next_used]
    }
}

macro_rules! queue {
    ($prefix:literal) => {
        QueueDefs {
            size_max: def(concat!($prefix, ".size_max"), "QueueSizeMax", 4),
            size: def(concat!($prefix, ".size"), "QueueSize", 4),
            ready: def(concat!($prefix, ".ready"), "QueueReady", 1),
            desc: def(concat!($prefix, ".desc_gpa"), "QueueDesc", 8),
            driver: def(concat!($prefix, ".driver_gpa"), "QueueDriver", 8),
            device: def(concat!($prefix, ".device_gpa"), "QueueDevice", 8),
            next_avail: def(concat!($prefix, ".next_avail"), "available index taken", 2),
            next_used: def(concat!($prefix, ".next_used"), "used index", 2),
        }
    };
}

const fn def(id: &'static str, name: &'static str, width: usize) -> RegDef {
    RegDef::state(RegId::named(id), name, width)
}

pub(crate) const QUEUES: [QueueDefs; QUEUES_MAX] =
    [queue!("virtio.q0"), queue!("virtio.q1"), queue!("virtio.q2"), queue!("virtio.q3")];

/// The registers of the transport of a device with so many queues, in the order in which they are
/// saved. The device's own follow.
#[must_use]
pub fn transport_table(queues: usize) -> Vec<RegDef> {
    let queues = QUEUES.iter().take(queues).flat_map(QueueDefs::list);
    TRANSPORT.into_iter().chain(queues).collect()
}
