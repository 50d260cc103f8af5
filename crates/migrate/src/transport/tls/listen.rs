//! Listening: many may prove themselves at once.

use super::{Identity, Key, Pinned, TlsError, TlsLink, provider};
use crate::driver::{Link, Listen};
use crate::transport::lobby::Lobby;
use crate::transport::tcp;
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// Listens for those who are trusted.
pub struct TlsListen {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    own: Identity,
    lobby: Lobby<TlsLink>,
}

impl TlsListen {
    /// Listens at `HOST:PORT` with this key for these.
    ///
    /// # Errors
    /// What the host says; of keys, [`TlsError`] within.
    pub fn bind(at: &str, key: &Key, trusted: &[Identity]) -> io::Result<Self> {
        let provider = provider();
        let pinned =
            Arc::new(Pinned { trusted: trusted.to_vec(), provider: Arc::clone(&provider) });
        let keys = AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&key.certified));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| io::Error::other(TlsError::from(error)))?
            .with_client_cert_verifier(pinned)
            .with_cert_resolver(Arc::new(keys));
        let (listener, config) = (tcp::listener(at)?, Arc::new(config));
        Ok(Self { listener, config, own: key.identity, lobby: Lobby::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the host says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Listen for TlsListen {
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        self.lobby.admit(&self.listener, wait, || {
            let socket = tcp::take(&self.listener)?;
            let connection = ServerConnection::new(Arc::clone(&self.config));
            TlsLink::begin(connection.map_err(io::Error::other)?.into(), socket, self.own)
        })
    }
}
