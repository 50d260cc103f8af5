//! Doing what guests asked of the machine through PSCI.

use super::Outcome;
use crate::bus::{Request, lock};
use crate::error::MachineError;
use crate::machine::Machine;
use abide_firmware::Effect;

impl Machine {
    /// Carries out every waiting request; a run ends with the outcome returned.
    pub(super) fn serve_firmware(&mut self) -> Result<Option<Outcome>, MachineError> {
        let requests = std::mem::take(&mut *lock(&self.bus.requests));
        let mut outcome = None;
        for Request { caller, effect } in requests {
            match effect {
                Effect::CpuOn { target, entry, context_id, .. } => {
                    if let Some(vcpu) = self.vcpus.get_mut(target.index()) {
                        vcpu.power_on(entry, context_id)?;
                    }
                }
                Effect::CpuOff => {
                    self.vcpus[caller.index()].power_off()?;
                    self.bus.switch_off(caller);
                }
                // The bus lets the caller wait by itself.
                Effect::Suspend => {}
                Effect::SystemOff | Effect::SystemOff2 => outcome = Some(Outcome::PoweredOff),
                Effect::SystemReset | Effect::SystemReset2 { .. } => outcome = Some(Outcome::Reset),
            }
        }
        Ok(outcome.map(|outcome| self.after_panic(outcome)))
    }

    /// A kernel that panicked often ends by a reset; what it said before is what happened.
    pub(super) fn after_panic(&self, outcome: Outcome) -> Outcome {
        if lock(&self.bus.console).has_panicked() { Outcome::Panicked } else { outcome }
    }
}
