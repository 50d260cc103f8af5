//! The right to run: where it stands, that it is taken once, and that no damage gives it back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use abide_memory::GuestRam;
use abide_reg::{Class, Entry, Gpa, Name, RegId, Scope, Value};
use abide_snapshot::{
    Architecture, Compression, Existing, Header, MemoryId, Reader, Record, RightError, RightToRun,
    Snapshot, UnitRecord, WriteError, Writer, write_to,
};
use std::path::{Path, PathBuf};

const RIGHT: RightToRun = RightToRun { id: MemoryId([0x5a; 16]), is_taken: false };
/// Where the record stands, and behind it the next.
const RECORD: std::ops::Range<usize> = 256..344;

fn ram() -> GuestRam {
    let ram = GuestRam::new(Gpa(0x4000_0000), 3 << 20).unwrap();
    ram.write(Gpa(0x4000_1000), b"guest").unwrap();
    ram
}

fn snapshot(right: Option<RightToRun>) -> Snapshot {
    let entry = Entry::new(RegId::named("uart.x"), Class::Mandatory, Value::u32(7));
    let unit = UnitRecord {
        unit: Name::new("uart"),
        scope: Scope::Device(0),
        class: Class::Mandatory,
        entries: vec![entry],
    };
    let records = right.map(Record::Right).into_iter().chain([unit.into()]).collect();
    Snapshot { header: Header::new(Architecture::AARCH64), records }
}

fn written(snapshot: &Snapshot) -> Result<Vec<u8>, WriteError> {
    let mut file = Vec::new();
    write_to(&mut file, snapshot, &[&ram()], Compression::None).map(|_| file)
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.abide");
    let writer = Writer::create(&path, Existing::Keep).unwrap();
    writer.write(&snapshot(Some(RIGHT)), &[&ram()], Compression::None).unwrap();
    (folder, path)
}

fn of(path: &Path) -> Result<RightToRun, RightError> {
    RightToRun::of(&Reader::open(path).unwrap(), path)
}

#[test]
fn a_right_is_taken_once_and_the_file_stays_whole() {
    let (_folder, path) = place();
    let before = std::fs::read(&path).unwrap();
    let digest = Reader::open(&path).unwrap().digest();
    let right = of(&path).unwrap();
    assert_eq!(right, RIGHT);
    // Whoever looked at the same time has looked in vain.
    let late = of(&path).unwrap();
    right.take(&path).unwrap();
    assert!(matches!(late.take(&path), Err(RightError::Taken { .. })));
    assert!(matches!(of(&path), Err(RightError::Taken { .. })));
    let after = std::fs::read(&path).unwrap();
    assert_eq!(
        (&before[..RECORD.start], &before[RECORD.end..]),
        (&after[..RECORD.start], &after[RECORD.end..])
    );
    assert_ne!(before[RECORD], after[RECORD]);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.digest(), digest, "it names the guest that was saved");
    assert!(reader.snapshot().right().unwrap().is_taken);
    // Written again, both are what they were.
    for file in [before, after] {
        let reader = Reader::from_bytes(file.clone()).unwrap();
        assert!(written(reader.snapshot()).unwrap() == file);
    }
}

#[test]
fn every_byte_of_the_record_is_watched_over() {
    let taken = RightToRun { is_taken: true, ..RIGHT };
    for right in [RIGHT, taken] {
        let file = written(&snapshot(Some(right))).unwrap();
        assert_eq!(Reader::from_bytes(file.clone()).unwrap().snapshot().right(), Some(right));
        for at in RECORD {
            for bit in [1, 0x80] {
                let mut damaged = file.clone();
                damaged[at] ^= bit;
                assert!(Reader::from_bytes(damaged).is_err(), "byte {at}, bit {bit:#x}");
            }
        }
    }
    // Another right, intact in itself, is not the one that was sealed.
    let mut forged = written(&snapshot(Some(RIGHT))).unwrap();
    let other = RightToRun { id: MemoryId([1; 16]), is_taken: false };
    forged[RECORD].copy_from_slice(&written(&snapshot(Some(other))).unwrap()[RECORD]);
    assert!(Reader::from_bytes(forged).is_err());
}

#[test]
fn who_finds_another_file_takes_nothing() {
    let (folder, path) = place();
    let right = of(&path).unwrap();
    let other = RightToRun { id: MemoryId([1; 16]), is_taken: false };
    let file = written(&snapshot(Some(other))).unwrap();
    std::fs::write(&path, &file).unwrap();
    assert!(matches!(right.take(&path), Err(RightError::Changed { .. })));
    assert!(std::fs::read(&path).unwrap() == file);
    let gone = folder.path().join("gone");
    assert!(matches!(right.take(&gone), Err(RightError::Host { .. })));
    let held = std::fs::File::open(&path).unwrap();
    held.lock().unwrap();
    assert!(matches!(other.take(&path), Err(RightError::Busy { .. })));
    drop(held);
    other.take(&path).unwrap();
    let plain = Reader::from_bytes(written(&snapshot(None)).unwrap()).unwrap();
    assert!(matches!(RightToRun::of(&plain, &path), Err(RightError::Absent { .. })));
}

#[test]
fn a_right_that_nobody_could_take_is_not_written() {
    let nobody = RightToRun { id: MemoryId::default(), is_taken: false };
    assert!(matches!(written(&snapshot(Some(nobody))), Err(WriteError::Right)));
    let mut late = snapshot(Some(RIGHT));
    late.records.reverse();
    assert!(matches!(written(&late), Err(WriteError::Right)));
}
