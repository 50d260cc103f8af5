//! CPUs of one VM that are not alike: what each executes, what is saved of it, what is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_arm64::{SysReg, kvm};
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::{CpuModel, INT, N1_LIKE, PORTABLE, V8_0};
use abide_machine::error::RestoreError;
use abide_machine::lifecycle::Intent;
use abide_machine::runner::Outcome;
use abide_machine::{Machine, TimeSource};
use abide_reg::{Class, Entry, IntakeError, Name, RegError, RegId, Scope, Value, VcpuId};
use abide_snapshot::{Reader, Record, UnitRecord};
use abide_testkit::guest::{asm, sysreg, x};
use support::smp::{self, OWN, image, run};
use support::{
    BOARD, KERNEL, MIDR, MockEngine, born_with, file_with, record, refusal, restored, set,
};

const ISAR0_EL1: SysReg = SysReg::new(3, 0, 0, 6, 0);
const ISAR0: RegId = kvm::sysreg(ISAR0_EL1);
/// Which vCPUs have a record of their own.
const OWN_IDENTITIES: RegId = RegId::named("identity.own");

/// LDADD x0, x2, [x1]: of LSE.
const LDADD: u32 = 0xf820_0022;
/// FADD h0, h1, h2: of FP16.
const FADD_HALF: u32 = 0x1ee2_2820;
/// What a vCPU notes, in bytes: MIDR_EL1, ID_AA64ISAR0_EL1, whether LDADD and FADD were UNDEFINED.
const NOTE_LEN: u32 = 32;

/// Each vCPU notes what it shows and whether the extensions are there, all by the same code.
fn noting(vcpus: u32) -> Vec<u8> {
    image(vcpus, |program, _fail| {
        let (begin, handler) = (program.label(), program.label());
        program.branch(begin);
        // Notes in x9 that the instruction was UNDEFINED, and goes on behind it.
        program.bind(handler);
        asm!(program.assembler()
            ; mov x9, 1
            ; mrs x10, sysreg::operand(sysreg::ELR_EL1)
            ; add x10, x10, 4
            ; msr sysreg::operand(sysreg::ELR_EL1), x10
            ; eret
        );
        let mut vectors = [None; 16];
        vectors[4] = Some(handler);
        let vectors = program.vectors(vectors);
        program.bind(begin);
        program.address_of(x(0), vectors);
        program.msr(sysreg::VBAR_EL1, x(0));
        program.set(sysreg::CPACR_EL1, 3 << 20);
        asm!(program.assembler()
            ; isb
            ; mov x11, NOTE_LEN as u64
            ; madd x11, x19, x11, x20
            ; add x11, x11, OWN
        );
        for (offset, register) in [(0, sysreg::MIDR_EL1), (8, ISAR0_EL1)] {
            program.mrs(x(12), register);
            asm!(program.assembler(); str x12, [x11, offset]);
        }
        for (offset, word) in [(16, LDADD), (24, FADD_HALF)] {
            asm!(program.assembler(); mov x9, 0; mov x0, 0; add x1, x20, 64);
            program.word(word);
            asm!(program.assembler(); str x9, [x11, offset]);
        }
    })
}

/// What a vCPU of this model notes.
fn note(model: &CpuModel) -> [u64; 4] {
    let value = |reg| model.registers.iter().find(|&&(it, _)| it == reg).map_or(0, |&(_, v)| v);
    let undefined = u64::from(model.name != N1_LIKE.name);
    [value(sysreg::MIDR_EL1), value(ISAR0_EL1), undefined, undefined]
}

