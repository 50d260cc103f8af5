//! The host's end of the guest's console.

use abide_reg::{Class, Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use std::collections::VecDeque;
use std::io::Write;

const TX_BYTES: RegDef = RegDef::state(RegId::named("console.tx_bytes"), "tx_bytes", 8);
const TX_CRC32C: RegDef = RegDef::state(RegId::named("console.tx_crc32c"), "tx_crc32c", 4);
/// How much of [`PANIC_TEXT`] was printed last.
const PANIC_MATCHED: RegDef =
    RegDef::state(RegId::named("console.panic_matched"), "panic_matched", 1);
/// Every register of the console that has a fixed width.
pub const TABLE: &[RegDef] = &[TX_BYTES, TX_CRC32C, PANIC_MATCHED];

/// What was typed and not read, of any length; not there if that is nothing. Static: what nobody
/// has read stays unread with a version that does not know it.
const RX_WAITING: RegId = RegId::named("console.rx_waiting");

/// What Linux prints last before it stops for good.
const PANIC_TEXT: &[u8] = b"---[ end Kernel panic";

/// Input that waits for the guest, at most, in bytes, so that one register holds it; what exceeds
/// it stays with whoever types.
const INPUT_MAX_LEN: usize = 32 << 10;

/// Takes what the guest prints, and holds what was typed until the guest reads it.
///
/// How much was printed so far, and its checksum, are state: two runs that printed the same hold
/// the same, and a snapshot tells how much output went before it. So is what the guest has not
/// read yet, and how much of a panic's text it has printed.
pub struct Console {
    // Wiring (not saved)
    output: Box<dyn Write + Send>,
    // State (saved)
    input: VecDeque<u8>,
    panic_matched: u8,
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
        self.panic_matched = if PANIC_TEXT.get(usize::from(self.panic_matched)) == Some(&byte) {
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
        usize::from(self.panic_matched) == PANIC_TEXT.len()
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
        let Self { output: _, input, panic_matched, tx_bytes, tx_crc32c } = self;
        let mut entries = vec![
            Entry::of(&TX_BYTES, Value::u64(*tx_bytes)),
            Entry::of(&TX_CRC32C, Value::u32(*tx_crc32c)),
            Entry::of(&PANIC_MATCHED, Value::u8(*panic_matched)),
        ];
        if !input.is_empty() {
            let bytes: Vec<u8> = input.iter().copied().collect();
            entries.push(Entry::new(RX_WAITING, Class::Static, Value::bytes(&bytes)));
        }
        entries
    }

    /// The console that [`Self::save`] saved, printing to `output` from here on.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub fn restore(
        output: Box<dyn Write + Send>,
        mut entries: Vec<Entry>,
    ) -> Result<(Self, Leftover), IntakeError> {
        let place = entries.iter().position(|entry| entry.id == RX_WAITING);
        let waiting = place.map(|place| entries.remove(place).value);
        // A second one is left, and refused as one.
        if entries.iter().any(|entry| entry.id == RX_WAITING) {
            return Err(IntakeError::Twice { id: RX_WAITING });
        }
        let mut intake = Intake::new(entries)?;
        let (tx_bytes, tx_crc32c) = (intake.u64(&TX_BYTES)?, intake.u32(&TX_CRC32C)?);
        let matched = intake.take(&PANIC_MATCHED)?;
        let Some(panic_matched) = matched.as_bytes().first().copied() else {
            return Err(IntakeError::Width { id: PANIC_MATCHED.id, found: 0, allowed: 1 });
        };
        if usize::from(panic_matched) > PANIC_TEXT.len() {
            let allowed = "0 to 21, the length of the text";
            return Err(IntakeError::Value { id: PANIC_MATCHED.id, found: matched, allowed });
        }
        let waiting = waiting.unwrap_or_else(|| Value::bytes(&[]));
        if waiting.width() > INPUT_MAX_LEN {
            let (found, allowed) = (waiting.width(), INPUT_MAX_LEN);
            return Err(IntakeError::Width { id: RX_WAITING, found, allowed });
        }
        let input = waiting.as_bytes().iter().copied().collect();
        Ok((Self { output, input, panic_matched, tx_bytes, tx_crc32c }, intake.finish()?))
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

    fn again(console: &Console) -> Console {
        let (again, leftover) =
            Console::restore(Box::new(std::io::sink()), console.save()).unwrap();
        assert_eq!(leftover, Leftover::default());
        assert_eq!(again.save(), console.save());
        again
    }

    #[test]
    fn what_waits_is_read_after_a_restore() {
        let mut console = Console::new(Box::new(std::io::sink()));
        console.type_in(b"one two");
        console.accepted(3);
        let mut console = again(&console);
        console.type_in(b" three");
        assert_eq!(console.waiting(), b" two three");
        console.accepted(10);
        assert!(again(&console).waiting().is_empty());
        console.type_in(&vec![b'x'; INPUT_MAX_LEN]);
        assert_eq!(again(&console).waiting().len(), INPUT_MAX_LEN);
    }

    #[test]
    fn a_panic_is_seen_across_a_restore() {
        let text = b"-----[ end Kernel panic - not syncing";
        for cut in 0..text.len() {
            let mut console = Console::new(Box::new(std::io::sink()));
            console.transmit(&text[..cut]);
            let mut console = again(&console);
            console.transmit(&text[cut..]);
            assert!(console.has_panicked(), "cut at {cut}");
        }
    }

    #[test]
    fn impossible_registers_are_refused_by_name() {
        let mut console = Console::new(Box::new(std::io::sink()));
        console.type_in(b"x");
        let good = console.save();
        let refusal = |entries| {
            let result = Console::restore(Box::new(std::io::sink()), entries);
            result.map(|_| ()).unwrap_err().to_string()
        };
        let mut longer = good.clone();
        longer[2].value = Value::u8(22);
        assert!(refusal(longer).contains("console.panic_matched"));
        let mut wide = good.clone();
        wide[3].value = Value::bytes(&vec![0; INPUT_MAX_LEN + 1]);
        assert!(refusal(wide).contains("console.rx_waiting"));
        let mut twice = good;
        twice.push(twice[3].clone());
        assert!(refusal(twice).contains("console.rx_waiting"));
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
