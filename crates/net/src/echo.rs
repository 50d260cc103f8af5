//! A network that answers by itself.

use crate::dhcp;
use crate::frame::{self, DatagramEnds, Ends, GATEWAY_MAC, Received, plan};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Address,
};

/// A gateway at 10.0.2.2 that gives the guest its address by DHCP, answers ARP and ICMP echo
/// requests, and sends every UDP datagram for it back to its sender.
///
/// It has no state and reads no clock: each answer depends on the one frame it answers, so a
/// guest's run with it can be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Echo;

impl Echo {
    /// The answer to a frame of the guest, if it has one.
    #[must_use]
    pub fn answer(self, bytes: &[u8]) -> Option<Vec<u8>> {
        if let Some(reply) = arp(bytes) {
            return Some(reply);
        }
        let received = frame::received(bytes)?;
        if let Some((from, to, payload)) = frame::datagram(&received) {
            return if to == dhcp::SERVER_PORT {
                dhcp::answer(payload)
            } else {
                udp(&received, from, to, payload)
            };
        }
        icmp(&received)
    }
}

fn is_gateway(address: Ipv4Address) -> bool {
    address == plan::GATEWAY || address == plan::RESOLVER
}

/// Whether a frame speaks ARP.
pub(crate) fn is_arp(bytes: &[u8]) -> bool {
    EthernetFrame::new_checked(bytes).is_ok_and(|frame| frame.ethertype() == EthernetProtocol::Arp)
}

/// Whether a frame of ARP is about the gateway. What is about others is theirs to answer.
pub(crate) fn is_arp_for_gateway(bytes: &[u8]) -> bool {
    let payload = bytes.get(frame::FRAME_MIN_LEN..).unwrap_or_default();
    let parsed = ArpPacket::new_checked(payload).and_then(|packet| ArpRepr::parse(&packet));
    matches!(parsed, Ok(ArpRepr::EthernetIpv4 { target_protocol_addr, .. })
        if is_gateway(target_protocol_addr))
}

/// The answer to a question for the gateway's hardware address `[RFC826]`.
fn arp(bytes: &[u8]) -> Option<Vec<u8>> {
    let asked = EthernetFrame::new_checked(bytes).ok()?;
    if asked.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let packet = ArpPacket::new_checked(asked.payload()).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    if !is_gateway(target_protocol_addr) || !source_hardware_addr.is_unicast() {
        return None;
    }
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: GATEWAY_MAC,
        source_protocol_addr: target_protocol_addr,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    Some(arp_frame(Ends::to(source_hardware_addr), &reply))
}

fn arp_frame(ends: Ends, repr: &ArpRepr) -> Vec<u8> {
    let mut bytes = vec![0; frame::FRAME_MIN_LEN + repr.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    let ethernet =
        EthernetRepr { src_addr: ends.from, dst_addr: ends.to, ethertype: EthernetProtocol::Arp };
    ethernet.emit(&mut frame);
    repr.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// The question for the gateway that a guest at `address` would ask.
pub(crate) fn arp_question(mac: EthernetAddress, address: Ipv4Address) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: address,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: plan::GATEWAY,
    };
    arp_frame(Ends { from: mac, to: EthernetAddress::BROADCAST }, &repr)
}

fn is_for_gateway(received: &Received<'_>) -> bool {
    is_gateway(received.header.dst_addr) && plan::may_be_guest(received.header.src_addr)
}

fn udp(received: &Received<'_>, from: u16, to: u16, payload: &[u8]) -> Option<Vec<u8>> {
    if !is_for_gateway(received) {
        return None;
    }
    let header = &received.header;
    let at = DatagramEnds { from: (header.dst_addr, to), to: (header.src_addr, from) };
    frame::udp(Ends::to(received.from_mac), at, payload)
}

