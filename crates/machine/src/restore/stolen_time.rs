//! Records of stolen time: taken from the file, and held against what the host keeps, before there
//! is a machine.

use super::{Pending, RestoreError};
use crate::stolen_time::{Records, offer};
use crate::units::Unit;
use abide_contract::{Held, Profile, Verdict, rules, step};
use abide_engine::Engine;
use abide_pvtime::{NO_VERSION, StolenTime};
use abide_reg::{Class, Scope, Value, VcpuId};
use std::collections::BTreeSet;

const UNIT: Unit = Unit::PvTime;

impl Pending {
    /// The vCPUs' records, if the guest has any: then each vCPU has one.
    pub(super) fn build_stolen_time(
        &mut self,
        engine: &dyn Engine,
        vcpu_count: u32,
    ) -> Result<Option<Records>, RestoreError> {
        let scopes = || (0..vcpu_count).map(|n| Scope::Vcpu(VcpuId(n)));
        if scopes().all(|scope| self.class_of(UNIT, scope).is_none()) {
            return Ok(None);
        }
        let mut states = Vec::new();
        for scope in scopes() {
            states.push(self.build(UNIT, scope, StolenTime::restore)?);
        }
        self.judge_revisions(engine, &states)?;
        if let Some((n, source)) = Records::misplaced(&states) {
            let scope = scopes().nth(n).unwrap_or(Scope::Vm);
            return Err(RestoreError::Intake { unit: UNIT.name(), scope, source });
        }
        Ok(Some(Records::of(&states)?))
    }

    /// Refuses revisions that `engine` does not keep, in a plan's words.
    fn judge_revisions(
        &mut self,
        engine: &dyn Engine,
        states: &[StolenTime],
    ) -> Result<(), RestoreError> {
        let mut host = Profile { name: engine.name().to_owned(), ..Profile::default() };
        host.offers.insert(rules::PVTIME, offer(&engine.stolen_time(), NO_VERSION));
        let revisions = states.iter().map(|state| state.record.revision);
        let versions = revisions.map(|revision| revision.version().unwrap_or(u32::MAX));
        for version in versions.collect::<BTreeSet<u32>>() {
            let held = Held {
                scope: Scope::Vm,
                id: rules::PVTIME,
                class: Class::Mandatory,
                value: Some(Value::u32(version)),
                of_machine: false,
            };
            let step = step(&self.guest, &held, &host);
            if matches!(step.verdict, Verdict::Refuse(_)) {
                self.refused.push((UNIT.name(), step));
            }
        }
        self.refuse(engine.name())
    }
}
