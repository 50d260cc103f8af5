//! `migrations`: a Linux guest under load is handed from process to process, many times in a row.
//!
//! Two processes with state directories of their own stand for two hosts. The guest ([`load`])
//! rewrites memory and a disk, talks to a network that echoes, and counts on its console. After
//! each move every worker must have gone on, and no line may be missing or come twice; at the end
//! the guest checks all of its memory, and its disk is read from outside. Before that a guest in
//! virtual time goes such ways, and must end to the bit as one that stayed ([`lockstep`]).

pub mod load;
mod lockstep;

use crate::abide::live::{Abide, Process, expecting, wait_for};
use crate::abide::{self, GIVEN_AWAY};
use crate::paths;
use crate::tally::Count;
use anyhow::{Context, Result, bail, ensure};
use load::{Heard, Load};
use std::fmt;
use std::fs;
use std::path::Path;

/// The guest's name on both hosts.
const NAME: &str = "guest";
const VCPUS: u32 = 4;

#[derive(clap::Args)]
pub struct Arguments {
    /// How often the guest moves
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// Kernel series
    #[arg(long, value_name = "SERIES", default_value = "6.12")]
    kernel: String,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    let program = abide::build()?;
    let work = tempfile::tempdir_in(paths::work()?)?;
    let sockets = tempfile::tempdir()?;
    let host = |name| Host::new(&program, work.path(), name);
    let hosts = [host("one")?, host("two")?];
    let result = lockstep::check(&arguments.kernel, &hosts, work.path(), sockets.path());
    let result = result.context("in virtual time").and_then(|()| {
        *count += Count::one(true);
        let load = Load::new(&arguments.kernel, work.path())?;
        under_load(&load, &hosts, sockets.path(), arguments.rounds, count)
    });
    if result.is_err() {
        println!("what the processes said is in {}", work.keep().display());
    }
    result
}

fn under_load(
    load: &Load,
    hosts: &[Host; 2],
    sockets: &Path,
    rounds: u32,
    count: &mut Count,
) -> Result<()> {
    let mut guest = Guest::start(load, &hosts[0])?;
    let mut moves = Vec::new();
    let mut travel = || {
        for (round, way) in (0..rounds).zip(Way::ALL.into_iter().cycle()) {
            let [one, other] = hosts;
            let between = if round % 2 == 0 { [one, other] } else { [other, one] };
            let moved = guest.moves(way, between, &sockets.join(round.to_string()));
            let moved = moved.with_context(|| format!("move {}, {way}", round + 1))?;
            *count += Count::one(true);
            println!("{:>4} {moved}", round + 1);
            moves.push(moved);
        }
        guest.end(load)
    };
    let result = travel();
    print!("{}", table(&moves));
    if let Err(error) = result {
        let (console, words) = (guest.here.console(), guest.here.words());
        return Err(error.context(format!("{}\n{words}", load::tail(&console))));
    }
    *count += Count::one(true);
    let Heard { lines, others, .. } = &guest.heard;
    println!("{lines} lines without a gap; memory, disk and network are as they should be");
    for line in others {
        println!("the guest's kernel: {line}");
    }
    Ok(())
}

/// What carries the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A UNIX socket: memory by its descriptor.
    Unix,
    /// TCP between known keys: memory as pages.
    Tls,
    /// TCP without keys.
    Plain,
    /// As [`Self::Tls`], memory packed and on further connections.
    TlsPacked,
    /// As [`Self::Plain`], memory on further connections.
    PlainWide,
}

impl Way {
    /// An odd number: the guest goes there and back alternately, and each way in both directions.
    const ALL: [Self; 5] = [Self::Unix, Self::Tls, Self::Plain, Self::TlsPacked, Self::PlainWide];

    /// What the source alone is told.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Unix | Self::Tls | Self::Plain => &[],
            Self::TlsPacked => &["--connections", "2", "--compress", "lz4"],
            Self::PlainWide => &["--connections", "4"],
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unix => "unix",
            Self::Tls => "tls",
            Self::Plain => "plain",
            Self::TlsPacked => "tls, 2 connections, lz4",
            Self::PlainWide => "plain, 4 connections",
        })
    }
}

/// What stands for a host: a state directory, and a key.
struct Host {
    abide: Abide,
    key: String,
    identity: String,
}

impl Host {
    fn new(program: &Path, work: &Path, name: &str) -> Result<Self> {
        let folder = work.join(name);
        fs::create_dir(&folder)?;
        let abide = Abide { program: program.to_owned(), folder };
        let [key, identity] = abide.keygen()?;
        Ok(Self { abide, key, identity })
    }

    /// What it is told about the way to `peer`.
    fn options(&self, way: Way, peer: &Self) -> Vec<String> {
        let mut options = vec!["--volatile-journal".to_owned()];
        match way {
            Way::Unix => {}
            Way::Plain | Way::PlainWide => options.push("--insecure-plain-tcp".to_owned()),
            Way::Tls | Way::TlsPacked => {
                let words = ["--key", &self.key, "--trust", &peer.identity];
                options.extend(words.map(str::to_owned));
            }
        }
        options
    }
}

/// What a move took, as its source saw it.
struct Move {
    way: Way,
    blackout_ns: u64,
    rounds: u64,
    pages: u64,
}

