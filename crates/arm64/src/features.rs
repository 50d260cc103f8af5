//! Features that a host gives a vCPU only if it is made with them.
//!
//! All else that a guest can see is registers, written to a vCPU that exists. These must be known
//! before it does, and are not saved: the ID registers say what the guest has.

use crate::id_fields as id;
use crate::rules::{
    ID_AA64DFR0_EL1, ID_AA64ISAR1_EL1, ID_AA64ISAR2_EL1, ID_AA64PFR0_EL1, ID_AA64PFR1_EL1,
};
use abide_reg::{Absent, Field, RegId};

/// A feature with which a vCPU is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Performance monitors.
    Pmu,
    /// The Scalable Vector Extension.
    Sve,
    /// Pointer authentication, of addresses and generic.
    Pauth,
    /// Memory tags.
    Mte,
    /// The Scalable Matrix Extension.
    Sme,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pmu, Self::Sve, Self::Pauth, Self::Mte, Self::Sme];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pmu => "pmu",
            Self::Sve => "sve",
            Self::Pauth => "pauth",
            Self::Mte => "mte",
            Self::Sme => "sme",
        }
    }

    /// What it is, and where ID registers show it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Pmu => "performance monitors (pmu, ID_AA64DFR0_EL1.PMUVer)",
            Self::Sve => "scalable vectors (sve, ID_AA64PFR0_EL1.SVE)",
            Self::Pauth => "pointer authentication (pauth, ID_AA64ISAR1_EL1 and ID_AA64ISAR2_EL1)",
            Self::Mte => "memory tags (mte, ID_AA64PFR1_EL1.MTE)",
            Self::Sme => "scalable matrices (sme, ID_AA64PFR1_EL1.SME)",
        }
    }

    /// The feature that brings this register of a vCPU's own, if one does.
    #[must_use]
    pub fn of_state(register: RegId) -> Option<Self> {
        let own = [Self::Pmu, Self::Sve, Self::Pauth];
        let Absent::DropIfOff(off) = crate::rules::rule(register).absent else { return None };
        // Without a field no feature brings it: it is there for no guest to use.
        let (first, rest) = off.split_first()?;
        own.into_iter().find(|feature| {
            let fields = feature.fields();
            fields.contains(first) && rest.iter().all(|field| fields.contains(field))
        })
    }

    /// The ID fields of which one is not 0 where a vCPU has it `[DDI0487 D24.2]`.
    const fn fields(self) -> &'static [(RegId, Field)] {
        match self {
            Self::Pmu => &[(ID_AA64DFR0_EL1, id::PMU_VER)],
            Self::Sve => &[(ID_AA64PFR0_EL1, id::SVE)],
            Self::Pauth => &[
                (ID_AA64ISAR1_EL1, id::APA),
                (ID_AA64ISAR1_EL1, id::API),
                (ID_AA64ISAR1_EL1, id::GPA),
                (ID_AA64ISAR1_EL1, id::GPI),
                (ID_AA64ISAR2_EL1, id::APA3),
                (ID_AA64ISAR2_EL1, id::GPA3),
            ],
            Self::Mte => &[(ID_AA64PFR1_EL1, id::MTE)],
            Self::Sme => &[(ID_AA64PFR1_EL1, id::SME)],
        }
    }

    /// Whether ID registers with these contents show it. A register that is not there shows
    /// nothing.
    fn is_shown(self, content: impl Fn(RegId) -> Option<u64>) -> bool {
        self.fields().iter().any(|(reg, field)| match content(*reg) {
            // Performance monitors of another kind than the architecture's.
            Some(value) if self == Self::Pmu && field.bits_of(value) == 0xf => false,
            Some(value) => field.bits_of(value) != 0,
            None => false,
        })
    }
}

/// Which vector lengths SVE has, as KVM's register `SVE_VLS` says it: bit n for 16 × (n + 1) bytes
/// `[linux Documentation/virt/kvm/api.rst 4.68]`. Fixed when the vCPU is made.
pub type VectorLengths = [u64; 8];

/// The vector lengths in the bytes of `SVE_VLS`; `None` where their number is another.
#[must_use]
pub fn vector_lengths(bytes: &[u8]) -> Option<VectorLengths> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let lengths: alloc::vec::Vec<u64> = words.collect();
    lengths.try_into().ok().filter(|_| rest.is_empty())
}

/// Which common events performance monitors count, as PMCEID0_EL0 and PMCEID1_EL0 tell a guest
/// `[DDI0487 D24.5]`. Fixed when the vCPU is made.
pub type PmuEvents = [u64; 2];

/// The features with which the vCPUs of a VM are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuFeatures {
    bits: u8,
    /// The vector lengths of SVE; the host's where it is not told.
    pub vector_lengths: Option<VectorLengths>,
    /// The events of which a guest is told; the host's where it is not told.
    pub pmu_events: Option<PmuEvents>,
}

impl CpuFeatures {
    /// None of them.
    pub const NONE: Self = Self { bits: 0, vector_lengths: None, pmu_events: None };

    /// These.
    #[must_use]
    pub fn of(features: &[Feature]) -> Self {
        let bits = features.iter().fold(0, |bits, feature| bits | 1 << *feature as u8);
        Self { bits, ..Self::NONE }
    }

