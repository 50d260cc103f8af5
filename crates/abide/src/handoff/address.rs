//! Where a destination is, and how a guest's memory gets there.

use abide_migrate::message::MemoryWay;
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
        assert_eq!(address.to_string(), "unix:/run/web.sock");
        let address: Address = "tcp:[::1]:7070".parse().unwrap();
        assert_eq!(address.to_string(), "tcp:[::1]:7070");
        for bad in ["", "unix:", "/run/web.sock", "udp:host:1", "tcp:host"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
