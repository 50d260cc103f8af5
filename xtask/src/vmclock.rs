//! `vmclock`: a Linux guest that looks at the page with the time, over copies and moves.
//!
//! Debian's kernel binds its own drivers to the pages, and Linux' driver to the virtio clock, which
//! Debian does not build; kernels before 6.13 have a driver of ours for the page. The guest
//! (`guests/vmclock`) reads and maps that of the time, asks the PTP clocks, and sleeps until it is
//! told of something. It is saved and restored by turns as a copy and as the same guest, and must
//! wake each time with the numbers that say which; the kernel must seed its random numbers anew in
//! each copy, and in no other. Awake, it has taken what it was told, and `abide clock` must say so.
//!
//! Each life has another host's clock, by `--host-clock sim:FILE`: with one vCPU one that nobody
//! has set, else one that knows TAI and is hours ahead of the last. What a PTP clock then says must
//! be of this life, and within the bounds that the page gives.

use crate::abide::{self, Linux, POWERED_OFF, SAVED_AWAY};
use crate::debian::driver::{self, Driver};
use crate::oracle::KERNELS;
use crate::process::{self, Ended};
use crate::tally::Count;
use crate::tasks::guests;
use anyhow::{Context, Result, anyhow, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the guest says.
const SAYS: &str = "abide-vmclock: ";
/// One life may take this long, on slow cores that others use too.
const LIMIT: Duration = Duration::from_secs(240);
/// How often `abide clock` is asked whether the guest has taken what woke it.
const ASKED_MAX: usize = 100;
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
    let clock =
        |number: u32| HostClock { ahead_s: (vcpus > 1).then_some(i64::from(number) * 7000) };
    let mut run = linux.run(program);
    run.arg("--vcpus").arg(vcpus.to_string()).arg("--virtio-rtc");
    let mut lives = vec![lived(run, program, folder, 1, clock(1), Some((&file(1), MOVES[0])))?];
    for (number, is_move) in (1..).zip(MOVES) {
        let mut restore = Command::new(program);
        restore.args(["restore", "--engine", "soft"]).arg(file(number));
        if is_move {
            restore.arg("--move");
        }
        let next = file(number + 1);
        let goes = MOVES.get(number).map(|&is_move| (&next, is_move));
        let clock = clock(u32::try_from(number + 1)?);
        lives.push(lived(restore, program, folder, number + 1, clock, goes)?);
    }
    judge(has, &lives)
}

/// The clock of a life's host, that of this machine's kernel aside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostClock {
    /// What it is ahead of this machine's; `None`: nobody has set it, and it tells no time.
    pub ahead_s: Option<i64>,
}

impl HostClock {
    /// As `--host-clock sim:FILE` reads it.
    pub fn description(self) -> String {
        match self.ahead_s {
            Some(ahead_s) => format!("offset-ns {ahead_s}000000000\ntai-s {TAI_S}\n"),
            None => "synchronised no\n".to_owned(),
        }
    }
}

/// What TAI is ahead of UTC.
pub const TAI_S: i64 = 37;

/// One life of a guest.
struct Life {
    console: Vec<u8>,
    clock: HostClock,
    /// This machine's clock when it began and when it had ended, in seconds.
    from_s: i64,
    to_s: i64,
}

/// What the guest said in all of its lives.
fn judge(has: Has, lives: &[Life]) -> Result<()> {
    let consoles: Vec<&[u8]> = lives.iter().map(|life| &*life.console).collect();
    let lines = abide::said(&consoles.concat(), SAYS);
    let says = |line: &str| lines.iter().any(|said| said == line);
    ensure!(says("size 4096, flags 0x300, sequence count 0") || has_time(&lines), "{lines:?}");
    for line in ["mapped", "not writable", "done"] {
        ensure!(says(line), "the guest does not say {line:?}: {lines:?}");
    }
    for (number, life) in (1..).zip(lives) {
        judge_life(has, life).with_context(|| format!("life {number}"))?;
    }
    let woken: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("woken: ")).collect();
    let numbers: Vec<&str> =
        woken.iter().filter_map(|line| line.split_once(", ")).map(|(_, rest)| rest).collect();
    let expected =
        told().map(|(marker, generation)| format!("marker {marker}, generation {generation}"));
    ensure!(numbers == expected, "the guest woke with {woken:?}, not {expected:?}");
    for (number, is_move) in (1..).zip(MOVES) {
        let console = String::from_utf8_lossy(consoles[number]);
        let forked = console.contains(FORK);
        let expected = has.vmgenid && !is_move;
        ensure!(forked == expected, "life {}: {FORK:?}: {forked}\n{console}", number + 1);
    }
    Ok(())
}

