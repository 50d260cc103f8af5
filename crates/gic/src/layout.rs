//! Which registers are the state, in their canonical order.
//!
//! Saved is what is needed and nothing twice: `IS*` registers and not `IC*`, the latch (`ISPENDR`
//! as KVM's interface defines it) and the line (`LEVEL_INFO`) apart, the low half of `IROUTER`
//! because the high half would hold Aff3, which is not offered. Not saved are registers that are
//! the same in every controller with this `GICD_IIDR`: `GICD_STATUSR`, `GICR_WAKER`, `ICFGR0`,
//! `PIDR2`.

use crate::config::GicConfig;
use crate::error::GicError;
use crate::names::{self, Row};
use crate::spec::{
    ATTR_AFFINITY_SHIFT, GICD_CTLR, GICD_ICFGR, GICD_IGROUPR, GICD_IIDR, GICD_IPRIORITYR,
    GICD_IROUTER, GICD_ISACTIVER, GICD_ISENABLER, GICD_ISPENDR, GICD_TYPER, GICD_TYPER2, GICR_CTLR,
    GICR_IIDR, GICR_PENDBASER, GICR_PROPBASER, GICR_SGI_FRAME, GICR_TYPER, GRP_CPU_SYSREGS,
    GRP_DIST_REGS, GRP_LEVEL_INFO, GRP_NR_IRQS, GRP_REDIST_REGS, ICC_AP0R0_EL1, ICC_AP1R0_EL1,
    ICC_BPR0_EL1, ICC_BPR1_EL1, ICC_CTLR_EL1, ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1, ICC_PMR_EL1,
    ICC_SRE_EL1, WORD_INTIDS,
};
use crate::{Affinity, check::scope_of};
use abide_reg::{Direction, Field, Fit, RegDef, RegId, Rule, Scope};

/// A property of which words hold one bit for each INTID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitField {
    Group,
    Enabled,
    Latch,
    Active,
    Line,
}

/// A half of a 64-bit register that is saved as two of 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Low,
    High,
}

impl Half {
    const BOTH: [Self; 2] = [Self::Low, Self::High];

    /// Its distance from the register's offset, in bytes.
    fn offset(self) -> u32 {
        match self {
            Self::Low => 0,
            Self::High => 4,
        }
    }

    /// Its lowest bit in the register.
    pub(crate) fn shift(self) -> u32 {
        8 * self.offset()
    }
}

/// What a register holds of the canonical state. In a vCPU's scope the rows are those of its SGIs
/// and PPIs, in the VM's those of the SPIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    NrIrqs,
    GicdIidr,
    GicdTyper,
    GicdTyper2,
    GicdCtlr,
    Propbaser(Half),
    /// 32 INTIDs from 32 times the number.
    Bits(BitField, u32),
    /// 16 INTIDs from 16 times the number.
    Config(u32),
    /// 4 INTIDs from 4 times the number.
    Priority(u32),
    /// The INTID.
    Route(u32),
    GicrIidr,
    GicrTyper(Half),
    GicrCtlr,
    Pendbaser(Half),
    /// The encoding.
    Icc(u16),
}

/// A register of the state: what it holds and how it is defined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) key: Key,
    pub(crate) def: RegDef,
}

/// Registers of one scope, in order.
pub(crate) type Section = (Scope, Vec<Line>);

/// The definitions of all registers that are a controller's state, scope by scope in the
/// canonical order: the VM's first, then each vCPU's.
///
/// # Errors
/// [`GicError`] for a number of INTIDs or CPUs that cannot be.
pub fn reg_defs(nr_irqs: u32, cpus: &[Affinity]) -> Result<Vec<(Scope, Vec<RegDef>)>, GicError> {
    GicConfig::new(cpus.iter().copied(), nr_irqs).check()?;
    let defs = |lines: Vec<Line>| lines.into_iter().map(|line| line.def).collect();
    Ok(layout(nr_irqs, cpus).into_iter().map(|(scope, lines)| (scope, defs(lines))).collect())
}

