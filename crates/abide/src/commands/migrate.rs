//! `abide migrate`: a running guest goes to another process.

use super::fleet;
use super::guests::{await_end, finish};
use super::progress::{self, Shown};
use crate::cli::MigrateArgs;
use crate::control_socket::{Request, Response, ask, ask_told};
use crate::descriptors::Pair;
use crate::exit::Exit;
use crate::handoff::{Address, HandoffReport, html, tunnel};
use crate::html::ReportForm;
use crate::out::{print, say};
use crate::state_dir::StateDir;
use abide_migrate::message::MemoryWay;
use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use std::path::Path;

/// Hands a guest over, or gives that up.
pub fn run(args: &MigrateArgs) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    if args.cancel {
        return finish(&args.name, ask(&state, &args.name, &Request::CancelMigration)?);
    }
    if args.resolve {
        return super::resolve::run(args, &state);
    }
    if args.dry_run {
        return super::dry_run::run(args, &state);
    }
    let form = args.report.as_deref().map(ReportForm::of).transpose()?;
    let request = request(args)?;
    let tunnel = tunnel_of(args)?;
    cancel_on_interrupt(&state, &args.name)?;
    let mut shown = Shown::new(&args.name, args.json);
    let answer = ask_told(&state, &args.name, &request, tunnel, &mut |progress| {
        shown.tell(progress);
    });
    drop(shown);
    let report = match answer? {
        Response::Migrated { report } => report,
        other => return finish(&args.name, other),
    };
    await_end(&state, &args.name);
    if let (Some(path), Some(form)) = (&args.report, form) {
        write_report(path, form, &args.name, &report)?;
    }
    if args.json {
        print(&serde_json::to_string_pretty(&report)?)?;
        return Ok(Exit::Fine);
    }
    tell(&args.name, &report);
    Ok(Exit::Fine)
}

/// What the guest's process is asked for.
pub fn request(args: &MigrateArgs) -> Result<Request> {
    let to = args.to.as_ref().context("an address is needed")?;
    let security = args.network.security()?;
    security.check(to)?;
    let is_packed = args.compress.is_some();
    ensure!(
        matches!(to, Address::Tcp(_)) || args.connections == 1,
        "{to}: there is one connection; --connections is for tcp:HOST:PORT"
    );
    ensure!(
        to.memory() == MemoryWay::Stream || !is_packed,
        "{to}: nothing of its memory is copied there; --compress is for a way on which it is"
    );
    Ok(Request::Migrate {
        to: to.to_string(),
        timeout_s: args.timeout,
        downtime_ms: args.downtime,
        connections: args.connections,
        is_packed,
        volatile_journal: args.journal.volatile_journal,
        security,
        tells: true,
        is_probe: args.dry_run,
    })
}

/// The way there, if it is made by this process.
pub fn tunnel_of(args: &MigrateArgs) -> Result<Option<Pair>> {
    let to = args.to.as_ref().context("an address is needed")?;
    if *to == Address::Stdio && (args.json || args.dry_run) {
        bail!("-: standard output carries the guest, so no answer can go there: exec:COMMAND");
    }
    tunnel::open(to)
}

fn tell(name: &str, report: &HandoffReport) {
    say(&format!("{name} goes on at {}, in epoch {}", report.to, report.epoch));
    if report.pages != 0 {
        say(&format!(
            "{name}: {} rounds, {} pages, {} MiB, {} MiB/s, connections: {}",
            report.rounds,
            report.pages,
            report.bytes >> 20,
            report.bytes_per_s >> 20,
            report.connections
        ));
    }
    say(&format!("{name} stood still for {}", report.text()));
}

/// Ctrl-C gives the handoff up, which the guest's process does; the answer is still waited for.
fn cancel_on_interrupt(state: &StateDir, name: &str) -> Result<()> {
    let mut signals = Signals::new([SIGINT]).context("signals")?;
    let (state, name) = (state.clone(), name.to_owned());
    std::thread::spawn(move || {
        for _ in signals.forever() {
            progress::break_line();
            say(&format!("{name}: asked to give it up"));
            if let Err(error) = ask(&state, &name, &Request::CancelMigration) {
                say(&format!("{error:#}"));
            }
        }
    });
    Ok(())
}

/// Writes how a handoff went.
pub fn write_report(
    path: &Path,
    form: ReportForm,
    name: &str,
    report: &HandoffReport,
) -> Result<()> {
    let text = match form {
        ReportForm::Html => html::page(name, report),
        ReportForm::Json => serde_json::to_string_pretty(report)? + "\n",
    };
    fleet::write(path, &text, true)
}
