//! One connection: what waits in it, what each side may still send, and how far it is closed.

use super::packet::{Header, Op, shutdown};
use std::collections::VecDeque;

/// Bytes of the guest that wait for the host's program: what the guest is given as credit.
pub const TO_HOST_MAX: usize = 128 << 10;
/// Bytes of the host's program that wait for the guest.
pub const TO_GUEST_MAX: usize = 64 << 10;

/// What the guest is told again and again.
const TO_HOST_MAX_32: u32 = 128 << 10;
/// So many bytes may have been passed on before the guest is told.
const UNTOLD_MAX: u32 = TO_HOST_MAX_32 / 4;

/// The ports of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ends {
    pub(super) host: u32,
    pub(super) guest: u32,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The guest asked for it; the host's program has not been reached yet.
    Reaching,
    /// The host's program was reached; the guest has not been told.
    Reached,
    /// A program of the host asked for it; the guest has not been told.
    Asking,
    /// The guest has been asked, and has not answered.
    Asked,
    /// Both ends know of each other.
    Open,
    /// The guest is gone; what it sent still has to reach the host's program.
    Orphaned,
}

/// What each side may send, in bytes modulo 2^32 `[VIRTIO 5.10.6.3]`.
#[derive(Debug, Default)]
struct Credit {
    /// What the guest can hold.
    guest_room: u32,
    /// What the guest's program has taken.
    guest_took: u32,
    /// What the guest was sent.
    sent: u32,
    /// What the host's program has taken.
    took: u32,
    /// What the guest was told of that.
    told_took: u32,
    /// The guest was asked, and has not answered.
    has_asked: bool,
    /// The guest has asked.
    is_asked: bool,
}

impl Credit {
    /// Bytes that the guest has room for. A guest that says nonsense has none.
    fn room(&self) -> u32 {
        self.guest_room.saturating_sub(self.sent.wrapping_sub(self.guest_took))
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) ends: Ends,
    pub(super) phase: Phase,
    to_host: VecDeque<u8>,
    /// How many of them, at the front, are not the guest's.
    greeting_len: usize,
    to_guest: VecDeque<u8>,
    credit: Credit,
    /// The host's program sends no more.
    host_done: bool,
    /// The host's program takes no more.
    host_deaf: bool,
    /// The guest sends no more.
    guest_done: bool,
    /// The guest takes no more.
    guest_deaf: bool,
    /// Flags of SHUTDOWN that the guest was sent.
    told: u32,
    /// It stands in the queue of those that have something for the guest.
    pub(super) is_due: bool,
}

impl Connection {
    pub(super) fn new(ends: Ends, phase: Phase) -> Self {
        Self {
            ends,
            phase,
            to_host: VecDeque::new(),
            greeting_len: 0,
            to_guest: VecDeque::new(),
            credit: Credit::default(),
            host_done: false,
            host_deaf: false,
            guest_done: false,
            guest_deaf: false,
            told: 0,
            is_due: false,
        }
    }

