//! One connection: a socket of the stack on the guest's side, one of the host on the other.

use super::Connection;
use crate::frame::plan;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes on their way, in each direction of each connection.
const BUFFER_LEN: usize = 64 << 10;
/// How long a connection may take to be opened.
const OPENING_MAX: Duration = Duration::from_secs(60);
/// How long the guest may take to be told that a connection is over.
const TELLING_MAX: Duration = Duration::from_secs(2);

/// How far a connection is.
pub(super) enum Phase {
    /// The host's network has not answered yet. The guest's request is kept: it is answered with
    /// what comes of this.
    Reaching {
        /// The guest's frame.
        request: Vec<u8>,
    },
    /// Both sides exist.
    Open {
        /// The stack's.
        handle: SocketHandle,
    },
}

/// A connection.
pub(super) struct Flow {
    pub(super) connection: Connection,
    pub(super) phase: Phase,
    stream: TcpStream,
    since: Instant,
    /// The host's side may have something to read.
    pub(super) is_readable: bool,
    /// The host's side has sent everything.
    host_done: bool,
    /// The guest's side has, and the host's was told.
    guest_done: bool,
    /// When it was over.
    ended: Option<Instant>,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Goes,
    /// It is over on both sides.
    Over,
}

/// A socket of the stack.
pub(super) fn socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER_LEN]);
    let mut socket = Socket::new(buffer(), buffer());
    // The host's stack has gathered what comes; waiting again would only cost time.
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket
}

/// Begins to connect to `to`.
pub(super) fn reach(to: SocketAddr) -> Result<TcpStream, Errno> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(errno) => Err(errno),
    }
}

impl Flow {
    /// A connection that the guest asked for with the frame `request`.
    pub(super) fn reaching(
        connection: Connection,
        stream: TcpStream,
        request: Vec<u8>,
        now: Instant,
    ) -> Self {
        Self::new(connection, stream, Phase::Reaching { request }, now)
    }

    /// A connection that came from the host.
    pub(super) fn accepted(
        connection: Connection,
        stream: TcpStream,
        handle: SocketHandle,
        now: Instant,
    ) -> Self {
        Self::new(connection, stream, Phase::Open { handle }, now)
    }

    fn new(connection: Connection, stream: TcpStream, phase: Phase, since: Instant) -> Self {
        // Small pieces have been sent because they should arrive.
        let _ = stream.set_nodelay(true);
        Self {
            connection,
            phase,
            stream,
            since,
            is_readable: false,
            host_done: false,
            guest_done: false,
            ended: None,
        }
    }

    /// What the host says of a connection that is being reached: whether it is, or why not.
    pub(super) fn reached(&self) -> Result<bool, Errno> {
        sockopt::socket_error(&self.stream)??;
        Ok(self.stream.peer_addr().is_ok())
    }

    /// The guest's frame that asked for it, to be answered now.
    pub(super) fn take_request(&mut self) -> Vec<u8> {
        match &mut self.phase {
            Phase::Reaching { request } => std::mem::take(request),
            Phase::Open { .. } => Vec::new(),
        }
    }

    /// The host's side.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What to wait for on the host's side; empty if nothing that happens there matters now.
    pub(super) fn interest(&self, socket: Option<&Socket<'_>>) -> PollFlags {
        let mut interest = PollFlags::empty();
        match socket {
            None => interest |= PollFlags::OUT,
            Some(socket) => {
                interest.set(PollFlags::IN, !self.host_done && socket.can_send());
                // What is left of a transfer is what the host did not take.
                interest.set(PollFlags::OUT, socket.can_recv());
                if self.ended.is_some() {
                    interest = PollFlags::empty();
                }
            }
        }
        interest
    }

    /// Carries what can be carried, in both directions.
    pub(super) fn transfer(&mut self, socket: &mut Socket<'_>, now: Instant) -> Fate {
        let is_opening = matches!(socket.state(), State::SynSent | State::SynReceived);
        if is_opening {
            if now.saturating_duration_since(self.since) < OPENING_MAX {
                return Fate::Goes;
            }
            socket.abort();
        }
        if self.ended.is_some() {
            return Fate::Over;
        }
        let carried = self.carry_to_host(socket).and_then(|()| self.carry_to_guest(socket));
        if carried.is_err() {
            socket.abort();
            return self.end(now);
        }
        // Else the guest has broken it off, or both sides are done.
        if socket.state() == State::Closed { self.end(now) } else { Fate::Goes }
    }

    /// Whether it only waits for frames that are late.
    pub(super) fn is_lingering(&self, socket: &Socket<'_>) -> bool {
        self.host_done && self.guest_done && socket.state() == State::TimeWait
    }

    fn carry_to_host(&mut self, socket: &mut Socket<'_>) -> std::io::Result<()> {
        while socket.can_recv() {
            let stream = &mut self.stream;
            let written = socket.recv(|bytes| match stream.write(bytes) {
                Ok(len) => (len, Ok(len)),
                Err(error) => (0, Err(error)),
            });
            match written {
                Ok(Ok(1..)) => {}
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(0)) | Err(_) => break,
            }
        }
        let has_sent_all = matches!(
            socket.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        if has_sent_all && !socket.can_recv() && !self.guest_done {
            self.guest_done = true;
            // A peer that has gone already will be noticed when reading.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    fn carry_to_guest(&mut self, socket: &mut Socket<'_>) -> std::io::Result<()> {
        while self.is_readable && !self.host_done && socket.can_send() {
            let stream = &mut self.stream;
            let read = socket.send(|room| match stream.read(room) {
                Ok(len) => (len, Ok(len)),
                Err(error) => (0, Err(error)),
            });
            match read {
                Ok(Ok(0)) => {
                    self.host_done = true;
                    socket.close();
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Lets the host's peer know if this was no orderly end.
    fn end(&mut self, now: Instant) -> Fate {
        if !(self.host_done && self.guest_done) {
            let _ = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        }
        self.ended = Some(now);
        Fate::Over
    }

    /// Whether it was over long ago, and the guest has not let itself be told.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.ended.is_some_and(|ended| now.saturating_duration_since(ended) > TELLING_MAX)
    }
}

/// The gateway's end of a connection that came from the host.
pub(super) fn gateway_end(port: u16) -> std::net::SocketAddrV4 {
    std::net::SocketAddrV4::new(plan::GATEWAY, port)
}
