//! Ethernet frames: addresses, lengths, and putting IPv4 into them.

use crate::ConfigError;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Address,
    Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};
use std::fmt;

/// The longest frame, in bytes: a header of 14, perhaps a VLAN tag of 4, 1500 of payload. The
/// checksum at its end is the cable's business and never seen.
pub const FRAME_MAX_LEN: usize = 1518;
/// The shortest, in bytes: a header alone.
pub const FRAME_MIN_LEN: usize = 14;

/// The longest frame without a tag.
pub(crate) const UNTAGGED_MAX_LEN: usize = 1514;
/// The most bytes of a datagram that fit into one frame.
pub(crate) const DATAGRAM_MAX_LEN: usize = UNTAGGED_MAX_LEN - 14 - 20 - 8;

/// The addresses of the networks that abide makes itself: those of QEMU's user network, which
/// guests' images and people's habits are set up for.
pub mod plan {
    use std::net::Ipv4Addr;

    /// First address of the network; its mask is [`MASK`].
    pub const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);
    /// 24 bits.
    pub const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
    /// The gateway. To the guest it is also the host itself: a connection to it reaches what
    /// listens on the host's loopback address.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
    /// The name server.
    pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
    /// What the guest gets by DHCP.
    pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
    /// Everybody on this network.
    pub const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 255);

    /// Whether a guest may send from this address.
    #[must_use]
    pub fn may_be_guest(address: Ipv4Addr) -> bool {
        let [a, b, c, d] = address.octets();
        [a, b, c] == [10, 0, 2] && !matches!(d, 0 | 2 | 3 | 255)
    }
}

/// The gateway's hardware address: locally administered, as QEMU's.
pub(crate) const GATEWAY_MAC: EthernetAddress =
    EthernetAddress([0x52, 0x55, 0x0a, 0x00, 0x02, 0x02]);

/// A network card's hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address with these bytes; `None` for a group's and for all zero.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Option<Self> {
        let is_zero = matches!(bytes, [0, 0, 0, 0, 0, 0]);
        if bytes[0] & 1 == 1 || is_zero { None } else { Some(Self(bytes)) }
    }

    /// A locally administered address out of `seed`: 52:54:00 and three of its bytes, so that
    /// tools recognise a virtual machine.
    #[must_use]
    pub const fn of_seed(seed: u32) -> Self {
        let [a, b, c, _] = seed.to_le_bytes();
        Self([0x52, 0x54, 0x00, a, b, c])
    }

    /// Its bytes, in the order in which they are sent.
    #[must_use]
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }

    /// The address that `text` writes.
    ///
    /// # Errors
    /// [`ConfigError::Mac`] or [`ConfigError::MacGroup`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Mac { found: text.into() };
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(wrong)?;
            // `from_str_radix` would take a sign.
            let is_hex = part.bytes().all(|letter| letter.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| is_hex).ok_or_else(wrong)?;
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        Self::new(bytes).ok_or_else(|| ConfigError::MacGroup { found: text.into() })
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Both ends of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) from: EthernetAddress,
    pub(crate) to: EthernetAddress,
}

impl Ends {
    /// From the gateway.
    pub(crate) const fn to(to: EthernetAddress) -> Self {
        Self { from: GATEWAY_MAC, to }
    }
}

/// A frame with an IPv4 packet whose payload, of `len` bytes, `fill` writes.
pub(crate) fn ipv4(
    ends: Ends,
    addresses: (Ipv4Address, Ipv4Address),
    protocol: IpProtocol,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let repr = Ipv4Repr {
        src_addr: addresses.0,
        dst_addr: addresses.1,
        next_header: protocol,
        payload_len: len,
        hop_limit: 64,
    };
    let mut bytes = vec![0; FRAME_MIN_LEN + repr.buffer_len() + len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    let ethernet =
        EthernetRepr { src_addr: ends.from, dst_addr: ends.to, ethertype: EthernetProtocol::Ipv4 };
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    repr.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    bytes
}

/// Where a datagram comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DatagramEnds {
    pub(crate) from: (Ipv4Address, u16),
    pub(crate) to: (Ipv4Address, u16),
}

