//! What comes with abide, made from dumps.

use crate::dump::{CPUS, Dump, KERNELS};
use abide_contract::codec::{write_contract, write_profile};
use abide_contract::{Profile, baseline};

/// Each shipped contract: its name, its kernels and its CPU.
const CONTRACTS: [(&str, &[&str], &str); 4] = [
    ("debian-max-since-6.12", &["6.12", "7.2"], "max"),
    ("debian-neoverse-n1", &KERNELS, "neoverse-n1"),
    ("debian-neoverse-n1-since-6.12", &["6.12", "7.2"], "neoverse-n1"),
    ("debian-neoverse-v1-since-6.12", &["6.12", "7.2"], "neoverse-v1"),
];

/// The profiles of these kernels on this CPU.
pub fn profiles(kernels: &[&'static str], cpu: &'static str) -> Vec<Profile> {
    kernels.iter().map(|kernel| Dump::read(kernel, cpu).profile()).collect()
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
