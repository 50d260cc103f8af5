//! A running guest goes from release 0.1.0 to this version, back, and here again, by `abide
//! upgrade` between real processes.

use super::{REFUSED, says};
use crate::abide::{POWERED_OFF, Ran};
use crate::{paths, process};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// `abide`'s exit code when the guest was ended from outside.
const STOPPED: i32 = 13;
/// How long a step may take, on a machine that others use too.
const STEP_MAX: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const NAME: &str = "web";

/// The two programs.
pub struct Swap {
    pub released: PathBuf,
    pub new: PathBuf,
    pub folder: PathBuf,
}

/// A process of abide with a console; killed when it is no longer needed.
struct Process {
    child: Child,
    console: PathBuf,
    words: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, or does now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn words(&self) -> String {
        fs::read_to_string(&self.words).unwrap_or_default()
    }

    /// Waits for its end; what it printed.
    fn end(&mut self, expected: i32) -> Result<Vec<u8>> {
        let give_up = Instant::now() + STEP_MAX;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < give_up, "it does not end:\n{}", self.words());
            thread::sleep(LOOK_AGAIN);
        }
        let code = self.child.wait()?.code();
        ensure!(code == Some(expected), "exit code {code:?}, not {expected}:\n{}", self.words());
        Ok(fs::read(&self.console)?)
    }
}

impl Swap {
    fn state_dir(&self) -> PathBuf {
        self.folder.join("swap.state")
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg("--state-dir").arg(self.state_dir()).stdin(Stdio::null());
        command
    }

    fn begin(&self, file: &str, mut command: Command) -> Result<Process> {
        let path = |ending: &str| self.folder.join(format!("swap-{file}.{ending}"));
        let (console, words) = (path("console"), path("words"));
        command.stdout(File::create(&console)?).stderr(File::create(&words)?);
        Ok(Process { child: command.spawn().context("starting abide")?, console, words })
    }

    fn born(&self, program: &Path) -> Command {
        let kernel = paths::root().join("guests/bin/demo.img");
        let mut command = self.command(program, &["run", NAME, "--deterministic"]);
        command.args(["--memory", "64M", "--kernel"]).arg(kernel);
        command
    }

    fn upgrade(&self, to: &Path) -> Result<Output> {
        let mut command = self.command(&self.new, &["upgrade", NAME]);
        command.arg("--to").arg(to).output().context("abide upgrade")
    }

    /// Waits until the guest runs in another process than `before`, and has come further; tells
    /// which that is.
    fn await_guest(&self, before: u64, process: &mut Process) -> Result<u64> {
        let give_up = Instant::now() + STEP_MAX;
        while Instant::now() < give_up {
            if process.child.try_wait()?.is_some() {
                bail!("it ended:\n{}", process.words());
            }
            let mut status = self.command(&self.new, &["status", NAME, "--json"]);
            if let Ok(text) = process::capture(&mut status) {
                let status: Value = serde_json::from_str(&text)?;
                let pid = status["pid"].as_u64().unwrap_or(before);
                let has_run = status["instructions"].as_u64().unwrap_or(0) > 0;
                if status["state"] == "running" && pid != before && has_run {
                    return Ok(pid);
                }
            }
            thread::sleep(LOOK_AGAIN);
        }
        bail!("the guest does not run:\n{}", process.words())
    }

    /// Both ways, and once more: the guest ends as if nobody had touched it.
    pub fn there_and_back(&self, untouched: &Ran) -> Result<()> {
        let mut first = self.begin("first", self.born(&self.released))?;
        let pid = self.await_guest(0, &mut first)?;
        let upgrade = || self.command(&self.new, &["upgrade", NAME]);
        let mut second = self.begin("second", upgrade())?;
        let pid = self.await_guest(pid, &mut second).context("from 0.1.0 to this version")?;
        let mut console = first.end(STOPPED)?;

        let back = self.upgrade(&self.released)?;
        let said = String::from_utf8_lossy(&back.stderr);
        ensure!(back.status.success(), "back to 0.1.0:\n{said}\n{}", second.words());
        says(&said, "stood still for")?;
        let pid = self.await_guest(pid, &mut second).context("back to 0.1.0")?;

        let mut third = self.begin("third", upgrade())?;
        self.await_guest(pid, &mut third).context("once more to this version")?;
        console.extend(second.end(STOPPED)?);
        console.extend(third.end(POWERED_OFF)?);
        ensure!(console == untouched.console, "the console differs");
        says(&third.words(), &format!("{} instructions, ", untouched.report.instructions))?;
        let left = fs::read_dir(self.state_dir())?.flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains(NAME)).collect();
        ensure!(left.is_empty(), "the state directory still has {left:?}");
        Ok(())
    }

    /// What 0.1.0 does not know, it does not get, and the guest never notices.
    pub fn refused(&self) -> Result<()> {
        let mut here = self.begin("here", self.born(&self.new))?;
        let pid = self.await_guest(0, &mut here)?;
        let refused = self.upgrade(&self.released)?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(refused.status.code() == Some(REFUSED), "{}:\n{said}", refused.status);
        says(&said, "vmclock")?;
        let mut status = self.command(&self.new, &["status", NAME, "--json"]);
        let status: Value = serde_json::from_str(&process::capture(&mut status)?)?;
        ensure!(status["state"] == "running" && status["pid"] == pid, "it is {status}");
        process::capture(&mut self.command(&self.new, &["stop", NAME]))?;
        here.end(STOPPED).map(drop)
    }
}
