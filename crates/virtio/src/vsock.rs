//! Sockets between guest and host `[VIRTIO 5.10]`: stream sockets alone.
//!
//! The device is a pipe for packets. It looks at what it must to keep the pipe sound: lengths. Who
//! is connected with whom is known at the other end of the pipe, and is no guest state: a restored
//! guest is told that all its connections are over (`VIRTIO_VSOCK_EVENT_TRANSPORT_RESET`).

use crate::{Chain, Device, DeviceId, Guest, QueueError};
use abide_reg::{Entry, Intake, IntakeError, RegDef, RegId, Value};

/// Packets for the guest.
const RECEIVE: usize = 0;
/// Packets of the guest.
const TRANSMIT: usize = 1;
/// What the device tells besides.
const EVENT: usize = 2;

/// Length of `struct virtio_vsock_hdr`, in bytes `[VIRTIO 5.10.6]`.
pub const HEADER_LEN: usize = 44;
/// The most that a packet carries, in bytes: whoever is at the other end gives no more credit.
pub const PAYLOAD_MAX_LEN: usize = 128 << 10;
/// Where the header holds the length of what follows it, in bytes.
const LEN_AT: usize = 24;
/// Where it holds the operation.
const OP_AT: usize = 30;
/// `VIRTIO_VSOCK_OP_RW`: the one packet that carries something.
const OP_RW: u16 = 5;

/// Buffers that one call takes back empty because no packet fits: a driver that gives short ones
/// must not keep its host from looking up.
const SHORT_MAX: u32 = 256;

/// Calls for which packets are held back until the driver has seen to an event: one that never
/// offers its buffer again must not wait for ever.
const PATIENCE_CALLS: u16 = 256;

/// `struct virtio_vsock_event` with `VIRTIO_VSOCK_EVENT_TRANSPORT_RESET` `[VIRTIO 5.10.6.7]`.
const TRANSPORT_RESET: [u8; 4] = [0; 4];

/// `VIRTIO_VSOCK_F_STREAM` `[VIRTIO 5.10.3]`.
const STREAM: u64 = 1 << 0;

/// The lowest number of a guest: those below have meanings of their own `[VIRTIO 5.10.4]`.
pub const CID_MIN: u32 = 3;
/// The highest; the one above means any.
pub const CID_MAX: u32 = u32::MAX - 1;

const CID: RegDef = RegDef::state(RegId::named("virtio.vsock.cid"), "guest_cid", 8);
const RESET_PENDING: RegDef =
    RegDef::state(RegId::named("virtio.vsock.reset_pending"), "transport reset to be told", 1);
const RESET_UNSEEN: RegDef =
    RegDef::state(RegId::named("virtio.vsock.reset_unseen"), "transport reset to be seen", 4);

/// The other end of the pipe. Packets begin with their header.
pub trait Sockets {
    /// Takes a packet of the guest: a header and what it announces, or, if the guest said
    /// something else than it sent, a header alone. `false` if it cannot now: then it is offered
    /// again when packets for the guest have left, or when the device is polled.
    fn send(&mut self, packet: &[u8]) -> bool;

    /// The next packet for the guest, of at most `room` bytes; `room` is more than a header's.
    fn receive(&mut self, room: usize) -> Option<Vec<u8>>;

    /// Whether there is one.
    fn has_packet(&self) -> bool;

    /// The driver begins anew: every connection is over, and no packet of one may follow.
    fn reset(&mut self);
}

/// The sockets of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vsock {
    // Guest-visible state (saved)
    cid: u32,
    /// The driver is to be told that every connection is over.
    reset_pending: bool,
    /// It was told, and has not seen to it.
    unseen: Option<Unseen>,
}

/// An event that the driver was told of and has not seen to. Until it has, it would take an answer
/// to what it sends over a lost connection for that connection's orderly end, and count a new
/// connection among the lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unseen {
    /// Buffers for events when it was told: it offers one more when it has seen to the event.
    waiting: u16,
    /// Calls for which packets are still held back, not 0.
    calls: u16,
}

