//! Guest RAM in a file of its own, and the record that names it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use abide_memory::{GuestRam, RamOffset};
use abide_reg::{Class, Entry, Gpa, Name, RegId, Scope, Value};
use abide_snapshot::{
    Architecture, Compression, Container, Digest, Finding, Head, Header, KeptMemory, LABEL_LEN,
    MemoryFile, MemoryFileError, MemoryId, Problem, RamRange, ReadError, Reader, Record,
    RecordKind, Snapshot, TAIL_LEN, UnitRecord, WriteError, fuzz_reader, ram_hash, write_to,
};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const BASE: Gpa = Gpa(0x4000_0000);
const RAM_LEN: u64 = 3 << 20;
const GUEST: MemoryId = MemoryId([7; 16]);
const SAVE: MemoryId = MemoryId([9; 16]);

fn kept(path: &Path) -> KeptMemory {
    let range = RamRange { gpa: BASE, size: RAM_LEN };
    KeptMemory { range, guest: GUEST, save: SAVE, hash: None, path: path.to_owned() }
}

/// A memory file in which a guest ran, and was saved.
fn saved(path: &Path) -> KeptMemory {
    let mut file = MemoryFile::create(path, RAM_LEN, GUEST).unwrap();
    let ram = file.map(BASE).unwrap();
    file.begin().unwrap();
    ram.write(Gpa(BASE.0 + 5), b"guest").unwrap();
    file.keep(SAVE).unwrap();
    assert!(file.is_kept());
    kept(path)
}

fn refused(path: &Path, kept: &KeptMemory) -> MemoryFileError {
    MemoryFile::open(path, kept).map(|_| "it was opened").unwrap_err()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.ram");
    (folder, path)
}

#[test]
fn ram_is_where_it_was_and_fits_one_save_once() {
    let (_folder, path) = place();
    let kept = saved(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), RAM_LEN + 65536);
    // Nothing is changed by opening it: a restore that is broken off can be repeated.
    drop(MemoryFile::open(&path, &kept).unwrap());
    let mut file = MemoryFile::open(&path, &kept).unwrap();
    let ram = file.map(BASE).unwrap();
    let mut bytes = [0; 5];
    ram.read(Gpa(BASE.0 + 5), &mut bytes).unwrap();
    assert_eq!(&bytes, b"guest");
    file.begin().unwrap();
    drop((ram, file));
    assert!(matches!(refused(&path, &kept), MemoryFileError::Ran { .. }));
}

#[test]
fn wrong_older_and_other_files_are_refused_by_name() {
    let (_folder, path) = place();
    let good = saved(&path);
    let other = KeptMemory { guest: MemoryId([8; 16]), ..good.clone() };
    assert!(matches!(refused(&path, &other), MemoryFileError::Guest { found: GUEST, .. }));
    let older = KeptMemory { save: MemoryId([8; 16]), ..good.clone() };
    assert!(matches!(refused(&path, &older), MemoryFileError::Save { found: SAVE, .. }));
    let larger = RamRange { gpa: BASE, size: RAM_LEN + 4096 };
    let larger = KeptMemory { range: larger, ..good.clone() };
    assert!(matches!(refused(&path, &larger), MemoryFileError::Length { .. }));
    let missing = path.with_extension("gone");
    assert!(matches!(refused(&missing, &good), MemoryFileError::Missing { .. }));
    for error in [refused(&path, &other), refused(&missing, &good)] {
        assert!(error.to_string().contains("guest."), "{error}");
    }
}

#[test]
fn files_of_another_length_or_with_a_damaged_label_are_refused() {
    let (_folder, path) = place();
    let kept = saved(&path);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    for len in [0, RAM_LEN, RAM_LEN + 65535, RAM_LEN + 65537] {
        file.set_len(len).unwrap();
        let error = refused(&path, &kept);
        let MemoryFileError::Length { found, allowed, .. } = error else { panic!("{error}") };
        assert_eq!((found, allowed), (len, RAM_LEN + 65536));
    }
    std::fs::remove_file(&path).unwrap();
    saved(&path);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // Magic, version, state, length, guest, save, what must be zero, the checksum; a trial guest's
    // program.
    for at in [0, 8, 12, 16, 32, 48, 64, 4000, 4095, 4096, 4111] {
        let mut byte = [0];
        file.read_exact_at(&mut byte, RAM_LEN + at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], RAM_LEN + at).unwrap();
        assert!(matches!(refused(&path, &kept), MemoryFileError::Label { .. }), "{at}");
        file.write_all_at(&byte, RAM_LEN + at).unwrap();
    }
    MemoryFile::open(&path, &kept).unwrap();
}

