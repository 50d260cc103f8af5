//! Letting a machine run, and doing what is asked of it meanwhile.
//!
//! There is one runner so far, `lockstep`: every vCPU on one thread, one slice after
//! the other. With virtual time its runs can be repeated to the last bit: a slice ends where the
//! guest's own instructions put its end, and requests are served only between slices, so being
//! asked, paused or saved never moves one.

mod control;
mod firmware_requests;
mod lockstep;

pub use control::{Command, Control, ControlQueue, Reply, Status, control};

use crate::error::MachineError;
use std::path::PathBuf;

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
}

/// What a run was.
#[derive(Debug)]
pub struct RunResult {
    /// Why it ended.
    pub outcome: Outcome,
    /// Saves that failed meanwhile; the guest went on.
    pub failed_saves: Vec<(PathBuf, MachineError)>,
}
