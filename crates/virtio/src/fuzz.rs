//! The fuzz target's body, a library function so that ordinary tests replay its corpus.

use crate::block::{IoFailed, Storage};
use crate::rtc::{CrossReading, RtcClock};
use crate::spec::{interrupt, offset, status};
use crate::vsock;
use crate::{
    Block, Cable, Clocks, Console, Device, Mmio, Net, RandomBits, Rng, Rtc, Sockets, Terminal,
    Vsock,
};
use abide_memory::{GuestRam, Order};
use abide_reg::Gpa;

const RAM_BASE: Gpa = Gpa(0x4000_0000);
const RAM_LEN: u64 = 128 << 10;
/// Size of each queue, and how far they lie apart.
const QUEUE_SIZE: u16 = 8;
const QUEUE_STRIDE: u64 = 0x200;
/// Where rings lie in a queue's room.
const AVAIL: u64 = 0x80;
const USED: u64 = 0x100;
/// Sectors of the disk.
const SECTORS: usize = 32;

/// A host of every device: a disk, a terminal, a cable whose ends are joined, and numbers.
struct Host {
    disk: Vec<u8>,
    typed: Vec<u8>,
    frames: Vec<Vec<u8>>,
    packets: Vec<Vec<u8>>,
    number: u64,
}

