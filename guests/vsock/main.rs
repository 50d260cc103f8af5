//! The first and only program of a Linux guest that has sockets to its host: static, without a
//! library, integers only. It loads the modules that it was packed with, and then: sends more than
//! any window and has it answered with a checksum; sends back what a program of the host sends it;
//! receives more than any window; is refused where nobody listens; opens as many connections as
//! there can be. It holds connections, one of them busy, until they are reset, and does the first
//! three again. Then it switches the machine off.
#![no_std]
#![no_main]

mod stream;

use linux::sys::Errno;
use linux::{Failure, file, of, program, say};
use stream::Stream;

program!("abide-vsock", work);

/// The guest's number, and the port where it waits for programs of the host.
const CID: u32 = 7;
const PORT: u32 = 1024;

/// Ports of the host: one that answers with a checksum, one that sends, one that only holds, one
/// that sends without an end, one where nobody is.
const TAKES: u32 = 5001;
const GIVES: u32 = 5002;
const HOLDS: u32 = 5003;
const FLOODS: u32 = 5004;
const NOBODY: u32 = 5999;

/// How much goes each way, in bytes: more than any window, and no multiple of a packet.
const LEN: usize = (1 << 20) + 7;
/// How many connections there can be.
const CONNECTIONS: usize = 256;
/// How much of the flood is seen before the guest says so, in bytes.
const SEEN_LEN: usize = 300_000;

const EPIPE: u64 = 32;
const ECONNRESET: u64 = 104;
const ENOTCONN: u64 = 107;

/// A buffer, in bytes: no multiple of anything, so that borders move.
const PIECE_LEN: usize = 5003;

fn work() -> Result<(), Failure> {
    let modules = file::load_modules().map_err(of("finit_module"))?;
    say(format_args!("{modules} modules"));
    let listener = Stream::listen(CID, PORT).map_err(of("listen"))?;
    transfers(&listener, 1)?;
    match Stream::connect(NOBODY) {
        Err(Errno(ECONNRESET)) => say(format_args!("nobody is there")),
        Err(errno) => return Err(Failure::Call("connect to nobody", errno)),
        Ok(_) => return Err(Failure::Wrong("somebody is where nobody should be")),
    }
    limit()?;
    hold(&listener)?;
    transfers(&listener, 2)
}

/// Bytes that follow from a number and their place.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()[4]
    }
}

/// FNV-1a, which does not care how the bytes were cut to pieces.
struct Sum {
    hash: u64,
    len: usize,
}

impl Sum {
    fn new() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, len: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.len += bytes.len();
    }
}

/// Bytes both ways, each way first; `round` tells which bytes.
fn transfers(listener: &Stream, round: u64) -> Result<(), Failure> {
    give(round)?;
    say(format_args!("round {round}: listening"));
    let sum = echo(listener)?;
    say(format_args!("round {round}: sent back {} bytes, hash {:016x}", sum.len, sum.hash));
    take(round)
}

/// Sends bytes, says that they are all, and receives the checksum of what arrived.
fn give(round: u64) -> Result<(), Failure> {
    let stream = Stream::connect(TAKES).map_err(of("connect to who takes"))?;
    let (mut bytes, mut sum) = (Bytes(round), Sum::new());
    let mut piece = [0; PIECE_LEN];
    while sum.len < LEN {
        let len = PIECE_LEN.min(LEN - sum.len);
        piece[..len].fill_with(|| bytes.next());
        sum.add(&piece[..len]);
        stream.send(&piece[..len]).map_err(of("send"))?;
    }
    stream.end().map_err(of("shutdown"))?;
    if !matches!(stream.send(b"more"), Err(Errno(EPIPE))) {
        return Err(Failure::Wrong("sent after the end"));
    }
    let mut answer = [0; 8];
    let mut got = 0;
    while got < answer.len() {
        match stream.receive(&mut answer[got..]).map_err(of("receive a checksum"))? {
            0 => return Err(Failure::Wrong("no checksum came back")),
            len => got += len,
        }
    }
    if stream.receive(&mut [0]).map_err(of("receive the end"))? != 0 {
        return Err(Failure::Wrong("something follows the checksum"));
    }
    if u64::from_le_bytes(answer) != sum.hash {
        return Err(Failure::Wrong("what was sent arrived changed"));
    }
    say(format_args!("round {round}: gave {} bytes, hash {:016x}", sum.len, sum.hash));
    Ok(())
}

