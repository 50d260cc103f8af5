//! Stolen time: which guests go where, what no record can be, and who is charged for what.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_contract::{Accepts, Guest, Offer, Plan, Profile, Whose, plan, rules};
use abide_engine::{Engine, Stop};
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::V8_0;
use abide_machine::error::RestoreError;
use abide_machine::runner::{Outcome, RunConfig, SavePoint, control};
use abide_machine::{Machine, TimeSource};
use abide_pvtime::{
    DEF_ATTRIBUTES, DEF_REVISION, DEF_STOLEN_NS, DEF_TABLE_GPA, RECORD_LEN, REVISION_1_0, Record,
    Revision, Revisions,
};
use abide_reg::{Entry, Gpa, RegId, Scope, Value, VcpuId};
use abide_snapshot::Record as FileRecord;
use std::path::Path;
use support::{
    BOARD, KERNEL, MockEngine, born, born_with, file_with, record, refusal, restored, set,
};

const PV_TIME_FEATURES: u64 = 0xc500_0020;
const PV_TIME_ST: u64 = 0xc500_0021;
const ARCH_FEATURES: u64 = 0x8000_0001;
const NOT_SUPPORTED: u64 = u64::MAX;
const PAGE: u64 = 0x090a_0000;

/// Engines that offer no, one or two revisions.
fn sets() -> [Revisions; 4] {
    [vec![], vec![0], vec![1], vec![0, 1]]
        .map(|numbers| Revisions::of(numbers.into_iter().map(Revision)))
}

fn soft(revisions: &Revisions) -> SoftEngine {
    SoftEngine::with_model(&V8_0).with_stolen_time(revisions.clone())
}

/// What `abide probe` tells of such an engine, as far as stolen time goes.
fn profile(host: &Revisions) -> Profile {
    let mut profile = Profile::default();
    let versions = host.iter().filter_map(Revision::version).map(u64::from);
    let accepts = Accepts::Values(versions.chain([0]).collect());
    profile.offers.insert(rules::PVTIME, Offer::taking(Whose::Vm, Value::u32(0), accepts));
    profile
}

/// What a plan says of a file's stolen time.
fn planned(records: &[FileRecord], host: &Revisions) -> Plan {
    let units = records.iter().filter_map(|record| match record {
        FileRecord::Unit(unit) if unit.unit.as_str() == "pvtime" => Some(unit),
        _ => None,
    });
    let units = units.map(|unit| (unit.unit, unit.scope, unit.entries.as_slice()));
    let guest = Guest::saved("saved", units, 0, 4096);
    let mut plan = plan(&guest, &profile(host));
    plan.steps.retain(|step| step.id == rules::PVTIME);
    plan
}

/// The vCPU's record as the guest reads it.
fn stolen(machine: &Machine, vcpu: u32) -> Record {
    let page = machine.ram().pages().iter().find(|page| page.gpa() == Gpa(PAGE)).unwrap();
    let mut bytes = [0; RECORD_LEN];
    page.host().read(Gpa(PAGE + 64 * u64::from(vcpu)), &mut bytes).unwrap();
    Record::from_bytes(&bytes)
}

fn has_records(machine: &Machine) -> bool {
    machine.state().unwrap().iter().any(|unit| unit.unit.as_str() == "pvtime")
}

fn run(machine: &mut Machine, config: &RunConfig) -> Outcome {
    let (_, queue) = control();
    machine.run(&queue, config).unwrap().outcome
}

// ---- Which guests go where ----

/// A file of a guest born on an engine that offers these; `told` is whether it says its revision.
fn file(source: &Revisions, told: bool) -> (Vec<u8>, Vec<FileRecord>) {
    let machine = born(&soft(source), KERNEL);
    let mut all = Vec::new();
    let bytes = file_with(&machine, |records| {
        for vcpu in 0..BOARD.vcpu_count {
            if !told && *source != Revisions::NONE {
                let scope = format!("vcpu{vcpu}");
                let entries = &mut record(records, "pvtime", &scope).entries;
                entries.retain(|entry| entry.id != DEF_REVISION.id);
            }
        }
        all.clone_from(records);
    });
    (bytes, all)
}

