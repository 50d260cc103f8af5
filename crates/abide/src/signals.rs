//! Signals to a process that runs a guest.

use crate::console::Requests;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// From here on, being told to end ends the guest in order: the terminal is restored and the exit
/// code is that of a stopped guest. A file that grows past its limit fails like a full disk,
/// instead of taking the guest with it.
pub fn handle(requests: Requests) -> Result<()> {
    let watched = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ];
    let mut signals = Signals::new(watched).context("signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal != SIGXFSZ {
                requests.stop();
            }
        }
    });
    Ok(())
}
