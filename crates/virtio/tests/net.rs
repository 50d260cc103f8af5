//! The network card, as a driver meets it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use abide_memory::GuestRam;
use abide_reg::{Entry, IntakeError, RegId, Value};
use abide_testkit::virtio::{
    Desc, DriverQueue, EVENT_IDX, INDIRECT_DESC, Port, VERSION_1, bring_up, offered,
};
use abide_virtio::{Cable, Mmio, Net};
use common::{RAM_LEN, Wired, at, ram};
use proptest::prelude::*;
use std::collections::VecDeque;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0xab, 0x1d, 0xe0];
const NOTIFY: u64 = 0x50;
const INTERRUPT_STATUS: u64 = 0x60;
const INTERRUPT_ACK: u64 = 0x64;
const STATUS: u64 = 0x70;
const CONFIG: u64 = 0x100;
/// `VIRTIO_NET_F_MAC`, `_STATUS`, `_CTRL_VQ`, `_GUEST_ANNOUNCE` `[VIRTIO 5.1.3]`.
const FEATURES: u64 = 1 << 5 | 1 << 16 | 1 << 17 | 1 << 21;
const QUEUE_SIZE: u16 = 16;
const RX: u64 = 0;
const TX: u64 = 1;
const CONTROL: u64 = 2;

/// A cable whose other end a test holds.
#[derive(Default)]
struct Bench {
    sent: Vec<Vec<u8>>,
    room: Option<usize>,
    waiting: VecDeque<Vec<u8>>,
    is_out: bool,
    /// Sends every frame back at once, and keeps nothing.
    echoes: bool,
}

impl Cable for Bench {
    fn send(&mut self, frame: &[u8]) -> bool {
        if self.room.is_some_and(|room| self.sent.len() >= room) {
            return false;
        }
        self.sent.push(frame.to_vec());
        if self.echoes {
            self.waiting.push_back(frame.to_vec());
        }
        true
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.waiting.pop_front()
    }

    fn has_frame(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn not_taken(&mut self) {
        if self.echoes {
            self.waiting.clear();
        }
    }

    fn is_up(&self) -> bool {
        !self.is_out
    }
}

struct Board {
    ram: GuestRam,
    mmio: Mmio<Net>,
    bench: Bench,
    queues: Vec<DriverQueue>,
}

impl Board {
    fn live() -> Self {
        let place = |n: u64| DriverQueue::new(at(n * 0x1000), QUEUE_SIZE);
        let queues: Vec<DriverQueue> = (0..3).map(place).collect();
        let mut board =
            Self { ram: ram(), mmio: Mmio::new(Net::new(MAC)), bench: Bench::default(), queues };
        let queues = board.queues.clone();
        assert_eq!(bring_up(&mut board.port(), VERSION_1 | FEATURES, &queues), 0xf);
        board
    }

    fn port(&mut self) -> Wired<'_, Net> {
        Wired { mmio: &mut self.mmio, ram: &self.ram, host: &mut self.bench }
    }

    fn poll(&mut self) {
        self.mmio.poll(&self.ram, &mut self.bench);
    }

    fn queue(&mut self, queue: u64) -> (&mut DriverQueue, &GuestRam) {
        (&mut self.queues[usize::try_from(queue).unwrap()], &self.ram)
    }

    fn offer(&mut self, queue: u64, buffers: &[Desc]) {
        let (driver, ram) = self.queue(queue);
        driver.add(ram, buffers);
    }

    fn notify(&mut self, queue: u64) {
        self.port().write(NOTIFY, 4, queue);
    }

    fn used(&mut self, queue: u64) -> Option<(u32, u32)> {
        let (driver, ram) = self.queue(queue);
        driver.take_used(ram)
    }

    fn bytes(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.ram.read(at(offset), &mut bytes).unwrap();
        bytes
    }

    fn config(&mut self) -> [u8; 8] {
        self.port().read(CONFIG, 8).to_le_bytes()
    }

    /// Puts a frame with its header at `offset`.
    fn put(&mut self, offset: u64, frame: &[u8]) -> u32 {
        let bytes = [&[0; 12][..], frame].concat();
        self.ram.write(at(offset), &bytes).unwrap();
        u32::try_from(bytes.len()).unwrap()
    }
}

#[test]
fn card_tells_its_address_and_that_the_cable_is_in() {
    let mut board = Board::live();
    assert_eq!(offered(&mut board.port()), VERSION_1 | EVENT_IDX | INDIRECT_DESC | FEATURES);
    assert_eq!(board.port().read(0x08, 4), 1);
    assert_eq!(board.config(), [0x52, 0x54, 0, 0xab, 0x1d, 0xe0, 1, 0]);
    board.port().write(CONFIG, 1, 0xff);
    assert_eq!(board.config()[0], 0x52, "the address is fixed");
}

