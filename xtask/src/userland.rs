//! `userland`: programs of a Debian guest do what they do elsewhere, also when the guest is saved
//! and restored in between.
//!
//! The guest runs the scripts in `guests/userland/checks`. What each must print is recorded in
//! `guests/userland/expected` from an emulator that has nothing in common with abide (`--record`),
//! so a mistake of the engine cannot become the measure. With `--saves` the guest is run once
//! untouched and once through that many files, each restored by a process of its own: the console
//! and the state at the end must agree to the last bit.

use crate::abide::{self, POWERED_OFF, Ran, SAVED_AWAY};
use crate::debian::{kernel, root};
use crate::paths;
use crate::process::{self, Ended};
use crate::tally::Count;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What every root can run.
const CHECKS: [&str; 8] =
    ["shell", "coreutils", "text", "awk", "sqlite", "processes", "tcc", "openssl"];
/// What takes a set of `guest-debian --with`.
const SET_CHECKS: [(&str, &str); 2] = [("gcc", "gcc"), ("python", "python")];

const BEGIN: &str = "abide-checks: begin";
const END: &str = "abide-checks: end";
/// What the root takes in RAM, and room to compile.
const MEMORY_MIB: u32 = 1024;

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Virtual CPUs
    #[arg(long, default_value_t = 1)]
    vcpus: u32,
    /// How often the guest is saved and restored on its way
    #[arg(long, default_value_t = 0)]
    saves: u32,
    /// Sets of `guest-debian` that the guest has, with their checks
    #[arg(long)]
    with: Vec<String>,
    /// Only these checks
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// Run the guest in QEMU instead of abide
    #[arg(long, conflicts_with = "saves")]
    qemu: bool,
    /// Run the guest in QEMU, and record what it says as what is expected
    #[arg(long, conflicts_with_all = ["saves", "qemu"])]
    record: bool,
    /// How many minutes one run may take
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    limit: u64,
    /// Show all that the guest says
    #[arg(long)]
    show: bool,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    let guest = Guest::new(arguments)?;
    let mut count = Count::default();
    if arguments.record {
        let sections = sections(&guest.qemu()?)?;
        return guest.record(&sections);
    }
    if arguments.qemu {
        guest.compare(&guest.qemu()?, &mut count)?;
    } else {
        guest.abide(arguments.saves, &mut count)?;
    }
    println!("{count}");
    ensure!(count.failed == 0, "{} checks differ from what is expected", count.failed);
    Ok(())
}

struct Guest {
    kernel: PathBuf,
    initramfs: PathBuf,
    vcpus: u32,
    checks: Vec<String>,
    limit: Duration,
    show: bool,
}

impl Guest {
    fn new(arguments: &Arguments) -> Result<Self> {
        let images = root::make(&root::Arguments::new(&arguments.with, &arguments.kernel))?;
        let of_sets = SET_CHECKS.iter().filter(|(set, _)| arguments.with.iter().any(|w| w == set));
        let all = CHECKS.iter().chain(of_sets.map(|(_, check)| check));
        let mut checks: Vec<String> = all.map(ToString::to_string).collect();
        if let Some(unknown) = arguments.checks.iter().find(|name| !checks.contains(name)) {
            bail!("no check {unknown} in this root; there are {}", checks.join(", "));
        }
        checks.retain(|name| arguments.checks.is_empty() || arguments.checks.contains(name));
        Ok(Self {
            kernel: kernel::get(&arguments.kernel)?,
            initramfs: images.initramfs,
            vcpus: arguments.vcpus,
            checks,
            limit: Duration::from_secs(60 * arguments.limit),
            show: arguments.show,
        })
    }

    fn append(&self) -> String {
        let checks = self.checks.join(",");
        // Messages of the kernel must not cut through what the checks say.
        format!("console=ttyAMA0 cryptomgr.notests quiet loglevel=1 abide.checks={checks}")
    }

