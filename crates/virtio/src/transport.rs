//! The MMIO transport, version 2 `[VIRTIO 4.2]`.

use crate::spec::{MAGIC, VENDOR, VERSION, feature, interrupt, offset, status};
use crate::{Device, Guest, QueueError, SharedMemory, Virtqueue};
use abide_memory::GuestRam;
use abide_reg::Gpa;

mod state;

/// A device behind its registers.
///
/// A driver's access is complete when the call returns, the requests that it announced included.
/// After every call that may change it, [`Self::irq_level`] says how the interrupt line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mmio<D> {
    device: D,
    // Guest-visible state (saved)
    device_features: u64,
    device_features_sel: u32,
    driver_features: u64,
    driver_features_sel: u32,
    queue_sel: u32,
    shm_sel: u32,
    status: u8,
    interrupt_status: u8,
    config_generation: u32,
    queues: Vec<Virtqueue>,
    /// Queues, as bits, that hold more than one call could take.
    unserved: u8,
}

impl<D: Device> Mmio<D> {
    /// The device as it is when the machine is made.
    #[must_use]
    pub fn new(device: D) -> Self {
        Self {
            device_features: device.features() | feature::OF_TRANSPORT,
            device,
            device_features_sel: 0,
            driver_features: 0,
            driver_features_sel: 0,
            queue_sel: 0,
            shm_sel: 0,
            status: 0,
            interrupt_status: 0,
            config_generation: 0,
            queues: D::QUEUE_SIZES.iter().map(|&size_max| Virtqueue::new(size_max)).collect(),
            unserved: 0,
        }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Whether a driver drives it.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.status & (status::DRIVER_OK | status::DEVICE_NEEDS_RESET) == status::DRIVER_OK
    }

    /// Whether its driver agreed to all these features.
    #[must_use]
    pub const fn agreed(&self, features: u64) -> bool {
        self.status & status::FEATURES_OK != 0 && self.driver_features & features == features
    }

    /// Whether its interrupt is asserted.
    #[must_use]
    pub const fn irq_level(&self) -> bool {
        self.interrupt_status != 0
    }

    /// Reads `size` bytes at `at`. Registers are read whole, by aligned 32-bit accesses
    /// `[VIRTIO 4.2.2.2]`; every other access to them reads as zero. The configuration is read by
    /// any access of up to 8 bytes; past its end it is zero.
    #[must_use]
    pub fn read(&self, at: u64, size: usize) -> u64 {
        if let Some(at) = at.checked_sub(offset::CONFIG) {
            return self.read_config(at, size);
        }
        if size != 4 || !at.is_multiple_of(4) {
            return 0;
        }
        let queue = self.selected();
        u64::from(match at {
            offset::MAGIC_VALUE => MAGIC,
            offset::VERSION => VERSION,
            offset::DEVICE_ID => D::ID.0,
            offset::VENDOR_ID => VENDOR,
            offset::DEVICE_FEATURES => word(self.device_features, self.device_features_sel),
            offset::QUEUE_SIZE_MAX => queue.map_or(0, |queue| queue.size_max.into()),
            offset::QUEUE_READY => queue.map_or(0, |queue| queue.is_ready.into()),
            offset::INTERRUPT_STATUS => self.interrupt_status.into(),
            offset::STATUS => self.status.into(),
            offset::SHM_LEN..offset::SHM_END => self.read_shm(at),
            offset::CONFIG_GENERATION => self.config_generation,
            _ => 0,
        })
    }

    /// All ones for length and base where there is no region `[VIRTIO 4.2.2]`.
    fn read_shm(&self, at: u64) -> u32 {
        let region = self.device.shared_memory(self.shm_sel);
        let of_region = |region: SharedMemory| {
            if at < offset::SHM_BASE { region.len } else { region.base.0 }
        };
        word(region.map_or(u64::MAX, of_region), u32::from(at & 4 != 0))
    }

    fn read_config(&self, at: u64, size: usize) -> u64 {
        let config = self.device.config();
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = config.iter().skip(start).take(size.min(8));
        bytes.zip(0..8).fold(0, |value, (&byte, n)| value | u64::from(byte) << (8 * n))
    }

