//! Files that no correct program wrote, and files of programs yet to be written: every checksum is
//! right, only the content is not.

mod common;

use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_snapshot::{
    CHUNK_SIZE, Container, Finding, MAX_CHUNKS, MAX_STATE_LEN, Place, Problem, Reader,
    RestoreError, Verdict, Version, diff, inspect, verify,
};
use common::{RawChunk, RawRecord, file, memory, raw_header, reseal_header};

const BASE: u64 = 0x4000_0000;

fn unit(unit: &'static [u8], payload: &[u8]) -> RawRecord {
    RawRecord::new(1, 0, unit, payload)
}

fn register() -> Vec<u8> {
    [&[3, 4, 1, 0][..], b"a.cr", &[9, 0, 0, 0]].concat()
}

/// The one thing that is wrong, after which opening refuses the file.
fn refused(bytes: Vec<u8>) -> Finding {
    let container = Container::from_bytes(bytes.clone()).expect("an intact header");
    let found = container.findings().to_vec();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(verify(&container).first(), found.first());
    let error = Reader::from_bytes(bytes).expect_err("something is wrong");
    assert_eq!(error.finding(), Some(&found[0]));
    found[0].clone()
}

fn of_records(records: &[RawRecord]) -> Finding {
    refused(file(raw_header(1, 0), records, &[]))
}

#[test]
fn the_second_writer_can_write_a_good_file() {
    let bytes = file(raw_header(1, 0), &[unit(b"a", &register()), memory(&[(0, 4096)], &[])], &[]);
    assert_eq!(verify(&Container::from_bytes(bytes.clone()).unwrap()), []);
    assert!(Reader::from_bytes(bytes).is_ok());
}

#[test]
fn a_newer_minor_is_read_and_its_mandatory_novelties_are_refused_by_name() {
    let good = [unit(b"a", &register())];
    assert!(Reader::from_bytes(file(raw_header(1, 7), &good, &[])).is_ok());
    let novelties = [
        RawRecord::new(99, 0, b"novel", b"?"),
        RawRecord { flags: 1, ..unit(b"novel", &register()) },
        RawRecord { reserved: 1, ..unit(b"novel", &register()) },
        RawRecord { scope: (3, 0), ..unit(b"novel", &register()) },
        RawRecord { scope: (0, 1), ..unit(b"novel", &register()) },
    ];
    for novelty in novelties {
        let found = refused(file(raw_header(1, 7), &[good[0].clone(), novelty], &[]));
        assert_eq!(found.problem, Problem::UnknownMandatory);
        assert_eq!(found.problem.verdict(), Verdict::Refused);
        assert!(found.to_string().contains("`novel`"), "{found}");
    }
}

#[test]
fn a_newer_major_is_inspected_but_neither_judged_nor_restored() {
    let mut bytes = file(raw_header(2, 3), &[unit(b"a", &register())], &[]);
    let container = Container::from_bytes(bytes.clone()).unwrap();
    let inspection = inspect(&container, &|_| Some("CR".into()));
    assert_eq!(inspection.header.version, Version { major: 2, minor: 3 });
    assert_eq!(inspection.header.producer, "future 9.9");
    assert_eq!(inspection.records[0].entries[0].name.as_deref(), Some("CR"));
    let found = verify(&container);
    assert_eq!(found[0].problem.verdict(), Verdict::Refused);
    assert!(found[0].to_string().contains("container version 2.3"), "{}", found[0]);
    assert!(found[0].to_string().contains("future 9.9"), "{}", found[0]);
    assert_eq!(found[1].problem, Problem::NotJudged);
    let error = Reader::from_bytes(bytes.clone()).unwrap_err();
    assert_eq!(error.finding(), Some(&found[0]));
    assert_eq!(diff(&container, &container, &|_| None), []);

    // What looks damaged may follow other rules: it is shown up to there, and not called damage.
    let at = bytes.len() - 104 + 63;
    bytes[at] ^= 1;
    let container = Container::from_bytes(bytes).unwrap();
    assert_eq!(inspect(&container, &|_| None).records.len(), 1);
    let verdicts: Vec<_> = verify(&container).iter().map(|f| f.problem.verdict()).collect();
    assert_eq!(verdicts, [Verdict::Refused, Verdict::NotJudged]);
    assert!(Reader::from_bytes(file(raw_header(0, 9), &[], &[])).is_err(), "version 0 is no less");
}

