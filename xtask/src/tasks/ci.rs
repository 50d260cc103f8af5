//! `ci`: every check there is, each counted, with the sum as the last line.

use super::{decoder, deny, fmt, guests, lint, setup, test};
use crate::tally::{Count, Tally};
use crate::{
    abide, cuts, disks, evolution, lab, migrations, network, oracle, process, threads, tidy,
    userland, vmclock, vsock,
};
use anyhow::{Result, bail};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// The demonstration may take this long.
const DEMO_LIMIT: Duration = Duration::from_secs(120);

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
    tally.counted("test", test::run);
    tally.step("fmt", || fmt::format(false));
    tally.step("tidy", || tidy::task(&tidy::Arguments {}));
    tally.step("deny", || deny::check(false));
    tally.step("lint", || lint::task(&lint::Arguments {}));
    tally.step("guests", guests::check);
    tally.step("decoder", || decoder::task(&decoder::Arguments::default()));
    tally.step("demo", demo);
    tally.counted("evolution", evolution::run);
    tally.counted("oracle", |count| oracle::run(&oracle::Arguments::default(), count));
    tally.counted("disks", |count| disks::run(&disks::Arguments::default(), count));
    tally.counted("network", |count| network::run(&network::Arguments::short(), count));
    tally.counted("vmclock", |count| vmclock::run(&vmclock::Arguments::short(), count));
    tally.counted("vsock", |count| vsock::run(&vsock::Arguments::short(), count));
    tally.counted("threads", |count| threads::run(&threads::Arguments::default(), count));
    tally.counted("cuts", |count| cuts::run(&cuts::Arguments::quick(), count));
    tally.counted("migrations", |count| migrations::run(&migrations::Arguments::short(), count));
    tally.counted("userland", userland::run);
    tally.counted("lab", |count| lab::run(&lab::Arguments::default(), count));
    println!("\n{tally}");
    let total = tally.total();
    println!("{total}");
    if total.failed == 0 && total != Count::default() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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
