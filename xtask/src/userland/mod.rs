//! `userland`: programs of a Debian guest do what they do elsewhere, also when the guest is saved
//! and restored in between.
//!
//! The guest runs the scripts in `guests/userland/checks`. What each must print is recorded in
//! `guests/userland/expected` from an emulator that has nothing in common with abide (`--record`),
//! so a mistake of the engine cannot become the measure. In lockstep a guest is run once untouched
//! and once through `--saves` files, each restored by a process of its own: the console and the
//! state at the end must agree to the last bit. With threads the console is what is compared.

mod guest;
mod guide;
mod matrix;
pub mod said;
mod session;

use crate::tally::{self, Count};
use anyhow::{Result, bail};
use guest::{Choice, Guest, Root, Time};
use std::time::Duration;

/// A script in `guests/userland/checks`.
pub struct Check {
    pub name: &'static str,
    /// The set of `guest-debian --with` that it takes.
    set: Option<&'static str>,
    /// Whether it is one of the few that show each kind of work.
    is_short: bool,
}

const fn base(name: &'static str) -> Check {
    Check { name, set: None, is_short: false }
}

const fn short(name: &'static str) -> Check {
    Check { name, set: None, is_short: true }
}

const fn of_set(name: &'static str) -> Check {
    Check { name, set: Some(name), is_short: false }
}

pub const CHECKS: [Check; 14] = [
    short("witness"),
    short("shell"),
    base("coreutils"),
    base("text"),
    base("awk"),
    short("sqlite"),
    base("processes"),
    short("tcc"),
    short("crypto"),
    base("openssl"),
    base("travel"),
    of_set("gcc"),
    of_set("python"),
    of_set("python-tests"),
];

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Kernel series
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Virtual CPUs
    #[arg(long, default_value_t = 1)]
    vcpus: u32,
    /// What makes time pass
    #[arg(long, value_enum, default_value = "lockstep")]
    time: Time,
    /// Where the root file system is
    #[arg(long, value_enum, default_value = "disk")]
    root: Root,
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

#[derive(clap::Subcommand)]
enum What {
    /// Run kernels on numbers of vCPUs through saves, and write `docs/userland.md`
    Matrix(matrix::Arguments),
    /// Run what `cargo xtask ci` runs of all this: a few checks on two vCPUs, and the guide
    Short,
    /// Do what the guide's Debian example says, and compare what it shows
    Guide,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        Some(What::Matrix(arguments)) => tally::alone(|count| matrix::run(arguments, count)),
        Some(What::Short) => tally::alone(run),
        Some(What::Guide) => tally::alone(guide::run),
        None if arguments.record => record(arguments),
        None => tally::alone(|count| one(arguments, count)),
    }
}

/// What a check of everything has time for: two vCPUs, through files, in both kinds of time; and
/// the guide's example.
///
/// # Errors
/// If a guest cannot be made.
pub fn run(count: &mut Count) -> Result<()> {
    for (time, saves) in [(Time::Lockstep, 2), (Time::Threads, 4)] {
        let checks = short_checks();
        let limit = Duration::from_secs(60 * 60);
        let (kernel, with) = ("6.12".to_owned(), Vec::new());
        let choice = Choice { kernel, vcpus: 2, time, root: Root::Disk, with, checks, limit };
        check(choice, saves, false, count)?;
    }
    guide::run(count)
}

fn choice(arguments: &Arguments) -> Result<Choice> {
    Ok(Choice {
        kernel: arguments.kernel.clone(),
        vcpus: arguments.vcpus,
        time: arguments.time,
        root: arguments.root,
        with: arguments.with.clone(),
        checks: chosen(&arguments.with, &arguments.checks)?,
        limit: Duration::from_secs(60 * arguments.limit),
    })
}

fn record(arguments: &Arguments) -> Result<()> {
    let choice = choice(arguments)?;
    let checks = choice.checks.clone();
    said::record(&Guest::new(choice)?.qemu()?, &checks)
}

fn one(arguments: &Arguments, count: &mut Count) -> Result<()> {
    let choice = choice(arguments)?;
    if !arguments.qemu {
        return check(choice, arguments.saves, arguments.show, count);
    }
    let checks = choice.checks.clone();
    let console = Guest::new(choice)?.qemu()?;
    if arguments.show {
        println!("{console}");
    }
    tell(&console, &checks, count)
}

/// The checks that a root with these sets can run, or those named.
fn chosen(with: &[String], named: &[String]) -> Result<Vec<String>> {
    let there = |check: &&Check| check.set.is_none_or(|set| with.iter().any(|with| with == set));
    let mut checks: Vec<String> = CHECKS.iter().filter(there).map(|c| c.name.to_owned()).collect();
    if let Some(unknown) = named.iter().find(|name| !checks.contains(name)) {
        bail!("no check {unknown} in this root; there are {}", checks.join(", "));
    }
    checks.retain(|name| named.is_empty() || named.contains(name));
    Ok(checks)
}

fn short_checks() -> Vec<String> {
    CHECKS.iter().filter(|check| check.is_short).map(|check| check.name.to_owned()).collect()
}

/// Runs a guest in abide and counts its checks, and its way through files as one more.
fn check(choice: Choice, saves: u32, show: bool, count: &mut Count) -> Result<()> {
    let what = format!("{}, {} vCPUs, {}", choice.kernel, choice.vcpus, choice.time);
    let checks = choice.checks.clone();
    let life = match Guest::new(choice)?.abide(saves) {
        Ok(life) => life,
        Err(error) => {
            println!("{what}, {saves} saves: FAILED: {error:#}");
            *count += Count { passed: 0, failed: checks.len() as u64 + u64::from(saves > 0) };
            return Ok(());
        }
    };
    if show {
        println!("{}", life.console);
    }
    print!("{}", life.undefined);
    let end = life.state_hash.map_or_else(String::new, |hash| format!(", ends as {hash}"));
    println!("{what}: {} instructions{end}", life.instructions);
    tell(&life.console, &checks, count)?;
    if saves > 0 {
        println!("{saves} saves: changed nothing");
        *count += Count::one(true);
    }
    Ok(())
}

fn tell(console: &str, checks: &[String], count: &mut Count) -> Result<()> {
    for (name, difference) in said::compare(console, checks)? {
        *count += Count::one(difference.is_none());
        match difference {
            None => println!("{name}: as expected"),
            Some(difference) => println!("{name}: FAILED: {difference}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_those_of_the_root() {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let base = chosen(&[], &[]).expect("some");
        assert!(base.contains(&"tcc".into()) && !base.contains(&"gcc".into()));
        let gcc = owned(&["gcc"]);
        assert_eq!(chosen(&gcc, &gcc).expect("it is there"), gcc);
        let error = chosen(&[], &gcc).expect_err("no gcc without its set");
        assert!(error.to_string().contains("no check gcc"), "{error}");
        assert_eq!(short_checks(), ["witness", "shell", "sqlite", "tcc", "crypto"]);
    }
}
