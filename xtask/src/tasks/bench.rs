//! `bench`: figures, with their conditions; never a pass-or-fail test.

use crate::abide::{self, Linux, POWERED_OFF};
use crate::process::{self, Ended};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

mod dirty_log;
mod handoff;
mod restore;
mod save;

/// How long one boot may take.
const LIMIT: Duration = Duration::from_secs(180);
/// The unit of CPU times in `/proc`, the same on every host of ours
/// `[linux Documentation/filesystems/proc.rst 1.1]`.
const TICKS_PER_SEC: f64 = 100.0;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    which: Option<Which>,
}

#[derive(clap::Subcommand)]
enum Which {
    /// A Linux boot on the software engine and on QEMU's TCG, in turns: user CPU time
    Boot {
        /// Runs of each
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Kernel series
        #[arg(long, default_value = "6.12")]
        kernel: String,
        /// How far: to the first word of init, or until the machine is off
        #[arg(long, value_enum, default_value_t = Until::Init)]
        until: Until,
    },
    /// Saving memory without a zero byte, and plainly writing as many bytes, in turns: time
    Save(save::Arguments),
    /// From the start of `abide restore` to the guest's first word, lazily and eagerly: time
    Restore(restore::Arguments),
    /// A guest that goes from process to process of the host, by its memory's size: its standstill
    Handoff(handoff::Arguments),
    /// A Linux boot with the dirty log harvested and without it, in turns: CPU time
    DirtyLog(dirty_log::Arguments),
}

/// Where a boot ends.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Until {
    Init,
    Off,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    match &arguments.which {
        Some(Which::Boot { runs, kernel, until }) => boot(*runs, kernel, *until),
        Some(Which::Save(arguments)) => save::bench(arguments),
        Some(Which::Restore(arguments)) => restore::bench(arguments),
        Some(Which::Handoff(arguments)) => handoff::bench(arguments),
        Some(Which::DirtyLog(arguments)) => dirty_log::bench(arguments),
        None => process::run(process::cargo().args(["bench", "--workspace"])),
    }
}

/// Boots the same guest on both, one after the other, so that a busy machine slows both.
fn boot(runs: usize, series: &str, until: Until) -> Result<()> {
    ensure!(runs > 0, "--runs must be at least 1");
    let linux = Linux::debian(series)?;
    let program = abide::build()?;
    let folder = tempfile::tempdir()?;
    println!("{}", conditions(&linux, until)?);
    let (mut own, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=runs {
        let soft = user_seconds(|| boot_soft(&linux, &program, folder.path(), until))?;
        let tcg = user_seconds(|| boot_tcg(&linux, until))?;
        println!("run {run}: abide {soft:.2} s, QEMU TCG {tcg:.2} s, ratio {:.3}", soft / tcg);
        own.push(soft);
        other.push(tcg);
        ratios.push(soft / tcg);
    }
    let rows = [("abide, s", own), ("QEMU TCG, s", other), ("abide / QEMU TCG", ratios)];
    table("user CPU time", rows);
    Ok(())
}

/// Prints least, middle and largest of each row's values.
fn table<const ROWS: usize>(head: &str, rows: [(&str, Vec<f64>); ROWS]) {
    println!("{head:<28} {:>8} {:>8} {:>8}", "min", "median", "max");
    for (name, values) in rows {
        let (min, median, max) = spread(values);
        println!("{name:<28} {min:>8.3} {median:>8.3} {max:>8.3}");
    }
}

/// The host, in words.
fn host() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(format!(
        "{} CPUs {}, Linux {}, load {}",
        std::thread::available_parallelism()?,
        model.map_or("of an unknown model", |(_, name)| name),
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        load.split(' ').next().unwrap_or_default(),
    ))
}

fn conditions(linux: &Linux, until: Until) -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let qemu = process::capture(Command::new("qemu-system-aarch64").arg("--version"))?;
    let origin = fs::read_to_string(crate::debian::kernel::with_ending(&linux.kernel, "txt"))?;
    Ok(format!(
        "{} CPUs {}; {}; {}; guest: 1 vCPU, {} MiB, `{}`, {}",
        std::thread::available_parallelism()?,
        model.map_or("of an unknown model", |(_, name)| name),
        qemu.lines().next().unwrap_or_default(),
        origin.trim(),
        Linux::MEMORY_MIB,
        Linux::APPEND,
        match until {
            Until::Init => "to init's first word",
            Until::Off => "to power-off",
        }
    ))
}

fn boot_soft(linux: &Linux, program: &Path, folder: &Path, until: Until) -> Result<()> {
    let mut command = linux.run(program);
    command.arg("--deterministic").arg("--state-dir").arg(folder);
    boots(command, until)
}

fn boot_tcg(linux: &Linux, until: Until) -> Result<()> {
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.args(["-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-accel", "tcg", "-smp", "1"]);
    qemu.arg("-m").arg(Linux::MEMORY_MIB.to_string());
    qemu.arg("-kernel").arg(&linux.kernel).arg("-initrd").arg(&linux.initrd);
    qemu.args(["-append", Linux::APPEND]);
    qemu.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
    qemu.args(["-nic", "none", "-no-reboot"]);
    boots(qemu, until)
}

fn boots(mut command: Command, until: Until) -> Result<()> {
    let mut console = Vec::new();
    let mut has = |chunk: &[u8], word: &str| {
        console.extend_from_slice(chunk);
        String::from_utf8_lossy(&console).contains(word)
    };
    command.stderr(Stdio::null());
    let ended = process::pour(&mut command, LIMIT, |chunk| {
        has(chunk, "abide-init: hello") && until == Until::Init
    })?;
    let good = match until {
        Until::Init => ended == Ended::Stopped,
        Until::Off => ended == Ended::Exit(POWERED_OFF) && has(&[], "abide-init: done"),
    };
    ensure!(good, "{:?}: {ended:?} before the guest's init was there", command.get_program());
    Ok(())
}

/// The user CPU time of the processes that `work` starts and waits for. One at a time.
fn user_seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let [before, _] = children_seconds()?;
    work()?;
    let [after, _] = children_seconds()?;
    Ok(after - before)
}

/// User and system CPU time of the children that were waited for, in seconds.
fn children_seconds() -> Result<[f64; 2]> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let ticks = parse_children_ticks(&stat).context("/proc/self/stat has another form")?;
    Ok(ticks.map(|ticks| ticks / TICKS_PER_SEC))
}

/// Fields 16 and 17, `cutime` and `cstime`, counted after the name, which may hold spaces.
fn parse_children_ticks(stat: &str) -> Option<[f64; 2]> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(13).map_while(|field| field.parse().ok());
    Some([ticks.next()?, ticks.next()?])
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    };
    (values[0], median, values[values.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_time_is_found_behind_an_odd_name() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 11 12 1234 14 15";
        assert_eq!(parse_children_ticks(stat), Some([1234.0, 14.0]));
        assert_eq!(parse_children_ticks("7 (a) R 1"), None);
    }

    #[test]
    fn spread_has_the_middle_of_odd_and_even_counts() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_eq!(spread(vec![4.0, 1.0]), (1.0, 2.5, 4.0));
    }
}
