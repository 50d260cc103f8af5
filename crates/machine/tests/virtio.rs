//! Machines with virtio devices: what the guest reaches, what the host keeps, what comes back.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use abide_engine::Stop;
use abide_machine::devices::virtio::{DiskConfig, DiskError, VirtioConfig};
use abide_machine::error::{MachineError, RestoreError};
use abide_machine::lifecycle::Prepared;
use abide_machine::restore::{DiskChange, Elsewhere, restore_elsewhere};
use abide_machine::runner::{Command, Outcome, Reply, control};
use abide_machine::{Machine, TimeSource};
use abide_reg::{Gpa, IntakeError, RegId, Scope, Value};
use abide_snapshot::{Reader, Record};
use abide_testkit::virtio::{Desc, DriverQueue};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use support::{BOARD, KERNEL, MockEngine, Turn, file_with, record, set};
use tempfile::TempDir;

/// The first slot's registers, and those of the next.
const SLOT: [u64; 3] = [0x0a00_0000, 0x0a00_0200, 0x0a00_0400];
/// Where the tests' queues and buffers lie, far from the kernel.
const RINGS: Gpa = Gpa(0x4030_0000);
const HEADER: Gpa = Gpa(0x4031_0000);
const DATA: Gpa = Gpa(0x4031_1000);
const STATUS: Gpa = Gpa(0x4031_2000);
const SECTORS: usize = 64;
const IN: u8 = 0;
const OUT: u8 = 1;

fn disk_in(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    let content: Vec<u8> = (0..SECTORS * 512).map(|n| n.to_le_bytes()[1]).collect();
    fs::write(&path, content).unwrap();
    path
}

fn disk(path: &Path) -> DiskConfig {
    DiskConfig { path: path.to_owned(), readonly: false, direct: false }
}

fn try_born(engine: &MockEngine, virtio: &[VirtioConfig]) -> Result<Machine, MachineError> {
    support::try_born(engine, KERNEL, BOARD, TimeSource::Virtual, virtio)
}

fn born(engine: &MockEngine, virtio: &[VirtioConfig]) -> Machine {
    try_born(engine, virtio).unwrap_or_else(|error| panic!("{error}"))
}

