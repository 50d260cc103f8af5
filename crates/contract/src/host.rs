//! How a host answers a write: what its profile says, executed.

use crate::profile::{Accepts, FieldValues, Offer, Profile, Whose, Write};
use crate::rules;
use abide_reg::{Direction, Field, Fit, RegId, Value};
use std::collections::BTreeMap;
use std::fmt;

/// What becomes of a value that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It reads back as it was written.
    Kept,
    /// It was taken, and this is read.
    Changed(Value),
    /// It was not taken.
    Refused(Refusal),
}

/// Why a host does not take a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The value has another width.
    Width {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        allowed: usize,
    },
    /// These parts of it do not fit.
    Parts(Vec<Part>),
    /// The whole of it does not fit.
    Value {
        /// The value found.
        found: Value,
        /// The values allowed, in words.
        allowed: String,
    },
}

impl Refusal {
    /// What a real host means that refused `found` and shows `shown`: the parts that are beyond
    /// what it shows, or those in which it lets nobody write.
    #[must_use]
    pub fn by_host(id: RegId, found: &Value, shown: &Value) -> Self {
        let own = |accepts, writable| {
            let offer = Offer { writable, ..Offer::taking(Whose::Vm, shown.clone(), accepts) };
            offer.answer(id, found)
        };
        let answers = [own(Accepts::Rule, u64::MAX), own(Accepts::Rule, 0)];
        let mut refusals = answers.into_iter().filter_map(|answer| match answer {
            Answer::Refused(refusal) => Some(refusal),
            Answer::Kept | Answer::Changed(_) => None,
        });
        refusals.next().unwrap_or_else(|| Self::Value {
            found: found.clone(),
            allowed: "it at another time: before any vCPU has run".to_owned(),
        })
    }
}

/// A part of a value that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field's name, or its bits.
    pub name: String,
    /// The number found.
    pub found: u64,
    /// The number that the host has.
    pub host: u64,
    /// Why it does not fit.
    pub why: Why,
}

/// Why a field does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The host shows its own number and no other.
    Fixed,
    /// The host has less than was promised.
    Less,
    /// The host has more, and a guest must not miss it.
    More,
    /// Only the same number would do.
    Other,
    /// The host can show it, and does something else.
    Shown,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, found, host, why } = self;
        write!(f, "{name} = {found:#x}, the host ")?;
        match why {
            Why::Fixed => write!(f, "shows {host:#x} and nothing else"),
            Why::Less => write!(f, "has {host:#x} at most"),
            Why::More => write!(f, "has {host:#x} at least"),
            Why::Other => write!(f, "has {host:#x}, and no other will do"),
            Why::Shown => write!(f, "implements {host:#x}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Width { found, allowed } => {
                write!(f, "{found} bytes found, the host has {allowed}")
            }
            Self::Parts(parts) => {
                for (n, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if n == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Value { found, allowed } => write!(f, "found {found}, the host takes {allowed}"),
        }
    }
}

/// A number as a value of `width` bytes, at most 8; what is above is cut off.
pub(crate) fn value_of(number: u64, width: usize) -> Value {
    let bytes = number.to_le_bytes();
    Value::bytes(bytes.get(..width).unwrap_or(&bytes))
}

impl Offer {
    /// What becomes of `value`, written to this register of a fresh VM.
    #[must_use]
    pub fn answer(&self, id: RegId, value: &Value) -> Answer {
        if value.width() != self.width {
            let found = value.width();
            return Answer::Refused(Refusal::Width { found, allowed: self.width });
        }
        let Some(default) = &self.default else { return Answer::Kept };
        if value == default {
            return Answer::Kept;
        }
        match (value.to_number(), default.to_number()) {
            (Some(value), Some(default)) => self.answer_number(id, value, default),
            _ if self.accepts == Accepts::Any && self.writable != 0 => Answer::Kept,
            _ if rules::rule(id).fit == Fit::Any && self.writable != 0 => Answer::Kept,
            _ => Answer::Refused(Refusal::Value {
                found: value.clone(),
                allowed: format!("{default} alone"),
            }),
        }
    }

