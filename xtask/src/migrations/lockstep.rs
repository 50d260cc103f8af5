//! A Linux guest in virtual time that is handed over three times ends as one that stayed.

use super::{Host, NAME, Way, hand_over};
use crate::abide::live::Process;
use crate::abide::{self, Linux, POWERED_OFF};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// As many as there is time for while it boots.
const WAYS: [Way; 3] = [Way::Unix, Way::TlsPacked, Way::Plain];

pub fn check(series: &str, hosts: &[Host; 2], folder: &Path, sockets: &Path) -> Result<()> {
    let [one, other] = hosts;
    let linux = Linux::debian(series)?;
    let run = || {
        let mut command = linux.run(&one.abide.program);
        command.args(["--deterministic", "--vcpus", "2"]);
        command
    };
    let stayed = abide::ran(run(), folder, "stayed", POWERED_OFF)?;
    let mut command = one.abide.here(run());
    command.arg(NAME);
    let mut here = Process::start(NAME, command, one.abide.words_of(NAME))?;
    here.await_text(0, "Linux version")?;
    let report = folder.join("moved.json");
    let (mut console, mut between) = (Vec::new(), [one, other]);
    for (number, way) in WAYS.into_iter().enumerate() {
        let socket = sockets.join(format!("lockstep{number}"));
        let more = ["--report", &report.to_string_lossy()];
        let (there, moved) = hand_over(&mut here, way, between, &socket, &more)
            .with_context(|| format!("move {}, {way}", number + 1))?;
        println!("in virtual time: {moved}");
        console.extend(here.console());
        here = there;
        between.reverse();
    }
    let status = here.end()?;
    console.extend(here.console());
    ensure!(status.code() == Some(POWERED_OFF), "the guest's end: {status}: {}", here.words());
    let (found, expected) = (abide::report(&report)?, stayed.report);
    ensure!(found == expected, "it ends with {found:?}, not {expected:?}");
    ensure!(console == stayed.console, "the console differs");
    println!(
        "in virtual time: ends after {} instructions, to the bit as one that stayed",
        expected.instructions
    );
    Ok(())
}