/// Why a board with this disk cannot be.
fn disk_refusal(config: DiskConfig) -> DiskError {
    match try_born(&MockEngine::idle(), &[VirtioConfig::Block(config)]) {
        Err(MachineError::Disk(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was made"),
    }
}

/// Sets a device with one queue up, through the bus.
fn bring_up(turn: &mut Turn<'_>, slot: u64, queue: &DriverQueue, size: u64) {
    for (at, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 0xb)] {
        turn.write(slot + at, value);
    }
    turn.write(slot + 0x30, 0);
    turn.write(slot + 0x38, size);
    for (at, gpa) in [(0x80, queue.desc()), (0x90, queue.avail()), (0xa0, queue.used())] {
        turn.write(slot + at, gpa.0);
    }
    turn.write(slot + 0x44, 1);
    turn.write(slot + 0x70, 0xf);
    assert_eq!(turn.read(slot + 0x70), 0xf);
}

/// An engine whose guest sets the disk up, notifies once in each further call, and powers off.
fn one_request(notifications: u64) -> MockEngine {
    MockEngine::new(move |turn| match turn.next_step() {
        0 => {
            bring_up(turn, SLOT[0], &DriverQueue::new(RINGS, 16), 16);
            Stop::Budget
        }
        step if step <= notifications => {
            turn.write(SLOT[0] + 0x50, 0);
            Stop::Budget
        }
        _ => turn.power_off(),
    })
}

/// Puts a request of 1 KiB into the queue.
fn put_request(machine: &Machine, queue: &mut DriverQueue, kind: u8, sector: u8) {
    let ram = machine.ram();
    let header = [kind, 0, 0, 0, 0, 0, 0, 0, sector, 0, 0, 0, 0, 0, 0, 0];
    ram.write(HEADER, &header).unwrap();
    ram.write(STATUS, &[0xee]).unwrap();
    let data = if kind == IN { Desc::writable } else { Desc::readable };
    let buffers = [Desc::readable(HEADER, 16), data(DATA, 1024), Desc::writable(STATUS, 1)];
    queue.add(ram, &buffers);
}

fn run(machine: &mut Machine) -> Outcome {
    let (_, queue) = control();
    machine.run(&queue, &Default::default()).unwrap().outcome
}

fn bytes_at(machine: &Machine, gpa: Gpa, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    machine.ram().read(gpa, &mut bytes).unwrap();
    bytes
}

fn restored(file: Vec<u8>, disks: &[DiskChange]) -> Result<Prepared, RestoreError> {
    let reader = Reader::from_bytes(file).unwrap();
    let elsewhere = Elsewhere { disks: disks.to_vec(), ..Elsewhere::default() };
    restore_elsewhere(&one_request(1), &reader, Box::new(std::io::sink()), &elsewhere)
}

fn refusal(file: Vec<u8>, disks: &[DiskChange]) -> RestoreError {
    match restored(file, disks) {
        Ok(_) => panic!("it was restored"),
        Err(error) => error,
    }
}

fn change(old: &str, new: &Path) -> DiskChange {
    DiskChange { old: old.to_owned(), new: new.to_owned() }
}

/// A machine with a disk, random bits and a console, whose guest has written two sectors.
fn lived(folder: &TempDir) -> (Machine, PathBuf) {
    let path = disk_in(folder, "a.img");
    let devices = [VirtioConfig::Block(disk(&path)), VirtioConfig::Rng, VirtioConfig::Console];
    let mut machine = born(&one_request(1), &devices);
    put_request(&machine, &mut DriverQueue::new(RINGS, 16), OUT, 3);
    machine.ram().write(DATA, &[0xab; 1024]).unwrap();
    assert_eq!(run(&mut machine), Outcome::PoweredOff);
    assert_eq!(bytes_at(&machine, STATUS, 1), [0]);
    (machine, path)
}

#[test]
fn each_slot_has_its_device_and_the_next_address_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = disk_in(&folder, "a.img");
    let engine = MockEngine::new(|turn| {
        let ids = SLOT.map(|slot| (turn.read(slot), turn.read(slot + 4), turn.read(slot + 8)));
        let device = |id| (0x7472_6976, 2, id);
        assert_eq!(ids, [device(2), device(4), device(3)]);
        assert_eq!(turn.bus.mmio_read(turn.id, Gpa(0x0a00_0600), 4), None);
        assert_eq!(turn.bus.mmio_read(turn.id, Gpa(0x0a00_05fc), 4), Some(0));
        turn.power_off()
    });
    let devices = [VirtioConfig::Block(disk(&path)), VirtioConfig::Rng, VirtioConfig::Console];
    assert_eq!(run(&mut born(&engine, &devices)), Outcome::PoweredOff);
    let too_many = vec![VirtioConfig::Rng; 33];
    assert!(matches!(try_born(&engine, &too_many), Err(MachineError::Config(_))));
}

#[test]
fn what_a_guest_writes_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, path) = lived(&folder);
    let content = fs::read(path).unwrap();
    assert_eq!(content[3 * 512..5 * 512], [0xab; 1024]);
    assert_eq!(content[..512], [[0; 256], [1; 256]].concat());
    assert!(machine.state().unwrap().iter().any(|record| record.unit.as_str() == "virtio-blk"));
}

#[test]
fn unbuffered_disks_hold_the_same() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = disk_in(&folder, "a.img");
    let config = DiskConfig { direct: true, ..disk(&path) };
    let mut machine = match try_born(&one_request(2), &[VirtioConfig::Block(config)]) {
        Ok(machine) => machine,
        // A file system that has no such thing says so, by this error.
        Err(MachineError::Disk(DiskError::Direct { .. })) => return,
        Err(error) => panic!("{error}"),
    };
    let mut queue = DriverQueue::new(RINGS, 16);
    // Sector 7 and 8: the end of one block of 4096 bytes and the beginning of the next.
    put_request(&machine, &mut queue, OUT, 7);
    machine.ram().write(DATA, &[0xcd; 1024]).unwrap();
    assert_eq!(run(&mut machine), Outcome::PoweredOff);
    let content = fs::read(&path).unwrap();
    assert_eq!(content.len(), SECTORS * 512);
    assert_eq!(content[7 * 512..9 * 512], [0xcd; 1024]);
    let untouched = |from: usize, to: usize| (from..to).all(|n| content[n] == n.to_le_bytes()[1]);
    assert!(untouched(0, 7 * 512) && untouched(9 * 512, SECTORS * 512));
}

