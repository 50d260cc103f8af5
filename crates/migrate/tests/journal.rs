//! The journal on a disk.
#![expect(clippy::unwrap_used, reason = "what the tests themselves set up must succeed")]

use abide_migrate::driver::Keep;
use abide_migrate::*;
use std::path::{Path, PathBuf};

fn record(ownership: Ownership) -> Record {
    let token = RunToken { guest: GuestId([1; 16]), epoch: Epoch(7) };
    Record {
        ownership,
        attempt: Attempt([2; 16]),
        digest: StateDigest([3; 32]),
        peer: PeerId([4; 32]),
        peer_address: "tcp:host.example:7000".into(),
        ..Record::running(token)
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    // In memory: what a disk does with `fsync` is not tried here, and costs seconds.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("handoff");
    (dir, path)
}

fn open(path: &Path) -> Result<Journal, JournalError> {
    Journal::open(path, Durability::Volatile)
}

/// A journal with these records, and its bytes.
fn written(path: &Path, records: &[Ownership]) -> Vec<u8> {
    let mut journal = open(path).unwrap();
    for &ownership in records {
        journal.keep(&record(ownership)).unwrap();
    }
    std::fs::read(path).unwrap()
}

#[test]
fn what_was_kept_last_is_read() {
    let (_dir, path) = place();
    assert!(open(&path).unwrap().record().is_none());
    assert_eq!(Journal::look(&path).unwrap(), None);
    let mut records = Vec::new();
    for ownership in Ownership::ALL {
        records.push(ownership);
        written(&path, &records);
        assert_eq!(open(&path).unwrap().record(), Some(&record(ownership)));
        assert_eq!(Journal::look(&path).unwrap(), Some(record(ownership)));
    }
}

#[test]
fn fields_stand_where_the_document_says() {
    let (_dir, path) = place();
    let bytes = written(&path, &[Ownership::Running, Ownership::GivenAway]);
    assert_eq!(bytes.len(), 4096 + 512);
    assert_eq!((&bytes[..8], bytes[8], bytes[16]), (&b"ABIDEJRN"[..], 1, 3), "slot A, the newer");
    assert_eq!((&bytes[4096..4104], bytes[4096 + 16]), (&b"ABIDEJRN"[..], 2), "slot B");
    assert_eq!((bytes[24], bytes[32]), (3, 7), "given away, in epoch 7");
    assert_eq!(bytes[40..56], [1; 16]);
    assert_eq!(bytes[56..72], [2; 16]);
    assert_eq!(bytes[72..104], [3; 32]);
    assert_eq!(bytes[104..136], [4; 32]);
    assert_eq!(&bytes[140..161], b"tcp:host.example:7000");
    let crc = crc32c::crc32c(&bytes[..508]).to_le_bytes();
    assert_eq!(bytes[508..512], crc);
}

#[test]
fn a_record_goes_over_the_older_slot_alone() {
    let (_dir, path) = place();
    let before = written(&path, &[Ownership::Running, Ownership::Outgoing]);
    let after = written(&path, &[Ownership::GivenAway]);
    assert_eq!(before[..4096], after[..4096], "a power cut in this write leaves `outgoing`");
    assert_ne!(before[4096..], after[4096..]);
}

#[test]
fn every_changed_bit_is_an_error_and_never_nothing() {
    let (_dir, path) = place();
    let good = written(&path, &[Ownership::Running, Ownership::GivenAway]);
    // Every bit of a slot, and one of each byte between the slots.
    let in_slot = |bit: &usize| bit / 8 < 512 || bit / 8 >= 4096 || bit % 8 == bit / 8 % 8;
    for bit in (0..good.len() * 8).filter(in_slot) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bad).unwrap();
        let error = Journal::look(&path).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "bit {bit}: {error}");
    }
    for len in [0, 1, 511, 4096, good.len() - 1] {
        std::fs::write(&path, &good[..len]).unwrap();
        assert!(matches!(open(&path), Err(JournalError::Damaged { .. })), "{len} bytes");
    }
    let swapped = [&good[4096..], &good[512..4096], &good[..512]].concat();
    std::fs::write(&path, swapped).unwrap();
    let text = Journal::look(&path).unwrap_err().to_string();
    assert!(text.contains("sequence numbers") && text.contains("--resolve"), "{text}");
}

#[test]
fn a_journal_has_one_writer_and_many_readers() {
    let (_dir, path) = place();
    let mut journal = open(&path).unwrap();
    journal.keep(&record(Ownership::Prepared)).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Busy { .. })));
    assert_eq!(Journal::look(&path).unwrap(), Some(record(Ownership::Prepared)));
    drop(journal);
    assert!(open(&path).is_ok());
}

#[test]
fn a_half_made_journal_is_none() {
    let (_dir, path) = place();
    std::fs::write(path.with_file_name(".handoff.new"), b"cut off while it was made").unwrap();
    assert_eq!(Journal::look(&path).unwrap(), None);
    written(&path, &[Ownership::Running]);
    assert_eq!(Journal::look(&path).unwrap(), Some(record(Ownership::Running)));
}

#[test]
fn a_file_system_in_memory_is_refused_by_name() {
    // Linux mounts it in memory, everywhere.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("handoff");
    let mut journal = Journal::open(&path, Durability::Required).unwrap();
    let error = journal.keep(&record(Ownership::Running)).unwrap_err();
    assert!(matches!(error, JournalError::Volatile { .. }), "{error}");
    assert_eq!(Journal::look(&path).unwrap(), None);
    written(&path, &[Ownership::Running]);
    let error = Journal::open(&path, Durability::Required).unwrap_err();
    assert!(error.to_string().contains("--volatile-journal"), "{error}");
}

#[test]
fn a_link_that_was_planted_is_not_followed() {
    let (dir, path) = place();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::write(&elsewhere, b"mine").unwrap();
    std::os::unix::fs::symlink(&elsewhere, path.with_file_name(".handoff.new")).unwrap();
    let error = open(&path).unwrap().keep(&record(Ownership::Running)).unwrap_err();
    assert!(matches!(error, JournalError::Host { step: "create", .. }), "{error}");
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"mine");
}

#[test]
fn a_directory_that_is_gone_is_named() {
    let (dir, path) = place();
    drop(dir);
    let error = open(&path).unwrap().keep(&record(Ownership::Running)).unwrap_err();
    assert!(error.to_string().contains("cannot create"), "{error}");
}
