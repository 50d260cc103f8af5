//! All vCPUs on one thread, in turn, in virtual time.

use super::commands::Run;
use super::control::{ControlQueue, Message, Waited};
use super::{LONE_SLICE_INSTRUCTIONS, Outcome, SLICE_INSTRUCTIONS};
use crate::bus::lock;
use crate::error::MachineError;
use crate::machine::Machine;
use abide_engine::{Clock, PowerState, Provider, Stop, SystemEvent};

/// A run on one thread.
pub(super) struct Lockstep<'run, 'a> {
    run: &'run mut Run<'a>,
    queue: &'run ControlQueue,
    /// Ticks and instructions when every vCPU last waited and virtual time had jumped.
    idle_at: Option<(u64, u64)>,
}

/// What all vCPUs did in one turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// At least one executed, so that another may have something to do.
    Busy,
    /// Every one waited all the time.
    Idle,
}

impl<'run, 'a> Lockstep<'run, 'a> {
    pub(super) fn new(run: &'run mut Run<'a>, queue: &'run ControlQueue) -> Self {
        if run.machine.vm.counts_instructions() {
            queue.interrupt(Vec::new());
        } else {
            queue.interrupt(run.machine.vcpus.iter().map(|vcpu| vcpu.kicker()).collect());
        }
        Self { run, queue, idle_at: None }
    }

    pub(super) fn until_end(&mut self) -> Result<Outcome, MachineError> {
        loop {
            if let Some(outcome) = self.between_slices() {
                return Ok(outcome);
            }
            let (turn, outcome) = self.turn()?;
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            if turn == Turn::Idle
                && let Some(outcome) = self.idle()
            {
                return Ok(outcome);
            }
        }
    }

    /// Everything that may happen only while no vCPU executes.
    fn between_slices(&mut self) -> Option<Outcome> {
        if let Some(outcome) = self.run.reach_save_points() {
            return Some(outcome);
        }
        while let Some(message) = self.queue.poll() {
            let outcome = self.serve(message);
            if outcome.is_some() {
                return outcome;
            }
        }
        while self.run.rests() {
            if let Some(outcome) = self.wait() {
                return Some(outcome);
            }
        }
        self.run.machine.bus.deliver_input();
        None
    }

    /// Lets each vCPU run a slice.
    fn turn(&mut self) -> Result<(Turn, Option<Outcome>), MachineError> {
        let machine = &mut *self.run.machine;
        let mut turn = Turn::Idle;
        let is_lone = machine.vcpus.len() == 1;
        let slice = if is_lone { LONE_SLICE_INSTRUCTIONS } else { SLICE_INSTRUCTIONS };
        let instructions_before = machine.instructions();
        for n in 0..machine.vcpus.len() {
            if machine.vcpus[n].power() == PowerState::Off {
                continue;
            }
            let from = machine.guest_ns();
            let stop = machine.vcpus[n].run(slice, machine.bus.as_ref())?;
            machine.charge_others(n, machine.guest_ns().saturating_sub(from));
            if stop != Stop::Idle {
                turn = Turn::Busy;
            }
            let ended = match stop {
                Stop::Budget | Stop::Idle | Stop::Kicked => None,
                Stop::System(SystemEvent::Noted) => machine.serve_firmware()?,
                Stop::System(SystemEvent::Off) => Some(machine.after_panic(Outcome::PoweredOff)),
                Stop::System(SystemEvent::Reset) => Some(machine.after_panic(Outcome::Reset)),
            };
            if ended.is_some() {
                return Ok((turn, ended));
            }
        }
        if machine.bus.has_panicked() {
            return Ok((turn, Some(Outcome::Panicked)));
        }
        // Before it waited again, it may have woken one whose turn had been.
        if machine.instructions() != instructions_before {
            turn = Turn::Busy;
        }
        Ok((turn, None))
    }

    /// Every vCPU waits: time jumps to the next timer.
    fn idle(&mut self) -> Option<Outcome> {
        let machine = &*self.run.machine;
        // It has read what was typed, and there is more.
        if machine.bus.deliver_input() {
            return None;
        }
        let on = machine.vcpus.iter().filter(|vcpu| vcpu.power() == PowerState::On);
        let deadline = on.filter_map(|vcpu| vcpu.deadline_ticks()).min();
        let moment = || (machine.clock.now_ticks(), machine.instructions());
        let now = moment();
        // A time that has come and moved nobody, such as that of a timer whose interrupt is
        // masked, will not move anybody later.
        let is_stuck = self.idle_at == Some(now);
        let rtc = lock(&machine.bus.rtc).wake_s();
        let rtc = rtc.map(|seconds| machine.clock.ticks_of_wall_s(seconds));
        let times = deadline.into_iter().chain(rtc);
        if let Some(ticks) = times.filter(|&ticks| !is_stuck || ticks > now.0).min() {
            machine.clock.warp_to(ticks);
            machine.bus.tick_rtc();
            self.idle_at = Some(moment());
            return None;
        }
        // Nothing inside can wake it; only somebody outside can.
        self.wait()
    }

    /// Waits for a command, and does it.
    fn wait(&mut self) -> Option<Outcome> {
        match self.queue.wait(None, true) {
            Waited::TimedOut | Waited::Noted => None,
            // Nobody is left who could wake or resume it.
            Waited::Closed => Some(Outcome::Stopped),
            Waited::Command(message) => self.serve(message),
        }
    }

    fn serve(&mut self, (command, reply): Message) -> Option<Outcome> {
        let (answer, outcome) = self.run.serve(command);
        // Whoever asked may have gone; the machine does not mind.
        let _ = reply.send(answer);
        outcome
    }
}

impl Machine {
    /// vCPU number `executed` had the one thread for so long: it was stolen from all others that
    /// could have executed meanwhile.
    fn charge_others(&self, executed: usize, ns: u64) {
        let Some(records) = &self.bus.stolen_time else { return };
        if ns == 0 || self.firmware_provider != Provider::Machine {
            return;
        }
        let others = self.vcpus.iter().enumerate().filter(|(n, _)| *n != executed);
        for (_, vcpu) in others {
            // One that waits would not have executed.
            if vcpu.power() == PowerState::On && !vcpu.is_waiting() {
                records.steal(vcpu.id(), ns);
            }
        }
    }
}
