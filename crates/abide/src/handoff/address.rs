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
    /// The standard input and output of this process.
    Stdio,
    /// Those of a shell's command that is started for it.
    Exec(String),
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
            Some(("exec", command)) if !command.is_empty() => Ok(Self::Exec(command.to_owned())),
            None if text == "-" => Ok(Self::Stdio),
            _ => Err(format!(
                "{text:?} is no address; unix:PATH, tcp:HOST:PORT, exec:COMMAND and - are allowed"
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(to) => write!(f, "tcp:{to}"),
            Self::Stdio => f.write_str("-"),
            Self::Exec(command) => write!(f, "exec:{command}"),
        }
    }
}

impl Address {
    /// How memory goes there.
    pub fn memory(&self) -> MemoryWay {
        match self {
            Self::Unix(_) => MemoryWay::Descriptor,
            Self::Tcp(_) | Self::Stdio | Self::Exec(_) => MemoryWay::Stream,
        }
    }

    /// Whether there is one connection, which whoever asks for the handoff makes.
    pub fn is_tunnel(&self) -> bool {
        matches!(self, Self::Stdio | Self::Exec(_))
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
        let address: Address = "exec:ssh host abide receive web2 -".parse().unwrap();
        assert_eq!(address, Address::Exec("ssh host abide receive web2 -".to_owned()));
        assert!(address.is_tunnel() && "-".parse() == Ok(Address::Stdio));
        for bad in ["", "exec:", "--", "unix:", "/run/web.sock", "udp:host:1", "tcp:host"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
