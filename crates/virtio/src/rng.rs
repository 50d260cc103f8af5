//! The entropy device: random bits on request `[VIRTIO 5.4]`.

use crate::{Device, DeviceId, Guest, QueueError};
use abide_reg::{Entry, Intake, IntakeError, RegDef};

/// How much one request is given at most, in bytes: a driver that wants more asks again.
const REQUEST_LEN_MAX: u64 = 4096;

/// Where random bits come from.
pub trait RandomBits {
    /// The next 64 bits; `None` where there are none.
    fn next_u64(&mut self) -> Option<u64>;
}

/// An entropy device. All its state is the transport's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rng;

impl Device for Rng {
    type Host = dyn RandomBits;

    const ID: DeviceId = DeviceId::ENTROPY;
    const QUEUE_SIZES: &'static [u16] = &[8];
    const TABLE: &'static [RegDef] = &[];
    const FEATURES_KNOWN: u64 = 0;

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn reset(&mut self, _host: &mut Self::Host) {}

    fn notified(
        &mut self,
        queue: usize,
        guest: &mut Guest<'_>,
        host: &mut Self::Host,
    ) -> Result<(), QueueError> {
        while let Some(chain) = guest.pop(queue)? {
            let wanted = chain.writable_len().min(REQUEST_LEN_MAX);
            let mut written = 0;
            while written < wanted {
                let Some(bits) = host.next_u64() else { break };
                let len = usize::try_from(wanted - written).unwrap_or(8).min(8);
                let done = chain.write(guest.ram(), written, &bits.to_le_bytes()[..len]);
                written += done as u64;
            }
            guest.push(queue, chain, u32::try_from(written).unwrap_or(0))?;
        }
        Ok(())
    }

    fn save(&self) -> Vec<Entry> {
        let Self = self;
        Vec::new()
    }

    fn restore(_features: u64, _intake: &mut Intake) -> Result<Self, IntakeError> {
        Ok(Self)
    }
}
