//! The richest contract that every host of a set can honour.
//!
//! A baseline is a function of a *set* of offers for each register: neither the order of the
//! profiles nor one that is given twice changes it.

use crate::contract::{Contract, Pinned};
use crate::guest::Guest;
use crate::host::{Answer, ones, value_of};
use crate::plan::{Verdict, plan};
use crate::profile::{Accepts, Offer, Profile, Whose};
use crate::rules::{self, name};
use abide_firmware::ImplementationCpu;
use abide_firmware::spec::{
    IMPL_CPU_DEFS, IMPL_CPUS_MAX, REG_IMPL_COUNT, REG_VENDOR_HYP_BMAP_2,
    VENDOR_HYP_2_BIT_IMPL_CPUS, VENDOR_HYP_2_BIT_IMPL_VER,
};
use abide_reg::{Absent, Class, Direction, Field, Fit, Readback, RegId, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A register for which hosts have no value in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The register.
    pub id: RegId,
    /// The field of it, if it is one.
    pub field: Option<&'static str>,
    /// What each host has: its name, and its own value or what it lacks.
    pub hosts: Vec<(String, String)>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", name(self.id))?;
        if let Some(field) = self.field {
            write!(f, ".{field}")?;
        }
        if self.id == REG_IMPL_COUNT {
            // Their names could be made one; what they are could not be told.
            f.write_str(": these CPUs differ, and not every host can tell a guest of them all:")?;
        } else {
            f.write_str(": no value that all can show:")?;
        }
        for (n, (host, has)) in self.hosts.iter().enumerate() {
            write!(f, "{} {host} {has}", if n == 0 { "" } else { "," })?;
        }
        if CPU_NAMES.contains(&self.id) {
            f.write_str(
                "; Linux 6.15 and later can show another (KVM_CAP_ARM_WRITABLE_IMP_ID_REGS)",
            )?;
        }
        Ok(())
    }
}

/// Why there is no contract that all hosts can honour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBaseline {
    /// No host was given.
    #[error("a baseline is made over at least one profile")]
    NoProfile,
    /// Hosts have no value in common.
    #[error("no contract holds on all of these hosts; leave one out, or make two groups of them")]
    Conflicts(Vec<Conflict>),
}

/// The offers of one register, each with the names of the hosts that make it.
type Offers<'a> = BTreeMap<&'a Offer, Vec<&'a str>>;

/// Makes the richest contract that all hosts can honour, for every later move in any direction.
///
/// Nothing is promised beyond what each host gives to a fresh VM by itself.
///
/// # Errors
/// [`NoBaseline`], with every register that stands against it.
pub fn baseline(name: &str, profiles: &[Profile]) -> Result<Contract, NoBaseline> {
    if profiles.is_empty() {
        return Err(NoBaseline::NoProfile);
    }
    let ids: BTreeSet<RegId> = profiles.iter().flat_map(|p| p.offers.keys().copied()).collect();
    let mut draft = Draft::default();
    // What a guest cannot miss is not promised.
    let is_needed = |id: &RegId| {
        let offers = profiles.iter().filter_map(|profile| profile.offers.get(id));
        offers.map(|offer| offer.class).any(|class| class == Class::Mandatory)
    };
    let ids = ids.into_iter().filter(is_needed);
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for id in ids {
        let here = |profile: &&Profile| profile.offers.contains_key(&id);
        if profiles.iter().all(|profile| here(&profile)) { &mut there } else { &mut missing }
            .push(id);
    }
    for id in there {
        draft.common(id, &offers(profiles, id));
    }
    for &id in &missing {
        if let Absent::DropIfValue(value) = rules::rule(id).absent {
            draft.at_most(id, value, profiles);
        }
    }
    // Whether a feature is off is known now.
    for id in missing {
        draft.only_if_off(id, profiles);
    }
    draft.tell_of_all(profiles);
    let Draft { mut contract, conflicts } = draft;
    if !conflicts.is_empty() {
        return Err(NoBaseline::Conflicts(conflicts));
    }
    name.clone_into(&mut contract.name);
    let names: BTreeSet<String> = profiles.iter().map(|profile| profile.name.clone()).collect();
    contract.derived_from = names.into_iter().collect();
    Ok(contract)
}

fn offers(profiles: &[Profile], id: RegId) -> Offers<'_> {
    let mut offers = Offers::new();
    for profile in profiles {
        if let Some(offer) = profile.offers.get(&id) {
            offers.entry(offer).or_default().push(&profile.name);
        }
    }
    offers
}

