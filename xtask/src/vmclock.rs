//! `vmclock`: a Linux guest that looks at the page with the time, over copies and moves.
//!
//! Debian's kernel binds its own drivers to the pages, and Linux' driver to the virtio clock, which
//! Debian does not build; kernels before 6.13 have a driver of ours for the page. The guest
//! (`guests/vmclock`) reads and maps that of the time, asks the PTP clocks, and sleeps until it is
//! told of something. It is saved and restored by turns as a copy and as the same guest, and must
//! wake each time with the numbers that say which; the kernel must seed its random numbers anew in
//! each copy, and in no other.

use crate::abide::{self, Linux, POWERED_OFF, SAVED_AWAY};
use crate::debian::driver::{self, Driver};
use crate::oracle::KERNELS;
use crate::process::{self, Ended};
use crate::tally::Count;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the guest says.
const SAYS: &str = "abide-vmclock: ";
/// One life may take this long, on slow cores that others use too.
const LIMIT: Duration = Duration::from_secs(240);
/// What Linux says when the generation has changed.
pub const FORK: &str = "crng reseeded due to virtual machine fork";

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long = "kernel", value_name = "SERIES", default_values_t = KERNELS.map(String::from))]
    kernels: Vec<String>,
    /// Numbers of vCPUs
    #[arg(long = "vcpus", value_name = "N", default_values_t = [1, 2])]
    vcpus: Vec<u32>,
}

impl Arguments {
    /// One guest, for the check of everything.
    pub fn short() -> Self {
        Self { kernels: KERNELS.map(String::from).into(), vcpus: vec![2] }
    }
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    abide::each_guest(&arguments.kernels, &arguments.vcpus, count, check)
}

/// How the guest goes on after each of its lives but the last.
const MOVES: [bool; 4] = [false, true, false, true];

/// Marker and generation that the guest wakes with after each.
fn told() -> [(u64, u64); 4] {
    let mut generation = 1;
    let mut marker = 1;
    MOVES.map(|is_move| {
        marker += 1;
        generation += u64::from(!is_move);
        (marker, generation)
    })
}

/// What a kernel has of its own.
#[derive(Clone, Copy)]
struct Has {
    /// A driver of the page with the time, and so a PTP clock.
    vmclock: bool,
    /// A driver of the generation for guests with a device tree.
    vmgenid: bool,
}

impl Has {
    fn of(series: &str) -> Self {
        Self { vmclock: series == "7.2", vmgenid: series != "6.1" }
    }

    /// What it is given besides.
    fn drivers(self, series: &str) -> Result<Vec<PathBuf>> {
        let driver = if self.vmclock { Driver::VirtioRtc } else { Driver::VmclockPage };
        Ok(vec![driver::get(driver, series)?])
    }
}

fn check(series: &str, vcpus: u32, program: &Path, folder: &Path) -> Result<()> {
    let has = Has::of(series);
    let init = guests::vmclock()?;
    let is_wanted =
        |name: &str| has.vmclock && matches!(name, "virtio" | "virtio_ring" | "virtio_mmio");
    let drivers = has.drivers(series)?;
    let linux = Linux::with_drivers(series, folder, &init, &[], is_wanted, &drivers)?;
    let file = |number: usize| folder.join(format!("{number}.abide"));
    let mut run = linux.run(program);
    run.arg("--vcpus").arg(vcpus.to_string()).arg("--virtio-rtc");
    let mut consoles = vec![lived(run, program, folder, 1, Some((&file(1), MOVES[0])))?];
    for (number, is_move) in (1..).zip(MOVES) {
        let mut restore = Command::new(program);
        restore.args(["restore", "--engine", "soft"]).arg(file(number));
        if is_move {
            restore.arg("--move");
        }
        let next = file(number + 1);
        let goes = MOVES.get(number).map(|&is_move| (&next, is_move));
        consoles.push(lived(restore, program, folder, number + 1, goes)?);
    }
    judge(has, &consoles)
}

/// What the guest said in all of its lives.
fn judge(has: Has, consoles: &[Vec<u8>]) -> Result<()> {
    let lines = abide::said(&consoles.concat(), SAYS);
    let says = |line: &str| lines.iter().any(|said| said == line);
    ensure!(says("size 4096, flags 0x300, sequence count 0") || has_time(&lines), "{lines:?}");
    for line in ["mapped", "not writable", "done"] {
        ensure!(says(line), "the guest does not say {line:?}: {lines:?}");
    }
    let status = |line: &str| line.split_once("status ").map(|(_, rest)| rest.as_bytes()[0]);
    let before = lines.iter().find(|line| line.starts_with("before: ")).context("no page")?;
    judge_ptp(has, status(before) != Some(b'4'), &lines)?;
    let woken: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("woken: ")).collect();
    let numbers: Vec<&str> =
        woken.iter().filter_map(|line| line.split_once(", ")).map(|(_, rest)| rest).collect();
    let expected =
        told().map(|(marker, generation)| format!("marker {marker}, generation {generation}"));
    ensure!(numbers == expected, "the guest woke with {woken:?}, not {expected:?}");
    for (number, is_move) in (1..).zip(MOVES) {
        let console = String::from_utf8_lossy(&consoles[number]);
        let forked = console.contains(FORK);
        let expected = has.vmgenid && !is_move;
        ensure!(forked == expected, "life {}: {FORK:?}: {forked}\n{console}", number + 1);
    }
    Ok(())
}

