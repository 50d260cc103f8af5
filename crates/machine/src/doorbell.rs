//! How what happens outside gets a running machine to look.

use crate::bus::lock;
use crate::runner::Notifier;
use std::sync::Mutex;

/// Rung by whoever has something for a device, heard by whoever runs the machine. What rings
/// while nobody runs it is heard when somebody does.
#[derive(Default)]
pub(crate) struct Doorbell(Mutex<State>);

#[derive(Default)]
struct State {
    runner: Option<Notifier>,
    has_rung: bool,
}

impl Doorbell {
    /// Rings. Does not wait.
    pub(crate) fn ring(&self) {
        let mut state = lock(&self.0);
        state.has_rung |= state.runner.is_none();
        if let Some(runner) = state.runner.clone() {
            drop(state);
            runner.notify();
        }
    }

    /// Somebody runs the machine from here on; or nobody.
    pub(crate) fn connect(&self, runner: Option<Notifier>) {
        let mut state = lock(&self.0);
        state.runner = runner;
        if let Some(runner) = state.runner.clone()
            && std::mem::take(&mut state.has_rung)
        {
            drop(state);
            runner.notify();
        }
    }
}
