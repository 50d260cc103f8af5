//! Guest RAM over loopback, beside plain TCP connections that move as many bytes and beside rustls
//! alone: in turns, in one run, so that a busy host slows both. Figures with their conditions.
//!
//! Not by criterion: what counts is the ratio of two that were measured one after the other.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has no result")]

mod bulk;

use abide_memory::{GuestRam, PAGE_SIZE};
use abide_migrate::driver::{Dial, Link, Listen};
use abide_migrate::message::Compression;
use abide_migrate::transport::pages::{Outgoing, receive};
use abide_migrate::transport::tcp::{TcpDial, TcpListen};
use abide_migrate::transport::tls::{Key, TlsDial, TlsListen};
use abide_reg::Gpa;
use rustix::fs::MemfdFlags;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

const BASE: Gpa = Gpa(0x4000_0000);
const SIZE: usize = 256 << 20;
const PAGES: u64 = SIZE as u64 / PAGE_SIZE;
/// What a plain program writes and reads at once, in bytes.
const PIECE_LEN: usize = 256 << 10;
const WAIT: Duration = Duration::from_secs(10);
const TURNS: usize = 11;

/// The two ends of each connection.
type Links = (Vec<Box<dyn Link>>, Vec<Box<dyn Link>>);

fn main() {
    let cpus = thread::available_parallelism().map_or(0, usize::from);
    println!("{} MiB over loopback, {cpus} CPUs; other load shows in every figure", SIZE >> 20);
    println!("{:<64} {:>8} {:>8} {:>8}", "", "min", "median", "max");
    let full = ram_of(Content::Random);
    let [zero, text] = [Content::Zero, Content::Text].map(ram_of);
    let bytes = vec![0x5a; SIZE];
    let rustls_throws_away =
        ("rustls alone, over TCP, thrown away", || bulk::over_tcp(&bytes, Kept::Nowhere));
    let rustls_stores =
        ("rustls alone, over TCP, into new memory", || bulk::over_tcp(&bytes, Kept::InNewMemory));
    let rustls_in_memory = ("rustls alone, without any socket", || bulk::in_memory(&bytes));
    for (connections, kept) in [(1, Kept::InNewMemory), (2, Kept::InNewMemory), (1, Kept::Nowhere)]
    {
        let mut links = linked(connections, &tcp_pair());
        let what = format!("TCP, connections: {connections}");
        let name = match kept {
            Kept::InNewMemory => "plain, into new memory",
            Kept::Nowhere => "plain, thrown away",
        };
        let plain = || plain_tcp(&bytes, connections, kept);
        let ours = || pre_copy(&full, &mut links, Compression::None);
        compare(&what, (name, plain), ("pre-copy", ours));
    }
    let mut links = linked(1, &tls_pair());
    let mut ours = || pre_copy(&full, &mut links, Compression::None);
    compare("TLS, one connection", rustls_throws_away, ("pre-copy", &mut ours));
    compare("TLS, one connection", rustls_stores, ("pre-copy", &mut ours));
    compare("TLS, one connection", rustls_in_memory, ("pre-copy", &mut ours));
    // As rounds after the first find it: the host need not find new memory.
    let there = GuestRam::new(BASE, SIZE as u64).expect("256 MiB");
    pre_copy_to(&there, &full, &mut links, Compression::None);
    let mut ours = || pre_copy_to(&there, &full, &mut links, Compression::None);
    let again = "pre-copy, into memory that is there";
    compare("TLS, one connection", rustls_throws_away, (again, &mut ours));
    compare("TLS, one connection", rustls_in_memory, (again, &mut ours));
    // What anybody's connection can come to, beside what none is.
    let plain = ("TCP, plain, thrown away", || plain_tcp(&bytes, 1, Kept::Nowhere));
    compare("one connection", rustls_in_memory, plain);
    compare("one connection", rustls_in_memory, rustls_throws_away);
    let mut links = linked(1, &tcp_pair());
    for (what, ram, compression) in [
        ("pre-copy of zero pages", &zero, Compression::None),
        ("pre-copy of text, LZ4", &text, Compression::Lz4),
        ("pre-copy of noise, LZ4", &full, Compression::Lz4),
    ] {
        let times = (0..TURNS).map(|_| mib_per_s(pre_copy(ram, &mut links, compression).time));
        row(&format!("{what}, MiB/s"), times.collect());
    }
}

/// What takes turns: its name, and what it does.
type Turn<'a, F> = (&'a str, F);

fn compare(
    what: &str,
    (other, mut do_other): Turn<'_, impl FnMut() -> Spent>,
    (own, mut do_own): Turn<'_, impl FnMut() -> Spent>,
) {
    let mut columns: [Vec<f64>; 4] = Default::default();
    for _ in 0..TURNS {
        let (other, own) = (do_other(), do_own());
        let values = [
            mib_per_s(other.time),
            mib_per_s(own.time),
            other.time.as_secs_f64() / own.time.as_secs_f64(),
            other.cpu.as_secs_f64() / own.cpu.as_secs_f64(),
        ];
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }
    println!("{what}");
    let [others, owns, ratios, cpu_ratios] = columns;
    row(&format!("  {other}, MiB/s"), others);
    row(&format!("  {own}, MiB/s"), owns);
    row(&format!("  {own} / {other}, in a second"), ratios);
    row(&format!("  {own} / {other}, in a second of CPU"), cpu_ratios);
}

/// What it took.
struct Spent {
    time: Duration,
    /// Of all threads of both ends: other load slows them, and hardly adds to this.
    cpu: Duration,
}

/// When it began.
struct Begin {
    time: Instant,
    cpu: Duration,
}

impl Begin {
    fn now() -> Self {
        Self { time: Instant::now(), cpu: cpu() }
    }

