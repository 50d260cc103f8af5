//! What stands behind the transport.

use crate::{Guest, QueueError};
use abide_reg::{Entry, Gpa, Intake, IntakeError, RegDef};

/// A device's number `[VIRTIO 5]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub u32);

impl DeviceId {
    /// A network card.
    pub const NET: Self = Self(1);
    /// A disk.
    pub const BLOCK: Self = Self(2);
    /// A console.
    pub const CONSOLE: Self = Self(3);
    /// A source of random bits.
    pub const ENTROPY: Self = Self(4);
    /// A clock.
    pub const CLOCK: Self = Self(17);
    /// Sockets between guest and host.
    pub const SOCKET: Self = Self(19);
}

/// Memory outside RAM that a device and its guest share `[VIRTIO 2.10]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    /// Where it begins.
    pub base: Gpa,
    /// Its length, in bytes; not 0.
    pub len: u64,
}

/// A device: a state machine that is called and answers at once. It does no I/O, reads no clock
/// and holds no lock; what it needs from outside is its [`Self::Host`].
pub trait Device: Sized {
    /// What it reaches outside its guest.
    type Host: ?Sized;

    /// Which device it is.
    const ID: DeviceId;

    /// The largest size of each of its queues: powers of two up to
    /// [`QUEUE_SIZE_MAX`](crate::QUEUE_SIZE_MAX), at most [`QUEUES_MAX`](crate::QUEUES_MAX).
    const QUEUE_SIZES: &'static [u16];

    /// Its registers, besides the transport's; the same for every instance.
    const TABLE: &'static [RegDef];

    /// Whether instances may have shared memory. Where not, `SHMSel` means nothing and is no
    /// register.
    const SHARES_MEMORY: bool = false;

    /// Its region of shared memory with this number.
    fn shared_memory(&self, id: u32) -> Option<SharedMemory> {
        let _ = id;
        None
    }

    /// Feature bits of its own that it offers. Those of the transport are added.
    fn features(&self) -> u64;

    /// Every feature bit of its own that this version can do, offered or not: what a restored
    /// guest may have been offered elsewhere.
    const FEATURES_KNOWN: u64;

    /// Its configuration as the driver reads it, from offset 0.
    fn config(&self) -> Vec<u8>;

    /// The driver writes to the configuration. What is not writable is ignored.
    fn write_config(&mut self, offset: u64, bytes: &[u8]) {
        let _ = (offset, bytes);
    }

    /// The driver resets it. The configuration stays.
    fn reset(&mut self, host: &mut Self::Host);

    /// The driver has put requests into a queue, or is ready for the first time. The device takes
    /// them with [`Guest::pop`] until there are none.
    ///
    /// # Errors
    /// [`QueueError`] where the driver broke the protocol beyond repair: the device then needs a
    /// reset. What can be answered with a request's own status is no such error.
    fn notified(
        &mut self,
        queue: usize,
        guest: &mut Guest<'_>,
        host: &mut Self::Host,
    ) -> Result<(), QueueError>;

    /// Something may have come from outside. Called at points that are the same in every run.
    ///
    /// # Errors
    /// As [`Self::notified`].
    fn poll(&mut self, guest: &mut Guest<'_>, host: &mut Self::Host) -> Result<(), QueueError> {
        let _ = (guest, host);
        Ok(())
    }

    /// Its registers, in the order of [`Self::TABLE`].
    fn save(&self) -> Vec<Entry>;

    /// The device with these registers; `features` are those that its guest was offered, the
    /// transport's not among them, and all of [`Self::FEATURES_KNOWN`].
    ///
    /// # Errors
    /// [`IntakeError`], naming the register that holds what it cannot hold.
    fn restore(features: u64, intake: &mut Intake) -> Result<Self, IntakeError>;
}
