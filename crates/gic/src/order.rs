//! The one order in which a controller is saved and restored, whoever holds the registers.
//!
//! **Save.** Reading has no side effects and any order will do, but one register hides: while
//! `ICC_CTLR_EL1.CBPR` is set, `ICC_BPR1_EL1` reads as BPR0 + 1. [`save`] takes CBPR away for the
//! one read and puts it back; no vCPU runs meanwhile.
//!
//! **Restore.** A kernel accepts nearly every write without effect, so identities are compared
//! before anything is written and everything is read back at the end. Between these:
//!
//! | step | why there |
//! |---|---|
//! | `GICD_IIDR` | its revision decides what other registers mean |
//! | `GICD_CTLR` | only flags; no vCPU runs |
//! | `GICR_PROPBASER`, `GICR_PENDBASER`, `GICR_CTLR` | tables are frozen once LPIs are on |
//! | `IC*` ← all ones, then `IS*` | `IS*` can only set: bits left from before would stay |
//! | `IROUTER` before `ISPENDR` | what becomes pending is queued at its target at once |
//! | `ICFGR` before `LEVEL_INFO` | a kernel shows the lines of level-triggered inputs only |
//! | `ISPENDR` | here it sets and clears the latch; `ICPENDR` would do nothing |
//! | `ICC_CTLR_EL1` without CBPR, BPRs, `ICC_CTLR_EL1` | with CBPR, writes of BPR1 are ignored |
//! | `ICC_AP0R0_EL1`, `ICC_AP1R0_EL1` | PRIbits in `ICC_CTLR_EL1` says how many there are |
//!
//! `[linux Documentation/virt/kvm/devices/arm-vgic-v3.rst]`, and measured on 6.1, 6.12 and 7.2.

use crate::Affinity;
use crate::entries::{Sections, dimensions};
use crate::error::{GicError, TransferError};
use crate::layout::{self, BitField, Key, Line, Section, icc_id};
use crate::spec::{
    ATTR_AFFINITY_SHIFT, GICD_ICACTIVER, GICD_ICENABLER, GICR_SGI_FRAME, GRP_DIST_REGS,
    GRP_REDIST_REGS, ICC_AP0R0_EL1, ICC_AP1R0_EL1, ICC_BPR0_EL1, ICC_BPR1_EL1, ICC_CTLR_CBPR,
    ICC_CTLR_EL1, ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1, ICC_PMR_EL1, ICC_SRE_EL1,
};
use crate::state::GicState;
use abide_reg::{Entry, RegId, Registers, Scope, Value};
use std::collections::BTreeMap;

/// One step of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write.
    Write {
        /// Whose register.
        scope: Scope,
        /// Its name in the specification.
        name: &'static str,
        /// The register.
        id: RegId,
        /// What to write.
        value: Value,
    },
    /// Read, and go no further where it differs.
    Expect {
        /// Whose register.
        scope: Scope,
        /// Its name in the specification.
        name: &'static str,
        /// The register.
        id: RegId,
        /// What it must hold.
        value: Value,
        /// The bits that count.
        mask: u64,
    },
}

/// Saves a controller. Scopes and registers stand in the canonical order, and the values are those
/// of [`GicState::to_entries`], whichever engine holds the registers.
///
/// No vCPU may run. Besides a CPU interface with CBPR set, nothing is written.
///
/// # Errors
/// [`TransferError`], naming the register.
pub fn save(
    registers: &mut dyn Registers,
    nr_irqs: u32,
    cpus: &[Affinity],
) -> Result<Sections, TransferError> {
    // Judges both arguments.
    layout::reg_defs(nr_irqs, cpus)?;
    let mut saved = Vec::new();
    for (index, (scope, lines)) in layout::layout(nr_irqs, cpus).into_iter().enumerate() {
        let affinity = cpus.get(index.wrapping_sub(1)).copied();
        let bpr1 = affinity.map(|cpu| load_bpr1(registers, scope, cpu)).transpose()?;
        let mut entries = Vec::with_capacity(lines.len());
        for Line { key, def } in lines {
            let value = match (key, &bpr1) {
                (Key::Icc(ICC_BPR1_EL1), Some(value)) => value.clone(),
                _ => load(registers, scope, def.name, def.id)?,
            };
            entries.push(Entry::new(def.id, def.class, value));
        }
        saved.push((scope, entries));
    }
    // By way of the canonical state: what it cannot hold is refused before it is lost, and values
    // that a kernel clamps only once the vCPU runs have the form they will have then.
    Ok(GicState::from_entries(saved)?.state.to_entries()?)
}

