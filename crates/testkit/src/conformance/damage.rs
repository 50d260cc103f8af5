//! Saved state that is not as it was saved.

use super::fault::Difference;
use super::life::{check_saved, compare, difference, unit_at};
use super::{Damage, Failure, Fault, Plan, Report, Subject};
use crate::rng::Rng;
use abide_reg::{Class, Entry, IntakeError, Leftover, Readback, RegDef, RegId, Value, codec};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many steps a unit must live on with a changed value.
const TAIL: usize = 8;
/// How many registers are misshapen at moments other than the last.
const REGISTERS_SOMETIMES: usize = 16;

pub(super) fn check<S: Subject>(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let mut rng = Rng::new(plan.seed ^ 0x6461_6d61_6765);
    for moment in 0..plan.moments {
        // The last moment is the end of the life, when most registers hold something.
        let step = plan.steps * (moment + 1) / plan.moments.max(1);
        let failure =
            |fault| Failure { unit: S::NAME, seed: plan.seed, step, fault: Box::new(fault) };
        let saved = unit_at::<S>(plan.seed, step).save();
        // Every register once; at the other moments a few, as units may have thousands.
        let is_last = moment + 1 == plan.moments;
        let registers = if is_last {
            (0..saved.len()).collect()
        } else {
            (0..saved.len().min(REGISTERS_SOMETIMES)).map(|_| rng.below(saved.len())).collect()
        };
        check_shape::<S>(&saved, registers, report).map_err(failure)?;
        check_unknown::<S>(&saved, report).map_err(failure)?;
        for damage in values(&saved, plan.values, &mut rng) {
            check_value::<S>(&saved, damage, &mut rng, report).map_err(failure)?;
        }
    }
    Ok(())
}

