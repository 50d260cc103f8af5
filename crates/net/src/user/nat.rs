//! The gateway: which frame goes where.

use super::cable::Cable;
use super::destination::{self, Destination, Reach};
use super::tcp::{self, Fate, Flow, Phase};
use super::udp::Datagrams;
use super::{Connection, FLOWS_MAX};
use crate::config::Forward;
use crate::dhcp;
use crate::echo;
use crate::frame::{self, GATEWAY_MAC, Received, plan};
use rustix::event::{PollFd, PollFlags};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::wire::{
    EthernetAddress, IpCidr, IpEndpoint, IpListenEndpoint, IpProtocol, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber,
};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// First of the ports from which connections of the host seem to come.
const FIRST_PORT: u16 = 49152;
/// Connections that are taken from one port of the host before others get their turn.
const ACCEPTS: usize = 16;

/// A port of the host that leads to the guest.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) forward: Forward,
}

/// The gateway.
pub(super) struct Nat {
    pub(super) cable: Cable,
    stack: Interface,
    sockets: SocketSet<'static>,
    flows: Vec<Flow>,
    datagrams: Datagrams,
    listeners: Vec<Listener>,
    reach: Reach,
    next_port: u16,
    began: Instant,
    /// Whether the list of connections is another since it was last asked for.
    has_changed: bool,
}

/// What a descriptor of [`Nat::interests`] belongs to.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Listener(usize),
    Flow(usize),
    Datagram(usize),
}

/// What became ready.
#[derive(Debug, Default)]
pub(super) struct Ready {
    owners: Vec<(Owner, PollFlags)>,
}

