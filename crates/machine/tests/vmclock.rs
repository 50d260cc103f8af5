//! The page with the time and the one with the generation: at birth, at each way of arriving, with
//! a host that tells the time, and from files that say something else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_engine_soft::SoftEngine;
use abide_machine::board::{BoardConfig, GICD_BASE, VMCLOCK_BASE, VMCLOCK_INTID, VMGENID_INTID};
use abide_machine::devices::vmclock::VmclockConfig;
use abide_machine::error::RestoreError;
use abide_machine::lifecycle::Intent;
use abide_machine::runner::{Command, Reply};
use abide_machine::time_of_day::{GuestTicks, Publish, TimeOfDay};
use abide_machine::{Machine, TimeSource};
use abide_memory::{Order, RamOffset};
use abide_reg::{IntakeError, RegId, Scope, Value};
use abide_snapshot::Record;
use abide_testkit::guest::{asm, x};
use abide_vmclock::{Body, Claim, Constants, Line, Period, Time, spec};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{
    BOARD, KERNEL, MockEngine, born_with, file_with, record, refusal, restore, set, smp,
};

fn with_pages() -> BoardConfig {
    BoardConfig { vmclock: Some(VmclockConfig::DEFAULT), ..BOARD }
}

fn host_time(engine: &MockEngine) -> Machine {
    born_with(engine, KERNEL, with_pages(), TimeSource::Host)
}

fn number(machine: &Machine, unit: &str, id: RegId) -> Value {
    let mut records: Vec<Record> = machine.state().unwrap().into_iter().map(Record::Unit).collect();
    let entries = &record(&mut records, unit, "dev0").entries;
    entries.iter().find(|entry| entry.id == id).unwrap().value.clone()
}

fn clock(machine: &Machine, register: &'static str) -> u64 {
    let value = number(machine, "vmclock", RegId::named(register));
    value.to_u64().or_else(|| value.to_u32().map(u64::from)).unwrap()
}

fn marker(machine: &Machine) -> u64 {
    clock(machine, "vmclock.disruption-marker")
}

fn counter(machine: &Machine) -> u64 {
    clock(machine, "vmclock.vm-generation-counter")
}

fn seq(machine: &Machine) -> u64 {
    clock(machine, "vmclock.seq-count")
}

fn generation(machine: &Machine) -> Vec<u8> {
    let value = number(machine, "vmgenid", RegId::named("vmgenid.generation"));
    value.as_bytes().to_vec()
}

/// The page as bytes, constants and body taken apart.
fn page(machine: &Machine) -> (Constants, u32, Body) {
    let page = machine.vmclock_page().unwrap();
    let host = page.host();
    let constants = [0, 4, 8].map(|at| host.load::<u32>(RamOffset(at), Order::Relaxed));
    let words = std::array::from_fn(|index| {
        host.load::<u64>(RamOffset(0x10 + 8 * index as u64), Order::Relaxed)
    });
    let seq = host.load::<u32>(RamOffset(0xc), Order::Relaxed);
    (Constants::from_words(constants, 4096).unwrap(), seq, Body::from_words(&words))
}

fn arrive(file: Vec<u8>, intent: Intent) -> Machine {
    restore(&MockEngine::idle(), file).unwrap().commit(intent).unwrap()
}

#[test]
fn born_guest_has_a_page_that_tells_no_time_yet() {
    let machine = host_time(&MockEngine::idle());
    let (constants, seq, body) = page(&machine);
    assert_eq!(constants.size_bytes, 4096);
    assert_eq!((constants.counter_id, constants.time_type), (0, spec::TIME_TAI));
    assert_eq!(seq, 2, "even, and not what readers take for nothing");
    assert_eq!(body.clock_status, spec::STATUS_UNRELIABLE);
    assert!(body.has(spec::FLAG_NOTIFICATION_PRESENT | spec::FLAG_VM_GEN_COUNTER_PRESENT));
    assert_ne!(generation(&machine), [0; 16]);
    assert_ne!(generation(&machine), generation(&host_time(&MockEngine::idle())));
    // The guest reaches it outside RAM, and devices do not.
    let ram = machine.ram();
    assert!(ram.place_of(VMCLOCK_BASE, 8).is_some() && ram.offset_of(VMCLOCK_BASE, 8).is_none());
}