#[test]
fn frame_is_sent_however_it_is_cut() {
    let mut board = Board::live();
    let frame: Vec<u8> = (0..60).collect();
    let len = board.put(0x4000, &frame);
    let parts = |cuts: &[u32]| {
        let mut from = 0;
        let mut parts = Vec::new();
        for &cut in cuts.iter().chain([&len]) {
            parts.push(Desc::readable(at(0x4000 + u64::from(from)), cut - from));
            from = cut;
        }
        parts
    };
    for cuts in [&[][..], &[12], &[1, 2, 11, 13, 30], &[26]] {
        board.offer(TX, &parts(cuts));
        board.notify(TX);
        assert_eq!(board.used(TX).unwrap().1, 0);
    }
    assert_eq!(board.bench.sent, vec![frame; 4]);
}

#[test]
fn what_is_no_frame_is_taken_and_lost() {
    let mut board = Board::live();
    for len in [0, 1, 12, 12 + 13, 12 + 1519, 0x8000] {
        board.offer(TX, &[Desc::readable(at(0x4000), len)]);
        board.notify(TX);
        assert!(board.used(TX).is_some(), "{len}");
    }
    // What the device may write is none of its business here.
    board.offer(TX, &[Desc::writable(at(0x4000), 100)]);
    board.notify(TX);
    assert!(board.used(TX).is_some());
    assert_eq!(board.bench.sent, Vec::<Vec<u8>>::new());
    for len in [12 + 14, 12 + 1518] {
        board.offer(TX, &[Desc::readable(at(0x4000), len)]);
        board.notify(TX);
    }
    assert_eq!(board.bench.sent.iter().map(Vec::len).collect::<Vec<_>>(), [14, 1518]);
    assert_eq!(board.port().read(STATUS, 4), 0xf);
}

#[test]
fn full_cable_holds_the_guest_back_and_nothing_is_lost() {
    let mut board = Board::live();
    board.bench.room = Some(2);
    for n in 0..5 {
        let len = board.put(0x4000 + 0x100 * n, &[u8::try_from(n).unwrap(); 20]);
        board.offer(TX, &[Desc::readable(at(0x4000 + 0x100 * n), len)]);
    }
    board.notify(TX);
    assert_eq!(board.bench.sent.len(), 2);
    board.bench.room = Some(4);
    board.poll();
    board.bench.room = None;
    board.poll();
    let order: Vec<u8> = board.bench.sent.iter().map(|frame| frame[0]).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
    assert_eq!(std::iter::from_fn(|| board.used(TX)).count(), 5);
}

