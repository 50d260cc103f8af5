//! The real-time clock PL031 `[DDI0224 3.2]`.
//!
//! It counts seconds, and its interrupt rises when they equal `RTCMR`. Time comes from outside as
//! seconds of the machine's clock (UTC where that follows the host). The counter is that clock
//! plus an offset that the guest sets by writing `RTCLR`, so there is nothing to do while time
//! passes, and a saved clock goes on where the machine's clock does.
//!
//! As in QEMU, the clock runs from the start: `RTCCR` reads 1 and ignores writes. A match is due
//! once for each write of `RTCMR` or `RTCLR`, although the real counter would come around to it
//! again after 136 years.

use super::{is_register_access, low_bytes, take_masked};
use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};

/// Offsets `[DDI0224 3.2]`.
pub(super) mod offset {
    /// Data, RO, 32 bits: the counter.
    pub const RTCDR: u64 = 0x000;
    /// Match, RW, 32 bits.
    pub const RTCMR: u64 = 0x004;
    /// Load, RW, 32 bits.
    pub const RTCLR: u64 = 0x008;
    /// Control, RW, 1 bit: started.
    pub const RTCCR: u64 = 0x00c;
    /// Interrupt mask set/clear, RW, 1 bit.
    pub const RTCIMSC: u64 = 0x010;
    /// Raw interrupt status, RO, 1 bit.
    pub const RTCRIS: u64 = 0x014;
    /// Masked interrupt status, RO, 1 bit.
    pub const RTCMIS: u64 = 0x018;
    /// Interrupt clear, WO, 1 bit.
    pub const RTCICR: u64 = 0x01c;
}

/// `RTCPeriphID0`–`3`, `RTCPCellID0`–`3` `[DDI0224 3.3]`.
const IDS: [u8; 8] = [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// The saved form of "no match is due".
const NO_ALARM: u64 = u64::MAX;

const MR: RegDef = RegDef::state(RegId::named("pl031.rtcmr"), "RTCMR", 4);
const LR: RegDef = RegDef::state(RegId::named("pl031.rtclr"), "RTCLR", 4);
const IMSC: RegDef = RegDef::state(RegId::named("pl031.rtcimsc"), "RTCIMSC", 4);
const RIS: RegDef = RegDef::state(RegId::named("pl031.rtcris"), "RTCRIS", 4);
const OFFSET: RegDef = RegDef::state(RegId::named("pl031.offset-s"), "RTCDR minus clock", 4);
const ALARM: RegDef = RegDef::state(RegId::named("pl031.alarm-s"), "next match", 8);

/// Every register of the unit, in the order in which it is saved.
pub const PL031_TABLE: &[RegDef] = &[MR, LR, IMSC, RIS, OFFSET, ALARM];

/// A PL031. It has no wiring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pl031 {
    // Guest-visible state (saved)
    mr: u32,
    lr: u32,
    is_unmasked: bool,
    is_raised: bool,
    /// What is to be added, modulo 2³², to the machine's clock, in seconds.
    offset_s: u32,
    /// When the counter will equal `mr`, in seconds of the machine's clock.
    alarm_s: Option<u64>,
}

impl Pl031 {
    /// A PL031 after reset, showing the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `size` bytes at `offset`.
    #[must_use]
    pub fn read(&self, offset: u64, size: usize, now_s: u64) -> u64 {
        if !is_register_access(offset, size) {
            return 0;
        }
        // Nobody may have called `tick` since the match.
        let is_raised = self.is_raised || self.is_due(now_s);
        let register = match offset {
            offset::RTCDR => self.counter(now_s),
            offset::RTCMR => self.mr,
            offset::RTCLR => self.lr,
            offset::RTCCR => 1,
            offset::RTCIMSC => u32::from(self.is_unmasked),
            offset::RTCRIS => u32::from(is_raised),
            offset::RTCMIS => u32::from(is_raised && self.is_unmasked),
            _ => u32::from(super::id_register(offset, &IDS)),
        };
        u64::from(low_bytes(u64::from(register), size))
    }

