//! The block device on a disk in memory, good and bad.

mod common;

use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_testkit::virtio::{Desc, DriverQueue, Port, VERSION_1, bring_up, offered};
use abide_virtio::block::{IoFailed, Storage};
use abide_virtio::{Block, Mmio};
use common::{RAM_LEN, Wired, at, ram};

const SECTORS: u64 = 64;
const FLUSH: u64 = 1 << 9;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;
const RO: u64 = 1 << 5;

/// A disk in memory that counts its flushes and can fail.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    flushes: usize,
    is_broken: bool,
}

impl Memory {
    fn place(&self, at: u64, len: usize) -> Result<std::ops::Range<usize>, IoFailed> {
        assert!(at.is_multiple_of(512) && len.is_multiple_of(512), "{at:#x} {len:#x}");
        let start = usize::try_from(at).expect("a small disk");
        assert!(start + len <= self.bytes.len(), "{at:#x} {len:#x} is past the end");
        if self.is_broken { Err(IoFailed) } else { Ok(start..start + len) }
    }
}

impl Storage for Memory {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), IoFailed> {
        into.copy_from_slice(&self.bytes[self.place(at, into.len())?]);
        Ok(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Result<(), IoFailed> {
        let place = self.place(at, from.len())?;
        self.bytes[place].copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoFailed> {
        self.flushes += 1;
        if self.is_broken { Err(IoFailed) } else { Ok(()) }
    }

    fn zero(&mut self, at: u64, len: u64, _may_free: bool) -> Result<(), IoFailed> {
        let place = self.place(at, usize::try_from(len).expect("a small disk"))?;
        self.bytes[place].fill(0);
        Ok(())
    }
}

struct Board {
    ram: GuestRam,
    mmio: Mmio<Block>,
    host: Memory,
    queue: DriverQueue,
}

const HEADER: Gpa = at(0x8000);
const STATUS: Gpa = at(0x8100);
const DATA: Gpa = at(0x9000);

impl Board {
    fn new(is_readonly: bool, features: u64) -> Self {
        let host = Memory {
            bytes: (0..SECTORS * 512).map(|n| n.to_le_bytes()[1]).collect(),
            ..Memory::default()
        };
        let mmio = Mmio::new(Block::new(SECTORS, is_readonly, *b"twenty letters long."));
        let queue = DriverQueue::new(at(0), 256);
        let mut board = Self { ram: ram(), mmio, host, queue };
        let queue = board.queue.clone();
        let features = VERSION_1 | features;
        let status = bring_up(&mut board.port(), features, std::slice::from_ref(&queue));
        assert_eq!(status, 0xf);
        board
    }

    fn port(&mut self) -> Wired<'_, Block> {
        Wired { mmio: &mut self.mmio, ram: &self.ram, host: &mut self.host }
    }

    /// A request; its status and the length that was used.
    fn request(&mut self, kind: u32, sector: u64, data: &[Desc]) -> (u8, u32) {
        let mut header = [0; 16];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&sector.to_le_bytes());
        self.ram.write(HEADER, &header).expect("in RAM");
        self.ram.write(STATUS, &[0xee]).expect("in RAM");
        let mut buffers = vec![Desc::readable(HEADER, 16)];
        buffers.extend_from_slice(data);
        buffers.push(Desc::writable(STATUS, 1));
        self.queue.add(&self.ram, &buffers);
        self.port().write(0x50, 4, 0);
        let (_, len) = self.queue.take_used(&self.ram).expect("an answer");
        let mut status = [0];
        self.ram.read(STATUS, &mut status).expect("in RAM");
        (status[0], len)
    }

    fn ram_at(&self, gpa: Gpa, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.ram.read(gpa, &mut bytes).expect("in RAM");
        bytes
    }
}

#[test]
fn configuration_says_what_the_features_offer() {
    let mut board = Board::new(false, 0);
    let features = offered(&mut board.port());
    assert_eq!(features & 0xff_ffff, 1 << 2 | 1 << 6 | FLUSH | DISCARD | WRITE_ZEROES);
    let config: Vec<(u64, usize, u64)> = vec![
        (0x100, 8, SECTORS),
        (0x100, 4, SECTORS),
        (0x104, 4, 0),
        (0x10c, 4, 254),
        (0x114, 4, 512),
        (0x124, 4, 65_536),
        (0x128, 4, 1),
        (0x138, 1, 1),
        (0x13c, 4, 0),
        (0x1ff, 8, 0),
    ];
    for (offset, size, expected) in config {
        assert_eq!(board.port().read(offset, size), expected, "{offset:#x}");
    }
    for (offset, size) in [(0x100, 1), (0x100, 8), (0x101, 3), (0x1fc, 4), (0x1ff, 200)] {
        board.port().write(offset, size, u64::MAX);
    }
    assert_eq!(board.port().read(0x100, 8), SECTORS, "nothing of it can be written");
    let mut readonly = Board::new(true, 0);
    assert_eq!(offered(&mut readonly.port()) & 0xff_ffff, 1 << 2 | 1 << 6 | FLUSH | RO);
}

