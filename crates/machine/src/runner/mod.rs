//! Letting a machine run, and doing what is asked of it meanwhile.
//!
//! There are two runners, and the machine's time tells which one it gets:
//!
//! * `threads`, in the host's time: each vCPU on a host thread of its own.
//! * `lockstep`, in virtual time: every vCPU on one thread, one slice after the other. Its runs can
//!   be repeated to the last bit: a slice ends where the guest's own instructions put its end, and
//!   requests are served only between slices, so being asked, paused or saved never moves one.

mod commands;
mod control;
mod firmware_requests;
mod handoff;
mod lockstep;
mod threads;

pub(crate) use control::Notifier;
pub use control::{Command, Control, ControlQueue, Reply, Status, control};

use crate::error::MachineError;
use crate::machine::Machine;
use commands::Run;
use lockstep::Lockstep;
use std::path::PathBuf;

/// Instructions a vCPU may execute before the outside is looked at, or it is the next one's turn:
/// about 0.2 ms, so that nobody waits long, and enough to cost nothing.
const SLICE_INSTRUCTIONS: u64 = 65_536;
/// As [`SLICE_INSTRUCTIONS`], in virtual time and for a vCPU with nobody to take turns with: every
/// slice there begins without translations, which costs 4 % if they are short.
const LONE_SLICE_INSTRUCTIONS: u64 = 1 << 20;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest powered itself off.
    PoweredOff,
    /// The guest asked for a reset.
    Reset,
    /// The guest's kernel panicked.
    Panicked,
    /// The guest was saved, and goes on wherever its file is restored.
    SavedAway,
    /// It was handed over, and goes on in another process.
    GivenAway,
    /// Somebody asked it to stop.
    Stopped,
}

/// A save at a given point of a guest's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// After at least so many instructions, at the next end of a slice.
    pub instructions: u64,
    /// Into this file.
    pub path: PathBuf,
}

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct RunConfig {
    /// Saves to make on the way, in ascending order.
    pub save_points: Vec<SavePoint>,
    /// Whether the guest goes on after the last of them.
    pub keep_running: bool,
    /// Whether saved memory is compressed.
    pub compress: bool,
    /// Whether the last of them leaves RAM in its memory file; the guest ends with it.
    pub keep_memory: bool,
    /// Whether no vCPU executes before somebody lets it go on.
    pub starts_paused: bool,
}

/// What a run was.
#[derive(Debug)]
pub struct RunResult {
    /// Why it ended.
    pub outcome: Outcome,
    /// Saves that failed meanwhile; the guest went on.
    pub failed_saves: Vec<(PathBuf, MachineError)>,
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
        if self.memory_file.as_ref().is_some_and(abide_snapshot::MemoryFile::is_kept) {
            return Err(MachineError::SavedAway);
        }
        if self.is_given_away {
            return Err(MachineError::Handoff { why: "it goes on in another process" });
        }
        self.clock.resume();
        if config.starts_paused {
            self.clock.pause();
        }
        self.bus.doorbell.connect(Some(queue.notifier()));
        let mut run = Run::new(self, config);
        let outcome = if run.machine.clock.is_virtual() {
            Lockstep::new(&mut run, queue).until_end()
        } else {
            threads::until_end(&mut run, queue)
        };
        let failed_saves = std::mem::take(&mut run.failed_saves);
        self.clock.pause();
        self.bus.doorbell.connect(None);
        Ok(RunResult { outcome: outcome?, failed_saves })
    }
}
