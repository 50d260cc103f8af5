//! What a move does to each register.

use crate::guest::{Guest, Held};
use crate::host::{Answer, Part, Refusal, parts_unlike, value_of};
use crate::profile::{Offer, Profile, Whose, Write};
use crate::rules;
use abide_reg::{Absent, Class, Direction, Field, Fit, RegId, Scope, Value};

/// What becomes of one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Written as it is.
    Carry,
    /// Written as it is, once for the whole VM.
    WriteOnce,
    /// Written, and so what the host would have shown is hidden from the guest.
    Mask {
        /// What the host would have shown.
        host: Value,
    },
    /// Written, but the host shows its own in some bits that no guest can use. The original is kept
    /// for the next host.
    Original {
        /// What is read there.
        reads: Value,
    },
    /// Written as it is: the guest goes on seeing what the host does not do, which was
    /// [accepted](Exceptions).
    Accept(Vec<Part>),
    /// Not written: the host has no such register, and the guest cannot miss it.
    Drop(Dropped),
    /// The guest cannot go there.
    Refuse(Refused),
}

impl Verdict {
    /// What becomes of a register that shows `shown` on a host that does `done`.
    #[must_use]
    pub fn accepted(id: RegId, shown: &Value, done: &Value) -> Self {
        Self::Accept(parts_unlike(id, shown, done))
    }

    /// Its word in reports.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Carry => "carry",
            Self::WriteOnce => "write-once",
            Self::Mask { .. } => "mask",
            Self::Original { .. } => "original",
            Self::Accept(_) => "accept",
            Self::Drop(_) => "drop",
            Self::Refuse(_) => "refuse",
        }
    }
}

/// Why a register may be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// A host without it behaves as with this value in it.
    Value(u64),
    /// These fields are 0: the guest cannot use the register, or does not.
    Off(Vec<(RegId, &'static str)>),
    /// The state of the guest will tell: only while these fields are 0.
    WhileOff(Vec<(RegId, &'static str)>),
    /// It is volatile: true only until the guest runs.
    Volatile,
    /// It is static: kept in the file for the next host that has it.
    Kept,
}

/// Why a guest cannot go to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The host has no such register, and there is no rule under which the guest could not miss it.
    Absent,
    /// The host has no such register, and what the guest has in it cannot be lost.
    InUse {
        /// The value with which it could go, if the rule is about this register's own.
        only: Option<u64>,
        /// The fields that are not 0, with their numbers.
        on: Vec<(RegId, &'static str, u64)>,
    },
    /// The host has the register in another width.
    OtherWidth {
        /// The host's.
        other: RegId,
    },
    /// The host does not take the value.
    Value(Refusal),
    /// The host does not do what these fields say; it would go on showing them, if that were
    /// [accepted](Exceptions).
    Advertised(Vec<Part>),
    /// The host takes the value and shows another to the guest.
    Silent {
        /// What is read there.
        reads: Value,
    },
    /// The host has it once for the VM, and vCPUs of the guest hold different values; or the other
    /// way round.
    Scope {
        /// Whose it is on the host.
        host: Whose,
    },
}

/// What a guest's owner takes upon himself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// ID registers may go on showing what the host does not implement, where its offer has it:
    /// what needs it is UNDEFINED there, or an illegal exception return.
    pub advertised_not_implemented: bool,
}

/// What becomes of one register, and of which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose it is.
    pub scope: Scope,
    /// The register.
    pub id: RegId,
    /// What is in it, if that is known.
    pub value: Option<Value>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// How it is to be written, where that is not simply so.
    pub how: Option<How>,
}

/// How a register is written where a plain write would not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// First ones to the register that clears, then the value to the one that sets.
    ClearThenSet,
    /// Not at all: it shows what was written to its partner.
    ByPartner,
}

/// A register that only the host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// The register.
    pub id: RegId,
    /// Whose it is there.
    pub scope: Whose,
    /// What the host has in it by itself.
    pub host: Option<Value>,
    /// What is written, so that the guest sees what it saw before; `None` leaves the host's own.
    pub write: Option<Value>,
}

/// What a move to one host does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whom it is about.
    pub guest: String,
    /// Where it would go.
    pub host: String,
    /// Each register of the guest.
    pub steps: Vec<Step>,
    /// Each register that only the host has.
    pub extras: Vec<Extra>,
}

