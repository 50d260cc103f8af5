//! Which network, as users write it.

use crate::ConfigError;
use crate::frame::{MacAddress, plan};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// The longest description, in bytes.
const TEXT_MAX_LEN: usize = 1024;
/// The most ports that are forwarded.
const FORWARDS_MAX: usize = 64;
/// Where name servers listen.
const DNS_PORT: u16 = 53;
/// The longest name of an interface, in bytes `[linux include/uapi/linux/if.h]`.
const INTERFACE_NAME_MAX_LEN: usize = 15;

/// A port of the host that leads to one of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where the host listens.
    pub host: SocketAddrV4,
    /// Where it leads.
    pub guest: SocketAddrV4,
}

/// Who answers the guest's questions for names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// Whom the host asks: the first name server of `/etc/resolv.conf`, looked up each time.
    #[default]
    Host,
    /// This one.
    At(SocketAddr),
}

/// A network behind a translating gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserConfig {
    /// Ports of the host that lead to the guest.
    pub forwards: Vec<Forward>,
    /// Who answers questions for names.
    pub resolver: Resolver,
    /// Whether the guest reaches nothing but the gateway's own services. Forwarded ports work.
    pub is_restricted: bool,
}

/// What a network card is plugged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetConfig {
    /// Nothing: the card is there, its cable is not.
    None,
    /// The network that answers by itself.
    Echo,
    /// The host's sockets.
    User(UserConfig),
    /// An interface of the host.
    Tap {
        /// Its name.
        name: String,
    },
}

impl NetConfig {
    /// Reads `user[,hostfwd=...][,dns=...][,restrict=on]`, `tap=NAME`, `echo` or `none`, with
    /// `mac=...` anywhere behind the first comma.
    ///
    /// # Errors
    /// [`ConfigError`], naming the part.
    pub fn parse(text: &str) -> Result<(Self, Option<MacAddress>), ConfigError> {
        if text.len() > TEXT_MAX_LEN {
            return Err(ConfigError::TooLong { found: text.len(), allowed: TEXT_MAX_LEN });
        }
        let mut parts = text.split(',');
        let kind = parts.next().unwrap_or_default();
        let mut config = Self::of_kind(kind)?;
        let mut mac = None;
        for part in parts {
            match part.strip_prefix("mac=") {
                Some(value) if mac.is_none() => mac = Some(MacAddress::parse(value)?),
                Some(_) => return Err(refuse(part, "one mac= is allowed")),
                None => config.option(part)?,
            }
        }
        Ok((config, mac))
    }

    fn of_kind(kind: &str) -> Result<Self, ConfigError> {
        match kind {
            "none" => Ok(Self::None),
            "echo" => Ok(Self::Echo),
            "user" => Ok(Self::User(UserConfig::default())),
            _ => match kind.strip_prefix("tap=") {
                Some(name) if is_interface_name(name) => Ok(Self::Tap { name: name.into() }),
                Some(_) => Err(refuse(kind, "an interface's name has 1 to 15 letters, no / or :")),
                None => Err(ConfigError::Kind { found: kind.into() }),
            },
        }
    }

    fn option(&mut self, part: &str) -> Result<(), ConfigError> {
        let Self::User(user) = self else {
            return Err(refuse(part, "only mac= is allowed here; all others belong to `user`"));
        };
        if let Some(value) = part.strip_prefix("hostfwd=") {
            if user.forwards.len() == FORWARDS_MAX {
                return Err(refuse(part, "at most 64 hostfwd= are allowed"));
            }
            user.forwards.push(forward(value).ok_or_else(|| refuse(part, FORWARD_FORM))?);
        } else if let Some(value) = part.strip_prefix("dns=") {
            let at = resolver(value)
                .ok_or_else(|| refuse(part, "dns=ADDRESS or dns=ADDRESS:PORT is needed"))?;
            user.resolver = Resolver::At(at);
        } else if let Some(value) = part.strip_prefix("restrict=") {
            user.is_restricted = match value {
                "on" => true,
                "off" => false,
                _ => return Err(refuse(part, "restrict=on or restrict=off is allowed")),
            };
        } else {
            return Err(refuse(part, "hostfwd=, dns=, restrict= or mac= is allowed"));
        }
        Ok(())
    }

    /// Whether what comes from it depends on the guest alone, so that a run can be repeated.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        matches!(self, Self::None | Self::Echo)
    }
}

const FORWARD_FORM: &str =
    "hostfwd=tcp:[HOST_ADDRESS]:PORT-[GUEST_ADDRESS]:PORT is needed, as tcp:127.0.0.1:2222-:22";

fn refuse(part: &str, allowed: &'static str) -> ConfigError {
    ConfigError::Option { found: part.into(), allowed }
}

/// Whether the kernel would take it as the name of an interface. `%` would make it choose a
/// number.
fn is_interface_name(name: &str) -> bool {
    (1..=INTERFACE_NAME_MAX_LEN).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte))
        && name != "."
        && name != ".."
}

