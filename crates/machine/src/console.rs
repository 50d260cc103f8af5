//! The host's end of the guest's console.

use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use std::collections::VecDeque;
use std::io::Write;

const TX_BYTES: RegDef = RegDef::state(RegId::named("console.tx_bytes"), "tx_bytes", 8);
const TX_CRC32C: RegDef = RegDef::state(RegId::named("console.tx_crc32c"), "tx_crc32c", 4);
/// Every register of the console.
pub const TABLE: &[RegDef] = &[TX_BYTES, TX_CRC32C];

/// What Linux prints last before it stops for good.
const PANIC_TEXT: &[u8] = b"---[ end Kernel panic";

/// Input that waits for the guest, at most; what exceeds it stays with whoever types.
const INPUT_MAX_LEN: usize = 64 << 10;

/// Takes what the guest prints, and holds what was typed until the guest reads it.
///
/// How much was printed so far, and its checksum, are state: two runs that printed the same hold
/// the same, and a snapshot tells how much output went before it.
pub struct Console {
    // Wiring (not saved)
    output: Box<dyn Write + Send>,
    input: VecDeque<u8>,
    panic_matched: usize,
    // State (saved)
    tx_bytes: u64,
    tx_crc32c: u32,
}

impl Console {
    /// A console that prints to `output`.
    #[must_use]
    pub fn new(output: Box<dyn Write + Send>) -> Self {
        Self { output, input: VecDeque::new(), panic_matched: 0, tx_bytes: 0, tx_crc32c: 0 }
    }

    /// Prints what the guest sent. A reader that went away does not stop the guest.
    pub fn transmit(&mut self, bytes: &[u8]) {
        // A file may claim any count.
        self.tx_bytes = self.tx_bytes.wrapping_add(bytes.len() as u64);
        self.tx_crc32c = crc32c::crc32c_append(self.tx_crc32c, bytes);
        for &byte in bytes {
            self.watch(byte);
        }
        if self.output.write_all(bytes).and_then(|()| self.output.flush()).is_err() {
            self.output = Box::new(std::io::sink());
        }
    }

    fn watch(&mut self, byte: u8) {
        if self.has_panicked() {
            return;
        }
        // The text begins with '-', of which it holds more only in its first three bytes, so a
        // mismatch can restart at 0 or 1, or stay within those three.
        self.panic_matched = if byte == PANIC_TEXT[self.panic_matched] {
            self.panic_matched + 1
        } else if byte == b'-' {
            self.panic_matched.clamp(1, 3)
        } else {
            0
        };
    }

    /// Whether the guest's kernel said that it ends in panic.
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        self.panic_matched == PANIC_TEXT.len()
    }

    /// Bytes printed since the guest was started.
    #[must_use]
    pub fn tx_bytes(&self) -> u64 {
        self.tx_bytes
    }

    /// Adds typed bytes; returns how many were taken.
    pub fn type_in(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(INPUT_MAX_LEN - self.input.len());
        self.input.extend(&bytes[..taken]);
        taken
    }

    /// Typed bytes that wait, oldest first.
    pub fn waiting(&mut self) -> &[u8] {
        self.input.make_contiguous()
    }

    /// Forgets the oldest `len` waiting bytes: the guest has them.
    pub fn accepted(&mut self, len: usize) {
        self.input.drain(..len.min(self.input.len()));
    }

    /// The console's registers.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let Self { output: _, input: _, panic_matched: _, tx_bytes, tx_crc32c } = self;
        vec![
            Entry::of(&TX_BYTES, Value::u64(*tx_bytes)),
            Entry::of(&TX_CRC32C, Value::u32(*tx_crc32c)),
        ]
    }

    /// The console that [`Self::save`] saved, printing to `output` from here on.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub fn restore(
        output: Box<dyn Write + Send>,
        entries: Vec<Entry>,
    ) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let (tx_bytes, tx_crc32c) = (intake.u64(&TX_BYTES)?, intake.u32(&TX_CRC32C)?);
        Ok((Self { tx_bytes, tx_crc32c, ..Self::new(output) }, intake.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_seen_wherever_the_text_is_cut() {
        let text = b"-----[ end Kernel panic - not syncing";
        for cut in 0..text.len() {
            let mut console = Console::new(Box::new(std::io::sink()));
            console.transmit(&text[..cut]);
            console.transmit(&text[cut..]);
            assert!(console.has_panicked(), "cut at {cut}");
        }
        let mut console = Console::new(Box::new(std::io::sink()));
        console.transmit(b"---[ end trace ]--- Kernel panic");
        assert!(!console.has_panicked());
    }

    #[test]
    fn output_is_summed_across_a_restore() {
        let mut whole = Console::new(Box::new(std::io::sink()));
        whole.transmit(b"one two");
        let mut first = Console::new(Box::new(std::io::sink()));
        first.transmit(b"one");
        let (mut second, _) = Console::restore(Box::new(std::io::sink()), first.save()).unwrap();
        second.transmit(b" two");
        assert_eq!(second.save(), whole.save());
    }

    #[test]
    fn input_is_bounded() {
        let mut console = Console::new(Box::new(std::io::sink()));
        assert_eq!(console.type_in(&vec![b'x'; INPUT_MAX_LEN + 1]), INPUT_MAX_LEN);
        assert_eq!(console.type_in(b"y"), 0);
        console.accepted(2);
        assert_eq!(console.type_in(b"yyy"), 2);
    }
}
