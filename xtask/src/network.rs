//! `network`: Linux guests with a network card, saved in the middle of their traffic.
//!
//! The guest (`guests/net`) exchanges datagrams and pings with a network that echoes, and checks
//! each answer. It runs once untouched and once for each save point: saved away there, restored by
//! another process. The state at the end, the console and the count of instructions must agree.
//! Then, in the host's time, it fetches bytes over TCP from a server here, is saved while it holds
//! a connection, and fetches others after the restore: the connection held must have been reset.

use crate::abide::{self, Linux, POWERED_OFF, Ran, SAVED_AWAY};
use crate::oracle::{KERNELS, points};
use crate::process::{self, Ended};
use crate::tally::Count;
use crate::tasks::guests;
use crate::{paths, traffic};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// What the guest needs of the modules that a guest with devices may have.
const MODULES: [&str; 4] = ["virtio_mmio", "failover", "net_failover", "virtio_net"];
/// What the guest says.
const SAYS: &str = "abide-net: ";
/// What it says when it can be saved with a connection open.
const HOLDING: &str = "abide-net: holding a connection";
/// One run may take this long, on slow cores that others use too.
const LIMIT: Duration = Duration::from_secs(300);
/// The server waits this long for the guest's next byte.
const SERVER_LIMIT: Duration = Duration::from_secs(300);
/// How much the guest fetches, in bytes: more than any window, and no multiple of a segment.
const FETCHED_LEN: usize = (3 << 20) + 7;
/// In which part of a run the traffic is sought: the last one in so many.
const TRAFFIC_PART: u64 = 8;

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long = "kernel", value_name = "SERIES", default_values_t = KERNELS.map(String::from))]
    kernels: Vec<String>,
    /// Numbers of vCPUs
    #[arg(long = "vcpus", value_name = "N", default_values_t = [1, 2])]
    vcpus: Vec<u32>,
    /// Save points for each kernel and number of vCPUs
    #[arg(long, default_value_t = 3)]
    points: u64,
    /// What the save points are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    ensure!(arguments.points > 0, "--points must be at least 1");
    let program = abide::build()?;
    let work = paths::work()?;
    for series in &arguments.kernels {
        for &vcpus in &arguments.vcpus {
            let folder = tempfile::tempdir_in(&work)?;
            let result = echo(arguments, series, vcpus, &program, folder.path(), count);
            if let Err(error) = result {
                println!("{series}, {vcpus} vCPUs: FAILED: {error:#}");
                *count += Count::one(false);
            }
        }
        let folder = tempfile::tempdir_in(&work)?;
        tell(series, "TCP over a save", tcp(series, &program, folder.path()), count);
    }
    Ok(())
}

fn tell(guest: &str, what: &str, result: Result<()>, count: &mut Count) {
    *count += Count::one(result.is_ok());
    match result {
        Ok(()) => println!("{guest}: {what}: as it should be"),
        Err(error) => println!("{guest}: {what}: FAILED: {error:#}"),
    }
}

/// The guest; with a port it fetches from there.
fn linux(series: &str, folder: &Path, port: Option<u16>) -> Result<Linux> {
    let port = port.map(|port| format!("{port:05}"));
    let files = port.as_ref().map(|port| ("port", port.as_bytes()));
    let is_wanted = |name: &str| MODULES.contains(&name);
    Linux::with_init(series, folder, &guests::net()?, files.as_slice(), is_wanted)
}

/// A guest that talks to the network that echoes, on one clock with its instructions.
struct Echoing<'a> {
    linux: Linux,
    vcpus: u32,
    program: &'a Path,
    folder: &'a Path,
}

fn echo(
    arguments: &Arguments,
    series: &str,
    vcpus: u32,
    program: &Path,
    folder: &Path,
    count: &mut Count,
) -> Result<()> {
    let guest = Echoing { linux: linux(series, folder, None)?, vcpus, program, folder };
    let name = format!("{series}, {vcpus} vCPUs");
    let whole = abide::ran_within(guest.run(), folder, "untouched", POWERED_OFF, LIMIT)?;
    let said = abide::said(&whole.console, SAYS);
    ensure!(said.last().is_some_and(|line| line == "done"), "the guest did not finish: {said:?}");
    let all = whole.report.instructions;
    println!("{name}: {all} instructions, ends as {}", whole.report.state_hash);
    // The kernel's start is the longest part, and the traffic follows it.
    let part = all / TRAFFIC_PART;
    let late = points(arguments.seed, arguments.points, part).into_iter().map(|at| all - part + at);
    let mut in_traffic = 0;
    for point in points(arguments.seed, 1, all).into_iter().chain(late) {
        let result = guest.check(point, &whole).map(|is_in_traffic| {
            in_traffic += u64::from(is_in_traffic);
        });
        tell(&name, &format!("save at {point}"), result, count);
    }
    println!("{name}: {in_traffic} saves in the traffic");
    ensure!(in_traffic > 0, "no save fell into the traffic: take another --seed or more --points");
    Ok(())
}

/// Whether what the guest said before it was saved ends between its first round and its last.
fn is_in_traffic(said: &[String]) -> bool {
    said.last().is_some_and(|line| line.starts_with("round "))
}

