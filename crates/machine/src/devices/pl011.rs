//! The UART PL011, revision r1p1 `[DDI0183 3.2]`.
//!
//! Where the manual leaves a choice, or where guests rely on it, this follows QEMU's model:
//!
//! - What is written to `UARTDR` is sent at once, also while the UART is disabled: early consoles
//!   never enable it. The transmit FIFO is therefore always empty, and `TXRIS` is raised by each
//!   write and stays until `UARTICR` clears it.
//! - Input is taken also while the receiver is disabled. `receive` takes what fits; the rest waits
//!   outside, so nothing from outside is ever lost to an overrun.
//! - Modem inputs are inactive, except in loopback.
//!
//! The receive timeout `[DDI0183 2.8]` is 32 bit periods of a silent line. Here the line is
//! silent as soon as [`Pl011::receive`] returns, so `RTRIS` is raised with every delivery. `RXRIS`
//! is raised at the level that `UARTIFLS` sets, unlike in QEMU, which raises it at the first
//! character.
//!
//! No baud rate, parity, IrDA or DMA: their registers read back as written.

use super::{is_register_access, low_bytes, take_masked};
use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};

/// Depth of the receive FIFO, in characters `[DDI0183 2.4.3]`. Revisions from
/// r1p5 on have 32, and Linux tells them apart by `UARTPeriphID2`.
const FIFO_DEPTH: usize = 16;

/// Offsets `[DDI0183 3.2]`.
pub(super) mod offset {
    /// Data, RW, 12/8 bits.
    pub const UARTDR: u64 = 0x000;
    /// Receive status, RO, 4 bits; written: error clear.
    pub const UARTRSR: u64 = 0x004;
    /// Flags, RO, 9 bits.
    pub const UARTFR: u64 = 0x018;
    /// IrDA low-power counter, RW, 8 bits.
    pub const UARTILPR: u64 = 0x020;
    /// Integer baud rate, RW, 16 bits.
    pub const UARTIBRD: u64 = 0x024;
    /// Fractional baud rate, RW, 6 bits.
    pub const UARTFBRD: u64 = 0x028;
    /// Line control, RW, 8 bits.
    pub const UARTLCR_H: u64 = 0x02c;
    /// Control, RW, 16 bits.
    pub const UARTCR: u64 = 0x030;
    /// Interrupt FIFO level select, RW, 6 bits.
    pub const UARTIFLS: u64 = 0x034;
    /// Interrupt mask set/clear, RW, 11 bits.
    pub const UARTIMSC: u64 = 0x038;
    /// Raw interrupt status, RO, 11 bits.
    pub const UARTRIS: u64 = 0x03c;
    /// Masked interrupt status, RO, 11 bits.
    pub const UARTMIS: u64 = 0x040;
    /// Interrupt clear, WO, 11 bits.
    pub const UARTICR: u64 = 0x044;
    /// DMA control, RW, 3 bits.
    pub const UARTDMACR: u64 = 0x048;
}

