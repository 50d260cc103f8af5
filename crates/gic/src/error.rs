//! How the controller and its state refuse.

use crate::config::{CPU_COUNT_MAX, NR_IRQS_MAX, NR_IRQS_MIN};
use crate::{Affinity, IntId};
use abide_reg::{IntakeError, RegError, RegId, Scope, Value};

/// Why a controller cannot be made, or a state cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GicError {
    /// Too few or too many CPUs.
    #[error("gic: {found} CPUs found, 1 to {CPU_COUNT_MAX} allowed")]
    CpuCount {
        /// How many.
        found: usize,
    },
    /// A number of INTIDs that KVM does not offer either.
    #[error(
        "gic: {found} INTIDs found, multiples of 32 from {NR_IRQS_MIN} to {NR_IRQS_MAX} allowed"
    )]
    NrIrqs {
        /// How many, SGIs and PPIs included.
        found: u32,
    },
    /// An affinity that registers cannot name.
    #[error("gic: CPU with affinity {found} found, Aff3 0 and Aff0 0 to 15 allowed")]
    Affinity {
        /// The affinity.
        found: Affinity,
    },
    /// Two CPUs with one affinity.
    #[error("gic: two CPUs with affinity {found} found, each affinity is allowed once")]
    SameAffinity {
        /// The affinity.
        found: Affinity,
    },
    /// An INTID width that does not exist.
    #[error("gic: ICC_CTLR_EL1.IDbits {found} found, 0 (16 bits) or 1 (24 bits) allowed")]
    IdBits {
        /// The field.
        found: u8,
    },
    /// A part of the canonical state that this version has no registers for.
    #[error("gic: {scope} has {what}; not yet offered, so the guest must go where it is")]
    NotOffered {
        /// Whose.
        scope: Scope,
        /// Which part.
        what: &'static str,
    },
    /// An interrupt in a state that KVM's controller cannot be in.
    #[error("gic: {scope} {intid}: {field} is {found:#x}, allowed: {allowed}")]
    Irq {
        /// Whose.
        scope: Scope,
        /// Which.
        intid: IntId,
        /// The field of the canonical state.
        field: &'static str,
        /// Its content.
        found: u64,
        /// The contents allowed, in words.
        allowed: &'static str,
    },
    /// A field in a state that KVM's controller cannot be in.
    #[error("gic: {scope} {field} is {found:#x}, allowed: {allowed}")]
    Field {
        /// Whose.
        scope: Scope,
        /// The register, or field of the canonical state.
        field: &'static str,
        /// Its content.
        found: u64,
        /// The contents allowed, in words.
        allowed: &'static str,
    },
    /// A list with too few or too many elements.
    #[error("gic: {scope} has {found} {what}, {allowed} allowed")]
    Count {
        /// Whose.
        scope: Scope,
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there must be.
        allowed: usize,
    },
    /// It is not known whether a device asserts its line.
    #[error(
        "gic: {scope} {intid}: line unknown (the source did not save it); call \
         GicState::lower_unknown_lines and let every device assert its line again"
    )]
    LineUnknown {
        /// Whose.
        scope: Scope,
        /// Which.
        intid: IntId,
    },
    /// A scope that is not the VM or one of its vCPUs in turn.
    #[error("gic: registers of {found} found where those of {allowed} belong")]
    Scope {
        /// The scope found.
        found: Scope,
        /// The scope allowed at that place.
        allowed: Scope,
    },
    /// The registers of the VM are not there.
    #[error("gic: no registers of {scope} found")]
    ScopeMissing {
        /// The scope.
        scope: Scope,
    },
    /// The saved registers are not those of a controller.
    #[error("gic: {scope}: {source}")]
    Intake {
        /// Whose.
        scope: Scope,
        /// What is wrong.
        source: IntakeError,
    },
}

/// Why a controller could not be saved, or a saved one not be written into another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// A register could not be read.
    #[error("gic: {scope} {name} cannot be read: {source}")]
    Load {
        /// Whose.
        scope: Scope,
        /// Its name in the specification.
        name: &'static str,
        /// Why.
        source: RegError,
    },
    /// A register could not be written.
    #[error("gic: {scope} {name} cannot be written: {source}")]
    Store {
        /// Whose.
        scope: Scope,
        /// Its name in the specification.
        name: &'static str,
        /// Why.
        source: RegError,
    },
    /// A register does not hold what it must. Interrupt controllers accept nearly every write, so
    /// only reading tells.
    #[error("gic: {scope} {name} ({id}) reads {found}, {expected} needed (in bits {mask:#x})")]
    Differs {
        /// Whose.
        scope: Scope,
        /// Its name in the specification.
        name: &'static str,
        /// The register.
        id: RegId,
        /// What it holds.
        found: Value,
        /// What it must hold.
        expected: Value,
        /// The bits that were compared.
        mask: u64,
    },
    /// The saved registers are not those of a controller.
    #[error(transparent)]
    State(#[from] GicError),
}
