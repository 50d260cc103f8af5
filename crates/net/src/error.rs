//! Errors of the host's side.

use std::net::SocketAddrV4;
use thiserror::Error;

/// Why a description of a network cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The kind of network is not known.
    #[error("network `{found}`; `user`, `tap=NAME`, `echo` or `none` is allowed")]
    Kind {
        /// What was found.
        found: String,
    },
    /// An option is not known for this kind.
    #[error("network option `{found}`: {allowed}")]
    Option {
        /// What was found.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A hardware address that is none.
    #[error("mac={found}: six bytes in hexadecimal are needed, as 52:54:00:12:34:56")]
    Mac {
        /// What was found.
        found: String,
    },
    /// A hardware address that no card may have.
    #[error("mac={found} is a group's address; the first byte of a card's is even, not all zero")]
    MacGroup {
        /// What was found.
        found: String,
    },
    /// The description is too long to be kept.
    #[error("a network description of {found} bytes; {allowed} are allowed")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
        /// The most allowed.
        allowed: usize,
    },
}

/// Why a network cannot be opened here.
#[derive(Debug, Error)]
pub enum NetError {
    /// There is no interface of that name.
    #[error(
        "tap {name}: there is no such interface; make it with \
         `ip tuntap add {name} mode tap user $USER`, `ip link set {name} up`"
    )]
    NoTap {
        /// Its name.
        name: String,
    },
    /// The interface exists and is no tap.
    #[error("tap {name}: this interface is no tap, or an existing one of several queues")]
    NotTap {
        /// Its name.
        name: String,
    },
    /// The user may not use the interface.
    #[error(
        "tap {name}: not allowed; its owner may use it: \
         `ip tuntap add {name} mode tap user $USER` makes one"
    )]
    TapNotAllowed {
        /// Its name.
        name: String,
    },
    /// Somebody else uses the interface.
    #[error("tap {name}: in use by another program; give each guest its own")]
    TapBusy {
        /// Its name.
        name: String,
    },
    /// The host has no tap driver.
    #[error("tap {name}: the host has no /dev/net/tun; `modprobe tun`, or --net user")]
    NoTunDriver {
        /// The interface's name.
        name: String,
    },
    /// A port of the host cannot be taken.
    #[error("hostfwd tcp:{at}: {source}; choose another port of the host")]
    Forward {
        /// Where it should listen.
        at: SocketAddrV4,
        /// What the host says.
        source: std::io::Error,
    },
    /// The host refused something else.
    #[error("network: {what}: {source}")]
    Host {
        /// What was asked.
        what: &'static str,
        /// What the host says.
        source: std::io::Error,
    },
}

impl NetError {
    pub(crate) fn host(what: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |errno| Self::Host { what, source: errno.into() }
    }
}
