//! A network behind a translating gateway, made of the host's ordinary sockets.
//!
//! The guest sees the network of [`plan`](crate::plan): the gateway, which is the host itself, a
//! name server, and an address by DHCP. Behind the gateway:
//!
//! | the guest sends | what happens |
//! |---|---|
//! | a TCP connection to any address | a connection of the host to it; refused, if the host's is |
//! | UDP datagrams to any address | a socket of the host that hears that address alone |
//! | either to 10.0.2.2 | as to 127.0.0.1 on the host |
//! | UDP or TCP to 10.0.2.3, port 53 | as to the host's name server |
//! | an echo request to 10.0.2.2 or 10.0.2.3 | answered |
//! | DHCP, ARP | answered |
//! | echo requests to others, groups, everybody, IPv6, fragments | lost |
//!
//! The host's own programs reach the guest through forwarded ports, and seem to come from
//! 10.0.2.2.
//!
//! TCP is terminated here, by `smoltcp` on the guest's side and the host's kernel on the other;
//! what is on its way between them is bounded, and each side is slowed down by the other. At most
//! 256 connections and 128 UDP conversations exist at a time, 32 MiB in all.
//!
//! The host's connections end with the process. Their names, not their content, are in
//! [`Port::connections`]: a restored guest is told that they are over, instead of waiting for an
//! answer that never comes.

mod cable;
mod destination;
mod nat;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use crate::NetError;
use crate::config::{Forward, Resolver, UserConfig};
use crate::frame::MacAddress;
use crate::link::{Link, Port, Ready, link};
use destination::Reach;
use nat::{Listener, Nat};
use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use smoltcp::wire::EthernetAddress;
use std::net::{SocketAddrV4, TcpListener};
use std::time::{Duration, Instant};

/// The most TCP connections at a time.
pub const FLOWS_MAX: usize = 256;
/// Frames of the guest that are taken before others get their turn.
const BURST: usize = 64;

/// A TCP connection of the guest, by its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The guest's.
    pub guest: SocketAddrV4,
    /// The other, as the guest knows it.
    pub peer: SocketAddrV4,
}

/// A gateway that is open.
pub struct UserNet {
    /// The card's end of its cable.
    pub port: Port,
    /// The forwarded ports, with the number of the host's where the host chose it.
    pub forwards: Vec<Forward>,
}

/// Opens the gateway for a card with the address `mac`. `lost` are connections of an earlier
/// gateway that the guest must be told are over.
///
/// # Errors
/// [`NetError::Forward`] if a port of the host is taken, [`NetError::Host`].
pub fn open(
    config: &UserConfig,
    mac: MacAddress,
    lost: &[Connection],
    ready: Ready,
) -> Result<UserNet, NetError> {
    let mut listeners = Vec::new();
    for forward in &config.forwards {
        listeners.push(listen(*forward)?);
    }
    let forwards = listeners.iter().map(|listener: &Listener| listener.forward).collect();
    let (port, link) = link(ready)?;
    let UserConfig { forwards: _, resolver, is_restricted } = config;
    let reach = Reach { resolver: *resolver, is_restricted: *is_restricted };
    let now = Instant::now();
    let mut nat = Nat::new(listeners, reach, seed(), now);
    nat.forget(EthernetAddress(mac.bytes()), lost, now);
    let thread = std::thread::Builder::new().name("abide-user-net".into());
    let thread = thread
        .spawn(move || serve(nat, &link))
        .map_err(|source| NetError::Host { what: "starting a thread", source })?;
    Ok(UserNet { port: port.served_by(thread), forwards })
}

fn listen(forward: Forward) -> Result<Listener, NetError> {
    let open = || {
        let socket = TcpListener::bind(forward.host)?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let host = SocketAddrV4::new(*forward.host.ip(), port);
        Ok(Listener { socket, forward: Forward { host, ..forward } })
    };
    open().map_err(|source| NetError::Forward { at: forward.host, source })
}

/// Chooses sequence numbers, which nobody should guess.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    // A host that cannot give random bits this early starts from its clock.
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(8) => u64::from_ne_bytes(bytes),
        _ => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| u64::from(since.subsec_nanos())),
    }
}

/// Serves the gateway until the card is gone.
fn serve(mut nat: Nat, link: &Link) {
    while !link.is_over() {
        let is_waiting = step(&mut nat, link);
        let patience = if is_waiting { Some(Duration::ZERO) } else { nat.patience(Instant::now()) };
        let mut failed = None;
        let ready = nat.wait(link.bell(), |fds| {
            let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
            match poll(fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => failed = Some(errno),
            }
        });
        if let Some(error) = failed {
            tracing::error!(%error, "the network failed, the guest's cable is out");
            return;
        }
        link.hush();
        nat.serve(&ready, Instant::now());
    }
}

/// Carries frames between the card and the gateway; tells whether more of the guest's wait.
fn step(nat: &mut Nat, link: &Link) -> bool {
    // What is noted must never be less than what the guest has been told.
    if let Some(connections) = nat.changed_connections() {
        link.note_connections(connections);
    }
    give(nat, link);
    for _ in 0..BURST {
        if !nat.has_room() {
            return false;
        }
        let Some(frame) = link.take() else { break };
        nat.receive(frame, Instant::now());
    }
    if let Some(connections) = nat.changed_connections() {
        link.note_connections(connections);
    }
    give(nat, link);
    nat.has_room() && link.has_frame()
}

fn give(nat: &mut Nat, link: &Link) {
    while let Some(frame) = nat.cable.to_guest.pop_front() {
        if let Err(frame) = link.give(frame) {
            nat.cable.to_guest.push_front(frame);
            return;
        }
    }
}

/// Shows frames to a gateway that reaches nothing outside.
pub(crate) fn fuzz<'a>(frames: impl Iterator<Item = &'a [u8]>) {
    let reach = Reach { resolver: Resolver::Host, is_restricted: true };
    let mut now = Instant::now();
    let mut nat = Nat::new(Vec::new(), reach, 1, now);
    for frame in frames {
        now += Duration::from_millis(7);
        nat.receive(frame.to_vec(), now);
        nat.serve(&nat::Ready::default(), now);
        let answers = nat.cable.to_guest.len();
        assert!(answers <= crate::WAITING_MAX, "{answers} frames wait");
        assert!(nat.cable.to_guest.iter().all(|frame| frame.len() <= crate::FRAME_MAX_LEN));
        if answers > crate::WAITING_MAX / 2 {
            nat.cable.to_guest.clear();
        }
    }
}
