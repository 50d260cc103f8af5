//! Errors of guest RAM.

use abide_reg::Gpa;
use thiserror::Error;

/// Why guest RAM could not be made or reached.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The size is zero, no multiple of the page size, or past the end of the address space.
    #[error(
        "{size:#x} bytes of guest RAM at {base}: a multiple of 4096 that ends below 2^52 is allowed"
    )]
    Size {
        /// Where RAM was to begin.
        base: Gpa,
        /// The size asked for, in bytes.
        size: u64,
    },
    /// The host has no memory or refused the mapping.
    #[error("the host gives no {size:#x} bytes for guest RAM: {source}; use a smaller --memory")]
    Host {
        /// The size asked for, in bytes.
        size: u64,
        /// What the host said.
        source: std::io::Error,
    },
    /// The range is not RAM.
    #[error("{len:#x} bytes at {gpa} are not inside guest RAM")]
    OutOfRange {
        /// The first byte.
        gpa: Gpa,
        /// The length in bytes.
        len: u64,
    },
}
