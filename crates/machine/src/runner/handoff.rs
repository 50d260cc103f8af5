//! The steps of a handoff, as a running machine is asked for them: see [`crate::handoff`].

use super::Outcome;
use super::commands::Run;
use super::control::{Command, Reply};
use crate::devices::virtio::RunEpoch;
use crate::error::MachineError;
use crate::handoff::Handoff;

fn refuse(why: &'static str) -> Reply {
    Reply::Failed(MachineError::Handoff { why })
}

impl Run<'_> {
    /// The answer to what cannot be done with a frozen guest: it would be lost with its state, or
    /// would make that another one.
    pub(super) fn answer_frozen(&mut self, command: &Command) -> Option<Reply> {
        if !self.handoff.is_frozen() {
            return None;
        }
        match command {
            Command::Status | Command::Clock => None,
            Command::TakeBack { .. } | Command::Release | Command::GiveAway => None,
            Command::Harvest => Some(refuse("it writes nothing")),
            // Not taken, so that it is typed again, here or there.
            Command::Input(_) => Some(Reply::Typed { taken: 0 }),
            Command::Stop => {
                self.shall_stop = true;
                Some(refuse("it ends as soon as it is known to go on here, if it does"))
            }
            Command::Pause | Command::Resume | Command::Announce(_) => {
                Some(refuse("ask again where it goes on"))
            }
            Command::Save { .. }
            | Command::SaveMoving { .. }
            | Command::SaveKeepingMemory { .. } => Some(refuse("save it where it goes on")),
            Command::Offer { .. } | Command::Freeze => Some(refuse("once at a time")),
        }
    }

    pub(super) fn offer(&mut self, logs_writes: bool) -> Reply {
        if self.handoff != Handoff::None {
            return refuse("once at a time");
        }
        match self.machine.offer(logs_writes) {
            Ok(offered) => {
                self.handoff = Handoff::Offered { logs_writes };
                Reply::Offered(Box::new(offered))
            }
            Err(error) => Reply::Failed(error),
        }
    }

    pub(super) fn harvest(&mut self) -> Reply {
        match self.handoff {
            Handoff::Offered { logs_writes: true } => {
                self.machine.harvest().map_or_else(Reply::Failed, Reply::Written)
            }
            _ => refuse("its writes are not logged"),
        }
    }

    pub(super) fn freeze(&mut self) -> Reply {
        let Handoff::Offered { logs_writes } = self.handoff else {
            return refuse("it was not offered");
        };
        match self.machine.freeze(logs_writes, self.rested_for, self.paused) {
            Ok(frozen) => {
                self.handoff = Handoff::Frozen { logs_writes };
                Reply::Frozen(Box::new(frozen))
            }
            Err(error) => {
                if !self.paused {
                    self.machine.clock.resume();
                }
                Reply::Failed(error)
            }
        }
    }

    pub(super) fn take_back(&mut self, epoch: Option<RunEpoch>) -> (Reply, Option<Outcome>) {
        let logs_writes = match self.handoff {
            Handoff::None => return (refuse("it was not offered"), None),
            Handoff::Offered { logs_writes } | Handoff::Frozen { logs_writes } => logs_writes,
            Handoff::Released { logs_writes } => {
                if let Err(error) = self.machine.claim_again(epoch) {
                    return (Reply::Failed(error), None);
                }
                logs_writes
            }
        };
        self.handoff = Handoff::None;
        if logs_writes {
            self.machine.end_log();
        }
        if self.shall_stop {
            return (Reply::Done, Some(Outcome::Stopped));
        }
        if !self.paused {
            self.machine.clock.resume();
        }
        (Reply::Done, None)
    }

    pub(super) fn release(&mut self) -> Reply {
        let Handoff::Frozen { logs_writes } = self.handoff else {
            return refuse("it was not frozen");
        };
        self.handoff = Handoff::Released { logs_writes };
        self.machine.release().map_or_else(Reply::Failed, |()| Reply::Done)
    }

    pub(super) fn give_away(&mut self) -> (Reply, Option<Outcome>) {
        if !matches!(self.handoff, Handoff::Released { .. }) {
            return (refuse("it has not left its disks"), None);
        }
        self.machine.is_given_away = true;
        (Reply::Done, Some(Outcome::GivenAway))
    }
}
