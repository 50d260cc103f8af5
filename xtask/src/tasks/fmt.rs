//! `fmt`: rustfmt over the workspace and the folders that are workspaces of their own.

use crate::{paths, process};
use anyhow::Result;

const WORKSPACES: [&str; 4] = [".", "guests", "fuzz", "crates/engine-soft/recorder"];

#[derive(clap::Args)]
pub struct Arguments {
    /// Change the files instead of only telling
    #[arg(long)]
    fix: bool,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    format(arguments.fix)
}

pub fn format(fix: bool) -> Result<()> {
    for folder in WORKSPACES {
        let mut cargo = process::cargo();
        cargo.current_dir(paths::root().join(folder)).args(["fmt", "--all"]);
        if !fix {
            cargo.arg("--check");
        }
        process::run(&mut cargo)?;
    }
    Ok(())
}
