//! The contracts of the matrix: what all kernels on a CPU can honour, or else what two of them can.

use crate::paths;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A contract, and the kernels that it was made from.
pub struct Promise {
    pub kernels: Vec<&'static str>,
    /// TOML, as abide wrote it but for the revision below.
    pub text: Vec<u8>,
}

impl Promise {
    /// Its name in the table.
    pub fn title(&self) -> String {
        self.kernels.join(", ")
    }
}

/// `GICD_IIDR` in a contract, up to its value.
const GICD_IIDR: &str = "\"gic:1:0x8\"";
/// Its field Revision `[IHI0069 12.9.19]`.
const REVISION_SHIFT: u32 = 12;
/// What no kernel of the matrix has by itself, and all take: so that it is seen to be kept.
const REVISION: u32 = 2;

/// The contract of all kernels whose profiles these are; if there is none, that of each two that
/// have one. And in words what stands against the others.
///
/// # Errors
/// If abide cannot be asked, or no contract holds an interrupt controller's revision.
pub fn of(
    abide: &Path,
    folder: &Path,
    cpu: &str,
    profiles: &[(&'static str, PathBuf)],
) -> Result<(Vec<Promise>, Vec<String>)> {
    let mut groups = vec![profiles.to_vec()];
    for (n, one) in profiles.iter().enumerate() {
        groups.extend(profiles[n + 1..].iter().map(|other| vec![one.clone(), other.clone()]));
    }
    let (mut promises, mut notes) = (Vec::new(), Vec::new());
    for group in groups {
        let kernels: Vec<&'static str> = group.iter().map(|(kernel, _)| *kernel).collect();
        match baseline(abide, folder, cpu, &group)? {
            Ok(text) => promises.push(Promise { kernels, text: with_revision(&text)? }),
            Err(words) => notes.push(format!("{cpu}, {}: {words}", kernels.join(", "))),
        }
        // Two kernels of three have nothing that all three have not.
        if promises.iter().any(|promise| promise.kernels.len() == profiles.len()) {
            break;
        }
    }
    Ok((promises, notes))
}

/// What hosts with these profiles can honour; or what abide says against it.
fn baseline(
    abide: &Path,
    folder: &Path,
    cpu: &str,
    profiles: &[(&'static str, PathBuf)],
) -> Result<Result<String, String>> {
    let kernels: Vec<&str> = profiles.iter().map(|(kernel, _)| *kernel).collect();
    let file = folder.join(format!("contract-{}-{}.toml", short(cpu), kernels.join("-")));
    let mut command = Command::new(abide);
    command.arg("baseline").args(profiles.iter().map(|(_, path)| path)).arg("-o").arg(&file);
    let output = command.output().context("starting abide baseline")?;
    if output.status.success() {
        return Ok(Ok(fs::read_to_string(file)?));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said: Vec<&str> = said.lines().map(|line| line.trim_start_matches("abide: ")).collect();
    Ok(Err(said.join("; ")))
}

/// A contract with [`REVISION`] in it.
fn with_revision(text: &str) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    let mut found = false;
    for line in text.lines() {
        let value = line.strip_prefix(GICD_IIDR).and_then(|rest| rest.split('"').nth(1));
        let iidr = value.and_then(|value| value.strip_prefix("0x"));
        let Some(iidr) = iidr.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            lines.push(line.to_owned());
            continue;
        };
        let iidr = iidr & !(0xf << REVISION_SHIFT) | REVISION << REVISION_SHIFT;
        lines.push(format!("{GICD_IIDR} = \"{iidr:#010x}\""));
        found = true;
    }
    anyhow::ensure!(found, "the contract does not tell GICD_IIDR");
    Ok((lines.join("\n") + "\n").into_bytes())
}

/// The name of a host's profile.
pub fn profile_name(kernel: &str, cpu: &str) -> String {
    format!("debian-{kernel}-{}", short(cpu))
}

/// The name of its file.
pub fn profile_file(kernel: &str, cpu: &str) -> PathBuf {
    PathBuf::from(profile_name(kernel, cpu)).with_added_extension("toml")
}

/// A CPU's name without its properties, as a part of a file's name.
fn short(cpu: &str) -> String {
    cpu.split(',').next().unwrap_or(cpu).replace(' ', "-").to_lowercase()
}

/// Puts the measured profiles beside the table.
///
/// # Errors
/// If they cannot be copied.
pub fn keep_profiles(folder: &Path) -> Result<()> {
    let to = paths::root().join("docs/lab/profiles");
    fs::create_dir_all(&to).with_context(|| format!("making {to:?}"))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("debian-") && name.ends_with(".toml") {
            fs::copy(&path, to.join(&name)).with_context(|| format!("keeping {path:?}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_gets_a_revision_that_no_kernel_has_by_itself() {
        let text = "a\n\"gic:1:0x8\" = \"0x4b00343b\" # GICD_IIDR\nb\n";
        let made = with_revision(text).expect("it is there");
        assert_eq!(String::from_utf8_lossy(&made), "a\n\"gic:1:0x8\" = \"0x4b00243b\"\nb\n");
        assert!(with_revision("a\n").is_err());
    }

    #[test]
    fn profiles_have_the_names_of_those_that_come_with_abide() {
        assert_eq!(profile_name("6.1", "max,pauth=off"), "debian-6.1-max");
        let name = profile_name("6.1", "neoverse-n1 without PMU");
        assert_eq!(name, "debian-6.1-neoverse-n1-without-pmu");
        assert_eq!(profile_file("7.2", "cortex-a57"), Path::new("debian-7.2-cortex-a57.toml"));
    }
}
