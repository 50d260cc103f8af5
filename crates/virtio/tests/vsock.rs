//! Sockets, as a driver meets them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use abide_memory::GuestRam;
use abide_testkit::virtio::{Desc, DriverQueue, Port, VERSION_1, bring_up};
use abide_virtio::{Mmio, Sockets, Vsock};
use common::{Wired, at, ram};
use std::collections::VecDeque;

const NOTIFY: u64 = 0x50;
const STATUS: u64 = 0x70;
const CONFIG: u64 = 0x100;
const RX: u64 = 0;
const TX: u64 = 1;
const EVENT: u64 = 2;
const RW: u8 = 5;

/// A pipe whose other end a test holds.
#[derive(Default)]
struct Bench {
    sent: Vec<Vec<u8>>,
    room: Option<usize>,
    waiting: VecDeque<Vec<u8>>,
    resets: u32,
}

impl Sockets for Bench {
    fn send(&mut self, packet: &[u8]) -> bool {
        let has_room = self.room.is_none_or(|room| self.sent.len() < room);
        if has_room {
            self.sent.push(packet.to_vec());
        }
        has_room
    }

    fn receive(&mut self, room: usize) -> Option<Vec<u8>> {
        let mut packet = self.waiting.pop_front()?;
        if packet.len() > room {
            self.waiting.push_front(packet.split_off(room));
        }
        // Whoever takes packets makes room for others.
        self.room = self.room.map(|room| room + 1);
        Some(packet)
    }

    fn reset(&mut self) {
        self.waiting.clear();
        self.resets += 1;
    }

    fn has_packet(&self) -> bool {
        !self.waiting.is_empty()
    }
}

struct Board {
    ram: GuestRam,
    mmio: Mmio<Vsock>,
    bench: Bench,
    queues: Vec<DriverQueue>,
}

impl Board {
    fn live() -> Self {
        let queues: Vec<_> = (0..3).map(|n| DriverQueue::new(at(n * 0x1000), 16)).collect();
        let (mmio, bench) = (Mmio::new(Vsock::new(0xabcd)), Bench::default());
        let mut board = Self { ram: ram(), mmio, bench, queues };
        let queues = board.queues.clone();
        assert_eq!(bring_up(&mut board.port(), VERSION_1 | 1, &queues), 0xf);
        board
    }

    fn port(&mut self) -> Wired<'_, Vsock> {
        Wired { mmio: &mut self.mmio, ram: &self.ram, host: &mut self.bench }
    }

    fn poll(&mut self) {
        self.mmio.poll(&self.ram, &mut self.bench);
    }

    fn offer(&mut self, queue: u64, buffers: &[Desc]) {
        self.queues[usize::try_from(queue).unwrap()].add(&self.ram, buffers);
        self.port().write(NOTIFY, 4, queue);
    }

    fn save_and_restore(&mut self) {
        let (again, _) = Mmio::restore(self.mmio.save(), &self.ram).unwrap();
        assert_eq!(again, self.mmio);
        self.mmio = again;
    }

    fn used_len(&mut self, queue: u64) -> Option<u32> {
        let queue = &mut self.queues[usize::try_from(queue).unwrap()];
        queue.take_used(&self.ram).map(|(_, len)| len)
    }

    fn bytes(&self, offset: u64, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.ram.read(at(offset), &mut bytes).unwrap();
        bytes
    }
}

/// A packet that says that `said` bytes follow, as laid out in `[VIRTIO 5.10.6]`.
fn packet(op: u8, said: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 44];
    bytes[24..28].copy_from_slice(&said.to_le_bytes());
    bytes[28] = 1;
    bytes[30] = op;
    bytes.extend(payload);
    bytes
}

#[test]
fn driver_reads_its_number_and_cannot_change_it() {
    let mut board = Board::live();
    board.port().write(CONFIG, 4, 7);
    assert_eq!(board.port().read(CONFIG, 8), 0xabcd);
    assert_eq!(board.port().read(0x08, 4), 19);
}

#[test]
fn packets_of_the_guest_arrive_in_order_and_wait_for_room() {
    let mut board = Board::live();
    board.bench.room = Some(1);
    let packets = [packet(RW, 3, b"abc"), packet(1, 0, b""), packet(RW, 2, b"de")];
    for (n, packet) in (0..).zip(&packets) {
        let place = 0x4000 + n * 0x100;
        board.ram.write(at(place), packet).unwrap();
        let rest = u32::try_from(packet.len()).unwrap() - 20;
        let halves = [Desc::readable(at(place), 20), Desc::readable(at(place + 20), rest)];
        board.offer(TX, &halves);
    }
    assert_eq!(board.bench.sent, packets[..1]);
    board.bench.room = None;
    board.poll();
    assert_eq!(board.bench.sent, packets);
}

#[test]
fn packets_that_lie_about_their_length_carry_nothing() {
    let mut board = Board::live();
    for said in [6, 0x1_0001, u32::MAX] {
        let packet = packet(RW, said, b"abcde");
        board.ram.write(at(0x4000), &packet).unwrap();
        board.offer(TX, &[Desc::readable(at(0x4000), 49)]);
        assert_eq!(board.used_len(TX), Some(0));
        assert_eq!(board.bench.sent.pop().unwrap(), packet[..44]);
    }
    for len in [0, 1, 43] {
        board.offer(TX, &[Desc::readable(at(0x4000), len)]);
        assert_eq!((board.used_len(TX), board.bench.sent.len()), (Some(0), 0));
    }
    assert_eq!(board.port().read(STATUS, 4), 0xf);
}

