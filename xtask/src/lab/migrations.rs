//! A guest under load moves 20 times in a row on KVM: within two running hosts and between them.

use super::handoff::Pair;
use super::host::{File, Host};
use super::relay::{By, End, Relay, SHARED_DISK};
use crate::abide::Linux;
use crate::migrations::load::{Heard, Load, QUIET};
use crate::paths;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;

/// The kernel of the guest.
const GUEST_KERNEL: &str = "6.12";
const VCPUS: u32 = 4;
/// The kernel of the second host.
const OTHER: &str = "7.2";
/// It moves when its console has shown so many lines in a process.
const LINES: u32 = 30;
const COUNTED: &str = "^abide-load: [0-9]*: ";

/// On a host by each way, and then to the other one: this so often.
const TURNS: usize = 5;
const TURN: [By; 4] = [By::Unix, By::Tls, By::PlainTcp, By::Wire];
/// All of it, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(3600);

/// Lets the guest go its way, and looks at all that it worked on.
///
/// # Errors
/// If a line, a page, a block or a datagram was lost, doubled or changed.
pub fn of_load(birth: &Host, contract: &str, show: bool) -> Result<String> {
    let folder = tempfile::tempdir_in(paths::work()?)?;
    let load = Load::new(GUEST_KERNEL, folder.path())?;
    let files = vec![
        File::data("kernel", fs::read(&load.linux.kernel)?),
        File::data("initrd", fs::read(&load.linux.initrd)?),
    ];
    let run = format!(
        "--contract {contract} --kernel /kernel --initrd /initrd --memory 256M --vcpus {VCPUS} \
         --append '{} {QUIET}' --net echo --disk {SHARED_DISK}",
        Linux::APPEND
    );
    let ways = TURN.repeat(TURNS);
    let relay = Relay {
        name: "load",
        run: &run,
        until: (COUNTED, LINES),
        ways: &ways,
        end: End::Typed,
        has_clock: true,
        shared_disk: Some(&load.disk),
    };
    let other = Host::debian(OTHER, &birth.cpu);
    let pair = Pair { hosts: [birth, &other], files, limit: LIMIT };
    let came = pair.relay(&relay, show)?;
    let mut heard = Heard::default();
    for (n, console) in came.consoles.iter().enumerate() {
        let since = heard.steps;
        heard.hear(console).with_context(|| format!("process {n}"))?;
        let steps = heard.steps;
        ensure!(heard.all_went_on(&since), "process {n}: from {since:?} to {steps:?}");
    }
    load.check_end(&heard)?;
    Ok(format!(
        "{} moves, {TURNS} of them between {} and {OTHER}: {} lines without a gap; memory, disk \
         and network are as they should be, clock {} us behind, {}",
        ways.len(),
        birth.kernel,
        heard.lines,
        came.behind_ns()? / 1000,
        came.stood()
    ))
}
