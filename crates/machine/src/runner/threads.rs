//! A host thread for each vCPU, in the host's time.
//!
//! The thread that runs the machine, the *coordinator*, waits for commands; each vCPU has a
//! thread of its own, for as long as the run lasts. A vCPU belongs either to its thread or, while
//! the machine rests, to the machine: [`Floor::start`] hands all of them out, [`Floor::rest`] gets
//! all of them back. Nothing else does, so whatever needs a machine at rest (pause, save, a
//! snapshot on the way, the end) goes one way, and finds a machine that is whole.
//!
//! What one vCPU wants of another (PSCI CPU_ON) is put into the other's mailbox and served by the
//! other's thread before it executes, or at rest by the coordinator. A vCPU that has nothing to do
//! waits in its [`Parking`] until its timer is due, an interrupt or an event comes, mail arrives or
//! the machine shall rest.
//!
//! Why a rest is always reached: a vCPU leaves `run` when it is kicked, whatever its guest does; a
//! wait in the parking is ended; a vCPU that waits at a DSB waits only for vCPUs that execute, and
//! they leave as well; and devices hold no lock while they wait for one of a vCPU.
//!
//! [`Parking`]: abide_engine::Parking

use super::commands::Run;
use super::control::{Command, ControlQueue, Message, Notifier, Waited};
use super::{Outcome, SLICE_INSTRUCTIONS};
use crate::bus::{MachineBus, Request, lock};
use crate::clock::MachineClock;
use crate::error::MachineError;
use crate::machine::Machine;
use abide_engine::{InterruptLines, Kick, PowerState, Provider, Stop, SystemEvent, Vcpu};
use abide_firmware::Effect;
use abide_reg::{Gpa, VcpuId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// How often the devices that depend on the host's time are looked at.
const TICK: Duration = Duration::from_millis(500);

/// No save is due.
const NO_SAVE_POINT: u64 = u64::MAX;

/// PSCI CPU_ON, for the thread of the vCPU that is switched on.
#[derive(Clone, Copy)]
struct PowerOn {
    entry: Gpa,
    context_id: u64,
}

/// One vCPU's place.
struct Seat {
    /// The vCPU while the machine runs, on its way to or from its thread.
    vcpu: Mutex<Option<Box<dyn Vcpu>>>,
    mail: Mutex<Vec<PowerOn>>,
    kicker: Arc<dyn Kick>,
    lines: Arc<InterruptLines>,
}

/// Where the threads of all vCPUs are.
struct Floor {
    seats: Vec<Seat>,
    bus: Arc<MachineBus>,
    clock: Arc<MachineClock>,
    firmware: Provider,
    coordinator: Notifier,
    /// The machine shall rest: every thread gives its vCPU back.
    shall_rest: AtomicBool,
    /// At how many instructions the coordinator wants to be told.
    save_point: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How often the machine was started.
    starts: u64,
    /// How many threads have their vCPU.
    executing: usize,
    /// The threads shall end.
    over: bool,
    /// What ended the run, whoever came first.
    end: Option<Result<Outcome, MachineError>>,
}

impl Floor {
    fn new(machine: &Machine, coordinator: Notifier) -> Self {
        let seats = machine.vcpus.iter().zip(&machine.lines).map(|(vcpu, lines)| Seat {
            vcpu: Mutex::new(None),
            mail: Mutex::default(),
            kicker: vcpu.kicker(),
            lines: Arc::clone(lines),
        });
        Self {
            seats: seats.collect(),
            bus: Arc::clone(&machine.bus),
            clock: Arc::clone(&machine.clock),
            firmware: machine.firmware_provider,
            coordinator,
            shall_rest: AtomicBool::new(false),
            save_point: AtomicU64::new(NO_SAVE_POINT),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Hands every vCPU to its thread.
    fn start(&self, vcpus: &mut Vec<Box<dyn Vcpu>>) {
        let mut state = lock(&self.state);
        debug_assert_eq!((state.executing, vcpus.len()), (0, self.seats.len()));
        self.shall_rest.store(false, Ordering::SeqCst);
        for (seat, vcpu) in self.seats.iter().zip(vcpus.drain(..)) {
            *lock(&seat.vcpu) = Some(vcpu);
            state.executing += 1;
        }
        state.starts += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Gets every vCPU back, at an instruction boundary and with nothing left to do for it.
    fn rest(&self, vcpus: &mut Vec<Box<dyn Vcpu>>) -> Result<(), MachineError> {
        self.shall_rest.store(true, Ordering::SeqCst);
        for seat in &self.seats {
            seat.kicker.kick();
            seat.lines.parking().wake();
        }
        let state = lock(&self.state);
        let executing = |state: &mut State| state.executing > 0;
        drop(self.changed.wait_while(state, executing).unwrap_or_else(PoisonError::into_inner));
        vcpus.extend(self.seats.iter().filter_map(|seat| lock(&seat.vcpu).take()));
        for (seat, vcpu) in self.seats.iter().zip(vcpus) {
            seat.read_mail(vcpu.as_mut())?;
        }
        Ok(())
    }

    /// What ended the run, if anything did.
    fn take_end(&self) -> Option<Result<Outcome, MachineError>> {
        lock(&self.state).end.take()
    }

    /// Lets the threads end.
    fn close(&self) {
        lock(&self.state).over = true;
        self.changed.notify_all();
    }

    /// The life of the thread of vCPU `number`.
    fn attend(&self, number: usize) {
        let seat = &self.seats[number];
        let mut starts_seen = 0;
        loop {
            let state = lock(&self.state);
            let idle = |state: &mut State| state.starts == starts_seen && !state.over;
            let state = self.changed.wait_while(state, idle);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            if state.over {
                return;
            }
            starts_seen = state.starts;
            drop(state);
            let Some(mut vcpu) = lock(&seat.vcpu).take() else { continue };
            // A defect in here must end the machine, not leave everybody waiting for this thread.
            let end = catch_unwind(AssertUnwindSafe(|| self.execute(number, vcpu.as_mut())));
            let end = end.unwrap_or_else(|payload| {
                let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
                let message = message.unwrap_or_else(|| "no message".to_owned());
                Some(Err(MachineError::VcpuPanicked { vcpu: vcpu.id(), message }))
            });
            *lock(&seat.vcpu) = Some(vcpu);
            let mut state = lock(&self.state);
            state.executing -= 1;
            let ended = end.is_some();
            state.end = state.end.take().or(end);
            drop(state);
            self.changed.notify_all();
            if ended {
                self.coordinator.notify();
            }
        }
    }

    /// Executes a vCPU until the machine shall rest, or until the run ends by what is returned.
    fn execute(&self, number: usize, vcpu: &mut dyn Vcpu) -> Option<Result<Outcome, MachineError>> {
        loop {
            if self.shall_rest.load(Ordering::SeqCst) {
                self.visit_record(number, true);
                return None;
            }
            match self.step(number, vcpu) {
                Ok(None) => {}
                Ok(Some(outcome)) => return Some(Ok(outcome)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn step(&self, number: usize, vcpu: &mut dyn Vcpu) -> Result<Option<Outcome>, MachineError> {
        let seat = &self.seats[number];
        seat.read_mail(vcpu)?;
        // A vCPU that the host's kernel switches on and off waits in there.
        if self.firmware == Provider::Machine && vcpu.power() == PowerState::Off {
            seat.lines.parking().wait(None);
            return Ok(None);
        }
        self.visit_record(number, false);
        let outcome = match vcpu.run(SLICE_INSTRUCTIONS, self.bus.as_ref())? {
            Stop::Budget | Stop::Kicked => None,
            Stop::Idle => {
                let timer = vcpu.deadline_ticks().and_then(|ticks| self.clock.host_wait(ticks));
                seat.lines.parking().wait(timer);
                None
            }
            Stop::System(SystemEvent::Noted) => self.do_firmware(vcpu)?,
            Stop::System(SystemEvent::Off) => Some(Outcome::PoweredOff),
            Stop::System(SystemEvent::Reset) => Some(Outcome::Reset),
        };
        let save_point = self.save_point.load(Ordering::Relaxed);
        if self.clock.instructions() >= save_point {
            // Once is enough.
            self.save_point.store(NO_SAVE_POINT, Ordering::Relaxed);
            self.coordinator.notify();
        }
        let panicked = self.bus.has_panicked().then_some(Outcome::Panicked);
        Ok(outcome.or(panicked))
    }

    /// Brings the vCPU's record of stolen time up to date, where that is not the host's kernel's.
    fn visit_record(&self, number: usize, leaves: bool) {
        let Some(records) = &self.bus.stolen_time else { return };
        if self.firmware == Provider::Machine {
            records.visit(VcpuId(u32::try_from(number).unwrap_or(u32::MAX)), leaves);
        }
    }

    /// Does what this vCPU asked of the machine through its firmware.
    fn do_firmware(&self, vcpu: &mut dyn Vcpu) -> Result<Option<Outcome>, MachineError> {
        let caller = vcpu.id();
        for effect in self.requests_of(caller) {
            match effect {
                Effect::CpuOn { target, entry, context_id, .. } => {
                    if let Some(seat) = self.seats.get(target.index()) {
                        lock(&seat.mail).push(PowerOn { entry, context_id });
                        seat.lines.parking().wake();
                    }
                }
                Effect::CpuOff => {
                    // In this order: from the second on, somebody may send it a CPU_ON.
                    vcpu.power_off()?;
                    self.bus.switch_off(caller);
                }
                // The bus lets the caller wait by itself.
                Effect::Suspend => {}
                Effect::SystemOff | Effect::SystemOff2 => return Ok(Some(Outcome::PoweredOff)),
                Effect::SystemReset | Effect::SystemReset2 { .. } => {
                    return Ok(Some(Outcome::Reset));
                }
            }
        }
        Ok(None)
    }

    fn requests_of(&self, caller: VcpuId) -> Vec<Effect> {
        let mut requests = lock(&self.bus.requests);
        let own = |request: &mut Request| request.caller == caller;
        requests.extract_if(.., own).map(|request| request.effect).collect()
    }
}

impl Seat {
    /// Switches the vCPU on if somebody asked for that.
    fn read_mail(&self, vcpu: &mut dyn Vcpu) -> Result<(), MachineError> {
        for PowerOn { entry, context_id } in lock(&self.mail).drain(..) {
            vcpu.power_on(entry, context_id)?;
        }
        Ok(())
    }
}

/// Ends the threads when the coordinator goes, even if by a panic: nobody would wake them then.
struct Closing<'a>(&'a Floor);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.shall_rest.store(true, Ordering::SeqCst);
        for seat in &self.0.seats {
            seat.kicker.kick();
            seat.lines.parking().wake();
        }
        self.0.close();
    }
}

/// The coordinator.
struct Coordinator<'run, 'a> {
    run: &'run mut Run<'a>,
    queue: &'run ControlQueue,
    floor: &'run Floor,
    /// The vCPUs are with their threads.
    is_started: bool,
    /// The guest has its host's time. It stays true through every rest: the counter goes on.
    knows_time: bool,
}

/// Runs the machine until something ends it.
pub(super) fn until_end(run: &mut Run<'_>, queue: &ControlQueue) -> Result<Outcome, MachineError> {
    queue.interrupt(Vec::new());
    let floor = Floor::new(run.machine, queue.notifier());
    std::thread::scope(|scope| {
        let closing = Closing(&floor);
        for number in 0..floor.seats.len() {
            let thread = Builder::new().name(format!("vcpu{number}"));
            let floor = &floor;
            thread
                .spawn_scoped(scope, move || floor.attend(number))
                .map_err(|source| MachineError::VcpuThread { number, source })?;
        }
        let mut coordinator =
            Coordinator { run, queue, floor: &floor, is_started: false, knows_time: false };
        let outcome = coordinator.until_end();
        let rested = coordinator.rest();
        drop(closing);
        let outcome = outcome?;
        rested.map(|()| run.machine.after_panic(outcome))
    })
}

impl Coordinator<'_, '_> {
    fn until_end(&mut self) -> Result<Outcome, MachineError> {
        loop {
            if let Some(outcome) = self.reach_save_points()? {
                return Ok(outcome);
            }
            if !self.run.rests() {
                self.start()?;
            }
            let rests = self.run.rests() || self.run.machine.vcpus_on() == Some(0);
            match self.queue.wait(Some(TICK), rests) {
                // Nobody is left who could wake or resume it.
                Waited::Closed => return Ok(Outcome::Stopped),
                Waited::Command(message) => {
                    if let Some(outcome) = self.serve(message)? {
                        return Ok(outcome);
                    }
                }
                Waited::Noted | Waited::TimedOut => {}
            }
            if let Some(end) = self.floor.take_end() {
                return end;
            }
            if !self.run.rests() {
                self.run.machine.bus.deliver_input();
                self.run.machine.bus.tick_rtc();
                self.run.machine.tick_time();
            }
        }
    }

    fn start(&mut self) -> Result<(), MachineError> {
        if !self.is_started {
            if !std::mem::replace(&mut self.knows_time, true) {
                self.run.machine.time_begins()?;
            }
            let point = self.run.next_save_point().unwrap_or(NO_SAVE_POINT);
            self.floor.save_point.store(point, Ordering::Relaxed);
            self.floor.start(&mut self.run.machine.vcpus);
            self.is_started = true;
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<(), MachineError> {
        if self.is_started {
            self.is_started = false;
            self.floor.rest(&mut self.run.machine.vcpus)?;
        }
        Ok(())
    }

    /// Lets the machine rest; the outcome if it ended on the way there.
    fn rest_unless_ended(&mut self) -> Result<Option<Outcome>, MachineError> {
        self.rest()?;
        self.floor.take_end().transpose()
    }

    fn reach_save_points(&mut self) -> Result<Option<Outcome>, MachineError> {
        let is_frozen = self.run.handoff.is_frozen();
        let due = |point| self.run.machine.instructions() >= point && !is_frozen;
        if !self.run.next_save_point().is_some_and(due) {
            return Ok(None);
        }
        if let Some(outcome) = self.rest_unless_ended()? {
            return Ok(Some(outcome));
        }
        Ok(self.run.reach_save_points())
    }

    fn serve(&mut self, (command, reply): Message) -> Result<Option<Outcome>, MachineError> {
        let needs_rest = match command {
            Command::Pause | Command::Resume | Command::Stop => true,
            Command::Save { .. }
            | Command::SaveMoving { .. }
            | Command::SaveKeepingMemory { .. } => true,
            // Registers are read, or it stands still already.
            Command::Offer { .. }
            | Command::Freeze
            | Command::TakeBack { .. }
            | Command::GiveAway => true,
            Command::Status | Command::Announce(_) | Command::Input(_) => false,
            // The interrupt controller says where the last interrupt is, and only at rest.
            Command::Clock => true,
            Command::Harvest | Command::Release => false,
        };
        let begun = Instant::now();
        if needs_rest && let Some(outcome) = self.rest_unless_ended()? {
            // Whoever asked learns from the missing answer that there is no machine any more.
            return Ok(Some(outcome));
        }
        self.run.rested_for = begun.elapsed();
        let (answer, outcome) = self.run.serve(command);
        // Whoever asked may have gone; the machine does not mind.
        let _ = reply.send(answer);
        Ok(outcome)
    }
}
