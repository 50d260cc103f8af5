//! The time in the guest's page: who vouches for it, and when it is written.
//!
//! The runner is the publisher. Before the vCPUs execute here for the first time, the page is
//! written from what the host says now; so no instruction of the guest ever reads a page that
//! another host wrote. While they execute the host is looked at on every tick of the runner, and
//! the source's policy says what becomes of it. Through a rest the page stays true, as the guest's
//! counter goes on.
//!
//! Virtual time has no publisher: a run that can be repeated reads no clock of the host's, so its
//! page says that it tells no time.

use crate::board::{self, VMCLOCK_INTID};
use crate::bus::{MachineBus, lock};
use crate::error::MachineError;
use crate::machine::Machine;
use abide_engine::GuestCounter;
use abide_gic::spec::{
    GICD_IROUTER, GICD_IROUTER_AFFINITY, GICD_IROUTER_IRM, GICD_ISPENDR, GRP_DIST_REGS,
};
use abide_reg::{RegId, VcpuId};
use abide_vmclock::{Body, Claim, Constants, NoTime, Notice, Outcome, Reading, spec};
use rustix::fs::SealFlags;
use std::os::fd::AsRawFd;
use std::time::Instant;

/// How long after a claim's reference point its page has to stand there, as a part of a second.
const WINDOW_PER_SECOND: u64 = 1;
/// How often a page that came too late is made anew.
const ATTEMPTS: usize = 3;
/// Where an interrupt goes, in `GICD_IROUTER`: to one vCPU if `IRM` is clear.
const ROUTE: u32 = GICD_IROUTER_IRM | GICD_IROUTER_AFFINITY;

/// The guest's counter, to be paired with the host's clock.
pub struct GuestTicks<'a> {
    counter: &'a dyn GuestCounter,
    /// Its nominal frequency, in Hz.
    pub hz: u64,
}

impl GuestTicks<'_> {
    /// What the guest reads now.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.counter.now()
    }

    /// By how many ticks that may be wrong.
    #[must_use]
    pub fn off_ticks(&self) -> u64 {
        self.counter.off_ticks()
    }
}

/// What becomes of the page on a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// It is written.
    pub write: bool,
    /// The guest is interrupted, after that.
    pub notify: bool,
}

/// Where the time comes from.
pub trait TimeOfDay: Send {
    /// What the host vouches for now; `None`: nothing.
    fn claim(&mut self, counter: &GuestTicks<'_>) -> Option<Claim>;

    /// What becomes of a page that says `standing` where the host can claim that. Not asked where
    /// the guest arrives: then the page is written, and it is interrupted if anything is new.
    fn decide(&mut self, standing: &Body, claim: Option<&Claim>) -> Publish;

    /// Why the last look at the host's clock found none to believe, for people.
    fn doubt(&self) -> Option<String> {
        None
    }
}

/// The guest's clock, as the guest would find it now, and what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockStatus {
    /// What is fixed for life.
    pub constants: Constants,
    /// The even sequence count.
    pub seq_count: u32,
    /// What stands in the page.
    pub body: Body,
    /// What a guest that reads it finds.
    pub reading: Result<Reading, NoTime>,
    /// Why the host's clock is not believed, if it is not.
    pub doubt: Option<String>,
    /// How often the guest was interrupted for its clock, since it came here.
    pub notifications: u64,
    /// The last of these interrupts.
    pub notified: Option<Notified>,
    /// Writes of the guest to the page that were refused.
    pub refused_writes: u64,
    /// The descriptor of this process behind which the page is, from its first byte on. It can be
    /// mapped to be read, and no more; `None` if the host cannot hold others to that.
    pub page_fd: Option<i32>,
}

/// The last interrupt for the clock, of which the page tells the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notified {
    /// How long ago it was sent, in nanoseconds.
    pub ns_ago: u64,
    /// To which vCPU it is routed; `None`: to any, or the guest has routed it nowhere.
    pub to: Option<VcpuId>,
    /// Whether that vCPU has taken it; `None` where the interrupt controller does not say.
    pub is_taken: Option<bool>,
}

/// The publisher of one machine.
pub(crate) struct Publisher {
    source: Box<dyn TimeOfDay>,
}

impl Machine {
    /// Lets the guest's page tell this time. Without it, without a page, and in virtual time the
    /// page says that it tells none.
    pub fn set_time_of_day(&mut self, source: Box<dyn TimeOfDay>) {
        if self.bus.vmclock.is_some() && !self.clock.is_virtual() {
            self.publisher = Some(Publisher { source });
        }
    }