fn load(
    registers: &dyn Registers,
    scope: Scope,
    name: &'static str,
    id: RegId,
) -> Result<Value, TransferError> {
    registers.load(id).map_err(|source| TransferError::Load { scope, name, source })
}

fn store(
    registers: &mut dyn Registers,
    scope: Scope,
    name: &'static str,
    id: RegId,
    value: &Value,
) -> Result<(), TransferError> {
    registers.store(id, value).map_err(|source| TransferError::Store { scope, name, source })
}

/// BPR1 as it is without CBPR.
fn load_bpr1(
    registers: &mut dyn Registers,
    scope: Scope,
    cpu: Affinity,
) -> Result<Value, TransferError> {
    const CTLR: &str = "ICC_CTLR_EL1";
    let (ctlr_id, bpr1_id) = (icc_id(cpu, ICC_CTLR_EL1), icc_id(cpu, ICC_BPR1_EL1));
    let ctlr = load(registers, scope, CTLR, ctlr_id)?;
    let number = ctlr.to_u64().unwrap_or(0);
    if number & ICC_CTLR_CBPR == 0 {
        return load(registers, scope, "ICC_BPR1_EL1", bpr1_id);
    }
    store(registers, scope, CTLR, ctlr_id, &Value::u64(number & !ICC_CTLR_CBPR))?;
    let bpr1 = load(registers, scope, "ICC_BPR1_EL1", bpr1_id);
    // Also where the read failed: the guest goes on with what it had.
    store(registers, scope, CTLR, ctlr_id, &ctlr)?;
    bpr1
}

/// The steps that give a controller, new or used, exactly this state.
///
/// # Errors
/// As [`GicState::check`].
pub fn restore_plan(state: &GicState) -> Result<Vec<Step>, GicError> {
    let mut normal = state.clone();
    normal.normalise();
    let sections = normal.to_entries()?;
    let (nr_irqs, cpus) = dimensions(&sections)?;
    let planner = Planner::new(layout::layout(nr_irqs, &cpus), sections);
    Ok(planner.plan(&cpus))
}

/// Carries a restore out, to the first thing that is not as it must be.
///
/// # Errors
/// [`TransferError`], naming the register; the controller is then in no defined state.
pub fn restore(registers: &mut dyn Registers, state: &GicState) -> Result<(), TransferError> {
    for step in restore_plan(state)? {
        match step {
            Step::Write { scope, name, id, value } => store(registers, scope, name, id, &value)?,
            Step::Expect { scope, name, id, value: expected, mask } => {
                let found = load(registers, scope, name, id)?;
                if !same(&found, &expected, mask) {
                    return Err(TransferError::Differs { scope, name, id, found, expected, mask });
                }
            }
        }
    }
    Ok(())
}

fn same(found: &Value, expected: &Value, mask: u64) -> bool {
    let number = |value: &Value| value.to_u64().or_else(|| value.to_u32().map(u64::from));
    match (number(found), number(expected)) {
        (Some(left), Some(right)) => {
            found.width() == expected.width() && (left ^ right) & mask == 0
        }
        _ => false,
    }
}

/// All bits of a register count.
const ALL: u64 = u64::MAX;

struct Planner {
    sections: Vec<Section>,
    values: BTreeMap<RegId, Value>,
    steps: Vec<Step>,
}

impl Planner {
    fn new(sections: Vec<Section>, saved: Sections) -> Self {
        let entries = saved.into_iter().flat_map(|(_, entries)| entries);
        let values = entries.map(|entry| (entry.id, entry.value)).collect();
        Self { sections, values, steps: Vec::new() }
    }

    fn plan(mut self, cpus: &[Affinity]) -> Vec<Step> {
        self.expect(|key| is_identity(key) && key != Key::GicdIidr);
        self.write(|key| key == Key::GicdIidr);
        self.expect(|key| key == Key::GicdIidr);
        self.write(|key| key == Key::GicdCtlr);
        self.write(|key| matches!(key, Key::Propbaser(_) | Key::Pendbaser(_)));
        self.write(|key| key == Key::GicrCtlr);
        self.clear(cpus);
        self.write(|key| matches!(key, Key::Bits(BitField::Group, _)));
        self.write(|key| matches!(key, Key::Route(_)));
        // Those of PPIs are fixed, and compared above.
        self.write(|key| matches!(key, Key::Config(n) if n >= 2));
        for field in [BitField::Enabled, BitField::Line, BitField::Latch, BitField::Active] {
            self.write(|key| matches!(key, Key::Bits(found, _) if found == field));
        }
        self.write(|key| matches!(key, Key::Priority(_)));
        self.write(|key| key == Key::Icc(ICC_SRE_EL1));
        self.binary_points();
        for encoding in
            [ICC_PMR_EL1, ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1, ICC_AP0R0_EL1, ICC_AP1R0_EL1]
        {
            self.write(|key| key == Key::Icc(encoding));
        }
        // Triggering first: a line that seems wrong may only be shown differently.
        self.expect(|key| matches!(key, Key::Config(n) if n >= 2));
        self.expect(|key| {
            !is_identity(key) && !matches!(key, Key::Config(_)) && key != Key::Icc(ICC_BPR1_EL1)
        });
        self.steps
    }

