//! Contracts for hosts with different CPUs: what they can show and tell, and what is refused.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use abide_contract::codec::{read_contract, read_profile, write_contract};
use abide_contract::{Accepts, Contract, Guest, NoBaseline, Offer, Profile, Whose};
use abide_contract::{baseline, plan, shipped};
use abide_firmware::spec::{IMPL_CPU_DEFS, IMPL_CPUS_MAX, REG_IMPL_COUNT, REG_VENDOR_HYP_BMAP_2};
use abide_reg::{RegId, Value};

const MIDR: RegId = RegId::Kvm(0x6030_0000_0013_c000);
const REVIDR: RegId = RegId::Kvm(0x6030_0000_0013_c006);
const AIDR: RegId = RegId::Kvm(0x6030_0000_0013_c807);
const N1: u64 = 0x414f_d0c1;
const V1: u64 = 0x411f_d402;

/// A Neoverse-N1 host of Linux 7.2 that shows another MIDR_EL1, with what abide measures there.
fn host(name: &str, midr: u64) -> Profile {
    let text = shipped::text("debian-7.2-neoverse-n1").unwrap();
    let mut profile = Profile { name: name.to_owned(), ..read_profile(text).unwrap() };
    for (id, value) in [(MIDR, midr), (REVIDR, 0), (AIDR, 0)] {
        profile.offers.insert(id, Offer::taking(Whose::Vm, Value::u64(value), Accepts::Any));
    }
    profile.offers.insert(REG_IMPL_COUNT, Offer::state(Whose::Vm, 8));
    profile
}

/// The same of a kernel that shows its own name and no other.
fn fixed(name: &str, midr: u64) -> Profile {
    let mut profile = host(name, midr);
    profile.offers.insert(MIDR, Offer::fixed(Whose::Vm, Value::u64(midr)));
    profile
}

fn promised(contract: &Contract, id: RegId) -> Option<Value> {
    contract.pinned.get(&id).map(|pinned| pinned.value.clone())
}

#[test]
fn guests_of_different_cpus_see_one_name_and_are_told_of_all() {
    let hosts = [host("a", N1), host("b", V1)];
    let contract = baseline("mixed", &hosts).unwrap();
    assert_eq!(promised(&contract, MIDR), Some(Value::u64(V1)));
    assert_eq!(promised(&contract, REG_VENDOR_HYP_BMAP_2), Some(Value::u64(3)));
    assert_eq!(promised(&contract, REG_IMPL_COUNT), Some(Value::u64(2)));
    for (def, midr) in IMPL_CPU_DEFS.iter().zip([V1, N1]) {
        let value = Value::bytes([midr, 0, 0].map(u64::to_le_bytes).as_flattened());
        assert_eq!(promised(&contract, def.id), Some(value));
    }
    assert_eq!(promised(&contract, IMPL_CPU_DEFS[2].id), None);
    // Either host keeps it, and it survives the way through its text.
    for host in &hosts {
        let plan = plan(&Guest::promised(&contract), host);
        assert!(plan.is_fine(), "{:?}", plan.refusals().next());
    }
    assert_eq!(read_contract(&write_contract(&contract)).unwrap(), contract);
    let turned = baseline("mixed", &[hosts[1].clone(), hosts[0].clone()]).unwrap();
    assert_eq!(turned, contract);
}

#[test]
fn guests_of_equal_cpus_have_no_list_and_may_go_where_none_can_be_told() {
    let contract = baseline("same", &[host("a", N1), host("b", N1)]).unwrap();
    assert!(promised(&contract, REG_IMPL_COUNT).is_none());
    assert!(!contract.state.contains_key(&REG_IMPL_COUNT));
    let mut silent = host("c", N1);
    silent.offers.remove(&REG_IMPL_COUNT);
    assert!(plan(&Guest::promised(&contract), &silent).is_fine());
}

#[test]
fn names_that_cannot_be_made_one_are_refused_by_name_with_what_would_help() {
    let error = baseline("mixed", &[fixed("a", N1), host("b", V1), fixed("c", V1)]).unwrap_err();
    let NoBaseline::Conflicts(conflicts) = error else { panic!("{error}") };
    let text: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        ["MIDR_EL1: no value that all can show: a has 0x00000000414fd0c1 alone, b has \
          0x00000000411fd402, c has 0x00000000411fd402 alone; Linux 6.15 and later can show \
          another (KVM_CAP_ARM_WRITABLE_IMP_ID_REGS)"]
    );
    // One name can be shown, but not told of both.
    let mut silent = host("b", V1);
    silent.offers.remove(&REG_IMPL_COUNT);
    let error = baseline("mixed", &[fixed("a", N1), silent.clone()]).unwrap_err();
    let NoBaseline::Conflicts(conflicts) = error else { panic!("{error}") };
    assert_eq!(
        conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["IMPL_COUNT: these CPUs differ, and not every host can tell a guest of them all: a has \
          MIDR_EL1 0x414fd0c1 and can, b has MIDR_EL1 0x411fd402 and cannot"]
    );
    // A guest that was told cannot go there either.
    let contract = baseline("mixed", &[host("a", N1), host("b", V1)]).unwrap();
    let plan = plan(&Guest::promised(&contract), &silent);
    let refused: Vec<RegId> = plan.refusals().map(|step| step.id).collect();
    assert_eq!(refused, [REG_IMPL_COUNT, IMPL_CPU_DEFS[0].id, IMPL_CPU_DEFS[1].id]);
}

#[test]
fn more_cpus_than_a_list_holds_are_refused() {
    let hosts: Vec<Profile> =
        (0..=IMPL_CPUS_MAX as u64).map(|n| host(&format!("host-{n}"), N1 + n)).collect();
    assert!(baseline("many", &hosts[..IMPL_CPUS_MAX]).is_ok());
    let error = baseline("many", &hosts).unwrap_err();
    let NoBaseline::Conflicts(conflicts) = error else { panic!("{error}") };
    assert_eq!(conflicts[0].id, REG_IMPL_COUNT);
}
