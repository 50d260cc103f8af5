//! `oracle`: a guest that was saved and restored must end exactly like one that never was.
//!
//! Each kernel is booted once untouched, on each number of vCPUs. Then, for each save point, one
//! process runs the guest up to there and saves it away, and another restores the file and runs it
//! to its end. The hash over the whole guest state, the number of instructions and every byte of
//! the console must agree.

use crate::abide::{self, Linux, POWERED_OFF, SAVED_AWAY};
use crate::debian::kernel::with_ending;
use crate::paths;
use crate::tally::Count;
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How much state a guest may have besides its RAM, in bytes for each vCPU.
const STATE_BYTES_MAX: u64 = 24 * 1024;

/// The kernel series that a guest may have.
pub const KERNELS: [&str; 3] = ["6.1", "6.12", "7.2"];

/// The numbers of vCPUs that a guest has: alone, and taking turns.
const VCPUS: [u32; 3] = [1, 2, 4];

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long = "kernel", value_name = "SERIES", default_values_t = KERNELS.map(String::from))]
    kernels: Vec<String>,
    /// Numbers of vCPUs
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = VCPUS)]
    vcpus: Vec<u32>,
    /// Save points for each kernel on one vCPU; on several a quarter as many
    #[arg(long, default_value_t = 20)]
    points: u64,
    /// What the save points are drawn from; the same seed gives the same points
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Guests that run at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    ensure!(arguments.points > 0 && arguments.jobs > 0, "--points and --jobs must be at least 1");
    let program = abide::build()?;
    let work = paths::work()?;
    for series in &arguments.kernels {
        for &vcpus in &arguments.vcpus {
            let folder = tempfile::tempdir_in(&work)?;
            let points = if vcpus == 1 { arguments.points } else { arguments.points.div_ceil(4) };
            let cell = Cell { series, vcpus, points };
            // One that does not boot must not hide the others.
            if let Err(error) = run_cell(arguments, cell, &program, folder.path(), count) {
                println!("{series}, {vcpus} vCPUs: FAILED: {error:#}");
                count.failed += points + 1;
            }
        }
    }
    Ok(())
}

/// A kernel on a number of vCPUs.
#[derive(Clone, Copy)]
struct Cell<'a> {
    series: &'a str,
    vcpus: u32,
    points: u64,
}

/// The run that nobody disturbed.
struct Untouched<'a> {
    linux: &'a Linux,
    vcpus: u32,
    program: &'a Path,
    console: Vec<u8>,
    report: abide::Report,
}

fn run_cell(
    arguments: &Arguments,
    cell: Cell<'_>,
    program: &Path,
    folder: &Path,
    count: &mut Count,
) -> Result<()> {
    let Cell { series, vcpus, points: _ } = cell;
    let linux = Linux::debian(series)?;
    let origin = fs::read_to_string(with_ending(&linux.kernel, "txt")).unwrap_or_default();
    let mut command = linux.run(program);
    command.arg("--deterministic").arg("--vcpus").arg(vcpus.to_string());
    let whole = abide::ran(command, folder, "untouched", POWERED_OFF)?;
    println!(
        "{series} ({}) on {vcpus} vCPUs: {} instructions, {} bytes of state besides RAM, ends as \
         {}, seed {}",
        origin.trim(),
        whole.report.instructions,
        whole.report.state_bytes,
        whole.report.state_hash,
        arguments.seed
    );
    let said = String::from_utf8_lossy(&whole.console);
    ensure!(said.contains("abide-init: done"), "the guest's init did not finish:\n{said}");
    *count += Count::one(whole.report.state_bytes <= STATE_BYTES_MAX * u64::from(vcpus));
    let untouched =
        Untouched { linux: &linux, vcpus, program, console: whole.console, report: whole.report };
    let points = points(arguments.seed, cell.points, untouched.report.instructions);
    let next = AtomicUsize::new(0);
    let shared = Mutex::new(count);
    thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = untouched.check(*point, folder);
                    let passed = result.is_ok();
                    let text = result.unwrap_or_else(|error| format!("FAILED: {error:#}"));
                    println!("{series}, {vcpus} vCPUs: save at {point}: {text}");
                    if let Ok(mut count) = shared.lock() {
                        **count += Count::one(passed);
                    }
                }
            });
        }
    });
    Ok(())
}

impl Untouched<'_> {
    /// Saves the guest after `point` instructions, restores it, and compares the end.
    fn check(&self, point: u64, folder: &Path) -> Result<String> {
        let file = folder.join(format!("{point}.abide"));
        let mut save = self.linux.run(self.program);
        save.arg("--deterministic")
            .arg("--vcpus")
            .arg(self.vcpus.to_string())
            .arg("--save-at")
            .arg(point.to_string());
        save.arg("--save-to").arg(&file);
        let before = abide::ran(save, folder, &format!("{point}.save"), SAVED_AWAY)?;
        let mut restore = Command::new(self.program);
        restore.args(["restore", "--engine", "soft"]).arg(&file);
        let name = format!("{point}.restore");
        let after = abide::ran(restore, folder, &name, POWERED_OFF);
        let size_mib = fs::metadata(&file).map_or(0, |data| data.len() >> 20);
        // Twenty files of a guest's RAM would fill a small disk.
        let _ = fs::remove_file(&file);
        let after = after?;
        ensure!(
            before.report.instructions >= point,
            "saved too early, after {} instructions",
            before.report.instructions
        );
        let console = [before.console, after.console].concat();
        let (expected, found) = (&self.report, &after.report);
        ensure!(
            found.instructions == expected.instructions,
            "{} instructions in all, not {}",
            found.instructions,
            expected.instructions
        );
        let same = console.iter().zip(&self.console).take_while(|(a, b)| a == b).count();
        ensure!(console == self.console, "the console differs from byte {same} on");
        ensure!(found.state_hash == expected.state_hash, "ends as {}", found.state_hash);
        Ok(format!("equal ({size_mib} MiB, saved at {})", before.report.instructions))
    }
}

/// Where to save: anywhere in the run, by the seed.
pub fn points(seed: u64, count: u64, instructions: u64) -> Vec<u64> {
    let mut state = seed;
    (0..count).map(|_| 1 + random(&mut state) % (instructions - 1).max(1)).collect()
}

/// The next number of a sequence that is spread evenly enough for this (SplitMix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn save_points_lie_inside_the_run_and_repeat_by_seed() {
        let first = points(1, 1000, 100);
        assert!(first.iter().all(|point| (1..100).contains(point)));
        assert_eq!(first, points(1, 1000, 100));
        assert_ne!(first, points(2, 1000, 100));
    }
}
