//! Guests that tests play, packet by packet, against programs with real sockets.

use super::connection::{TO_GUEST_MAX, TO_HOST_MAX};
use super::packet::{Header, Op, shutdown};
use super::{CONNECTIONS_MAX, Port, VsockError, open};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const CID: u32 = 7;
/// What the guest has room for.
const ROOM: u32 = 100_000;
/// A test that waits this long waits for ever.
const LIMIT: Duration = Duration::from_secs(100);
/// The most that a guest's buffer holds here, in bytes.
const BUFFER_LEN: usize = 4096;

struct Guest {
    folder: tempfile::TempDir,
    port: Port,
    ready: Receiver<()>,
}

impl Guest {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tell, ready) = channel();
        let ready_now = Arc::new(move || {
            let _ = tell.send(());
        });
        let port = open(&folder.path().join("v"), CID, ready_now).unwrap();
        Self { folder, port, ready }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("v")
    }

    /// Listens as a program of the host does, for the guest's connections to `port`.
    fn listen(&self, port: u32) -> UnixListener {
        UnixListener::bind(self.folder.path().join(format!("v_{port}"))).unwrap()
    }

    /// The next packet.
    fn next(&self) -> (Header, Vec<u8>) {
        loop {
            if let Some(bytes) = self.port.receive(44 + BUFFER_LEN) {
                let (header, payload) = Header::parse(&bytes).unwrap();
                assert_eq!((header.src_cid, header.dst_cid), (2, CID.into()));
                assert_eq!(header.len as usize, payload.len());
                return (header, payload.to_vec());
            }
            // What looks empty may be told of again.
            if !self.port.has_packet() {
                self.ready.recv_timeout(LIMIT).expect("nothing came");
            }
        }
    }

    /// The next packet, which must be of this kind.
    fn expect(&self, op: Op) -> (Header, Vec<u8>) {
        let (header, payload) = self.next();
        assert_eq!(header.op, op, "{header:?}");
        (header, payload)
    }

    fn send(&self, header: Header, payload: &[u8]) {
        let mut bytes = header.to_bytes();
        bytes.extend(payload);
        assert!(self.port.send(&bytes));
    }
}

/// A packet of the guest.
fn header(op: Op, host: u32, guest: u32) -> Header {
    Header {
        src_cid: CID.into(),
        dst_cid: 2,
        src_port: guest,
        dst_port: host,
        len: 0,
        kind: 1,
        op,
        flags: 0,
        buf_alloc: ROOM,
        fwd_cnt: 0,
    }
}

fn data(host: u32, guest: u32, payload: &[u8]) -> Header {
    Header { len: u32::try_from(payload.len()).unwrap(), ..header(Op::RW, host, guest) }
}

fn shut(host: u32, guest: u32, flags: u32) -> Header {
    Header { flags, ..header(Op::SHUTDOWN, host, guest) }
}

/// A guest's connection from its port 1000 to the host's port 52.
fn connected() -> (Guest, UnixStream) {
    let guest = Guest::new();
    let listener = guest.listen(52);
    guest.send(header(Op::REQUEST, 52, 1000), b"");
    let (answer, _) = guest.expect(Op::RESPONSE);
    assert_eq!((answer.src_port, answer.dst_port, answer.kind), (52, 1000, 1));
    assert_eq!(answer.buf_alloc as usize, TO_HOST_MAX);
    let (program, _) = listener.accept().unwrap();
    program.set_read_timeout(Some(LIMIT)).unwrap();
    (guest, program)
}

