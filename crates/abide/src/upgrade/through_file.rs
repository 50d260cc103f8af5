//! Where one of the two programs has no handoff, as version 0.1.0: the guest is paused, saved to a
//! file, and restored from it by the other program. The process that has it ends only once the
//! other one runs it, so a crash in between leaves a guest that is paused, and a file of it.

use super::Around;
use super::successor::Successor;
use crate::console::Requests;
use crate::control_socket::{Request, Response, ask};
use crate::handoff::{Desk, HandoffReport};
use crate::state_dir::{Place, StateDir};
use abide_machine::handoff::Offered;
use abide_machine::runner::{Command, Reply};
use abide_machine::units::Unit;
use abide_snapshot::Reader;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

/// The state directory, within the guest's own, in which the other program restores it: in the
/// guest's own the name is not free yet.
const NEXT_STATE_DIR: &str = ".upgrade";
/// How long the other program may take to restore the guest.
const RESTORE_MAX: Duration = Duration::from_mins(10);
/// How long it may take to tell its version.
const VERSION_MAX: Duration = Duration::from_secs(10);
/// How much of that is read, in bytes.
const VERSION_LEN: u64 = 64;
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// What a guest may have that version 0.1.0, the only one without handoff, knows nothing of.
const SINCE_0_1_0: [Unit; 5] =
    [Unit::Contract, Unit::Vmclock, Unit::Vmgenid, Unit::VirtioRtc, Unit::PvTime];
/// Exit codes by which a program says that it ran nothing: refused, usage, damaged, host cannot.
const REFUSALS: std::ops::RangeInclusive<i32> = 1..=4;

/// The file through which the guest of this name goes; no guest can have its name.
pub fn file_of(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(format!(".{name}.upgrade"))
}

/// Gives the guest to `program` through a file. What that does not know is refused while the guest
/// runs.
pub fn hand_over(desk: &Desk, around: &Around, program: &Path) -> Result<HandoffReport> {
    let requests = desk.guest().context("no guest is here yet")?;
    if matches!(asked(requests, Command::Status)?, Reply::Status(status) if status.paused) {
        bail!("it is paused; resume it first");
    }
    let file = file_of(around.place.state_dir(), around.place.name());
    let Reply::Offered(offered) = asked(requests, Command::Offer { logs_writes: false })? else {
        bail!("no offer")
    };
    let handed = is_fit(program, &offered)
        .and_then(|()| asked(requests, Command::Pause).map(drop))
        .and_then(|()| swap(desk, around, program, &file));
    if let Err(error) = &handed {
        if let Some(successor) = around.successor().take() {
            successor.end();
        }
        asked(requests, Command::TakeBack { epoch: None }).context("it stands still here")?;
        std::fs::remove_file(&file).ok();
        if !error.is::<MayHaveRun>() {
            asked(requests, Command::Resume)?;
        }
    }
    handed
}

/// Nobody can tell whether the guest ran in the other program, and wrote to its disks there.
#[derive(Debug, thiserror::Error)]
#[error(
    "{program} {end} before it said that it runs it; the guest is paused here, as it was: `abide \
     resume {name}` lets it go on, which is safe unless it ran there and has disks that it wrote to"
)]
struct MayHaveRun {
    program: String,
    end: String,
    name: String,
}

fn asked(requests: &Requests, command: Command) -> Result<Reply> {
    match requests.ask(command) {
        None => bail!("the guest has ended"),
        Some(Reply::Failed(error)) => Err(error.into()),
        Some(reply) => Ok(reply),
    }
}

/// Refuses what is no abide, and a guest with units that a version without handoff does not know.
fn is_fit(program: &Path, offered: &Offered) -> Result<()> {
    let asking = || format!("{} --version: it does not answer as abide does", program.display());
    ensure!(version_of(program).with_context(asking)?.starts_with(b"abide "), asking());
    let reader = Reader::from_bytes(offered.state.clone())?;
    let is_unknown = |unit: &Unit| reader.snapshot().units().any(|it| it.unit == unit.name());
    let unknown = SINCE_0_1_0.into_iter().filter(is_unknown);
    let unknown: Vec<_> = unknown.map(|unit| unit.name().to_string()).collect();
    ensure!(
        unknown.is_empty(),
        "it goes on here, {} cannot have it: it has {}, of which that knows nothing; a guest that \
         is to go there is born without (run --no-vmclock --stolen-time none)",
        program.display(),
        unknown.join(", ")
    );
    Ok(())
}

