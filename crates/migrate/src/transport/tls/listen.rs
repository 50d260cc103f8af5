//! Listening: many may prove themselves at once.
//!
//! Whoever connects and says nothing, or little by little, is known to nobody. He must not keep
//! those out who are trusted, so nobody waits for him.

use super::{HANDSHAKE_MAX, Identity, Key, Pinned, TlsError, TlsLink, provider};
use crate::driver::{Link, Listen};
use crate::transport::tcp::TcpListen;
use crate::transport::timespec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many may be on their way to prove themselves; of more, the first to have come are dropped.
const UNPROVEN_MAX: usize = 64;

/// Listens for those who are trusted.
pub struct TlsListen {
    listen: TcpListen,
    config: Arc<ServerConfig>,
    own: Identity,
    unproven: VecDeque<Unproven>,
}

/// Somebody who has come.
struct Unproven {
    link: TlsLink,
    since: Instant,
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
        let (listen, config) = (TcpListen::bind(at)?, Arc::new(config));
        Ok(Self { listen, config, own: key.identity, unproven: VecDeque::new() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the host says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listen.address()
    }

    /// Waits until somebody comes or says something, and for whom there is something to do: the
    /// listener itself, and each of those that are unproven.
    fn await_news(&self, wait: Duration) -> io::Result<(bool, Vec<bool>)> {
        let mut ends = vec![PollFd::new(&self.listen, PollFlags::IN)];
        ends.extend(self.unproven.iter().map(|unproven| unproven.link.awaited()));
        match poll(&mut ends, Some(&timespec(wait))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut is_ready = ends.iter().map(|end| !end.revents().is_empty());
        Ok((is_ready.next().unwrap_or(false), is_ready.collect()))
    }

    fn begin(&self, socket: TcpStream) -> io::Result<TlsLink> {
        let connection = ServerConnection::new(Arc::clone(&self.config));
        TlsLink::begin(connection.map_err(io::Error::other)?.into(), socket, self.own)
    }

    /// Lets go on who has something to say; the first one who is proven, and whether somebody
    /// was sent away.
    fn go_on(&mut self, mut is_ready: Vec<bool>) -> (Option<TlsLink>, bool) {
        let (mut proven, before) = (None, self.unproven.len());
        is_ready.resize(before, false);
        for is_ready in is_ready {
            let Some(mut unproven) = self.unproven.pop_front() else { break };
            let step = match is_ready && proven.is_none() {
                _ if unproven.since.elapsed() > HANDSHAKE_MAX => Err(super::too_slow()),
                true => unproven.link.go_on(),
                false => Ok(false),
            };
            match step {
                Ok(true) => proven = Some(unproven.link),
                Ok(false) => self.unproven.push_back(unproven),
                Err(error) => refused(unproven.link.address, &error),
            }
        }
        let is_one_gone = self.unproven.len() + usize::from(proven.is_some()) < before;
        (proven, is_one_gone)
    }
}

fn refused(peer: SocketAddr, error: &io::Error) {
    tracing::warn!(%peer, %error, "connection refused");
}

impl Listen for TlsListen {
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        let begun = Instant::now();
        loop {
            let left = wait.saturating_sub(begun.elapsed());
            let (has_come, is_ready) = self.await_news(left)?;
            let (proven, mut is_one_gone) = self.go_on(is_ready);
            if has_come {
                match self.listen.take().and_then(|socket| self.begin(socket)) {
                    Ok(link) => self.unproven.push_back(Unproven { link, since: Instant::now() }),
                    // It went away again, or this host is out of something for a moment.
                    Err(error) => {
                        tracing::warn!(%error, "connection refused");
                        is_one_gone = true;
                    }
                }
            }
            if self.unproven.len() > UNPROVEN_MAX
                && let Some(first) = self.unproven.pop_front()
            {
                refused(first.link.address, &io::Error::other("too many come at once"));
            }
            if let Some(link) = proven {
                return Ok(Some(Box::new(link)));
            }
            if is_one_gone || left.is_zero() {
                return Ok(None);
            }
        }
    }
}
