//! Machines whose RAM comes when it is touched.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_engine::Engine;
use abide_engine_soft::SoftEngine;
use abide_machine::lifecycle::Intent;
use abide_machine::restore::{Elsewhere, RamRestore, RamRestored, Watch, restore_with};
use abide_machine::{Machine, TimeSource};
use abide_memory::{GuestRam, MissingError, MissingPages, Reach};
use abide_snapshot::Reader;
use std::sync::Arc;
use support::{BOARD, KERNEL, MockEngine, born, born_with};

fn with(engine: &dyn Engine, reader: &Reader, watch: Watch) -> (Machine, RamRestored) {
    let on_failure = Box::new(|error| panic!("nothing is wrong with it: {error}"));
    let ram = RamRestore::Lazy { watch, on_failure };
    let console = Box::new(std::io::sink());
    let prepared = restore_with(engine, reader, console, &Elsewhere::default(), ram).unwrap();
    let ram = prepared.report().ram.clone();
    (prepared.commit(Intent::Restore).unwrap(), ram)
}

/// A host that lets nobody do it.
fn denied(_: Arc<GuestRam>, _: Reach) -> Result<MissingPages, MissingError> {
    Err(MissingError::NotPermitted { source: std::io::ErrorKind::PermissionDenied.into() })
}

/// A host that lets a process have its own faults only.
fn user_only(ram: Arc<GuestRam>, needed: Reach) -> Result<MissingPages, MissingError> {
    match needed {
        Reach::User => MissingPages::watch(ram, needed),
        Reach::Kernel => denied(ram, needed),
    }
}

#[test]
fn machine_saved_while_its_ram_is_on_its_way_gives_the_same_file() {
    let engine = SoftEngine::new();
    let mut machine = born_with(&engine, KERNEL, BOARD, TimeSource::Virtual);
    let content: Vec<u8> =
        (0..1u32 << 20).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    machine.ram().write(abide_reg::Gpa(0x4010_0000), &content).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    machine.save(&path("first"), false, false).unwrap();
    let reader = Reader::open(&path("first")).unwrap();
    let (mut lazy, how) = with(&engine, &reader, MissingPages::watch);
    assert!(matches!(how, RamRestored::Lazy(_)), "{how}");
    lazy.save(&path("second"), false, false).unwrap();
    let second = Reader::open(&path("second")).unwrap();
    assert_eq!(second.state_hash().unwrap(), reader.state_hash().unwrap());
    assert_eq!(second.chunks(), reader.chunks());
    let (lazy, _) = with(&engine, &reader, MissingPages::watch);
    assert_eq!(lazy.state_hash().unwrap(), machine.state_hash().unwrap());
}

#[test]
fn host_that_does_not_permit_it_gets_all_ram_at_once_with_the_reason() {
    let kernels = MockEngine::idle();
    let own = SoftEngine::new();
    assert!(kernels.reaches_ram_in_kernel() && !own.reaches_ram_in_kernel());
    let machine = born(&kernels, KERNEL);
    let folder = tempfile::tempdir().unwrap();
    let mut machine = machine;
    machine.save(&folder.path().join("file"), false, false).unwrap();
    let reader = Reader::open(&folder.path().join("file")).unwrap();
    // An engine whose vCPUs reach RAM through the kernel is not content with less.
    for watch in [denied as Watch, user_only] {
        let (again, how) = with(&kernels, &reader, watch);
        let RamRestored::EagerBecause(reason) = how else { panic!("{how}") };
        assert!(reason.contains("not permitted"), "{reason}");
        assert_eq!(again.state_hash().unwrap(), machine.state_hash().unwrap());
    }
}
