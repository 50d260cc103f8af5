//! What may happen to registers between two engines.

use abide_reg::{Absent, Readback, RegDef, RegId, Rule, Value};

/// The rule of a register that an engine holds. Those without a line of their own are plain state.
fn rule(id: RegId) -> Rule {
    let firmware = abide_firmware::spec::DEFS.iter().find(|def: &&RegDef| def.id == id);
    match firmware {
        Some(def) => def.rule,
        None => abide_arm64::rules::rule(id),
    }
}

/// Whether an engine without this register changes nothing for a guest that has this value in it.
pub(crate) fn may_be_absent(id: RegId, value: &Value) -> bool {
    match rule(id).absent {
        Absent::DropIfValue(safe) => value.to_u64() == Some(safe),
        Absent::Refuse | Absent::DropIfOff(_) => false,
    }
}

/// What must be read back of a register after it was written.
pub(crate) fn readback(id: RegId) -> Readback {
    rule(id).readback
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_arm64::kvm;
    use abide_firmware::spec::{REG_PSCI_VERSION, REG_VENDOR_HYP_BMAP_2};

    #[test]
    fn a_bitmap_that_offers_nothing_may_be_absent() {
        assert!(may_be_absent(REG_VENDOR_HYP_BMAP_2, &Value::u64(0)));
        assert!(!may_be_absent(REG_VENDOR_HYP_BMAP_2, &Value::u64(1)));
        assert!(!may_be_absent(REG_PSCI_VERSION, &Value::u64(0)));
        assert!(!may_be_absent(kvm::PC, &Value::u64(0)));
    }

    #[test]
    fn only_counters_run_by_themselves() {
        assert_eq!(readback(kvm::TIMER_CNT), Readback::Bound);
        assert_eq!(readback(kvm::TIMER_CVAL), Readback::Equal);
    }
}