fn read(program: &mut UnixStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    program.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn guest_reaches_a_program_and_bytes_go_both_ways() {
    let (guest, mut program) = connected();
    guest.send(data(52, 1000, b"question"), b"question");
    assert_eq!(read(&mut program, 8), b"question");
    program.write_all(b"answer").unwrap();
    let (header, payload) = guest.expect(Op::RW);
    assert_eq!((header.src_port, header.dst_port, &payload[..]), (52, 1000, &b"answer"[..]));
    assert_eq!(header.fwd_cnt, 8, "what the program took");
}

#[test]
fn program_reaches_the_guest_by_the_line_it_writes() {
    let guest = Guest::new();
    let mut program = UnixStream::connect(guest.path()).unwrap();
    // What stands behind the line already belongs to the stream.
    program.write_all(b"CONNECT 1024\nearly").unwrap();
    let (request, _) = guest.expect(Op::REQUEST);
    assert_eq!(request.dst_port, 1024);
    assert!(request.src_port >= 1 << 30);
    guest.send(header(Op::RESPONSE, request.src_port, 1024), b"");
    let mut line = String::new();
    BufReader::new(&program).read_line(&mut line).unwrap();
    assert_eq!(line, format!("OK {}\n", request.src_port));
    let (header, payload) = guest.expect(Op::RW);
    // The line is this end's own: no credit of the guest's.
    assert_eq!((&payload[..], header.fwd_cnt), (&b"early"[..], 0));
    guest.send(data(request.src_port, 1024, b"hello"), b"hello");
    assert_eq!(read(&mut program, 5), b"hello");
}

#[test]
fn programs_that_the_guest_does_not_want_or_that_ask_for_nonsense_are_closed() {
    let guest = Guest::new();
    let mut refused = UnixStream::connect(guest.path()).unwrap();
    refused.write_all(b"CONNECT 9\n").unwrap();
    let (request, _) = guest.expect(Op::REQUEST);
    guest.send(header(Op::RST, request.src_port, 9), b"");
    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
    let mut wrong = UnixStream::connect(guest.path()).unwrap();
    wrong.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!(wrong.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn guest_that_nobody_listens_to_is_reset() {
    let guest = Guest::new();
    guest.send(header(Op::REQUEST, 53, 1000), b"");
    let (reset, _) = guest.expect(Op::RST);
    assert_eq!((reset.src_port, reset.dst_port, reset.kind), (53, 1000, 1));
}

#[test]
fn packets_of_no_connection_are_reset_and_resets_never() {
    let guest = Guest::new();
    for op in [Op::RESPONSE, Op::RW, Op::SHUTDOWN, Op::CREDIT_UPDATE, Op(0), Op(9)] {
        guest.send(header(op, 52, 1000), b"");
        guest.expect(Op::RST);
    }
    let seqpacket = Header { kind: 2, ..header(Op::REQUEST, 52, 1000) };
    guest.send(seqpacket, b"");
    assert_eq!(guest.expect(Op::RST).0.kind, 2);
    let elsewhere = Header { dst_cid: 9, ..header(Op::REQUEST, 52, 1000) };
    guest.send(elsewhere, b"");
    let bytes = guest.port.receive(100).unwrap();
    let (reset, _) = Header::parse(&bytes).unwrap();
    assert_eq!((reset.op, reset.src_cid), (Op::RST, 9));
    guest.send(header(Op::RST, 52, 1000), b"");
    guest.send(Header { kind: 2, ..header(Op::RST, 52, 1000) }, b"");
    guest.send(Header { src_cid: 8, ..header(Op::REQUEST, 52, 1000) }, b"");
    assert!(guest.port.send(&[0; 43]) && !guest.port.has_packet());
}

#[test]
fn guests_that_break_the_protocol_lose_their_connection() {
    let wrong = [
        Header { len: 5, ..header(Op::RW, 52, 1000) },
        Header { len: 5, ..header(Op::CREDIT_UPDATE, 52, 1000) },
        header(Op::RESPONSE, 52, 1000),
        header(Op::REQUEST, 52, 1000),
        header(Op(77), 52, 1000),
    ];
    for wrong in wrong {
        let (guest, mut program) = connected();
        guest.send(wrong, b"");
        guest.expect(Op::RST);
        assert_eq!(program.read(&mut [0]).unwrap(), 0, "{wrong:?}");
    }
    let (guest, mut program) = connected();
    guest.send(shut(52, 1000, shutdown::SEND), b"");
    guest.send(data(52, 1000, b"more"), b"more");
    guest.expect(Op::RST);
    assert_eq!(program.read(&mut [0]).unwrap(), 0);
}

#[test]
fn guest_that_sends_more_than_its_credit_is_reset() {
    // Nobody reads at the other end, so what its socket does not hold waits here.
    let (guest, _program) = connected();
    let piece = vec![1; 64 << 10];
    let mut sent = 0;
    loop {
        guest.send(data(52, 1000, &piece), &piece);
        sent += piece.len();
        if guest.port.has_packet() && guest.next().0.op == Op::RST {
            break;
        }
        assert!(sent < 64 << 20, "nothing stops it");
    }
    assert!(sent > TO_HOST_MAX);
}

#[test]
fn guest_is_told_when_there_is_room_again() {
    let (guest, mut program) = connected();
    // It sends what it has credit for, in whatever pieces, until a megabyte has gone.
    let (mut sent, mut took) = (0_usize, 0_usize);
    let stream: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        program.read_to_end(&mut bytes).unwrap();
        bytes
    });
    while sent < stream.len() {
        let room = TO_HOST_MAX - (sent - took);
        let len = room.min(stream.len() - sent).min(60_001);
        if len == 0 {
            took = guest.expect(Op::CREDIT_UPDATE).0.fwd_cnt as usize;
            continue;
        }
        guest.send(data(52, 1000, &stream[sent..sent + len]), &stream[sent..sent + len]);
        sent += len;
    }
    guest.send(shut(52, 1000, shutdown::BOTH), b"");
    while guest.next().0.op != Op::RST {}
    assert_eq!(reader.join().unwrap(), stream);
}

#[test]
fn guest_gets_no_more_than_it_has_room_for() {
    let (guest, mut program) = connected();
    let stream: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
    let sent = stream.clone();
    let writer = std::thread::spawn(move || {
        program.write_all(&sent).unwrap();
        program
    });
    let (mut got, mut asked) = (Vec::new(), 0);
    let mut told = 0;
    while got.len() < stream.len() {
        let (header, payload) = guest.next();
        got.extend(payload);
        assert!(got.len() - told <= ROOM as usize);
        if header.op == Op::CREDIT_REQUEST {
            asked += 1;
            assert_eq!(got.len() - told, ROOM as usize, "asked although there was room");
            // An answer that brings nothing new is no reason to ask again.
            let fwd_cnt = u32::try_from(told).unwrap();
            guest.send(Header { fwd_cnt, ..self::header(Op::CREDIT_UPDATE, 52, 1000) }, b"");
            assert!(guest.port.receive(100).is_none());
            told = got.len();
            let fwd_cnt = u32::try_from(told).unwrap();
            guest.send(Header { fwd_cnt, ..self::header(Op::CREDIT_UPDATE, 52, 1000) }, b"");
        }
    }
    assert!(got == stream && asked >= (1 << 20) / ROOM - 1);
    drop(writer.join().unwrap());
}

#[test]
fn guest_that_claims_to_have_taken_more_than_it_got_gets_nothing() {
    let (guest, mut program) = connected();
    let lie = Header { fwd_cnt: 1, ..header(Op::CREDIT_UPDATE, 52, 1000) };
    guest.send(lie, b"");
    program.write_all(b"x").unwrap();
    guest.expect(Op::CREDIT_REQUEST);
    guest.send(header(Op::CREDIT_UPDATE, 52, 1000), b"");
    assert_eq!(guest.expect(Op::RW).1, b"x");
}

#[test]
fn each_half_closes_by_itself() {
    let (guest, mut program) = connected();
    program.write_all(b"last").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.expect(Op::RW).1, b"last");
    assert_eq!(guest.expect(Op::SHUTDOWN).0.flags, shutdown::SEND);
    guest.send(data(52, 1000, b"still"), b"still");
    assert_eq!(read(&mut program, 5), b"still");
    guest.send(shut(52, 1000, shutdown::SEND), b"");
    assert_eq!(program.read(&mut [0]).unwrap(), 0);
    // Nothing can follow either way, and each side says so.
    assert_eq!(guest.expect(Op::SHUTDOWN).0.flags, shutdown::BOTH);
    guest.send(shut(52, 1000, shutdown::BOTH), b"");
    guest.expect(Op::RST);
}

