//! Which records of stolen time a guest has, against which a host keeps.

use abide_contract::{Accepts, Guest, Offer, Plan, Profile, Refused, Verdict, Whose, plan, rules};
use abide_pvtime::{DEF_REVISION, REVISION_1_0, Revision, Revisions, StolenTime};
use abide_reg::{Entry, Gpa, Name, Scope, Value, VcpuId};

const PVTIME: Name = Name::new("pvtime");

/// Hosts that keep records of no, one or two revisions.
fn hosts() -> [Revisions; 4] {
    [vec![], vec![0], vec![1], vec![0, 1]]
        .map(|numbers| Revisions::of(numbers.into_iter().map(Revision)))
}

fn profile(host: &Revisions) -> Profile {
    let mut profile = Profile { name: host.to_string(), ..Profile::default() };
    let versions = host.iter().filter_map(Revision::version).map(u64::from);
    let accepts = Accepts::Values(versions.chain([0]).collect());
    let own = host.choose().and_then(Revision::version).unwrap_or(0);
    profile.offers.insert(rules::PVTIME, Offer::taking(Whose::Vm, Value::u32(own), accepts));
    // What any guest has besides.
    for (id, value) in [(rules::IPA_BITS, Value::u8(40)), (rules::PAGE_SIZE, Value::u64(4096))] {
        profile.offers.insert(id, Offer::taking(Whose::Vm, value, Accepts::Any));
    }
    profile
}

fn records(revisions: &[Option<u32>]) -> Vec<Vec<Entry>> {
    let record = |revision: &Option<u32>| {
        let state = StolenTime::new(Gpa(0x90a_0000), Revision(revision.unwrap_or(0)));
        let mut entries = state.expect("it is aligned").save();
        if revision.is_none() {
            entries.retain(|entry| entry.id != DEF_REVISION.id);
        }
        entries
    };
    revisions.iter().map(record).collect()
}

/// A move of a guest whose vCPUs have these records, where `None` does not say its revision.
fn planned(vcpus: &[Option<u32>], host: &Profile) -> Plan {
    let records = records(vcpus);
    let units = (0..).zip(&records);
    let units = units.map(|(n, it)| (PVTIME, Scope::Vcpu(VcpuId(n)), it.as_slice()));
    plan(&Guest::saved("saved", units, 0, 4096), host)
}

fn refused(plan: &Plan) -> Vec<(Option<Value>, String)> {
    let why = |verdict: &Verdict| match verdict {
        Verdict::Refuse(Refused::Value(why)) => why.to_string(),
        other => panic!("{other:?}"),
    };
    plan.refusals()
        .inspect(|step| assert_eq!(step.id, rules::PVTIME))
        .map(|step| (step.value.clone(), why(&step.verdict)))
        .collect()
}

#[test]
fn each_pair_of_hosts_is_as_its_revisions_say() {
    for source in hosts() {
        let born: Vec<Option<u32>> = source.choose().map(|it| Some(it.0)).into_iter().collect();
        for destination in hosts() {
            let plan = planned(&born, &profile(&destination));
            let fits = source.choose().is_none_or(|revision| destination.offers(revision));
            assert_eq!(plan.is_fine(), fits, "{source} to {destination}: {:?}", plan.steps);
            assert_eq!(refused(&plan).len(), usize::from(!fits));
        }
    }
}

#[test]
fn a_record_that_does_not_say_is_of_revision_0() {
    for host in hosts() {
        let plan = planned(&[None], &profile(&host));
        assert_eq!(plan.is_fine(), host.offers(REVISION_1_0), "{host}");
    }
}

#[test]
fn every_vcpu_is_looked_at_and_the_refusal_says_what_is_there() {
    let [none, first, ..] = hosts();
    let refused_at = |vcpus: &[Option<u32>], host| refused(&planned(vcpus, &profile(host)));
    assert_eq!(refused_at(&[Some(0), None, Some(0)], &first), []);
    let found = refused_at(&[Some(0), Some(7)], &first);
    let expected = "found 0x00010007, the host takes 0x0, 0x10000";
    assert_eq!(found, [(Some(Value::u32(0x1_0007)), expected.to_owned())]);
    // A number that no version has.
    assert_eq!(refused_at(&[Some(u32::MAX)], &first).len(), 1);
    assert_eq!(refused_at(&[Some(0), Some(7)], &none).len(), 2);
}

#[test]
fn a_guest_without_goes_anywhere_and_stays_without() {
    for host in hosts() {
        let plan = planned(&[], &profile(&host));
        assert!(plan.is_fine(), "{host}");
        let hidden: Vec<_> = plan.extras.into_iter().map(|it| (it.id, it.write)).collect();
        let has_any = host != Revisions::NONE;
        assert_eq!(hidden, [(rules::PVTIME, has_any.then(|| Value::u32(0)))], "{host}");
    }
}
