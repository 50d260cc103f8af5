//! The saved form of devices, byte by byte: it never changes for a device that was saved once.

mod common;

use abide_reg::codec;
use abide_testkit::golden;
use abide_testkit::virtio::{Desc, DriverQueue, bring_up};
use abide_virtio::Vsock;
use abide_virtio::block::{IoFailed, Storage};
use abide_virtio::rtc::{CrossReading, RtcClock};
use abide_virtio::{
    Block, Cable, Clocks, Console, Device, Mmio, Net, RandomBits, Rng, Rtc, SharedMemory, Sockets,
    Terminal,
};
use common::{Wired, at, ram};

/// A host that has nothing.
struct Nothing;

impl Storage for Nothing {
    fn read(&mut self, _at: u64, _into: &mut [u8]) -> Result<(), IoFailed> {
        Err(IoFailed)
    }

    fn write(&mut self, _at: u64, _from: &[u8]) -> Result<(), IoFailed> {
        Err(IoFailed)
    }

    fn flush(&mut self) -> Result<(), IoFailed> {
        Err(IoFailed)
    }

    fn zero(&mut self, _at: u64, _len: u64, _may_free: bool) -> Result<(), IoFailed> {
        Err(IoFailed)
    }
}

impl RandomBits for Nothing {
    fn next_u64(&mut self) -> Option<u64> {
        None
    }
}

impl Terminal for Nothing {
    fn transmit(&mut self, _bytes: &[u8]) {}

    fn waiting(&mut self) -> &[u8] {
        &[]
    }

    fn accepted(&mut self, _len: usize) {}
}

impl Cable for Nothing {
    fn send(&mut self, _frame: &[u8]) -> bool {
        false
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn has_frame(&self) -> bool {
        false
    }

    fn is_up(&self) -> bool {
        true
    }
}

impl Clocks for Nothing {
    fn read(&mut self, _clock: RtcClock) -> Option<CrossReading> {
        None
    }
}

impl Sockets for Nothing {
    fn send(&mut self, _packet: &[u8]) -> bool {
        false
    }

    fn receive(&mut self, _room: usize) -> Option<Vec<u8>> {
        None
    }

    fn reset(&mut self) {}

    fn has_packet(&self) -> bool {
        false
    }
}

/// The device after a driver set all its queues up and offered three buffers in the last.
fn lived<D: Device>(device: D, host: &mut D::Host) -> Vec<u8> {
    let ram = ram();
    let mut mmio = Mmio::new(device);
    let count = D::QUEUE_SIZES.len() as u64;
    let mut queues: Vec<_> = (0..count).map(|n| DriverQueue::new(at(0x1000 * n), 8)).collect();
    let mut port = Wired { mmio: &mut mmio, ram: &ram, host };
    assert_eq!(bring_up(&mut port, 3 << 28 | 1 << 32, &queues), 0xf);
    let last = queues.last_mut().expect("every device has a queue");
    for _ in 0..3 {
        last.add(&ram, &[Desc::readable(at(0x8000), 16), Desc::writable(at(0x9000), 1)]);
    }
    mmio.write(0x50, 4, count - 1, &ram, host);
    codec::encode(&mmio.save()).expect("registers that can be written")
}

#[test]
fn saved_devices_are_the_same_bytes_for_ever() {
    let block = Block::new(2048, false, *b"abide-disk0\0\0\0\0\0\0\0\0\0");
    golden::assert_golden("tests/golden/virtio-blk.bin", &lived(block, &mut Nothing));
    golden::assert_golden("tests/golden/virtio-rng.bin", &lived(Rng, &mut Nothing));
    let rtc = Rtc::new(Some(SharedMemory { base: at(0x1000_0000), len: 0x1_0000 }));
    golden::assert_golden("tests/golden/virtio-rtc.bin", &lived(rtc, &mut Nothing));
    golden::assert_golden("tests/golden/virtio-console.bin", &lived(Console, &mut Nothing));
    let net = Net::new([0x52, 0x54, 0, 0xab, 0x1d, 0xe0]);
    golden::assert_golden("tests/golden/virtio-net.bin", &lived(net, &mut Nothing));
    golden::assert_golden("tests/golden/virtio-vsock.bin", &lived(Vsock::new(3), &mut Nothing));
}
