//! What a restore takes, what it refuses and in which words, and what it keeps for others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_arm64::kvm;
use abide_machine::Machine;
use abide_machine::board::{GICD_BASE, RTC_BASE, UART_BASE};
use abide_machine::error::RestoreError;
use abide_machine::lifecycle::Intent;
use abide_machine::units::ORDER;
use abide_reg::{Class, Entry, IntakeError, Name, RegError, RegId, Scope, Value, VcpuId, codec};
use abide_snapshot::{ForeignRecord, Reader, Record, RecordKind, UnitRecord};
use support::{
    BOARD, KERNEL, MIDR, MockEngine, Quirk, STEP, WAIT, born, file_with, record, refusal, restore,
    restored, set,
};

/// A machine in which every unit holds something else than at birth.
fn lived() -> Machine {
    let engine = MockEngine::new(|turn| {
        match turn.next_step() {
            0 => {
                turn.clock.retire(1003);
                turn.write(UART_BASE.0 + 0x38, 0x10);
                turn.write(UART_BASE.0, b'a'.into());
                turn.write(RTC_BASE.0 + 4, 0x1000);
                turn.write(GICD_BASE.0, 2);
                turn.write(GICD_BASE.0 + 0x104, 0xff);
                turn.bus.set_ppi(turn.id, 27, true);
                // TRNG_RND: the sequence goes on.
                assert!(turn.call(0xc400_0053, &[64]).is_none(), "it returns");
                turn.set_x(kvm::PC, 0x4000_1234);
                turn.regs.insert(kvm::v(3), Value::u128(u128::MAX / 3));
                turn.regs.insert(WAIT, Value::u8(1));
                abide_engine::Stop::Budget
            }
            _ => abide_engine::Stop::Idle,
        }
    });
    let mut machine = born(&engine, KERNEL);
    let (_, queue) = abide_machine::runner::control();
    machine.run(&queue, &Default::default()).expect("the mock does not fail");
    machine
}

fn at(unit: &str, scope: Scope) -> (Name, Scope) {
    (Name::new(unit), scope)
}

/// All records of a machine: each is as mandatory as the next.
fn places(machine: &Machine) -> Vec<(Name, Scope)> {
    let state = machine.state().expect("readable");
    let places: Vec<_> = state.into_iter().map(|record| (record.unit, record.scope)).collect();
    // Virtio devices are for boards that are asked for them; `virtio.rs` has one.
    // Contracts are for guests that are promised one: `contract.rs`; pages: `vmclock.rs`.
    let absent = ["contract", "disk", "cable", "sockets", "vmclock", "vmgenid"];
    let is_absent = |name: &str| absent.contains(&name) || name.starts_with("virtio-");
    let plain = ORDER.iter().filter(|place| !is_absent(place.unit.name().as_str())).count();
    assert_eq!(places.len(), plain + 4, "two of a second vCPU, and two more of the GIC");
    places
}

#[test]
fn file_gives_the_same_machine_and_then_the_same_file() {
    let mut machine = lived();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for compress in [false, true] {
        machine.save(&first, compress, true).unwrap();
        let reader = Reader::open(&first).unwrap();
        let console = Box::new(std::io::sink());
        let prepared =
            abide_machine::restore::restore(&MockEngine::idle(), &reader, console).unwrap();
        let report = prepared.report().clone();
        let mut again = prepared.commit(Intent::Move).unwrap();
        assert_eq!(again.state().unwrap(), machine.state().unwrap());
        assert_eq!(again.state_hash().unwrap(), machine.state_hash().unwrap());
        assert_eq!(
            (again.instructions(), again.guest_ns()),
            (machine.instructions(), machine.guest_ns())
        );
        assert_eq!(again.board(), machine.board());
        assert!(report.carried.is_empty() && report.dropped.is_empty());
        let registers: usize =
            machine.state().unwrap().iter().map(|record| record.entries.len()).sum();
        assert_eq!(report.registers, registers);
        // Virtual time makes even the header's date the same.
        again.save(&second, compress, true).unwrap();
        assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap());
    }
}