#[test]
fn header_fields_that_forbid_are_obeyed() {
    let with = |at: usize, byte: u8, minor: u16| {
        let mut header = raw_header(1, minor);
        header[at] = byte;
        reseal_header(&mut header);
        file(header, &[], &[])
    };
    assert_eq!(refused(with(14, 14, 0)).problem, Problem::PageShift { found: 14 });
    assert_eq!(refused(with(17, 1, 5)).problem, Problem::HeaderFlags { unknown: 0x100 });
    assert_eq!(refused(with(18, 1, 0)).problem, Problem::Reserved);
    assert_eq!(refused(with(15, 1, 0)).problem, Problem::Reserved);
    assert_eq!(refused(with(251, 1, 0)).problem, Problem::Reserved);
    assert!(Reader::from_bytes(with(18, 1, 5)).is_ok());
    assert!(Reader::from_bytes(with(251, 1, 5)).is_ok());
}

#[test]
fn records_of_bad_form_are_named() {
    let good = unit(b"good", &register());
    let of = |record: RawRecord| of_records(&[good.clone(), record]);
    let named = |found: &Finding, name: &str| match found.place {
        Place::Record { unit, .. } => unit.as_str() == name,
        _ => false,
    };
    let found = of(RawRecord { class: 3, ..unit(b"b", &[]) });
    assert!(named(&found, "b") && found.problem == Problem::Class { found: 3 });
    let found = of(RawRecord { padding: 1, ..RawRecord::new(99, 1, b"b", b"x") });
    assert!(named(&found, "b") && found.problem == Problem::Padding);
    let found = of(unit(b"b", &[1, 8, 8, 0]));
    assert!(named(&found, "b") && matches!(found.problem, Problem::Registers(_)));
    let found = of(unit(b"b", &register().repeat(2)));
    assert!(named(&found, "b") && matches!(found.problem, Problem::RegisterTwice { .. }));
    let found = of(good.clone());
    assert!(named(&found, "good") && found.problem == Problem::Twice { first: 256 });
    // An end record of another form ends nothing, and keeps the real one from doing so.
    let found = of(RawRecord::new(3, 1, b"end", &[0; 40]));
    assert!(named(&found, "end") && matches!(found.problem, Problem::Twice { .. }));
}

#[test]
fn records_without_a_name_end_the_reading() {
    for name in [&b""[..], b"Upper", b"a\0b"] {
        let name: &'static [u8] = name.to_vec().leak();
        let found = of_records(&[unit(name, &[])]);
        assert_eq!((found.place, found.offset), (Place::Head { unit: None }, 256));
        assert_eq!(found.problem, Problem::UnitName);
    }
}

#[test]
fn lengths_are_not_believed() {
    for kind in [1, 99] {
        for len in [MAX_STATE_LEN, u64::MAX, u64::MAX - 7, 1 << 40] {
            let record = RawRecord { kind, len: Some(len), ..unit(b"huge", &[]) };
            let found = of_records(&[record]);
            assert!(
                matches!(found.problem, Problem::TooLong { found, .. } if found == len),
                "{found}"
            );
        }
        // Within the limit, but not there.
        let record = RawRecord { kind, len: Some(MAX_STATE_LEN - 64), ..unit(b"huge", &[]) };
        assert!(matches!(of_records(&[record]).problem, Problem::Truncated { .. }));
    }
    let map = RawRecord { len: Some(u64::MAX), ..memory(&[(0, 4096)], &[]) };
    assert!(matches!(of_records(&[map]).problem, Problem::TooLong { .. }));
    let end = RawRecord { len: Some(41), ..RawRecord::new(3, 0, b"end", &[0; 40]) };
    let bytes = [raw_header(1, 0), end.bytes()].concat();
    assert_eq!(refused(bytes).problem, Problem::TooLong { found: 41, allowed: 40 });
}

