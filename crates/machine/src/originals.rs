//! Values that were promised and that this host answers by itself: what the next host gets.

use crate::machine::Machine;
use abide_contract::rules;
use abide_reg::{RegId, Scope, Value};
use std::collections::BTreeMap;

/// A register in which the host shows something of its own.
#[derive(Clone, Debug)]
struct Original {
    /// What was written.
    written: Value,
    /// What the host then showed.
    shown: Value,
}

/// Every register in which the host shows something of its own.
#[derive(Debug, Default)]
pub(crate) struct Originals(BTreeMap<(Scope, RegId), Original>);

impl Originals {
    /// What to save of a register that reads as `found`.
    pub(crate) fn to_save(&self, scope: Scope, id: RegId, found: Value) -> Value {
        match self.0.get(&(scope, id)) {
            Some(Original { written, shown }) => rules::to_save(id, written, shown, &found),
            None => found,
        }
    }
}

impl Machine {
    /// Notes that `written` reads as `shown` here.
    pub(crate) fn keep_original(&mut self, scope: Scope, id: RegId, written: Value, shown: Value) {
        self.originals.0.insert((scope, id), Original { written, shown });
    }
}
