//! The transport and its queues, as a driver meets them.

mod common;

use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_testkit::virtio::{
    Desc, DriverQueue, EVENT_IDX, INDIRECT_DESC, Port, VERSION_1, bring_up, offered,
};
use abide_virtio::{Mmio, RandomBits, Rng};
use common::{RAM_LEN, Wired, at, ram};

const STATUS: u64 = 0x70;
const NOTIFY: u64 = 0x50;
const INTERRUPT_STATUS: u64 = 0x60;
const INTERRUPT_ACK: u64 = 0x64;
const READY: u64 = 0x44;
const NEEDS_RESET: u64 = 0x40;

/// Counts instead of being random.
#[derive(Clone, Debug, Default)]
struct Counting(u64);

impl RandomBits for Counting {
    fn next_u64(&mut self) -> Option<u64> {
        self.0 += 1;
        Some(self.0)
    }
}

/// An entropy device with one queue of 8, set up with these features.
struct Board {
    ram: GuestRam,
    mmio: Mmio<Rng>,
    host: Counting,
    queue: DriverQueue,
}

impl Board {
    fn new() -> Self {
        let queue = DriverQueue::new(at(0), 8);
        Self { ram: ram(), mmio: Mmio::new(Rng), host: Counting(0), queue }
    }

    fn live(features: u64) -> Self {
        let mut board = Self::new();
        let queue = board.queue.clone();
        assert_eq!(bring_up(&mut board.port(), features, &[queue]), 0xf);
        board
    }

    fn port(&mut self) -> Wired<'_, Rng> {
        Wired { mmio: &mut self.mmio, ram: &self.ram, host: &mut self.host }
    }

    fn read(&mut self, at: u64) -> u64 {
        self.port().read(at, 4)
    }

    fn write(&mut self, at: u64, value: u64) {
        self.port().write(at, 4, value);
    }

    fn needs_reset(&mut self) -> bool {
        self.read(STATUS) & NEEDS_RESET != 0
    }
}

#[test]
fn identity_is_that_of_version_2() {
    let mut board = Board::new();
    assert_eq!(board.read(0x00), 0x7472_6976);
    assert_eq!(board.read(0x04), 2);
    assert_eq!(board.read(0x08), 4);
    assert_eq!(offered(&mut board.port()), VERSION_1 | EVENT_IDX | INDIRECT_DESC);
    board.write(0x30, 0);
    assert_eq!(board.read(0x34), 8);
    board.write(0x30, 1);
    assert_eq!(board.read(0x34), 0, "there is no queue 1");
    for shm in [0xb0, 0xb4, 0xb8, 0xbc] {
        assert_eq!(board.read(shm), 0xffff_ffff);
    }
}

#[test]
fn registers_are_reached_by_aligned_words_only() {
    let mut board = Board::new();
    for (offset, size) in [(0, 1), (0, 2), (0, 8), (1, 4), (2, 4), (0, 0), (0, 3)] {
        assert_eq!(board.port().read(offset, size), 0, "{offset} {size}");
    }
    board.port().write(STATUS, 1, 1);
    assert_eq!(board.read(STATUS), 0);
}

#[test]
fn features_that_were_not_offered_are_not_agreed_on() {
    for (features, expected) in [
        (VERSION_1, 0xf),
        (VERSION_1 | EVENT_IDX, 0xf),
        (VERSION_1 | 1, 0x3),
        (VERSION_1 | 1 << 34, 0x3),
        (EVENT_IDX, 0x3),
        (0, 0x3),
    ] {
        let mut board = Board::new();
        assert_eq!(bring_up(&mut board.port(), features, &[]), expected, "{features:#x}");
    }
}

#[test]
fn agreed_features_and_ready_queues_no_longer_change() {
    let mut board = Board::live(VERSION_1);
    board.write(0x24, 0);
    board.write(0x20, 1 << 29);
    board.write(0x30, 0);
    board.write(0x38, 4);
    board.write(0x80, 0x1234_5670);
    board.queue.set_used_event(&board.ram, 100);
    board.queue.add(&board.ram, &[Desc::writable(at(0x1000), 8)]);
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.take_used(&board.ram), Some((0, 8)));
    assert_eq!(board.read(INTERRUPT_STATUS), 1, "EVENT_IDX is not agreed on");
}

#[test]
fn a_request_is_done_when_the_notification_returns() {
    let mut board = Board::live(VERSION_1);
    let parts = [Desc::writable(at(0x1000), 3), Desc::writable(at(0x2000), 9)];
    board.queue.add(&board.ram, &parts);
    assert!(!board.mmio.irq_level());
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.take_used(&board.ram), Some((0, 12)));
    assert!(board.mmio.irq_level());
    let (mut first, mut second) = ([0; 3], [0; 9]);
    board.ram.read(at(0x1000), &mut first).unwrap();
    board.ram.read(at(0x2000), &mut second).unwrap();
    assert_eq!((first, second), ([1, 0, 0], [0, 0, 0, 0, 0, 2, 0, 0, 0]));
    board.write(INTERRUPT_ACK, 1);
    assert!(!board.mmio.irq_level());
}

