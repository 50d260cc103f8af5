//! The workspace's own commands: `cargo xtask --help`.
//!
//! Whatever a shell script would do is a task here, so that it runs the same on every machine and
//! is read, linted and tested like the rest of the code.

#![expect(clippy::print_stdout, reason = "a task's result is what it prints")]
#![forbid(unsafe_code)]

mod abide;
/// The kit's writer of archives, by its file: a kit that does not build must not stop a task.
#[path = "../../crates/testkit/src/cpio.rs"]
mod cpio;
mod cuts;
mod debian;
mod disks;
mod evolution;
/// The guests' own hash, by its file.
#[path = "../../guests/kit/hash.rs"]
mod hash;
mod kvm_unit_tests;
mod lab;
mod migrations;
mod network;
mod oracle;
mod paths;
mod process;
mod tally;
mod tasks;
mod threads;
mod tidy;
mod traffic;
mod userland;
mod vmclock;
mod vsock;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Commands for working on abide.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check, and end with the number that passed and failed
    Ci(tasks::ci::Arguments),
    /// Check the formatting
    Fmt(tasks::fmt::Arguments),
    /// Run clippy and rustdoc, every warning an error
    Lint(tasks::lint::Arguments),
    /// Check licences and sources of the dependencies
    Deny(tasks::deny::Arguments),
    /// Check the house rules that rustfmt and clippy cannot
    Tidy(tidy::Arguments),
    /// Run all tests
    Test(tasks::test::Arguments),
    /// Compare the decoder with an independent one on every word of real kernels
    Decoder(tasks::decoder::Arguments),
    /// Record what instructions do, for the tests of the software engine
    Vectors(tasks::vectors::Arguments),
    /// Save and restore Linux guests at random points and compare their ends
    Oracle(oracle::Arguments),
    /// Run this version and a build that adds to its files against each other
    Evolution(evolution::Arguments),
    /// Save and restore Linux guests that work on disks, and compare disks and ends
    Disks(disks::Arguments),
    /// Save and restore Linux guests in the middle of network traffic, and compare ends
    Network(network::Arguments),
    /// Let Linux guests and their host connect to each other, over a save
    Vsock(vsock::Arguments),
    /// A Linux guest that looks at the page with the time, over copies and moves
    Vmclock(vmclock::Arguments),
    /// Boot Linux with a host thread for each vCPU, saved and restored on the way
    Threads(threads::Arguments),
    /// Cut handoffs of a running guest off, everywhere, and look who has it
    Cuts(cuts::Arguments),
    /// Hand a Linux guest under load from process to process, and look that nothing is lost
    Migrations(migrations::Arguments),
    /// Run kvm-unit-tests on the software engine, live migrations included
    KvmUnitTests(kvm_unit_tests::Arguments),
    /// Run abide on real host kernels, emulated
    Lab(lab::Arguments),
    /// Run programs of a Debian guest and compare what they say
    Userland(userland::Arguments),
    /// Take figures
    Bench(tasks::bench::Arguments),
    /// Make the files of a release that every later version must restore
    Golden(tasks::golden::Arguments),
    /// Build the guest programs
    Guests(tasks::guests::Arguments),
    /// Fetch Debian arm64 kernels into the user's cache and print where they are
    GuestKernel(debian::kernel::Arguments),
    /// Build a driver of Linux for a guest's kernel that lacks it, and print its path
    GuestDriver(debian::driver::Arguments),
    /// Make a small Debian for guests, as a RAM disk and as a disk, and print where they are
    GuestDebian(debian::root::Arguments),
    /// Install what the tasks need on a Debian machine, as root
    Setup(tasks::setup::Arguments),
}

fn main() -> ExitCode {
    run(Arguments::parse().task).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Ci(arguments) => return Ok(tasks::ci::task(&arguments)),
        Task::Fmt(arguments) => tasks::fmt::task(&arguments)?,
        Task::Lint(arguments) => tasks::lint::task(&arguments)?,
        Task::Deny(arguments) => tasks::deny::task(&arguments)?,
        Task::Tidy(arguments) => tidy::task(&arguments)?,
        Task::Test(arguments) => tasks::test::task(&arguments)?,
        Task::Decoder(arguments) => tasks::decoder::task(&arguments)?,
        Task::Vectors(arguments) => tasks::vectors::task(&arguments)?,
        Task::Oracle(arguments) => tally::alone(|count| oracle::run(&arguments, count))?,
        Task::Evolution(_) => tally::alone(evolution::run)?,
        Task::Disks(arguments) => tally::alone(|count| disks::run(&arguments, count))?,
        Task::Network(arguments) => tally::alone(|count| network::run(&arguments, count))?,
        Task::Vmclock(arguments) => tally::alone(|count| vmclock::run(&arguments, count))?,
        Task::Vsock(arguments) => tally::alone(|count| vsock::run(&arguments, count))?,
        Task::Threads(arguments) => tally::alone(|count| threads::run(&arguments, count))?,
        Task::Cuts(arguments) => tally::alone(|count| cuts::run(&arguments, count))?,
        Task::KvmUnitTests(arguments) => {
            tally::alone(|count| kvm_unit_tests::run(&arguments, count))?
        }
        Task::Migrations(arguments) => tally::alone(|count| migrations::run(&arguments, count))?,
        Task::Lab(arguments) => tally::alone(|count| lab::run(&arguments, count))?,
        Task::Userland(arguments) => userland::task(&arguments)?,
        Task::Bench(arguments) => tasks::bench::task(&arguments)?,
        Task::Golden(arguments) => tasks::golden::task(&arguments)?,
        Task::Guests(arguments) => tasks::guests::task(&arguments)?,
        Task::GuestKernel(arguments) => debian::kernel::task(&arguments)?,
        Task::GuestDriver(arguments) => debian::driver::task(&arguments)?,
        Task::GuestDebian(arguments) => debian::root::task(&arguments)?,
        Task::Setup(arguments) => tasks::setup::task(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
