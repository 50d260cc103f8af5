//! `abide restore`: a guest goes on.

use super::{devices, session};
use crate::cli::RestoreArgs;
use crate::console::Output;
use crate::engines;
use crate::exit::Exit;
use crate::out::say;
use abide_machine::lifecycle::Intent;
use abide_machine::restore::{Changed, RestoreReport, restore_elsewhere};
use abide_snapshot::Reader;
use anyhow::{Context, Result};

/// Restores a guest from its file and runs it to its end.
pub fn run(args: &RestoreArgs) -> Result<Exit> {
    let config = session::run_config(&args.save_points)?;
    let file = || args.file.display().to_string();
    let reader = Reader::open(&args.file).with_context(file)?;
    let engine = engines::open_any_cpu(args.engine)?;
    let wish = args.file.file_stem().and_then(|stem| stem.to_str());
    let state_dir = args.state.state_dir.as_deref();
    let place = session::take_place(state_dir, args.name.as_deref(), wish)?;
    let output = Output::stdout();
    let elsewhere = devices::elsewhere(args)?;
    let console = Box::new(output.clone());
    let prepared =
        restore_elsewhere(engine.as_ref(), &reader, console, &elsewhere).with_context(file)?;
    drop(reader);
    announce(place.name(), prepared.report());
    let machine = prepared.commit(Intent::Restore);
    session::run(machine, &output, &place, &config, args.report.as_deref())
}

fn announce(name: &str, report: &RestoreReport) {
    say(&format!("{name}: {} registers written and read back", report.registers));
    for (unit, scope, id) in &report.dropped {
        say(&format!("{name}: {unit} {scope}: {id} dropped: volatile, and unknown here"));
    }
    for (kind, unit) in &report.dropped_records {
        say(&format!("{name}: {unit}: record of kind {kind} dropped: volatile, and unknown here"));
    }
    for Changed { unit, scope, name: register, found, made, .. } in &report.changed {
        say(&format!(
            "{name}: {unit} {scope}: {register} {found} taken as {made}: the form it has in every \
             controller"
        ));
    }
    for (unit, scope, id) in &report.carried {
        say(&format!("{name}: {unit} {scope}: {id} carried along: unknown here"));
    }
}