    /// Those that the ID registers of a vCPU show; `content` tells what a register holds.
    #[must_use]
    pub fn shown_by(content: impl Fn(RegId) -> Option<u64>) -> Self {
        let shown = |feature: &Feature| feature.is_shown(&content);
        Self::NONE.with(Feature::ALL.into_iter().filter(shown))
    }

    fn with(mut self, features: impl Iterator<Item = Feature>) -> Self {
        for feature in features {
            self.bits |= 1 << feature as u8;
        }
        self
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn contains(self, feature: Feature) -> bool {
        self.bits & 1 << feature as u8 != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(move |feature| self.contains(*feature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn shown(reg: RegId, value: u64) -> Vec<Feature> {
        CpuFeatures::shown_by(|id| (id == reg).then_some(value)).iter().collect()
    }

    #[test]
    fn features_bring_registers_of_theirs_and_no_others() {
        // APIAKEYLO_EL1; SPSR_abt, which KVM lists and no guest reaches; SCTLR_EL1.
        let brings = |number: u64| Feature::of_state(RegId::Kvm(0x6030_0000_0000_0000 | number));
        assert_eq!(brings(0x13_c108), Some(Feature::Pauth));
        assert_eq!([0x10_004a, 0x13_c080].map(brings), [None; 2]);
    }

    #[test]
    fn id_registers_tell_the_features() {
        // ID_AA64DFR0_EL1.PMUVer, bits 11:8: 0 and 0xf are none of the architecture's.
        let dfr0 = RegId::Kvm(0x6030_0000_0013_c028);
        assert_eq!(shown(dfr0, 0x1030_5406), [Feature::Pmu]);
        assert_eq!(shown(dfr0, 0x1030_5006), []);
        assert_eq!(shown(dfr0, 0x1030_5f06), []);
        // ID_AA64PFR0_EL1.SVE, bits 35:32.
        let pfr0 = RegId::Kvm(0x6030_0000_0013_c020);
        assert_eq!(shown(pfr0, 0x1100_0001_1111_0112), [Feature::Sve]);
        assert_eq!(shown(pfr0, 0x1100_0000_1111_0112), []);
        // ID_AA64ISAR1_EL1: APA 7:4, API 11:8, GPA 27:24, GPI 31:28.
        let isar1 = RegId::Kvm(0x6030_0000_0013_c031);
        for bits in [1 << 4, 1 << 8, 1 << 24, 1 << 28] {
            assert_eq!(shown(isar1, 0x10_0001 | bits), [Feature::Pauth], "{bits:#x}");
        }
        assert_eq!(shown(isar1, 0x10_0001), []);
        // ID_AA64ISAR2_EL1: GPA3 11:8, APA3 15:12.
        let isar2 = RegId::Kvm(0x6030_0000_0013_c032);
        assert_eq!(shown(isar2, 1 << 8), [Feature::Pauth]);
        assert_eq!(shown(isar2, 1 << 12), [Feature::Pauth]);
        // ID_AA64PFR1_EL1: MTE 11:8, SME 27:24.
        let pfr1 = RegId::Kvm(0x6030_0000_0013_c021);
        assert_eq!(shown(pfr1, 0x0100_0210), [Feature::Mte, Feature::Sme]);
        assert_eq!(CpuFeatures::shown_by(|_| None), CpuFeatures::NONE);
    }

    #[test]
    fn vector_lengths_are_eight_words() {
        let mut bytes = [0; 64];
        bytes[0] = 0b1011;
        bytes[63] = 0x80;
        assert_eq!(vector_lengths(&bytes), Some([11, 0, 0, 0, 0, 0, 0, 1 << 63]));
        for length in [0, 8, 63] {
            assert_eq!(vector_lengths(&bytes[..length]), None, "{length}");
        }
        assert_eq!(vector_lengths(&[0; 65]), None);
    }

    #[test]
    fn state_belongs_to_the_feature_that_brings_it() {
        let of = |number| Feature::of_state(RegId::Kvm(number));
        assert_eq!(of(0x6080_0000_0015_0000), Some(Feature::Sve), "Z0");
        assert_eq!(of(0x6050_0000_0015_0600), Some(Feature::Sve), "FFR");
        assert_eq!(of(0x6030_0000_0013_c090), Some(Feature::Sve), "ZCR_EL1");
        assert_eq!(of(0x6030_0000_0013_dce0), Some(Feature::Pmu), "PMCR_EL0");
        assert_eq!(of(0x6030_0000_0013_df7f), Some(Feature::Pmu), "PMCCFILTR_EL0");
        assert_eq!(of(0x6030_0000_0013_c108), Some(Feature::Pauth), "APIAKeyLo_EL1");
        assert_eq!(of(0x6030_0000_0013_c118), Some(Feature::Pauth), "APGAKeyLo_EL1");
        assert_eq!(of(0x6030_0000_0013_c102), None, "TCR_EL1");
        assert_eq!(of(0x6030_0000_0013_df11), None, "CNTP_CTL_EL0");
        assert_eq!(of(0x6030_0000_0010_0040), None, "PC");
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let features = CpuFeatures::of(&[Feature::Pauth, Feature::Pmu]);
        assert!(features.contains(Feature::Pmu) && !features.contains(Feature::Sve));
        let names: Vec<_> = features.iter().map(Feature::name).collect();
        assert_eq!(names, ["pmu", "pauth"]);
    }
}
