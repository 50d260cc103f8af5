//! # abide-virtio: virtio devices behind MMIO, as a guest ABI
//!
//! **What the guest sees**: virtio 1.2 devices `[VIRTIO]` on the MMIO transport, version 2, with
//! split virtqueues, indirect descriptors and event suppression. No legacy interface, no packed
//! queues.
//!
//! * [`Mmio`] is the transport of one device: registers, negotiation, status, interrupt.
//! * [`Device`] is what stands behind it: a state machine that is told of a notified queue and
//!   answers at once. What it needs from outside the guest (a disk, random bits, a wire) is its
//!   [`Device::Host`], handed in with each call.
//! * [`Guest`] is what a device sees of its driver while it is called: queues and RAM.
//! * [`Chain`] is one request: buffers that were checked to lie in RAM.
//!
//! | field | on migration |
//! |---|---|
//! | features offered, largest queue sizes | carried; a version that lacks one of them: refused |
//! | features accepted, status, interrupt status, selectors, generation | carried |
//! | where a region of shared memory lies | carried |
//! | size, addresses and positions of each queue | carried; addresses outside RAM: refused |
//! | the device's own registers | carried, see each device |
//! | requests in flight | there are none: a request is done when the notifying write returns |
//! | queues with more requests than one call takes | carried; served on after the restore |
//!
//! Nothing is bumped, and the guest is told nothing.
//!
//! The guest's memory and registers are hostile: whatever stands in a queue, a call ends after at
//! most as many requests as the queue has entries, and a broken queue stops its device
//! (`DEVICE_NEEDS_RESET`) until the driver resets it.
#![forbid(unsafe_code)]

pub mod block;
mod chain;
mod console;
mod device;
mod error;
pub mod fuzz;
mod guest;
pub mod net;
mod queue;
mod registers;
mod rng;
pub mod rtc;
pub mod spec;
mod transport;
pub mod vsock;

pub use block::Block;
pub use chain::{Chain, Segment};
pub use console::{Console, Terminal};
pub use device::{Device, DeviceId, SharedMemory};
pub use error::QueueError;
pub use guest::Guest;
pub use net::{Cable, Net};
pub use queue::{QUEUE_SIZE_MAX, Virtqueue};
pub use registers::{QUEUES_MAX, transport_table};
pub use rng::{RandomBits, Rng};
pub use rtc::{Clocks, Rtc};
pub use transport::Mmio;
pub use vsock::{Sockets, Vsock};
