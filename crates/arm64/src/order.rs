//! In which order registers are written to a fresh VM, with the reason for each place.

use crate::{kvm, rules};
use abide_reg::{Entry, RegId, Value};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// The kind of register, bits 27:16 of its id `[linux arch/arm64/include/uapi/asm/kvm.h]`.
const KIND_SHIFT: u32 = 16;
const KIND_MASK: u64 = 0xfff;
/// Cache sizes, one id for each CSSELR_EL1 value: `KVM_REG_ARM_DEMUX`.
const KIND_DEMUX: u64 = 0x11;
/// Firmware pseudo-registers: `KVM_REG_ARM_FW`.
const KIND_FIRMWARE: u64 = 0x14;
/// Hypercall bitmaps: `KVM_REG_ARM_FW_FEAT_BMAP`.
const KIND_BITMAP: u64 = 0x16;

/// A place in the order; smaller ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// ID registers: a kernel checks other registers against them. MPIDR_EL1 is with them: it is
    /// the vCPU's own, and the name by which the interrupt controller and PSCI know it.
    Identity,
    /// Firmware's versions and levels: a level of workaround 2 is judged by SSBS in an ID register.
    Firmware,
    /// Bitmaps of firmware's services.
    Bitmap,
    /// Registers whose ones clear: where a write clears, what the other sets would be lost.
    Clear,
    /// All else, registers whose ones set among it.
    State,
    /// Counters: on KVM each write moves time for the whole VM.
    Count,
    /// Comparators, before the timer that looks at them is switched on.
    Comparator,
    /// What switches timers on.
    TimerControl,
}

/// The place of a register.
#[must_use]
pub fn place(id: RegId) -> Place {
    if let RegId::Kvm(number) = id {
        match number >> KIND_SHIFT & KIND_MASK {
            KIND_DEMUX => return Place::Identity,
            KIND_FIRMWARE => return Place::Firmware,
            KIND_BITMAP => return Place::Bitmap,
            _ => {}
        }
    }
    match id {
        kvm::TIMER_CNT | kvm::PTIMER_CNT => Place::Count,
        kvm::TIMER_CVAL | kvm::PTIMER_CVAL => Place::Comparator,
        kvm::TIMER_CTL | kvm::PTIMER_CTL => Place::TimerControl,
        kvm::MPIDR_EL1 => Place::Identity,
        _ if rules::is_feature_id(id) || kvm::PMU_EVENTS.contains(&id) => Place::Identity,
        _ if kvm::set_clear_pair(id).is_some_and(|pair| pair.clear == id) => Place::Clear,
        _ => Place::State,
    }
}

/// Registers of one scope as they are to be written: in order, each once. Of two registers that
/// show the same bits, the one whose ones clear gets ones and the other then the value: that is
/// right where a write stores, and where it only sets or clears.
#[must_use]
pub fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    let ids: BTreeSet<RegId> = entries.iter().map(|entry| entry.id).collect();
    for entry in &mut entries {
        let pair = kvm::set_clear_pair(entry.id);
        if pair.is_some_and(|pair| pair.clear == entry.id && ids.contains(&pair.set)) {
            entry.value = Value::bytes(&vec![0xff; entry.value.width()]);
        }
    }
    entries.sort_by_key(|entry| place(entry.id));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SysReg;
    use abide_reg::Class;

    const fn sysreg(number: u64) -> RegId {
        RegId::Kvm(0x6030_0000_0013_0000 | number)
    }

    #[test]
    fn identities_are_first_and_timers_last() {
        let sysreg = |op1, crn, crm, op2| kvm::sysreg(SysReg::new(3, op1, crn, crm, op2));
        let of_kind = |number: u64| RegId::Kvm(0x6030_0000_0000_0000 | number);
        let order = [
            (sysreg(0, 0, 4, 0), Place::Identity),
            (sysreg(0, 0, 0, 5), Place::Identity),
            (sysreg(1, 0, 0, 1), Place::Identity),
            (sysreg(3, 0, 0, 1), Place::Identity),
            (RegId::Kvm(0x6020_0000_0011_0000), Place::Identity),
            (of_kind(0x14_0000), Place::Firmware),
            (of_kind(0x14_0002), Place::Firmware),
            (of_kind(0x16_0000), Place::Bitmap),
            (sysreg(3, 9, 12, 2), Place::Clear),
            (sysreg(0, 9, 14, 2), Place::Clear),
            (sysreg(3, 9, 12, 3), Place::Clear),
            (sysreg(3, 9, 12, 1), Place::State),
            (sysreg(3, 9, 14, 3), Place::State),
            (kvm::x(0), Place::State),
            // CSSELR_EL1 has CRn 0 but is a vCPU's own state.
            (sysreg(2, 0, 0, 0), Place::State),
            (sysreg(0, 1, 0, 0), Place::State),
            (kvm::TIMER_CNT, Place::Count),
            (kvm::PTIMER_CNT, Place::Count),
            (kvm::TIMER_CVAL, Place::Comparator),
            (kvm::PTIMER_CVAL, Place::Comparator),
            (kvm::TIMER_CTL, Place::TimerControl),
            (kvm::PTIMER_CTL, Place::TimerControl),
        ];
        for (id, expected) in order {
            assert_eq!(place(id), expected, "{id}");
        }
        assert!(order.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }

    const PMCNTENSET: RegId = sysreg(0xdce1);
    const PMCNTENCLR: RegId = sysreg(0xdce2);

    fn entry(id: RegId, value: u64) -> Entry {
        Entry::new(id, Class::Mandatory, Value::u64(value))
    }

    #[test]
    fn what_others_depend_on_comes_first_and_time_last() {
        let entries = vec![
            entry(kvm::TIMER_CTL, 1),
            entry(kvm::TIMER_CVAL, 2),
            entry(kvm::TIMER_CNT, 3),
            entry(kvm::PC, 4),
            entry(RegId::Kvm(0x6030_0000_0016_0000), 5),
            entry(RegId::Kvm(0x6030_0000_0014_0002), 6),
            entry(sysreg(0xc021), 7),
        ];
        let order = in_order(entries.clone());
        assert!(order.iter().eq(entries.iter().rev()), "{order:?}");
    }

    #[test]
    fn ones_are_cleared_before_the_value_is_set() {
        let order = in_order(vec![entry(PMCNTENSET, 5), entry(PMCNTENCLR, 5)]);
        assert_eq!(order, [entry(PMCNTENCLR, u64::MAX), entry(PMCNTENSET, 5)]);
        // Alone it holds what it says.
        assert_eq!(in_order(vec![entry(PMCNTENCLR, 5)]), [entry(PMCNTENCLR, 5)]);
    }
}
