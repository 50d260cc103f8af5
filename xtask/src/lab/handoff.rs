//! Guests that work are handed from process to process of abide: on each host kernel, by a UNIX
//! socket, over TLS and over plain TCP; and between two hosts that run, over a wire.

use super::abi::{self, Kind, Looks};
use super::host::{Errand, File, Finished, Host, Kernel, tail};
use super::linux::{self, Debian};
use super::relay::{self, By, Came, End, Relay};
use super::stay::LINK_DISK;
use super::wire;
use crate::abide;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;

/// The kernels of the hosts.
const HOSTS: [&str; 3] = ["6.1", "6.12", "7.2"];
/// A host and what its guests do there.
const LIMIT: Duration = Duration::from_secs(900);

/// How guests go on each host.
const WAYS: [By; 3] = [By::Unix, By::Tls, By::PlainTcp];
/// How a guest goes between two.
const BETWEEN: [By; 2] = [By::Wire, By::Wire];
/// The kernel of the second of them.
const OTHER: &str = "7.2";

/// The guest that judges.
const JUDGE: Relay = Relay {
    name: "abi",
    run: abi::RUN,
    until: (" interrupts ", 3),
    ways: &WAYS,
    end: End::Saved,
    has_clock: false,
    shared_disk: None,
};

/// The guest that works.
fn worker<'a>(run: &'a str, ways: &'a [By]) -> Relay<'a> {
    Relay {
        name: "debian",
        run,
        until: (linux::ROUND, 2),
        ways,
        end: End::PowersOff,
        has_clock: true,
        shared_disk: None,
    }
}

/// The guest that judges, on each kernel.
///
/// # Errors
/// If it saw something, or was refused.
pub fn judged(birth: &Host, show: bool) -> Result<String> {
    let files = vec![File::data("abi.img", guests::abi()?)];
    on_each(birth, &JUDGE, &files, |came| seen_nothing(came, &birth.cpu), show)
}

/// A guest that works, on each kernel.
///
/// # Errors
/// If something of it was lost, or it was refused.
pub fn worked(birth: &Host, show: bool) -> Result<String> {
    let debian = Debian::new()?;
    let arguments = debian.arguments_there();
    let birth = birth.clone().with_disk(&debian.disk);
    on_each(&birth, &worker(&arguments, &WAYS), &debian.files()?, worked_on, show)
}

fn on_each(
    birth: &Host,
    relay: &Relay,
    files: &[File],
    judge: impl Fn(&Came) -> Result<String>,
    show: bool,
) -> Result<String> {
    let mut files = files.to_vec();
    files.push(File::program("abide", fs::read(abide::build_for_arm()?)?));
    let disk = if birth.disk.is_some() { LINK_DISK } else { "" };
    let [script, _] = relay.scripts();
    let script = format!("{disk}{}{script}", relay::functions());
    let mut notes = Vec::new();
    for series in HOSTS {
        let host = Host { kernel: Kernel::named(series), ..birth.clone() };
        let errand = Errand { files: &files, script: &script, brings: true, limit: LIMIT, show };
        let finished = host.run(&errand).with_context(|| host.to_string())?;
        let hosts = [&finished];
        ensure!(finished.code == 0, "{host}: {}{}", ended(&finished), relay.words(&hosts));
        let note = relay.came(&hosts).and_then(|came| judge(&came));
        notes.push(format!("{series}: {}", note.with_context(|| host.to_string())?));
    }
    Ok(notes.join("; "))
}

/// The guest that judges has seen nothing.
fn seen_nothing(came: &Came, cpu: &str) -> Result<String> {
    let looks = Looks::of(&came.console(), Kind { cpu, is_promised: false })?;
    ensure!(looks.excepted.is_empty(), "a guest that stays on its host saw {:?}", looks.excepted);
    Ok(format!("{} looks without a difference, {}", looks.count, came.stood()))
}

/// The guest that works has lost nothing, and its clock goes on with its host's.
fn worked_on(came: &Came) -> Result<String> {
    let said = linux::as_everywhere(&came.console())?;
    let behind_us = came.behind_ns()? / 1000;
    Ok(format!("Linux: {said}, clock {behind_us} us behind, {}", came.stood()))
}

/// From one running host to another and back, under a contract over both.
///
/// # Errors
/// As [`worked`].
pub fn between_two(birth: &Host, contract: &str, show: bool) -> Result<String> {
    let debian = Debian::new()?;
    let [here, there] =
        [birth.clone(), Host::debian(OTHER, &birth.cpu)].map(|host| host.with_disk(&debian.disk));
    let arguments = format!("--contract {contract} {}", debian.arguments_there());
    let worker = worker(&arguments, &BETWEEN);
    let pair = Pair { hosts: [&here, &there], files: debian.files()?, limit: LIMIT };
    let came = pair.relay(&worker, show)?;
    let way = format!("{} → {OTHER} → {}", birth.kernel, birth.kernel);
    Ok(format!("{way} under {contract}: {}", worked_on(&came)?))
}

/// Two hosts between which a guest goes.
pub struct Pair<'a> {
    pub hosts: [&'a Host; 2],
    /// What the first one finds in its root directory besides abide.
    pub files: Vec<File>,
    /// How long all of it may take.
    pub limit: Duration,
}

impl Pair<'_> {
    /// Lets both run, and a guest go between them.
    ///
    /// # Errors
    /// If one of them does not come to its end.
    pub fn relay(self, relay: &Relay, show: bool) -> Result<Came> {
        let abide = fs::read(abide::build_for_arm()?)?;
        let mut files = [self.files, Vec::new()];
        files.iter_mut().for_each(|files| files.push(File::program("abide", abide.clone())));
        let mut first = relay::functions();
        if self.hosts.iter().any(|host| host.disk.is_some()) {
            first += LINK_DISK;
        }
        if relay.shared_disk.is_some() {
            first += relay::LINK_SHARED_DISK;
        }
        if relay.end == End::Typed {
            first += relay::TYPE;
        }
        let [one, other] = relay.scripts();
        let [acquaint_one, acquaint_other] = relay::acquaint();
        let scripts =
            [format!("{first}{acquaint_one}{one}"), format!("{first}{acquaint_other}{other}")];
        let end = |n: usize| wire::End {
            host: self.hosts[n],
            files: &files[n],
            script: &scripts[n],
            brings: true,
            shared_disk: relay.shared_disk,
        };
        let [one, other] = wire::run([end(0), end(1)], self.limit, show, |_, _, _| Ok(()))?;
        let hosts = [&one, &other];
        let both = || format!("{}\n--- the other: {}", ended(&one), ended(&other));
        ensure!(one.code == 0 && other.code == 0, "{}{}", both(), relay.words(&hosts));
        relay.came(&hosts)
    }
}

fn ended(host: &Finished) -> String {
    format!("exit code {}\n{}", host.code, tail(&host.output))
}
