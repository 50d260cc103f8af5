//! All connections of a guest: who is meant by a packet, and whose turn it is.
//!
//! It does no I/O: the guest's device and the thread with the host's sockets each call it.

use super::connection::{Connection, Ends, Phase};
use super::packet::{HEADER_LEN, HOST_CID, Header, Op, PORT_ANY, STREAM};
use std::collections::{BTreeMap, VecDeque};

/// The most connections at a time.
pub const CONNECTIONS_MAX: usize = 256;
/// RSTs that wait for the guest before no more of its packets are taken.
const REPLIES_MAX: usize = 256;
/// The most that a packet for the guest carries, in bytes.
const PAYLOAD_MAX: usize = 64 << 10;

/// Ports that connections from the host come from: none that a service would have.
const HOST_PORTS: std::ops::Range<u32> = 1 << 30..1 << 31;

/// A connection, for as long as its process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(u64);

/// The connections.
#[derive(Debug)]
pub(super) struct Mux {
    guest_cid: u64,
    connections: BTreeMap<Id, Connection>,
    /// Those that the guest may know.
    by_ends: BTreeMap<Ends, Id>,
    /// Those that have something for the guest, whose turn it is first.
    due: VecDeque<Id>,
    /// RSTs for what is no connection any more, or never was.
    replies: VecDeque<Header>,
    /// The guest wants these, from these ports of the host.
    wanted: Vec<(Id, u32)>,
    next_id: u64,
    next_port: u32,
    /// The thread with the host's sockets has something to do.
    wakes_host: bool,
}

impl Mux {
    pub(super) fn new(guest_cid: u32) -> Self {
        Self {
            guest_cid: guest_cid.into(),
            connections: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            due: VecDeque::new(),
            replies: VecDeque::new(),
            wanted: Vec::new(),
            next_id: 0,
            next_port: HOST_PORTS.start,
            wakes_host: false,
        }
    }

    // The guest's side

    /// Takes a packet of the guest; `false` if it must wait until answers have left.
    pub(super) fn send(&mut self, packet: &[u8]) -> bool {
        if self.replies.len() >= REPLIES_MAX {
            return false;
        }
        let Some((header, payload)) = Header::parse(packet) else { return true };
        // Nobody else speaks through this device [VIRTIO 5.10.6.4].
        if header.src_cid != self.guest_cid {
            return true;
        }
        let ends = Ends { host: header.dst_port, guest: header.src_port };
        let is_for_host = header.dst_cid == HOST_CID && header.kind == STREAM;
        let id = if is_for_host { self.by_ends.get(&ends).copied() } else { None };
        if header.op == Op::RST {
            // Never answered: two who did would not end.
            if let Some(id) = id {
                self.forget(id);
            }
            return true;
        }
        let is_whole = usize::try_from(header.len).is_ok_and(|len| len == payload.len());
        match id {
            Some(id) if is_whole => self.take(id, &header, payload),
            None if is_for_host && is_whole && header.op == Op::REQUEST => {
                self.request(ends, &header);
            }
            _ => {
                if let Some(id) = id {
                    self.forget(id);
                }
                self.replies.push_back(header.reset());
            }
        }
        true
    }

    fn take(&mut self, id: Id, header: &Header, payload: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.hear(header);
        if connection.take(header, payload) {
            self.wakes_host = true;
            self.touch(id);
        } else {
            self.forget(id);
            self.replies.push_back(header.reset());
        }
    }

