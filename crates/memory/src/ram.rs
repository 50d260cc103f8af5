//! Guest RAM over a shared memfd, or a file.

use crate::reservation::Reservation;
use crate::{AbiPages, Atom, DirtyLog, MemoryError, Order, PageAccess, Rmw};
use abide_reg::Gpa;
use rustix::fs::{MemfdFlags, SealFlags, SeekFrom};
use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use vm_memory::volatile_memory::VolatileMemory;
use vm_memory::{FileOffset, MmapRegion};

/// The page size of the dirty log and of every interpreter translation, in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// Guest physical addresses have at most 52 bits `[DDI0487 D8.1]`.
const GPA_END: u64 = 1 << 52;

/// A place in guest RAM, in bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RamOffset(pub u64);

/// The size as a host length, if RAM of that size may stand at `base`.
fn checked_len(base: Gpa, size: u64) -> Result<usize, MemoryError> {
    let fits = base.0.checked_add(size).is_some_and(|end| end <= GPA_END);
    let aligned = size.is_multiple_of(PAGE_SIZE) && base.0.is_multiple_of(PAGE_SIZE);
    usize::try_from(size)
        .ok()
        .filter(|&len| len != 0 && fits && aligned)
        .ok_or(MemoryError::Size { base, size })
}

/// What a guest's CPUs reach at a physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuPlace {
    /// RAM.
    Ram(RamOffset),
    /// A page of a guest ABI, which stands behind RAM as offsets count.
    Page(RamOffset, PageAccess),
}

impl CpuPlace {
    /// The place by which it is loaded and stored.
    #[must_use]
    pub const fn offset(self) -> RamOffset {
        match self {
            Self::Ram(offset) | Self::Page(offset, _) => offset,
        }
    }
}

/// One contiguous range of guest RAM, and the pages of guest ABIs that CPUs reach beside it.
#[derive(Debug)]
pub struct GuestRam {
    mapping: MmapRegion,
    // The address and length of `mapping`, kept here because the interpreter reads them on every
    // access.
    start: *mut u8,
    len: usize,
    /// How many bytes are mapped from `start` on: RAM, and `pages` one behind the other.
    reach: usize,
    base: Gpa,
    file: File,
    /// Where in `file` RAM begins, in bytes.
    file_offset: u64,
    dirty: DirtyLog,
    pages: Vec<Arc<AbiPages>>,
    /// What `mapping` is a part of, where `pages` are mapped behind it.
    _reservation: Option<Reservation>,
}

#[expect(unsafe_code, reason = "the raw pointer hides that the mapping may be shared")]
// SAFETY: `start` points into `mapping`, which lives as long as `self` and is itself Send; every
// access through it is atomic or a volatile copy.
unsafe impl Send for GuestRam {}
#[expect(unsafe_code, reason = "the raw pointer hides that the mapping may be shared")]
// SAFETY: as for Send: concurrent accesses are atomic or volatile, never plain.
unsafe impl Sync for GuestRam {}

impl GuestRam {
    /// `size` bytes of zeros at `base`. No host memory is used until a page is written.
    ///
    /// # Errors
    /// [`MemoryError::Size`] or [`MemoryError::Host`].
    pub fn new(base: Gpa, size: u64) -> Result<Self, MemoryError> {
        Self::named("abide-guest-ram", base, size)
    }

    /// As [`Self::new`], with the name under which the host shows it.
    pub(crate) fn named(name: &str, base: Gpa, size: u64) -> Result<Self, MemoryError> {
        checked_len(base, size)?;
        let make = || -> rustix::io::Result<OwnedFd> {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let fd = rustix::fs::memfd_create(name, flags)?;
            rustix::fs::ftruncate(&fd, size)?;
            // Nobody who is handed the descriptor can pull memory from under the others.
            rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
            Ok(fd)
        };
        let fd = make().map_err(|errno| MemoryError::Host { size, source: errno.into() })?;
        Self::from_fd(base, size, fd)
    }

    /// RAM whose content is what `fd`, a memfd or file of at least `size` bytes, holds. Who
    /// shortens a file, or lets it run out of room, ends whoever touches what is missing.
    ///
    /// # Errors
    /// [`MemoryError::Size`] or [`MemoryError::Host`].
    pub fn from_fd(base: Gpa, size: u64, fd: OwnedFd) -> Result<Self, MemoryError> {
        Self::from_fd_at(base, size, fd, 0)
    }