/// As [`reg_defs`], with what each register holds. The caller has checked both arguments.
pub(crate) fn layout(nr_irqs: u32, cpus: &[Affinity]) -> Vec<Section> {
    let mut sections = vec![(Scope::Vm, vm_lines(nr_irqs, cpus))];
    for (index, &affinity) in cpus.iter().enumerate() {
        sections.push((scope_of(index), cpu_lines(affinity)));
    }
    sections
}

fn dist(offset: u32) -> RegId {
    RegId::gic(GRP_DIST_REGS, offset.into())
}

fn of_cpu(group: u32, affinity: Affinity, low: u32) -> RegId {
    RegId::gic(group, u64::from(affinity.0) << ATTR_AFFINITY_SHIFT | u64::from(low))
}

fn redist(affinity: Affinity, offset: u32) -> RegId {
    of_cpu(GRP_REDIST_REGS, affinity, offset)
}

fn state(key: Key, id: RegId, name: &'static str) -> Line {
    Line { key, def: RegDef::state(id, name, 4) }
}

fn identity(key: Key, id: RegId, name: &'static str) -> Line {
    Line { key, def: RegDef::state(id, name, 4).rule(Rule::IDENTITY) }
}

fn vm_lines(nr_irqs: u32, cpus: &[Affinity]) -> Vec<Line> {
    // Some VM-wide registers can only be named through a CPU; which makes no difference.
    let first = cpus.first().copied().unwrap_or_default();
    let propbaser = |half: Half| redist(first, GICR_PROPBASER + half.offset());
    let mut lines = vec![
        identity(Key::NrIrqs, RegId::gic(GRP_NR_IRQS, 0), "NR_IRQS"),
        identity(Key::GicdIidr, dist(GICD_IIDR), "GICD_IIDR"),
        identity(Key::GicdTyper, dist(GICD_TYPER), "GICD_TYPER"),
        identity(Key::GicdTyper2, dist(GICD_TYPER2), "GICD_TYPER2"),
        state(Key::GicdCtlr, dist(GICD_CTLR), "GICD_CTLR"),
    ];
    for (half, name) in Half::BOTH.into_iter().zip(["GICR_PROPBASER.low", "GICR_PROPBASER.high"]) {
        lines.push(state(Key::Propbaser(half), propbaser(half), name));
    }
    for (field, row, base) in [
        (BitField::Group, Row::GicdIgroupr, GICD_IGROUPR),
        (BitField::Enabled, Row::GicdIsenabler, GICD_ISENABLER),
        (BitField::Latch, Row::GicdIspendr, GICD_ISPENDR),
        (BitField::Active, Row::GicdIsactiver, GICD_ISACTIVER),
    ] {
        lines.extend((1..nr_irqs / 32).map(|word| {
            state(Key::Bits(field, word), dist(base + 4 * word), names::name(row, word))
        }));
    }
    lines.extend((1..nr_irqs / 32).map(|word| {
        let id = of_cpu(GRP_LEVEL_INFO, first, word * WORD_INTIDS);
        state(Key::Bits(BitField::Line, word), id, names::name(Row::LevelInfo, word))
    }));
    lines.extend(
        (2..nr_irqs / 16).map(|n| {
            state(Key::Config(n), dist(GICD_ICFGR + 4 * n), names::name(Row::GicdIcfgr, n))
        }),
    );
    lines.extend((8..nr_irqs / 4).map(|n| {
        let name = names::name(Row::GicdIpriorityr, n);
        state(Key::Priority(n), dist(GICD_IPRIORITYR + 4 * n), name)
    }));
    lines.extend((32..nr_irqs).map(|intid| {
        let name = names::name(Row::GicdIrouter, intid);
        state(Key::Route(intid), dist(GICD_IROUTER + 8 * intid), name)
    }));
    lines
}

