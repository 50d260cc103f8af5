//! Descriptors beside a line on the control socket.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The two ends of a tunnel.
pub type Pair = [OwnedFd; 2];
/// How many descriptors are kept; the kernel and we close all others.
const MAX: usize = 2;

/// Reads from a socket, and keeps the descriptors that come with the bytes.
pub struct Reader<'a> {
    stream: &'a UnixStream,
    descriptors: Vec<OwnedFd>,
}

impl<'a> Reader<'a> {
    /// Of this socket.
    pub fn new(stream: &'a UnixStream) -> Self {
        Self { stream, descriptors: Vec::new() }
    }

    /// What came, if it was a pair.
    pub fn pair(self) -> Option<Pair> {
        self.descriptors.try_into().ok()
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(into)];
        let received = recvmsg(self.stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                let room = MAX - self.descriptors.len();
                self.descriptors.extend(descriptors.take(room));
            }
        }
        Ok(received.bytes)
    }
}

/// Writes `line`, with the pair beside it.
pub fn send(mut stream: &UnixStream, line: &[u8], pair: Option<&Pair>) -> io::Result<()> {
    let Some(pair) = pair else { return stream.write_all(line) };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let borrowed: [BorrowedFd<'_>; MAX] = pair.each_ref().map(AsFd::as_fd);
    if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let sent = sendmsg(stream, &[IoSlice::new(line)], &mut control, SendFlags::NOSIGNAL)?;
    stream.write_all(&line[sent..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn a_line_and_its_descriptors_arrive() {
        let (near, far) = UnixStream::pair().unwrap();
        let (from, to) = io::pipe().unwrap();
        send(&near, b"a line\n", Some(&[from.into(), to.into()])).unwrap();
        send(&near, b"another\n", None).unwrap();
        let mut reader = BufReader::new(Reader::new(&far));
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "a line\nanother\n");
        let [from, to] = reader.into_inner().pair().unwrap();
        std::fs::File::from(to).write_all(b"through").unwrap();
        let mut bytes = [0; 7];
        std::fs::File::from(from).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"through");
    }

    #[test]
    fn no_more_descriptors_are_kept_than_there_is_use_for() {
        let (near, far) = UnixStream::pair().unwrap();
        let pair =
            || -> Pair { [near.try_clone().unwrap().into(), near.try_clone().unwrap().into()] };
        for _ in 0..3 {
            send(&near, b"x", Some(&pair())).unwrap();
        }
        let mut reader = Reader::new(&far);
        for _ in 0..3 {
            reader.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(reader.descriptors.len(), MAX);
    }
}
