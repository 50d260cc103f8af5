//! The driver's side of a virtio device: what a guest's kernel does, good or bad.
//!
//! Offsets, bits and layouts are typed from the specification `[VIRTIO 2.7, 4.2]`, so that a
//! device is not tested against its own mistakes.

use abide_memory::{GuestRam, Order};
use abide_reg::Gpa;

/// The registers of a device as a driver reaches them.
pub trait Port {
    /// Reads `size` bytes at `at`.
    fn read(&mut self, at: u64, size: usize) -> u64;
    /// Writes `size` bytes at `at`.
    fn write(&mut self, at: u64, size: usize, value: u64);
}

/// `VIRTIO_F_VERSION_1`.
pub const VERSION_1: u64 = 1 << 32;
/// `VIRTIO_F_EVENT_IDX`.
pub const EVENT_IDX: u64 = 1 << 29;
/// `VIRTIO_F_INDIRECT_DESC`.
pub const INDIRECT_DESC: u64 = 1 << 28;

/// A descriptor as it stands in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Desc {
    /// Address of the buffer.
    pub gpa: u64,
    /// Its length, in bytes.
    pub len: u32,
    /// 1 = next, 2 = write, 4 = indirect.
    pub flags: u16,
    /// The descriptor that goes on.
    pub next: u16,
}

impl Desc {
    /// A buffer that the device reads.
    #[must_use]
    pub const fn readable(gpa: Gpa, len: u32) -> Self {
        Self { gpa: gpa.0, len, flags: 0, next: 0 }
    }

    /// A buffer that the device writes.
    #[must_use]
    pub const fn writable(gpa: Gpa, len: u32) -> Self {
        Self { gpa: gpa.0, len, flags: 2, next: 0 }
    }

    /// Its 16 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.gpa.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.flags.to_le_bytes());
        bytes[14..].copy_from_slice(&self.next.to_le_bytes());
        bytes
    }
}

/// A split virtqueue on the driver's side. Its rings take [`DriverQueue::len`] bytes from `base`.
#[derive(Clone, Debug)]
pub struct DriverQueue {
    base: Gpa,
    size: u16,
    next_desc: u16,
    avail_index: u16,
    used_index: u16,
}

impl DriverQueue {
    /// An empty queue at `base`, a multiple of 16, in RAM that holds zeros.
    #[must_use]
    pub const fn new(base: Gpa, size: u16) -> Self {
        Self { base, size, next_desc: 0, avail_index: 0, used_index: 0 }
    }

    /// The length of a queue's rings, in bytes.
    #[must_use]
    pub const fn len(size: u16) -> u64 {
        let size = size as u64;
        (16 * size + 6 + 2 * size).next_multiple_of(4) + 6 + 8 * size
    }

    /// The descriptor table.
    #[must_use]
    pub const fn desc(&self) -> Gpa {
        self.base
    }

    /// The available ring: flags, index, entries, `used_event`.
    #[must_use]
    pub const fn avail(&self) -> Gpa {
        Gpa(self.base.0 + 16 * self.size as u64)
    }

    /// The used ring: flags, index, entries, `avail_event`.
    #[must_use]
    pub const fn used(&self) -> Gpa {
        Gpa(self.base.0 + (18 * self.size as u64 + 6).next_multiple_of(4))
    }

    /// Writes descriptor `index`.
    pub fn set_desc(&self, ram: &GuestRam, index: u16, desc: Desc) {
        let at = Gpa(self.base.0 + 16 * u64::from(index));
        ram.write(at, &desc.to_bytes()).expect("a queue lies in RAM");
    }

    /// Puts descriptor `head` into the available ring and moves the index.
    pub fn offer(&mut self, ram: &GuestRam, head: u16) {
        let slot = u64::from(self.avail_index % self.size);
        let at = Gpa(self.avail().0 + 4 + 2 * slot);
        ram.write(at, &head.to_le_bytes()).expect("a queue lies in RAM");
        self.set_avail_index(ram, self.avail_index.wrapping_add(1));
    }

    /// Sets the available index, whatever was offered.
    pub fn set_avail_index(&mut self, ram: &GuestRam, index: u16) {
        self.avail_index = index;
        store(ram, Gpa(self.avail().0 + 2), index);
    }

    /// Offers a request of these buffers in a chain; returns its head. Descriptors are taken in
    /// turn: as many requests as fit into the table may be out at once.
    pub fn add(&mut self, ram: &GuestRam, buffers: &[Desc]) -> u16 {
        let head = self.next_desc;
        for (n, buffer) in buffers.iter().enumerate() {
            let index = self.next_desc;
            self.next_desc = (index + 1) % self.size;
            let more = if n + 1 < buffers.len() { 1 } else { 0 };
            let flags = buffer.flags | more;
            self.set_desc(ram, index, Desc { flags, next: self.next_desc, ..*buffer });
        }
        self.offer(ram, head);
        head
    }