    /// Writes the low `size` bytes of `value` at `at`.
    pub fn write(&mut self, at: u64, size: usize, value: u64, ram: &GuestRam, host: &mut D::Host) {
        if let Some(at) = at.checked_sub(offset::CONFIG) {
            let bytes = value.to_le_bytes();
            self.device.write_config(at, &bytes[..size.min(bytes.len())]);
            return;
        }
        if size != 4 || !at.is_multiple_of(4) {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "registers have 32 bits")]
        let value = value as u32;
        match at {
            offset::DEVICE_FEATURES_SEL => self.device_features_sel = value,
            offset::DRIVER_FEATURES => self.write_driver_features(value),
            offset::DRIVER_FEATURES_SEL => self.driver_features_sel = value,
            offset::QUEUE_SEL => self.queue_sel = value,
            offset::SHM_SEL if D::SHARES_MEMORY => self.shm_sel = value,
            offset::QUEUE_SIZE => self.set_up(|queue| queue.size = value),
            offset::QUEUE_READY => self.write_queue_ready(value, ram),
            offset::QUEUE_NOTIFY => self.write_queue_notify(value, ram, host),
            offset::INTERRUPT_ACK => {
                self.interrupt_status &= !value.to_le_bytes()[0];
                self.serve_on(ram, host);
            }
            offset::STATUS => self.write_status(value, ram, host),
            offset::QUEUE_DESC..offset::SHM_LEN => self.write_queue_place(at, value),
            _ => {}
        }
    }

    /// Lets the device look at what came from outside, and go on with what a burst left.
    pub fn poll(&mut self, ram: &GuestRam, host: &mut D::Host) {
        self.serve_on(ram, host);
        self.call(ram, |device, guest| device.poll(guest, host));
    }

    /// Whether [`Self::poll`] has something to do that no input announces.
    #[must_use]
    pub const fn is_unserved(&self) -> bool {
        self.unserved != 0
    }

    /// Changes the device from outside, as when a disk has grown, and tells the driver.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut D)) {
        change(&mut self.device);
        self.config_changed();
    }

    fn selected(&self) -> Option<&Virtqueue> {
        self.queues.get(usize::try_from(self.queue_sel).ok()?)
    }

    /// Changes the selected queue, unless it is in use.
    fn set_up(&mut self, change: impl FnOnce(&mut Virtqueue)) {
        let index = usize::try_from(self.queue_sel).unwrap_or(usize::MAX);
        if let Some(queue) = self.queues.get_mut(index).filter(|queue| !queue.is_ready) {
            change(queue);
        }
    }

    fn write_queue_place(&mut self, at: u64, value: u32) {
        let is_high = at & 4 != 0;
        let with = |place: &mut Gpa| {
            let (low, high) = (place.0 & 0xffff_ffff, place.0 >> 32);
            let value = u64::from(value);
            place.0 = if is_high { value << 32 | low } else { high << 32 | value };
        };
        match at & !4 {
            offset::QUEUE_DESC => self.set_up(|queue| with(&mut queue.desc)),
            offset::QUEUE_DRIVER => self.set_up(|queue| with(&mut queue.driver)),
            offset::QUEUE_DEVICE => self.set_up(|queue| with(&mut queue.device)),
            _ => {}
        }
    }

    fn write_queue_ready(&mut self, value: u32, ram: &GuestRam) {
        let index = usize::try_from(self.queue_sel).unwrap_or(usize::MAX);
        let Some(queue) = self.queues.get_mut(index) else { return };
        if value & 1 == 0 {
            queue.is_ready = false;
            self.unserved &= !(1 << index);
        } else if !queue.is_ready {
            match queue.rings(ram) {
                Ok(_) => {
                    queue.is_ready = true;
                    (queue.next_avail, queue.next_used) = (0, 0);
                }
                Err(error) => self.needs_reset(error),
            }
        }
    }

    fn write_queue_notify(&mut self, value: u32, ram: &GuestRam, host: &mut D::Host) {
        if let Some(bit) = 1u8.checked_shl(value).filter(|_| (value as usize) < self.queues.len()) {
            self.serve(bit, ram, host);
        }
    }

    fn write_driver_features(&mut self, value: u32) {
        if self.status & status::FEATURES_OK != 0 {
            return;
        }
        let value = u64::from(value);
        match self.driver_features_sel {
            0 => self.driver_features = self.driver_features >> 32 << 32 | value,
            1 => self.driver_features = self.driver_features & 0xffff_ffff | value << 32,
            _ => {}
        }
    }

    fn write_status(&mut self, value: u32, ram: &GuestRam, host: &mut D::Host) {
        let [value, ..] = value.to_le_bytes();
        if value == 0 {
            self.reset(host);
            return;
        }
        // A driver only adds bits [VIRTIO 2.1.1]; what it would take away stays.
        let mut added = value & status::OF_DRIVER & !self.status;
        let agreed = self.driver_features & !self.device_features == 0
            && self.driver_features & feature::VERSION_1 != 0;
        if !agreed {
            added &= !status::FEATURES_OK;
        }
        if (self.status | added) & status::FEATURES_OK == 0 {
            added &= !status::DRIVER_OK;
        }
        self.status |= added;
        if added & status::DRIVER_OK != 0 {
            // What was put into queues before is worked off now: a driver may have notified
            // already, and it may not happen then.
            self.serve(u8::MAX, ram, host);
        }
    }

    fn reset(&mut self, host: &mut D::Host) {
        self.device.reset(host);
        self.device_features_sel = 0;
        self.driver_features = 0;
        self.driver_features_sel = 0;
        self.queue_sel = 0;
        self.shm_sel = 0;
        self.status = 0;
        self.interrupt_status = 0;
        self.unserved = 0;
        for queue in &mut self.queues {
            *queue = Virtqueue::new(queue.size_max);
        }
    }

    /// Goes on with what a burst left, as soon as the driver takes notice or the machine looks.
    fn serve_on(&mut self, ram: &GuestRam, host: &mut D::Host) {
        let unserved = std::mem::take(&mut self.unserved);
        self.serve(unserved, ram, host);
    }

    /// Tells the device of each queue whose bit is set.
    fn serve(&mut self, queues: u8, ram: &GuestRam, host: &mut D::Host) {
        for index in (0..self.queues.len()).filter(|index| queues >> index & 1 != 0) {
            if self.queues[index].is_ready {
                self.call(ram, |device, guest| device.notified(index, guest, host));
            }
        }
    }

    fn call(
        &mut self,
        ram: &GuestRam,
        call: impl FnOnce(&mut D, &mut Guest<'_>) -> Result<(), QueueError>,
    ) {
        // Before DRIVER_OK no buffer may be touched [VIRTIO 3.1.1].
        if !self.is_live() {
            return;
        }
        let mut guest = Guest::new(ram, &mut self.queues, self.driver_features);
        let result = call(&mut self.device, &mut guest);
        let outcome = guest.finish();
        self.unserved |= outcome.unserved;
        if outcome.used_buffer {
            self.interrupt_status |= interrupt::USED_BUFFER;
        }
        if outcome.config_changed {
            self.config_changed();
        }
        if let Err(error) = result {
            self.needs_reset(error);
        }
    }

    fn config_changed(&mut self) {
        self.config_generation = self.config_generation.wrapping_add(1);
        if self.status & status::DRIVER_OK != 0 {
            self.interrupt_status |= interrupt::CONFIG_CHANGE;
        }
    }

    /// The driver broke a queue [VIRTIO 2.1.2].
    fn needs_reset(&mut self, error: QueueError) {
        tracing::debug!(device = D::ID.0, %error, "virtio device needs a reset");
        self.status |= status::DEVICE_NEEDS_RESET;
        self.unserved = 0;
        if self.status & status::DRIVER_OK != 0 {
            self.interrupt_status |= interrupt::CONFIG_CHANGE;
        }
    }
}

/// The 32-bit word of a 64-bit field that a selector names.
fn word(field: u64, select: u32) -> u32 {
    let word = match select {
        0 => field & 0xffff_ffff,
        1 => field >> 32,
        _ => 0,
    };
    u32::try_from(word).unwrap_or(0)
}