    fn spent(&self) -> Spent {
        Spent { time: self.time.elapsed(), cpu: cpu() - self.cpu }
    }
}

fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("it counts from zero")
}

fn mib_per_s(time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for reading")]
    let mib = (SIZE >> 20) as f64;
    mib / time.as_secs_f64()
}

fn row(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let [min, median, max] = [values[0], values[values.len() / 2], values[values.len() - 1]];
    println!("{name:<64} {min:>8.2} {median:>8.2} {max:>8.2}");
}

enum Content {
    Random,
    Text,
    Zero,
}

fn ram_of(content: Content) -> GuestRam {
    let ram = GuestRam::new(BASE, SIZE as u64).expect("256 MiB");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut page = [0; 4096];
    for offset in (0..SIZE as u64).step_by(page.len()) {
        for (place, word) in page.as_chunks_mut().0.iter_mut().enumerate() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *word = match content {
                Content::Random => state.to_le_bytes(),
                Content::Text if place % 4 == 0 => state.to_le_bytes(),
                Content::Text => *b"the text",
                Content::Zero => [0; 8],
            };
        }
        ram.write(Gpa(BASE.0 + offset), &page).expect("inside");
    }
    ram
}

type Pair = (Box<dyn Listen + Send>, Box<dyn Dial>);

fn tcp_pair() -> impl Fn() -> Pair {
    || {
        let listen = TcpListen::bind("127.0.0.1:0").expect("a free port");
        let to = listen.address().expect("it listens").to_string();
        (Box::new(listen), Box::new(TcpDial { to }))
    }
}

fn tls_pair() -> impl Fn() -> Pair {
    let [near, far] = [(); 2].map(|()| Key::generate().expect("random numbers"));
    move || {
        let listen = TlsListen::bind("127.0.0.1:0", &far, &[near.identity()]);
        let listen = listen.expect("a free port");
        let to = listen.address().expect("it listens").to_string();
        let dial = TlsDial::new(&to, &near, &[far.identity()]).expect("a good key");
        (Box::new(listen), Box::new(dial))
    }
}

fn linked(connections: usize, pair: &dyn Fn() -> Pair) -> Links {
    (0..connections)
        .map(|_| {
            let (mut listen, mut dial) = pair();
            let far = thread::spawn(move || listen.accept(WAIT));
            let mut near = dial.dial(WAIT).expect("somebody listens");
            // Who says nothing is not let in.
            near.write_all(b"!").expect("it is connected");
            let far = far.join().expect("no panic").expect("it listens");
            let mut far = far.expect("somebody came");
            far.read_exact(&mut [0]).expect("it was said");
            (near, far)
        })
        .unzip()
}

/// One round with all of RAM, into RAM that nothing was written to.
fn pre_copy(from: &GuestRam, links: &mut Links, compression: Compression) -> Spent {
    let to = GuestRam::new(BASE, SIZE as u64).expect("256 MiB");
    pre_copy_to(&to, from, links, compression)
}

/// One round with all of RAM.
fn pre_copy_to(
    to: &GuestRam,
    from: &GuestRam,
    (near, far): &mut Links,
    compression: Compression,
) -> Spent {
    let mut near: Vec<_> = near.iter_mut().map(|link| &mut **link as &mut dyn Link).collect();
    let mut far: Vec<_> = far.iter_mut().map(|link| &mut **link as &mut dyn Link).collect();
    let begin = Begin::now();
    let outgoing = Outgoing::of((0..PAGES).collect());
    let round = outgoing.announce(0, false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let sent = outgoing.send(&round, from, &mut near, compression, || false);
            sent.expect("a receiver that takes all");
        });
        receive(&round, to, &mut far, compression).expect("a good round");
    });
    begin.spent()
}

/// Both ends of a TCP connection.
fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = listener.local_addr().expect("it listens");
    let near = TcpStream::connect(to).expect("somebody listens");
    (near, listener.accept().expect("somebody came").0)
}

/// What a plain program does with what it reads.
#[derive(Clone, Copy)]
enum Kept {
    /// Puts it where guest RAM would be: into a memfd that has no memory yet.
    InNewMemory,
    /// Nothing, as no program does that moves anything.
    Nowhere,
}

impl Kept {
    /// Where so many bytes are put.
    fn memory(self, len: usize) -> Option<File> {
        match self {
            Self::Nowhere => None,
            Self::InNewMemory => {
                let memory = rustix::fs::memfd_create("bench", MemfdFlags::CLOEXEC);
                let memory = File::from(memory.expect("a memfd"));
                memory.set_len(len as u64).expect("room");
                Some(memory)
            }
        }
    }
}

/// `bytes` over so many connections, by a program that does nothing else: no checksums, no numbers,
/// no zeros.
fn plain_tcp(bytes: &[u8], connections: usize, kept: Kept) -> Spent {
    let pairs: Vec<_> = (0..connections).map(|_| sockets()).collect();
    let memory = kept.memory(bytes.len());
    let begin = Begin::now();
    thread::scope(|scope| {
        let shares = bytes.chunks(bytes.len().div_ceil(connections));
        let mut next = 0;
        for ((mut near, mut far), bytes) in pairs.into_iter().zip(shares) {
            let memory = memory.as_ref();
            let mut at = next;
            next += bytes.len() as u64;
            scope.spawn(move || {
                bytes.chunks(PIECE_LEN).for_each(|piece| near.write_all(piece).expect("taken"));
            });
            scope.spawn(move || {
                let mut room = vec![0; PIECE_LEN];
                while let Ok(len @ 1..) = far.read(&mut room) {
                    if let Some(memory) = memory {
                        memory.write_all_at(&room[..len], at).expect("room");
                    }
                    at += len as u64;
                }
            });
        }
    });
    begin.spent()
}