#[test]
fn guest_that_reads_no_more_stops_the_program() {
    let (guest, mut program) = connected();
    guest.send(shut(52, 1000, shutdown::RECEIVE), b"");
    let failed = loop {
        if let Err(error) = program.write(&[0; 1024]) {
            break error;
        }
    };
    assert_eq!(failed.kind(), ErrorKind::BrokenPipe);
    guest.send(data(52, 1000, b"still"), b"still");
    assert_eq!(read(&mut program, 5), b"still");
}

#[test]
fn program_that_goes_is_heard_of_after_its_last_byte() {
    let (guest, mut program) = connected();
    let last = vec![5; TO_GUEST_MAX + 20_000];
    program.write_all(&last).unwrap();
    drop(program);
    let mut got = Vec::new();
    let flags = loop {
        let (header, payload) = guest.next();
        match header.op {
            Op::RW => got.extend(payload),
            Op::SHUTDOWN if header.flags == shutdown::BOTH => break header.flags,
            // It may be heard first that nobody reads any more.
            Op::SHUTDOWN => assert_eq!(header.flags, shutdown::RECEIVE),
            op => panic!("{op:?}"),
        }
    };
    assert_eq!((got, flags), (last, shutdown::BOTH));
    guest.send(header(Op::RST, 52, 1000), b"");
}

