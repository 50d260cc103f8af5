//! The software controller under the checks that every unit with saved state must pass.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use abide_gic::{Affinity, GicConfig, GicError, GicState, GicV3, IntId, Sections, reg_defs, spec};
use abide_reg::{Entry, IntakeError, Leftover, RegDef, RegId, Rule, Scope, Value, VcpuId};
use abide_testkit::conformance::{Plan, Subject, check};
use std::collections::BTreeMap;

const CPUS: [Affinity; 2] = [Affinity(0), Affinity(1)];
const NR_IRQS: u32 = 64;

/// Registers that a guest writes.
const WORDS: [u32; 9] = [
    spec::GICD_IGROUPR,
    spec::GICD_ISENABLER,
    spec::GICD_ICENABLER,
    spec::GICD_ISPENDR,
    spec::GICD_ICPENDR,
    spec::GICD_ISACTIVER,
    spec::GICD_ICACTIVER,
    spec::GICD_IPRIORITYR,
    spec::GICD_ICFGR,
];

const SYSREGS: [u16; 16] = [
    spec::ICC_PMR_EL1,
    spec::ICC_BPR0_EL1,
    spec::ICC_BPR1_EL1,
    spec::ICC_CTLR_EL1,
    spec::ICC_IGRPEN0_EL1,
    spec::ICC_IGRPEN1_EL1,
    spec::ICC_AP0R0_EL1,
    spec::ICC_AP1R0_EL1,
    spec::ICC_IAR0_EL1,
    spec::ICC_IAR1_EL1,
    spec::ICC_EOIR0_EL1,
    spec::ICC_EOIR1_EL1,
    spec::ICC_DIR_EL1,
    spec::ICC_SGI0R_EL1,
    spec::ICC_SGI1R_EL1,
    spec::ICC_HPPIR1_EL1,
];

struct Unit(GicV3);

/// How a machine's restore of the controller refuses: what a CPU interface clamps is found when it
/// is read back.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Gic(#[from] GicError),
    #[error(transparent)]
    Shape(#[from] IntakeError),
    #[error("{id}: {found} is read back")]
    Clamped { id: RegId, found: Value },
}

/// `NR_IRQS` and the affinity in the id of each `GICR_TYPER` decide which registers there are. They
/// are looked up before any shape is checked: without them the controller's own refusal names what
/// it looked for, which need not be the id that is missing.
fn check_dimensions(entries: &[Entry]) -> Result<(), IntakeError> {
    let table = Unit::table();
    let decides = |def: &&RegDef| matches!(def.name, "NR_IRQS" | "GICR_TYPER.low");
    for def in table.iter().filter(decides) {
        let found = entries.iter().find(|entry| entry.id == def.id);
        let missing = IntakeError::Missing { id: def.id, name: def.name };
        let found = found.ok_or(missing)?.value.width();
        if found != def.width {
            return Err(IntakeError::Width { id: def.id, found, allowed: def.width });
        }
    }
    Ok(())
}

fn layout() -> Vec<(Scope, Vec<RegDef>)> {
    reg_defs(NR_IRQS, &CPUS).expect("a controller of this size")
}

/// One list of registers as sections: what belongs to no scope stands with the VM's.
fn sections(entries: Vec<Entry>) -> Sections {
    let layout = layout();
    let mut sections: Sections = layout.iter().map(|(scope, _)| (*scope, Vec::new())).collect();
    for entry in entries {
        let place = layout
            .iter()
            .position(|(_, defs)| defs.iter().any(|def| def.id == entry.id))
            .unwrap_or(0);
        sections[place].1.push(entry);
    }
    sections
}

fn flat(sections: Sections) -> Vec<Entry> {
    sections.into_iter().flat_map(|(_, entries)| entries).collect()
}

impl Unit {
    /// A guest's accesses to one field of all private interrupts, or of all SPIs.
    fn access(&mut self, cpu: VcpuId, random: u64) -> u64 {
        let word = WORDS[place(random >> 8, WORDS.len())];
        // Of a register for each INTID there are as many words as bits for one.
        let words = match word {
            spec::GICD_IPRIORITYR => 8,
            spec::GICD_ICFGR => 2,
            _ => 1,
        };
        let mut seen = 0_u64;
        for n in 0..words {
            let value = random.rotate_left(32 + 5 * u32::try_from(n).unwrap_or(0));
            let read = if random & 0x80 == 0 {
                let offset = u64::from(spec::GICR_SGI_FRAME + word) + 4 * n;
                self.0.redist_write(cpu, offset, 4, value);
                self.0.redist_read(cpu, offset, 4)
            } else {
                // SPIs come behind as many words for SGIs and PPIs.
                let offset = u64::from(word) + 4 * (words + n);
                self.0.dist_write(offset, 4, value);
                self.0.dist_read(offset, 4)
            };
            seen = seen.rotate_left(9) ^ read;
        }
        seen
    }

