//! How far a handoff is, for those who wait for it.

use super::report::{ms, ns};
use abide_memory::PAGE_SIZE;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A handoff under way, after one of its rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where the guest goes.
    pub to: String,
    /// Rounds of memory that have arrived.
    pub rounds: u32,
    /// Pages that went over in them.
    pub pages: u64,
    /// Bytes that they took on the connection.
    pub bytes: u64,
    /// How many of those went over in a second.
    pub bytes_per_s: u64,
    /// Pages that are still to be sent.
    pub pages_left: u64,
    /// Bytes of pages that the guest wrote in a second, while the last round went over.
    pub written_bytes_per_s: u64,
    /// How long the guest would stand still for the pages that are left; registers and journals
    /// come on top of that.
    pub standstill_ns: u64,
    /// Why it does not go on, and is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Progress {
    /// Adds what the guest wrote since `since`, in all `pages_left` pages.
    pub fn written(&mut self, pages: u64, pages_left: u64, since: Duration) {
        self.written_bytes_per_s = per_second(pages * PAGE_SIZE, since);
        self.pages_left = pages_left;
        self.standstill_ns = ns(time_of(pages_left * PAGE_SIZE, self.bytes_per_s));
    }

    /// For people.
    pub fn text(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return format!("stands still: {trouble}; it is tried again");
        }
        format!(
            "round {}: {} pages sent at {} MiB/s, {} left, {} MiB/s written, {:.1} ms of \
             standstill for them",
            self.rounds,
            self.pages,
            self.bytes_per_s >> 20,
            self.pages_left,
            self.written_bytes_per_s >> 20,
            ms(self.standstill_ns),
        )
    }
}

/// Bytes in a second.
pub fn per_second(bytes: u64, time: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// How long `bytes` take at that rate.
pub fn time_of(bytes: u64, bytes_per_s: u64) -> Duration {
    let ns = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_s.max(1));
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

/// The time since it was last asked for.
pub struct Lap(Instant);

impl Lap {
    /// Begins now.
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// The time since then, or since the last end.
    pub fn end(&mut self) -> Duration {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_times_are_each_others_inverse() {
        let second = Duration::from_secs(1);
        assert_eq!(per_second(100 << 20, second), 100 << 20);
        assert_eq!(per_second(1, Duration::ZERO), 1_000_000_000);
        assert_eq!(time_of(100 << 20, 100 << 20), second);
        assert_eq!(time_of(u64::MAX, 0), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn standstill_is_that_of_the_pages_that_are_left() {
        let mut progress = Progress { bytes_per_s: 4096 * 1000, ..Progress::default() };
        progress.written(500, 20, Duration::from_millis(500));
        assert_eq!(progress.written_bytes_per_s, 4096 * 1000);
        assert_eq!(progress.standstill_ns, 20_000_000);
        let text = progress.text();
        assert!(text.contains("20 left") && text.contains("20.0 ms"), "{text}");
    }
}
