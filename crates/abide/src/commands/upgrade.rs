//! `abide upgrade`: another abide takes over a running guest.

use super::guests::{await_end, finish};
use super::migrate::write_report;
use super::restore::{announce, engine_for};
use super::session;
use crate::cli::{EngineName, StolenTimeArgs, UpgradeArgs};
use crate::console::Output;
use crate::control_socket::{Request, Response, StatusReport, ask};
use crate::exit::Exit;
use crate::html::ReportForm;
use crate::out::{print, say};
use crate::state_dir::StateDir;
use crate::upgrade::file_of;
use abide_contract::Exceptions;
use abide_machine::board::RAM_BASE;
use abide_machine::lifecycle::{Intent, Prepared};
use abide_machine::restore::{Elsewhere, restore_onto};
use abide_machine::runner::RunConfig;
use abide_memory::GuestRam;
use abide_snapshot::Reader;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long what the other process had may take to be free.
const CLAIM_MAX: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Hands a guest to another program.
pub fn run(args: &UpgradeArgs) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    let form = args.report.as_deref().map(ReportForm::of).transpose()?;
    let program = match &args.to {
        Some(path) => {
            std::fs::canonicalize(path).with_context(|| format!("program {}", path.display()))?
        }
        None => std::env::current_exe().context("abide's own program file")?,
    };
    let request = Request::Upgrade { program: program.clone() };
    let report = match ask(&state, &args.name, &request)? {
        Response::Migrated { report } => report,
        // As a process answers that does not know the command.
        Response::Failed { reason } if reason.starts_with("not a command") => {
            return through_file(args, &state);
        }
        other => return finish(&args.name, other),
    };
    if let (Some(path), Some(form)) = (&args.report, form) {
        write_report(path, form, &args.name, &report)?;
    }
    if args.json {
        print(&serde_json::to_string_pretty(&report)?)?;
        return Ok(Exit::Fine);
    }
    let (name, program) = (&args.name, program.display());
    let epoch = match report.epoch {
        // Through a file, no right to run is passed on.
        0 => String::new(),
        epoch => format!(", in epoch {epoch}"),
    };
    say(&format!("{name} goes on in {program}{epoch}"));
    say(&format!("{name} stood still for {}", report.text()));
    Ok(Exit::Fine)
}

/// The process that has the guest knows of no handoff, as that of version 0.1.0: the guest goes
/// through a file, and on in this process.
fn through_file(args: &UpgradeArgs, state: &StateDir) -> Result<Exit> {
    let name = &args.name;
    ensure!(
        args.to.is_none(),
        "{name}: its process has no handoff, so the program that is to have it must do this \
         itself: PROGRAM upgrade {name}"
    );
    let Response::Status(status) = ask(state, name, &Request::Status)? else {
        bail!("{name} does not tell how it is")
    };
    ensure!(status.state == "running", "{name} is {}; resume it first", status.state);
    let file = file_of(state.path(), name);
    done(ask(state, name, &Request::Pause)?)?;
    let begun = Instant::now();
    let prepared = save_and_prepare(state, name, &status, &file);
    let (prepared, output) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            std::fs::remove_file(&file).ok();
            done(ask(state, name, &Request::Resume)?)?;
            return Err(error.context(format!("{name} goes on where it was")));
        }
    };
    // The other process has its disks, and its name. From here on the file is the guest.
    let stopped = ask(state, name, &Request::Stop).and_then(done);
    let in_file = || format!("{name} stands still; `abide restore {}` has it", file.display());
    stopped.with_context(in_file)?;
    await_end(state, name);
    go_on(args, prepared, output, begun).with_context(in_file)
}

fn done(response: Response) -> Result<()> {
    match response {
        Response::Failed { reason } => bail!("{reason}"),
        _ => Ok(()),
    }
}

/// Makes the paused guest anew from a file of it, all but what its process still has of the host.
fn save_and_prepare(
    state: &StateDir,
    name: &str,
    status: &StatusReport,
    file: &Path,
) -> Result<(Prepared, Output)> {
    let path = file.to_owned();
    let save = Request::Save { path, keep_running: true, compress: false, overwrite: true };
    done(ask(state, name, &save)?)?;
    let reader = Reader::open(file).with_context(|| file.display().to_string())?;
    let engine = if status.engine == "kvm" { EngineName::Kvm } else { EngineName::Soft };
    let stolen_time = StolenTimeArgs::default();
    let (engine, _) = engine_for(Some(engine), Exceptions::default(), &stolen_time, &reader)?;
    let ram = GuestRam::new(RAM_BASE, status.memory_bytes)?;
    reader.restore_memory(&ram)?;
    let (output, elsewhere) = (Output::stdout(), Elsewhere::default());
    let console = Box::new(output.clone());
    Ok((restore_onto(engine.as_ref(), &reader, ram, console, &elsewhere)?, output))
}

/// The guest is this process's from here on.
fn go_on(
    args: &UpgradeArgs,
    mut prepared: Prepared,
    output: Output,
    begun: Instant,
) -> Result<Exit> {
    let state_dir = args.state.state_dir.as_deref();
    // Whoever waited for the other process may just be tidying up after it.
    let take = || session::take_place(state_dir, Some(&args.name), None);
    let place = Arc::new(soon(take)?);
    soon(|| Ok(prepared.claim(None)?))?;
    announce(place.name(), prepared.report());
    let machine = prepared.commit(Intent::Restore)?;
    std::fs::remove_file(file_of(place.state_dir(), place.name())).ok();
    say(&format!(
        "{} goes on in this process and on this terminal; it stood still for {} ms, and its clocks \
         with it",
        place.name(),
        begun.elapsed().as_millis()
    ));
    let options = Vec::new();
    let setting = session::Setting { output, place, options, is_awaited: false };
    session::run(machine, setting, &RunConfig::default(), &session::Report::default())
}

/// Tries until it succeeds, for what another process is about to leave.
fn soon<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let give_up = Instant::now() + CLAIM_MAX;
    loop {
        match attempt() {
            Err(error) if Instant::now() > give_up => return Err(error),
            Err(_) => std::thread::sleep(LOOK_AGAIN),
            done => return done,
        }
    }
}
