//! Work on many chunks by two threads, with results in order.

use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

/// How many threads produce. More would only wait: hashing is faster than storage.
const LANES: usize = 2;

/// Buffers that are used again: of fresh memory, each page would cost a fault. There are never more
/// of them than results at once.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// A buffer, which may hold anything.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// As [`Self::take`], of `len` bytes.
    pub(crate) fn take_of(&self, len: usize) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.resize(len, 0);
        buffer
    }

    /// Takes a buffer back that is no longer needed.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Calls `produce` for 0 up to `count` on several threads, and `consume` with each result in
/// ascending order on this one, until one of them fails. At most five results exist at once.
///
/// # Errors
/// The first error of `consume`.
pub(crate) fn in_order<T: Send, E>(
    count: usize,
    produce: impl Fn(usize) -> T + Sync,
    mut consume: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    if count == 1 {
        return consume(0, produce(0));
    }
    let produce = &produce;
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES.min(count))
            .map(|lane| {
                let (sender, receiver) = sync_channel(1);
                let work = move || {
                    for index in (lane..count).step_by(LANES) {
                        // The receiver goes away when consuming failed.
                        if sender.send(produce(index)).is_err() {
                            return;
                        }
                    }
                };
                // Where the host gives no thread, this one does that part too.
                let spawned = std::thread::Builder::new().spawn_scoped(scope, work);
                spawned.ok().map(|_| receiver)
            })
            .collect();
        for index in 0..count {
            let result = match &lanes[index % LANES] {
                None => produce(index),
                Some(receiver) => match receiver.recv() {
                    Ok(result) => result,
                    // Its thread panicked; the scope passes that on.
                    Err(_) => break,
                },
            };
            consume(index, result)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_each_once() {
        for count in [0, 1, 2, 3, 100] {
            let mut seen = Vec::new();
            let taken = in_order(
                count,
                |index| index * 3,
                |index, result| {
                    assert_eq!(result, index * 3);
                    seen.push(index);
                    Ok::<(), ()>(())
                },
            );
            assert_eq!(taken, Ok(()));
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_failure_ends_the_work() {
        let refused =
            in_order(1000, |index| index, |index, _| if index == 5 { Err(index) } else { Ok(()) });
        assert_eq!(refused, Err(5));
    }
}