#[test]
fn each_pair_of_hosts_is_as_planned_and_as_its_revisions_say() {
    let mut refusals = 0;
    for source in sets() {
        for told in [true, false] {
            let (bytes, records) = file(&source, told);
            // What is not told is 0.
            let revision = source.choose().map(|own| if told { own } else { REVISION_1_0 });
            for destination in sets() {
                let fits = revision.is_none_or(|revision| destination.offers(revision));
                let plan = planned(&records, &destination);
                let pair = format!("{source} to {destination}, told: {told}");
                assert_eq!(plan.is_fine(), fits, "{pair}");
                let engine = soft(&destination);
                if fits {
                    let machine = restored(&engine, bytes.clone());
                    assert_eq!(has_records(&machine), revision.is_some(), "{pair}");
                    continue;
                }
                refusals += 1;
                let error = refusal(&engine, bytes.clone());
                assert!(matches!(error, RestoreError::Plan { .. }), "{pair}: {error}");
                let text = error.to_string();
                assert!(text.contains("stolen time") && text.contains("pvtime"), "{pair}: {text}");
            }
        }
    }
    // By hand: 0 goes to two of four hosts, 1 to two of four, and what is not told is 0.
    assert_eq!(refusals, 3 * 2 * 2);
}

#[test]
fn engines_judge_revision_and_place_again_where_the_address_is_given() {
    for offered in sets() {
        for revision in [Revision(0), Revision(1)] {
            let is_taken = |at| {
                let answer = lone_vcpu(&soft(&offered)).set_stolen_time(Gpa(at), revision);
                answer.map_err(|error| assert!(error.to_string().contains("engine soft"))).is_ok()
            };
            assert_eq!(is_taken(PAGE), offered.offers(revision), "{offered} {revision}");
            for at in [PAGE + 1, PAGE + 32, PAGE - 64, PAGE + 0x1_0000, 0x4000_0000, u64::MAX] {
                assert!(!is_taken(at), "{at:#x}");
            }
        }
    }
}

/// A vCPU of a VM with a page for records.
fn lone_vcpu(engine: &SoftEngine) -> Box<dyn abide_engine::Vcpu> {
    use abide_memory::{AbiPages, GuestRam, PageAccess};
    use std::sync::Arc;
    let page = Arc::new(AbiPages::new(Gpa(PAGE), PageAccess::ReadWrite).unwrap());
    let ram = GuestRam::new(Gpa(0x4000_0000), 1 << 20).unwrap().with_pages(vec![page]).unwrap();
    let config = abide_engine::VmConfig {
        vcpu_count: 1,
        cntfrq_hz: 62_500_000,
        ram: Arc::new(ram),
        clock: Arc::new(abide_machine::clock::MachineClock::new_virtual(62_500_000)),
        gicd: Gpa(0x0800_0000),
        gicr: Gpa(0x080a_0000),
        gic_intids: 288,
        features: abide_arm64::features::CpuFeatures::NONE,
    };
    engine.create_vm(config).unwrap().create_vcpu(VcpuId(0), Arc::default()).unwrap()
}

// ---- What no record can be ----

/// How a file of two vCPUs is refused in which the second's record has another value here.
fn refusal_with(id: RegId, value: &Value) -> String {
    let engine = soft(&Revisions::of([REVISION_1_0]));
    let machine = born(&engine, KERNEL);
    let file = file_with(&machine, |records| set(records, "pvtime", "vcpu1", id, value.clone()));
    refusal(&engine, file).to_string()
}

#[test]
fn records_that_cannot_be_are_refused_by_name() {
    for gpa in [PAGE, PAGE - 64, PAGE + 0x1_0000, 0x4000_0000, 0x0900_0000, u64::MAX - 63] {
        let text = refusal_with(DEF_TABLE_GPA.id, &Value::u64(gpa));
        assert!(text.starts_with("pvtime vcpu1") && text.contains("table-gpa"), "{text}");
    }
    for gpa in [PAGE + 1, PAGE + 96] {
        let text = refusal_with(DEF_TABLE_GPA.id, &Value::u64(gpa));
        assert!(text.contains("pvtime.table-gpa") && text.contains("aligned to 64"), "{text}");
    }
    let text = refusal_with(DEF_ATTRIBUTES.id, &Value::u32(1));
    assert!(text.contains("pvtime.attributes") && text.contains("0: none is defined"), "{text}");
    for revision in [1, 2, u32::MAX] {
        let text = refusal_with(DEF_REVISION.id, &Value::u32(revision));
        assert!(text.contains("stolen time") && text.contains("0x0, 0x10000"), "{text}");
    }
    let text = refusal_with(DEF_STOLEN_NS.id, &Value::u32(1));
    assert!(text.contains("pvtime.stolen-ns"), "{text}");
}

#[test]
fn one_vcpu_without_a_record_is_none_with_stolen_time() {
    let engine = soft(&Revisions::of([REVISION_1_0]));
    let machine = born(&engine, KERNEL);
    for missing in 0..2 {
        let file = file_with(&machine, |records| {
            let scope = Scope::Vcpu(VcpuId(missing));
            records.retain(|record| match record {
                FileRecord::Unit(unit) => (unit.unit.as_str(), unit.scope) != ("pvtime", scope),
                _ => true,
            });
        });
        let text = refusal(&engine, file).to_string();
        assert_eq!(text, format!("the snapshot has no record of pvtime vcpu{missing}"));
    }
}