#[test]
fn a_disk_has_one_writer_or_many_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = disk_in(&folder, "a.img");
    let readonly = DiskConfig { readonly: true, ..disk(&path) };
    let engine = MockEngine::idle();
    let writer = born(&engine, &[VirtioConfig::Block(disk(&path))]);
    for config in [disk(&path), readonly.clone()] {
        assert!(matches!(disk_refusal(config), DiskError::InUse { .. }));
    }
    // The same disk twice on one board, too.
    drop(writer);
    let twice = [VirtioConfig::Block(disk(&path)), VirtioConfig::Block(disk(&path))];
    let refused = try_born(&engine, &twice);
    assert!(matches!(refused, Err(MachineError::Disk(DiskError::InUse { .. }))));
    let _readers = [(); 2].map(|()| born(&engine, &[VirtioConfig::Block(readonly.clone())]));
    assert!(matches!(disk_refusal(disk(&path)), DiskError::InUse { .. }));
}

#[test]
fn what_is_no_disk_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let missing = disk_refusal(disk(&folder.path().join("missing.img")));
    assert!(matches!(&missing, DiskError::Open { .. }), "{missing}");
    assert!(missing.to_string().contains("missing.img"), "{missing}");
    assert!(matches!(disk_refusal(disk(Path::new("/dev/null"))), DiskError::Kind { .. }));
    let readonly = DiskConfig { readonly: true, ..disk(folder.path()) };
    assert!(matches!(disk_refusal(readonly), DiskError::Kind { found: "a directory", .. }));
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    // It would hold up an open that waits for its other end.
    assert!(matches!(disk_refusal(disk(&pipe)), DiskError::Kind { .. }));
    for len in [0, 1, 511, 513] {
        let path = folder.path().join("odd.img");
        fs::write(&path, vec![0; len]).unwrap();
        let error = disk_refusal(disk(&path));
        assert!(matches!(error, DiskError::Len { found, .. } if found == len as u64), "{error}");
    }
}

#[test]
fn a_disk_that_fails_is_an_error_of_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = disk_in(&folder, "a.img");
    let mut machine = born(&one_request(1), &[VirtioConfig::Block(disk(&path))]);
    put_request(&machine, &mut DriverQueue::new(RINGS, 16), IN, 62);
    // Somebody cuts it off while the guest runs.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(512).unwrap();
    assert_eq!(run(&mut machine), Outcome::PoweredOff);
    assert_eq!(bytes_at(&machine, STATUS, 1), [1]);
}

#[test]
fn a_disk_that_cannot_be_written_is_an_error_of_the_request() {
    let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("disk", flags).unwrap();
    rustix::fs::ftruncate(&file, 64 * 512).unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let mut machine = born(&one_request(1), &[VirtioConfig::Block(disk(&path))]);
    rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::WRITE).unwrap();
    put_request(&machine, &mut DriverQueue::new(RINGS, 16), OUT, 0);
    assert_eq!(run(&mut machine), Outcome::PoweredOff);
    assert_eq!(bytes_at(&machine, STATUS, 1), [1]);
}

#[test]
fn devices_come_back_with_their_disk_and_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = disk_in(&folder, "a.img");
    // Saved between setting up and notifying: the request waits in the queue.
    let mut machine = born(&one_request(0), &[VirtioConfig::Block(disk(&path)), VirtioConfig::Rng]);
    assert_eq!(run(&mut machine), Outcome::PoweredOff);
    put_request(&machine, &mut DriverQueue::new(RINGS, 16), IN, 5);
    // The next call of the guest is the one that notifies, in the restored machine.
    let file = file_with(&machine, |records| {
        set(records, "cpu", "vcpu0", support::STEP, Value::u64(1));
    });
    let hash = machine.state_hash().unwrap();
    drop(machine);
    let moved = folder.path().join("moved.img");
    fs::rename(&path, &moved).unwrap();
    let prepared = restored(file, &[change(path.to_str().unwrap(), &moved)]).unwrap();
    assert!(prepared.report().dropped.is_empty() && prepared.report().carried.is_empty());
    assert_ne!(prepared.machine().state_hash().unwrap(), hash, "STEP was changed");
    let mut again = prepared.commit(abide_machine::lifecycle::Intent::Move).unwrap();
    assert_eq!(run(&mut again), Outcome::PoweredOff);
    assert_eq!(bytes_at(&again, STATUS, 1), [0]);
    assert_eq!(bytes_at(&again, DATA, 1024), fs::read(&moved).unwrap()[5 * 512..7 * 512]);
}