/// What a program says of its version: the beginning of it, which is nothing if it fails.
fn version_of(program: &Path) -> Result<Vec<u8>> {
    let mut command = process::Command::new(program);
    command.arg("--version").stdin(process::Stdio::null()).stdout(process::Stdio::piped());
    let mut child = command.spawn()?;
    let give_up = Instant::now() + VERSION_MAX;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() < give_up => std::thread::sleep(LOOK_AGAIN),
            None => {
                // It may have ended just now.
                child.kill().and_then(|()| child.wait()).ok();
                bail!("no answer in {} s", VERSION_MAX.as_secs());
            }
        }
    };
    let mut text = Vec::new();
    let said = child.stdout.take().filter(|_| status.success());
    // Who had it for a child of its own may hold it open: no more is read than is there.
    if let Some(said) = said {
        rustix::fs::fcntl_setfl(&said, rustix::fs::OFlags::NONBLOCK)?;
        said.take(VERSION_LEN).read_to_end(&mut text).ok();
    }
    Ok(text)
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The paused guest goes over.
fn swap(desk: &Desk, around: &Around, program: &Path, file: &Path) -> Result<HandoffReport> {
    let requests = desk.guest().context("no guest is here yet")?;
    let mut begun = Instant::now();
    let mut lap = || ns(std::mem::replace(&mut begun, Instant::now()).elapsed());
    let (to, memory) = (program.display().to_string(), "file".to_owned());
    let mut report = HandoffReport { to, memory, ..HandoffReport::default() };
    let path = file.to_owned();
    let save = Command::Save { path, keep_running: true, compress: false, overwrite: true };
    asked(requests, save)?;
    report.save_ns = lap();
    asked(requests, Command::Freeze)?;
    ensure!(
        requests.has_printed(),
        "what it printed is not read where its console is; let it be read, and try again"
    );
    report.flush_ns = lap();
    // Its disks can be opened by one process only.
    asked(requests, Command::Release)?;
    report.release_ns = lap();
    let state = StateDir::open(Some(&around.place.state_dir().join(NEXT_STATE_DIR)))?;
    start(desk, around, program, file, &state)?;
    await_guest(around, program, &state)?;
    report.prepare_ns = lap();
    std::fs::remove_file(file).ok();
    if let Err(error) = asked(requests, Command::GiveAway) {
        tracing::error!(%error, "the guest that another program has does not end here");
    }
    desk.close();
    report.sum_up();
    Ok(report)
}

fn start(desk: &Desk, around: &Around, program: &Path, file: &Path, at: &StateDir) -> Result<()> {
    let name = around.place.name();
    let mut command = process::Command::new(program);
    // With all of its memory: from then on it needs the file no more, and a refusal is one.
    command.arg("restore").arg(file).args([name, "--eager", "--state-dir"]).arg(at.path());
    if let Some(engine) = desk.engine() {
        command.args(["--engine", engine]);
    }
    if let Some(path) = &around.report {
        command.arg("--report").arg(path);
    }
    let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
    *around.successor() = Some(Successor::new(child, true));
    Ok(())
}

/// Waits until the guest runs there, and lets it be found by its name.
fn await_guest(around: &Around, program: &Path, state: &StateDir) -> Result<()> {
    let name = around.place.name();
    let may_have_run = |end: String| {
        let (program, name) = (program.display().to_string(), name.to_owned());
        Err(MayHaveRun { program, end, name }.into())
    };
    let give_up = Instant::now() + RESTORE_MAX;
    while Instant::now() < give_up {
        if let Some(status) = around.has_ended()? {
            let refused = match status.code() {
                Some(code) => REFUSALS.contains(&code),
                None => return may_have_run(format!("was killed ({status})")),
            };
            ensure!(
                !refused,
                "it goes on here: {} refused it ({status}); why, it said where the guest's \
                 console is",
                program.display()
            );
            // It ran, and has ended since.
            return Ok(());
        }
        let answer = ask(state, name, &Request::Status);
        if matches!(answer, Ok(Response::Status(status)) if status.state == "running") {
            exchange(&around.place, state);
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    may_have_run(format!("was ended after {} s", RESTORE_MAX.as_secs()))
}

/// From here on the guest's name leads to the other program: one step for everybody.
fn exchange(place: &Place, state: &StateDir) {
    let (there, here) = (state.path().join(place.name()), place.state_dir().join(place.name()));
    if let Err(error) = renameat_with(CWD, &there, CWD, &here, RenameFlags::EXCHANGE) {
        // It runs there, so it cannot go on here.
        tracing::error!(%error, state_dir = %state.path().display(), "it is known there only");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn version_is_what_a_program_says_if_it_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let said = |script: &str| {
            let program = folder.path().join("program");
            fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
            version_of(&program)
        };
        assert_eq!(said("echo abide 0.1.0").unwrap(), b"abide 0.1.0\n");
        assert_eq!(said("echo abide 0.1.0; exit 3").unwrap(), b"");
        assert_eq!(said("exit 0").unwrap(), b"");
        let long = said("head -c 5000 /dev/zero").unwrap();
        assert_eq!(long.len() as u64, VERSION_LEN);
        // It holds the pipe open for longer than anybody waits.
        assert_eq!(said("echo abide; sleep 60 2>/dev/null &").unwrap(), b"abide\n");
        assert!(version_of(&folder.path().join("none")).is_err());
    }
}
