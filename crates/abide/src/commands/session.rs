//! A guest in the foreground: its console, its control socket, its end.

use crate::cli::SavePointArgs;
use crate::console::{Output, Requests};
use crate::control_socket;
use crate::exit::Exit;
use crate::handoff::{ArrivalReport, Desk};
use crate::out::say;
use crate::report::{RestoreTimes, RestoredRegisters, RestoredStep, RunReport};
use crate::signals;
use crate::state_dir::{Place, StateDir};
use crate::terminal::{self, Keyboard};
use crate::upgrade::Around;
use abide_machine::Machine;
use abide_machine::runner::{Outcome, RunConfig, SavePoint, control};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// A guest's place among those that run here, taken before anything else is done.
pub fn take_place(
    state_dir: Option<&Path>,
    name: Option<&str>,
    wish: Option<&str>,
) -> Result<Place> {
    StateDir::open(state_dir)?.take(name, wish)
}

/// The run that the arguments ask for.
pub fn run_config(args: &SavePointArgs) -> Result<RunConfig> {
    if args.save_at.len() != args.save_to.len() {
        bail!(
            "{} --save-at and {} --save-to given; each needs the other",
            args.save_at.len(),
            args.save_to.len()
        );
    }
    let points = args.save_at.iter().zip(&args.save_to);
    let mut save_points: Vec<SavePoint> = points
        .map(|(&instructions, path)| SavePoint { instructions, path: path.clone() })
        .collect();
    save_points.sort_by_key(|point| point.instructions);
    let SavePointArgs { keep_running, compress, keep_memory, .. } = *args;
    let starts_paused = false;
    Ok(RunConfig { save_points, keep_running, compress, keep_memory, starts_paused })
}

/// The report that is asked for.
#[derive(Default)]
pub struct Report<'a> {
    /// Where it is written.
    pub path: Option<&'a Path>,
    /// How a restore brought RAM.
    pub restored_ram: Option<String>,
    /// How many registers a restore wrote.
    pub restored_registers: Option<RestoredRegisters>,
    /// How long each share of a restore took.
    pub restore_times: Option<RestoreTimes>,
    /// What a restore did to registers besides writing them.
    pub restored_steps: Option<Vec<RestoredStep>>,
    /// How a guest came that was handed over.
    pub arrival: Option<ArrivalReport>,
}

/// Where a guest runs.
pub struct Setting {
    /// Where it prints.
    pub output: Output,
    /// Its place.
    pub place: Arc<Place>,
    /// Options that hold as well for a process that takes over from this one.
    pub options: Vec<OsString>,
    /// Another process waits for this one.
    pub is_awaited: bool,
}

/// Runs the machine to its end.
pub fn run(
    machine: Machine,
    setting: Setting,
    config: &RunConfig,
    report: &Report<'_>,
) -> Result<Exit> {
    let place = &setting.place;
    let desk = Arc::new(Desk::new(place.name(), place.journal()?));
    control_socket::serve(place.listen()?, Arc::clone(&desk));
    signals::handle(Arc::clone(&desk))?;
    run_at(machine, setting, config, report, &desk)
}

/// As [`run`], of a guest that is asked at `desk` already, also by signals.
pub fn run_at(
    machine: Machine,
    setting: Setting,
    config: &RunConfig,
    report: &Report<'_>,
    desk: &Arc<Desk>,
) -> Result<Exit> {
    let place = Arc::clone(&setting.place);
    let exit = run_seated(machine, setting, config, report, desk);
    // Threads that answer have it too, and never end.
    place.leave();
    exit
}

fn run_seated(
    mut machine: Machine,
    setting: Setting,
    config: &RunConfig,
    report: &Report<'_>,
    desk: &Desk,
) -> Result<Exit> {
    let Setting { output, place, options, is_awaited } = setting;
    let (control, queue) = control();
    let requests = Requests::new(control, output.clone());
    let keyboard = (!machine.is_deterministic()).then(|| Keyboard::attach(requests.clone()));
    let path = report.path.map(Path::to_path_buf);
    desk.surround(Around::new(Arc::clone(&place), keyboard, options, path, is_awaited));
    desk.seat(requests);
    let result = machine.run(&queue, config);
    // Whoever asks from here on is told that the guest has ended.
    drop(queue);
    let is_given_away = result.as_ref().is_ok_and(|result| result.outcome == Outcome::GivenAway);
    if result.is_ok() && !is_given_away {
        desk.close();
    }
    let hurry = matches!(&result, Ok(result) if result.outcome == Outcome::Stopped);
    output.finish(hurry);
    if let Some(exit) = desk.around().filter(|_| is_given_away).and_then(Around::follow) {
        return Ok(exit);
    }
    // From here on abide's own lines need a normal terminal.
    terminal::leave_raw();
    let result = result?;
    for (path, error) in &result.failed_saves {
        say(&format!("not saved to {}: {error}", path.display()));
    }
    announce(place.name(), result.outcome);
    if machine.is_deterministic() || report.path.is_some() {
        finish_report(&machine, place.name(), result.outcome, report)?;
    }
    if !result.failed_saves.is_empty() && result.outcome == Outcome::PoweredOff {
        return Ok(Exit::Refused);
    }
    Ok(result.outcome.into())
}

fn announce(name: &str, outcome: Outcome) {
    let what = match outcome {
        Outcome::PoweredOff => "powered off",
        Outcome::Reset => "asked for a reset; abide ends there",
        Outcome::Panicked => "panicked",
        Outcome::SavedAway => "saved away",
        Outcome::GivenAway => "goes on in another process",
        Outcome::Stopped => "was ended",
    };
    say(&format!("{name} {what}"));
}

/// The hash over the whole guest state takes a moment, so it is made only where it is shown.
fn finish_report(
    machine: &Machine,
    name: &str,
    outcome: Outcome,
    asked: &Report<'_>,
) -> Result<()> {
    let mut report = RunReport::of(machine, name, outcome)?;
    report.restored_ram.clone_from(&asked.restored_ram);
    report.restored_registers.clone_from(&asked.restored_registers);
    report.restore_times.clone_from(&asked.restore_times);
    report.restored_steps.clone_from(&asked.restored_steps);
    report.arrival.clone_from(&asked.arrival);
    if report.deterministic && outcome != Outcome::GivenAway {
        let (instructions, hash) = (report.instructions, &report.state_hash);
        say(&format!("{instructions} instructions, state hash {hash}"));
    }
    asked.path.map_or(Ok(()), |path| write_report(path, &report))
}

/// Writes a report.
pub fn write_report(path: &Path, report: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(path, text).with_context(|| format!("report {}", path.display()))
}
