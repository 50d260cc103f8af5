//! Guest RAM by its descriptor: nothing is copied, so its size does not matter. What else one
//! process of a host leaves to another goes the same way.

use crate::driver::Link;
use abide_memory::{GuestRam, MemoryError};
use abide_reg::Gpa;
use rustix::fs::SealFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use thiserror::Error;

/// The byte that carries a descriptor.
const MARK: u8 = b'M';

/// Why RAM was not handed over.
#[derive(Debug, Error)]
pub enum DescriptorError {
    /// The connection carries bytes only.
    #[error("memory goes by descriptor only over a UNIX socket: use unix:PATH")]
    Way,
    /// The host.
    #[error("the descriptor of guest memory cannot be {step}: {source}")]
    Host {
        /// What was to be done.
        step: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// Something else came.
    #[error("where the descriptor of guest memory was due came {found}")]
    Absent {
        /// What.
        found: &'static str,
    },
    /// It could be pulled from under the guest.
    #[error(
        "the descriptor that came is of no memory that keeps its size (a memfd with F_SEAL_SHRINK)"
    )]
    Unsealed,
    /// It is shorter than RAM.
    #[error("memory of {found:#x} bytes came, the guest has {allowed:#x}")]
    Length {
        /// Its length, in bytes.
        found: u64,
        /// The size of RAM, in bytes.
        allowed: u64,
    },
    /// It cannot be mapped.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

fn host(step: &'static str) -> impl Fn(rustix::io::Errno) -> DescriptorError {
    move |errno| DescriptorError::Host { step, source: errno.into() }
}

/// Sends the descriptor of `ram`, which this process may go on to use.
///
/// # Errors
/// [`DescriptorError`].
pub fn send(link: &dyn Link, ram: &GuestRam) -> Result<(), DescriptorError> {
    send_one(link.socket().ok_or(DescriptorError::Way)?, ram.fd())
}

/// Sends any one descriptor over a UNIX socket; this process keeps it too.
///
/// # Errors
/// [`DescriptorError::Host`].
pub fn send_one(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> Result<(), DescriptorError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(DescriptorError::Way);
    }
    let mark = [MARK];
    rustix::net::sendmsg(socket, &[IoSlice::new(&mark)], &mut control, SendFlags::NOSIGNAL)
        .map_err(host("sent"))?;
    Ok(())
}

/// Receives RAM of `size` bytes that stands at `base` in the guest. No byte of it is touched.
///
/// # Errors
/// [`DescriptorError`].
pub fn receive(link: &dyn Link, base: Gpa, size: u64) -> Result<GuestRam, DescriptorError> {
    let socket = link.socket().ok_or(DescriptorError::Way)?;
    let descriptor = receive_one(socket)?;
    // Without this seal whoever else has it could end this process by a shorter file.
    let seals = rustix::fs::fcntl_get_seals(&descriptor).unwrap_or(SealFlags::empty());
    if !seals.contains(SealFlags::SHRINK) {
        return Err(DescriptorError::Unsealed);
    }
    let stat = rustix::fs::fstat(&descriptor).map_err(host("looked at"))?;
    let found = u64::try_from(stat.st_size).unwrap_or(0);
    if found < size {
        return Err(DescriptorError::Length { found, allowed: size });
    }
    Ok(GuestRam::from_fd(base, size, descriptor)?)
}

/// Receives one descriptor that [`send_one`] sent.
///
/// # Errors
/// [`DescriptorError::Host`], [`DescriptorError::Absent`].
pub fn receive_one(socket: BorrowedFd<'_>) -> Result<OwnedFd, DescriptorError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    let received = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut mark)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    );
    let received = received.map_err(host("received"))?;
    // More of them than there is room for are closed by the kernel, or by being dropped here.
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.flatten().next();
    match descriptor {
        _ if received.bytes == 0 => Err(DescriptorError::Absent { found: "the end" }),
        Some(descriptor) if mark == [MARK] => Ok(descriptor),
        _ => Err(DescriptorError::Absent { found: "other bytes" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::unix::UnixLink;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::time::Duration;

    const BASE: Gpa = Gpa(0x4000_0000);
    const SIZE: u64 = 1 << 20;

    fn pair() -> (UnixLink, UnixLink) {
        let (near, far) = UnixStream::pair().unwrap();
        let link = |stream| UnixLink::new(stream, Path::new("pair")).unwrap();
        (link(near), link(far))
    }

    /// Sends any descriptor as if it were RAM.
    fn send_any(link: &UnixLink, descriptor: BorrowedFd<'_>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let bytes = [IoSlice::new(&[MARK])];
        let socket = link.socket().unwrap();
        rustix::net::sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    #[test]
    fn ram_is_the_same_on_both_ends() {
        let (near, far) = pair();
        let ram = GuestRam::new(BASE, SIZE).unwrap();
        ram.write(BASE, b"before").unwrap();
        send(&near, &ram).unwrap();
        let there = receive(&far, BASE, SIZE).unwrap();
        ram.write(Gpa(BASE.0 + 8), b"after").unwrap();
        let mut bytes = [0; 13];
        there.read(BASE, &mut bytes).unwrap();
        assert_eq!(&bytes, b"before\0\0after");
    }

    #[test]
    fn what_could_be_pulled_away_or_is_too_short_is_refused() {
        let (near, far) = pair();
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        send_any(&near, file.as_fd());
        assert!(matches!(receive(&far, BASE, SIZE), Err(DescriptorError::Unsealed)));
        send(&near, &GuestRam::new(BASE, SIZE / 2).unwrap()).unwrap();
        assert!(matches!(receive(&far, BASE, SIZE), Err(DescriptorError::Length { .. })));
    }

    #[test]
    fn other_bytes_and_the_end_are_no_ram() {
        let (mut near, mut far) = pair();
        near.write_all(b"M").unwrap();
        assert!(matches!(receive(&far, BASE, SIZE), Err(DescriptorError::Absent { .. })));
        far.set_wait(Duration::from_millis(1)).unwrap();
        assert!(matches!(receive(&far, BASE, SIZE), Err(DescriptorError::Host { .. })));
        drop(near);
        assert!(matches!(receive(&far, BASE, SIZE), Err(DescriptorError::Absent { .. })));
    }
}
