//! What comes with abide, made from dumps.

use crate::dump::{CPUS, Dump, KERNELS};
use abide_arm64::{SysReg, kvm};
use abide_contract::codec::{write_contract, write_profile};
use abide_contract::{Profile, baseline};
use abide_reg::{RegId, Value};

/// Each shipped contract: its name, its kernels and its CPU.
const CONTRACTS: [(&str, &[&str], &str); 4] = [
    ("debian-max-since-6.12", &["6.12", "7.2"], "max"),
    ("debian-neoverse-n1", &KERNELS, "neoverse-n1"),
    ("debian-neoverse-n1-since-6.12", &["6.12", "7.2"], "neoverse-n1"),
    ("debian-neoverse-v1-since-6.12", &["6.12", "7.2"], "neoverse-v1"),
];

/// The profiles of these kernels on this CPU.
pub fn profiles(kernels: &[&'static str], cpu: &'static str) -> Vec<Profile> {
    kernels.iter().map(|kernel| as_abide_shows(kernel, cpu)).collect()
}

/// What `abide probe` measures and the dumps, made without it, have otherwise.
fn as_abide_shows(kernel: &'static str, cpu: &'static str) -> Profile {
    const CTR_EL0: RegId = kvm::sysreg(SysReg::new(3, 3, 0, 0, 1));
    const IDC: u64 = 1 << 28;
    const PMCR_EL0: RegId = abide_arm64::rules::PMCR_EL0;
    const STATE: u64 = abide_arm64::rules::PMCR_STATE;
    let mut profile = Dump::read(kernel, cpu).profile();
    let mut keep = |id, bits| {
        let default = profile.offers.get_mut(&id).and_then(|offer| offer.default.as_mut());
        let default = default.unwrap();
        *default = Value::u64(default.to_u64().unwrap() & bits);
    };
    keep(PMCR_EL0, !STATE);
    if (kernel, cpu) == ("6.1", "neoverse-n1") {
        keep(CTR_EL0, !IDC);
    }
    profile
}

/// Every file by its name, as text.
pub fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for cpu in CPUS {
        let profiles = profiles(&KERNELS, cpu);
        files.extend(profiles.iter().map(|profile| (profile.name.clone(), write_profile(profile))));
    }
    for (name, kernels, cpu) in CONTRACTS {
        let contract = baseline(name, &profiles(kernels, cpu)).unwrap_or_else(|error| {
            panic!("{name}: {error}: {error:?}");
        });
        files.push((name.to_owned(), write_contract(&contract)));
    }
    files
}
