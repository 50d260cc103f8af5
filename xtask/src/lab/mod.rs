//! `lab`: real host kernels in an emulator with virtualization, and abide inside, against their
//! real `/dev/kvm`.
//!
//! The cells stand in [`cells`]; each runs something on one [`host::Host`] and judges what came
//! of it. A cell that did not run has failed.

mod cells;
mod console;
mod host;
mod kvm_to_kvm;

use crate::tally::Count;
use anyhow::{Result, bail};

#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Only cells whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Show all that the hosts say
    #[arg(long)]
    show: bool,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    let mut cells = cells::all();
    if let Some(text) = &arguments.only {
        cells.retain(|cell| cell.name.contains(text));
        if cells.is_empty() {
            bail!("no cell's name contains `{text}`");
        }
    }
    let mut bench = cells::Bench::default();
    for cell in &cells {
        let result = cell.run(&mut bench, arguments.show);
        *count += Count::one(result.is_ok());
        match result {
            Ok(note) => println!("pass  {} on {}: {note}", cell.name, cell.host),
            Err(error) => println!("FAIL  {} on {}: {error:#}", cell.name, cell.host),
        }
    }
    Ok(())
}
