//! Definitions of registers, and registers as they are saved.

use crate::{RegId, Rule, Value};
use core::fmt;

/// What a reader that does not know a register or record must do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Refuse the whole state, by name.
    Mandatory = 0,
    /// Carry it along and write it back unchanged: it stays true while the guest runs.
    Static = 1,
    /// Drop it once the guest has run, and say so: it would no longer be true.
    Volatile = 2,
}

impl Class {
    /// The class with this number, or `None` for a number that no version has given a meaning.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Mandatory),
            1 => Some(Self::Static),
            2 => Some(Self::Volatile),
            _ => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mandatory => "mandatory",
            Self::Static => "static",
            Self::Volatile => "volatile",
        })
    }
}

/// The definition of a register: one line of a unit's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegDef {
    /// Its identity.
    pub id: RegId,
    /// Its name in the specification, for reports (`SCTLR_EL1`, `UARTCR`).
    pub name: &'static str,
    /// Its length in bytes.
    pub width: usize,
    /// What a reader that does not know it must do.
    pub class: Class,
    /// What may happen to it between hosts.
    pub rule: Rule,
}

impl RegDef {
    /// A register of plain state, [`Class::Mandatory`] under [`Rule::STATE`].
    #[must_use]
    pub const fn state(id: RegId, name: &'static str, width: usize) -> Self {
        Self { id, name, width, class: Class::Mandatory, rule: Rule::STATE }
    }

    /// The same definition in another class.
    #[must_use]
    pub const fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The same definition under another rule.
    #[must_use]
    pub const fn rule(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }
}

/// A saved register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its identity.
    pub id: RegId,
    /// What a reader that does not know it must do.
    pub class: Class,
    /// Its content.
    pub value: Value,
}

impl Entry {
    /// A saved register.
    #[must_use]
    pub fn new(id: RegId, class: Class, value: Value) -> Self {
        Self { id, class, value }
    }

    /// The saved form of the register that `def` defines.
    #[must_use]
    pub fn of(def: &RegDef, value: Value) -> Self {
        debug_assert_eq!(def.width, value.width(), "{}", def.name);
        Self { id: def.id, class: def.class, value }
    }
}
