//! The host's clock and its table of leap seconds, put together.

use crate::assess::{Assessment, Assessor, Kind};
use crate::doubt::{Doubt, NoTable};
use crate::leap::{LeapTable, TABLE_LEN_MAX};
use crate::sample::{GuestCounter, HostClock};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where operating systems keep the table of leap seconds.
pub const LEAP_SECONDS_LIST: &str = "/usr/share/zoneinfo/leap-seconds.list";
/// After how many looks the table is read again: it is renewed while guests run.
const LOOKS_PER_TABLE: u32 = 3600;

/// The time as this host tells it to one guest.
pub struct HostTime {
    clock: Box<dyn HostClock>,
    assessor: Assessor,
    table_path: PathBuf,
    looks: u32,
}

impl HostTime {
    /// From this clock and this table.
    #[must_use]
    pub fn new(clock: Box<dyn HostClock>, kind: Kind, table_path: PathBuf) -> Self {
        let assessor = Assessor::new(kind, read_table(&table_path));
        Self { clock, assessor, table_path, looks: 0 }
    }

    /// What may be told now.
    ///
    /// # Errors
    /// [`Doubt`]: nothing, and why.
    pub fn look(&mut self, counter: &GuestCounter<'_>) -> Result<Assessment, Doubt> {
        self.looks += 1;
        if self.looks == LOOKS_PER_TABLE {
            self.looks = 0;
            self.assessor.set_table(read_table(&self.table_path));
        }
        self.assessor.assess(self.clock.as_mut(), counter)
    }
}

/// Reads a table of leap seconds.
///
/// # Errors
/// [`NoTable`].
pub fn read_table(path: &Path) -> Result<LeapTable, NoTable> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => NoTable::Missing,
        _ => NoTable::Unreadable { path: path.into(), errno: error.raw_os_error().unwrap_or(0) },
    };
    let text = read_file(path, TABLE_LEN_MAX).map_err(unreadable)?;
    LeapTable::parse(&text).map_err(|error| NoTable::Wrong { path: path.into(), error })
}

/// A file's content, but no more than `len_max` bytes and one; what is no file is not waited for.
pub(crate) fn read_file(path: &Path, len_max: usize) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt;
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut content = Vec::new();
    file.take(len_max as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_table(&folder.path().join("none")), Err(NoTable::Missing));
        assert!(matches!(read_table(folder.path()), Err(NoTable::Unreadable { .. })));
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(read_table(&fifo), Err(NoTable::Unreadable { .. })));
        let long = folder.path().join("long");
        std::fs::write(&long, vec![b'#'; TABLE_LEN_MAX + 9]).unwrap();
        assert!(matches!(read_table(&long), Err(NoTable::Wrong { .. })));
    }
}