#[test]
fn each_way_of_arriving_tells_what_it_is() {
    let machine = host_time(&MockEngine::idle());
    let file = || file_with(&machine, |_| ());
    let (marker_was, counter_was, seq_was) = (marker(&machine), counter(&machine), seq(&machine));
    let moved = arrive(file(), Intent::Move);
    assert_eq!((marker(&moved), counter(&moved)), (marker_was + 1, counter_was));
    assert_eq!(generation(&moved), generation(&machine));
    let copies = [Intent::Restore, Intent::Clone, Intent::Fork].map(|it| arrive(file(), it));
    for copy in &copies {
        assert_eq!((marker(copy), counter(copy)), (marker_was + 1, counter_was + 1));
        assert_ne!(generation(copy), generation(&machine));
        let (_, seq_now, body) = page(copy);
        assert_eq!(u64::from(seq_now), seq(copy));
        assert!(
            seq(copy) > seq_was && seq(copy).is_multiple_of(2),
            "it goes on from the saved one"
        );
        assert_eq!(body.vm_generation_counter, counter(copy));
        assert_eq!(body.disruption_marker, marker(copy));
    }
    assert_ne!(generation(&copies[0]), generation(&copies[1]), "two copies of one file differ");
    // What was told is never told again in one lineage.
    let again = arrive(file_with(&copies[0], |_| ()), Intent::Restore);
    assert_eq!((marker(&again), counter(&again)), (marker_was + 2, counter_was + 2));
}

fn bits(intids: &[u32]) -> u64 {
    intids.iter().map(|intid| 1 << (intid - 32)).sum()
}

/// What is pending in a guest that has enabled these interrupts and comes with this intent, before
/// its first instruction.
fn pending_on_arrival(enabled: &[u32], intent: Intent) -> u64 {
    const ICFGR2: u64 = 0x0c08;
    const ISENABLER1: u64 = 0x104;
    const ISPENDR1: u64 = 0x204;
    let pending = Arc::new(AtomicU64::new(u64::MAX));
    let (seen, enabled) = (Arc::clone(&pending), bits(enabled));
    let engine = MockEngine::new(move |turn| {
        if turn.next_step() == 0 {
            // Edge-triggered, as the device tree says.
            turn.write(GICD_BASE.0 + ICFGR2, 0b1010 << (2 * (VMCLOCK_INTID - 32)));
            turn.write(GICD_BASE.0 + ISENABLER1, enabled);
        }
        seen.store(turn.read(GICD_BASE.0 + ISPENDR1), Ordering::SeqCst);
        turn.power_off()
    });
    let mut machine = host_time(&engine);
    smp::run(&mut machine);
    assert_eq!(pending.load(Ordering::SeqCst), 0, "nothing happened to a guest that is born");
    let file = file_with(&machine, |_| ());
    let mut arrived = restore(&engine, file).unwrap().commit(intent).unwrap();
    smp::run(&mut arrived);
    pending.load(Ordering::SeqCst)
}

#[test]
fn arriving_interrupts_once_the_controller_is_there() {
    let both = [VMCLOCK_INTID, VMGENID_INTID];
    assert_eq!(pending_on_arrival(&both, Intent::Move), bits(&[VMCLOCK_INTID]));
    assert_eq!(pending_on_arrival(&both, Intent::Restore), bits(&both));
}

/// A driver that begins later finds the pages as they are; an interrupt from before it would hit
/// some of them before they are ready.
#[test]
fn arriving_does_not_interrupt_who_does_not_listen_yet() {
    for enabled in [&[][..], &[VMCLOCK_INTID], &[VMGENID_INTID]] {
        for intent in [Intent::Move, Intent::Restore] {
            let told = pending_on_arrival(enabled, intent);
            assert_eq!(told & !bits(enabled), 0, "{intent:?}: {told:#x}");
        }
    }
    assert_eq!(pending_on_arrival(&[VMGENID_INTID], Intent::Restore), bits(&[VMGENID_INTID]));
}

