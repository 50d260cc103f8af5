//! What a network card is plugged into on the host.

use crate::doorbell::Doorbell;
use abide_net::{Connection, Echo, MacAddress, NetConfig, NetError, Port, Ready};
use abide_reg::{Class, Entry, Intake, IntakeError, Leftover, RegId, Value};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// The network in a snapshot, as users write it: a fact about the host, of any length.
const NETWORK: RegId = RegId::named("cable.network");
/// The connections that end with the process: guest's address and port, peer's address and port,
/// 12 bytes each. Not there where there are none.
const CONNECTIONS: RegId = RegId::named("cable.connections");
/// Length of one, in bytes.
const CONNECTION_LEN: usize = 12;

/// A network card that a board is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetCardConfig {
    /// What it is plugged into.
    pub network: NetConfig,
    /// Its address; fixed from birth on.
    pub mac: MacAddress,
}

/// Where a saved card was plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedCable {
    pub(crate) network: NetConfig,
    pub(crate) lost: Vec<Connection>,
}

/// The other end of a card's cable.
pub struct NetCable {
    network: NetConfig,
    mac: MacAddress,
    end: End,
}

enum End {
    /// Nobody.
    None,
    /// What it leads to is still another process's, or is again.
    Apart { lost: Vec<Connection> },
    /// Who answers at once, and what.
    Echo { answer: Option<Vec<u8>> },
    /// A backend with a thread of its own.
    Port(Port),
}

impl fmt::Debug for NetCable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetCable").field("network", &self.network).finish_non_exhaustive()
    }
}

impl NetCable {
    /// Plugs a card with the address `mac` in; `lost` are connections that its guest had through
    /// an earlier cable.
    ///
    /// # Errors
    /// [`NetError`].
    pub(crate) fn plug(
        network: NetConfig,
        mac: MacAddress,
        lost: &[Connection],
        doorbell: &Arc<Doorbell>,
    ) -> Result<Self, NetError> {
        let mut cable = Self::apart(network, mac, lost);
        cable.plug_in(doorbell)?;
        Ok(cable)
    }

    /// As [`Self::plug`], for a guest that another process still runs: it is plugged in later.
    pub(crate) fn apart(network: NetConfig, mac: MacAddress, lost: &[Connection]) -> Self {
        Self { network, mac, end: End::Apart { lost: lost.to_vec() } }
    }

    /// Plugs it in, if it is not yet.
    ///
    /// # Errors
    /// [`NetError`]; it may be tried again.
    pub(crate) fn plug_in(&mut self, doorbell: &Arc<Doorbell>) -> Result<(), NetError> {
        let End::Apart { lost } = &self.end else { return Ok(()) };
        let ready = || -> Ready {
            let doorbell = Arc::clone(doorbell);
            Arc::new(move || doorbell.ring())
        };
        self.end = match &self.network {
            NetConfig::None => End::None,
            NetConfig::Echo => End::Echo { answer: None },
            NetConfig::Tap { name } => End::Port(abide_net::tap::open(name, ready())?),
            NetConfig::User(user) => {
                End::Port(abide_net::user::open(user, self.mac, lost, ready())?.port)
            }
        };
        Ok(())
    }

    /// Leaves what it leads to, for another process: when this returns, that is free. Connections
    /// are lost with it.
    pub(crate) fn unplug(&mut self) {
        let lost = if let End::Port(port) = &self.end { port.connections() } else { Vec::new() };
        self.end = End::Apart { lost };
    }

    /// What it leads to.
    #[must_use]
    pub const fn network(&self) -> &NetConfig {
        &self.network
    }

    /// Whether others on this network must learn where the card is.
    pub(crate) const fn has_neighbours(&self) -> bool {
        matches!(self.network, NetConfig::Tap { .. })
    }

    /// What it leads to and what is lost with it, for a snapshot.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let volatile = |id, value| Entry::new(id, Class::Volatile, value);
        let text = self.network.to_string();
        let mut entries = vec![volatile(NETWORK, Value::bytes(text.as_bytes()))];
        if let End::Port(port) = &self.end {
            let connections = port.connections();
            if !connections.is_empty() {
                let bytes: Vec<u8> = connections.iter().flat_map(bytes_of).collect();
                entries.push(volatile(CONNECTIONS, Value::bytes(&bytes)));
            }
        }
        entries
    }

    /// Where a saved card was plugged in.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub(crate) fn saved(mut entries: Vec<Entry>) -> Result<(SavedCable, Leftover), IntakeError> {
        let mut take = |id| {
            let place = entries.iter().position(|entry| entry.id == id);
            place.map(|place| entries.remove(place).value)
        };
        let missing = IntakeError::Missing { id: NETWORK, name: "network" };
        let network = take(NETWORK).ok_or(missing)?;
        let connections = take(CONNECTIONS);
        let text = std::str::from_utf8(network.as_bytes()).unwrap_or_default();
        let Ok((config, None)) = NetConfig::parse(text) else {
            let allowed = "a network as `abide run --net` takes it, without mac=";
            return Err(IntakeError::Value { id: NETWORK, found: network, allowed });
        };
        let lost = match connections {
            None => Vec::new(),
            Some(value) => connections_of(value.as_bytes()).ok_or(IntakeError::Value {
                id: CONNECTIONS,
                found: value,
                allowed: "12 bytes for each of at most 256 connections",
            })?,
        };
        let leftover = Intake::new(entries)?.finish()?;
        Ok((SavedCable { network: config, lost }, leftover))
    }
}