impl Echoing<'_> {
    fn run(&self) -> Command {
        let mut command = self.linux.run(self.program);
        command.args(["--deterministic", "--net", "echo", "--vcpus"]).arg(self.vcpus.to_string());
        command
    }

    /// Saves the guest after `point` instructions, restores it, and compares the end. Says whether
    /// the point lay in the traffic.
    fn check(&self, point: u64, untouched: &Ran) -> Result<bool> {
        let file = self.folder.join(format!("{point}.abide"));
        let mut save = self.run();
        save.arg("--save-at").arg(point.to_string()).arg("--save-to").arg(&file);
        let name = format!("{point}.save");
        let before = abide::ran_within(save, self.folder, &name, SAVED_AWAY, LIMIT)?;
        let mut restore = Command::new(self.program);
        restore.args(["restore", "--engine", "soft"]).arg(&file);
        let name = format!("{point}.restore");
        let after = abide::ran_within(restore, self.folder, &name, POWERED_OFF, LIMIT);
        // Files of a guest's RAM would fill a small disk.
        let _ = fs::remove_file(&file);
        let after = after?;
        let is_in_traffic = is_in_traffic(&abide::said(&before.console, SAYS));
        let console = [before.console, after.console].concat();
        ensure!(console == untouched.console, "the console differs");
        let (found, expected) = (&after.report, &untouched.report);
        let (ran, all) = (found.instructions, expected.instructions);
        ensure!(ran == all, "ends after {ran} instructions, not {all}");
        ensure!(found.state_hash == expected.state_hash, "ends as {}", found.state_hash);
        Ok(is_in_traffic)
    }
}

/// The bytes that the server gives who asks with `what`.
fn bytes_for(what: u8) -> Vec<u8> {
    traffic::bytes(what.into()).take(FETCHED_LEN).collect()
}

/// Answers on each connection to `listener`, until this program ends.
fn serve(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What goes wrong here the guest sees, and says so.
            thread::spawn(move || answer(stream));
        }
    });
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SERVER_LIMIT))?;
    let mut what = [0];
    stream.read_exact(&mut what)?;
    match what {
        [b'h'] => {
            stream.write_all(b"h")?;
            // Idle until the other end goes.
            stream.read(&mut what).map(|_| ())
        }
        [what] => stream.write_all(&bytes_for(what)),
    }
}

/// What the guest must have said at the end of its life over TCP.
fn expected_over_tcp() -> Vec<String> {
    let fetched = |what| {
        format!("fetched {FETCHED_LEN} bytes, hash {:016x}", traffic::hash_of(bytes_for(what)))
    };
    let modules = format!("{} modules", MODULES.len());
    let lines = ["holding a connection", "the held connection was reset"].map(str::to_owned);
    let [holding, reset] = lines;
    vec![modules, fetched(b'1'), holding, reset, fetched(b'2'), "done".to_owned()]
}

fn tcp(series: &str, program: &Path, folder: &Path) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a port of loopback")?;
    let port = listener.local_addr()?.port();
    serve(listener);
    let linux = linux(series, folder, Some(port))?;
    let file = folder.join("held.abide");
    let before = saved_while_holding(&linux, program, folder, &file)?;
    let mut restore = Command::new(program);
    restore.args(["restore", "--engine", "soft"]).arg(&file);
    let after = abide::ran_within(restore, folder, "restored", POWERED_OFF, LIMIT)?;
    let found = abide::said(&[before, after.console].concat(), SAYS);
    let expected = expected_over_tcp();
    ensure!(found == expected, "the guest says {found:?}, not {expected:?}");
    Ok(())
}

/// Runs the guest until it holds a connection, and saves it away; what it said.
fn saved_while_holding(
    linux: &Linux,
    program: &Path,
    folder: &Path,
    file: &PathBuf,
) -> Result<Vec<u8>> {
    let (state, words) = (folder.join("held.state"), folder.join("held.err"));
    let mut run = linux.run(program);
    run.args(["--net", "user", "--state-dir"]).arg(&state).stderr(File::create(&words)?);
    // Behind the options, for it is optional.
    run.arg("held");
    let mut console = Vec::new();
    let mut saved = None;
    let ended = process::pour(&mut run, LIMIT, |chunk| {
        console.extend_from_slice(chunk);
        if saved.is_none() && String::from_utf8_lossy(&console).contains(HOLDING) {
            let mut save = Command::new(program);
            save.args(["save", "held"]).arg(file).arg("--state-dir").arg(&state);
            saved = Some(process::capture(&mut save));
        }
        matches!(saved, Some(Err(_)))
    })?;
    let text = String::from_utf8_lossy(&console);
    let words = fs::read_to_string(&words).unwrap_or_default();
    saved.with_context(|| format!("it held no connection ({ended:?}): {text}\n{words}"))??;
    if ended != Ended::Exit(SAVED_AWAY) {
        bail!("{ended:?} after it was saved\n{words}");
    }
    Ok(console)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_lies_between_the_first_round_and_the_checksum() {
        let lines = |console: &[u8]| is_in_traffic(&abide::said(console, SAYS));
        assert!(lines(b"[ 0.1] kernel\r\nabide-net: 4 modules\r\nabide-net: round 1/40\r\n"));
        assert!(!lines(b"abide-net: 4 modules\r\n"));
        assert!(!lines(b"abide-net: round 40/40\r\nabide-net: network checksum 7\r\n"));
    }
}