/// `UARTPeriphID0`–`3`, `UARTPCellID0`–`3` `[DDI0183 3.3.15]`.
const IDS: [u8; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// `UARTDR`: break error; the next one up, bit 11, is overrun `[DDI0183 3.3.1]`.
const DR_BE: u16 = 1 << 10;
const DR_OE: u16 = 1 << 11;
const DR_MASK: u16 = 0xfff;
/// `UARTRSR`: overrun error `[DDI0183 3.3.2]`.
const RSR_OE: u16 = 1 << 3;

/// `UARTFR` `[DDI0183 3.3.3]`.
const FR_CTS: u16 = 1 << 0;
const FR_DSR: u16 = 1 << 1;
const FR_DCD: u16 = 1 << 2;
const FR_RXFE: u16 = 1 << 4;
const FR_RXFF: u16 = 1 << 6;
const FR_TXFE: u16 = 1 << 7;
const FR_RI: u16 = 1 << 8;

/// `UARTLCR_H` `[DDI0183 3.3.7]`.
const LCR_H_BRK: u16 = 1 << 0;
const LCR_H_FEN: u16 = 1 << 4;

/// `UARTCR` `[DDI0183 3.3.8]`.
const CR_LBE: u16 = 1 << 7;
const CR_DTR: u16 = 1 << 10;
const CR_RTS: u16 = 1 << 11;
const CR_OUT1: u16 = 1 << 12;
const CR_OUT2: u16 = 1 << 13;

/// Interrupts, in `UARTIMSC`, `UARTRIS`, `UARTMIS` and `UARTICR` `[DDI0183 3.3.10]`.
const INT_RI: u16 = 1 << 0;
const INT_CTS: u16 = 1 << 1;
const INT_DCD: u16 = 1 << 2;
const INT_DSR: u16 = 1 << 3;
const INT_RX: u16 = 1 << 4;
const INT_TX: u16 = 1 << 5;
const INT_RT: u16 = 1 << 6;
const INT_BE: u16 = 1 << 9;
const INT_OE: u16 = 1 << 10;
const INT_MASK: u16 = 0x7ff;

/// A modem input: its flag, its interrupt, and the output that loopback connects to it
/// `[DDI0183 2.4.3]`.
const MODEM: [(u16, u16, u16); 4] = [
    (FR_RI, INT_RI, CR_OUT2),
    (FR_CTS, INT_CTS, CR_RTS),
    (FR_DCD, INT_DCD, CR_OUT1),
    (FR_DSR, INT_DSR, CR_DTR),
];

/// Bits that exist; the others read as zero.
const RSR_MASK: u16 = 0xf;
const ILPR_MASK: u16 = 0xff;
const IBRD_MASK: u16 = 0xffff;
const FBRD_MASK: u16 = 0x3f;
const LCR_H_MASK: u16 = 0xff;
const CR_MASK: u16 = 0xff87;
const IFLS_MASK: u16 = 0x3f;
const DMACR_MASK: u16 = 0x7;

const fn def(id: &str, name: &'static str) -> RegDef {
    RegDef::state(RegId::named(id), name, 4)
}

const RSR: RegDef = def("pl011.uartrsr", "UARTRSR");
const ILPR: RegDef = def("pl011.uartilpr", "UARTILPR");
const IBRD: RegDef = def("pl011.uartibrd", "UARTIBRD");
const FBRD: RegDef = def("pl011.uartfbrd", "UARTFBRD");
const LCR_H: RegDef = def("pl011.uartlcr_h", "UARTLCR_H");
const CR: RegDef = def("pl011.uartcr", "UARTCR");
const IFLS: RegDef = def("pl011.uartifls", "UARTIFLS");
const IMSC: RegDef = def("pl011.uartimsc", "UARTIMSC");
const RIS: RegDef = def("pl011.uartris", "UARTRIS");
const DMACR: RegDef = def("pl011.uartdmacr", "UARTDMACR");
const OVERRUN: RegDef = def("pl011.rx-overrun", "receive overrun");
const RX_COUNT: RegDef = def("pl011.rx-count", "receive FIFO count");
const RX_FIFO: RegDef =
    RegDef::state(RegId::named("pl011.rx-fifo"), "receive FIFO", 2 * FIFO_DEPTH);

/// Every register of the unit, in the order in which it is saved. The FIFO holds its oldest
/// character first, each as a u16 laid out as `UARTDR` reads; places past the count are 0.
pub const PL011_TABLE: &[RegDef] =
    &[RSR, ILPR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC, RIS, DMACR, OVERRUN, RX_COUNT, RX_FIFO];

/// A PL011. It has no wiring: what it sends is returned, what it receives is passed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pl011 {
    // Guest-visible state (saved)
    rsr: u16,
    ilpr: u16,
    ibrd: u16,
    fbrd: u16,
    lcr_h: u16,
    cr: u16,
    ifls: u16,
    imsc: u16,
    ris: u16,
    dmacr: u16,
    /// A character was lost since the last one that entered the FIFO.
    is_overrun: bool,
    /// The oldest first; places past `rx_count` are 0, so that equal states have equal bytes.
    rx_fifo: [u16; FIFO_DEPTH],
    rx_count: usize,
}