#[test]
fn written_pages_are_in_the_dirty_log() {
    let mut board = Board::live(VERSION_1);
    board.queue.add(&board.ram, &[Desc::writable(at(0x5ffe), 4)]);
    board.ram.dirty().start();
    board.write(NOTIFY, 0);
    let pages: Vec<u64> = board.ram.dirty().harvest().iter().collect();
    assert_eq!(pages, [0, 5, 6], "the used ring and both pages of the buffer");
}

#[test]
fn indirect_tables_may_follow_plain_descriptors() {
    let mut board = Board::live(VERSION_1 | INDIRECT_DESC);
    let table = at(0x8004);
    let parts: Vec<Desc> = (0..8).map(|n| Desc::writable(at(0x1000 + n * 64), 8)).collect();
    board.queue.add_indirect(&board.ram, table, &parts);
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.take_used(&board.ram), Some((0, 64)));
    let table_at = Desc { gpa: table.0, len: 7 * 16, flags: 4, next: 0 };
    for (index, desc) in (0..7).map(|n| (n, Desc { flags: 2, ..parts[0] })) {
        let next = index + 1;
        let flags = if index < 6 { 3 } else { 2 };
        let desc = Desc { flags, next, ..desc };
        board.ram.write(Gpa(table.0 + 16 * u64::from(index)), &desc.to_bytes()).unwrap();
    }
    let head = board.queue.add(&board.ram, &[Desc::writable(at(0x3000), 8), table_at]);
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.take_used(&board.ram), Some((head.into(), 64)));
}

#[test]
fn events_are_suppressed_as_asked() {
    let mut board = Board::live(VERSION_1 | EVENT_IDX);
    board.queue.set_used_event(&board.ram, 2);
    for (n, expected) in [(0, false), (1, false), (2, true), (3, false)] {
        board.queue.add(&board.ram, &[Desc::writable(at(0x1000), 8)]);
        board.write(NOTIFY, 0);
        assert_eq!(board.mmio.irq_level(), expected, "after {n} others");
        assert_eq!(board.queue.avail_event(&board.ram), n + 1);
        board.write(INTERRUPT_ACK, 3);
    }
    let mut board = Board::live(VERSION_1);
    board.queue.set_flags(&board.ram, 1);
    board.queue.add(&board.ram, &[Desc::writable(at(0x1000), 8)]);
    board.write(NOTIFY, 0);
    assert!(!board.mmio.irq_level());
    assert_eq!(board.queue.used_ring_index(&board.ram), 1);
}

#[test]
fn indices_wrap_around() {
    let mut board = Board::live(VERSION_1 | EVENT_IDX);
    for n in 0..70_000u32 {
        board.queue.set_used_event(&board.ram, board.queue.used_ring_index(&board.ram));
        board.queue.add(&board.ram, &[Desc::writable(at(0x1000), 8)]);
        board.write(NOTIFY, 0);
        assert!(board.mmio.irq_level(), "request {n}");
        assert_eq!(board.queue.take_used(&board.ram).map(|(_, len)| len), Some(8));
        board.write(INTERRUPT_ACK, 1);
    }
}

#[test]
fn no_buffer_is_touched_before_driver_ok() {
    let mut board = Board::new();
    let queue = board.queue.clone();
    for status in [1, 3] {
        board.write(STATUS, status);
    }
    board.write(0x24, 1);
    board.write(0x20, 1);
    board.write(STATUS, 0xb);
    queue.install(&mut board.port(), 0);
    board.queue.add(&board.ram, &[Desc::writable(at(0x1000), 8)]);
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.used_ring_index(&board.ram), 0);
    board.write(STATUS, 0xf);
    assert_eq!(board.queue.used_ring_index(&board.ram), 1, "then it is worked off at once");
}

#[test]
fn queues_outside_ram_do_not_become_ready() {
    let end = RAM_LEN;
    for (place, gpa) in [
        (0x80, at(end - 64)),
        (0x80, at(8)),
        (0x90, at(end - 16)),
        (0x90, at(1)),
        (0xa0, at(end - 32)),
        (0xa0, at(2)),
        (0x80, Gpa(0)),
        (0x90, Gpa(u64::MAX - 1)),
        (0xa0, Gpa(u64::MAX - 3)),
    ] {
        let mut board = Board::live(VERSION_1);
        board.write(READY, 0);
        board.write(place, gpa.0 & 0xffff_ffff);
        board.write(place + 4, gpa.0 >> 32);
        board.write(READY, 1);
        assert_eq!(board.read(READY), 0, "{place:#x} {gpa}");
        assert!(board.needs_reset());
    }
    for size in [0, 3, 16, 0x1_0008, u64::from(u32::MAX)] {
        let mut board = Board::live(VERSION_1);
        board.write(READY, 0);
        board.write(0x38, size);
        board.write(READY, 1);
        assert_eq!(board.read(READY), 0, "{size}");
    }
}

