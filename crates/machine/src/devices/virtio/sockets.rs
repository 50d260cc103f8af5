//! What a guest's sockets lead to on the host.

use crate::doorbell::Doorbell;
use abide_net::vsock::{Port, TO_HOST_MAX, VsockError};
use abide_reg::{Class, Entry, Intake, IntakeError, Leftover, RegId, Value};
use abide_virtio::vsock::PAYLOAD_MAX_LEN;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the path of a guest's socket stands in a snapshot: a fact about the host, of any length.
pub const SOCKETS_PATH: RegId = RegId::named("sockets.path");

// What a guest has credit for, it may send in one packet.
const _: () = assert!(PAYLOAD_MAX_LEN == TO_HOST_MAX);

/// Sockets that a board is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VsockConfig {
    /// The UNIX socket that stands for the guest.
    pub path: PathBuf,
    /// The guest's number, from [`CID_MIN`](super::CID_MIN) to [`CID_MAX`](super::CID_MAX); fixed
    /// from birth on.
    pub cid: u32,
}

/// The host's end of a guest's sockets.
pub struct HostSockets {
    path: PathBuf,
    cid: u32,
    /// `None` while another process listens at the path.
    port: Option<Port>,
}

impl fmt::Debug for HostSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSockets").field("path", &self.path).finish_non_exhaustive()
    }
}

impl HostSockets {
    /// Listens at the path.
    ///
    /// # Errors
    /// [`VsockError`].
    pub(crate) fn open(config: &VsockConfig, doorbell: &Arc<Doorbell>) -> Result<Self, VsockError> {
        let mut sockets = Self::apart(config);
        sockets.listen(doorbell)?;
        Ok(sockets)
    }

    /// As [`Self::open`], for a guest that another process still runs: it listens later.
    pub(crate) fn apart(config: &VsockConfig) -> Self {
        Self { path: config.path.clone(), cid: config.cid, port: None }
    }

    /// Listens at the path, if it does not yet.
    ///
    /// # Errors
    /// [`VsockError`]; it may be tried again.
    pub(crate) fn listen(&mut self, doorbell: &Arc<Doorbell>) -> Result<(), VsockError> {
        if self.port.is_none() {
            let doorbell = Arc::clone(doorbell);
            let ready = Arc::new(move || doorbell.ring());
            self.port = Some(abide_net::vsock::open(&self.path, self.cid, ready)?);
        }
        Ok(())
    }

    /// Leaves the path to another process: when this returns, it is free.
    pub(crate) fn leave(&mut self) {
        self.port = None;
    }

    /// Where programs of the host find the guest.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where that is, for a snapshot. Connections are not saved: they end with the process.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let path = Value::bytes(self.path.as_os_str().as_bytes());
        vec![Entry::new(SOCKETS_PATH, Class::Volatile, path)]
    }

    /// Where saved sockets were.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub(crate) fn saved(mut entries: Vec<Entry>) -> Result<(PathBuf, Leftover), IntakeError> {
        let path = super::take_path(&mut entries, SOCKETS_PATH)?;
        Ok((path, Intake::new(entries)?.finish()?))
    }
}

impl abide_virtio::Sockets for HostSockets {
    fn send(&mut self, packet: &[u8]) -> bool {
        self.port.as_ref().is_none_or(|port| port.send(packet))
    }

    fn receive(&mut self, room: usize) -> Option<Vec<u8>> {
        self.port.as_ref()?.receive(room)
    }

    fn has_packet(&self) -> bool {
        self.port.as_ref().is_some_and(Port::has_packet)
    }

    fn reset(&mut self) {
        if let Some(port) = &self.port {
            port.reset();
        }
    }
}
