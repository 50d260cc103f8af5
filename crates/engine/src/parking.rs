//! Where the thread of a vCPU waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A place for one thread to wait in, and what ends the wait.
///
/// A wake is remembered until the next wait takes it, so none is lost between a vCPU's last look
/// at its inputs and its wait. A wait may end without cause: whoever waited looks again.
#[derive(Debug, Default)]
pub struct Parking {
    /// Set and not yet taken: whoever wakes somebody awake touches nothing else.
    woken: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Parking {
    /// Ends the current or, if there is none, the next wait. From any thread.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            // The one who waits holds the lock from its look at `woken` until it sleeps.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_one();
        }
    }

    /// Waits until woken, or for no longer than `timeout`.
    pub fn wait(&self, timeout: Option<Duration>) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let asleep = |_: &mut ()| !self.woken.load(Ordering::SeqCst);
        match timeout {
            Some(timeout) => {
                drop(self.changed.wait_timeout_while(guard, timeout, asleep));
            }
            None => drop(self.changed.wait_while(guard, asleep)),
        }
        self.woken.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_not_lost() {
        let parking = Parking::default();
        parking.wake();
        parking.wake();
        parking.wait(None);
        assert!(!parking.woken.load(Ordering::SeqCst), "one wait takes all wakes before it");
    }

    #[test]
    fn a_wait_ends_in_time() {
        Parking::default().wait(Some(Duration::from_nanos(1)));
    }
}