/// Spoils a queue and notifies: the device must stop, tell the driver, and come back by a reset.
fn assert_breaks(name: &str, features: u64, spoil: impl FnOnce(&mut DriverQueue, &GuestRam)) {
    let mut board = Board::live(VERSION_1 | features);
    spoil(&mut board.queue, &board.ram);
    board.write(NOTIFY, 0);
    assert!(board.needs_reset(), "{name}");
    assert_eq!(board.read(INTERRUPT_STATUS) & 2, 2, "{name}");
    assert_eq!(board.queue.used_ring_index(&board.ram), 0, "{name}: nothing was used");
    let used_before = board.host.0;
    board.write(NOTIFY, 0);
    assert_eq!(board.host.0, used_before, "{name}: it serves nobody until reset");
    board.ram.write(at(0), &[0; 0x1000]).expect("rings lie in RAM");
    let queue = DriverQueue::new(at(0), 8);
    assert_eq!(bring_up(&mut board.port(), VERSION_1, std::slice::from_ref(&queue)), 0xf, "{name}");
    board.queue = queue;
    board.queue.add(&board.ram, &[Desc::writable(at(0x1000), 8)]);
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.take_used(&board.ram), Some((0, 8)), "{name}");
}

#[test]
fn broken_queues_stop_the_device_until_reset() {
    let buffer = Desc::writable(at(0x1000), 8);
    assert_breaks("index jumps", 0, |queue, ram| queue.set_avail_index(ram, 9));
    assert_breaks("index goes back", 0, |queue, ram| queue.set_avail_index(ram, 0xffff));
    assert_breaks("head beyond the table", 0, |queue, ram| queue.offer(ram, 8));
    assert_breaks("next beyond the table", 0, |queue, ram| {
        queue.set_desc(ram, 0, Desc { flags: 3, next: 8, ..buffer });
        queue.offer(ram, 0);
    });
    assert_breaks("a circle of one", 0, |queue, ram| {
        queue.set_desc(ram, 0, Desc { flags: 3, next: 0, ..buffer });
        queue.offer(ram, 0);
    });
    assert_breaks("a circle of empty buffers", 0, |queue, ram| {
        queue.set_desc(ram, 0, Desc { flags: 3, next: 1, len: 0, ..buffer });
        queue.set_desc(ram, 1, Desc { flags: 3, next: 0, len: 0, ..buffer });
        queue.offer(ram, 0);
    });
    assert_breaks("readable after writable", 0, |queue, ram| {
        queue.add(ram, &[buffer, Desc::readable(at(0x2000), 8)]);
    });
    for (gpa, len) in [(0, 8), (RAM_LEN + at(0).0, 1), (at(RAM_LEN - 4).0, 5), (u64::MAX, 2)] {
        assert_breaks("a buffer outside RAM", 0, |queue, ram| {
            queue.add(ram, &[Desc { gpa, len, flags: 2, next: 0 }]);
        });
    }
    assert_breaks("a huge buffer", 0, |queue, ram| {
        queue.add(ram, &[Desc { len: u32::MAX, ..buffer }]);
    });
    let table = |len| Desc { gpa: at(0x8000).0, len, flags: 4, next: 0 };
    assert_breaks("indirect without agreement", 0, |queue, ram| {
        queue.add_indirect(ram, at(0x8000), &[buffer]);
    });
    for len in [0, 15, 17, u32::MAX, u32::MAX - 15] {
        assert_breaks("an indirect table of odd length", INDIRECT_DESC, |queue, ram| {
            queue.add(ram, &[table(len)]);
        });
    }
    assert_breaks("indirect in indirect", INDIRECT_DESC, |queue, ram| {
        queue.add_indirect(ram, at(0x8000), &[Desc { flags: 4, ..table(16) }]);
    });
    assert_breaks("an indirect descriptor with a successor", INDIRECT_DESC, |queue, ram| {
        queue.add(ram, &[table(16), buffer]);
    });
    assert_breaks("an indirect chain longer than the queue", INDIRECT_DESC, |queue, ram| {
        queue.add_indirect(ram, at(0x8000), &[buffer; 9]);
    });
}

#[test]
fn a_queue_full_of_requests_is_worked_off_by_one_notification() {
    let mut board = Board::live(VERSION_1);
    for n in 0..8 {
        board.queue.add(&board.ram, &[Desc::writable(at(0x1000 + n * 8), 8)]);
    }
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.used_ring_index(&board.ram), 8);
    assert!(!board.mmio.is_unserved());
}

#[test]
fn reset_forgets_the_driver_and_keeps_the_device() {
    let mut board = Board::live(VERSION_1 | EVENT_IDX);
    board.queue.add(&board.ram, &[Desc::writable(at(0x1000), 8)]);
    board.write(NOTIFY, 0);
    board.write(STATUS, 0);
    assert_eq!(board.mmio, Mmio::new(Rng));
    board.write(NOTIFY, 0);
    assert_eq!(board.queue.used_ring_index(&board.ram), 1);
}

#[test]
fn status_bits_are_not_taken_away_one_by_one() {
    let mut board = Board::live(VERSION_1);
    board.write(STATUS, 1);
    assert_eq!(board.read(STATUS), 0xf);
    board.write(STATUS, 0x80);
    assert_eq!(board.read(STATUS), 0x8f);
}
