//! Proof that the machine holds what was saved.

use super::registers::on_each;
use super::{RestoreError, RestoreReport};
use crate::machine::Machine;
use crate::save::entries_of;
use crate::units::Unit;
use abide_contract::{Step, Verdict, rules};
use abide_engine::Vcpu;
use abide_reg::{Class, Entry, Name, RegId, Scope, Value, VcpuId};
use abide_snapshot::UnitRecord;
use std::collections::{BTreeMap, BTreeSet};

type Key = (Name, Scope, RegId);

/// What the host answers by itself in registers of one record: the register, what was written and
/// what is read.
type Originals = Vec<(RegId, Value, Value)>;

/// What must be read back, where it is not simply what was saved.
struct Expected<'a> {
    dropped: BTreeSet<&'a Key>,
    changed: BTreeMap<Key, &'a Value>,
}

impl<'a> Expected<'a> {
    fn of(report: &'a RestoreReport) -> Self {
        let changed = report.changed.iter().map(|c| ((c.unit, c.scope, c.id), &c.made));
        Self { dropped: report.dropped.iter().collect(), changed: changed.collect() }
    }

    /// Compares what a record holds now with what was saved of it.
    fn compare(
        &self,
        original: &UnitRecord,
        found: &BTreeMap<RegId, Value>,
    ) -> Result<Originals, RestoreError> {
        let mut originals = Originals::new();
        for entry in &original.entries {
            let key = (original.unit, original.scope, entry.id);
            if self.dropped.contains(&key) {
                continue;
            }
            let expected = self.changed.get(&key).copied().unwrap_or(&entry.value);
            let found = found.get(&entry.id);
            check_one(key, expected, found)?;
            let found = found.filter(|found| is_of_host(entry.id, expected, found));
            originals.extend(found.map(|found| (entry.id, expected.clone(), found.clone())));
        }
        Ok(originals)
    }
}

const CPU: Unit = Unit::Cpu;

fn is_of_cpu(record: &UnitRecord, scope: Scope) -> bool {
    (record.unit, record.scope) == (CPU.name(), scope)
}

/// A vCPU's registers, to be compared.
struct Compared<'a> {
    scope: Scope,
    original: &'a UnitRecord,
    /// What nothing here knows.
    carried: Vec<&'a UnitRecord>,
}

impl Compared<'_> {
    fn with(self, vcpu: &dyn Vcpu, expected: &Expected) -> Result<Originals, RestoreError> {
        let mut found = by_id(entries_of(vcpu, CPU, self.scope)?);
        found.extend(self.carried.iter().flat_map(|record| by_id(record.entries.clone())));
        expected.compare(self.original, &found)
    }
}

fn by_id(entries: impl IntoIterator<Item = Entry>) -> BTreeMap<RegId, Value> {
    entries.into_iter().map(|entry| (entry.id, entry.value)).collect()
}

impl Machine {
    /// Reads every restored register back and compares it with the original.
    pub(super) fn check_readback(
        &mut self,
        original: &[UnitRecord],
        report: &mut RestoreReport,
    ) -> Result<(), RestoreError> {
        let expected = Expected::of(report);
        let mut of_cpus = self.compare_cpus(original, &expected);
        let mut found: BTreeMap<(Name, Scope), BTreeMap<RegId, Value>> = BTreeMap::new();
        let records = self.state_with(|unit| match unit {
            // They were compared.
            Unit::Cpu => Ok(Vec::new()),
            _ => self.unit_entries(unit),
        })?;
        for state in records {
            found.entry((state.unit, state.scope)).or_default().extend(by_id(state.entries));
        }
        // What the host knows may have changed: that is what it is for.
        let is_host_fact = |unit| Unit::by_name(unit).is_some_and(|u| u.class() == Class::Volatile);
        let (mut originals, nothing) = (Vec::new(), BTreeMap::new());
        for state in original.iter().filter(|state| !is_host_fact(state.unit)) {
            let key = (state.unit, state.scope);
            let compared = match of_cpus.remove(&key) {
                Some(compared) => compared?,
                None => expected.compare(state, found.get(&key).unwrap_or(&nothing))?,
            };
            originals.extend(compared.into_iter().map(|it| (state.unit, state.scope, it)));
        }
        for (unit, scope, (id, written, reads)) in originals {
            self.keep_original(scope, id, written.clone(), reads.clone());
            let (value, verdict) = (Some(written), Verdict::Original { reads });
            report.steps.push((unit, Step { scope, id, value, verdict, how: None }));
        }
        Ok(())
    }

    /// The same for the registers of vCPUs, each read and compared by a thread.
    fn compare_cpus(
        &mut self,
        original: &[UnitRecord],
        expected: &Expected,
    ) -> BTreeMap<(Name, Scope), Result<Originals, RestoreError>> {
        let of_scope = |scope| move |record: &&UnitRecord| is_of_cpu(record, scope);
        let mut records = Vec::new();
        for scope in (0..self.board.vcpu_count).map(|n| Scope::Vcpu(VcpuId(n))) {
            let carried: Vec<&UnitRecord> = self.carried.iter().filter(of_scope(scope)).collect();
            let original = original.iter().find(of_scope(scope));
            records.extend(original.map(|original| Compared { scope, original, carried }));
        }
        let compare =
            |vcpu: &mut dyn Vcpu, it: Compared| ((CPU.name(), it.scope), it.with(vcpu, expected));
        on_each(&mut self.vcpus, records, compare).into_iter().collect()
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
