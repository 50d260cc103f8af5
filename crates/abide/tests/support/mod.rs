//! The program as users run it, in a directory of its own.

#![expect(dead_code, reason = "each test file uses its part of this")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

pub mod handoff;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The guest that `abide demo` shows: no input, ends by itself.
pub fn demo_guest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/bin/demo.img")
}

/// A directory for one test: its files and its guests.
pub struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `abide ARGS`, working in the sandbox, with the sandbox's state directory where the command
    /// takes one. Guests are the software engine's unless the arguments name another: these tests
    /// mean it also on hosts where KVM would be taken.
    pub fn command(&self, args: &[&str]) -> Command {
        match args {
            [verb @ ("run" | "restore"), rest @ ..] if !rest.contains(&"--engine") => {
                self.as_told(&[&[verb, "--engine", "soft"], rest].concat())
            }
            _ => self.as_told(args),
        }
    }

    /// `abide ARGS` and nothing more: without `--engine` it takes the one that it likes best.
    pub fn as_told(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_abide"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("XDG_STATE_HOME", self.path("state"));
        command
    }

    pub fn abide(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the demo guest with its time made of instructions.
    pub fn run_demo_guest(&self, name: &str, more: &[&str]) -> Output {
        let kernel = demo_guest();
        let report = format!("{name}.json");
        let mut args = vec!["run", name, "--deterministic", "--memory", "64M", "--kernel"];
        args.extend([kernel.to_str().unwrap(), "--report", &report]);
        args.extend(more);
        self.abide(&args)
    }

    /// The JSON report of this name.
    pub fn report(&self, name: &str) -> serde_json::Value {
        let text = std::fs::read(self.path(&format!("{name}.json"))).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {}", stderr(output)))
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A guest that runs while the test goes on; ended when dropped.
pub struct Running(pub Child);

impl Running {
    /// Reads the guest's console until `text` was printed.
    pub fn wait_for(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let stdout = self.0.stdout.as_mut().unwrap();
        let mut byte = [0];
        while !String::from_utf8_lossy(&seen).contains(text) {
            assert_eq!(
                stdout.read(&mut byte).unwrap(),
                1,
                "the guest ended before it printed {text:?}: {}",
                String::from_utf8_lossy(&seen)
            );
            seen.push(byte[0]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    pub fn type_in(&mut self, text: &str) {
        use std::io::Write;
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    pub fn end(mut self) -> i32 {
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The guest that comes with abide, at its prompt.
pub fn shipped_guest(sandbox: &Sandbox, name: &str) -> Running {
    let mut command = sandbox.command(&["run", name, "--memory", "32M"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut guest = Running(command.spawn().unwrap());
    guest.wait_for("abide> ");
    guest
}
