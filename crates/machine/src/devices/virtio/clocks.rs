//! What a clock device reads of its host.

use crate::bus::lock;
use crate::clock::MachineClock;
use crate::devices::vmclock::VmclockDevice;
use abide_engine::{Clock as _, GuestCounter};
use abide_virtio::Clocks;
use abide_virtio::rtc::{CrossReading, RtcClock};
use std::sync::{Arc, Mutex};

/// The clocks of a machine, as its virtio device reads them.
pub(crate) struct MachineClocks {
    /// UTC as the host has it, or virtual time.
    clock: Arc<MachineClock>,
    /// TAI as the guest's own page tells it: so both say the same.
    page: Option<Arc<Mutex<VmclockDevice>>>,
    /// What the guest reads as CNTVCT_EL0; `None` where that is the machine's clock itself.
    counter: Option<Arc<dyn GuestCounter>>,
}

impl MachineClocks {
    pub(crate) const fn new(
        clock: Arc<MachineClock>,
        page: Option<Arc<Mutex<VmclockDevice>>>,
    ) -> Self {
        Self { clock, page, counter: None }
    }

    /// The counter since vCPUs last began to execute.
    pub(crate) fn set_counter(&mut self, counter: Option<Arc<dyn GuestCounter>>) {
        self.counter = counter;
    }

    /// The same, if it is not the machine's clock itself.
    pub(crate) const fn counter(&self) -> Option<&Arc<dyn GuestCounter>> {
        self.counter.as_ref()
    }

    /// What the guest reads as its counter now.
    pub(crate) fn count(&self) -> u64 {
        self.counter.as_ref().map_or_else(|| self.clock.now_ticks(), |counter| counter.now())
    }

    fn utc(&self) -> CrossReading {
        let before = self.count();
        let clock_ns = self.clock.wall_ns();
        let passed = self.count().wrapping_sub(before);
        CrossReading { clock_ns, counter_value: before.wrapping_add(passed / 2) }
    }

    fn tai(&self) -> Option<CrossReading> {
        let device = lock(self.page.as_ref()?);
        let reader = device.reader();
        let look = device.look(&reader, || self.count()).ok()?;
        let reading = reader.time(&look).ok()?;
        let clock_ns = u64::try_from(reading.time.to_ns()).ok()?;
        Some(CrossReading { clock_ns, counter_value: reading.counter })
    }
}

impl Clocks for MachineClocks {
    fn read(&mut self, clock: RtcClock) -> Option<CrossReading> {
        match clock {
            RtcClock::UtcMaybeSmeared => Some(self.utc()),
            RtcClock::Tai => self.tai(),
        }
    }
}
