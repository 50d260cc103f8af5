//! Plain TCP: nobody is authenticated and nothing is secret, so only for networks in which that
//! does not matter, and only where somebody says so.

use super::lobby::{Enter, Lobby};
use super::{WAIT_MIN, set_wait};
use crate::driver::{Dial, Link, Listen};
use crate::token::PeerId;
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A connection to another host.
pub struct TcpLink {
    stream: TcpStream,
    peer: SocketAddr,
}

impl TcpLink {
    fn new(stream: TcpStream) -> io::Result<Self> {
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
        set_wait(&self.stream, wait)
    }

    /// Nothing is proved.
    fn identities(&self) -> (PeerId, PeerId) {
        Default::default()
    }

    fn address(&self) -> String {
        format!("tcp:{}", self.peer)
    }
}

impl Enter for TcpLink {
    fn peer(&self) -> String {
        self.peer.to_string()
    }

    fn awaited(&self) -> PollFd<'_> {
        PollFd::new(&self.stream, PollFlags::IN)
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
        dial("tcp", &self.to, wait, TcpLink::new)
    }
}

/// What `link` makes of a connection to `to`, at the first of its addresses where it can. `way` is
/// for errors.
pub(super) fn dial<L: Link + 'static>(
    way: &str,
    to: &str,
    wait: Duration,
    link: impl Fn(TcpStream) -> io::Result<L>,
) -> io::Result<Box<dyn Link>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{way}:{to}: {error}"));
    let mut last = named(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in to.to_socket_addrs().map_err(named)? {
        let stream = TcpStream::connect_timeout(&address, wait.max(WAIT_MIN)).and_then(blocking);
        match stream.and_then(&link) {
            Ok(link) => return Ok(Box::new(link)),
            Err(error) => last = named(error),
        }
    }
    Err(last)
}

fn blocking(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(false)?;
    // Messages wait for answers; memory comes in large pieces anyway.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Listens at `HOST:PORT`, without ever waiting.
pub(super) fn listener(at: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Who has come.
pub(super) fn take(listener: &TcpListener) -> io::Result<TcpStream> {
    listener.accept().and_then(|(stream, _)| blocking(stream))
}

/// Listens on a host's address.
pub struct TcpListen {
    listener: TcpListener,
    lobby: Lobby<TcpLink>,
}

impl TcpListen {
    /// Listens at `HOST:PORT`; port 0 is one that is free.
    ///
    /// # Errors
    /// What the host says.
    pub fn bind(at: &str) -> io::Result<Self> {
        Ok(Self { listener: listener(at)?, lobby: Lobby::default() })
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
    /// Those only who have said something.
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        self.lobby.admit(&self.listener, wait, || TcpLink::new(take(&self.listener)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of a connection of somebody who says something, and is heard.
    fn connect(listen: &mut TcpListen) -> (Box<dyn Link>, Box<dyn Link>) {
        let to = listen.address().unwrap().to_string();
        let mut near = TcpDial { to }.dial(Duration::from_secs(10)).unwrap();
        near.write_all(b"there").unwrap();
        let mut far = listen.accept(Duration::from_secs(10)).unwrap().unwrap();
        let mut bytes = [0; 5];
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"there");
        (near, far)
    }

    #[test]
    fn connection_is_made_and_a_wait_ends() {
        let mut listen = TcpListen::bind("127.0.0.1:0").unwrap();
        assert!(listen.accept(Duration::from_millis(1)).unwrap().is_none());
        let (mut near, far) = connect(&mut listen);
        near.set_wait(Duration::ZERO).unwrap();
        assert!(near.read(&mut [0; 5]).is_err());
        assert!(far.address().starts_with("tcp:127.0.0.1:") && far.socket().is_none());
    }

    #[test]
    fn who_says_nothing_keeps_nobody_out() {
        let mut listen = TcpListen::bind("127.0.0.1:0").unwrap();
        let to = listen.address().unwrap();
        // More than are waited for at once.
        let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(to).unwrap()).collect();
        connect(&mut listen);
        drop(silent);
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let free = TcpListen::bind("127.0.0.1:0").unwrap().address().unwrap().to_string();
        let error = TcpDial { to: free.clone() }.dial(Duration::from_secs(10)).err().unwrap();
        assert!(error.to_string().contains(&free), "{error}");
    }
}
