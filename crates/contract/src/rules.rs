//! The rule of every register, whoever owns it.

use crate::host::value_of;
use abide_arm64::kvm;
use abide_firmware::spec::{IMPL_CPU_DEFS, REG_IMPL_COUNT};
use abide_gic::spec::{GRP_DIST_REGS, GRP_NR_IRQS};
use abide_reg::{Absent, Direction, Field, Fit, Readback, RegDef, RegId, Rule, Value};

/// The counter's frequency in Hz, u64. A guest reads it once.
pub const CNTFRQ: RegId = RegId::named("cpu.cntfrq");
/// How many bits of guest physical address there are, u8.
pub const IPA_BITS: RegId = RegId::named("host.ipa_bits");
/// The most vCPUs, u32; of a guest, how many it has.
pub const VCPUS: RegId = RegId::named("board.vcpu_count");
/// The size of a host page in bytes, u64; of a guest, to what its memory and devices are aligned.
pub const PAGE_SIZE: RegId = RegId::named("host.page_size");
/// The version of stolen time as DEN0057A numbers it, u32: 0x1_0000 for 1.0, 0 for none.
pub const PVTIME: RegId = RegId::named("pvtime.version");
/// The version of the interrupt controller's architecture, u8.
pub const GIC_VERSION: RegId = RegId::named("gic.version");
/// How many bits of priority the interrupt controller's CPU interfaces have, u8.
pub const PRIORITY_BITS: RegId = RegId::named("gic.priority_bits");
/// How many INTIDs the interrupt controller has, SGIs and PPIs included, u32.
pub const NR_IRQS: RegId = RegId::gic(GRP_NR_IRQS, 0);
/// `GICD_IIDR`, u32: its revision selects how KVM's distributor behaves.
pub const GICD_IIDR: RegId = RegId::gic(GRP_DIST_REGS, 0x8);
/// `GICD_TYPER`, u32.
pub const GICD_TYPER: RegId = RegId::gic(GRP_DIST_REGS, 0x4);

const AT_MOST: Rule = Rule { fit: Fit::AtMost, absent: Absent::Refuse, readback: Readback::Equal };
/// What is aligned to larger pages fits smaller ones.
const ALIGNED: Rule = Rule { fit: Fit::Fields(&ALIGNMENT), ..Rule::IDENTITY };
static ALIGNMENT: [Field; 1] = [Field {
    name: "bytes",
    shift: 0,
    width: 64,
    signed: false,
    direction: Direction::HigherIsSafe,
}];
/// The number of INTIDs follows [`NR_IRQS`] and is judged there.
static TYPER_FIELDS: [Field; 1] =
    [Field { name: "ITLinesNumber", shift: 0, width: 5, signed: false, direction: Direction::Any }];

/// The registers that are facts about a host rather than parts of a vCPU.
pub(crate) const FACTS: [(RegId, Rule, &str); 7] = [
    (CNTFRQ, Rule::IDENTITY, "CNTFRQ"),
    (IPA_BITS, AT_MOST, "IPA bits"),
    (VCPUS, AT_MOST, "vCPUs"),
    (PAGE_SIZE, ALIGNED, "page size"),
    (PVTIME, Rule { absent: Absent::DropIfValue(0), ..AT_MOST }, "stolen time"),
    (GIC_VERSION, Rule::IDENTITY, "GIC version"),
    (PRIORITY_BITS, Rule::IDENTITY, "GIC priority bits"),
];

/// The rule of a register.
#[must_use]
pub fn rule(id: RegId) -> Rule {
    if let Some((_, rule, _)) = FACTS.iter().find(|(fact, _, _)| *fact == id) {
        return *rule;
    }
    if let Some(def) = abide_firmware::spec::DEFS.iter().find(|def: &&RegDef| def.id == id) {
        return def.rule;
    }
    if is_made_with(id) {
        return Rule { fit: Fit::Subset, ..Rule::IDENTITY };
    }
    match id {
        NR_IRQS | GICD_IIDR => Rule::IDENTITY,
        GICD_TYPER => Rule { fit: Fit::Fields(&TYPER_FIELDS), ..Rule::IDENTITY },
        _ => abide_arm64::rules::rule(id),
    }
}

