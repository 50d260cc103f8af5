//! How long a guest stood still, and for what.

use super::progress::per_second;
use abide_machine::departure::{Arrival, Departure};
use abide_machine::restore::Times;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::Duration;

pub fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// In milliseconds.
#[expect(clippy::cast_precision_loss, reason = "for reading, to 10 us")]
pub fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// A line of shares, the longest names first as they come.
fn line(total_ns: u64, shares: &[(&str, u64)]) -> String {
    let mut text = format!("{:.2} ms:", ms(total_ns));
    for (n, (name, ns)) in shares.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        // A string takes whatever is written.
        let _ = write!(text, "{comma} {name} {:.2}", ms(*ns));
    }
    text
}

/// Pages that went over in one round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedRound {
    /// How many.
    pub pages: u64,
    /// Bytes that they took on the connection.
    pub bytes: u64,
    /// How long they took to be sent, in ns.
    pub sending_ns: u64,
    /// Whether the guest stood still meanwhile.
    pub is_last: bool,
}

impl CopiedRound {
    /// Bytes on the connection in a second.
    pub fn bytes_per_s(&self) -> u64 {
        per_second(self.bytes, Duration::from_nanos(self.sending_ns))
    }
}

/// A handoff as its source saw it. All times are in ns, by the source's clock; `blackout_ns` is the
/// sum of those that follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffReport {
    /// Where the guest is.
    pub to: String,
    /// `descriptor`, or `stream`.
    pub memory: String,
    /// On how many connections.
    pub connections: u16,
    /// The guest's own number, for life.
    pub guest: String,
    /// The epoch in which it runs there.
    pub epoch: u64,
    /// Rounds in which memory went over.
    pub rounds: u32,
    /// Pages that went over in them.
    pub pages: u64,
    /// Bytes that they took on the connection.
    pub bytes: u64,
    /// Of those before the last round, how many went over in a second.
    pub bytes_per_s: u64,
    /// Each round in which pages went over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied: Vec<CopiedRound>,
    /// From the command to stand still to the destination's word that it has the guest.
    pub blackout_ns: u64,
    /// Until every vCPU rested.
    pub pause_ns: u64,
    /// Until disks had all that the guest wrote.
    pub flush_ns: u64,
    /// Until the pages written last were known.
    pub find_pages_ns: u64,
    /// Until every register was read.
    pub save_ns: u64,
    /// Until the last pages were sent.
    pub last_pages_ns: u64,
    /// Until the destination was prepared: it got the registers, restored, verified, and wrote its
    /// journal.
    pub prepare_ns: u64,
    /// Until the journal here had `given away`.
    pub journal_ns: u64,
    /// Until disks, networks and sockets were left.
    pub release_ns: u64,
    /// Until the destination had written its journal, taken them, and had the guest going.
    pub commit_ns: u64,
}

impl HandoffReport {
    /// Makes the sum.
    pub fn sum_up(&mut self) {
        self.blackout_ns = self.shares().iter().map(|(_, ns)| ns).sum();
    }

    /// For what the guest stood still, and how many ns.
    pub fn shares(&self) -> [(&'static str, u64); 9] {
        [
            ("pause", self.pause_ns),
            ("flush", self.flush_ns),
            ("find pages", self.find_pages_ns),
            ("save", self.save_ns),
            ("last pages", self.last_pages_ns),
            ("prepare there", self.prepare_ns),
            ("journal", self.journal_ns),
            ("release", self.release_ns),
            ("commit there", self.commit_ns),
        ]
    }

    /// For people.
    pub fn text(&self) -> String {
        line(self.blackout_ns, &self.shares())
    }
}

/// A handoff as its destination saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalReport {
    /// `descriptor`, or `stream`.
    pub memory: String,
    /// The epoch in which the guest runs here.
    pub epoch: u64,
    /// From the guest's last instruction there to where its counter went on here; `None` where the
    /// source did not tell.
    pub blackout_ns: Option<u64>,
    /// Whether one clock measured that, and not those of two hosts.
    pub is_of_one_clock: bool,
    /// How wrong that may be, in ns: 0 by one clock, else what both hosts' clocks may be; `None`
    /// where nothing keeps one of them right.
    #[serde(default)]
    pub clock_error_ns: Option<u64>,
    /// `continue` or `freeze`.
    pub clock: String,
    /// By how much the guest's counter was set ahead, in ns.
    pub skipped_ns: u64,
    /// How far that leaves the counter behind the host's clock, in ns; ahead if below zero.
    pub behind_ns: Option<i64>,
    /// How far from that it may be, in ns, as it goes on while it is read and set. A counter of the
    /// software engine does not.
    #[serde(default)]
    pub counter_error_ns: u64,
    /// At the source: until every vCPU rested.
    pub pause_ns: u64,
    /// At the source: until disks had all that the guest wrote.
    pub flush_ns: u64,
    /// At the source: until the pages written last were known.
    pub find_pages_ns: u64,
    /// Making a machine from the registers.
    pub restore_ns: u64,
    /// Reading every register back.
    pub verify_ns: u64,
    /// Writing `prepared` to the journal.
    pub journal_prepared_ns: u64,
    /// Waiting for the commit.
    pub wait_ns: u64,
    /// Writing `running` to the journal.
    pub journal_running_ns: u64,
    /// Taking disks, networks and sockets.
    pub claim_ns: u64,
    /// Telling the guest, and letting it go on.
    pub activate_ns: u64,
}

