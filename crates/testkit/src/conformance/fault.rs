//! What can be wrong with a unit, in words.

use abide_reg::codec::CodecError;
use abide_reg::{Class, Leftover, RegId, Value};
use std::fmt;
use thiserror::Error;

/// What was done to saved state before it was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A register was taken away.
    Missing {
        /// The register.
        id: RegId,
    },
    /// A register was there twice.
    Twice {
        /// The register.
        id: RegId,
    },
    /// A register had another length.
    Width {
        /// The register.
        id: RegId,
        /// Its length then, in bytes.
        width: usize,
    },
    /// A register was added that nobody knows.
    Unknown {
        /// The register.
        id: RegId,
        /// Its class.
        class: Class,
    },
    /// A register had another value of the right length.
    Value {
        /// The register.
        id: RegId,
        /// Its value then.
        value: Value,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { id } => write!(f, "{id} taken away"),
            Self::Twice { id } => write!(f, "{id} given twice"),
            Self::Width { id, width } => write!(f, "{id} given as {width} bytes"),
            Self::Unknown { id, class } => write!(f, "unknown {class} register {id} added"),
            Self::Value { id, value } => write!(f, "{id} set to {value}"),
        }
    }
}

/// What is wrong with a unit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The table itself is no table.
    #[error("table: {id}: {reason}")]
    Table {
        /// The register.
        id: RegId,
        /// What is wrong with its line.
        reason: &'static str,
    },
    /// A save holds a register that is not in the table.
    #[error("save: {id} is not in the unit's table")]
    SavedUnknown {
        /// The register.
        id: RegId,
    },
    /// A save lacks a register of the table.
    #[error("save: {id} is in the unit's table and was not saved")]
    NotSaved {
        /// The register.
        id: RegId,
    },
    /// A register is saved with another length than its table says.
    #[error("save: {id}: {found} bytes saved, the table says {allowed}")]
    SavedWidth {
        /// The register.
        id: RegId,
        /// The length saved, in bytes.
        found: usize,
        /// The length in the table, in bytes.
        allowed: usize,
    },
    /// A register is saved in another class than its table says.
    #[error("save: {id}: saved as {found}, the table says {allowed}")]
    SavedClass {
        /// The register.
        id: RegId,
        /// The class saved.
        found: Class,
        /// The class in the table.
        allowed: Class,
    },
    /// A register is saved twice.
    #[error("save: {id} was saved twice")]
    SavedTwice {
        /// The register.
        id: RegId,
    },
    /// What was saved cannot be written to a file, or not read back from it.
    #[error("save: the register list cannot be kept in a file: {0}")]
    Codec(CodecError),
    /// Two saves without anything between them differ.
    #[error("save: two saves in a row differ at {0}")]
    SaveUnstable(Difference),
    /// A unit that was saved on the way differs from one that was not.
    #[error("save: it changed the unit: {0}")]
    SaveDisturbs(Difference),
    /// The unit refuses its own state.
    #[error("restore: the unit refused what it saved itself: {error}")]
    OwnStateRefused {
        /// Its words.
        error: String,
    },
    /// Save, restore, save is not the identity.
    #[error("restore: saving again gives another state at {0}")]
    RoundTrip(Difference),
    /// The restored unit does not do as the original does.
    #[error("restore: {after} steps later the restored unit differs: {difference}")]
    Behaviour {
        /// How many steps after the restore.
        after: usize,
        /// Where.
        difference: Difference,
    },
    /// A register never changed, so the checks say nothing about it.
    #[error("life: {id} never changed; drive the unit so that it does, or declare it constant")]
    NeverChanged {
        /// The register.
        id: RegId,
    },
    /// Damaged state was accepted.
    #[error("restore: accepted with {damage}")]
    Accepted {
        /// What was damaged.
        damage: Damage,
    },
    /// Damaged state was refused for another reason than its damage.
    #[error("restore: with {damage} refused by the wrong error: {error}")]
    WrongError {
        /// What was damaged.
        damage: Damage,
        /// The unit's words.
        error: String,
    },
    /// State that must be accepted was refused.
    #[error("restore: refused with {damage}, which must be accepted: {error}")]
    Refused {
        /// What was changed.
        damage: Damage,
        /// The unit's words.
        error: String,
    },
    /// Unknown registers were not sorted as their class demands.
    #[error(
        "restore: with {damage}: {} carried and {} dropped registers reported",
        found.carried.len(), found.dropped.len()
    )]
    Leftover {
        /// What was added.
        damage: Damage,
        /// What the unit reported.
        found: Leftover,
    },
    /// A value was accepted and silently made another.
    #[error("restore: with {damage}: accepted, but saved again as {found}")]
    Altered {
        /// What was changed.
        damage: Damage,
        /// What it became.
        found: Value,
    },
    /// A value was accepted that makes the unit fail later.
    #[error("restore: with {damage}: accepted, and then: {fault}")]
    Illegal {
        /// What was changed.
        damage: Damage,
        /// How it showed.
        fault: Box<Fault>,
    },
    /// The unit panicked.
    #[error("restore: with {damage}: panic: {message}")]
    Panicked {
        /// What was changed.
        damage: Damage,
        /// The panic's words.
        message: String,
    },
}

/// Where two units that should be the same differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// In a register.
    Register {
        /// The register.
        id: RegId,
    },
    /// In which registers there are, or their order.
    List,
    /// In what could be seen of a step.
    Seen {
        /// What the unit showed that was left alone.
        expected: Vec<u8>,
        /// What the other showed.
        found: Vec<u8>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register { id } => write!(f, "{id}"),
            Self::List => f.write_str("the list of registers"),
            Self::Seen { expected, found } => write!(
                f,
                "the guest sees {} where it should see {}",
                Value::bytes(found),
                Value::bytes(expected)
            ),
        }
    }
}

/// A [`Fault`], and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unit {unit}, seed {seed}, step {step}: {fault}")]
pub struct Failure {
    /// The unit.
    pub unit: &'static str,
    /// The plan's seed.
    pub seed: u64,
    /// After how many steps of the life.
    pub step: usize,
    /// What is wrong.
    pub fault: Box<Fault>,
}