/// How many registers have which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// [`Verdict::Carry`].
    pub carried: usize,
    /// [`Verdict::WriteOnce`].
    pub written_once: usize,
    /// [`Verdict::Mask`].
    pub masked: usize,
    /// [`Verdict::Original`].
    pub original: usize,
    /// [`Verdict::Accept`].
    pub accepted: usize,
    /// [`Verdict::Drop`].
    pub dropped: usize,
    /// [`Verdict::Refuse`].
    pub refused: usize,
}

impl Plan {
    /// Whether the guest can go.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// The registers for which it cannot.
    pub fn refusals(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| matches!(step.verdict, Verdict::Refuse(_)))
    }

    /// How many registers have which verdict.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for step in &self.steps {
            *match step.verdict {
                Verdict::Carry => &mut counts.carried,
                Verdict::WriteOnce => &mut counts.written_once,
                Verdict::Mask { .. } => &mut counts.masked,
                Verdict::Original { .. } => &mut counts.original,
                Verdict::Accept(_) => &mut counts.accepted,
                Verdict::Drop(_) => &mut counts.dropped,
                Verdict::Refuse(_) => &mut counts.refused,
            } += 1;
        }
        counts
    }
}

/// Plans a move of `guest` to the host of `profile`.
#[must_use]
pub fn plan(guest: &Guest, profile: &Profile) -> Plan {
    plan_accepting(guest, profile, Exceptions::default())
}

/// As [`plan`], with exceptions.
#[must_use]
pub fn plan_accepting(guest: &Guest, profile: &Profile, exceptions: Exceptions) -> Plan {
    let mut steps: Vec<Step> = guest.held.iter().map(|held| step(guest, held, profile)).collect();
    if exceptions.advertised_not_implemented {
        for Step { verdict, .. } in &mut steps {
            if let Verdict::Refuse(Refused::Advertised(parts)) = verdict {
                *verdict = Verdict::Accept(std::mem::take(parts));
            }
        }
    }
    let extras = extras(guest, profile);
    Plan { guest: guest.name.clone(), host: profile.name.clone(), steps, extras }
}

/// What becomes of the registers that only the host has.
#[must_use]
pub fn extras(guest: &Guest, profile: &Profile) -> Vec<Extra> {
    let only_there = profile.offers.iter().filter(|(id, _)| !guest.has(**id));
    only_there.map(|(&id, offer)| extra(id, offer)).collect()
}

fn extra(id: RegId, offer: &Offer) -> Extra {
    let hidden = value_without(id, offer.width);
    let hidden = hidden.filter(|value| offer.default.as_ref() != Some(value));
    let write = hidden.filter(|value| offer.answer(id, value) == Answer::Kept);
    Extra { id, scope: offer.scope, host: offer.default.clone(), write }
}

/// The value with which a host that has the register behaves as one that has not.
pub(crate) fn value_without(id: RegId, width: usize) -> Option<Value> {
    let rule = rules::rule(id);
    match (rule.absent, rule.fit) {
        // ID registers are not among them: their host shows what is there.
        (Absent::DropIfValue(value), Fit::Subset | Fit::AtMost) => Some(value_of(value, width)),
        _ => None,
    }
}

/// What becomes of one register of `guest`.
#[must_use]
pub fn step(guest: &Guest, held: &Held, profile: &Profile) -> Step {
    let Held { scope, id, value, .. } = held.clone();
    let (verdict, how) = judge(guest, held, profile);
    Step { scope, id, value, verdict, how }
}

fn judge(guest: &Guest, held: &Held, profile: &Profile) -> (Verdict, Option<How>) {
    if held.of_machine {
        return (Verdict::Carry, None);
    }
    let Some(offer) = profile.offer(held.id) else {
        let gic_state = profile.has_gic_state(held.id) && !rules::is_pinned(held.id);
        let is_there = gic_state || profile.has_implementation(held.id);
        return (if is_there { Verdict::Carry } else { absent(guest, held, profile) }, None);
    };
    let Some(value) = &held.value else { return (written(offer), how(held.id, offer)) };
    // The other way round nothing is lost: one value is written to each vCPU.
    let of_vcpu = matches!(held.scope, Scope::Vcpu(_));
    if offer.scope == Whose::Vm && of_vcpu && guest.differs(held.id) {
        return (Verdict::Refuse(Refused::Scope { host: offer.scope }), None);
    }
    (judge_value(held.id, offer, value), how(held.id, offer))
}