#[test]
fn what_is_written_is_read_again_however_it_is_cut() {
    let mut board = Board::new(false, FLUSH);
    let content: Vec<u8> = (0..2048u32).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    board.ram.write(DATA, &content).expect("in RAM");
    let pieces = [(0, 1), (1, 510), (511, 1026), (1537, 511)];
    let cut = |gpa: Gpa, make: fn(Gpa, u32) -> Desc| -> Vec<Desc> {
        pieces.iter().map(|&(from, len)| make(Gpa(gpa.0 + from), len)).collect()
    };
    assert_eq!(board.request(1, 3, &cut(DATA, Desc::readable)), (0, 1));
    assert_eq!(board.host.bytes[3 * 512..7 * 512], content);
    assert_eq!(board.host.flushes, 0, "the driver can flush by itself");
    assert_eq!(board.request(0, 3, &cut(at(0x2_0000), Desc::writable)), (0, 2049));
    assert_eq!(board.ram_at(at(0x2_0000), 2048), content);
    assert_eq!(board.request(4, 0, &[]), (0, 1));
    assert_eq!(board.host.flushes, 1);
}

#[test]
fn header_and_data_may_share_a_buffer_and_so_may_data_and_status() {
    let mut board = Board::new(false, FLUSH);
    let mut request = vec![0; 16 + 512];
    request[0] = 1;
    request[16..].fill(0xab);
    board.ram.write(HEADER, &request).expect("in RAM");
    board.queue.add(&board.ram, &[Desc::readable(HEADER, 528), Desc::writable(STATUS, 1)]);
    board.port().write(0x50, 4, 0);
    assert_eq!(board.host.bytes[..512], [0xab; 512]);
    board.ram.write(HEADER, &[0; 16]).expect("in RAM");
    let rest_of_header = Desc::readable(Gpa(HEADER.0 + 7), 9);
    let buffers = [Desc::readable(HEADER, 7), rest_of_header, Desc::writable(DATA, 513)];
    board.ram.write(Gpa(DATA.0 + 512), &[0xee]).expect("in RAM");
    board.queue.add(&board.ram, &buffers);
    board.port().write(0x50, 4, 0);
    assert_eq!(board.ram_at(DATA, 513), [&[0xab; 512][..], &[0]].concat());
}

#[test]
fn a_driver_that_cannot_flush_has_every_write_flushed() {
    let mut board = Board::new(false, 0);
    assert_eq!(board.request(1, 0, &[Desc::readable(DATA, 512)]).0, 0);
    assert_eq!(board.host.flushes, 1);
}

#[test]
fn nothing_past_the_end_is_reached() {
    let mut board = Board::new(false, FLUSH);
    let data = [Desc::writable(DATA, 1024)];
    let before = board.host.bytes.clone();
    for sector in [SECTORS, SECTORS - 1, u64::MAX, u64::MAX / 512, 1 << 55, 1 << 63] {
        assert_eq!(board.request(0, sector, &data), (1, 0), "{sector:#x}");
        assert_eq!(board.request(1, sector, &[Desc::readable(DATA, 1024)]), (1, 1));
    }
    assert_eq!(board.request(0, SECTORS - 2, &data), (0, 1025));
    // No whole number of sectors; more than the disk holds.
    for len in [1, 511, 513] {
        assert_eq!(board.request(0, 0, &[Desc::writable(DATA, len)]).0, 1);
        assert_eq!(board.request(1, 0, &[Desc::readable(DATA, len)]).0, 1);
    }
    let all_of_ram = u32::try_from(RAM_LEN / 2).expect("small");
    let many = vec![Desc::writable(at(0), all_of_ram); 200];
    assert_eq!(board.request(0, 0, &many).0, 1);
    assert_eq!(board.host.bytes, before);
}

#[test]
fn readonly_disks_are_not_written() {
    let mut board = Board::new(true, FLUSH);
    let before = board.host.bytes.clone();
    assert_eq!(board.request(1, 0, &[Desc::readable(DATA, 512)]).0, 1);
    assert_eq!(board.request(11, 0, &[Desc::readable(DATA, 16)]).0, 2);
    assert_eq!(board.request(13, 0, &[Desc::readable(DATA, 16)]).0, 2);
    assert_eq!(board.request(0, 0, &[Desc::writable(DATA, 512)]).0, 0);
    assert_eq!(board.host.bytes, before);
}

