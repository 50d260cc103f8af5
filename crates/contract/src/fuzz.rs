//! The bodies that fuzzing and ordinary tests share.

use crate::codec::{
    Kind, canonical_contract, kind_of, read_contract, read_profile, update_contract,
    write_contract, write_profile,
};
use crate::{Guest, Profile, baseline, plan};

/// Does with `data` all that can be done with a profile or a contract. Whatever it says, nothing
/// here panics or hangs; and what is read is written as text that reads as the same.
///
/// # Panics
/// If one of these promises is broken.
pub fn fuzz_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(profile) = read_profile(text) {
        let again = read_profile(&write_profile(&profile));
        assert_eq!(again.as_ref(), Ok(&profile), "a profile reads as another");
        let guest = Guest::fresh(&profile);
        assert!(plan(&guest, &profile).is_fine(), "a guest cannot stay where it was born");
        if let Ok(contract) = baseline("fuzz", std::slice::from_ref(&profile)) {
            let promised = plan(&Guest::promised(&contract), &profile);
            assert!(promised.is_fine(), "a host does not honour its own baseline");
        }
    }
    if let Ok(contract) = read_contract(text) {
        let again = read_contract(&write_contract(&contract));
        assert_eq!(again.as_ref(), Ok(&contract), "a contract reads as another");
        let carried = read_contract(&canonical_contract(&contract));
        assert_eq!(carried.as_ref(), Ok(&contract), "a contract travels as another");
        let updated = update_contract(text, &contract).map(|text| read_contract(&text));
        assert_eq!(updated, Ok(Ok(contract)), "an update changes what it need not");
    }
}

/// Does with `data` all that can be done with a guest and a host: a contract or a profile, a NUL,
/// and a profile. Every refusal says why and what to do, in a line each; two hosts honour the
/// baseline that is made of them, in whatever order.
///
/// # Panics
/// If one of these promises is broken.
pub fn fuzz_move(data: &[u8]) {
    let Some((guest, host)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\0'))
    else {
        return;
    };
    let Ok(host) = read_profile(host) else { return };
    let guest = match kind_of(guest) {
        Ok(Kind::Contract) => match read_contract(guest) {
            Ok(contract) => Guest::promised(&contract),
            Err(_) => return,
        },
        Ok(Kind::Profile) => match read_profile(guest) {
            Ok(home) => {
                judge_baseline(&[home.clone(), host.clone()]);
                Guest::fresh(&home)
            }
            Err(_) => return,
        },
        Err(_) => return,
    };
    for step in plan(&guest, &host).refusals() {
        let remedy = step.remedy().unwrap_or_default();
        for text in [step.reason(), remedy] {
            assert!(!text.is_empty() && !text.contains('\n'), "{step:?} is refused with {text:?}");
        }
    }
}

fn judge_baseline(hosts: &[Profile; 2]) {
    let [first, second] = hosts;
    let contract = baseline("fuzz", hosts);
    let other_way = baseline("fuzz", &[second.clone(), first.clone()]);
    assert_eq!(contract.is_ok(), other_way.is_ok(), "the order of hosts counts");
    let Ok(contract) = contract else { return };
    for host in hosts {
        let promised = plan(&Guest::promised(&contract), host);
        assert!(promised.is_fine(), "{} does not honour the baseline", host.name);
    }
}
