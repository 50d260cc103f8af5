//! Pages of guest RAM that come when they are first touched, by userfaultfd
//! `[linux Documentation/admin-guide/mm/userfaultfd.rst]`.

use crate::{GuestRam, PAGE_SIZE, RamOffset};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode, Updater, opcode};
use rustix::mm::UserfaultfdFlags;
use std::ffi::c_void;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use thiserror::Error;

/// Numbers and layouts below are those of `[linux include/uapi/linux/userfaultfd.h]`.
const GROUP: u8 = 0xaa;
const API: u64 = 0xaa;
const FEATURE_MISSING_SHMEM: u64 = 1 << 5;
const REGISTER_MODE_MISSING: u64 = 1;
const EVENT_PAGEFAULT: u8 = 0x12;
const USER_MODE_ONLY: u32 = 1;

const IOC_NEW: Opcode = opcode::none(GROUP, 0x00);
const UFFDIO_API: Opcode = opcode::read_write::<Api>(GROUP, 0x3f);
const UFFDIO_REGISTER: Opcode = opcode::read_write::<Register>(GROUP, 0x00);
const UFFDIO_WAKE: Opcode = opcode::read::<Range>(GROUP, 0x02);
const UFFDIO_COPY: Opcode = opcode::read_write::<Copy>(GROUP, 0x03);
const UFFDIO_ZEROPAGE: Opcode = opcode::read_write::<ZeroPage>(GROUP, 0x04);
/// WAKE, COPY and ZEROPAGE, as bits of what a registered range can do.
const NEEDED_IOCTLS: u64 = 1 << 0x02 | 1 << 0x03 | 1 << 0x04;

#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct Range {
    start: u64,
    len: u64,
}

#[repr(C)]
struct Register {
    range: Range,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
struct Copy {
    dst: u64,
    src: u64,
    len: u64,
    mode: u64,
    /// Bytes done, or a negative error.
    done: i64,
}

#[repr(C)]
struct ZeroPage {
    range: Range,
    mode: u64,
    /// Bytes done, or a negative error.
    done: i64,
}

/// The length of a message that is read, in bytes; a page fault has its address at 16.
const MESSAGE_LEN: usize = 32;

/// Whose touches of an absent page wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of this process's own instructions. A system call that is given such a page fails
    /// with EFAULT; nothing in abide gives it one, but KVM would.
    User,
    /// Those of the host's kernel too, so that KVM can execute a guest in this RAM.
    Kernel,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "userfaultfd, user mode only",
            Self::Kernel => "userfaultfd",
        })
    }
}

