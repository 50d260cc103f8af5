//! What may happen to a register between two hosts: three independent answers.

use crate::RegId;

/// Which direction of a change cannot surprise the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A host that offers more can show less.
    LowerIsSafe,
    /// A host that offers less can show more (inverted feature fields).
    HigherIsSafe,
    /// Only the very same value will do.
    Same,
}

/// A bit field of a register with a direction of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name in its specification.
    pub name: &'static str,
    /// Lowest bit.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
    /// Whether the field is a signed number, as some feature fields are (0xf = not implemented).
    pub signed: bool,
    /// The change that is safe.
    pub direction: Direction,
}

/// Does a saved value fit a host that offers another?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Both must be equal.
    Exact,
    /// The saved number must not exceed the host's.
    AtMost,
    /// Each bit of the saved value must be offered by the host.
    Subset,
    /// Field by field.
    Fields(&'static [Field]),
    /// Plain state: any value fits.
    Any,
}

/// What to do where the destination has no such register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The VM cannot go there.
    Refuse,
    /// Dropping is safe while the saved value is this one.
    DropIfValue(u64),
    /// Dropping is safe while this field of this register is 0 (the feature is off).
    DropIfFeatureOff(RegId, Field),
}

/// What must be read back after writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readback {
    /// What was written.
    Equal,
    /// Anything: the saved original, not the readback, is passed on to the next host.
    Original,
    /// A number at least as large as was written: the register runs by itself.
    Bound,
}

/// The rule of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether the value fits.
    pub fit: Fit,
    /// What its absence means.
    pub absent: Absent,
    /// What is to be read back.
    pub readback: Readback,
}

impl Rule {
    /// Plain state: any value, must exist, reads back as written.
    pub const STATE: Self =
        Self { fit: Fit::Any, absent: Absent::Refuse, readback: Readback::Equal };
    /// A fact about the machine that must be the same everywhere.
    pub const IDENTITY: Self =
        Self { fit: Fit::Exact, absent: Absent::Refuse, readback: Readback::Equal };
    /// A counter that goes on by itself.
    pub const COUNTER: Self =
        Self { fit: Fit::Any, absent: Absent::Refuse, readback: Readback::Bound };
}
