//! A failed restore leaves no file, no descriptor, no thread and no memory mapping. In a process of
//! its own, because it counts what the process holds.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_arm64::kvm;
use abide_reg::{RegId, Value};
use abide_snapshot::{Reader, Record};
use std::fs;
use std::path::Path;
use support::{KERNEL, MockEngine, Quirk, born, file_with, refusal, set};

/// Open descriptors, threads, and mappings of guest RAM.
fn held() -> (usize, usize, usize) {
    let count = |path| fs::read_dir(path).expect("a Linux host").count();
    let maps = fs::read_to_string("/proc/self/maps").expect("a Linux host");
    let ram = maps.lines().filter(|line| line.contains("memfd:")).count();
    (count("/proc/self/fd"), count("/proc/self/task"), ram)
}

#[test]
fn failed_restore_leaves_nothing() {
    let machine = born(&MockEngine::idle(), KERNEL);
    let whole = file_with(&machine, |_| ());
    // One for each stage: board, memory, engine, controller, leftovers, readback.
    let with = |id: &str, value: Value| {
        file_with(&machine, |records| {
            let (unit, _) = id.split_once('.').expect("a unit's register");
            set(records, unit, "vm", RegId::named(id), value);
        })
    };
    let failures = [
        (Quirk::None, with("board.cntfrq_hz", Value::u64(0))),
        (Quirk::None, with("board.ram_len", Value::u64(8 << 20))),
        (Quirk::None, file_with(&machine, |records| drop(records.pop()))),
        (Quirk::Refuses(kvm::PC), whole.clone()),
        (Quirk::Lacks(kvm::PC), whole.clone()),
        (Quirk::Alters(kvm::x(9)), whole.clone()),
        (Quirk::CannotRead(kvm::x(9)), whole.clone()),
        (
            Quirk::None,
            file_with(&machine, |records| {
                let mut stranger = records[1].clone();
                if let Record::Unit(record) = &mut stranger {
                    record.unit = abide_reg::Name::new("newdev");
                }
                records.push(stranger);
            }),
        ),
    ];
    // Once for what is made at first use and kept, the names of registers for instance.
    let _ = refusal(&MockEngine::with(Quirk::Alters(kvm::x(9))), whole);
    let mut before = held();
    (0..100).for_each(|_| before = before.min(held()));
    assert!(before.2 > 0, "the machine itself is seen");
    for (quirk, file) in failures {
        let error = refusal(&MockEngine::with(quirk), file);
        // A thread that was joined may be listed a moment longer.
        let gone = (0..10_000).any(|_| held() == before);
        assert!(gone, "{:?} before, {:?} after: {error}", before, held());
    }
    failed_restore_leaves_the_file_as_it_was();
}

/// Not a test of its own: tests run beside each other, and this one holds files too.
fn failed_restore_leaves_the_file_as_it_was() {
    let machine = born(&MockEngine::idle(), KERNEL);
    let folder = tempfile::tempdir().expect("a place for files");
    let path = folder.path().join("saved");
    let bytes = file_with(&machine, |_| ());
    fs::write(&path, &bytes).expect("room for a file");
    let files = |folder: &Path| fs::read_dir(folder).expect("readable").count();
    let reader = Reader::open(&path).expect("a good file");
    let engine = MockEngine::with(Quirk::Alters(kvm::PC));
    let console = Box::new(std::io::sink());
    assert!(abide_machine::restore::restore(&engine, &reader, console).is_err());
    assert!(fs::read(&path).expect("readable") == bytes);
    assert_eq!(files(folder.path()), 1);
}
