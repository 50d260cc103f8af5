//! What comes with abide: the profiles that the lab measured, those of `neoverse-v1` from dumps,
//! and the contracts that follow from them.

use crate::dump::{Dump, KERNELS};
use abide_contract::codec::{read_profile, write_contract, write_profile};
use abide_contract::{Profile, baseline};
use abide_reg::{RegId, Value};
use std::path::Path;

/// CPU models of the lab, whose hosts `cargo xtask lab --matrix` probes.
pub const MEASURED: [&str; 3] = ["cortex-a57", "max", "neoverse-n1"];
/// Those of which there are only dumps, and the guests have pointer authentication.
const DUMPED: &str = "neoverse-v1";

/// Each shipped contract: its name, its kernels and its CPU.
const CONTRACTS: [(&str, &[&str], &str); 6] = [
    ("debian-cortex-a57", &KERNELS, "cortex-a57"),
    ("debian-max-6.1-and-7.2", &["6.1", "7.2"], "max"),
    ("debian-max-since-6.12", &["6.12", "7.2"], "max"),
    ("debian-neoverse-n1", &KERNELS, "neoverse-n1"),
    ("debian-neoverse-n1-since-6.12", &["6.12", "7.2"], "neoverse-n1"),
    ("debian-neoverse-v1-since-6.12", &["6.12", "7.2"], "neoverse-v1"),
];

/// The text of a profile that the lab measured.
pub fn measured(kernel: &str, cpu: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lab/profiles");
    std::fs::read_to_string(folder.join(format!("debian-{kernel}-{cpu}.toml"))).unwrap()
}

/// The text of the profile of this kernel on this CPU.
fn profile(kernel: &'static str, cpu: &'static str) -> String {
    if cpu == DUMPED { write_profile(&as_abide_shows(kernel, cpu)) } else { measured(kernel, cpu) }
}

/// The profiles of these kernels on this CPU.
pub fn profiles(kernels: &[&'static str], cpu: &'static str) -> Vec<Profile> {
    kernels.iter().map(|kernel| read_profile(&profile(kernel, cpu)).unwrap()).collect()
}

/// What `abide probe` measures and the dumps, made without it, have otherwise.
fn as_abide_shows(kernel: &'static str, cpu: &'static str) -> Profile {
    const PMCR_EL0: RegId = abide_arm64::rules::PMCR_EL0;
    const STATE: u64 = abide_arm64::rules::PMCR_STATE;
    let mut profile = Dump::read(kernel, cpu).profile();
    let mut keep = |id, bits| {
        let default = profile.offers.get_mut(&id).and_then(|offer| offer.default.as_mut());
        let default = default.unwrap();
        *default = Value::u64(default.to_u64().unwrap() & bits);
    };
    keep(PMCR_EL0, !STATE);
    profile
}

/// Every file by its name, as text.
pub fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for cpu in MEASURED.into_iter().chain([DUMPED]) {
        let named = |kernel: &'static str| (format!("debian-{kernel}-{cpu}"), profile(kernel, cpu));
        files.extend(KERNELS.map(named));
    }
    for (name, kernels, cpu) in CONTRACTS {
        let contract = baseline(name, &profiles(kernels, cpu)).unwrap_or_else(|error| {
            panic!("{name}: {error}: {error:?}");
        });
        files.push((name.to_owned(), write_contract(&contract)));
    }
    files
}