    fn sysreg(&mut self, cpu: VcpuId, random: u64) -> u64 {
        let encoding = SYSREGS[place(random >> 8, SYSREGS.len())];
        let value = match encoding {
            // A group that is enabled and a mask that lets something through, more often than not.
            spec::ICC_IGRPEN0_EL1 | spec::ICC_IGRPEN1_EL1 => u64::from(random >> 16 & 3 != 0),
            spec::ICC_PMR_EL1 if random & 0x40 == 0 => 0xf8,
            spec::ICC_CTLR_EL1 => random >> 16 & 3,
            spec::ICC_EOIR0_EL1 | spec::ICC_EOIR1_EL1 | spec::ICC_DIR_EL1 => random >> 16 & 0x3f,
            spec::ICC_SGI0R_EL1 | spec::ICC_SGI1R_EL1 => {
                (random >> 16 & 0xf) << 24 | (random >> 20 & 1) << 40 | (random >> 21 & 3)
            }
            spec::ICC_AP0R0_EL1 | spec::ICC_AP1R0_EL1 => random & random >> 16 & 0xffff_ffff,
            _ => random >> 16 & 0xff,
        };
        let read = self.0.sysreg_read(cpu, encoding).unwrap_or(u64::MAX);
        self.0.sysreg_write(cpu, encoding, value);
        read
    }

    /// Routes half of the SPIs, each to another CPU or to none.
    fn route(&mut self, random: u64) -> u64 {
        let mut seen = 0;
        for spi in (32 + (random & 1)..64).step_by(2) {
            let offset = u64::from(spec::GICD_IROUTER) + 8 * spi;
            self.0.dist_write(offset, 8, random >> (spi & 31) & 3);
            seen = seen << 2 | self.0.dist_read(offset, 8);
        }
        seen
    }

    fn table_register(&mut self, cpu: VcpuId, random: u64) -> u64 {
        let size = if random & 0x80 == 0 { 8 } else { 4 };
        let offset: u32 = match random >> 8 & 3 {
            0 => spec::GICR_PROPBASER,
            1 => spec::GICR_PENDBASER,
            2 => return self.route(random >> 10),
            _ => {
                self.0.dist_write(spec::GICD_CTLR.into(), 4, random >> 16 & 0xff);
                return self.0.dist_read(spec::GICD_CTLR.into(), 4);
            }
        };
        let half = if size == 4 { u64::from(offset) + (random >> 10 & 4) } else { offset.into() };
        self.0.redist_write(cpu, half, size, random.rotate_left(20));
        self.0.redist_read(cpu, half, size)
    }
}

fn place(random: u64, len: usize) -> usize {
    usize::try_from(random & 0xff).unwrap_or(0) % len
}

impl Subject for Unit {
    const NAME: &'static str = "gic";
    type Error = RestoreError;

    fn table() -> Vec<RegDef> {
        layout().into_iter().flat_map(|(_, defs)| defs).collect()
    }

    fn fresh() -> Self {
        Self(GicV3::new(GicConfig::new(CPUS, NR_IRQS)).expect("a controller of this size"))
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        let cpu = VcpuId(u32::from(random & 0x10 != 0));
        let level = random & 0x20 != 0;
        let intid = u32::try_from(random >> 8 & 0x3f).unwrap_or(0);
        let seen = match random & 0xf {
            0 | 1 => {
                self.0.set_spi(IntId(intid | 32), level);
                0
            }
            2 => {
                self.0.set_ppi(cpu, IntId(16 | intid & 0xf), level);
                0
            }
            3..=7 => self.access(cpu, random),
            8 | 9 => self.table_register(cpu, random),
            _ => self.sysreg(cpu, random),
        };
        let outputs = [VcpuId(0), VcpuId(1)].map(|cpu| self.0.outputs(cpu));
        let mut bytes = seen.to_le_bytes().to_vec();
        bytes.extend(outputs.iter().flat_map(|out| [u8::from(out.irq), u8::from(out.fiq)]));
        bytes
    }

    fn save(&self) -> Vec<Entry> {
        flat(self.0.state().to_entries().expect("what a controller reaches can be saved"))
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), RestoreError> {
        check_dimensions(&entries)?;
        let given: BTreeMap<RegId, Value> =
            entries.iter().map(|entry| (entry.id, entry.value.clone())).collect();
        let taken = GicState::from_entries(sections(entries))?;
        let leftover = Leftover { carried: flat(taken.carried), dropped: flat(taken.dropped) };
        let unit = Self(GicV3::from_state(&taken.state)?);
        match unit.save().into_iter().find(|entry| given.get(&entry.id) != Some(&entry.value)) {
            Some(entry) => Err(RestoreError::Clamped { id: entry.id, found: entry.value }),
            None => Ok((unit, leftover)),
        }
    }

    fn cause(error: &RestoreError) -> Option<&IntakeError> {
        match error {
            RestoreError::Shape(source) | RestoreError::Gic(GicError::Intake { source, .. }) => {
                Some(source)
            }
            _ => None,
        }
    }

    /// What the controller is, and what is fixed in it.
    fn constant() -> Vec<RegId> {
        let table = Self::table();
        let fixed = ["GICR_CTLR", "ICC_SRE_EL1", "GICR_ICFGR0", "GICR_ICFGR1"];
        let is_fixed = |def: &&RegDef| def.rule == Rule::IDENTITY || fixed.contains(&def.name);
        table.iter().filter(is_fixed).map(|def| def.id).collect()
    }
}

/// Lives long enough for every register to have changed.
const PLAN: Plan = Plan { seed: 1, steps: 700, tail: 24, moments: 3, values: 1024 };

#[test]
fn controller_conforms() {
    for seed in 1..=3 {
        let report =
            check::<Unit>(&Plan { seed, ..PLAN }).unwrap_or_else(|fault| panic!("{fault}"));
        assert!(report.round_trips > 1000, "{report:?}");
        assert!(report.refused > 100 && report.accepted > 100, "{report:?}");
    }
}
