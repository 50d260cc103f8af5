//! Taking saved registers back: by id, each once, nothing overlooked.

use crate::{Class, Entry, RegDef, RegId, Value};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// Why a unit's saved registers cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntakeError {
    /// A register of the unit is not there.
    Missing {
        /// The register.
        id: RegId,
        /// Its name in the specification.
        name: &'static str,
    },
    /// A register stands there twice.
    Twice {
        /// The register.
        id: RegId,
    },
    /// A register has the wrong length.
    Width {
        /// The register.
        id: RegId,
        /// The length found, in bytes.
        found: usize,
        /// The length allowed, in bytes.
        allowed: usize,
    },
    /// A register holds what its unit can never hold.
    Value {
        /// The register.
        id: RegId,
        /// The value found.
        found: Value,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// A mandatory register that this version does not know.
    Unknown {
        /// The register.
        id: RegId,
    },
}

impl fmt::Display for IntakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { id, name } => write!(f, "register {id} ({name}) is missing"),
            Self::Twice { id } => write!(f, "register {id} stands there twice"),
            Self::Width { id, found, allowed } => {
                write!(f, "register {id}: {found} bytes found, {allowed} allowed")
            }
            Self::Value { id, found, allowed } => {
                write!(f, "register {id}: found {found}, allowed: {allowed}")
            }
            Self::Unknown { id } => write!(
                f,
                "register {id} is mandatory and unknown to this version; restore with a newer one"
            ),
        }
    }
}

impl core::error::Error for IntakeError {}

/// What was there beyond the unit's own registers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftover {
    /// Unknown static registers: to be saved again unchanged.
    pub carried: Vec<Entry>,
    /// Unknown volatile registers: dropped, to be reported.
    pub dropped: Vec<Entry>,
}

/// The saved registers of one unit while it takes them back.
///
/// ```
/// use abide_reg::{Class, Entry, Intake, RegDef, RegId, Value};
///
/// const CR: RegDef = RegDef::state(RegId::named("pl011.uartcr"), "UARTCR", 4);
/// let saved = vec![Entry::of(&CR, Value::u32(0x301))];
/// let mut intake = Intake::new(saved)?;
/// assert_eq!(intake.u32(&CR)?, 0x301);
/// assert!(intake.finish()?.carried.is_empty());
/// # Ok::<(), abide_reg::IntakeError>(())
/// ```
#[derive(Debug)]
pub struct Intake {
    entries: BTreeMap<RegId, Entry>,
}

impl Intake {
    /// Begins with the registers found.
    ///
    /// # Errors
    /// [`IntakeError::Twice`].
    pub fn new(entries: Vec<Entry>) -> Result<Self, IntakeError> {
        let mut map = BTreeMap::new();
        for entry in entries {
            let id = entry.id;
            if map.insert(id, entry).is_some() {
                return Err(IntakeError::Twice { id });
            }
        }
        Ok(Self { entries: map })
    }

    /// Takes the register's value, of whatever length its definition says.
    ///
    /// # Errors
    /// [`IntakeError::Missing`] or [`IntakeError::Width`].
    pub fn take(&mut self, def: &RegDef) -> Result<Value, IntakeError> {
        let Some(entry) = self.entries.remove(&def.id) else {
            return Err(IntakeError::Missing { id: def.id, name: def.name });
        };
        let found = entry.value.width();
        if found != def.width {
            return Err(IntakeError::Width { id: def.id, found, allowed: def.width });
        }
        Ok(entry.value)
    }

    /// Takes the register if it is there: for registers added in a later version.
    ///
    /// # Errors
    /// [`IntakeError::Width`].
    pub fn take_optional(&mut self, def: &RegDef) -> Result<Option<Value>, IntakeError> {
        if self.entries.contains_key(&def.id) { self.take(def).map(Some) } else { Ok(None) }
    }

    /// Takes a 32-bit register.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn u32(&mut self, def: &RegDef) -> Result<u32, IntakeError> {
        let value = self.take(def)?;
        value.to_u32().ok_or(IntakeError::Width { id: def.id, found: value.width(), allowed: 4 })
    }

    /// Takes a 64-bit register.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn u64(&mut self, def: &RegDef) -> Result<u64, IntakeError> {
        let value = self.take(def)?;
        value.to_u64().ok_or(IntakeError::Width { id: def.id, found: value.width(), allowed: 8 })
    }

    /// Ends: sorts what nobody took by its class.
    ///
    /// # Errors
    /// [`IntakeError::Unknown`] for a mandatory register.
    pub fn finish(self) -> Result<Leftover, IntakeError> {
        let mut leftover = Leftover::default();
        for entry in self.entries.into_values() {
            match entry.class {
                Class::Mandatory => return Err(IntakeError::Unknown { id: entry.id }),
                Class::Static => leftover.carried.push(entry),
                Class::Volatile => leftover.dropped.push(entry),
            }
        }
        Ok(leftover)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const KNOWN: RegDef = RegDef::state(RegId::named("unit.known"), "KNOWN", 4);

    fn unknown(class: Class) -> Entry {
        Entry::new(RegId::named("unit.new"), class, Value::u8(1))
    }

    #[test]
    fn leftovers_are_sorted_by_class() {
        let mut intake =
            Intake::new(vec![Entry::of(&KNOWN, Value::u32(7)), unknown(Class::Static)]).unwrap();
        assert_eq!(intake.u32(&KNOWN), Ok(7));
        assert_eq!(intake.finish().unwrap().carried, [unknown(Class::Static)]);

        let intake = Intake::new(vec![unknown(Class::Volatile)]).unwrap();
        assert_eq!(intake.finish().unwrap().dropped, [unknown(Class::Volatile)]);

        let intake = Intake::new(vec![unknown(Class::Mandatory)]).unwrap();
        assert_eq!(intake.finish(), Err(IntakeError::Unknown { id: RegId::named("unit.new") }));
    }

    #[test]
    fn missing_doubled_and_misshapen_registers_are_named() {
        let mut empty = Intake::new(vec![]).unwrap();
        assert_eq!(empty.u32(&KNOWN), Err(IntakeError::Missing { id: KNOWN.id, name: KNOWN.name }));
        let twice = vec![Entry::of(&KNOWN, Value::u32(1)), Entry::of(&KNOWN, Value::u32(1))];
        assert!(matches!(Intake::new(twice), Err(IntakeError::Twice { .. })));
        let mut narrow =
            Intake::new(vec![Entry::new(KNOWN.id, Class::Mandatory, Value::u8(1))]).unwrap();
        assert_eq!(
            narrow.u32(&KNOWN),
            Err(IntakeError::Width { id: KNOWN.id, found: 1, allowed: 4 })
        );
    }
}
