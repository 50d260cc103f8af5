//! `lint`: clippy over everything in the workspace, with every warning an error.

use crate::process;
use anyhow::Result;

#[derive(clap::Args)]
pub struct Arguments {}

pub fn task(_: &Arguments) -> Result<()> {
    let mut cargo = process::cargo();
    process::run(cargo.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // Documentation is part of the product: a link that leads nowhere is an error.
    let mut doc = process::cargo();
    doc.env("RUSTDOCFLAGS", "-D warnings");
    process::run(doc.args(["doc", "--workspace", "--no-deps", "--quiet"]))
}
