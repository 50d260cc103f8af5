//! The network card `[VIRTIO 5.1]`.
//!
//! One pair of queues and a control queue. No offloads: every frame is complete, its checksums
//! are computed by whoever sends it, and one buffer holds it whole.

use crate::{Chain, Device, DeviceId, Guest, QueueError};
use abide_reg::{Entry, Intake, IntakeError, RegDef, RegId, Value};

/// Frames for the guest.
const RECEIVE: usize = 0;
/// Frames of the guest.
const TRANSMIT: usize = 1;
/// What the driver wants of the card itself.
const CONTROL: usize = 2;

/// Length of `struct virtio_net_hdr`, in bytes: flags, gso_type, hdr_len, gso_size, csum_start,
/// csum_offset, num_buffers `[VIRTIO 5.1.6]`.
pub const HEADER_LEN: usize = 12;
/// The longest frame, in bytes: with a VLAN tag, without the checksum at its end.
pub const FRAME_MAX_LEN: usize = 1518;
/// The shortest, in bytes.
pub const FRAME_MIN_LEN: usize = 14;

/// Frames that one call loses for want of a buffer that is long enough: a driver that gives short
/// ones must not keep its host from looking up.
const LOST_MAX: u32 = 256;

/// In front of each frame for the guest: nothing special about it, and one buffer.
const HEADER: [u8; HEADER_LEN] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

/// `VIRTIO_NET_F_GUEST_ANNOUNCE`: the driver can be asked to make itself known `[VIRTIO 5.1.3]`.
pub const GUEST_ANNOUNCE: u64 = 1 << 21;

/// Feature bits `[VIRTIO 5.1.3]`.
mod feature {
    /// `VIRTIO_NET_F_MAC`: the configuration tells the address.
    pub const MAC: u64 = 1 << 5;
    /// `VIRTIO_NET_F_STATUS`: the configuration tells whether the cable is in.
    pub const STATUS: u64 = 1 << 16;
    /// `VIRTIO_NET_F_CTRL_VQ`: there is a control queue.
    pub const CTRL_VQ: u64 = 1 << 17;
    pub const GUEST_ANNOUNCE: u64 = super::GUEST_ANNOUNCE;
    /// All that this card can do.
    pub const ALL: u64 = MAC | STATUS | CTRL_VQ | GUEST_ANNOUNCE;
}

/// `VIRTIO_NET_S_LINK_UP` of `status`.
const STATUS_LINK_UP: u16 = 1;
/// `VIRTIO_NET_S_ANNOUNCE`.
const STATUS_ANNOUNCE: u16 = 2;

/// Requests of the control queue: class and command `[VIRTIO 5.1.6.5]`.
const CONTROL_ANNOUNCE_ACK: [u8; 2] = [3, 0];
/// `VIRTIO_NET_OK`.
const CONTROL_OK: u8 = 0;
/// `VIRTIO_NET_ERR`.
const CONTROL_ERR: u8 = 1;

const MAC: RegDef = RegDef::state(RegId::named("virtio.net.mac"), "mac", 6);
const STATUS: RegDef = RegDef::state(RegId::named("virtio.net.status"), "status", 2);

/// What a card is plugged into.
pub trait Cable {
    /// Takes a frame of the guest. `false` if it cannot now: then it is offered again when the
    /// card is polled.
    fn send(&mut self, frame: &[u8]) -> bool;

    /// The next frame for the guest.
    fn receive(&mut self) -> Option<Vec<u8>>;

    /// Whether there is one.
    fn has_frame(&self) -> bool;

    /// The guest has no buffer for what was offered. What is not meant to wait outside the guest
    /// is lost.
    fn not_taken(&mut self) {}

    /// Whether the cable is in.
    fn is_up(&self) -> bool;
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    // Guest-visible state (saved)
    mac: [u8; 6],
    is_up: bool,
    /// The driver is asked to make itself known, and has not said that it did.
    announces: bool,
}

impl Net {
    /// A card with this address.
    #[must_use]
    pub const fn new(mac: [u8; 6]) -> Self {
        Self { mac, is_up: true, announces: false }
    }

    /// Its address.
    #[must_use]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Asks the driver to make itself known on a network that learns where everybody is. Drivers
    /// that did not agree to be asked do not see it.
    pub const fn announce(&mut self) {
        self.announces = true;
    }

    fn status(&self) -> u16 {
        let announce = if self.announces { STATUS_ANNOUNCE } else { 0 };
        if self.is_up { STATUS_LINK_UP | announce } else { announce }
    }

