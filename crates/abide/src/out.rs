//! Answers on standard output, and abide's own words on standard error.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Write};

/// Prints `text` and a newline. A reader that went away is no error: it has read enough.
///
/// # Errors
/// If the answer cannot be written: it must not be taken for an empty one.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("the answer cannot be written to standard output")
        }
        _ => Ok(()),
    }
}

/// Says `text` on standard error. Where that cannot be, a guest must not end for it, so it is
/// not said.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "abide: {text}");
}