#[test]
fn failures_of_the_host_are_told_and_survived() {
    let mut board = Board::new(false, FLUSH);
    board.host.is_broken = true;
    assert_eq!(board.request(0, 0, &[Desc::writable(DATA, 512)]), (1, 0));
    assert_eq!(board.request(1, 0, &[Desc::readable(DATA, 512)]).0, 1);
    assert_eq!(board.request(4, 0, &[]).0, 1);
    board.host.is_broken = false;
    assert_eq!(board.request(0, 0, &[Desc::writable(DATA, 512)]).0, 0);
}

#[test]
fn identity_is_as_long_as_asked_for() {
    let mut board = Board::new(false, FLUSH);
    assert_eq!(board.request(8, 0, &[Desc::writable(DATA, 20)]), (0, 21));
    assert_eq!(board.ram_at(DATA, 20), b"twenty letters long.");
    assert_eq!(board.request(8, 0, &[Desc::writable(at(0xa000), 6)]), (0, 7));
    assert_eq!(board.ram_at(at(0xa000), 7), b"twenty\0");
    for kind in [2, 3, 5, 9, 10, 14, u32::MAX] {
        assert_eq!(board.request(kind, 0, &[]).0, 2, "{kind} is unknown");
    }
}

/// A segment of DISCARD and WRITE_ZEROES.
fn segment(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
}

#[test]
fn discarded_and_zeroed_sectors_are_zero() {
    let mut board = Board::new(false, FLUSH | DISCARD | WRITE_ZEROES);
    for (kind, flags) in [(11, 0), (13, 0), (13, 1)] {
        board.host.bytes.fill(0xff);
        board.ram.write(DATA, &segment(2, 3, flags)).expect("in RAM");
        assert_eq!(board.request(kind, 0, &[Desc::readable(DATA, 16)]), (0, 1));
        let (zeros, rest) = (&board.host.bytes[2 * 512..5 * 512], &board.host.bytes[5 * 512..]);
        assert!(zeros.iter().all(|&byte| byte == 0) && rest.iter().all(|&byte| byte == 0xff));
    }
    board.host.bytes.fill(0xff);
    for (kind, bytes, expected) in [
        (11, segment(0, 1, 1), 2),
        (13, segment(0, 1, 2), 2),
        (11, segment(SECTORS, 1, 0), 1),
        (11, segment(u64::MAX, 2, 0), 1),
        (11, segment(0, 65_537, 0), 1),
        (13, segment(0, u32::MAX, 0), 1),
        (11, [segment(0, 1, 0), segment(1, 1, 0)].concat(), 2),
        (11, Vec::new(), 2),
        (13, vec![0; 15], 2),
    ] {
        board.ram.write(DATA, &bytes).expect("in RAM");
        let len = u32::try_from(bytes.len()).expect("short");
        assert_eq!(board.request(kind, 0, &[Desc::readable(DATA, len)]).0, expected, "{bytes:?}");
    }
    assert!(board.host.bytes.iter().all(|&byte| byte == 0xff));
}

#[test]
fn requests_without_a_shape_stop_the_device() {
    for buffers in [
        vec![Desc::writable(STATUS, 1)],
        vec![Desc::readable(HEADER, 15), Desc::writable(STATUS, 1)],
        vec![Desc::readable(HEADER, 16)],
        vec![Desc::readable(HEADER, 0)],
    ] {
        let mut board = Board::new(false, FLUSH);
        board.queue.add(&board.ram, &buffers);
        board.port().write(0x50, 4, 0);
        assert_eq!(board.port().read(0x70, 4), 0x4f, "{buffers:?}");
    }
}

#[test]
fn a_burst_is_bounded_and_goes_on_when_the_driver_takes_notice() {
    let mut board = Board::new(false, FLUSH);
    // Of an unknown kind: only the status is written, but all of it was asked for.
    board.ram.write(HEADER, &[8; 16]).expect("in RAM");
    let huge = [Desc::readable(HEADER, 16), Desc::writable(at(0), 1 << 19)];
    let huge: Vec<Desc> = huge.into_iter().chain([huge[1]; 80]).collect();
    for _ in 0..3 {
        board.queue.add(&board.ram, &huge);
    }
    board.port().write(0x50, 4, 0);
    assert_eq!(board.queue.used_ring_index(&board.ram), 1, "40 MiB are enough for one call");
    assert!(board.mmio.is_unserved());
    let saved = board.mmio.save();
    let (restored, _) = Mmio::restore(saved, &board.ram).expect("its own state");
    assert_eq!(restored, board.mmio);
    board.port().write(0x64, 4, 1);
    assert_eq!(board.queue.used_ring_index(&board.ram), 2);
    board.mmio.poll(&board.ram, &mut board.host);
    assert_eq!(board.queue.used_ring_index(&board.ram), 3);
    assert!(!board.mmio.is_unserved());
}
