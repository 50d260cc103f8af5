//! What a register is called, the same in every engine, file and report.

use crate::Name;
use core::fmt;

/// The permanent identity of a register.
///
/// KVM's own numbers are used verbatim wherever KVM has one, so that state moves between engines
/// by copying; the rest have names that never change their meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegId {
    /// A `KVM_GET_ONE_REG` id `[linux Documentation/virt/kvm/api.rst 4.68]`.
    Kvm(u64),
    /// An attribute of KVM's interrupt-controller device
    /// `[linux Documentation/virt/kvm/devices/arm-vgic-v3.rst]`.
    Gic {
        /// `KVM_DEV_ARM_VGIC_GRP_*`.
        group: u32,
        /// The attribute, as the group defines it.
        attr: u64,
    },
    /// A register of abide's own.
    Named(Name),
    /// A register of a kind that this version does not know, as a newer version wrote it.
    /// It can be shown, compared and carried along, nothing else.
    Foreign {
        /// The kind's number in the file.
        kind: u8,
        /// The identity's bytes.
        id: ForeignId,
    },
}

/// The bytes that identify a register of an unknown kind, at most [`ForeignId::MAX_LEN`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignId {
    bytes: [u8; ForeignId::MAX_LEN],
    len: u8,
}

impl ForeignId {
    /// The longest identity, in bytes.
    pub const MAX_LEN: usize = 32;

    pub(crate) fn from_bytes(source: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        Some(Self { bytes, len: u8::try_from(source.len()).ok()? })
    }

    /// The identity's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl RegId {
    /// A register of abide's own, by name. In a constant, a bad name stops the build.
    ///
    /// # Panics
    /// If `text` is not a [`Name`].
    #[must_use]
    pub const fn named(text: &str) -> Self {
        Self::Named(Name::new(text))
    }

    /// The GIC register with this device attribute.
    #[must_use]
    pub const fn gic(group: u32, attr: u64) -> Self {
        Self::Gic { group, attr }
    }
}

impl fmt::Display for RegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kvm(id) => write!(f, "kvm:{id:#018x}"),
            Self::Gic { group, attr } => write!(f, "gic:{group}:{attr:#x}"),
            Self::Named(name) => write!(f, "{name}"),
            Self::Foreign { kind, id } => {
                write!(f, "foreign:{kind}:")?;
                id.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Debug for RegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
