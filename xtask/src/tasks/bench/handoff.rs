//! How long a guest stands still that goes to another process of the host, by its memory's size.

use super::save::{Running, guest};
use super::{host, table};
use crate::{abide, process};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The exit code of a guest's process when another has the guest.
const GIVEN_AWAY: i32 = 14;
/// What should happen happens within this time.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(clap::Args)]
pub struct Arguments {
    /// Rounds, each with one handoff of every size
    #[arg(long, default_value_t = 9)]
    runs: usize,
    /// Memory without a zero byte, in MiB; may be repeated
    #[arg(long, default_values_t = [64, 512, 2048])]
    mib: Vec<usize>,
    /// Where the journals go: its file system is what their writes are measured on
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
}

pub fn bench(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0, "--runs must be at least 1");
    let program = abide::build()?;
    println!("{}; 1 vCPU, journals in {}", host()?, arguments.dir.display());
    let mut lanes = Vec::new();
    for &mib in &arguments.mib {
        ensure!(mib > 0, "--mib must be at least 1");
        lanes.push(Lane::new(&program, &arguments.dir, mib)?);
    }
    // Every size in every round, so that a busy machine slows all of them. Round 0 only warms, and
    // what the last one's destination saw is never told.
    for _ in 0..arguments.runs + 2 {
        for lane in &mut lanes {
            lane.hop()?;
        }
    }
    for lane in lanes {
        let whole = |hop: &Hop| hop.blackout_ms;
        let journals = |hop: &Hop| hop.journals_ms;
        let hops = lane.hops.get(1..).context("no handoff was told of")?;
        let all = |of: fn(&Hop) -> f64| hops.iter().map(of).collect::<Vec<_>>();
        let rows = [
            ("standstill without journals", all(|hop| hop.blackout_ms - hop.journals_ms)),
            ("writing the journals", all(journals)),
            ("standstill", all(whole)),
        ];
        table(&format!("{} MiB, ms", lane.mib), rows);
    }
    Ok(())
}

/// What a handoff took.
struct Hop {
    /// By the destination's report: from the last instruction there to the counter's going on here.
    blackout_ms: f64,
    /// `given away`, `prepared` and `running`.
    journals_ms: f64,
}

/// A guest that goes from process to process.
struct Lane {
    program: PathBuf,
    folder: tempfile::TempDir,
    mib: usize,
    here: Running,
    /// How many processes have had it.
    number: usize,
    /// What the journal at the source took, of the handoff whose destination has not reported yet.
    given_away_ns: Option<u64>,
    hops: Vec<Hop>,
}

impl Lane {
    fn new(program: &Path, dir: &Path, mib: usize) -> Result<Self> {
        let folder = tempfile::tempdir_in(dir)?;
        let mut command = guest(program, folder.path(), mib)?;
        let here = start(&mut command)?;
        let program = program.to_owned();
        let lane =
            Self { program, folder, mib, here, number: 0, given_away_ns: None, hops: vec![] };
        lane.await_state("dots", "running")?;
        Ok(lane)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).arg("--state-dir").arg(self.path("state"));
        command
    }

    fn name(&self) -> String {
        if self.number == 0 { "dots".to_owned() } else { format!("dots{}", self.number) }
    }

    fn await_state(&self, name: &str, state: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        loop {
            let told = self.command(&["status", name, "--json"]).output()?;
            let status: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
            if status["state"] == state {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{name} is not {state}: {status}");
            thread::sleep(PAUSE);
        }
    }

    /// Moves it to a new process.
    fn hop(&mut self) -> Result<()> {
        let from = self.name();
        self.number += 1;
        let (name, report) = (self.name(), self.path(&format!("report{}", self.number)));
        let at = format!("unix:{}", self.path("socket").display());
        let mut command = self.command(&["receive", &name, &at, "--engine", "soft"]);
        let there = start(command.arg("--report").arg(&report))?;
        self.await_state(&name, "expected")?;
        let told = process::capture(&mut self.command(&["migrate", &from, &at, "--json"]))?;
        let told: Value = serde_json::from_str(&told)?;
        let mut left = std::mem::replace(&mut self.here, there);
        let status = left.0.wait()?;
        if status.code() != Some(GIVEN_AWAY) {
            bail!("the process that gave the guest away: {status}");
        }
        // How it came to the process that has just ended, that one has reported now.
        if let Some(given_away_ns) = self.given_away_ns.replace(ns(&told, "journal_ns")?) {
            let report = fs::read_to_string(self.path(&format!("report{}", self.number - 1)))?;
            let report: Value = serde_json::from_str(&report)?;
            let arrival = &report["arrival"];
            let there = ns(arrival, "journal_prepared_ns")? + ns(arrival, "journal_running_ns")?;
            let blackout_ms = ms(ns(arrival, "blackout_ns")?);
            self.hops.push(Hop { blackout_ms, journals_ms: ms(given_away_ns + there) });
        }
        Ok(())
    }
}

fn start(command: &mut Command) -> Result<Running> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn().context("cannot start abide")?))
}

fn ns(report: &Value, name: &str) -> Result<u64> {
    report[name].as_u64().with_context(|| format!("no {name} in {report}"))
}

fn ms(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64() * 1e3
}