#[test]
fn many_records_together_keep_to_the_limit() {
    let mut records: Vec<_> = (0..300)
        .map(|index| RawRecord {
            scope: (1, index),
            ..RawRecord::new(99, 1, b"bulk", &[0; (64 << 10) - 64])
        })
        .collect();
    assert!(matches!(of_records(&records).problem, Problem::TooLong { .. }));
    records.truncate(256);
    assert!(Reader::from_bytes(file(raw_header(1, 0), &records, &[])).is_ok());
    // Not even one without payload goes beyond.
    records.push(RawRecord::new(99, 1, b"one-more", &[]));
    assert_eq!(of_records(&records).problem, Problem::TooLong { found: 0, allowed: 0 });
}

#[test]
fn end_records_that_lie_are_refused() {
    let end = |len: u64, digest: [u8; 32]| {
        let payload = [&len.to_le_bytes()[..], &digest].concat();
        [raw_header(1, 0), RawRecord::new(3, 0, b"end", &payload).bytes()].concat()
    };
    let digest = *blake3::hash(&raw_header(1, 0)).as_bytes();
    assert!(Reader::from_bytes(end(360, digest)).is_ok());
    assert_eq!(refused(end(360, [0; 32])).problem, Problem::Digest);
    for len in [0, 359, 361, u64::MAX] {
        let problem = Problem::FileLen { found: len, allowed: 360 };
        assert_eq!(refused(end(len, digest)).problem, problem);
    }
    let short = RawRecord::new(3, 0, b"end", &[0; 8]);
    let bytes = [raw_header(1, 0), short.bytes()].concat();
    assert_eq!(refused(bytes).problem, Problem::PayloadLen { found: 8, allowed: 40 });
}

#[test]
fn memory_stands_once_and_last() {
    let map = memory(&[(0, 4096)], &[]);
    let found = of_records(&[map.clone(), unit(b"late", &register())]);
    assert_eq!(found.problem, Problem::MemoryNotLast);
    assert!(matches!(of_records(&[map.clone(), map.clone()]).problem, Problem::Twice { .. }));
    let renamed = RawRecord { unit: b"dram", ..map };
    assert_eq!(of_records(&[renamed]).problem, Problem::UnknownMandatory);
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    let of = |ranges: &[(u64, u64)]| of_records(&[memory(ranges, &[])]);
    let bad: [&[(u64, u64)]; 9] = [
        &[(0, 0)],
        &[(0, 4095)],
        &[(1, 4096)],
        &[(0, u64::MAX)],
        &[(u64::MAX - 4095, 4096)],
        &[(1 << 52, 4096)],
        &[(0, 8192), (4096, 4096)],
        &[(8192, 4096), (0, 4096)],
        &[(0, 4096), (0, 4096)],
    ];
    for ranges in bad {
        let found = of(ranges);
        assert!(matches!(found.problem, Problem::Range { .. }), "{ranges:?}: {found}");
        let index = ranges.len() as u64 - 1;
        assert_eq!(found.place, Place::Range { index });
    }
    assert!(matches!(of(&[]).problem, Problem::RangeCount { found: 0, .. }));
    let many: Vec<_> = (0..65).map(|index| (index * 4096, 4096)).collect();
    assert!(matches!(of(&many).problem, Problem::RangeCount { found: 65, .. }));
    // A range larger than any host is only a number until somebody restores it.
    let huge = file(raw_header(1, 0), &[memory(&[(0, 1 << 52)], &[])], &[]);
    let reader = Reader::from_bytes(huge).unwrap();
    assert!(reader.state_hash().is_ok());
}

