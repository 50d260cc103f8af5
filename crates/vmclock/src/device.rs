//! The host's side: what stands in the page, and what may be put there next.

use crate::nest::{Promises, Verdict};
use crate::seqlock::{self, Cells};
use crate::{Body, Constants, Line, Time, spec};

/// What the host says of its clock, in the guest's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Time over the guest's counter, with the largest errors that the host vouches for. Its
    /// reference point is not ahead of what any vCPU reads.
    pub line: Line,
    /// The likely error of the time, in nanoseconds.
    pub time_esterror_ns: u64,
    /// The likely error of the period, in its unit.
    pub period_esterror: u64,
    /// UTC - TAI in seconds, if the host knows it.
    pub tai_offset_sec: Option<i16>,
    /// One of `spec::LEAP_*`.
    pub leap_indicator: u8,
    /// Whether the host's clock follows a source; without one its errors only grow.
    pub is_synchronised: bool,
}

impl Claim {
    /// The same with another line, and what that adds to what is likely wrong.
    fn with_line(&self, line: Line) -> Self {
        let shifted_ns = line.time.distance(self.line.time).to_ns_up();
        let theirs = self.line.period.with_shift(line.period.shift).frac_sec;
        let shifted = line.period.frac_sec.abs_diff(theirs);
        Self {
            line,
            time_esterror_ns: self.time_esterror_ns.saturating_add(shifted_ns),
            period_esterror: self.period_esterror.saturating_add(shifted),
            ..*self
        }
    }
}

/// Why the guest is somewhere else than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// The one guest there is has been moved: live, or by a snapshot that runs once.
    Move,
    /// A snapshot that may run again was restored, or cloned.
    Copy,
}

/// How near a disruption is, as the operator says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notice {
    /// None is expected.
    #[default]
    None,
    /// Within a day.
    Soon,
    /// Within an hour.
    Imminent,
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The page says something new.
    Updated,
    /// The page stays as it is, and stays true.
    Unchanged,
    /// The host's clock contradicts what the page said, or the counter went back: the guest was
    /// told of a disruption, and the claim is a new beginning.
    Disrupted,
}

/// The clock of one guest.
#[derive(Clone, Debug)]
pub struct Vmclock {
    // Guest-visible state (saved)
    pub(crate) constants: Constants,
    pub(crate) seq_count: u32,
    pub(crate) disruption_marker: u64,
    pub(crate) vm_generation_counter: u64,
    pub(crate) smearing_hint: u8,
    // What stands in the page besides (recomputed on every host)
    notice: Notice,
    claim: Option<Claim>,
    is_monotonic: bool,
    promises: Promises,
}

impl Vmclock {
    /// A clock at a guest's birth. Until the first claim it is unreliable and says so.
    #[must_use]
    pub fn new(constants: Constants, smearing_hint: u8) -> Self {
        Self {
            constants,
            // Some readers take 0 for "nothing read yet".
            seq_count: 2,
            disruption_marker: 1,
            vm_generation_counter: 1,
            smearing_hint,
            notice: Notice::None,
            claim: None,
            is_monotonic: false,
            promises: Promises::default(),
        }
    }

    /// What is fixed for life.
    #[must_use]
    pub const fn constants(&self) -> &Constants {
        &self.constants
    }

    /// The even count that stands in the page.
    #[must_use]
    pub const fn seq_count(&self) -> u32 {
        self.seq_count
    }

    /// Where the guest has come to, and why: before it runs there. The page is unreliable until a
    /// claim of this host.
    pub fn arrive(&mut self, intent: Intent) {
        self.notice = Notice::None;
        self.disrupt();
        if intent == Intent::Copy {
            self.vm_generation_counter = self.vm_generation_counter.wrapping_add(1);
        }
    }

    /// Says how near the next disruption is.
    pub const fn announce(&mut self, notice: Notice) {
        self.notice = notice;
    }

    /// Takes what the host says. The page is to be written before the counter is `window_ticks`
    /// further on than the claim's reference point.
    pub fn claim(&mut self, claim: Claim, window_ticks: u64) -> Outcome {
        match self.promises.judge(&claim.line, window_ticks) {
            Verdict::Follow { line, is_monotonic } => {
                self.promises.publish(line, window_ticks);
                self.is_monotonic = is_monotonic;
                self.claim = Some(claim.with_line(line));
                Outcome::Updated
            }
            Verdict::Keep => self.keep(&claim, window_ticks),
            Verdict::Contradiction | Verdict::CounterWentBack => {
                self.disrupt();
                self.promises.publish(claim.line, window_ticks);
                self.claim = Some(claim);
                Outcome::Disrupted
            }
        }
    }

