//! Pages of guest ABIs: shared memory that is not RAM.

use crate::{GuestRam, MemoryError};
use abide_reg::Gpa;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the guest's CPUs may do with a page of a guest ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAccess {
    /// They read and execute. Every write is a synchronous external abort, by whatever
    /// instruction; cache maintenance is none.
    ReadOnly,
    /// As RAM.
    ReadWrite,
}

/// [`AbiPages::LEN`] bytes outside RAM, in a memfd of their own from its first byte on, so that the
/// descriptor can be handed to who looks on.
///
/// They are no part of RAM to anybody but the guest's CPUs: devices do not reach them, no dirty log
/// has them, a snapshot's memory does not hold them. Their content is state of the unit that they
/// belong to, and saved as its registers.
#[derive(Debug)]
pub struct AbiPages {
    host: GuestRam,
    access: PageAccess,
    refused_writes: AtomicU64,
}

impl AbiPages {
    /// The length of every such range and the alignment of where it stands, in bytes: the largest
    /// page of a guest and of a host, so that nothing else shares a page with it on either side.
    pub const LEN: u64 = 0x1_0000;

    /// Zeros at `gpa`, a multiple of [`Self::LEN`].
    ///
    /// # Errors
    /// [`MemoryError::Page`] or [`MemoryError::Host`].
    pub fn new(gpa: Gpa, access: PageAccess) -> Result<Self, MemoryError> {
        if !gpa.0.is_multiple_of(Self::LEN) {
            return Err(MemoryError::Page { gpa, why: "is not aligned to 64 KiB" });
        }
        let host = GuestRam::named("abide-abi-page", gpa, Self::LEN)?;
        Ok(Self { host, access, refused_writes: AtomicU64::new(0) })
    }

    /// Where they stand.
    #[must_use]
    pub fn gpa(&self) -> Gpa {
        self.host.base()
    }

    /// What the guest's CPUs may do.
    #[must_use]
    pub fn access(&self) -> PageAccess {
        self.access
    }

    /// The host's own way to them: whatever the guest may do, the host reads and writes.
    #[must_use]
    pub fn host(&self) -> &GuestRam {
        &self.host
    }

    /// Takes note that an engine refused the guest a write. Tells whether it was the first, which
    /// deserves a line in the log.
    pub fn note_refused_write(&self) -> bool {
        self.refused_writes.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// How many writes were refused.
    #[must_use]
    pub fn refused_writes(&self) -> u64 {
        self.refused_writes.load(Ordering::Relaxed)
    }
}
