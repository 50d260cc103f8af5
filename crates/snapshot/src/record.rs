//! What a snapshot holds besides RAM.

use crate::head::{KEPT_UNIT, RIGHT_UNIT};
use crate::{Head, Header, KeptMemory, RecordKind, RightToRun, ScopeField};
use abide_reg::{Class, Entry, Name, Scope};

/// The registers of one unit in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitRecord {
    /// The unit's permanent name.
    pub unit: Name,
    /// Whose registers they are.
    pub scope: Scope,
    /// What a machine without such a unit must do.
    pub class: Class,
    /// The registers, in the order in which they are to be written back.
    pub entries: Vec<Entry>,
}

/// A record that this version does not understand, kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRecord {
    pub(crate) head: Head,
    pub(crate) payload: Vec<u8>,
}

impl ForeignRecord {
    /// A record of another kind than this version's own, which it will carry.
    #[must_use]
    pub fn new(kind: RecordKind, class: Class, unit: Name, scope: Scope, payload: &[u8]) -> Self {
        Self { head: Head::new(kind, class, unit, scope), payload: payload.to_vec() }
    }

    /// What the record is.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        self.head.kind
    }

    /// [`Class::Static`] or [`Class::Volatile`] in a snapshot that was read: a mandatory record of
    /// an unknown kind refuses the whole file. A class without meaning counts as mandatory.
    #[must_use]
    pub fn class(&self) -> Class {
        self.head.class().unwrap_or(Class::Mandatory)
    }

    /// The part of the machine it belongs to.
    #[must_use]
    pub fn unit(&self) -> Name {
        self.head.unit
    }

    /// Whose state it is.
    #[must_use]
    pub fn scope(&self) -> ScopeField {
        self.head.scope
    }

    /// The content, without padding.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// One record of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A unit's registers.
    Unit(UnitRecord),
    /// Where RAM is, if it is not in the file. The last, and not beside RAM in the file.
    Kept(KeptMemory),
    /// The right to run a guest that was moved. The first.
    Right(RightToRun),
    /// What a newer version wrote.
    Foreign(ForeignRecord),
}

impl Record {
    /// The unit's name.
    #[must_use]
    pub fn unit(&self) -> Name {
        match self {
            Self::Unit(record) => record.unit,
            Self::Kept(_) => KEPT_UNIT,
            Self::Right(_) => RIGHT_UNIT,
            Self::Foreign(record) => record.unit(),
        }
    }
}

impl From<UnitRecord> for Record {
    fn from(record: UnitRecord) -> Self {
        Self::Unit(record)
    }
}

/// A snapshot without its RAM.
///
/// Reading one and writing it again gives the same records byte for byte, in the same order, also
/// those that nobody here understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What the header says.
    pub header: Header,
    /// The records in their order.
    pub records: Vec<Record>,
}

/// The records of a snapshot that is about to run, sorted by what must happen to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The state of units.
    pub units: Vec<UnitRecord>,
    /// Unknown static records: to be saved again unchanged.
    pub carried: Vec<ForeignRecord>,
    /// Unknown volatile records: no longer true once the guest has run, so dropped; to be reported.
    pub dropped: Vec<ForeignRecord>,
}

impl Snapshot {
    /// The unit records.
    pub fn units(&self) -> impl Iterator<Item = &UnitRecord> {
        self.records.iter().filter_map(|record| match record {
            Record::Unit(unit) => Some(unit),
            Record::Kept(_) | Record::Right(_) | Record::Foreign(_) => None,
        })
    }

    /// The right to run that the file gives, or gave.
    #[must_use]
    pub fn right(&self) -> Option<RightToRun> {
        self.records.iter().find_map(|record| match record {
            Record::Right(right) => Some(*right),
            _ => None,
        })
    }

    /// Where RAM is, if it is not in the file.
    #[must_use]
    pub fn kept_memory(&self) -> Option<&KeptMemory> {
        self.records.iter().find_map(|record| match record {
            Record::Kept(kept) => Some(kept),
            Record::Unit(_) | Record::Right(_) | Record::Foreign(_) => None,
        })
    }

    /// Takes the snapshot apart for a guest that will run.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        let mut parts = Parts::default();
        for record in self.records {
            match record {
                Record::Unit(unit) => parts.units.push(unit),
                // They are about this file alone; whoever restores asks for them before.
                Record::Kept(_) | Record::Right(_) => {}
                Record::Foreign(foreign) if foreign.class() == Class::Volatile => {
                    parts.dropped.push(foreign);
                }
                Record::Foreign(foreign) => parts.carried.push(foreign),
            }
        }
        parts
    }
}
