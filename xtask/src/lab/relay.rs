//! A guest that goes from process to process of abide while it runs: what the shells of one host,
//! or of two, do for that, and what came of it.

use super::host::{Finished, tail};
use super::wire::Side;
use crate::abide;
use crate::vmclock::{HostClock, nanoseconds};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;

/// What the shells do: a guest's processes write to files of its name in `/out`. On such hosts a
/// guest writes much while little is copied: with less downtime a handoff would take all rounds.
const FUNCTIONS: &str = "\
TYPED=/dev/null
fail() { echo \"abide-lab: $*\"; exit 9; }
begin() {
    name=$1
    shift
    /abide \"$@\" --engine kvm --host-clock sim:/clock --state-dir /state \\
        <$TYPED >/out/$name.console 2>/out/$name.words &
    process=$!
}
heard() { [ $(grep -c \"$2\" /out/$1) -ge $3 ] || ! kill -0 $process 2>/dev/null; }
arrived() {
    ! grep 'nothing came' /out/$1.words || fail \"$1 has not come\"
    heard $1.words 'stood still for' 1
}
expect() {
    begin $1 receive \"$@\" --report /out/$1.report --volatile-journal
    wait_until heard $1.words 'is expected at' 1
}
hand_over() {
    /abide migrate \"$@\" --json --downtime 2000 --volatile-journal --state-dir /state \\
        >/out/$1.left 2>>/out/$1.words || fail \"$1 stays: $(tail -n 3 /out/$1.words)\"
}
ended() {
    wait $2
    code=$?
    [ $code -eq $3 ] || fail \"$1: exit code $code, not $3\"
}
look_at_clock() {
    /abide clock $1 --json --state-dir /state >/out/$1.clock || fail \"no clock of $1\"
}
knock() { nc -w 5 $PEER $1 </dev/null; }
give() { nc -w 5 $PEER 6000 </identity; }
get() { PEER_KEY=$(timeout 300 nc -l -p 6000) || fail 'the other host does not say its key'; }
";

/// What is typed comes to the process that has the guest.
pub const TYPE: &str = "mkfifo /typed && exec 3<>/typed && TYPED=/typed\n";
/// A disk of two hosts, whose kernels must keep nothing of it.
pub const SHARED_DISK: &str = "/shared-disk";
pub const LINK_SHARED_DISK: &str = ". /disk\nln -s $(disk shared) /shared-disk\n";

/// Keys for both sides of a handoff on one host.
const KEYS: &str = "\
ip link set lo up
FROM=$(/abide keygen /from) && TO=$(/abide keygen /to) || fail 'no keys'
";

/// How a guest goes to the next process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Unix,
    Tls,
    PlainTcp,
    /// To the other host, over TLS.
    Wire,
}

impl By {
    /// The address on one host, what protects the source's end, and what the destination's.
    const fn words(self) -> [&'static str; 3] {
        match self {
            Self::Unix => ["unix:/socket", "", ""],
            Self::Tls | Self::Wire => {
                ["tcp:127.0.0.1:7070", "--key /from --trust $TO", "--key /to --trust $FROM"]
            }
            Self::PlainTcp => {
                ["tcp:127.0.0.1:7071", "--insecure-plain-tcp", "--insecure-plain-tcp"]
            }
        }
    }

    /// How the guest's memory goes, in abide's word.
    const fn memory(self) -> &'static str {
        match self {
            Self::Unix => "descriptor",
            Self::Tls | Self::PlainTcp | Self::Wire => "stream",
        }
    }
}

/// How a guest ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    PowersOff,
    /// When something is typed.
    Typed,
    /// It would go on for ever, and is saved.
    Saved,
}

/// A guest that goes from process to process. These have its name and a number from 0.
pub struct Relay<'a> {
    pub name: &'a str,
    /// What follows `abide run NAME`.
    pub run: &'a str,
    /// It leaves a process when it has said this there, so many times.
    pub until: (&'a str, u32),
    /// How it goes to each next process.
    pub ways: &'a [By],
    pub end: End,
    /// Whether it has a page of time.
    pub has_clock: bool,
    /// What it writes to as [`SHARED_DISK`], if two hosts share that.
    pub shared_disk: Option<&'a Path>,
}

/// The shells of two hosts; the second of one host alone does nothing.
#[derive(Default)]
struct Scripts([String; 2]);

impl Scripts {
    fn on(&mut self, side: Side, lines: &str) {
        let [first, second] = &mut self.0;
        *match side {
            Side::First => first,
            Side::Second => second,
        } += lines;
    }
}

/// What comes first in the shell of a host.
pub fn functions() -> String {
    let clock = HostClock { ahead_s: Some(0) }.description().replace('\n', "\\n");
    format!("{}{FUNCTIONS}{KEYS}printf '{clock}' >/clock\n", super::console::WAIT)
}

/// What comes next in the shells of two hosts: each comes to know the other's key.
pub fn acquaint() -> [String; 2] {
    let begin = "echo $FROM >/identity\n";
    let (get, give) = ("get\n", "wait_until give\n");
    [format!("{begin}{get}{give}"), format!("{begin}{give}{get}")]
}

impl Relay<'_> {
    /// What the shells of two hosts do.
    pub fn scripts(&self) -> [String; 2] {
        let Self { name, run, until: (text, times), .. } = self;
        let stay = |n| {
            let clock =
                if self.has_clock { format!("look_at_clock {name}{n}\n") } else { "".into() };
            format!("wait_until heard {name}{n}.console '{text}' {times}\n{clock}")
        };
        let mut scripts = Scripts::default();
        let mut side = Side::First;
        scripts.on(side, &format!("begin {name}0 run {name}0 {run}\n{}", stay(0)));
        for (n, &by) in self.ways.iter().enumerate() {
            let next = n + 1;
            let ended = format!("ended {name}{n} $left {}\n", abide::GIVEN_AWAY);
            if by == By::Wire {
                let (port, door) = (7100 + n, 6100 + n);
                let there = side.other();
                // What this host's kernel read once is another guest's disk by now.
                let forget = if self.shared_disk.is_some() {
                    format!(
                        "blockdev --flushbufs {SHARED_DISK} || fail 'the disk is not read anew'\n"
                    )
                } else {
                    String::new()
                };
                let expect = format!(
                    "expect {name}{next} tcp:0.0.0.0:{port} --key /from --trust $PEER_KEY\n\
                     {forget}\
                     wait_until knock {door}\n\
                     wait_until arrived {name}{next}\n"
                );
                let hand_over = format!(
                    "nc -l -p {door}\n\
                     left=$process\n\
                     hand_over {name}{n} tcp:$PEER:{port} --key /from --trust $PEER_KEY\n"
                );
                scripts.on(there, &expect);
                scripts.on(side, &(hand_over + &ended));
                side = there;
            } else {
                let [at, source, destination] = by.words();
                let lines = format!(
                    "left=$process\n\
                     expect {name}{next} {at} {destination}\n\
                     hand_over {name}{n} {at} {source}\n"
                );
                scripts.on(side, &(lines + &ended));
            }
            scripts.on(side, &stay(next));
        }
        scripts.on(side, &self.end());
        scripts.0
    }

    fn end(&self) -> String {
        let (name, last) = (self.name, self.ways.len());
        let powered_off = format!("ended {name}{last} $process {}\n", abide::POWERED_OFF);
        match self.end {
            End::PowersOff => powered_off,
            End::Typed => format!("echo >/typed\n{powered_off}"),
            End::Saved => format!(
                "/abide save {name}{last} /gone.abide --state-dir /state || fail 'not saved'\n\
                 ended {name}{last} $process {}\n",
                abide::SAVED_AWAY
            ),
        }
    }

    /// On which of two hosts each process is.
    fn sides(&self) -> Vec<Side> {
        let mut sides = vec![Side::First];
        for by in self.ways {
            let side = sides[sides.len() - 1];
            sides.push(if *by == By::Wire { side.other() } else { side });
        }
        sides
    }

    /// What came of it on one host, or on two.
    ///
    /// # Errors
    /// If something is missing, or the guest did not come as it was sent.
    pub fn came(&self, hosts: &[&Finished]) -> Result<Came> {
        let mut came = Came { consoles: Vec::new(), arrivals: Vec::new(), clocks: Vec::new() };
        for (n, side) in self.sides().into_iter().enumerate() {
            let host = hosts[usize::from(side == Side::Second)];
            let file = |ending: &str| host.file(&format!("{}{n}.{ending}", self.name));
            came.consoles.push(file("console")?);
            if n > 0 {
                let arrival = Arrival::of(&file("report")?)?;
                let (memory, expected) = (&arrival.memory, self.ways[n - 1].memory());
                ensure!(memory == expected, "process {n}: memory by {memory}, not {expected}");
                came.arrivals.push(arrival);
            }
            if self.has_clock {
                came.clocks.push((side, Clock::of(&file("clock")?)?));
            }
        }
        Ok(came)
    }

    /// What all processes said, for a failure.
    pub fn words(&self, hosts: &[&Finished]) -> String {
        let mut text = String::new();
        for (n, side) in self.sides().into_iter().enumerate() {
            let host = hosts[usize::from(side == Side::Second)];
            let file =
                |ending| host.file(&format!("{}{n}.{ending}", self.name)).unwrap_or_default();
            let said = [file("words"), file("console")];
            let [words, console] = said.each_ref().map(|text| String::from_utf8_lossy(text));
            text += &format!("\n--- {}{n}:\n{}\n… {}", self.name, words.trim_end(), tail(&console));
        }
        text
    }
}