fn stack_time(began: Instant, now: Instant) -> smoltcp::time::Instant {
    let micros = now.saturating_duration_since(began).as_micros();
    smoltcp::time::Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

impl Nat {
    /// A gateway; `seed` chooses its sequence numbers.
    pub(super) fn new(listeners: Vec<Listener>, reach: Reach, seed: u64, now: Instant) -> Self {
        let mut cable = Cable::default();
        let mut config = Config::new(GATEWAY_MAC.into());
        config.random_seed = seed;
        let mut stack = Interface::new(config, &mut cable, stack_time(now, now));
        stack.update_ip_addrs(|addresses| {
            // There is room for two.
            let _ = addresses.push(IpCidr::new(plan::GATEWAY.into(), 24));
            let _ = addresses.push(IpCidr::new(plan::RESOLVER.into(), 24));
        });
        // It speaks for every address that a connection of the guest may lead to.
        stack.set_any_ip(true);
        Self {
            cable,
            stack,
            sockets: SocketSet::new(Vec::new()),
            flows: Vec::new(),
            datagrams: Datagrams::default(),
            listeners,
            reach,
            next_port: FIRST_PORT,
            began: now,
            has_changed: false,
        }
    }

    /// Asks the guest, whose card has `mac`, about connections that an earlier gateway held: what
    /// it answers belongs to none of this one's, and so it is told that they are over.
    pub(super) fn forget(
        &mut self,
        mac: EthernetAddress,
        connections: &[Connection],
        now: Instant,
    ) {
        // The stack answers only whom it knows, and the guest sees no reason to introduce itself.
        for guest in connections.iter().take(FLOWS_MAX).map(|connection| *connection.guest.ip()) {
            self.feed_stack(echo::arp_question(mac, guest), now);
        }
        self.cable.to_guest.clear();
        let checksums = ChecksumCapabilities::default();
        for Connection { guest, peer } in connections.iter().take(FLOWS_MAX) {
            // Whatever its number, an established connection answers a SYN with the number that
            // it expects [RFC5961 4.2].
            let question = TcpRepr {
                src_port: peer.port(),
                dst_port: guest.port(),
                control: TcpControl::Syn,
                seq_number: TcpSeqNumber(0),
                ack_number: None,
                window_len: 0,
                window_scale: None,
                max_seg_size: None,
                sack_permitted: false,
                sack_ranges: [None; 3],
                timestamp: None,
                payload: &[],
            };
            let (from, to) = (*peer.ip(), *guest.ip());
            let ends = frame::Ends::to(mac);
            let len = question.buffer_len();
            let frame = frame::ipv4(ends, (from, to), IpProtocol::Tcp, len, |into| {
                let mut packet = TcpPacket::new_unchecked(into);
                question.emit(&mut packet, &from.into(), &to.into(), &checksums);
            });
            self.cable.send(frame);
        }
    }

    /// A frame of the guest.
    pub(super) fn receive(&mut self, bytes: Vec<u8>, now: Instant) {
        if echo::is_arp(&bytes) {
            if echo::is_arp_for_gateway(&bytes) {
                self.feed_stack(bytes, now);
            }
            return;
        }
        let Some(received) = frame::received(&bytes) else { return };
        if let Some((from, to, payload)) = frame::datagram(&received) {
            self.datagram(&received, (from, to), payload, now);
        } else if !plan::may_be_guest(received.header.src_addr) {
            // Nobody to answer.
        } else if received.header.next_header == IpProtocol::Tcp {
            self.segment(bytes, now);
        } else if let Some(reply) = echo::icmp(&received) {
            self.cable.send(reply);
        }
    }

    fn datagram(
        &mut self,
        received: &Received<'_>,
        ports: (u16, u16),
        payload: &[u8],
        now: Instant,
    ) {
        let header = &received.header;
        let is_for_all = header.dst_addr.is_broadcast();
        if ports.1 == dhcp::SERVER_PORT && (is_for_all || header.dst_addr == plan::GATEWAY) {
            if let Some(reply) = dhcp::answer(payload) {
                self.cable.send(reply);
            }
            return;
        }
        if plan::may_be_guest(header.src_addr) {
            let guest = SocketAddrV4::new(header.src_addr, ports.0);
            let peer = SocketAddrV4::new(header.dst_addr, ports.1);
            let ends = (received.from_mac, guest, peer);
            let (reach, cable) = (&self.reach, &mut self.cable);
            self.datagrams.send(ends, payload, reach, cable, now);
        }
    }

    fn segment(&mut self, bytes: Vec<u8>, now: Instant) {
        let Some(received) = frame::received(&bytes) else { return };
        let (from, to) = (received.header.src_addr, received.header.dst_addr);
        let checksums = ChecksumCapabilities::default();
        let parsed = TcpPacket::new_checked(received.payload)
            .and_then(|packet| TcpRepr::parse(&packet, &from.into(), &to.into(), &checksums));
        let Ok(segment) = parsed else { return };
        let connection = Connection {
            guest: SocketAddrV4::new(from, segment.src_port),
            peer: SocketAddrV4::new(to, segment.dst_port),
        };
        let is_request = segment.control == TcpControl::Syn && segment.ack_number.is_none();
        let known = self.flows.iter().find(|flow| flow.connection == connection);
        match known {
            // Sent again because it takes long; the answer comes when it comes.
            Some(Flow { phase: Phase::Reaching { .. }, .. }) if is_request => {}
            None if is_request => self.request(connection, bytes, now),
            _ => {
                self.feed_stack(bytes, now);
                self.drop_unborn(connection);
            }
        }
    }

    /// Removes a connection that the guest broke off while it was being opened: the stack's socket
    /// waits for another request then, and would take one that is not meant for it.
    fn drop_unborn(&mut self, connection: Connection) {
        let sockets = &self.sockets;
        let unborn = self.flows.iter().position(|flow| match flow.phase {
            Phase::Open { handle } => {
                flow.connection == connection
                    && sockets.get::<Socket<'_>>(handle).state() == State::Listen
            }
            Phase::Reaching { .. } => false,
        });
        if let Some(at) = unborn {
            self.remove(at);
        }
    }

    /// The guest wants a new connection.
    fn request(&mut self, connection: Connection, bytes: Vec<u8>, now: Instant) {
        let reached = match destination::of(connection.peer, &self.reach) {
            Destination::At(to) if self.make_room() => tcp::reach(to).ok(),
            _ => None,
        };
        match reached {
            Some(stream) => self.flows.push(Flow::reaching(connection, stream, bytes, now)),
            // The stack knows of nobody who listens there, and says so.
            None => self.feed_stack(bytes, now),
        }
    }

    /// Hands a frame to the stack and lets it be dealt with at once: of two requests for the same
    /// place each must find its own socket.
    fn feed_stack(&mut self, bytes: Vec<u8>, now: Instant) {
        self.cable.into_stack.push_back(bytes);
        self.poll_stack(now);
    }

    fn poll_stack(&mut self, now: Instant) {
        let now = stack_time(self.began, now);
        self.stack.poll(now, &mut self.cable, &mut self.sockets);
    }

    /// Whether one more connection may be; gives up one that is over but for late frames.
    fn make_room(&mut self) -> bool {
        if self.flows.len() < FLOWS_MAX {
            return true;
        }
        let sockets = &self.sockets;
        let lingering = self.flows.iter().position(|flow| match flow.phase {
            Phase::Open { handle } => flow.is_lingering(sockets.get(handle)),
            Phase::Reaching { .. } => false,
        });
        match lingering {
            Some(at) => self.remove(at),
            None => tracing::debug!("{FLOWS_MAX} connections; one more is refused"),
        }
        lingering.is_some()
    }

    fn remove(&mut self, at: usize) {
        if let Phase::Open { handle } = self.flows.swap_remove(at).phase {
            self.sockets.remove(handle);
            self.has_changed = true;
        }
    }

    /// Whether frames of the guest can be taken: each may have an answer.
    pub(super) fn has_room(&self) -> bool {
        self.cable.has_room()
    }

    /// Does all that can be done after `ready` has happened.
    pub(super) fn serve(&mut self, ready: &Ready, now: Instant) {
        let mut datagrams = Vec::new();
        let mut listeners = Vec::new();
        for &(owner, events) in &ready.owners {
            match owner {
                Owner::Listener(at) => listeners.push(at),
                Owner::Flow(at) => self.flow_ready(at, events),
                Owner::Datagram(at) => {
                    datagrams.resize(datagrams.len().max(at + 1), false);
                    datagrams[at] = true;
                }
            }
        }
        self.datagrams.receive(&datagrams, &mut self.cable, now);
        self.answer_requests(ready, now);
        // Last, because it may give up connections: `ready` counts them.
        for at in listeners {
            self.accept(at, now);
        }
        self.poll_stack(now);
        self.transfer(now);
        self.poll_stack(now);
        self.datagrams.expire(now);
    }

    fn flow_ready(&mut self, at: usize, events: PollFlags) {
        if let Some(flow) = self.flows.get_mut(at) {
            flow.is_readable |= events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        }
    }

    /// Tells the guest what came of its requests.
    fn answer_requests(&mut self, ready: &Ready, now: Instant) {
        // From the end, so that what is removed moves nothing that is still to be looked at.
        for &(owner, _) in ready.owners.iter().rev() {
            let Owner::Flow(at) = owner else { continue };
            // Without room the stack would not look at the request.
            if !self.cable.has_room() {
                return;
            }
            let Some(flow) = self.flows.get_mut(at) else { continue };
            // Of an open connection the error is for whoever reads: to ask for it takes it away.
            if !matches!(flow.phase, Phase::Reaching { .. }) {
                continue;
            }
            match flow.reached() {
                Ok(false) => {}
                Ok(true) => {
                    let request = flow.take_request();
                    self.open(at, request, now);
                }
                Err(error) => {
                    let request = flow.take_request();
                    tracing::debug!(peer = %flow.connection.peer, %error, "not reached");
                    self.remove(at);
                    self.feed_stack(request, now);
                }
            }
        }
    }

    /// Lets the stack answer the guest's request: the host's side is there.
    fn open(&mut self, at: usize, request: Vec<u8>, now: Instant) {
        let peer = self.flows[at].connection.peer;
        let mut socket = tcp::socket();
        let listens = socket.listen(IpListenEndpoint::from((*peer.ip(), peer.port()))).is_ok();
        let handle = self.sockets.add(socket);
        self.flows[at].phase = Phase::Open { handle };
        self.has_changed = true;
        self.feed_stack(request, now);
        if !listens || self.sockets.get::<Socket<'_>>(handle).state() == State::Listen {
            self.remove(at);
        }
    }

    /// Somebody on the host wants to reach the guest.
    fn accept(&mut self, at: usize, now: Instant) {
        for _ in 0..ACCEPTS {
            if !self.make_room() {
                return;
            }
            let Some(Listener { socket, forward }) = self.listeners.get(at) else { return };
            let guest = forward.guest;
            match socket.accept() {
                Ok((stream, _)) => self.connect(stream, guest, now),
                Err(_) => return,
            }
        }
    }

    fn connect(&mut self, stream: TcpStream, guest: SocketAddrV4, now: Instant) {
        // Dropping the stream tells whoever waits at its other end.
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let peer = tcp::gateway_end(self.free_port(guest));
        let mut socket = tcp::socket();
        let from = IpListenEndpoint::from((*peer.ip(), peer.port()));
        let to = IpEndpoint::new((*guest.ip()).into(), guest.port());
        if let Err(error) = socket.connect(self.stack.context(), to, from) {
            tracing::debug!(%guest, %error, "not reached");
            return;
        }
        let handle = self.sockets.add(socket);
        self.flows.push(Flow::accepted(Connection { guest, peer }, stream, handle, now));
        self.has_changed = true;
    }

    /// A port of the gateway that has no connection to `guest`.
    fn free_port(&mut self, guest: SocketAddrV4) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            let connection = Connection { guest, peer: tcp::gateway_end(port) };
            // There are more ports than connections.
            if !self.flows.iter().any(|flow| flow.connection == connection) {
                return port;
            }
        }
    }

    fn transfer(&mut self, now: Instant) {
        let mut at = self.flows.len();
        while at > 0 {
            at -= 1;
            let flow = &mut self.flows[at];
            let Phase::Open { handle } = flow.phase else { continue };
            let socket = self.sockets.get_mut(handle);
            // A socket that was aborted owes the guest one more frame, if it can be reached.
            let is_over = flow.transfer(socket, now) == Fate::Over;
            if is_over && (is_silent(socket) || flow.is_overdue(now)) {
                self.remove(at);
            }
        }
    }

    /// When to come back at the latest.
    pub(super) fn patience(&mut self, now: Instant) -> Option<Duration> {
        // Conversations that become too old, and connections that take too long.
        let idle = self.flows.is_empty() && self.datagrams.is_empty();
        let own = (!idle).then_some(Duration::from_secs(1));
        let at = stack_time(self.began, now);
        let stack =
            if self.cable.has_room() { self.stack.poll_delay(at, &self.sockets) } else { None };
        let stack = stack.map(|delay| Duration::from_micros(delay.total_micros()));
        own.into_iter().chain(stack).min()
    }

    /// Calls `wait` with the descriptors to be waited for, of which `bell` is one, and tells which
    /// became ready.
    pub(super) fn wait<'a>(
        &'a self,
        bell: BorrowedFd<'a>,
        wait: impl FnOnce(&mut [PollFd<'a>]),
    ) -> Ready {
        let (mut fds, mut owners) = (Vec::new(), Vec::new());
        let has_room = self.cable.has_room();
        if has_room && self.flows.len() < FLOWS_MAX {
            for (at, listener) in self.listeners.iter().enumerate() {
                fds.push(PollFd::new(&listener.socket, PollFlags::IN));
                owners.push(Owner::Listener(at));
            }
        }
        for (at, flow) in self.flows.iter().enumerate() {
            let socket = match flow.phase {
                Phase::Open { handle } => Some(self.sockets.get(handle)),
                Phase::Reaching { .. } => None,
            };
            let interest = flow.interest(socket);
            if !interest.is_empty() && (has_room || socket.is_some()) {
                fds.push(PollFd::from_borrowed_fd(flow.stream().as_fd(), interest));
                owners.push(Owner::Flow(at));
            }
        }
        if has_room {
            for (at, fd) in self.datagrams.interests().enumerate() {
                fds.push(fd);
                owners.push(Owner::Datagram(at));
            }
        }
        fds.push(PollFd::from_borrowed_fd(bell, PollFlags::IN));
        wait(&mut fds);
        let events = fds.iter().map(PollFd::revents);
        Ready { owners: owners.into_iter().zip(events).filter(|(_, e)| !e.is_empty()).collect() }
    }

    /// The connections that the guest has through this gateway, if they are others than before.
    pub(super) fn changed_connections(&mut self) -> Option<Vec<Connection>> {
        std::mem::take(&mut self.has_changed).then(|| {
            let open = self.flows.iter().filter(|flow| matches!(flow.phase, Phase::Open { .. }));
            open.map(|flow| flow.connection).collect()
        })
    }
}

/// Whether an ended socket has told the guest so.
fn is_silent(socket: &Socket<'_>) -> bool {
    socket.state() == State::Closed && socket.remote_endpoint().is_none()
}