    /// Whether the guest has heard of it, and must hear of its end.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self.phase, Phase::Asking | Phase::Orphaned)
    }

    /// Whether a program of the host waits for the guest's answer.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.phase, Phase::Asking | Phase::Asked)
    }

    // The guest's side

    /// Takes note of what every packet tells.
    pub(super) fn hear(&mut self, header: &Header) {
        self.credit.guest_room = header.buf_alloc;
        self.credit.guest_took = header.fwd_cnt;
        self.credit.has_asked &= self.credit.room() == 0;
    }

    /// Takes a packet of the guest that belongs to it; `false` if the guest breaks the protocol.
    pub(super) fn take(&mut self, header: &Header, payload: &[u8]) -> bool {
        match (header.op, self.phase) {
            (Op::RESPONSE, Phase::Asked) => {
                self.phase = Phase::Open;
                let greeting = format!("OK {}\n", self.ends.host);
                self.greeting_len = greeting.len();
                self.to_host.extend(greeting.bytes());
            }
            (Op::RW, Phase::Open) => return self.take_bytes(payload),
            (Op::SHUTDOWN, Phase::Open | Phase::Reaching | Phase::Reached) => {
                self.guest_done |= header.flags & shutdown::SEND != 0;
                if header.flags & shutdown::RECEIVE != 0 {
                    self.guest_deaf = true;
                    self.to_guest.clear();
                }
            }
            (Op::CREDIT_UPDATE, Phase::Open) => {}
            (Op::CREDIT_REQUEST, Phase::Open) => self.credit.is_asked = true,
            _ => return false,
        }
        true
    }

    fn take_bytes(&mut self, payload: &[u8]) -> bool {
        let waiting = self.to_host.len() - self.greeting_len;
        if self.guest_done || payload.len() > TO_HOST_MAX - waiting {
            return false;
        }
        if self.host_deaf {
            // It was told, or will be; until it hears of that, it may send.
            let len = u32::try_from(payload.len()).unwrap_or(0);
            self.credit.took = self.credit.took.wrapping_add(len);
        } else {
            self.to_host.extend(payload);
        }
        true
    }

    /// Whether both sides are done as far as the guest knows: it is owed its RST.
    pub(super) fn is_finished(&self) -> bool {
        self.phase == Phase::Open && self.guest_done && self.guest_deaf && self.to_host.is_empty()
    }

    /// Whether the guest was told that both sides are done, and owes its RST.
    pub(super) fn is_closing(&self) -> bool {
        self.told == shutdown::BOTH
    }

    /// What the guest has to be told next.
    pub(super) fn next_op(&self) -> Option<Op> {
        match self.phase {
            Phase::Reached => Some(Op::RESPONSE),
            Phase::Asking => Some(Op::REQUEST),
            Phase::Reaching | Phase::Asked | Phase::Orphaned => None,
            Phase::Open => self.next_op_open(),
        }
    }

    fn next_op_open(&self) -> Option<Op> {
        let untold = self.credit.took.wrapping_sub(self.credit.told_took);
        if !self.to_guest.is_empty() && self.credit.room() > 0 {
            Some(Op::RW)
        } else if self.shutdown_flags() & !self.told != 0 {
            Some(Op::SHUTDOWN)
        } else if self.credit.is_asked || untold >= UNTOLD_MAX {
            Some(Op::CREDIT_UPDATE)
        } else if !self.to_guest.is_empty() && !self.credit.has_asked {
            Some(Op::CREDIT_REQUEST)
        } else {
            None
        }
    }

    fn shutdown_flags(&self) -> u32 {
        let has_sent_all = self.host_done && self.to_guest.is_empty();
        // When nothing can come any more either way, nothing will be received either.
        let is_over = has_sent_all && self.guest_done && self.to_host.is_empty();
        let send = if has_sent_all { shutdown::SEND } else { 0 };
        let receive = if self.host_deaf || is_over { shutdown::RECEIVE } else { 0 };
        send | receive
    }

    /// The packet that tells the guest what is next, of at most `payload_max` bytes behind its
    /// header, which lacks who is who.
    pub(super) fn next_packet(&mut self, payload_max: usize) -> Option<(Header, Vec<u8>)> {
        let op = self.next_op()?;
        let mut payload = Vec::new();
        match op {
            Op::RESPONSE => self.phase = Phase::Open,
            Op::REQUEST => self.phase = Phase::Asked,
            Op::RW => {
                let credit = usize::try_from(self.credit.room()).unwrap_or(usize::MAX);
                let len = self.to_guest.len().min(credit).min(payload_max);
                payload.extend(self.to_guest.drain(..len));
                self.credit.sent = self.credit.sent.wrapping_add(u32::try_from(len).unwrap_or(0));
            }
            Op::SHUTDOWN => self.told |= self.shutdown_flags(),
            Op::CREDIT_REQUEST => self.credit.has_asked = true,
            _ => {}
        }
        self.credit.is_asked = false;
        self.credit.told_took = self.credit.took;
        let header = Header {
            src_cid: 0,
            dst_cid: 0,
            src_port: self.ends.host,
            dst_port: self.ends.guest,
            len: u32::try_from(payload.len()).unwrap_or(0),
            kind: super::packet::STREAM,
            op,
            flags: if op == Op::SHUTDOWN { self.told } else { 0 },
            buf_alloc: TO_HOST_MAX_32,
            fwd_cnt: self.credit.took,
        };
        Some((header, payload))
    }

    // The host's side

    /// What the host's program is to be given next; empty if nothing waits.
    pub(super) fn for_host(&self) -> &[u8] {
        let (first, second) = self.to_host.as_slices();
        if first.is_empty() { second } else { first }
    }

    /// The host's program took the first `len` of these bytes.
    pub(super) fn host_took(&mut self, len: usize) {
        let len = len.min(self.to_host.len());
        self.to_host.drain(..len);
        let own = len.min(self.greeting_len);
        self.greeting_len -= own;
        self.credit.took = self.credit.took.wrapping_add(u32::try_from(len - own).unwrap_or(0));
    }

    /// How many bytes of the host's program may come now.
    pub(super) fn room_for_guest(&self) -> usize {
        if self.host_done || self.guest_deaf || self.phase != Phase::Open {
            return 0;
        }
        TO_GUEST_MAX - self.to_guest.len().min(TO_GUEST_MAX)
    }

    /// Whether it is time to read more from the host's program: not for every few bytes.
    pub(super) fn wants_bytes(&self) -> bool {
        self.room_for_guest() >= TO_GUEST_MAX / 2
    }

    /// The host's program sent these.
    pub(super) fn host_sent(&mut self, bytes: &[u8]) {
        if !self.guest_deaf {
            self.to_guest.extend(bytes);
        }
    }

    /// The host's program sends no more.
    pub(super) fn host_is_done(&mut self) {
        self.host_done = true;
    }

    /// The host's program takes no more: what waits for it is lost.
    pub(super) fn host_is_deaf(&mut self) {
        self.host_deaf = true;
        let lost = self.to_host.len();
        self.host_took(lost);
    }

    /// Whether the host's program has been given all that it will ever get.
    pub(super) fn host_has_all(&self) -> bool {
        (self.guest_done || self.phase == Phase::Orphaned) && self.to_host.is_empty()
    }

    /// Whether the host's program may stop sending.
    pub(super) fn guest_is_deaf(&self) -> bool {
        self.guest_deaf
    }

    /// The guest is gone. What it sent stays, as far as somebody takes it: tells whether there is
    /// such.
    pub(super) fn orphan(&mut self) -> bool {
        let had_host = matches!(self.phase, Phase::Open | Phase::Orphaned);
        self.phase = Phase::Orphaned;
        self.to_guest.clear();
        had_host && !self.host_deaf && !self.to_host.is_empty()
    }

    /// # Panics
    /// If it holds more than it may.
    pub(super) fn assert_bounds(&self) {
        let waiting = self.to_host.len() - self.greeting_len;
        assert!(waiting <= TO_HOST_MAX && self.greeting_len <= 32, "{waiting} bytes for the host");
        let waiting = self.to_guest.len();
        assert!(waiting <= TO_GUEST_MAX, "{waiting} bytes for the guest");
    }
}