/// A frame with a datagram; `None` if it would not fit.
pub(crate) fn udp(ends: Ends, at: DatagramEnds, payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() > DATAGRAM_MAX_LEN {
        return None;
    }
    let repr = UdpRepr { src_port: at.from.1, dst_port: at.to.1 };
    let addresses = (at.from.0, at.to.0);
    let len = repr.header_len() + payload.len();
    Some(ipv4(ends, addresses, IpProtocol::Udp, len, |into| {
        repr.emit(
            &mut UdpPacket::new_unchecked(into),
            &addresses.0.into(),
            &addresses.1.into(),
            payload.len(),
            |room| room.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
    }))
}

/// What an IPv4 frame of the guest holds, its checksum right and not a fragment.
pub(crate) struct Received<'a> {
    pub(crate) from_mac: EthernetAddress,
    pub(crate) header: Ipv4Repr,
    pub(crate) payload: &'a [u8],
}

/// Takes an IPv4 frame apart.
pub(crate) fn received(bytes: &[u8]) -> Option<Received<'_>> {
    let frame = EthernetFrame::new_checked(bytes).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 || !frame.src_addr().is_unicast() {
        return None;
    }
    let to = frame.dst_addr();
    if to != GATEWAY_MAC && !to.is_broadcast() {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    // Fragments are rare: every sender here has the same longest packet.
    if packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let header = Ipv4Repr::parse(&packet, &ChecksumCapabilities::default()).ok()?;
    Some(Received { from_mac: frame.src_addr(), header, payload: packet.payload() })
}

/// A datagram within a packet, its checksum right: source port, destination port, content.
pub(crate) fn datagram<'a>(received: &Received<'a>) -> Option<(u16, u16, &'a [u8])> {
    let Ipv4Repr { src_addr, dst_addr, next_header: IpProtocol::Udp, .. } = received.header else {
        return None;
    };
    let packet = UdpPacket::new_checked(received.payload).ok()?;
    let (from, to) = (src_addr.into(), dst_addr.into());
    let repr = UdpRepr::parse(&packet, &from, &to, &ChecksumCapabilities::default()).ok()?;
    Some((repr.src_port, repr.dst_port, packet.payload()))
}

/// A datagram for the guest, for tests: who sent it, from and to which port, and what.
#[cfg(test)]
pub(crate) fn received_from(frame: &[u8]) -> (Ipv4Address, u16, u16, Vec<u8>) {
    let packet = Ipv4Packet::new_checked(&frame[FRAME_MIN_LEN..]).unwrap();
    let header = Ipv4Repr::parse(&packet, &ChecksumCapabilities::default()).unwrap();
    let from_mac = GATEWAY_MAC;
    let received = Received { from_mac, header, payload: packet.payload() };
    let (from, to, payload) = datagram(&received).unwrap();
    (header.src_addr, from, to, payload.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_as_written() {
        let mac = MacAddress::parse("52:54:00:ab:cd:ef").unwrap();
        assert_eq!(mac.bytes(), [0x52, 0x54, 0, 0xab, 0xcd, 0xef]);
        assert_eq!(mac.to_string(), "52:54:00:ab:cd:ef");
        assert_eq!(MacAddress::parse("52-54-00-AB-CD-EF"), Ok(mac));
        for text in ["", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:01", "5:254:00:ab:cd:ef", "+2:+4:0"] {
            assert!(matches!(MacAddress::parse(text), Err(ConfigError::Mac { .. })), "{text}");
        }
        for text in ["53:54:00:ab:cd:ef", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"] {
            assert!(matches!(MacAddress::parse(text), Err(ConfigError::MacGroup { .. })), "{text}");
        }
    }

    #[test]
    fn any_seed_gives_a_cards_address() {
        for seed in [0, 1, 0xffff_ffff, 0x0101_0101] {
            assert!(MacAddress::new(MacAddress::of_seed(seed).bytes()).is_some());
        }
    }

    #[test]
    fn a_datagram_comes_out_as_it_went_in() {
        let ends = Ends { from: EthernetAddress([2, 0, 0, 0, 0, 1]), to: GATEWAY_MAC };
        let at = DatagramEnds { from: (plan::GUEST, 5), to: (plan::GATEWAY, 7) };
        let frame = udp(ends, at, b"hello").unwrap();
        let received = received(&frame).unwrap();
        assert_eq!(received.header.src_addr, plan::GUEST);
        assert_eq!(datagram(&received), Some((5, 7, &b"hello"[..])));
        assert_eq!(udp(ends, at, &[0; DATAGRAM_MAX_LEN]).unwrap().len(), UNTAGGED_MAX_LEN);
        assert!(udp(ends, at, &[0; DATAGRAM_MAX_LEN + 1]).is_none());
    }
}
