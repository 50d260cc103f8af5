//! `abide demo`: the promise, shown.
//!
//! A guest runs untouched. It runs again and is saved several times on the way. Each file is
//! restored in a process of its own. It runs once more, and is handed to another process and back
//! while it runs. Every end must be the same, to the last bit of memory and of every register. Then
//! one byte of a file is flipped, and must be named.

mod html;
mod processes;
mod text;
mod travel;

use crate::cli::DemoArgs;
use crate::exit::Exit;
use crate::out::print;
use crate::report::RunReport;
use anyhow::{Context, Result, ensure};
use processes::{Finished, Guest, run_all};
use serde::Serialize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use travel::Travel;

/// The guest of the demo: an arm64 Image built from `guests/demo`.
const DEMO_GUEST: &[u8] = include_bytes!("../../../../guests/bin/demo.img");

/// Everything the demo saw.
#[derive(Debug, Serialize)]
struct DemoReport {
    /// The guest, in words.
    guest: String,
    /// Its memory, in bytes.
    memory_bytes: u64,
    /// The run that nobody touched.
    untouched: RunReport,
    /// What it printed.
    console: String,
    /// The run that was saved on the way and went on.
    saved_on_the_way: Ending,
    /// Each file, restored.
    restores: Vec<Restore>,
    /// The run that was handed over, there and back; `None`: it ended before that.
    travel: Option<Travel>,
    /// The file with one byte flipped.
    flipped: Flipped,
}

/// How a run ended, against the untouched one.
#[derive(Debug, Serialize)]
struct Ending {
    state_hash: String,
    instructions: u64,
    same_state: bool,
    same_instructions: bool,
    same_console: bool,
}

/// A file and what became of it.
#[derive(Debug, Serialize)]
struct Restore {
    /// When it was saved, in instructions.
    saved_at: u64,
    /// Length of the file, in bytes.
    file_bytes: u64,
    /// How many bytes of output came before it.
    console_bytes_before: u64,
    /// How it ended.
    ending: Ending,
}

/// A damaged file.
#[derive(Debug, Serialize)]
struct Flipped {
    /// Where, in bytes from the start of the file.
    offset: u64,
    /// What `abide verify` said.
    verify_says: String,
    /// Its exit code.
    verify_exit: i32,
    /// Exit code of `abide restore`.
    restore_exit: i32,
}

impl Ending {
    fn of(finished: &Finished, console: &[u8], untouched: &Finished) -> Self {
        let (here, there) = (&finished.report, &untouched.report);
        Self {
            state_hash: here.state_hash.clone(),
            instructions: here.instructions,
            same_state: here.state_hash == there.state_hash,
            same_instructions: here.instructions == there.instructions,
            same_console: console == untouched.console,
        }
    }

    fn is_same(&self) -> bool {
        self.same_state && self.same_instructions && self.same_console
    }
}

impl Flipped {
    fn is_named(&self) -> bool {
        self.verify_exit == i32::from(Exit::Damaged.number())
            && self.restore_exit == i32::from(Exit::Damaged.number())
    }
}

impl DemoReport {
    fn holds(&self) -> bool {
        self.saved_on_the_way.is_same()
            && self.restores.iter().all(|restore| restore.ending.is_same())
            && self.travel.as_ref().is_none_or(|travel| travel.ending.is_same())
            && self.flipped.is_named()
    }
}

/// Shows it.
pub fn run(args: &DemoArgs) -> Result<Exit> {
    let dir = tempfile::tempdir().context("a directory for the demo's files")?;
    let guest = prepare(args, &dir)?;
    let say = |what: &str| crate::out::say(&format!("demo: {what}"));

    say("1 of 5: a guest runs untouched");
    let untouched = guest.run("untouched", &[])?;
    let total = untouched.report.instructions;
    say("2 of 5: it runs again, and is saved on the way");
    let points = save_points(&dir, total, args.saves);
    let saved = guest.run("saved", &points)?;
    say("3 of 5: each file goes on in a process of its own");
    let finished = run_all(&guest, &points)?;
    say("4 of 5: it runs once more, and is handed to another process and back");
    let travel = travel::run(&guest, &untouched)?;
    ensure!(
        travel.is_some() || args.kernel.is_some(),
        "the guest ended before it could be handed over"
    );
    say("5 of 5: one byte of a file is flipped");
    let flipped = flip_a_byte(&guest, &points[points.len() / 2].1, dir.path())?;

    let mut restores = Vec::new();
    for ((saved_at, path), finished) in points.iter().zip(&finished) {
        let before = untouched.console.len().saturating_sub(finished.console.len());
        let console = [&untouched.console[..before], &finished.console].concat();
        restores.push(Restore {
            saved_at: *saved_at,
            file_bytes: std::fs::metadata(path)?.len(),
            console_bytes_before: before as u64,
            ending: Ending::of(finished, &console, &untouched),
        });
    }
    let report = DemoReport {
        guest: guest.words.clone(),
        memory_bytes: args.memory,
        console: String::from_utf8_lossy(&untouched.console).into_owned(),
        saved_on_the_way: Ending::of(&saved, &saved.console, &untouched),
        restores,
        travel,
        flipped,
        untouched: untouched.report,
    };
    write_report(&args.report, &report)?;
    print(&text::render(&report, &args.report))?;
    Ok(if report.holds() { Exit::Fine } else { Exit::Refused })
}

fn prepare(args: &DemoArgs, dir: &TempDir) -> Result<Guest> {
    let (kernel, words) = match &args.kernel {
        Some(path) => (path.clone(), format!("the kernel {}", path.display())),
        None => {
            let path = dir.path().join("demo.img");
            std::fs::write(&path, DEMO_GUEST)?;
            (path, "the bare-metal guest that comes with abide".to_owned())
        }
    };
    Ok(Guest {
        kernel,
        initrd: args.initrd.clone(),
        append: args.append.clone(),
        memory: args.memory,
        dir: dir.path().to_owned(),
        words,
    })
}

fn save_points(dir: &TempDir, total: u64, count: u32) -> Vec<(u64, PathBuf)> {
    let parts = u64::from(count) + 1;
    (1..parts).map(|n| (total / parts * n, dir.path().join(format!("save-{n}.abide")))).collect()
}

fn flip_a_byte(guest: &Guest, file: &Path, dir: &Path) -> Result<Flipped> {
    let copy = dir.join("flipped.abide");
    std::fs::copy(file, &copy)?;
    let handle = std::fs::File::options().read(true).write(true).open(&copy)?;
    // Behind the header, in the middle of the registers.
    let offset = 4096.min(handle.metadata()?.len() / 2);
    let mut byte = [0];
    handle.read_exact_at(&mut byte, offset)?;
    byte[0] ^= 0x10;
    handle.write_all_at(&byte, offset)?;
    drop(handle);
    let (verify_exit, verify_says) = guest.verify(&copy)?;
    let restore_exit = guest.restore_refused(&copy)?;
    ensure!(!verify_says.is_empty(), "abide verify said nothing of a damaged file");
    Ok(Flipped { offset, verify_says, verify_exit, restore_exit })
}

fn write_report(path: &Path, report: &DemoReport) -> Result<()> {
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let text =
        if is_json { serde_json::to_string_pretty(report)? + "\n" } else { html::render(report) };
    std::fs::write(path, text).with_context(|| format!("report {}", path.display()))
}
