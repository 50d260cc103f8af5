//! The workspace's own commands: `cargo xtask --help`.
//!
//! Whatever a shell script would do is a task here, so that it runs the same on every machine and
//! is read, linted and tested like the rest of the code.

#![expect(clippy::print_stdout, reason = "a task's result is what it prints")]
#![forbid(unsafe_code)]

mod debian;
mod paths;
mod process;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Commands for working on abide.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetch Debian arm64 kernels into the user's cache and print where they are
    GuestKernel(debian::kernel::Arguments),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::GuestKernel(arguments) => debian::kernel::task(&arguments),
    }
}