/// What came of a relay.
pub struct Came {
    /// What the guest said in each process.
    pub consoles: Vec<Vec<u8>>,
    /// How it came to each process but the first.
    pub arrivals: Vec<Arrival>,
    /// What its page said in each process, and on which host that was.
    clocks: Vec<(Side, Clock)>,
}

/// A guest's clock may be so far behind or ahead of its host's after all its handoffs.
const DRIFT_MAX_NS: i128 = 5_000_000;

impl Came {
    /// All that the guest said in its life.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.consoles.concat()).into_owned()
    }

    /// How far the guest's counter has come to be behind the clock of the host where it was born,
    /// in ns, when it was there for the last time.
    ///
    /// # Errors
    /// If that is too far, or so little that nobody would have noticed a counter that stood still.
    pub fn behind_ns(&self) -> Result<i128> {
        let at_home = |(side, _): &&(Side, Clock)| *side == Side::First;
        let last = self.clocks.iter().rposition(|clock| at_home(&clock)).unwrap_or_default();
        let (Some((_, first)), Some((_, then))) = (self.clocks.first(), self.clocks.get(last))
        else {
            anyhow::bail!("nobody looked at the guest's clock")
        };
        let stood_ns: i128 = self.arrivals[..last].iter().map(|it| it.blackout_ns).sum();
        ensure!(stood_ns > DRIFT_MAX_NS, "it stood still for {stood_ns} ns: that tells nothing");
        let behind_ns = then.behind_ns(first);
        ensure!(behind_ns.abs() <= DRIFT_MAX_NS, "the guest's clock is {behind_ns} ns behind");
        Ok(behind_ns)
    }

    /// For how long it stood still each time, and how closely its counter was carried over, for
    /// people.
    pub fn stood(&self) -> String {
        let ms = self.arrivals.iter().map(|it| (it.blackout_ns / 1_000_000).to_string());
        let errors_us = self.arrivals.iter().map(|it| it.counter_error_ns / 1000);
        format!(
            "stood still for {} ms, counter read and set within {} us each time",
            ms.collect::<Vec<_>>().join(", "),
            errors_us.max().unwrap_or(0)
        )
    }
}