impl Vsock {
    /// Sockets of the guest with this number, from [`CID_MIN`] to [`CID_MAX`].
    #[must_use]
    pub const fn new(cid: u32) -> Self {
        Self { cid, reset_pending: false, unseen: None }
    }

    /// The guest's number.
    #[must_use]
    pub const fn cid(&self) -> u32 {
        self.cid
    }

    /// Tells the driver, as soon as it can hear, that every connection is over.
    pub const fn reset_transport(&mut self) {
        self.reset_pending = true;
    }

    fn tell(&mut self, guest: &mut Guest<'_>) -> Result<(), QueueError> {
        let mut short = 0;
        while self.reset_pending && short < SHORT_MAX {
            let Some(chain) = guest.pop(EVENT)? else { return Ok(()) };
            let mut written = 0;
            if chain.writable_len() >= TRANSPORT_RESET.len() as u64 {
                // Counted first: once the buffer is back, the driver may be faster.
                let waiting = guest.waiting(EVENT)?;
                self.unseen = Some(Unseen { waiting, calls: PATIENCE_CALLS });
                written = chain.write(guest.ram(), 0, &TRANSPORT_RESET);
                self.reset_pending = false;
            }
            short += 1;
            guest.push(EVENT, chain, u32::try_from(written).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Gives the guest what waits, as far as it has buffers.
    fn receive(guest: &mut Guest<'_>, sockets: &mut dyn Sockets) -> Result<(), QueueError> {
        let mut short = 0;
        while sockets.has_packet() && short < SHORT_MAX {
            let Some(chain) = guest.pop(RECEIVE)? else { return Ok(()) };
            let room = usize::try_from(chain.writable_len()).unwrap_or(usize::MAX);
            if room <= HEADER_LEN {
                // Not one byte of a stream would fit.
                short += 1;
                guest.push(RECEIVE, chain, 0)?;
                continue;
            }
            let Some(packet) = sockets.receive(room) else {
                guest.put_back(RECEIVE, chain);
                return Ok(());
            };
            let written = chain.write(guest.ram(), 0, &packet);
            guest.push(RECEIVE, chain, u32::try_from(written).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Sends what the guest has put there, until the pipe is full.
    fn transmit(guest: &mut Guest<'_>, sockets: &mut dyn Sockets) -> Result<(), QueueError> {
        while let Some(chain) = guest.pop(TRANSMIT)? {
            if let Some(packet) = packet_of(guest, &chain)
                && !sockets.send(&packet)
            {
                guest.put_back(TRANSMIT, chain);
                return Ok(());
            }
            guest.push(TRANSMIT, chain, 0)?;
        }
        Ok(())
    }

    /// Whether packets are held back.
    fn holds(&mut self, guest: &mut Guest<'_>) -> Result<bool, QueueError> {
        let Some(Unseen { waiting, calls }) = self.unseen else { return Ok(false) };
        let is_seen = guest.waiting(EVENT)? > waiting || calls <= 1;
        self.unseen = (!is_seen).then_some(Unseen { waiting, calls: calls.saturating_sub(1) });
        Ok(!is_seen)
    }

    /// Events, then packets both ways, then the answers: what leaves for the guest makes room for
    /// what it sends.
    fn carry(
        &mut self,
        guest: &mut Guest<'_>,
        sockets: &mut dyn Sockets,
    ) -> Result<(), QueueError> {
        self.tell(guest)?;
        if self.holds(guest)? {
            return Ok(());
        }
        Self::receive(guest, sockets)?;
        Self::transmit(guest, sockets)?;
        Self::receive(guest, sockets)
    }
}

/// The packet in a request; what has not even a header is taken and lost.
fn packet_of(guest: &Guest<'_>, chain: &Chain) -> Option<Vec<u8>> {
    let mut packet = vec![0; HEADER_LEN];
    if chain.read(guest.ram(), 0, &mut packet) != HEADER_LEN {
        return None;
    }
    let word = |at: usize| [packet[at], packet[at + 1]];
    let [l0, l1, h0, h1] = [word(LEN_AT), word(LEN_AT + 2)].concat()[..] else { return None };
    let len = usize::try_from(u32::from_le_bytes([l0, l1, h0, h1])).ok()?;
    let is_data = u16::from_le_bytes(word(OP_AT)) == OP_RW;
    let follows = chain.readable_len() - HEADER_LEN as u64;
    // What is announced and not there, or too much, is left out: a header whose length is wrong
    // then, which the other end refuses.
    if is_data && len <= PAYLOAD_MAX_LEN && len as u64 <= follows {
        packet.resize(HEADER_LEN + len, 0);
        chain.read(guest.ram(), HEADER_LEN as u64, &mut packet[HEADER_LEN..]);
    }
    Some(packet)
}

impl Device for Vsock {
    type Host = dyn Sockets;

    const ID: DeviceId = DeviceId::SOCKET;
    const QUEUE_SIZES: &'static [u16] = &[128, 128, 16];
    const TABLE: &'static [RegDef] = &[CID, RESET_PENDING, RESET_UNSEEN];
    const FEATURES_KNOWN: u64 = STREAM;

    fn features(&self) -> u64 {
        STREAM
    }

    /// `guest_cid` of `struct virtio_vsock_config` `[VIRTIO 5.10.4]`.
    fn config(&self) -> Vec<u8> {
        u64::from(self.cid).to_le_bytes().to_vec()
    }

    /// A driver that begins anew has no connection to lose.
    fn reset(&mut self, sockets: &mut Self::Host) {
        (self.reset_pending, self.unseen) = (false, None);
        sockets.reset();
    }

    fn notified(
        &mut self,
        _queue: usize,
        guest: &mut Guest<'_>,
        sockets: &mut Self::Host,
    ) -> Result<(), QueueError> {
        self.carry(guest, sockets)
    }

    fn poll(&mut self, guest: &mut Guest<'_>, sockets: &mut Self::Host) -> Result<(), QueueError> {
        self.carry(guest, sockets)
    }

    fn save(&self) -> Vec<Entry> {
        let Self { cid, reset_pending, unseen } = self;
        let unseen = unseen.map_or([0; 4], |Unseen { waiting, calls }| {
            let ([a, b], [c, d]) = (waiting.to_le_bytes(), calls.to_le_bytes());
            [a, b, c, d]
        });
        vec![
            Entry::of(&CID, Value::bytes(&u64::from(*cid).to_le_bytes())),
            Entry::of(&RESET_PENDING, Value::bytes(&[u8::from(*reset_pending)])),
            Entry::of(&RESET_UNSEEN, Value::bytes(&unseen)),
        ]
    }

    fn restore(_features: u64, intake: &mut Intake) -> Result<Self, IntakeError> {
        let cid = intake.take(&CID)?;
        let pending = intake.take(&RESET_PENDING)?;
        let unseen = intake.take(&RESET_UNSEEN)?;
        let refuse = |def: &RegDef, found: &Value, allowed| {
            Err(IntakeError::Value { id: def.id, found: found.clone(), allowed })
        };
        let number = <[u8; 8]>::try_from(cid.as_bytes()).map(u64::from_le_bytes);
        let number = number.ok().and_then(|number| u32::try_from(number).ok());
        let Some(number @ CID_MIN..=CID_MAX) = number else {
            return refuse(&CID, &cid, "a guest's number: 3 to 4294967294");
        };
        let &[reset_pending @ 0..=1] = pending.as_bytes() else {
            return refuse(&RESET_PENDING, &pending, "0 or 1");
        };
        let unseen = match *unseen.as_bytes() {
            [0, 0, 0, 0] => None,
            [a, b, c, d] if (1..=PATIENCE_CALLS).contains(&u16::from_le_bytes([c, d])) => {
                let [waiting, calls] = [[a, b], [c, d]].map(u16::from_le_bytes);
                Some(Unseen { waiting, calls })
            }
            _ => {
                let allowed = "0, or buffers, and calls that are left: 1 to 256";
                return refuse(&RESET_UNSEEN, &unseen, allowed);
            }
        };
        Ok(Self { cid: number, reset_pending: reset_pending == 1, unseen })
    }
}
