//! A device with RAM, and a driver's way to it.

use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_testkit::virtio::Port;
use abide_virtio::{Device, Mmio};

/// Where the tests' RAM begins.
pub const RAM_BASE: u64 = 0x4000_0000;
/// How long it is, in bytes.
pub const RAM_LEN: u64 = 1 << 20;

/// RAM of zeros.
pub fn ram() -> GuestRam {
    GuestRam::new(Gpa(RAM_BASE), RAM_LEN).expect("1 MiB of RAM")
}

/// An address so many bytes into RAM.
pub const fn at(offset: u64) -> Gpa {
    Gpa(RAM_BASE + offset)
}

/// A device, its RAM and its host.
pub struct Wired<'a, D: Device> {
    pub mmio: &'a mut Mmio<D>,
    pub ram: &'a GuestRam,
    pub host: &'a mut D::Host,
}

impl<D: Device> Port for Wired<'_, D> {
    fn read(&mut self, at: u64, size: usize) -> u64 {
        self.mmio.read(at, size)
    }

    fn write(&mut self, at: u64, size: usize, value: u64) {
        self.mmio.write(at, size, value, self.ram, self.host);
    }
}