/// MIDR_EL1, REVIDR_EL1 and AIDR_EL1, which tell what CPU it is and which errata it has.
const CPU_NAMES: [RegId; 3] = [
    RegId::Kvm(0x6030_0000_0013_c000),
    RegId::Kvm(0x6030_0000_0013_c006),
    RegId::Kvm(0x6030_0000_0013_c807),
];

/// What CPU a host has. A register that it does not have reads as 0.
fn cpu_of(profile: &Profile) -> ImplementationCpu {
    let own = |id| profile.offers.get(id)?.default.as_ref().and_then(Value::to_number);
    let [midr, revidr, aidr] = CPU_NAMES.each_ref().map(|id| own(id).unwrap_or(0));
    ImplementationCpu { midr, revidr, aidr }
}

/// A contract in the making.
#[derive(Default)]
struct Draft {
    contract: Contract,
    conflicts: Vec<Conflict>,
}

impl Draft {
    /// A register that all hosts have.
    fn common(&mut self, id: RegId, offers: &Offers) {
        // Where one host has it for the VM, it can be one value only.
        let whose = offers.keys().map(|offer| offer.scope).min().unwrap_or(Whose::Vm);
        if !rules::is_pinned(id) {
            self.contract.state.insert(id, whose);
            return;
        }
        match settle(id, offers) {
            Ok(value) => {
                let width = offers.keys().next().map_or(8, |offer| offer.width);
                let pinned = Pinned { scope: whose, value: value_of(value, width) };
                self.contract.pinned.insert(id, pinned);
            }
            Err(Unsettled::Wide(Some(value))) => {
                self.contract.pinned.insert(id, Pinned { scope: whose, value });
            }
            Err(Unsettled::Wide(None)) => self.conflict(id, None, offers, &[]),
            Err(Unsettled::Field(field)) => self.conflict(id, field, offers, &[]),
        }
    }

    /// Where hosts have different CPUs and all can show one name, the guest is told of all of them:
    /// it has to work around the errata of each.
    fn tell_of_all(&mut self, profiles: &[Profile]) {
        let cpus: BTreeSet<ImplementationCpu> = profiles.iter().map(cpu_of).collect();
        let has_one_name = self.conflicts.iter().all(|it| !CPU_NAMES.contains(&it.id));
        if cpus.len() < 2 || !has_one_name {
            // A guest that needs no list has none, and may go where nobody could tell one.
            self.contract.state.remove(&REG_IMPL_COUNT);
            return;
        }
        let bits = VENDOR_HYP_2_BIT_IMPL_VER | VENDOR_HYP_2_BIT_IMPL_CPUS;
        let tells = |profile: &Profile| {
            let offer = profile.offers.get(&REG_VENDOR_HYP_BMAP_2);
            profile.offers.contains_key(&REG_IMPL_COUNT)
                && offer.is_some_and(|it| takes(REG_VENDOR_HYP_BMAP_2, it, &Value::u64(bits)))
        };
        let silent: Vec<&Profile> = profiles.iter().filter(|profile| !tells(profile)).collect();
        if !silent.is_empty() || cpus.len() > IMPL_CPUS_MAX {
            let cannot = |profile: &Profile| {
                let midr = cpu_of(profile).midr;
                let can = if tells(profile) { "can" } else { "cannot" };
                (profile.name.clone(), format!("has MIDR_EL1 {midr:#x} and {can}"))
            };
            let hosts = profiles.iter().map(cannot).collect::<BTreeSet<_>>();
            let hosts = hosts.into_iter().collect();
            return self.conflicts.push(Conflict { id: REG_IMPL_COUNT, field: None, hosts });
        }
        let count = Value::u64(cpus.len() as u64);
        let list = IMPL_CPU_DEFS.iter().zip(cpus).map(|(def, cpu)| (def.id, cpu.to_value()));
        let told = [(REG_VENDOR_HYP_BMAP_2, Value::u64(bits)), (REG_IMPL_COUNT, count)];
        for (id, value) in told.into_iter().chain(list) {
            self.contract.state.remove(&id);
            self.contract.pinned.insert(id, Pinned { scope: Whose::Vm, value });
        }
    }

