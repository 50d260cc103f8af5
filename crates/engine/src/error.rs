//! Errors of engines.

use abide_reg::{Gpa, RegError};
use thiserror::Error;

/// Why an engine cannot do what was asked.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The engine does not work on this host.
    #[error("engine {engine} is not available here: {reason}; {next}")]
    Unavailable {
        /// The engine's name.
        engine: &'static str,
        /// What stands in the way.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// The engine does not offer this.
    #[error("engine {engine} does not offer {what}")]
    Unsupported {
        /// The engine's name.
        engine: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// The host's kernel refused an operation.
    #[error("{operation}: the host refused with errno {errno}")]
    Host {
        /// The operation, by its name in the kernel's interface.
        operation: &'static str,
        /// Its error number.
        errno: i32,
    },
    /// A vCPU cannot have its record of stolen time there, or not such a one.
    #[error("engine {engine} keeps no such record of stolen time at {table_gpa}: {reason}; {next}")]
    StolenTime {
        /// The engine's name.
        engine: &'static str,
        /// Where it was to be.
        table_gpa: Gpa,
        /// What stands against it.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// A register could not be read or written.
    #[error(transparent)]
    Register(#[from] RegError),
}
