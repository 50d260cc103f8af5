//! `abide restore`: a guest goes on.

use super::{clock, devices, moves, session};
use crate::cli::{EngineName, RestoreArgs, StolenTimeArgs};
use crate::console::Output;
use crate::engines::{Found, Needs};
use crate::exit::Exit;
use crate::out::say;
use crate::report::{RefusedReport, RestoreTimes, RestoredRegisters, RestoredStep};
use crate::state_dir::Place;
use crate::terminal;
use abide_arm64::{SysReg, kvm};
use abide_contract::Exceptions;
use abide_engine::Engine;
use abide_engine_kvm::trial::Kind;
use abide_machine::error::{MachineError, RestoreError};
use abide_machine::lifecycle::Intent;
use abide_machine::restore::{Changed, Elsewhere, RamRestore, RestoreReport, restore_with};
use abide_memory::MissingPages;
use abide_reg::{Entry, RegId};
use abide_snapshot::{OnFailure, Reader, Record, RightToRun};
use anyhow::{Context, Result};
use std::sync::Arc;

/// Whether the guest's time is executed instructions, u8 0 or 1.
const CLOCK_KIND: RegId = RegId::named("clock.virtual");

/// Bit 0 of it, M, switches page tables on `[DDI0487 D24.2]`.
const SCTLR_EL1: RegId = kvm::sysreg(SysReg::new(3, 0, 1, 0, 0));

/// Restores a guest from its file and runs it to its end.
pub fn run(args: &RestoreArgs) -> Result<Exit> {
    let config = session::run_config(&args.save_points)?;
    let host_time = clock::source(&args.host_clock)?;
    let file = || args.file.display().to_string();
    let reader = Reader::open(&args.file).with_context(file)?;
    let right = if args.moves { Some(RightToRun::of(&reader, &args.file)?) } else { None };
    let leaves_right = reader.snapshot().right().is_some_and(|right| !right.is_taken);
    let found = Found::find(args.engine, &needs(args, &reader), kind(&reader))?;
    let wish = args.file.file_stem().and_then(|stem| stem.to_str());
    let state_dir = args.state.state_dir.as_deref();
    let place = Arc::new(session::take_place(state_dir, args.name.as_deref(), wish)?);
    let output = Output::stdout();
    let elsewhere =
        Elsewhere { memory_file: args.memory_file.clone(), ..devices::elsewhere(&args.elsewhere)? };
    let attempt = |engine: Box<dyn Engine>| {
        let console = Box::new(output.clone());
        let ram = if args.eager {
            RamRestore::Eager
        } else {
            let on_failure = end_of(file(), Arc::clone(&place), output.clone());
            RamRestore::Lazy { watch: MissingPages::watch, on_failure }
        };
        restore_with(engine.as_ref(), &reader, console, &elsewhere, ram)
    };
    let exceptions = args.accept.exceptions();
    let (name, instead, not_taken) = (found.name(), found.instead(), found.not_taken());
    let not_on_kvm = |why: &str| say(&format!("{}: not on engine kvm: {why}", place.name()));
    let engine = found.any_cpu(exceptions, &args.stolen_time);
    args.stolen_time.check(engine.as_ref())?;
    let prepared = match attempt(engine) {
        // Nobody asked for KVM, and a refusal has left nothing.
        Err(error) if args.engine.is_none() && name == EngineName::Kvm => {
            not_on_kvm(&error.to_string());
            attempt(Found::Soft { instead: None }.any_cpu(exceptions, &args.stolen_time))
        }
        prepared => prepared,
    };
    if let (Err(error), Some(why)) = (&prepared, not_taken)
        && is_of_engine(error)
    {
        // What can be mended may be what was in KVM's way.
        not_on_kvm(&why);
    }
    if let (Err(error), Some(path)) = (&prepared, &args.report) {
        session::write_report(path, &refused(place.name(), error))?;
    }
    let prepared = prepared.with_context(file)?;
    drop(reader);
    announce(place.name(), prepared.report());
    let ram = prepared.report().ram.to_string();
    let written = RestoredRegisters::of(&prepared.report().written);
    let times = RestoreTimes::of(&prepared.report().times);
    let steps = RestoredStep::all(prepared.report());
    let mut machine = match right {
        Some(right) => prepared.commit_moved(right, &args.file)?,
        None => prepared.commit(Intent::Restore)?,
    };
    if right.is_none() && leaves_right {
        let name = place.name();
        say(&format!(
            "{name} is a copy, and is told so; {} keeps the right to run (--move)",
            file()
        ));
    }
    machine.set_time_of_day(host_time);
    say(&format!("{} runs on engine {}{instead}", place.name(), machine.engine()));
    let report = session::Report {
        path: args.report.as_deref(),
        restored_ram: Some(ram),
        restored_registers: Some(written),
        restore_times: Some(times),
        restored_steps: Some(steps),
        arrival: None,
    };
    let options = [args.host_clock.words(), args.stolen_time.words(), args.accept.words()].concat();
    let setting = session::Setting { output, place, options, is_awaited: false };
    session::run(machine, setting, &config, &report)
}

