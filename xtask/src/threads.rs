//! `threads`: Linux guests with a host thread for each vCPU, saved and restored on their way.
//!
//! In the host's time no two runs are the same, so not the state at the end is compared but what
//! the guest's init says: its results, line by line, are those of an untouched run in virtual time
//! on one vCPU. Each kernel boots on each number of vCPUs, untouched and through a chain of
//! processes, each of which restores what the one before it saved away. So does a guest whose two
//! CPUs show different features, of which Linux must use what both have.

use crate::abide::{self, Linux, POWERED_OFF, SAVED_AWAY};
use crate::oracle::{KERNELS, points};
use crate::paths;
use crate::tally::Count;
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long = "kernel", value_name = "SERIES", default_values_t = KERNELS.map(String::from))]
    kernels: Vec<String>,
    /// Numbers of vCPUs
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = VCPUS)]
    vcpus: Vec<u32>,
    /// Saves on the way of a chain
    #[arg(long, default_value_t = 4)]
    saves: u64,
    /// What the save points are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The numbers of vCPUs that a guest has.
const VCPUS: [u32; 4] = [1, 2, 4, 8];

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    let program = abide::build()?;
    let work = paths::work()?;
    for series in &arguments.kernels {
        let folder = tempfile::tempdir_in(&work)?;
        let linux = Linux::debian(series)?;
        let mut command = linux.run(&program);
        command.arg("--deterministic");
        let alone = abide::ran(command, folder.path(), "alone", POWERED_OFF)?;
        let expected = results(&alone.console);
        ensure!(expected.contains("abide-init: done"), "the guest's init did not finish");
        let guest = Guest { linux: &linux, program: &program, expected, folder: folder.path() };
        for &vcpus in &arguments.vcpus {
            let chain = points(arguments.seed, arguments.saves, alone.report.instructions);
            for saves in [Vec::new(), chain] {
                let what = format!("{series}, {vcpus} vCPUs, {} saves", saves.len());
                let args = ["--vcpus", &vcpus.to_string()];
                tell(&what, guest.check(&what, &args, saves).map(|(told, _)| told), count);
            }
        }
        let chain = points(arguments.seed, arguments.saves, alone.report.instructions);
        let what = format!("{series}, 2 vCPUs that differ, {} saves", chain.len());
        let args = ["--vcpus", "2", "--asymmetric", "n1-like,v8.0"];
        let result = guest.check(&what, &args, chain).and_then(|(told, console)| {
            check_features(&String::from_utf8_lossy(&console))?;
            Ok(told)
        });
        tell(&what, result, count);
    }
    Ok(())
}

fn tell(what: &str, result: Result<String>, count: &mut Count) {
    *count += Count::one(result.is_ok());
    let text = result.unwrap_or_else(|error| format!("FAILED: {error:#}"));
    println!("{what}: {text}");
}

/// Linux saw that only the first CPU has atomics, and uses what both have.
fn check_features(console: &str) -> Result<()> {
    let seen = "SANITY CHECK: Unexpected variation in SYS_ID_AA64ISAR0_EL1";
    ensure!(console.contains(seen), "the kernel did not see that the CPUs differ");
    let used = |feature| console.contains(&format!("CPU features: detected: {feature}"));
    ensure!(used("CRC32 instructions"), "what both CPUs have is not used");
    ensure!(!used("LSE atomic instructions"), "what one CPU has is used on both");
    Ok(())
}

/// What init says of its work.
fn results(console: &[u8]) -> String {
    abide::lines_of_init(&String::from_utf8_lossy(console)).join("\n")
}

struct Guest<'a> {
    linux: &'a Linux,
    program: &'a Path,
    expected: String,
    folder: &'a Path,
}

impl Guest<'_> {
    /// Runs the guest from its birth to its end, through a file after each number of instructions;
    /// `args` are about its CPUs. Returns what is to be told, and the console.
    fn check(&self, what: &str, args: &[&str], mut saves: Vec<u64>) -> Result<(String, Vec<u8>)> {
        let what = what.replace([',', ' '], "");
        saves.sort_unstable();
        let mut console = Vec::new();
        let mut command = self.linux.run(self.program);
        command.args(args);
        let mut saved_at = Vec::new();
        for (link, instructions) in saves.iter().enumerate() {
            let file = self.folder.join(format!("{link}.abide"));
            command.arg("--save-at").arg(instructions.to_string()).arg("--save-to").arg(&file);
            let ran = abide::ran(command, self.folder, &format!("{what}.{link}"), SAVED_AWAY)?;
            saved_at.push(ran.report.instructions.to_string());
            console.extend(ran.console);
            command = Command::new(self.program);
            command.args(["restore", "--engine", "soft"]).arg(&file);
        }
        let ran = abide::ran(command, self.folder, &format!("{what}.end"), POWERED_OFF)?;
        console.extend(ran.console);
        let found = results(&console);
        ensure!(found == self.expected, "init said\n{found}\nand not\n{}", self.expected);
        let saved_at = saved_at.join(", ");
        Ok((format!("init's results are right (saved at [{saved_at}])"), console))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_one_cpu_are_not_to_be_used() {
        let seen = "x SANITY CHECK: Unexpected variation in SYS_ID_AA64ISAR0_EL1. y\n";
        let both = "CPU features: detected: CRC32 instructions\n";
        let one = "CPU features: detected: LSE atomic instructions\n";
        assert!(check_features(&format!("{seen}{both}")).is_ok());
        assert!(check_features(&format!("{seen}{both}{one}")).is_err());
        assert!(check_features(both).is_err());
        assert!(check_features(seen).is_err());
    }

    #[test]
    fn results_are_found_behind_what_the_kernel_says() {
        let console = b"[ 1.0] x\n[ 2.0] abide-init: hello\nabide-init: 2\nother\n";
        assert_eq!(results(console), "abide-init: hello\nabide-init: 2");
    }
}
