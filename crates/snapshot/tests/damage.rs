//! Whatever is done to a file by chance is found, and its place named.

mod common;

use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_snapshot::{
    Container, Finding, Inspection, OpenError, Place, Problem, Reader, RecordKind, Verdict,
    inspect, verify,
};

/// Everything that is wrong with a file.
fn findings(file: Vec<u8>) -> Vec<Finding> {
    match Container::from_bytes(file) {
        Ok(container) => verify(&container),
        Err(OpenError::Header(finding)) => vec![finding],
        Err(error) => panic!("bytes cannot fail to open: {error}"),
    }
}

fn inspection(file: &[u8]) -> Inspection {
    inspect(&Container::from_bytes(file.to_vec()).expect("intact"), &|_| None)
}

/// Whether a file can be restored, RAM included.
fn restores(file: Vec<u8>) -> bool {
    let Ok(reader) = Reader::from_bytes(file) else { return false };
    reader.ram_ranges().iter().all(|range| {
        let ram = GuestRam::new(range.gpa, range.size).expect("small");
        reader.restore_memory(&ram).is_ok()
    })
}

/// Where a change of the byte at `at` must be reported.
fn is_named(intact: &Inspection, at: u64, found: &Finding) -> bool {
    if at < 256 {
        return found.place == Place::Header;
    }
    let record = intact.records.iter().rev().find(|record| record.offset <= at);
    let record = record.expect("records follow the header");
    let end = record.offset + 64 + record.payload_len.next_multiple_of(8);
    if at < record.offset + 64 {
        // The name itself may be what was changed.
        let by_name = matches!(found.place, Place::Head { unit } if unit == Some(record.unit));
        let in_name = at >= record.offset + 24 && at < record.offset + 56;
        return found.offset == record.offset
            && (by_name || in_name && matches!(found.place, Place::Head { .. }));
    }
    if at < end {
        let (kind, unit, scope) = (record.kind, record.unit, record.scope);
        return found.place == Place::Record { kind, unit, scope };
    }
    assert_eq!(record.kind, RecordKind::END);
    found.place == Place::Gap && found.offset == at
}

#[test]
fn any_changed_byte_of_metadata_is_found_and_named() {
    for name in ["v1.0-state.abide", "v1.0-raw.abide", "v1.0-lz4.abide"] {
        let good = common::golden(name);
        let intact = inspection(&good);
        let end = intact.records.last().expect("an end record");
        let metadata_len = usize::try_from(end.offset + 104).expect("small");
        for at in 0..metadata_len {
            for mask in [1, 0x80, 0xff] {
                let mut file = good.clone();
                file[at] ^= mask;
                let found = findings(file.clone());
                let first = found.first().unwrap_or_else(|| panic!("{name}: byte {at:#x} missed"));
                assert!(is_named(&intact, at as u64, first), "{name}: byte {at:#x}: {first}");
                assert_eq!(first.problem.verdict(), Verdict::Damaged, "{name}: byte {at:#x}");
                assert!(!restores(file), "{name}: byte {at:#x} changed, and restored");
            }
        }
    }
}

#[test]
fn any_changed_byte_of_ram_and_gap_is_found_and_named() {
    let good = common::golden("v1.0-raw.abide");
    let intact = inspection(&good);
    for at in 0x10000..good.len() {
        let mut file = good.clone();
        file[at] ^= 1 << (at % 8);
        let found = findings(file);
        let place = Place::Chunk { gpa: Gpa(0x4000_0000) };
        let finding = Finding { place, offset: 0x10000, problem: Problem::ChunkHash };
        assert_eq!(found, [finding], "byte {at:#x}");
    }
    let metadata_len = intact.records.last().expect("an end record").offset + 104;
    for at in usize::try_from(metadata_len).expect("small")..0x10000 {
        let mut file = good.clone();
        file[at] = 0x5a;
        let found = findings(file);
        assert_eq!(found.len(), 1, "byte {at:#x}");
        assert_eq!(
            (found[0].place, found[0].offset, &found[0].problem),
            (Place::Gap, at as u64, &Problem::Gap { found: 0x5a })
        );
    }
}