#[test]
fn frames_for_the_guest_wait_for_its_buffers() {
    let mut board = Board::live();
    let frame: Vec<u8> = (0..100).collect();
    board.bench.waiting.push_back(frame.clone());
    board.poll();
    assert!(!board.mmio.irq_level());
    board.offer(RX, &[Desc::writable(at(0x8000), 20), Desc::writable(at(0x9000), 1600)]);
    board.notify(RX);
    assert_eq!(board.used(RX).unwrap().1, 112);
    assert!(board.mmio.irq_level());
    let mut got = board.bytes(0x8000, 20);
    got.extend(board.bytes(0x9000, 92));
    assert_eq!(got[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(got[12..], frame);
}

#[test]
fn frame_that_no_buffer_holds_is_lost_and_the_next_arrives() {
    let mut board = Board::live();
    board.bench.waiting.extend([vec![1; 200], vec![2; 1519], vec![3; 50]]);
    board.offer(RX, &[Desc::writable(at(0x8000), 100)]);
    board.notify(RX);
    assert_eq!(board.used(RX).unwrap().1, 62);
    assert_eq!(board.bytes(0x800c, 1), [3]);
    assert_eq!(board.bench.waiting.len(), 0);
}

#[test]
fn short_buffers_do_not_hold_the_host() {
    let mut board = Board::live();
    board.bench.waiting = (0..10_000).map(|_| vec![0; 100]).collect();
    board.offer(RX, &[Desc::writable(at(0x8000), 10)]);
    board.notify(RX);
    assert!(board.bench.waiting.len() > 9_000);
    assert_eq!(board.used(RX), None);
}

#[test]
fn answer_of_an_echo_is_there_when_the_notification_returns_or_never() {
    let mut board = Board::live();
    board.bench.echoes = true;
    let len = board.put(0x4000, &[7; 64]);
    board.offer(TX, &[Desc::readable(at(0x4000), len)]);
    board.notify(TX);
    assert!(!board.bench.has_frame(), "nothing waits outside the guest");
    board.offer(RX, &[Desc::writable(at(0x8000), 2000)]);
    board.notify(RX);
    assert_eq!(board.used(RX), None);
    board.offer(TX, &[Desc::readable(at(0x4000), len)]);
    board.notify(TX);
    assert_eq!(board.used(RX).unwrap().1, 76);
}

#[test]
fn cable_that_goes_out_is_told() {
    let mut board = Board::live();
    board.poll();
    assert_eq!(board.port().read(INTERRUPT_STATUS, 4), 0);
    board.bench.is_out = true;
    board.poll();
    assert_eq!(board.port().read(INTERRUPT_STATUS, 4), 2);
    assert_eq!(board.config()[6..], [0, 0]);
    board.port().write(INTERRUPT_ACK, 4, 2);
    board.poll();
    assert_eq!(board.port().read(INTERRUPT_STATUS, 4), 0, "told once");
}

#[test]
fn driver_is_asked_to_announce_itself_until_it_has() {
    let mut board = Board::live();
    board.mmio.reconfigure(Net::announce);
    assert_eq!(board.config()[6..], [3, 0]);
    assert_eq!(board.port().read(INTERRUPT_STATUS, 4), 2);
    // Another request is refused, this one is answered with OK.
    for (command, answer, status) in [([0, 0], 1, 3), ([3, 1], 1, 3), ([3, 0], 0, 1)] {
        board.ram.write(at(0x4000), &command).unwrap();
        board.ram.write(at(0x5000), &[0xee]).unwrap();
        board.offer(CONTROL, &[Desc::readable(at(0x4000), 2), Desc::writable(at(0x5000), 1)]);
        board.notify(CONTROL);
        assert_eq!(board.used(CONTROL).unwrap().1, 1);
        assert_eq!(board.bytes(0x5000, 1), [answer], "{command:?}");
        assert_eq!(board.config()[6], status);
    }
    // Requests that are cut, or have no room for an answer, do no harm.
    board.offer(CONTROL, &[Desc::readable(at(0x4000), 1)]);
    board.notify(CONTROL);
    assert_eq!(board.used(CONTROL).unwrap().1, 0);
}

#[test]
fn card_comes_back_as_it_was() {
    let mut board = Board::live();
    board.mmio.reconfigure(Net::announce);
    board.bench.room = Some(0);
    let len = board.put(0x4000, &[9; 64]);
    board.offer(TX, &[Desc::readable(at(0x4000), len)]);
    board.notify(TX);
    let saved = board.mmio.save();
    let (restored, leftover) = Mmio::restore(saved.clone(), &board.ram).unwrap();
    assert_eq!((&restored, leftover.carried), (&board.mmio, vec![]));
    board.mmio = restored;
    assert_eq!(board.mmio.save(), saved);
    // What had not left yet leaves from the new place.
    board.bench.room = None;
    board.poll();
    assert_eq!(board.bench.sent, [vec![9; 64]]);
}

#[test]
fn state_that_no_card_has_is_refused_by_name() {
    let mut board = Board::live();
    let bad: [(&'static str, Value); 6] = [
        ("virtio.net.mac", Value::bytes(&[1, 0, 0, 0, 0, 0])),
        ("virtio.net.mac", Value::bytes(&[0; 6])),
        ("virtio.net.status", Value::bytes(&[4, 0])),
        ("virtio.net.status", Value::bytes(&[0, 1])),
        ("virtio.device_id", Value::u32(2)),
        ("virtio.device_features", Value::u64(VERSION_1 | 1)),
    ];
    for (name, value) in bad {
        let id = RegId::named(name);
        let replace = |entry: Entry| match entry.id == id {
            true => Entry { value: value.clone(), ..entry },
            false => entry,
        };
        let entries = board.mmio.save().into_iter().map(replace).collect();
        let refused = Mmio::<Net>::restore(entries, &board.ram);
        assert!(
            matches!(&refused, Err(IntakeError::Value { id: found, .. }) if *found == id),
            "{name}: {refused:?}"
        );
    }
    board.poll();
}

proptest! {
    #[test]
    fn queues_full_of_anything_do_no_harm(
        descriptors in proptest::collection::vec(
            (0..RAM_LEN + 0x100, prop_oneof![0u32..3000, any::<u32>()], 0u16..8, 0u16..20),
            48,
        ),
        avail in any::<[u16; 3]>(),
        heads in proptest::collection::vec(0u16..20, 48),
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1600), 0..4),
    ) {
        let mut board = Board::live();
        board.bench.waiting = frames.into();
        board.bench.echoes = true;
        for (n, (gpa, len, flags, next)) in (0u16..).zip(descriptors) {
            let desc = Desc { gpa: at(0).0 + gpa, len, flags, next };
            board.queues[usize::from(n / 16)].set_desc(&board.ram, n % 16, desc);
        }
        for (queue, heads) in heads.chunks(16).enumerate() {
            for &head in heads {
                board.queues[queue].offer(&board.ram, head);
            }
        }
        for queue in [TX, RX, CONTROL] {
            let index = usize::try_from(queue).unwrap();
            if avail[index] % 3 == 0 {
                board.queues[index].set_avail_index(&board.ram, avail[index]);
            }
            board.notify(queue);
            board.poll();
        }
        prop_assert!(board.bench.sent.iter().all(|frame| (14..=1518).contains(&frame.len())));
        let (restored, _) = Mmio::<Net>::restore(board.mmio.save(), &board.ram).unwrap();
        prop_assert_eq!(restored, board.mmio);
    }
}
