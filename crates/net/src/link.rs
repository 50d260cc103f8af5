//! The cable between a card and a backend that runs in a thread of its own.

use crate::NetError;
use crate::user::Connection;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The most frames that wait, in each direction: 256 of the longest are 380 KiB.
pub const WAITING_MAX: usize = 256;

/// Tells the machine that its card has something to do: frames have come, or there is room again
/// for those that were refused. Called from the backend's thread, and must not wait.
pub type Ready = Arc<dyn Fn() + Send + Sync>;

/// The card's end. Dropping it ends the backend.
pub struct Port {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The backend's end. Dropping it takes the cable out.
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Readable when the backend has something to do.
    bell: OwnedFd,
    ready: Ready,
}

#[derive(Default)]
struct State {
    to_host: VecDeque<Vec<u8>>,
    to_guest: VecDeque<Vec<u8>>,
    /// The card found no room.
    card_waits: bool,
    /// The backend found no room.
    backend_waits: bool,
    card_gone: bool,
    backend_gone: bool,
    connections: Vec<Connection>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // An event that is not read yet is as good as a new one, so a full counter does no harm.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

/// A new cable.
///
/// # Errors
/// [`NetError::Host`] if the host has no descriptor left.
pub fn link(ready: Ready) -> Result<(Port, Link), NetError> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let bell = eventfd(0, flags).map_err(NetError::host("making a cable"))?;
    let shared = Arc::new(Shared { state: Mutex::default(), bell, ready });
    Ok((Port { shared: Arc::clone(&shared), thread: None }, Link { shared }))
}

impl Port {
    /// With the thread that serves the other end, which is waited for when this one is dropped.
    pub(crate) fn served_by(mut self, thread: JoinHandle<()>) -> Self {
        self.thread = Some(thread);
        self
    }

    /// Sends a frame. `false` if there is no room: then [`Ready`] tells when there is again. With
    /// nobody at the other end frames are lost.
    #[must_use]
    pub fn send(&self, frame: &[u8]) -> bool {
        let mut state = self.shared.lock();
        if state.backend_gone {
            return true;
        }
        if state.to_host.len() >= WAITING_MAX {
            state.card_waits = true;
            return false;
        }
        let is_first = state.to_host.is_empty();
        state.to_host.push_back(frame.to_vec());
        drop(state);
        if is_first {
            self.shared.ring();
        }
        true
    }

    /// The next frame for the guest.
    #[must_use]
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut state = self.shared.lock();
        let frame = state.to_guest.pop_front();
        let rings = state.backend_waits && state.to_guest.len() <= WAITING_MAX / 2;
        if rings {
            state.backend_waits = false;
        }
        drop(state);
        if rings {
            self.shared.ring();
        }
        frame
    }

    /// Whether a frame for the guest waits.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        !self.shared.lock().to_guest.is_empty()
    }

    /// Whether somebody is at the other end.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.shared.lock().backend_gone
    }

    /// The connections that end with the backend, as far as it holds any for the guest.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.shared.lock().connections.clone()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shared.lock().card_gone = true;
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            // If it panicked, its own message has been printed.
            let _ = thread.join();
        }
    }
}

impl Link {
    /// Readable when [`Self::take`], [`Self::has_room`] or [`Self::is_over`] may answer anew.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }

    /// Takes note of the bell.
    pub(crate) fn hush(&self) {
        let mut count = [0; 8];
        // Nothing to read means that it did not ring.
        let _ = rustix::io::read(&self.shared.bell, &mut count);
    }

    /// Whether the card is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.lock().card_gone
    }

    /// The next frame of the guest.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.shared.lock();
        let frame = state.to_host.pop_front();
        let tells = state.card_waits && state.to_host.len() <= WAITING_MAX / 2;
        if tells {
            state.card_waits = false;
        }
        drop(state);
        if tells {
            (self.shared.ready)();
        }
        frame
    }

    /// Whether a frame of the guest waits.
    pub(crate) fn has_frame(&self) -> bool {
        !self.shared.lock().to_host.is_empty()
    }

    /// Gives the guest a frame, or gives it back: then the bell rings when there is room.
    pub(crate) fn give(&self, frame: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut state = self.shared.lock();
        if state.to_guest.len() >= WAITING_MAX {
            state.backend_waits = true;
            return Err(frame);
        }
        let is_first = state.to_guest.is_empty();
        state.to_guest.push_back(frame);
        drop(state);
        if is_first {
            (self.shared.ready)();
        }
        Ok(())
    }

    /// Notes down what a guest would lose with this backend.
    pub(crate) fn note_connections(&self, connections: Vec<Connection>) {
        self.shared.lock().connections = connections;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.backend_gone = true;
        state.to_host.clear();
        drop(state);
        (self.shared.ready)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counted() -> (Port, Link, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let (port, link) = link(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }))
        .unwrap();
        (port, link, count)
    }

    fn rang(link: &Link) -> bool {
        let mut fds = [rustix::event::PollFd::new(&link.shared.bell, rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let rang = rustix::event::poll(&mut fds, Some(&now)).unwrap() == 1;
        link.hush();
        rang
    }

    #[test]
    fn frames_arrive_in_order_and_each_end_hears_of_the_first() {
        let (port, link, ready) = counted();
        assert!(!rang(&link));
        assert!(port.send(b"a") && port.send(b"b"));
        assert!(rang(&link));
        assert_eq!(
            [link.take(), link.take(), link.take()],
            [Some(b"a".to_vec()), Some(b"b".to_vec()), None]
        );
        link.give(b"c".to_vec()).unwrap();
        link.give(b"d".to_vec()).unwrap();
        assert_eq!(ready.load(Ordering::Relaxed), 1);
        assert_eq!(
            [port.receive(), port.receive(), port.receive()],
            [Some(b"c".to_vec()), Some(b"d".to_vec()), None]
        );
    }

    #[test]
    fn full_cables_refuse_and_tell_when_there_is_room() {
        let (port, link, ready) = counted();
        for _ in 0..WAITING_MAX {
            assert!(port.send(b"x"));
            link.give(vec![0]).unwrap();
        }
        let told = ready.load(Ordering::Relaxed);
        assert!(!port.send(b"x"));
        assert_eq!(link.give(vec![7]), Err(vec![7]));
        rang(&link);
        for _ in 0..WAITING_MAX / 2 {
            link.take().unwrap();
            port.receive().unwrap();
        }
        assert!(rang(&link));
        assert_eq!(ready.load(Ordering::Relaxed), told + 1);
        assert!(port.send(b"x"));
        link.give(vec![7]).unwrap();
    }

    #[test]
    fn either_end_may_go() {
        let (port, link, ready) = counted();
        drop(link);
        assert!(!port.is_up());
        assert_eq!(ready.load(Ordering::Relaxed), 1);
        for _ in 0..2 * WAITING_MAX {
            assert!(port.send(b"lost"), "a card without a cable does not wait");
        }
        let (port, link, _) = counted();
        assert!(port.is_up() && !link.is_over());
        drop(port);
        assert!(link.is_over() && rang(&link));
    }
}
