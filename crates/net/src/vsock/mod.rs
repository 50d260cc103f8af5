//! Sockets between a guest and the programs of its host `[VIRTIO 5.10]`.
//!
//! One UNIX socket of the host, PATH, stands for the guest:
//!
//! | who | does | and then |
//! |---|---|---|
//! | a program of the host | connects to PATH, writes `CONNECT <port>\n` | reads `OK <host's port>\n` when a program of the guest has accepted, and is connected |
//! | a program of the guest | connects to port P of the host (number 2) | is connected to who listens at `PATH_P`; nobody: reset |
//!
//! Nothing but streams. Each half of a connection can be closed by itself. A stream that ends for
//! another reason than being closed ends on the host's side as if closed: UNIX sockets know no
//! other end. What the guest sent before it closed, or was reset, still arrives.
//!
//! At most 256 connections exist at a time. Of each, 128 KiB of the guest's bytes and 64 KiB of
//! the host's wait here, 48 MiB in all; whoever sends more waits. A guest that sends more than it
//! has credit for, or something that does not belong to its connection, is answered with RST, and
//! the connection is over. What is said to be from another guest is lost.
//!
//! Connections end with the process. A restored guest is told by its device, not here.

mod connection;
mod error;
mod fuzz;
mod host;
mod mux;
mod packet;
mod place;
#[cfg(test)]
mod tests;

pub use connection::TO_HOST_MAX;
pub use error::VsockError;
pub use fuzz::fuzz_vsock;
pub use mux::CONNECTIONS_MAX;
pub use place::NAME_MAX_LEN;

use crate::Ready;
use host::Host;
use mux::Mux;
use place::Place;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The guest's end of all its connections. Dropping it ends them, and removes PATH.
pub struct Port {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Readable when the thread has something to do.
    bell: OwnedFd,
    ready: Ready,
}

struct State {
    mux: Mux,
    /// The bell has rung and was not heard.
    has_rung: bool,
    /// The guest was told of packets, and has not taken them all.
    is_told: bool,
    is_over: bool,
}

/// Listens at `path` for programs that want to the guest `guest_cid`. `ready` is called when
/// packets for the guest have come.
///
/// # Errors
/// [`VsockError`].
pub fn open(path: &Path, guest_cid: u32, ready: Ready) -> Result<Port, VsockError> {
    let host = |error| VsockError::host(path, error);
    let bound = Place::new(path)?.bind()?;
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
    let bell = bell.map_err(|errno| host(errno.into()))?;
    let state = State { mux: Mux::new(guest_cid), has_rung: false, is_told: false, is_over: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), bell, ready });
    let served = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("abide-vsock".into());
    let thread = thread.spawn(move || Host::new(bound).serve(&served)).map_err(host)?;
    Ok(Port { shared, thread: Some(thread) })
}

impl Port {
    /// Takes a packet of the guest: a header and what it announces, or less if the guest lied.
    /// `false` if packets for the guest have to leave first.
    #[must_use]
    pub fn send(&self, packet: &[u8]) -> bool {
        self.shared.change(|state| state.mux.send(packet))
    }

    /// The next packet for the guest, of at most `room` bytes.
    #[must_use]
    pub fn receive(&self, room: usize) -> Option<Vec<u8>> {
        self.shared.change(|state| state.mux.receive(room))
    }

    /// Whether a packet for the guest waits.
    #[must_use]
    pub fn has_packet(&self) -> bool {
        let mut state = self.shared.lock();
        state.is_told &= state.mux.has_packet();
        state.mux.has_packet()
    }

    /// The guest's driver begins anew: every connection that it knew is over.
    pub fn reset(&self) {
        self.shared.change(|state| state.mux.reset());
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.mux.reset();
            state.is_over = true;
        });
        if let Some(thread) = self.thread.take() {
            // If it panicked, its own message has been printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the guest do something; the thread is woken if that is its business.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let rings = (state.mux.take_wake() || state.is_over) && !state.has_rung;
        state.has_rung |= rings;
        drop(state);
        if rings {
            // An event that is not read yet is as good as a new one.
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
        result
    }

    fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The thread looks at everything from here on; tells whether it is for the last time.
    fn begin_turn(&self) -> bool {
        let mut count = [0; 8];
        let mut state = self.lock();
        state.has_rung = false;
        // Nothing to read means that it did not ring.
        let _ = rustix::io::read(&self.bell, &mut count);
        state.is_over
    }

    /// Tells the guest of packets, once until it has taken them.
    fn tell_guest(&self) {
        let mut state = self.lock();
        let tells = state.mux.has_packet() && !state.is_told;
        state.is_told = state.mux.has_packet();
        drop(state);
        if tells {
            (self.ready)();
        }
    }
}
