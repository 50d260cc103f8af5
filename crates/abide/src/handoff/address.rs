//! Where a destination is, and how a guest's memory gets there.

use abide_migrate::driver::{Dial, Listen};
use abide_migrate::message::MemoryWay;
use abide_migrate::transport::tcp::{TcpDial, TcpListen};
use abide_migrate::transport::unix::{UnixDial, UnixListen};
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// An address, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of this host.
    Unix(PathBuf),
    /// A host and port.
    Tcp(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => {
                let path = std::path::absolute(path).map_err(|error| error.to_string())?;
                Ok(Self::Unix(path))
            }
            Some(("tcp", to)) if to.contains(':') => Ok(Self::Tcp(to.to_owned())),
            _ => Err(format!("{text:?} is no address; unix:PATH and tcp:HOST:PORT are allowed")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(to) => write!(f, "tcp:{to}"),
        }
    }
}

impl Address {
    /// How memory goes there.
    pub fn memory(&self) -> MemoryWay {
        match self {
            Self::Unix(_) => MemoryWay::Descriptor,
            Self::Tcp(_) => MemoryWay::Stream,
        }
    }

    /// Refuses what nobody protects, unless it was asked for by name.
    pub fn check(&self, takes_plain_tcp: bool) -> Result<()> {
        ensure!(
            takes_plain_tcp || !matches!(self, Self::Tcp(_)),
            "{self}: whoever is on the way could read the guest, change it or take it; where that \
             does not matter, as within an `ssh -L` tunnel, say --insecure-plain-tcp on both sides"
        );
        Ok(())
    }

    /// What connects there.
    pub fn dial(&self) -> Box<dyn Dial> {
        match self {
            Self::Unix(path) => Box::new(UnixDial { path: path.clone() }),
            Self::Tcp(to) => Box::new(TcpDial { to: to.clone() }),
        }
    }

    /// Listens there. With the address at which it is, where that was left to the host.
    pub fn listen(&self) -> Result<(Box<dyn Listen + Send>, Self)> {
        let listened = match self {
            Self::Unix(path) => UnixListen::bind(path)
                .map(|listen| (Box::new(listen) as Box<dyn Listen + Send>, self.clone())),
            Self::Tcp(at) => TcpListen::bind(at).and_then(|listen| {
                let at = Self::Tcp(listen.address()?.to_string());
                Ok((Box::new(listen) as Box<dyn Listen + Send>, at))
            }),
        };
        listened.with_context(|| self.to_string())
    }
}

/// In a word, for reports.
pub fn word_of(memory: MemoryWay) -> &'static str {
    match memory {
        MemoryWay::Descriptor => "descriptor",
        MemoryWay::Stream => "stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let address: Address = "unix:/run/web.sock".parse().unwrap();
        assert_eq!(address, Address::Unix("/run/web.sock".into()));
        assert!(address.check(false).is_ok());
        assert_eq!(address.to_string(), "unix:/run/web.sock");
        let address: Address = "tcp:[::1]:7070".parse().unwrap();
        assert_eq!(address.to_string(), "tcp:[::1]:7070");
        assert!(address.check(false).is_err() && address.check(true).is_ok());
        for bad in ["", "unix:", "/run/web.sock", "udp:host:1", "tcp:host"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