impl Storage for Host {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), IoFailed> {
        let at = usize::try_from(at).map_err(|_| IoFailed)?;
        // A device that asks for what the disk does not have breaks its promise.
        into.copy_from_slice(&self.disk[at..at + into.len()]);
        Ok(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Result<(), IoFailed> {
        let at = usize::try_from(at).map_err(|_| IoFailed)?;
        self.disk[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoFailed> {
        self.number += 1;
        if self.number & 7 == 0 { Err(IoFailed) } else { Ok(()) }
    }

    fn zero(&mut self, at: u64, len: u64, _may_free: bool) -> Result<(), IoFailed> {
        let at = usize::try_from(at).map_err(|_| IoFailed)?;
        let len = usize::try_from(len).map_err(|_| IoFailed)?;
        self.disk[at..at + len].fill(0);
        Ok(())
    }
}

impl RandomBits for Host {
    fn next_u64(&mut self) -> Option<u64> {
        self.number += 1;
        (self.number & 63 != 0).then_some(self.number)
    }
}

impl Clocks for Host {
    fn read(&mut self, clock: RtcClock) -> Option<CrossReading> {
        self.number += 1;
        let reading = CrossReading { clock_ns: self.number, counter_value: self.number };
        (clock != RtcClock::Tai || self.number & 1 == 0).then_some(reading)
    }
}

impl Terminal for Host {
    fn transmit(&mut self, bytes: &[u8]) {
        self.typed.extend(bytes.iter().take(1000_usize.saturating_sub(self.typed.len())));
    }

    fn waiting(&mut self) -> &[u8] {
        &self.typed
    }

    fn accepted(&mut self, len: usize) {
        self.typed.drain(..len);
    }
}

impl Cable for Host {
    fn send(&mut self, frame: &[u8]) -> bool {
        let has_room = self.frames.len() < 4;
        if has_room {
            self.frames.push(frame.to_vec());
        }
        has_room
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.frames.pop()
    }

    fn has_frame(&self) -> bool {
        !self.frames.is_empty()
    }

    fn is_up(&self) -> bool {
        self.number & 1 == 0
    }
}

impl Sockets for Host {
    fn send(&mut self, packet: &[u8]) -> bool {
        let allowed = vsock::HEADER_LEN..=vsock::HEADER_LEN + vsock::PAYLOAD_MAX_LEN;
        assert!(allowed.contains(&packet.len()), "{} bytes", packet.len());
        let has_room = self.packets.len() < 4;
        if has_room {
            self.packets.push(packet.to_vec());
        }
        has_room
    }

    fn receive(&mut self, room: usize) -> Option<Vec<u8>> {
        assert!(room > vsock::HEADER_LEN, "{room} bytes of room");
        let mut packet = self.packets.pop()?;
        packet.truncate(room);
        Some(packet)
    }

    fn reset(&mut self) {
        self.packets.clear();
    }

    fn has_packet(&self) -> bool {
        !self.packets.is_empty()
    }
}

/// What one guest does: kind, two small numbers and a large one from 12 bytes each.
fn steps(data: &[u8]) -> impl Iterator<Item = (u8, u8, u16, u64)> {
    let (chunks, _) = data.as_chunks::<12>();
    chunks.iter().map(|&[kind, small, b0, b1, value @ ..]| {
        (kind, small, u16::from_le_bytes([b0, b1]), u64::from_le_bytes(value))
    })
}

/// A driver of one device.
struct Driver<'a, D: Device> {
    mmio: Mmio<D>,
    ram: GuestRam,
    host: &'a mut D::Host,
}

impl<D: Device + PartialEq + std::fmt::Debug> Driver<'_, D> {
    fn write(&mut self, at: u64, value: u64) {
        self.mmio.write(at, 4, value, &self.ram, self.host);
    }

    /// Sets the device up as a good driver does.
    fn bring_up(&mut self, features: u64) {
        for value in [0x1, 0x3] {
            self.write(offset::STATUS, value);
        }
        for (word, bits) in [(0, features & 0xffff_ffff), (1, 1)] {
            self.write(offset::DRIVER_FEATURES_SEL, word);
            self.write(offset::DRIVER_FEATURES, bits);
        }
        self.write(offset::STATUS, 0xb);
        for queue in 0..D::QUEUE_SIZES.len() as u64 {
            let room = RAM_BASE.0 + queue * QUEUE_STRIDE;
            self.write(offset::QUEUE_SEL, queue);
            self.write(offset::QUEUE_SIZE, QUEUE_SIZE.into());
            self.write(offset::QUEUE_DESC, room);
            self.write(offset::QUEUE_DRIVER, room + AVAIL);
            self.write(offset::QUEUE_DEVICE, room + USED);
            self.write(offset::QUEUE_READY, 1);
        }
        self.write(offset::STATUS, 0xf);
    }

    /// Writes a descriptor made of `value` into a queue's table.
    fn describe(&self, queue: u64, index: u16, value: u64) {
        let [a0, a1, l0, l1, flags, next, tall, far] = value.to_le_bytes();
        // Mostly inside RAM, and not too long.
        let gpa = RAM_BASE.0 + u64::from(u16::from_le_bytes([a0, a1])) + (u64::from(far & 3) << 16);
        let len = u32::from(u16::from_le_bytes([l0, l1])) | u32::from(tall >> 6) << 24;
        let mut desc = [0; 16];
        desc[..8].copy_from_slice(&gpa.to_le_bytes());
        desc[8..12].copy_from_slice(&len.to_le_bytes());
        desc[12] = flags & 7;
        desc[14] = next & 15;
        let at = queue * QUEUE_STRIDE + u64::from(index % QUEUE_SIZE) * 16;
        let _ = self.ram.write(Gpa(RAM_BASE.0 + at), &desc);
    }

    /// Offers a head in a queue, and notifies.
    fn offer(&mut self, queue: u64, head: u16, by: u16) {
        let avail = queue * QUEUE_STRIDE + AVAIL;
        let place = |at| abide_memory::RamOffset(avail + at);
        let index = self.ram.load::<u16>(place(2), Order::Relaxed);
        let slot = u64::from(index % QUEUE_SIZE);
        self.ram.store::<u16>(place(4 + 2 * slot), head, Order::Relaxed);
        self.ram.store::<u16>(place(2), index.wrapping_add(by), Order::Relaxed);
        self.write(offset::QUEUE_NOTIFY, queue);
    }

    fn step(&mut self, (kind, small, middle, value): (u8, u8, u16, u64)) {
        let queue = u64::from(small) % D::QUEUE_SIZES.len() as u64;
        match kind % 10 {
            0 => self.write(u64::from(small) * 4, value),
            1 => {
                let (at, size) = (u64::from(middle & 0x3ff), usize::from(small & 15));
                self.mmio.write(at, size, value, &self.ram, self.host);
            }
            2 => {
                let gpa = Gpa(RAM_BASE.0 + u64::from(middle));
                let _ = self.ram.write(gpa, &value.to_le_bytes()[..usize::from(small & 7) + 1]);
            }
            3 | 4 => self.describe(queue, middle, value),
            5 | 6 => self.offer(queue, middle & 7, 1),
            7 => self.offer(queue, middle, u16::from(small >> 4)),
            8 => self.mmio.poll(&self.ram, self.host),
            _ if small & 1 == 0 => self.bring_up(value),
            _ => {
                let _ = self.mmio.read(u64::from(middle), usize::from(small & 15));
            }
        }
    }

    /// What holds at every moment.
    fn check(&self) {
        let read = |at| self.mmio.read(at, 4);
        let (status, interrupts) = (read(offset::STATUS), read(offset::INTERRUPT_STATUS));
        let all = u64::from(interrupt::USED_BUFFER | interrupt::CONFIG_CHANGE);
        assert!(interrupts & !all == 0 && self.mmio.irq_level() == (interrupts != 0));
        let known = u64::from(status::OF_DRIVER | status::DEVICE_NEEDS_RESET);
        assert!(status & !known == 0, "{status:#x}");
        let is_live = status & u64::from(status::DRIVER_OK | status::DEVICE_NEEDS_RESET)
            == u64::from(status::DRIVER_OK);
        assert!(self.mmio.is_live() == is_live && (is_live || !self.mmio.is_unserved()));
    }
}

fn drive<D: Device + PartialEq + std::fmt::Debug>(device: D, host: &mut D::Host, data: &[u8]) {
    let Ok(ram) = GuestRam::new(RAM_BASE, RAM_LEN) else { return };
    let mut driver = Driver { mmio: Mmio::new(device), ram, host };
    driver.bring_up(driver.mmio.device().features() | 3 << 28);
    for step in steps(data) {
        driver.step(step);
        driver.check();
    }
    let restored = Mmio::restore(driver.mmio.save(), &driver.ram).map(|(restored, _)| restored);
    assert_eq!(restored.as_ref(), Ok(&driver.mmio), "its own state");
}

/// Makes a device go through what `data` says; the first byte says which.
///
/// # Panics
/// If it reaches past its disk, breaks a rule of the transport, or does not restore to what it was.
pub fn fuzz_virtio(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else { return };
    let disk = vec![0; SECTORS * 512];
    let mut host =
        Host { disk, typed: vec![b'x'; 20], frames: Vec::new(), packets: Vec::new(), number: 0 };
    // Inputs of the devices before keep their meaning: none of them began with 7, nor with more.
    match which & 15 {
        15 => drive(Rtc::default(), &mut host, data),
        7 => {
            let mut sockets = Vsock::new(3);
            sockets.reset_transport();
            drive(sockets, &mut host, data);
        }
        which => drive_other(which & 7, &mut host, data),
    }
}

/// As [`fuzz_virtio`], for the devices that two bits choose.
fn drive_other(which: u8, host: &mut Host, data: &[u8]) {
    match which & 3 {
        0 => drive(Block::new(SECTORS as u64, which & 4 != 0, [0; 20]), host, data),
        1 => drive(Rng, host, data),
        2 => drive(Console, host, data),
        _ => drive(Net::new([2, 0, 0, 0, 0, 1]), host, data),
    }
}