    /// As [`Self::from_fd`], of what `fd` holds from byte `file_offset` on, a multiple of the
    /// host's page size.
    ///
    /// # Errors
    /// As [`Self::from_fd`].
    pub fn from_fd_at(
        base: Gpa,
        size: u64,
        fd: OwnedFd,
        file_offset: u64,
    ) -> Result<Self, MemoryError> {
        let host = |source: std::io::Error| MemoryError::Host { size, source };
        let len = checked_len(base, size)?;
        let file = File::from(fd);
        let shared = file.try_clone().map_err(host)?;
        let mapping = MmapRegion::from_file(FileOffset::new(shared, file_offset), len)
            .map_err(|error| host(std::io::Error::other(error)))?;
        let start = mapping.as_ptr();
        let dirty = DirtyLog::new(size / PAGE_SIZE);
        Ok(Self {
            mapping,
            start,
            len,
            reach: len,
            base,
            file,
            file_offset,
            dirty,
            pages: Vec::new(),
            _reservation: None,
        })
    }

    /// The same RAM, with pages of guest ABIs beside it: before anybody knows where the host has it
    /// mapped, for it is mapped anew.
    ///
    /// Guest addresses of theirs lead behind RAM, so who reaches RAM by offsets reaches them by the
    /// very same instructions.
    ///
    /// # Errors
    /// [`MemoryError::Page`] where one overlaps RAM or another; [`MemoryError::Host`].
    pub fn with_pages(self, pages: Vec<Arc<AbiPages>>) -> Result<Self, MemoryError> {
        let size = self.size();
        if !size.is_multiple_of(AbiPages::LEN) || !self.base.0.is_multiple_of(AbiPages::LEN) {
            return Err(MemoryError::Size { base: self.base, size });
        }
        for (number, page) in pages.iter().enumerate() {
            let gpa = page.gpa();
            let why = if gpa.0 + AbiPages::LEN > self.base.0 && gpa.0 < self.base.0 + size {
                "is inside RAM"
            } else if pages[..number].iter().any(|other| other.gpa() == gpa) {
                "is there twice"
            } else {
                continue;
            };
            return Err(MemoryError::Page { gpa, why });
        }
        let host = |source: std::io::Error| MemoryError::Host { size, source };
        let parts = pages.iter().map(|page| (page.host().fd(), 0, page.host().len));
        let ram_part = (self.file.as_fd(), self.file_offset, self.len);
        let all: Vec<_> = std::iter::once(ram_part).chain(parts).collect();
        let (reservation, mapping) = Reservation::map(&all).map_err(host)?;
        let reach = all.iter().map(|part| part.2).sum();
        let start = mapping.as_ptr();
        Ok(Self { mapping, start, reach, pages, _reservation: Some(reservation), ..self })
    }

    /// The pages of guest ABIs.
    #[must_use]
    pub fn pages(&self) -> &[Arc<AbiPages>] {
        &self.pages
    }

    /// Where the host has the page with this number mapped for the guest: for
    /// `KVM_SET_USER_MEMORY_REGION` only.
    #[must_use]
    pub fn page_host_address(&self, number: usize) -> Option<u64> {
        (number < self.pages.len())
            .then(|| self.host_address() + self.size() + number as u64 * AbiPages::LEN)
    }

    /// What a CPU of the guest reaches with `len` bytes at `gpa`, or `None` where any of them is
    /// neither RAM nor in one page of a guest ABI.
    #[inline]
    #[must_use]
    pub fn place_of(&self, gpa: Gpa, len: u64) -> Option<CpuPlace> {
        self.offset_of(gpa, len).map(CpuPlace::Ram).or_else(|| self.page_of(gpa, len))
    }

    #[cold]
    fn page_of(&self, gpa: Gpa, len: u64) -> Option<CpuPlace> {
        let starts = (self.size()..).step_by(self.pages.first()?.host().len);
        self.pages.iter().zip(starts).find_map(|(page, start)| {
            let RamOffset(inside) = page.host().offset_of(gpa, len)?;
            Some(CpuPlace::Page(RamOffset(start + inside), page.access()))
        })
    }

