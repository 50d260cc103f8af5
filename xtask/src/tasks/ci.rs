//! `ci`: every check there is, each counted, with the sum as the last line.

use super::{beside, decoder, deny, fmt, guests, lint, setup, test};
use crate::tally::{Count, Tally};
use crate::{abide, evolution, lab, process, tidy};
use anyhow::{Result, bail};
use rustix::process::nice;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

/// The demonstration may take this long.
const DEMO_LIMIT: Duration = Duration::from_secs(120);

/// What runs side by side, the longest first; with fewer points, kernels or rounds than by itself
/// where that would take too long.
const BESIDE: [&str; 9] = [
    "oracle --points 10",
    "userland short",
    "threads --vcpus 2,8",
    "disks --points 2",
    "cuts --quick",
    "network --kernel 6.12 --points 2",
    "migrations --rounds 10",
    "vmclock --vcpus 2",
    "vsock --kernel 6.12 --vcpus 2",
];

#[derive(clap::Args)]
pub struct Arguments {
    /// Install first what the checks need
    #[arg(long)]
    setup: bool,
}

pub fn task(arguments: &Arguments) -> ExitCode {
    let mut tally = Tally::default();
    if arguments.setup {
        tally.step("setup", || setup::task(&setup::Arguments {}));
    }
    let ahead = thread::spawn(build_ahead);
    tally.counted("test", test::run);
    tally.step("fmt", || fmt::format(false));
    tally.step("tidy", || tidy::task(&tidy::Arguments {}));
    tally.step("deny", || deny::check(false));
    tally.step("lint", || lint::task(&lint::Arguments {}));
    tally.step("guests", guests::check);
    tally.step("decoder", || decoder::task(&decoder::Arguments::default()));
    // What went wrong there goes wrong again where it is told.
    let _ = ahead.join();
    tally.step("demo", demo);
    tally.counted("evolution", evolution::run);
    beside::run(&mut tally, &BESIDE);
    tally.counted("lab", |count| lab::run(&lab::Arguments::short(), count));
    println!("\n{tally}");
    let total = tally.total();
    println!("{total}");
    if total.failed == 0 && total != Count::default() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Builds what later steps run, with what the tests leave of the CPUs.
fn build_ahead() -> Result<()> {
    // Of this thread, and so of all that it starts.
    nice(19)?;
    abide::build()?;
    abide::build_for_arm()?;
    abide::build_next_version()?;
    evolution::build_released()?;
    Ok(())
}

/// `abide demo`, which checks itself.
fn demo() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(abide::build()?);
    command.arg("demo").current_dir(folder.path());
    let code = process::watch(&mut command, DEMO_LIMIT, |process::Line(line)| println!("{line}"))?;
    if code != 0 {
        bail!("abide demo: exit code {code}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn what_runs_side_by_side_can_be_typed() {
        for command in BESIDE {
            let words = ["xtask"].into_iter().chain(command.split(' '));
            crate::Arguments::try_parse_from(words).expect(command);
        }
    }
}
