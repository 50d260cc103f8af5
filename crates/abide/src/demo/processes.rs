//! The demo's guests, each run in a process of its own through the same command line that users
//! have.

use crate::exit::Exit;
use crate::report::RunReport;
use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// How many restored guests run at a time.
const PARALLEL: usize = 2;

/// What to run.
pub struct Guest {
    /// Its kernel.
    pub kernel: PathBuf,
    /// Its initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub append: String,
    /// Its memory, in bytes.
    pub memory: u64,
    /// Where the demo's files are.
    pub dir: PathBuf,
    /// What it is, in words.
    pub words: String,
}

/// A run that came to its end.
pub struct Finished {
    /// Its report.
    pub report: RunReport,
    /// What it printed in this process.
    pub console: Vec<u8>,
}

impl Guest {
    /// Runs it from its first instruction to its end, saving on the way.
    pub fn run(&self, name: &str, saves: &[(u64, PathBuf)]) -> Result<Finished> {
        let mut command = self.born(name);
        for (instructions, path) in saves {
            command.arg("--save-at").arg(instructions.to_string()).arg("--save-to").arg(path);
        }
        if !saves.is_empty() {
            command.arg("--keep-running");
        }
        self.finish(name, command)
    }

    /// `abide run` of it.
    pub fn born(&self, name: &str) -> Command {
        let mut command = self.abide("run");
        command.arg(name).arg("--deterministic").arg("--kernel").arg(&self.kernel);
        command.arg("--memory").arg(self.memory.to_string());
        command.arg(format!("--append={}", self.append));
        if let Some(initrd) = &self.initrd {
            command.arg("--initrd").arg(initrd);
        }
        command
    }

    fn restore(&self, name: &str, file: &Path) -> Result<Finished> {
        let mut command = self.abide("restore");
        command.arg(file).arg(name);
        self.finish(name, command)
    }

    /// What `abide verify` makes of a file: its exit code and its words.
    pub fn verify(&self, file: &Path) -> Result<(i32, String)> {
        let output = abide("verify")?.arg(file).stdin(Stdio::null()).output()?;
        let words = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        Ok((code(&output)?, words.replace(&format!("{}/", self.dir.display()), "")))
    }

    /// The exit code with which a restore of a damaged file ends.
    pub fn restore_refused(&self, file: &Path) -> Result<i32> {
        let mut command = self.abide("restore");
        code(&command.arg(file).arg("damaged").output()?)
    }

    /// Where the demo's guests are known.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// A command of abide, for the demo's guests.
    pub fn abide(&self, what: &str) -> Command {
        let mut command = abide(what).unwrap_or_else(|_| Command::new("abide"));
        command.arg("--state-dir").arg(self.state_dir()).stdin(Stdio::null());
        command
    }

    fn finish(&self, name: &str, mut command: Command) -> Result<Finished> {
        let report = self.dir.join(format!("{name}.json"));
        let output = command.arg("--report").arg(&report).output()?;
        let code = code(&output)?;
        if code != i32::from(Exit::Fine.number()) {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("the guest `{name}` ended with code {code}:\n{said}");
        }
        let text = std::fs::read(&report).with_context(|| format!("report of `{name}`"))?;
        Ok(Finished { report: serde_json::from_slice(&text)?, console: output.stdout })
    }
}

fn abide(what: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("abide's own program file")?);
    command.arg(what);
    Ok(command)
}

fn code(output: &Output) -> Result<i32> {
    output.status.code().ok_or_else(|| anyhow!("abide was killed: {}", output.status))
}

/// Restores every file, a few at a time, and gives the ends in the files' order.
pub fn run_all(guest: &Guest, files: &[(u64, PathBuf)]) -> Result<Vec<Finished>> {
    let next = Mutex::new(files.iter().enumerate());
    let ends = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    let job = next.lock().ok().and_then(|mut jobs| jobs.next());
                    let Some((n, (_, path))) = job else { return };
                    let end = guest.restore(&format!("restored-{}", n + 1), path);
                    if let Ok(mut ends) = ends.lock() {
                        ends.push((n, end));
                    }
                }
            });
        }
    });
    let mut ends = ends.into_inner().map_err(|_| anyhow!("a demo thread failed"))?;
    ends.sort_by_key(|(n, _)| *n);
    ends.into_iter().map(|(_, end)| end).collect()
}
