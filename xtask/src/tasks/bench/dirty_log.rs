//! What the dirty log costs.

use super::{TICKS_PER_SEC, host, table};
use crate::abide::Linux;
use crate::{paths, process};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::Command;

#[derive(clap::Args)]
pub struct Arguments {
    /// Runs of each
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Kernel series
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Time between two harvests, in ms
    #[arg(long, default_value_t = 100)]
    period_ms: u64,
}

pub fn bench(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0 && arguments.period_ms > 0, "--runs, --period-ms: at least 1");
    let linux = Linux::debian(&arguments.kernel)?;
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--package", "abide-machine", "--example", "dirty_log"]);
    process::run(&mut cargo)?;
    let program = paths::target().join("release/examples/dirty_log");
    let boot = |period_ms: u64| {
        let before = children_seconds()?;
        let mut command = Command::new(&program);
        command.arg(&linux.kernel).arg(&linux.initrd).arg(Linux::APPEND);
        let said = process::capture(command.arg(period_ms.to_string()))?;
        Ok::<_, anyhow::Error>((children_seconds()? - before, said))
    };
    println!(
        "{}; Linux {} boots and powers off, 512 MiB, 1 vCPU, virtual time; a harvest each {} ms",
        host()?,
        arguments.kernel,
        arguments.period_ms
    );
    let (mut on, mut off, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=arguments.runs {
        // Each goes first as often as the other.
        let (with, without) = if run % 2 == 0 {
            let without = boot(0)?;
            (boot(arguments.period_ms)?, without)
        } else {
            (boot(arguments.period_ms)?, boot(0)?)
        };
        println!("run {run}: on {:.2} s, off {:.2} s; {}", with.0, without.0, with.1.trim());
        on.push(with.0);
        off.push(without.0);
        ratios.push(with.0 / without.0);
    }
    table("user and system CPU time", [("on, s", on), ("off, s", off), ("on / off", ratios)]);
    Ok(())
}

/// User and system CPU time of the children that were waited for, in seconds.
fn children_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has another form")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] = fields.get(13..15).context("/proc/self/stat is shorter")? else {
        anyhow::bail!("/proc/self/stat is shorter");
    };
    Ok((user.parse::<f64>()? + system.parse::<f64>()?) / TICKS_PER_SEC)
}
