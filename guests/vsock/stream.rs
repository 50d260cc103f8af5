//! Streams between guest and host `[linux include/uapi/linux/vm_sockets.h]`.

use linux::sys::{Errno, call};
use linux::uapi::{
    MSG_NOSIGNAL, SO_RCVTIMEO, SOCK_STREAM, SOL_SOCKET, SYS_CLOSE, SYS_CONNECT, SYS_RECVFROM,
    SYS_SENDTO, SYS_SETSOCKOPT, SYS_SOCKET,
};

const SYS_BIND: u64 = 200;
const SYS_LISTEN: u64 = 201;
const SYS_ACCEPT: u64 = 202;
const SYS_GETSOCKOPT: u64 = 209;
const SYS_SHUTDOWN: u64 = 210;

const AF_VSOCK: u16 = 40;
const SO_ERROR: u64 = 4;
const SO_SNDTIMEO: u64 = 21;
const SO_VM_SOCKETS_CONNECT_TIMEOUT: u64 = 6;
const SHUT_WR: u64 = 1;

/// The host's number.
const HOST: u32 = 2;
/// Nothing is waited for any longer.
const WAIT_SECONDS: u64 = 100;

/// Where a stream ends: `struct sockaddr_vm`.
#[repr(C)]
struct Address {
    family: u16,
    reserved: u16,
    port: u32,
    cid: u32,
    zeros: [u8; 4],
}

impl Address {
    fn new(cid: u32, port: u32) -> Self {
        Self { family: AF_VSOCK, reserved: 0, port, cid, zeros: [0; 4] }
    }
}

/// A stream, or what waits for streams.
pub struct Stream(u64);

impl Stream {
    fn open() -> Result<Self, Errno> {
        let stream = call(SYS_SOCKET, [AF_VSOCK.into(), SOCK_STREAM, 0, 0, 0, 0]).map(Self)?;
        stream.limit(AF_VSOCK.into(), SO_VM_SOCKETS_CONNECT_TIMEOUT)?;
        stream.limited()
    }

    fn limited(self) -> Result<Self, Errno> {
        self.limit(SOL_SOCKET, SO_RCVTIMEO)?;
        self.limit(SOL_SOCKET, SO_SNDTIMEO)?;
        Ok(self)
    }

    fn limit(&self, level: u64, option: u64) -> Result<(), Errno> {
        let time = [WAIT_SECONDS, 0];
        let place = [time.as_ptr() as u64, size_of_val(&time) as u64];
        call(SYS_SETSOCKOPT, [self.0, level, option, place[0], place[1], 0]).map(|_| ())
    }

    fn with(&self, number: u64, address: &Address) -> Result<(), Errno> {
        let len = size_of::<Address>() as u64;
        call(number, [self.0, &raw const *address as u64, len, 0, 0, 0]).map(|_| ())
    }

    /// Connects to a port of the host.
    pub fn connect(port: u32) -> Result<Self, Errno> {
        let stream = Self::open()?;
        stream.with(SYS_CONNECT, &Address::new(HOST, port))?;
        Ok(stream)
    }

    /// Waits for streams to a port of this guest, whose number is `cid`.
    pub fn listen(cid: u32, port: u32) -> Result<Self, Errno> {
        let stream = Self::open()?;
        stream.with(SYS_BIND, &Address::new(cid, port))?;
        call(SYS_LISTEN, [stream.0, 8, 0, 0, 0, 0])?;
        Ok(stream)
    }

    /// The next stream that comes.
    pub fn accept(&self) -> Result<Self, Errno> {
        call(SYS_ACCEPT, [self.0, 0, 0, 0, 0, 0]).map(Self)?.limited()
    }

    /// Sends all of `bytes`.
    pub fn send(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let (start, len) = (bytes.as_ptr() as u64, bytes.len() as u64);
            let sent = call(SYS_SENDTO, [self.0, start, len, MSG_NOSIGNAL, 0, 0])?;
            bytes = bytes.get(sent as usize..).unwrap_or_default();
        }
        Ok(())
    }

    /// Receives some bytes; how many, or 0 if no more come.
    pub fn receive(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let (start, len) = (into.as_mut_ptr() as u64, into.len() as u64);
        call(SYS_RECVFROM, [self.0, start, len, 0, 0, 0]).map(|len| len as usize)
    }

    /// Says that no more will be sent.
    pub fn end(&self) -> Result<(), Errno> {
        call(SYS_SHUTDOWN, [self.0, SHUT_WR, 0, 0, 0, 0]).map(|_| ())
    }

    /// What has become of it: an error number, or 0.
    pub fn error(&self) -> Result<u64, Errno> {
        let (mut error, mut len) = (0u32, size_of::<u32>() as u32);
        let places = [&raw mut error as u64, &raw mut len as u64];
        call(SYS_GETSOCKOPT, [self.0, SOL_SOCKET, SO_ERROR, places[0], places[1], 0])?;
        Ok(error.into())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = call(SYS_CLOSE, [self.0, 0, 0, 0, 0, 0]);
    }
}
