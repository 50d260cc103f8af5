//! The gateway against a guest whose TCP is an independent one, over the host's loopback.

use super::cable::Cable;
use super::{Connection, UserNet, open};
use crate::config::{Forward, Resolver, UserConfig};
use crate::frame::{self, DatagramEnds, Ends, GATEWAY_MAC, MacAddress, plan};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetAddress, IpCidr, IpProtocol, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
/// Turns of a guest before a test gives up: each is at most [`TURN`] long.
const TURNS_MAX: u32 = 20_000;
const TURN: Duration = Duration::from_millis(2);

/// A guest with a TCP of its own.
struct Guest {
    net: UserNet,
    ready: Receiver<()>,
    cable: Cable,
    stack: Interface,
    sockets: SocketSet<'static>,
    /// Frames that are neither ARP nor TCP.
    others: Vec<Vec<u8>>,
    clock_ms: i64,
    next_port: u16,
}

impl Guest {
    fn new(config: &UserConfig) -> Self {
        Self::after(config, &[])
    }

    fn after(config: &UserConfig, lost: &[Connection]) -> Self {
        let (tell, ready) = channel();
        let mac = MacAddress::new(MAC).unwrap();
        let net = open(
            config,
            mac,
            lost,
            Arc::new(move || {
                let _ = tell.send(());
            }),
        )
        .unwrap();
        let mut cable = Cable::default();
        let config = Config::new(EthernetAddress(MAC).into());
        let mut stack = Interface::new(config, &mut cable, Instant::from_millis(0));
        stack.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(plan::GUEST.into(), 24)).unwrap();
        });
        stack.routes_mut().add_default_ipv4_route(plan::GATEWAY).unwrap();
        let sockets = SocketSet::new(Vec::new());
        let (others, clock_ms, next_port) = (Vec::new(), 0, 40_000);
        Self { net, ready, cable, stack, sockets, others, clock_ms, next_port }
    }

    fn turn(&mut self) {
        self.clock_ms += 1;
        let is_tcp = |frame: &[u8]| frame[12..14] == [8, 6] || frame.get(23) == Some(&6);
        while let Some(frame) = self.net.port.receive() {
            if is_tcp(&frame) {
                self.cable.into_stack.push_back(frame);
            } else {
                self.others.push(frame);
            }
        }
        let now = Instant::from_millis(self.clock_ms);
        self.stack.poll(now, &mut self.cable, &mut self.sockets);
        while let Some(frame) = self.cable.to_guest.pop_front() {
            if !self.net.port.send(&frame) {
                self.cable.to_guest.push_front(frame);
                break;
            }
        }
        let _ = self.ready.recv_timeout(TURN);
    }

    /// Takes turns until `done`.
    fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        for _ in 0..TURNS_MAX {
            if let Some(result) = done(self) {
                return result;
            }
            self.turn();
        }
        panic!("{what}: not in time");
    }

    fn socket(&mut self) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; 32 << 10]);
        self.sockets.add(Socket::new(buffer(), buffer()))
    }

    fn connect(&mut self, to: Ipv4Addr, port: u16) -> SocketHandle {
        let handle = self.socket();
        self.next_port += 1;
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        socket.connect(self.stack.context(), (to, port), self.next_port).unwrap();
        handle
    }

    fn tcp(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    fn wait_for(&mut self, handle: SocketHandle, states: &[State]) -> State {
        self.until(&format!("{states:?}"), |guest| {
            Some(guest.tcp(handle).state()).filter(|state| states.contains(state))
        })
    }

    fn send_all(&mut self, handle: SocketHandle, mut bytes: &[u8]) {
        self.until("sending", |guest| {
            let socket = guest.tcp(handle);
            if socket.can_send() {
                bytes = &bytes[socket.send_slice(bytes).unwrap()..];
            }
            bytes.is_empty().then_some(())
        });
    }

    fn receive_to_end(&mut self, handle: SocketHandle) -> Vec<u8> {
        let mut all = Vec::new();
        self.until("receiving", |guest| {
            let socket = guest.tcp(handle);
            while socket.can_recv() {
                socket
                    .recv(|bytes| {
                        all.extend_from_slice(bytes);
                        (bytes.len(), ())
                    })
                    .unwrap();
            }
            (!socket.may_recv() && socket.state() != State::SynSent).then_some(())
        });
        all
    }

    fn datagram(&mut self, to: Ipv4Addr, port: u16, payload: &[u8]) {
        let ends = Ends { from: EthernetAddress(MAC), to: GATEWAY_MAC };
        let at = DatagramEnds { from: (plan::GUEST, 4000), to: (to, port) };
        assert!(self.net.port.send(&frame::udp(ends, at, payload).unwrap()));
    }

    fn other(&mut self) -> Vec<u8> {
        self.until("a frame", |guest| (!guest.others.is_empty()).then(|| guest.others.remove(0)))
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..len).map(next).collect()
}

