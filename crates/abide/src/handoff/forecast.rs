//! What a handoff would take, from what the guest writes and what the way there carries.

use super::progress::time_of;
use super::report::ns;
use abide_memory::PAGE_SIZE;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a page's number and checksum add to it, in bytes.
const HEAD_LEN: u64 = 16;

/// What a guest writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writes {
    /// Pages that it has.
    pub ram_pages: u64,
    /// How many of them the host has memory for: all others are zero, and not sent.
    pub present_pages: u64,
    /// How many different pages it wrote in spans of different lengths, the shortest first.
    pub spans: Vec<Span>,
}

/// What was written in one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its length, in ns.
    pub len_ns: u64,
    /// Different pages written in it.
    pub pages: u64,
}

impl Writes {
    /// How many different pages it writes in `time`. Between the spans by the line that joins them;
    /// after the longest as fast as in that, which is too many for whoever writes the same pages
    /// again and again, and never too few.
    fn pages_in(&self, time: Duration) -> u64 {
        let time_ns = ns(time);
        let mut before = Span::default();
        for &span in &self.spans {
            if time_ns <= span.len_ns {
                let more = span.pages.saturating_sub(before.pages);
                let part = (time_ns - before.len_ns, span.len_ns - before.len_ns);
                return before.pages + share(more, part);
            }
            before = span;
        }
        share(before.pages, (time_ns, before.len_ns)).min(self.ram_pages)
    }
}

fn share(pages: u64, (part, whole): (u64, u64)) -> u64 {
    let share = u128::from(pages) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// A handoff that is predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Bytes that the way there is taken to carry in a second.
    pub bytes_per_s: u64,
    /// Rounds while the guest runs.
    pub rounds: Vec<ForecastRound>,
    /// How long they take.
    pub copy_ns: u64,
    /// Pages that are left for the standstill.
    pub pages_left: u64,
    /// How long the guest stands still for them.
    pub standstill_ns: u64,
    /// Whether that is no longer than was wished.
    pub converges: bool,
}

/// One of its rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ForecastRound {
    /// Pages that go over.
    pub pages: u64,
    /// How long they take.
    pub time_ns: u64,
}

/// Predicts a handoff that copies rounds until the rest takes no longer than `downtime`, or there
/// were `rounds_max`.
pub fn forecast(
    writes: &Writes,
    bytes_per_s: u64,
    downtime: Duration,
    rounds_max: usize,
) -> Forecast {
    let (mut rounds, mut copy, mut pages) = (Vec::new(), Duration::ZERO, writes.present_pages);
    loop {
        let time = time_of(pages.saturating_mul(PAGE_SIZE + HEAD_LEN), bytes_per_s);
        rounds.push(ForecastRound { pages, time_ns: ns(time) });
        copy = copy.saturating_add(time);
        pages = writes.pages_in(time);
        let standstill = time_of(pages.saturating_mul(PAGE_SIZE), bytes_per_s);
        let converges = standstill <= downtime;
        if converges || rounds.len() >= rounds_max {
            let (copy_ns, standstill_ns) = (ns(copy), ns(standstill));
            let pages_left = pages;
            return Forecast { bytes_per_s, rounds, copy_ns, pages_left, standstill_ns, converges };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn writes(present_pages: u64, spans: &[(u64, u64)]) -> Writes {
        let spans =
            spans.iter().map(|&(ms, pages)| Span { len_ns: ms * 1_000_000, pages }).collect();
        Writes { ram_pages: 1 << 20, present_pages, spans }
    }

    #[test]
    fn pages_lie_on_the_line_between_spans_and_go_on_behind_the_last() {
        let writes = writes(0, &[(100, 50), (200, 70)]);
        let pages = |ms| writes.pages_in(Duration::from_millis(ms));
        assert_eq!([pages(0), pages(50), pages(100), pages(150)], [0, 25, 50, 60]);
        assert_eq!([pages(200), pages(2000)], [70, 700]);
        assert_eq!(writes.pages_in(Duration::from_secs(1 << 40)), 1 << 20, "no more than RAM has");
    }

    #[test]
    fn quiet_guest_goes_in_one_round() {
        let told = forecast(&writes(25_600, &[(800, 0)]), 100 * MIB, Duration::ZERO, 30);
        assert_eq!((told.rounds.len(), told.pages_left, told.converges), (1, 0, true));
        // 100 MiB and 400 KiB of heads.
        assert_eq!(told.copy_ns / 1_000_000, 1003);
    }

    #[test]
    fn each_round_has_what_was_written_in_the_one_before() {
        // 10 MiB/s of different pages over a way of 100 MiB/s: a tenth each time.
        let told =
            forecast(&writes(25_600, &[(800, 2048)]), 100 * MIB, Duration::from_millis(5), 30);
        let pages: Vec<_> = told.rounds.iter().map(|round| round.pages / 10).collect();
        assert_eq!(pages, [2560, 257, 25]);
        assert!(told.converges && told.standstill_ns < 2_000_000, "{told:?}");
    }

    #[test]
    fn guest_that_writes_faster_than_the_way_carries_is_said_not_to_converge() {
        let downtime = Duration::from_millis(50);
        let told = forecast(&writes(25_600, &[(100, 25_600)]), 100 * MIB, downtime, 30);
        assert!(!told.converges && told.rounds.len() == 30, "{told:?}");
        let told = forecast(&writes(25_600, &[(100, 25_600)]), 0, downtime, 30);
        assert!(!told.converges, "a way that carries nothing");
        assert!(forecast(&Writes::default(), 1, downtime, 30).converges);
    }
}
