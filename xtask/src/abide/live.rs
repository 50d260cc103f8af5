//! Processes of abide that go on beside this one, each with a guest that is there or expected.

use crate::process;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What should happen happens within this time, on two slow cores that others use too.
pub const LIMIT: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` finds something.
///
/// # Errors
/// If it finds nothing in time; `what` says what was waited for.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "{what}: not within {LIMIT:?}");
        thread::sleep(PAUSE);
    }
}

/// How abide is called.
#[derive(Clone)]
pub struct Abide {
    pub program: PathBuf,
    /// With the state directory and what the processes say.
    pub folder: PathBuf,
}

/// Keys are another matter, and so is a power cut.
pub const PLAIN: [&str; 2] = ["--insecure-plain-tcp", "--volatile-journal"];

impl Abide {
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args);
        self.here(command)
    }

    /// A command of abide, with the state directory here.
    pub fn here(&self, mut command: Command) -> Command {
        command.arg("--state-dir").arg(self.folder.join("state"));
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Where the process of a guest says what abide itself has to say.
    pub fn words_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.err"))
    }

    /// Makes a key in the folder; where it is, and whose.
    pub fn keygen(&self) -> Result<[String; 2]> {
        let key = self.folder.join("key").display().to_string();
        let made = process::capture(Command::new(&self.program).args(["keygen", &key]))?;
        Ok([key, made.trim().to_owned()])
    }

    pub fn output(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).output()?)
    }

    /// What `abide status` calls it; `None` if no process has it.
    pub fn state(&self, name: &str) -> Result<Option<String>> {
        wait_for(&format!("an answer of {name}"), || self.ask_state(name))
    }

    /// As [`Self::state`], once: `None` if its process is too busy to answer.
    fn ask_state(&self, name: &str) -> Result<Option<Option<String>>> {
        let output = self.output(&["status", name, "--json"])?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            if words.contains("did not answer within") {
                return Ok(None);
            }
            // It may be ending just now.
            let gone = ["no guest named", "ended", "does not answer"];
            let is_gone = gone.iter().any(|gone| words.contains(gone));
            ensure!(is_gone, "abide status {name}: {words}");
            return Ok(Some(None));
        }
        let status: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        if status.get("pid").is_none_or(serde_json::Value::is_null) {
            // Its journal tells of it.
            return Ok(Some(None));
        }
        let state = status.get("state").and_then(serde_json::Value::as_str);
        Ok(Some(Some(state.context("no state in the status")?.to_owned())))
    }

    /// Waits until `abide status` calls it so.
    pub fn await_state(&self, name: &str, state: &str) -> Result<()> {
        let mut last = None;
        let found = wait_for("status", || {
            last = self.state(name)?;
            Ok((last.as_deref() == Some(state)).then_some(()))
        });
        found.with_context(|| format!("{name} is {last:?}, not {state}"))
    }

    /// Runs `abide migrate` to settle what was cut off: its words, if it ends with `code`.
    pub fn resolve(&self, name: &str, more: &[&str], code: i32) -> Result<String> {
        let args = [&["migrate", name, "--resolve"], more, &PLAIN[..]].concat();
        let output = self.output(&args)?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = output.status.code();
        ensure!(found == Some(code), "{}: {found:?}, not {code}: {words}", args.join(" "));
        Ok(words)
    }
}

/// A process, ended when dropped.
pub struct Process {
    pub name: String,
    child: Child,
    console: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
    words: PathBuf,
}

impl Process {
    /// Starts `command`, which is about the guest `name`.
    pub fn start(name: &str, mut command: Command, words: PathBuf) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&words)?);
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        let mut output = child.stdout.take().context("standard output is a pipe")?;
        let console = Arc::new(Mutex::default());
        let said = Arc::clone(&console);
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut piece) {
                let mut said: std::sync::MutexGuard<'_, Vec<u8>> =
                    said.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend_from_slice(&piece[..len]);
            }
        });
        Ok(Self { name: name.to_owned(), child, console, reader: Some(reader), words })
    }

    pub fn type_in(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("standard input is a pipe")?;
        input.write_all(text.as_bytes())?;
        Ok(input.flush()?)
    }

    /// What its guest has printed in this process.
    pub fn console(&self) -> Vec<u8> {
        self.console.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What abide itself said.
    pub fn words(&self) -> String {
        fs::read_to_string(&self.words).unwrap_or_default()
    }

    /// Waits until the guest has printed `text`, behind the first `from` bytes.
    pub fn await_text(&mut self, from: usize, text: &str) -> Result<()> {
        let what = format!("{}: {text:?} on the console", self.name);
        wait_for(&what, || {
            let console = self.console();
            let is_there = String::from_utf8_lossy(&console[from..]).contains(text);
            if !is_there && let Some(status) = self.child.try_wait()? {
                bail!("{what}: {status}: {}", self.words());
            }
            Ok(is_there.then_some(()))
        })
    }

    pub fn kill(&mut self) -> Result<()> {
        // It may just have ended by itself.
        let _ = self.child.kill();
        self.child.wait()?;
        Ok(())
    }

    /// Lets it write no file any more, as where a disk is full and failing, or lets it again.
    pub fn limit_files(&self, is_full: bool) -> Result<()> {
        let own = getrlimit(Resource::Fsize);
        let limit = if is_full { Rlimit { current: Some(0), ..own } } else { own };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit)?;
        Ok(())
    }

    /// Its end, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end: all that it has printed is known then.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let status = wait_for(&what, || self.ended())?;
        self.reader.take().map(thread::JoinHandle::join);
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A process that expects a guest at `at`, and where that is.
pub fn expecting(abide: &Abide, name: &str, at: &str, how: &[&str]) -> Result<(Process, String)> {
    let args = [&["receive", name, at, "--engine", "soft"][..], how].concat();
    let mut process = Process::start(name, abide.command(&args), abide.words_of(name))?;
    let told = "is expected at ";
    let address = wait_for(&format!("{name} {told}"), || {
        let words = process.words();
        if let Some(status) = process.ended()? {
            bail!("{name}: {status}: {words}");
        }
        let (_, address) = words.split_once(told).unwrap_or_default();
        Ok(address.split_once('\n').map(|(address, _)| address.trim().to_owned()))
    })?;
    Ok((process, address))
}