/// The answer to an echo request for the gateway `[RFC792]`.
pub(crate) fn icmp(received: &Received<'_>) -> Option<Vec<u8>> {
    let header = &received.header;
    if !is_for_gateway(received) || header.next_header != IpProtocol::Icmp {
        return None;
    }
    let checksums = ChecksumCapabilities::default();
    let packet = Icmpv4Packet::new_checked(received.payload).ok()?;
    let Icmpv4Repr::EchoRequest { ident, seq_no, data } =
        Icmpv4Repr::parse(&packet, &checksums).ok()?
    else {
        return None;
    };
    let reply = Icmpv4Repr::EchoReply { ident, seq_no, data };
    let addresses = (header.dst_addr, header.src_addr);
    let ends = Ends::to(received.from_mac);
    Some(frame::ipv4(ends, addresses, IpProtocol::Icmp, reply.buffer_len(), |into| {
        reply.emit(&mut Icmpv4Packet::new_unchecked(into), &checksums);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GUEST_MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 1, 2, 3]);

    fn to_gateway() -> Ends {
        Ends { from: GUEST_MAC, to: GATEWAY_MAC }
    }

    /// Typed from RFC 826: who has `target`?
    fn arp_request(target: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0xff; 6];
        bytes.extend(GUEST_MAC.0);
        bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        bytes.extend(GUEST_MAC.0);
        bytes.extend([10, 0, 2, 15]);
        bytes.extend([0; 6]);
        bytes.extend(target);
        bytes
    }

    #[test]
    fn gateway_and_resolver_are_found_and_nobody_else() {
        for target in [[10, 0, 2, 2], [10, 0, 2, 3]] {
            let reply = Echo.answer(&arp_request(target)).unwrap();
            assert_eq!(reply[..6], GUEST_MAC.0);
            assert_eq!(reply[20..22], [0, 2]);
            assert_eq!((&reply[22..28], &reply[28..32]), (&GATEWAY_MAC.0[..], &target[..]));
            assert_eq!((&reply[32..38], &reply[38..42]), (&GUEST_MAC.0[..], &[10, 0, 2, 15][..]));
        }
        // A guest that asks for its own address must hear nothing.
        for target in [[10, 0, 2, 15], [10, 0, 2, 1], [8, 8, 8, 8]] {
            assert_eq!(Echo.answer(&arp_request(target)), None);
        }
    }

    #[test]
    fn datagrams_come_back() {
        let at = DatagramEnds { from: (plan::GUEST, 4000), to: (plan::GATEWAY, 7) };
        let reply = Echo.answer(&frame::udp(to_gateway(), at, b"abide").unwrap()).unwrap();
        let back = DatagramEnds { from: at.to, to: at.from };
        assert_eq!(frame::udp(Ends::to(GUEST_MAC), back, b"abide"), Some(reply));
        let elsewhere = DatagramEnds { to: (Ipv4Address::new(10, 0, 2, 9), 7), ..at };
        assert_eq!(Echo.answer(&frame::udp(to_gateway(), elsewhere, b"abide").unwrap()), None);
    }

    #[test]
    fn echo_requests_are_answered() {
        let checksums = ChecksumCapabilities::default();
        let request = Icmpv4Repr::EchoRequest { ident: 9, seq_no: 4, data: b"ping" };
        let addresses = (plan::GUEST, plan::GATEWAY);
        let frame = frame::ipv4(to_gateway(), addresses, IpProtocol::Icmp, 12, |into| {
            request.emit(&mut Icmpv4Packet::new_unchecked(into), &checksums);
        });
        let reply = Echo.answer(&frame).unwrap();
        assert_eq!(reply[26..34], [10, 0, 2, 2, 10, 0, 2, 15]);
        assert_eq!((reply[34], &reply[38..46]), (0, &b"\0\x09\0\x04ping"[..]));
        // The same again gives the same again.
        assert_eq!(Echo.answer(&frame), Some(reply));
    }

    proptest! {
        #[test]
        fn no_frame_does_harm_and_no_answer_is_longer_than_a_frame(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in prop_oneof![Just([8u8, 0]), Just([8, 6]), any::<[u8; 2]>()],
        ) {
            let mut frame = arp_request([10, 0, 2, 2])[..12].to_vec();
            frame.extend(kind);
            frame.extend(&bytes);
            for frame in [&frame, &bytes] {
                let reply = Echo.answer(frame);
                prop_assert!(reply.is_none_or(|reply| reply.len() <= frame::UNTAGGED_MAX_LEN));
            }
        }
    }
}