    /// Writes the low `size` bytes of `value` at `offset`.
    pub fn write(&mut self, offset: u64, size: usize, value: u64, now_s: u64) {
        if !is_register_access(offset, size) {
            return;
        }
        self.tick(now_s);
        let value = low_bytes(value, size);
        match offset {
            offset::RTCMR => {
                self.mr = value;
                self.arm(now_s);
            }
            offset::RTCLR => {
                self.lr = value;
                self.offset_s = value.wrapping_sub(low_bytes(now_s, 4));
                self.arm(now_s);
            }
            offset::RTCIMSC => self.is_unmasked = value & 1 != 0,
            offset::RTCICR if value & 1 != 0 => self.is_raised = false,
            _ => {}
        }
    }

    /// Tells what time it is: raises the interrupt if its second has come. Telling it late, twice
    /// or an earlier time than before does no harm.
    pub fn tick(&mut self, now_s: u64) {
        if self.is_due(now_s) {
            self.is_raised = true;
            self.alarm_s = None;
        }
    }

    /// Whether `RTCINTR` is asserted, as of the last `tick` or `write`.
    #[must_use]
    pub const fn irq_level(&self) -> bool {
        self.is_raised && self.is_unmasked
    }

    /// When the interrupt line will rise if the guest does nothing, in seconds of the machine's
    /// clock: an idle machine may sleep until then.
    #[must_use]
    pub const fn wake_s(&self) -> Option<u64> {
        if self.is_unmasked && !self.is_raised { self.alarm_s } else { None }
    }

    /// Every register with its content.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let Self { mr, lr, is_unmasked, is_raised, offset_s, alarm_s } = self;
        vec![
            Entry::of(&MR, Value::u32(*mr)),
            Entry::of(&LR, Value::u32(*lr)),
            Entry::of(&IMSC, Value::u32(u32::from(*is_unmasked))),
            Entry::of(&RIS, Value::u32(u32::from(*is_raised))),
            Entry::of(&OFFSET, Value::u32(*offset_s)),
            Entry::of(&ALARM, Value::u64(alarm_s.unwrap_or(NO_ALARM))),
        ]
    }

    /// The PL031 with these registers, and what was there beyond them.
    ///
    /// # Errors
    /// [`IntakeError`]: a register is missing, doubled, misshapen, mandatory and unknown, or holds
    /// what a PL031 cannot hold.
    pub fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let mr = intake.u32(&MR)?;
        let lr = intake.u32(&LR)?;
        let is_unmasked = take_masked(&mut intake, &IMSC, 1, "0 or 1")? != 0;
        let is_raised = take_masked(&mut intake, &RIS, 1, "0 or 1")? != 0;
        let offset_s = intake.u32(&OFFSET)?;
        let alarm = intake.u64(&ALARM)?;
        let alarm_s = (alarm != NO_ALARM).then_some(alarm);
        let rtc = Self { mr, lr, is_unmasked, is_raised, offset_s, alarm_s };
        if alarm_s.is_some_and(|alarm_s| rtc.counter(alarm_s) != mr) {
            return Err(IntakeError::Value {
                id: ALARM.id,
                found: Value::u64(alarm),
                allowed: "a second at which the counter equals RTCMR, or all ones",
            });
        }
        Ok((rtc, intake.finish()?))
    }

    fn counter(&self, now_s: u64) -> u32 {
        low_bytes(now_s, 4).wrapping_add(self.offset_s)
    }

    fn is_due(&self, now_s: u64) -> bool {
        self.alarm_s.is_some_and(|alarm_s| alarm_s <= now_s)
    }

    fn arm(&mut self, now_s: u64) {
        let left_s = self.mr.wrapping_sub(self.counter(now_s));
        // Past the end of time there is no match.
        self.alarm_s = now_s.checked_add(u64::from(left_s)).filter(|&alarm| alarm != NO_ALARM);
        self.tick(now_s);
    }
}