#[test]
fn a_run_that_repeats_is_told_nothing_and_stays_the_same() {
    let machine = born_with(&MockEngine::idle(), KERNEL, with_pages(), TimeSource::Virtual);
    let other = born_with(&MockEngine::idle(), KERNEL, with_pages(), TimeSource::Virtual);
    assert_eq!(machine.state_hash().unwrap(), other.state_hash().unwrap());
    let restored = arrive(file_with(&machine, |_| ()), Intent::Restore);
    assert_eq!(restored.state_hash().unwrap(), machine.state_hash().unwrap());
    assert_eq!(page(&restored), page(&machine));
    assert_eq!(page(&restored).2.clock_status, spec::STATUS_UNRELIABLE);
    // Where nothing repeats any more, the guest is told.
    let uncounted = MockEngine { counts_instructions: false, ..MockEngine::idle() };
    let file = file_with(&machine, |_| ());
    let moved = restore(&uncounted, file).unwrap().commit(Intent::Restore).unwrap();
    assert_eq!(counter(&moved), counter(&machine) + 1);
}

#[test]
fn a_guest_born_without_never_gets_them() {
    let machine = born_with(&MockEngine::idle(), KERNEL, BOARD, TimeSource::Host);
    let restored = arrive(file_with(&machine, |_| ()), Intent::Restore);
    assert_eq!(restored.board().vmclock, None);
    assert!(restored.vmclock_page().is_none());
    assert_eq!(restored.ram().place_of(VMCLOCK_BASE, 8), None);
    let had = host_time(&MockEngine::idle());
    let again = arrive(file_with(&had, |_| ()), Intent::Restore);
    assert_eq!(again.board(), had.board());
}

#[test]
fn a_clock_without_a_generation_has_none_afterwards_either() {
    let machine = host_time(&MockEngine::idle());
    let without = |records: &mut Vec<Record>| {
        records
            .retain(|record| !matches!(record, Record::Unit(it) if it.unit.as_str() == "vmgenid"));
    };
    let restored = arrive(file_with(&machine, without), Intent::Restore);
    assert_eq!(counter(&restored), counter(&machine) + 1);
    assert!(restored.state().unwrap().iter().all(|it| it.unit.as_str() != "vmgenid"));
    // A generation without a clock is no board that there ever was.
    let orphan = file_with(&machine, |records| {
        records
            .retain(|record| !matches!(record, Record::Unit(it) if it.unit.as_str() == "vmclock"));
    });
    let error = refusal(&MockEngine::idle(), orphan);
    assert!(
        matches!(&error, RestoreError::UnknownUnit { unit, .. } if unit.as_str() == "vmgenid"),
        "{error}"
    );
}

#[test]
fn registers_that_no_clock_has_are_refused_by_name() {
    let machine = host_time(&MockEngine::idle());
    for (unit, id, value) in [
        ("vmclock", "vmclock.size", Value::u32(12 << 10)),
        ("vmclock", "vmclock.size", Value::u32(1 << 17)),
        ("vmclock", "vmclock.size", Value::u32(104)),
        ("vmclock", "vmclock.counter-id", Value::u8(1)),
        ("vmclock", "vmclock.time-type", Value::u8(0)),
        ("vmclock", "vmclock.notifies", Value::u8(2)),
        ("vmclock", "vmclock.seq-count", Value::u32(3)),
        ("vmclock", "vmclock.seq-count", Value::u32(0)),
    ] {
        let file = file_with(&machine, |records| {
            set(records, unit, "dev0", RegId::named(id), value.clone());
        });
        let error = refusal(&MockEngine::idle(), file);
        let RestoreError::Intake { unit: found, scope, source: IntakeError::Value { id: of, .. } } =
            &error
        else {
            panic!("{id} {value}: {error}");
        };
        assert_eq!((found.as_str(), *scope, *of), (unit, Scope::Device(0), RegId::named(id)));
    }
    for (unit, id, value) in [
        ("vmclock", "vmclock.disruption-marker", Value::u32(1)),
        ("vmgenid", "vmgenid.generation", Value::u64(1)),
    ] {
        let file = file_with(&machine, |records| {
            set(records, unit, "dev0", RegId::named(id), value.clone());
        });
        let error = refusal(&MockEngine::idle(), file);
        assert!(error.to_string().contains(id), "{error}");
    }
    for unit in ["vmclock", "vmgenid"] {
        let file = file_with(&machine, |records| {
            record(records, unit, "dev0").entries.pop();
        });
        let error = refusal(&MockEngine::idle(), file);
        let is_named = matches!(&error, RestoreError::Intake { unit: found, .. }
            if found.as_str() == unit);
        assert!(is_named, "{error}");
    }
}

