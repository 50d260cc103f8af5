//! State of a vCPU that KVM keeps outside its registers, as registers of abide's own. Names, widths
//! and values are those of the software engine, so that either reads what the other wrote.

use abide_reg::{RegId, Value};

/// Whether the vCPU executes, u8: 0 it runs or waits for an interrupt, 1 it waits for PSCI CPU_ON.
pub(crate) const MP_STATE: RegId = RegId::named("cpu.mp_state");

/// An SError that waits to be taken, 9 bytes: whether (0 no, 1 yes, 2 with a syndrome), and the
/// syndrome's ISS, u64.
pub(crate) const SERROR: RegId = RegId::named("cpu.serror");

/// The frequency of the system counter in Hz, u64: a fact of the host that a guest relies on.
pub(crate) const CNTFRQ: RegId = RegId::named("cpu.cntfrq");

/// Length of [`SERROR`] in bytes.
pub(crate) const SERROR_LEN: usize = 9;

/// `KVM_MP_STATE_RUNNABLE` `[linux Documentation/virt/kvm/api.rst 4.38]`.
const KVM_MP_STATE_RUNNABLE: u32 = 0;
/// `KVM_MP_STATE_STOPPED`.
const KVM_MP_STATE_STOPPED: u32 = 5;

/// The bits of ESR_ELx.ISS `[DDI0487 D24.2.40]`.
const ISS_MASK: u64 = (1 << 25) - 1;

/// The value of [`MP_STATE`] for a number of `KVM_GET_MP_STATE`. Suspended (10) runs again by
/// itself; KVM shows it only to those who asked for suspend events.
pub(crate) fn mp_state_value(number: u32) -> Value {
    Value::u8(u8::from(number == KVM_MP_STATE_STOPPED))
}

/// The number for `KVM_SET_MP_STATE`, or `None` where the value has no meaning.
pub(crate) fn mp_state_number(value: u8) -> Option<u32> {
    match value {
        0 => Some(KVM_MP_STATE_RUNNABLE),
        1 => Some(KVM_MP_STATE_STOPPED),
        _ => None,
    }
}

/// Whether a vCPU with this number of `KVM_GET_MP_STATE` waits for PSCI CPU_ON.
pub(crate) fn is_stopped(number: u32) -> bool {
    number == KVM_MP_STATE_STOPPED
}

/// An SError as `KVM_GET_VCPU_EVENTS` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serror {
    /// None waits.
    None,
    /// One waits whose syndrome the CPU chooses.
    Pending,
    /// One waits with this ISS; only on hosts with RAS.
    WithSyndrome(u64),
}

impl Serror {
    /// As a register's value.
    pub(crate) fn to_value(self) -> Value {
        let (kind, syndrome) = match self {
            Self::None => (0, 0),
            Self::Pending => (1, 0),
            Self::WithSyndrome(iss) => (2, iss & ISS_MASK),
        };
        let mut bytes = [kind; SERROR_LEN];
        bytes[1..].copy_from_slice(&u64::to_le_bytes(syndrome));
        Value::bytes(&bytes)
    }

    /// From a register's value; `None` where it has no meaning.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let (&kind, syndrome) = value.as_bytes().split_first()?;
        let syndrome = u64::from_le_bytes(syndrome.try_into().ok()?);
        match (kind, syndrome) {
            (0, 0) => Some(Self::None),
            (1, 0) => Some(Self::Pending),
            (2, iss) if iss & !ISS_MASK == 0 => Some(Self::WithSyndrome(iss)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_states_are_the_software_engines() {
        assert_eq!(MP_STATE.to_string(), "cpu.mp_state");
        for (kernel, own) in [(0, 0), (5, 1)] {
            assert_eq!(mp_state_value(kernel), Value::u8(own));
            assert_eq!(mp_state_number(own), Some(kernel));
            assert_eq!(is_stopped(kernel), own == 1);
        }
        assert_eq!(mp_state_value(10), Value::u8(0), "suspended");
        assert_eq!([2, 5, u8::MAX].map(mp_state_number), [None; 3]);
    }

    #[test]
    fn serrors_survive_the_way_through_a_value_and_nonsense_does_not() {
        assert_eq!(SERROR.to_string(), "cpu.serror");
        for serror in
            [Serror::None, Serror::Pending, Serror::WithSyndrome(0), Serror::WithSyndrome(ISS_MASK)]
        {
            let value = serror.to_value();
            assert_eq!(value.width(), SERROR_LEN);
            assert_eq!(Serror::from_value(&value), Some(serror));
        }
        for (kind, syndrome) in [(0, 1), (1, 1), (2, 1 << 25), (3, 0)] {
            let mut bytes = [kind; SERROR_LEN];
            bytes[1..].copy_from_slice(&u64::to_le_bytes(syndrome));
            assert_eq!(Serror::from_value(&Value::bytes(&bytes)), None, "{kind} {syndrome:#x}");
        }
        assert_eq!(Serror::from_value(&Value::u64(0)), None, "8 bytes");
        assert_eq!(Serror::from_value(&Value::bytes(&[])), None);
    }

    #[test]
    fn the_frequency_has_the_software_engines_name() {
        assert_eq!(CNTFRQ.to_string(), "cpu.cntfrq");
    }
}
