//! The host's end of a port that traps: what the guest wrote there, and when.

use abide_host_time::{HostClock, KernelClock, Utc};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All that was written, with the kernel's UTC of each byte.
#[derive(Clone, Default)]
pub struct Port(Arc<Mutex<Vec<(u8, Utc)>>>);

impl Port {
    /// What was written until now.
    pub fn written(&self) -> MutexGuard<'_, Vec<(u8, Utc)>> {
        // Bytes and times come whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let now = KernelClock.utc();
        self.written().extend(bytes.iter().map(|&byte| (byte, now)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