fn cpu_lines(affinity: Affinity) -> Vec<Line> {
    let rd = |offset: u32| redist(affinity, offset);
    let sgi = |offset: u32| redist(affinity, GICR_SGI_FRAME + offset);
    let mut lines = vec![identity(Key::GicrIidr, rd(GICR_IIDR), "GICR_IIDR")];
    for (half, name) in Half::BOTH.into_iter().zip(["GICR_TYPER.low", "GICR_TYPER.high"]) {
        lines.push(identity(Key::GicrTyper(half), rd(GICR_TYPER + half.offset()), name));
    }
    lines.push(state(Key::GicrCtlr, rd(GICR_CTLR), "GICR_CTLR"));
    for (half, name) in Half::BOTH.into_iter().zip(["GICR_PENDBASER.low", "GICR_PENDBASER.high"]) {
        lines.push(state(Key::Pendbaser(half), rd(GICR_PENDBASER + half.offset()), name));
    }
    for (field, row, base) in [
        (BitField::Group, Row::GicrIgroupr, GICD_IGROUPR),
        (BitField::Enabled, Row::GicrIsenabler, GICD_ISENABLER),
        (BitField::Latch, Row::GicrIspendr, GICD_ISPENDR),
        (BitField::Active, Row::GicrIsactiver, GICD_ISACTIVER),
    ] {
        lines.push(state(Key::Bits(field, 0), sgi(base), names::name(row, 0)));
    }
    let level = of_cpu(GRP_LEVEL_INFO, affinity, 0);
    lines.push(state(Key::Bits(BitField::Line, 0), level, names::name(Row::LevelInfo, 0)));
    let config = names::name(Row::GicrIcfgr, 1);
    lines.push(identity(Key::Config(1), sgi(GICD_ICFGR + 4), config));
    lines.extend((0..8).map(|n| {
        let name = names::name(Row::GicrIpriorityr, n);
        state(Key::Priority(n), sgi(GICD_IPRIORITYR + 4 * n), name)
    }));
    lines.extend(ICC_REGISTERS.map(|(encoding, name)| icc_line(affinity, encoding, name)));
    lines
}

/// The CPU interface's registers in canonical order. With 5 priority bits there is one register of
/// active priorities for each group.
const ICC_REGISTERS: [(u16, &str); 9] = [
    (ICC_SRE_EL1, "ICC_SRE_EL1"),
    (ICC_CTLR_EL1, "ICC_CTLR_EL1"),
    (ICC_PMR_EL1, "ICC_PMR_EL1"),
    (ICC_BPR0_EL1, "ICC_BPR0_EL1"),
    (ICC_BPR1_EL1, "ICC_BPR1_EL1"),
    (ICC_IGRPEN0_EL1, "ICC_IGRPEN0_EL1"),
    (ICC_IGRPEN1_EL1, "ICC_IGRPEN1_EL1"),
    (ICC_AP0R0_EL1, "ICC_AP0R0_EL1"),
    (ICC_AP1R0_EL1, "ICC_AP1R0_EL1"),
];

fn icc_line(affinity: Affinity, encoding: u16, name: &'static str) -> Line {
    let id = icc_id(affinity, encoding);
    let def = RegDef::state(id, name, 8);
    let rule = match encoding {
        ICC_SRE_EL1 => Rule::IDENTITY,
        ICC_CTLR_EL1 => Rule { fit: Fit::Fields(&ICC_CTLR_FIELDS), ..Rule::STATE },
        _ => Rule::STATE,
    };
    Line { key: Key::Icc(encoding), def: def.rule(rule) }
}

/// The id of a CPU interface register.
pub(crate) fn icc_id(affinity: Affinity, encoding: u16) -> RegId {
    of_cpu(GRP_CPU_SYSREGS, affinity, encoding.into())
}

