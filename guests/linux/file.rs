//! Files, devices and modules `[linux include/uapi/asm-generic/unistd.h]`.

use crate::sys::{Errno, call};
use crate::uapi::{AT_FDCWD, EIO, SYS_CLOSE, SYS_IOCTL, SYS_MOUNT, SYS_OPENAT, SYS_WRITE};
use core::ffi::CStr;
use core::fmt::Write;

const SYS_MKDIRAT: u64 = 34;
const SYS_UMOUNT2: u64 = 39;
const SYS_READ: u64 = 63;
const SYS_PREAD64: u64 = 67;
const SYS_PWRITE64: u64 = 68;
const SYS_FDATASYNC: u64 = 83;
const SYS_FINIT_MODULE: u64 = 273;

const ENOENT: u64 = 2;
const EBUSY: u64 = 16;
/// Read only.
pub const O_RDONLY: u64 = 0;
/// Read and write.
pub const O_RDWR: u64 = 2;
/// Make it if it is not there.
pub const O_CREAT: u64 = 0o100;
/// Past the page cache `[linux arch/arm64/include/uapi/asm/fcntl.h]`.
pub const O_DIRECT: u64 = 0o200_000;
const BLKDISCARD: u64 = 0x1277;
const BLKZEROOUT: u64 = 0x127f;

/// An open file.
pub struct File(u64);

impl File {
    /// Opens it.
    pub fn open(path: &CStr, flags: u64) -> Result<Self, Errno> {
        let path = path.as_ptr() as u64;
        call(SYS_OPENAT, [AT_FDCWD as u64, path, flags, 0o600, 0, 0]).map(Self)
    }

    /// Its number.
    pub fn descriptor(&self) -> u64 {
        self.0
    }

    /// Reads all of `into`, at a place or where the last read ended.
    pub fn read_at(&self, at: Option<u64>, into: &mut [u8]) -> Result<(), Errno> {
        let (start, len) = (into.as_mut_ptr() as u64, into.len() as u64);
        let number = if at.is_some() { SYS_PREAD64 } else { SYS_READ };
        let done = call(number, [self.0, start, len, at.unwrap_or(0), 0, 0])?;
        if done == len { Ok(()) } else { Err(Errno(EIO)) }
    }

    /// Reads what is there, up to as much as fits.
    pub fn read_some(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let (start, len) = (into.as_mut_ptr() as u64, into.len() as u64);
        call(SYS_READ, [self.0, start, len, 0, 0, 0]).map(|done| done as usize)
    }

    /// Writes all of `from`.
    pub fn write_at(&self, at: Option<u64>, from: &[u8]) -> Result<(), Errno> {
        let (start, len) = (from.as_ptr() as u64, from.len() as u64);
        let number = if at.is_some() { SYS_PWRITE64 } else { SYS_WRITE };
        let done = call(number, [self.0, start, len, at.unwrap_or(0), 0, 0])?;
        if done == len { Ok(()) } else { Err(Errno(EIO)) }
    }

    /// Makes what was written last.
    pub fn sync(&self) -> Result<(), Errno> {
        call(SYS_FDATASYNC, [self.0, 0, 0, 0, 0, 0]).map(|_| ())
    }

    /// Discards bytes of a block device.
    pub fn discard(&self, start: u64, len: u64) -> Result<(), Errno> {
        self.range(BLKDISCARD, start, len)
    }

    /// Makes bytes of a block device zeros.
    pub fn zero(&self, start: u64, len: u64) -> Result<(), Errno> {
        self.range(BLKZEROOUT, start, len)
    }

    fn range(&self, what: u64, start: u64, len: u64) -> Result<(), Errno> {
        let range = [start, len];
        call(SYS_IOCTL, [self.0, what, range.as_ptr() as u64, 0, 0, 0]).map(|_| ())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = call(SYS_CLOSE, [self.0, 0, 0, 0, 0, 0]);
    }
}

/// A path that is put together.
struct Path {
    bytes: [u8; 32],
    len: usize,
}

impl Write for Path {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // The last byte stays 0.
        let end = self.len + text.len();
        let place = self.bytes[..31].get_mut(self.len..end).ok_or(core::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Loads `/modules/0.ko`, `/modules/1.ko` and so on, as many as there are.
pub fn load_modules() -> Result<u32, Errno> {
    for number in 0.. {
        let mut path = Path { bytes: [0; 32], len: 0 };
        // Never too long.
        let _ = write!(path, "/modules/{number}.ko");
        let Ok(path) = CStr::from_bytes_until_nul(&path.bytes) else { return Ok(number) };
        let module = match File::open(path, O_RDONLY) {
            Ok(module) => module,
            Err(Errno(ENOENT)) => return Ok(number),
            Err(errno) => return Err(errno),
        };
        call(SYS_FINIT_MODULE, [module.0, c"".as_ptr() as u64, 0, 0, 0, 0])?;
    }
    Ok(0)
}

/// Mounts a file system, if that is not done yet.
pub fn mount(source: &CStr, place: &CStr, kind: &CStr) -> Result<(), Errno> {
    let [source, place, kind] = [source, place, kind].map(|text| text.as_ptr() as u64);
    match call(SYS_MOUNT, [source, place, kind, 0, 0, 0]) {
        Ok(_) | Err(Errno(EBUSY)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Unmounts a file system.
pub fn unmount(place: &CStr) -> Result<(), Errno> {
    call(SYS_UMOUNT2, [place.as_ptr() as u64, 0, 0, 0, 0, 0]).map(|_| ())
}

/// Makes a directory.
pub fn make_directory(path: &CStr) -> Result<(), Errno> {
    let path = path.as_ptr() as u64;
    call(SYS_MKDIRAT, [AT_FDCWD as u64, path, 0o755, 0, 0, 0]).map(|_| ())
}

/// Memory as bytes.
pub fn bytes_of(words: &'static mut [u64]) -> &'static mut [u8] {
    let len = size_of_val(words);
    // SAFETY: the same memory for the same time, and any bytes are valid.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), len) }
}
