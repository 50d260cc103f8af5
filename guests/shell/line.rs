//! Reading a line from someone at a terminal, or from a file sent into one.

use kit::{console, print, println};

/// The line being typed.
pub struct Line {
    bytes: [u8; Line::MAX_LEN],
    len: usize,
    /// The last byte was CR: a LF right after it belongs to it.
    after_cr: bool,
}

/// Where in an escape sequence of the terminal the input is. Arrow keys and the like are
/// swallowed, not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    Sequence,
}

impl Line {
    /// The longest line, in bytes; more is not taken.
    const MAX_LEN: usize = 120;

    /// An empty line.
    pub const fn new() -> Self {
        Self { bytes: [0; Self::MAX_LEN], len: 0, after_cr: false }
    }

    /// Prints `prompt` and reads until the line ends. Backspace takes a letter back, ^U the line,
    /// ^C begins anew.
    pub fn read(&mut self, prompt: &str) -> &str {
        print!("{prompt}");
        self.len = 0;
        let mut escape = Escape::None;
        loop {
            let byte = console::wait_byte();
            let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
            escape = match (escape, byte) {
                (Escape::None, 0x1b) => Escape::Begun,
                (Escape::Begun, b'[' | b'O') => Escape::Sequence,
                (Escape::Sequence, 0x20..=0x3f) => Escape::Sequence,
                (Escape::Begun | Escape::Sequence, _) => Escape::None,
                (Escape::None, b'\n') if after_cr => Escape::None,
                (Escape::None, b'\r' | b'\n') => {
                    println!();
                    break;
                }
                (Escape::None, _) => {
                    self.edit(byte, prompt);
                    Escape::None
                }
            };
        }
        // Only printable ASCII gets in.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }

    fn edit(&mut self, byte: u8, prompt: &str) {
        const CTRL_C: u8 = 0x03;
        const BACKSPACE: u8 = 0x08;
        const CTRL_U: u8 = 0x15;
        const DELETE: u8 = 0x7f;
        match byte {
            BACKSPACE | DELETE => self.take_back(1),
            CTRL_U => self.take_back(self.len),
            CTRL_C => {
                self.len = 0;
                print!("^C\n{prompt}");
            }
            b' '..=b'~' if self.len < Self::MAX_LEN => {
                self.bytes[self.len] = byte;
                self.len += 1;
                console::write_byte(byte);
            }
            _ => {}
        }
    }

    fn take_back(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        for _ in 0..count {
            print!("\x08 \x08");
        }
    }
}
