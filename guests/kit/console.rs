//! The console: a PL011, written by polling, read by interrupt `[DDI0183 3]`.

use crate::mmio::{read32, write32};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};

/// SPI 1.
pub const INTID: u32 = 33;

const PL011: usize = 0x0900_0000;
const UARTDR: usize = PL011;
const UARTFR: usize = PL011 + 0x18;
const UARTLCR_H: usize = PL011 + 0x2c;
const UARTCR: usize = PL011 + 0x30;
const UARTIMSC: usize = PL011 + 0x38;
const UARTICR: usize = PL011 + 0x44;
const UARTPERIPHID0: usize = PL011 + 0xfe0;

const FR_RXFE: u32 = 1 << 4;
const FR_TXFF: u32 = 1 << 5;
const LCR_H_FEN_8BITS: u32 = 0x70;
const CR_ENABLED: u32 = 0x301;
/// Receive, and receive time-out.
const RX_INTERRUPTS: u32 = 1 << 4 | 1 << 6;

const CTRL_C: u8 = 3;

/// What was received and not yet read. One writer, the interrupt handler, and one reader.
struct Ring {
    bytes: [AtomicU8; Ring::LEN],
    /// Count of bytes ever written; moves only in the handler.
    head: AtomicUsize,
    /// Count of bytes ever read.
    tail: AtomicUsize,
}

impl Ring {
    const LEN: usize = 256;

    fn is_full(&self) -> bool {
        self.head.load(Relaxed).wrapping_sub(self.tail.load(Relaxed)) >= Self::LEN
    }

    fn push(&self, byte: u8) {
        let head = self.head.load(Relaxed);
        self.bytes[head % Self::LEN].store(byte, Relaxed);
        self.head.store(head.wrapping_add(1), Relaxed);
    }

    fn pop(&self) -> Option<u8> {
        let tail = self.tail.load(Relaxed);
        if tail == self.head.load(Relaxed) {
            return None;
        }
        let byte = self.bytes[tail % Self::LEN].load(Relaxed);
        self.tail.store(tail.wrapping_add(1), Relaxed);
        Some(byte)
    }
}

static RING: Ring = Ring {
    bytes: [const { AtomicU8::new(0) }; Ring::LEN],
    head: AtomicUsize::new(0),
    tail: AtomicUsize::new(0),
};
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Switches the UART on: 8 bits, FIFOs.
pub(crate) fn start() {
    write32(UARTLCR_H, LCR_H_FEN_8BITS);
    write32(UARTCR, CR_ENABLED);
}

/// Lets the UART interrupt when it has received something.
pub fn enable_input() {
    crate::gic::enable(INTID, crate::gic::Trigger::Level);
    write32(UARTIMSC, RX_INTERRUPTS);
}

/// Empties the UART into the ring. While the ring is full the UART keeps the rest and stays quiet,
/// so that text pasted too fast is not lost.
pub(crate) fn on_interrupt() {
    while read32(UARTFR) & FR_RXFE == 0 {
        if RING.is_full() {
            write32(UARTIMSC, 0);
            return;
        }
        let byte = read32(UARTDR) as u8;
        if byte == CTRL_C {
            INTERRUPTED.store(true, Relaxed);
        }
        RING.push(byte);
    }
    write32(UARTICR, RX_INTERRUPTS);
}

/// The next byte received, if any.
pub fn read_byte() -> Option<u8> {
    let byte = RING.pop()?;
    if read32(UARTIMSC) == 0 {
        write32(UARTIMSC, RX_INTERRUPTS);
    }
    Some(byte)
}

/// Sleeps until a byte is received.
pub fn wait_byte() -> u8 {
    loop {
        // Masked between the look and the sleep: WFI returns for a pending interrupt anyway, and
        // none can slip in between.
        crate::cpu::mask_interrupts();
        if let Some(byte) = read_byte() {
            crate::cpu::unmask_interrupts();
            return byte;
        }
        crate::cpu::wait_for_interrupt();
        crate::cpu::unmask_interrupts();
    }
}

/// Whether ^C came since [`clear_interrupted`]. What was typed before and with it is thrown away.
pub fn was_interrupted() -> bool {
    let interrupted = INTERRUPTED.load(Relaxed);
    if interrupted {
        while read_byte().is_some_and(|byte| byte != CTRL_C) {}
    }
    interrupted
}

/// Forgets an old ^C.
pub fn clear_interrupted() {
    INTERRUPTED.store(false, Relaxed);
}

/// UARTPeriphID0…3 as one number.
#[must_use]
pub fn peripheral_id() -> u32 {
    (0..4).fold(0, |id, n| id | (read32(UARTPERIPHID0 + 4 * n) & 0xff) << (8 * n))
}

/// Writes one byte as it is.
pub fn write_byte(byte: u8) {
    while read32(UARTFR) & FR_TXFF != 0 {}
    write32(UARTDR, u32::from(byte));
}

/// The console as a sink of text; a line ends with CR LF.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                write_byte(b'\r');
            }
            write_byte(byte);
        }
        Ok(())
    }
}

/// Prints on the console.
#[macro_export]
macro_rules! print {
    ($($arguments:tt)*) => {{
        // The console never fails.
        let _ = core::fmt::Write::write_fmt(
            &mut $crate::console::Console,
            format_args!($($arguments)*),
        );
    }};
}

/// Prints a line on the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arguments:tt)*) => {{
        $crate::print!($($arguments)*);
        $crate::print!("\n");
    }};
}