    fn qemu(&self) -> Result<String> {
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(["-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-accel", "tcg"]);
        qemu.arg("-smp").arg(self.vcpus.to_string()).arg("-m").arg(MEMORY_MIB.to_string());
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initramfs);
        qemu.args(["-append", &self.append()]);
        qemu.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
        qemu.args(["-nic", "none", "-no-reboot"]).stderr(Stdio::null());
        let mut console = Vec::new();
        let ended = process::pour(&mut qemu, self.limit, |chunk| {
            console.extend_from_slice(chunk);
            false
        })?;
        let console = String::from_utf8_lossy(&console).into_owned();
        ensure!(ended == Ended::Exit(0), "QEMU: {ended:?}\n… {}", tail(&console));
        Ok(console)
    }

    fn abide(&self, saves: u32, count: &mut Count) -> Result<()> {
        let program = abide::build()?;
        let folder = tempfile::tempdir_in(paths::work()?)?;
        let untouched = abide::ran_within(
            self.run(&program),
            folder.path(),
            "untouched",
            POWERED_OFF,
            self.limit,
        )?;
        let console = String::from_utf8_lossy(&untouched.console);
        print!("{}", named_as_undefined(&untouched.words));
        println!(
            "untouched: {} instructions, ends as {}",
            untouched.report.instructions, untouched.report.state_hash
        );
        self.compare(&console, count)?;
        if saves > 0 {
            let result = self.saved(saves, &untouched, &program, folder.path());
            *count += Count::one(result.is_ok());
            match result {
                Ok(()) => println!("{saves} saves: equal to the last bit"),
                Err(error) => println!("{saves} saves: FAILED: {error:#}"),
            }
        }
        Ok(())
    }

    fn run(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["run", "--deterministic", "--cpu", "portable"]);
        command.arg("--vcpus").arg(self.vcpus.to_string());
        command.arg("--memory").arg(format!("{MEMORY_MIB}M"));
        command.arg("--kernel").arg(&self.kernel).arg("--initrd").arg(&self.initramfs);
        command.args(["--append", &self.append()]);
        command
    }

    /// Runs the guest through `saves` files, at points that divide its life evenly.
    fn saved(&self, saves: u32, untouched: &Ran, program: &Path, folder: &Path) -> Result<()> {
        let whole = untouched.report.instructions;
        let mut console = Vec::new();
        let mut before: Option<PathBuf> = None;
        for n in 0..=saves {
            let mut command = match &before {
                None => self.run(program),
                Some(file) => {
                    let mut restore = Command::new(program);
                    restore.arg("restore").arg(file);
                    restore
                }
            };
            let file = folder.join(format!("{n}.abide"));
            let is_last = n == saves;
            if !is_last {
                let point = whole / (u64::from(saves) + 1) * (u64::from(n) + 1);
                command.arg("--save-at").arg(point.to_string()).arg("--save-to").arg(&file);
            }
            let expected = if is_last { POWERED_OFF } else { SAVED_AWAY };
            let name = format!("piece {n}");
            let ran = abide::ran_within(command, folder, &name, expected, self.limit)?;
            console.extend_from_slice(&ran.console);
            if let Some(done) = before.take() {
                fs::remove_file(&done).with_context(|| format!("removing {done:?}"))?;
            }
            if is_last {
                let same = console.iter().zip(&untouched.console).take_while(|(a, b)| a == b);
                let same = same.count();
                ensure!(console == untouched.console, "the console differs from byte {same} on");
                ensure!(ran.report == untouched.report, "ends as {:?}", ran.report);
            }
            before = Some(file);
        }
        Ok(())
    }

    fn compare(&self, console: &str, count: &mut Count) -> Result<()> {
        if self.show {
            println!("{console}");
        }
        let sections = sections(console)?;
        for name in &self.checks {
            let file = expected_file(name);
            let expected =
                fs::read_to_string(&file).with_context(|| format!("reading {file:?}"))?;
            let difference = difference(&expected, sections.get(name).map_or("", |text| text));
            println!("{name}: {}", difference.as_deref().unwrap_or("as expected"));
            *count += Count::one(difference.is_none());
        }
        Ok(())
    }

    fn record(&self, sections: &BTreeMap<String, String>) -> Result<()> {
        for name in &self.checks {
            let text = sections.get(name).with_context(|| format!("{name}: did not run"))?;
            let whole = text.ends_with(&format!("== {name}: exit code 0\n"));
            ensure!(whole, "{name}: did not end well:\n{}", tail(text));
            let file = expected_file(name);
            fs::write(&file, text).with_context(|| format!("writing {file:?}"))?;
            println!("{}: {} lines", file.display(), text.lines().count());
        }
        Ok(())
    }
}

