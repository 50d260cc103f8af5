//! One request of a driver: a chain of descriptors, walked and checked.

use crate::QueueError;
use crate::spec::ring::{DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_LEN};
use abide_memory::GuestRam;
use abide_reg::Gpa;

/// The most that all buffers of a request hold together, in bytes `[VIRTIO 2.7.5]`.
const CHAIN_LEN_MAX: u64 = 1 << 32;

/// A piece of guest RAM, all of it inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first byte.
    pub gpa: Gpa,
    /// Its length, in bytes; not 0.
    pub len: u32,
}

/// A request: what the device may read, then what it may write. Every piece lies in RAM. How the
/// driver cut it into pieces means nothing `[VIRTIO 2.7.4]`.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    head: u16,
    readable: Vec<Segment>,
    writable: Vec<Segment>,
    len: u64,
}

struct Descriptor {
    gpa: Gpa,
    len: u32,
    flags: u16,
    next: u16,
}

impl Descriptor {
    /// Copied out once: a driver that changes it meanwhile changes nothing.
    fn read(ram: &GuestRam, gpa: Gpa) -> Option<Self> {
        let mut bytes = [0; DESC_LEN as usize];
        ram.read(gpa, &mut bytes).ok()?;
        let [a, b, c, d, e, f, g, h, l0, l1, l2, l3, f0, f1, n0, n1] = bytes;
        Some(Self {
            gpa: Gpa(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            flags: u16::from_le_bytes([f0, f1]),
            next: u16::from_le_bytes([n0, n1]),
        })
    }
}

/// A table of descriptors.
#[derive(Clone, Copy)]
struct Table {
    gpa: Gpa,
    len: u32,
}

impl Table {
    fn get(self, ram: &GuestRam, index: u32) -> Result<Descriptor, QueueError> {
        let beyond = QueueError::Descriptor { found: index, len: self.len };
        if index >= self.len {
            return Err(beyond);
        }
        let gpa = self.gpa.checked_add(u64::from(index) * u64::from(DESC_LEN)).ok_or(beyond)?;
        Descriptor::read(ram, gpa).ok_or(beyond)
    }

    /// The table that an indirect descriptor points at `[VIRTIO 2.7.5.3]`.
    fn indirect(ram: &GuestRam, at: &Descriptor, allowed: bool) -> Result<Self, QueueError> {
        let refuse = |reason| Err(QueueError::Indirect { len: at.len, reason });
        if !allowed {
            return refuse("not agreed on, or inside another");
        }
        if at.flags & DESC_F_NEXT != 0 {
            return refuse("has a successor");
        }
        if at.len == 0 || !at.len.is_multiple_of(DESC_LEN) {
            return refuse("is no whole number of descriptors");
        }
        if ram.offset_of(at.gpa, at.len.into()).is_none() {
            return Err(QueueError::Buffer { gpa: at.gpa, len: at.len });
        }
        Ok(Self { gpa: at.gpa, len: at.len / DESC_LEN })
    }
}

impl Chain {
    /// Walks the chain that begins at descriptor `head` of the queue's table of `size` entries
    /// `[VIRTIO 2.7.5]`. It has at most `size` descriptors, in all tables together.
    pub(crate) fn walk(
        ram: &GuestRam,
        table: Gpa,
        size: u16,
        head: u16,
        indirect_agreed: bool,
    ) -> Result<Self, QueueError> {
        let mut chain = Self { head, readable: Vec::new(), writable: Vec::new(), len: 0 };
        let mut table = Table { gpa: table, len: size.into() };
        let mut indirect_allowed = indirect_agreed;
        let (mut index, mut left) = (u32::from(head), size);
        loop {
            let descriptor = table.get(ram, index)?;
            if descriptor.flags & DESC_F_INDIRECT != 0 {
                // At most once: so this loop ends.
                table = Table::indirect(ram, &descriptor, indirect_allowed)?;
                (indirect_allowed, index) = (false, 0);
                continue;
            }
            left = left.checked_sub(1).ok_or(QueueError::Endless { allowed: size })?;
            chain.add(ram, &descriptor)?;
            if descriptor.flags & DESC_F_NEXT == 0 {
                return Ok(chain);
            }
            index = descriptor.next.into();
        }
    }

    fn add(&mut self, ram: &GuestRam, descriptor: &Descriptor) -> Result<(), QueueError> {
        let Descriptor { gpa, len, flags, next: _ } = *descriptor;
        let is_writable = flags & DESC_F_WRITE != 0;
        if !is_writable && !self.writable.is_empty() {
            return Err(QueueError::Order);
        }
        if len == 0 {
            return Ok(());
        }
        // Where the sum exceeds 32 bits the driver broke its own rule [VIRTIO 2.7.5].
        let sum = self.len + u64::from(len);
        if ram.offset_of(gpa, len.into()).is_none() || sum > CHAIN_LEN_MAX {
            return Err(QueueError::Buffer { gpa, len });
        }
        self.len = sum;
        let list = if is_writable { &mut self.writable } else { &mut self.readable };
        list.push(Segment { gpa, len });
        Ok(())
    }

    /// The number by which the driver knows it.
    #[must_use]
    pub const fn head(&self) -> u16 {
        self.head
    }

    /// What the device may read, in order.
    #[must_use]
    pub fn readable(&self) -> &[Segment] {
        &self.readable
    }

    /// What the device may write, in order.
    #[must_use]
    pub fn writable(&self) -> &[Segment] {
        &self.writable
    }

    /// How long all its buffers are together, in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no buffer at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How much can be read, in bytes.
    #[must_use]
    pub fn readable_len(&self) -> u64 {
        total(&self.readable)
    }

    /// How much can be written, in bytes.
    #[must_use]
    pub fn writable_len(&self) -> u64 {
        total(&self.writable)
    }

    /// Copies from `at` bytes into the readable part; returns how many bytes were there.
    pub fn read(&self, ram: &GuestRam, at: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        for piece in pieces(&self.readable, at, into.len()) {
            let end = done + piece.len as usize;
            // Checked when the chain was walked, and RAM never shrinks.
            if ram.read(piece.gpa, &mut into[done..end]).is_err() {
                break;
            }
            done = end;
        }
        done
    }

    /// Copies to `at` bytes into the writable part; returns how many bytes found room.
    pub fn write(&self, ram: &GuestRam, at: u64, from: &[u8]) -> usize {
        let mut done = 0;
        for piece in pieces(&self.writable, at, from.len()) {
            let end = done + piece.len as usize;
            if ram.write(piece.gpa, &from[done..end]).is_err() {
                break;
            }
            done = end;
        }
        done
    }
}

fn total(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| u64::from(segment.len)).sum()
}

/// The parts of `segments` that `len` bytes from `at` fall into.
fn pieces(segments: &[Segment], at: u64, len: usize) -> impl Iterator<Item = Segment> {
    let (mut skip, mut left) = (at, len as u64);
    segments.iter().filter_map(move |segment| {
        let skipped = skip.min(segment.len.into());
        skip -= skipped;
        let len = (u64::from(segment.len) - skipped).min(left);
        left -= len;
        let gpa = Gpa(segment.gpa.0 + skipped);
        u32::try_from(len).ok().filter(|&len| len != 0).map(|len| Segment { gpa, len })
    })
}
