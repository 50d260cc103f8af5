//! The CPUs' identity: the VM's, and what single vCPUs show instead.

use super::{Pending, RestoreError, register_error};
use crate::machine::Machine;
use crate::save::{OWN_IDENTITIES as OWN, cpu_unit};
use crate::units::Unit;
use abide_arm64::features::{self, CpuFeatures};
use abide_arm64::kvm;
use abide_contract::{Step, Verdict};
use abide_engine::Unimplemented;
use abide_reg::{Class, Entry, IntakeError, RegError, Registers, Scope, Value, VcpuId};

const UNIT: Unit = Unit::Identity;

const BITS: &str = "a bit for each vCPU but the first that has registers of its own";

fn refused(scope: Scope, source: IntakeError) -> RestoreError {
    RestoreError::Intake { unit: UNIT.name(), scope, source }
}

fn refused_bits(own: u64) -> RestoreError {
    let (id, found) = (OWN.id, Value::u64(own));
    refused(Scope::Vm, IntakeError::Value { id, found, allowed: BITS })
}

impl Pending {
    /// The features with which the vCPUs must be made. What is not a register of the right width
    /// is refused where it is written.
    pub(super) fn cpu_features(&self) -> CpuFeatures {
        let of_vm = self.entries(UNIT, Scope::Vm).unwrap_or_default();
        let of_boot_cpu = self.entries(Unit::Cpu, Scope::Vcpu(VcpuId(0))).unwrap_or_default();
        let entry = |entries: &[Entry], id| {
            entries.iter().find(|entry| entry.id == id).map(|entry| entry.value.clone())
        };
        let mut features =
            CpuFeatures::shown_by(|id| entry(of_vm, id).and_then(|value| value.to_u64()));
        features.vector_lengths = entry(of_boot_cpu, kvm::SVE_VLS)
            .and_then(|value| features::vector_lengths(value.as_bytes()));
        let number = |id| entry(of_vm, id).and_then(|value| value.to_u64());
        let [first, second] = kvm::PMU_EVENTS.map(number);
        features.pmu_events = first.zip(second).map(|(first, second)| [first, second]);
        features
    }
}

impl Machine {
    pub(super) fn restore_identity(&mut self, pending: &mut Pending) -> Result<(), RestoreError> {
        let own = self.take_own(pending)?;
        self.restore_vm(UNIT, pending)?;
        for vcpu in (1..self.board.vcpu_count).map(VcpuId) {
            let scope = Scope::Vcpu(vcpu);
            if own >> vcpu.0 & 1 == 1 {
                self.restore_own(vcpu, own, pending)?;
            } else if pending.class_of(UNIT, scope) == Some(Class::Mandatory) {
                return Err(refused_bits(own));
            }
        }
        for Unimplemented { vcpu, id, shown, done } in self.vm.unimplemented() {
            let scope = if vcpu == VcpuId(0) { Scope::Vm } else { Scope::Vcpu(vcpu) };
            let verdict = Verdict::accepted(id, &shown, &done);
            let step = Step { scope, id, value: Some(shown), verdict, how: None };
            pending.report.steps.push((UNIT.name(), step));
        }
        Ok(())
    }

    /// Takes [`OWN`] out of the VM's record: which vCPUs have a record of their own.
    fn take_own(&self, pending: &mut Pending) -> Result<u64, RestoreError> {
        let Some(entry) = pending.take_entry(UNIT, Scope::Vm, OWN.id) else { return Ok(0) };
        let (id, found) = (OWN.id, entry.value.width());
        if found != OWN.width {
            return Err(refused(Scope::Vm, IntakeError::Width { id, found, allowed: OWN.width }));
        }
        let own = entry.value.to_u64().unwrap_or(0);
        let vcpus = u64::MAX >> (u64::BITS - self.board.vcpu_count);
        // What vCPU 0 shows is the VM's.
        if own == 0 || own & !(vcpus & !1) != 0 {
            return Err(refused_bits(own));
        }
        if !self.vm.has_own_identities() {
            let vcpu = VcpuId(own.trailing_zeros());
            return Err(RestoreError::OwnIdentity { vcpu, engine: self.engine });
        }
        pending.report.registers += 1;
        Ok(own)
    }

    fn restore_own(
        &mut self,
        vcpu: VcpuId,
        own: u64,
        pending: &mut Pending,
    ) -> Result<(), RestoreError> {
        let scope = Scope::Vcpu(vcpu);
        for entry in pending.entries(UNIT, scope)? {
            check_own(&*self.vcpus[vcpu.index()], entry)
                .map_err(|source| register_error(UNIT.name(), scope, entry.id, source))?;
        }
        let written = self.store_record(vcpu, UNIT, scope, pending)?;
        if written.is_empty() {
            return Err(refused_bits(own));
        }
        pending.report.written.of_own += written.len();
        Ok(())
    }
}

/// An ID register and another value than the VM's, which the vCPU shows so far. What is not a
/// register at all is for others to judge.
fn check_own(vcpu: &(impl Registers + ?Sized), entry: &Entry) -> Result<(), RegError> {
    let (id, found) = (entry.id, entry.value.clone());
    let Ok(of_vm) = vcpu.load(id) else { return Ok(()) };
    if cpu_unit(id) != UNIT {
        return Err(RegError::Refused { id, found, allowed: "an ID register here" });
    }
    if of_vm == found {
        return Err(RegError::Refused { id, found, allowed: "another value than the VM's" });
    }
    Ok(())
}
