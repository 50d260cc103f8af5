//! The bytes on disk are those of `docs/state-format.md`, today and in every file of the past.

mod common;

use abide_memory::GuestRam;
use abide_reg::{Class, Name};
use abide_snapshot::{
    Compression, Container, Digest, Reader, Record, Snapshot, state_hash, verify, write_to,
};
use common::sample;

/// The document's example as bytes.
fn documented() -> (Vec<u8>, String) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/state-format.md");
    let document = std::fs::read_to_string(path).expect("the document is in the repository");
    let (_, example) = document.split_once("## 7. Example").expect("the example's section");
    let mut bytes: Vec<u8> = Vec::new();
    let mut repeats = false;
    for line in example.lines().skip_while(|line| !line.starts_with("000")) {
        if line == "*" {
            repeats = true;
            continue;
        }
        let Some(offset) = line.get(..8).and_then(|text| usize::from_str_radix(text, 16).ok())
        else {
            break;
        };
        let last = bytes.len().saturating_sub(16);
        while repeats && bytes.len() < offset {
            bytes.extend_from_within(last..last + 16);
        }
        repeats = false;
        assert_eq!(bytes.len(), offset, "the listing has no gap");
        let columns = line.get(8..58).unwrap_or_default().split_whitespace();
        bytes.extend(columns.map(|text| u8::from_str_radix(text, 16).expect("two hex digits")));
    }
    let (_, hash) = example.split_once("State hash of this file: `").expect("the state hash");
    (bytes, hash[..64].to_owned())
}

fn write(snapshot: &Snapshot, rams: &[&GuestRam], compression: Compression) -> Vec<u8> {
    let mut file = Vec::new();
    let written = write_to(&mut file, snapshot, rams, compression).expect("a sink in memory");
    assert_eq!(written.file_len, file.len() as u64);
    file
}

#[test]
fn the_document_shows_what_is_written() {
    let snapshot = Snapshot { header: sample::header(), records: vec![sample::uart().into()] };
    let ram = sample::document_ram();
    let file = write(&snapshot, &[&ram], Compression::None);
    let (bytes, hash) = documented();
    assert!(bytes == file, "docs/state-format.md §7 differs from what is written");
    assert!(bytes == common::golden("v1.0-document.abide"));
    assert_eq!(hash, state_hash(snapshot.units(), &[&ram]).unwrap().to_string());
}