/// A server of the host, for one connection.
fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, thread::JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn guest_fetches_from_the_host_through_the_gateway() {
    let (port, server) = server(|mut stream| stream.write_all(&noise(1_000_000)));
    let mut guest = Guest::new(&UserConfig::default());
    let handle = guest.connect(plan::GATEWAY, port);
    let got = guest.receive_to_end(handle);
    server.join().unwrap().unwrap();
    assert!(got == noise(1_000_000));
    assert_eq!(guest.net.port.connections().len(), 1);
    guest.tcp(handle).close();
    guest.wait_for(handle, &[State::Closed, State::TimeWait]);
}

#[test]
fn guest_that_has_sent_all_still_receives() {
    let (port, server) = server(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&u32::try_from(all.len()).unwrap().to_le_bytes()).unwrap();
        all
    });
    let mut guest = Guest::new(&UserConfig::default());
    let handle = guest.connect(plan::GATEWAY, port);
    guest.send_all(handle, &noise(500_000));
    guest.tcp(handle).close();
    let reply = guest.receive_to_end(handle);
    assert!(server.join().unwrap() == noise(500_000));
    assert_eq!(reply, 500_000_u32.to_le_bytes());
}

#[test]
fn refused_by_the_host_is_refused_to_the_guest() {
    let mut guest = Guest::new(&UserConfig::default());
    let nobody = closed_port();
    for (to, port) in [(plan::GATEWAY, nobody), (plan::RESOLVER, 80)] {
        let handle = guest.connect(to, port);
        guest.wait_for(handle, &[State::Closed]);
    }
    assert_eq!(guest.net.port.connections(), []);
}

#[test]
fn restricted_guest_reaches_nobody() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = UserConfig { is_restricted: true, ..UserConfig::default() };
    let mut guest = Guest::new(&config);
    let handle = guest.connect(plan::GATEWAY, port);
    guest.wait_for(handle, &[State::Closed]);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn forwarded_port_leads_to_the_guest() {
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let guests = SocketAddrV4::new(plan::GUEST, 22);
    let forwards = vec![Forward { host, guest: guests }];
    let mut guest = Guest::new(&UserConfig { forwards, ..UserConfig::default() });
    let handle = guest.socket();
    guest.tcp(handle).listen(22).unwrap();
    let at = guest.net.forwards[0].host;
    assert_ne!(at.port(), 0);
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(&noise(100_000)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        reply
    });
    guest.wait_for(handle, &[State::Established, State::CloseWait]);
    assert_eq!(guest.tcp(handle).remote_endpoint().unwrap().addr, plan::GATEWAY.into());
    let got = guest.receive_to_end(handle);
    assert!(got == noise(100_000));
    guest.send_all(handle, b"welcome");
    guest.tcp(handle).close();
    guest.wait_for(handle, &[State::Closed]);
    assert_eq!(client.join().unwrap(), b"welcome");
}

#[test]
fn connection_broken_off_on_one_side_is_broken_off_on_the_other() {
    let (port, server) = server(|mut stream| stream.read_to_end(&mut Vec::new()));
    let mut guest = Guest::new(&UserConfig::default());
    let handle = guest.connect(plan::GATEWAY, port);
    guest.wait_for(handle, &[State::Established]);
    guest.tcp(handle).abort();
    guest.until("telling", |guest| guest.tcp(handle).remote_endpoint().is_none().then_some(()));
    guest.until("an end", |_| server.is_finished().then_some(()));
    assert_eq!(server.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);

    let (port, server) = self::server(|stream| {
        // What is not read when it is closed breaks it off.
        let mut first = [0];
        stream.peek(&mut first).unwrap();
    });
    let handle = guest.connect(plan::GATEWAY, port);
    guest.send_all(handle, b"never read");
    guest.wait_for(handle, &[State::Closed]);
    server.join().unwrap();
}

#[test]
fn datagrams_go_out_and_come_back() {
    let host = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = host.local_addr().unwrap().port();
    let mut guest = Guest::new(&UserConfig::default());
    guest.datagram(plan::GATEWAY, port, b"question");
    let mut buffer = [0; 64];
    let (len, from) = host.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"question");
    host.send_to(b"answer", from).unwrap();
    let frame = guest.other();
    let received = frame::received_from(&frame);
    assert_eq!(received, (plan::GATEWAY, port, 4000, b"answer".to_vec()));
    // Nobody else reaches the guest through this socket.
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.send_to(b"intruder", from).unwrap();
    host.send_to(b"answer 2", from).unwrap();
    assert_eq!(frame::received_from(&guest.other()).3, b"answer 2");
}

#[test]
fn datagram_to_a_closed_port_is_answered_so() {
    let mut guest = Guest::new(&UserConfig::default());
    let port = {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.local_addr().unwrap().port()
    };
    guest.datagram(plan::GATEWAY, port, b"anybody?");
    let frame = guest.other();
    // ICMP, destination unreachable, port [RFC792]; then the header of what was sent.
    assert_eq!((frame[23], frame[34], frame[35]), (1, 3, 3));
    assert_eq!(frame[54..62], [10, 0, 2, 15, 10, 0, 2, 2]);
    assert_eq!(frame[62..66], [[0x0f, 0xa0], port.to_be_bytes()].concat());
}