/// Receives bytes until no more come.
fn take(round: u64) -> Result<(), Failure> {
    let stream = Stream::connect(GIVES).map_err(of("connect to who gives"))?;
    stream.send(&[round as u8]).map_err(of("send"))?;
    let mut sum = Sum::new();
    let mut piece = [0; PIECE_LEN];
    loop {
        match stream.receive(&mut piece).map_err(of("receive"))? {
            0 => break,
            len => sum.add(&piece[..len]),
        }
    }
    say(format_args!("round {round}: took {} bytes, hash {:016x}", sum.len, sum.hash));
    Ok(())
}

/// Sends back what a program of the host sends.
fn echo(listener: &Stream) -> Result<Sum, Failure> {
    let program = listener.accept().map_err(of("accept"))?;
    let mut sum = Sum::new();
    let mut piece = [0; PIECE_LEN];
    loop {
        match program.receive(&mut piece).map_err(of("receive from the host"))? {
            0 => break,
            len => {
                sum.add(&piece[..len]);
                program.send(&piece[..len]).map_err(of("send back"))?;
            }
        }
    }
    Ok(sum)
}

/// Opens connections until there are no more, and one again when one is closed.
fn limit() -> Result<(), Failure> {
    let mut held: [Option<Stream>; CONNECTIONS] = [const { None }; CONNECTIONS];
    for place in &mut held {
        *place = Some(Stream::connect(HOLDS).map_err(of("connect one more"))?);
    }
    match Stream::connect(HOLDS) {
        Err(Errno(ECONNRESET)) => {}
        Err(errno) => return Err(Failure::Call("connect one too many", errno)),
        Ok(_) => return Err(Failure::Wrong("there is no limit")),
    }
    held[9] = None;
    held[9] = Some(Stream::connect(HOLDS).map_err(of("connect in place of one closed"))?);
    say(format_args!("{CONNECTIONS} connections"));
    Ok(())
}

/// Holds connections until they are reset, which a restore does: one that is busy, one that idles,
/// and one that came from the host.
fn hold(listener: &Stream) -> Result<(), Failure> {
    let idle = Stream::connect(HOLDS).map_err(of("connect to hold"))?;
    say(format_args!("waiting to be held"));
    let accepted = listener.accept().map_err(of("accept to hold"))?;
    let busy = Stream::connect(FLOODS).map_err(of("connect to the flood"))?;
    let mut bytes = Bytes(FLOODS.into());
    let (mut len, mut was_seen) = (0, false);
    let mut piece = [0; PIECE_LEN];
    let lost = loop {
        match busy.receive(&mut piece) {
            Ok(0) => return Err(Failure::Wrong("the flood ended")),
            Ok(more) => {
                if !piece[..more].iter().all(|&byte| byte == bytes.next()) {
                    return Err(Failure::Wrong("the flood is not what it should be"));
                }
                len += more;
            }
            Err(errno) => break errno,
        }
        if len >= SEEN_LEN && !was_seen {
            was_seen = true;
            say(format_args!("holding connections"));
        }
    };
    // Who waits in the kernel hears that it was reset, who comes later that it is not connected.
    if !matches!(lost, Errno(ECONNRESET | ENOTCONN)) {
        return Err(Failure::Call("receive from the flood", lost));
    }
    for stream in [&idle, &accepted] {
        match stream.error().map_err(of("SO_ERROR"))? {
            ECONNRESET => {}
            0 => return Err(Failure::Wrong("a held connection was not reset")),
            other => return Err(Failure::Call("a held connection", Errno(other))),
        }
    }
    say(format_args!("held connections were reset"));
    Ok(())
}
