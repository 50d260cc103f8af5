//! What a guest has: the one form in which a plan takes its source.

use crate::contract::Contract;
use crate::plan::Dropped;
use crate::profile::{Offer, Profile, Whose};
use crate::rules;
use abide_firmware::spec::REG_IMPL_COUNT;
use abide_gic::spec::{self, GRP_CPU_SYSREGS, ICC_CTLR_EL1};
use abide_pvtime::{DEF_REVISION, REVISION_1_0, Revision};
use abide_reg::{Class, Entry, Name, RegId, Scope, Value, VcpuId};
use std::collections::{BTreeMap, BTreeSet};

/// One register of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose it is.
    pub scope: Scope,
    /// The register.
    pub id: RegId,
    /// What a host that does not know it must do.
    pub class: Class,
    /// Its content; `None` where only its presence is known.
    pub value: Option<Value>,
    /// Whether the machine itself brings it, whatever the host.
    pub of_machine: bool,
}

/// A guest, or the promise of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its name in reports.
    pub name: String,
    /// Its registers.
    pub held: Vec<Held>,
    by_id: BTreeMap<RegId, Seen>,
}

/// A register in all its scopes. Kept so that no question takes longer the more vCPUs there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    numbers: BTreeMap<Scope, u64>,
    /// The bits that are 1 in any scope.
    any: u64,
    first: Option<Value>,
    differs: bool,
}

/// The units whose registers an engine holds; the machine brings all others.
const UNITS_OF_ENGINE: [&str; 5] = ["identity", "firmware", "cpu", "counter", "gic"];

/// The unit of the vCPUs' records of stolen time; the engine keeps them, and how is a fact.
const UNIT_OF_STOLEN_TIME: &str = "pvtime";

/// The version that a vCPU's record belongs to. One that does not say is of revision 0.
fn version_of_stolen_time(entries: &[Entry]) -> u32 {
    let told = entries.iter().find(|entry| entry.id == DEF_REVISION.id);
    let told = told.map_or(Some(REVISION_1_0), |entry| entry.value.to_u32().map(Revision));
    // What is no revision at all is none that any host has.
    told.and_then(Revision::version).unwrap_or(u32::MAX)
}

impl Guest {
    fn new(name: &str, held: Vec<Held>) -> Self {
        let mut by_id: BTreeMap<RegId, Seen> = BTreeMap::new();
        for Held { id, scope, value, .. } in &held {
            let seen = by_id.entry(*id).or_default();
            let Some(value) = value else { continue };
            let first = seen.first.get_or_insert_with(|| value.clone());
            seen.differs |= first != value;
            if let Some(number) = value.to_number() {
                seen.numbers.insert(*scope, number);
                seen.any |= number;
            }
        }
        Self { name: name.to_owned(), held, by_id }
    }

    /// A guest that was just born on a host, with all that the host offers by itself.
    #[must_use]
    pub fn fresh(profile: &Profile) -> Self {
        // What a guest has only if it is given one: a list of CPUs.
        let is_given = |id, offer: &Offer| id == REG_IMPL_COUNT && offer.default.is_none();
        let own = profile.offers.iter().filter(|(id, offer)| !is_given(**id, offer));
        let held = own.map(|(&id, offer)| Held {
            scope: scope_of(offer.scope),
            id,
            class: offer.class,
            value: offer.default.clone(),
            of_machine: false,
        });
        Self::new(&profile.name, held.collect())
    }

    /// A guest that was just born under a contract.
    #[must_use]
    pub fn promised(contract: &Contract) -> Self {
        let pinned = contract.pinned.iter().map(|(&id, pinned)| Held {
            scope: scope_of(pinned.scope),
            id,
            class: Class::Mandatory,
            value: Some(pinned.value.clone()),
            of_machine: false,
        });
        let state = contract.state.iter().map(|(&id, &scope)| Held {
            scope: scope_of(scope),
            id,
            class: Class::Mandatory,
            value: None,
            of_machine: false,
        });
        Self::new(&contract.name, pinned.chain(state).collect())
    }