/// The value to save of a register that reads as `found` on a host that was given `original` and
/// then showed `shown`. What the host answers by itself is not the guest's: the original goes on to
/// the next host. The guest's own later writes do too.
#[must_use]
pub fn to_save(id: RegId, original: &Value, shown: &Value, found: &Value) -> Value {
    // ISTATUS follows from the count and the comparator, whoever answers it.
    if matches!(id, kvm::TIMER_CTL | kvm::PTIMER_CTL) {
        return found.clone();
    }
    match rule(id).readback {
        Readback::EqualBut(mask) => match (original.to_number(), found.to_number()) {
            (Some(of_host), Some(now)) if original.width() == found.width() => {
                value_of(now & !mask | of_host & mask, found.width())
            }
            _ => found.clone(),
        },
        Readback::Original if found == shown => original.clone(),
        Readback::Original | Readback::Equal | Readback::Bound => found.clone(),
    }
}

/// Whether the register is a fact about a host rather than a part of a vCPU.
#[must_use]
pub fn is_fact(id: RegId) -> bool {
    FACTS.iter().any(|(fact, _, _)| *fact == id)
}

/// Whether the register has its value since the vCPUs were made, so that a write only tells whether
/// it is that: which events performance monitors count.
#[must_use]
pub fn is_made_with(id: RegId) -> bool {
    kvm::PMU_EVENTS.contains(&id)
}

/// Whether a contract holds the register's value, rather than only that it is there: what a guest
/// reads once and relies on.
#[must_use]
pub fn is_pinned(id: RegId) -> bool {
    rule(id).fit != Fit::Any
}

/// Whether a contract may hold the register's value: what is pinned, and the list of CPU
/// implementations, which a guest reads once but any host can tell that tells any.
#[must_use]
pub fn can_be_promised(id: RegId) -> bool {
    let is_list = |def: &RegDef| def.id == id;
    is_pinned(id) || id == REG_IMPL_COUNT || IMPL_CPU_DEFS.iter().any(is_list)
}

/// The bits of a register of state in which some hosts tell a name of their own, and in which 0 is
/// the architecture's word for none. A guest under a contract is born with none.
#[must_use]
pub const fn name_bits(id: RegId) -> u64 {
    abide_arm64::rules::name_bits(id)
}

/// The register's name in its specification, or its id.
#[must_use]
pub fn name(id: RegId) -> String {
    if let Some((_, _, name)) = FACTS.iter().find(|(fact, _, _)| *fact == id) {
        return (*name).to_owned();
    }
    match id {
        NR_IRQS => "NR_IRQS".to_owned(),
        GICD_IIDR => "GICD_IIDR".to_owned(),
        GICD_TYPER => "GICD_TYPER".to_owned(),
        REG_IMPL_COUNT => "IMPL_COUNT".to_owned(),
        _ if id == kvm::PMU_EVENTS[0] => "PMCEID0_EL0".to_owned(),
        _ if id == kvm::PMU_EVENTS[1] => "PMCEID1_EL0".to_owned(),
        _ => abide_arm64::names::register_name(id).unwrap_or_else(|| id.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_firmware::spec::{REG_PSCI_VERSION, REG_VENDOR_HYP_BMAP_2};

    #[test]
    fn rules_come_from_whoever_owns_the_register() {
        assert_eq!(rule(REG_PSCI_VERSION).fit, Fit::AtMost);
        assert_eq!(rule(REG_VENDOR_HYP_BMAP_2).absent, Absent::DropIfValue(0));
        assert_eq!(rule(CNTFRQ).fit, Fit::Exact);
        assert_eq!(rule(kvm::PC), Rule::STATE);
        assert!(is_pinned(IPA_BITS) && !is_pinned(kvm::PC));
    }

    #[test]
    fn what_a_host_answers_by_itself_is_saved_as_it_was_promised() {
        let saved = |id, original, shown, found| {
            to_save(id, &Value::u64(original), &Value::u64(shown), &Value::u64(found))
        };
        let pmcr = RegId::Kvm(0x6030_0000_0013_dce0);
        // The guest switched the PMU on; its host hides the implementer.
        assert_eq!(saved(pmcr, 0x410c_3000, 0x3000, 0x3001), Value::u64(0x410c_3001));
        let workaround = abide_firmware::spec::REG_ARCH_WORKAROUND_1;
        assert_eq!(saved(workaround, 0, 2, 2), Value::u64(0));
        assert_eq!(saved(kvm::TIMER_CTL, 5, 1, 1), Value::u64(1));
        assert_eq!(saved(kvm::PC, 4, 4, 8), Value::u64(8));
    }

    #[test]
    fn registers_have_the_names_of_their_specifications() {
        assert_eq!(name(RegId::Kvm(0x6030_0000_0013_c020)), "ID_AA64PFR0_EL1");
        assert_eq!(name(GICD_IIDR), "GICD_IIDR");
        assert_eq!(name(RegId::named("cpu.event")), "cpu.event");
    }
}
