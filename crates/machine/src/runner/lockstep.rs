//! All vCPUs on one thread, in turn.

use super::control::{Command, ControlQueue, Reply, Status, Waited};
use super::{Outcome, RunConfig, RunResult, SavePoint};
use crate::bus::lock;
use crate::error::MachineError;
use crate::machine::Machine;
use abide_engine::{Clock, PowerState, Stop, SystemEvent};
use std::path::PathBuf;
use std::time::Duration;

/// Instructions a vCPU may execute before it is the next one's turn: about 0.2 ms, so that
/// requests and other vCPUs do not wait, and long enough to cost nothing.
const SLICE_INSTRUCTIONS: u64 = 65_536;

/// How long an idle machine with host time sleeps at most before it looks at its devices again.
const IDLE_MAX: Duration = Duration::from_millis(500);

/// A run in progress.
struct Run<'a> {
    machine: &'a mut Machine,
    queue: &'a ControlQueue,
    config: &'a RunConfig,
    next_save_point: usize,
    paused: bool,
    /// Ticks and instructions when every vCPU last waited and virtual time had jumped.
    idle_at: Option<(u64, u64)>,
    failed_saves: Vec<(PathBuf, MachineError)>,
}

/// What all vCPUs did in one turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// At least one executed.
    Busy,
    /// Every one waits.
    Idle,
}

impl Machine {
    /// Runs until something ends it. `prepared` machines start here.
    ///
    /// # Errors
    /// [`MachineError`] if the host fails the machine; never because of what the guest does.
    pub fn run(
        &mut self,
        queue: &ControlQueue,
        config: &RunConfig,
    ) -> Result<RunResult, MachineError> {
        if self.vm.counts_instructions() {
            queue.interrupt(Vec::new());
        } else {
            queue.interrupt(self.vcpus.iter().map(|vcpu| vcpu.kicker()).collect());
        }
        self.clock.resume();
        let mut run = Run {
            machine: self,
            queue,
            config,
            next_save_point: 0,
            paused: false,
            idle_at: None,
            failed_saves: Vec::new(),
        };
        let outcome = run.until_end();
        let failed_saves = std::mem::take(&mut run.failed_saves);
        self.clock.pause();
        Ok(RunResult { outcome: outcome?, failed_saves })
    }
}

