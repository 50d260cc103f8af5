//! The console device: one port `[VIRTIO 5.3]`.

use crate::{Device, DeviceId, Guest, QueueError};
use abide_reg::{Entry, Intake, IntakeError, RegDef};

/// What the host sends to the guest.
const RECEIVE: usize = 0;
/// What the guest sends.
const TRANSMIT: usize = 1;
/// How much is copied at once, in bytes.
const PIECE_LEN: usize = 4096;

/// The host's end of a console.
pub trait Terminal {
    /// The guest sent this.
    fn transmit(&mut self, bytes: &[u8]);

    /// What was typed and waits for the guest, oldest first.
    fn waiting(&mut self) -> &[u8];

    /// The guest has the oldest `len` waiting bytes.
    fn accepted(&mut self, len: usize);
}

/// A console. All its state is the transport's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Console;

impl Console {
    fn receive(guest: &mut Guest<'_>, host: &mut dyn Terminal) -> Result<(), QueueError> {
        while !host.waiting().is_empty() {
            let Some(chain) = guest.pop(RECEIVE)? else { return Ok(()) };
            let written = chain.write(guest.ram(), 0, host.waiting());
            host.accepted(written);
            guest.push(RECEIVE, chain, u32::try_from(written).unwrap_or(u32::MAX))?;
        }
        Ok(())
    }

    fn transmit(guest: &mut Guest<'_>, host: &mut dyn Terminal) -> Result<(), QueueError> {
        let mut piece = [0; PIECE_LEN];
        while let Some(chain) = guest.pop(TRANSMIT)? {
            let mut at = 0;
            loop {
                let len = chain.read(guest.ram(), at, &mut piece);
                if len == 0 {
                    break;
                }
                host.transmit(&piece[..len]);
                at += len as u64;
            }
            guest.push(TRANSMIT, chain, 0)?;
        }
        Ok(())
    }
}

impl Device for Console {
    type Host = dyn Terminal;

    const ID: DeviceId = DeviceId::CONSOLE;
    const QUEUE_SIZES: &'static [u16] = &[64, 64];
    const TABLE: &'static [RegDef] = &[];
    const FEATURES_KNOWN: u64 = 0;

    fn features(&self) -> u64 {
        0
    }

    /// `struct virtio_console_config` `[VIRTIO 5.3.4]`: nothing of it without its features.
    fn config(&self) -> Vec<u8> {
        vec![0; 12]
    }

    fn reset(&mut self, _host: &mut Self::Host) {}

    fn notified(
        &mut self,
        queue: usize,
        guest: &mut Guest<'_>,
        host: &mut Self::Host,
    ) -> Result<(), QueueError> {
        if queue == RECEIVE { Self::receive(guest, host) } else { Self::transmit(guest, host) }
    }

    fn poll(&mut self, guest: &mut Guest<'_>, host: &mut Self::Host) -> Result<(), QueueError> {
        Self::receive(guest, host)
    }

    fn save(&self) -> Vec<Entry> {
        let Self = self;
        Vec::new()
    }

    fn restore(_features: u64, _intake: &mut Intake) -> Result<Self, IntakeError> {
        Ok(Self)
    }
}
