//! Clocks, as a driver meets them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_testkit::virtio::{Desc, DriverQueue, Port, VERSION_1, bring_up};
use abide_virtio::rtc::{CrossReading, RtcClock};
use abide_virtio::{Clocks, Mmio, Rtc, SharedMemory};
use common::{Wired, at, ram};

const UTC_NS: u64 = 1_800_000_000_123_456_789;
const TAI_NS: u64 = UTC_NS + 37_000_000_000;

/// A host that may not know TAI.
struct Host {
    knows_tai: bool,
    counter_value: u64,
}

impl Clocks for Host {
    fn read(&mut self, clock: RtcClock) -> Option<CrossReading> {
        self.counter_value += 1;
        let counter_value = self.counter_value;
        match clock {
            RtcClock::UtcMaybeSmeared => Some(CrossReading { clock_ns: UTC_NS, counter_value }),
            RtcClock::Tai => {
                self.knows_tai.then_some(CrossReading { clock_ns: TAI_NS, counter_value })
            }
        }
    }
}

struct Board {
    ram: GuestRam,
    mmio: Mmio<Rtc>,
    host: Host,
    queue: DriverQueue,
}

impl Board {
    fn live() -> Self {
        let page = SharedMemory { base: Gpa(0x1_090b_0000), len: 0x1_0000 };
        let host = Host { knows_tai: true, counter_value: 0 };
        let (mmio, queue) = (Mmio::new(Rtc::new(Some(page))), DriverQueue::new(at(0), 16));
        let mut board = Self { ram: ram(), mmio, host, queue };
        let queue = board.queue.clone();
        assert_eq!(bring_up(&mut board.port(), VERSION_1, &[queue]), 0xf);
        board
    }

    fn port(&mut self) -> Wired<'_, Rtc> {
        Wired { mmio: &mut self.mmio, ram: &self.ram, host: &mut self.host }
    }

    /// Sends a request with room for so many bytes; what the device wrote.
    fn ask(&mut self, request: &[u8], room: u32) -> Vec<u8> {
        self.ram.write(at(0x8000), request).unwrap();
        self.ram.write(at(0x9000), &[0xee; 64]).unwrap();
        let len = u32::try_from(request.len()).unwrap();
        let buffers = [Desc::readable(at(0x8000), len), Desc::writable(at(0x9000), room)];
        let buffers = if room == 0 { &buffers[..1] } else { &buffers[..] };
        self.queue.add(&self.ram, buffers);
        self.port().write(0x50, 4, 0);
        let (_, written) = self.queue.take_used(&self.ram).unwrap();
        let mut bytes = vec![0; 64];
        self.ram.read(at(0x9000), &mut bytes).unwrap();
        let written = usize::try_from(written).unwrap();
        assert!(bytes[written..].iter().all(|&byte| byte == 0xee), "more than it says");
        bytes.truncate(written);
        bytes
    }
}

/// A request: its type, a clock and a counter, typed from the header that Linux ships.
fn request(message: u16, clock: u16, counter: u8) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes[..2].copy_from_slice(&message.to_le_bytes());
    bytes[8..10].copy_from_slice(&clock.to_le_bytes());
    bytes[10] = counter;
    bytes
}

fn ok(content: &[u8]) -> Vec<u8> {
    [&[0; 8], content].concat()
}

#[test]
fn a_driver_learns_what_clocks_there_are() {
    let mut board = Board::live();
    assert_eq!(board.ask(&[0, 0x10, 0, 0, 0, 0, 0, 0], 16), ok(&[2, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(board.ask(&request(0x1001, 0, 0), 16), ok(&[4, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(board.ask(&request(0x1001, 1, 0), 16), ok(&[1, 0, 0, 0, 0, 0, 0, 0]));
    for clock in 0..2 {
        assert_eq!(board.ask(&request(0x1002, clock, 0), 16), ok(&[1, 0, 0, 0, 0, 0, 0, 0]));
        // The time-stamp counter of another architecture, and none.
        assert_eq!(board.ask(&request(0x1002, clock, 1), 16), ok(&[0; 8]));
        assert_eq!(board.ask(&request(0x1002, clock, 0xff), 16), ok(&[0; 8]));
    }
}

#[test]
fn clocks_are_read_alone_and_with_the_counter() {
    let mut board = Board::live();
    assert_eq!(board.ask(&request(1, 0, 0), 16), ok(&UTC_NS.to_le_bytes()));
    assert_eq!(board.ask(&request(1, 1, 0), 16), ok(&TAI_NS.to_le_bytes()));
    let both = [TAI_NS.to_le_bytes(), 3u64.to_le_bytes()].concat();
    assert_eq!(board.ask(&request(2, 1, 0), 24), ok(&both));
}

#[test]
fn what_is_not_known_is_not_told() {
    let mut board = Board::live();
    board.host.knows_tai = false;
    assert_eq!(board.ask(&request(1, 1, 0), 16), [5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(board.ask(&request(2, 1, 0), 24), [5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(board.ask(&request(1, 0, 0), 16), ok(&UTC_NS.to_le_bytes()));
}

#[test]
fn each_bad_request_has_its_answer() {
    let mut board = Board::live();
    let status = |status| vec![status, 0, 0, 0, 0, 0, 0, 0];
    for message in [1, 2, 0x1001, 0x1002] {
        assert_eq!(board.ask(&request(message, 2, 0), 24), status(3), "no such clock");
        assert_eq!(board.ask(&request(message, 0, 0)[..15], 24), status(4), "short");
    }
    assert_eq!(board.ask(&request(2, 0, 1), 24), status(2), "no such counter");
    for message in [0, 3, 0x1000 + 3, 0x1004, 0x1005, 0x2000, 0xffff] {
        assert_eq!(board.ask(&request(message, 0, 0), 24), status(2), "no such request");
    }
    assert_eq!(board.ask(&[0x00, 0x10], 16), status(4), "a short head");
}

#[test]
fn an_answer_that_does_not_fit_is_its_status_alone() {
    let mut board = Board::live();
    assert_eq!(board.ask(&request(2, 0, 0), 23), [4, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(board.ask(&request(1, 0, 0), 8), [4, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(board.ask(&request(1, 0, 0), 1), [4]);
    assert_eq!(board.ask(&request(1, 0, 0), 0), []);
}

#[test]
fn a_driver_finds_the_page_by_region_zero() {
    let mut board = Board::live();
    let mut region = |id| {
        let mut port = board.port();
        port.write(0xac, 4, id);
        [0xb0, 0xb4, 0xb8, 0xbc].map(|at| port.read(at, 4))
    };
    assert_eq!(region(0), [0x1_0000, 0, 0x090b_0000, 1]);
    assert_eq!(region(1), [0xffff_ffff; 4]);
    // Which one is selected survives a save, and ends with a reset.
    let (mut again, _) = Mmio::<Rtc>::restore(board.mmio.save(), &board.ram).unwrap();
    assert_eq!(again.read(0xb0, 4), 0xffff_ffff);
    again.write(0x70, 4, 0, &board.ram, &mut board.host);
    assert_eq!(again.read(0xb0, 4), 0x1_0000);
}
