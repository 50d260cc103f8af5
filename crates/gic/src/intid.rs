//! Numbers of interrupts, and names of CPUs.

use crate::frame::low_word;
use crate::spec::{PPI_FIRST, PRIVATE_COUNT, SPECIAL_FIRST};
use std::fmt;

/// The number of an interrupt `[IHI0069 2.2]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntId(pub u32);

impl IntId {
    /// Software generated, INTIDs 0 to 15: each CPU has its own.
    #[must_use]
    pub const fn is_sgi(self) -> bool {
        self.0 < PPI_FIRST
    }

    /// Private peripheral, INTIDs 16 to 31: each CPU has its own.
    #[must_use]
    pub const fn is_ppi(self) -> bool {
        self.0 >= PPI_FIRST && self.0 < PRIVATE_COUNT
    }

    /// Shared peripheral, INTIDs 32 to 1019.
    #[must_use]
    pub const fn is_spi(self) -> bool {
        self.0 >= PRIVATE_COUNT && self.0 < SPECIAL_FIRST
    }
}

impl fmt::Display for IntId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INTID {}", self.0)
    }
}

/// Which CPU: Aff3, Aff2, Aff1 and Aff0, from the highest byte to the lowest.
///
/// This packing is the one of KVM's attributes and of `GICD_IROUTER`'s low half. In `MPIDR_EL1`
/// Aff3 stands 8 bits higher: [`Self::from_mpidr`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Affinity(pub u32);

impl Affinity {
    /// The affinity fields of an `MPIDR_EL1` value: bits 39:32 and 23:0 `[DDI0487 D24]`.
    #[must_use]
    pub const fn from_mpidr(mpidr: u64) -> Self {
        Self(low_word(mpidr) & 0x00ff_ffff | low_word(mpidr >> 8) & 0xff00_0000)
    }

    /// The field of this level, 0 to 3.
    #[must_use]
    pub const fn level(self, level: u32) -> u8 {
        (self.0 >> (8 * (level & 3)) & 0xff) as u8
    }
}

impl fmt::Display for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.level(3), self.level(2), self.level(1), self.level(0))
    }
}

impl fmt::Debug for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aff3_moves_down_between_mpidr_and_attribute() {
        let affinity = Affinity::from_mpidr(0x12_8034_5678);
        assert_eq!(affinity, Affinity(0x1234_5678));
        assert_eq!(affinity.to_string(), "18.52.86.120");
    }

    #[test]
    fn kinds_of_intid_do_not_overlap() {
        for intid in (0..2000).map(IntId) {
            let kinds = [intid.is_sgi(), intid.is_ppi(), intid.is_spi()];
            let count = kinds.into_iter().filter(|&kind| kind).count();
            assert_eq!(count, usize::from(intid.0 < 1020), "{intid}");
        }
    }
}
