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
    /// A page of a guest ABI cannot stand there.
    #[error("the page of a guest ABI at {gpa} {why}: 64 KiB of its own, aligned, are allowed")]
    Page {
        /// Its address.
        gpa: Gpa,
        /// What is wrong with it.
        why: &'static str,
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
