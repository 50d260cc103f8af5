//! Numbers of the kernel's interface that more than one file needs
//! `[linux include/uapi/asm-generic/unistd.h]`.
#![expect(missing_docs, reason = "the names are the kernel's")]

pub const SYS_IOCTL: u64 = 29;
pub const SYS_MOUNT: u64 = 40;
pub const SYS_OPENAT: u64 = 56;
pub const SYS_CLOSE: u64 = 57;
pub const SYS_WRITE: u64 = 64;
pub const SYS_SOCKET: u64 = 198;
pub const SYS_CONNECT: u64 = 203;
pub const SYS_SENDTO: u64 = 206;
pub const SYS_RECVFROM: u64 = 207;
pub const SYS_SETSOCKOPT: u64 = 208;

pub const AT_FDCWD: i64 = -100;
pub const SOCK_STREAM: u64 = 1;
pub const SOL_SOCKET: u64 = 1;
pub const SO_RCVTIMEO: u64 = 20;
pub const MSG_NOSIGNAL: u64 = 0x4000;
pub const EIO: u64 = 5;
