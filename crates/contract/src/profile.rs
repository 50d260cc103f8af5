//! What one host offers.

use crate::rules;
use abide_reg::{Class, RegId, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Whose register it is, without a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// One for the virtual machine.
    Vm,
    /// One for each vCPU.
    Vcpu,
}

impl Whose {
    /// Its word in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Vcpu => "vcpu",
        }
    }
}

/// Which values a host takes, among those that differ from its own in writable bits only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accepts {
    /// Every value.
    Any,
    /// What the register's rule lets fit the default: of a feature field, no more than the host's.
    Rule,
    /// One of these.
    Values(BTreeSet<u64>),
    /// A number from `least` to `most`.
    Range {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Any of these bits.
    Bits(u64),
    /// In each of these fields one of its numbers; in all other bits those of the default.
    Fields(Vec<FieldValues>),
}

/// The numbers that a host takes in one field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldValues {
    /// The field's lowest bit.
    pub shift: u8,
    /// The field's number of bits.
    pub width: u8,
    /// The numbers.
    pub values: BTreeSet<u64>,
}

impl FieldValues {
    /// The field's bits, in place.
    #[must_use]
    pub fn mask(&self) -> u64 {
        abide_reg::mask(self.shift, self.width)
    }

    /// The field's bits of `value`, moved down to bit 0.
    #[must_use]
    pub fn bits_of(&self, value: u64) -> u64 {
        (value & self.mask()) >> self.shift
    }
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    /// It stores the value.
    Store,
    /// It sets the bits that are 1, as the guest's own write would.
    Set,
    /// It clears the bits that are 1, as the guest's own write would.
    Clear,
}

/// What a host offers of one register.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// Whose it is.
    pub scope: Whose,
    /// What a host without it must do: a guest cannot miss what is not mandatory.
    pub class: Class,
    /// Its width in bytes.
    pub width: usize,
    /// What a fresh VM reads; `None` where that means nothing.
    pub default: Option<Value>,
    /// The bits in which another value than the default is taken. Registers of more than 64 bits
    /// have all or none.
    pub writable: u64,
    /// The bits that are taken whatever they are, and read as the default's all the same.
    pub ignored: u64,
    /// Which values are taken.
    pub accepts: Accepts,
    /// What a write does.
    pub write: Write,
    /// Numbers that the host goes on showing where that is asked for ([`Exceptions`]), though it
    /// does not do what they say.
    ///
    /// [`Exceptions`]: crate::Exceptions
    pub advertised: Vec<FieldValues>,
}

impl Offer {
    /// Plain state: every value is taken and kept.
    #[must_use]
    pub const fn state(scope: Whose, width: usize) -> Self {
        Self {
            scope,
            class: Class::Mandatory,
            width,
            default: None,
            writable: u64::MAX,
            ignored: 0,
            accepts: Accepts::Any,
            write: Write::Store,
            advertised: Vec::new(),
        }
    }

    /// A register that holds this value and takes no other.
    #[must_use]
    pub fn fixed(scope: Whose, value: Value) -> Self {
        let width = value.width();
        let accepts = Accepts::Rule;
        Self { default: Some(value), writable: 0, accepts, ..Self::state(scope, width) }
    }

    /// A register that holds this value and takes others.
    #[must_use]
    pub fn taking(scope: Whose, value: Value, accepts: Accepts) -> Self {
        let width = value.width();
        Self { default: Some(value), accepts, ..Self::state(scope, width) }
    }
}

/// What one host offers, register by register.
///
/// Facts about the host (frequency, sizes, versions) are registers like the rest: see
/// [`rules`](crate::rules). What is in `info` and `capabilities` is for people only; nothing is
/// decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name in reports.
    pub name: String,
    /// Where it was measured: engine, kernel, CPU and the like.
    pub info: BTreeMap<String, String>,
    /// Numbers of capabilities and their values, as the host's kernel has them.
    pub capabilities: BTreeMap<u32, i64>,
    /// What is offered.
    pub offers: BTreeMap<RegId, Offer>,
}

impl Profile {
    /// What the host offers of the register, or `None` where it has no such register.
    ///
    /// Registers of the interrupt controller's CPUs stand there once, for affinity 0.
    #[must_use]
    pub fn offer(&self, id: RegId) -> Option<&Offer> {
        self.offers.get(&without_affinity(id))
    }

    /// Whether the host has an interrupt controller with registers like this one, which then is
    /// plain state.
    #[must_use]
    pub(crate) fn has_gic_state(&self, id: RegId) -> bool {
        matches!(id, RegId::Gic { .. }) && self.offers.contains_key(&rules::NR_IRQS)
    }

    /// Whether the host can tell a guest of CPU implementations, and the register is one of them.
    #[must_use]
    pub(crate) fn has_implementation(&self, id: RegId) -> bool {
        let is_of_list = abide_firmware::spec::IMPL_CPU_DEFS.iter().any(|def| def.id == id);
        is_of_list && self.offers.contains_key(&abide_firmware::spec::REG_IMPL_COUNT)
    }

    /// The register that is the same but for its width, where there is one.
    #[must_use]
    pub fn of_other_width(&self, id: RegId) -> Option<RegId> {
        const SIZE: u64 = 0x00f0_0000_0000_0000;
        let RegId::Kvm(number) = id else { return None };
        (0..=8)
            .map(|size| RegId::Kvm(number & !SIZE | size << 52))
            .find(|&other| other != id && self.offers.contains_key(&other))
    }
}

/// The same register of the interrupt controller's CPU of affinity 0.
fn without_affinity(id: RegId) -> RegId {
    match id {
        // Redistributors, CPU interfaces and, with its INTID, the line level.
        RegId::Gic { group: group @ (5 | 6), attr } => RegId::gic(group, attr & 0xffff_ffff),
        _ => id,
    }
}
