//! Errors of engines.

use abide_reg::RegError;
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
    /// A register could not be read or written.
    #[error(transparent)]
    Register(#[from] RegError),
}