fn expected_file(check: &str) -> PathBuf {
    paths::root().join("guests/userland/expected").join(format!("{check}.txt"))
}

/// What each check printed, by its name, with its last line, which tells how it ended.
fn sections(console: &str) -> Result<BTreeMap<String, String>> {
    let (_, rest) = console
        .split_once(BEGIN)
        .with_context(|| format!("the guest came to no check:\n… {}", tail(console)))?;
    let text = rest.split_once(END).map_or(rest, |(text, _)| text);
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines().map(|line| line.trim_end_matches('\r')) {
        let name = line.strip_prefix("== ").filter(|name| !name.contains(':'));
        if let Some(name) = name {
            current = Some(name.to_owned());
        } else if let Some(name) = &current {
            let section = sections.entry(name.clone()).or_default();
            section.push_str(line);
            section.push('\n');
        }
    }
    Ok(sections)
}

/// The first line that differs, in words.
fn difference(expected: &str, found: &str) -> Option<String> {
    let (mut wanted, mut there) = (expected.lines(), found.lines());
    for number in 1.. {
        let (wanted, there) = (wanted.next(), there.next());
        if wanted != there {
            let shown =
                |line: Option<&str>| line.map_or("the end".into(), |line| format!("{line:?}"));
            return Some(format!(
                "FAILED: line {number} is {}, expected {}",
                shown(there),
                shown(wanted)
            ));
        }
        if wanted.is_none() {
            break;
        }
    }
    None
}

/// The lines in which the engine names what it does not know.
fn named_as_undefined(words: &str) -> String {
    let lines = words.lines().filter(|line| line.contains("UNDEFINED to the guest"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The last lines of a text that may be long.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "Booting\r\nabide-checks: begin\r\n== one\r\na\r\nb\r\n\
        == one: exit code 0\r\n== two\r\n== two: exit code 3\r\nabide-checks: end\r\nrest\r\n";

    #[test]
    fn sections_are_cut_at_their_names() {
        let sections = sections(CONSOLE).expect("checks ran");
        assert_eq!(sections["one"], "a\nb\n== one: exit code 0\n");
        assert_eq!(sections["two"], "== two: exit code 3\n");
        assert!(super::sections("Booting\r\nKernel panic").is_err());
    }

    #[test]
    fn first_difference_is_shown_with_its_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let cases = [
            ("a\nb\n", "a\nc\n", "line 2 is \"c\", expected \"b\""),
            ("a\nb\n", "a\n", "line 2 is the end, expected \"b\""),
            ("a\n", "a\nb\n", "line 2 is \"b\", expected the end"),
            ("a\n", "", "line 1 is the end, expected \"a\""),
        ];
        for (expected, found, text) in cases {
            let shown = difference(expected, found).expect("they differ");
            assert!(shown.ends_with(text), "{shown}");
        }
    }

    #[test]
    fn every_check_has_its_script_and_its_record() {
        let names = CHECKS.iter().chain(SET_CHECKS.iter().map(|(_, check)| check));
        for name in names {
            let script = paths::root().join(format!("guests/userland/checks/{name}.sh"));
            assert!(script.is_file(), "{script:?}");
            let expected = fs::read_to_string(expected_file(name)).expect("it is recorded");
            assert!(expected.ends_with(&format!("== {name}: exit code 0\n")), "{name}");
            assert!(expected.lines().count() > 3, "{name}");
        }
    }
}
