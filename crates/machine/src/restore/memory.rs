//! RAM: all of it at once, or as the guest touches it.

use crate::error::RestoreError;
use abide_engine::Engine;
use abide_memory::{GuestRam, MissingError, MissingPages, Reach};
use abide_snapshot::{LazyRam, OnFailure, Reader};
use std::fmt;
use std::sync::Arc;

/// How absent pages are watched: [`MissingPages::watch`].
pub type Watch = fn(Arc<GuestRam>, Reach) -> Result<MissingPages, MissingError>;

/// When RAM comes.
#[derive(Default)]
pub enum RamRestore {
    /// All of it before the machine is there: what is damaged is refused.
    #[default]
    Eager,
    /// A part of it when the guest first touches it, the rest in the background; all at once where
    /// the host cannot do that.
    Lazy {
        /// How absent pages are watched.
        watch: Watch,
        /// Ends the process when RAM cannot be brought.
        on_failure: OnFailure,
    },
}

/// How RAM comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RamRestored {
    /// It is all there, as was asked for.
    #[default]
    Eager,
    /// It is all there, because it could not come later.
    EagerBecause(String),
    /// It comes as it is touched.
    Lazy(Reach),
}

impl fmt::Display for RamRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eager => f.write_str("eager"),
            Self::EagerBecause(reason) => write!(f, "eager: {reason}"),
            Self::Lazy(reach) => write!(f, "lazy: {reach}"),
        }
    }
}

/// Makes `ram`, which is fresh, hold what the file says, now or later.
pub(super) fn restore_ram(
    engine: &dyn Engine,
    reader: &Reader,
    ram: &Arc<GuestRam>,
    when: RamRestore,
) -> Result<(RamRestored, Option<LazyRam>), RestoreError> {
    let reason = match when {
        RamRestore::Eager => None,
        RamRestore::Lazy { watch, on_failure } => {
            let needed = if engine.reaches_ram_in_kernel() { Reach::Kernel } else { Reach::User };
            match watch(Arc::clone(ram), needed) {
                Ok(missing) => {
                    let reach = missing.reach();
                    let lazy = reader.restore_memory_lazily(missing, on_failure)?;
                    return Ok((RamRestored::Lazy(reach), Some(lazy)));
                }
                Err(error) => Some(error.to_string()),
            }
        }
    };
    reader.restore_memory(ram)?;
    Ok((reason.map_or(RamRestored::Eager, RamRestored::EagerBecause), None))
}
