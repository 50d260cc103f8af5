//! `abide receive`: a guest that runs elsewhere goes on here.

use super::restore::announce;
use super::{clock, devices, session};
use crate::cli::ReceiveArgs;
use crate::console::Output;
use crate::control_socket;
use crate::exit::Exit;
use crate::handoff::{self, Arrived, Desk, Plan};
use crate::out::say;
use crate::report::{RestoreTimes, RestoredRegisters, RestoredStep};
use crate::signals;
use crate::state_dir::StateDir;
use crate::upgrade;
use abide_machine::runner::RunConfig;
use anyhow::Result;
use std::sync::Arc;

/// Waits for a guest, and runs it to its end.
pub fn run(args: &ReceiveArgs) -> Result<Exit> {
    let host_time = clock::source(&args.host_clock)?;
    let elsewhere = devices::elsewhere(&args.elsewhere)?;
    let output = Output::stdout();
    let state_dir = args.state.state_dir.as_deref();
    let (place, listen, at, desk) = if args.takes_over {
        // The process that has the guest dials as soon as the place is shared.
        let (listen, at) = args.network.security()?.listen(&args.at)?;
        let place = upgrade::share(&StateDir::open(state_dir)?, &args.name)?;
        let desk = Arc::new(Desk::new(place.name(), place.next_journal()?));
        control_socket::serve(place.listen_beside()?, Arc::clone(&desk));
        (Arc::new(place), listen, at, desk)
    } else {
        let place = session::take_place(state_dir, Some(&args.name), None)?;
        let (listen, at) = args.network.security()?.listen(&args.at)?;
        let desk = Arc::new(Desk::new(place.name(), place.journal()?));
        control_socket::serve(place.listen()?, Arc::clone(&desk));
        (Arc::new(place), listen, at, desk)
    };
    signals::handle(Arc::clone(&desk))?;
    let plan = Plan {
        engine: args.engine,
        exceptions: args.accept.exceptions(),
        stolen_time: args.stolen_time.clone(),
        elsewhere,
        clock: args.clock.into(),
        output: output.clone(),
        memory: args.at.memory(),
        is_tunnel: args.at.is_tunnel(),
        durability: args.journal.durability(),
        takes_over: args.takes_over.then(|| Arc::clone(&place)),
    };
    if !args.takes_over {
        say(&format!("{} is expected at {at}", place.name()));
    }
    let receiving = handoff::receive(Arc::clone(&desk), plan, listen);
    let Some(arrived) = receiving.wait() else {
        receiving.why()?;
        return Ok(Exit::Refused);
    };
    let Arrived { mut machine, restored, report: arrival, instead } = arrived;
    machine.set_time_of_day(host_time);
    let name = place.name();
    let report = session::Report {
        path: args.report.as_deref(),
        restored_ram: Some(restored.ram.to_string()),
        restored_registers: Some(RestoredRegisters::of(&restored.written)),
        restore_times: Some(RestoreTimes::of(&restored.times)),
        restored_steps: Some(RestoredStep::all(&restored)),
        arrival: Some(arrival.clone()),
    };
    let starts_paused = restored.departure.as_ref().is_some_and(|departure| departure.is_paused);
    let engine = machine.engine();
    let state = if starts_paused { "is paused" } else { "runs" };
    let told = [
        format!("{name} stood still for {}", arrival.text()),
        format!("{name} {state} on engine {engine}{instead}"),
    ];
    let name = name.to_owned();
    // Told beside the guest, which waits for nobody's terminal.
    let telling = std::thread::spawn(move || {
        announce(&name, &restored);
        told.iter().for_each(|line| say(line));
    });
    let config = RunConfig { starts_paused, ..RunConfig::default() };
    let (options, is_awaited) = (args.words(), args.takes_over);
    let setting = session::Setting { output, place: Arc::clone(&place), options, is_awaited };
    let exit = session::run_at(machine, setting, &config, &report, &desk);
    // If it panicked, its own message has been printed.
    let _ = telling.join();
    exit
}
