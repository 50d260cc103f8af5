//! A handoff under way, on the terminal of whoever asked for it.

use crate::handoff::Progress;
use crate::out::say;
use std::io::{IsTerminal, Write, stderr};

/// Where progress is shown: on standard error, one line a round, or one line that is rewritten.
pub struct Shown<'a> {
    name: &'a str,
    form: Form,
    is_open: bool,
}

enum Form {
    Json,
    Lines,
    /// The terminal's last line.
    LastLine,
}

impl<'a> Shown<'a> {
    /// For the guest of this name, as JSON or for people.
    pub fn new(name: &'a str, is_json: bool) -> Self {
        let form = match (is_json, stderr().is_terminal()) {
            (true, _) => Form::Json,
            (false, false) => Form::Lines,
            (false, true) => Form::LastLine,
        };
        Self { name, form, is_open: false }
    }

    /// Shows it.
    pub fn tell(&mut self, progress: &Progress) {
        let (name, text) = (self.name, progress.text());
        // A terminal that is gone stops no handoff.
        match self.form {
            Form::Json => {
                let line = serde_json::to_string(progress).unwrap_or_default();
                let _ = writeln!(stderr(), "{line}");
            }
            Form::Lines => say(&format!("{name}: {text}")),
            Form::LastLine => {
                self.is_open = true;
                let _ = write!(stderr(), "\r\x1b[Kabide: {name}: {text}");
            }
        }
    }
}

/// Lets a terminal's last line stand, and begins the next one.
pub fn break_line() {
    if stderr().is_terminal() {
        let _ = writeln!(stderr());
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if self.is_open {
            let _ = writeln!(stderr());
        }
    }
}