    /// A guest as it was saved: each unit's registers. `memory_end` is the first address behind its
    /// memory, `alignment` that of its memory and devices, in bytes.
    #[must_use]
    pub fn saved<'a>(
        name: &str,
        units: impl IntoIterator<Item = (Name, Scope, &'a [Entry])>,
        memory_end: u64,
        alignment: u64,
    ) -> Self {
        let mut held = Vec::new();
        let mut stolen_time = BTreeSet::new();
        for (unit, scope, entries) in units {
            if unit.as_str() == UNIT_OF_STOLEN_TIME {
                stolen_time.insert(version_of_stolen_time(entries));
            }
            let of_machine = !UNITS_OF_ENGINE.contains(&unit.as_str());
            held.extend(entries.iter().map(|entry| Held {
                scope,
                id: entry.id,
                class: entry.class,
                value: Some(entry.value.clone()),
                // The board's size is the machine's, and for the host to bear.
                of_machine: of_machine && entry.id != rules::VCPUS,
            }));
        }
        let bits = u64::BITS - memory_end.saturating_sub(1).leading_zeros();
        let facts = [
            (rules::IPA_BITS, Value::u8(u8::try_from(bits).unwrap_or(u8::MAX))),
            (rules::PAGE_SIZE, Value::u64(alignment)),
        ];
        // One for each number that a vCPU has seen: it should be one.
        let priority_bits: BTreeSet<u8> = held.iter().filter_map(priority_bits).collect();
        let priority_bits = priority_bits.into_iter().map(|n| (rules::PRIORITY_BITS, Value::u8(n)));
        let stolen_time = stolen_time.into_iter().map(|n| (rules::PVTIME, Value::u32(n)));
        let of_vcpus = priority_bits.chain(stolen_time);
        held.extend(facts.into_iter().chain(of_vcpus).map(|(id, value)| Held {
            scope: Scope::Vm,
            id,
            class: Class::Mandatory,
            value: Some(value),
            of_machine: false,
        }));
        Self::new(name, held)
    }

    /// This guest, which was promised `contract` at birth: with what a file does not hold of it.
    /// What it can miss it does: hosts that have it hide it, as they would without a promise.
    #[must_use]
    pub fn under(&self, contract: &Contract) -> Self {
        let promised = Self::promised(contract).held.into_iter();
        let needs = |held: &Held| {
            let value = held.value.as_ref();
            value.is_some_and(|value| !self.can_miss(held.scope, held.id, value))
        };
        let more = promised.filter(|held| !self.has(held.id) && needs(held));
        let held = self.held.iter().cloned().chain(more).collect();
        Self::new(&format!("{} ({})", self.name, contract.name), held)
    }

    /// The bits that are 1 in a register as a register of `scope` sees it: in the VM's or this
    /// vCPU's; for a register of the VM, in any vCPU's. `None` where that is not known.
    pub(crate) fn bits(&self, scope: Scope, id: RegId) -> Option<u64> {
        let Seen { numbers, any, .. } = self.by_id.get(&id)?;
        if scope == Scope::Vm {
            return (!numbers.is_empty()).then_some(*any);
        }
        let of = |scope| numbers.get(&scope).copied();
        match (of(Scope::Vm), of(scope)) {
            (None, None) => None,
            (vm, own) => Some(vm.unwrap_or(0) | own.unwrap_or(0)),
        }
    }

    /// Whether the register holds different values in different scopes.
    pub(crate) fn differs(&self, id: RegId) -> bool {
        self.by_id.get(&id).is_some_and(|seen| seen.differs)
    }

    /// Whether it has the register, in whatever scope.
    pub(crate) fn has(&self, id: RegId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Whether the guest notices nothing on a host without this register of its: a host without it
    /// behaves as with this value, or the guest does not use it.
    #[must_use]
    pub fn can_miss(&self, scope: Scope, id: RegId, value: &Value) -> bool {
        let dropped = crate::plan::absent_by_rule(self, scope, id, Some(value));
        // What is not known is not taken for off.
        dropped.is_ok_and(|dropped| !matches!(dropped, Dropped::WhileOff(_)))
    }

    /// This guest, with the registers that only `profile` has at the host's own values: what it is
    /// after a move there, as the next host sees it. Its own registers keep the values that were
    /// promised, whatever the host made of them.
    #[must_use]
    pub fn after_a_stay(&self, profile: &Profile) -> Self {
        let mut held = self.held.clone();
        let of_host = Self::fresh(profile).held.into_iter();
        held.extend(of_host.filter(|new| !self.has(new.id)).map(|new| {
            let width = profile.offer(new.id).map_or(8, |offer| offer.width);
            let value = crate::plan::value_without(new.id, width).or(new.value);
            Held { value, ..new }
        }));
        Self::new(&self.name, held)
    }
}

/// How many priority bits the interrupt controller has, if this is the register that tells.
fn priority_bits(held: &Held) -> Option<u8> {
    let RegId::Gic { group: GRP_CPU_SYSREGS, attr } = held.id else { return None };
    let value = held.value.as_ref().and_then(Value::to_number)?;
    (attr & 0xffff == u64::from(ICC_CTLR_EL1)).then(|| spec::priority_bits(value))
}

fn scope_of(whose: Whose) -> Scope {
    match whose {
        Whose::Vm => Scope::Vm,
        Whose::Vcpu => Scope::Vcpu(VcpuId(0)),
    }
}
