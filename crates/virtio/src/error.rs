//! What a driver can do wrong.

use abide_reg::Gpa;
use thiserror::Error;

/// Why a queue cannot be used any further. The device then needs a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QueueError {
    /// The size is 0, no power of two or too large.
    #[error("a queue of {found} entries: a power of two up to {allowed} is allowed")]
    Size {
        /// The size found.
        found: u32,
        /// The largest size.
        allowed: u16,
    },
    /// A part of the queue is not in RAM, or misaligned.
    #[error("the {part} of a queue at {gpa}: a multiple of {align} bytes inside RAM is allowed")]
    Place {
        /// Which part.
        part: &'static str,
        /// Where it was said to be.
        gpa: Gpa,
        /// Its alignment, in bytes.
        align: u64,
    },
    /// The available index is more than a whole queue ahead.
    #[error("the available index went from {seen} to {found}, the queue has {size} entries")]
    Jump {
        /// The index up to which buffers were taken.
        seen: u16,
        /// The index found.
        found: u16,
        /// The queue's size.
        size: u16,
    },
    /// A descriptor number is past the end of its table.
    #[error("descriptor {found} of a table of {len}")]
    Descriptor {
        /// The number found.
        found: u32,
        /// How many descriptors there are.
        len: u32,
    },
    /// A chain is longer than the queue, or runs in a circle.
    #[error("a chain of more than {allowed} descriptors")]
    Endless {
        /// The most descriptors a chain may have.
        allowed: u16,
    },
    /// A table of indirect descriptors is misshapen or not agreed on.
    #[error("an indirect table of {len} bytes: {reason}")]
    Indirect {
        /// Its length, in bytes.
        len: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// A buffer to be read follows one to be written.
    #[error("a readable descriptor follows a writable one")]
    Order,
    /// A buffer is not RAM.
    #[error("a buffer of {len:#x} bytes at {gpa} is not inside RAM")]
    Buffer {
        /// Its first byte.
        gpa: Gpa,
        /// Its length, in bytes.
        len: u32,
    },
    /// A request is not of the shape that its device needs.
    #[error("a request {reason}")]
    Request {
        /// What is wrong.
        reason: &'static str,
    },
}