/// What the page's status and the PTP clocks must have said in a life.
fn judge_life(has: Has, life: &Life) -> Result<()> {
    let lines = abide::said(&life.console, SAYS);
    let tells_time = life.clock.ahead_s.is_some();
    let status = if tells_time { "status 2," } else { "status 4," };
    let said: Vec<&String> = lines.iter().filter(|line| line.contains("status ")).collect();
    ensure!(said.iter().all(|line| line.contains(status)), "{said:?}, not `{status}`");
    ensure!(!said.is_empty(), "the guest did not look at its page");
    let said: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("PTP ")).collect();
    if !has.vmclock {
        ensure!(said.is_empty() && lines.iter().any(|line| line == "0 PTP clocks"), "{said:?}");
        return Ok(());
    }
    // The driver of the page refuses a time that the page calls unreliable, with EINVAL; the
    // virtio clock says EIO of TAI then. UTC it always tells: this machine's.
    for (clock, errno, is_tai) in [
        ("vmclock0", (!tells_time).then_some(22), true),
        ("Virtio PTP type 4/variant 0", None, false),
        ("Virtio PTP type 1/variant 0", (!tells_time).then_some(5), true),
    ] {
        for how in ["", " with the counter"] {
            let start = format!("{clock}{how}: ");
            let answer = said.iter().find_map(|line| line.strip_prefix(&*start));
            let answer = answer.with_context(|| format!("no PTP clock {clock}{how}: {said:?}"))?;
            let judged = match errno {
                Some(errno) if answer == format!("errno {errno}") => Ok(()),
                Some(errno) => Err(anyhow!("not errno {errno}")),
                None => judge_time(answer, life, is_tai),
            };
            judged.with_context(|| format!("PTP clock {clock}{how}: {answer}"))?;
        }
    }
    Ok(())
}

/// Whether a PTP clock's time is of this life, and TAI within the bounds of the page.
pub fn within_bounds(answer: &str) -> Result<()> {
    let (ptp, bounds) = answer.split_once(" s, by the page ").context("no bounds")?;
    let (low, high) = bounds.split_once(" to ").context("no bounds")?;
    let [ptp, low, high] = [nanoseconds(ptp)?, nanoseconds(low)?, nanoseconds(high)?];
    ensure!((low..=high).contains(&ptp), "outside the page's bounds");
    // Half a second is as much as a page of a second's age may be wrong, and a slow host between.
    ensure!(high - low < 500_000_000, "the bounds are {} ns apart", high - low);
    Ok(())
}

fn judge_time(answer: &str, life: &Life, is_tai: bool) -> Result<()> {
    let ahead_s = life.clock.ahead_s.filter(|_| is_tai).map_or(0, |ahead_s| ahead_s + TAI_S);
    if is_tai {
        within_bounds(answer)?;
    }
    let (time, _) = answer.split_once(" s").context("no seconds")?;
    let sec = i64::try_from(nanoseconds(time)? / 1_000_000_000)?;
    // The bounds may reach into the second before or after.
    let span = life.from_s + ahead_s - 1..=life.to_s + ahead_s + 1;
    ensure!(span.contains(&sec), "not between {} and {}", span.start(), span.end());
    Ok(())
}

/// A time in seconds with nine digits behind the point.
///
/// # Errors
/// If it is none.
pub fn nanoseconds(text: &str) -> Result<i128> {
    let (sec, ns) = text.split_once('.').with_context(|| format!("`{text}` is no time"))?;
    ensure!(ns.len() == 9, "`{text}` is no time");
    Ok(sec.parse::<i128>()? * 1_000_000_000 + ns.parse::<i128>()?)
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
    clock: HostClock,
    goes: Option<(&PathBuf, bool)>,
) -> Result<Life> {
    let (state, words) = (folder.join("state"), folder.join("words"));
    let described = folder.join("clock");
    fs::write(&described, clock.description())?;
    run.arg("--host-clock").arg(format!("sim:{}", described.display()));
    let from_s = now_s()?;
    run.arg("--state-dir").arg(&state).stderr(File::create(&words)?).arg("guest");
    let (mut console, mut is_saved) = (Vec::new(), false);
    let mut result = Ok(());
    let ended = process::pour(&mut run, LIMIT, |chunk| {
        console.extend_from_slice(chunk);
        let waits = format!("{SAYS}waiting {number}");
        let says_so = abide::said(&console, SAYS).contains(&waits[SAYS.len()..].to_owned());
        if let (true, false, Some((file, is_move))) = (says_so, is_saved, goes) {
            is_saved = true;
            let heard = if number > 1 { has_taken(program, &state) } else { Ok(()) };
            result = heard.and_then(|()| save(program, file, is_move, &state));
        }
        result.is_err()
    })?;
    let words = fs::read_to_string(&words).unwrap_or_default();
    let text = String::from_utf8_lossy(&console);
    result.with_context(|| format!("{text}\n{words}"))?;
    let code = if goes.is_some() { SAVED_AWAY } else { POWERED_OFF };
    ensure!(ended == Ended::Exit(code), "{ended:?}, not exit code {code}: {text}\n{words}");
    Ok(Life { console, clock, from_s, to_s: now_s()? })
}

