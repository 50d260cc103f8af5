//! Ending `KVM_RUN` from another thread.
//!
//! Two things end it: a signal, if the vCPU's thread is inside, and the `immediate_exit` byte of
//! the page shared with the kernel, if it is about to enter
//! `[linux Documentation/virt/kvm/api.rst 5]`. Setting the byte and then sending the signal leaves
//! no gap between the two. The byte also makes the kernel finish a device access that is under way
//! before it returns, so a stop is always at an instruction boundary.

use crate::host;
use abide_engine::{EngineError, Kick};
use kvm_ioctls::{KvmRunWrapper, VcpuFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The signal that ends `KVM_RUN`: the first that the C library leaves to programs.
fn signal() -> libc::c_int {
    libc::SIGRTMIN()
}

/// Does nothing: that the signal arrived is enough.
extern "C" fn on_signal(_signal: libc::c_int) {}

/// Makes the signal harmless to this process. Other system calls go on after it (SA_RESTART);
/// `KVM_RUN` is none of those that do.
pub(super) fn install_handler() -> Result<(), EngineError> {
    #[expect(unsafe_code, reason = "C library calls")]
    // SAFETY: `action` is a valid sigaction with an empty mask, and the handler, which does
    // nothing, may run at any point of any thread.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal(), &raw const action, ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        Err(host::refused("sigaction", errno))
    }
}

/// Lets the signal reach the calling thread.
fn unblock_signal() {
    #[expect(unsafe_code, reason = "C library calls")]
    // SAFETY: `set` is initialised by sigemptyset before it is used, and nothing is written back.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
    }
}

/// The handle of one vCPU.
pub(super) struct KvmKick {
    requested: AtomicBool,
    /// The thread inside `run`. It stays inside while somebody holds the lock.
    thread: Mutex<Option<libc::pthread_t>>,
    /// `immediate_exit` in `_run`, a second mapping of the page that the vCPU shares with the
    /// kernel, so that this handle may outlive the vCPU.
    immediate_exit: *mut u8,
    _run: KvmRunWrapper,
}

#[expect(unsafe_code, reason = "the raw pointer hides that the byte may be shared")]
// SAFETY: `immediate_exit` points into `_run`, which lives as long as `self`, is never referred to
// otherwise, and every access is atomic.
unsafe impl Send for KvmKick {}
#[expect(unsafe_code, reason = "the raw pointer hides that the byte may be shared")]
// SAFETY: as for Send.
unsafe impl Sync for KvmKick {}

impl KvmKick {
    /// A handle for the vCPU behind `fd`, whose shared page has `run_size` bytes.
    pub(super) fn new(fd: &VcpuFd, run_size: usize) -> Result<Self, EngineError> {
        let mut run = KvmRunWrapper::mmap_from_fd(fd, run_size)
            .map_err(|error| host::refused("mmap of struct kvm_run", error.errno()))?;
        let immediate_exit = &raw mut run.as_mut_ref().immediate_exit;
        Ok(Self {
            requested: AtomicBool::new(false),
            thread: Mutex::new(None),
            immediate_exit,
            _run: run,
        })
    }

    fn set_immediate_exit(&self, value: u8) {
        #[expect(unsafe_code, reason = "the byte is shared with the kernel and the vCPU's thread")]
        // SAFETY: the byte is inside `_run`, which is mapped and writable while `self` lives, and
        // is only ever reached atomically from here; the vCPU's own mapping of the page has
        // another address and does not touch this byte.
        let byte = unsafe { AtomicU8::from_ptr(self.immediate_exit) };
        byte.store(value, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Option<libc::pthread_t>> {
        // A thread that panicked while it held the lock has left a plain value behind.
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the calling thread is inside `run` until the result is dropped.
    pub(super) fn enter(&self) -> Inside<'_> {
        unblock_signal();
        #[expect(unsafe_code, reason = "a C library call")]
        // SAFETY: it has no conditions.
        let this = unsafe { libc::pthread_self() };
        *self.lock() = Some(this);
        Inside(self)
    }

    /// Takes the request, if there is one. To be called when `KVM_RUN` said EINTR.
    pub(super) fn take_request(&self) -> bool {
        // In this order: a request that comes in between sets the byte again, and the next
        // KVM_RUN returns for nothing, which is harmless. The other order could lose it.
        self.set_immediate_exit(0);
        self.requested.swap(false, Ordering::SeqCst)
    }
}

impl Kick for KvmKick {
    fn kick(&self) {
        self.requested.store(true, Ordering::SeqCst);
        self.set_immediate_exit(1);
        let thread = self.lock();
        if let Some(thread) = *thread {
            #[expect(unsafe_code, reason = "a C library call")]
            // SAFETY: the thread is inside `run` and cannot leave it while the lock is held, so it
            // exists, and the signal's handler is installed before any vCPU is made.
            let result = unsafe { libc::pthread_kill(thread, signal()) };
            debug_assert_eq!(result, 0, "pthread_kill");
        }
    }
}

/// A thread's stay inside `run`.
pub(super) struct Inside<'a>(&'a KvmKick);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
