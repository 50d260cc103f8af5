//! The groups of instructions whose vectors are recorded apart.

use abide_engine_soft::decode::{Entry, Kind};

/// Lines of the decode table that are recorded together, in one folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Group {
    /// The base set, as a Cortex-A57 has it.
    Base,
    /// Scalar floating point.
    ScalarFp,
    /// Advanced SIMD.
    Simd,
    /// Advanced SIMD on floating-point numbers.
    SimdFp,
    /// Loads and stores of structures.
    Structures,
    /// Atomic operations on memory.
    Atomic,
    /// AES and the secure hashes.
    Crypto,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 7] = [
        Self::Base,
        Self::ScalarFp,
        Self::Simd,
        Self::SimdFp,
        Self::Structures,
        Self::Atomic,
        Self::Crypto,
    ];

    /// Its folder, and its name on the recorder's command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::ScalarFp => "scalar-fp",
            Self::Simd => "simd",
            Self::SimdFp => "simd-fp",
            Self::Structures => "structures",
            Self::Atomic => "atomic",
            Self::Crypto => "crypto",
        }
    }

    /// The group that a line of the table belongs to.
    pub fn of(entry: &Entry) -> Self {
        match entry.kind() {
            Kind::ScalarFp(_) => Self::ScalarFp,
            Kind::Simd(_) => Self::Simd,
            Kind::SimdFp(_) => Self::SimdFp,
            Kind::Crypto(_) => Self::Crypto,
            Kind::Structures(_) => Self::Structures,
            Kind::Atomic(_) => Self::Atomic,
            // No instruction of the engine: by place, so that a group's reserved words are recorded
            // with it.
            Kind::Unallocated | Kind::Unimplemented(_) => Self::at(entry.pattern().value()),
            _ => Self::Base,
        }
    }

    /// Where a word stands [DDI0487 C4.1].
    const fn at(word: u32) -> Self {
        if word >> 25 & 0x3f == 0b000110 {
            Self::Structures
        } else if word >> 25 & 7 != 7 {
            Self::Base
        } else if word >> 28 & 5 == 1 {
            Self::ScalarFp
        } else {
            Self::Simd
        }
    }
}
