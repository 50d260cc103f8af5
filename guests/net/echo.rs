//! Datagrams and pings to a network that echoes, numbered, so that one that is lost, doubled or
//! changed on its way is seen.

use linux::hash::Hash;
use linux::socket::{Address, Socket};
use linux::{Failure, of};

/// The network's gateway, which echoes.
pub const GATEWAY: [u8; 4] = [10, 0, 2, 2];
/// The guest's address.
pub const GUEST: [u8; 4] = [10, 0, 2, 15];
/// The network's.
pub const MASK: [u8; 4] = [255, 255, 255, 0];
/// The port to which datagrams go.
const ECHO_PORT: u16 = 7;
/// Datagrams, and pings, on their way at the same time.
const PER_ROUND: u64 = 24;
/// The longest message that fits a frame behind the headers of IP and UDP, in bytes.
const MESSAGE_LEN_MAX: usize = 1472;
/// Bytes for all messages of a round that nobody read yet, with what the kernel adds.
const HELD_LEN: u32 = 200 << 10;
/// Nothing is waited for any longer.
pub const WAIT_SECONDS: u64 = 100;

/// Lengths of the headers of IP, without options, and of an ICMP echo message, in bytes.
const IP_LEN: usize = 20;
const ICMP_LEN: usize = 8;
/// Types of ICMP messages `[RFC792]`.
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Whose pings they are.
const PING_IDENT: u16 = 0xab1d;

/// The sockets, and what came back so far.
pub struct Echo {
    udp: Socket,
    icmp: Socket,
    sum: Hash,
}

impl Echo {
    /// Opens the sockets; `eth0` must be up.
    pub fn open() -> Result<Self, Failure> {
        let udp = Socket::udp(Address::new(GATEWAY, ECHO_PORT)).map_err(of("open UDP"))?;
        let icmp = Socket::icmp(GATEWAY).map_err(of("open ICMP"))?;
        for socket in [&udp, &icmp] {
            socket.limit_waiting(WAIT_SECONDS).map_err(of("SO_RCVTIMEO"))?;
            socket.hold(HELD_LEN).map_err(of("SO_RCVBUF"))?;
        }
        meet(&icmp)?;
        Ok(Self { udp, icmp, sum: Hash::new() })
    }

    /// Sends the messages of a round, and checks that each comes back, once and unchanged.
    pub fn round(&mut self, round: u64) -> Result<(), Failure> {
        let numbers = round * PER_ROUND..(round + 1) * PER_ROUND;
        let mut message = [0; MESSAGE_LEN_MAX];
        for number in numbers.clone() {
            let len = fill(&mut message, number);
            self.udp.send(&message[..len]).map_err(of("send a datagram"))?;
            ping(&self.icmp, number)?;
        }
        for number in numbers {
            let len = fill(&mut message, number);
            check_datagram(&self.udp, &message[..len], &mut self.sum)?;
            check_pong(&self.icmp, number, &mut self.sum)?;
        }
        Ok(())
    }

    /// The hash of all that came back.
    pub fn sum(&self) -> u64 {
        self.sum.value()
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

/// One ping alone: afterwards the kernel knows the gateway's Ethernet address. What is sent before
/// that waits for it, and is overtaken by what another CPU sends as soon as it is known.
fn meet(icmp: &Socket) -> Result<(), Failure> {
    ping(icmp, 0)?;
    check_pong(icmp, 0, &mut Hash::new())
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
