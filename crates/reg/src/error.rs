//! The access every holder of registers gives, and how it refuses.

use crate::{RegId, Value};
use alloc::vec::Vec;
use core::fmt;

/// Why a register could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegError {
    /// There is no such register here.
    Unknown {
        /// The register.
        id: RegId,
    },
    /// The value has the wrong length.
    Width {
        /// The register.
        id: RegId,
        /// The length given, in bytes.
        found: usize,
        /// The length the register has, in bytes.
        allowed: usize,
    },
    /// The value may not be written.
    Refused {
        /// The register.
        id: RegId,
        /// The value given.
        found: Value,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// The host's kernel refused.
    Host {
        /// The register.
        id: RegId,
        /// Its error number.
        errno: i32,
    },
}

impl fmt::Display for RegError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { id } => write!(f, "{id}: no such register here"),
            Self::Width { id, found, allowed } => {
                write!(f, "{id}: {found} bytes found, {allowed} allowed")
            }
            Self::Refused { id, found, allowed } => {
                write!(f, "{id}: found {found}, allowed: {allowed}")
            }
            Self::Host { id, errno } => write!(f, "{id}: the host refused with errno {errno}"),
        }
    }
}

impl core::error::Error for RegError {}

/// A holder of registers: a vCPU, an interrupt controller, a device.
///
/// Reading and writing have no side effects that the guest could see beyond the value itself.
pub trait Registers {
    /// Every register that makes up the state, in the order in which it is to be written back.
    fn reg_ids(&self) -> Vec<RegId>;

    /// The register's content.
    ///
    /// # Errors
    /// [`RegError::Unknown`] or [`RegError::Host`].
    fn load(&self, id: RegId) -> Result<Value, RegError>;

    /// Makes `value` the register's content.
    ///
    /// # Errors
    /// Any [`RegError`]; the register then holds what it held before.
    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError>;
}
