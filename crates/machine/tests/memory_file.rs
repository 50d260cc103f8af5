//! Memory files on engines that run guests from them, and on such as do not.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_engine::{Engine, EngineError, Vm, VmConfig};
use abide_firmware::Firmware;
use abide_machine::error::{MachineError, RestoreError};
use abide_machine::restore::restore;
use abide_machine::{BirthConfig, Machine, TimeSource};
use abide_memory::GuestRam;
use abide_reg::Gpa;
use abide_snapshot::Reader;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use support::{BOARD, KERNEL, MockEngine};

/// An engine whose host does or does not run guests from files.
struct Host {
    engine: MockEngine,
    runs_from_files: bool,
}

impl Host {
    fn that(runs_from_files: bool) -> Self {
        Self { engine: MockEngine::idle(), runs_from_files }
    }
}

impl Engine for Host {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn try_ram(&self, ram: Arc<GuestRam>, entry: Gpa) -> Result<(), EngineError> {
        let mut first = [0; 4];
        ram.read(entry, &mut first).expect("the guest is in this RAM");
        // movz w0, #0x8400, lsl #16
        assert_eq!(u32::from_le_bytes(first), 0x52b0_8000);
        let what = "guests in such memory";
        let refusal = EngineError::Unsupported { engine: "mock", what };
        if self.runs_from_files { Ok(()) } else { Err(refusal) }
    }

    fn create_vm(&self, config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        self.engine.create_vm(config)
    }
}

fn born(engine: &Host, memory_file: &Path) -> Result<Machine, MachineError> {
    let birth = BirthConfig {
        board: BOARD,
        virtio: &[],
        time: TimeSource::Virtual,
        firmware: Firmware::default(),
        kernel: KERNEL,
        initrd: None,
        bootargs: "",
        console: Box::new(std::io::sink()),
        memory_file: Some(memory_file),
    };
    Machine::create(engine, birth)
}

#[test]
fn guest_is_not_born_in_a_file_that_the_engine_runs_none_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guest.ram");
    let error = born(&Host::that(false), &path).map(|_| ()).expect_err("it is refused");
    assert!(matches!(error, MachineError::MemoryForEngine { .. }), "{error}");
    let text = error.to_string();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a Linux host");
    for words in ["guest.ram", kernel.trim(), "guests in such memory"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!path.exists(), "a refusal leaves nothing");
}

#[test]
fn saved_guest_is_refused_there_and_its_file_is_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, file) = (folder.path().join("guest.ram"), folder.path().join("guest.abide"));
    let mut machine = born(&Host::that(true), &path).expect("it is born");
    machine.save_keeping_memory(&file, false, false, false).expect("it is saved");
    drop(machine);
    let before = fs::read(&path).expect("it is there");
    let reader = Reader::open(&file).expect("a good file");
    let restored = |runs| restore(&Host::that(runs), &reader, Box::new(std::io::sink()));
    let error = restored(false).map(|_| ()).expect_err("it is refused");
    assert!(
        matches!(error, RestoreError::Machine(MachineError::MemoryForEngine { .. })),
        "{error}"
    );
    assert_eq!(fs::read(&path).expect("it is there"), before);
    restored(true).expect("it goes on elsewhere");
}