#[test]
fn any_changed_byte_of_compressed_ram_is_found_and_named() {
    let good = common::golden("v1.0-lz4.abide");
    let reader = Reader::from_bytes(good.clone()).unwrap();
    let chunks = reader.chunks().to_vec();
    // The large chunk in steps: each look at it unpacks 2 MiB.
    for (chunk, step) in chunks.iter().zip([97, 1, 41]) {
        for at in (chunk.offset..chunk.offset + u64::from(chunk.stored_len)).step_by(step) {
            let mut file = good.clone();
            file[usize::try_from(at).expect("small")] ^= 0x20;
            let found = findings(file.clone());
            let place = Place::Chunk { gpa: chunk.gpa };
            assert_eq!(found.len(), 1, "byte {at:#x}: {found:?}");
            assert_eq!((found[0].place, found[0].offset), (place, chunk.offset), "byte {at:#x}");
            assert!(matches!(found[0].problem, Problem::ChunkCrc { .. }));
            assert!(at % 16 != 0 || !restores(file), "byte {at:#x} changed, and restored");
        }
    }
    // Between packed chunks there are gaps of up to 7 bytes.
    let mut gaps = 0;
    for pair in chunks.windows(2) {
        for at in pair[0].offset + u64::from(pair[0].stored_len)..pair[1].offset {
            let mut file = good.clone();
            file[usize::try_from(at).expect("small")] = 1;
            let found = findings(file);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].place, found[0].offset), (Place::Gap, at));
            gaps += 1;
        }
    }
    assert!(gaps > 0, "the golden file has such a gap");
}

#[test]
fn a_file_cut_anywhere_in_its_metadata_is_refused_as_truncated() {
    for name in ["v1.0-state.abide", "v1.0-raw.abide", "v1.9-carried.abide"] {
        let good = common::golden(name);
        let end = inspection(&good).records.last().expect("an end record").offset + 104;
        for len in 0..usize::try_from(end).expect("small") {
            let file = good[..len].to_vec();
            let found = findings(file.clone());
            let first = found.first().unwrap_or_else(|| panic!("{name} cut at {len} passed"));
            assert!(
                matches!(first.problem, Problem::Truncated { missing } if missing > 0),
                "{name} cut at {len}: {first}"
            );
            assert_eq!(first.offset, len as u64, "{name}");
            assert!(Reader::from_bytes(file).is_err(), "{name} cut at {len} opened");
        }
    }
}

#[test]
fn a_file_cut_at_a_record_boundary_says_so_and_shows_the_records_before() {
    let good = common::golden("v1.0-raw.abide");
    let intact = inspection(&good);
    for (index, record) in intact.records.iter().enumerate() {
        let file = good[..usize::try_from(record.offset).expect("small")].to_vec();
        let cut = inspection(&file);
        assert_eq!(cut.records[..], intact.records[..index]);
        assert_eq!(cut.findings[0].place, Place::Head { unit: None });
        assert_eq!(cut.findings[0].problem, Problem::Truncated { missing: 64 });
        let found = verify(&Container::from_bytes(file).unwrap());
        assert_eq!(found.last().unwrap().problem, Problem::NotJudged, "RAM was not checked");
    }
}

#[test]
fn a_file_cut_in_its_ram_is_refused_before_any_of_it_is_read() {
    for name in ["v1.0-raw.abide", "v1.0-lz4.abide"] {
        let good = common::golden(name);
        for len in (0x10000 - 200..good.len()).step_by(61).chain([good.len() - 1]) {
            let file = good[..len].to_vec();
            let found = findings(file.clone());
            let missing = (good.len() - len) as u64;
            assert_eq!(found[0].problem, Problem::Truncated { missing }, "{name} cut at {len}");
            assert_eq!(found.len(), 1, "the chunks that are there are intact: {found:?}");
            assert!(Reader::from_bytes(file).is_err());
        }
    }
}

#[test]
fn bytes_after_the_end_are_found() {
    for name in ["v1.0-state.abide", "v1.0-raw.abide", "v1.0-lz4.abide"] {
        let good = common::golden(name);
        for extra in [1, 7, 64, 70_000] {
            let mut file = good.clone();
            file.resize(good.len() + extra, 0);
            let found = findings(file.clone());
            let problem = Problem::Trailing { extra: extra as u64 };
            assert_eq!(found, [Finding { place: Place::Tail, offset: good.len() as u64, problem }]);
            assert!(Reader::from_bytes(file).is_err());
        }
    }
}

#[test]
fn other_files_are_called_that() {
    for other in [&b"\x7fELF"[..], b"x", b"\x89ABIDE\n\n and so on", &[0; 4096]] {
        let found = findings(other.to_vec());
        assert_eq!((found[0].place, &found[0].problem), (Place::Header, &Problem::Magic));
    }
    assert_eq!(findings(Vec::new())[0].problem, Problem::Truncated { missing: 256 });
}

#[test]
fn records_after_a_damaged_one_and_ram_are_judged_all_the_same() {
    let mut file = common::golden("v1.0-raw.abide");
    let intact = inspection(&file);
    let [first, third] = [0, 2].map(|index: usize| &intact.records[index]);
    for record in [first, third] {
        file[usize::try_from(record.offset).expect("small") + 70] ^= 4;
    }
    file[0x10000] ^= 4;
    let found = findings(file);
    let places: Vec<_> = found.iter().map(|finding| finding.place.to_string()).collect();
    assert_eq!(
        places,
        ["unit record `gic` (vm)", "unit record `vcpu` (vcpu1)", "RAM chunk at 0x40000000"]
    );
}
