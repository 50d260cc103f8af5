//! From what a host counts for a thread to what a guest is charged for a vCPU.

/// How much of a thread's count has been charged.
///
/// A host counts how long each of its threads waited for a CPU, since the thread began. A vCPU that
/// is moved to another thread, by a restore or within one process, must not be charged for what
/// that thread waited before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    charged_ns: u64,
}

impl Tally {
    /// A thread that has waited for so long, none of it with this vCPU.
    #[must_use]
    pub const fn begin(waited_ns: u64) -> Self {
        Self { charged_ns: waited_ns }
    }

    /// Its thread has waited for so long by now: how much is to be charged, in nanoseconds. A count
    /// that went back charges nothing, then or before it is where it was.
    pub const fn advance(&mut self, waited_ns: u64) -> u64 {
        let more = waited_ns.saturating_sub(self.charged_ns);
        self.charged_ns += more;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nanosecond_is_charged_once() {
        let mut tally = Tally::begin(100);
        assert_eq!([100, 130, 130, 120, 140].map(|now| tally.advance(now)), [0, 30, 0, 0, 10]);
        assert_eq!(tally.advance(u64::MAX), u64::MAX - 140);
        assert_eq!(tally.advance(u64::MAX), 0);
    }
}