fn bytes_of(connection: &Connection) -> Vec<u8> {
    let Connection { guest, peer } = connection;
    let end = |end: &SocketAddrV4| [&end.ip().octets()[..], &end.port().to_le_bytes()].concat();
    [end(guest), end(peer)].concat()
}

fn connections_of(bytes: &[u8]) -> Option<Vec<Connection>> {
    let (pieces, rest) = bytes.as_chunks::<CONNECTION_LEN>();
    let is_list = rest.is_empty() && (1..=abide_net::user::FLOWS_MAX).contains(&pieces.len());
    let end = |[a, b, c, d, low, high]: [u8; 6]| {
        SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_le_bytes([low, high]))
    };
    let connection = |&[a, b, c, d, e, f, g, h, i, j, k, l]: &[u8; CONNECTION_LEN]| Connection {
        guest: end([a, b, c, d, e, f]),
        peer: end([g, h, i, j, k, l]),
    };
    is_list.then(|| pieces.iter().map(connection).collect())
}

impl abide_virtio::Cable for NetCable {
    fn send(&mut self, frame: &[u8]) -> bool {
        match &mut self.end {
            End::None | End::Apart { .. } => true,
            End::Echo { answer } => {
                *answer = Echo.answer(frame);
                true
            }
            End::Port(port) => port.send(frame),
        }
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        match &mut self.end {
            End::None | End::Apart { .. } => None,
            End::Echo { answer } => answer.take(),
            End::Port(port) => port.receive(),
        }
    }

    fn has_frame(&self) -> bool {
        match &self.end {
            End::None | End::Apart { .. } => false,
            End::Echo { answer } => answer.is_some(),
            End::Port(port) => port.has_frame(),
        }
    }

    /// An answer that waited here would be state that no register holds.
    fn not_taken(&mut self) {
        if let End::Echo { answer } = &mut self.end {
            *answer = None;
        }
    }

    fn is_up(&self) -> bool {
        match &self.end {
            End::None | End::Apart { .. } => false,
            End::Echo { .. } => true,
            End::Port(port) => port.is_up(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plug(text: &str) -> NetCable {
        let (network, _) = NetConfig::parse(text).unwrap();
        NetCable::plug(network, MacAddress::of_seed(1), &[], &Arc::default()).unwrap()
    }

    #[test]
    fn what_is_saved_is_found_again() {
        for text in ["none", "echo", "user,dns=192.0.2.1:53"] {
            let (saved, leftover) = NetCable::saved(plug(text).save()).unwrap();
            assert_eq!((saved.network.to_string(), saved.lost), (text.to_owned(), vec![]));
            assert_eq!(leftover, Leftover::default());
        }
    }

    #[test]
    fn connections_are_kept_and_nonsense_refused() {
        let connection = Connection {
            guest: SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 0x1234),
            peer: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 80),
        };
        let bytes = bytes_of(&connection);
        assert_eq!(bytes, [10, 0, 2, 15, 0x34, 0x12, 192, 0, 2, 1, 80, 0]);
        assert_eq!(connections_of(&bytes), Some(vec![connection]));
        let with = |id, value: &[u8]| {
            let mut entries = plug("none").save();
            entries.retain(|entry| entry.id != id);
            entries.push(Entry::new(id, Class::Volatile, Value::bytes(value)));
            NetCable::saved(entries)
        };
        assert_eq!(with(CONNECTIONS, &bytes).unwrap().0.lost, [connection]);
        for (id, value) in [
            (CONNECTIONS, &bytes[..11]),
            (CONNECTIONS, &[]),
            (CONNECTIONS, &[0; 257 * 12]),
            (NETWORK, b"bridge"),
            (NETWORK, b"echo,mac=52:54:00:00:00:01"),
            (NETWORK, &[0xff]),
        ] {
            assert!(matches!(with(id, value), Err(IntakeError::Value { id: found, .. })
                if found == id));
        }
        assert!(matches!(NetCable::saved(vec![]), Err(IntakeError::Missing { .. })));
    }
}
