//! `deny`: what the dependencies may be: their licences, their number, where they come from.
//!
//! The database of advisories is a git repository elsewhere. It is asked only on demand, so that
//! a machine that reaches nothing but package registries gets the same answer as any other.

use crate::process;
use anyhow::Result;

/// The version that `setup` installs.
pub const VERSION: &str = "0.20.2";

#[derive(clap::Args)]
pub struct Arguments {
    /// Check the database of advisories too, which is fetched from the network
    #[arg(long)]
    advisories: bool,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    check(arguments.advisories)
}

pub fn check(advisories: bool) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["deny", "--workspace", "check", "licenses", "bans", "sources"]);
    if advisories {
        cargo.arg("advisories");
    } else {
        println!(
            "advisories are not checked; `cargo xtask deny --advisories` does, with a network"
        );
    }
    process::run(&mut cargo)
}
