//! What others may ask of a running machine.

use crate::error::MachineError;
use abide_engine::Kick;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Something asked of a running machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tell how it is.
    Status,
    /// Stop executing; the guest's time stands still.
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
    /// Its engine.
    pub engine: &'static str,
    /// Its vCPUs.
    pub vcpu_count: u32,
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
    /// Typed: so many bytes of the front were taken, the rest did not fit yet.
    Typed {
        /// Bytes taken.
        taken: usize,
    },
    /// Not done; the guest is as it was.
    Failed(MachineError),
}

type Message = (Command, Sender<Reply>);

/// The asking end, for any number of threads.
#[derive(Clone)]
pub struct Control {
    sender: Sender<Message>,
    kickers: Arc<Mutex<Vec<Arc<dyn Kick>>>>,
}

/// The running end.
pub struct ControlQueue {
    receiver: Receiver<Message>,
    kickers: Arc<Mutex<Vec<Arc<dyn Kick>>>>,
}

/// A pair of ends.
#[must_use]
pub fn control() -> (Control, ControlQueue) {
    let (sender, receiver) = channel();
    let kickers = Arc::new(Mutex::new(Vec::new()));
    (Control { sender, kickers: Arc::clone(&kickers) }, ControlQueue { receiver, kickers })
}

impl Control {
    /// Asks and waits for the answer; `None` if the machine has ended.
    #[must_use]
    pub fn ask(&self, command: Command) -> Option<Reply> {
        let (reply, answer) = channel();
        self.sender.send((command, reply)).ok()?;
        for kicker in self.kickers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            kicker.kick();
        }
        answer.recv().ok()
    }
}

/// What waiting for a command brought.
pub(super) enum Waited {
    /// A command.
    Command(Message),
    /// None in time.
    TimedOut,
    /// Nobody can ask any more.
    Closed,
}

impl ControlQueue {
    /// Sets which vCPUs have to be interrupted for a command to be noticed: those of engines
    /// whose slices have no end of their own.
    pub(super) fn interrupt(&self, kickers: Vec<Arc<dyn Kick>>) {
        *self.kickers.lock().unwrap_or_else(PoisonError::into_inner) = kickers;
    }

    pub(super) fn poll(&self) -> Option<Message> {
        self.receiver.try_recv().ok()
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) -> Waited {
        let received = match timeout {
            Some(timeout) => self.receiver.recv_timeout(timeout),
            None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(message) => Waited::Command(message),
            Err(RecvTimeoutError::Timeout) => Waited::TimedOut,
            Err(RecvTimeoutError::Disconnected) => Waited::Closed,
        }
    }
}
