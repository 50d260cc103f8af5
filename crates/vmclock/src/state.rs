//! The clock as registers.

use crate::{Constants, Vmclock, spec};
use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use alloc::vec::Vec;

/// `size`, 4 bytes.
pub const DEF_SIZE: RegDef = RegDef::state(RegId::named("vmclock.size"), "size", 4);
/// `counter_id`, 1 byte.
pub const DEF_COUNTER_ID: RegDef =
    RegDef::state(RegId::named("vmclock.counter-id"), "counter_id", 1);
/// `time_type`, 1 byte.
pub const DEF_TIME_TYPE: RegDef = RegDef::state(RegId::named("vmclock.time-type"), "time_type", 1);
/// Whether `VMCLOCK_FLAG_NOTIFICATION_PRESENT` is set, 1 byte.
pub const DEF_NOTIFIES: RegDef =
    RegDef::state(RegId::named("vmclock.notifies"), "NOTIFICATION_PRESENT", 1);
/// `seq_count`, 4 bytes, even and not 0.
pub const DEF_SEQ_COUNT: RegDef = RegDef::state(RegId::named("vmclock.seq-count"), "seq_count", 4);
/// `disruption_marker`, 8 bytes.
pub const DEF_DISRUPTION_MARKER: RegDef =
    RegDef::state(RegId::named("vmclock.disruption-marker"), "disruption_marker", 8);
/// `vm_generation_counter`, 8 bytes.
pub const DEF_VM_GENERATION_COUNTER: RegDef =
    RegDef::state(RegId::named("vmclock.vm-generation-counter"), "vm_generation_counter", 8);
/// `leap_second_smearing_hint`, 1 byte.
pub const DEF_SMEARING_HINT: RegDef =
    RegDef::state(RegId::named("vmclock.smearing-hint"), "leap_second_smearing_hint", 1);

/// All of them, in the order in which they are saved.
pub const DEFS: [RegDef; 8] = [
    DEF_SIZE,
    DEF_COUNTER_ID,
    DEF_TIME_TYPE,
    DEF_NOTIFIES,
    DEF_SEQ_COUNT,
    DEF_DISRUPTION_MARKER,
    DEF_VM_GENERATION_COUNTER,
    DEF_SMEARING_HINT,
];

impl Vmclock {
    /// Every register with its content.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let Constants { size_bytes, counter_id, time_type, notifies } = self.constants;
        [
            Value::u32(size_bytes),
            Value::u8(counter_id),
            Value::u8(time_type),
            Value::u8(notifies.into()),
            Value::u32(self.seq_count),
            Value::u64(self.disruption_marker),
            Value::u64(self.vm_generation_counter),
            Value::u8(self.smearing_hint),
        ]
        .into_iter()
        .zip(&DEFS)
        .map(|(value, def)| Entry::of(def, value))
        .collect()
    }

    /// The clock with these registers, which has not arrived anywhere yet, and what was there
    /// beyond them.
    ///
    /// # Errors
    /// [`IntakeError`]: a register is missing, doubled, misshapen, mandatory and unknown, or holds
    /// what no clock can hold.
    pub fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let size_bytes = intake.u32(&DEF_SIZE)?;
        if size_bytes < Constants::SIZE_MIN {
            return Err(refused(&DEF_SIZE, Value::u32(size_bytes), "at least 104 bytes"));
        }
        let counters = [spec::COUNTER_ARM_VCNT, spec::COUNTER_X86_TSC, spec::COUNTER_INVALID];
        let mut one_of = |def: &RegDef, values: &[u8], allowed| {
            let value = intake.take(def)?;
            match value.to_u8() {
                Some(number) if values.contains(&number) => Ok(number),
                _ => Err(refused(def, value, allowed)),
            }
        };
        let constants = Constants {
            size_bytes,
            counter_id: one_of(&DEF_COUNTER_ID, &counters, "0 (Arm virtual), 1 (TSC), 255 (none)")?,
            time_type: one_of(&DEF_TIME_TYPE, &[spec::TIME_TAI], "1 (TAI)")?,
            notifies: one_of(&DEF_NOTIFIES, &[0, 1], "0 or 1")? != 0,
        };
        let seq_count = intake.u32(&DEF_SEQ_COUNT)?;
        if seq_count == 0 || seq_count % 2 != 0 {
            return Err(refused(&DEF_SEQ_COUNT, Value::u32(seq_count), "even and not 0"));
        }
        let mut clock = Self::new(constants, 0);
        clock.seq_count = seq_count;
        clock.disruption_marker = intake.u64(&DEF_DISRUPTION_MARKER)?;
        clock.vm_generation_counter = intake.u64(&DEF_VM_GENERATION_COUNTER)?;
        let hint = intake.take(&DEF_SMEARING_HINT)?;
        clock.smearing_hint = hint.to_u8().unwrap_or(0);
        Ok((clock, intake.finish()?))
    }
}

fn refused(def: &RegDef, found: Value, allowed: &'static str) -> IntakeError {
    IntakeError::Value { id: def.id, found, allowed }
}