fn now_s() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}

/// `abide clock` says that the guest's driver has taken the last notification.
fn has_taken(program: &Path, state: &Path) -> Result<()> {
    let mut said = String::new();
    // The page may be updated, and the guest told anew, between its waking and the question.
    for _ in 0..ASKED_MAX {
        let mut clock = Command::new(program);
        clock.args(["clock", "guest", "--json", "--state-dir"]).arg(state);
        said = process::capture(&mut clock)?;
        let clock: serde_json::Value = serde_json::from_str(&said)?;
        if clock["notified_is_taken"] == true && clock["notified_vcpu"].is_u64() {
            return Ok(());
        }
    }
    Err(anyhow!("the guest is awake, and has not taken what woke it: {said}"))
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
    const UNSET: HostClock = HostClock { ahead_s: None };

    fn life(console: String, clock: HostClock) -> Life {
        Life { console: console.into_bytes(), clock, from_s: 1000, to_s: 1010 }
    }

    fn said(text: &str) -> String {
        text.lines().map(|it| format!("{SAYS}{it}\n")).collect()
    }

    fn lives(third: &str, fork: &str) -> Vec<Life> {
        let first = "size 4096, flags 0x300, sequence count 0\nmapped\nnot writable\n\
                     0 PTP clocks\nbefore: status 4, marker 1, generation 1";
        let woken = |text: &str| said(&format!("woken: status 4, {text}\n0 PTP clocks"));
        let mut lives = [
            said(first),
            woken("marker 2, generation 2"),
            woken(third),
            woken("marker 4, generation 3"),
            woken("marker 5, generation 3") + &said("done"),
        ];
        lives[1] += &format!("[ 1.0] random: {FORK}\n");
        lives[3] += &format!("[ 1.0] random: {fork}\n");
        lives.map(|console| life(console, UNSET)).into()
    }

    #[test]
    fn a_guest_that_is_told_something_else_is_found_out() {
        let moved = "marker 3, generation 2";
        judge(HAS, &lives(moved, FORK)).unwrap();
        assert!(judge(HAS, &lives("marker 3, generation 3", FORK)).is_err());
        assert!(judge(HAS, &lives("marker 2, generation 2", FORK)).is_err());
        assert!(judge(HAS, &lives(moved, "nothing")).is_err(), "Linux has not noticed the copy");
        let mut late = lives(moved, FORK);
        late[2].console.extend(FORK.as_bytes());
        assert!(judge(HAS, &late).is_err(), "a move is no copy");
    }

    /// What all PTP clocks say of a life with a clock that is 7000 s ahead.
    fn all_ptp(of_page: &str) -> Life {
        let times = [
            ("vmclock0", of_page),
            ("Virtio PTP type 4/variant 0", "1005.000000000 s"),
            ("Virtio PTP type 1/variant 0", TRUE),
        ];
        let lines = times.map(|(clock, time)| {
            format!("PTP {clock}: {time}\nPTP {clock} with the counter: {time}\n")
        });
        let text = format!("woken: status 2, marker 2, generation 2\n{}", lines.concat());
        life(said(&text), HostClock { ahead_s: Some(7000) })
    }

    const TRUE: &str = "8042.000000500 s, by the page 8042.000000000 to 8042.000001000";

    #[test]
    fn a_time_outside_of_bounds_or_of_another_life_is_found_out() {
        let has = Has { vmclock: true, vmgenid: true };
        judge_life(has, &all_ptp(TRUE)).unwrap();
        for wrong in [
            "8042.000001001 s, by the page 8042.000000000 to 8042.000001000",
            "8041.999999999 s, by the page 8042.000000000 to 8042.000001000",
            "8042.500000000 s, by the page 8042.000000000 to 8043.000000000",
            "1042.000000500 s, by the page 1042.000000000 to 1042.000001000",
            "8042.000000500 s",
            "errno 22",
        ] {
            assert!(judge_life(has, &all_ptp(wrong)).is_err(), "{wrong}");
        }
        let unset = Life { clock: UNSET, ..all_ptp(TRUE) };
        assert!(judge_life(has, &unset).is_err(), "nobody has set that clock");
    }
}
