//! When the page is written anew, and when the guest is interrupted for it.
//!
//! The page is a promise that widens by itself, as fast as the host's own error does. So nothing
//! is gained by writing it often: it is written anew where it says something that is no longer so,
//! or where the host knows better by now.
//!
//! | what happened | page | interrupt |
//! |---|---|---|
//! | the guest arrives | before the first instruction | at once |
//! | status, offset or leap indicator change; the host's clock contradicts the page | within [`LOOK_NS`] | at once, from the budget |
//! | the page is [`WORTH_PERCENT`] % as wrong as the host, or off by more than the host's likely error | within [`REFINE_NS`] | together with it |
//! | nothing of that | stays | none |
//!
//! An interrupt follows each new page, for the flag NOTIFICATION_PRESENT promises it. The budget is
//! [`BURST`] at once and one in [`REFINE_NS`] on average: [`PER_HOUR`] an hour and the burst. A
//! host that changes its mind faster than that changes the page at once all the same, and
//! one interrupt follows for several changes as soon as there is budget.

use abide_vmclock::{Body, Claim, spec};

/// How often the host's clock is looked at, in nanoseconds.
pub const LOOK_NS: u64 = 1_000_000_000;
/// How long lies between two pages that only make it better, and how long it takes for
/// an interrupt more, in nanoseconds.
pub const REFINE_NS: u64 = 16_000_000_000;
/// How many interrupts may follow each other at once.
pub const BURST: u64 = 8;
/// How many interrupts an hour has, besides the burst.
pub const PER_HOUR: u64 = 3600 * 1_000_000_000 / REFINE_NS;
/// How wrong the page must be for a new one, in per cent of what the host is.
pub const WORTH_PERCENT: i128 = 125;
/// What is too little to be worth an interrupt, in units of 2^-64 s: a microsecond.
const WORTH_LEAST: i128 = (1 << 64) / 1_000_000;

/// How much a new page is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// It would say the same.
    Nothing,
    /// It would say the same better.
    Better,
    /// What stands there is no longer so.
    Change,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Write the page.
    pub write: bool,
    /// Interrupt the guest, after that.
    pub notify: bool,
}

/// What a new page is worth, where this one stands and the host can claim that, or nothing.
#[must_use]
pub fn weigh(standing: &Body, claim: Option<&Claim>) -> Worth {
    let is_told = standing.clock_status != spec::STATUS_UNRELIABLE;
    let Some(claim) = claim else {
        return if is_told { Worth::Change } else { Worth::Nothing };
    };
    let status =
        if claim.is_synchronised { spec::STATUS_SYNCHRONIZED } else { spec::STATUS_FREERUNNING };
    let offset = standing.has(spec::FLAG_TAI_OFFSET_VALID).then_some(standing.tai_offset_sec);
    let says_else = standing.clock_status != status
        || offset != claim.tai_offset_sec
        || standing.leap_indicator != claim.leap_indicator;
    let at = claim.line.counter_value;
    let is_behind = at.wrapping_sub(standing.line.counter_value) > u64::MAX / 2;
    if says_else || is_behind {
        return Worth::Change;
    }
    let (page, host) = (standing.line.bounds_at(at), claim.line.bounds_at(at));
    if page.start() > host.end() || host.start() > page.end() {
        return Worth::Change;
    }
    let [page_error, host_error] = [&standing.line, &claim.line].map(|line| line.maxerror_at(at).0);
    let off = standing.line.time_at(at).distance(claim.line.time_at(at)).0;
    let likely = abide_vmclock::Time::from_ns(claim.time_esterror_ns).0;
    let is_wide = page_error - host_error > WORTH_LEAST
        && page_error.saturating_mul(100) > host_error.saturating_mul(WORTH_PERCENT);
    if is_wide || off > likely.max(WORTH_LEAST) { Worth::Better } else { Worth::Nothing }
}

/// The budget of interrupts, and when the page was last made better.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What there is, in nanoseconds of time saved up; an interrupt costs [`REFINE_NS`].
    saved_ns: u64,
    at_ns: u64,
    refined_ns: Option<u64>,
    owes: bool,
}

impl Policy {
    /// A full budget. Times are of any clock that does not go back, in nanoseconds.
    #[must_use]
    pub const fn new(now_ns: u64) -> Self {
        Self { saved_ns: BURST * REFINE_NS, at_ns: now_ns, refined_ns: None, owes: false }
    }

    /// Decides.
    pub fn decide(&mut self, now_ns: u64, worth: Worth) -> Action {
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        self.at_ns = self.at_ns.max(now_ns);
        self.saved_ns = self.saved_ns.saturating_add(passed_ns).min(BURST * REFINE_NS);
        let can_notify = self.saved_ns >= REFINE_NS;
        let is_due =
            self.refined_ns.is_none_or(|last_ns| now_ns.saturating_sub(last_ns) >= REFINE_NS);
        let write = match worth {
            Worth::Nothing => false,
            Worth::Better => is_due && can_notify,
            Worth::Change => true,
        };
        if write {
            self.refined_ns = Some(now_ns);
            self.owes = true;
        }
        let notify = self.owes && can_notify;
        if notify {
            self.owes = false;
            self.saved_ns -= REFINE_NS;
        }
        Action { write, notify }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_flapping_host_is_written_at_once_and_told_within_budget() {
        let mut policy = Policy::new(0);
        let (mut written, mut told) = (0, 0);
        for second in 0..3600 {
            let Action { write, notify } = policy.decide(second * S, Worth::Change);
            written += u64::from(write);
            told += u64::from(notify);
        }
        assert_eq!(written, 3600);
        assert!(told <= PER_HOUR + BURST, "{told}");
        assert!(told >= PER_HOUR, "{told}");
        // What was written last is told in the end, without a further change.
        let late = (0..17).map(|more| policy.decide((3600 + more) * S, Worth::Nothing));
        assert_eq!(late.filter(|action| action.notify).count(), 1);
    }

    #[test]
    fn refinements_keep_their_distance() {
        let mut policy = Policy::new(0);
        let times: Vec<_> =
            (0..60).filter(|second| policy.decide(second * S, Worth::Better).write).collect();
        assert_eq!(times, [0, 16, 32, 48]);
    }

    #[test]
    fn nothing_costs_nothing() {
        let mut policy = Policy::new(0);
        assert_eq!(policy.decide(S, Worth::Nothing), Action::default());
    }
}
