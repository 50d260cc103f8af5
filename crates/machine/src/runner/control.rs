//! What others may ask of a running machine.

use crate::devices::virtio::RunEpoch;
use crate::error::MachineError;
use crate::handoff::{Frozen, Handoff, Offered};
use crate::time_of_day::ClockStatus;
use abide_engine::Kick;
use abide_memory::PageSet;
use abide_vmclock::Notice;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something asked of a running machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tell how it is.
    Status,
    /// Tell what the guest reads of its clock.
    Clock,
    /// Tell the guest how near the next disruption of its clock is.
    Announce(Notice),
    /// Stop executing. The guest's counter goes on, as on hardware and under KVM.
    Pause,
    /// Go on.
    Resume,
    /// Write it to a file.
    Save {
        /// The file.
        path: PathBuf,
        /// Whether it goes on here afterwards; else it ends, and goes on where the file is
        /// restored.
        keep_running: bool,
        /// Whether memory is compressed.
        compress: bool,
        /// Whether an existing file may be replaced.
        overwrite: bool,
    },
    /// Write it to a file that gives the right to run, once, and end it here for good.
    SaveMoving {
        /// The file.
        path: PathBuf,
        /// Whether memory is compressed.
        compress: bool,
        /// Whether an existing file may be replaced.
        overwrite: bool,
    },
    /// Write everything but RAM, which stays in its file, and end it here.
    SaveKeepingMemory {
        /// The file.
        path: PathBuf,
        /// Whether an existing file may be replaced.
        overwrite: bool,
        /// Whether a hash of RAM is made, which is checked by a restore.
        hash_ram: bool,
        /// Whether the file gives the right to run.
        gives_right: bool,
    },
    /// Tell what another process needs to take it over.
    Offer {
        /// Whether its writes to RAM are logged from here on.
        logs_writes: bool,
    },
    /// Tell which pages it wrote since the last harvest; it runs.
    Harvest,
    /// Make it stand still for another process.
    Freeze,
    /// Leave its disks, networks and sockets to another process.
    Release,
    /// Let it go on here, as it was before it was offered.
    TakeBack {
        /// The epoch in which it takes its disks again, if it had left them.
        epoch: Option<RunEpoch>,
    },
    /// End it here: it is another process's.
    GiveAway,
    /// End it, losing it.
    Stop,
    /// Type on its console.
    Input(Vec<u8>),
}

/// How a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it is paused.
    pub paused: bool,
    /// How far it is on its way to another process.
    pub handoff: Handoff,
    /// Its engine.
    pub engine: &'static str,
    /// Its vCPUs.
    pub vcpu_count: u32,
    /// How many of them are on, by PSCI; `None` where only the host's kernel knows.
    pub vcpus_on: Option<u32>,
    /// Its RAM, in bytes.
    pub ram_len: u64,
    /// Whether its time is virtual.
    pub deterministic: bool,
    /// Instructions executed so far.
    pub instructions: u64,
    /// How long it has run by its own counter, in ns.
    pub guest_ns: u64,
    /// Bytes it has printed.
    pub console_bytes: u64,
}

/// The answer to a command.
#[derive(Debug)]
pub enum Reply {
    /// Done.
    Done,
    /// Done: the file has this many bytes.
    Saved {
        /// Length of the file, in bytes.
        file_len: u64,
    },
    /// How it is.
    Status(Status),
    /// What the guest reads of its clock; `None` if it has none.
    Clock(Option<Box<ClockStatus>>),
    /// Offered.
    Offered(Box<Offered>),
    /// Written pages.
    Written(PageSet),
    /// It stands still.
    Frozen(Box<Frozen>),
    /// Typed: so many bytes of the front were taken, the rest did not fit yet.
    Typed {
        /// Bytes taken.
        taken: usize,
    },
    /// Not done; the guest is as it was.
    Failed(MachineError),
}

pub(super) type Message = (Command, Sender<Reply>);

/// What lies between those who ask and the machine.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    kickers: Mutex<Vec<Arc<dyn Kick>>>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    /// How many can still ask.
    askers: usize,
    /// Something happened in the machine that its runner has to see to.
    noted: bool,
    /// The machine has ended.
    closed: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }
}

/// The asking end, for any number of threads.
pub struct Control(Arc<Desk>);

/// The running end.
pub struct ControlQueue(Arc<Desk>);

/// A pair of ends.
#[must_use]
pub fn control() -> (Control, ControlQueue) {
    let desk = Arc::<Desk>::default();
    desk.lock().askers = 1;
    (Control(Arc::clone(&desk)), ControlQueue(desk))
}

impl Control {
    /// Asks and waits for the answer; `None` if the machine has ended.
    #[must_use]
    pub fn ask(&self, command: Command) -> Option<Reply> {
        let (reply, answer) = channel();
        self.0.change(|state| {
            if !state.closed {
                state.messages.push_back((command, reply));
            }
        });
        for kicker in self.0.kickers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            kicker.kick();
        }
        answer.recv().ok()
    }
}

impl Clone for Control {
    fn clone(&self) -> Self {
        self.0.change(|state| state.askers += 1);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.0.change(|state| state.askers -= 1);
    }
}

/// What waiting for a command brought.
pub(super) enum Waited {
    /// A command.
    Command(Message),
    /// Something happened in the machine: see [`Notifier`].
    Noted,
    /// None in time.
    TimedOut,
    /// Nobody can ask any more.
    Closed,
}

/// Tells the machine's runner, while it waits for commands, that something happened.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Desk>);

impl Notifier {
    pub(crate) fn notify(&self) {
        self.0.change(|state| state.noted = true);
    }
}

impl ControlQueue {
    /// Sets which vCPUs have to be interrupted for a command to be noticed: those that execute on
    /// the thread that waits for commands, of engines whose slices have no end of their own.
    pub(super) fn interrupt(&self, kickers: Vec<Arc<dyn Kick>>) {
        *self.0.kickers.lock().unwrap_or_else(PoisonError::into_inner) = kickers;
    }

    pub(super) fn notifier(&self) -> Notifier {
        Notifier(Arc::clone(&self.0))
    }

    pub(super) fn poll(&self) -> Option<Message> {
        self.0.lock().messages.pop_front()
    }

    /// Waits for a command or a note, for no longer than `timeout`; that nobody can ask any more
    /// ends the wait only if `ends_alone`.
    pub(super) fn wait(&self, timeout: Option<Duration>, ends_alone: bool) -> Waited {
        let quiet = |state: &mut State| {
            let alone = ends_alone && state.askers == 0;
            state.messages.is_empty() && !state.noted && !alone
        };
        let state = self.0.lock();
        let mut state = match timeout {
            Some(timeout) => {
                let waited = self.0.changed.wait_timeout_while(state, timeout, quiet);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.0.changed.wait_while(state, quiet);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        if let Some(message) = state.messages.pop_front() {
            Waited::Command(message)
        } else if std::mem::take(&mut state.noted) {
            Waited::Noted
        } else if ends_alone && state.askers == 0 {
            Waited::Closed
        } else {
            Waited::TimedOut
        }
    }
}

impl Drop for ControlQueue {
    fn drop(&mut self) {
        let unanswered = self.0.change(|state| {
            state.closed = true;
            std::mem::take(&mut state.messages)
        });
        drop(unanswered);
    }
}
