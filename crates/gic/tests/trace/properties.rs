//! What must hold on every trace.

use crate::action::{Action, CPUS, NR_IRQS, action, apply, boot, controller};
use crate::model::Model;
use abide_gic::fuzz::fuzz_mmio;
use abide_gic::{GicState, GicV3, Outputs, restore, save};
use abide_reg::{Registers, VcpuId};
use proptest::prelude::*;

fn trace(len: usize) -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(action(), 1..len)
}

fn outputs(gic: &GicV3) -> Vec<Outputs> {
    (0..u32::try_from(CPUS.len()).unwrap()).map(|n| gic.outputs(VcpuId(n))).collect()
}

/// A controller after `actions`, and what each CPU acknowledged last.
fn after(actions: &[Action]) -> (GicV3, [u64; CPUS.len()]) {
    let (mut gic, mut last) = (controller(), [0; CPUS.len()]);
    for action in boot().iter().chain(actions) {
        apply(&mut gic, &mut last, action);
    }
    (gic, last)
}

/// Runs on both, and compares all that a guest could tell them apart by.
fn same_from_here(left: &mut GicV3, right: &mut GicV3, last: [u64; CPUS.len()], rest: &[Action]) {
    let (mut last_left, mut last_right) = (last, last);
    for action in rest {
        let read = apply(left, &mut last_left, action);
        assert_eq!(read, apply(right, &mut last_right, action), "{action:?}");
        assert_eq!(outputs(left), outputs(right), "{action:?}");
    }
    assert_eq!(left.state(), right.state());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn controller_and_naive_model_agree(actions in trace(400)) {
        let (mut gic, mut model, mut last) = (controller(), Model::new(), [0; CPUS.len()]);
        gic.take_changed();
        for action in boot().iter().chain(&actions) {
            let before = outputs(&gic);
            let read = apply(&mut gic, &mut last, action);
            prop_assert_eq!(read, model.apply(action), "{:?}", action);
            let now = outputs(&gic);
            let changed = gic.take_changed();
            for cpu in 0..CPUS.len() {
                let (irq, fiq) = model.outputs(cpu);
                prop_assert_eq!(now[cpu], Outputs { irq, fiq }, "{:?} at cpu {}", action, cpu);
                // A CPU that changed and changed back within one access may be named.
                if before[cpu] != now[cpu] {
                    prop_assert!(changed >> cpu & 1 == 1, "{:?} at cpu {}", action, cpu);
                }
            }
        }
    }

    #[test]
    fn saved_and_restored_controller_goes_on_alike(
        actions in trace(300),
        rest in trace(200),
    ) {
        let (mut gic, last) = after(&actions);
        let saved = gic.state().to_entries().unwrap();
        let taken = GicState::from_entries(saved.clone()).unwrap();
        prop_assert_eq!(&taken.state, &gic.state());
        let mut again = GicV3::from_state(&taken.state).unwrap();
        prop_assert_eq!(again.state().to_entries().unwrap(), saved);
        prop_assert_eq!(outputs(&again), outputs(&gic));
        same_from_here(&mut gic, &mut again, last, &rest);
    }

    #[test]
    fn restore_into_a_used_controller_leaves_nothing_of_before(
        used in trace(300),
        actions in trace(300),
        rest in trace(100),
    ) {
        let (mut target, _) = after(&used);
        let (mut source, last) = after(&actions);
        restore(&mut target, &source.state()).unwrap();
        prop_assert_eq!(target.state(), source.state());
        same_from_here(&mut source, &mut target, last, &rest);
    }

    #[test]
    fn saving_by_registers_equals_the_canonical_form_and_changes_nothing(actions in trace(300)) {
        let (mut gic, _) = after(&actions);
        let before = gic.state();
        let saved = save(&mut gic, NR_IRQS, &CPUS).unwrap();
        prop_assert_eq!(saved, before.to_entries().unwrap());
        prop_assert_eq!(gic.state(), before);
    }

    #[test]
    fn registers_in_their_order_are_those_of_the_saved_form(actions in trace(20)) {
        let (gic, _) = after(&actions);
        let saved = gic.state().to_entries().unwrap();
        let ids: Vec<_> = saved.iter().flat_map(|(_, list)| list).map(|entry| entry.id).collect();
        prop_assert_eq!(Registers::reg_ids(&gic), ids);
    }

    #[test]
    fn arbitrary_accesses_never_panic(data in prop::collection::vec(any::<u8>(), 0..4000)) {
        fuzz_mmio(&data);
    }
}

#[test]
fn traces_reach_the_states_they_are_for() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut acknowledged, mut preempted, mut fiqs, mut split, mut common) = (0, 0, 0, 0, 0);
    for _ in 0..100 {
        let actions = trace(400).new_tree(&mut runner).unwrap().current();
        let (mut gic, mut last) = (controller(), [0; CPUS.len()]);
        for action in boot().iter().chain(&actions) {
            let read = apply(&mut gic, &mut last, action);
            let is_ack = matches!(action, Action::ReadSysreg { encoding, .. }
                if *encoding == abide_gic::spec::ICC_IAR1_EL1);
            acknowledged += usize::from(is_ack && read < 1020);
            fiqs += usize::from(outputs(&gic).iter().any(|out| out.fiq));
            for cpu in gic.state().cpus {
                preempted += usize::from((cpu.icc.ap1r[0] | cpu.icc.ap0r[0]).count_ones() > 1);
                split += usize::from(cpu.icc.eoi_mode);
                common += usize::from(cpu.icc.cbpr);
            }
        }
    }
    let counts = [acknowledged, preempted, fiqs, split, common];
    assert!(counts.iter().all(|&count| count > 200), "{counts:?}");
}
