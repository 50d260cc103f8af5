//! A snapshot file is complete or not there.

mod common;

use abide_memory::GuestRam;
use abide_reg::{Class, Entry, Gpa, Name, RegId, Scope, Value};
use abide_snapshot::{
    Compression, Container, Existing, ForeignRecord, Head, Header, PARTIAL_SUFFIX, Reader, Record,
    RecordKind, Sink, Snapshot, UnitRecord, WriteError, Writer, verify, write_to,
};
use common::sample;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A disk with room for so many bytes.
struct Disk {
    bytes: Vec<u8>,
    room: usize,
}

impl Sink for Disk {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.room);
        self.room -= fits;
        self.bytes.write_at(offset, &bytes[..fits])?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        Sink::set_len(&mut self.bytes, len)
    }
}

#[test]
fn a_disk_that_fills_up_at_any_byte_leaves_no_snapshot() {
    let ram = sample::small_ram();
    let snapshot = sample::snapshot();
    for compression in [Compression::None, Compression::Lz4] {
        let write = |room| {
            let mut disk = Disk { bytes: Vec::new(), room };
            (write_to(&mut disk, &snapshot, &[&ram], compression), disk)
        };
        let (written, whole) = write(usize::MAX);
        written.unwrap();
        let need = usize::MAX - whole.room;
        for room in 0..need {
            let (written, disk) = write(room);
            let refused = matches!(&written, Err(WriteError::Sink(error))
                if error.kind() == io::ErrorKind::StorageFull);
            assert!(refused, "room for {room} of {need}: {written:?}");
            assert!(Reader::from_bytes(disk.bytes).is_err(), "room for {room} of {need}");
        }
        let (written, disk) = write(need);
        written.unwrap();
        assert!(disk.bytes == whole.bytes);
    }
}

#[test]
fn a_device_that_is_always_full_is_reported_as_full() {
    let mut full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ram = sample::small_ram();
    let error = write_to(&mut full, &sample::snapshot(), &[&ram], Compression::None).unwrap_err();
    let WriteError::Sink(source) = error else { panic!("{error}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into()).collect()
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL_SUFFIX);
    name.into()
}

const LIMIT: &str = "ABIDE_TEST_FILE_LIMIT";
const DIRECTORY: &str = "ABIDE_TEST_DIRECTORY";

/// The child's half of the next test: saves under a real limit of the kernel's, then without.
fn save_under_limit(limit: u64, directory: &Path) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Guest RAM is a file too, so it comes first.
    let ram = sample::small_ram();
    let before = getrlimit(Resource::Fsize);
    let limited = Rlimit { current: Some(limit), maximum: before.maximum };
    setrlimit(Resource::Fsize, limited).expect("lowering is allowed");
    let path = directory.join("web.abide");
    let save = || {
        Writer::create(&path, Existing::Keep)?.write(
            &sample::snapshot(),
            &[&ram],
            Compression::None,
        )
    };
    let refused = save().expect_err("the file would be longer than the limit");
    assert!(matches!(refused, WriteError::Full { .. }), "{refused}");
    assert!(refused.to_string().contains("no room"), "{refused}");
    assert_eq!(names(directory), [""; 0], "the half file is removed");
    // The guest is untouched, and the next try succeeds.
    setrlimit(Resource::Fsize, before).expect("raising to the old limit is allowed");
    save().expect("there is room now");
    assert_eq!(verify(&Container::open(&path).expect("saved")), []);
    assert_eq!(names(directory), ["web.abide"]);
}

#[test]
fn a_save_that_the_kernel_stops_leaves_no_file_and_can_be_repeated() {
    if let (Ok(limit), Ok(directory)) = (std::env::var(LIMIT), std::env::var(DIRECTORY)) {
        return save_under_limit(limit.parse().expect("a number"), Path::new(&directory));
    }
    let test = "a_save_that_the_kernel_stops_leaves_no_file_and_can_be_repeated";
    // Right at the start, in the middle of RAM, one byte short.
    for limit in ["0", "1", "70000", "81919"] {
        let directory = tempfile::tempdir().unwrap();
        // The limit kills who ignores it, except who ignores its signal.
        let status = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(LIMIT, limit)
            .env(DIRECTORY, directory.path())
            .status()
            .unwrap();
        assert!(status.success(), "limit {limit}");
        assert_eq!(names(directory.path()), ["web.abide"], "the child ran the test");
    }
}

fn save(path: &Path, existing: Existing, ram: &GuestRam) -> Result<(), WriteError> {
    let writer = Writer::create(path, existing)?;
    writer.write(&sample::snapshot(), &[ram], Compression::Lz4).map(drop)
}

#[test]
fn an_existing_file_is_kept_unless_replacing_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    let ram = sample::small_ram();
    save(&path, Existing::Keep, &ram).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read(&path).unwrap();
    assert!(matches!(save(&path, Existing::Keep, &ram), Err(WriteError::Exists { .. })));
    assert!(fs::read(&path).unwrap() == first);

    ram.write(sample::RAM_BASE, b"later").unwrap();
    save(&path, Existing::Replace, &ram).unwrap();
    assert!(fs::read(&path).unwrap() != first);
    assert_eq!(names(directory.path()), ["web.abide"]);
}

#[test]
fn a_file_that_appears_during_the_save_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    let writer = Writer::create(&path, Existing::Keep).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    let refused = writer.write(&sample::snapshot(), &[], Compression::None);
    assert!(matches!(refused, Err(WriteError::Exists { .. })), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
    assert_eq!(names(directory.path()), ["web.abide"]);
}

