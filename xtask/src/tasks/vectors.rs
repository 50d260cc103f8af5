//! `vectors`: what instructions do, recorded on QEMU for the tests of the software engine.

use crate::{paths, process};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Only this group of instructions
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Compare with the committed files instead of replacing them
    #[arg(long)]
    check: bool,
    /// Print cases of a line of the decode table, such as 8b000000/ff200000
    #[arg(long, value_name = "VALUE/MASK", conflicts_with_all = ["check", "group"])]
    show: Option<String>,
    /// The first case to print
    #[arg(long, default_value_t = 0, requires = "show")]
    first: u64,
    /// How many cases to print
    #[arg(long, default_value_t = 32, requires = "show")]
    count: u64,
    /// Print the registers before each case, too
    #[arg(long, requires = "show")]
    inputs: bool,
}

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const FILES: [&str; 2] = ["results.txt", "digests.txt"];

pub fn task(arguments: &Arguments) -> Result<()> {
    let recorder = build()?;
    let known = groups(&recorder)?;
    if let Some(line) = &arguments.show {
        return show(&recorder, &known, line, arguments);
    }
    let wanted = |name: &str| arguments.group.as_deref().is_none_or(|group| group == name);
    let chosen: Vec<_> = known.iter().filter(|group| wanted(&group.name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = known.iter().map(|group| group.name.as_str()).collect();
        bail!("there is no such group; there are {}", names.join(", "));
    }
    for group in chosen {
        let folder = paths::root().join("crates/engine-soft/tests/vectors").join(&group.name);
        if arguments.check {
            check(&recorder, group, &folder)?;
        } else {
            record(&recorder, group, &folder)?;
            println!("{}: recorded on {}", folder.display(), group.cpu);
        }
    }
    Ok(())
}

/// A group of instructions, and QEMU's name of the CPU that it is recorded on.
struct Group {
    name: String,
    cpu: String,
}

/// Builds the recorder for Linux on AArch64.
fn build() -> Result<PathBuf> {
    let folder = paths::root().join("crates/engine-soft/recorder");
    let target = folder.join("target");
    let mut cargo = process::cargo();
    cargo.current_dir(&folder).args(["build", "--release", "--quiet", "--locked"]);
    cargo.args(["--target", TARGET]).env("CARGO_TARGET_DIR", &target);
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER);
    // QEMU's user mode then needs no libraries of that architecture.
    let flags = "-C target-feature=+crt-static";
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags);
    process::run(&mut cargo)?;
    Ok(target.join(TARGET).join("release/abide-vector-recorder"))
}

/// The recorder on an emulated CPU.
fn on(cpu: &str, recorder: &Path) -> Command {
    let mut qemu = Command::new("qemu-aarch64");
    qemu.args(["-cpu", cpu]).arg(recorder);
    qemu
}

fn groups(recorder: &Path) -> Result<Vec<Group>> {
    let text = process::capture(on("max", recorder).arg("groups"))?;
    text.lines()
        .map(|line| {
            let (name, cpu) = line.split_once(' ').context("the recorder names no CPU")?;
            Ok(Group { name: name.to_owned(), cpu: cpu.to_owned() })
        })
        .collect()
}

fn record(recorder: &Path, group: &Group, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {folder:?}"))?;
    process::run(on(&group.cpu, recorder).args(["record", &group.name]).arg(folder))
}

fn check(recorder: &Path, group: &Group, folder: &Path) -> Result<()> {
    let fresh = tempfile::tempdir()?;
    record(recorder, group, fresh.path())?;
    for file in FILES {
        let committed = read(&folder.join(file))?;
        compare(group, file, &committed, &read(&fresh.path().join(file))?)?;
        println!(
            "{}/{file}: {} lines, as recorded on {}",
            group.name,
            committed.lines().count(),
            group.cpu
        );
    }
    Ok(())
}

fn compare(group: &Group, file: &str, committed: &str, recorded: &str) -> Result<()> {
    if committed == recorded {
        return Ok(());
    }
    let name = &group.name;
    let same = committed.lines().zip(recorded.lines()).take_while(|(a, b)| a == b).count();
    bail!(
        "{name}/{file} is not what {} gives: the first difference is in line {}; run \
         `cargo xtask vectors --group {name}` and look at what changes",
        group.cpu,
        same + 1
    )
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path:?}"))
}

/// Prints cases as the CPU of their group runs them.
fn show(recorder: &Path, known: &[Group], line: &str, arguments: &Arguments) -> Result<()> {
    let group = process::capture(on("max", recorder).args(["group-of", line]))?;
    let cpu = known.iter().find(|known| known.name == group.trim()).context("no such group")?;
    let mut command = on(&cpu.cpu, recorder);
    command.args(["show", line, &arguments.first.to_string(), &arguments.count.to_string()]);
    if arguments.inputs {
        command.arg("inputs");
    }
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_caught_and_placed() {
        let group = Group { name: "simd".to_owned(), cpu: "max".to_owned() };
        assert!(compare(&group, "digests.txt", "a\nb\n", "a\nb\n").is_ok());
        for recorded in ["a\nc\n", "a\n"] {
            let error = compare(&group, "digests.txt", "a\nb\n", recorded);
            let text = error.expect_err("they differ").to_string();
            assert!(text.contains("in line 2") && text.contains("--group simd"), "{text}");
        }
    }
}