/// How a guest came to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// How long it stood still.
    pub blackout_ns: i128,
    /// How wrong its counter may be, beside the clocks.
    counter_error_ns: u64,
    /// `descriptor` or `stream`.
    memory: String,
}

impl Arrival {
    /// From the report of the process that received it.
    fn of(report: &[u8]) -> Result<Self> {
        let report: Value = serde_json::from_slice(report).context("a report")?;
        let arrival = &report["arrival"];
        let ns =
            |name: &str| arrival[name].as_u64().with_context(|| format!("no `arrival.{name}`"));
        let [blackout_ns, counter_error_ns] = [ns("blackout_ns")?, ns("counter_error_ns")?];
        let memory = arrival["memory"].as_str().context("no `arrival.memory`")?.to_owned();
        Ok(Self { blackout_ns: blackout_ns.into(), counter_error_ns, memory })
    }
}

/// What a guest's page of time says: a time, the counter then, and how long a tick of it is.
struct Clock {
    tai_ns: i128,
    counter: u64,
    period_frac_sec: u64,
    period_shift: u32,
}

impl Clock {
    /// As `abide clock --json` tells it.
    fn of(answer: &[u8]) -> Result<Self> {
        let clock: Value = serde_json::from_slice(answer).context("an answer of abide clock")?;
        let number = |value: &Value| value.as_u64().with_context(|| format!("a number in {clock}"));
        let time = &clock["time"];
        let tai = time["tai"].as_str().with_context(|| format!("no time in {clock}"))?;
        Ok(Self {
            tai_ns: nanoseconds(tai)?,
            counter: number(&time["counter"])?,
            period_frac_sec: number(&clock["counter_period_frac_sec"])?,
            period_shift: u32::try_from(number(&clock["counter_period_shift"])?)?,
        })
    }