    /// Offers a request of these buffers in an indirect table, which is written to `table`.
    pub fn add_indirect(&mut self, ram: &GuestRam, table: Gpa, buffers: &[Desc]) -> u16 {
        let mut next = 0;
        for (index, buffer) in (0u64..).zip(buffers) {
            next += 1;
            let more = if usize::from(next) < buffers.len() { 1 } else { 0 };
            let desc = Desc { flags: buffer.flags | more, next, ..*buffer };
            let at = Gpa(table.0 + 16 * index);
            ram.write(at, &desc.to_bytes()).expect("the table lies in RAM");
        }
        self.add(ram, &[Desc { gpa: table.0, len: 16 * u32::from(next), flags: 4, next: 0 }])
    }

    /// The next used buffer: its head and how many bytes were written.
    pub fn take_used(&mut self, ram: &GuestRam) -> Option<(u32, u32)> {
        if self.used_ring_index(ram) == self.used_index {
            return None;
        }
        let slot = u64::from(self.used_index % self.size);
        let mut bytes = [0; 8];
        let at = Gpa(self.used().0 + 4 + 8 * slot);
        ram.read(at, &mut bytes).expect("a queue lies in RAM");
        self.used_index = self.used_index.wrapping_add(1);
        let [a, b, c, d, rest @ ..] = bytes;
        Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(rest)))
    }

    /// The used ring's index.
    #[must_use]
    pub fn used_ring_index(&self, ram: &GuestRam) -> u16 {
        load(ram, Gpa(self.used().0 + 2))
    }

    /// `avail_event`: at which available index the device wants to be told.
    #[must_use]
    pub fn avail_event(&self, ram: &GuestRam) -> u16 {
        load(ram, Gpa(self.used().0 + 4 + 8 * u64::from(self.size)))
    }

    /// Sets `used_event`: at which used index the driver wants an interrupt.
    pub fn set_used_event(&self, ram: &GuestRam, index: u16) {
        store(ram, Gpa(self.avail().0 + 4 + 2 * u64::from(self.size)), index);
    }

    /// Sets the flags of the available ring: 1 = no interrupts.
    pub fn set_flags(&self, ram: &GuestRam, flags: u16) {
        store(ram, self.avail(), flags);
    }

    /// Writes size and places into queue `index` of a device, and makes it ready.
    pub fn install(&self, port: &mut impl Port, index: u32) {
        port.write(0x30, 4, index.into());
        port.write(0x38, 4, self.size.into());
        for (at, gpa) in [(0x80, self.desc()), (0x90, self.avail()), (0xa0, self.used())] {
            port.write(at, 4, gpa.0 & 0xffff_ffff);
            port.write(at + 4, 4, gpa.0 >> 32);
        }
        port.write(0x44, 4, 1);
    }
}

fn place(ram: &GuestRam, gpa: Gpa) -> abide_memory::RamOffset {
    ram.offset_of(gpa, 2).expect("a queue lies in RAM")
}

fn store(ram: &GuestRam, gpa: Gpa, value: u16) {
    ram.store::<u16>(place(ram, gpa), value.to_le(), Order::SeqCst);
}

fn load(ram: &GuestRam, gpa: Gpa) -> u16 {
    u16::from_le(ram.load::<u16>(place(ram, gpa), Order::SeqCst))
}

/// All features that a device offers.
pub fn offered(port: &mut impl Port) -> u64 {
    port.write(0x14, 4, 0);
    let low = port.read(0x10, 4);
    port.write(0x14, 4, 1);
    low | port.read(0x10, 4) << 32
}

/// Sets a device up from reset as `[VIRTIO 3.1.1]` says, with these features and queues; returns
/// the status at the end: 0xf where all went well.
pub fn bring_up(port: &mut impl Port, features: u64, queues: &[DriverQueue]) -> u64 {
    for status in [0, 1, 3] {
        port.write(0x70, 4, status);
    }
    for (word, value) in [(0, features & 0xffff_ffff), (1, features >> 32)] {
        port.write(0x24, 4, word);
        port.write(0x20, 4, value);
    }
    port.write(0x70, 4, 0xb);
    for (queue, index) in queues.iter().zip(0..) {
        queue.install(port, index);
    }
    port.write(0x70, 4, 0xf);
    port.read(0x70, 4)
}