    /// The parts of `value` that the host would go on showing without doing what they say, if all
    /// else of it is taken; else none.
    pub(crate) fn unimplemented(&self, id: RegId, value: &Value) -> Vec<Part> {
        let default = self.default.as_ref().and_then(Value::to_number);
        let (Some(found), Some(default)) = (value.to_number(), default) else { return Vec::new() };
        let is_shown = |field: &&FieldValues| field.values.contains(&field.bits_of(found));
        let shown = self.advertised.iter().filter(is_shown).fold(0, |bits, it| bits | it.mask());
        let rest = value_of(found & !shown | default & shown, value.width());
        match self.answer(id, &rest) {
            Answer::Kept => parts_unlike(id, value, &rest),
            Answer::Changed(_) | Answer::Refused(_) => Vec::new(),
        }
    }

    fn answer_number(&self, id: RegId, value: u64, default: u64) -> Answer {
        let parts = self.misfits(id, value, default);
        if !parts.is_empty() {
            return Answer::Refused(Refusal::Parts(parts));
        }
        let allowed = match &self.accepts {
            Accepts::Values(values) if !values.contains(&value) => {
                let list: Vec<String> = values.iter().map(|value| format!("{value:#x}")).collect();
                Some(list.join(", "))
            }
            Accepts::Range { least, most } if !(*least..=*most).contains(&value) => {
                Some(format!("{least:#x} to {most:#x}"))
            }
            Accepts::Bits(bits) if value & !bits != 0 => Some(format!("the bits {bits:#x}")),
            _ => None,
        };
        let found = value_of(value, self.width);
        if let Some(allowed) = allowed {
            return Answer::Refused(Refusal::Value { found, allowed });
        }
        let stored = value & !self.ignored | default & self.ignored;
        if stored == value { Answer::Kept } else { Answer::Changed(value_of(stored, self.width)) }
    }

    /// The parts of `value` that this host does not take: bits that it lets nobody write, and
    /// fields beyond what it has.
    fn misfits(&self, id: RegId, value: u64, default: u64) -> Vec<Part> {
        let fit = rules::rule(id).fit;
        let fixed = (value ^ default) & !self.writable & !self.ignored & ones(self.width);
        let mut parts = named_parts(fit, fixed, value, default, Why::Fixed);
        // What is said already is not said twice, and what is ignored is not judged.
        let judged = !fixed & !self.ignored;
        match &self.accepts {
            Accepts::Rule => parts.extend(misfits_of_rule(fit, value, default, judged)),
            Accepts::Fields(fields) => {
                let mut rest = value ^ default;
                for field in fields {
                    let mask = field.mask();
                    rest &= !mask;
                    if mask & judged != 0 && !field.values.contains(&field.bits_of(value)) {
                        parts.extend(named_parts(fit, mask, value, default, Why::Other));
                    }
                }
                parts.extend(named_parts(fit, rest & judged, value, default, Why::Fixed));
            }
            _ => {}
        }
        parts
    }
}

/// All bits of a register of so many bytes.
pub(crate) const fn ones(width: usize) -> u64 {
    if width >= 8 { u64::MAX } else { (1 << (8 * width)) - 1 }
}

fn misfits_of_rule(fit: Fit, value: u64, default: u64, judged: u64) -> Vec<Part> {
    let whole = |why| vec![part("value", u64::MAX, value, default, why)];
    match fit {
        Fit::Exact if (value ^ default) & judged != 0 => whole(Why::Other),
        Fit::AtMost if value > default => whole(Why::Less),
        Fit::Subset if value & !default & judged != 0 => whole(Why::Less),
        Fit::Fields(fields) => {
            let mut rest = (value ^ default) & judged;
            let mut parts = Vec::new();
            for field in fields {
                rest &= !field.mask();
                if field.mask() & judged == field.mask() && !field.fits(value, default) {
                    parts.push(part(field.name, field.mask(), value, default, why(field)));
                }
            }
            parts.extend(named_parts(fit, rest, value, default, Why::Other));
            parts
        }
        _ => Vec::new(),
    }
}