    fn request(&mut self, ends: Ends, header: &Header) {
        if self.connections.len() >= CONNECTIONS_MAX || ends.host == PORT_ANY {
            self.replies.push_back(header.reset());
            return;
        }
        let id = self.add(ends, Phase::Reaching);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.hear(header);
        }
        self.wanted.push((id, ends.host));
        self.wakes_host = true;
    }

    /// The next packet for the guest, of at most `room` bytes.
    pub(super) fn receive(&mut self, room: usize) -> Option<Vec<u8>> {
        let payload_max = room.checked_sub(HEADER_LEN)?.min(PAYLOAD_MAX);
        if payload_max == 0 {
            return None;
        }
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply.to_bytes());
        }
        while let Some(id) = self.due.pop_front() {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.is_due = false;
            let (wanted, was_closing) = (connection.wants_bytes(), connection.is_closing());
            let packet = connection.next_packet(payload_max);
            // The host's program may send again, or a clock must be set.
            self.wakes_host |= connection.wants_bytes() != wanted;
            self.wakes_host |= connection.is_closing() != was_closing;
            self.touch(id);
            let Some((header, payload)) = packet else { continue };
            let header = Header { src_cid: HOST_CID, dst_cid: self.guest_cid, ..header };
            let mut bytes = header.to_bytes();
            bytes.extend(payload);
            return Some(bytes);
        }
        None
    }

    pub(super) fn has_packet(&self) -> bool {
        !self.replies.is_empty() || !self.due.is_empty()
    }

    /// The guest's driver begins anew: it knows of no connection. Those that it has not heard of
    /// yet still await it.
    pub(super) fn reset(&mut self) {
        let is_known = |id: &Id| self.connections.get(id).is_some_and(Connection::is_known);
        for id in self.by_ends.values().copied().filter(is_known).collect::<Vec<_>>() {
            self.forget(id);
        }
        self.replies.clear();
    }

    // The host's side

    /// Connections that the guest wants, and the host's ports that they should reach.
    pub(super) fn take_wanted(&mut self) -> Vec<(Id, u32)> {
        std::mem::take(&mut self.wanted)
    }

    /// A program of the host was reached; `false` if nobody wants it any more.
    pub(super) fn reached(&mut self, id: Id) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        connection.phase = Phase::Reached;
        self.touch(id);
        true
    }

    /// A program of the host asks for the guest's `port`; `None` if there are too many already.
    pub(super) fn ask(&mut self, port: u32) -> Option<Id> {
        if self.connections.len() >= CONNECTIONS_MAX || port == PORT_ANY {
            return None;
        }
        // One of the first that are tried is free: there are more than connections.
        let ends = loop {
            let ends = Ends { host: self.next_port, guest: port };
            let next = self.next_port + 1;
            self.next_port = if HOST_PORTS.contains(&next) { next } else { HOST_PORTS.start };
            if !self.by_ends.contains_key(&ends) {
                break ends;
            }
        };
        let id = self.add(ends, Phase::Asking);
        self.touch(id);
        Some(id)
    }

    /// Lets `change` see to a connection and its program; `None` if there is none any more.
    pub(super) fn with<T>(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut Connection) -> T,
    ) -> Option<T> {
        let result = change(self.connections.get_mut(&id)?);
        self.touch(id);
        Some(result)
    }

    /// How a connection is.
    pub(super) fn get(&self, id: Id) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// Ends a connection from the host's side, without asking the guest.
    pub(super) fn drop_from_host(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (ends, is_known) = (connection.ends, connection.is_known());
        connection.host_is_deaf();
        self.forget(id);
        if is_known {
            self.reply_reset(ends);
        }
    }

    /// Whether the thread with the host's sockets was given something to do.
    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wakes_host)
    }

    // Both

    fn add(&mut self, ends: Ends, phase: Phase) -> Id {
        let id = Id(self.next_id);
        self.next_id += 1;
        self.connections.insert(id, Connection::new(ends, phase));
        self.by_ends.insert(ends, id);
        id
    }

    /// A connection has changed: it may have to tell the guest something, or be over.
    fn touch(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.is_finished() {
            let ends = connection.ends;
            self.forget(id);
            self.reply_reset(ends);
        } else if connection.phase == Phase::Orphaned && connection.for_host().is_empty() {
            self.remove(id);
        } else if !connection.is_due && connection.next_op().is_some() {
            connection.is_due = true;
            self.due.push_back(id);
        }
    }

    fn reply_reset(&mut self, ends: Ends) {
        let (from, to) = ((HOST_CID, ends.host), (self.guest_cid, ends.guest));
        self.replies.push_back(Header::rst(from, to, STREAM));
    }

    /// The guest knows nothing of a connection from here on; what it sent still goes its way.
    fn forget(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // Its ports may be another's by now.
        if self.by_ends.get(&connection.ends) == Some(&id) {
            self.by_ends.remove(&connection.ends);
        }
        if connection.is_due {
            connection.is_due = false;
            self.due.retain(|due| *due != id);
        }
        self.wanted.retain(|(wanted, _)| *wanted != id);
        if !connection.orphan() {
            self.connections.remove(&id);
        }
        self.wakes_host = true;
    }

    fn remove(&mut self, id: Id) {
        self.connections.remove(&id);
        self.wakes_host = true;
    }

    /// # Panics
    /// If it holds more than it may, or has lost count.
    pub(super) fn assert_bounds(&self) {
        assert!(self.connections.len() <= CONNECTIONS_MAX, "{}", self.connections.len());
        assert!(self.replies.len() <= REPLIES_MAX + CONNECTIONS_MAX, "{}", self.replies.len());
        assert!(self.wanted.len() <= CONNECTIONS_MAX && self.due.len() <= CONNECTIONS_MAX);
        for (ends, id) in &self.by_ends {
            assert_eq!(self.connections.get(id).map(|found| found.ends), Some(*ends));
        }
        for (id, connection) in &self.connections {
            connection.assert_bounds();
            let is_orphan = connection.phase == Phase::Orphaned;
            assert_eq!(self.by_ends.get(&connection.ends) == Some(id), !is_orphan);
            assert_eq!(self.due.contains(id), connection.is_due);
            assert!(connection.is_due || connection.next_op().is_none(), "{connection:?}");
        }
    }
}
