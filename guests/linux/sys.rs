//! System calls on memory, processes and the machine `[linux include/uapi/asm-generic/unistd.h]`.

use crate::file::O_RDWR;
use crate::uapi::{AT_FDCWD, SYS_MOUNT, SYS_OPENAT, SYS_WRITE};
use core::arch::asm;
use core::sync::atomic::AtomicU64;

const SYS_DUP3: u64 = 24;
const SYS_MKNODAT: u64 = 33;
const SYS_EXIT: u64 = 93;
const SYS_NANOSLEEP: u64 = 101;
const SYS_CLOCK_GETTIME: u64 = 113;
const SYS_REBOOT: u64 = 142;
const SYS_UNAME: u64 = 160;
const SYS_CLONE: u64 = 220;
const SYS_MMAP: u64 = 222;
const SYS_MUNMAP: u64 = 215;
const SYS_WAIT4: u64 = 260;
const SYS_GETRANDOM: u64 = 278;

const S_IFCHR_0600: u64 = 0o020_600;
const DEV_CONSOLE: u64 = 5 << 8 | 1;
const CLOCK_MONOTONIC: u64 = 1;
const SIGCHLD: u64 = 17;
const PROT_READ_WRITE: u64 = 3;
const MAP_SHARED_ANONYMOUS: u64 = 0x21;
const MAP_PRIVATE_ANONYMOUS: u64 = 0x22;
const REBOOT_MAGIC1: u64 = 0xfee1_dead;
const REBOOT_MAGIC2: u64 = 672_274_793;
const REBOOT_POWER_OFF: u64 = 0x4321_fedc;
const REBOOT_RESTART: u64 = 0x0123_4567;

/// An error number, positive.
#[derive(Clone, Copy)]
pub struct Errno(pub u64);

/// Makes a system call: its result, or why there is none.
pub fn call(number: u64, arguments: [u64; 6]) -> Result<u64, Errno> {
    let result: i64;
    // SAFETY: each caller below passes what its system call asks for; no other memory changes.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") arguments[0] => result,
            in("x1") arguments[1], in("x2") arguments[2], in("x3") arguments[3],
            in("x4") arguments[4], in("x5") arguments[5], options(nostack));
    }
    if (-4095..0).contains(&result) { Err(Errno(result.unsigned_abs())) } else { Ok(result as u64) }
}

fn address(text: &core::ffi::CStr) -> u64 {
    text.as_ptr() as u64
}

/// Opens the console as descriptors 0, 1 and 2, if the kernel did not: it does where the initramfs
/// holds the node. Without a node, makes one in a file system of its own.
pub fn open_console() {
    if call(SYS_WRITE, [1, 0, 0, 0, 0, 0]).is_ok() {
        return;
    }
    let directory = AT_FDCWD as u64;
    let dev = address(c"/dev");
    let node = address(c"/dev/console");
    // Each may fail where another way already worked; what counts is the last.
    let _ = call(SYS_MOUNT, [dev, dev, address(c"devtmpfs"), 0, 0, 0]);
    let _ = call(SYS_MKNODAT, [directory, node, S_IFCHR_0600, DEV_CONSOLE, 0, 0]);
    if let Ok(fd) = call(SYS_OPENAT, [directory, node, O_RDWR, 0, 0, 0]) {
        for wanted in (0..3).filter(|&wanted| wanted != fd) {
            let _ = call(SYS_DUP3, [fd, wanted, 0, 0, 0, 0]);
        }
    }
}

