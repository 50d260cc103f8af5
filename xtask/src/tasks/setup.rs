//! `setup`: what a fresh Debian machine needs for all the other tasks.

use super::deny;
use crate::debian::apt::Suite;
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

/// Rust targets besides the machine's own: arm64 hosts, bare arm64 guests.
const TARGETS: [&str; 2] = ["aarch64-unknown-linux-gnu", "aarch64-unknown-none-softfloat"];
/// Packages for building fuzz targets, and programs and drivers for arm64, for running the former,
/// for guests' disks, and for judging ACPI tables.
const COMPILERS: [&str; 8] = [
    "acpica-tools",
    "g++",
    "make",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "qemu-user",
    "e2fsprogs",
    "xz-utils",
];
/// The package with the emulator that the lab's hosts run in.
const QEMU: &str = "qemu-system-arm";
/// Older ones do not emulate virtualization well enough for KVM.
const QEMU_MAJOR_MIN: u32 = 10;

#[derive(clap::Args)]
pub struct Arguments {}

pub fn task(_: &Arguments) -> Result<()> {
    let mut rustup = Command::new("rustup");
    process::run(rustup.args(["target", "add"]).args(TARGETS))?;
    install_packages()?;
    install_deny()
}

fn install_packages() -> Result<()> {
    let missing: Vec<&str> = COMPILERS.into_iter().filter(|name| !is_installed(name)).collect();
    if !missing.is_empty() {
        let release = debian_release()?;
        println!("installing {}", missing.join(", "));
        Suite::open_for_machine(&release, &release)?.install(&missing)?;
    }
    if qemu_major().is_none_or(|major| major < QEMU_MAJOR_MIN) {
        let release = debian_release()?;
        println!("installing {QEMU}");
        Suite::open_for_machine(&release, &format!("{release}-backports"))?.install(&[QEMU])?;
    }
    match qemu_major() {
        Some(QEMU_MAJOR_MIN..) => Ok(()),
        found => bail!("QEMU {QEMU_MAJOR_MIN} or newer is needed, found {found:?}"),
    }
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Abbrev}", package]);
    process::capture(&mut query).is_ok_and(|status| status.starts_with("ii"))
}

fn qemu_major() -> Option<u32> {
    let text = process::capture(Command::new("qemu-system-aarch64").arg("--version")).ok()?;
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

/// `bookworm` and so on.
fn debian_release() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    if field("ID").as_deref() != Some("debian") {
        bail!(
            "packages are installed on Debian only; install {QEMU} and {} yourself",
            COMPILERS[1]
        );
    }
    field("VERSION_CODENAME").context("/etc/os-release names no release")
}

fn install_deny() -> Result<()> {
    let found = process::capture(process::cargo().args(["deny", "--version"]));
    if found.is_ok_and(|text| text.trim().ends_with(deny::VERSION)) {
        return Ok(());
    }
    let mut cargo = process::cargo();
    process::run(cargo.args(["install", "--locked", "cargo-deny", "--version", deny::VERSION]))
}
