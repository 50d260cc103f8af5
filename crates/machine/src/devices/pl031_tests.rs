//! What guests rely on, with numbers typed from the manual.

use super::{PL031_TABLE, Pl031};
use abide_reg::{Entry, IntakeError, RegId, Value, codec};
use proptest::prelude::*;

const DR: u64 = 0x00;
const MR: u64 = 0x04;
const LR: u64 = 0x08;
const CR: u64 = 0x0c;
const IMSC: u64 = 0x10;
const RIS: u64 = 0x14;
const MIS: u64 = 0x18;
const ICR: u64 = 0x1c;

/// 2026-01-01 00:00:00 UTC.
const NOW: u64 = 1_767_225_600;

fn restored(rtc: &Pl031) -> Pl031 {
    let bytes = codec::encode(&rtc.save()).unwrap();
    let (copy, _) = Pl031::restore(codec::decode(&bytes).unwrap()).unwrap();
    assert_eq!(&copy, rtc);
    copy
}

#[test]
fn reset_shows_the_clock_and_the_ids() {
    let rtc = Pl031::new();
    assert_eq!([rtc.read(DR, 4, NOW), rtc.read(CR, 4, NOW)], [NOW, 1]);
    for offset in [MR, LR, IMSC, RIS, MIS, ICR, 0x20, 0xfdc, 0x1000, u64::MAX - 3] {
        assert_eq!(rtc.read(offset, 4, NOW), 0, "{offset:#x}");
    }
    let ids: Vec<_> = (0xfe0..0x1000).step_by(4).map(|at| rtc.read(at, 4, NOW)).collect();
    assert_eq!(ids, [0x31, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    assert!(!rtc.irq_level());
}

#[test]
fn counter_goes_on_from_what_was_loaded() {
    let mut rtc = Pl031::new();
    rtc.write(LR, 4, 1000, NOW);
    assert_eq!([rtc.read(DR, 4, NOW), rtc.read(LR, 4, NOW)], [1000, 1000]);
    assert_eq!([rtc.read(DR, 4, NOW + 5), rtc.read(LR, 4, NOW + 5)], [1005, 1000]);
    assert_eq!(restored(&rtc).read(DR, 4, NOW + 90), 1090);
    rtc.write(LR, 4, 0xffff_ffff, NOW);
    assert_eq!(rtc.read(DR, 4, NOW + 1), 0, "it wraps");
    // After 2106 the 32 bits of the clock itself wrap.
    assert_eq!(Pl031::new().read(DR, 4, 1 << 32 | 7), 7);
}

#[test]
fn alarm_rises_at_its_second_and_only_once() {
    let mut rtc = Pl031::new();
    rtc.write(IMSC, 4, 1, NOW);
    rtc.write(MR, 4, NOW + 10, NOW);
    assert_eq!(rtc.wake_s(), Some(NOW + 10));
    rtc.tick(NOW + 9);
    assert!(!rtc.irq_level());
    let mut rtc = restored(&rtc);
    rtc.tick(NOW + 10);
    assert!(rtc.irq_level());
    assert_eq!([rtc.read(RIS, 4, NOW + 10), rtc.read(MIS, 4, NOW + 10)], [1, 1]);
    assert_eq!(rtc.wake_s(), None);
    rtc.write(ICR, 4, 0, NOW + 11);
    assert!(rtc.irq_level());
    rtc.write(ICR, 4, 1, NOW + 11);
    assert!(!rtc.irq_level());
    rtc.tick(NOW + (1 << 33));
    assert!(!rtc.irq_level());
}

#[test]
fn alarm_that_was_slept_through_is_late_but_not_lost() {
    let mut rtc = Pl031::new();
    rtc.write(MR, 4, NOW + 10, NOW);
    assert_eq!(rtc.read(RIS, 4, NOW + 500), 1, "seen without a tick");
    rtc.write(IMSC, 4, 1, NOW + 500);
    assert!(rtc.irq_level());
    // An earlier time than before changes nothing.
    rtc.tick(NOW);
    assert!(rtc.irq_level());
}

#[test]
fn mask_hides_the_interrupt_without_losing_it() {
    let mut rtc = Pl031::new();
    rtc.write(MR, 4, NOW, NOW);
    assert!(!rtc.irq_level());
    assert_eq!([rtc.read(RIS, 4, NOW), rtc.read(MIS, 4, NOW)], [1, 0]);
    rtc.write(IMSC, 4, 0xff, NOW);
    assert_eq!([rtc.read(IMSC, 4, NOW), rtc.read(MIS, 4, NOW)], [1, 1]);
    assert!(rtc.irq_level());
}

/// Linux `pl031_set_time` and `pl031_set_alarm`: loading moves the alarm with the counter.
#[test]
fn loading_moves_the_alarm() {
    let mut rtc = Pl031::new();
    rtc.write(MR, 4, NOW + 100, NOW);
    rtc.write(IMSC, 4, 1, NOW);
    rtc.write(LR, 4, NOW + 95, NOW);
    assert_eq!(rtc.wake_s(), Some(NOW + 5));
    rtc.write(LR, 4, NOW + 101, NOW);
    assert_eq!(rtc.wake_s(), Some(NOW + (1 << 32) - 1), "it comes around");
}

#[test]
fn other_registers_and_widths_are_ignored() {
    let mut rtc = Pl031::new();
    for (offset, size) in [(DR, 4), (CR, 4), (RIS, 4), (MIS, 4), (MR, 8), (MR + 1, 1), (0xfe0, 4)] {
        rtc.write(offset, size, 0, NOW);
        assert_eq!(rtc, Pl031::new(), "{offset:#x}");
    }
    rtc.write(LR, 2, 0xdead_beef, NOW);
    assert_eq!([rtc.read(LR, 4, NOW), rtc.read(LR, 1, NOW)], [0xbeef, 0xef]);
    assert_eq!([rtc.read(LR, 8, NOW), rtc.read(LR + 2, 2, NOW)], [0, 0]);
}

#[test]
fn time_near_its_end_does_no_harm() {
    let mut rtc = Pl031::new();
    rtc.write(MR, 4, 0, u64::MAX - 1);
    assert_eq!(restored(&rtc).read(RIS, 4, u64::MAX), 0);
    // All ones say in a saved clock that there is no alarm.
    let mut rtc = Pl031::new();
    rtc.write(MR, 4, 0xffff_ffff, u64::MAX - 5);
    restored(&rtc);
    rtc.write(LR, 4, 5, u64::MAX);
    rtc.write(MR, 4, 5, u64::MAX);
    restored(&rtc);
}

#[test]
fn values_that_no_rtc_holds_are_refused_by_name() {
    let mut rtc = Pl031::new();
    rtc.write(MR, 4, NOW + 10, NOW);
    let bad = [
        ("pl031.rtcimsc", Value::u32(2)),
        ("pl031.rtcris", Value::u32(0x101)),
        ("pl031.alarm-s", Value::u64(NOW + 11)),
        ("pl031.alarm-s", Value::u64(0)),
    ];
    for (name, value) in bad {
        let mut saved = rtc.save();
        saved.iter_mut().find(|entry| entry.id == RegId::named(name)).unwrap().value =
            value.clone();
        let refused = Pl031::restore(saved);
        assert!(
            matches!(&refused, Err(IntakeError::Value { id, found, .. })
                if *id == RegId::named(name) && *found == value),
            "{name}: {refused:?}"
        );
    }
    for (at, def) in PL031_TABLE.iter().enumerate() {
        let mut missing = rtc.save();
        assert_eq!(missing.remove(at).id, def.id);
        let refused = Pl031::restore(missing);
        assert!(matches!(refused, Err(IntakeError::Missing { id, .. }) if id == def.id));
    }
}

/// Moves time by the first number, then reads (or writes, with a value) at the offset.
type Step = (u32, u64, Option<u32>);

fn step() -> impl Strategy<Value = Step> {
    let passed = prop_oneof![0u32..4, any::<u32>()];
    let value = prop_oneof![0u32..8, (0u32..20).prop_map(|n| 1_767_225_600 + n), any::<u32>()];
    let offset = prop_oneof![8 => (0u64..9).prop_map(|n| n * 4), 1 => any::<u64>()];
    (passed, offset, proptest::option::of(value))
}

fn apply(rtc: &mut Pl031, now: u64, (_, offset, value): &Step) -> (u64, bool) {
    if let Some(value) = value {
        rtc.write(*offset, 4, u64::from(*value), now);
    }
    let read = rtc.read(*offset, 4, now);
    (read, rtc.irq_level())
}

proptest! {
    #[test]
    fn a_copy_restored_at_every_step_behaves_the_same(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let (mut untouched, mut moved, mut now) = (Pl031::new(), Pl031::new(), NOW);
        for step in &steps {
            now += u64::from(step.0);
            moved = restored(&moved);
            prop_assert_eq!(apply(&mut untouched, now, step), apply(&mut moved, now, step));
        }
        prop_assert_eq!(untouched.save(), moved.save());
    }

    #[test]
    fn ticks_in_between_are_not_seen_by_the_guest(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let (mut ticked, mut late, mut now) = (Pl031::new(), Pl031::new(), NOW);
        for step in &steps {
            ticked.tick(now + u64::from(step.0 / 2));
            now += u64::from(step.0);
            prop_assert_eq!(apply(&mut ticked, now, step).0, apply(&mut late, now, step).0);
        }
        ticked.tick(now);
        late.tick(now);
        prop_assert_eq!(ticked, late);
    }

    #[test]
    fn hostile_state_never_panics(
        numbers in proptest::collection::vec(prop_oneof![0u32..3, any::<u32>()], 5),
        alarm in prop_oneof![Just(u64::MAX), any::<u64>()],
        steps in proptest::collection::vec(step(), 0..20),
    ) {
        let numbers =
            PL031_TABLE.iter().zip(&numbers).map(|(def, n)| Entry::of(def, Value::u32(*n)));
        let alarm = Entry::of(&PL031_TABLE[5], Value::u64(alarm));
        if let Ok((mut rtc, _)) = Pl031::restore(numbers.chain([alarm]).collect()) {
            for step in &steps {
                apply(&mut rtc, u64::from(step.0) << 31, step);
            }
            restored(&rtc);
        }
    }
}