impl ArrivalReport {
    /// Adds what the restore told.
    pub fn restored(&mut self, departure: Option<&Departure>, times: &Times) {
        if let Some(departure) = departure {
            self.pause_ns = ns(departure.pause);
            self.flush_ns = ns(departure.flush);
            self.find_pages_ns = ns(departure.pages);
        }
        self.verify_ns = ns(times.readback);
        self.restore_ns = ns(times.total()).saturating_sub(self.verify_ns);
    }

    /// Adds what the guest came to; its counter counts `hz` ticks a second.
    pub fn arrived(&mut self, arrival: &Arrival, hz: u64) {
        self.blackout_ns = arrival.standstill.map(|stood| ns(stood.len));
        self.is_of_one_clock = arrival.standstill.is_some_and(|stood| stood.is_of_one_clock);
        self.clock_error_ns = arrival.standstill.and_then(|stood| stood.error_ns);
        let skipped = u128::from(arrival.skipped_ticks) * 1_000_000_000 / u128::from(hz.max(1));
        self.skipped_ns = u64::try_from(skipped).unwrap_or(u64::MAX);
        let left = |stood: u64| i64::try_from(stood.saturating_sub(self.skipped_ns));
        let left = self.blackout_ns.map(|stood| left(stood).unwrap_or(i64::MAX));
        self.behind_ns = left.map(|left| left.saturating_add(arrival.off.behind_ns));
        self.counter_error_ns = arrival.off.error_ns;
    }

    /// What was done here of the time for which the guest stood still, and for how many ns.
    pub fn shares(&self) -> [(&'static str, u64); 7] {
        [
            ("restore", self.restore_ns),
            ("verify", self.verify_ns),
            ("journal", self.journal_prepared_ns),
            ("wait", self.wait_ns),
            ("journal", self.journal_running_ns),
            ("claim", self.claim_ns),
            ("activate", self.activate_ns),
        ]
    }

    /// For people.
    pub fn text(&self) -> String {
        let shown = line(self.blackout_ns.unwrap_or(0), &self.shares());
        let clocks = match (self.is_of_one_clock, self.clock_error_ns) {
            (true, _) => String::new(),
            (false, Some(error)) => {
                format!(" by the clocks of two hosts, which may be {:.2} ms apart", ms(error))
            }
            (false, None) => " by the clocks of two hosts, of which one is not synchronised: how \
                              far they are apart nobody knows"
                .to_owned(),
        };
        let Some(behind_ns) = self.behind_ns else { return shown };
        let way = if behind_ns < 0 { "ahead" } else { "behind" };
        let counter = format!("{} ns {way}", behind_ns.unsigned_abs());
        let counter = match self.counter_error_ns {
            0 => counter,
            error_ns => format!("{counter}, give or take {error_ns} ns"),
        };
        format!("{shown}; counter: {}, {counter}{clocks}", self.clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_machine::counter::Off;
    use abide_machine::departure::Standstill;

    #[test]
    fn counter_is_told_to_be_behind_or_ahead_and_by_how_much_that_may_be_wrong() {
        let told = |skipped_ticks, behind_ns, error_ns| {
            let len = Duration::from_nanos(1000);
            let standstill = Some(Standstill { len, is_of_one_clock: true, error_ns: Some(0) });
            let off = Off { behind_ns, error_ns };
            let mut report = ArrivalReport { clock: "continue".into(), ..Default::default() };
            report.arrived(&Arrival { standstill, skipped_ticks, off }, 100_000_000);
            let text = report.text();
            text.split_once("; ").map(|(_, counter)| counter.to_owned()).unwrap_or(text)
        };
        assert_eq!(told(99, 0, 0), "counter: continue, 10 ns behind");
        assert_eq!(told(99, 70, 300), "counter: continue, 80 ns behind, give or take 300 ns");
        assert_eq!(told(99, -70, 300), "counter: continue, 60 ns ahead, give or take 300 ns");
    }
}
