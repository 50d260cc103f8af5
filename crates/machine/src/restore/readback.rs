//! Proof that the machine holds what was saved.

use super::{RestoreError, RestoreReport};
use crate::machine::Machine;
use crate::units::Unit;
use abide_contract::{Step, Verdict, rules};
use abide_reg::{Class, Name, RegId, Scope, Value};
use abide_snapshot::UnitRecord;
use std::collections::{BTreeMap, BTreeSet};

type Key = (Name, Scope, RegId);

impl Machine {
    /// Reads every restored register back and compares it with the original.
    pub(super) fn check_readback(
        &mut self,
        original: &[UnitRecord],
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        let mut found: BTreeMap<Key, Value> = BTreeMap::new();
        let mut cpus = Some(self.cpus_as_shown()?);
        let records = self.state_with(|unit| match unit {
            Unit::Cpu => Ok(cpus.take().unwrap_or_default()),
            _ => self.unit_entries(unit),
        })?;
        for state in records {
            let values = state.entries.into_iter().map(|entry| (entry.id, entry.value));
            found.extend(values.map(|(id, value)| ((state.unit, state.scope, id), value)));
        }
        let mut originals = Vec::new();
        let dropped: BTreeSet<&Key> = report.dropped.iter().collect();
        let changed = report.changed.iter().map(|c| ((c.unit, c.scope, c.id), &c.made));
        let changed: BTreeMap<Key, &Value> = changed.collect();
        // What the host knows may have changed: that is what it is for.
        let is_host_fact = |unit| Unit::by_name(unit).is_some_and(|u| u.class() == Class::Volatile);
        for state in original.iter().filter(|state| !is_host_fact(state.unit)) {
            for entry in &state.entries {
                let key = (state.unit, state.scope, entry.id);
                if !dropped.contains(&key) {
                    let expected = changed.get(&key).copied().unwrap_or(&entry.value);
                    let found = found.get(&key);
                    check_one(key, expected, found)?;
                    let found = found.filter(|found| is_of_host(entry.id, expected, found));
                    originals.extend(found.map(|found| (key, expected.clone(), found.clone())));
                }
            }
        }
        for ((unit, scope, id), written, reads) in originals {
            self.keep_original(scope, id, written.clone(), reads.clone());
            let (value, verdict) = (Some(written), Verdict::Original { reads });
            report.steps.push((unit, Step { scope, id, value, verdict, how: None }));
        }
        Ok(())
    }
}

/// Whether the host answers something by itself, so that the original goes on to the next host.
fn is_of_host(id: RegId, written: &Value, found: &Value) -> bool {
    rules::to_save(id, written, found, found) != *found
}

fn check_one(
    (unit, scope, id): Key,
    written: &Value,
    found: Option<&Value>,
) -> Result<(), RestoreError> {
    if found.is_some_and(|found| rules::rule(id).readback.tolerates(written, found)) {
        return Ok(());
    }
    let name = crate::names::register_name(id);
    let found = found.cloned().unwrap_or_else(|| Value::bytes(&[]));
    Err(RestoreError::Readback { unit, scope, name, id, written: written.clone(), found })
}
