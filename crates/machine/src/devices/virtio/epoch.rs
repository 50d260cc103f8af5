//! The epoch beside a disk's lock: who last had the right to write to it.
//!
//! A lock is of processes of hosts that share it, and is gone with its host. The epoch stands on
//! the file itself, as an extended attribute, so it is there for whoever opens the file later: of
//! one guest, nobody takes a disk in an older epoch than the disk was taken in already.

use super::disk::DiskError;
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;

/// Its name on the file.
const NAME: &str = "user.abide.epoch";
const GUEST_LEN: usize = 16;
/// Guest (16), epoch (8, little-endian).
const LEN: usize = GUEST_LEN + 8;

/// The epoch in which a guest's disks are taken. How epochs come about is the business of who
/// hands guests over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunEpoch {
    /// What names the guest for life.
    pub guest: [u8; GUEST_LEN],
    /// How often the right to run it has changed hands.
    pub epoch: u64,
}

impl RunEpoch {
    fn encode(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..GUEST_LEN].copy_from_slice(&self.guest);
        bytes[GUEST_LEN..].copy_from_slice(&self.epoch.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (guest, epoch) = bytes.split_first_chunk()?;
        Some(Self { guest: *guest, epoch: u64::from_le_bytes(epoch.try_into().ok()?) })
    }

    /// Marks the locked `file` with this epoch, unless it was taken in a later one. It is not
    /// synchronized: a power cut takes the process with it that has the disk.
    ///
    /// Where a file cannot have it (block devices, some file systems), that is told, and the lock
    /// alone has to do.
    ///
    /// # Errors
    /// [`DiskError::Epoch`].
    pub(super) fn mark(self, file: &File, path: &Path) -> Result<(), DiskError> {
        let found = Self::found(file);
        if let Ok(Some(found)) = found
            && found.guest == self.guest
            && found.epoch > self.epoch
        {
            let (path, found, allowed) = (path.into(), found.epoch, self.epoch);
            return Err(DiskError::Epoch { path, found, allowed });
        }
        let set = |_| fsetxattr(file, NAME, &self.encode(), XattrFlags::empty());
        if let Err(errno) = found.and_then(set) {
            let (path, error) = (path.display(), std::io::Error::from(errno));
            tracing::info!(%path, %error, "disk: cannot be marked with its guest's epoch");
        }
        Ok(())
    }

    /// What stands on the file: nothing, too, where abide did not write it.
    fn found(file: &File) -> Result<Option<Self>, Errno> {
        let mut bytes = [0; LEN];
        match fgetxattr(file, NAME, &mut bytes) {
            Ok(len) => Ok(Self::decode(&bytes[..len])),
            Err(Errno::NODATA | Errno::RANGE) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(guest: u8, epoch: u64) -> RunEpoch {
        RunEpoch { guest: [guest; GUEST_LEN], epoch }
    }

    #[test]
    fn a_guests_disk_is_taken_in_no_older_epoch() {
        let file = tempfile::tempfile().unwrap();
        let mark = |epoch: RunEpoch| epoch.mark(&file, Path::new("d"));
        let found = || RunEpoch::found(&file).ok().flatten();
        let can =
            !matches!(fsetxattr(&file, NAME, b"no epoch", XattrFlags::empty()), Err(Errno::NOTSUP));
        for epoch in [2, 2, 4] {
            mark(of(1, epoch)).unwrap();
            assert_eq!(found(), can.then_some(of(1, epoch)));
        }
        let stale = mark(of(1, 3));
        let is_refused = matches!(stale, Err(DiskError::Epoch { found: 4, allowed: 3, .. }));
        assert_eq!(is_refused, can, "{stale:?}");
        assert_eq!(found(), can.then_some(of(1, 4)));
        // The disk is another guest's now.
        mark(of(9, 2)).unwrap();
        assert_eq!(found(), can.then_some(of(9, 2)));
        if can {
            fsetxattr(&file, NAME, &[7; LEN + 9], XattrFlags::empty()).unwrap();
        }
        mark(of(9, 1)).unwrap();
        assert_eq!(found(), can.then_some(of(9, 1)));
    }
}
