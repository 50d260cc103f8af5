//! A vCPU between slices: interrupts, timers, waiting, requests.

use crate::code_cache::CodeCache;
use crate::cpu::{Cpu, Env, Exit, Wait, esr};
use crate::engine::NAME;
use crate::exec;
use crate::shared::{self, Shared};
use crate::state;
use crate::sysreg::Slot;
use crate::timer::Timer;
use abide_arm64::rules::rule;
use abide_engine::{
    Bus, Clock, EngineError, GuestCounter, InterruptLines, Kick, PowerState, Stop, Vcpu,
    place_of_record,
};
use abide_pvtime::Revision;
use abide_reg::{Absent, Class, Gpa, RegId, VcpuId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most instructions between two looks at kicks and requests: well below a millisecond.
const SLICE_MAX: i64 = 100_000;

/// The same under a clock that moves by itself, where each look is also one at the timers.
const SLICE_MAX_HOST_TIME: i64 = 10_000;

/// A kick: taken at the next look.
#[derive(Debug, Default)]
pub(crate) struct KickFlag(AtomicBool);

impl Kick for KickFlag {
    fn kick(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A virtual CPU of the software engine.
pub(crate) struct SoftVcpu {
    pub id: VcpuId,
    pub cpu: Cpu,
    code: CodeCache,
    pub shared: Arc<Shared>,
    pub clock: Arc<dyn Clock>,
    lines: Arc<InterruptLines>,
    kick: Arc<KickFlag>,
}

impl SoftVcpu {
    pub fn new(
        id: VcpuId,
        cpu: Cpu,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        lines: Arc<InterruptLines>,
    ) -> Self {
        shared.waits_at(id.index(), Arc::clone(&lines));
        Self { id, cpu, code: CodeCache::default(), shared, clock, lines, kick: Arc::default() }
    }

    /// Forgets every translation and decoded instruction: RAM or registers were replaced.
    pub fn forget(&mut self) {
        self.cpu.flush_tlb();
        self.code.flush_all();
    }

    /// Whether a wait is over; if so, it ends.
    fn wake(&mut self) -> bool {
        let cpu = &mut self.cpu;
        let interrupted = self.lines.any() || cpu.serror.is_some();
        let over = match cpu.wait {
            Wait::Nothing => true,
            Wait::Interrupt => interrupted,
            Wait::Event => {
                let count = Timer::Virtual.count(&self.shared, &*self.clock);
                let has_come = interrupted || std::mem::take(&mut cpu.event);
                let over = has_come || cpu.event_due(count);
                if over {
                    cpu.patience.ended(count, has_come);
                }
                over
            }
        };
        if over {
            cpu.wait = Wait::Nothing;
        }
        over
    }

    /// Takes the interrupt of the highest priority that is pending and not masked.
    fn take_interrupt(&mut self) {
        const A: u64 = 1 << 8;
        const I: u64 = 1 << 7;
        const F: u64 = 1 << 6;
        let cpu = &mut self.cpu;
        let pc = cpu.pc;
        if cpu.daif & A == 0
            && let Some(syndrome) = cpu.serror.take()
        {
            cpu.set_sys(Slot::EsrEl1, esr::SERROR | syndrome.unwrap_or(0));
            cpu.enter_exception(0x180, pc);
        } else if cpu.daif & F == 0 && self.lines.fiq() {
            cpu.enter_exception(0x100, pc);
        } else if cpu.daif & I == 0 && self.lines.irq() {
            cpu.enter_exception(0x80, pc);
        }
    }

    /// How many instructions may run before something has to be looked at.
    fn slice(&self, left: i64) -> i64 {
        // Any time that has come tells whether instructions are what moves the clock.
        if self.clock.instructions_until(0).is_none() {
            return left.min(SLICE_MAX_HOST_TIME);
        }
        let deadline = self.cpu.timer_deadline(&self.shared, &*self.clock);
        let until = deadline.and_then(|ticks| self.clock.instructions_until(ticks));
        let until = until.and_then(|count| i64::try_from(count).ok()).unwrap_or(i64::MAX);
        // A deadline that has come leaves at least one instruction: its level was updated before.
        left.min(SLICE_MAX).min(until.max(1))
    }

    /// Executes one slice; returns why it ended. `left` is lowered by what was executed.
    fn execute(&mut self, left: &mut i64, bus: &dyn Bus) -> Exit {
        let slice = self.slice(*left);
        let cpu = &mut self.cpu;
        cpu.left = slice;
        cpu.told = slice;
        cpu.looked_outside = false;
        let env = Env {
            ram: &self.shared.ram,
            bus,
            clock: &*self.clock,
            lines: &self.lines,
            shared: &self.shared,
            id: self.id,
        };
        let exit = exec::execute(cpu, &mut self.code, &env);
        self.clock.retire(u64::try_from(cpu.told - cpu.left).unwrap_or(0));
        *left -= slice - cpu.left;
        exit
    }
}

/// CNTVCT_EL0, for others than vCPUs.
struct SoftCounter {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl GuestCounter for SoftCounter {
    fn now(&self) -> u64 {
        Timer::Virtual.count(&self.shared, &*self.clock)
    }

    fn off_ticks(&self) -> u64 {
        0
    }
}

impl Vcpu for SoftVcpu {
    fn id(&self) -> VcpuId {
        self.id
    }

    fn run(&mut self, budget: u64, bus: &dyn Bus) -> Result<Stop, EngineError> {
        self.shared.started.store(true, Ordering::Relaxed);
        self.cpu.ids = self.shared.ids(self.id.index());
        self.cpu.find_simd();
        self.code.decode_for(self.cpu.ids.extensions());
        if self.clock.instructions_until(0).is_some() {
            // Guests change descriptors without TLBI where a stale entry does no harm: Linux clears
            // access flags so. A restored vCPU has no such entry, so none outlives a slice.
            self.cpu.flush_tlb();
        }
        let mut left = i64::try_from(budget).unwrap_or(i64::MAX);
        let shared = Arc::clone(&self.shared);
        let _inside = shared.enter(self.id.index());
        loop {
            if self.kick.0.swap(false, Ordering::Acquire) {
                return Ok(Stop::Kicked);
            }
            if self.cpu.power == PowerState::Off {
                return Ok(Stop::Idle);
            }
            shared::serve(&shared, self.id.index(), &mut self.cpu, &mut self.code);
            self.cpu.update_timers(self.id, &self.shared, &*self.clock, bus);
            if !self.wake() {
                return Ok(Stop::Idle);
            }
            self.take_interrupt();
            if left <= 0 {
                return Ok(Stop::Budget);
            }
            match self.execute(&mut left, bus) {
                Exit::Slice => {}
                Exit::Wait(wait) => self.cpu.wait = wait,
                Exit::System(event) => return Ok(Stop::System(event)),
            }
        }
    }

    fn counter(&self) -> Result<Option<Arc<dyn GuestCounter>>, EngineError> {
        let (shared, clock) = (Arc::clone(&self.shared), Arc::clone(&self.clock));
        Ok(Some(Arc::new(SoftCounter { shared, clock })))
    }

    fn deadline_ticks(&self) -> Option<u64> {
        let timers = self.cpu.timer_deadline(&self.shared, &*self.clock);
        let event = (self.cpu.wait == Wait::Event).then(|| {
            let count = Timer::Virtual.count(&self.shared, &*self.clock);
            let ahead = self.cpu.wait_until.wrapping_sub(count);
            let ahead = if ahead.cast_signed() < 0 { 0 } else { ahead };
            self.clock.now_ticks().saturating_add(ahead)
        });
        timers.into_iter().chain(event).min()
    }

    fn power(&self) -> PowerState {
        self.cpu.power
    }

    fn power_on(&mut self, entry: Gpa, context: u64) -> Result<(), EngineError> {
        self.cpu.reset();
        self.cpu.power = PowerState::On;
        self.cpu.pc = entry.0;
        self.cpu.x[0] = context;
        Ok(())
    }

    fn power_off(&mut self) -> Result<(), EngineError> {
        self.cpu.power = PowerState::Off;
        Ok(())
    }

    fn class_of(&self, id: RegId) -> Class {
        state::definition(id).map_or(Class::Mandatory, |def| def.class)
    }

    /// All of its registers but those that other engines do not have either, or not all of them:
    /// a guest from KVM of Linux 6.1 has no physical timer, and it is off here until it is used.
    fn requires(&self, id: RegId) -> bool {
        let may_be_absent = || matches!(rule(id).absent, Absent::DropIfOff(_));
        state::definition(id).is_some_and(|def| def.class == Class::Mandatory) && !may_be_absent()
    }

    /// The machine keeps the record, as it brings the firmware.
    fn set_stolen_time(&mut self, at: Gpa, revision: Revision) -> Result<(), EngineError> {
        let Shared { ram, stolen_time, .. } = &*self.shared;
        place_of_record(NAME, stolen_time, ram, at, revision).map(drop)
    }

    fn is_waiting(&self) -> bool {
        self.cpu.wait != Wait::Nothing
    }

    fn kicker(&self) -> Arc<dyn Kick> {
        Arc::clone(&self.kick) as Arc<dyn Kick>
    }
}
