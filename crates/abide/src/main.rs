//! # abide: the command line
//!
//! The only crate that parses arguments, sets up logging and uses `anyhow`. Each command is a file
//! in `commands`; what it does is in the crates below.

mod cli;
mod commands;
mod control_socket;
mod demo;
mod engines;
mod exit;
mod out;
mod report;
mod state_dir;
mod terminal;

use crate::cli::{Cli, Command};
use crate::control_socket::Request;
use crate::exit::Exit;
use abide_engine::EngineError;
use abide_machine::error::MachineError;
use anyhow::Result;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    set_up_log(cli.verbose);
    match dispatch(&cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("abide: {error:#}");
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
        Command::Pause(args) => commands::guests::simple(args, &Request::Pause),
        Command::Resume(args) => commands::guests::simple(args, &Request::Resume),
        Command::Stop(args) => commands::guests::simple(args, &Request::Stop),
        Command::Save(args) => commands::guests::save(args),
        Command::Inspect(args) => commands::files::inspect(args),
        Command::Diff(args) => commands::files::diff(args),
        Command::Verify(args) => commands::files::verify(args),
        Command::Demo(args) => demo::run(args),
    }
}

/// Which exit code an error means.
fn classify(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<abide_snapshot::ReadError>() {
            return commands::files::exit_of_read_error(error);
        }
        if let Some(MachineError::Engine(EngineError::Unavailable { .. })) = cause.downcast_ref() {
            return Exit::HostCannot;
        }
        if let Some(EngineError::Unavailable { .. } | EngineError::Host { .. }) =
            cause.downcast_ref()
        {
            return Exit::HostCannot;
        }
        if let Some(MachineError::Memory(_)) = cause.downcast_ref() {
            return Exit::HostCannot;
        }
    }
    Exit::Refused
}

fn set_up_log(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
}
