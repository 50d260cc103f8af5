//! `lint`: clippy over everything in the workspace, with every warning an error, and the judges of
//! what is no Rust.

use super::acpi;
use crate::{paths, process};
use anyhow::Result;

#[derive(clap::Args)]
pub struct Arguments {}

/// Workspaces of their own: what runs in a guest, and what runs under a fuzzer.
const APART: [&str; 2] = ["guests", "fuzz"];

pub fn task(_: &Arguments) -> Result<()> {
    acpi::judge()?;
    let mut cargo = process::cargo();
    process::run(cargo.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    for folder in APART {
        let mut cargo = process::cargo();
        cargo.current_dir(paths::root().join(folder));
        cargo.env("CARGO_TARGET_DIR", paths::root().join(folder).join("target"));
        process::run(cargo.args(["clippy", "--", "-D", "warnings"]))?;
    }
    // Documentation is part of the product: a link that leads nowhere is an error.
    let mut doc = process::cargo();
    doc.env("RUSTDOCFLAGS", "-D warnings");
    process::run(doc.args(["doc", "--workspace", "--no-deps", "--quiet"]))
}
