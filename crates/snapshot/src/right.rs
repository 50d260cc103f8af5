//! The right to run a guest that was moved: a file gives it once.

use crate::file::sync_directory;
use crate::finding::{Finding, Place, Problem};
use crate::head::{Head, RIGHT_UNIT, RecordKind};
use crate::header::HEADER_LEN;
use crate::wire::{array, u32_at};
use crate::{MemoryId, Reader};
use abide_reg::{Class, Scope};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

const LEN: usize = 24;
const AT_STATE: usize = 16;
const AT_ZERO: usize = 20;
const GIVEN: u32 = 1;
const TAKEN: u32 = 2;

/// Where the record stands: behind the header, so that it lies in one sector of any disk and is
/// changed whole.
pub(crate) const RIGHT_AT: u64 = HEADER_LEN as u64;

/// What a file of a moved guest says: whoever takes the right is the guest, and nobody after him.
///
/// The digest of a file is that of the file as it was written, with the right still to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RightToRun {
    /// A number that no other right has.
    pub id: MemoryId,
    /// Somebody took it.
    pub is_taken: bool,
}

/// Why the right to run could not be taken.
#[derive(Debug, Error)]
pub enum RightError {
    /// The file gives none.
    #[error(
        "{}: saved without --move, so its guest may go on elsewhere; restore it without --move: \
         the guest is told that it is a copy",
        path.display()
    )]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// Somebody took it.
    #[error(
        "{}: the right to run was taken already: its guest has gone on from this file; restore it \
         without --move for another one, which is told that it is a copy",
        path.display()
    )]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// Somebody is taking it.
    #[error("{}: another restore takes the right to run; see what became of it", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It is another file than the one that was read.
    #[error("{}: changed while it was restored; restore it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The host does not let the file be marked.
    #[error(
        "{}: the right to run cannot be taken: {step}: {source}; nothing runs. A file that can be \
         written is needed, or leave out --move: the guest is told that it is a copy",
        path.display()
    )]
    Host {
        /// What was done.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

impl RightToRun {
    pub(crate) fn is_possible(self) -> bool {
        self.id != MemoryId::default()
    }

    pub(crate) fn encode(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..AT_STATE].copy_from_slice(&self.id.0);
        let state = if self.is_taken { TAKEN } else { GIVEN };
        bytes[AT_STATE..AT_ZERO].copy_from_slice(&state.to_le_bytes());
        bytes
    }

    /// Reads the payload of the record at byte `at` of the file.
    pub(crate) fn decode(payload: &[u8], at: u64, place: Place) -> Result<Self, Finding> {
        if payload.len() != LEN {
            let (found, allowed) = (payload.len() as u64, LEN as u64);
            return Err(Finding::new(place, at, Problem::PayloadLen { found, allowed }));
        }
        let state = u32_at(payload, AT_STATE);
        let right = Self { id: MemoryId(array(payload, 0)), is_taken: state == TAKEN };
        let is_plain = matches!(state, GIVEN | TAKEN) && u32_at(payload, AT_ZERO) == 0;
        if is_plain && right.is_possible() && at == RIGHT_AT {
            return Ok(right);
        }
        Err(Finding::new(place, at, Problem::Right))
    }

    /// The whole record.
    pub(crate) fn seal(self) -> Vec<u8> {
        let head = Head::new(RecordKind::RIGHT, Class::Mandatory, RIGHT_UNIT, Scope::Vm);
        head.seal(&self.encode())
    }

    /// As it was written.
    pub(crate) fn given(self) -> Self {
        Self { is_taken: false, ..self }
    }

    /// Whether the file that `reader` read gives the right.
    ///
    /// # Errors
    /// [`RightError::Absent`] or [`RightError::Taken`].
    pub fn of(reader: &Reader, path: &Path) -> Result<Self, RightError> {
        match reader.snapshot().right() {
            None => Err(RightError::Absent { path: path.into() }),
            Some(right) if right.is_taken => Err(RightError::Taken { path: path.into() }),
            Some(right) => Ok(right),
        }
    }

    /// Takes the right from the file at `path`, for good: when this returns, the disk has it. To be
    /// called before the guest's first instruction; what is cut off in between has run nowhere, and
    /// can be restored as a copy.
    ///
    /// # Errors
    /// [`RightError`]; the guest must not run then.
    pub fn take(self, path: &Path) -> Result<(), RightError> {
        let host =
            |step| move |source: io::Error| RightError::Host { step, path: path.into(), source };
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(host("open to write"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(RightError::Busy { path: path.into() }),
            Err(errno) => return Err(host("lock")(errno.into())),
        }
        let (given, taken) = (self.given().seal(), Self { is_taken: true, ..self }.seal());
        let mut found = vec![0; given.len()];
        file.read_exact_at(&mut found, RIGHT_AT).map_err(host("read"))?;
        if found == taken {
            return Err(RightError::Taken { path: path.into() });
        }
        if found != given {
            return Err(RightError::Changed { path: path.into() });
        }
        file.write_all_at(&taken, RIGHT_AT).map_err(host("write"))?;
        file.sync_all().map_err(host("synchronize"))?;
        sync_directory(path).map_err(host("synchronize its directory"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: RightToRun = RightToRun { id: MemoryId([7; 16]), is_taken: false };

    fn decode(payload: &[u8]) -> Result<RightToRun, Finding> {
        RightToRun::decode(payload, RIGHT_AT, Place::File)
    }

    #[test]
    fn fields_stand_where_the_document_says() {
        let bytes = RIGHT.encode();
        assert_eq!((bytes[0], bytes[15], &bytes[16..]), (7, 7, &[1, 0, 0, 0, 0, 0, 0, 0][..]));
        assert_eq!(decode(&bytes).unwrap(), RIGHT);
        let taken = RightToRun { is_taken: true, ..RIGHT };
        assert_eq!(taken.encode()[16], 2);
        assert_eq!(decode(&taken.encode()).unwrap(), taken);
        // In one sector, whatever its size.
        assert!(RIGHT_AT / 512 == (RIGHT_AT + RIGHT.seal().len() as u64 - 1) / 512);
    }

    #[test]
    fn impossible_rights_are_refused() {
        let good = RIGHT.encode();
        for (at, byte) in [(16, 0), (16, 3), (17, 1), (20, 1)] {
            let mut wrong = good;
            wrong[at] = byte;
            assert!(decode(&wrong).is_err(), "{at}: {byte}");
        }
        let mut nobody = good;
        nobody[..16].fill(0);
        assert!(decode(&nobody).is_err());
        assert!(decode(&good[..20]).is_err());
        assert!(RightToRun::decode(&good, RIGHT_AT + 8, Place::File).is_err(), "not the first");
    }
}
