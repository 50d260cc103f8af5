//! What no guest is given here, shown by a guest or promised by a contract, is refused by name.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use abide_contract::codec::read_profile;
use abide_contract::{Contract, Guest, Pinned, Profile, Whose, plan, rules, shipped};
use abide_reg::{RegId, Value};

const PFR0: RegId = RegId::Kvm(0x6030_0000_0013_c020);
const PFR1: RegId = RegId::Kvm(0x6030_0000_0013_c021);

fn profile(name: &str) -> Profile {
    read_profile(shipped::text(name).unwrap()).unwrap()
}

#[test]
fn memory_tags_matrices_nested_guests_and_32_bit_kernels_are_refused_by_field() {
    for host in ["debian-6.1-neoverse-n1", "debian-6.12-neoverse-n1", "debian-7.2-neoverse-n1"] {
        let host = profile(host);
        // The field, its lowest bit, and a number that says the feature is there.
        for (id, field, shift, number) in
            [(PFR1, "MTE", 8, 2), (PFR1, "SME", 24, 1), (PFR0, "EL2", 8, 2), (PFR0, "EL1", 4, 2)]
        {
            let own = host.offers[&id].default.clone().unwrap().to_u64().unwrap();
            let value = Value::u64(own & !(0xf << shift) | number << shift);
            let pinned = [(id, Pinned { scope: Whose::Vm, value: value.clone() })].into();
            let promised = Contract { name: "promised".into(), pinned, ..Contract::default() };
            let mut shown = host.clone();
            shown.offers.get_mut(&id).unwrap().default = Some(value);
            for guest in [Guest::promised(&promised), Guest::fresh(&shown)] {
                let plan = plan(&guest, &host);
                let refused: Vec<(String, String)> =
                    plan.refusals().map(|step| (rules::name(step.id), step.reason())).collect();
                let [(name, reason)] = &refused[..] else { panic!("{field}: {refused:?}") };
                assert_eq!(*name, rules::name(id));
                assert!(reason.contains(&format!("{field} = {number:#x}")), "{field}: {reason}");
            }
        }
    }
}
