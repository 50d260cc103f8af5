//! The fuzz body on files that a fuzzer would find soon: golden ones, cut, joined and changed with
//! their checksums put right.

mod common;

use abide_snapshot::{Reader, fuzz_reader};
use common::sample::Numbers;

const SMALL: [&str; 4] =
    ["v1.0-state.abide", "v1.9-carried.abide", "v1.0-raw.abide", "v1.0-document.abide"];

fn pick(numbers: &mut Numbers, below: usize) -> usize {
    usize::try_from(numbers.next() % below as u64).expect("below a usize")
}

/// Puts every checksum right that still has its place, so that what is behind it is reached.
fn reseal(file: &mut Vec<u8>) {
    if file.len() < 256 {
        return;
    }
    common::reseal_header(file);
    let mut at = 256;
    while at + 64 <= file.len() {
        let mut len = [0; 8];
        len.copy_from_slice(&file[at + 16..at + 24]);
        let len = usize::try_from(u64::from_le_bytes(len)).expect("64-bit host");
        let end = len.checked_next_multiple_of(8).and_then(|len| len.checked_add(at + 64));
        let is_end = file[at] == 3;
        if is_end && at + 104 <= file.len() {
            let digest = *blake3::hash(&file[..at]).as_bytes();
            file[at + 72..at + 104].copy_from_slice(&digest);
        }
        if let Some(payload) = end.and_then(|end| file.get(at + 64..end)) {
            let crc = crc32c::crc32c(payload).to_le_bytes();
            file[at + 56..at + 60].copy_from_slice(&crc);
        }
        let crc = crc32c::crc32c(&file[at..at + 60]).to_le_bytes();
        file[at + 60..at + 64].copy_from_slice(&crc);
        match end {
            Some(end) if !is_end => at = end,
            _ => return,
        }
    }
}

#[test]
fn the_body_takes_the_golden_files() {
    for name in SMALL.into_iter().chain(["v1.0-lz4.abide"]) {
        fuzz_reader(&common::golden(name));
    }
    fuzz_reader(&[]);
}

#[test]
fn mutated_files_break_no_promise() {
    let mut numbers = Numbers(0x5eed);
    let golden = SMALL.map(common::golden);
    let mut opened = 0;
    for round in 0..20_000 {
        let mut file = golden[round % golden.len()].clone();
        let metadata = file.len().min(1100);
        for _ in 0..1 + pick(&mut numbers, 4) {
            let at = pick(&mut numbers, metadata);
            match pick(&mut numbers, 5) {
                0 => file[at] ^= 1 << pick(&mut numbers, 8),
                1 => file[at] = [0, 1, 0x7f, 0x80, 0xff][pick(&mut numbers, 5)],
                2 => {
                    let byte = [0, 0xff][pick(&mut numbers, 2)];
                    let end = (at + 8).min(metadata);
                    file[at..end].fill(byte);
                }
                3 => {
                    // One record in place of another, or twice.
                    let from = pick(&mut numbers, metadata) / 8 * 8;
                    let len = pick(&mut numbers, 200).min(metadata - from.max(at));
                    file.copy_within(from..from + len, at);
                }
                _ => {
                    let other = &golden[pick(&mut numbers, golden.len())];
                    let len = pick(&mut numbers, 300).min(other.len() - at.min(other.len()));
                    let len = len.min(metadata - at);
                    let start = at.min(other.len());
                    file[at..at + len].copy_from_slice(&other[start..start + len]);
                }
            }
        }
        if round % 3 != 0 {
            reseal(&mut file);
        }
        if round % 7 == 0 {
            file.truncate(pick(&mut numbers, metadata));
        }
        opened += usize::from(Reader::from_bytes(file.clone()).is_ok());
        fuzz_reader(&file);
    }
    assert!(opened > 1000, "only {opened} files got past the checks: the mutations are too coarse");
}

#[test]
fn resealing_reaches_what_is_behind_the_checksums() {
    let good = common::golden("v1.0-raw.abide");
    let mut same = good.clone();
    reseal(&mut same);
    assert!(same == good, "the helper knows the format");
    let mut changed = good;
    changed[64] = b'A';
    changed[257] = 9;
    reseal(&mut changed);
    let found = abide_snapshot::Container::from_bytes(changed).unwrap().findings().to_vec();
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().contains("unknown to this version"), "{}", found[0]);
}
