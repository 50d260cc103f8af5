//! # abide: the command line
//!
//! The only crate that parses arguments, sets up logging and uses `anyhow`. Each command is a file
//! in `commands`; what it does is in the crates below.

mod cli;
mod clock_report;
mod commands;
mod console;
mod control_socket;
mod demo;
mod descriptors;
mod engines;
mod exit;
mod handoff;
mod html;
mod out;
mod report;
mod signals;
mod state_dir;
mod terminal;
mod upgrade;

use crate::cli::{Cli, Command};
use crate::control_socket::Request;
use crate::exit::Exit;
use abide_engine::EngineError;
use abide_machine::error::{ContractError, MachineError, RestoreError};
use abide_reg::IntakeError;
use abide_snapshot::MemoryFileError;
use anyhow::Result;
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    set_up_log(cli.verbose);
    match dispatch(&cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            out::say(&explain(&error));
            classify(&error).into()
        }
    }
}

fn dispatch(command: &Command) -> Result<Exit> {
    match command {
        Command::Run(args) => commands::run::run(args),
        Command::Restore(args) => commands::restore::run(args),
        Command::Ps(args) => commands::guests::ps(args),
        Command::Status(args) => commands::guests::status(args),
        Command::Clock(args) => commands::clock::clock(args),
        Command::Pause(args) => commands::guests::simple(args, &Request::Pause),
        Command::Resume(args) => commands::guests::simple(args, &Request::Resume),
        Command::Stop(args) => commands::guests::simple(args, &Request::Stop),
        Command::Save(args) => commands::guests::save(args),
        Command::Migrate(args) => commands::migrate::run(args),
        Command::Upgrade(args) => commands::upgrade::run(args),
        Command::Keygen(args) => commands::keygen::run(args),
        Command::Receive(args) => commands::receive::run(args),
        Command::Inspect(args) => commands::files::inspect(args),
        Command::Diff(args) => commands::files::diff(args),
        Command::Verify(args) => commands::files::verify(args),
        Command::Probe(args) => commands::probe::run(args),
        Command::Baseline(args) => commands::baseline::run(args),
        Command::Plan(args) => commands::plan::run(args),
        Command::Demo(args) => demo::run(args),
    }
}

/// Which exit code an error means.
fn classify(error: &anyhow::Error) -> Exit {
    error.chain().find_map(classify_cause).unwrap_or(Exit::Refused)
}

fn classify_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(error) = cause.downcast_ref::<abide_snapshot::ReadError>() {
        return Some(commands::files::exit_of_read_error(error));
    }
    if let Some(error) = cause.downcast_ref::<abide_contract::codec::ReadError>() {
        let is_refusal = commands::fleet::is_refusal(error);
        return Some(if is_refusal { Exit::Refused } else { Exit::Damaged });
    }
    if cause.is::<commands::fleet::NotText>() {
        return Some(Exit::Damaged);
    }
    if let Some(error) = cause.downcast_ref::<ContractError>() {
        return Some(classify_contract(error));
    }
    if let Some(error) = cause.downcast_ref::<RestoreError>() {
        return classify_restore(error);
    }
    if let Some(error) = cause.downcast_ref::<MachineError>() {
        return classify_machine(error);
    }
    matches!(cause.downcast_ref(), Some(EngineError::Unavailable { .. } | EngineError::Host { .. }))
        .then_some(Exit::HostCannot)
}

fn classify_machine(error: &MachineError) -> Option<Exit> {
    match error {
        MachineError::Contract(error) => Some(classify_contract(error)),
        MachineError::Memory(_)
        | MachineError::MemoryForEngine { .. }
        | MachineError::Engine(EngineError::Unavailable { .. } | EngineError::Host { .. }) => {
            Some(Exit::HostCannot)
        }
        _ => None,
    }
}

fn classify_contract(error: &ContractError) -> Exit {
    match error {
        ContractError::Beyond { .. }
        | ContractError::Feature { .. }
        | ContractError::NotKept { .. } => Exit::Refused,
        ContractError::Text(error) if commands::fleet::is_refusal(error) => Exit::Refused,
        ContractError::NotText
        | ContractError::Cut
        | ContractError::Text(_)
        | ContractError::Record(_)
        | ContractError::Missing { .. }
        | ContractError::Digest { .. }
        | ContractError::Broken { .. } => Exit::Damaged,
    }
}

/// What was written by a correct program and is refused here is refused; all else is damage.
fn classify_restore(error: &RestoreError) -> Option<Exit> {
    match error {
        RestoreError::Machine(error) => classify_machine(error),
        RestoreError::Contract(error) => Some(classify_contract(error)),
        RestoreError::MemoryFile(MemoryFileError::Content { .. }) => Some(Exit::Damaged),
        RestoreError::MemoryFile(_) => Some(Exit::Refused),
        RestoreError::Memory(abide_snapshot::RestoreError::Found(finding)) => {
            Some(commands::files::exit_of([finding]))
        }
        RestoreError::Memory(
            abide_snapshot::RestoreError::Memory(_)
            | abide_snapshot::RestoreError::Host(_)
            | abide_snapshot::RestoreError::NotFresh { .. }
            | abide_snapshot::RestoreError::Bring { .. },
        ) => Some(Exit::HostCannot),
        RestoreError::Intake { source: IntakeError::Unknown { .. }, .. }
        | RestoreError::Architecture { .. }
        | RestoreError::UnknownUnit { .. }
        | RestoreError::Register { .. }
        | RestoreError::Readback { .. }
        | RestoreError::Plan { .. }
        | RestoreError::VirtioDevice { .. }
        | RestoreError::Disk { .. }
        | RestoreError::DiskLen { .. }
        | RestoreError::DiskUnknown { .. }
        | RestoreError::NoSuchDisk { .. }
        | RestoreError::NetworkUnknown { .. }
        | RestoreError::Network { .. }
        | RestoreError::NoCard { .. }
        | RestoreError::OwnIdentity { .. }
        | RestoreError::VsockUnknown { .. }
        | RestoreError::Vsock { .. }
        | RestoreError::NoSockets { .. }
        | RestoreError::GicTransfer(_) => Some(Exit::Refused),
        RestoreError::Intake { .. }
        | RestoreError::MissingUnit { .. }
        | RestoreError::MissingRegister { .. }
        | RestoreError::Twice { .. }
        | RestoreError::Gic(_)
        | RestoreError::Memory(_) => Some(Exit::Damaged),
    }
}

/// The error and its causes, each once: most messages hold their cause already.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

fn set_up_log(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    // Colours are for people; a log that cannot be written must not end a guest.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_ansi(!plain && std::io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
}
