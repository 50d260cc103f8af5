//! A vCPU's record as registers.

use crate::{RECORD_ALIGN, RECORD_LEN, REVISION_1_0, Record, Revision};
use abide_reg::{Entry, Gpa, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use alloc::vec::Vec;
use core::fmt;

/// Where the record is, 8 bytes: what `PV_TIME_ST` answers.
pub const DEF_TABLE_GPA: RegDef = RegDef::state(RegId::named("pvtime.table-gpa"), "table_gpa", 8);
/// Its revision, 4 bytes. Not there: 0.
pub const DEF_REVISION: RegDef = RegDef::state(RegId::named("pvtime.revision"), "revision", 4);
/// Its attributes, 4 bytes.
pub const DEF_ATTRIBUTES: RegDef =
    RegDef::state(RegId::named("pvtime.attributes"), "attributes", 4);
/// The stolen nanoseconds, 8 bytes.
pub const DEF_STOLEN_NS: RegDef = RegDef::state(RegId::named("pvtime.stolen-ns"), "stolen_time", 8);

/// All of them, in the order in which they are saved.
pub const DEFS: [RegDef; 4] = [DEF_TABLE_GPA, DEF_REVISION, DEF_ATTRIBUTES, DEF_STOLEN_NS];

/// An address at which no record can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The address.
    pub found: Gpa,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record of stolen time at {}: {ALLOWED_GPA}", self.found)
    }
}

impl core::error::Error for Misplaced {}

const ALLOWED_GPA: &str = "an address aligned to 64 bytes, with 64 bytes behind it, is needed";

/// Stolen time of one vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StolenTime {
    table_gpa: Gpa,
    /// What the guest reads there.
    pub record: Record,
}

impl StolenTime {
    /// A vCPU of which nothing was stolen yet, with its record at `table_gpa`.
    ///
    /// # Errors
    /// [`Misplaced`] if no record can be there.
    pub fn new(table_gpa: Gpa, revision: Revision) -> Result<Self, Misplaced> {
        let end = table_gpa.checked_add(RECORD_LEN as u64);
        if !table_gpa.0.is_multiple_of(RECORD_ALIGN) || end.is_none() {
            return Err(Misplaced { found: table_gpa });
        }
        Ok(Self { table_gpa, record: Record::new(revision) })
    }

    /// Where the record is.
    #[must_use]
    pub const fn table_gpa(&self) -> Gpa {
        self.table_gpa
    }

    /// The guest called `PV_TIME_ST`: the record begins anew, and the guest is told where it is.
    pub const fn begin(&mut self) -> Gpa {
        self.record = Record::new(self.record.revision);
        self.table_gpa
    }

    /// Charges so many nanoseconds. After 584 years it stays where it is, rather than fall.
    pub const fn steal(&mut self, ns: u64) {
        self.record.stolen_ns = self.record.stolen_ns.saturating_add(ns);
    }

    /// Every register with its content.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let Self { table_gpa, record } = self;
        let Record { revision, attributes, stolen_ns } = record;
        [
            Value::u64(table_gpa.0),
            Value::u32(revision.0),
            Value::u32(*attributes),
            Value::u64(*stolen_ns),
        ]
        .into_iter()
        .zip(&DEFS)
        .map(|(value, def)| Entry::of(def, value))
        .collect()
    }

    /// The vCPU's stolen time with these registers, and what was there beyond them. Whether a host
    /// keeps records of this revision is the host's to say.
    ///
    /// # Errors
    /// [`IntakeError`]: a register is missing, doubled, misshapen, mandatory and unknown, or holds
    /// what no record can.
    pub fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let gpa = intake.u64(&DEF_TABLE_GPA)?;
        let revision = intake.take_optional(&DEF_REVISION)?.and_then(|value| value.to_u32());
        let revision = revision.map_or(REVISION_1_0, Revision);
        let attributes = intake.u32(&DEF_ATTRIBUTES)?;
        let stolen_ns = intake.u64(&DEF_STOLEN_NS)?;
        let refused =
            |def: &RegDef, found, allowed| IntakeError::Value { id: def.id, found, allowed };
        let mut state = Self::new(Gpa(gpa), revision)
            .map_err(|_| refused(&DEF_TABLE_GPA, Value::u64(gpa), ALLOWED_GPA))?;
        if attributes != 0 {
            return Err(refused(&DEF_ATTRIBUTES, Value::u32(attributes), "0: none is defined"));
        }
        state.record.stolen_ns = stolen_ns;
        Ok((state, intake.finish()?))
    }
}