#[test]
fn what_the_guest_sent_before_it_went_arrives() {
    let (guest, mut program) = connected();
    let piece = vec![3; 100_000];
    for _ in 0..4 {
        while !guest.port.send(&[data(52, 1000, &piece).to_bytes(), piece.clone()].concat()) {}
        if guest.port.has_packet() {
            break;
        }
    }
    let (guest, sent) = (guest, 100_000);
    guest.send(header(Op::RST, 52, 1000), b"");
    let mut got = Vec::new();
    program.read_to_end(&mut got).unwrap();
    assert!(got.len() >= sent && got.iter().all(|&byte| byte == 3), "{}", got.len());
}

#[test]
fn machine_that_ends_hands_over_what_fits_and_removes_its_socket() {
    let (guest, mut program) = connected();
    guest.send(data(52, 1000, b"bye"), b"bye");
    let path = guest.path();
    let Guest { folder, port, ready } = guest;
    assert!(path.exists());
    drop(port);
    assert!(!path.exists());
    let mut got = Vec::new();
    program.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"bye");
    drop((folder, ready));
}

#[test]
fn driver_that_begins_anew_ends_what_it_knew() {
    let (guest, mut program) = connected();
    let mut early = UnixStream::connect(guest.path()).unwrap();
    early.write_all(b"CONNECT 7\n").unwrap();
    let (request, _) = guest.expect(Op::REQUEST);
    guest.port.reset();
    assert_eq!(program.read(&mut [0]).unwrap(), 0);
    assert_eq!(early.read(&mut [0]).unwrap(), 0);
    assert!(!guest.port.has_packet());
    guest.send(header(Op::RESPONSE, request.src_port, 7), b"");
    guest.expect(Op::RST);
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    let guest = Guest::new();
    let listener = guest.listen(52);
    listener.set_nonblocking(true).unwrap();
    let mut programs = Vec::new();
    let count = u32::try_from(CONNECTIONS_MAX).unwrap();
    for number in 0..count {
        guest.send(header(Op::REQUEST, 52, number), b"");
        assert_eq!(guest.expect(Op::RESPONSE).0.dst_port, number);
        programs.push(listener.accept().unwrap());
    }
    guest.send(header(Op::REQUEST, 52, count), b"");
    assert_eq!(guest.expect(Op::RST).0.dst_port, count);
    let mut one_more = UnixStream::connect(guest.path()).unwrap();
    one_more.write_all(b"CONNECT 7\n").unwrap();
    assert_eq!(one_more.read(&mut [0]).unwrap(), 0);
    guest.send(header(Op::RST, 52, 5), b"");
    guest.send(header(Op::REQUEST, 52, count), b"");
    guest.expect(Op::RESPONSE);
}

#[test]
fn guest_that_takes_no_answers_is_not_listened_to() {
    let guest = Guest::new();
    let stray = header(Op::RW, 52, 1000).to_bytes();
    let taken = (0..10_000).take_while(|_| guest.port.send(&stray)).count();
    assert_eq!(taken, 256);
    guest.expect(Op::RST);
    assert!(guest.port.send(&stray) && !guest.port.send(&stray));
}

#[test]
fn sockets_of_the_dead_make_room_and_those_of_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v");
    let ready: crate::Ready = Arc::new(|| ());
    let try_open = || open(&path, CID, Arc::clone(&ready));
    // One who died leaves the file and listens no more.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let port = try_open().unwrap();
    assert!(matches!(try_open(), Err(VsockError::InUse { path: named }) if named == path));
    // Somebody else's file is not removed at the end.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"precious").unwrap();
    drop(port);
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let refused = try_open().err().unwrap();
    assert!(matches!(refused, VsockError::NoSocket { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn paths_may_be_long_and_names_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("d".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let ready: crate::Ready = Arc::new(|| ());
    let name = "n".repeat(super::NAME_MAX_LEN);
    assert!(open(&long.join(&name), CID, Arc::clone(&ready)).is_ok());
    for bad in [long.join(format!("{name}n")), PathBuf::from("/"), long.join("x/")] {
        let refused = open(&bad, CID, Arc::clone(&ready)).err().unwrap();
        assert!(matches!(refused, VsockError::Name { .. }), "{refused}");
    }
    let missing = open(&long.join("no/v"), CID, ready).err().unwrap().to_string();
    assert!(missing.contains("no/v") && !missing.contains('\n'), "{missing}");
}