    /// A register that a host may lack while this value is in it.
    fn at_most(&mut self, id: RegId, value: u64, profiles: &[Profile]) {
        let offers = offers(profiles, id);
        let takes = |offer: &Offer| {
            let value = value_of(value, offer.width);
            takes(id, offer, &value)
        };
        if !offers.keys().all(|offer| takes(offer)) {
            return self.conflict(id, None, &offers, &lacking(profiles, id));
        }
        // Plain state that nobody needs is not promised.
        if let (true, Some(offer)) = (rules::is_pinned(id), offers.keys().next()) {
            let pinned = Pinned { scope: offer.scope, value: value_of(value, offer.width) };
            self.contract.pinned.insert(id, pinned);
        }
    }

    /// A register that a host may lack while a feature is off, or not at all.
    fn only_if_off(&mut self, id: RegId, profiles: &[Profile]) {
        let lacks = match rules::rule(id).absent {
            Absent::DropIfValue(_) => return,
            Absent::Refuse => true,
            Absent::DropIfOff(fields) => !self.may_be_off(fields),
        };
        if lacks {
            self.conflict(id, None, &offers(profiles, id), &lacking(profiles, id));
        }
    }

    /// Whether fields are 0 in what is promised. What is not promised, the guest's state will tell.
    fn may_be_off(&self, fields: &[(RegId, Field)]) -> bool {
        fields.iter().all(|(id, field)| match self.contract.pinned.get(id) {
            Some(pinned) => pinned.value.to_number().is_some_and(|value| field.bits_of(value) == 0),
            None => true,
        })
    }

    fn conflict(&mut self, id: RegId, field: Option<Field>, offers: &Offers, lacking: &[String]) {
        let mut hosts = Vec::new();
        for (offer, names) in offers {
            let has = match (&offer.default, field) {
                (Some(value), Some(field)) => {
                    format!("{:#x}", field.bits_of(value.to_number().unwrap_or(0)))
                }
                (Some(value), None) => value.to_string(),
                (None, _) => format!("{} bytes", offer.width),
            };
            let only = if offer.writable == 0 { " alone" } else { "" };
            hosts.extend(names.iter().map(|host| ((*host).to_owned(), format!("has {has}{only}"))));
        }
        hosts.extend(lacking.iter().map(|host| (host.clone(), "has none".to_owned())));
        hosts.sort();
        hosts.dedup();
        self.conflicts.push(Conflict { id, field: field.map(|field| field.name), hosts });
    }
}

fn lacking(profiles: &[Profile], id: RegId) -> Vec<String> {
    let lacking = profiles.iter().filter(|profile| !profile.offers.contains_key(&id));
    lacking.map(|profile| profile.name.clone()).collect()
}

/// Whether a host can show this value, but for bits that it may answer by itself.
fn takes(id: RegId, offer: &Offer, value: &Value) -> bool {
    match offer.answer(id, value) {
        Answer::Kept => true,
        Answer::Refused(_) => false,
        Answer::Changed(reads) => rules::rule(id).readback.tolerates(value, &reads),
    }
}

/// Why no number came out.
enum Unsettled {
    /// The register is wider than a number: the value that all have, if they have one.
    Wide(Option<Value>),
    /// Nothing fits all, in this field if it is one.
    Field(Option<Field>),
}

/// The richest value that all offers take and that is not beyond any default.
fn settle(id: RegId, offers: &Offers) -> Result<u64, Unsettled> {
    let values = offers.keys().map(|offer| offer.default.as_ref());
    let values: Option<BTreeSet<_>> = values.collect();
    let values = values.ok_or(Unsettled::Field(None))?;
    let defaults: Option<BTreeSet<u64>> = values.iter().map(|value| value.to_number()).collect();
    let widths: BTreeSet<usize> = offers.keys().map(|offer| offer.width).collect();
    if widths.len() > 1 {
        return Err(Unsettled::Field(None));
    }
    let Some(defaults) = defaults else {
        let one = values.first().filter(|_| values.len() == 1);
        return Err(Unsettled::Wide(one.map(|&value| value.clone())));
    };
    let all_take =
        |number: u64| offers.keys().all(|offer| takes(id, offer, &value_of(number, offer.width)));
    match rules::rule(id).fit {
        Fit::Fields(fields) => settle_fields(id, fields, offers, &defaults),
        Fit::AtMost => highest(&defaults, offers, all_take).ok_or(Unsettled::Field(None)),
        Fit::Subset => {
            let common = defaults.iter().fold(u64::MAX, |common, bits| common & bits);
            Some(common).filter(|&bits| all_take(bits)).ok_or(Unsettled::Field(None))
        }
        Fit::Exact | Fit::Any => {
            let found = defaults.iter().copied().find(|&number| all_take(number));
            found.ok_or(Unsettled::Field(None))
        }
    }
}