    /// Gives the guest what waits, as far as it has buffers.
    fn receive(guest: &mut Guest<'_>, cable: &mut dyn Cable) -> Result<(), QueueError> {
        let mut lost = 0;
        while cable.has_frame() && lost < LOST_MAX {
            let Some(chain) = guest.pop(RECEIVE)? else {
                cable.not_taken();
                return Ok(());
            };
            let Some(frame) = cable.receive() else {
                guest.put_back(RECEIVE, chain);
                return Ok(());
            };
            let len = HEADER_LEN + frame.len();
            if frame.len() > FRAME_MAX_LEN || chain.writable_len() < len as u64 {
                // The driver owes buffers that every frame fits into [VIRTIO 5.1.6.3.1].
                guest.put_back(RECEIVE, chain);
                lost += 1;
                continue;
            }
            chain.write(guest.ram(), 0, &HEADER);
            chain.write(guest.ram(), HEADER_LEN as u64, &frame);
            guest.push(RECEIVE, chain, u32::try_from(len).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Sends what the guest has put there, until the cable is full.
    fn transmit(guest: &mut Guest<'_>, cable: &mut dyn Cable) -> Result<(), QueueError> {
        let mut frame = [0; FRAME_MAX_LEN];
        while let Some(chain) = guest.pop(TRANSMIT)? {
            if let Some(frame) = frame_of(guest, &chain, &mut frame)
                && !cable.send(frame)
            {
                guest.put_back(TRANSMIT, chain);
                return Ok(());
            }
            guest.push(TRANSMIT, chain, 0)?;
            // What answers at once is answered before the next frame.
            Self::receive(guest, cable)?;
        }
        Ok(())
    }

    /// Answers the control queue: command in, one byte of status out.
    fn control(&mut self, guest: &mut Guest<'_>) -> Result<(), QueueError> {
        while let Some(chain) = guest.pop(CONTROL)? {
            let mut command = [0; 2];
            let is_whole = chain.read(guest.ram(), 0, &mut command) == command.len();
            let is_known = is_whole && command == CONTROL_ANNOUNCE_ACK;
            if is_known {
                self.announces = false;
            }
            let answer = if is_known { CONTROL_OK } else { CONTROL_ERR };
            let written = chain.write(guest.ram(), 0, &[answer]);
            guest.push(CONTROL, chain, u32::try_from(written).unwrap_or(0))?;
        }
        Ok(())
    }
}

/// The frame in a request, if it is one; what is none is taken and lost.
fn frame_of<'a>(
    guest: &Guest<'_>,
    chain: &Chain,
    into: &'a mut [u8; FRAME_MAX_LEN],
) -> Option<&'a [u8]> {
    let len = usize::try_from(chain.readable_len()).ok()?.checked_sub(HEADER_LEN)?;
    if !(FRAME_MIN_LEN..=FRAME_MAX_LEN).contains(&len) {
        return None;
    }
    // The header says nothing: no offload was agreed on [VIRTIO 5.1.6.2].
    let done = chain.read(guest.ram(), HEADER_LEN as u64, &mut into[..len]);
    (done == len).then_some(&into[..len])
}

impl Device for Net {
    type Host = dyn Cable;

    const ID: DeviceId = DeviceId::NET;
    const QUEUE_SIZES: &'static [u16] = &[256, 256, 16];
    const TABLE: &'static [RegDef] = &[MAC, STATUS];
    const FEATURES_KNOWN: u64 = feature::ALL;

    fn features(&self) -> u64 {
        feature::ALL
    }

    /// `mac` and `status` of `struct virtio_net_config` `[VIRTIO 5.1.4]`; what follows belongs to
    /// features that are not offered.
    fn config(&self) -> Vec<u8> {
        let mut config = self.mac.to_vec();
        config.extend(self.status().to_le_bytes());
        config
    }

    fn reset(&mut self, _host: &mut Self::Host) {
        self.announces = false;
    }

    fn notified(
        &mut self,
        queue: usize,
        guest: &mut Guest<'_>,
        cable: &mut Self::Host,
    ) -> Result<(), QueueError> {
        match queue {
            RECEIVE => Self::receive(guest, cable),
            TRANSMIT => Self::transmit(guest, cable),
            _ => self.control(guest),
        }
    }

    fn poll(&mut self, guest: &mut Guest<'_>, cable: &mut Self::Host) -> Result<(), QueueError> {
        if cable.is_up() != self.is_up {
            self.is_up = cable.is_up();
            guest.config_changed();
        }
        // First what may make room: a guest's answer to a frame is often another frame.
        Self::receive(guest, cable)?;
        Self::transmit(guest, cable)
    }

    fn save(&self) -> Vec<Entry> {
        let Self { mac, is_up: _, announces: _ } = self;
        vec![
            Entry::of(&MAC, Value::bytes(mac)),
            // Holds the other two.
            Entry::of(&STATUS, Value::bytes(&self.status().to_le_bytes())),
        ]
    }

    fn restore(_features: u64, intake: &mut Intake) -> Result<Self, IntakeError> {
        let mac = intake.take(&MAC)?;
        let status = intake.take(&STATUS)?;
        let refuse = |def: &RegDef, found: &Value, allowed| {
            Err(IntakeError::Value { id: def.id, found: found.clone(), allowed })
        };
        let Ok(bytes @ [first, ..]) = <[u8; 6]>::try_from(mac.as_bytes()) else {
            return refuse(&MAC, &mac, "six bytes");
        };
        if first & 1 != 0 || bytes == [0; 6] {
            return refuse(&MAC, &mac, "a card's address: bit 0 of byte 0 is 0, not all is zero");
        }
        match <[u8; 2]>::try_from(status.as_bytes()).map(u16::from_le_bytes) {
            Ok(bits @ 0..=3) => Ok(Self {
                mac: bytes,
                is_up: bits & STATUS_LINK_UP != 0,
                announces: bits & STATUS_ANNOUNCE != 0,
            }),
            _ => refuse(&STATUS, &status, "bits 1:0"),
        }
    }
}