impl Move {
    fn from_report(way: Way, report: &[u8]) -> Result<Self> {
        let json: serde_json::Value = serde_json::from_slice(report).context("the report")?;
        let number = |name: &str| {
            let number = json.get(name).and_then(serde_json::Value::as_u64);
            number.with_context(|| format!("the report has no number `{name}`"))
        };
        let [blackout_ns, rounds, pages] =
            [number("blackout_ns")?, number("rounds")?, number("pages")?];
        Ok(Self { way, blackout_ns, rounds, pages })
    }
}

#[expect(clippy::cast_precision_loss, reason = "for reading, to 10 us")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, blackout_ns, rounds, pages } = self;
        write!(f, "{way:<23} {:>9.2} ms, {pages:>6} pages in {rounds} rounds", ms(*blackout_ns))
    }
}

/// How long the guest stood still, by way.
fn table(moves: &[Move]) -> String {
    let mut text = format!("{:<23} {:>5} {:>11} {:>11}\n", "way", "moves", "median ms", "worst ms");
    for way in Way::ALL {
        let of_way = moves.iter().filter(|moved| moved.way == way);
        let mut blackouts: Vec<u64> = of_way.map(|moved| moved.blackout_ns).collect();
        blackouts.sort_unstable();
        if let (Some(median), Some(worst)) = (blackouts.get(blackouts.len() / 2), blackouts.last())
        {
            let (median, worst) = (ms(*median), ms(*worst));
            text += &format!("{way:<23} {:>5} {median:>11.2} {worst:>11.2}\n", blackouts.len());
        }
    }
    text
}

/// Hands the guest that is `here` from one host to the other, whose process is told `more`.
fn hand_over(
    here: &mut Process,
    way: Way,
    [from, to]: [&Host; 2],
    socket: &Path,
    more: &[&str],
) -> Result<(Process, Move)> {
    let at = match way {
        Way::Unix => format!("unix:{}", socket.display()),
        _ => "tcp:127.0.0.1:0".to_owned(),
    };
    let options = to.options(way, from);
    let options: Vec<&str> =
        options.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let (there, address) = expecting(&to.abide, NAME, &at, &options)?;
    let mut command = from.abide.command(&["migrate", NAME, &address, "--json"]);
    command.args(from.options(way, to)).args(way.options());
    let mut migrate = Process::start("abide migrate", command, from.abide.words_of("migrate"))?;
    let status = migrate.end()?;
    ensure!(status.success(), "abide migrate: {status}: {}", migrate.words());
    let moved = Move::from_report(way, &migrate.console())?;
    let status = here.end()?;
    let is_right = status.code() == Some(GIVEN_AWAY);
    ensure!(is_right, "the source ended with {status}: {}", here.words());
    Ok((there, moved))
}

/// The guest, in the process that has it.
struct Guest {
    here: Process,
    /// How much of this process' console was heard.
    taken: usize,
    heard: Heard,
}

impl Guest {
    fn start(load: &Load, host: &Host) -> Result<Self> {
        let mut command = host.abide.here(load.run(&host.abide.program, VCPUS));
        command.arg(NAME);
        let here = Process::start(NAME, command, host.abide.words_of(NAME))?;
        let mut guest = Self { here, taken: 0, heard: Heard::default() };
        guest.goes_on().context("the guest's start")?;
        Ok(guest)
    }

    /// Takes what came from the console.
    fn hear(&mut self) -> Result<()> {
        let console = self.here.console();
        let new = &console[self.taken..];
        self.taken = console.len();
        self.heard.hear(new)
    }

    /// Waits until every worker has done something.
    fn goes_on(&mut self) -> Result<()> {
        let since = self.heard.steps;
        let waited = wait_for("a step of every worker", || {
            self.hear()?;
            if let Some(status) = self.here.ended()? {
                bail!("the guest's process ended with {status}: {}", self.here.words());
            }
            Ok(self.heard.all_went_on(&since).then_some(()))
        });
        waited.with_context(|| format!("from {since:?} to {:?}", self.heard.steps))
    }

    /// Hands the guest from one host to the other.
    fn moves(&mut self, way: Way, between: [&Host; 2], socket: &Path) -> Result<Move> {
        let (there, moved) = hand_over(&mut self.here, way, between, socket, &[])?;
        self.hear()?;
        (self.here, self.taken) = (there, 0);
        self.goes_on()?;
        Ok(moved)
    }

    /// Lets the guest come to its end, and looks at all that it worked on.
    fn end(&mut self, load: &Load) -> Result<()> {
        self.here.type_in("\n")?;
        let status = self.here.end()?;
        self.hear()?;
        ensure!(status.success(), "the guest's end: {status}: {}", self.here.words());
        load.check_end(&self.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_median_and_worst_of_each_way() {
        let moved = |way, ms: u64| Move { way, blackout_ns: ms * 1_000_000, rounds: 2, pages: 9 };
        let text = table(&[moved(Way::Tls, 30), moved(Way::Tls, 10), moved(Way::Tls, 20)]);
        let line: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(line, ["tls", "3", "20.00", "30.00"]);
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn report_without_a_blackout_is_refused() {
        let report = br#"{"blackout_ns": 1500000, "rounds": 3, "pages": 7}"#;
        let moved = Move::from_report(Way::Plain, report).unwrap();
        assert_eq!(
            moved.to_string(),
            "plain                        1.50 ms,      7 pages in 3 rounds"
        );
        assert!(Move::from_report(Way::Plain, br#"{"rounds": 3, "pages": 7}"#).is_err());
    }
}
