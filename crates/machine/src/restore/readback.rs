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
                    originals.extend(found.and_then(|found| original_of(key, expected, found)));
                }
            }
        }
        for (unit, step) in originals {
            if let (Some(value), Verdict::Original { reads }) = (&step.value, &step.verdict) {
                self.keep_original(step.scope, step.id, value.clone(), reads.clone());
            }
            report.steps.push((unit, step));
        }
        Ok(())
    }
}

/// What the host answers by itself, where the original goes on to the next host.
fn original_of((unit, scope, id): Key, written: &Value, found: &Value) -> Option<(Name, Step)> {
    if rules::to_save(id, written, found, found) == *found {
        return None;
    }
    let verdict = Verdict::Original { reads: found.clone() };
    Some((unit, Step { scope, id, value: Some(written.clone()), verdict, how: None }))
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