fn forward(text: &str) -> Option<Forward> {
    let (host, guest) = text.strip_prefix("tcp:")?.split_once('-')?;
    let host = endpoint(host, Ipv4Addr::LOCALHOST)?;
    let guest = endpoint(guest, plan::GUEST)?;
    (guest.port() != 0 && plan::may_be_guest(*guest.ip())).then_some(Forward { host, guest })
}

fn endpoint(text: &str, default: Ipv4Addr) -> Option<SocketAddrV4> {
    let (address, port) = text.rsplit_once(':')?;
    let address = if address.is_empty() { default } else { address.parse().ok()? };
    Some(SocketAddrV4::new(address, number(port)?))
}

/// A port, without the sign that `parse` would take.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn resolver(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, DNS_PORT));
    }
    text.parse::<SocketAddr>().ok().filter(|at| at.port() != 0)
}

impl fmt::Display for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Echo => f.write_str("echo"),
            Self::Tap { name } => write!(f, "tap={name}"),
            Self::User(UserConfig { forwards, resolver, is_restricted }) => {
                f.write_str("user")?;
                for Forward { host, guest } in forwards {
                    write!(f, ",hostfwd=tcp:{host}-{guest}")?;
                }
                if let Resolver::At(at) = resolver {
                    write!(f, ",dns={at}")?;
                }
                if *is_restricted { f.write_str(",restrict=on") } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> UserConfig {
        match NetConfig::parse(text) {
            Ok((NetConfig::User(user), _)) => user,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "none",
            "echo",
            "tap=tap0",
            "user",
            "user,hostfwd=tcp:127.0.0.1:2222-10.0.2.15:22",
            "user,hostfwd=tcp:0.0.0.0:80-10.0.2.15:80,hostfwd=tcp:127.0.0.1:0-10.0.2.20:1",
            "user,dns=1.1.1.1:53",
            "user,dns=[::1]:5353",
            "user,restrict=on",
        ] {
            let (config, mac) = NetConfig::parse(text).unwrap();
            assert_eq!((config.to_string(), mac), (text.to_owned(), None));
        }
    }

    #[test]
    fn what_is_left_out_of_a_forward_is_loopback_and_the_guest() {
        let user = user("user,hostfwd=tcp::2222-:22");
        let at = |a, port| SocketAddrV4::new(a, port);
        let host = at(Ipv4Addr::LOCALHOST, 2222);
        assert_eq!(user.forwards, [Forward { host, guest: at(plan::GUEST, 22) }]);
    }

    #[test]
    fn hardware_address_stands_anywhere() {
        let mac = MacAddress::parse("52:54:00:00:00:07").ok();
        for text in ["echo,mac=52:54:00:00:00:07", "user,mac=52:54:00:00:00:07,dns=1.1.1.1"] {
            assert_eq!(NetConfig::parse(text).unwrap().1, mac);
        }
        let user = user("user,mac=52:54:00:00:00:07,dns=1.1.1.1");
        assert_eq!(user.resolver, Resolver::At("1.1.1.1:53".parse().unwrap()));
    }

    #[test]
    fn nonsense_is_refused_by_the_part() {
        for (text, part) in [
            ("", ""),
            ("bridge", "bridge"),
            ("user=1", "user=1"),
            ("tap=", "tap="),
            ("tap=a/b", "tap=a/b"),
            ("tap=tap%d", "tap=tap%d"),
            ("tap=sixteen-letters1", "tap=sixteen-letters1"),
            ("echo,dns=1.1.1.1", "dns=1.1.1.1"),
            ("user,", ""),
            ("user,hostfwd=udp::1-:1", "hostfwd=udp::1-:1"),
            ("user,hostfwd=tcp::2222", "hostfwd=tcp::2222"),
            ("user,hostfwd=tcp::+1-:22", "hostfwd=tcp::+1-:22"),
            ("user,hostfwd=tcp::1-:0", "hostfwd=tcp::1-:0"),
            ("user,hostfwd=tcp::1-10.0.2.2:22", "hostfwd=tcp::1-10.0.2.2:22"),
            ("user,hostfwd=tcp::70000-:22", "hostfwd=tcp::70000-:22"),
            ("user,dns=example", "dns=example"),
            ("user,restrict=yes", "restrict=yes"),
            ("user,mac=52:54:00:00:00:07,mac=52:54:00:00:00:07", "mac=52:54:00:00:00:07"),
        ] {
            let error = NetConfig::parse(text).unwrap_err();
            assert!(
                matches!(&error, ConfigError::Option { found, .. } | ConfigError::Kind { found }
                    if found == part),
                "{text}: {error:?}"
            );
        }
        let long = format!("user{}", ",dns=1.1.1.1".repeat(100));
        assert!(matches!(NetConfig::parse(&long), Err(ConfigError::TooLong { .. })));
        let many = format!("user{}", ",hostfwd=tcp::1-:1".repeat(56));
        assert!(NetConfig::parse(&many).is_ok());
    }

    #[test]
    fn only_what_the_guest_alone_decides_is_repeatable() {
        let repeatable = |text| NetConfig::parse(text).unwrap().0.is_repeatable();
        assert!(repeatable("echo") && repeatable("none"));
        assert!(!repeatable("user") && !repeatable("tap=tap0"));
    }
}