#[test]
fn questions_for_names_go_to_the_resolver() {
    let host = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let resolver = Resolver::At(host.local_addr().unwrap());
    let mut guest = Guest::new(&UserConfig { resolver, ..UserConfig::default() });
    guest.datagram(plan::RESOLVER, 53, b"who is abide?");
    let mut buffer = [0; 64];
    let (len, from) = host.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"who is abide?");
    host.send_to(b"a VMM", from).unwrap();
    let answer = frame::received_from(&guest.other());
    assert_eq!(answer, (plan::RESOLVER, 53, 4000, b"a VMM".to_vec()));
}

/// A segment of the guest, without data.
fn segment(ends: &Connection, control: TcpControl, numbers: (i32, Option<i32>)) -> Vec<u8> {
    let repr = TcpRepr {
        src_port: ends.guest.port(),
        dst_port: ends.peer.port(),
        control,
        seq_number: TcpSeqNumber(numbers.0),
        ack_number: numbers.1.map(TcpSeqNumber),
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, to) = (*ends.guest.ip(), *ends.peer.ip());
    let macs = Ends { from: EthernetAddress(MAC), to: GATEWAY_MAC };
    frame::ipv4(macs, (from, to), IpProtocol::Tcp, repr.buffer_len(), |into| {
        let mut packet = TcpPacket::new_unchecked(into);
        repr.emit(&mut packet, &from.into(), &to.into(), &ChecksumCapabilities::default());
    })
}

#[test]
fn connections_of_an_earlier_gateway_are_reset_when_the_guest_speaks_up() {
    let lost = Connection {
        guest: SocketAddrV4::new(plan::GUEST, 40_000),
        peer: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 443),
    };
    let mut guest = Guest::after(&UserConfig::default(), &[lost]);
    let question = guest.until("a question", |guest| guest.net.port.receive());
    assert_eq!(question[..6], MAC);
    assert_eq!(question[26..38], [192, 0, 2, 7, 10, 0, 2, 15, 1, 187, 0x9c, 0x40]);
    assert_eq!(question[47], 2, "SYN");
    assert!(guest.net.port.send(&segment(&lost, TcpControl::None, (1000, Some(2000)))));
    let reset = guest.until("a reset", |guest| guest.net.port.receive());
    assert_eq!((&reset[26..30], reset[47]), (&[192, 0, 2, 7][..], 4), "RST");
    // Only with the very number that the guest expects does it count [RFC5961 3.2].
    assert_eq!(reset[38..42], 2000_u32.to_be_bytes());
}

#[test]
fn connections_are_bounded_and_one_too_many_is_refused() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::new(&UserConfig::default());
    // Taken by a thread, or the listener's own limit would be met first.
    let taking = thread::spawn(move || {
        let streams: Vec<_> = (0..super::FLOWS_MAX).map(|_| listener.accept().unwrap().0).collect();
        (listener, streams)
    });
    let mut open = Vec::new();
    for _ in 0..super::FLOWS_MAX {
        let handle = guest.connect(plan::GATEWAY, port);
        guest.wait_for(handle, &[State::Established]);
        open.push(handle);
    }
    let streams = taking.join().unwrap();
    assert_eq!(guest.net.port.connections().len(), super::FLOWS_MAX);
    let one_more = guest.connect(plan::GATEWAY, port);
    guest.wait_for(one_more, &[State::Closed]);
    assert_eq!(guest.tcp(open[0]).state(), State::Established);
    // When one ends there is room again.
    guest.tcp(open[0]).abort();
    drop(streams);
    for &handle in &open {
        guest.tcp(handle).close();
    }
    let (port, server) = server(|mut stream| stream.write_all(b"room"));
    let got = guest.until("room", |guest| {
        let handle = guest.connect(plan::GATEWAY, port);
        let state = guest.wait_for(handle, &[State::Closed, State::Established, State::CloseWait]);
        (state != State::Closed).then(|| guest.receive_to_end(handle))
    });
    assert_eq!(got, b"room");
    server.join().unwrap().unwrap();
}

#[test]
fn taken_port_is_refused_by_its_number() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let forwards = vec![Forward { host, guest: SocketAddrV4::new(plan::GUEST, 22) }];
    let config = UserConfig { forwards, ..UserConfig::default() };
    let refused = open(&config, MacAddress::new(MAC).unwrap(), &[], Arc::new(|| ()));
    let text = refused.err().unwrap().to_string();
    assert!(text.starts_with(&format!("hostfwd tcp:127.0.0.1:{port}: ")), "{text}");
}

#[test]
fn port_is_free_again_when_the_card_is_gone() {
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let forwards = vec![Forward { host, guest: SocketAddrV4::new(plan::GUEST, 22) }];
    let guest = Guest::new(&UserConfig { forwards, ..UserConfig::default() });
    let at = guest.net.forwards[0].host;
    drop(guest);
    TcpListener::bind(at).unwrap();
}
