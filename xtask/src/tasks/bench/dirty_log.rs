//! What the dirty log costs.

use super::{children_seconds, host, table};
use crate::abide::Linux;
use crate::{paths, process};
use anyhow::{Result, ensure};
use std::fmt;
use std::process::Command;

#[derive(clap::Args)]
pub struct Arguments {
    /// Rounds, each with one run of every kind
    #[arg(long, default_value_t = 6)]
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
    let boot = |mode: Mode| {
        let [user, system] = children_seconds()?;
        let mut command = Command::new(&program);
        command.arg(&linux.kernel).arg(&linux.initrd).arg(Linux::APPEND);
        let said = process::capture(command.args(mode.arguments(arguments.period_ms)))?;
        let [user_after, system_after] = children_seconds()?;
        Ok::<_, anyhow::Error>((user_after - user + system_after - system, said))
    };
    println!(
        "{}; Linux {} boots and powers off, 512 MiB, 1 vCPU, virtual time; a harvest each {} ms",
        host()?,
        arguments.kernel,
        arguments.period_ms
    );
    // Once before, so that none finds a colder host than the others.
    boot(Mode::Off)?;
    let mut seconds = [const { Vec::new() }; Mode::ALL.len()];
    for run in 0..arguments.runs {
        // Each goes first as often as the others.
        for place in 0..Mode::ALL.len() {
            let which = (run + place) % Mode::ALL.len();
            let (taken, said) = boot(Mode::ALL[which])?;
            println!("run {}: {} {taken:.2} s; {}", run + 1, Mode::ALL[which], said.trim());
            seconds[which].push(taken);
        }
    }
    let [off, on, copying] = seconds;
    let of_off = |values: &[f64]| values.iter().zip(&off).map(|(one, off)| one / off).collect();
    let (on_ratio, copying_ratio) = (of_off(&on), of_off(&copying));
    let rows = [
        ("off, s", off),
        ("harvested, s", on),
        ("harvested and copied, s", copying),
        ("harvested / off", on_ratio),
        ("harvested and copied / off", copying_ratio),
    ];
    table("user and system CPU time", rows);
    Ok(())
}

/// What is done with the log.
#[derive(Clone, Copy)]
enum Mode {
    Off,
    /// What the log itself costs: vCPUs mark pages, and drop translations at each harvest.
    Harvested,
    /// With a migration's first work on each page.
    Copied,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Off, Self::Harvested, Self::Copied];

    fn arguments(self, period_ms: u64) -> Vec<String> {
        match self {
            Self::Off => vec!["0".into()],
            Self::Harvested => vec![period_ms.to_string()],
            Self::Copied => vec![period_ms.to_string(), "copy".into()],
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Harvested => "harvested",
            Self::Copied => "harvested and copied",
        })
    }
}