/// The fields of `ICC_CTLR_EL1` that are the host's hardware; the others are state.
static ICC_CTLR_FIELDS: [Field; 4] = [
    icc_ctlr_field("PRIbits", 8, 3, Direction::Same),
    icc_ctlr_field("IDbits", 11, 3, Direction::LowerIsSafe),
    icc_ctlr_field("SEIS", 14, 1, Direction::Same),
    icc_ctlr_field("A3V", 15, 1, Direction::Same),
];

const fn icc_ctlr_field(name: &'static str, shift: u8, width: u8, direction: Direction) -> Field {
    Field { name, shift, width, signed: false, direction }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_reg::{Absent, Readback};
    use std::collections::BTreeSet;

    fn ids(nr_irqs: u32, cpus: &[Affinity]) -> Vec<(Scope, RegDef)> {
        let sections = reg_defs(nr_irqs, cpus).unwrap().into_iter();
        sections.flat_map(|(scope, defs)| defs.into_iter().map(move |def| (scope, def))).collect()
    }

    #[test]
    fn every_register_stands_once() {
        let cpus = [Affinity(0), Affinity(1), Affinity(0x1_0203)];
        for nr_irqs in [64, 288, 992] {
            let defs = ids(nr_irqs, &cpus);
            let unique: BTreeSet<RegId> = defs.iter().map(|(_, def)| def.id).collect();
            assert_eq!(unique.len(), defs.len());
            let words = nr_irqs as usize / 32 - 1;
            assert_eq!(defs.len(), 7 + words * (5 + 2 + 8 + 32) + cpus.len() * 29);
        }
    }

    #[test]
    fn ids_are_the_attributes_kvm_documents() {
        let defs = ids(288, &[Affinity(0), Affinity(0x102)]);
        let find = |name: &str, scope: Scope| {
            let found = defs.iter().find(|(at, def)| *at == scope && def.name == name);
            (found.unwrap().1.id, found.unwrap().1.width)
        };
        let cpu1 = scope_of(1);
        assert_eq!(find("GICD_ISENABLER1", Scope::Vm), (RegId::gic(1, 0x104), 4));
        assert_eq!(find("GICD_IROUTER42", Scope::Vm), (RegId::gic(1, 0x6150), 4));
        assert_eq!(find("GICD_IPRIORITYR8", Scope::Vm), (RegId::gic(1, 0x420), 4));
        assert_eq!(find("LEVEL_INFO1", Scope::Vm), (RegId::gic(7, 32), 4));
        assert_eq!(find("LEVEL_INFO0", cpu1), (RegId::gic(7, 0x102 << 32), 4));
        assert_eq!(find("GICR_ISPENDR0", cpu1), (RegId::gic(5, 0x102_0001_0200), 4));
        assert_eq!(find("ICC_PMR_EL1", cpu1), (RegId::gic(6, 0x102_0000_c230), 8));
        assert_eq!(find("NR_IRQS", Scope::Vm), (RegId::gic(3, 0), 4));
    }

    #[test]
    fn no_register_that_only_clears_is_state() {
        let clearing = [0x180, 0x280, 0x380].map(|base| base..base + 0x80);
        for (_, def) in ids(992, &[Affinity(0)]) {
            let RegId::Gic { group, attr } = def.id else { panic!("{}", def.id) };
            let offset = if group == 5 { attr & 0xffff } else { attr };
            let frame = group == 1 || (group == 5 && attr & 0x1_0000 != 0);
            assert!(!(frame && clearing.iter().any(|row| row.contains(&offset))), "{}", def.name);
        }
    }

    #[test]
    fn absent_or_changed_registers_are_never_passed_over() {
        for (_, def) in ids(64, &[Affinity(0)]) {
            assert_eq!(def.rule.absent, Absent::Refuse);
            assert_eq!(def.rule.readback, Readback::Equal);
            assert_eq!(def.class, abide_reg::Class::Mandatory);
        }
    }
}
