//! The A64 decoder: which instruction a 32-bit word is.
//!
//! The table is declarative. Each line is a bit pattern, the [`Kind`] of instruction, its mnemonic;
//! lines stand under the heading of their encoding class, in the order of the Arm Architecture
//! Reference Manual for A-profile, chapter C4.1 (`[DDI0487 C4.1]`). Classes and pages are cited by
//! title, because their numbers move with every issue of the manual.
//!
//! **Every one of the 2^32 words is claimed by exactly one line.** Reserved words have lines of
//! their own ([`Kind::Unallocated`]), and so have extensions this engine does not implement
//! ([`Kind::Unimplemented`]): to the guest both are UNDEFINED, the log names the difference. Tests
//! prove the partition exactly, by arithmetic on the patterns.
//!
//! Words whose behaviour is CONSTRAINED UNPREDICTABLE (LDP with two equal registers, SBO fields
//! that are not ones) decode as their instruction; what happens then is for execution to settle.
//!
//! ```
//! use abide_engine_soft::decode::{decode, lookup, Kind};
//!
//! let word = 0x9100_0421; // add x1, x1, #1
//! assert_eq!(decode(word), Kind::AddImmediate);
//! assert_eq!(lookup(word).mnemonic(), "add");
//! assert_eq!(lookup(word).class(), "Add/subtract (immediate)");
//! ```

mod advsimd_crypto;
mod advsimd_indexed;
mod advsimd_permute;
mod advsimd_scalar;
mod advsimd_shift;
mod advsimd_three_different;
mod advsimd_three_same;
mod advsimd_two_register;
mod atomic;
mod branches_system;
mod cube;
mod data_processing_immediate;
mod data_processing_register;
mod entry;
pub mod fields;
mod fuzz;
mod kind;
mod loads_stores;
mod scalar_fp;
mod simd_fp_loads_stores;
mod structures;
mod table;
mod unimplemented;

pub use cube::Cube;
pub use entry::Entry;
pub use fuzz::fuzz_decode;
pub use kind::{
    Atomic, Crypto, Extension, Extensions, Feature, Kind, ScalarFp, Simd, SimdFp, Structures,
};
pub use table::{decode, entries, lookup};
