//! The terminal as the guest's console.

use crate::console::Requests;
use abide_machine::runner::{Command, Reply};
use rustix::process::getpgrp;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};
use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Begins an order to abide itself: Ctrl-A, as in QEMU and screen.
const ESCAPE: u8 = 0x01;

/// How long to wait before typing on where the guest does not read what was typed.
const FULL_PAUSE: Duration = Duration::from_millis(20);

const HELP: &str = "\r\n\
    abide: Ctrl-A x  end the guest\r\n\
    abide: Ctrl-A a  send Ctrl-A\r\n\
    abide: Ctrl-A h  this\r\n\
    abide: from another terminal: abide ps, abide save NAME FILE, abide pause NAME\r\n";

/// What standard input is.
pub enum Stdin {
    /// The terminal, from here on in raw mode.
    Terminal(RawTerminal),
    /// The terminal of a shell that runs abide in the background (`abide run &`): to touch it
    /// would stop the whole process, guest and all.
    Background,
    /// A file, a pipe, or nothing.
    Stream,
}

/// How the terminal was before it became raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal in raw mode; as it was again when dropped.
pub struct RawTerminal(());

/// Makes the terminal what it was before it became raw, if it did.
pub fn leave_raw() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
    }
}

/// Looks what standard input is, and readies it.
pub fn stdin() -> Stdin {
    let stdin = rustix::stdio::stdin();
    if !isatty(stdin) {
        return Stdin::Stream;
    }
    if tcgetpgrp(stdin).is_ok_and(|foreground| foreground != getpgrp()) {
        return Stdin::Background;
    }
    RawTerminal::enter().map_or(Stdin::Stream, Stdin::Terminal)
}

impl RawTerminal {
    fn enter() -> Option<Self> {
        let stdin = rustix::stdio::stdin();
        let before = tcgetattr(stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        // The guest prints whole lines without carriage returns of its own at times; leave the
        // output side as the user has it.
        raw.output_modes = before.output_modes;
        tcsetattr(stdin, OptionalActions::Now, &raw).ok()?;
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        Some(Self(()))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        leave_raw();
    }
}

fn show_help() {
    let _ = std::io::stderr().write_all(HELP.as_bytes());
}

/// What typed bytes mean.
#[derive(Debug, Default)]
struct Keys {
    escaped: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Key {
    Guest(u8),
    Stop,
    Help,
    Nothing,
}

impl Keys {
    fn press(&mut self, byte: u8) -> Key {
        if !self.escaped {
            self.escaped = byte == ESCAPE;
            return if self.escaped { Key::Nothing } else { Key::Guest(byte) };
        }
        self.escaped = false;
        match byte {
            b'x' => Key::Stop,
            b'h' | b'?' => Key::Help,
            b'a' | ESCAPE => Key::Guest(ESCAPE),
            _ => Key::Nothing,
        }
    }
}

/// Feeds standard input to the guest until it ends, on a thread of its own.
pub fn feed(requests: Requests, is_terminal: bool) {
    std::thread::spawn(move || {
        let mut keys = Keys::default();
        let mut bytes = [0; 4096];
        while let Ok(len @ 1..) = std::io::stdin().lock().read(&mut bytes) {
            let mut input = Vec::with_capacity(len);
            for &byte in &bytes[..len] {
                let key = if is_terminal { keys.press(byte) } else { Key::Guest(byte) };
                match key {
                    Key::Guest(byte) => input.push(byte),
                    Key::Help => show_help(),
                    Key::Nothing => {}
                    Key::Stop => {
                        requests.stop();
                        return;
                    }
                }
            }
            if !type_in(&requests, input) {
                return;
            }
        }
    });
}

/// Hands bytes to the guest, waiting where it does not read them; `false` if it has ended.
fn type_in(requests: &Requests, mut input: Vec<u8>) -> bool {
    loop {
        let taken = match requests.ask(Command::Input(input.clone())) {
            Some(Reply::Typed { taken }) => taken,
            Some(_) => input.len(),
            None => return false,
        };
        input.drain(..taken.min(input.len()));
        if input.is_empty() {
            return true;
        }
        std::thread::sleep(FULL_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_reaches_abide_and_doubled_the_guest() {
        let mut keys = Keys::default();
        let pressed: Vec<Key> = b"a\x01x\x01a\x01h\x01q".iter().map(|&b| keys.press(b)).collect();
        assert_eq!(
            pressed,
            [
                Key::Guest(b'a'),
                Key::Nothing,
                Key::Stop,
                Key::Nothing,
                Key::Guest(ESCAPE),
                Key::Nothing,
                Key::Help,
                Key::Nothing,
                Key::Nothing
            ]
        );
    }
}