fn machine(models: &[&'static CpuModel], image: &[u8], time: TimeSource) -> Machine {
    let vcpu_count = u32::try_from(models.len()).unwrap();
    let board = abide_machine::board::BoardConfig { ram_len: smp::RAM_LEN, vcpu_count, ..BOARD };
    born_with(&SoftEngine::with_models(models.to_vec()), image, board, time)
}

const FOUR: [&CpuModel; 4] = [&V8_0, &N1_LIKE, &PORTABLE, &INT];

#[test]
fn each_vcpu_shows_and_executes_its_own_features() {
    for time in [TimeSource::Virtual, TimeSource::Host] {
        for turn in 0..4 {
            let mut models = FOUR;
            models.rotate_left(turn);
            let mut machine = machine(&models, &noting(4), time);
            assert_eq!(run(&mut machine), Outcome::PoweredOff);
            for (number, model) in (0_u32..).zip(models) {
                let at = |word: u32| smp::word(&machine, OWN + NOTE_LEN * number + 8 * word);
                assert_eq!([0, 1, 2, 3].map(at), note(model), "vCPU {number}, {}", model.name);
            }
        }
    }
}

fn born(models: &[&'static CpuModel]) -> Machine {
    machine(models, KERNEL, TimeSource::Virtual)
}

fn bytes(machine: &mut Machine) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    machine.save(&path, false, false).unwrap();
    std::fs::read(path).unwrap()
}

/// The vCPU's records of the unit `identity` in the file: whose, and which registers.
fn identities(file: &[u8]) -> Vec<(Scope, Vec<RegId>)> {
    let units = Reader::from_bytes(file.to_vec()).unwrap().snapshot().clone().into_parts().units;
    let of_identity = units.into_iter().filter(|record| record.unit == Name::new("identity"));
    let own = of_identity.filter(|record| record.scope != Scope::Vm);
    own.map(|r| (r.scope, r.entries.into_iter().map(|entry| entry.id).collect())).collect()
}

#[test]
fn only_what_differs_is_saved_and_comes_back_in_the_same_bytes() {
    let mut first = born(&[&V8_0, &N1_LIKE, &V8_0, &PORTABLE]);
    let file = bytes(&mut first);
    let id = |op1, crm, op2| kvm::sysreg(SysReg::new(3, op1, 0, crm, op2));
    let n1 = vec![id(0, 4, 0), id(0, 6, 0), id(0, 6, 1)];
    let portable =
        vec![id(3, 0, 1), id(0, 0, 0), id(0, 1, 1), id(0, 1, 2), id(0, 4, 0), id(0, 6, 0)];
    let vcpu = |number| Scope::Vcpu(VcpuId(number));
    assert_eq!(identities(&file), [(vcpu(1), n1), (vcpu(3), portable)]);
    let mut again = restored(&SoftEngine::new(), file.clone());
    assert_eq!(again.state_hash().unwrap(), first.state_hash().unwrap());
    assert!(bytes(&mut again) == file, "the file of the restored guest is another");
}

#[test]
fn file_of_vcpus_that_are_alike_is_as_if_nobody_had_asked() {
    let board = abide_machine::board::BoardConfig { ram_len: smp::RAM_LEN, ..BOARD };
    let plain = SoftEngine::with_model(&V8_0);
    let mut plain = born_with(&plain, KERNEL, board, TimeSource::Virtual);
    assert!(bytes(&mut plain) == bytes(&mut born(&[&V8_0, &V8_0])));
}

/// Saved in the middle and restored, in both kinds of time, each vCPU goes on with its own.
#[test]
fn restored_vcpus_show_and_execute_their_own_features() {
    for time in [TimeSource::Virtual, TimeSource::Host] {
        let file = bytes(&mut machine(&FOUR, &noting(4), time));
        let mut again = restored(&SoftEngine::with_model(&PORTABLE), file);
        assert_eq!(run(&mut again), Outcome::PoweredOff);
        for (number, model) in (0_u32..).zip(FOUR) {
            let at = |word: u32| smp::word(&again, OWN + NOTE_LEN * number + 8 * word);
            assert_eq!([0, 1, 2, 3].map(at), note(model), "vCPU {number}, {}", model.name);
        }
    }
}

/// An engine whose vCPUs are all alike, as KVM's are.
#[test]
fn engine_that_knows_one_identity_refuses_by_name() {
    let file = file_with(&born(&[&V8_0, &V8_0, &N1_LIKE]), |_| ());
    let error = refusal(&MockEngine::idle(), file);
    let RestoreError::OwnIdentity { vcpu, engine } = &error else { panic!("{error}") };
    assert_eq!((*vcpu, *engine), (VcpuId(2), "mock"));
    assert!(error.to_string().contains("vcpu2"), "{error}");
}

/// How the file of V8_0 and N1_LIKE is refused, changed like this.
fn refused(change: impl FnOnce(&mut Vec<Record>)) -> RestoreError {
    refusal(&SoftEngine::new(), file_with(&born(&[&V8_0, &N1_LIKE]), change))
}

fn own(records: &mut [Record]) -> &mut UnitRecord {
    record(records, "identity", "vcpu1")
}

fn is_bits(error: &RestoreError) -> bool {
    matches!(error, RestoreError::Intake { source: IntakeError::Value { id, .. }, .. }
        if *id == OWN_IDENTITIES)
}

#[test]
fn record_that_is_missing_or_not_announced_is_named() {
    let gone = |record: &Record, scope: &str| {
        matches!(record, Record::Unit(it)
            if it.unit.as_str() == "identity" && it.scope.to_string() == scope)
    };
    let error = refused(|records| records.retain(|record| !gone(record, "vcpu1")));
    assert!(
        matches!(&error, RestoreError::MissingUnit { unit, scope: Scope::Vcpu(VcpuId(1)) }
            if unit.as_str() == "identity"),
        "{error}"
    );
    let error = refused(|records| {
        record(records, "identity", "vm").entries.retain(|entry| entry.id != OWN_IDENTITIES);
    });
    assert!(is_bits(&error), "{error}");
    let error = refused(|records| own(records).entries.clear());
    assert!(is_bits(&error), "{error}");
    for bits in [0, 1, 3, 4, 6, 1 << 63, u64::MAX] {
        let error = refused(|records| {
            set(records, "identity", "vm", OWN_IDENTITIES, Value::u64(bits));
        });
        assert!(is_bits(&error), "{bits:#x}: {error}");
    }
    let error = refused(|records| {
        set(records, "identity", "vm", OWN_IDENTITIES, Value::bytes(&[2]));
    });
    assert!(
        matches!(&error, RestoreError::Intake { source: IntakeError::Width { .. }, .. }),
        "{error}"
    );
}

#[test]
fn records_of_vcpus_that_have_none_are_named() {
    for number in [0, 2, u32::MAX] {
        let scope = Scope::Vcpu(VcpuId(number));
        let error = refused(|records| {
            let record = UnitRecord { scope, ..own(records).clone() };
            records.push(record.into());
        });
        assert!(
            matches!(&error, RestoreError::UnknownUnit { unit, scope: s }
                if unit.as_str() == "identity" && *s == scope),
            "{error}"
        );
    }
    // Written twice the reader finds it: of three vCPUs the last one's becomes the second's.
    let file = file_with(&born(&[&V8_0, &N1_LIKE, &N1_LIKE]), |_| ());
    let doubled = support::rename_scope(file, "identity", 2, 1);
    let error = Reader::from_bytes(doubled).expect_err("the reader looks for it");
    assert!(error.to_string().contains("identity"), "{error}");
}

/// How one changed register of the vCPU's own is refused: what is said to be allowed.
fn refused_register(id: RegId, value: u64) -> String {
    let error = refused(|records| {
        let entries = &mut own(records).entries;
        entries.retain(|entry| entry.id != id);
        entries.push(Entry::new(id, Class::Mandatory, Value::u64(value)));
    });
    match error {
        RestoreError::Register {
            scope, source: RegError::Refused { id: at, allowed, .. }, ..
        } => {
            assert_eq!((scope, at), (Scope::Vcpu(VcpuId(1)), id));
            allowed.to_owned()
        }
        RestoreError::Plan { steps, .. } => {
            let [(_, step)] = steps.0.as_slice() else { panic!("one register: {steps}") };
            assert_eq!((step.scope, step.id), (Scope::Vcpu(VcpuId(1)), id));
            step.reason()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn nonsense_in_a_record_of_its_own_is_named() {
    let id = |op1, crm, op2| kvm::sysreg(SysReg::new(3, op1, 0, crm, op2));
    // SHA-512; another granule; another interrupt controller; other lines of code.
    assert!(refused_register(ISAR0, 0x2000).contains("implements"));
    assert!(refused_register(id(0, 7, 0), 0x0f00_0021).contains("translation tables"));
    assert!(refused_register(id(0, 4, 0), 0x1100_0000_0011_0011).contains("interrupt controller"));
    assert!(refused_register(id(3, 0, 1), 0x9444_c003).contains("IC IVAU"));
    // What the VM shows already; what is no ID register.
    assert!(refused_register(MIDR, 0x000f_0510).contains("another value"));
    assert!(refused_register(kvm::x(3), 1).contains("an ID register"));
    assert!(refused_register(kvm::PSTATE, 0x3c4).contains("an ID register"));
    let error = refused(|records| {
        let stranger = Entry::new(RegId::named("cpu.new"), Class::Mandatory, Value::u64(1));
        own(records).entries.push(stranger);
    });
    assert!(error.to_string().contains("cpu.new"), "{error}");
    let error = refused(|records| own(records).entries[0].value = Value::u32(7));
    assert!(
        matches!(error, RestoreError::Register { source: RegError::Width { .. }, .. }),
        "{error}"
    );
}

#[test]
fn what_a_newer_version_adds_goes_by_its_class() {
    let added = |class| Entry::new(RegId::named("identity.new"), class, Value::u64(1));
    let models: [&CpuModel; 2] = [&V8_0, &N1_LIKE];
    let file = file_with(&born(&models), |records| {
        own(records).entries.push(added(Class::Static));
        own(records)
            .entries
            .push(Entry { id: RegId::named("identity.old"), ..added(Class::Volatile) });
    });
    let prepared = support::restore(&SoftEngine::new(), file).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((prepared.report().carried.len(), prepared.report().dropped.len()), (1, 1));
    let mut state = prepared.commit(Intent::Move).unwrap().state().unwrap();
    let record = state
        .iter_mut()
        .find(|it| it.unit.as_str() == "identity" && it.scope == Scope::Vcpu(VcpuId(1)));
    assert_eq!(record.unwrap().entries.pop(), Some(added(Class::Static)));
}
