//! Why sockets between guest and host cannot be opened.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why sockets cannot be opened here.
#[derive(Debug, Error)]
pub enum VsockError {
    /// The path does not end in a name that a socket can have.
    #[error(
        "vsock {}: its last part is {found} bytes long; 1 to {} are allowed, and no `/` at its end",
        path.display(), super::NAME_MAX_LEN
    )]
    Name {
        /// The path.
        path: PathBuf,
        /// Length of its last part, in bytes.
        found: usize,
    },
    /// Somebody listens there.
    #[error(
        "vsock {}: in use by another guest or program; end that one, or give each its own path",
        path.display()
    )]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something else than a socket is there.
    #[error("vsock {}: a file is there that is no socket; remove it or name another path",
        path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The host refused something else.
    #[error("vsock {}: {source}", path.display())]
    Host {
        /// The path.
        path: PathBuf,
        /// What the host says.
        source: std::io::Error,
    },
}

impl VsockError {
    pub(super) fn host(path: &Path, source: std::io::Error) -> Self {
        Self::Host { path: path.into(), source }
    }
}
