//! Plans and baselines over profiles of real kernels.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/dump.rs"]
mod dump;
#[path = "support/making.rs"]
mod making;

use abide_contract::codec::{Kind, kind_of, read_contract, read_profile};
use abide_contract::rules::{is_pinned, name};
use abide_contract::{
    Contract, Dropped, Guest, How, NoBaseline, Plan, Profile, Refused, Verdict, baseline, plan,
    shipped,
};
use abide_reg::RegId;
use dump::KERNELS;
use making::profiles;

fn names(plan: &Plan, wanted: &str) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| step.verdict.word() == wanted);
    steps.map(|step| name(step.id)).collect()
}

fn n1() -> [Profile; 3] {
    profiles(&KERNELS, "neoverse-n1").try_into().unwrap()
}

#[test]
fn what_comes_with_abide_is_what_the_lab_measured_and_what_follows_from_it() {
    let made = making::files();
    assert_eq!(made.len(), shipped::names().count());
    for (name, text) in made {
        let again = "run `cargo run -p abide-contract --example shipped`";
        assert_eq!(shipped::text(&name), Some(text.as_str()), "{name}: {again}");
    }
}

/// Two programs measured the same hosts, in other years' kernels of a series: what a contract could
/// promise is the same.
#[test]
fn the_lab_measured_what_the_dumps_say() {
    const CTR_EL0: RegId = RegId::Kvm(0x6030_0000_0013_d801);
    for cpu in ["max", "neoverse-n1"] {
        for (kernel, measured) in KERNELS.into_iter().zip(profiles(&KERNELS, cpu)) {
            let dumped = dump::Dump::read(kernel, cpu).profile();
            let is_of_kvm = |id: &RegId| matches!(id, RegId::Kvm(_)) && is_pinned(*id);
            let of = |profile: &Profile| -> Vec<RegId> {
                profile.offers.keys().copied().filter(is_of_kvm).collect()
            };
            assert_eq!(of(&measured), of(&dumped), "{kernel} on {cpu}");
            for id in of(&measured) {
                let [one, other] = [&measured, &dumped].map(|it| &it.offers[&id]);
                // What a guest reads there, KVM tells its user otherwise.
                let is_untrapped = (kernel, cpu, id) == ("6.1", "neoverse-n1", CTR_EL0);
                assert_eq!(
                    one.default != other.default,
                    is_untrapped,
                    "{kernel}, {cpu}: {}",
                    name(id)
                );
            }
        }
    }
}

#[test]
fn what_comes_with_abide_reads_as_it_was_written() {
    for name in shipped::names() {
        let text = shipped::text(name).unwrap();
        match kind_of(text).unwrap() {
            Kind::Profile => {
                let profile = read_profile(text).unwrap();
                assert_eq!(abide_contract::codec::write_profile(&profile), text);
            }
            Kind::Contract => {
                let contract = read_contract(text).unwrap();
                assert_eq!(abide_contract::codec::write_contract(&contract), text);
            }
        }
    }
}

/// Guest, host, masked, original, dropped, refused. The registers behind each are looked at below.
const NEOVERSE_N1: [(&str, &str, [usize; 4]); 9] = [
    ("6.1", "6.1", [0, 0, 0, 0]),
    ("6.1", "6.12", [2, 1, 0, 0]),
    ("6.1", "7.2", [3, 1, 0, 0]),
    ("6.12", "6.1", [0, 0, 17, 7]),
    ("6.12", "6.12", [0, 0, 0, 0]),
    ("6.12", "7.2", [1, 0, 3, 0]),
    ("7.2", "6.1", [0, 0, 15, 8]),
    ("7.2", "6.12", [0, 0, 1, 1]),
    ("7.2", "7.2", [0, 0, 0, 0]),
];

