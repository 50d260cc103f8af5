//! `decoder`: the decoder against an independent one, on every word of real kernels.

use crate::debian::kernel;
use crate::{oracle, process};
use anyhow::Result;

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long, default_values = oracle::KERNELS)]
    kernel: Vec<String>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { kernel: oracle::KERNELS.map(str::to_owned).to_vec() }
    }
}

pub fn task(arguments: &Arguments) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "--package", "abide-engine-soft"]);
    cargo.args(["--example", "compare_decoders", "--"]);
    for series in &arguments.kernel {
        cargo.arg(kernel::get(series)?);
    }
    process::run(&mut cargo)
}
