//! State of a vCPU that KVM keeps outside its registers, as registers of abide's own.

use abide_reg::RegId;

/// Whether the vCPU executes, u32: [`MP_STATE_RUNNABLE`] or [`MP_STATE_STOPPED`], the numbers of
/// `KVM_GET_MP_STATE` `[linux Documentation/virt/kvm/api.rst 4.38]`.
pub(crate) const MP_STATE: RegId = RegId::named("cpu.mp_state");

/// It runs or waits for an interrupt.
pub(crate) const MP_STATE_RUNNABLE: u32 = 0;
/// It waits for PSCI CPU_ON.
pub(crate) const MP_STATE_STOPPED: u32 = 5;

/// Whether a vCPU of an arm64 guest can be in this state. Suspended (10) is left out: KVM shows it
/// only to those who asked for suspend events.
pub(crate) fn mp_state_is_known(number: u32) -> bool {
    matches!(number, MP_STATE_RUNNABLE | MP_STATE_STOPPED)
}

/// An SError that waits to be taken, u64: 0 for none, else bit 63 set, and if the syndrome is given
/// bit 62 set and ISS in bits 24:0 `[linux Documentation/virt/kvm/api.rst 4.31]`.
pub(crate) const SERROR: RegId = RegId::named("cpu.serror");

const SERROR_PENDING: u64 = 1 << 63;
const SERROR_HAS_ESR: u64 = 1 << 62;
/// ESR_ELx.ISS `[DDI0487 D24.2.40]`.
const ISS_MASK: u64 = (1 << 25) - 1;

/// A pending SError in the kernel's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingSerror {
    pub(crate) pending: bool,
    pub(crate) esr: Option<u64>,
}

impl PendingSerror {
    /// As a register's value.
    pub(crate) fn to_value(self) -> u64 {
        match self {
            Self { pending: false, .. } => 0,
            Self { pending: true, esr: None } => SERROR_PENDING,
            Self { pending: true, esr: Some(esr) } => {
                SERROR_PENDING | SERROR_HAS_ESR | esr & ISS_MASK
            }
        }
    }

    /// From a register's value; `None` where it has no meaning.
    pub(crate) fn from_value(value: u64) -> Option<Self> {
        let esr = (value & SERROR_HAS_ESR != 0).then_some(value & ISS_MASK);
        let read = Self { pending: value & SERROR_PENDING != 0, esr };
        (read.to_value() == value).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_part_of_the_state_format() {
        assert_eq!(MP_STATE.to_string(), "cpu.mp_state");
        assert_eq!(SERROR.to_string(), "cpu.serror");
        assert!([MP_STATE_RUNNABLE, MP_STATE_STOPPED].into_iter().all(mp_state_is_known));
        assert!(![1, 3, 10, u32::MAX].into_iter().any(mp_state_is_known));
    }

    #[test]
    fn serrors_survive_the_way_through_a_value_and_nonsense_does_not() {
        for (pending, esr) in [(false, None), (true, None), (true, Some(0)), (true, Some(ISS_MASK))]
        {
            let serror = PendingSerror { pending, esr };
            assert_eq!(PendingSerror::from_value(serror.to_value()), Some(serror));
        }
        for nonsense in [1, SERROR_HAS_ESR, SERROR_PENDING | 1, SERROR_PENDING | 1 << 30, !0] {
            assert_eq!(PendingSerror::from_value(nonsense), None, "{nonsense:#x}");
        }
    }
}