#[test]
fn packets_for_the_guest_are_cut_to_its_buffers() {
    let mut board = Board::live();
    let packet = packet(RW, 100, &(0..100).collect::<Vec<_>>());
    board.bench.waiting.push_back(packet.clone());
    let mut got: Vec<u8> = Vec::new();
    for (room, taken) in [(44 + 30, 74), (10, 0), (44, 0), (44 + 1, 45), (200, 25)] {
        let first = room.min(20);
        let (begin, end) = (at(0x4000), at(0x4000 + u64::from(first)));
        board.offer(RX, &[Desc::writable(begin, first), Desc::writable(end, room - first)]);
        let len = board.used_len(RX).unwrap();
        assert_eq!(len, taken, "{room} bytes of room");
        got.extend(board.bytes(0x4000, len));
    }
    assert_eq!(got, packet);
}

#[test]
fn what_leaves_for_the_guest_lets_the_next_of_its_packets_out() {
    let mut board = Board::live();
    board.bench.room = Some(0);
    let request = packet(1, 0, b"");
    board.ram.write(at(0x4000), &request).unwrap();
    board.offer(TX, &[Desc::readable(at(0x4000), 44)]);
    assert_eq!((board.used_len(TX), board.bench.sent.len()), (None, 0));
    board.bench.waiting.push_back(packet(3, 0, b""));
    board.offer(RX, &[Desc::writable(at(0x5000), 100)]);
    assert_eq!((board.used_len(RX), board.used_len(TX)), (Some(44), Some(0)));
    assert_eq!(board.bench.sent, [request]);
}

#[test]
fn driver_that_begins_anew_ends_every_connection() {
    let mut board = Board::live();
    let resets = board.bench.resets;
    board.bench.waiting.push_back(packet(3, 0, b""));
    board.mmio.reconfigure(Vsock::reset_transport);
    board.port().write(STATUS, 4, 0);
    assert_eq!((board.bench.resets, board.bench.waiting.len()), (resets + 1, 0));
    let queues: Vec<_> = (0..3).map(|n| DriverQueue::new(at(n * 0x1000), 16)).collect();
    board.queues.clone_from(&queues);
    assert_eq!(bring_up(&mut board.port(), VERSION_1 | 1, &queues), 0xf);
    board.offer(EVENT, &[Desc::writable(at(0x4000), 8)]);
    assert_eq!(board.used_len(EVENT), None, "it has nothing to lose");
}

#[test]
fn lost_transport_is_told_once_and_survives_a_save_untold() {
    let mut board = Board::live();
    board.mmio.reconfigure(Vsock::reset_transport);
    board.poll();
    board.save_and_restore();
    board.ram.write(at(0x4000), &[0xff; 8]).unwrap();
    for (len, told) in [(3, 0), (8, 4)] {
        board.offer(EVENT, &[Desc::writable(at(0x4000), len)]);
        assert_eq!(board.used_len(EVENT), Some(told));
    }
    assert_eq!(board.bytes(0x4000, 8), [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    board.offer(EVENT, &[Desc::writable(at(0x4000), 8)]);
    assert_eq!(board.used_len(EVENT), None);
}

/// A board whose driver has two buffers for events, of which one told it of a reset.
fn told() -> Board {
    let mut board = Board::live();
    board.mmio.reconfigure(Vsock::reset_transport);
    board.queues[2].add(&board.ram, &[Desc::writable(at(0x4000), 8)]);
    board.offer(EVENT, &[Desc::writable(at(0x4010), 8)]);
    assert_eq!((board.used_len(EVENT), board.used_len(EVENT)), (Some(4), None));
    board.ram.write(at(0x5000), &packet(6, 0, b"")).unwrap();
    board.offer(TX, &[Desc::readable(at(0x5000), 44)]);
    board.bench.waiting.push_back(packet(1, 0, b""));
    board.offer(RX, &[Desc::writable(at(0x6000), 100)]);
    board
}

#[test]
fn packets_are_held_back_until_the_driver_has_seen_that_all_is_lost() {
    let mut board = told();
    board.poll();
    assert_eq!((board.used_len(TX), board.used_len(RX)), (None, None));
    board.save_and_restore();
    board.poll();
    assert_eq!((board.used_len(TX), board.used_len(RX)), (None, None));
    // It offers the buffer of the event again.
    board.offer(EVENT, &[Desc::writable(at(0x4000), 8)]);
    assert_eq!((board.used_len(TX), board.used_len(RX)), (Some(0), Some(44)));
}

#[test]
fn driver_that_never_offers_an_events_buffer_again_does_not_wait_for_ever() {
    let mut board = told();
    let polls = (0..).take_while(|_| {
        board.poll();
        board.used_len(TX).is_none()
    });
    assert!((200..300).contains(&polls.count()));
    assert_eq!(board.used_len(RX), Some(44));
}
