//! The third way's device: one for each vCPU, with one queue, in which its driver keeps one buffer.
//! Whenever there is another structure the device fills the buffer; the driver offers it again once
//! it has taken what is in it. So the device knows what was taken.
//!
//! An experiment: it has no number of its own, and no guest but this one has it.

use abide_reg::{Entry, Intake, IntakeError, RegDef};
use abide_virtio::{Device, DeviceId, Guest, QueueError};
use abide_vmclock::spec;

/// What a used buffer costs besides its content: an element of the ring and the index
/// `[VIRTIO 2.7.8]`.
const USED_LEN: u64 = 8 + 2;

/// What the host has for one vCPU.
pub struct Fresh {
    /// The structure.
    pub bytes: [u8; spec::LEN],
    /// Whether the vCPU's driver has not been given it.
    pub is_due: bool,
    /// How many bytes were written for the guest.
    pub written: u64,
}

/// The device of one vCPU.
#[derive(Debug, Default)]
pub struct Feed {
    /// How many structures the driver was given.
    pub sent: u64,
    /// And how many of these it took: it offered its buffer again.
    pub taken: u64,
}

impl Feed {
    fn fill(&mut self, guest: &mut Guest<'_>, fresh: &mut Fresh) -> Result<(), QueueError> {
        if !fresh.is_due {
            return Ok(());
        }
        let Some(chain) = guest.pop(0)? else { return Ok(()) };
        let len = chain.write(guest.ram(), 0, &fresh.bytes);
        guest.push(0, chain, u32::try_from(len).unwrap_or(0))?;
        fresh.written += len as u64 + USED_LEN;
        fresh.is_due = false;
        self.sent += 1;
        Ok(())
    }
}

impl Device for Feed {
    type Host = Fresh;

    const ID: DeviceId = DeviceId(0xffff);
    const QUEUE_SIZES: &'static [u16] = &[1];
    const TABLE: &'static [RegDef] = &[];
    const FEATURES_KNOWN: u64 = 0;

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn reset(&mut self, _: &mut Fresh) {}

    fn notified(
        &mut self,
        _: usize,
        guest: &mut Guest<'_>,
        fresh: &mut Fresh,
    ) -> Result<(), QueueError> {
        self.taken = self.sent;
        self.fill(guest, fresh)
    }

    fn poll(&mut self, guest: &mut Guest<'_>, fresh: &mut Fresh) -> Result<(), QueueError> {
        self.fill(guest, fresh)
    }

    fn save(&self) -> Vec<Entry> {
        Vec::new()
    }

    fn restore(_: u64, _: &mut Intake) -> Result<Self, IntakeError> {
        Ok(Self::default())
    }
}