// ---- Who is charged for what ----

/// Asks what there is, and keeps the answers in x20 to x24.
fn ask(turn: &mut support::Turn<'_>) {
    use abide_arm64::kvm::x;
    let calls = [
        (ARCH_FEATURES, PV_TIME_FEATURES),
        (PV_TIME_FEATURES, PV_TIME_FEATURES),
        (PV_TIME_FEATURES, PV_TIME_ST),
        (PV_TIME_ST, 0),
        (PV_TIME_FEATURES, 0xc500_0022),
    ];
    for ((function, about), n) in calls.into_iter().zip(20..) {
        let [answer, ..] = turn.ask(function, about);
        turn.set_x(x(n), answer);
    }
}

fn answers(machine: &Machine) -> Vec<[u64; 5]> {
    use abide_arm64::kvm::x;
    let cpus = machine.state().unwrap().into_iter().filter(|unit| unit.unit.as_str() == "cpu");
    let number = |entries: &[Entry], n| {
        let entry = entries.iter().find(|entry| entry.id == x(n)).unwrap();
        entry.value.to_u64().unwrap()
    };
    cpus.map(|unit| [20, 21, 22, 23, 24].map(|n| number(&unit.entries, n))).collect()
}

#[test]
fn guests_with_records_are_told_where_and_others_that_there_are_none() {
    let asking = MockEngine::new(|turn| {
        ask(turn);
        turn.power_off()
    });
    let mut machine = born(&asking, KERNEL);
    run(&mut machine, &RunConfig::default());
    assert_eq!(answers(&machine)[0], [0, 0, 0, PAGE, NOT_SUPPORTED]);
    // A guest from a version without.
    let without = file_with(&born(&asking, KERNEL), |records| {
        records.retain(|record| match record {
            FileRecord::Unit(unit) => unit.unit.as_str() != "pvtime",
            _ => true,
        });
    });
    let mut machine = restored(&asking, without);
    assert!(!has_records(&machine), "it stays without");
    run(&mut machine, &RunConfig::default());
    assert_eq!(
        answers(&machine)[0],
        [0, NOT_SUPPORTED, NOT_SUPPORTED, NOT_SUPPORTED, NOT_SUPPORTED]
    );
}

/// The guest's vCPU 0 switches vCPU 1 on. Then 0 executes 1000 instructions in each turn and 1
/// executes 300, and after some turns vCPU 1 begins its record anew. vCPU 1 waits in every fourth
/// turn.
fn two_at_once() -> MockEngine {
    const CPU_ON: u64 = 0xc400_0003;
    const ST_AT: u64 = 9;
    MockEngine::new(|turn| {
        let step = turn.next_step();
        if turn.id == VcpuId(0) {
            if step == 0 {
                return turn.call(CPU_ON, &[1, 0x4000_0000, 0]).unwrap_or(Stop::Budget);
            }
            if step == 40 {
                return turn.power_off();
            }
            turn.clock.retire(1000);
            return Stop::Budget;
        }
        if step == ST_AT {
            turn.ask(PV_TIME_ST, 0);
        }
        let waits = step % 4 == 3;
        turn.set_waiting(waits);
        turn.clock.retire(300);
        if waits { Stop::Idle } else { Stop::Budget }
    })
}

/// The guest's time after so many instructions, in ns.
fn ns_at(instructions: u64) -> u64 {
    use abide_engine::Clock;
    let clock = abide_machine::clock::MachineClock::new_virtual(BOARD.cntfrq_hz);
    clock.retire(instructions);
    clock.now_ticks() * (1_000_000_000 / BOARD.cntfrq_hz)
}

#[test]
fn in_virtual_time_a_vcpu_is_charged_for_exactly_what_others_execute() {
    let mut machine = born(&two_at_once(), KERNEL);
    assert_eq!(run(&mut machine, &RunConfig::default()), Outcome::PoweredOff);
    let (mut done, mut first, mut second) = (0, 0, 0);
    for turn in 0..40 {
        let passed = |done: &mut u64, instructions| {
            let from = ns_at(*done);
            *done += instructions;
            ns_at(*done) - from
        };
        // vCPU 1 could not execute where it waited since its last turn.
        let of_first = passed(&mut done, if turn == 0 { 0 } else { 1000 });
        if turn % 4 != 0 {
            second += of_first;
        }
        if turn == 9 {
            second = 0;
        }
        // vCPU 0 never waits.
        first += passed(&mut done, 300);
    }
    assert_eq!([0, 1].map(|vcpu| stolen(&machine, vcpu).stolen_ns), [first, second]);
    assert_eq!(machine.instructions(), done);
    assert!(first > 0 && second > 0);
}

