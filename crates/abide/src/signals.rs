//! Signals to a process that runs a guest.

use abide_machine::runner::{Command, Control};
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// From here on, being told to end ends the guest in order: the terminal is restored and the exit
/// code is that of a stopped guest. A file that grows past its limit fails like a full disk,
/// instead of taking the guest with it.
pub fn handle(control: Control) -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGXFSZ]).context("signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal != SIGXFSZ && control.ask(Command::Stop).is_none() {
                return;
            }
        }
    });
    Ok(())
}
