//! A split virtqueue: where it lies, and how far it was worked off `[VIRTIO 2.7]`.

use crate::spec::ring::{
    AVAIL_ALIGN, AVAIL_F_NO_INTERRUPT, DESC_ALIGN, DESC_LEN, USED_ALIGN, avail_len, used_len,
};
use crate::{Chain, QueueError};
use abide_memory::{GuestRam, Order, RamOffset};
use abide_reg::Gpa;

/// The most entries that a queue of any device here can have.
pub const QUEUE_SIZE_MAX: u16 = 1024;

/// One queue of a device. All of it is state of the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Virtqueue {
    /// The largest size that the driver may choose.
    pub(crate) size_max: u16,
    /// The size chosen, as written.
    pub(crate) size: u32,
    pub(crate) is_ready: bool,
    /// The descriptor table.
    pub(crate) desc: Gpa,
    /// The available ring, in which the driver offers buffers.
    pub(crate) driver: Gpa,
    /// The used ring, in which the device returns them.
    pub(crate) device: Gpa,
    /// How many buffers were taken, modulo 2¹⁶.
    pub(crate) next_avail: u16,
    /// How many were returned, modulo 2¹⁶.
    pub(crate) next_used: u16,
}

/// The rings of a queue that is ready, as places in RAM that were checked.
#[derive(Clone, Copy)]
pub(crate) struct Rings {
    pub(crate) size: u16,
    desc: Gpa,
    avail: RamOffset,
    used: RamOffset,
}

impl Virtqueue {
    /// A queue that the driver has not set up.
    pub(crate) fn new(size_max: u16) -> Self {
        debug_assert!(size_max.is_power_of_two() && size_max <= QUEUE_SIZE_MAX);
        Self { size_max, size: size_max.into(), ..Self::default() }
    }

    /// Whether the driver has set it up.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Checks size and places.
    pub(crate) fn rings(&self, ram: &GuestRam) -> Result<Rings, QueueError> {
        let refused = QueueError::Size { found: self.size, allowed: self.size_max };
        let size = u16::try_from(self.size)
            .ok()
            .filter(|size| size.is_power_of_two() && *size <= self.size_max)
            .ok_or(refused)?;
        let place = |part, gpa: Gpa, len, align| {
            let inside = ram.offset_of(gpa, len).filter(|_| gpa.0.is_multiple_of(align));
            inside.ok_or(QueueError::Place { part, gpa, align })
        };
        let desc_len = u64::from(size) * u64::from(DESC_LEN);
        place("descriptor table", self.desc, desc_len, DESC_ALIGN)?;
        let avail = place("available ring", self.driver, avail_len(size), AVAIL_ALIGN)?;
        let used = place("used ring", self.device, used_len(size), USED_ALIGN)?;
        Ok(Rings { size, desc: self.desc, avail, used })
    }

    /// How many buffers wait.
    pub(crate) fn waiting(&self, ram: &GuestRam, rings: Rings) -> Result<u16, QueueError> {
        let found = rings.avail_index(ram);
        let waiting = found.wrapping_sub(self.next_avail);
        if waiting > rings.size {
            return Err(QueueError::Jump { seen: self.next_avail, found, size: rings.size });
        }
        Ok(waiting)
    }

    /// Takes the next buffer, which must be there.
    pub(crate) fn take(
        &mut self,
        ram: &GuestRam,
        rings: Rings,
        indirect_agreed: bool,
    ) -> Result<Chain, QueueError> {
        let head = rings.avail_entry(ram, self.next_avail);
        let chain = Chain::walk(ram, rings.desc, rings.size, head, indirect_agreed)?;
        self.next_avail = self.next_avail.wrapping_add(1);
        Ok(chain)
    }

    /// Returns a buffer into which `written` bytes were written from its start.
    pub(crate) fn give_back(&mut self, ram: &GuestRam, rings: Rings, head: u16, written: u32) {
        rings.put_used(ram, self.next_used, head, written);
        self.next_used = self.next_used.wrapping_add(1);
        rings.set_used_index(ram, self.next_used);
    }
}

impl Rings {
    const INDEX: u64 = 2;
    const ENTRIES: u64 = 4;

    /// The place of an entry, `index` modulo the size.
    fn entry(self, ring: RamOffset, index: u16, len: u64) -> RamOffset {
        let place = u64::from(index & (self.size - 1));
        RamOffset(ring.0 + Self::ENTRIES + place * len)
    }

    fn avail_index(self, ram: &GuestRam) -> u16 {
        // What the driver wrote before it moved the index must be seen after it; SeqCst also
        // orders this after a store of `avail_event`.
        let place = RamOffset(self.avail.0 + Self::INDEX);
        u16::from_le(ram.load::<u16>(place, Order::SeqCst))
    }

    fn avail_entry(self, ram: &GuestRam, index: u16) -> u16 {
        u16::from_le(ram.load::<u16>(self.entry(self.avail, index, 2), Order::Relaxed))
    }

    /// Whether the driver wants no interrupts at all.
    fn is_silenced(self, ram: &GuestRam) -> bool {
        let flags = u16::from_le(ram.load::<u16>(self.avail, Order::SeqCst));
        flags & AVAIL_F_NO_INTERRUPT != 0
    }

    /// The used index at which the driver wants an interrupt.
    fn used_event(self, ram: &GuestRam) -> u16 {
        let place = RamOffset(self.avail.0 + Self::ENTRIES + 2 * u64::from(self.size));
        u16::from_le(ram.load::<u16>(place, Order::SeqCst))
    }

    /// Tells the driver at which available index a notification is wanted.
    pub(crate) fn set_avail_event(self, ram: &GuestRam, index: u16) {
        let place = RamOffset(self.used.0 + Self::ENTRIES + 8 * u64::from(self.size));
        // Unchanged memory is not made dirty: an idle queue costs a migration nothing.
        if u16::from_le(ram.load::<u16>(place, Order::Relaxed)) != index {
            store(ram, place, index);
        }
    }

    fn put_used(self, ram: &GuestRam, index: u16, head: u16, written: u32) {
        let place = self.entry(self.used, index, 8);
        ram.store::<u32>(place, u32::from(head).to_le(), Order::Relaxed);
        ram.store::<u32>(RamOffset(place.0 + 4), written.to_le(), Order::Relaxed);
        ram.dirty().mark(place.0, 8);
    }

    fn set_used_index(self, ram: &GuestRam, index: u16) {
        store(ram, RamOffset(self.used.0 + Self::INDEX), index);
    }

    /// Whether the driver wants to be told that the used index went from `old` to `new`
    /// `[VIRTIO 2.7.7]`.
    pub(crate) fn wants_interrupt(
        self,
        ram: &GuestRam,
        old: u16,
        new: u16,
        has_event_idx: bool,
    ) -> bool {
        if old == new {
            return false;
        }
        if !has_event_idx {
            return !self.is_silenced(ram);
        }
        let event = self.used_event(ram);
        new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
    }
}

/// Writes an index: everything written before is seen by whoever sees it.
fn store(ram: &GuestRam, place: RamOffset, index: u16) {
    ram.store::<u16>(place, index.to_le(), Order::SeqCst);
    ram.dirty().mark(place.0, 2);
}