#[test]
fn guests_without_a_contract_go_to_newer_kernels_only() {
    let hosts = n1();
    let found = NEOVERSE_N1.map(|(from, to, _)| {
        let host = |kernel| &hosts[KERNELS.iter().position(|known| *known == kernel).unwrap()];
        let counts = plan(&Guest::fresh(host(from)), host(to)).counts();
        (from, to, [counts.masked, counts.original, counts.dropped, counts.refused])
    });
    assert_eq!(found, NEOVERSE_N1);
}

#[test]
fn three_registers_are_dropped_from_6_12_to_7_2_because_their_features_are_off() {
    let [_, old, new] = n1();
    let plan = plan(&Guest::fresh(&old), &new);
    assert_eq!(names(&plan, "drop"), ["TCR2_EL1", "PIRE0_EL1", "PIR_EL1"]);
    let tcr2 = plan.steps.iter().find(|step| name(step.id) == "TCR2_EL1").unwrap();
    assert_eq!(
        tcr2.reason(),
        "the host has none, and the guest does not use it: ID_AA64MMFR3_EL1.TCRX is 0"
    );
}

#[test]
fn a_feature_that_is_on_keeps_its_registers() {
    let [_, mut old, new] = n1();
    let mmfr3 = RegId::Kvm(0x6030_0000_0013_c03b);
    let offer = old.offers.get_mut(&mmfr3).unwrap();
    offer.default = Some(abide_reg::Value::u64(1));
    let plan = plan(&Guest::fresh(&old), &new);
    assert_eq!(names(&plan, "refuse"), ["ID_AA64MMFR3_EL1", "TCR2_EL1"]);
}

#[test]
fn a_set_of_registers_that_sets_and_clears_is_written_in_the_order_that_keeps_it() {
    let [old, middle, _] = n1();
    let plan = plan(&Guest::fresh(&old), &middle);
    let how = |wanted: How| {
        let steps = plan.steps.iter().filter(|step| step.how == Some(wanted));
        steps.map(|step| name(step.id)).collect::<Vec<_>>()
    };
    assert_eq!(how(How::ClearThenSet), ["PMINTENSET_EL1", "PMCNTENSET_EL0", "PMOVSSET_EL0"]);
    assert_eq!(how(How::ByPartner), ["PMINTENCLR_EL1", "PMCNTENCLR_EL0", "PMOVSCLR_EL0"]);
}

