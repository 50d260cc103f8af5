//! The body that fuzzing and ordinary tests share.

use crate::{Compression, Container, Reader, diff, inspect, state_hash, verify, write_to};
use abide_memory::GuestRam;
use abide_reg::RegId;

/// RAM larger than this is not restored while fuzzing.
const MAX_RAM: u64 = 64 << 20;

/// Does with `data` everything that can be done with a file. Whatever the bytes are, nothing here
/// panics, hangs or allocates much more than they are long; and what is accepted as intact is
/// written again with the same content.
///
/// # Panics
/// If one of these promises is broken.
pub fn fuzz_reader(data: &[u8]) {
    let Ok(container) = Container::from_bytes(data.to_vec()) else { return };
    let namer = |id: RegId| Some(id.to_string());
    let inspection = inspect(&container, &namer);
    assert_eq!(inspection.file_len, data.len() as u64);
    assert!(diff(&container, &container, &namer).is_empty(), "a file differs from itself");
    let findings = verify(&container);
    findings.iter().for_each(|finding| assert!(!finding.to_string().is_empty()));
    let opens = container.findings().is_empty();
    let reader = match Reader::from_container(container) {
        Ok(reader) => reader,
        Err(error) => return assert!(!opens, "an intact file was refused: {error}"),
    };
    assert!(opens, "a file with findings was opened to be restored");
    if reader.ram_ranges().iter().map(|range| range.size).sum::<u64>() > MAX_RAM {
        return;
    }
    let rams: Vec<_> = reader
        .ram_ranges()
        .iter()
        .filter_map(|range| GuestRam::new(range.gpa, range.size).ok())
        .collect();
    let restored = rams.iter().try_for_each(|ram| reader.restore_memory(ram));
    if restored.is_err() {
        return assert!(!findings.is_empty(), "verify overlooked what restore found");
    }
    rewrite(&reader, &rams.iter().collect::<Vec<_>>());
}

/// Writes what was restored once more; it must be the same state.
fn rewrite(reader: &Reader, rams: &[&GuestRam]) {
    let mut file = Vec::new();
    let written = write_to(&mut file, reader.snapshot(), rams, Compression::Lz4);
    assert!(written.is_ok(), "what was read cannot be written: {written:?}");
    let Ok(again) = Reader::from_bytes(file) else {
        panic!("what was written cannot be read");
    };
    assert_eq!(again.snapshot().records, reader.snapshot().records);
    if reader.snapshot().kept_memory().is_some() {
        return assert!(reader.state_hash().is_err(), "RAM is elsewhere and was hashed");
    }
    let hashes = (again.state_hash().ok(), reader.state_hash().ok());
    assert!(hashes.0.is_some() && hashes.0 == hashes.1, "the state hash moved: {hashes:?}");
    assert_eq!(state_hash(reader.snapshot().units(), rams).ok(), hashes.0);
}
