//! What holds for all profiles, made up at random.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use abide_arm64::kvm;
use abide_contract::codec::{read_contract, read_profile, write_contract, write_profile};
use abide_contract::rules::{self, rule};
use abide_contract::{
    Accepts, Answer, FieldValues, FreshVm, Guest, How, Offer, Plan, Profile, Verdict, Whose, Write,
    baseline, plan,
};
use abide_reg::{Class, Direction, Fit, Readback, RegId, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ISAR0: RegId = RegId::Kvm(0x6030_0000_0013_c030);
const DFR0: RegId = RegId::Kvm(0x6030_0000_0013_c028);
const MMFR1: RegId = RegId::Kvm(0x6030_0000_0013_c039);
const MMFR2: RegId = RegId::Kvm(0x6030_0000_0013_c03a);
const MMFR3: RegId = RegId::Kvm(0x6030_0000_0013_c03b);
const CTR: RegId = RegId::Kvm(0x6030_0000_0013_d801);
const CLIDR: RegId = RegId::Kvm(0x6030_0000_0013_c801);
const CCSIDR3: RegId = RegId::Kvm(0x6020_0000_0011_0003);
const TCR2: RegId = RegId::Kvm(0x6030_0000_0013_c103);
const PMCR: RegId = RegId::Kvm(0x6030_0000_0013_dce0);
const PMCNTENSET: RegId = RegId::Kvm(0x6030_0000_0013_dce1);
const PMCNTENCLR: RegId = RegId::Kvm(0x6030_0000_0013_dce2);
const PSCI: RegId = RegId::Kvm(0x6030_0000_0014_0000);
const WORKAROUND_1: RegId = RegId::Kvm(0x6030_0000_0014_0001);
const STD_BMAP: RegId = RegId::Kvm(0x6030_0000_0016_0000);
const BMAP_2: RegId = RegId::Kvm(0x6030_0000_0016_0003);

/// Numbers whose fields are small, so that hosts often agree.
fn small_fields() -> impl Strategy<Value = u64> {
    let anything = any::<u64>().prop_map(|bits| bits & 0x1111_1111_1111_1111);
    prop_oneof![6 => Just(0x11), 2 => Just(0x10), 2 => Just(0x21), 1 => anything]
}

fn accepts(number: u64) -> impl Strategy<Value = Accepts> {
    prop_oneof![
        1 => Just(Accepts::Any),
        4 => Just(Accepts::Rule),
        1 => proptest::collection::btree_set(0..4u64, 0..4).prop_map(move |mut values| {
            values.insert(number);
            Accepts::Values(values)
        }),
        1 => (0..4u64).prop_map(move |more| {
            Accepts::Range { least: 0, most: number.saturating_add(more) }
        }),
        1 => (0..8u64).prop_map(move |more| Accepts::Bits(number | more)),
        1 => (0..4u64).prop_map(move |other| Accepts::Fields(vec![FieldValues {
            shift: 4,
            width: 4,
            values: [number >> 4 & 0xf, other].into(),
        }])),
    ]
}

fn id_offer(ignored: u64) -> impl Strategy<Value = Offer> {
    let writable = prop_oneof![1 => Just(0), 3 => Just(u64::MAX), 1 => any::<u64>()];
    (small_fields(), writable, any::<bool>()).prop_flat_map(move |(number, writable, hides)| {
        accepts(number).prop_map(move |accepts| Offer {
            writable,
            ignored: if hides { ignored } else { 0 },
            advertised: if hides { vec![advertised()] } else { Vec::new() },
            ..Offer::taking(Whose::Vm, Value::u64(number), accepts)
        })
    })
}

/// What some hosts show on request, and do not do.
fn advertised() -> FieldValues {
    FieldValues { shift: 4, width: 4, values: [2, 3].into() }
}

fn number_offer(most: u64, ignored: u64) -> impl Strategy<Value = Offer> {
    (0..=most).prop_flat_map(move |number| {
        accepts(number).prop_map(move |accepts| {
            let offer = Offer::taking(Whose::Vm, Value::u64(number), accepts);
            Offer { ignored, ..offer }
        })
    })
}

fn state_offer(most: u64) -> impl Strategy<Value = Offer> {
    (0..=most).prop_map(|number| Offer::taking(Whose::Vcpu, Value::u64(number), Accepts::Any))
}

fn volatile_offer() -> impl Strategy<Value = Offer> {
    state_offer(1).prop_map(|offer| Offer { class: Class::Volatile, ..offer })
}

fn ccsidr_offer() -> impl Strategy<Value = Offer> {
    (0..4u32).prop_map(|size| Offer::taking(Whose::Vcpu, Value::u32(size), Accepts::Rule))
}

fn maybe(
    id: RegId,
    offer: impl Strategy<Value = Offer>,
) -> impl Strategy<Value = Vec<(RegId, Offer)>> {
    proptest::option::weighted(0.7, offer)
        .prop_map(move |offer| offer.map(|offer| (id, offer)).into_iter().collect())
}

fn always(
    id: RegId,
    offer: impl Strategy<Value = Offer>,
) -> impl Strategy<Value = Vec<(RegId, Offer)>> {
    offer.prop_map(move |offer| vec![(id, offer)])
}

fn pmu() -> impl Strategy<Value = Vec<(RegId, Offer)>> {
    (any::<bool>(), 0..4u64).prop_map(|(sets, number)| {
        let offer = Offer::taking(Whose::Vcpu, Value::u64(number), Accepts::Any);
        let [set, clear] = if sets { [Write::Set, Write::Clear] } else { [Write::Store; 2] };
        vec![
            (PMCNTENSET, Offer { write: set, ..offer.clone() }),
            (PMCNTENCLR, Offer { write: clear, ..offer }),
        ]
    })
}

fn profile() -> impl Strategy<Value = Profile> {
    let nv = 0xf << 24;
    let ids = (
        always(ISAR0, id_offer(0)),
        always(DFR0, id_offer(0)),
        always(MMFR1, id_offer(0)),
        always(MMFR2, id_offer(nv)),
        maybe(MMFR3, id_offer(0)),
        always(CTR, id_offer(0)),
        always(CLIDR, number_offer(0o77, 0)),
        maybe(CCSIDR3, ccsidr_offer()),
        maybe(TCR2, state_offer(3)),
    );
    let rest = (
        always(PSCI, number_offer(5, 0)),
        always(WORKAROUND_1, number_offer(2, u64::MAX)),
        always(STD_BMAP, number_offer(3, 0)),
        maybe(BMAP_2, number_offer(3, 0)),
        maybe(PMCR, state_offer(3)),
        pmu(),
        maybe(kvm::PTIMER_CTL, state_offer(5)),
        maybe(kvm::PTIMER_CVAL, state_offer(3)),
        (always(kvm::x(0), state_offer(9)), maybe(RegId::named("cpu.event"), volatile_offer()))
            .prop_map(|(a, b)| [a, b].concat()),
    );
    (ids, rest, 0..1_000_000u32).prop_map(|(a, b, number)| {
        let parts = [a.0, a.1, a.2, a.3, a.4, a.5, a.6, a.7, a.8];
        let more = [b.0, b.1, b.2, b.3, b.4, b.5, b.6, b.7, b.8];
        let offers: BTreeMap<RegId, Offer> = parts.into_iter().chain(more).flatten().collect();
        Profile { name: format!("host{number}"), offers, ..Profile::default() }
    })
}

/// Hosts that are like one another, as hosts are: few registers are another's.
fn hosts(count: usize) -> impl Strategy<Value = Vec<Profile>> {
    let change = (profile(), proptest::collection::vec(0..6u8, 24));
    (profile(), proptest::collection::vec(change, count)).prop_map(|(base, changes)| {
        let of = |(other, dice): (Profile, Vec<u8>)| {
            let ids: Vec<RegId> = base.offers.keys().chain(other.offers.keys()).copied().collect();
            let mut offers = base.offers.clone();
            for (id, dice) in ids.into_iter().zip(dice) {
                if dice == 0 {
                    offers.remove(&id);
                    offers.extend(other.offers.get(&id).map(|offer| (id, offer.clone())));
                }
            }
            // These two are there on every host that has a PMU at all.
            for id in [PMCNTENSET, PMCNTENCLR] {
                offers.entry(id).or_insert_with(|| base.offers[&id].clone());
            }
            Profile { offers, ..other }
        };
        changes.into_iter().map(of).collect()
    })
}

/// Whether a promise shows no more than a host's own value does. What must be the same everywhere
/// may be another host's.
fn is_within(id: RegId, promised: u64, own: u64) -> bool {
    match rule(id).fit {
        Fit::AtMost => promised <= own,
        Fit::Subset => promised & !own == 0,
        Fit::Fields(fields) => fields.iter().all(|field| {
            let is_bound =
                matches!(field.direction, Direction::LowerIsSafe | Direction::HigherIsSafe);
            !is_bound || tolerated(id) & field.mask() != 0 || field.fits(promised, own)
        }),
        Fit::Exact | Fit::Any => true,
    }
}

/// Does what a plan says to a fresh VM.
fn execute<'a>(plan: &Plan, host: &'a Profile) -> FreshVm<'a> {
    let mut vm = FreshVm::new(host);
    for step in &plan.steps {
        let Some(value) = &step.value else { continue };
        if matches!(step.verdict, Verdict::Drop(_)) || step.how == Some(How::ByPartner) {
            continue;
        }
        if step.how == Some(How::ClearThenSet) {
            let pair = kvm::set_clear_pair(step.id).unwrap();
            vm.write(pair.clear, &Value::u64(u64::MAX)).unwrap();
        }
        let answer = vm.write(step.id, value).unwrap();
        assert!(!matches!(answer, Answer::Refused(_)), "{}: {answer:?}", rules::name(step.id));
    }
    for extra in &plan.extras {
        if let Some(value) = &extra.write {
            assert_eq!(vm.write(extra.id, value), Some(Answer::Kept));
        }
    }
    vm
}

