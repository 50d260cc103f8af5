//! `kvm-unit-tests`: the suite that KVM itself is held to, on the software engine.
//!
//! Its source is nobody's package, so it is an argument, and this is no part of `ci`. The suite's
//! own list says which program is started how; what it calls migration is a live handoff to a
//! second process here. A test may skip itself only where the board or the engine has not what it
//! is about ([`NOT_HERE`]).

use crate::abide::live::{Abide, Process, expecting};
use crate::tally::Count;
use crate::{abide, paths, process};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a test that waits to be migrated says.
const MIGRATE: &str = "Now migrate the VM";
/// What one says that would, had it something to test.
const NOT_MIGRATED: &str = "Skipped VM migration";
/// What its console ends with: all is well, or there is nothing to be tested.
const PASSED: &str = "EXIT: STATUS=1\n";
const SKIPPED: &str = "EXIT: STATUS=77\n";
/// Groups of tests that have nothing to test: no PCI, ITS or PMU, and no memory tags.
const NOT_HERE: [&str; 4] = ["pci", "its", "pmu", "mte"];
/// Tests that cannot be: of an older interrupt controller, and of an address of QEMU's board.
const OTHER_BOARD: [&str; 2] = ["gicv2-", "micro-bench"];

#[derive(clap::Args)]
pub struct Arguments {
    /// Where the suite's source is; it is built in a copy
    #[arg(long, value_name = "FOLDER")]
    source: PathBuf,
    /// Run only tests whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    let program = abide::build()?;
    let work = tempfile::tempdir_in(paths::work()?)?;
    let suite = build(&arguments.source, work.path())?;
    let list = fs::read_to_string(suite.join("arm/unittests.cfg")).context("the suite's list")?;
    let tests = Test::all(&list);
    let tests = tests.iter().filter(|test| test.name.contains(&arguments.only));
    for test in tests {
        let folder = work.path().join(&test.name);
        fs::create_dir(&folder)?;
        let result = test.verdict(&suite, &Abide { program: program.clone(), folder });
        *count += Count::one(result.is_ok());
        match result {
            Ok(verdict) => println!("{}: {verdict}", test.name),
            Err(error) => println!("{}: FAILED: {error:#}", test.name),
        }
    }
    Ok(())
}

/// Copies the suite and builds it for arm64.
fn build(source: &Path, work: &Path) -> Result<PathBuf> {
    let copy = work.join("suite");
    process::run(Command::new("cp").arg("--recursive").arg(source).arg(&copy))?;
    let mut configure = Command::new("./configure");
    configure.args(["--arch=arm64", "--cross-prefix=aarch64-linux-gnu-"]);
    process::run(configure.current_dir(&copy))?;
    process::run(Command::new("make").arg("--quiet").current_dir(&copy))?;
    Ok(copy)
}

/// One entry of the suite's list.
#[derive(Debug, Default, PartialEq, Eq)]
struct Test {
    name: String,
    file: String,
    vcpus: u32,
    args: String,
    groups: Vec<String>,
}

impl Test {
    /// What the list says, but for the tests that cannot be on this board, which are told.
    fn all(list: &str) -> Vec<Self> {
        let mut tests: Vec<Self> = Vec::new();
        for line in list.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                tests.push(Self { name: name.to_owned(), vcpus: 1, ..Self::default() });
            } else if let (Some(test), Some((key, value))) =
                (tests.last_mut(), line.split_once('='))
            {
                test.set(key.trim(), value.trim());
            }
        }
        let is_other = |test: &Self| OTHER_BOARD.iter().any(|name| test.name.starts_with(name));
        for test in tests.iter().filter(|test| is_other(test)) {
            println!("{}: of another board", test.name);
        }
        tests.retain(|test| !is_other(test));
        tests
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "file" => value.clone_into(&mut self.file),
            "test_args" => self.args = value.trim_matches(['\'', '"']).to_owned(),
            "groups" => self.groups = value.split_whitespace().map(str::to_owned).collect(),
            // Else it is as many as the host has, by a formula of the shell's.
            "smp" => self.vcpus = value.parse().unwrap_or(4),
            _ => {}
        }
    }

    fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|one| one == group)
    }

    /// Runs it.
    fn verdict(&self, suite: &Path, abide: &Abide) -> Result<&'static str> {
        let kernel = suite.join("arm").join(&self.file);
        let kernel = kernel.to_str().context("a path in UTF-8")?;
        let vcpus = self.vcpus.to_string();
        let args = ["run", "suite", "--engine", "soft", "--memory", "256M", "--kernel", kernel];
        let more = ["--vcpus", &vcpus, "--append", &self.args];
        let run = abide.command(&[&args[..], &more[..]].concat());
        let mut process = Process::start("suite", run, abide.words_of("suite"))?;
        let has_here = !NOT_HERE.iter().any(|group| self.is_in(group));
        match (self.is_in("migration"), has_here) {
            (true, true) => process = handed_over(process, abide)?,
            (true, false) => {
                process.await_text(0, NOT_MIGRATED)?;
                process.type_in("x")?;
            }
            (false, _) => {}
        }
        let status = process.end()?;
        let console = String::from_utf8_lossy(&process.console()).replace('\r', "");
        ensure!(status.success(), "abide: {status}: {}", process.words());
        if console.ends_with(PASSED) {
            return Ok("passed");
        }
        if console.ends_with(SKIPPED) && !has_here {
            return Ok("as it should be: it finds nothing to test");
        }
        bail!("{console}")
    }
}

/// Hands the guest over where it asks for that, and has it go on.
fn handed_over(mut process: Process, abide: &Abide) -> Result<Process> {
    process.await_text(0, MIGRATE)?;
    let place = tempfile::tempdir()?;
    let at = format!("unix:{}", place.path().join("way").display());
    let (mut next, at) = expecting(abide, "next", &at, &["--volatile-journal"])?;
    let output = abide.output(&["migrate", "suite", &at, "--volatile-journal"])?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "abide migrate: {}: {words}", output.status);
    next.type_in("x")?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_list_is_read() {
        let list = "# words\n[one]\nfile = one.flat\nsmp = $MAX_SMP\ntest_args = 'a b=1'\n\
                    groups = debug migration\n\n[gicv2-ipi]\nfile = gic.flat\n\
                    [two]\nfile=two.flat\n";
        let tests = Test::all(list);
        assert_eq!(tests.len(), 2);
        let [one, two] = &tests[..] else { unreachable!() };
        assert_eq!(
            (&*one.name, &*one.file, one.vcpus, &*one.args),
            ("one", "one.flat", 4, "a b=1")
        );
        assert!(one.is_in("migration") && !one.is_in("pmu"));
        assert_eq!((&*two.name, &*two.file, two.vcpus), ("two", "two.flat", 1));
    }
}