/// TAI when the guest's counter was 0, in ns.
const EPOCH_NS: u64 = 1_800_000_000_000_000_000;

/// A host whose clock is exact: each tick is its part of a second.
struct Exact;

impl TimeOfDay for Exact {
    fn claim(&mut self, counter: &GuestTicks<'_>) -> Option<Claim> {
        let (hz, counter_value) = (counter.hz, counter.now());
        let ns = u128::from(counter_value) * 1_000_000_000 / u128::from(hz);
        let ns = u128::from(EPOCH_NS) + ns;
        let sec = u64::try_from(ns / 1_000_000_000).unwrap();
        let frac = ((ns % 1_000_000_000) << 64) / 1_000_000_000;
        let line = Line {
            counter_value,
            time: Time::from_parts(sec, u64::try_from(frac).unwrap()),
            period: Period::of_hz(hz).unwrap(),
            period_maxerror: 0,
            time_maxerror_ns: 1000,
        };
        Some(Claim {
            line,
            time_esterror_ns: 100,
            period_esterror: 0,
            tai_offset_sec: Some(-37),
            leap_indicator: spec::LEAP_NONE,
            is_synchronised: true,
        })
    }

    fn decide(&mut self, _: &Body, _: Option<&Claim>) -> Publish {
        Publish::default()
    }
}

/// MRS x3, CNTVCT_EL0.
const MRS_X3_CNTVCT: u32 = 0xd53b_e043;

/// How long the guest waits by its counter, in seconds.
const WAIT_S: u64 = 1;

/// A guest that notes what its page says and what its counter is, as its first act and when it has
/// waited.
fn reading_guest(cntfrq_hz: u64) -> Vec<u8> {
    smp::image(1, |program, _| {
        program.mov64(x(24), VMCLOCK_BASE.0);
        asm!(program.assembler()
            ; ldr x1, [x24, 0x20]
            ; ldr x2, [x24, 0x28]
            ; isb
        );
        program.word(MRS_X3_CNTVCT);
        asm!(program.assembler()
            ; ldr x4, [x24, 0x10]
            ; add x0, x20, smp::OWN
            ; stp x1, x2, [x0]
            ; stp x3, x4, [x0, 16]
        );
        // Until its counter says that it has waited.
        program.mov64(x(5), WAIT_S * cntfrq_hz);
        let again = program.label();
        asm!(program.assembler(); add x4, x3, x5; =>again; isb);
        program.word(MRS_X3_CNTVCT);
        asm!(program.assembler()
            ; cmp x3, x4
            ; b.lo =>again
            ; ldr x1, [x24, 0x20]
            ; ldr x2, [x24, 0x10]
            ; stp x1, x2, [x0, 32]
        );
    })
}

#[test]
fn the_page_tells_the_time_from_the_first_instruction_and_a_pause_is_no_disruption() {
    let board = BoardConfig { ram_len: smp::RAM_LEN, vcpu_count: 1, ..with_pages() };
    let image = reading_guest(board.cntfrq_hz);
    let mut machine = born_with(&SoftEngine::new(), &image, board, TimeSource::Host);
    machine.set_time_of_day(Box::new(Exact));
    let marker_was = marker(&machine);
    smp::run_asked(&mut machine, |control| {
        while smp::status(control).is_some_and(|status| status.instructions < 1000) {
            std::thread::yield_now();
        }
        let mut pauses = 0;
        while matches!(control.ask(Command::Pause), Some(Reply::Done)) {
            pauses += 1;
            assert!(matches!(control.ask(Command::Resume), Some(Reply::Done)));
        }
        assert_ne!(pauses, 0, "it waits for its counter");
    });
    let word = |at| smp::word(&machine, smp::OWN + at);
    let status = |mixed: u64| mixed.to_le_bytes()[2];
    assert_eq!(status(word(0)), spec::STATUS_SYNCHRONIZED, "as its first act");
    assert!(word(8) <= word(16), "the reference point is not ahead of the counter");
    assert_eq!(word(24), marker_was, "to be born is no disruption");
    assert_eq!(status(word(32)), spec::STATUS_SYNCHRONIZED);
    assert_eq!(word(40), marker_was, "the counter went on, and what the page says is true");
    assert_eq!(counter(&machine), 1, "a pause makes no copy");
}