impl Run<'_> {
    fn until_end(&mut self) -> Result<Outcome, MachineError> {
        loop {
            if let Some(outcome) = self.between_slices()? {
                return Ok(outcome);
            }
            let (turn, outcome) = self.turn()?;
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            if turn == Turn::Idle
                && let Some(outcome) = self.idle()?
            {
                return Ok(outcome);
            }
        }
    }

    /// Everything that may happen only while no vCPU executes.
    fn between_slices(&mut self) -> Result<Option<Outcome>, MachineError> {
        if let Some(outcome) = self.reach_save_points() {
            return Ok(Some(outcome));
        }
        while let Some((command, reply)) = self.queue.poll() {
            let (answer, outcome) = self.serve(command);
            // Whoever asked may have gone; the machine does not mind.
            let _ = reply.send(answer);
            if outcome.is_some() {
                return Ok(outcome);
            }
        }
        while self.paused {
            if let Some(outcome) = self.wait(None)? {
                return Ok(Some(outcome));
            }
        }
        self.machine.bus.deliver_input();
        if !self.machine.clock.is_virtual() {
            self.machine.bus.tick_rtc();
        }
        Ok(None)
    }

    /// Lets each vCPU run a slice.
    fn turn(&mut self) -> Result<(Turn, Option<Outcome>), MachineError> {
        let machine = &mut *self.machine;
        let mut turn = Turn::Idle;
        for n in 0..machine.vcpus.len() {
            if machine.vcpus[n].power() == PowerState::Off {
                continue;
            }
            let stop = machine.vcpus[n].run(SLICE_INSTRUCTIONS, machine.bus.as_ref())?;
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
        if lock(&machine.bus.console).has_panicked() {
            return Ok((turn, Some(Outcome::Panicked)));
        }
        Ok((turn, None))
    }

    /// Every vCPU waits: until the next timer, in whatever time this machine lives.
    fn idle(&mut self) -> Result<Option<Outcome>, MachineError> {
        let machine = &*self.machine;
        // It has read what was typed, and there is more.
        if machine.bus.deliver_input() {
            return Ok(None);
        }
        let on = machine.vcpus.iter().filter(|vcpu| vcpu.power() == PowerState::On);
        let deadline = on.filter_map(|vcpu| vcpu.deadline_ticks()).min();
        if machine.clock.is_virtual() {
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
                return Ok(None);
            }
            // Nothing inside can wake it; only somebody outside can.
            return self.wait(None);
        }
        let timer = deadline.and_then(|ticks| machine.clock.host_wait(ticks));
        self.wait(Some(timer.unwrap_or(IDLE_MAX).min(IDLE_MAX)))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Outcome>, MachineError> {
        match self.queue.wait(timeout) {
            Waited::TimedOut => Ok(None),
            // Nobody is left who could wake or resume it.
            Waited::Closed if timeout.is_none() => Ok(Some(Outcome::Stopped)),
            Waited::Closed => {
                std::thread::sleep(timeout.unwrap_or(IDLE_MAX));
                Ok(None)
            }
            Waited::Command((command, reply)) => {
                let (answer, outcome) = self.serve(command);
                let _ = reply.send(answer);
                Ok(outcome)
            }
        }
    }

    fn serve(&mut self, command: Command) -> (Reply, Option<Outcome>) {
        match command {
            Command::Status => (Reply::Status(self.status()), None),
            Command::Pause => {
                self.paused = true;
                self.machine.clock.pause();
                (Reply::Done, None)
            }
            Command::Resume => {
                self.paused = false;
                self.machine.clock.resume();
                (Reply::Done, None)
            }
            Command::Save { path, keep_running, compress, overwrite } => {
                self.serve_save(&path, keep_running, compress, overwrite)
            }
            Command::Stop => (Reply::Done, Some(Outcome::Stopped)),
            Command::Input(bytes) => {
                let taken = lock(&self.machine.bus.console).type_in(&bytes);
                (Reply::Typed { taken }, None)
            }
        }
    }

    fn serve_save(
        &mut self,
        path: &std::path::Path,
        keep_running: bool,
        compress: bool,
        overwrite: bool,
    ) -> (Reply, Option<Outcome>) {
        self.machine.clock.pause();
        let saved = self.machine.save(path, compress, overwrite);
        if !self.paused {
            self.machine.clock.resume();
        }
        match saved {
            Ok(file_len) => {
                let outcome = (!keep_running).then_some(Outcome::SavedAway);
                (Reply::Saved { file_len }, outcome)
            }
            // The guest goes on as if nobody had asked.
            Err(error) => (Reply::Failed(error), None),
        }
    }

    fn reach_save_points(&mut self) -> Option<Outcome> {
        while let Some(point) = self.config.save_points.get(self.next_save_point) {
            if self.machine.instructions() < point.instructions {
                return None;
            }
            self.next_save_point += 1;
            let saved = self.save_at(point);
            let last = self.next_save_point == self.config.save_points.len();
            if saved && last && !self.config.keep_running {
                return Some(Outcome::SavedAway);
            }
        }
        None
    }

    fn save_at(&mut self, point: &SavePoint) -> bool {
        match self.machine.save(&point.path, self.config.compress, true) {
            Ok(_) => true,
            Err(error) => {
                let path = point.path.display();
                tracing::error!(%path, %error, "save failed, the guest goes on");
                self.failed_saves.push((point.path.clone(), error));
                false
            }
        }
    }

    fn status(&self) -> Status {
        let machine = &*self.machine;
        Status {
            paused: self.paused,
            engine: machine.engine,
            vcpu_count: machine.board.vcpu_count,
            ram_len: machine.board.ram_len,
            deterministic: machine.clock.is_virtual(),
            instructions: machine.instructions(),
            guest_ns: machine.guest_ns(),
            console_bytes: machine.console_bytes(),
        }
    }
}