/// What the PTP clocks must have said.
fn judge_ptp(has: Has, tells_time: bool, lines: &[String]) -> Result<()> {
    let said: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("PTP ")).collect();
    if !has.vmclock {
        ensure!(said.is_empty() && lines.iter().any(|line| line == "0 PTP clocks"), "{said:?}");
        return Ok(());
    }
    // The driver of the page refuses a time that the page calls unreliable, with EINVAL; the
    // virtio clock says EIO of TAI then. UTC it always tells.
    for (clock, errno) in [
        ("vmclock0", (!tells_time).then_some(22)),
        ("Virtio PTP type 4/variant 0", None),
        ("Virtio PTP type 1/variant 0", (!tells_time).then_some(5)),
    ] {
        for how in ["", " with the counter"] {
            let start = format!("{clock}{how}: ");
            let answer = said.iter().find_map(|line| line.strip_prefix(&*start));
            let is_right = match errno {
                Some(errno) => answer == Some(&*format!("errno {errno}")),
                None => answer.is_some_and(is_now),
            };
            ensure!(is_right, "PTP clock {clock}{how}: {answer:?}; all: {said:?}");
        }
    }
    Ok(())
}

/// Whether so many seconds are about now; TAI and UTC are less than a minute apart.
fn is_now(answer: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let sec = answer.strip_suffix(" s").and_then(|text| text.parse::<u64>().ok());
    sec.is_some_and(|sec| sec.abs_diff(now) < 3600)
}

/// Whether the host told a time, and the page so has more flags.
fn has_time(lines: &[String]) -> bool {
    let is_whole = |line: &&String| line.starts_with("size 4096, flags 0x3");
    lines.iter().find(is_whole).is_some_and(|line| line.ends_with("sequence count 0"))
}

/// Runs a guest to its end, or until it waits: then it is saved away, with the right to run or
/// without.
fn lived(
    mut run: Command,
    program: &Path,
    folder: &Path,
    number: usize,
    goes: Option<(&PathBuf, bool)>,
) -> Result<Vec<u8>> {
    let (state, words) = (folder.join("state"), folder.join("words"));
    run.arg("--state-dir").arg(&state).stderr(File::create(&words)?).arg("guest");
    let (mut console, mut is_saved) = (Vec::new(), false);
    let mut result = Ok(());
    let ended = process::pour(&mut run, LIMIT, |chunk| {
        console.extend_from_slice(chunk);
        let waits = format!("{SAYS}waiting {number}");
        let says_so = abide::said(&console, SAYS).contains(&waits[SAYS.len()..].to_owned());
        if let (true, false, Some((file, is_move))) = (says_so, is_saved, goes) {
            is_saved = true;
            result = save(program, file, is_move, &state);
        }
        result.is_err()
    })?;
    let words = fs::read_to_string(&words).unwrap_or_default();
    let text = String::from_utf8_lossy(&console);
    result.with_context(|| format!("{text}\n{words}"))?;
    let code = if goes.is_some() { SAVED_AWAY } else { POWERED_OFF };
    ensure!(ended == Ended::Exit(code), "{ended:?}, not exit code {code}: {text}\n{words}");
    Ok(console)
}

fn save(program: &Path, file: &Path, is_move: bool, state: &Path) -> Result<()> {
    let mut save = Command::new(program);
    save.args(["save", "guest"]).arg(file).arg("--state-dir").arg(state);
    if is_move {
        save.arg("--move");
    }
    process::capture(&mut save).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAS: Has = Has { vmclock: false, vmgenid: true };

    fn consoles(third: &str, fork: &str) -> Vec<Vec<u8>> {
        let first = "size 4096, flags 0x300, sequence count 0\nmapped\nnot writable\n\
                     0 PTP clocks\nbefore: status 4, marker 1, generation 1";
        let lives = [
            first.to_owned(),
            "woken: status 4, marker 2, generation 2".to_owned(),
            third.to_owned(),
            "woken: status 4, marker 4, generation 3".to_owned(),
            "woken: status 4, marker 5, generation 3\ndone".to_owned(),
        ];
        let said = |text: &str| text.lines().map(|it| format!("{SAYS}{it}\n")).collect::<String>();
        let mut lives: Vec<String> = lives.iter().map(|life| said(life)).collect();
        lives[1] += &format!("[ 1.0] random: {FORK}\n");
        lives[3] += &format!("[ 1.0] random: {fork}\n");
        lives.into_iter().map(String::into_bytes).collect()
    }

    #[test]
    fn a_guest_that_is_told_something_else_is_found_out() {
        let moved = "woken: status 4, marker 3, generation 2";
        judge(HAS, &consoles(moved, FORK)).unwrap();
        assert!(judge(HAS, &consoles("woken: status 4, marker 3, generation 3", FORK)).is_err());
        assert!(judge(HAS, &consoles("woken: status 4, marker 2, generation 2", FORK)).is_err());
        assert!(judge(HAS, &consoles(moved, "nothing")).is_err(), "Linux has not noticed the copy");
        let mut late = consoles(moved, FORK);
        late[2].extend(FORK.as_bytes());
        assert!(judge(HAS, &late).is_err(), "a move is no copy");
    }
}