#[test]
fn counts_that_contradict_the_payload_are_refused() {
    for (at, bytes) in [(4, 2u64), (8, 1), (8, MAX_CHUNKS + 1), (8, u64::MAX), (8, 1 << 58)] {
        let mut map = memory(&[(0, 4096)], &[]);
        let width = if at == 4 { 4 } else { 8 };
        map.payload[at..at + width].copy_from_slice(&bytes.to_le_bytes()[..width]);
        assert!(matches!(of_records(&[map]).problem, Problem::PayloadLen { .. }));
    }
    let mut map = memory(&[(0, 4096)], &[]);
    map.payload[2] = 0x40;
    assert!(matches!(of_records(&[map]).problem, Problem::ChunkSize { found: 0x40_0000, .. }));
    let short = RawRecord::new(2, 0, b"ram", &[0; 8]);
    assert!(matches!(of_records(&[short]).problem, Problem::PayloadLen { .. }));
}

/// A raw chunk of 4096 bytes of `byte`, where it belongs in a file with one such chunk.
fn raw_chunk(byte: u8) -> (RawChunk, Vec<u8>) {
    let content = vec![byte; 4096];
    let hash = *blake3::hash(&content).as_bytes();
    let (stored_len, encoding) = (4096, 1);
    let chunk =
        RawChunk { gpa: BASE, offset: 0x10000, stored_len, encoding, crc: 0, reserved: 0, hash };
    (chunk, content)
}

fn of_chunks(ranges: &[(u64, u64)], chunks: &[RawChunk], content: &[u8]) -> Vec<u8> {
    file(raw_header(1, 0), &[memory(ranges, chunks)], content)
}

#[test]
fn chunks_that_cannot_be_are_refused_by_their_address() {
    let (good, content) = raw_chunk(5);
    let range = [(BASE, 4096)];
    assert!(Reader::from_bytes(of_chunks(&range, std::slice::from_ref(&good), &content)).is_ok());
    let of = |chunk: RawChunk| {
        let gpa = Gpa(chunk.gpa);
        let found = refused(of_chunks(&range, &[chunk], &content));
        assert_eq!(found.place, Place::Chunk { gpa });
        found.problem
    };
    for gpa in [0, BASE - 4096, BASE + 1, BASE + 4096, BASE + CHUNK_SIZE, u64::MAX] {
        assert_eq!(of(RawChunk { gpa, ..good.clone() }), Problem::ChunkGpa);
    }
    for offset in [0, 256, 0xfff8, 0x10008, 0x20000, u64::MAX] {
        let problem = of(RawChunk { offset, ..good.clone() });
        assert_eq!(problem, Problem::ChunkOffset { found: offset, allowed: 0x10000 });
    }
    for stored_len in [0, 1, 4095, 4097, u32::MAX] {
        let problem = of(RawChunk { stored_len, ..good.clone() });
        assert!(matches!(problem, Problem::StoredLen { found, .. } if found == stored_len));
    }
    for stored_len in [0, 4096, u32::MAX] {
        let problem = of(RawChunk { stored_len, encoding: 2, ..good.clone() });
        assert!(matches!(problem, Problem::StoredLen { found, .. } if found == stored_len));
    }
    assert_eq!(of(RawChunk { crc: 1, ..good.clone() }), Problem::Reserved);
    assert_eq!(of(RawChunk { reserved: 1, ..good.clone() }), Problem::Reserved);
    assert_eq!(of(RawChunk { encoding: 9, ..good.clone() }), Problem::Encoding { found: 9 });
    assert_eq!(Problem::Encoding { found: 9 }.verdict(), Verdict::Refused);
}

