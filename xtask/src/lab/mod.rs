//! `lab`: real host kernels in an emulator with virtualization, and abide inside, against their
//! real `/dev/kvm`.
//!
//! The cells stand in [`cells`]; each runs something on one [`host::Host`] and judges what came
//! of it. A cell that did not run has failed.

mod abi;
mod cells;
mod console;
mod contracts;
mod dirty_log;
mod guest_clock;
mod handoff;
mod host;
mod implementations;
mod judge;
mod kvm_to_kvm;
mod linux;
mod matrix;
mod migrations;
mod persistent;
mod pmu;
mod refusals;
mod relay;
mod restore;
mod stay;
mod stolen_time;
mod table;
mod tour;
mod two_hosts;
mod upgrade;
mod vmclock;
mod wire;

use crate::tally::Count;
use anyhow::{Result, bail};
use std::time::Instant;

#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Only cells whose name contains this; the long ones are run only so
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Run the cells on hosts with this kernel: a Debian series, or an arm64 Image
    #[arg(long, value_name = "SERIES|IMAGE")]
    host_kernel: Option<String>,
    /// Run the cells on hosts with this CPU, as QEMU's -cpu takes it
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,
    /// Move guests between all kernels on all CPU models and write docs/lab; --only chooses CPUs,
    /// and renews their part alone
    #[arg(long, conflicts_with_all = ["host_kernel", "cpu"])]
    matrix: bool,
    /// Do fewer rounds where a cell does many, as ci does
    #[arg(long)]
    short: bool,
    /// Show all that the hosts say
    #[arg(long)]
    show: bool,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    if arguments.matrix {
        let only = arguments.only.as_deref().unwrap_or_default();
        return matrix::run(only, arguments.show, count);
    }
    let mut cells = cells::all();
    if let Some(text) = &arguments.only {
        cells.retain(|cell| cell.name.contains(text));
        if cells.is_empty() {
            bail!("no cell's name contains `{text}`");
        }
    } else {
        cells.retain(|cell| !cell.long);
    }
    for cell in &mut cells {
        if let Some(name) = &arguments.host_kernel {
            cell.host.kernel = host::Kernel::named(name);
        }
        if let Some(model) = &arguments.cpu {
            cell.host.cpu.clone_from(model);
        }
    }
    let mut bench = cells::Bench::default();
    for cell in &cells {
        let begin = Instant::now();
        let result = cell.run(&mut bench, arguments);
        let seconds = begin.elapsed().as_secs();
        *count += Count::one(result.is_ok());
        match result {
            Ok(note) => println!("pass  {} on {}, {seconds} s: {note}", cell.name, cell.host),
            Err(why) => println!("FAIL  {} on {}, {seconds} s: {why:#}", cell.name, cell.host),
        }
    }
    Ok(())
}

impl Arguments {
    /// All cells, for the check of everything.
    pub fn short() -> Self {
        Self { short: true, ..Self::default() }
    }

    /// How often a cell does what it does often.
    fn rounds(&self, whole: usize, short: usize) -> usize {
        if self.short { short } else { whole }
    }
}
