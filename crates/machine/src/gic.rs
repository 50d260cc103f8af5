//! The interrupt controller's registers, whoever holds them, in the order of `abide-gic`.

use crate::board::mpidr;
use crate::error::{MachineError, RestoreError};
use crate::machine::Machine;
use crate::restore::{Changed, Pending};
use crate::units::Unit;
use abide_engine::Irqchip;
use abide_gic::{Affinity, GicConfig, GicState, Normalised};
use abide_reg::{Entry, RegDef, RegError, RegId, Registers, Scope, Value, VcpuId};

/// What the board's controller is made of.
pub(crate) fn config(vcpu_count: u32, intids: u32) -> GicConfig {
    GicConfig::new((0..vcpu_count).map(affinity), intids)
}

fn affinity(vcpu: u32) -> Affinity {
    Affinity::from_mpidr(mpidr(vcpu))
}

/// The definitions of the controller's registers, for so many vCPUs and INTIDs.
pub(crate) fn definitions(vcpu_count: u32, intids: u32) -> Vec<RegDef> {
    let cpus: Vec<Affinity> = (0..vcpu_count).map(affinity).collect();
    let sections = abide_gic::reg_defs(intids, &cpus).unwrap_or_default();
    sections.into_iter().flat_map(|(_, defs)| defs).collect()
}

/// An [`Irqchip`] as a holder of registers.
struct Chip<'a> {
    irqchip: &'a dyn Irqchip,
    vcpu_count: u32,
    intids: u32,
}

impl Registers for Chip<'_> {
    fn reg_ids(&self) -> Vec<RegId> {
        definitions(self.vcpu_count, self.intids).into_iter().map(|def| def.id).collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        self.irqchip.load(id)
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        self.irqchip.store(id, value)
    }
}

impl Machine {
    pub(crate) fn gic_entries(&self) -> Result<Vec<(Scope, Vec<Entry>)>, MachineError> {
        let vcpu_count = self.board.vcpu_count;
        let cpus: Vec<Affinity> = (0..vcpu_count).map(affinity).collect();
        let intids = self.gic_intids;
        let mut chip = Chip { irqchip: self.irqchip.as_ref(), vcpu_count, intids };
        Ok(abide_gic::save(&mut chip, intids, &cpus)?)
    }

    pub(crate) fn restore_gic(&mut self, pending: &mut Pending) -> Result<(), RestoreError> {
        let vcpu_count = self.board.vcpu_count;
        let vcpus = (0..vcpu_count).map(|n| Scope::Vcpu(VcpuId(n)));
        let mut sections = Vec::new();
        for scope in std::iter::once(Scope::Vm).chain(vcpus) {
            let entries = pending.take(Unit::Gic, scope)?;
            pending.report.registers += entries.len();
            sections.push((scope, entries));
        }
        let taken = GicState::from_entries(sections)?;
        let unit = Unit::Gic.name();
        for (scope, entries) in taken.dropped {
            pending.report.registers -= entries.len();
            for entry in entries {
                pending.drop_entry(unit, scope, entry.id);
            }
        }
        for (scope, entries) in taken.carried {
            pending.report.registers -= entries.len();
            pending.carry(unit, scope, entries);
        }
        pending.report.changed.extend(taken.normalised.into_iter().map(|normalised| {
            let Normalised { scope, id, name, found, made } = normalised;
            Changed { unit, scope, id, name, found, made }
        }));
        let intids = self.gic_intids;
        let mut chip = Chip { irqchip: self.irqchip.as_ref(), vcpu_count, intids };
        abide_gic::restore(&mut chip, &taken.state)?;
        Ok(())
    }
}