fn why(field: &Field) -> Why {
    match field.direction {
        Direction::LowerIsSafe => Why::Less,
        Direction::HigherIsSafe => Why::More,
        Direction::Same | Direction::Any => Why::Other,
    }
}

fn part(name: &str, mask: u64, value: u64, default: u64, why: Why) -> Part {
    let shift = mask.trailing_zeros().min(63);
    let of = |number: u64| (number & mask) >> shift;
    Part { name: name.to_owned(), found: of(value), host: of(default), why }
}

/// The parts in which a register that shows `shown` promises something else than `done`, which its
/// host does.
pub(crate) fn parts_unlike(id: RegId, shown: &Value, done: &Value) -> Vec<Part> {
    let (Some(shown), Some(done)) = (shown.to_number(), done.to_number()) else {
        return Vec::new();
    };
    named_parts(rules::rule(id).fit, shown ^ done, shown, done, Why::Shown)
}

/// The parts of a value in which `bits` lie: fields by name, the rest as bits.
fn named_parts(fit: Fit, bits: u64, value: u64, default: u64, why: Why) -> Vec<Part> {
    let fields: &[Field] = if let Fit::Fields(fields) = fit { fields } else { &[] };
    let mut rest = bits;
    let mut parts = Vec::new();
    for field in fields.iter().filter(|field| field.mask() & bits != 0) {
        rest &= !field.mask();
        parts.push(part(field.name, field.mask(), value, default, why));
    }
    if rest != 0 {
        let (low, high) = (rest.trailing_zeros(), 63 - rest.leading_zeros());
        let name = if low == high { format!("bit {low}") } else { format!("bits {high}:{low}") };
        let mask = ones(8) >> (63 - high) & ones(8) << low;
        parts.push(part(&name, mask, value, default, why));
    }
    parts
}

/// A fresh VM of one vCPU on a host, as its profile describes it: registers are written, and read.
#[derive(Clone, Debug)]
pub struct FreshVm<'a> {
    profile: &'a Profile,
    values: BTreeMap<RegId, Value>,
}

impl<'a> FreshVm<'a> {
    /// A VM in which nothing was written yet.
    #[must_use]
    pub fn new(profile: &'a Profile) -> Self {
        let known = |(id, offer): (&RegId, &Offer)| Some((*id, offer.default.clone()?));
        Self { profile, values: profile.offers.iter().filter_map(known).collect() }
    }

    /// Writes a register; `None` if the host has none like it.
    pub fn write(&mut self, id: RegId, value: &Value) -> Option<Answer> {
        let offer = self.profile.offer(id)?;
        let answer = offer.answer(id, value);
        let stored = match &answer {
            Answer::Refused(_) => return Some(answer),
            Answer::Changed(stored) => stored.clone(),
            Answer::Kept => value.clone(),
        };
        self.store(id, offer.write, stored);
        Some(answer)
    }

    fn store(&mut self, id: RegId, write: Write, value: Value) {
        let Some(pair) = abide_arm64::kvm::set_clear_pair(id) else {
            self.values.insert(id, value);
            return;
        };
        let before = self.values.get(&id).and_then(Value::to_number).unwrap_or(0);
        let bits = value.to_number().unwrap_or(0);
        let after = match write {
            Write::Store => bits,
            Write::Set => before | bits,
            Write::Clear => before & !bits,
        };
        // Both registers show the same bits.
        for id in [pair.set, pair.clear] {
            self.values.insert(id, value_of(after, value.width()));
        }
    }

    /// The register's content.
    #[must_use]
    pub fn read(&self, id: RegId) -> Option<&Value> {
        self.values.get(&id)
    }

    /// Every register's content.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<RegId, Value> {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISAR0: RegId = RegId::Kvm(0x6030_0000_0013_c030);
    const MMFR2: RegId = RegId::Kvm(0x6030_0000_0013_c03a);

