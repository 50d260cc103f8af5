//! The dirty rings of a VM, one for each vCPU.

use crate::host;
use crate::ring::{Entry, Taker, Written};
use abide_engine::EngineError;
use abide_memory::GuestRam;
use kvm_bindings::{
    KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP, KVM_DIRTY_LOG_PAGE_OFFSET,
    kvm_enable_cap,
};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::raw::c_ulong;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `_IO(KVMIO, 0xc7)` `[linux include/uapi/linux/kvm.h]`.
const KVM_RESET_DIRTY_RINGS: libc::Ioctl = 0xaec7;

/// Entries of each ring: 64 KiB of the kernel's memory for each vCPU. One that is nearly full makes
/// its vCPU leave.
const ENTRIES: usize = 4096;

/// A ring's length in bytes.
const LEN: usize = ENTRIES * size_of::<Entry>();

/// How a VM's kernel logs what its guest writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogBy {
    /// A bit for each page.
    Bitmap,
    /// A ring for each vCPU, and a bit for each page that is written outside of any.
    Rings,
}

/// Whether the host's kernel has rings of this length. One that cannot keep a bitmap beside them is
/// taken for one that has none.
pub(super) fn offered(kvm: &Kvm) -> bool {
    let answer = |cap| kvm.check_extension_raw(c_ulong::from(cap));
    // The longest ring, in bytes.
    let longest = usize::try_from(answer(KVM_CAP_DIRTY_LOG_RING_ACQ_REL)).unwrap_or(0);
    longest >= LEN && answer(KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP) > 0
}

/// A ring as it is mapped here.
struct Ring {
    entries: ptr::NonNull<Entry>,
    taker: Taker,
}

#[expect(unsafe_code, reason = "the raw pointer hides that entries may be shared")]
// SAFETY: the mapping is this ring's own until it is dropped, and every access to it is atomic.
unsafe impl Send for Ring {}

impl Ring {
    fn of(vcpu: &VcpuFd) -> Result<Self, EngineError> {
        let offset = u64::from(KVM_DIRTY_LOG_PAGE_OFFSET) * rustix::param::page_size() as u64;
        #[expect(unsafe_code, reason = "a shared mapping, of a descriptor without a life")]
        // SAFETY: the descriptor is open while `vcpu` lives, which is past this call. The kernel
        // chooses a free range, so nothing else is changed.
        let mapped = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                LEN,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                BorrowedFd::borrow_raw(vcpu.as_raw_fd()),
                offset,
            )
        };
        let mapped =
            mapped.map_err(|error| host::refused("mmap of a dirty ring", error.raw_os_error()))?;
        let entries = ptr::NonNull::new(mapped.cast::<Entry>())
            .ok_or(host::unsupported("a dirty ring at address 0"))?;
        Ok(Self { entries, taker: Taker::default() })
    }

    fn take(&mut self, into: &mut Vec<Written>) -> usize {
        #[expect(unsafe_code, reason = "memory that is shared with the kernel")]
        // SAFETY: so many entries are mapped there, aligned to a page, until `self` is dropped. An
        // entry is made of atomics only, of the sizes and at the places of the kernel's, so that it
        // may be written by the kernel at any time.
        let entries = unsafe { std::slice::from_raw_parts(self.entries.as_ptr(), ENTRIES) };
        self.taker.take(entries, into)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "gives a mapping back")]
        // SAFETY: this is the range that was mapped, and nothing refers to it any more.
        let result = unsafe { rustix::mm::munmap(self.entries.as_ptr().cast::<c_void>(), LEN) };
        debug_assert!(result.is_ok(), "munmap");
    }
}

/// The rings of one VM, for whoever has to empty them: who looks at the dirty log, and a vCPU whose
/// ring is full.
pub(super) struct Rings {
    vm: Arc<VmFd>,
    ram: Arc<GuestRam>,
    /// The slot whose pages count.
    slot: u32,
    rings: Mutex<Vec<Ring>>,
    /// vCPUs that execute, or are about to.
    inside: AtomicU32,
}

impl Rings {
    /// Has the kernel log by rings, and keep a bitmap beside them for what is written outside of
    /// any vCPU: before there is memory, or a vCPU.
    pub(super) fn enable(
        vm: &Arc<VmFd>,
        ram: &Arc<GuestRam>,
        slot: u32,
    ) -> Result<Arc<Self>, EngineError> {
        let len = LEN as u64;
        for (cap, argument, name) in [
            (KVM_CAP_DIRTY_LOG_RING_ACQ_REL, len, "KVM_CAP_DIRTY_LOG_RING_ACQ_REL"),
            (KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP, 0, "KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP"),
        ] {
            let cap = kvm_enable_cap { cap, args: [argument, 0, 0, 0], ..Default::default() };
            vm.enable_cap(&cap).map_err(|error| host::refused(name, error.errno()))?;
        }
        Ok(Arc::new(Self {
            vm: Arc::clone(vm),
            ram: Arc::clone(ram),
            slot,
            rings: Mutex::default(),
            inside: AtomicU32::new(0),
        }))
    }

    /// Maps the ring of a new vCPU.
    pub(super) fn add(&self, vcpu: &VcpuFd) -> Result<(), EngineError> {
        let ring = Ring::of(vcpu)?;
        self.lock().push(ring);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ring>> {
        // Entries that were taken and not marked would be lost: whoever died so has ended the VM.
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties all rings into the RAM's dirty log, and has the kernel watch these pages again.
    ///
    /// Marked last: who harvests the log and copies a page must find it watched. A page that is
    /// written in between is in its ring again.
    pub(super) fn empty(&self) -> Result<(), EngineError> {
        let mut rings = self.lock();
        let mut written = Vec::new();
        let taken: usize = rings.iter_mut().map(|ring| ring.take(&mut written)).sum();
        if taken == 0 {
            return Ok(());
        }
        let reset = self.reset();
        let page_size = rustix::param::page_size() as u64;
        for Written { page, .. } in written.iter().filter(|page| page.slot == self.slot) {
            self.ram.dirty().mark(page.saturating_mul(page_size), page_size);
        }
        reset
    }

    fn reset(&self) -> Result<(), EngineError> {
        #[expect(unsafe_code, reason = "the library has no call for it")]
        // SAFETY: the request has no argument, and the descriptor is open while `self` lives.
        let result = unsafe { libc::ioctl(self.vm.as_raw_fd(), KVM_RESET_DIRTY_RINGS) };
        if result >= 0 {
            return Ok(());
        }
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        Err(host::refused("KVM_RESET_DIRTY_RINGS", errno))
    }

    /// Notes that a vCPU executes until the result is dropped.
    pub(super) fn enter(&self) -> Inside<'_> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        Inside(self)
    }

    /// Whether no vCPU executes. Only then the kernel writes outside of any: an ITS saves its
    /// tables while all are held `[linux Documentation/virt/kvm/devices/arm-vgic-its.rst]`.
    pub(super) fn all_rest(&self) -> bool {
        self.inside.load(Ordering::SeqCst) == 0
    }
}

/// A vCPU's stay in `KVM_RUN`.
pub(super) struct Inside<'a>(&'a Rings);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}
