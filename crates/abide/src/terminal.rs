//! The terminal as the guest's console.

use crate::console::Requests;
use abide_machine::runner::{Command, Reply};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Begins an order to abide itself: Ctrl-A, as in QEMU and screen.
const ESCAPE: u8 = 0x01;

/// How long to wait before typing on where the guest does not read what was typed.
const FULL_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

const HELP: &str = "\r\n\
    abide: Ctrl-A x  end the guest\r\n\
    abide: Ctrl-A a  send Ctrl-A\r\n\
    abide: Ctrl-A h  this\r\n\
    abide: from another terminal: abide ps, abide save NAME FILE, abide pause NAME\r\n";

/// What standard input is.
enum Stdin {
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
struct RawTerminal(());

/// Makes the terminal what it was before it became raw, if it did.
pub fn leave_raw() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
    }
}

/// Looks what standard input is, and readies it.
fn stdin() -> Stdin {
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

/// Standard input, as what is typed to a guest. When it is dropped, the terminal is what it was.
pub struct Keyboard {
    requests: Requests,
    feeding: Mutex<Option<Feeding>>,
}

/// Somebody types.
struct Feeding {
    /// `None` where it is no terminal.
    _terminal: Option<RawTerminal>,
    /// Written to, it ends the thread.
    enough: Arc<OwnedFd>,
    /// Gives what the guest has not taken.
    thread: JoinHandle<Vec<u8>>,
}

impl Keyboard {
    /// Gives the guest what is typed from here on.
    pub fn attach(requests: Requests) -> Self {
        let keyboard = Self { requests, feeding: Mutex::new(None) };
        keyboard.attach_again(Vec::new());
        keyboard
    }

    /// Gives the guest `first`, and then what is typed from here on.
    fn attach_again(&self, first: Vec<u8>) {
        let terminal = match stdin() {
            Stdin::Background => return,
            Stdin::Stream => None,
            Stdin::Terminal(terminal) => Some(terminal),
        };
        // Without one, what is typed is read to its end.
        let Ok(enough) = eventfd(0, EventfdFlags::CLOEXEC) else { return };
        let (enough, is_terminal) = (Arc::new(enough), terminal.is_some());
        let (requests, heard) = (self.requests.clone(), Arc::clone(&enough));
        let thread = std::thread::spawn(move || feed(&requests, first, is_terminal, &heard));
        *self.lock() = Some(Feeding { _terminal: terminal, enough, thread });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Feeding>> {
        self.feeding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads no more, and makes the terminal what it was: another process is to read what is typed.
    /// Refused, and nothing has changed, where the guest has not yet taken what was typed already.
    pub fn detach(&self) -> Result<(), usize> {
        let Some(Feeding { _terminal: terminal, enough, thread }) = self.lock().take() else {
            return Ok(());
        };
        // A counter that is full has been written to.
        let _ = rustix::io::write(&*enough, &1_u64.to_ne_bytes());
        let left = thread.join().unwrap_or_default();
        drop(terminal);
        if left.is_empty() {
            return Ok(());
        }
        let len = left.len();
        self.attach_again(left);
        Err(len)
    }

    /// After [`Self::detach`]: reads again.
    pub fn reattach(&self) {
        self.attach_again(Vec::new());
    }
}

/// Waits until there is something to read; `false` where it is enough.
fn awaits_input(enough: &OwnedFd) -> bool {
    let stdin = rustix::stdio::stdin();
    let mut ready = [PollFd::new(enough, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
    loop {
        match poll(&mut ready, None) {
            Ok(_) => return !ready[0].revents().contains(PollFlags::IN),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Feeds standard input to the guest until either ends, or it is enough. What is left to be typed.
fn feed(requests: &Requests, first: Vec<u8>, is_terminal: bool, enough: &OwnedFd) -> Vec<u8> {
    let mut keys = Keys::default();
    let mut bytes = [0; 4096];
    let mut left = type_in(requests, first, enough);
    while left.as_ref().is_some_and(Vec::is_empty) && awaits_input(enough) {
        let len = match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(len @ 1..) => len,
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Ok(0) | Err(_) => break,
        };
        let mut input = Vec::with_capacity(len);
        for &byte in &bytes[..len] {
            let key = if is_terminal { keys.press(byte) } else { Key::Guest(byte) };
            match key {
                Key::Guest(byte) => input.push(byte),
                Key::Help => show_help(),
                Key::Nothing => {}
                Key::Stop => {
                    requests.stop();
                    return Vec::new();
                }
            }
        }
        left = type_in(requests, input, enough);
    }
    left.unwrap_or_default()
}

/// Hands bytes to the guest, waiting where it does not read them, unless it is enough: then those
/// that are left. `None` if it has ended.
fn type_in(requests: &Requests, mut input: Vec<u8>, enough: &OwnedFd) -> Option<Vec<u8>> {
    while !input.is_empty() {
        let taken = match requests.ask(Command::Input(input.clone()))? {
            Reply::Typed { taken } => taken,
            _ => input.len(),
        };
        input.drain(..taken.min(input.len()));
        if input.is_empty() {
            break;
        }
        let mut ready = [PollFd::new(enough, PollFlags::IN)];
        if poll(&mut ready, Some(&FULL_PAUSE)).is_ok_and(|count| count > 0) {
            break;
        }
    }
    Some(input)
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