    fn offer(default: u64, writable: u64) -> Offer {
        let default = Value::u64(default);
        Offer { writable, ..Offer::taking(Whose::Vm, default, Accepts::Rule) }
    }

    #[test]
    fn less_of_a_writable_feature_is_taken_and_more_is_named() {
        let offer = offer(0x20, 0xf0);
        assert_eq!(offer.answer(ISAR0, &Value::u64(0x10)), Answer::Kept);
        let Answer::Refused(refusal) = offer.answer(ISAR0, &Value::u64(0x30)) else { panic!() };
        assert_eq!(refusal.to_string(), "AES = 0x3, the host has 0x2 at most");
    }

    #[test]
    fn fixed_bits_are_named_once() {
        let offer = offer(0x20, 0);
        let Answer::Refused(refusal) = offer.answer(ISAR0, &Value::u64(0x30)) else { panic!() };
        assert_eq!(refusal.to_string(), "AES = 0x3, the host shows 0x2 and nothing else");
    }

    #[test]
    fn what_a_real_host_refuses_is_told_in_the_same_words() {
        let told = |found| Refusal::by_host(ISAR0, &Value::u64(found), &Value::u64(0x20));
        assert_eq!(told(0x30).to_string(), "AES = 0x3, the host has 0x2 at most");
        assert_eq!(told(0x10).to_string(), "AES = 0x1, the host shows 0x2 and nothing else");
        assert!(told(0x20).to_string().contains("before any vCPU has run"));
    }

    #[test]
    fn rules_without_fields_bound_what_is_taken() {
        let taken = |id: RegId, own: u64, value: u64| {
            offer(own, u64::MAX).answer(id, &Value::u64(value)) == Answer::Kept
        };
        const PSCI: RegId = RegId::Kvm(0x6030_0000_0014_0000);
        assert!(taken(PSCI, 0x1_0001, 0x1_0000) && !taken(PSCI, 0x1_0001, 0x1_0002));
        const STD_BMAP: RegId = RegId::Kvm(0x6030_0000_0016_0000);
        assert!(taken(STD_BMAP, 6, 2) && !taken(STD_BMAP, 6, 1) && !taken(STD_BMAP, 6, 7));
        const CLIDR: RegId = RegId::Kvm(0x6030_0000_0013_c801);
        assert!(taken(CLIDR, 3, 3) && !taken(CLIDR, 3, 2));
        // Bits 3:0 of ID_AA64ISAR0_EL1 have no meaning: they must be the same.
        assert!(taken(ISAR0, 0x20, 0x10) && !taken(ISAR0, 0x21, 0x20) && !taken(ISAR0, 0x20, 0x21));
    }

    #[test]
    fn ignored_bits_are_taken_and_read_as_before() {
        let offer = Offer { ignored: 0xf << 24, ..offer(0x11, 0xf) };
        let written = Value::u64(0x0200_0010);
        assert_eq!(offer.answer(MMFR2, &written), Answer::Changed(Value::u64(0x10)));
    }

    #[test]
    fn lists_ranges_and_bits_are_what_they_say() {
        let id = RegId::named("cpu.cntfrq");
        let taking = |accepts| Offer::taking(Whose::Vm, Value::u64(1), accepts);
        let takes =
            |accepts, value: u64| taking(accepts).answer(id, &Value::u64(value)) == Answer::Kept;
        assert!(takes(Accepts::Values([1, 5].into()), 5));
        assert!(!takes(Accepts::Values([1, 5].into()), 4));
        assert!(takes(Accepts::Range { least: 1, most: 9 }, 9));
        assert!(!takes(Accepts::Range { least: 1, most: 9 }, 10));
        assert!(takes(Accepts::Bits(3), 2) && !takes(Accepts::Bits(3), 4));
        assert!(matches!(
            taking(Accepts::Any).answer(id, &Value::u32(1)),
            Answer::Refused(Refusal::Width { found: 4, allowed: 8 })
        ));
    }
}