    /// The host's clock cannot be asked any more, or is known to be wrong.
    pub const fn doubt(&mut self) {
        self.claim = None;
    }

    /// The line stays; what else the host says is taken. As that is said of the reference point,
    /// the line then begins where the host said it.
    fn keep(&mut self, claim: &Claim, window_ticks: u64) -> Outcome {
        let Some(standing) = self.promises.line().copied() else {
            return Outcome::Unchanged;
        };
        let said =
            |claim: &Claim| (claim.is_synchronised, claim.tai_offset_sec, claim.leap_indicator);
        if self.claim.is_some_and(|before| said(&before) == said(claim)) {
            return Outcome::Unchanged;
        }
        let at = claim.line.counter_value;
        // Two sums that are rounded down may be a unit less than one.
        let time = standing.time_at(at) + Time(1);
        let time_maxerror_ns = standing.maxerror_at(at).to_ns_up().saturating_add(1);
        let line = Line { counter_value: at, time, time_maxerror_ns, ..standing };
        self.promises.publish(line, window_ticks);
        self.claim = Some(claim.with_line(line));
        Outcome::Updated
    }

    fn disrupt(&mut self) {
        self.disruption_marker = self.disruption_marker.wrapping_add(1);
        self.promises.forget();
        self.claim = None;
        self.is_monotonic = false;
    }

    /// What the page is to say.
    #[must_use]
    pub fn body(&self) -> Body {
        let mut body = Body {
            disruption_marker: self.disruption_marker,
            flags: spec::FLAG_VM_GEN_COUNTER_PRESENT,
            clock_status: spec::STATUS_UNRELIABLE,
            smearing_hint: self.smearing_hint,
            vm_generation_counter: self.vm_generation_counter,
            ..Body::default()
        };
        if self.constants.notifies {
            body.flags |= spec::FLAG_NOTIFICATION_PRESENT;
        }
        body.flags |= match self.notice {
            Notice::None => 0,
            Notice::Soon => spec::FLAG_DISRUPTION_SOON,
            Notice::Imminent => spec::FLAG_DISRUPTION_SOON | spec::FLAG_DISRUPTION_IMMINENT,
        };
        if let Some(claim) = &self.claim {
            tell(&mut body, claim, self.is_monotonic);
        }
        body
    }

    /// Writes the constants and all else into a page that holds nothing yet, while no vCPU runs.
    /// The count goes on from the saved one, so that a reader that was stopped halfway starts
    /// again.
    pub fn write_all<C: Cells>(&mut self, page: &C, constants: impl FnOnce([u32; 3])) {
        constants(self.constants.to_words());
        self.write(page);
    }

    /// Writes what has changed. The guest's own writes to the page are overwritten, never read.
    pub fn write<C: Cells>(&mut self, page: &C) {
        let words = self.body().to_words();
        self.seq_count = seqlock::update(page, self.seq_count, || words);
    }
}

/// Adds what a claim says to the body.
fn tell(body: &mut Body, claim: &Claim, is_monotonic: bool) {
    body.clock_status =
        if claim.is_synchronised { spec::STATUS_SYNCHRONIZED } else { spec::STATUS_FREERUNNING };
    body.flags |= spec::FLAG_PERIOD_ESTERROR_VALID
        | spec::FLAG_PERIOD_MAXERROR_VALID
        | spec::FLAG_TIME_ESTERROR_VALID
        | spec::FLAG_TIME_MAXERROR_VALID;
    if is_monotonic {
        body.flags |= spec::FLAG_TIME_MONOTONIC;
    }
    if let Some(tai_offset_sec) = claim.tai_offset_sec {
        body.flags |= spec::FLAG_TAI_OFFSET_VALID;
        body.tai_offset_sec = tai_offset_sec;
    }
    body.leap_indicator = claim.leap_indicator;
    body.line = claim.line;
    body.time_esterror_ns = claim.time_esterror_ns.min(claim.line.time_maxerror_ns);
    body.period_esterror = claim.period_esterror.min(claim.line.period_maxerror);
}