#[test]
fn chunks_out_of_order_doubled_or_overlapping_are_refused() {
    let (first, content) = raw_chunk(5);
    let range = [(BASE, CHUNK_SIZE + 4096)];
    let lz4 = |gpa, offset| RawChunk { gpa, offset, stored_len: 16, encoding: 2, ..first.clone() };
    let (low, high) = (BASE, BASE + CHUNK_SIZE);
    let of = |chunks: &[RawChunk]| refused(of_chunks(&range, chunks, &content[..32])).problem;
    assert_eq!(of(&[lz4(low, 0x10000), lz4(low, 0x10010)]), Problem::ChunkGpa);
    assert_eq!(of(&[lz4(high, 0x10000), lz4(low, 0x10010)]), Problem::ChunkGpa);
    // Two chunks that share stored bytes, or leave more room than alignment asks for.
    for offset in [0x10000, 0x10008, 0x10018] {
        let found = of(&[lz4(low, 0x10000), lz4(high, offset)]);
        assert_eq!(found, Problem::ChunkOffset { found: offset, allowed: 0x10010 });
    }
}

#[test]
fn a_listed_chunk_of_zeros_is_as_good_as_none() {
    let (chunk, content) = raw_chunk(0);
    let listed = of_chunks(&[(BASE, 4096)], &[chunk], &content);
    let absent = of_chunks(&[(BASE, 4096)], &[], &[]);
    let [listed, absent] = [listed, absent].map(|bytes| Reader::from_bytes(bytes).unwrap());
    assert_eq!(listed.state_hash().unwrap(), absent.state_hash().unwrap());
    assert_eq!(diff(listed.container(), absent.container(), &|_| None), []);
    let ram = GuestRam::new(Gpa(BASE), 4096).unwrap();
    listed.restore_memory(&ram).unwrap();
    assert_eq!(ram.next_present(abide_memory::RamOffset(0)).unwrap(), None);
}

/// A file of one LZ4 chunk for RAM of `len` bytes.
fn packed(len: u64, stored: &[u8], hash: [u8; 32]) -> Vec<u8> {
    let chunk = RawChunk {
        gpa: BASE,
        offset: 0x10000,
        stored_len: u32::try_from(stored.len()).expect("short"),
        encoding: 2,
        crc: crc32c::crc32c(stored),
        reserved: 0,
        hash,
    };
    of_chunks(&[(BASE, len)], &[chunk], stored)
}

#[test]
fn compressed_bytes_unpack_to_the_chunk_or_are_refused() {
    let content = [7; 4096];
    let hash = *blake3::hash(&content).as_bytes();
    let good = lz4_flex::block::compress(&content);
    assert_eq!(verify(&Container::from_bytes(packed(4096, &good, hash)).unwrap()), []);
    let bomb = lz4_flex::block::compress(&vec![7; 4096 * 250]);
    let too_few = lz4_flex::block::compress(&content[..4000]);
    let outside = [0x10, 7, 0xff, 0xff, 0x00];
    let endless = [&[0x1f, 7, 1, 0][..], &[0xff; 3000]].concat();
    for stored in [&bomb[..], &too_few, &outside, &endless, &[0xf0], &[0]] {
        let bytes = packed(4096, stored, hash);
        let found = verify(&Container::from_bytes(bytes.clone()).unwrap());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].problem, Problem::Unpack { allowed: 4096 });
        let reader = Reader::from_bytes(bytes).unwrap();
        let ram = GuestRam::new(Gpa(BASE), 4096).unwrap();
        let error = reader.restore_memory(&ram).unwrap_err();
        assert!(matches!(error, RestoreError::Found(finding) if finding == found[0]));
    }
    let wrong = verify(&Container::from_bytes(packed(4096, &good, [1; 32])).unwrap());
    assert_eq!(wrong[0].problem, Problem::ChunkHash);
}

#[test]
fn ram_of_another_shape_is_not_filled() {
    let (chunk, content) = raw_chunk(5);
    let reader = Reader::from_bytes(of_chunks(&[(BASE, 4096)], &[chunk], &content)).unwrap();
    for (gpa, size) in [(BASE, 8192), (BASE + 4096, 4096), (0, 4096)] {
        let ram = GuestRam::new(Gpa(gpa), size).unwrap();
        let error = reader.restore_memory(&ram).unwrap_err();
        assert!(matches!(error, RestoreError::Range { .. }));
        assert!(error.to_string().contains("0x1000 bytes at 0x40000000"), "{error}");
    }
}