    fn chosen(&self, choose: impl Fn(Key) -> bool) -> Vec<(Scope, Line, Value)> {
        let lines = self
            .sections
            .iter()
            .flat_map(|(scope, lines)| lines.iter().map(move |line| (*scope, *line)));
        lines
            .filter(|(_, line)| choose(line.key))
            .filter_map(|(scope, line)| Some((scope, line, self.values.get(&line.def.id)?.clone())))
            .collect()
    }

    fn write(&mut self, choose: impl Fn(Key) -> bool) {
        for (scope, Line { def, .. }, value) in self.chosen(choose) {
            self.steps.push(Step::Write { scope, name: def.name, id: def.id, value });
        }
    }

    fn expect(&mut self, choose: impl Fn(Key) -> bool) {
        for (scope, Line { key, def }, value) in self.chosen(choose) {
            let mask = self.mask(scope, key);
            self.steps.push(Step::Expect { scope, name: def.name, id: def.id, value, mask });
        }
    }

    /// A kernel shows the lines of level-triggered inputs only; those of others mean nothing to it.
    fn mask(&self, scope: Scope, key: Key) -> u64 {
        let Key::Bits(BitField::Line, word) = key else { return ALL };
        if word == 0 {
            // PPIs are level-triggered, and SGIs have no inputs.
            return ALL;
        }
        let configs =
            self.chosen(|key| key == Key::Config(2 * word) || key == Key::Config(2 * word + 1));
        let of_scope = configs.iter().filter(|(at, ..)| *at == scope);
        let mut mask = 0_u64;
        for (_, line, value) in of_scope {
            let Key::Config(n) = line.key else { continue };
            let config = value.to_u32().unwrap_or(0);
            let level = (0..16).filter(|place| config >> (2 * place) & 2 == 0);
            mask |= level.fold(0, |mask, place| mask | 1 << (16 * (n % 2) + place));
        }
        mask
    }

    /// Takes away all that `IS*` could only add to.
    fn clear(&mut self, cpus: &[Affinity]) {
        let ones = Value::u32(u32::MAX);
        let of_field = |field: BitField| {
            self.chosen(move |key| matches!(key, Key::Bits(found, _) if found == field))
        };
        let mut steps = Vec::new();
        for (field, base, name) in [
            (BitField::Enabled, GICD_ICENABLER, "ICENABLER"),
            (BitField::Active, GICD_ICACTIVER, "ICACTIVER"),
        ] {
            for (scope, line, _) in of_field(field) {
                let Key::Bits(_, word) = line.key else { continue };
                let id = match scope {
                    Scope::Vcpu(vcpu) => {
                        let Some(cpu) = cpus.get(vcpu.index()) else { continue };
                        let offset = u64::from(GICR_SGI_FRAME + base);
                        RegId::gic(
                            GRP_REDIST_REGS,
                            u64::from(cpu.0) << ATTR_AFFINITY_SHIFT | offset,
                        )
                    }
                    _ => RegId::gic(GRP_DIST_REGS, u64::from(base + 4 * word)),
                };
                steps.push(Step::Write { scope, name, id, value: ones.clone() });
            }
        }
        self.steps.extend(steps);
    }

    /// BPR1 is written, and read back, while CBPR is not set.
    fn binary_points(&mut self) {
        for (scope, line, value) in self.chosen(|key| key == Key::Icc(ICC_CTLR_EL1)) {
            let number = value.to_u64().unwrap_or(0) & !ICC_CTLR_CBPR;
            let (name, id, value) = (line.def.name, line.def.id, Value::u64(number));
            self.steps.push(Step::Write { scope, name, id, value });
        }
        for encoding in [ICC_BPR0_EL1, ICC_BPR1_EL1] {
            self.write(|key| key == Key::Icc(encoding));
        }
        self.expect(|key| key == Key::Icc(ICC_BPR1_EL1));
        self.write(|key| key == Key::Icc(ICC_CTLR_EL1));
    }
}

fn is_identity(key: Key) -> bool {
    matches!(
        key,
        Key::NrIrqs
            | Key::GicdIidr
            | Key::GicdTyper
            | Key::GicdTyper2
            | Key::GicrIidr
            | Key::GicrTyper(_)
            | Key::Config(1)
    )
}