/// Writes all of `bytes` to the console, or gives up.
pub fn write(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match call(SYS_WRITE, [1, bytes.as_ptr() as u64, bytes.len() as u64, 0, 0, 0]) {
            Ok(written @ 1..) => bytes = bytes.get(written as usize..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// What the kernel says of itself: sysname, nodename, release, version, machine, domain.
#[repr(C)]
pub struct Utsname {
    fields: [[u8; 65]; 6],
}

impl Utsname {
    /// Asks.
    pub fn get() -> Result<Self, Errno> {
        let mut name = Self { fields: [[0; 65]; 6] };
        call(SYS_UNAME, [&raw mut name as u64, 0, 0, 0, 0, 0])?;
        Ok(name)
    }

    /// The kernel's release.
    pub fn release(&self) -> &str {
        let field = &self.fields[2];
        let len = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
        core::str::from_utf8(&field[..len]).unwrap_or("?")
    }
}

#[repr(C)]
struct Timespec {
    seconds: u64,
    nanoseconds: u64,
}

/// Sleeps.
pub fn sleep_ms(milliseconds: u64) -> Result<(), Errno> {
    let time =
        Timespec { seconds: milliseconds / 1000, nanoseconds: milliseconds % 1000 * 1_000_000 };
    call(SYS_NANOSLEEP, [&raw const time as u64, 0, 0, 0, 0, 0]).map(|_| ())
}

/// Nanoseconds since the kernel started.
pub fn monotonic_ns() -> Result<u64, Errno> {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    call(SYS_CLOCK_GETTIME, [CLOCK_MONOTONIC, &raw mut time as u64, 0, 0, 0, 0])?;
    Ok(time.seconds * 1_000_000_000 + time.nanoseconds)
}

/// Fills `words` with random numbers.
pub fn random(words: &mut [u64]) -> Result<u64, Errno> {
    let bytes = size_of_val(words) as u64;
    call(SYS_GETRANDOM, [words.as_mut_ptr() as u64, bytes, 0, 0, 0, 0])
}

/// Fresh private memory, zeroed by the kernel page by page as it is touched.
pub fn map(words: usize) -> Result<&'static mut [u64], Errno> {
    let start = fresh(words, MAP_PRIVATE_ANONYMOUS)?;
    // SAFETY: the kernel just made this range, and it is given away once.
    Ok(unsafe { core::slice::from_raw_parts_mut(start as *mut u64, words) })
}

/// Fresh zeros that this process has in common with those that it splits off later.
pub fn share(words: usize) -> Result<&'static [AtomicU64], Errno> {
    let start = fresh(words, MAP_SHARED_ANONYMOUS)?;
    // SAFETY: the kernel just made this range, and everybody has it as atomics.
    Ok(unsafe { core::slice::from_raw_parts(start as *const AtomicU64, words) })
}

fn fresh(words: usize, flags: u64) -> Result<u64, Errno> {
    let bytes = (words * size_of::<u64>()) as u64;
    call(SYS_MMAP, [0, bytes, PROT_READ_WRITE, flags, u64::MAX, 0])
}

/// Gives memory back.
pub fn unmap(words: &'static mut [u64]) -> Result<(), Errno> {
    let bytes = size_of_val(words) as u64;
    call(SYS_MUNMAP, [words.as_mut_ptr() as u64, bytes, 0, 0, 0, 0]).map(|_| ())
}

/// Splits in two: `None` in the child, the child's number in the parent.
pub fn fork() -> Result<Option<u64>, Errno> {
    let child = call(SYS_CLONE, [SIGCHLD, 0, 0, 0, 0, 0])?;
    Ok((child != 0).then_some(child))
}

/// Ends a child.
pub fn exit(code: u8) -> ! {
    loop {
        let _ = call(SYS_EXIT, [u64::from(code), 0, 0, 0, 0, 0]);
    }
}

/// Waits for a child; its exit code, if it ended by itself.
pub fn wait(child: u64) -> Result<Option<u8>, Errno> {
    let mut status = 0u32;
    call(SYS_WAIT4, [child, &raw mut status as u64, 0, 0, 0, 0])?;
    Ok((status & 0x7f == 0).then_some((status >> 8) as u8))
}

/// Switches the machine off.
pub fn power_off() -> ! {
    reboot(REBOOT_POWER_OFF)
}

/// Resets the machine.
pub fn restart() -> ! {
    reboot(REBOOT_RESTART)
}

fn reboot(how: u64) -> ! {
    let _ = call(SYS_REBOOT, [REBOOT_MAGIC1, REBOOT_MAGIC2, how, 0, 0, 0]);
    // Not reached unless the kernel refuses. Then its panic tells: init has ended.
    exit(1)
}