fn written(offer: &Offer) -> Verdict {
    if offer.scope == Whose::Vm { Verdict::WriteOnce } else { Verdict::Carry }
}

fn how(id: RegId, offer: &Offer) -> Option<How> {
    let pair = abide_arm64::kvm::set_clear_pair(id)?;
    match offer.write {
        Write::Store => None,
        _ if pair.set == id => Some(How::ClearThenSet),
        _ => Some(How::ByPartner),
    }
}

fn judge_value(id: RegId, offer: &Offer, value: &Value) -> Verdict {
    let reads = match offer.answer(id, value) {
        Answer::Refused(refusal) => {
            let parts = offer.unimplemented(id, value);
            let only_shown = !parts.is_empty();
            return Verdict::Refuse(if only_shown {
                Refused::Advertised(parts)
            } else {
                Refused::Value(refusal)
            });
        }
        Answer::Kept => return kept(id, offer, value),
        Answer::Changed(reads) => reads,
    };
    if rules::rule(id).readback.tolerates(value, &reads) {
        Verdict::Original { reads }
    } else {
        Verdict::Refuse(Refused::Silent { reads })
    }
}

/// A value that the host keeps: it may hide something that the host has.
fn kept(id: RegId, offer: &Offer, value: &Value) -> Verdict {
    match &offer.default {
        Some(host) if hides(id, value, host) => Verdict::Mask { host: host.clone() },
        _ => written(offer),
    }
}

/// Whether a guest that sees `value` does not see something of `host`. Room that a host has beyond
/// the guest is nothing that could be seen.
fn hides(id: RegId, value: &Value, host: &Value) -> bool {
    // A VM that is made to show this has nothing else that a write could hide.
    if rules::is_fact(id) || rules::is_made_with(id) || value == host {
        return false;
    }
    match (rules::rule(id).fit, value.to_number().zip(host.to_number())) {
        (Fit::AtMost | Fit::Subset, _) => true,
        (Fit::Fields(fields), Some((value, host))) => fields.iter().any(|field| {
            field.direction != Direction::Any && field.bits_of(value) != field.bits_of(host)
        }),
        _ => false,
    }
}

fn absent(guest: &Guest, held: &Held, profile: &Profile) -> Verdict {
    match held.class {
        Class::Volatile => return Verdict::Drop(Dropped::Volatile),
        Class::Static => return Verdict::Drop(Dropped::Kept),
        Class::Mandatory => {}
    }
    if let Some(other) = profile.of_other_width(held.id) {
        return Verdict::Refuse(Refused::OtherWidth { other });
    }
    let dropped = absent_by_rule(guest, held.scope, held.id, held.value.as_ref());
    dropped.map_or_else(Verdict::Refuse, Verdict::Drop)
}

/// Why the guest cannot miss a register that a host has not, or why it can.
pub(crate) fn absent_by_rule(
    guest: &Guest,
    scope: Scope,
    id: RegId,
    value: Option<&Value>,
) -> Result<Dropped, Refused> {
    match rules::rule(id).absent {
        Absent::Refuse => Err(Refused::Absent),
        Absent::DropIfValue(safe) => match value.map(Value::to_number) {
            Some(Some(value)) if value == safe => Ok(Dropped::Value(safe)),
            _ => Err(Refused::InUse { only: Some(safe), on: Vec::new() }),
        },
        Absent::DropIfOff(fields) => absent_if_off(guest, scope, fields),
    }
}

fn absent_if_off(
    guest: &Guest,
    scope: Scope,
    fields: &'static [(RegId, Field)],
) -> Result<Dropped, Refused> {
    let mut on = Vec::new();
    let mut is_known = true;
    for (id, field) in fields {
        let number = guest.bits(scope, *id);
        // A register of features that nobody has is one without features.
        is_known &= number.is_some() || (rules::is_pinned(*id) && !guest.has(*id));
        let bits = number.map(|number| field.bits_of(number)).filter(|bits| *bits != 0);
        on.extend(bits.map(|bits| (*id, field.name, bits)));
    }
    let names = || fields.iter().map(|(id, field)| (*id, field.name)).collect();
    match (on.is_empty(), is_known) {
        (false, _) => Err(Refused::InUse { only: None, on }),
        (true, true) => Ok(Dropped::Off(names())),
        (true, false) => Ok(Dropped::WhileOff(names())),
    }
}
