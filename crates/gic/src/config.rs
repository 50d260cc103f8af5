//! What a controller is made of.

use crate::error::GicError;
use crate::spec::{
    GICD_IIDR_REVISION_SHIFT, GICD_TYPER_ID_BITS_10, GICR_CTLR_CES_IR, GICR_TYPER_LAST,
    GICR_TYPER_NUMBER_SHIFT, ICC_CTLR_A3V, ICC_CTLR_IDBITS_SHIFT, ICC_CTLR_PRIBITS_SHIFT,
    ICC_CTLR_SEIS, KVM_IIDR, PRI_BITS, WORD_INTIDS,
};
use crate::{Affinity, spec};

/// The most CPUs of one controller: those a `u64` has bits for.
pub const CPU_COUNT_MAX: usize = 64;
/// The fewest INTIDs, SGIs and PPIs included.
pub const NR_IRQS_MIN: u32 = 64;
/// The most INTIDs: KVM refuses 1024 although its documentation allows it, and takes multiples of
/// 32 only.
pub const NR_IRQS_MAX: u32 = 992;

/// The revision in `GICD_IIDR`. KVM takes these two and no other
/// `[linux arch/arm64/kvm/vgic/vgic-mmio-v3.c]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revision {
    /// Groups are configurable.
    R2,
    /// As 2, and `GICR_CTLR` shows `CES` and `IR`.
    #[default]
    R3,
}

impl Revision {
    /// `GICD_IIDR` with this revision.
    #[must_use]
    pub const fn gicd_iidr(self) -> u32 {
        let number = match self {
            Self::R2 => 2,
            Self::R3 => 3,
        };
        KVM_IIDR | number << GICD_IIDR_REVISION_SHIFT
    }

    /// The revision of a controller with this `GICD_IIDR`, or `None` where it is not KVM's.
    #[must_use]
    pub const fn from_gicd_iidr(iidr: u32) -> Option<Self> {
        match iidr {
            _ if iidr == Self::R2.gicd_iidr() => Some(Self::R2),
            _ if iidr == Self::R3.gicd_iidr() => Some(Self::R3),
            _ => None,
        }
    }

    /// What `GICR_CTLR` reads while LPIs are disabled.
    #[must_use]
    pub const fn gicr_ctlr(self) -> u32 {
        match self {
            Self::R2 => 0,
            Self::R3 => GICR_CTLR_CES_IR,
        }
    }
}

/// What `ICC_CTLR_EL1` says of the CPU interface. With KVM these fields are the host's hardware,
/// so a guest that is to move there is born with the host's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IccIds {
    /// `IDbits`: 0 = 16 bits of INTID, 1 = 24. KVM takes a lower number than the host's.
    pub id_bits: u8,
    /// `SEIS`. KVM takes only the host's.
    pub seis: bool,
    /// `A3V`. KVM takes only the host's.
    pub a3v: bool,
}

impl IccIds {
    /// The fields in their places in `ICC_CTLR_EL1`.
    #[must_use]
    pub const fn ctlr_bits(self) -> u64 {
        (PRI_BITS as u64 - 1) << ICC_CTLR_PRIBITS_SHIFT
            | (self.id_bits as u64) << ICC_CTLR_IDBITS_SHIFT
            | if self.seis { ICC_CTLR_SEIS } else { 0 }
            | if self.a3v { ICC_CTLR_A3V } else { 0 }
    }
}

impl Default for IccIds {
    /// What fits most hosts: the fewest INTID bits, no SEIs, Aff3 valid.
    fn default() -> Self {
        Self { id_bits: 0, seis: false, a3v: true }
    }
}

/// What a [`GicV3`](crate::GicV3) is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GicConfig {
    /// The CPUs in the order of their redistributors, 1 to [`CPU_COUNT_MAX`], each once.
    pub cpus: Vec<Affinity>,
    /// Number of INTIDs, SGIs and PPIs included: a multiple of 32 from [`NR_IRQS_MIN`] to
    /// [`NR_IRQS_MAX`].
    pub nr_irqs: u32,
    /// The revision that the guest sees.
    pub revision: Revision,
    /// What the CPU interfaces say of themselves.
    pub icc_ids: IccIds,
}

impl GicConfig {
    /// A controller of the newest revision for these CPUs.
    #[must_use]
    pub fn new(cpus: impl IntoIterator<Item = Affinity>, nr_irqs: u32) -> Self {
        Self {
            cpus: cpus.into_iter().collect(),
            nr_irqs,
            revision: Revision::default(),
            icc_ids: IccIds::default(),
        }
    }

