//! Whose a register is, measured: written on one vCPU, read on another.

use crate::profile::{Profile, Whose};
use abide_reg::{RegId, Registers, Value};

/// Finds out for each register of `profile` that takes another value whether it is the VM's or each
/// vCPU's: a write on `one` that `other` sees too was to the VM. Where nothing else is taken, or
/// the register moves by itself, what the profile says stays.
///
/// Returns the registers of which the profile said something else.
pub fn measure_scopes(
    one: &mut dyn Registers,
    other: &dyn Registers,
    profile: &mut Profile,
) -> Vec<RegId> {
    let mut corrected = Vec::new();
    for (&id, offer) in &mut profile.offers {
        let Some(found) = scope(one, other, id) else { continue };
        if found != offer.scope {
            offer.scope = found;
            corrected.push(id);
        }
    }
    corrected
}

fn scope(one: &mut dyn Registers, other: &dyn Registers, id: RegId) -> Option<Whose> {
    let before = one.load(id).ok()?;
    let elsewhere = other.load(id).ok()?;
    // What changes while nobody writes is no answer.
    if one.load(id).ok()? != before || other.load(id).ok()? != elsewhere {
        return None;
    }
    before.to_number()?;
    let seen = while_turned(one, id, || other.load(id).ok())??;
    Some(if seen == elsewhere { Whose::Vcpu } else { Whose::Vm })
}

/// Whether the register takes another value than it holds, which is put back.
pub fn takes_another(registers: &mut dyn Registers, id: RegId) -> bool {
    while_turned(registers, id, || ()).is_some()
}

/// Turns one bit of a register after another until one is kept, looks, and puts back what it held.
/// `None` if none is kept.
fn while_turned<T>(registers: &mut dyn Registers, id: RegId, look: impl Fn() -> T) -> Option<T> {
    let before = registers.load(id).ok()?;
    for bit in 0..8 * before.width() {
        let mut bytes = before.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let turned = Value::bytes(&bytes);
        if registers.store(id, &turned).is_err() {
            continue;
        }
        let seen = (registers.load(id).ok()? == turned).then(&look);
        registers.store(id, &before).ok()?;
        if seen.is_some() {
            return seen;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Offer;
    use abide_reg::{RegError, Value};
    use std::cell::Cell;
    use std::rc::Rc;

    const SHARED: RegId = RegId::named("test.shared");
    const OWN: RegId = RegId::named("test.own");
    const FIXED: RegId = RegId::named("test.fixed");
    const RUNNING: RegId = RegId::named("test.running");

    /// One of two vCPUs.
    struct Half {
        shared: Rc<Cell<u64>>,
        own: u64,
        reads: Cell<u64>,
    }

    impl Registers for Half {
        fn reg_ids(&self) -> Vec<RegId> {
            vec![SHARED, OWN, FIXED, RUNNING]
        }

        fn load(&self, id: RegId) -> Result<Value, RegError> {
            self.reads.set(self.reads.get() + 1);
            Ok(Value::u64(match id {
                SHARED => self.shared.get(),
                OWN => self.own,
                RUNNING => self.reads.get(),
                _ => 7,
            }))
        }

        fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
            let number = value.to_u64().unwrap_or(0);
            match id {
                SHARED => self.shared.set(number),
                OWN => self.own = number,
                RUNNING => {}
                _ => return Err(RegError::Host { id, errno: 22 }),
            }
            Ok(())
        }
    }

    #[test]
    fn what_the_other_sees_is_the_vms() {
        let shared = Rc::new(Cell::new(5));
        let half = || Half { shared: Rc::clone(&shared), own: 3, reads: Cell::new(0) };
        let (mut one, other) = (half(), half());
        let mut profile = Profile::default();
        for id in one.reg_ids() {
            profile.offers.insert(id, Offer::state(Whose::Vcpu, 8));
        }
        profile.offers.insert(OWN, Offer::state(Whose::Vm, 8));
        assert_eq!(measure_scopes(&mut one, &other, &mut profile), [OWN, SHARED]);
        assert_eq!(profile.offers[&SHARED].scope, Whose::Vm);
        assert_eq!(profile.offers[&OWN].scope, Whose::Vcpu);
        assert_eq!(profile.offers[&FIXED].scope, Whose::Vcpu);
        assert_eq!(profile.offers[&RUNNING].scope, Whose::Vcpu);
        let taking: Vec<RegId> =
            one.reg_ids().into_iter().filter(|&id| takes_another(&mut one, id)).collect();
        assert_eq!(taking, [SHARED, OWN]);
        assert_eq!((shared.get(), one.own), (5, 3), "all is as it was");
    }
}
