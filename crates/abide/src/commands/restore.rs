//! `abide restore`: a guest goes on.

use super::{devices, session};
use crate::cli::RestoreArgs;
use crate::console::Output;
use crate::engines;
use crate::exit::Exit;
use crate::out::say;
use crate::state_dir::Place;
use crate::terminal;
use abide_machine::error::RestoreError;
use abide_machine::lifecycle::Intent;
use abide_machine::restore::{Changed, RamRestore, RestoreReport, restore_with};
use abide_memory::MissingPages;
use abide_snapshot::{OnFailure, Reader};
use anyhow::{Context, Result};
use std::sync::Arc;

/// Restores a guest from its file and runs it to its end.
pub fn run(args: &RestoreArgs) -> Result<Exit> {
    let config = session::run_config(&args.save_points)?;
    let file = || args.file.display().to_string();
    let reader = Reader::open(&args.file).with_context(file)?;
    let engine = engines::open_any_cpu(args.engine)?;
    let wish = args.file.file_stem().and_then(|stem| stem.to_str());
    let state_dir = args.state.state_dir.as_deref();
    let place = Arc::new(session::take_place(state_dir, args.name.as_deref(), wish)?);
    let output = Output::stdout();
    let elsewhere = devices::elsewhere(args)?;
    let console = Box::new(output.clone());
    let ram = if args.eager {
        RamRestore::Eager
    } else {
        let on_failure = end_of(file(), Arc::clone(&place), output.clone());
        RamRestore::Lazy { watch: MissingPages::watch, on_failure }
    };
    let prepared =
        restore_with(engine.as_ref(), &reader, console, &elsewhere, ram).with_context(file)?;
    drop(reader);
    announce(place.name(), prepared.report());
    let ram = prepared.report().ram.to_string();
    let machine = prepared.commit(Intent::Restore);
    let report = session::Report { path: args.report.as_deref(), restored_ram: Some(ram) };
    session::run(machine, &output, &place, &config, &report)
}

/// What happens where memory cannot be brought. A vCPU may stand in the middle of an instruction
/// and wait for bytes that will never come, so nothing can be asked of the machine any more.
fn end_of(file: String, place: Arc<Place>, output: Output) -> OnFailure {
    Box::new(move |error| {
        output.finish(true);
        terminal::leave_raw();
        let error = anyhow::Error::new(RestoreError::Memory(error)).context(file);
        say(&format!("{} was ended: {}", place.name(), crate::explain(&error)));
        place.leave();
        #[expect(clippy::exit, reason = "no other thread can be brought to an end")]
        std::process::exit(crate::classify(&error).number().into());
    })
}

fn announce(name: &str, report: &RestoreReport) {
    let (registers, ram) = (report.registers, &report.ram);
    say(&format!("{name}: {registers} registers written and read back; memory {ram}"));
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
