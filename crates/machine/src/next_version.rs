//! What the version after this one might add to a file, in one build that nobody ships: the feature
//! `next-version`. `cargo xtask evolution` runs that build and the plain one against each other's
//! files, so that a format which cannot grow is found before it has to.
//!
//! | addition | where | an older version |
//! |---|---|---|
//! | one key | `board.next_note` in the record of `board`, static | carries it |
//! | an optional record | unit `nextnote`, static | carries it |
//! | an optional record | unit `nextstat`, volatile | drops it and says so |
//! | a mandatory record | unit `nextdev`, only of guests that have such a device | refuses it by name |

use crate::machine::Machine;
use abide_reg::{Class, Entry, Intake, IntakeError, Name, RegDef, RegId, Scope, Value};
use abide_snapshot::UnitRecord;

const BOARD: Name = Name::new("board");
const NOTE_UNIT: Name = Name::new("nextnote");
const STAT_UNIT: Name = Name::new("nextstat");
const DEVICE_UNIT: Name = Name::new("nextdev");

const NOTE_KEY: RegId = RegId::named("board.next_note");
const NOTE_TEXT: RegId = RegId::named("nextnote.text");
const STAT_SAVES: RegDef =
    RegDef { class: Class::Volatile, ..RegDef::state(RegId::named("nextstat.saves"), "saves", 4) };
const DEVICE_CR: RegDef = RegDef::state(RegId::named("nextdev.cr"), "CR", 4);

/// The state of what is new.
#[derive(Debug, Default)]
pub(crate) struct Next {
    /// Written at birth, never changed: as one key and as one record.
    note: Option<Vec<u8>>,
    /// Saves since a version that counts them has had the guest.
    saves: u32,
    /// The register of a device that most guests do not have.
    device_cr: Option<u32>,
}

impl Next {
    /// Takes what is new out of a file's records, before anybody finds it unknown.
    pub(crate) fn restore(records: &mut Vec<UnitRecord>) -> Result<Self, IntakeError> {
        let mut next = Self::default();
        for board in records.iter_mut().filter(|record| record.unit == BOARD) {
            if let Some(at) = board.entries.iter().position(|entry| entry.id == NOTE_KEY) {
                next.note = Some(board.entries.remove(at).value.as_bytes().to_vec());
            }
        }
        let mut failed = None;
        records.retain(|record| match next.take(record) {
            Ok(is_taken) => !is_taken,
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        failed.map_or(Ok(next), Err)
    }

    fn take(&mut self, record: &UnitRecord) -> Result<bool, IntakeError> {
        let mut intake = Intake::new(record.entries.clone())?;
        if record.unit == STAT_UNIT {
            self.saves = intake.u32(&STAT_SAVES)?;
        } else if record.unit == DEVICE_UNIT {
            self.device_cr = Some(intake.u32(&DEVICE_CR)?);
        } else if record.unit == NOTE_UNIT {
            self.note = record.entries.first().map(|entry| entry.value.as_bytes().to_vec());
            return Ok(true);
        } else {
            return Ok(false);
        }
        intake.finish().map(|_| true)
    }

    /// Adds what is new to the records of everything else.
    pub(crate) fn save(&self, records: &mut Vec<UnitRecord>) {
        let Self { note, saves, device_cr } = self;
        let mut add = |unit, class, entry| {
            records.push(UnitRecord { unit, scope: Scope::Vm, class, entries: vec![entry] });
        };
        add(STAT_UNIT, Class::Volatile, Entry::of(&STAT_SAVES, Value::u32(*saves)));
        if let Some(cr) = device_cr {
            add(DEVICE_UNIT, Class::Mandatory, Entry::of(&DEVICE_CR, Value::u32(*cr)));
        }
        let Some(note) = note else { return };
        let entry = |id| Entry::new(id, Class::Static, Value::bytes(note));
        add(NOTE_UNIT, Class::Static, entry(NOTE_TEXT));
        for board in records.iter_mut().filter(|record| record.unit == BOARD) {
            board.entries.push(entry(NOTE_KEY));
        }
    }

    /// A file is about to be written.
    pub(crate) fn count_save(&mut self) {
        self.saves = self.saves.wrapping_add(1);
    }
}

impl Machine {
    /// Gives a guest that is born what is new: a note to carry, and the device.
    pub fn give_next(&mut self, note: Option<&str>, has_device: bool) {
        self.next.note = note.map(|note| note.as_bytes().to_vec());
        self.next.device_cr = has_device.then_some(0x301);
    }
}
