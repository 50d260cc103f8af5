//! The demo's guest that moves while it runs: from its process to another one, and to a third.

use super::Ending;
use super::processes::{Finished, Guest};
use crate::commands::guests::await_end;
use crate::control_socket::{Request, Response, ask};
use crate::exit::Exit;
use crate::handoff::{ArrivalReport, HandoffReport};
use crate::report::RunReport;
use crate::state_dir::StateDir;
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a process may take to be ready.
const READY_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A guest that was handed over while it ran.
#[derive(Debug, Serialize)]
pub struct Travel {
    /// There, and back.
    pub moves: Vec<Moved>,
    /// How it ended.
    pub ending: Ending,
}

/// One of its moves.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// When, in instructions.
    pub at: u64,
    /// How the process saw it that had the guest.
    pub handoff: HandoffReport,
    /// How the process saw it that got the guest.
    pub arrival: ArrivalReport,
}

/// Runs it, hands it over at a third and at two thirds of its life, and compares its end; `None` if
/// it ended before that.
pub fn run(guest: &Guest, untouched: &Finished) -> Result<Option<Travel>> {
    let total = untouched.report.instructions;
    // Both are expected before the guest is born, whose life may be short.
    let mut there = Process::expecting(guest, "there")?;
    let back = Process::expecting(guest, "back")?;
    let mut first = Process::begin(guest, "traveller", guest.born("traveller"))?;
    let Some(way_there) = first.hand_over(guest, "there", total / 3)? else { return Ok(None) };
    let Some(way_back) = there.hand_over(guest, "back", total / 3 * 2)? else { return Ok(None) };

    let ended = [first.finish(Exit::GivenAway)?, there.finish(Exit::GivenAway)?];
    let last = back.finish(Exit::Fine)?;
    let console = [&ended[0].console[..], &ended[1].console, &last.console].concat();
    let arrivals = [&ended[1].report, &last.report].map(|report| report.arrival.clone());
    let mut moves = Vec::new();
    for ((handoff, left), arrival) in [way_there, way_back].into_iter().zip(&ended).zip(arrivals) {
        let arrival = arrival.context("a guest that was handed over has no report of that")?;
        moves.push(Moved { at: left.report.instructions, handoff, arrival });
    }
    Ok(Some(Travel { moves, ending: Ending::of(&last, &console, untouched) }))
}

/// A process of abide that has the guest, or expects it; killed when it is no longer needed.
struct Process {
    name: &'static str,
    child: Child,
    console: PathBuf,
    words: PathBuf,
    report: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, or does now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(guest: &Guest, name: &str) -> PathBuf {
    guest.dir.join(format!("{name}.sock"))
}

impl Process {
    fn begin(guest: &Guest, name: &'static str, mut command: Command) -> Result<Self> {
        let file = |ending: &str| guest.dir.join(format!("{name}.{ending}"));
        let (console, words, report) = (file("console"), file("words"), file("json"));
        command.stdout(File::create(&console)?).stderr(File::create(&words)?);
        let child = command.arg("--report").arg(&report).spawn().context("starting abide")?;
        Ok(Self { name, child, console, words, report })
    }

    /// Expects the guest, and is ready to get it.
    fn expecting(guest: &Guest, name: &'static str) -> Result<Self> {
        let at = address(guest, name);
        let mut command = guest.abide("receive");
        command.arg(name).arg(format!("unix:{}", at.display()));
        // The demo's folder is gone after it, wherever it is.
        command.args(["--engine", "soft", "--volatile-journal"]);
        let mut process = Self::begin(guest, name, command)?;
        let give_up = Instant::now() + READY_MAX;
        while !at.exists() {
            let is_alive = process.child.try_wait()?.is_none() && Instant::now() < give_up;
            ensure!(is_alive, "`abide receive {name}` is not ready:\n{}", process.said());
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(process)
    }

    /// Hands it over once it has executed `at` instructions; `None` if it ended before.
    fn hand_over(&mut self, guest: &Guest, to: &str, at: u64) -> Result<Option<HandoffReport>> {
        let state = StateDir::open(Some(&guest.state_dir()))?;
        // It may not be there yet.
        while !matches!(
            ask(&state, self.name, &Request::Status),
            Ok(Response::Status(status)) if status.state == "running" && status.instructions >= at
        ) {
            if self.has_ended()? {
                return Ok(None);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        let mut command = guest.abide("migrate");
        command.arg(self.name).arg(format!("unix:{}", address(guest, to).display()));
        let output = command.args(["--json", "--volatile-journal"]).output()?;
        if output.status.success() {
            let report = serde_json::from_slice(&output.stdout);
            return Ok(Some(report.context("`abide migrate --json` says something else")?));
        }
        await_end(&state, self.name);
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(self.has_ended()?, "`abide migrate {}`:\n{said}", self.name);
        Ok(None)
    }

    /// Whether it has come to its own end.
    fn has_ended(&mut self) -> Result<bool> {
        let Some(status) = self.child.try_wait()? else { return Ok(false) };
        let code = status.code();
        let is_fine = code == Some(i32::from(Exit::Fine.number()));
        ensure!(is_fine, "the guest `{}` ended with code {code:?}:\n{}", self.name, self.said());
        Ok(true)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap_or_default()
    }

    fn finish(mut self, expected: Exit) -> Result<Finished> {
        let code = self.child.wait()?.code();
        if code != Some(i32::from(expected.number())) {
            bail!("the guest `{}` ended with code {code:?}:\n{}", self.name, self.said());
        }
        let text =
            std::fs::read(&self.report).with_context(|| format!("report of {}", self.name))?;
        let report: RunReport = serde_json::from_slice(&text)?;
        Ok(Finished { report, console: std::fs::read(&self.console)? })
    }
}
