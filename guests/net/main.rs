//! The first and only program of a Linux guest that has a network card: static, without a library,
//! integers only. It loads the modules that it was packed with and brings `eth0` up. Packed with a
//! file `/port` it fetches bytes from that port of the gateway, and holds a connection until it is
//! reset. Without one it sends numbered datagrams and pings to a network that echoes, and checks
//! each answer, so that a save in the middle that loses, doubles or changes a frame is seen. Then
//! it switches the machine off.
#![no_std]
#![no_main]

use linux::file::{self, File};
use linux::hash::Hash;
use linux::socket::{self, Address, Socket};
use linux::sys::Errno;
use linux::{Failure, of, program, say};

program!("abide-net", work);

/// The guest's and its gateway's address.
const GUEST: [u8; 4] = [10, 0, 2, 15];
const MASK: [u8; 4] = [255, 255, 255, 0];
const GATEWAY: [u8; 4] = [10, 0, 2, 2];
/// The port to which datagrams go.
const ECHO_PORT: u16 = 7;

/// How many rounds of work there are.
const ROUNDS: u64 = 160;
/// Datagrams, and pings, on their way at the same time.
const PER_ROUND: u64 = 24;
/// The longest message that fits a frame behind the headers of IP and UDP, in bytes.
const MESSAGE_LEN_MAX: usize = 1472;
/// Bytes for all messages of a round that nobody read yet, with what the kernel adds.
const HELD_LEN: u32 = 200 << 10;
/// Nothing is waited for any longer.
const WAIT_SECONDS: u64 = 100;

/// Lengths of the headers of IP, without options, and of an ICMP echo message, in bytes.
const IP_LEN: usize = 20;
const ICMP_LEN: usize = 8;
/// Types of ICMP messages `[RFC792]`.
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Whose pings they are.
const PING_IDENT: u16 = 0xab1d;

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

/// What message `number` holds: its number, and bytes and a length that follow from it.
fn fill(message: &mut [u8; MESSAGE_LEN_MAX], number: u64) -> usize {
    let mut value = number;
    let (words, _) = message.as_chunks_mut::<8>();
    for word in words {
        *word = value.to_le_bytes();
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number | 1);
    }
    // From the number alone to a full frame, odd lengths among them.
    8 + (number as usize * 613) % (MESSAGE_LEN_MAX - 7)
}

/// Takes bytes into a hash; what is behind the last whole word counts as a word of its own.
fn add(sum: &mut Hash, bytes: &[u8]) {
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum.word(u64::from_le_bytes(word));
    }
}

/// Sends datagrams and pings and checks that each comes back, once and unchanged.
fn echoes() -> Result<(), Failure> {
    let udp = Socket::udp(Address::new(GATEWAY, ECHO_PORT)).map_err(of("open UDP"))?;
    let icmp = Socket::icmp(GATEWAY).map_err(of("open ICMP"))?;
    for socket in [&udp, &icmp] {
        socket.limit_waiting(WAIT_SECONDS).map_err(of("SO_RCVTIMEO"))?;
        socket.hold(HELD_LEN).map_err(of("SO_RCVBUF"))?;
    }
    let mut sum = Hash::new();
    for round in 0..ROUNDS {
        let numbers = round * PER_ROUND..(round + 1) * PER_ROUND;
        let mut message = [0; MESSAGE_LEN_MAX];
        for number in numbers.clone() {
            let len = fill(&mut message, number);
            udp.send(&message[..len]).map_err(of("send a datagram"))?;
            ping(&icmp, number)?;
        }
        for number in numbers {
            let len = fill(&mut message, number);
            check_datagram(&udp, &message[..len], &mut sum)?;
            check_pong(&icmp, number, &mut sum)?;
        }
        say(format_args!("round {}/{ROUNDS}, hash {:016x}", round + 1, sum.value()));
    }
    say(format_args!("network checksum {:016x}", sum.value()));
    Ok(())
}

fn check_datagram(udp: &Socket, sent: &[u8], sum: &mut Hash) -> Result<(), Failure> {
    let mut came = [0; MESSAGE_LEN_MAX + 1];
    let len = udp.receive(&mut came).map_err(of("receive a datagram"))?;
    if &came[..len] != sent {
        return Err(Failure::Wrong("a datagram came back changed, twice or out of order"));
    }
    add(sum, &came[..len]);
    Ok(())
}

/// The sum over 16-bit words that ICMP wants `[RFC792]`.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += (u32::from(pair[0]) << 8) | pair.get(1).map_or(0, |&low| u32::from(low));
    }
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// A ping, or what answers it, with 56 bytes.
fn ping_message(kind: u8, number: u64) -> [u8; ICMP_LEN + 56] {
    let mut message = [0; ICMP_LEN + 56];
    message[0] = kind;
    message[4..6].copy_from_slice(&PING_IDENT.to_be_bytes());
    message[6..8].copy_from_slice(&(number as u16).to_be_bytes());
    for (at, byte) in message[ICMP_LEN..].iter_mut().enumerate() {
        *byte = (number as u8).wrapping_mul(31).wrapping_add(at as u8);
    }
    let sum = internet_checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn ping(icmp: &Socket, number: u64) -> Result<(), Failure> {
    icmp.send(&ping_message(ECHO_REQUEST, number)).map_err(of("send a ping"))
}

fn check_pong(icmp: &Socket, number: u64, sum: &mut Hash) -> Result<(), Failure> {
    let mut came = [0; 256];
    let len = icmp.receive(&mut came).map_err(of("receive a ping"))?;
    let pong = came.get(IP_LEN..len).unwrap_or_default();
    if pong != ping_message(ECHO_REPLY, number) {
        return Err(Failure::Wrong("a ping came back changed, twice or out of order"));
    }
    add(sum, pong);
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
