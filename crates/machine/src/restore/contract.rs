//! The contract in a file: read, and held against what else the file says.

use super::Pending;
use crate::contract::GuestContract;
use crate::error::RestoreError;
use crate::units::Unit;
use abide_reg::Scope;
use abide_snapshot::Digest;

impl Pending {
    /// Takes the contract of a file whose header tells of `told`, zeros for none.
    pub(super) fn take_contract(
        &mut self,
        told: Digest,
    ) -> Result<Option<GuestContract>, RestoreError> {
        let scope = Scope::Vm;
        if !self.states.contains_key(&(Unit::Contract.name(), scope)) {
            return GuestContract::none(told).map(|()| None).map_err(RestoreError::Contract);
        }
        let entries = self.take(Unit::Contract, scope)?;
        let taken = entries.len();
        let (contract, leftover) =
            GuestContract::restore(entries).map_err(RestoreError::Contract)?;
        contract.check_told(told).map_err(RestoreError::Contract)?;
        self.note_left(Unit::Contract.name(), scope, taken, leftover);
        for state in self.states.values() {
            for entry in &state.entries {
                contract.check_saved(state.scope, entry).map_err(RestoreError::Contract)?;
            }
        }
        Ok(Some(contract))
    }
}
