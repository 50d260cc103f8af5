//! `guests`: the programs that run inside virtual machines, rebuilt from their sources.

use crate::{paths, process};
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// Compare with the committed binaries instead of replacing them
    #[arg(long)]
    check: bool,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    if arguments.check { check() } else { bless() }
}

/// The committed binaries: file below `guests/bin`, name of what cargo builds.
const IMAGES: [(&str, &str); 10] = [
    ("shell.img", "shell"),
    ("demo.img", "demo"),
    ("abi.img", "abi"),
    ("pmu.img", "pmu"),
    ("init", "init"),
    ("disk", "disk"),
    ("net", "net"),
    ("vsock", "vsock"),
    ("vmclock", "vmclock"),
    ("load", "load"),
];
/// The initramfs with `init` in it.
const INITRAMFS: &str = "initramfs.cpio";

/// The committed initramfs of Linux guests.
pub fn initramfs() -> PathBuf {
    committed(INITRAMFS)
}

/// The committed program of Linux guests with disks.
///
/// # Errors
/// If it cannot be read.
pub fn disk() -> Result<Vec<u8>> {
    read(&committed("disk"))
}

/// The committed program of Linux guests with a network card.
///
/// # Errors
/// If it cannot be read.
pub fn net() -> Result<Vec<u8>> {
    read(&committed("net"))
}

/// The committed program of Linux guests with sockets to their host.
///
/// # Errors
/// If it cannot be read.
pub fn vsock() -> Result<Vec<u8>> {
    read(&committed("vsock"))
}

/// The committed program of Linux guests that look at the page with the time.
///
/// # Errors
/// If it cannot be read.
pub fn vmclock() -> Result<Vec<u8>> {
    read(&committed("vmclock"))
}

/// The committed program of Linux guests under load.
///
/// # Errors
/// If it cannot be read.
pub fn load() -> Result<Vec<u8>> {
    read(&committed("load"))
}

/// The committed guest that works through twelve steps and checks each.
///
/// # Errors
/// If it cannot be read.
pub fn demo() -> Result<Vec<u8>> {
    read(&committed("demo.img"))
}

/// The committed guest that looks at all that it can see of its machine.
///
/// # Errors
/// If it cannot be read.
pub fn abi() -> Result<Vec<u8>> {
    read(&committed("abi.img"))
}

/// The committed guest that counts with performance monitors.
///
/// # Errors
/// If it cannot be read.
pub fn pmu() -> Result<Vec<u8>> {
    read(&committed("pmu.img"))
}

fn committed(name: &str) -> PathBuf {
    paths::root().join("guests/bin").join(name)
}

/// Builds all guests and returns (file name, content) of each.
fn build() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let folder = paths::root().join("guests");
    let target = folder.join("target");
    let mut cargo = process::cargo();
    cargo.current_dir(&folder).args(["build", "--release", "--locked"]);
    // The guests' own settings hold, not those of the caller's build.
    cargo.env("CARGO_TARGET_DIR", &target);
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(name);
    }
    for (name, _) in env::vars_os().filter(|(name, _)| is_profile(name)) {
        cargo.env_remove(name);
    }
    process::run(&mut cargo)?;
    let built = target.join("aarch64-unknown-none-softfloat/release");
    let mut files = Vec::new();
    for (file, name) in IMAGES {
        files.push((file, read(&built.join(name))?));
    }
    let init = read(&built.join("init"))?;
    files.push((INITRAMFS, crate::cpio::initramfs(&init)?));
    Ok(files)
}

/// Whether a variable changes how the compiler is called, such as `CARGO_PROFILE_RELEASE_LTO`.
fn is_profile(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"CARGO_PROFILE_")
}

fn bless() -> Result<()> {
    for (file, content) in build()? {
        let place = committed(file);
        fs::write(&place, content).with_context(|| format!("writing {place:?}"))?;
        println!("{}", place.display());
    }
    Ok(())
}

/// Compares the committed binaries with what the sources give.
///
/// # Errors
/// If one differs.
pub fn check() -> Result<()> {
    for (file, content) in build()? {
        compare(file, &read(&committed(file))?, &content)?;
        println!("guests/bin/{file}: {} bytes, as built", content.len());
    }
    Ok(())
}

fn compare(file: &str, committed: &[u8], built: &[u8]) -> Result<()> {
    if committed == built {
        return Ok(());
    }
    let same = committed.iter().zip(built).take_while(|(a, b)| a == b).count();
    bail!(
        "guests/bin/{file} is not what its sources give: {} bytes committed, {} built, the first \
         difference at {same}; run `cargo xtask guests` and commit the result",
        committed.len(),
        built.len()
    )
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {path:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_caught_and_placed() {
        assert!(compare("a", b"same", b"same").is_ok());
        for built in [&b"sand"[..], b"sa"] {
            let text = compare("a", b"same", built).expect_err("they differ").to_string();
            assert!(text.contains("the first difference at 2"), "{text}");
        }
    }
}