/// Restores, with a panic as a fault.
fn restore<S: Subject>(
    entries: Vec<Entry>,
    damage: &Damage,
) -> Result<Result<(S, Leftover), S::Error>, Fault> {
    catch_unwind(AssertUnwindSafe(|| S::restore(entries)))
        .map_err(|panic| Fault::Panicked { damage: damage.clone(), message: message(&*panic) })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Registers missing, doubled, too short, too long: each must be refused, by its own error.
fn check_shape<S: Subject>(
    saved: &[Entry],
    registers: Vec<usize>,
    report: &mut Report,
) -> Result<(), Fault> {
    let optional = S::optional();
    for index in registers {
        let entry = &saved[index];
        let (id, width) = (entry.id, entry.value.width());
        let mut without = saved.to_vec();
        without.remove(index);
        if optional.contains(&id) {
            must_accept::<S>(without, &Damage::Missing { id }, &Leftover::default())?;
        } else {
            must_refuse::<S>(
                without,
                Damage::Missing { id },
                report,
                |error| matches!(error, IntakeError::Missing { id: found, .. } if *found == id),
            )?;
        }
        let mut twice = saved.to_vec();
        twice.push(entry.clone());
        must_refuse::<S>(
            twice,
            Damage::Twice { id },
            report,
            |error| matches!(error, IntakeError::Twice { id: found } if *found == id),
        )?;
        for wrong in [0, width - 1, width + 1, 2 * width] {
            // Zeros in front of or behind a number would be easy to overlook.
            let mut bytes = entry.value.as_bytes().to_vec();
            bytes.resize(wrong, 0);
            let mut entries = saved.to_vec();
            entries[index].value = Value::bytes(&bytes);
            must_refuse::<S>(entries, Damage::Width { id, width: wrong }, report, |error| {
                let shape = IntakeError::Width { id, found: wrong, allowed: width };
                *error == shape
            })?;
        }
    }
    Ok(())
}

/// Registers that nobody knows, of every kind and class.
fn check_unknown<S: Subject>(saved: &[Entry], report: &mut Report) -> Result<(), Fault> {
    let ids = [
        RegId::named("testkit.unknown"),
        RegId::Kvm(0x6030_0000_ffff_fff0),
        RegId::gic(0x7fff_ff00, u64::MAX),
        foreign(),
    ];
    for id in ids {
        for class in [Class::Mandatory, Class::Static, Class::Volatile] {
            let strange = Entry::new(id, class, Value::bytes(&[0xa5; 5]));
            let damage = Damage::Unknown { id, class };
            let mut entries = saved.to_vec();
            entries.insert(saved.len() / 2, strange.clone());
            let leftover = match class {
                Class::Mandatory => {
                    must_refuse::<S>(entries, damage, report, |error| {
                        *error == IntakeError::Unknown { id }
                    })?;
                    continue;
                }
                Class::Static => Leftover { carried: vec![strange], dropped: Vec::new() },
                Class::Volatile => Leftover { carried: Vec::new(), dropped: vec![strange] },
            };
            let unit = must_accept::<S>(entries, &damage, &leftover)?;
            if let Some(difference) = difference(saved, &unit.save()) {
                return Err(illegal(damage, Fault::RoundTrip(difference)));
            }
        }
    }
    Ok(())
}

/// A register of a kind that only a newer version knows. Such a one comes from a file alone.
fn foreign() -> RegId {
    const KIND: u8 = 0x3f;
    let bytes = [KIND, 4, 0, 0, b't', b'e', b's', b't'];
    match codec::decode(&bytes).as_deref() {
        Ok([entry]) => entry.id,
        other => panic!("the codec does not carry unknown kinds: {other:?}"),
    }
}

fn must_refuse<S: Subject>(
    entries: Vec<Entry>,
    damage: Damage,
    report: &mut Report,
    is_right: impl Fn(&IntakeError) -> bool,
) -> Result<(), Fault> {
    match restore::<S>(entries, &damage)? {
        Ok(_) => Err(Fault::Accepted { damage }),
        Err(error) if S::cause(&error).is_some_and(is_right) => {
            report.refused += 1;
            Ok(())
        }
        Err(error) => Err(Fault::WrongError { damage, error: error.to_string() }),
    }
}

fn must_accept<S: Subject>(
    entries: Vec<Entry>,
    damage: &Damage,
    expected: &Leftover,
) -> Result<S, Fault> {
    match restore::<S>(entries, damage)? {
        Ok((unit, found)) if found == *expected => Ok(unit),
        Ok((_, found)) => Err(Fault::Leftover { damage: damage.clone(), found }),
        Err(error) => Err(Fault::Refused { damage: damage.clone(), error: error.to_string() }),
    }
}

/// Other values: each bit flipped alone, bytes changed, and the extremes of each register; a
/// random choice where that is more than `limit`.
fn values(saved: &[Entry], limit: usize, rng: &mut Rng) -> Vec<Damage> {
    let mut damages = Vec::new();
    for entry in saved {
        let (id, bytes) = (entry.id, entry.value.as_bytes());
        let mut push = |bytes: &[u8]| {
            let value = Value::bytes(bytes);
            if value != entry.value {
                damages.push(Damage::Value { id, value });
            }
        };
        for fill in [0x00, 0xff, 0x55, 0xaa] {
            push(&vec![fill; bytes.len()]);
        }
        for index in 0..bytes.len() {
            let random = rng.next_u8();
            for mask in (0..8).map(|bit| 1 << bit).chain([0xff, random]) {
                let mut changed = bytes.to_vec();
                changed[index] ^= mask;
                push(&changed);
            }
        }
    }
    // A shuffle's first part is a fair choice.
    for index in 0..damages.len().min(limit) {
        let other = index + rng.below(damages.len() - index);
        damages.swap(index, other);
    }
    damages.truncate(limit);
    damages
}

/// Another value must be refused, or be kept exactly by a unit that lives on as any other.
fn check_value<S: Subject>(
    saved: &[Entry],
    damage: Damage,
    rng: &mut Rng,
    report: &mut Report,
) -> Result<(), Fault> {
    let Damage::Value { id, value } = &damage else { return Ok(()) };
    let mut entries = saved.to_vec();
    entries.iter_mut().filter(|entry| entry.id == *id).for_each(|entry| {
        entry.value = value.clone();
    });
    let Ok((unit, leftover)) = restore::<S>(entries.clone(), &damage)? else {
        report.refused += 1;
        return Ok(());
    };
    if leftover != Leftover::default() {
        return Err(Fault::Leftover { damage, found: leftover });
    }
    report.accepted += 1;
    let trial = AssertUnwindSafe(|| live_on(unit, &entries, &damage, rng));
    catch_unwind(trial)
        .map_err(|panic| Fault::Panicked { damage: damage.clone(), message: message(&*panic) })?
}

fn live_on<S: Subject>(
    mut unit: S,
    entries: &[Entry],
    damage: &Damage,
    rng: &mut Rng,
) -> Result<(), Fault> {
    let table = S::table();
    let saved = unit.save();
    check_saved(&table, &saved).map_err(|fault| illegal(damage.clone(), fault))?;
    if let Some((id, found)) = altered(&table, entries, &saved) {
        return Err(match damage {
            Damage::Value { id: damaged, .. } if *damaged == id => {
                Fault::Altered { damage: damage.clone(), found }
            }
            _ => illegal(damage.clone(), Fault::RoundTrip(Difference::Register { id })),
        });
    }
    let mut again = match S::restore(saved.clone()) {
        Ok((again, _)) => again,
        Err(error) => {
            let fault = Fault::OwnStateRefused { error: error.to_string() };
            return Err(illegal(damage.clone(), fault));
        }
    };
    if let Some(difference) = difference(&saved, &again.save()) {
        return Err(illegal(damage.clone(), Fault::RoundTrip(difference)));
    }
    compare(&mut unit, &mut again, rng, TAIL).map_err(|(after, difference)| {
        illegal(damage.clone(), Fault::Behaviour { after, difference })
    })
}

fn illegal(damage: Damage, fault: Fault) -> Fault {
    Fault::Illegal { damage, fault: Box::new(fault) }
}

/// The first register that was given one value and holds another, though its rule says that it
/// reads back as written.
fn altered(table: &[RegDef], given: &[Entry], saved: &[Entry]) -> Option<(RegId, Value)> {
    let given: BTreeMap<RegId, &Value> =
        given.iter().map(|entry| (entry.id, &entry.value)).collect();
    let free: BTreeSet<RegId> =
        table.iter().filter(|def| def.rule.readback != Readback::Equal).map(|def| def.id).collect();
    let entry = saved.iter().find(|entry| {
        !free.contains(&entry.id)
            && given.get(&entry.id).is_some_and(|&value| *value != entry.value)
    })?;
    Some((entry.id, entry.value.clone()))
}
