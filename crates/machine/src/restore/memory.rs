//! RAM: all of it at once, as the guest touches it, or in place.

use crate::board::RAM_BASE;
use crate::create::create_ram;
use crate::error::RestoreError;
use abide_engine::Engine;
use abide_memory::{GuestRam, MissingError, MissingPages, Reach};
use abide_snapshot::{KeptMemory, LazyRam, MemoryFile, OnFailure, RamRange, Reader};
use std::fmt;
use std::path::Path;
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
    /// It was there already.
    HandedOver,
    /// It is where it was.
    InPlace {
        /// Whether its hash was in the snapshot, and is what it was.
        is_checked: bool,
    },
}

impl fmt::Display for RamRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eager => f.write_str("eager"),
            Self::EagerBecause(reason) => write!(f, "eager: {reason}"),
            Self::Lazy(reach) => write!(f, "lazy: {reach}"),
            Self::HandedOver => f.write_str("handed over"),
            Self::InPlace { is_checked: false } => f.write_str("in place"),
            Self::InPlace { is_checked: true } => f.write_str("in place: every byte checked"),
        }
    }
}

/// What RAM holds when the machine is made.
pub(super) enum Memory {
    /// Nothing: it is read.
    Read(RamRestore),
    /// All of it.
    There(GuestRam),
}

impl Memory {
    /// What is there, or else when it is read.
    pub(super) fn apart(self) -> (Option<GuestRam>, Option<RamRestore>) {
        match self {
            Self::Read(when) => (None, Some(when)),
            Self::There(ram) => (Some(ram), None),
        }
    }
}

/// Where RAM is made.
pub(super) struct Place<'a> {
    /// Where the snapshot says that it is.
    pub(super) kept: Option<&'a KeptMemory>,
    /// The file that it shall be in.
    pub(super) wanted: Option<&'a Path>,
    /// RAM itself.
    pub(super) there: Option<GuestRam>,
}

impl Place<'_> {
    /// RAM of `len` bytes: what is there, else in place if the snapshot says so, else fresh; in a
    /// file if one is wanted.
    pub(super) fn ram(self, len: u64) -> Result<(GuestRam, Option<MemoryFile>), RestoreError> {
        let board = RamRange { gpa: RAM_BASE, size: len };
        let refuse = |found: &RamRange, where_is: &str| {
            RestoreError::Memory(abide_snapshot::RestoreError::Range {
                gpa: board.gpa,
                size: board.size,
                found: format!("{:#x} bytes at {} {where_is}", found.size, found.gpa),
            })
        };
        if let Some(ram) = self.there {
            let found = RamRange { gpa: ram.base(), size: ram.size() };
            return if found == board {
                Ok((ram, None))
            } else {
                Err(refuse(&found, "handed over"))
            };
        }
        let Some(kept) = self.kept else { return Ok(create_ram(len, self.wanted)?) };
        if kept.range != board {
            return Err(refuse(&kept.range, "in a memory file"));
        }
        let file = MemoryFile::open(self.wanted.unwrap_or(&kept.path), kept)?;
        Ok((file.map(RAM_BASE)?, Some(file)))
    }
}

/// Makes `ram`, which is in `file`, hold what was saved: it does already, or all of it is read now.
/// userfaultfd cannot tell which pages of a file with reserved room are still to come.
pub(super) fn restore_in_file(
    reader: &Reader,
    ram: &GuestRam,
    file: &MemoryFile,
) -> Result<(RamRestored, Option<LazyRam>), RestoreError> {
    let Some(kept) = reader.snapshot().kept_memory() else {
        reader.restore_memory(ram)?;
        return Ok((RamRestored::EagerBecause("it goes to a memory file".to_owned()), None));
    };
    if let Some(hash) = kept.hash {
        file.check(ram, hash)?;
    }
    Ok((RamRestored::InPlace { is_checked: kept.hash.is_some() }, None))
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
