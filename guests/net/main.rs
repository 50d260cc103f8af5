//! The first and only program of a Linux guest that has a network card: static, without a library,
//! integers only. It loads the modules that it was packed with and brings `eth0` up. Packed with a
//! file `/port` it fetches bytes from that port of the gateway, and holds a connection until it is
//! reset. Without one it sends numbered datagrams and pings to a network that echoes, and checks
//! each answer, so that a save in the middle that loses, doubles or changes a frame is seen. Then
//! it switches the machine off.
#![no_std]
#![no_main]

mod echo;

use echo::{Echo, GATEWAY, GUEST, MASK, WAIT_SECONDS};
use linux::file::{self, File};
use linux::socket::{self, Address, Socket};
use linux::sys::Errno;
use linux::{Failure, of, program, say};

program!("abide-net", work);

/// How many rounds of work there are.
const ROUNDS: u64 = 160;

fn work() -> Result<(), Failure> {
    let modules = file::load_modules().map_err(of("finit_module"))?;
    say(format_args!("{modules} modules"));
    socket::bring_up(GUEST, MASK).map_err(of("bring eth0 up"))?;
    match File::open(c"/port", file::O_RDONLY) {
        Ok(file) => {
            let mut digits = [0; 5];
            file.read_at(None, &mut digits).map_err(of("read /port"))?;
            let text = core::str::from_utf8(&digits).ok();
            let port = text.and_then(|text| text.parse().ok());
            fetch_and_hold(Address::new(GATEWAY, port.ok_or(Failure::Wrong("/port"))?))
        }
        Err(_) => echoes(),
    }
}

/// Sends datagrams and pings and checks that each comes back, once and unchanged.
fn echoes() -> Result<(), Failure> {
    let mut echo = Echo::open()?;
    for round in 0..ROUNDS {
        echo.round(round)?;
        say(format_args!("round {}/{ROUNDS}, hash {:016x}", round + 1, echo.sum()));
    }
    say(format_args!("network checksum {:016x}", echo.sum()));
    Ok(())
}

/// Fetches bytes, holds a connection until it is reset, which a restore does, and fetches others.
fn fetch_and_hold(server: Address) -> Result<(), Failure> {
    fetch(server, b'1')?;
    let held = ask(server, b'h')?;
    let mut byte = [0];
    if held.receive(&mut byte).map_err(of("receive on the held connection"))? != 1 {
        return Err(Failure::Wrong("the held connection ended at once"));
    }
    say(format_args!("holding a connection"));
    match held.receive(&mut byte) {
        Err(Errno(socket::ECONNRESET)) => say(format_args!("the held connection was reset")),
        Err(errno) => return Err(Failure::Call("receive on the held connection", errno)),
        Ok(_) => return Err(Failure::Wrong("the held connection was not reset")),
    }
    drop(held);
    fetch(server, b'2')
}

fn ask(server: Address, what: u8) -> Result<Socket, Failure> {
    let socket = Socket::tcp(server).map_err(of("connect"))?;
    socket.limit_waiting(WAIT_SECONDS).map_err(of("SO_RCVTIMEO"))?;
    socket.send(&[what]).map_err(of("send over TCP"))?;
    Ok(socket)
}

fn fetch(server: Address, what: u8) -> Result<(), Failure> {
    let socket = ask(server, what)?;
    let mut bytes = [0; 4096];
    // FNV-1a, which does not care how the bytes were cut to pieces.
    let (mut hash, mut total) = (0xcbf2_9ce4_8422_2325_u64, 0);
    loop {
        let len = socket.receive(&mut bytes).map_err(of("receive over TCP"))?;
        if len == 0 {
            break;
        }
        for &byte in &bytes[..len] {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        total += len;
    }
    say(format_args!("fetched {total} bytes, hash {hash:016x}"));
    Ok(())
}