impl Default for Pl011 {
    fn default() -> Self {
        Self::new()
    }
}

impl Pl011 {
    /// A PL011 after reset.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rsr: 0,
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            // Transmitter and receiver enabled, the UART itself not.
            cr: 0x300,
            // Both levels at half.
            ifls: 0x12,
            imsc: 0,
            ris: 0,
            dmacr: 0,
            is_overrun: false,
            rx_fifo: [0; FIFO_DEPTH],
            rx_count: 0,
        }
    }

    /// Reads `size` bytes at `offset`. Reading `UARTDR` takes the character out of the FIFO.
    pub fn read(&mut self, offset: u64, size: usize) -> u64 {
        if !is_register_access(offset, size) {
            return 0;
        }
        let register = match offset {
            offset::UARTDR => self.take_character(),
            offset::UARTRSR => self.rsr,
            offset::UARTFR => self.flags(),
            offset::UARTILPR => self.ilpr,
            offset::UARTIBRD => self.ibrd,
            offset::UARTFBRD => self.fbrd,
            offset::UARTLCR_H => self.lcr_h,
            offset::UARTCR => self.cr,
            offset::UARTIFLS => self.ifls,
            offset::UARTIMSC => self.imsc,
            offset::UARTRIS => self.ris,
            offset::UARTMIS => self.ris & self.imsc,
            offset::UARTDMACR => self.dmacr,
            _ => super::id_register(offset, &IDS),
        };
        u64::from(low_bytes(u64::from(register), size))
    }

    /// Writes the low `size` bytes of `value` at `offset`; returns the character that this sends.
    pub fn write(&mut self, offset: u64, size: usize, value: u64) -> Option<u8> {
        if !is_register_access(offset, size) {
            return None;
        }
        let [low, high, _, _] = low_bytes(value, size).to_le_bytes();
        let value = u16::from_le_bytes([low, high]);
        match offset {
            offset::UARTDR => {
                if self.is_loopback() {
                    self.put_character(u16::from(low));
                    self.ris |= INT_RT;
                }
                self.ris |= INT_TX;
                return Some(low);
            }
            offset::UARTRSR => self.rsr = 0,
            offset::UARTILPR => self.ilpr = value & ILPR_MASK,
            offset::UARTIBRD => self.ibrd = value & IBRD_MASK,
            offset::UARTFBRD => self.fbrd = value & FBRD_MASK,
            offset::UARTLCR_H => self.write_lcr_h(value & LCR_H_MASK),
            offset::UARTCR => self.write_cr(value & CR_MASK),
            offset::UARTIFLS => self.ifls = value & IFLS_MASK,
            offset::UARTIMSC => self.imsc = value & INT_MASK,
            offset::UARTICR => self.ris &= !value,
            offset::UARTDMACR => self.dmacr = value & DMACR_MASK,
            _ => {}
        }
        None
    }

    /// Takes characters from the line; returns how many. The rest is to be offered again, after
    /// the guest has read. In loopback the line is disconnected and nothing is taken.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        if self.is_loopback() {
            return 0;
        }
        let taken = bytes.len().min(self.depth().saturating_sub(self.rx_count));
        for &byte in &bytes[..taken] {
            self.put_character(u16::from(byte));
        }
        if taken > 0 {
            self.ris |= INT_RT;
        }
        taken
    }

    /// Whether `UARTINTR` is asserted.
    #[must_use]
    pub const fn irq_level(&self) -> bool {
        self.ris & self.imsc != 0
    }

    /// Every register with its content.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let Self {
            rsr,
            ilpr,
            ibrd,
            fbrd,
            lcr_h,
            cr,
            ifls,
            imsc,
            ris,
            dmacr,
            is_overrun,
            rx_fifo,
            rx_count,
        } = self;
        // At most FIFO_DEPTH.
        let rx_count = u16::try_from(*rx_count).unwrap_or(u16::MAX);
        let numbers = [
            (&RSR, *rsr),
            (&ILPR, *ilpr),
            (&IBRD, *ibrd),
            (&FBRD, *fbrd),
            (&LCR_H, *lcr_h),
            (&CR, *cr),
            (&IFLS, *ifls),
            (&IMSC, *imsc),
            (&RIS, *ris),
            (&DMACR, *dmacr),
            (&OVERRUN, u16::from(*is_overrun)),
            (&RX_COUNT, rx_count),
        ];
        let fifo = Value::bytes(rx_fifo.map(u16::to_le_bytes).as_flattened());
        numbers
            .into_iter()
            .map(|(def, number)| Entry::of(def, Value::u32(u32::from(number))))
            .chain([Entry::of(&RX_FIFO, fifo)])
            .collect()
    }

    /// The PL011 with these registers, and what was there beyond them.
    ///
    /// # Errors
    /// [`IntakeError`]: a register is missing, doubled, misshapen, mandatory and unknown, or holds
    /// what a PL011 cannot hold.
    pub fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let mut take = |def, mask: u16, allowed| {
            take_masked(&mut intake, def, u32::from(mask), allowed)
                .map(|number| u16::try_from(number).unwrap_or(mask))
        };
        let mut uart = Self {
            rsr: take(&RSR, RSR_MASK, "bits 3:0")?,
            ilpr: take(&ILPR, ILPR_MASK, "bits 7:0")?,
            ibrd: take(&IBRD, IBRD_MASK, "bits 15:0")?,
            fbrd: take(&FBRD, FBRD_MASK, "bits 5:0")?,
            lcr_h: take(&LCR_H, LCR_H_MASK, "bits 7:0")?,
            cr: take(&CR, CR_MASK, "bits 15:7 and 2:0")?,
            ifls: take(&IFLS, IFLS_MASK, "bits 5:0")?,
            imsc: take(&IMSC, INT_MASK, "bits 10:0")?,
            ris: take(&RIS, INT_MASK, "bits 10:0")?,
            dmacr: take(&DMACR, DMACR_MASK, "bits 2:0")?,
            is_overrun: take(&OVERRUN, 1, "0 or 1")? != 0,
            rx_fifo: [0; FIFO_DEPTH],
            rx_count: 0,
        };
        uart.restore_fifo(&mut intake)?;
        Ok((uart, intake.finish()?))
    }

    fn restore_fifo(&mut self, intake: &mut Intake) -> Result<(), IntakeError> {
        let refused =
            |def: &RegDef, found, allowed| IntakeError::Value { id: def.id, found, allowed };
        let count = intake.u32(&RX_COUNT)?;
        self.rx_count = usize::try_from(count).ok().filter(|&n| n <= self.depth()).ok_or(
            refused(&RX_COUNT, Value::u32(count), "0 to 16 with UARTLCR_H.FEN set, else 0 or 1"),
        )?;
        let fifo = intake.take(&RX_FIFO)?;
        let (characters, _) = fifo.as_bytes().as_chunks::<2>();
        for (place, character) in self.rx_fifo.iter_mut().zip(characters) {
            *place = u16::from_le_bytes(*character);
        }
        let (held, free) = self.rx_fifo.split_at(self.rx_count);
        if held.iter().any(|&held| held & !DR_MASK != 0) || free.iter().any(|&free| free != 0) {
            let allowed = "16 characters of 12 bits each, 0 past the count";
            return Err(refused(&RX_FIFO, fifo, allowed));
        }
        if self.ris & INT_RT != 0 && self.rx_count == 0 {
            let found = Value::u32(u32::from(self.ris));
            return Err(refused(&RIS, found, "bit 6 (RTRIS) only with characters in the FIFO"));
        }
        Ok(())
    }

    const fn is_loopback(&self) -> bool {
        self.cr & CR_LBE != 0
    }

    /// How many characters fit: with FIFOs disabled it is one holding register.
    const fn depth(&self) -> usize {
        if self.lcr_h & LCR_H_FEN != 0 { FIFO_DEPTH } else { 1 }
    }

    /// How many characters raise `RXRIS` `[DDI0183 3.3.9]`. Reserved values count as the last.
    const fn rx_trigger(&self) -> usize {
        if self.lcr_h & LCR_H_FEN == 0 {
            return 1;
        }
        match self.ifls >> 3 & 7 {
            0 => FIFO_DEPTH / 8,
            1 => FIFO_DEPTH / 4,
            2 => FIFO_DEPTH / 2,
            3 => FIFO_DEPTH * 3 / 4,
            _ => FIFO_DEPTH * 7 / 8,
        }
    }

    /// `UARTFR`: never busy, transmit FIFO always empty.
    fn flags(&self) -> u16 {
        let full = if self.rx_count >= self.depth() { FR_RXFF } else { 0 };
        let empty = if self.rx_count == 0 { FR_RXFE } else { 0 };
        FR_TXFE | full | empty | self.modem_flags()
    }

    fn modem_flags(&self) -> u16 {
        let looped = MODEM.iter().filter(|(_, _, output)| self.cr & output != 0);
        if self.is_loopback() { looped.fold(0, |flags, (flag, _, _)| flags | flag) } else { 0 }
    }

    fn put_character(&mut self, character: u16) {
        if self.rx_count >= self.depth() {
            // [DDI0183 2.4.3]: the FIFO keeps what it has; the next character that enters tells.
            self.is_overrun = true;
            self.rsr |= RSR_OE;
            self.ris |= INT_OE;
            return;
        }
        let overrun = if self.is_overrun { DR_OE } else { 0 };
        self.is_overrun = false;
        self.rx_fifo[self.rx_count] = character | overrun;
        self.rx_count += 1;
        // Only the passage over the level counts: what is above it already raises nothing.
        if self.rx_count == self.rx_trigger() {
            self.ris |= INT_RX;
        }
        if character & DR_BE != 0 {
            self.ris |= INT_BE;
        }
    }

    fn take_character(&mut self) -> u16 {
        if self.rx_count == 0 {
            return 0;
        }
        let character = self.rx_fifo[0];
        self.rx_fifo.copy_within(1.., 0);
        self.rx_fifo[FIFO_DEPTH - 1] = 0;
        self.rx_count -= 1;
        // Framing, parity and break belong to this character; overrun stays until UARTECR.
        self.rsr = self.rsr & RSR_OE | character >> 8;
        if self.rx_count < self.rx_trigger() {
            self.ris &= !INT_RX;
        }
        if self.rx_count == 0 {
            self.ris &= !INT_RT;
        }
        character
    }

    fn write_lcr_h(&mut self, value: u16) {
        let changed = self.lcr_h ^ value;
        self.lcr_h = value;
        if changed & LCR_H_FEN != 0 {
            self.rx_fifo = [0; FIFO_DEPTH];
            self.rx_count = 0;
            self.is_overrun = false;
            self.ris &= !(INT_RX | INT_RT);
        }
        if changed & value & LCR_H_BRK != 0 && self.is_loopback() {
            self.put_character(DR_BE);
            self.ris |= INT_RT;
        }
    }

    fn write_cr(&mut self, value: u16) {
        let before = self.modem_flags();
        self.cr = value;
        let changed = before ^ self.modem_flags();
        for (flag, interrupt, _) in MODEM {
            if changed & flag != 0 {
                self.ris |= interrupt;
            }
        }
    }
}
