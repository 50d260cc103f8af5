//! What a device sees of its driver while it is called.

use crate::queue::Rings;
use crate::spec::feature;
use crate::{Chain, QueueError, Virtqueue};
use abide_memory::GuestRam;

/// How many bytes of buffers one call may take before it ends: what is left waits for the next
/// call, so that a guest cannot keep its host from ever looking up.
const BURST_LEN: u64 = 32 << 20;

/// The queues and the RAM of a device's guest, for the time of one call.
pub struct Guest<'a> {
    ram: &'a GuestRam,
    queues: &'a mut [Virtqueue],
    features: u64,
    /// Used indices when the call began.
    used_before: Vec<u16>,
    /// Buffers that may still be taken from each queue.
    left: Vec<u16>,
    left_len: u64,
    unserved: u8,
    config_changed: bool,
}

/// What a call left behind for the transport.
pub(crate) struct Outcome {
    /// The driver is to be told of used buffers.
    pub(crate) used_buffer: bool,
    /// The driver is to be told that the configuration changed.
    pub(crate) config_changed: bool,
    /// Queues, as bits, that hold more than one call could take.
    pub(crate) unserved: u8,
}

impl<'a> Guest<'a> {
    pub(crate) fn new(ram: &'a GuestRam, queues: &'a mut [Virtqueue], features: u64) -> Self {
        let used_before = queues.iter().map(|queue| queue.next_used).collect();
        let left = queues.iter().map(|queue| queue.size_max).collect();
        let (left_len, unserved, config_changed) = (BURST_LEN, 0, false);
        Self { ram, queues, features, used_before, left, left_len, unserved, config_changed }
    }

    /// Its RAM.
    #[must_use]
    pub fn ram(&self) -> &'a GuestRam {
        self.ram
    }

    /// Whether device and driver agreed on all these feature bits.
    #[must_use]
    pub fn has(&self, features: u64) -> bool {
        self.features & features == features
    }

    /// Whether the driver has set the queue up.
    #[must_use]
    pub fn is_ready(&self, queue: usize) -> bool {
        self.queues.get(queue).is_some_and(Virtqueue::is_ready)
    }

    fn rings(&self, queue: usize) -> Result<Option<Rings>, QueueError> {
        match self.queues.get(queue) {
            Some(found) if found.is_ready => found.rings(self.ram).map(Some),
            _ => Ok(None),
        }
    }

    /// Takes the next request of a queue; `None` when none waits, or when this call has taken its
    /// share: then the device is called again soon. Every chain taken is given back by
    /// [`Self::push`] or [`Self::put_back`] before the call ends.
    ///
    /// # Errors
    /// [`QueueError`]: the device returns it, and then needs a reset.
    pub fn pop(&mut self, queue: usize) -> Result<Option<Chain>, QueueError> {
        let Some(rings) = self.rings(queue)? else { return Ok(None) };
        let found = &mut self.queues[queue];
        if found.waiting(self.ram, rings)? == 0 {
            if self.features & feature::EVENT_IDX == 0 {
                return Ok(None);
            }
            rings.set_avail_event(self.ram, found.next_avail);
            // A buffer offered before the driver saw that would not be told of.
            if found.waiting(self.ram, rings)? == 0 {
                return Ok(None);
            }
        }
        if self.left[queue] == 0 || self.left_len == 0 {
            self.unserved |= 1 << queue;
            return Ok(None);
        }
        let indirect_agreed = self.features & feature::INDIRECT_DESC != 0;
        let chain = found.take(self.ram, rings, indirect_agreed)?;
        self.left[queue] -= 1;
        self.left_len = self.left_len.saturating_sub(chain.len());
        Ok(Some(chain))
    }

    /// How many requests wait in a queue. The driver is asked to notify when it adds one.
    ///
    /// # Errors
    /// [`QueueError`], as [`Self::pop`].
    pub fn waiting(&mut self, queue: usize) -> Result<u16, QueueError> {
        let Some(rings) = self.rings(queue)? else { return Ok(0) };
        let found = &self.queues[queue];
        let waiting = found.waiting(self.ram, rings)?;
        if self.features & feature::EVENT_IDX == 0 {
            return Ok(waiting);
        }
        rings.set_avail_event(self.ram, found.next_avail.wrapping_add(waiting));
        // One offered before the driver saw that is counted here.
        found.waiting(self.ram, rings)
    }

    /// Returns a request, done: the first `written` bytes of its writable part were written.
    /// Requests may be returned in any order.
    ///
    /// # Errors
    /// [`QueueError`], as [`Self::pop`].
    pub fn push(&mut self, queue: usize, chain: Chain, written: u32) -> Result<(), QueueError> {
        if let Some(rings) = self.rings(queue)? {
            self.queues[queue].give_back(self.ram, rings, chain.head(), written);
        }
        Ok(())
    }

    /// Puts the request that was taken last back untouched: it will be the next again.
    pub fn put_back(&mut self, queue: usize, chain: Chain) {
        if let Some(found) = self.queues.get_mut(queue) {
            found.next_avail = found.next_avail.wrapping_sub(1);
            self.left[queue] += 1;
            self.left_len = self.left_len.saturating_add(chain.len()).min(BURST_LEN);
        }
    }

    /// Tells the driver that the device's configuration is another from now on.
    pub fn config_changed(&mut self) {
        self.config_changed = true;
    }

    /// Ends the call.
    pub(crate) fn finish(self) -> Outcome {
        let has_event_idx = self.features & feature::EVENT_IDX != 0;
        let used_buffer = self.queues.iter().zip(&self.used_before).any(|(queue, &old)| {
            let rings = queue.is_ready.then(|| queue.rings(self.ram).ok()).flatten();
            rings.is_some_and(|rings| {
                rings.wants_interrupt(self.ram, old, queue.next_used, has_event_idx)
            })
        });
        let (config_changed, unserved) = (self.config_changed, self.unserved);
        Outcome { used_buffer, config_changed, unserved }
    }
}