/// vCPU 0 switches vCPU 1 on, which switches itself off in its fourth turn; at `back` it is
/// switched on again, and begins its record anew as a guest's kernel does. All ends at `end`.
fn hotplugged(back: u64, end: u64) -> MockEngine {
    const CPU_OFF: u64 = 0x8400_0002;
    const CPU_ON: u64 = 0xc400_0003;
    MockEngine::new(move |turn| {
        let step = turn.next_step();
        match (turn.id.0, step) {
            (0, step) if step == end => return turn.power_off(),
            (0, step) if step == 0 || step == back => {
                return turn.call(CPU_ON, &[1, 0x4000_0000, 0]).unwrap_or(Stop::Budget);
            }
            (0, _) => turn.clock.retire(1000),
            (_, 3) => return turn.call(CPU_OFF, &[]).unwrap_or(Stop::Budget),
            (_, 4) => assert_eq!(turn.ask(PV_TIME_ST, 0)[0], PAGE + 64),
            (..) => turn.clock.retire(300),
        }
        Stop::Budget
    })
}

#[test]
fn a_vcpu_that_is_off_is_charged_nothing_and_begins_anew_when_it_asks() {
    let second = |back, end| {
        let mut machine = born(&hotplugged(back, end), KERNEL);
        assert_eq!(run(&mut machine, &RunConfig::default()), Outcome::PoweredOff);
        stolen(&machine, 1).stolen_ns
    };
    // Off since the fourth turn: of 14 turns of vCPU 0, three were taken from it, of which the
    // first began at 300 instructions.
    let of_turn = |n: u64| ns_at(300 + 1300 * n + 1000) - ns_at(300 + 1300 * n);
    let before = of_turn(0) + of_turn(1) + of_turn(2);
    assert_eq!(second(15, 15), before);
    assert!(before > 0);
    // On again, it has nothing until vCPU 0 executes.
    assert_eq!(second(15, 16), 0);
    let so_far = 3 * 300 + 14 * 1000;
    assert_eq!(second(15, 17), ns_at(so_far + 1000) - ns_at(so_far));
}

/// The guest's run with a save and a restore at each of these instructions.
fn with_saves(points: &[u64], directory: &Path) -> (Machine, [Record; 2]) {
    let engine = two_at_once();
    let mut machine = born(&engine, KERNEL);
    for &instructions in points {
        let path = directory.join(format!("at-{instructions}"));
        let save_points = vec![SavePoint { instructions, path: path.clone() }];
        let config = RunConfig { save_points, ..RunConfig::default() };
        assert_eq!(run(&mut machine, &config), Outcome::SavedAway);
        machine = restored(&engine, std::fs::read(path).unwrap());
    }
    assert_eq!(run(&mut machine, &RunConfig::default()), Outcome::PoweredOff);
    let records = [0, 1].map(|vcpu| stolen(&machine, vcpu));
    (machine, records)
}

#[test]
fn in_virtual_time_saves_and_restores_change_no_bit_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let (whole, expected) = with_saves(&[], directory.path());
    let points: Vec<u64> = (1..20).map(|n| n * 2_100).collect();
    let (parts, found) = with_saves(&points, directory.path());
    assert_eq!(found, expected);
    assert_eq!(parts.state_hash().unwrap(), whole.state_hash().unwrap());
    for &point in &points[..3] {
        assert_eq!(with_saves(&[point], directory.path()).1, expected);
    }
}

#[test]
fn in_host_time_the_count_never_falls_over_restores() {
    let engine = MockEngine::new(|turn| {
        if turn.id == VcpuId(1) {
            return Stop::Idle;
        }
        if turn.next_step() % 50 == 49 { turn.power_off() } else { Stop::Budget }
    });
    let mut machine = born_with(&engine, KERNEL, BOARD, TimeSource::Host);
    let mut before = 0;
    for round in 0..20 {
        assert_eq!(run(&mut machine, &RunConfig::default()), Outcome::PoweredOff);
        let found = stolen(&machine, 0).stolen_ns;
        assert!(found >= before, "round {round}: {found} after {before}");
        let file = file_with(&machine, |records| {
            // As if much had been stolen.
            let more = Value::u64(found + 1_000_000_000);
            set(records, "pvtime", "vcpu0", DEF_STOLEN_NS.id, more);
        });
        machine = restored(&engine, file);
        before = found + 1_000_000_000;
        assert_eq!(stolen(&machine, 0).stolen_ns, before, "the restore itself charges nothing");
    }
}