#[test]
fn where_a_disk_is_does_not_enter_the_state_hash() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, path) = lived(&folder);
    let (state, hash) = (machine.state().unwrap(), machine.state_hash().unwrap());
    let file = file_with(&machine, |_| ());
    drop(machine);
    let moved = folder.path().join("moved.img");
    fs::rename(&path, &moved).unwrap();
    let prepared = restored(file, &[change("0", &moved)]).unwrap();
    let again = prepared.machine();
    assert_eq!(again.state_hash().unwrap(), hash);
    let others = |records: Vec<abide_snapshot::UnitRecord>| -> Vec<_> {
        records.into_iter().filter(|record| record.unit.as_str() != "disk").collect()
    };
    assert_eq!(others(again.state().unwrap()), others(state));
}

#[test]
fn a_restored_disk_is_locked_measured_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, path) = lived(&folder);
    let file = file_with(&machine, |_| ());
    let error = refusal(file.clone(), &[]);
    let in_use = matches!(error, RestoreError::Disk { slot: 0, source: DiskError::InUse { .. } });
    assert!(in_use, "{error}");
    drop(machine);
    let prepared = restored(file.clone(), &[]).unwrap();
    assert!(matches!(disk_refusal(disk(&path)), DiskError::InUse { .. }), "from here on");
    drop(prepared);
    for (name, len) in [("short.img", 63 * 512), ("long.img", 65 * 512)] {
        let other = folder.path().join(name);
        fs::write(&other, vec![0; len]).unwrap();
        let error = refusal(file.clone(), &[change("0", &other)]);
        assert!(matches!(error, RestoreError::DiskLen { slot: 0, saved: 64, .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    for old in ["1", "2", "a.img", ""] {
        let error = refusal(file.clone(), &[change(old, &path)]);
        assert!(matches!(&error, RestoreError::NoSuchDisk { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let error = refusal(file, &[]);
    let gone = matches!(error, RestoreError::Disk { source: DiskError::Open { .. }, .. });
    assert!(gone, "{error}");
}

#[test]
fn a_readonly_disk_comes_back_readonly() {
    let folder = tempfile::tempdir().unwrap();
    let path = disk_in(&folder, "a.img");
    let config = DiskConfig { readonly: true, ..disk(&path) };
    let machine = born(&one_request(1), &[VirtioConfig::Block(config.clone())]);
    let file = file_with(&machine, |_| ());
    let _again = restored(file, &[]).unwrap();
    born(&MockEngine::idle(), &[VirtioConfig::Block(config)]);
    assert!(matches!(disk_refusal(disk(&path)), DiskError::InUse { .. }));
}

#[test]
fn a_file_without_its_disk_record_needs_to_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, path) = lived(&folder);
    let is_disk = |record: &Record| match record {
        Record::Unit(record) => record.unit.as_str() == "disk",
        Record::Kept(_) | Record::Right(_) | Record::Foreign(_) => false,
    };
    let file = file_with(&machine, |records| records.retain(|record| !is_disk(record)));
    drop(machine);
    assert!(matches!(refusal(file.clone(), &[]), RestoreError::DiskUnknown { slot: 0 }));
    assert!(restored(file, &[change("0", &path)]).is_ok());
}

/// How a file is refused in which one register of the machine is another.
fn with_register(unit: &str, scope: &str, name: &str, value: Value) -> RestoreError {
    let folder = tempfile::tempdir().unwrap();
    let (machine, _) = lived(&folder);
    let file = file_with(&machine, |records| {
        set(records, unit, scope, RegId::named(name), value);
    });
    drop(machine);
    refusal(file, &[])
}

#[test]
fn impossible_registers_are_refused_by_name() {
    let slots = |ids: &[u8]| {
        let mut bytes = [0; 32];
        bytes[..ids.len()].copy_from_slice(ids);
        Value::bytes(&bytes)
    };
    let error = with_register("board", "vm", "board.virtio", slots(&[2, 4, 99]));
    assert!(matches!(error, RestoreError::VirtioDevice { slot: 2, found: 99 }), "{error}");
    for ids in [&[][..], &[2, 0, 4], &[0, 2]] {
        let error = with_register("board", "vm", "board.virtio", slots(ids));
        let slots_id = RegId::named("board.virtio");
        let by_name = matches!(&error, RestoreError::Intake { source, .. }
            if matches!(source, IntakeError::Value { id, .. } if *id == slots_id));
        assert!(by_name, "{ids:?}: {error}");
    }
    let error = with_register("board", "vm", "board.virtio", slots(&[2, 4]));
    assert!(matches!(error, RestoreError::UnknownUnit { .. }), "{error}");
    let error = with_register("board", "vm", "board.virtio", slots(&[2, 4, 3, 4]));
    let missing = matches!(error, RestoreError::MissingUnit { scope: Scope::Device(3), .. });
    assert!(missing, "{error}");
    for (name, value) in [
        ("virtio.q0.desc_gpa", Value::u64(0x3fff_fff0)),
        ("virtio.q0.driver_gpa", Value::u64(u64::MAX - 1)),
        ("virtio.q0.device_gpa", Value::u64(RINGS.0 + 2)),
        ("virtio.q0.size", Value::u32(3)),
        ("virtio.q0.size_max", Value::u32(65_536)),
        ("virtio.q0.ready", Value::u8(2)),
        ("virtio.status", Value::u8(0x10)),
        ("virtio.driver_features", Value::u64(1 << 40)),
        ("virtio.device_features", Value::u64(1 << 32 | 1 << 60)),
        ("virtio.device_id", Value::u32(4)),
        ("virtio.unserved", Value::u8(2)),
        ("virtio.blk.capacity", Value::u64(u64::MAX)),
    ] {
        let error = with_register("virtio-blk", "dev0", name, value);
        assert!(matches!(&error, RestoreError::Intake { .. }), "{name}: {error}");
        assert!(error.to_string().starts_with("virtio-blk dev0: register virtio."), "{error}");
    }
    for (name, value) in [
        ("disk.path", Value::bytes(b"")),
        ("disk.path", Value::bytes(b"a\0b")),
        ("disk.direct", Value::u8(2)),
    ] {
        let error = with_register("disk", "dev0", name, value);
        assert!(matches!(error, RestoreError::Intake { .. }), "{name}: {error}");
    }
}

#[test]
fn each_missing_device_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, _) = lived(&folder);
    let units = [("virtio-blk", "dev0"), ("virtio-rng", "dev1"), ("virtio-console", "dev2")];
    let files = units.map(|(unit, scope)| {
        file_with(&machine, |records| {
            let name = record(records, unit, scope).unit;
            records.retain(|record| !matches!(record, Record::Unit(r) if r.unit == name));
        })
    });
    drop(machine);
    for ((unit, _), file) in units.iter().zip(files) {
        let error = refusal(file, &[]);
        let named =
            matches!(&error, RestoreError::MissingUnit { unit: u, .. } if u.as_str() == *unit);
        assert!(named, "{unit}: {error}");
    }
}

#[test]
fn what_is_typed_goes_to_the_virtio_console() {
    let engine = MockEngine::new(|turn| {
        if turn.next_step() == 0 {
            bring_up(turn, SLOT[0], &DriverQueue::new(RINGS, 16), 16);
            turn.write(SLOT[0] + 0x50, 0);
        }
        if turn.read(SLOT[0] + 0x60) == 0 {
            return Stop::Idle;
        }
        turn.power_off()
    });
    let mut machine = born(&engine, &[VirtioConfig::Console]);
    let mut queue = DriverQueue::new(RINGS, 16);
    queue.add(machine.ram(), &[Desc::writable(DATA, 3), Desc::writable(STATUS, 100)]);
    let (control, requests) = control();
    let typist = std::thread::spawn(move || control.ask(Command::Input(b"hello".to_vec())));
    let outcome = machine.run(&requests, &Default::default()).unwrap().outcome;
    assert_eq!(outcome, Outcome::PoweredOff);
    assert!(matches!(typist.join().unwrap(), Some(Reply::Typed { taken: 5 })));
    assert_eq!(queue.take_used(machine.ram()), Some((0, 5)));
    assert_eq!(bytes_at(&machine, DATA, 3), b"hel");
    assert_eq!(bytes_at(&machine, STATUS, 2), b"lo");
}
