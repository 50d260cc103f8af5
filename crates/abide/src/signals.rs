//! Signals to a process that runs a guest.

use crate::handoff::Desk;
use crate::out::say;
use crate::upgrade::Around;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::sync::Arc;

/// From here on, being told to end ends the guest in order: the terminal is restored and the exit
/// code is that of a stopped guest. A file that grows past its limit fails like a full disk,
/// instead of taking the guest with it. A guest that is given away, or prepared, stays until it is
/// known who has it.
pub fn handle(desk: Arc<Desk>) -> Result<()> {
    let watched = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ];
    let mut signals = Signals::new(watched).context("signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let is_elsewhere = || desk.around().is_some_and(Around::stop_elsewhere);
            if signal != SIGXFSZ && !is_elsewhere() {
                end(&desk);
            }
        }
    });
    Ok(())
}

fn end(desk: &Desk) {
    let Some(requests) = desk.guest() else { return desk.interrupt() };
    if let Some(word @ ("frozen" | "given away")) = desk.word() {
        let name = &desk.name;
        say(&format!(
            "{name} is {word}: it ends here once the other side has told who has it (`abide \
             status {name}`)"
        ));
    }
    requests.stop();
}