#[test]
fn each_missing_record_is_named() {
    let machine = lived();
    for (unit, scope) in places(&machine) {
        let file = file_with(&machine, |records| {
            records.retain(|record| match record {
                Record::Unit(record) => (record.unit, record.scope) != (unit, scope),
                Record::Kept(_) | Record::Right(_) | Record::Foreign(_) => true,
            });
        });
        let error = refusal(&MockEngine::idle(), file);
        assert!(
            matches!(error, RestoreError::MissingUnit { unit: u, scope: s }
                if (u, s) == (unit, scope)),
            "{unit} {scope}: {error}"
        );
    }
}

/// Writing a record twice is refused already, so one is made of another in the written file: the
/// second vCPU's becomes the first's, and all checksums are made right again.
#[test]
fn doubled_record_is_named() {
    let machine = lived();
    let strange = Name::new("cpu");
    let file = file_with(&machine, |_| ());
    let doubled = support::rename_scope(file, "cpu", 1, 0);
    let error = Reader::from_bytes(doubled).expect_err("the reader looks for it");
    assert!(error.to_string().contains(strange.as_str()), "{error}");
}

#[test]
fn unknown_mandatory_records_are_refused_by_name() {
    let machine = lived();
    let strangers = [
        at("newdev", Scope::Device(0)),
        at("newdev", Scope::Vm),
        // Known units, where this board has none.
        at("uart", Scope::Device(1)),
        at("uart", Scope::Vm),
        at("cpu", Scope::Vcpu(VcpuId(2))),
        at("cpu", Scope::Vcpu(VcpuId(u32::MAX))),
        at("cpu", Scope::Vm),
        at("gic", Scope::Vcpu(VcpuId(7))),
        at("board", Scope::Device(0)),
    ];
    for (unit, scope) in strangers {
        for entries in [vec![], vec![unknown("new.cr", Class::Volatile)]] {
            let file = file_with(&machine, |records| {
                let class = Class::Mandatory;
                records.insert(3, UnitRecord { unit, scope, class, entries }.into());
            });
            let error = refusal(&MockEngine::idle(), file);
            assert!(
                matches!(error, RestoreError::UnknownUnit { unit: u, scope: s }
                    if (u, s) == (unit, scope)),
                "{unit} {scope}: {error}"
            );
        }
    }
}

fn unknown(name: &str, class: Class) -> Entry {
    Entry::new(RegId::named(name), class, Value::bytes(b"from the future"))
}

/// Saves what was restored once more: from an old version to a new one and back.
fn there_and_back(file: Vec<u8>) -> (Vec<UnitRecord>, Vec<ForeignRecord>) {
    let mut machine = restored(&MockEngine::idle(), file);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("back");
    machine.save(&path, true, false).unwrap();
    let parts = Reader::open(&path).unwrap().snapshot().clone().into_parts();
    (parts.units, parts.carried)
}

#[test]
fn unknown_static_records_come_back_byte_for_byte() {
    let machine = lived();
    let stranger = UnitRecord {
        unit: Name::new("newdev"),
        scope: Scope::Device(3),
        class: Class::Static,
        // What stands in it is nobody's business, whatever its class.
        entries: vec![
            unknown("new.b", Class::Static),
            unknown("new.a", Class::Mandatory),
            unknown("new.c", Class::Volatile),
        ],
    };
    let empty = UnitRecord { unit: Name::new("newempty"), entries: vec![], ..stranger.clone() };
    let foreign = ForeignRecord::new(
        RecordKind(77),
        Class::Static,
        Name::new("newkind"),
        Scope::Vm,
        b"any bytes",
    );
    let file = file_with(&machine, |records| {
        records.insert(0, stranger.clone().into());
        records.push(empty.clone().into());
        records.push(Record::Foreign(foreign.clone()));
    });
    let prepared = restore(&MockEngine::idle(), file.clone()).unwrap_or_else(|e| panic!("{e}"));
    let carried: Vec<_> = prepared.report().carried.iter().map(|(.., id)| *id).collect();
    let ids: Vec<_> = stranger.entries.iter().map(|entry| entry.id).collect();
    assert_eq!(carried, ids);
    let (units, carried) = there_and_back(file);
    assert!(units.contains(&stranger), "{units:?}");
    assert!(units.contains(&empty), "a record without registers is a record");
    assert_eq!(carried, [foreign]);
}

