//! Answers on standard output.

use std::io::Write;

/// Prints `text` and a newline. A reader that went away is no error: it has read enough.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
}
