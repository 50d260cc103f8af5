//! A random life with a save after each step.

use super::fault::Difference;
use super::{Failure, Fault, Plan, Report, Subject};
use crate::rng::Rng;
use abide_reg::{Entry, Leftover, RegDef, RegId, Value, codec};
use std::collections::{BTreeMap, BTreeSet};

/// How many steps pass between two comparisons of behaviour, which are the expensive ones.
const BEHAVIOUR_EVERY: usize = 4;

pub(super) fn check<S: Subject>(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let failure =
        |step, fault| Failure { unit: S::NAME, seed: plan.seed, step, fault: Box::new(fault) };
    let table = S::table();
    check_table(&table).map_err(|fault| failure(0, fault))?;
    let mut life = Life::<S>::begin(plan.seed);
    for step in 0..=plan.steps {
        life.check_moment(&table, report).map_err(|fault| failure(step, fault))?;
        if step.is_multiple_of(BEHAVIOUR_EVERY) {
            life.check_behaviour(plan.tail).map_err(|fault| failure(step, fault))?;
        }
        life.step().map_err(|fault| failure(step, fault))?;
    }
    let constant = S::constant();
    match table.iter().find(|def| !life.changed.contains(&def.id) && !constant.contains(&def.id)) {
        Some(def) => Err(failure(plan.steps, Fault::NeverChanged { id: def.id })),
        None => Ok(()),
    }
}

/// The unit after `steps` of the life that belongs to `seed`.
pub(super) fn unit_at<S: Subject>(seed: u64, steps: usize) -> S {
    let mut rng = Rng::new(seed);
    let mut unit = S::fresh();
    (0..steps).for_each(|_| drop(unit.drive(rng.next_u64())));
    unit
}

fn check_table(table: &[RegDef]) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for &RegDef { id, name, width, .. } in table {
        let reason = if !seen.insert(id) {
            "stands there twice"
        } else if name.is_empty() {
            "has no name"
        } else if !(1..=Value::MAX_LEN).contains(&width) {
            "has a width that no file can hold"
        } else {
            continue;
        };
        return Err(Fault::Table { id, reason });
    }
    Ok(())
}

/// Whether `saved` is what `table` says.
pub(super) fn check_saved(table: &[RegDef], saved: &[Entry]) -> Result<(), Fault> {
    let mut missing: BTreeMap<RegId, &RegDef> = table.iter().map(|def| (def.id, def)).collect();
    for entry in saved {
        let id = entry.id;
        let Some(def) = missing.remove(&id) else {
            let known = table.iter().any(|def| def.id == id);
            return Err(if known { Fault::SavedTwice { id } } else { Fault::SavedUnknown { id } });
        };
        if entry.value.width() != def.width {
            let found = entry.value.width();
            return Err(Fault::SavedWidth { id, found, allowed: def.width });
        }
        if entry.class != def.class {
            return Err(Fault::SavedClass { id, found: entry.class, allowed: def.class });
        }
    }
    missing.keys().next().map_or(Ok(()), |&id| Err(Fault::NotSaved { id }))
}

/// Where two saved states differ.
pub(super) fn difference(expected: &[Entry], found: &[Entry]) -> Option<Difference> {
    if expected == found {
        return None;
    }
    let ids = |entries: &[Entry]| entries.iter().map(|entry| entry.id).collect::<Vec<_>>();
    if ids(expected) != ids(found) {
        return Some(Difference::List);
    }
    let mut pairs = expected.iter().zip(found);
    pairs.find(|(a, b)| a != b).map(|(a, _)| Difference::Register { id: a.id })
}

/// Drives both with the same numbers and compares what they show, and after the last step what
/// they hold.
pub(super) fn compare<S: Subject>(
    expected: &mut S,
    found: &mut S,
    rng: &mut Rng,
    steps: usize,
) -> Result<(), (usize, Difference)> {
    for after in 1..=steps {
        let random = rng.next_u64();
        let (seen, seen_too) = (expected.drive(random), found.drive(random));
        if seen != seen_too {
            return Err((after, Difference::Seen { expected: seen, found: seen_too }));
        }
    }
    match difference(&expected.save(), &found.save()) {
        Some(difference) => Err((steps, difference)),
        None => Ok(()),
    }
}

struct Life<S> {
    seed: u64,
    rng: Rng,
    steps: usize,
    /// Saved after each step.
    unit: S,
    /// Lives the same life and is never saved on the way.
    untouched: S,
    fresh: BTreeMap<RegId, Entry>,
    /// Registers that once were not as in a fresh unit.
    changed: BTreeSet<RegId>,
}

impl<S: Subject> Life<S> {
    fn begin(seed: u64) -> Self {
        let fresh = S::fresh().save().into_iter().map(|entry| (entry.id, entry)).collect();
        Self {
            seed,
            rng: Rng::new(seed),
            steps: 0,
            unit: S::fresh(),
            untouched: S::fresh(),
            fresh,
            changed: BTreeSet::new(),
        }
    }

    fn step(&mut self) -> Result<(), Fault> {
        let random = self.rng.next_u64();
        self.steps += 1;
        let (expected, found) = (self.untouched.drive(random), self.unit.drive(random));
        if expected == found {
            return Ok(());
        }
        Err(Fault::SaveDisturbs(Difference::Seen { expected, found }))
    }

    fn check_moment(&mut self, table: &[RegDef], report: &mut Report) -> Result<(), Fault> {
        let saved = self.unit.save();
        check_saved(table, &saved)?;
        if let Some(difference) = difference(&saved, &self.unit.save()) {
            return Err(Fault::SaveUnstable(difference));
        }
        for entry in saved.iter().filter(|entry| self.fresh.get(&entry.id) != Some(entry)) {
            self.changed.insert(entry.id);
        }
        let bytes = codec::encode(&saved).map_err(Fault::Codec)?;
        let reread = codec::decode(&bytes).map_err(Fault::Codec)?;
        let reversed = saved.iter().rev().cloned().collect();
        for entries in [reread, reversed] {
            let again = restore_own::<S>(entries)?.save();
            if let Some(difference) = difference(&saved, &again) {
                return Err(Fault::RoundTrip(difference));
            }
            report.round_trips += 1;
        }
        Ok(())
    }

    /// Compares a restored unit with one that was never saved; both are spent by it.
    fn check_behaviour(&mut self, tail: usize) -> Result<(), Fault> {
        let mut restored = restore_own::<S>(self.unit.save())?;
        let mut original: S = unit_at(self.seed, self.steps);
        let mut rng = self.rng.clone();
        // The life's own next steps first, then others than it will ever take.
        let behaviour = |(after, difference)| Fault::Behaviour { after, difference };
        compare(&mut original, &mut restored, &mut rng, tail / 2).map_err(behaviour)?;
        let mut others = Rng::new(self.rng.clone().next_u64());
        compare(&mut original, &mut restored, &mut others, tail.div_ceil(2)).map_err(behaviour)
    }
}

fn restore_own<S: Subject>(entries: Vec<Entry>) -> Result<S, Fault> {
    match S::restore(entries) {
        Ok((unit, leftover)) if leftover == Leftover::default() => Ok(unit),
        Ok((_, leftover)) => {
            let strange = leftover.carried.iter().chain(&leftover.dropped).next();
            let error = strange.map_or_else(String::new, |entry| {
                format!("{} was saved and is not known to restore", entry.id)
            });
            Err(Fault::OwnStateRefused { error })
        }
        Err(error) => Err(Fault::OwnStateRefused { error: error.to_string() }),
    }
}
