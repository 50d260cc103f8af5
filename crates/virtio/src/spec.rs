//! Offsets and bits of the MMIO transport, the status field and split virtqueues.

/// Register offsets, in bytes `[VIRTIO 4.2.2]`.
pub mod offset {
    /// `MagicValue`, R: "virt".
    pub const MAGIC_VALUE: u64 = 0x000;
    /// `Version`, R: 2.
    pub const VERSION: u64 = 0x004;
    /// `DeviceID`, R.
    pub const DEVICE_ID: u64 = 0x008;
    /// `VendorID`, R.
    pub const VENDOR_ID: u64 = 0x00c;
    /// `DeviceFeatures`, R: the word that `DeviceFeaturesSel` selects.
    pub const DEVICE_FEATURES: u64 = 0x010;
    /// `DeviceFeaturesSel`, W.
    pub const DEVICE_FEATURES_SEL: u64 = 0x014;
    /// `DriverFeatures`, W: the word that `DriverFeaturesSel` selects.
    pub const DRIVER_FEATURES: u64 = 0x020;
    /// `DriverFeaturesSel`, W.
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    /// `QueueSel`, W: the queue that the registers below speak of.
    pub const QUEUE_SEL: u64 = 0x030;
    /// `QueueSizeMax`, R: 0 where there is no such queue.
    pub const QUEUE_SIZE_MAX: u64 = 0x034;
    /// `QueueSize`, W.
    pub const QUEUE_SIZE: u64 = 0x038;
    /// `QueueReady`, RW.
    pub const QUEUE_READY: u64 = 0x044;
    /// `QueueNotify`, W: the number of a queue.
    pub const QUEUE_NOTIFY: u64 = 0x050;
    /// `InterruptStatus`, R.
    pub const INTERRUPT_STATUS: u64 = 0x060;
    /// `InterruptACK`, W.
    pub const INTERRUPT_ACK: u64 = 0x064;
    /// `Status`, RW; 0 resets.
    pub const STATUS: u64 = 0x070;
    /// `QueueDescLow`, W; `QueueDescHigh` follows.
    pub const QUEUE_DESC: u64 = 0x080;
    /// `QueueDriverLow`, W; `QueueDriverHigh` follows.
    pub const QUEUE_DRIVER: u64 = 0x090;
    /// `QueueDeviceLow`, W; `QueueDeviceHigh` follows.
    pub const QUEUE_DEVICE: u64 = 0x0a0;
    /// `SHMSel`, W: the region of shared memory that the registers below speak of.
    pub const SHM_SEL: u64 = 0x0ac;
    /// `SHMLenLow`, R; `SHMLenHigh` follows. All ones where there is no such region.
    pub const SHM_LEN: u64 = 0x0b0;
    /// `SHMBaseLow`, R; `SHMBaseHigh` follows.
    pub const SHM_BASE: u64 = 0x0b8;
    /// One past `SHMBaseHigh`.
    pub const SHM_END: u64 = 0x0c0;
    /// `ConfigGeneration`, R.
    pub const CONFIG_GENERATION: u64 = 0x0fc;
    /// The device's configuration.
    pub const CONFIG: u64 = 0x100;
}

/// "virt", little-endian.
pub const MAGIC: u32 = 0x7472_6976;
/// The version of the transport that is not legacy.
pub const VERSION: u32 = 2;
/// "abid", little-endian: virtio leaves the vendor's number to whoever makes the device.
pub const VENDOR: u32 = 0x6469_6261;

/// Bits of `Status` `[VIRTIO 2.1]`.
pub mod status {
    /// The guest has noticed the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// It knows how to drive it.
    pub const DRIVER: u8 = 2;
    /// The driver is set up.
    pub const DRIVER_OK: u8 = 4;
    /// Features are agreed on.
    pub const FEATURES_OK: u8 = 8;
    /// The device has met something that it cannot recover from.
    pub const DEVICE_NEEDS_RESET: u8 = 64;
    /// The guest has given up.
    pub const FAILED: u8 = 128;
    /// What the driver can set.
    pub const OF_DRIVER: u8 = ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK | FAILED;
}

/// Bits of `InterruptStatus` `[VIRTIO 4.2.2]`.
pub mod interrupt {
    /// The device has used a buffer.
    pub const USED_BUFFER: u8 = 1;
    /// The device's configuration, or its need of a reset, has changed.
    pub const CONFIG_CHANGE: u8 = 2;
}

/// Feature bits that belong to the transport and the queues `[VIRTIO 6]`.
pub mod feature {
    /// `VIRTIO_F_INDIRECT_DESC`.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// `VIRTIO_F_EVENT_IDX`.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// `VIRTIO_F_VERSION_1`.
    pub const VERSION_1: u64 = 1 << 32;
    /// What every device here offers besides its own.
    pub const OF_TRANSPORT: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1;
}

/// Split virtqueues `[VIRTIO 2.7]`.
pub mod ring {
    /// Length of a descriptor, in bytes: u64 address, u32 length, u16 flags, u16 next.
    pub const DESC_LEN: u32 = 16;
    /// The buffer goes on at `next`.
    pub const DESC_F_NEXT: u16 = 1;
    /// The device writes the buffer; else it reads it.
    pub const DESC_F_WRITE: u16 = 2;
    /// The buffer is a table of descriptors.
    pub const DESC_F_INDIRECT: u16 = 4;
    /// The driver wants no interrupts; means nothing with `EVENT_IDX`.
    pub const AVAIL_F_NO_INTERRUPT: u16 = 1;
    /// Alignment of the descriptor table, in bytes.
    pub const DESC_ALIGN: u64 = 16;
    /// Alignment of the available ring, in bytes.
    pub const AVAIL_ALIGN: u64 = 2;
    /// Alignment of the used ring, in bytes.
    pub const USED_ALIGN: u64 = 4;

    /// Length of an available ring: flags, index, entries, `used_event`.
    #[must_use]
    pub const fn avail_len(size: u16) -> u64 {
        6 + 2 * size as u64
    }

    /// Length of a used ring: flags, index, entries of u32 id and u32 length, `avail_event`.
    #[must_use]
    pub const fn used_len(size: u16) -> u64 {
        6 + 8 * size as u64
    }
}
