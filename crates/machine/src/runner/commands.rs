//! What is asked of a machine and done while none of its vCPUs executes, whichever runner it has.

use super::control::{Command, Reply, Status};
use super::{Outcome, RunConfig, SavePoint};
use crate::bus::lock;
use crate::error::MachineError;
use crate::handoff::Handoff;
use crate::machine::Machine;
use std::path::PathBuf;
use std::time::Duration;

/// A run in progress.
pub(super) struct Run<'a> {
    pub(super) machine: &'a mut Machine,
    pub(super) config: &'a RunConfig,
    pub(super) paused: bool,
    pub(super) handoff: Handoff,
    /// How long it took until the machine rested for the command that is served.
    pub(super) rested_for: Duration,
    /// Somebody asked it to stop while it was frozen.
    pub(super) shall_stop: bool,
    pub(super) failed_saves: Vec<(PathBuf, MachineError)>,
    next_save_point: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(machine: &'a mut Machine, config: &'a RunConfig) -> Self {
        let failed_saves = Vec::new();
        Self {
            machine,
            config,
            paused: config.starts_paused,
            handoff: Handoff::None,
            rested_for: Duration::ZERO,
            shall_stop: false,
            failed_saves,
            next_save_point: 0,
        }
    }

    /// Whether no vCPU may execute.
    pub(super) fn rests(&self) -> bool {
        self.paused || self.handoff.is_frozen()
    }

    /// Does what is asked; the run may end with it.
    pub(super) fn serve(&mut self, command: Command) -> (Reply, Option<Outcome>) {
        if let Some(answer) = self.answer_frozen(&command) {
            return (answer, None);
        }
        match command {
            Command::Status => (Reply::Status(self.status()), None),
            Command::Clock => (Reply::Clock(self.machine.clock_status()), None),
            Command::Announce(notice) => match self.machine.announce(notice) {
                Ok(()) => (Reply::Done, None),
                Err(error) => (Reply::Failed(error), None),
            },
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
                self.save_with(keep_running, |machine| machine.save(&path, compress, overwrite))
            }
            Command::SaveMoving { path, compress, overwrite } => {
                self.save_with(false, |machine| machine.save_moving(&path, compress, overwrite))
            }
            Command::SaveKeepingMemory { path, overwrite, hash_ram, gives_right } => self
                .save_with(false, |machine| {
                    machine.save_keeping_memory(&path, overwrite, hash_ram, gives_right)
                }),
            Command::Offer { logs_writes } => (self.offer(logs_writes), None),
            Command::Harvest => (self.harvest(), None),
            Command::Freeze => (self.freeze(), None),
            Command::TakeBack { epoch } => self.take_back(epoch),
            Command::Release => (self.release(), None),
            Command::GiveAway => self.give_away(),
            Command::Stop => (Reply::Done, Some(Outcome::Stopped)),
            Command::Input(bytes) => {
                let taken = lock(&self.machine.bus.console).type_in(&bytes);
                (Reply::Typed { taken }, None)
            }
        }
    }

    fn save_with(
        &mut self,
        keep_running: bool,
        save: impl FnOnce(&mut Machine) -> Result<u64, MachineError>,
    ) -> (Reply, Option<Outcome>) {
        self.machine.clock.pause();
        let saved = save(self.machine);
        if !self.paused {
            self.machine.clock.resume();
        }
        match saved {
            Ok(file_len) => {
                let outcome = (!keep_running).then_some(Outcome::SavedAway);
                (Reply::Saved { file_len }, outcome)
            }
            // It may go on elsewhere, so not here.
            Err(error @ MachineError::RightInDoubt { .. }) => {
                (Reply::Failed(error), Some(Outcome::SavedAway))
            }
            // The guest goes on as if nobody had asked.
            Err(error) => (Reply::Failed(error), None),
        }
    }

    /// After how many instructions the next save is due.
    pub(super) fn next_save_point(&self) -> Option<u64> {
        self.config.save_points.get(self.next_save_point).map(|point| point.instructions)
    }

    /// Makes the saves that are due.
    pub(super) fn reach_save_points(&mut self) -> Option<Outcome> {
        while let Some(point) = self.config.save_points.get(self.next_save_point) {
            if self.machine.instructions() < point.instructions || self.handoff.is_frozen() {
                return None;
            }
            self.next_save_point += 1;
            let last = self.next_save_point == self.config.save_points.len();
            let saved = self.save_at(point, last);
            if saved && last && (self.config.keep_memory || !self.config.keep_running) {
                return Some(Outcome::SavedAway);
            }
        }
        None
    }

    fn save_at(&mut self, point: &SavePoint, last: bool) -> bool {
        self.machine.clock.pause();
        let saved = if last && self.config.keep_memory {
            self.machine.save_keeping_memory(&point.path, true, false, false)
        } else {
            self.machine.save(&point.path, self.config.compress, true)
        };
        if !self.paused {
            self.machine.clock.resume();
        }
        match saved {
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
            handoff: self.handoff,
            engine: machine.engine,
            vcpu_count: machine.board.vcpu_count,
            vcpus_on: machine.vcpus_on(),
            ram_len: machine.board.ram_len,
            deterministic: machine.clock.is_virtual(),
            instructions: machine.instructions(),
            guest_ns: machine.guest_ns(),
            console_bytes: machine.console_bytes(),
        }
    }
}