#[test]
fn a_guest_under_a_baseline_goes_everywhere_and_back_again() {
    let sets: [(&[&'static str], &'static str); 6] = [
        (&KERNELS, "neoverse-n1"),
        (&["6.12", "7.2"], "neoverse-n1"),
        (&["6.12", "7.2"], "max"),
        (&["6.1", "7.2"], "max"),
        (&["6.12", "7.2"], "neoverse-v1"),
        (&KERNELS, "cortex-a57"),
    ];
    for (kernels, cpu) in sets {
        let hosts = profiles(kernels, cpu);
        let contract = baseline("test", &hosts).unwrap();
        let guest = Guest::promised(&contract);
        for host in &hosts {
            let there = plan(&guest, host);
            assert!(there.is_fine(), "{}: {:?}", host.name, names(&there, "refuse"));
            for next in &hosts {
                let back = plan(&guest.after_a_stay(host), next);
                assert!(
                    back.is_fine(),
                    "{} -> {}: {:?}",
                    host.name,
                    next.name,
                    names(&back, "refuse")
                );
            }
        }
    }
}

fn conflicts(kernels: &[&'static str], cpu: &'static str) -> Vec<String> {
    let error = baseline("test", &profiles(kernels, cpu)).unwrap_err();
    let NoBaseline::Conflicts(conflicts) = error else { panic!("{error}") };
    conflicts.iter().map(ToString::to_string).collect()
}

#[test]
fn what_no_two_kernels_have_in_common_is_named() {
    // Linux 6.12 shows HCX and lets nobody hide it; 6.1 does not show it.
    assert_eq!(
        conflicts(&["6.1", "6.12"], "max"),
        ["ID_AA64MMFR1_EL1.HCX: no value that all can show: debian-6.1-max has 0x0 alone, \
          debian-6.12-max has 0x1"]
    );
    // Since 6.3 CCSIDR_EL1 has one format only.
    let expected = ["ID_MMFR4_EL1.CCIDX", "ID_AA64MMFR2_EL1.CCIDX"];
    let found = conflicts(&["6.1", "7.2"], "neoverse-v1");
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn the_baseline_is_the_oldest_where_the_oldest_lets_nobody_choose() {
    let hosts = n1();
    let contract = baseline("test", &hosts).unwrap();
    let pinned = |id: u64| contract.pinned[&RegId::Kvm(id)].value.to_u64();
    assert_eq!(pinned(0x6030_0000_0014_0000), Some(0x1_0001), "PSCI 1.1");
    assert_eq!(pinned(0x6030_0000_0016_0003), Some(0), "VENDOR_HYP_BMAP_2");
    assert_eq!(pinned(0x6030_0000_0013_c801), Some(0x8200_0023), "CLIDR_EL1");
    assert_eq!(pinned(0x6030_0000_0013_c028), Some(0x1030_5406), "ID_AA64DFR0_EL1");
    let promised = |id: u64| contract.state.contains_key(&RegId::Kvm(id));
    assert!(promised(0x6030_0000_0013_c080), "SCTLR_EL1");
    assert!(!promised(0x6030_0000_0013_c103), "TCR2_EL1");
    assert!(!promised(0x6030_0000_0013_df11), "CNTP_CTL_EL0");
}

#[test]
fn the_physical_timer_is_beyond_the_baseline_and_said_to_be() {
    let hosts = n1();
    let contract = baseline("test", &hosts).unwrap();
    let found = abide_contract::beyond(&contract, &hosts);
    let found: Vec<String> =
        found.into_iter().map(|(id, to)| format!("{}: {to:?}", name(id))).collect();
    assert_eq!(
        found,
        [
            "CNTPCT_EL0: [\"debian-6.1-neoverse-n1\"]",
            "CNTP_CTL_EL0: [\"debian-6.1-neoverse-n1\"]",
            "CNTP_CVAL_EL0: [\"debian-6.1-neoverse-n1\"]"
        ]
    );
}

#[test]
fn a_physical_timer_that_runs_is_not_lost() {
    let [old, mut new, _] = n1();
    let ctl = new.offers.get_mut(&abide_arm64::kvm::PTIMER_CTL).unwrap();
    ctl.default = Some(abide_reg::Value::u64(1));
    let guest = Guest::promised(&baseline("test", &[old.clone(), new.clone()]).unwrap());
    let back = plan(&guest.after_a_stay(&new), &old);
    assert_eq!(names(&back, "refuse"), ["CNTPCT_EL0", "CNTP_CTL_EL0", "CNTP_CVAL_EL0"]);
}

#[test]
fn a_register_that_only_the_new_host_has_is_set_to_what_its_absence_meant() {
    let [_, old, mut new] = n1();
    let bitmap = RegId::Kvm(0x6030_0000_0016_0003);
    new.offers.get_mut(&bitmap).unwrap().default = Some(abide_reg::Value::u64(3));
    let plan = plan(&Guest::fresh(&old), &new);
    let extra = plan.extras.iter().find(|extra| extra.id == bitmap).unwrap();
    assert_eq!(extra.write, Some(abide_reg::Value::u64(0)));
    // And so it does not stand against the way home.
    assert!(crate::plan(&Guest::fresh(&old).after_a_stay(&new), &old).is_fine());
}

#[test]
fn order_and_repetition_of_profiles_change_nothing() {
    let [a, b, c] = n1();
    let of = |list: &[&Profile]| -> Contract {
        let list: Vec<Profile> = list.iter().map(|profile| (*profile).clone()).collect();
        baseline("test", &list).unwrap()
    };
    let contract = of(&[&a, &b, &c]);
    for list in [[&c, &b, &a].as_slice(), &[&b, &a, &c], &[&a, &a, &b, &c, &b]] {
        assert_eq!(of(list), contract);
    }
}

#[test]
fn a_drop_says_whether_it_is_for_certain() {
    let [old, new, _] = n1();
    let contract = baseline("test", std::slice::from_ref(&new)).unwrap();
    let plan = plan(&Guest::promised(&contract), &old);
    let timer = plan.steps.iter().find(|step| step.id == abide_arm64::kvm::PTIMER_CVAL).unwrap();
    assert!(matches!(timer.verdict, Verdict::Drop(Dropped::WhileOff(_))));
}

#[test]
fn what_a_guest_cannot_miss_is_carried_where_it_can_be_and_not_promised() {
    let [old, mut new, _] = n1();
    let event = RegId::named("cpu.event");
    let offer = abide_contract::Offer {
        class: abide_reg::Class::Volatile,
        ..abide_contract::Offer::fixed(abide_contract::Whose::Vcpu, abide_reg::Value::u8(1))
    };
    new.offers.insert(event, offer);
    let contract = baseline("test", &[old.clone(), new.clone()]).unwrap();
    assert!(!contract.state.contains_key(&event) && !contract.pinned.contains_key(&event));
    let verdict = |host: &Profile| {
        let plan = plan(&Guest::fresh(&new), host);
        plan.steps.into_iter().find(|step| step.id == event).unwrap().verdict
    };
    assert_eq!(verdict(&new), Verdict::Carry);
    assert_eq!(verdict(&old), Verdict::Drop(Dropped::Volatile));
}

#[test]
fn facts_about_hosts_are_judged_like_registers() {
    use abide_contract::rules::{CNTFRQ, IPA_BITS, NR_IRQS, PAGE_SIZE, VCPUS};
    use abide_reg::{Class, Entry, Name, Scope, Value, VcpuId};
    let [_, _, host] = n1();
    let saved = |id: RegId, value: Value, unit: &str| {
        let entry = [Entry::new(id, Class::Mandatory, value)];
        let unit = (Name::new(unit), Scope::Vcpu(VcpuId(0)), entry.as_slice());
        let guest = Guest::saved("saved", [unit], 0x8000_0000, 64 << 10);
        plan(&guest, &host).is_fine()
    };
    assert!(saved(CNTFRQ, Value::u64(62_500_000), "cpu"));
    assert!(!saved(CNTFRQ, Value::u64(24_000_000), "cpu"));
    assert!(saved(VCPUS, Value::u32(512), "board") && !saved(VCPUS, Value::u32(513), "board"));
    assert!(saved(NR_IRQS, Value::u32(288), "gic") && !saved(NR_IRQS, Value::u32(1024), "gic"));
    let of_size = |memory_end: u64, alignment: u64, host: &Profile| {
        let plan = plan(&Guest::saved("saved", [], memory_end, alignment), host);
        plan.refusals().map(|step| step.id).collect::<Vec<_>>()
    };
    assert_eq!(of_size(1 << 48, 4096, &host), []);
    assert_eq!(of_size((1 << 48) + 1, 4096, &host), [IPA_BITS]);
    let mut large_pages = host.clone();
    large_pages.offers.get_mut(&PAGE_SIZE).unwrap().default = Some(Value::u64(64 << 10));
    assert_eq!(of_size(1 << 40, 64 << 10, &large_pages), []);
    assert_eq!(of_size(1 << 40, 4096, &large_pages), [PAGE_SIZE]);
    // What the host says nothing about is not taken for fine.
    large_pages.offers.remove(&PAGE_SIZE);
    assert_eq!(of_size(1 << 40, 64 << 10, &large_pages), [PAGE_SIZE]);
}

#[test]
fn vcpus_that_differ_cannot_go_where_they_share() {
    use abide_reg::{Class, Entry, Name, Scope, Value, VcpuId};
    let [_, _, host] = n1();
    let midr = RegId::Kvm(0x6030_0000_0013_c000);
    let own = host.offers[&midr].default.clone().unwrap().to_u64().unwrap();
    let refused = |second: u64| {
        let entries =
            [own, second].map(|value| Entry::new(midr, Class::Mandatory, Value::u64(value)));
        let units = (0..).zip(&entries).map(|(n, entry)| {
            (Name::new("identity"), Scope::Vcpu(VcpuId(n)), std::slice::from_ref(entry))
        });
        plan(&Guest::saved("two", units, 0, 4096), &host).refusals().count()
    };
    assert_eq!((refused(own), refused(own + 1)), (0, 2));
}

#[test]
fn registers_of_every_cpus_interrupt_controller_are_state_where_there_is_one() {
    use abide_reg::{Class, Entry, Name, Scope, Value, VcpuId};
    let [_, _, mut host] = n1();
    // GICR_IPRIORITYR0 and ICC_PMR_EL1 of the CPU with affinity 0.0.1.2.
    let entries = [RegId::gic(5, 0x102_0001_0400), RegId::gic(6, 0x102_0000_c230)]
        .map(|id| Entry::new(id, Class::Mandatory, Value::u32(0)));
    let unit = (Name::new("gic"), Scope::Vcpu(VcpuId(5)), entries.as_slice());
    let guest = Guest::saved("saved", [unit], 0, 4096);
    assert!(plan(&guest, &host).is_fine());
    // What the host says of affinity 0 is said of all.
    let fixed = abide_contract::Offer::fixed(abide_contract::Whose::Vcpu, Value::u32(8));
    host.offers.insert(RegId::gic(5, 0x1_0400), fixed);
    assert_eq!(plan(&guest, &host).refusals().count(), 1);
    host.offers.retain(|id, _| !matches!(id, RegId::Gic { .. }));
    assert_eq!(plan(&guest, &host).refusals().count(), 2);
}

#[test]
fn a_host_that_shows_something_else_is_refused_unless_no_guest_can_use_it() {
    const MMFR2: RegId = RegId::Kvm(0x6030_0000_0013_c03a);
    let [_, _, host] = n1();
    let verdict = |ignored: u64, changed: u64| {
        let (mut home, mut away) = (host.clone(), host.clone());
        let offer = away.offers.get_mut(&MMFR2).unwrap();
        offer.ignored = ignored;
        let own = offer.default.clone().unwrap().to_u64().unwrap();
        let new = abide_reg::Value::u64(own ^ changed);
        home.offers.get_mut(&MMFR2).unwrap().default = Some(new);
        let plan = plan(&Guest::fresh(&home), &away);
        plan.steps.into_iter().find(|step| step.id == MMFR2).unwrap().verdict
    };
    let (nv, at) = (0xf << 24, 0xf << 32);
    assert!(matches!(verdict(nv, 2 << 24), Verdict::Original { .. }));
    assert!(matches!(verdict(nv | at, 1 << 32), Verdict::Refuse(Refused::Silent { .. })));
    assert!(matches!(verdict(nv | at, 1 << 32 | 2 << 24), Verdict::Refuse(_)));
}

#[test]
fn priorities_of_a_saved_interrupt_controller_are_the_hosts() {
    use abide_reg::{Class, Entry, Name, Scope, Value, VcpuId};
    let [_, _, host] = n1();
    let refused = |ctlr: u64| {
        let id = RegId::gic(6, 0x1_0000_c664);
        let entry = [Entry::new(id, Class::Mandatory, Value::u64(ctlr))];
        let unit = (Name::new("gic"), Scope::Vcpu(VcpuId(1)), entry.as_slice());
        let plan = plan(&Guest::saved("saved", [unit], 0, 4096), &host);
        plan.refusals().map(|step| name(step.id)).collect::<Vec<_>>()
    };
    assert_eq!(refused(4 << 8), Vec::<String>::new());
    assert_eq!(refused(6 << 8), ["GIC priority bits"]);
}

/// As many vCPUs as a file has room for do not make it take longer for each.
#[test]
fn a_guest_of_very_many_vcpus_is_planned_for() {
    use abide_reg::{Class, Entry, Name, Scope, Value, VcpuId};
    let [_, _, host] = n1();
    let ids = [0x6030_0000_0013_c000, 0x6030_0000_0013_c103, 0x6030_0000_0013_c03b];
    let entries = ids.map(|id| Entry::new(RegId::Kvm(id), Class::Mandatory, Value::u64(0)));
    let units =
        (0..100_000).map(|n| (Name::new("cpu"), Scope::Vcpu(VcpuId(n)), entries.as_slice()));
    let plan = plan(&Guest::saved("many", units, 0, 4096), &host);
    assert_eq!(plan.steps.len(), 300_002);
    assert_eq!(plan.counts().dropped, 100_000);
}

#[test]
fn a_register_of_another_width_is_refused_as_that() {
    let [_, _, mut host] = n1();
    let guest = Guest::fresh(&host);
    let fpcr = abide_arm64::kvm::FPCR;
    let RegId::Kvm(number) = fpcr else { panic!("{fpcr}") };
    let wide = RegId::Kvm(number & !(0xf << 52) | 3 << 52);
    let offer = host.offers.remove(&fpcr).unwrap();
    host.offers.insert(wide, abide_contract::Offer { width: 8, ..offer });
    let plan = plan(&guest, &host);
    let refused: Vec<_> = plan.refusals().collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].verdict, Verdict::Refuse(Refused::OtherWidth { other: wide }));
    assert_eq!(refused[0].reason(), "the host has it in another width, as kvm:0x60300000001000d5");
}

#[test]
fn a_timer_that_runs_on_any_vcpu_is_not_lost() {
    use abide_arm64::kvm::{PTIMER_CNT, PTIMER_CTL};
    use abide_reg::{Class, Entry, Name, Scope, Value, VcpuId};
    let [old, ..] = n1();
    let refused = |ctl: [u64; 2]| {
        let entries = ctl.map(|ctl| Entry::new(PTIMER_CTL, Class::Mandatory, Value::u64(ctl)));
        let count = [Entry::new(PTIMER_CNT, Class::Mandatory, Value::u64(7))];
        let vcpus = (0..).zip(&entries).map(|(n, entry)| {
            (Name::new("cpu"), Scope::Vcpu(VcpuId(n)), std::slice::from_ref(entry))
        });
        let counter = (Name::new("counter"), Scope::Vm, count.as_slice());
        let guest = Guest::saved("two", vcpus.chain([counter]), 0, 4096);
        let plan = plan(&guest, &old);
        plan.refusals().map(|step| step.scope.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(refused([4, 4]), Vec::<String>::new());
    assert_eq!(refused([5, 4]), ["vcpu0", "vm"]);
    assert_eq!(refused([4, 1]), ["vcpu1", "vm"]);
}

#[test]
fn a_host_without_the_registers_of_a_promised_feature_is_no_part_of_a_baseline() {
    let [_, one, mut other] = n1();
    other.offers.remove(&RegId::Kvm(0x6030_0000_0013_dce0));
    let error = baseline("test", &[one, other]).unwrap_err();
    let NoBaseline::Conflicts(conflicts) = error else { panic!("{error}") };
    let lines: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        ["PMCR_EL0: no value that all can show: debian-6.12-neoverse-n1 has 0x0000000000003000, \
          debian-7.2-neoverse-n1 has none"]
    );
}

/// What a host would only show stands in the way until somebody accepts it, and no more than that.
#[test]
fn exceptions_are_for_what_the_host_shows_on_request() {
    use abide_contract::{Accepts, Exceptions, FieldValues, Offer, Refused, Whose, plan_accepting};
    use abide_reg::Value;
    const PFR0: RegId = RegId::Kvm(0x6030_0000_0013_c020);
    let host = |number, advertised| {
        let taken = FieldValues { shift: 8, width: 4, values: [0, 1].into() };
        let accepts = Accepts::Fields(vec![taken]);
        let offer = Offer { advertised, ..Offer::taking(Whose::Vm, Value::u64(number), accepts) };
        Profile { name: "host".into(), offers: [(PFR0, offer)].into(), ..Profile::default() }
    };
    let aarch32 = vec![FieldValues { shift: 0, width: 4, values: [2].into() }];
    let verdict = |guest, advertised, advertised_not_implemented| {
        let guest = Guest::fresh(&host(guest, Vec::new()));
        let exceptions = Exceptions { advertised_not_implemented };
        plan_accepting(&guest, &host(0x111, advertised), exceptions).steps.remove(0)
    };
    let step = verdict(0x112, aarch32.clone(), false);
    assert!(matches!(step.verdict, Verdict::Refuse(Refused::Advertised(_))), "{step:?}");
    assert_eq!(step.reason(), "EL0 = 0x2, the host implements 0x1");
    assert!(step.remedy().unwrap().starts_with("--accept advertised-not-implemented"));
    let step = verdict(0x012, aarch32.clone(), true);
    assert!(matches!(step.verdict, Verdict::Accept(_)), "{step:?}");
    assert!(step.reason().contains("EL0 = 0x2") && step.remedy().is_none());
    // Another field is in the way, too; and a host that shows nothing on request.
    for (guest, advertised) in [(0x212, aarch32.clone()), (0x122, aarch32), (0x112, Vec::new())] {
        let step = verdict(guest, advertised, true);
        assert!(matches!(step.verdict, Verdict::Refuse(Refused::Value(_))), "{step:?}");
    }
}

#[test]
fn what_a_guest_can_miss_of_its_promise_is_hidden_where_it_is_and_no_step() {
    let hosts = n1();
    let contract = baseline("test", &hosts).unwrap();
    let guest = Guest::saved("saved", [], 0, 0).under(&contract);
    let [old, _, new] = hosts.each_ref().map(|host| plan(&guest, host));
    for plan in [&old, &new] {
        let has = |wanted| plan.steps.iter().any(|step| name(step.id) == wanted);
        assert!(has("PSCI_VERSION") && !has("VENDOR_HYP_BMAP_2"));
    }
    let extra = |plan: &Plan| plan.extras.iter().any(|it| name(it.id) == "VENDOR_HYP_BMAP_2");
    assert!(extra(&new) && !extra(&old));
}

/// Kernels tell of different events on one CPU; those that can hide some promise what all have.
#[test]
fn events_that_only_some_hosts_count_are_hidden_on_the_others() {
    use abide_contract::{Accepts, Offer, Whose};
    use abide_reg::Value;
    let [first, second] = abide_arm64::kvm::PMU_EVENTS;
    let host = |name: &str, events: u64| {
        let offer = |value| Offer::taking(Whose::Vm, Value::u64(value), Accepts::Rule);
        let offers = [(first, offer(events)), (second, offer(0x18))].into();
        Profile { name: name.into(), offers, ..Profile::default() }
    };
    let hosts = [host("old", 0x2_0001), host("new", 0x4002_0001)];
    let contract = baseline("test", &hosts).unwrap();
    assert_eq!(contract.pinned[&first].value, Value::u64(0x2_0001));
    for host in &hosts {
        assert!(plan(&Guest::promised(&contract), host).is_fine());
    }
    assert_eq!(name(first), "PMCEID0_EL0");
    let [old, new] = hosts;
    assert!(plan(&Guest::fresh(&old), &new).is_fine());
    let back = plan(&Guest::fresh(&new), &old);
    let [refused] = back.refusals().collect::<Vec<_>>()[..] else { panic!("{back:?}") };
    assert_eq!((refused.id, refused.reason().contains("0x20001")), (first, true), "{refused:?}");
    // A host without an event filter shows its own and nothing else.
    let fixed = Offer { writable: 0, ..new.offers[&first].clone() };
    let stiff = Profile { offers: [(first, fixed)].into(), ..new };
    assert!(!plan(&Guest::fresh(&old), &stiff).is_fine());
}