/// Why pages cannot be brought when they are touched.
#[derive(Debug, Error)]
pub enum MissingError {
    /// The host does not let this process do that.
    #[error(
        "userfaultfd is not permitted ({source}): give access to /dev/userfaultfd or set \
         vm.unprivileged_userfaultfd=1"
    )]
    NotPermitted {
        /// What the host said.
        source: io::Error,
    },
    /// The host's kernel is too old, or was built without it.
    #[error("the host's userfaultfd lacks {what}; Linux 4.11 has it")]
    Lacking {
        /// What it lacks.
        what: &'static str,
    },
    /// The host refused a step.
    #[error("userfaultfd: {step}: {source}")]
    Host {
        /// The step.
        step: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

/// Watches RAM whose content is not there yet: whoever touches an absent page waits until it is
/// brought by [`Self::fill`] or [`Self::zero`].
///
/// Only touches by the mapping of this [`GuestRam`] wait. Whoever was handed its descriptor, and
/// [`GuestRam::next_present`], see an absent page as a hole. When this is dropped nobody waits any
/// more, and what is still absent is zero: **drop it only when all is there, or when nobody looks
/// any more.**
#[derive(Debug)]
pub struct MissingPages {
    fd: OwnedFd,
    ram: Arc<GuestRam>,
    reach: Reach,
}

type Open = fn() -> io::Result<OwnedFd>;

/// How a userfaultfd comes about; the way that reaches farther first.
const WAYS: [(Reach, Open); 3] =
    [(Reach::Kernel, open_device), (Reach::Kernel, open_whole), (Reach::User, open_user)];

impl MissingPages {
    /// Pages are brought in pieces of this many bytes: a multiple of every host's page size.
    pub const GRANULE: u64 = 64 << 10;

    /// Begins to watch all of `ram`, for touches of at least `needed`.
    ///
    /// # Errors
    /// [`MissingError`]: then nothing waits for anything.
    pub fn watch(ram: Arc<GuestRam>, needed: Reach) -> Result<Self, MissingError> {
        let mut refused = None;
        for (reach, open) in WAYS {
            if needed == Reach::Kernel && reach == Reach::User {
                continue;
            }
            match open() {
                Ok(fd) => {
                    let watching = Self { fd, ram, reach };
                    watching.register()?;
                    return Ok(watching);
                }
                Err(source) => refused = Some(source),
            }
        }
        let source = refused.unwrap_or_else(|| io::ErrorKind::Unsupported.into());
        Err(MissingError::NotPermitted { source })
    }

    fn register(&self) -> Result<(), MissingError> {
        let host = |step| move |errno: Errno| MissingError::Host { step, source: errno.into() };
        let mut api = Api { api: API, features: 0, ioctls: 0 };
        self.call::<UFFDIO_API, _>(&mut api).map_err(host("UFFDIO_API"))?;
        if api.features & FEATURE_MISSING_SHMEM == 0 {
            return Err(MissingError::Lacking { what: "shared memory" });
        }
        let range = Range { start: self.ram.host_address(), len: self.ram.size() };
        let mut register = Register { range, mode: REGISTER_MODE_MISSING, ioctls: 0 };
        self.call::<UFFDIO_REGISTER, _>(&mut register).map_err(host("UFFDIO_REGISTER"))?;
        if register.ioctls & NEEDED_IOCTLS != NEEDED_IOCTLS {
            return Err(MissingError::Lacking { what: "copies and zero pages" });
        }
        Ok(())
    }

    /// Whose touches wait.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The RAM that is watched.
    #[must_use]
    pub fn ram(&self) -> &GuestRam {
        &self.ram
    }

    /// The place of an absent page that somebody touched and waits for; `None` if nobody does.
    /// Each wait is told of once.
    ///
    /// # Errors
    /// What the host says.
    pub fn touched(&self) -> io::Result<Option<RamOffset>> {
        loop {
            let mut message = [0; MESSAGE_LEN];
            match rustix::io::read(&self.fd, &mut message) {
                Ok(MESSAGE_LEN) if message[0] == EVENT_PAGEFAULT => {
                    let mut address = [0; 8];
                    address.copy_from_slice(&message[16..24]);
                    let offset = u64::from_ne_bytes(address).checked_sub(self.ram.host_address());
                    if let Some(offset) = offset.filter(|&offset| offset < self.ram.size()) {
                        return Ok(Some(RamOffset(offset)));
                    }
                }
                // No other event was asked for.
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Makes absent pages hold `content`, and lets go on who waits for them. Pages that are there
    /// already stay as they are.
    ///
    /// # Errors
    /// `InvalidInput` unless place and length are multiples of the host's page size inside RAM;
    /// what the host says, if it has no memory for example.
    pub fn fill(&self, offset: RamOffset, content: &[u8]) -> io::Result<()> {
        let len = content.len() as u64;
        self.in_pieces(offset, len, |at, done| {
            let src = content.get(usize::try_from(done).map_err(|_| Errno::INVAL)?..);
            let src = src.ok_or(Errno::INVAL)?;
            let (dst, src, len) = (at, src.as_ptr() as u64, src.len() as u64);
            let mut copy = Copy { dst, src, len, mode: 0, done: 0 };
            let called = self.call::<UFFDIO_COPY, _>(&mut copy);
            called.map(|()| len).or_else(|errno| partly(errno, copy.done))
        })
    }

    /// Makes the pages of the [`Self::GRANULE`] around `offset` zero, where they are absent, and
    /// lets go on who waits for them.
    ///
    /// # Errors
    /// As [`Self::fill`].
    pub fn zero(&self, offset: RamOffset) -> io::Result<()> {
        let from = offset.0 - offset.0 % Self::GRANULE;
        let len = self.ram.size().saturating_sub(from).min(Self::GRANULE);
        self.in_pieces(RamOffset(from), len, |start, done| {
            let range = Range { start, len: len - done };
            let mut zero = ZeroPage { range, mode: 0, done: 0 };
            let called = self.call::<UFFDIO_ZEROPAGE, _>(&mut zero);
            called.map(|()| len - done).or_else(|errno| partly(errno, zero.done))
        })
    }

    /// Calls `step` with the host's address and what is done, until all is.
    fn in_pieces(
        &self,
        offset: RamOffset,
        len: u64,
        step: impl Fn(u64, u64) -> Result<u64, Errno>,
    ) -> io::Result<()> {
        let inside = offset.0.checked_add(len).is_some_and(|end| end <= self.ram.size());
        if !inside || !offset.0.is_multiple_of(PAGE_SIZE) || !len.is_multiple_of(PAGE_SIZE) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut done = 0;
        while done < len {
            let at = self.ram.host_address() + offset.0 + done;
            done += match step(at, done) {
                Ok(more) => more,
                Err(Errno::EXIST) => {
                    // It came by another way, perhaps just now, with somebody waiting for it.
                    let page = rustix::param::page_size() as u64;
                    self.call::<UFFDIO_WAKE, _>(&mut Range { start: at, len: page })?;
                    page
                }
                Err(errno) => return Err(errno.into()),
            };
        }
        Ok(())
    }

    fn call<const OPCODE: Opcode, T: Argument>(&self, argument: &mut T) -> Result<(), Errno> {
        #[expect(unsafe_code, reason = "no library within the licences has these ioctls")]
        // SAFETY: each opcode is made from the type that it is called with, whose layout is the
        // kernel's. What is written by these calls is absent pages of `ram`'s mapping, which lives
        // as long as `self`: `register` names that mapping, and the kernel refuses any other
        // place. So only bytes appear that nobody could have read before. `src` of a copy is a
        // slice that is borrowed by the caller.
        unsafe {
            ioctl::ioctl(&self.fd, Updater::<OPCODE, T>::new(argument))
        }
    }
}

/// An argument of these ioctls.
trait Argument {}
impl Argument for Api {}
impl Argument for Range {}
impl Argument for Register {}
impl Argument for Copy {}
impl Argument for ZeroPage {}

/// What of a call that ended early counts: the bytes done before something came between.
fn partly(errno: Errno, done: i64) -> Result<u64, Errno> {
    match u64::try_from(done) {
        Ok(done) if errno == Errno::AGAIN => Ok(done),
        // The address space was changing: once more.
        _ if errno == Errno::AGAIN => Ok(0),
        _ => Err(errno),
    }
}

fn flags() -> UserfaultfdFlags {
    UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK
}

fn open_whole() -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "what can be done with the descriptor can break a process")]
    // SAFETY: the descriptor is kept in `MissingPages`, which says above what it does with it.
    let made = unsafe { rustix::mm::userfaultfd(flags()) };
    Ok(made?)
}

fn open_user() -> io::Result<OwnedFd> {
    let user_only = UserfaultfdFlags::from_bits_retain(USER_MODE_ONLY);
    #[expect(unsafe_code, reason = "what can be done with the descriptor can break a process")]
    // SAFETY: as in `open_whole`.
    let made = unsafe { rustix::mm::userfaultfd(flags() | user_only) };
    Ok(made?)
}

/// By the device file, whose permissions the host's owner sets.
fn open_device() -> io::Result<OwnedFd> {
    let device =
        rustix::fs::open("/dev/userfaultfd", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    #[expect(unsafe_code, reason = "no library within the licences has this ioctl")]
    // SAFETY: `New` is that ioctl; the descriptor is kept as in `open_whole`.
    let made = unsafe { ioctl::ioctl(device?.as_fd(), New) };
    Ok(made?)
}

/// USERFAULTFD_IOC_NEW: its argument is the flags, its result a descriptor.
struct New;

#[expect(unsafe_code, reason = "rustix has no form of an ioctl that returns a descriptor")]
// SAFETY: the call takes a number in place of a pointer and writes nothing; what it returns is a
// new descriptor that nobody else owns.
unsafe impl Ioctl for New {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        IOC_NEW
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::without_provenance_mut(flags().bits() as usize)
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<OwnedFd> {
        #[expect(unsafe_code, reason = "a number becomes the descriptor that it is")]
        // SAFETY: a call that did not fail returned a new descriptor.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Order;
    use abide_reg::Gpa;

    const GRANULE: usize = 64 << 10;
    const PAGE: usize = 4096;

    fn watched(ways: impl Fn(Reach) -> bool) -> Vec<MissingPages> {
        let ram = || Arc::new(GuestRam::new(Gpa(0x4000_0000), 1 << 20).unwrap());
        let opened = WAYS.into_iter().filter(|(reach, _)| ways(*reach));
        let opened = opened.filter_map(|(reach, open)| Some((reach, open().ok()?)));
        let watched = opened.map(|(reach, fd)| MissingPages { fd, ram: ram(), reach });
        watched.inspect(|missing| missing.register().unwrap()).collect()
    }

    fn next_touch(missing: &MissingPages) -> RamOffset {
        loop {
            if let Some(offset) = missing.touched().unwrap() {
                return offset;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn whoever_touches_an_absent_page_waits_for_its_content() {
        let all = watched(|_| true);
        assert!(!all.is_empty(), "every Linux of ours gives a process its own faults");
        for missing in all {
            std::thread::scope(|scope| {
                let reader =
                    scope.spawn(|| missing.ram().load::<u64>(RamOffset(0x2008), Order::Relaxed));
                assert_eq!(next_touch(&missing).0 / PAGE_SIZE, 2);
                assert_eq!(missing.ram().next_present(RamOffset(0)).unwrap(), None);
                missing.fill(RamOffset(0), &[0x11; GRANULE]).unwrap();
                assert_eq!(reader.join().unwrap(), 0x1111_1111_1111_1111);
                let writer =
                    scope.spawn(|| missing.ram().write(Gpa(0x4008_0000), b"guest").unwrap());
                assert_eq!(next_touch(&missing), RamOffset(0x8_0000));
                missing.zero(RamOffset(0x8_0000)).unwrap();
                writer.join().unwrap();
            });
            let mut bytes = [0; 6];
            missing.ram().read(Gpa(0x4008_0000), &mut bytes).unwrap();
            assert_eq!(&bytes, b"guest\0");
            assert_eq!(missing.touched().unwrap(), None);
        }
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        for missing in watched(|_| true) {
            missing.fill(RamOffset(PAGE_SIZE), &[1; PAGE]).unwrap();
            missing.ram().write(Gpa(0x4000_1000), &[2]).unwrap();
            missing.fill(RamOffset(0), &[3; GRANULE]).unwrap();
            missing.zero(RamOffset(0)).unwrap();
            let first = |offset| missing.ram().load::<u16>(RamOffset(offset), Order::Relaxed);
            assert_eq!([first(0), first(0x1000), first(0x2000)], [0x303, 0x102, 0x303]);
        }
    }

    #[test]
    fn places_outside_are_refused() {
        for missing in watched(|_| true) {
            let page = [1; PAGE];
            for offset in [1, 1 << 20, u64::MAX - 4095] {
                let kind = missing.fill(RamOffset(offset), &page).unwrap_err().kind();
                assert_eq!(kind, io::ErrorKind::InvalidInput, "{offset:#x}");
            }
            assert!(missing.fill(RamOffset(0), &page[1..]).is_err());
        }
    }

    #[test]
    fn what_is_still_absent_at_the_end_is_zero() {
        for missing in watched(|_| true) {
            let ram = Arc::clone(&missing.ram);
            drop(missing);
            assert_eq!(ram.load::<u64>(RamOffset(0), Order::Relaxed), 0);
        }
    }

    #[test]
    fn kvm_gets_no_faults_of_user_mode_only() {
        let ram = || Arc::new(GuestRam::new(Gpa(0), 1 << 20).unwrap());
        assert!(MissingPages::watch(ram(), Reach::User).is_ok());
        if let Ok(missing) = MissingPages::watch(ram(), Reach::Kernel) {
            assert_eq!(missing.reach(), Reach::Kernel);
        }
    }
}