    /// The guest physical address of a place that [`Self::place_of`] told.
    #[inline]
    #[must_use]
    pub fn gpa_of(&self, offset: RamOffset) -> Gpa {
        let Some(behind) = offset.0.checked_sub(self.size()) else {
            return Gpa(self.base.0 + offset.0);
        };
        let number = usize::try_from(behind / AbiPages::LEN).unwrap_or(usize::MAX);
        let base = self.pages.get(number).map_or(Gpa(u64::MAX), |page| page.gpa());
        Gpa(base.0.wrapping_add(behind % AbiPages::LEN))
    }

    /// Takes note that the guest was refused a write at `gpa`, and tells whether that deserves a
    /// line in the log.
    pub fn note_refused_write(&self, gpa: Gpa) -> bool {
        let mut pages = self.pages.iter();
        pages
            .find(|page| page.host().offset_of(gpa, 1).is_some())
            .is_some_and(|page| page.note_refused_write())
    }

    /// The guest physical address of the first byte.
    #[must_use]
    pub fn base(&self) -> Gpa {
        self.base
    }

    /// The size in bytes, a multiple of [`PAGE_SIZE`].
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len as u64
    }

    /// The memfd or file behind it, to be handed over or mapped elsewhere; RAM may begin inside.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where the host has it mapped: for `KVM_SET_USER_MEMORY_REGION` only.
    #[must_use]
    pub fn host_address(&self) -> u64 {
        self.start as u64
    }

    /// The dirty log of this RAM.
    #[inline]
    #[must_use]
    pub fn dirty(&self) -> &DirtyLog {
        &self.dirty
    }

    /// The place of `len` bytes at `gpa`, or `None` where any of them is not RAM.
    #[inline]
    #[must_use]
    pub fn offset_of(&self, gpa: Gpa, len: u64) -> Option<RamOffset> {
        let offset = gpa.0.checked_sub(self.base.0)?;
        let end = offset.checked_add(len)?;
        (end <= self.size()).then_some(RamOffset(offset))
    }

    /// This RAM for somebody who reaches into it all the time, an interpreter's loop: the same
    /// accesses with the same checks, with address and length in the borrower's hands.
    #[inline]
    #[must_use]
    pub fn view(&self) -> RamView<'_> {
        RamView { start: self.start, len: self.reach, ram: PhantomData }
    }

    /// The number at `offset`, a multiple of its size.
    ///
    /// # Panics
    /// If `offset` is past the end of RAM.
    #[inline(always)]
    #[must_use]
    pub fn load<T: Atom>(&self, offset: RamOffset, order: Order) -> T {
        T::atomic_load(self.view().place::<T>(offset), order)
    }

    /// Writes the number at `offset`, a multiple of its size. Does not touch the dirty log.
    ///
    /// # Panics
    /// If `offset` is past the end of RAM.
    #[inline(always)]
    pub fn store<T: Atom>(&self, offset: RamOffset, value: T, order: Order) {
        T::atomic_store(self.view().place::<T>(offset), value, order);
    }

    /// Writes `new` where `expected` stands; returns what stood there, in `Err` if it differed.
    /// Does not touch the dirty log.
    ///
    /// # Panics
    /// If `offset` is past the end of RAM.
    #[inline]
    pub fn compare_exchange<T: Atom>(
        &self,
        offset: RamOffset,
        expected: T,
        new: T,
        order: Order,
    ) -> Result<T, T> {
        T::atomic_compare_exchange(self.view().place::<T>(offset), expected, new, order)
    }

    /// Changes the number at `offset` and returns what stood there. Does not touch the dirty log.
    ///
    /// # Panics
    /// If `offset` is past the end of RAM.
    #[inline]
    pub fn rmw<T: Atom>(&self, offset: RamOffset, rmw: Rmw, operand: T, order: Order) -> T {
        T::atomic_rmw(self.view().place::<T>(offset), rmw, operand, order)
    }

    /// Copies bytes out of RAM.
    ///
    /// # Errors
    /// [`MemoryError::OutOfRange`]; nothing is copied then.
    pub fn read(&self, gpa: Gpa, into: &mut [u8]) -> Result<(), MemoryError> {
        let slice = self.slice(gpa, into.len())?;
        slice.copy_to(into);
        Ok(())
    }

    /// Copies bytes into RAM and marks their pages dirty.
    ///
    /// # Errors
    /// [`MemoryError::OutOfRange`]; nothing is copied then.
    pub fn write(&self, gpa: Gpa, from: &[u8]) -> Result<(), MemoryError> {
        let slice = self.slice(gpa, from.len())?;
        slice.copy_from(from);
        // Marked last: a harvest in between leaves the page for the next one.
        self.dirty.mark(gpa.0 - self.base.0, from.len() as u64);
        Ok(())
    }

    /// As [`Self::write`], by the host's file: for memory that was never touched. It takes half the
    /// time there, since the host clears no page that is about to be overwritten.
    ///
    /// # Errors
    /// As [`Self::write`], and [`MemoryError::Host`] if the host has no room for it.
    pub fn fill(&self, gpa: Gpa, from: &[u8]) -> Result<(), MemoryError> {
        let len = from.len() as u64;
        let offset = self.offset_of(gpa, len).ok_or(MemoryError::OutOfRange { gpa, len })?;
        let written = self.file.write_all_at(from, self.file_offset + offset.0);
        written.map_err(|source| MemoryError::Host { size: len, source })?;
        self.dirty.mark(offset.0, len);
        Ok(())
    }

    fn slice(&self, gpa: Gpa, len: usize) -> Result<vm_memory::VolatileSlice<'_, ()>, MemoryError> {
        let out_of_range = || MemoryError::OutOfRange { gpa, len: len as u64 };
        let offset = self.offset_of(gpa, len as u64).ok_or_else(out_of_range)?;
        let at = usize::try_from(offset.0).map_err(|_| out_of_range())?;
        self.mapping.get_slice(at, len).map_err(|_| out_of_range())
    }

    /// The first byte at or after `offset` that the host has memory for, and where that run ends:
    /// everything between runs is zero. `None` when no more follows.
    ///
    /// # Errors
    /// What the host says of the memfd or file.
    pub fn next_present(
        &self,
        offset: RamOffset,
    ) -> std::io::Result<Option<(RamOffset, RamOffset)>> {
        if offset.0 >= self.size() {
            return Ok(None);
        }
        let begin = self.file_offset;
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(begin + offset.0)) {
            Ok(start) if start - begin < self.size() => start,
            Ok(_) | Err(rustix::io::Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start))?;
        Ok(Some((RamOffset(start - begin), RamOffset((end - begin).min(self.size())))))
    }
}