/// The engine for a guest that is handed over with what `reader` read, and why it is not KVM where
/// nobody chose.
pub fn engine_for(
    asked: Option<EngineName>,
    exceptions: Exceptions,
    stolen_time: &StolenTimeArgs,
    reader: &Reader,
) -> Result<(Box<dyn Engine>, String)> {
    let soft_only = (asked.is_none() && has_virtual_time(reader)).then_some(VIRTUAL_TIME);
    let found = Found::find(asked, &Needs { soft_only, ..Needs::default() }, kind(reader))?;
    let instead = found.instead();
    let engine = found.any_cpu(exceptions, stolen_time);
    stolen_time.check(engine.as_ref())?;
    Ok((engine, instead))
}

const VIRTUAL_TIME: &str = "a guest whose time is executed instructions (clock.virtual)";

fn has_virtual_time(reader: &Reader) -> bool {
    has(reader, |entry| entry.id == CLOCK_KIND && entry.value.to_u8() == Some(1))
}

/// Whether another engine might have taken the guest.
fn is_of_engine(error: &RestoreError) -> bool {
    matches!(
        error,
        RestoreError::Plan { .. }
            | RestoreError::Register { .. }
            | RestoreError::Readback { .. }
            | RestoreError::OwnIdentity { .. }
            | RestoreError::GicTransfer(_)
            | RestoreError::Machine(MachineError::Engine(_))
    )
}

/// The report of a guest that cannot go here.
fn refused(name: &str, error: &RestoreError) -> RefusedReport {
    let steps = match error {
        RestoreError::Plan { steps, .. } => steps.0.iter().map(RestoredStep::of).collect(),
        _ => Vec::new(),
    };
    RefusedReport {
        name: name.to_owned(),
        outcome: "refused".to_owned(),
        error: error.to_string(),
        restored_steps: steps,
    }
}

/// Whether an entry of any unit is so.
fn has(reader: &Reader, is_so: impl Fn(&Entry) -> bool) -> bool {
    let records = &reader.snapshot().records;
    records
        .iter()
        .any(|record| matches!(record, Record::Unit(unit) if unit.entries.iter().any(&is_so)))
}

/// The tiny guest that is most like this one: where no vCPU walks page tables, none is in the way.
fn kind(reader: &Reader) -> Kind {
    let walks = |entry: &Entry| {
        entry.id == SCTLR_EL1 && entry.value.to_u64().is_none_or(|value| value & 1 == 1)
    };
    if has(reader, walks) { Kind::Restored } else { Kind::Born }
}

/// What the guest needs. Its features are judged when its ID registers are. Whoever names KVM may
/// have a guest there whose time was executed instructions: from then on nothing repeats it.
fn needs(args: &RestoreArgs, reader: &Reader) -> Needs {
    let soft_only = if args.engine.is_none() && has_virtual_time(reader) {
        Some(VIRTUAL_TIME)
    } else {
        (!args.save_points.save_at.is_empty()).then_some("--save-at")
    };
    Needs { soft_only, ..Needs::default() }
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

/// Tells what a restore did.
pub fn announce(name: &str, report: &RestoreReport) {
    let (registers, ram) = (report.registers, &report.ram);
    say(&format!("{name}: {registers} registers written and read back; memory {ram}"));
    say(&format!("{name}: registers of the engine: {}", report.written));
    moves::announce_steps(name, report.steps.iter().map(|(_, step)| step));
    moves::announce_hidden(name, &report.hidden);
    let told = |unit, scope, id| {
        report.steps.iter().any(|(of, step)| (*of, step.scope, step.id) == (unit, scope, id))
    };
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
    let untold = report.carried.iter().filter(|(unit, scope, id)| !told(*unit, *scope, *id));
    for (unit, scope, id) in untold {
        say(&format!("{name}: {unit} {scope}: {id} carried along: unknown here"));
    }
}
