//! Where an address of the guest's network leads on the host's.

use crate::config::Resolver;
use crate::frame::plan;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// Where name servers listen.
pub(super) const DNS_PORT: u16 = 53;
/// Where the host notes whom it asks for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// What is read of it, in bytes.
const RESOLV_CONF_MAX_LEN: u64 = 64 << 10;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// To an address of the host's network.
    At(SocketAddr),
    /// To a name server, of which the host knows none.
    NoResolver,
    /// Nowhere.
    Nowhere,
}

/// Which destinations there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Who answers questions for names.
    pub(super) resolver: Resolver,
    /// Whether there are none at all.
    pub(super) is_restricted: bool,
}

/// Where `to` leads.
pub(super) fn of(to: SocketAddrV4, reach: &Reach) -> Destination {
    let (address, port) = (*to.ip(), to.port());
    if port == 0 || reach.is_restricted {
        return Destination::Nowhere;
    }
    if address == plan::GATEWAY {
        return Destination::At(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into());
    }
    if address == plan::RESOLVER {
        return if port == DNS_PORT { name_server(&reach.resolver) } else { Destination::Nowhere };
    }
    let is_neighbour = address.octets()[..3] == plan::NETWORK.octets()[..3];
    // 0.x is this network, from 224 on groups, the reserved and everybody [RFC1122 3.2.1.3].
    let is_host = (1..224).contains(&address.octets()[0]) && !address.is_loopback();
    if is_neighbour || !is_host { Destination::Nowhere } else { Destination::At(to.into()) }
}

fn name_server(resolver: &Resolver) -> Destination {
    let found = match resolver {
        Resolver::At(at) => Some(*at),
        Resolver::Host => of_host(),
    };
    found.map_or(Destination::NoResolver, Destination::At)
}

/// The host's first name server. Looked up for each new conversation: a host that moves between
/// networks changes it.
fn of_host() -> Option<SocketAddr> {
    use std::io::Read;
    let mut text = Vec::new();
    let file = std::fs::File::open(RESOLV_CONF).ok()?;
    file.take(RESOLV_CONF_MAX_LEN).read_to_end(&mut text).ok()?;
    first_name_server(&String::from_utf8_lossy(&text))
}

fn first_name_server(text: &str) -> Option<SocketAddr> {
    let mut found = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_server = words.next() == Some("nameserver");
        words.next().filter(|_| is_server)?.parse::<IpAddr>().ok()
    });
    found.next().map(|address| SocketAddr::new(address, DNS_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(a: u8, b: u8, c: u8, d: u8, port: u16) -> Destination {
        let resolver = Resolver::At("192.0.2.53:5353".parse().unwrap());
        let reach = Reach { resolver, is_restricted: false };
        of(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port), &reach)
    }

    fn at(text: &str) -> Destination {
        Destination::At(text.parse().unwrap())
    }

    #[test]
    fn gateway_is_the_host_and_resolver_its_name_server() {
        assert_eq!(leads(10, 0, 2, 2, 80), at("127.0.0.1:80"));
        assert_eq!(leads(10, 0, 2, 3, 53), at("192.0.2.53:5353"));
        assert_eq!(leads(10, 0, 2, 3, 80), Destination::Nowhere);
        assert_eq!(leads(192, 0, 2, 7, 443), at("192.0.2.7:443"));
    }

    #[test]
    fn what_no_router_passes_on_leads_nowhere() {
        for [a, b, c, d] in [
            [10, 0, 2, 9],
            [10, 0, 2, 255],
            [127, 0, 0, 1],
            [0, 1, 2, 3],
            [224, 0, 0, 1],
            [255, 255, 255, 255],
        ] {
            assert_eq!(leads(a, b, c, d, 80), Destination::Nowhere, "{a}.{b}.{c}.{d}");
        }
        assert_eq!(leads(192, 0, 2, 7, 0), Destination::Nowhere);
    }

    #[test]
    fn the_first_usable_name_server_counts() {
        let text = "# nameserver 192.0.2.1\nsearch lan\nnameserver\nnameserver fe80::1%eth0\n\
                    nameserver ::1 # here\nnameserver 192.0.2.2\n";
        assert_eq!(first_name_server(text), Some("[::1]:53".parse().unwrap()));
        assert_eq!(first_name_server("options edns0\n"), None);
    }
}