#[test]
fn label_stands_where_the_document_says() {
    let (_folder, path) = place();
    saved(&path);
    let file = std::fs::read(&path).unwrap();
    let tail = &file[usize::try_from(RAM_LEN).unwrap()..];
    assert_eq!(tail.len() as u64, TAIL_LEN);
    let (label, trial) = tail.split_at(4096);
    assert_eq!(label.len() as u64, LABEL_LEN);
    assert_eq!(label[..16], *b"\x89ABRAM\r\n\x01\0\0\0\x02\0\0\0");
    assert_eq!(label[16..32], [0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((&label[32..48], &label[48..64]), (&[7; 16][..], &[9; 16][..]));
    assert!(label[64..4092].iter().all(|&byte| byte == 0));
    assert_eq!(label[4092..], crc32c::crc32c(&label[..4092]).to_le_bytes());
    // movz w0, #0x8400, lsl #16; movk w0, #8; hvc #0; b .
    let program = [0x52b0_8000_u32, 0x7280_0100, 0xd400_0002, 0x1400_0000];
    assert_eq!(trial[..16], *program.map(u32::to_le_bytes).as_flattened());
    assert!(trial[16..].iter().all(|&byte| byte == 0));
}

#[test]
fn trial_guest_stands_behind_ram_and_nowhere_else() {
    let (_folder, path) = place();
    let kept = saved(&path);
    let file = MemoryFile::open(&path, &kept).unwrap();
    let (ram, entry) = file.trial(BASE).unwrap();
    assert_eq!((ram.base(), ram.size(), entry), (BASE, 65536, Gpa(BASE.0 + 4096)));
    let mut first = [0; 8];
    ram.read(BASE, &mut first).unwrap();
    assert_eq!(&first, b"\x89ABRAM\r\n");
    // The very bytes of the file, and RAM's own are elsewhere.
    ram.write(Gpa(BASE.0 + 8192), b"seen").unwrap();
    let content = std::fs::read(&path).unwrap();
    assert_eq!(content[usize::try_from(RAM_LEN).unwrap() + 8192..][..4], *b"seen");
    let whole = ram.next_present(RamOffset(0)).unwrap();
    assert_eq!(whole.map(|(start, _)| start), Some(RamOffset(0)));
    assert_eq!(ram.next_present(RamOffset(65536)).unwrap(), None);
}

#[test]
fn two_users_are_one_too_many() {
    let (_folder, path) = place();
    let kept = saved(&path);
    let first = MemoryFile::open(&path, &kept).unwrap();
    assert!(matches!(refused(&path, &kept), MemoryFileError::Locked { .. }));
    let again = MemoryFile::create(&path, RAM_LEN, GUEST);
    assert!(matches!(again, Err(MemoryFileError::Locked { .. })));
    // The RAM holds the lock, too: nobody else may run while anybody has it mapped.
    let ram = first.map(BASE).unwrap();
    drop(first);
    assert!(matches!(refused(&path, &kept), MemoryFileError::Locked { .. }));
    drop(ram);
    MemoryFile::open(&path, &kept).unwrap();
}

#[test]
fn new_guest_takes_no_file_that_somebody_needs() {
    let (_folder, path) = place();
    let kept = saved(&path);
    let create = || MemoryFile::create(&path, RAM_LEN, MemoryId([1; 16]));
    assert!(matches!(create(), Err(MemoryFileError::Saved { save: SAVE, .. })));
    let mut file = MemoryFile::open(&path, &kept).unwrap();
    file.begin().unwrap();
    drop(file);
    // Its guest has ended. Nothing of it is left to the next.
    let mut file = create().unwrap();
    file.begin().unwrap();
    assert_eq!(file.map(BASE).unwrap().next_present(RamOffset(0)).unwrap(), None);
    drop(file);
    std::fs::write(&path, "a letter").unwrap();
    assert!(matches!(create(), Err(MemoryFileError::Foreign { len: 8, .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter");
    std::fs::write(&path, "").unwrap();
    create().unwrap().begin().unwrap();
}

#[test]
fn file_of_a_guest_that_never_ran_is_not_left() {
    let (_folder, path) = place();
    drop(MemoryFile::create(&path, RAM_LEN, GUEST).unwrap());
    assert!(!path.exists());
    // One that was there stays.
    std::fs::write(&path, "").unwrap();
    drop(MemoryFile::create(&path, RAM_LEN, GUEST).unwrap());
    assert!(path.exists());
}

#[test]
fn pipes_directories_and_devices_are_refused() {
    let (folder, path) = place();
    let create = |path: &Path| MemoryFile::create(path, RAM_LEN, GUEST).map(|_| ()).unwrap_err();
    for path in [folder.path(), Path::new("/dev/zero")] {
        assert!(matches!(create(path), MemoryFileError::Kind { .. }), "{path:?}");
        assert!(matches!(refused(path, &kept(path)), MemoryFileError::Kind { .. }), "{path:?}");
    }
    let pipe = rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    );
    pipe.unwrap();
    let error = create(&path);
    assert!(error.to_string().contains("a pipe found"), "{error}");
    let error = create(&folder.path().join("no/such/folder"));
    assert!(matches!(error, MemoryFileError::Host { .. }), "{error}");
}

#[test]
fn file_without_room_for_all_of_ram_is_refused_and_not_left() {
    let (_folder, path) = place();
    let error = MemoryFile::create(&path, 1 << 60, GUEST).unwrap_err();
    assert!(matches!(error, MemoryFileError::Full { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn all_of_ram_has_its_room_from_the_start() {
    use std::os::unix::fs::MetadataExt;
    let (_folder, path) = place();
    let kept = saved(&path);
    let room = || std::fs::metadata(&path).unwrap().blocks() * 512;
    assert!(room() >= RAM_LEN, "{} bytes", room());
    // Somebody made it sparse: a page without room would end the guest that touches it.
    let content = std::fs::read(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    file.set_len(RAM_LEN).unwrap();
    file.write_all_at(&content[content.len() - 65536..], RAM_LEN).unwrap();
    drop(MemoryFile::open(&path, &kept).unwrap());
    assert!(room() >= RAM_LEN, "{} bytes", room());
}

#[test]
fn changed_ram_is_found_where_there_is_a_hash() {
    let (_folder, path) = place();
    let kept = saved(&path);
    let file = MemoryFile::open(&path, &kept).unwrap();
    let ram = file.map(BASE).unwrap();
    let hash = ram_hash(&ram).unwrap();
    file.check(&ram, hash).unwrap();
    ram.write(Gpa(BASE.0 + (2 << 20)), &[1]).unwrap();
    let error = file.check(&ram, hash).unwrap_err();
    assert!(matches!(error, MemoryFileError::Content { .. }), "{error}");
}

fn snapshot(records: Vec<Record>) -> Snapshot {
    Snapshot { header: Header::new(Architecture::AARCH64), records }
}

fn written(records: Vec<Record>, rams: &[&GuestRam]) -> Result<Vec<u8>, WriteError> {
    let mut file = Vec::new();
    write_to(&mut file, &snapshot(records), rams, Compression::None).map(|_| file)
}

fn unit() -> Record {
    let entries = vec![Entry::new(RegId::named("a.b"), Class::Mandatory, Value::u8(1))];
    let (unit, scope, class) = (Name::new("unit"), Scope::Vm, Class::Mandatory);
    Record::Unit(UnitRecord { unit, scope, class, entries })
}

#[test]
fn record_is_read_as_it_was_written() {
    let hash = Some(Digest([3; 32]));
    let kept = KeptMemory { hash, ..kept(Path::new("/pmem/guest.ram")) };
    let records = vec![unit(), Record::Kept(kept.clone())];
    let file = written(records.clone(), &[]).unwrap();
    let reader = Reader::from_bytes(file.clone()).unwrap();
    assert_eq!(reader.snapshot().records, records);
    assert_eq!(reader.snapshot().kept_memory(), Some(&kept));
    let error = reader.state_hash().unwrap_err().to_string();
    assert!(error.contains("/pmem/guest.ram"), "{error}");
    let seen = abide_snapshot::inspect(reader.container(), &|_| None);
    assert_eq!(seen.kept_memory, Some(kept));
    fuzz_reader(&file);
    let other = KeptMemory { hash: None, ..seen.kept_memory.unwrap() };
    let other = written(vec![unit(), Record::Kept(other)], &[]).unwrap();
    let other = Container::from_bytes(other).unwrap();
    assert_eq!(abide_snapshot::diff(reader.container(), &other, &|_| None).len(), 1);
}

#[test]
fn record_beside_ram_or_before_others_is_refused() {
    let ram = GuestRam::new(BASE, RAM_LEN).unwrap();
    let kept = || Record::Kept(kept(Path::new("/m")));
    assert!(matches!(written(vec![kept()], &[&ram]), Err(WriteError::Kept { .. })));
    assert!(matches!(written(vec![kept(), unit()], &[]), Err(WriteError::Kept { .. })));
    let nameless = KeptMemory { path: PathBuf::new(), ..self::kept(Path::new("/m")) };
    assert!(matches!(written(vec![Record::Kept(nameless)], &[]), Err(WriteError::Kept { .. })));
}

/// What a version does that does not know the record: its type is that of no record it knows.
#[test]
fn version_without_the_record_refuses_by_its_name() {
    let mut file = written(vec![Record::Kept(kept(Path::new("/m")))], &[]).unwrap();
    // The head after the header; the type is its first byte, its checksum stands at 60.
    file[256] = 99;
    let crc = crc32c::crc32c(&file[256..316]).to_le_bytes();
    file[316..320].copy_from_slice(&crc);
    let Err(ReadError::Found(finding)) = Reader::from_bytes(file) else { panic!("opened") };
    let Finding { problem, .. } = &finding;
    assert!(matches!(problem, Problem::UnknownMandatory), "{finding}");
    assert!(finding.to_string().contains("memory-file"), "{finding}");
    let kept = Record::Kept(kept(Path::new("/m")));
    assert_eq!(Head::from(&kept).kind, RecordKind(4));
}