#[test]
fn unknown_volatile_records_are_dropped_and_reported() {
    let machine = lived();
    let unit = Name::new("newdev");
    let entries = vec![unknown("new.a", Class::Mandatory), unknown("new.b", Class::Static)];
    let ids: Vec<_> = entries.iter().map(|entry| (unit, Scope::Vm, entry.id)).collect();
    let file = file_with(&machine, |records| {
        let class = Class::Volatile;
        records.push(UnitRecord { unit, scope: Scope::Vm, class, entries }.into());
        let foreign =
            ForeignRecord::new(RecordKind(78), class, Name::new("newkind"), Scope::Vm, b"x");
        records.push(Record::Foreign(foreign));
    });
    let prepared = restore(&MockEngine::idle(), file.clone()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(prepared.report().dropped, ids);
    assert_eq!(prepared.report().dropped_records, [(78, Name::new("newkind"))]);
    let (units, carried) = there_and_back(file);
    assert_eq!(units, machine.state().unwrap());
    assert_eq!(carried, []);
}

#[test]
fn volatile_record_without_registers_is_reported_too() {
    let machine = lived();
    let unit = Name::new("newdev");
    let file = file_with(&machine, |records| {
        let (scope, class) = (Scope::Vm, Class::Volatile);
        records.push(UnitRecord { unit, scope, class, entries: vec![] }.into());
    });
    let prepared = restore(&MockEngine::idle(), file).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(prepared.report().dropped_records, [(RecordKind::UNIT.0, unit)]);
}

#[test]
fn form_that_no_interrupt_controller_keeps_is_restored_and_reported() {
    let machine = lived();
    let pmr = RegId::gic(6, 0xc230);
    let file = file_with(&machine, |records| {
        let gic = record(records, "gic", "vcpu0");
        let entry = gic.entries.iter_mut().find(|entry| entry.id == pmr).unwrap();
        entry.value = Value::u64(0x77);
    });
    let prepared = restore(&MockEngine::idle(), file).unwrap_or_else(|e| panic!("{e}"));
    let [changed] = &prepared.report().changed[..] else {
        panic!("{:?}", prepared.report().changed)
    };
    assert_eq!((changed.name, changed.id), ("ICC_PMR_EL1", pmr));
    assert_eq!((changed.found.to_u64(), changed.made.to_u64()), (Some(0x77), Some(0x70)));
    let state = prepared.machine().state().unwrap();
    let held = state.iter().flat_map(|record| &record.entries).find(|entry| entry.id == pmr);
    assert_eq!(held.and_then(|entry| entry.value.to_u64()), Some(0x70));
}

#[test]
fn unknown_registers_go_by_their_class_in_every_unit() {
    let machine = lived();
    // KVM's, the GIC's, a name, and a kind that this version does not know.
    let foreign = codec::decode(&[0x3e, 4, 0, 0, b't', b'e', b's', b't']).unwrap()[0].id;
    let ids = [
        RegId::Kvm(0x6030_0000_00ff_0001),
        RegId::gic(99, 7),
        RegId::named("unit.newreg"),
        foreign,
    ];
    for (unit, scope) in places(&machine) {
        for id in ids {
            for class in [Class::Mandatory, Class::Static, Class::Volatile] {
                check_unknown(&machine, (unit, scope), Entry::new(id, class, Value::u32(0x1234)));
            }
        }
    }
}

fn check_unknown(machine: &Machine, (unit, scope): (Name, Scope), stranger: Entry) {
    let (id, class) = (stranger.id, stranger.class);
    let case = format!("{unit} {scope} {id} {class}");
    let file = file_with(machine, |records| {
        record(records, unit.as_str(), &scope.to_string()).entries.insert(0, stranger.clone());
    });
    if class == Class::Mandatory {
        let error = refusal(&MockEngine::idle(), file);
        let text = error.to_string();
        assert!(text.contains(unit.as_str()) && text.contains(&id.to_string()), "{case}: {text}");
        return;
    }
    let prepared =
        restore(&MockEngine::idle(), file.clone()).unwrap_or_else(|e| panic!("{case}: {e}"));
    let expected = vec![(unit, scope, id)];
    let (units, _) = there_and_back(file);
    let kept = units.iter().find(|found| (found.unit, found.scope) == (unit, scope));
    let kept = kept.expect("the unit is still there").entries.contains(&stranger);
    if class == Class::Static {
        assert_eq!(prepared.report().carried, expected, "{case}");
        assert!(kept, "{case}");
    } else {
        assert_eq!(prepared.report().dropped, expected, "{case}");
        assert!(!kept, "{case}");
    }
}

#[test]
fn carried_registers_survive_a_second_restore_and_do_not_double() {
    let machine = lived();
    let stranger = unknown("cpu.newreg", Class::Static);
    let file = file_with(&machine, |records| {
        record(records, "cpu", "vcpu1").entries.insert(0, stranger.clone());
    });
    let first = restored(&MockEngine::idle(), file);
    let second = restored(&MockEngine::idle(), file_with(&first, |_| ()));
    assert_eq!(second.state().unwrap(), first.state().unwrap());
    let count = |machine: &Machine| {
        let state = machine.state().unwrap();
        state.iter().flat_map(|unit| &unit.entries).filter(|entry| **entry == stranger).count()
    };
    assert_eq!((count(&first), count(&second)), (1, 1));
}

#[test]
fn engine_that_alters_a_value_is_found_out_by_name() {
    let machine = lived();
    let file = file_with(&machine, |_| ());
    for (id, unit, name) in [
        (kvm::x(7), "cpu", "X7"),
        (kvm::PC, "cpu", "PC"),
        (kvm::v(3), "cpu", "V3"),
        (MIDR, "identity", "MIDR_EL1"),
        (WAIT, "cpu", "wait"),
    ] {
        let error = refusal(&MockEngine::with(Quirk::Alters(id)), file.clone());
        let RestoreError::Readback { unit: found, id: named, written, found: kept, .. } = &error
        else {
            panic!("{id}: {error}");
        };
        assert_eq!((found.as_str(), *named), (unit, id));
        assert_ne!(written, kept);
        let text = error.to_string().to_lowercase();
        assert!(
            text.contains(&name.to_lowercase()) && text.contains(&written.to_string()),
            "{text}"
        );
    }
}

#[test]
fn engine_that_refuses_or_lacks_a_register_is_named_with_it() {
    let file = file_with(&lived(), |_| ());
    let error = refusal(&MockEngine::with(Quirk::Refuses(kvm::x(7))), file.clone());
    assert!(
        matches!(&error, RestoreError::Register { source: RegError::Refused { id, .. }, .. }
            if *id == kvm::x(7)),
        "{error}"
    );
    let error = refusal(&MockEngine::with(Quirk::Lacks(kvm::v(3))), file.clone());
    assert!(
        matches!(&error, RestoreError::Plan { steps, .. }
            if steps.0.iter().all(|(_, step)| step.id == kvm::v(3))),
        "{error}"
    );
    assert!(error.to_string().contains("cpu vcpu0 and 1 more: V3"), "{error}");
    // What the engine that saved it called volatile may be lost.
    let prepared = restore(&MockEngine::with(Quirk::Lacks(WAIT)), file.clone());
    let dropped = prepared.unwrap_or_else(|error| panic!("{error}")).report().dropped.clone();
    assert_eq!(dropped.len(), 2, "one of each vCPU");
    assert!(dropped.iter().all(|(.., id)| *id == WAIT));
    // What cannot be read back proves nothing.
    let error = refusal(&MockEngine::with(Quirk::CannotRead(kvm::x(7))), file);
    assert!(error.to_string().contains("errno 5"), "{error}");
}

#[test]
fn values_of_the_wrong_width_are_refused_in_every_unit() {
    let machine = lived();
    for (unit, scope) in places(&machine) {
        let count = machine
            .state()
            .unwrap()
            .iter()
            .find(|record| (record.unit, record.scope) == (unit, scope))
            .map_or(0, |record| record.entries.len());
        // Units may have many; the first, the last and one between.
        for place in [0, count / 2, count.saturating_sub(1)] {
            if count == 0 {
                continue;
            }
            for cut in [0, 1] {
                let mut id = None;
                let file = file_with(&machine, |records| {
                    let record = record(records, unit.as_str(), &scope.to_string());
                    let entry = &mut record.entries[place];
                    let mut bytes = entry.value.as_bytes().to_vec();
                    bytes.resize(if cut == 0 { 0 } else { bytes.len() + 1 }, 0);
                    entry.value = Value::bytes(&bytes);
                    id = Some(entry.id);
                });
                let error = refusal(&MockEngine::idle(), file);
                let id = id.expect("set above");
                let named = error.to_string().contains(&id.to_string());
                assert!(named, "{unit} {scope} {id}: {error}");
            }
        }
    }
}

#[test]
fn impossible_boards_are_refused_by_the_register_that_is_wrong() {
    let machine = lived();
    let u64s = |numbers: &[u64]| numbers.iter().map(|&n| Value::u64(n)).collect::<Vec<_>>();
    let cases = [
        (
            "board.ram_len",
            u64s(&[0, 3, 4095, (4 << 20) - 1, (6 << 20) + 4096, 256 << 30, 1 << 63, u64::MAX]),
        ),
        ("board.vcpu_count", [0, 65, 1 << 31, u32::MAX].map(Value::u32).to_vec()),
        ("board.cntfrq_hz", u64s(&[0, 1, 999_999, 1_000_000_001, u64::MAX])),
    ];
    for (name, values) in cases {
        for value in values {
            let file = file_with(&machine, |records| {
                set(records, "board", "vm", RegId::named(name), value.clone());
            });
            let error = refusal(&MockEngine::idle(), file);
            let RestoreError::Intake { source: IntakeError::Value { id, found, .. }, .. } = &error
            else {
                panic!("{name} = {value}: {error}");
            };
            assert_eq!((*id, found), (RegId::named(name), &value), "{error}");
        }
    }
}

#[test]
fn board_that_does_not_match_the_rest_of_the_file_is_refused() {
    let machine = lived();
    // More RAM or less than the file has.
    for ram_len in [5_u64 << 20, 7 << 20, 1 << 30] {
        let file = file_with(&machine, |records| {
            set(records, "board", "vm", RegId::named("board.ram_len"), Value::u64(ram_len));
        });
        let error = refusal(&MockEngine::idle(), file);
        assert!(
            matches!(error, RestoreError::Memory(abide_snapshot::RestoreError::Range { .. })),
            "{error}"
        );
    }
    // A vCPU more or less than there are records of.
    for vcpu_count in [1, 3, 64] {
        let file = file_with(&machine, |records| {
            set(records, "board", "vm", RegId::named("board.vcpu_count"), Value::u32(vcpu_count));
        });
        let error = refusal(&MockEngine::idle(), file);
        let is_named = match &error {
            RestoreError::MissingUnit { unit, .. } => vcpu_count > 2 && unit.as_str() == "pvtime",
            // Then the first redistributor is not the last.
            RestoreError::Gic(_) | RestoreError::GicTransfer(_) => vcpu_count == 1,
            _ => false,
        };
        assert!(is_named, "{vcpu_count} vCPUs: {error}");
    }
    // No RAM at all.
    let mut records = Vec::new();
    let _ = file_with(&machine, |all| records.clone_from(all));
    let header = abide_snapshot::Header::new(abide_snapshot::Architecture::AARCH64);
    let snapshot = abide_snapshot::Snapshot { header, records };
    let mut file = Vec::new();
    abide_snapshot::write_to(&mut file, &snapshot, &[], Default::default()).unwrap();
    let error = refusal(&MockEngine::idle(), file);
    assert!(error.to_string().contains("no RAM"), "{error}");
}

#[test]
fn interrupt_controller_of_another_shape_is_refused() {
    use abide_gic::{Affinity, GicConfig, GicState};
    let machine = lived();
    let of = |cpus: &[u32], nr_irqs| {
        let config = GicConfig::new(cpus.iter().copied().map(Affinity), nr_irqs);
        GicState::at_reset(&config).and_then(|state| state.to_entries()).expect("a controller")
    };
    let file_of = |sections: Vec<(Scope, Vec<Entry>)>| {
        file_with(&machine, |records| {
            for (scope, entries) in sections {
                record(records, "gic", &scope.to_string()).entries = entries;
            }
        })
    };
    // 64 INTIDs are too few for the board's devices.
    for sections in [of(&[0, 1], 64), of(&[1, 0], 288), of(&[0, 2], 288)] {
        let error = refusal(&MockEngine::idle(), file_of(sections));
        assert!(matches!(error, RestoreError::Gic(_) | RestoreError::GicTransfer(_)), "{error}");
    }
    // Any other number is made as it was saved.
    for intids in [96, 320, 992] {
        let sections = of(&[0, 1], intids);
        let again = restored(&MockEngine::idle(), file_of(sections.clone()));
        let state = again.state().unwrap().into_iter();
        let gic = state.filter(|record| record.unit.as_str() == "gic");
        assert!(gic.map(|record| (record.scope, record.entries)).eq(sections), "{intids}");
    }
    // Sections that are each right, of controllers that differ.
    let (small, big) = (of(&[0, 1], 64), of(&[0, 1], 288));
    for mixed in [[&small[0], &big[1], &big[2]], [&big[0], &big[2], &big[1]]] {
        let file = file_with(&machine, |records| {
            for ((_, entries), scope) in mixed.into_iter().zip(["vm", "vcpu0", "vcpu1"]) {
                record(records, "gic", scope).entries.clone_from(entries);
            }
        });
        let error = refusal(&MockEngine::idle(), file);
        assert!(matches!(error, RestoreError::Gic(_) | RestoreError::GicTransfer(_)), "{error}");
    }
}

#[test]
fn registers_that_every_cpu_has_cannot_be_missing() {
    let machine = lived();
    for id in [kvm::PC, kvm::x(7), kvm::PSTATE, kvm::v(3)] {
        for scope in ["vcpu0", "vcpu1"] {
            let file = file_with(&machine, |records| {
                record(records, "cpu", scope).entries.retain(|entry| entry.id != id);
            });
            let error = refusal(&MockEngine::idle(), file);
            assert!(
                matches!(&error, RestoreError::MissingRegister { id: found, .. } if *found == id),
                "{error}"
            );
        }
    }
}

#[test]
fn guest_of_another_architecture_is_refused() {
    let machine = lived();
    let reader = Reader::from_bytes(file_with(&machine, |_| ())).unwrap();
    let mut snapshot = reader.snapshot().clone();
    snapshot.header.architecture = abide_snapshot::Architecture::X86_64;
    let mut file = Vec::new();
    abide_snapshot::write_to(&mut file, &snapshot, &[machine.ram()], Default::default()).unwrap();
    assert!(matches!(refusal(&MockEngine::idle(), file), RestoreError::Architecture { .. }));
}

#[test]
fn machine_whose_registers_cannot_be_read_writes_no_file() {
    let engine = MockEngine::with(Quirk::CannotRead(kvm::x(7)));
    let mut machine = born(&engine, KERNEL);
    let folder = tempfile::tempdir().unwrap();
    let error = machine.save(&folder.path().join("never"), false, true).unwrap_err();
    assert!(error.to_string().contains("cpu vcpu0"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "not even a half one");
}

#[test]
fn mock_keeps_its_place_over_a_restore() {
    let machine = lived();
    let again = restored(&MockEngine::idle(), file_with(&machine, |_| ()));
    let step = |machine: &Machine| {
        let state = machine.state().unwrap();
        let cpu = state.iter().find(|unit| unit.unit.as_str() == "cpu").unwrap();
        cpu.entries.iter().find(|entry| entry.id == STEP).and_then(|entry| entry.value.to_u64())
    };
    assert!(step(&machine) >= Some(2), "the fixture did something");
    assert_eq!(step(&again), step(&machine));
    assert_eq!(again.board(), &BOARD);
}

/// TCR2_EL1 of a vCPU whose ID_AA64MMFR3_EL1 shows this, on an engine that has neither.
fn restored_with_tcr2(mmfr3: u64) -> Result<Vec<RegId>, String> {
    let machine = lived();
    let tcr2 = RegId::Kvm(0x6030_0000_0013_c103);
    let id = RegId::Kvm(0x6030_0000_0013_c03b);
    let file = file_with(&machine, |records| {
        let mandatory = |id, value| Entry::new(id, Class::Mandatory, Value::u64(value));
        // The register itself may hold anything: who cannot use it has not put it there.
        record(records, "cpu", "vcpu0").entries.push(mandatory(tcr2, 0x1de7_ec7e_dbad_c0de));
        let class = if mmfr3 == 0 { Class::Mandatory } else { Class::Static };
        record(records, "identity", "vm").entries.push(Entry::new(id, class, Value::u64(mmfr3)));
    });
    let prepared = restore(&MockEngine::idle(), file).map_err(|error| error.to_string())?;
    Ok(prepared.report().carried.iter().map(|(.., id)| *id).collect())
}

#[test]
fn registers_of_a_feature_that_is_off_are_kept_for_the_next_host() {
    let carried = restored_with_tcr2(0).unwrap_or_else(|error| panic!("{error}"));
    assert!(carried.contains(&RegId::Kvm(0x6030_0000_0013_c103)), "{carried:?}");
    let refused = restored_with_tcr2(1).unwrap_err();
    assert!(refused.contains("TCR2_EL1"), "{refused}");
}