/// The highest number that all take and that is not above any default.
fn highest(
    defaults: &BTreeSet<u64>,
    offers: &Offers,
    all_take: impl Fn(u64) -> bool,
) -> Option<u64> {
    let ceiling = *defaults.first()?;
    let mut candidates = defaults.clone();
    for offer in offers.keys() {
        match &offer.accepts {
            Accepts::Values(values) => candidates.extend(values),
            Accepts::Range { least, most } => candidates.extend([least, most]),
            _ => {}
        }
    }
    candidates.into_iter().rev().find(|&number| number <= ceiling && all_take(number))
}

fn settle_fields(
    id: RegId,
    fields: &[Field],
    offers: &Offers,
    defaults: &BTreeSet<u64>,
) -> Result<u64, Unsettled> {
    let in_fields = fields.iter().fold(0, |mask, field| mask | field.mask());
    let mut value = 0;
    for field in fields {
        let bits = settle_field(id, field, offers, defaults);
        value |= bits.ok_or(Unsettled::Field(Some(*field)))? << field.shift;
    }
    // Bits without a meaning that is known here must be the same.
    let rest: BTreeSet<u64> = defaults.iter().map(|default| default & !in_fields).collect();
    let width = offers.keys().next().map_or(8, |offer| offer.width);
    let found = rest
        .into_iter()
        .map(|rest| rest | value)
        .find(|&number| offers.keys().all(|offer| takes(id, offer, &value_of(number, width))));
    found.ok_or(Unsettled::Field(None))
}

/// The bits of one field: in its safe direction from the least rich default on, the first that all
/// take.
fn settle_field(
    id: RegId,
    field: &Field,
    offers: &Offers,
    defaults: &BTreeSet<u64>,
) -> Option<u64> {
    let own: BTreeSet<u64> = defaults.iter().map(|&default| field.bits_of(default)).collect();
    let as_number = |bits: u64| field.number_in(bits << field.shift);
    let mut candidates: Vec<u64> = if field.width <= 8 {
        (0..1 << field.width).collect()
    } else {
        own.iter().copied().collect()
    };
    match field.direction {
        Direction::LowerIsSafe => {
            let ceiling = own.iter().map(|&bits| as_number(bits)).min()?;
            candidates.retain(|&bits| as_number(bits) <= ceiling);
            candidates.sort_by_key(|&bits| std::cmp::Reverse(as_number(bits)));
        }
        Direction::HigherIsSafe => {
            let floor = own.iter().map(|&bits| as_number(bits)).max()?;
            candidates.retain(|&bits| as_number(bits) >= floor);
            candidates.sort_by_key(|&bits| as_number(bits));
        }
        Direction::Same | Direction::Any => candidates = own.iter().copied().collect(),
    }
    // What no guest can use may be more than a host shows.
    if let Readback::EqualBut(mask) = rules::rule(id).readback
        && mask & field.mask() == field.mask()
    {
        candidates.extend(&own);
    }
    candidates.into_iter().find(|&bits| {
        offers.keys().all(|offer| {
            let Some(default) = offer.default.as_ref().and_then(Value::to_number) else {
                return false;
            };
            let with = default & !field.mask() | bits << field.shift;
            takes(id, offer, &value_of(with & ones(offer.width), offer.width))
        })
    })
}

/// What a guest under `contract` may lose the way to a host by: registers beyond the contract that
/// only some hosts have, and that the guest could begin to use.
#[must_use]
pub fn beyond(contract: &Contract, profiles: &[Profile]) -> BTreeMap<RegId, Vec<String>> {
    let mut found: BTreeMap<RegId, Vec<String>> = BTreeMap::new();
    let promised = Guest::promised(contract);
    for at in profiles {
        let guest = promised.after_a_stay(at);
        for to in profiles {
            for step in plan(&guest, to).steps {
                let depends = match &step.verdict {
                    Verdict::Drop(crate::plan::Dropped::Off(on)) => {
                        on.iter().any(|(id, _)| !rules::is_pinned(*id))
                    }
                    Verdict::Drop(crate::plan::Dropped::WhileOff(_)) => true,
                    _ => false,
                };
                if depends {
                    let hosts = found.entry(step.id).or_default();
                    if !hosts.contains(&to.name) {
                        hosts.push(to.name.clone());
                    }
                }
            }
        }
    }
    found
}
