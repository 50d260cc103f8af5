//! The body that fuzzing and ordinary tests share.

use crate::codec::{
    canonical_contract, read_contract, read_profile, update_contract, write_contract, write_profile,
};
use crate::{Guest, baseline, plan};

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