#[test]
fn the_state_hash_is_the_documented_one() {
    // Computed from the page's words, with no code of the crate's.
    let mut bytes = b"abide state 1\0\0\0".to_vec();
    bytes.extend(1u64.to_le_bytes());
    let mut unit = b"pl011".to_vec();
    unit.resize(32, 0);
    bytes.extend(unit);
    bytes.extend(2u32.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(20u64.to_le_bytes());
    bytes.extend([3, 12, 4, 0]);
    bytes.extend(b"pl011.uartcr");
    bytes.extend(0x301u32.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(0x4000_0000u64.to_le_bytes());
    bytes.extend(0x2000u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(0x4000_0000u64.to_le_bytes());
    let mut ram = vec![0; 0x2000];
    ram[0x1000..0x1009].copy_from_slice(b"guest RAM");
    bytes.extend(blake3::hash(&ram).as_bytes());
    assert_eq!(documented().1, Digest::of(&bytes).to_string());
}

/// A golden file must be intact and hold the sample state for as long as the project lives.
fn restored(name: &str, rams: &[&GuestRam]) -> Reader {
    let file = common::golden(name);
    assert_eq!(verify(&Container::from_bytes(file.clone()).expect("golden")), []);
    let reader = Reader::from_bytes(file).expect("golden");
    let mut again = Vec::new();
    for ram in rams {
        let fresh = GuestRam::new(ram.base(), ram.size()).expect("golden");
        reader.restore_memory(&fresh).expect("golden");
        again.push(fresh);
    }
    let again: Vec<_> = again.iter().collect();
    let expected = state_hash(sample::snapshot().units(), rams).expect("golden");
    assert_eq!(state_hash(reader.snapshot().units(), &again).expect("golden"), expected);
    assert_eq!(reader.state_hash().expect("golden"), expected);
    assert_eq!(reader.snapshot(), &sample::snapshot());
    reader
}

#[test]
fn golden_state_is_restored_and_written_again_byte_for_byte() {
    let reader = restored("v1.0-state.abide", &[]);
    assert_eq!(reader.ram_ranges(), []);
    let again = write(reader.snapshot(), &[], Compression::None);
    assert!(again == common::golden("v1.0-state.abide"));
}

#[test]
fn golden_ram_is_restored_and_written_again_byte_for_byte() {
    let ram = sample::small_ram();
    let reader = restored("v1.0-raw.abide", &[&ram]);
    let again = write(reader.snapshot(), &[&ram], Compression::None);
    assert!(again == common::golden("v1.0-raw.abide"));
}

#[test]
fn golden_compressed_ram_is_restored() {
    let [low, high] = sample::large_rams();
    let reader = restored("v1.0-lz4.abide", &[&low, &high]);
    let chunks: Vec<_> = reader.chunks().iter().map(|chunk| chunk.gpa.0).collect();
    assert_eq!(chunks, [0x4000_0000, 0x4060_0000, 0x1_0000_0000]);
}

#[test]
fn a_golden_file_of_a_newer_minor_is_restored_and_its_records_carried_byte_for_byte() {
    let file = common::golden("v1.9-carried.abide");
    assert_eq!(verify(&Container::from_bytes(file.clone()).unwrap()), []);
    let reader = Reader::from_bytes(file.clone()).unwrap();
    assert_eq!(reader.snapshot().header.version.minor, 9);
    let again = write(reader.snapshot(), &[], Compression::None);
    // All records between header and end record are there unchanged; the header is our own.
    let end = file.len() - 104;
    assert!(again[256..end] == file[256..end]);
    let parts = reader.snapshot().clone().into_parts();
    let names = |records: &[abide_snapshot::ForeignRecord]| -> Vec<Name> {
        records.iter().map(abide_snapshot::ForeignRecord::unit).collect()
    };
    assert_eq!(parts.units, [sample::uart()]);
    assert_eq!(names(&parts.carried), [Name::new("new-static"), Name::new("new-flags")]);
    assert_eq!(names(&parts.dropped), [Name::new("new-volatile")]);
    let classes: Vec<_> = reader
        .snapshot()
        .records
        .iter()
        .map(|record| match record {
            Record::Unit(unit) => unit.class,
            Record::Kept(_) | Record::Right(_) => Class::Mandatory,
            Record::Foreign(foreign) => foreign.class(),
        })
        .collect();
    let expected = [Class::Static, Class::Mandatory, Class::Volatile, Class::Static];
    assert_eq!(classes, expected);
}

#[test]
fn the_newer_golden_file_is_what_the_second_writer_writes() {
    use common::RawRecord;
    let uart: Vec<u8> = [&[3, 12, 4, 0][..], b"pl011.uartcr", &[1, 3, 0, 0]].concat();
    let records = [
        RawRecord::new(77, 1, b"new-static", b"static payload"),
        RawRecord { scope: (2, 0), ..RawRecord::new(1, 0, b"pl011", &uart) },
        RawRecord { scope: (9, 4), ..RawRecord::new(78, 2, b"new-volatile", &[]) },
        RawRecord { flags: 2, reserved: 5, ..RawRecord::new(1, 1, b"new-flags", b"other form") },
    ];
    let mut header = common::raw_header(1, 9);
    header[200] = 7;
    common::reseal_header(&mut header);
    let file = common::file(header, &records, &[]);
    assert!(file == common::golden("v1.9-carried.abide"));
}
