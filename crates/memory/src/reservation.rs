//! Several files mapped one behind the other.

use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::c_void;
use std::io;
use std::os::fd::BorrowedFd;
use vm_memory::MmapRegion;

/// The alignment of the first mapping, in bytes: hosts map memory of 2 MiB at once only where
/// addresses and places in the file agree up to that.
const ALIGNMENT: usize = 2 << 20;

/// Address space of this process. What is mapped in it goes with it.
#[derive(Debug)]
pub(crate) struct Reservation {
    start: *mut c_void,
    len: usize,
}

/// A descriptor, where in it to begin, and how many bytes.
type Part<'a> = (BorrowedFd<'a>, u64, usize);

impl Reservation {
    /// Maps all `parts` for reading and writing, without a gap: each is as long as a multiple of
    /// the host's page size. The region is the first part's, and not its own owner.
    pub(crate) fn map(parts: &[Part<'_>]) -> io::Result<(Self, MmapRegion)> {
        let too_long = || io::Error::from(io::ErrorKind::InvalidInput);
        let sum = parts.iter().try_fold(ALIGNMENT, |sum, part| sum.checked_add(part.2));
        let len = sum.ok_or_else(too_long)?;
        #[expect(unsafe_code, reason = "address space is reserved by mapping nothing there")]
        // SAFETY: the host chooses the address, so nothing that exists is replaced.
        let start = unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), flags)?
        };
        let reservation = Self { start, len };
        let skipped = start.align_offset(ALIGNMENT);
        let mut at = skipped;
        for &(fd, offset, len) in parts {
            reservation.map_part(at, (fd, offset, len))?;
            at += len;
        }
        let first = parts.first().map_or(0, |part| part.2);
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let bits = |bits: u32| bits.cast_signed();
        #[expect(unsafe_code, reason = "vm-memory is given the mapping made above")]
        // SAFETY: `first` bytes from there on were mapped above with just these rights, and stay so
        // as long as the reservation, which the owner of the region keeps beside it.
        let region = unsafe {
            let first_byte = reservation.start.cast::<u8>().add(skipped);
            MmapRegion::build_raw(first_byte, first, bits(prot.bits()), bits(flags.bits()))
        };
        Ok((reservation, region.map_err(io::Error::other)?))
    }

    fn map_part(&self, at: usize, (fd, offset, len): Part<'_>) -> io::Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        #[expect(unsafe_code, reason = "a mapping at a chosen place")]
        // SAFETY: the range lies inside the reservation, in which nobody has anything yet, as
        // checked above; it is replaced whole.
        unsafe {
            let place = self.start.cast::<u8>().add(at).cast::<c_void>();
            let prot = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::SHARED | MapFlags::NORESERVE | MapFlags::FIXED;
            rustix::mm::mmap(place, len, prot, flags, fd, offset)?;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "what was mapped is unmapped")]
        // SAFETY: the range is this reservation's alone, and whoever could still point into it
        // borrows from its owner.
        let unmapped = unsafe { rustix::mm::munmap(self.start, self.len) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