/// The bits of a register in which a host may show its own.
fn tolerated(id: RegId) -> u64 {
    match rule(id).readback {
        Readback::Equal => 0,
        Readback::EqualBut(mask) => mask,
        Readback::Original | Readback::Bound => u64::MAX,
    }
}

fn same(id: RegId, a: &Value, b: &Value) -> bool {
    a == b || a.to_u64().zip(b.to_u64()).is_some_and(|(a, b)| (a ^ b) & !tolerated(id) == 0)
}

/// A profile whose set and clear registers show the same, as on every CPU.
fn honest(mut profile: Profile) -> Profile {
    let shown = profile.offers[&PMCNTENSET].default.clone();
    profile.offers.get_mut(&PMCNTENCLR).unwrap().default = shown;
    profile
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_baseline_is_a_function_of_a_set(hosts in hosts(3)) {
        let [a, b, c]: [Profile; 3] = hosts.try_into().unwrap();
        let of = |list: &[&Profile]| {
            let list: Vec<Profile> = list.iter().map(|profile| (*profile).clone()).collect();
            baseline("x", &list)
        };
        // Commutative, associative, idempotent.
        prop_assert_eq!(of(&[&a, &b]), of(&[&b, &a]));
        prop_assert_eq!(of(&[&a, &b, &c]), of(&[&c, &a, &b]));
        prop_assert_eq!(of(&[&a, &b, &a, &b, &b]), of(&[&a, &b]));
        prop_assert_eq!(of(&[&a, &a]), of(&[&a]));
    }

    #[test]
    fn every_host_of_a_baseline_honours_it(hosts in (1..4usize).prop_flat_map(hosts)) {
        let Ok(contract) = baseline("x", &hosts) else { return Ok(()) };
        for host in &hosts {
            let plan = plan(&Guest::promised(&contract), host);
            let refused: Vec<String> = plan
                .refusals()
                .map(|step| format!("{}: {}", rules::name(step.id), step.reason()))
                .collect();
            prop_assert!(refused.is_empty(), "{refused:?}");
        }
    }

    #[test]
    fn nothing_is_promised_that_a_host_does_not_give_by_itself(
        hosts in (1..4usize).prop_flat_map(hosts),
    ) {
        let Ok(contract) = baseline("x", &hosts) else { return Ok(()) };
        for (id, pinned) in &contract.pinned {
            let Some(promised) = pinned.value.to_u64() else { continue };
            for host in &hosts {
                let offer = host.offer(*id);
                let Some(own) = offer.and_then(|offer| offer.default.as_ref()?.to_u64()) else {
                    continue;
                };
                let name = rules::name(*id);
                prop_assert!(is_within(*id, promised, own), "{name}: {promised:#x} of {own:#x}");
            }
        }
    }

    #[test]
    fn a_fresh_guest_can_always_stay_at_home(host in profile()) {
        prop_assert!(plan(&Guest::fresh(&host), &host).is_fine());
    }

    #[test]
    fn a_fine_plan_can_be_executed_and_a_fine_way_home_keeps_every_value(hosts in hosts(2)) {
        let [home, away]: [Profile; 2] = hosts.try_into().unwrap();
        let (home, away) = (honest(home), honest(away));
        let guest = Guest::fresh(&home);
        let there = plan(&guest, &away);
        if !there.is_fine() {
            return Ok(());
        }
        let vm = execute(&there, &away);
        for step in there.steps.iter().filter(|step| !matches!(step.verdict, Verdict::Drop(_))) {
            let (value, read) = (step.value.as_ref().unwrap(), vm.read(step.id).unwrap());
            let name = rules::name(step.id);
            prop_assert!(same(step.id, value, read), "{name}: {value} became {read}");
        }
        let back = plan(&guest.after_a_stay(&away), &home);
        if back.is_fine() {
            let vm = execute(&back, &home);
            for (id, offer) in &home.offers {
                prop_assert_eq!(vm.read(*id), offer.default.as_ref(), "{}", rules::name(*id));
            }
        }
    }

    #[test]
    fn texts_hold_all_there_is(hosts in proptest::collection::vec(profile(), 1..3)) {
        for host in &hosts {
            prop_assert_eq!(&read_profile(&write_profile(host)).unwrap(), host);
        }
        if let Ok(contract) = baseline("x", &hosts) {
            prop_assert_eq!(read_contract(&write_contract(&contract)).unwrap(), contract);
        }
    }

    /// What the writer cannot say, the reader cannot hear: names with anything in them.
    #[test]
    fn names_are_quoted(name in "[^\\p{Cc}]{1,40}") {
        let profile = Profile { name: name.clone(), ..Profile::default() };
        let read = read_profile(&write_profile(&profile)).unwrap();
        prop_assert_eq!(read.name, name);
    }
}

#[test]
fn enough_random_plans_and_baselines_succeed_to_mean_something() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut counts = [0; 3];
    for _ in 0..1_000 {
        let pair = hosts(2).new_tree(&mut runner).unwrap().current();
        let guest = Guest::fresh(&pair[0]);
        let there = plan(&guest, &pair[1]).is_fine();
        counts[0] += usize::from(there);
        counts[1] += usize::from(there && plan(&guest.after_a_stay(&pair[1]), &pair[0]).is_fine());
        counts[2] += usize::from(baseline("x", &pair).is_ok());
    }
    assert!(counts.iter().all(|&count| count >= 20), "{counts:?}");
}
