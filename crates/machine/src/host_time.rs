//! The host's clock as the source of a guest's time.

use crate::time_of_day::{GuestTicks, Publish, TimeOfDay};
use abide_host_time::policy::{Action, Policy, weigh};
use abide_host_time::{Assessment, Doubt, GuestCounter, HostTime};
use abide_vmclock::{Body, Claim};
use std::time::Instant;

/// Tells a guest the host's time, within the budget of [`abide_host_time::policy`].
pub struct HostTimeOfDay {
    time: HostTime,
    policy: Policy,
    since: Instant,
    doubt: Option<Doubt>,
}

impl HostTimeOfDay {
    /// From this clock.
    #[must_use]
    pub fn new(time: HostTime) -> Self {
        Self { time, policy: Policy::new(0), since: Instant::now(), doubt: None }
    }
}

impl TimeOfDay for HostTimeOfDay {
    fn claim(&mut self, counter: &GuestTicks<'_>) -> Option<Claim> {
        let read = || counter.now();
        let guest = GuestCounter { read: &read, hz: counter.hz, off_ticks: counter.off_ticks() };
        let (claim, doubt) = match self.time.look(&guest) {
            Ok(Assessment { claim, doubt }) => (Some(claim), doubt),
            Err(doubt) => (None, Some(doubt)),
        };
        self.doubt = doubt;
        claim
    }

    fn decide(&mut self, standing: &Body, claim: Option<&Claim>) -> Publish {
        let now_ns = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let Action { write, notify } = self.policy.decide(now_ns, weigh(standing, claim));
        Publish { write, notify }
    }

    fn doubt(&self) -> Option<String> {
        self.doubt.as_ref().map(ToString::to_string)
    }
}
