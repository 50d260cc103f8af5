//! Who may be at the other end of a network.

use super::{Address, tunnel};
use crate::descriptors::Pair;
use abide_migrate::driver::{Dial, Listen};
use abide_migrate::transport::tcp::{TcpDial, TcpListen};
use abide_migrate::transport::tls::{self, Identity, Key, TlsDial, TlsListen};
use abide_migrate::transport::tunnel::{TunnelDial, TunnelListen};
use abide_migrate::transport::unix::{UnixDial, UnixListen};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What protects a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// Nothing does, and that was asked for.
    pub is_plain: bool,
    /// The file with this side's private key; absolute.
    pub key: Option<PathBuf>,
    /// The identities that the other side may have.
    pub trust: Vec<String>,
}

/// The key in a file, which nobody but its owner may read.
pub fn read_key(path: &Path) -> Result<Key> {
    let context = || format!("key {}", path.display());
    let mode = std::fs::metadata(path).with_context(context)?.permissions().mode();
    ensure!(
        mode & 0o077 == 0,
        "key {}: others may read it (mode {:03o}); `chmod 600` it, or make a new one",
        path.display(),
        mode & 0o777
    );
    let text = std::fs::read_to_string(path).with_context(context)?;
    Key::read(&text).with_context(context)
}

impl Security {
    /// Refuses an address that nothing protects, unless that was asked for.
    pub fn check(&self, address: &Address) -> Result<()> {
        let is_known = self.is_plain || (self.key.is_some() && !self.trust.is_empty());
        if matches!(address, Address::Tcp(_)) && !is_known {
            bail!(
                "{address}: --key FILE and --trust IDENTITY are needed, this side's key and who \
                 the other one is (`abide keygen` makes and shows both); where it does not matter \
                 who reads, changes or takes the guest, as within a tunnel, --insecure-plain-tcp"
            );
        }
        Ok(())
    }

    fn keys(&self) -> Result<(Key, Vec<Identity>)> {
        let path = self.key.as_ref().context("no key")?;
        let trusted = self.trust.iter().map(|text| tls::identity(text));
        Ok((read_key(path)?, trusted.collect::<Result<_, _>>()?))
    }

    /// What connects to `address`, by `pair` where that is a tunnel.
    pub fn dial(&self, address: &Address, pair: Option<Pair>) -> Result<Box<dyn Dial>> {
        self.check(address)?;
        Ok(match address {
            Address::Stdio | Address::Exec(_) => {
                Box::new(TunnelDial(Some(tunnel::link(pair.context("no tunnel")?)?)))
            }
            Address::Unix(path) => Box::new(UnixDial { path: path.clone() }),
            Address::Tcp(to) if self.is_plain => Box::new(TcpDial { to: to.clone() }),
            Address::Tcp(to) => {
                let (key, trusted) = self.keys()?;
                Box::new(TlsDial::new(to, &key, &trusted)?)
            }
        })
    }

    /// Listens at `address`. With where that is, if it was left to the host.
    pub fn listen(&self, address: &Address) -> Result<(Box<dyn Listen + Send>, Address)> {
        self.check(address)?;
        self.try_listen(address).with_context(|| address.to_string())
    }

    fn try_listen(&self, address: &Address) -> Result<(Box<dyn Listen + Send>, Address)> {
        let at = |at: io::Result<std::net::SocketAddr>| at.map(|at| Address::Tcp(at.to_string()));
        Ok(match address {
            Address::Stdio => {
                (Box::new(TunnelListen(Some(tunnel::of_this_process()?))), address.clone())
            }
            Address::Exec(_) => bail!("a guest is expected at -, unix:PATH or tcp:HOST:PORT"),
            Address::Unix(path) => (Box::new(UnixListen::bind(path)?), address.clone()),
            Address::Tcp(to) if self.is_plain => {
                let listen = TcpListen::bind(to)?;
                let at = at(listen.address())?;
                (Box::new(listen), at)
            }
            Address::Tcp(to) => {
                let (key, trusted) = self.keys()?;
                let listen = TlsListen::bind(to, &key, &trusted)?;
                let at = at(listen.address())?;
                (Box::new(listen), at)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_taken_only_with_keys_or_by_name() {
        let tcp: Address = "tcp:127.0.0.1:0".parse().unwrap();
        let unix: Address = "unix:/run/web.sock".parse().unwrap();
        let none = Security::default();
        assert!(none.check(&unix).is_ok() && none.check(&tcp).is_err());
        assert!(Security { is_plain: true, ..none.clone() }.check(&tcp).is_ok());
        let key = Some(PathBuf::from("key"));
        assert!(Security { key: key.clone(), ..none.clone() }.check(&tcp).is_err());
        assert!(Security { key, trust: vec!["0".repeat(64)], ..none }.check(&tcp).is_ok());
    }

    #[test]
    fn key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, Key::generate().unwrap().text()).unwrap();
        let set = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
        };
        set(0o640);
        assert!(read_key(&path).is_err());
        set(0o600);
        assert!(read_key(&path).is_ok());
    }
}
