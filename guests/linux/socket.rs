//! Sockets and the network card's address `[linux include/uapi/asm-generic/unistd.h]`.

use crate::sys::{Errno, call};
use crate::uapi::{
    EIO, MSG_NOSIGNAL, SO_RCVTIMEO, SOCK_STREAM, SOL_SOCKET, SYS_CLOSE, SYS_CONNECT, SYS_IOCTL,
    SYS_RECVFROM, SYS_SENDTO, SYS_SETSOCKOPT, SYS_SOCKET,
};

const AF_INET: u16 = 2;
const SOCK_DGRAM: u64 = 2;
const SOCK_RAW: u64 = 3;
const IPPROTO_ICMP: u64 = 1;
const SO_RCVBUF: u64 = 8;
// [linux include/uapi/linux/sockios.h]
const SIOCSIFFLAGS: u64 = 0x8914;
const SIOCSIFADDR: u64 = 0x8916;
const SIOCSIFNETMASK: u64 = 0x891c;
const IFF_UP: u16 = 1;

/// The connection is gone: the other end said so.
pub const ECONNRESET: u64 = 104;

/// An IPv4 address and a port `[linux include/uapi/linux/in.h]`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Address {
    family: u16,
    port: [u8; 2],
    host: [u8; 4],
    zeros: [u8; 8],
}

impl Address {
    /// Of a port of a host.
    pub fn new(host: [u8; 4], port: u16) -> Self {
        Self { family: AF_INET, port: port.to_be_bytes(), host, zeros: [0; 8] }
    }
}

/// What an interface is asked `[linux include/uapi/linux/if.h]`.
#[repr(C)]
struct Request {
    name: [u8; 16],
    value: [u8; 24],
}

/// Gives `eth0` its address and brings it up.
pub fn bring_up(host: [u8; 4], mask: [u8; 4]) -> Result<(), Errno> {
    let socket = Socket::open(SOCK_DGRAM, 0)?;
    for (what, host) in [(SIOCSIFADDR, host), (SIOCSIFNETMASK, mask)] {
        let mut value = [0; 24];
        value[..2].copy_from_slice(&AF_INET.to_ne_bytes());
        value[4..8].copy_from_slice(&host);
        socket.ask(what, value)?;
    }
    let mut value = [0; 24];
    value[..2].copy_from_slice(&IFF_UP.to_ne_bytes());
    socket.ask(SIOCSIFFLAGS, value)
}

/// An open socket.
pub struct Socket(u64);

impl Socket {
    fn open(kind: u64, protocol: u64) -> Result<Self, Errno> {
        call(SYS_SOCKET, [u64::from(AF_INET), kind, protocol, 0, 0, 0]).map(Self)
    }

    fn connected(kind: u64, protocol: u64, to: Address) -> Result<Self, Errno> {
        let socket = Self::open(kind, protocol)?;
        let len = size_of::<Address>() as u64;
        call(SYS_CONNECT, [socket.0, &raw const to as u64, len, 0, 0, 0])?;
        Ok(socket)
    }

    /// A connection.
    pub fn tcp(to: Address) -> Result<Self, Errno> {
        Self::connected(SOCK_STREAM, 0, to)
    }

    /// Datagrams to and from one place.
    pub fn udp(to: Address) -> Result<Self, Errno> {
        Self::connected(SOCK_DGRAM, 0, to)
    }

    /// ICMP messages to and from one host; what comes in has its IP header.
    pub fn icmp(host: [u8; 4]) -> Result<Self, Errno> {
        Self::connected(SOCK_RAW, IPPROTO_ICMP, Address::new(host, 0))
    }

    fn ask(&self, what: u64, value: [u8; 24]) -> Result<(), Errno> {
        let mut name = [0; 16];
        name[..4].copy_from_slice(b"eth0");
        let mut request = Request { name, value };
        call(SYS_IOCTL, [self.0, what, &raw mut request as u64, 0, 0, 0]).map(|_| ())
    }

    fn set(&self, option: u64, start: u64, len: usize) -> Result<(), Errno> {
        let arguments = [self.0, SOL_SOCKET, option, start, len as u64, 0];
        call(SYS_SETSOCKOPT, arguments).map(|_| ())
    }

    /// Lets no reading wait longer than this: it fails with `EAGAIN` then.
    pub fn limit_waiting(&self, seconds: u64) -> Result<(), Errno> {
        let time = [seconds, 0];
        self.set(SO_RCVTIMEO, time.as_ptr() as u64, size_of_val(&time))
    }

    /// Holds at least this many bytes that nobody read yet.
    pub fn hold(&self, bytes: u32) -> Result<(), Errno> {
        self.set(SO_RCVBUF, &raw const bytes as u64, size_of_val(&bytes))
    }

    /// Sends all of `bytes`.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let (start, len) = (bytes.as_ptr() as u64, bytes.len() as u64);
        let sent = call(SYS_SENDTO, [self.0, start, len, MSG_NOSIGNAL, 0, 0])?;
        if sent == len { Ok(()) } else { Err(Errno(EIO)) }
    }

    /// Receives a datagram, or some bytes; how many there are.
    pub fn receive(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let (start, len) = (into.as_mut_ptr() as u64, into.len() as u64);
        call(SYS_RECVFROM, [self.0, start, len, 0, 0, 0]).map(|len| len as usize)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = call(SYS_CLOSE, [self.0, 0, 0, 0, 0, 0]);
    }
}