    /// Whether such a controller can be made.
    ///
    /// # Errors
    /// [`GicError::CpuCount`], [`GicError::NrIrqs`], [`GicError::Affinity`],
    /// [`GicError::SameAffinity`], [`GicError::IdBits`].
    pub fn check(&self) -> Result<(), GicError> {
        check_cpus(&self.cpus)?;
        check_nr_irqs(self.nr_irqs)?;
        check_id_bits(self.icc_ids.id_bits)
    }
}

pub(crate) fn check_cpus(cpus: &[Affinity]) -> Result<(), GicError> {
    if cpus.is_empty() || cpus.len() > CPU_COUNT_MAX {
        return Err(GicError::CpuCount { found: cpus.len() });
    }
    for (index, &affinity) in cpus.iter().enumerate() {
        // IROUTER and GICR_TYPER of KVM's controller hold no Aff3, and the target list of an SGI
        // reaches 16 values of Aff0.
        if affinity.level(3) != 0 || affinity.level(0) > 15 {
            return Err(GicError::Affinity { found: affinity });
        }
        if cpus[..index].contains(&affinity) {
            return Err(GicError::SameAffinity { found: affinity });
        }
    }
    Ok(())
}

pub(crate) fn check_nr_irqs(nr_irqs: u32) -> Result<(), GicError> {
    let allowed =
        (NR_IRQS_MIN..=NR_IRQS_MAX).contains(&nr_irqs) && nr_irqs.is_multiple_of(WORD_INTIDS);
    if allowed { Ok(()) } else { Err(GicError::NrIrqs { found: nr_irqs }) }
}

pub(crate) fn check_id_bits(id_bits: u8) -> Result<(), GicError> {
    if id_bits <= 1 { Ok(()) } else { Err(GicError::IdBits { found: id_bits }) }
}

/// `GICD_TYPER` of a controller with so many INTIDs and without LPIs.
#[must_use]
pub const fn gicd_typer(nr_irqs: u32) -> u32 {
    (nr_irqs / WORD_INTIDS).saturating_sub(1) | GICD_TYPER_ID_BITS_10
}

/// `GICR_TYPER` of the redistributor with this place among `cpu_count`.
#[must_use]
pub const fn gicr_typer(affinity: Affinity, index: usize, cpu_count: usize) -> u64 {
    let last = if index + 1 == cpu_count { GICR_TYPER_LAST } else { 0 };
    let number = (index as u64 & 0xffff) << GICR_TYPER_NUMBER_SHIFT;
    let affinity = (affinity.0 & spec::GICD_IROUTER_AFFINITY) as u64;
    affinity << 32 | number | last as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_values_are_those_read_from_kernels() {
        assert_eq!(Revision::R3.gicd_iidr(), 0x4b00_343b);
        assert_eq!(gicd_typer(96), 0x0048_0002);
        assert_eq!(gicd_typer(288), 0x0048_0008);
        assert_eq!(gicr_typer(Affinity(0), 0, 2), 0);
        assert_eq!(gicr_typer(Affinity(1), 1, 2), 0x0000_0001_0000_0110);
        assert_eq!(IccIds { id_bits: 1, seis: false, a3v: true }.ctlr_bits(), 0x8c00);
    }

    #[test]
    fn configurations_outside_the_bounds_are_refused() {
        let config = |cpus: &[u32], nr_irqs| {
            GicConfig::new(cpus.iter().copied().map(Affinity), nr_irqs).check()
        };
        assert_eq!(config(&[0, 1, 0x100], 288), Ok(()));
        assert_eq!(config(&[], 288), Err(GicError::CpuCount { found: 0 }));
        let crowd: Vec<u32> = (0..65).map(|n| (n % 16) | ((n / 16) << 8)).collect();
        assert_eq!(config(&crowd, 288), Err(GicError::CpuCount { found: 65 }));
        assert_eq!(config(&crowd[..64], 288), Ok(()));
        assert_eq!(config(&[0, 0], 288), Err(GicError::SameAffinity { found: Affinity(0) }));
        for bad in [16, 0x0100_0000] {
            assert_eq!(config(&[bad], 288), Err(GicError::Affinity { found: Affinity(bad) }));
        }
        for bad in [0, 32, 65, 1020, 1024, u32::MAX] {
            assert_eq!(config(&[0], bad), Err(GicError::NrIrqs { found: bad }));
        }
    }
}