    /// How much less than the host's clock the guest's counter went on since `before`, in ns.
    fn behind_ns(&self, before: &Self) -> i128 {
        let ticks = i128::from(self.counter) - i128::from(before.counter);
        // The product has 64 + shift bits behind the point. What is lost is below a nanosecond.
        let passed = (ticks * i128::from(self.period_frac_sec)) >> (32 + self.period_shift);
        self.tai_ns - before.tai_ns - ((passed * 1_000_000_000) >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(tai_ns: i128, counter: u64) -> Clock {
        // A tick of 62.5 MHz.
        Clock { tai_ns, counter, period_frac_sec: u64::MAX / 62_500_000, period_shift: 0 }
    }

    #[test]
    fn counter_that_stood_still_is_behind() {
        let before = clock(5_000_000_000, 1000);
        let since = |tai_ns| clock(tai_ns, 1000 + 62_500_000).behind_ns(&before);
        assert!((1_000_000_000 - since(7_000_000_000)).abs() < 100);
        assert!(since(6_000_000_000).abs() < 100);
    }

    #[test]
    fn drift_is_judged_at_home_and_only_where_it_would_show() {
        let arrival =
            |blackout_ns| Arrival { blackout_ns, counter_error_ns: 0, memory: "stream".into() };
        let came = |blackout_ns, back_ns: i128| Came {
            consoles: Vec::new(),
            arrivals: vec![arrival(blackout_ns); 3],
            clocks: vec![
                (Side::First, clock(0, 0)),
                // Another host's clock.
                (Side::Second, clock(700_000_000_000, 62_500_000)),
                (Side::First, clock(2_000_000_000 + back_ns, 2 * 62_500_000)),
                (Side::Second, clock(0, 0)),
            ],
        };
        assert!(came(50_000_000, 0).behind_ns().expect("it is right").abs() < 100);
        assert!(came(50_000_000, 6_000_000).behind_ns().is_err());
        assert!(came(50_000_000, -6_000_000).behind_ns().is_err());
        assert!(came(1_000_000, 0).behind_ns().is_err(), "nothing would have shown");
    }

    #[test]
    fn clock_and_arrival_are_read_and_their_lack_is_noticed() {
        let answer = br#"{"time": {"tai": "12.000000005", "counter": 9},
            "counter_period_frac_sec": 3, "counter_period_shift": 4}"#;
        let clock = Clock::of(answer).expect("it is whole");
        assert_eq!((clock.tai_ns, clock.counter, clock.period_shift), (12_000_000_005, 9, 4));
        assert!(Clock::of(br#"{"time": null, "no_time": "unreliable"}"#).is_err());
        let report =
            br#"{"arrival": {"blackout_ns": 7, "counter_error_ns": 0, "memory": "stream"}}"#;
        assert_eq!(Arrival::of(report).expect("it is whole").blackout_ns, 7);
        assert!(Arrival::of(br#"{"outcome": "given_away"}"#).is_err());
    }

    #[test]
    fn each_process_is_expected_where_the_guest_goes_and_awaited_where_it_leaves() {
        let ways = [By::Unix, By::Wire, By::PlainTcp, By::Wire];
        let until = ("^said", 2);
        let (end, has_clock) = (End::PowersOff, true);
        let shared_disk = Some(Path::new("disk"));
        let relay =
            Relay { name: "g", run: "--x", until, ways: &ways, end, has_clock, shared_disk };
        let [first, second] = relay.scripts();
        let sides = [&first, &first, &second, &second, &first];
        for (n, at) in sides.iter().enumerate() {
            assert_eq!(at.matches(&format!("look_at_clock g{n}\n")).count(), 1, "{n}");
            if n > 0 {
                assert_eq!(at.matches(&format!("expect g{n} ")).count(), 1, "{n}");
                let left = format!("ended g{} $left 14\n", n - 1);
                assert_eq!(sides[n - 1].matches(&left).count(), 1, "{n}");
            }
        }
        assert!(first.ends_with("ended g4 $process 0\n"));
        assert_eq!(relay.sides().len(), sides.len());
    }
}