#[test]
fn a_replacement_that_fails_keeps_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    fs::write(&path, "the old one").unwrap();
    let writer = Writer::create(&path, Existing::Replace).unwrap();
    let twice = Snapshot {
        records: [sample::records(), sample::records()].concat(),
        header: sample::header(),
    };
    assert!(writer.write(&twice, &[], Compression::None).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"the old one");
    assert_eq!(names(directory.path()), ["web.abide"]);
}

#[test]
fn devices_and_directories_are_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let refused = Writer::create(directory.path(), Existing::Replace);
    assert!(matches!(refused, Err(WriteError::Host { step: "replace", .. })), "{refused:?}");
    let refused = Writer::create(Path::new("/dev/null"), Existing::Replace);
    assert!(matches!(refused, Err(WriteError::Host { step: "replace", .. })), "{refused:?}");
    let refused = Writer::create(&directory.path().join("no/such/place"), Existing::Keep);
    assert!(matches!(refused, Err(WriteError::Host { step: "create", .. })), "{refused:?}");
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    let writer = Writer::create(&path, Existing::Keep).unwrap();
    assert_eq!(names(directory.path()), ["web.abide.partial"]);
    drop(writer);
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn two_saves_to_one_name_do_not_meet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    let first = Writer::create(&path, Existing::Keep).unwrap();
    let second = Writer::create(&path, Existing::Keep);
    assert!(matches!(second, Err(WriteError::Busy { .. })), "{second:?}");
    first.write(&sample::snapshot(), &[], Compression::None).unwrap();
    assert_eq!(verify(&Container::open(&path).unwrap()), []);
}

#[test]
fn what_a_crash_left_behind_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    fs::write(partial(&path), vec![0xff; 1 << 20]).unwrap();
    save(&path, Existing::Keep, &sample::small_ram()).unwrap();
    assert_eq!(verify(&Container::open(&path).unwrap()), []);

    // Cut off between giving the final name and taking away the other: not to be written through.
    fs::hard_link(&path, partial(&path)).unwrap();
    let before = fs::read(&path).unwrap();
    drop(Writer::create(&path, Existing::Replace).unwrap());
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(names(directory.path()), ["web.abide"]);
}

#[test]
fn a_link_planted_as_half_file_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, "kept").unwrap();
    std::os::unix::fs::symlink(&elsewhere, partial(&path)).unwrap();
    assert!(save(&path, Existing::Keep, &sample::small_ram()).is_err());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
}

#[test]
fn zeros_in_raw_chunks_become_holes() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.abide");
    let ram = GuestRam::new(Gpa(0), 64 << 20).unwrap();
    for chunk in 0..32 {
        ram.write(Gpa(chunk * (2 << 20) + (1 << 20)), &[1]).unwrap();
    }
    let writer = Writer::create(&path, Existing::Keep).unwrap();
    let written = writer.write(&sample::snapshot(), &[&ram], Compression::None).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((written.chunks, metadata.len()), (32, (64 << 20) + (64 << 10)));
    // A file system without holes would store all 64 MiB.
    assert!(metadata.blocks() * 512 <= 32 * (128 << 10) + (128 << 10), "{}", metadata.blocks());
    assert_eq!(verify(&Container::open(&path).unwrap()), []);
}

#[test]
fn files_that_are_no_files_are_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path(), Path::new("/dev/zero"), &directory.path().join("absent")] {
        let error = Reader::open(path).unwrap_err();
        assert!(error.finding().is_none(), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn snapshots_that_no_reader_would_take_are_not_written() {
    let refused = |snapshot: &Snapshot| {
        let mut sink = Vec::new();
        let error = write_to(&mut sink, snapshot, &[], Compression::None).unwrap_err();
        assert!(sink.is_empty(), "nothing is written before everything is checked");
        error
    };
    let with = |records: Vec<Record>| Snapshot { header: sample::header(), records };
    let uart = sample::uart();
    let error = refused(&with(vec![uart.clone().into(), uart.clone().into()]));
    assert!(matches!(error, WriteError::RecordTwice { .. }), "{error}");
    let twice =
        UnitRecord { entries: [uart.entries.clone(), uart.entries.clone()].concat(), ..uart };
    let error = refused(&with(vec![twice.into()]));
    assert!(matches!(error, WriteError::RegisterTwice { .. }), "{error}");
    let wide = Entry::new(RegId::Kvm(1), Class::Static, Value::bytes(&vec![0; 1 << 16]));
    let error = refused(&with(vec![UnitRecord { entries: vec![wide], ..sample::uart() }.into()]));
    assert!(matches!(error, WriteError::Registers { .. }), "{error}");
    for kind in [RecordKind::UNIT, RecordKind::MEMORY, RecordKind::END] {
        let name = match kind {
            RecordKind::MEMORY => "ram",
            RecordKind::END => "end",
            _ => "unit",
        };
        let record = ForeignRecord::new(kind, Class::Mandatory, Name::new(name), Scope::Vm, &[]);
        assert!(Head::from(&Record::Foreign(record.clone())).is_known());
        let error = refused(&with(vec![Record::Foreign(record)]));
        assert!(matches!(error, WriteError::NotForeign { .. }), "{error}");
    }
    let bulk = vec![0; 16 << 20];
    let kind = RecordKind(50);
    let bulk = ForeignRecord::new(kind, Class::Static, Name::new("bulk"), Scope::Vm, &bulk);
    let error = refused(&with(vec![Record::Foreign(bulk)]));
    assert!(matches!(error, WriteError::StateLen { .. }), "{error}");
    let header = Header { kernel: "\u{1b}[2J".into(), ..sample::header() };
    let error = refused(&Snapshot { header, records: vec![] });
    assert!(matches!(error, WriteError::Text { field: "kernel", .. }), "{error}");
}