    /// What a guest would read of its clock now; `None` if it has none. No vCPU executes: the
    /// interrupt controller is looked at.
    pub(crate) fn clock_status(&self) -> Option<Box<ClockStatus>> {
        // In the order of the virtio clock: what it reads, then the page.
        let clocks = lock(&self.bus.clocks);
        let device = lock(self.bus.vmclock.as_ref()?);
        let page = device.clock_page();
        // Whoever maps it from now on can read and no more: all that write have mapped it.
        let sealed = rustix::fs::fcntl_add_seals(page.host().fd(), SealFlags::FUTURE_WRITE);
        let reader = device.reader();
        let look = device.look(&reader, || clocks.count());
        let notified = device.notified_at().map(|at| self.notified(at));
        Some(Box::new(ClockStatus {
            constants: *device.constants(),
            seq_count: look.map_or(0, |look| look.seq_count),
            body: device.body(),
            reading: look.and_then(|look| reader.time(&look)),
            doubt: self.publisher.as_ref().and_then(|publisher| publisher.source.doubt()),
            notifications: device.notifications(),
            notified,
            refused_writes: page.refused_writes(),
            page_fd: sealed.is_ok().then(|| page.host().fd().as_raw_fd()),
        }))
    }

    fn notified(&self, at: Instant) -> Notified {
        let word = |register: u32| {
            let register = RegId::gic(GRP_DIST_REGS, u64::from(register));
            self.irqchip.load(register).ok().and_then(|value| value.to_u32())
        };
        let (intid, bit) = (VMCLOCK_INTID, VMCLOCK_INTID % 32);
        let route = word(GICD_IROUTER + 8 * intid).map(|route| u64::from(route & ROUTE));
        let vcpus = 0..self.board.vcpu_count;
        let to = route.and_then(|route| {
            let affinity = |vcpu| board::mpidr(vcpu) & u64::from(GICD_IROUTER_AFFINITY);
            vcpus.map(VcpuId).find(|vcpu| affinity(vcpu.0) == route)
        });
        let pending = word(GICD_ISPENDR + intid / 32 * 4);
        Notified {
            ns_ago: u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX),
            to,
            is_taken: pending.map(|pending| pending >> bit & 1 == 0),
        }
    }

    /// Tells the guest how near a disruption is.
    pub(crate) fn announce(&mut self, notice: Notice) -> Result<(), MachineError> {
        let refused = |why| Err(MachineError::Announce { why });
        let Some(device) = &self.bus.vmclock else {
            return refused("it has no vmclock; guests have one unless born with --no-vmclock");
        };
        if self.clock.is_virtual() {
            return refused("its time is virtual, and its run is the same whoever asks");
        }
        lock(device).update(|clock| clock.announce(notice));
        self.bus.notify_vmclock();
        Ok(())
    }

    /// The vCPUs are about to execute here for the first time.
    pub(crate) fn time_begins(&mut self) -> Result<(), MachineError> {
        let Some(vcpu) = self.vcpus.first() else { return Ok(()) };
        let counter = vcpu.counter()?;
        lock(&self.bus.clocks).set_counter(counter.clone());
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        let Some(counter) = counter else { return Ok(()) };
        if publisher.publish(&self.bus, counter.as_ref(), self.board.cntfrq_hz) {
            self.bus.notify_vmclock();
        }
        Ok(())
    }

    /// Looks at the host's time while vCPUs execute.
    pub(crate) fn tick_time(&mut self) {
        let Some(publisher) = &mut self.publisher else { return };
        let Some(counter) = lock(&self.bus.clocks).counter().cloned() else { return };
        let Some(device) = &self.bus.vmclock else { return };
        let ticks = GuestTicks { counter: counter.as_ref(), hz: self.board.cntfrq_hz };
        let claim = publisher.source.claim(&ticks);
        let standing = lock(device).body();
        let action = publisher.source.decide(&standing, claim.as_ref());
        if action.write {
            publisher.write(&self.bus, &ticks, claim);
        }
        if action.notify {
            self.bus.notify_vmclock();
        }
    }
}

impl Publisher {
    /// Writes what the host says now; tells whether that is anything new.
    fn publish(&mut self, bus: &MachineBus, counter: &dyn GuestCounter, hz: u64) -> bool {
        let ticks = GuestTicks { counter, hz };
        let claim = self.source.claim(&ticks);
        self.write(bus, &ticks, claim)
    }

    /// Writes `claim`, or a fresh one if it comes too late; tells whether the page changed.
    fn write(&mut self, bus: &MachineBus, ticks: &GuestTicks<'_>, claim: Option<Claim>) -> bool {
        let Some(device) = &bus.vmclock else { return false };
        let mut device = lock(device);
        let window_ticks = ticks.hz / WINDOW_PER_SECOND;
        let (mut claim, mut has_changed) = (claim, false);
        for _ in 0..ATTEMPTS {
            let Some(claimed) = claim else { break };
            let reference = claimed.line.counter_value;
            has_changed |= device.claim(claimed, window_ticks) != Outcome::Unchanged;
            if ticks.now().wrapping_sub(reference) <= window_ticks {
                return has_changed;
            }
            claim = self.source.claim(ticks);
        }
        // The host says nothing, or nothing that is still so when it stands in the page.
        if device.body().clock_status != spec::STATUS_UNRELIABLE {
            device.update(abide_vmclock::Vmclock::doubt);
            has_changed = true;
        }
        has_changed
    }
}

impl MachineBus {
    /// Tells the guest that its page has changed.
    pub(crate) fn notify_vmclock(&self) {
        if self.vmclock.as_ref().is_some_and(|device| lock(device).note_notification()) {
            self.pulse(VMCLOCK_INTID);
        }
    }
}
