//! Datagrams: one connected socket of the host for each pair of ends.

use super::cable::Cable;
use super::destination::{self, DNS_PORT, Destination, Reach};
use crate::frame::{self, DATAGRAM_MAX_LEN, DatagramEnds, Ends};
use rustix::event::{PollFd, PollFlags};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Repr,
    UdpPacket, UdpRepr,
};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// The most conversations at a time. One more takes the place of the longest silent.
const FLOWS_MAX: usize = 128;
/// How long a conversation may be silent before its socket is closed.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Datagrams that are taken from one socket before others get their turn.
const BURST: usize = 32;

/// A conversation.
struct Flow {
    guest: SocketAddrV4,
    /// The other end, as the guest knows it.
    peer: SocketAddrV4,
    mac: EthernetAddress,
    socket: UdpSocket,
    used: Instant,
}

/// All conversations.
#[derive(Default)]
pub(super) struct Datagrams {
    flows: Vec<Flow>,
}

impl Datagrams {
    /// A datagram of the guest.
    pub(super) fn send(
        &mut self,
        (mac, guest, peer): (EthernetAddress, SocketAddrV4, SocketAddrV4),
        payload: &[u8],
        reach: &Reach,
        cable: &mut Cable,
        now: Instant,
    ) {
        let known = self.flows.iter().position(|flow| (flow.guest, flow.peer) == (guest, peer));
        let at = match known {
            Some(at) => at,
            None => match destination::of(peer, reach) {
                Destination::At(to) => match open(to) {
                    Ok(socket) => self.add(Flow { guest, peer, mac, socket, used: now }),
                    Err(error) => {
                        tracing::debug!(%peer, %error, "datagram lost");
                        return;
                    }
                },
                Destination::NoResolver => {
                    if let Some(frame) = no_answer(mac, guest, peer, payload) {
                        cable.send(frame);
                    }
                    return;
                }
                Destination::Nowhere => return,
            },
        };
        let flow = &mut self.flows[at];
        (flow.used, flow.mac) = (now, mac);
        match flow.socket.send(payload) {
            // What nobody takes is lost: that is what datagrams are.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                cable.send(flow.unreachable());
                // The error was of an earlier one; this one goes too.
                let _ = flow.socket.send(payload);
            }
            Err(error) => tracing::debug!(%peer, %error, "datagram lost"),
        }
    }

    /// Adds a flow and tells where it is.
    fn add(&mut self, flow: Flow) -> usize {
        if self.flows.len() == FLOWS_MAX {
            let oldest = self.flows.iter().enumerate().min_by_key(|(_, flow)| flow.used);
            if let Some((at, _)) = oldest {
                self.flows.swap_remove(at);
            }
        }
        self.flows.push(flow);
        self.flows.len() - 1
    }

    /// Closes what has been silent for long.
    pub(super) fn expire(&mut self, now: Instant) {
        self.flows.retain(|flow| now.saturating_duration_since(flow.used) < SILENCE_MAX);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// What to wait for, one for each conversation.
    pub(super) fn interests(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.flows.iter().map(|flow| PollFd::new(&flow.socket, PollFlags::IN))
    }

    /// Takes what has come from the host's network; `ready` tells for which conversations.
    pub(super) fn receive(&mut self, ready: &[bool], cable: &mut Cable, now: Instant) {
        let mut buffer = [0; DATAGRAM_MAX_LEN + 1];
        let flows = self.flows.iter_mut().zip(ready).filter(|(_, ready)| **ready);
        for (flow, _) in flows {
            for _ in 0..BURST {
                if !cable.has_room() {
                    return;
                }
                match flow.socket.recv(&mut buffer) {
                    Ok(len) => {
                        flow.used = now;
                        let at = DatagramEnds {
                            from: (*flow.peer.ip(), flow.peer.port()),
                            to: (*flow.guest.ip(), flow.guest.port()),
                        };
                        // One that is longer than a frame is lost.
                        if let Some(frame) = frame::udp(Ends::to(flow.mac), at, &buffer[..len]) {
                            cable.send(frame);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                        cable.send(flow.unreachable());
                    }
                    Err(_) => break,
                }
            }
        }
    }
}

impl Flow {
    /// "Nobody listens there", as the guest's own kernel would hear it `[RFC792]`: the header of
    /// what was sent, and the first 8 bytes behind it. Its length and checksum are not known any
    /// more, and nobody looks at them.
    fn unreachable(&self) -> Vec<u8> {
        let checksums = ChecksumCapabilities::default();
        let (guest, peer) = (*self.guest.ip(), *self.peer.ip());
        let udp = UdpRepr { src_port: self.guest.port(), dst_port: self.peer.port() };
        let mut sent = [0; 8];
        let mut packet = UdpPacket::new_unchecked(&mut sent[..]);
        udp.emit(&mut packet, &guest.into(), &peer.into(), 0, |_| (), &checksums);
        let message = Icmpv4Repr::DstUnreachable {
            reason: Icmpv4DstUnreachable::PortUnreachable,
            header: Ipv4Repr {
                src_addr: guest,
                dst_addr: peer,
                next_header: IpProtocol::Udp,
                payload_len: sent.len(),
                hop_limit: 64,
            },
            data: &sent,
        };
        let len = message.buffer_len();
        frame::ipv4(Ends::to(self.mac), (peer, guest), IpProtocol::Icmp, len, |into| {
            message.emit(&mut Icmpv4Packet::new_unchecked(into), &checksums);
        })
    }
}

/// A socket that talks to `to` alone: what anybody else sends does not reach the guest.
fn open(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from)?;
    socket.set_nonblocking(true)?;
    socket.connect(to)?;
    Ok(socket)
}

/// The answer to a question for a name on a host that knows no name server: "server failure"
/// `[RFC1035 4.1.1]`, so that the guest need not wait.
fn no_answer(
    mac: EthernetAddress,
    guest: SocketAddrV4,
    peer: SocketAddrV4,
    question: &[u8],
) -> Option<Vec<u8>> {
    let is_question = peer.port() == DNS_PORT && question.len() >= 12 && question[2] & 0x80 == 0;
    if !is_question {
        return None;
    }
    let mut answer = question.to_vec();
    // A response; recursion is available; server failure.
    answer[2] |= 0x80;
    answer[3] = 0x80 | 2;
    let at = DatagramEnds { from: (*peer.ip(), peer.port()), to: (*guest.ip(), guest.port()) };
    frame::udp(Ends::to(mac), at, &answer)
}
