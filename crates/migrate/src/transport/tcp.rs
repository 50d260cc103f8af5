//! Plain TCP: nobody is authenticated and nothing is secret, so only for networks in which that
//! does not matter, and only where somebody says so.

use super::ready_within;
use crate::driver::{Dial, Link, Listen};
use crate::token::PeerId;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The shortest wait that a socket knows.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// A connection to another host.
pub struct TcpLink {
    stream: TcpStream,
    peer: SocketAddr,
}

impl TcpLink {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        // Messages wait for answers; memory comes in large pieces anyway.
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok(Self { stream, peer })
    }
}

impl Read for TcpLink {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for TcpLink {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Link for TcpLink {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        let wait = Some(wait.max(WAIT_MIN));
        self.stream.set_read_timeout(wait)?;
        self.stream.set_write_timeout(wait)
    }

    /// Nothing is proved.
    fn identities(&self) -> (PeerId, PeerId) {
        Default::default()
    }

    fn address(&self) -> String {
        format!("tcp:{}", self.peer)
    }
}

/// Connects to a host and port.
#[derive(Clone, Debug)]
pub struct TcpDial {
    /// `HOST:PORT`.
    pub to: String,
}

impl Dial for TcpDial {
    fn dial(&mut self, wait: Duration) -> io::Result<Box<dyn Link>> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("tcp:{}: {error}", self.to));
        let mut last =
            io::Error::new(io::ErrorKind::NotFound, format!("tcp:{}: no address", self.to));
        for address in self.to.to_socket_addrs().map_err(named)? {
            match TcpStream::connect_timeout(&address, wait.max(WAIT_MIN)) {
                Ok(stream) => return Ok(Box::new(TcpLink::new(stream)?)),
                Err(error) => last = named(error),
            }
        }
        Err(last)
    }
}

/// Listens on a host's address.
#[derive(Debug)]
pub struct TcpListen {
    listener: TcpListener,
}

impl TcpListen {
    /// Listens at `HOST:PORT`; port 0 is one that is free.
    ///
    /// # Errors
    /// What the host says.
    pub fn bind(at: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the host says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Listen for TcpListen {
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        if !ready_within(&self.listener, wait)? {
            return Ok(None);
        }
        match self.listener.accept().and_then(|(stream, _)| TcpLink::new(stream)) {
            Ok(link) => Ok(Some(Box::new(link))),
            // It went away again, or this host is out of something for a moment.
            Err(error) => {
                tracing::debug!(%error, "accept");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_made_and_a_wait_ends() {
        let mut listen = TcpListen::bind("127.0.0.1:0").unwrap();
        assert!(listen.accept(Duration::from_millis(1)).unwrap().is_none());
        let to = listen.address().unwrap().to_string();
        let mut near = TcpDial { to }.dial(Duration::from_secs(10)).unwrap();
        let mut far = listen.accept(Duration::from_secs(10)).unwrap().unwrap();
        near.write_all(b"there").unwrap();
        let mut bytes = [0; 5];
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"there");
        near.set_wait(Duration::ZERO).unwrap();
        assert!(near.read(&mut bytes).is_err());
        assert!(far.address().starts_with("tcp:127.0.0.1:") && far.socket().is_none());
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let free = TcpListen::bind("127.0.0.1:0").unwrap().address().unwrap().to_string();
        let error = TcpDial { to: free.clone() }.dial(Duration::from_secs(10)).err().unwrap();
        assert!(error.to_string().contains(&free), "{error}");
    }
}
