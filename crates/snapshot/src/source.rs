//! Where a snapshot is read from, and where it is written to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes at offsets, read by several threads at once.
pub trait Source: Send + Sync {
    /// How many bytes there are.
    ///
    /// # Errors
    /// What the host says.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are none.
    ///
    /// # Errors
    /// What the host says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `into` with the bytes at `offset`.
    ///
    /// # Errors
    /// What the host says; `UnexpectedEof` past the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

impl Source for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_slice().len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|at| self.get(at..)?.get(..into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Something that takes bytes at offsets. Places never written are zero.
pub trait Sink {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the host says.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the length `len`, with zeros where nothing was written.
    ///
    /// # Errors
    /// What the host says.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

impl Sink for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }
}

impl Sink for Vec<u8> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let end = at.checked_add(bytes.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        if self.as_slice().len() < end {
            self.resize(end, 0);
        }
        self[at..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.resize(usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?, 0);
        Ok(())
    }
}