/// A borrowed [`GuestRam`], small enough to stay in registers.
#[derive(Clone, Copy, Debug)]
pub struct RamView<'a> {
    start: *mut u8,
    len: usize,
    ram: PhantomData<&'a GuestRam>,
}

/// Takes numbers and not references to them, so that callers keep theirs in registers.
#[cold]
#[inline(never)]
fn past_the_end(at: usize, len: usize) -> ! {
    panic!("guest memory has {len:#x} bytes, {at:#x} was asked for");
}

impl<'a> RamView<'a> {
    /// The aligned atomic place at `offset`.
    ///
    /// The interpreter guarantees alignment and range before it calls, so both are enforced in the
    /// cheapest way that keeps this sound for any input: low bits are cleared, places past the end
    /// panic.
    #[inline(always)]
    fn place<T: Atom>(&self, offset: RamOffset) -> &'a T::Atomic {
        debug_assert!(offset.0.is_multiple_of(T::SIZE as u64), "unaligned {offset:?}");
        #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits on every host")]
        let at = offset.0 as usize & !(T::SIZE - 1);
        if at >= self.len {
            past_the_end(at, self.len);
        }
        #[expect(unsafe_code, reason = "the one place that turns a checked offset into memory")]
        // SAFETY: `at` is a multiple of T::SIZE below `len`, itself a multiple of 4096, so the
        // whole number lies inside what is mapped, which is page-aligned, readable and writable
        // without a gap, and lives as long as the `GuestRam` borrowed for `'a`. Atomics permit
        // shared mutation, also by other mappings of the memfd.
        unsafe {
            &*self.start.add(at).cast::<T::Atomic>()
        }
    }

    /// As [`GuestRam::load`].
    ///
    /// # Panics
    /// If `offset` is past the end of RAM.
    #[inline(always)]
    #[must_use]
    pub fn load<T: Atom>(&self, offset: RamOffset, order: Order) -> T {
        T::atomic_load(self.place::<T>(offset), order)
    }

    /// As [`GuestRam::store`].
    ///
    /// # Panics
    /// If `offset` is past the end of RAM.
    #[inline(always)]
    pub fn store<T: Atom>(&self, offset: RamOffset, value: T, order: Order) {
        T::atomic_store(self.place::<T>(offset), value, order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ram() -> GuestRam {
        GuestRam::new(Gpa(0x4000_0000), 16 * PAGE_SIZE).unwrap()
    }

    #[test]
    fn nonsense_sizes_are_refused() {
        for (base, size) in [(0, 0), (0, 100), (0, !4095), (100, 4096), (GPA_END, 4096)] {
            assert!(
                matches!(GuestRam::new(Gpa(base), size), Err(MemoryError::Size { .. })),
                "{base:#x} {size:#x}"
            );
        }
    }

    #[test]
    fn ranges_that_leave_ram_are_refused_whole() {
        let ram = ram();
        let end = ram.base().0 + ram.size();
        assert_eq!(ram.offset_of(Gpa(end - 8), 8), Some(RamOffset(ram.size() - 8)));
        for (gpa, len) in [(end - 7, 8), (end, 1), (0x3fff_ffff, 1), (u64::MAX, 2)] {
            assert_eq!(ram.offset_of(Gpa(gpa), len), None);
        }
        assert!(ram.write(Gpa(end - 1), &[1, 2]).is_err());
        let mut last = [0];
        ram.read(Gpa(end - 1), &mut last).unwrap();
        assert_eq!(last, [0], "a refused write leaves nothing behind");
    }

    #[test]
    fn accesses_by_number_and_by_bytes_agree() {
        let ram = ram();
        ram.store::<u32>(RamOffset(8), 0x0403_0201, Order::Relaxed);
        let mut bytes = [0; 4];
        ram.read(Gpa(0x4000_0008), &mut bytes).unwrap();
        assert_eq!(bytes, [1, 2, 3, 4]);
        assert_eq!(ram.load::<u128>(RamOffset(0), Order::SeqCst), 0x0403_0201 << 64);
        assert_eq!(ram.compare_exchange::<u8>(RamOffset(8), 1, 9, Order::SeqCst), Ok(1));
        assert_eq!(ram.rmw::<u8>(RamOffset(8), Rmw::SignedMin, 0xff, Order::Relaxed), 9);
        assert_eq!(ram.load::<u8>(RamOffset(8), Order::Acquire), 0xff);
    }

    #[test]
    fn only_written_pages_are_present() {
        let ram = ram();
        assert_eq!(ram.next_present(RamOffset(0)).unwrap(), None);
        ram.write(Gpa(0x4000_0000 + 3 * PAGE_SIZE), &[1]).unwrap();
        let (start, end) = ram.next_present(RamOffset(0)).unwrap().unwrap();
        assert_eq!((start, end), (RamOffset(3 * PAGE_SIZE), RamOffset(4 * PAGE_SIZE)));
        assert_eq!(ram.next_present(end).unwrap(), None);
    }

    #[test]
    fn another_mapping_of_the_descriptor_sees_the_same_bytes() {
        let ram = ram();
        let fd = ram.fd().try_clone_to_owned().unwrap();
        let other = GuestRam::from_fd(ram.base(), ram.size(), fd).unwrap();
        ram.store::<u64>(RamOffset(0), 7, Order::SeqCst);
        assert_eq!(other.load::<u64>(RamOffset(0), Order::SeqCst), 7);
    }

    fn with_pages() -> (GuestRam, [Arc<AbiPages>; 2]) {
        let page = |gpa, access| Arc::new(AbiPages::new(Gpa(gpa), access).unwrap());
        let pages =
            [page(0x90b_0000, PageAccess::ReadOnly), page(0x90a_0000, PageAccess::ReadWrite)];
        (ram().with_pages(pages.to_vec()).unwrap(), pages)
    }

    #[test]
    fn pages_are_reached_by_the_same_accesses_as_ram_and_are_none() {
        let plain = ram();
        plain.write(Gpa(0x4000_0000), b"before").unwrap();
        let page = Arc::new(AbiPages::new(Gpa(0x90b_0000), PageAccess::ReadOnly).unwrap());
        let ram = plain.with_pages(vec![Arc::clone(&page)]).unwrap();
        let mut bytes = [0; 6];
        ram.read(Gpa(0x4000_0000), &mut bytes).unwrap();
        assert_eq!(&bytes, b"before", "what was in RAM stays there");
        page.host().write(Gpa(0x90b_fff8), &7u64.to_le_bytes()).unwrap();
        let Some(CpuPlace::Page(at, PageAccess::ReadOnly)) = ram.place_of(Gpa(0x90b_fff8), 8)
        else {
            panic!("no page");
        };
        assert_eq!(at, RamOffset(ram.size() + 0xfff8));
        assert_eq!(ram.load::<u64>(at, Order::Relaxed), 7);
        assert_eq!(ram.view().load::<u64>(at, Order::Relaxed), 7);
        assert_eq!(ram.offset_of(Gpa(0x90b_0000), 1), None, "no device reaches it");
        assert_eq!(ram.place_of(Gpa(0x90b_fff9), 8), None, "no access leaves it");
        ram.store::<u32>(at, 9, Order::Relaxed);
        let own = page.host().load::<u32>(RamOffset(0xfff8), Order::Relaxed);
        assert_eq!(own, 9, "one memory, two ways");
    }

    #[test]
    fn offsets_and_addresses_lead_back_to_each_other() {
        let (ram, pages) = with_pages();
        for gpa in [0x4000_0000, 0x4000_fff8, 0x90b_0000, 0x90b_1238, 0x90a_0008] {
            let place = ram.place_of(Gpa(gpa), 8).unwrap();
            assert_eq!(ram.gpa_of(place.offset()), Gpa(gpa));
        }
        let address = |number| ram.page_host_address(number);
        assert_eq!(address(0), Some(ram.host_address() + ram.size()));
        assert_eq!(address(1), Some(ram.host_address() + ram.size() + AbiPages::LEN));
        assert_eq!(address(2), None);
        assert!(ram.note_refused_write(Gpa(0x90b_0010)), "the first");
        assert!(!ram.note_refused_write(Gpa(0x90b_0010)), "and no other is told");
        assert_eq!(pages.map(|page| page.refused_writes()), [2, 0]);
    }

    #[test]
    fn pages_that_stand_in_the_way_are_refused() {
        let page = |gpa| AbiPages::new(Gpa(gpa), PageAccess::ReadOnly).map(Arc::new);
        assert!(matches!(page(0x90b_1000), Err(MemoryError::Page { .. })));
        for gpas in [vec![0x4000_0000], vec![0x90b_0000, 0x90b_0000]] {
            let pages = gpas.into_iter().map(|gpa| page(gpa).unwrap()).collect();
            assert!(matches!(ram().with_pages(pages), Err(MemoryError::Page { .. })));
        }
        let small = GuestRam::new(Gpa(0x4000_0000), PAGE_SIZE).unwrap();
        assert!(matches!(small.with_pages(Vec::new()), Err(MemoryError::Size { .. })));
    }

    #[test]
    fn writes_by_bytes_are_logged() {
        let ram = ram();
        ram.dirty().start();
        for write in [GuestRam::write, GuestRam::fill] {
            write(&ram, Gpa(0x4000_0fff), &[1, 2]).unwrap();
            assert_eq!(ram.dirty().harvest().iter().collect::<Vec<_>>(), [0, 1]);
        }
    }

    #[test]
    fn what_goes_by_the_file_is_seen_in_the_mapping() {
        let whole = ram();
        let fd = whole.fd().try_clone_to_owned().unwrap();
        let (base, size) = (whole.base(), whole.size() - PAGE_SIZE);
        let behind = GuestRam::from_fd_at(base, size, fd, PAGE_SIZE).unwrap();
        behind.fill(Gpa(base.0 + 8), &[1, 2]).unwrap();
        assert_eq!(behind.load::<u16>(RamOffset(8), Order::Relaxed), 0x0201);
        assert_eq!(whole.load::<u16>(RamOffset(PAGE_SIZE + 8), Order::Relaxed), 0x0201);
        let end = Gpa(base.0 + size - 1);
        assert!(matches!(behind.fill(end, &[1, 2]), Err(MemoryError::OutOfRange { len: 2, .. })));
    }
}
