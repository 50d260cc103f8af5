//! A proxy between the two sides of a handoff that knows what goes by, and does to it what a case
//! says. Whatever comes is held until all of it is there, so that a cut is where it is said to be.

use super::step::{Cut, Fault, Side, Step, Way};
use anyhow::{Context, Result, bail, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const HEAD_LEN: usize = 24;
/// What a message may have at most, in bytes.
const PAYLOAD_MAX_LEN: usize = 80 << 20;
const CHUNK_HEAD_LEN: usize = 16;
/// How much is taken at once of what nobody can read, in bytes.
const SEALED_MAX_LEN: usize = 16 << 10;

/// How long the sides wait for each other where something comes late.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// `--timeout` of the source, in seconds.
    pub timeout_s: u64,
}

impl Patience {
    /// From the shortest: whatever is not held is in time on a machine that has nothing else to do,
    /// and one that is busy needs more.
    pub const ALL: [Self; 3] =
        [Self { timeout_s: 4 }, Self { timeout_s: 20 }, Self { timeout_s: 100 }];

    /// How long what is late is held: longer than anybody waits for it.
    fn hold(self) -> Duration {
        Duration::from_millis(self.timeout_s * 1250 + 500)
    }
}

/// A connection of either kind.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(address: &str) -> Result<Self> {
        Ok(match address.split_once(':') {
            Some(("tcp", to)) => {
                let stream = TcpStream::connect(to)?;
                stream.set_nodelay(true)?;
                Self::Tcp(stream)
            }
            Some(("unix", path)) => Self::Unix(UnixStream::connect(path)?),
            _ => bail!("{address:?} is no address"),
        })
    }

    /// It may be over already.
    fn close(&self, how: Shutdown) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    fn socket(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&mut &*stream).read(into),
            Stream::Unix(stream) => (&mut &*stream).read(into),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&mut &*stream).write(from),
            Stream::Unix(stream) => (&mut &*stream).write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came, all of it.
struct Unit {
    /// `None` for what is not of an undisturbed handoff.
    step: Option<Step>,
    /// How much of the same came before it, in bytes.
    at: usize,
    bytes: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

/// One direction of a connection.
struct Reader<'a> {
    from: &'a Stream,
    way: Way,
    /// Who says what is read here.
    side: Side,
    /// The round whose memory is due: whether it is the last.
    due: Option<bool>,
    /// A further connection, on which no message goes by any more.
    is_joined: bool,
    /// How much was read that nobody can tell apart, in bytes.
    sealed: usize,
}

impl Reader<'_> {
    /// The next unit, or `None` at the end.
    fn next(&mut self) -> Result<Option<Unit>> {
        if self.way == Way::Tls {
            return self.sealed();
        }
        if let Some(is_last) = self.due.take() {
            self.due = (self.is_joined && !is_last).then_some(true);
            let step = if is_last { Step::LastMemory } else { Step::FirstMemory };
            return match self.way {
                Way::Unix => self.descriptor().map(Some),
                _ => self.chunks(step).map(Some),
            };
        }
        let mut bytes = vec![0; HEAD_LEN];
        if self.from.read(&mut bytes[..1])? == 0 {
            return Ok(None);
        }
        self.from.read_exact(&mut bytes[1..])?;
        let kind = u16::from_le_bytes([bytes[0], bytes[1]]);
        let len = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        ensure!(len <= PAYLOAD_MAX_LEN, "a message of {len} bytes");
        bytes.resize(HEAD_LEN + len, 0);
        self.from.read_exact(&mut bytes[HEAD_LEN..])?;
        let step = step_of(kind, &bytes[HEAD_LEN..]);
        if let Some(step @ (Step::FirstRound | Step::LastRound)) = step {
            let is_last = step == Step::LastRound;
            // A descriptor is sent once.
            let is_due = self.way != Way::Unix || !is_last;
            self.due = is_due.then_some(is_last);
        }
        if step == Some(Step::Join) {
            (self.is_joined, self.due) = (true, Some(false));
        }
        Ok(Some(Unit { step, at: 0, bytes, descriptor: None }))
    }

    /// Whatever came.
    fn sealed(&mut self) -> Result<Option<Unit>> {
        let mut bytes = vec![0; SEALED_MAX_LEN];
        let len = self.from.read(&mut bytes)?;
        bytes.truncate(len);
        let (step, at) = (Some(Step::Sealed(self.side)), self.sealed);
        self.sealed += len;
        Ok((len > 0).then_some(Unit { step, at, bytes, descriptor: None }))
    }

    /// Memory on one connection, up to the head that ends it.
    fn chunks(&mut self, step: Step) -> Result<Unit> {
        let mut bytes = Vec::new();
        let take = |bytes: &mut Vec<u8>, len: usize| -> Result<usize> {
            let at = bytes.len();
            bytes.resize(at + len, 0);
            (&mut &*self.from).read_exact(&mut bytes[at..])?;
            Ok(at)
        };
        loop {
            let head = take(&mut bytes, CHUNK_HEAD_LEN)?;
            let number = |at: usize| {
                let [a, b, c, d] = [0, 1, 2, 3].map(|byte| bytes[head + at + byte]);
                u32::from_le_bytes([a, b, c, d]) as usize
            };
            let (pages, stored) = (number(0), number(8));
            if pages == 0 {
                return Ok(Unit { step: Some(step), at: 0, bytes, descriptor: None });
            }
            ensure!(pages <= 64 && stored <= 64 * 4096, "a chunk of {pages} pages, {stored} bytes");
            take(&mut bytes, pages * 8 + stored)?;
        }
    }

    fn descriptor(&mut self) -> Result<Unit> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut mark = [0];
        let mut into = [IoSliceMut::new(&mut mark)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(self.from.socket(), &mut into, &mut control, flags)?;
        ensure!(received.bytes == 1, "the end came instead of the descriptor");
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        ensure!(descriptor.is_some(), "no descriptor came with its mark");
        let step = Some(Step::FirstMemory);
        Ok(Unit { step, at: 0, bytes: mark.to_vec(), descriptor })
    }
}

/// Which step a message is, by its type and payload.
fn step_of(kind: u16, payload: &[u8]) -> Option<Step> {
    Some(match kind {
        1 => Step::Hello,
        2 => Step::Welcome,
        3 => Step::Offer,
        4 => Step::Accept,
        6 if payload.get(4) == Some(&1) => Step::LastRound,
        6 => Step::FirstRound,
        7 => Step::RoundDone,
        8 => Step::State,
        9 => Step::Prepared,
        10 => Step::Commit,
        11 => Step::Acknowledged,
        14 => Step::Farewell,
        15 => Step::Join,
        16 => Step::Joined,
        _ => return None,
    })
}

/// What a proxy tells.
pub enum Event {
    /// The step of a cut has come, and this is done to it now.
    Reached(Cut),
    /// This is to be done to a process before it goes on; where to say that it was.
    Do(Fault, Sender<()>),
}

/// What went by: connection, step, and bytes.
pub type Passed = (usize, Step, usize);

struct Shared {
    way: Way,
    target: Mutex<String>,
    cuts: Mutex<Vec<Cut>>,
    patience: Patience,
    passed: Mutex<Vec<Passed>>,
    events: Mutex<Sender<Event>>,
    is_over: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A proxy in front of one destination, for one handoff.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    pub events: Receiver<Event>,
    shared: Arc<Shared>,
}

impl Proxy {
    /// In front of `target`; a UNIX socket of its own is at `path`.
    pub fn start(
        way: Way,
        target: &str,
        path: PathBuf,
        cuts: Vec<Cut>,
        patience: Patience,
    ) -> Result<Self> {
        let (sender, events) = channel();
        let shared = Arc::new(Shared {
            way,
            target: Mutex::new(target.to_owned()),
            cuts: Mutex::new(cuts),
            patience,
            passed: Mutex::default(),
            events: Mutex::new(sender),
            is_over: AtomicBool::new(false),
        });
        let address = match way {
            Way::Tcp | Way::Wide | Way::Tls => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let address = format!("tcp:{}", listener.local_addr()?);
                let accept = move || {
                    let (stream, _) = listener.accept()?;
                    stream.set_nodelay(true)?;
                    Ok(Stream::Tcp(stream))
                };
                serve(Arc::clone(&shared), accept);
                address
            }
            Way::Unix => {
                let address = format!("unix:{}", path.display());
                let listener = UnixListener::bind(path)?;
                serve(Arc::clone(&shared), move || Ok(Stream::Unix(listener.accept()?.0)));
                address
            }
        };
        Ok(Self { address, events, shared })
    }

    /// From here on the destination is there.
    pub fn lead_to(&self, target: &str) {
        target.clone_into(&mut lock(&self.shared.target));
    }

    /// What went by so far, as it came.
    pub fn passed(&self) -> Vec<Passed> {
        lock(&self.shared.passed).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // So that the thread that listens looks.
        let _ = Stream::connect(&self.address);
    }
}

fn serve(shared: Arc<Shared>, accept: impl Fn() -> io::Result<Stream> + Send + 'static) {
    thread::spawn(move || {
        for connection in 0.. {
            let Ok(source) = accept() else { return };
            if shared.is_over.load(Ordering::SeqCst) {
                return;
            }
            let target = lock(&shared.target).clone();
            // The source finds its connection closed where nobody listens.
            let Ok(destination) = Stream::connect(&target) else { continue };
            let ends = Arc::new((source, destination));
            let (there, back) = ((Arc::clone(&shared), Arc::clone(&ends)), (&shared, ends));
            let (one, other) = (Side::Source, Side::Destination);
            thread::spawn(move || there.0.pump(connection, one, &there.1.0, &there.1.1));
            let shared = Arc::clone(back.0);
            thread::spawn(move || shared.pump(connection, other, &back.1.1, &back.1.0));
        }
    });
}

impl Shared {
    /// Forwards what `side` says to its end, or until the link is cut.
    fn pump(&self, connection: usize, side: Side, from: &Stream, to: &Stream) {
        let way = self.way;
        let mut reader = Reader { from, way, side, due: None, is_joined: false, sealed: 0 };
        // What went wrong with a connection is over like one that ended.
        while let Ok(Some(unit)) = reader.next() {
            if self.pass(connection, unit, to).is_err() {
                from.close(Shutdown::Both);
                to.close(Shutdown::Both);
                return;
            }
        }
        to.close(Shutdown::Write);
    }

    /// Forwards a unit, or does to it what is due. An error cuts the link.
    fn pass(&self, connection: usize, unit: Unit, to: &Stream) -> Result<()> {
        let len = unit.bytes.len();
        let Some(step) = unit.step else { return send(&unit, len, to) };
        let cut = {
            let mut cuts = lock(&self.cuts);
            let is_due = |cut: &Cut| (cut.connection, cut.step) == (connection, step);
            let is_here = |cut: &Cut| match cut.fault {
                Fault::CutAt(at) if matches!(step, Step::Sealed(_)) => at < unit.at + len,
                _ => true,
            };
            cuts.iter().position(|cut| is_due(cut) && is_here(cut)).map(|at| cuts.remove(at))
        };
        let Some(cut) = cut else {
            // First, for its answer may come by before this thread goes on.
            lock(&self.passed).push((connection, step, len));
            return send(&unit, len, to);
        };
        self.tell(Event::Reached(cut))?;
        match cut.fault {
            Fault::Lost => bail!("cut"),
            Fault::Halved => send(&unit, len / 2, to).and_then(|()| bail!("cut")),
            Fault::CutAt(at) => {
                let first = (at - unit.at).min(len - 1);
                send(&unit, first, to).and_then(|()| bail!("cut"))
            }
            Fault::Late => {
                thread::sleep(self.patience.hold());
                send(&unit, len, to)
            }
            Fault::Doubled => {
                send(&unit, len, to)?;
                send(&unit, len, to)
            }
            Fault::Killed(_) | Fault::Fenced | Fault::Discarded => {
                self.inflict(cut.fault).and_then(|()| bail!("cut"))
            }
            Fault::Full(_) => self.inflict(cut.fault).and_then(|()| send(&unit, len, to)),
        }
    }

    fn tell(&self, event: Event) -> Result<()> {
        lock(&self.events).send(event).context("the case is over")
    }

    /// Has a fault done to a process.
    fn inflict(&self, fault: Fault) -> Result<()> {
        let (sender, done) = channel();
        self.tell(Event::Do(fault, sender))?;
        done.recv().context("the case is over")
    }
}

/// Sends the first `len` bytes of a unit.
fn send(unit: &Unit, len: usize, mut to: &Stream) -> Result<()> {
    let bytes = &unit.bytes[..len];
    let Some(descriptor) = unit.descriptor.as_ref().filter(|_| len > 0) else {
        return Ok(to.write_all(bytes)?);
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    ensure!(control.push(SendAncillaryMessage::ScmRights(&descriptors)), "no room");
    sendmsg(to.socket(), &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_known_by_the_documents_numbers() {
        let mut last = [0; 56];
        assert_eq!(step_of(6, &last), Some(Step::FirstRound));
        last[4] = 1;
        assert_eq!(step_of(6, &last), Some(Step::LastRound));
        assert_eq!(step_of(0x0b, &[]), Some(Step::Acknowledged));
        // Refuse, withdraw, discarded, note.
        for other in [5, 12, 13, 0x8001] {
            assert_eq!(step_of(other, &[]), None);
        }
    }

    /// What arrives of 30 bytes of hello, and whether the cut was told.
    fn arrives(way: Way, fault: Option<Fault>) -> (Vec<u8>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp:{}", listener.local_addr().unwrap());
        let step = if way == Way::Tls { Step::Sealed(Side::Source) } else { Step::Hello };
        let cut = |fault| Cut { connection: 0, step, fault };
        let cuts = fault.into_iter().map(cut).collect();
        let proxy = Proxy::start(way, &target, PathBuf::new(), cuts, Patience::ALL[0]).unwrap();
        let source = Stream::connect(&proxy.address).unwrap();
        let (mut destination, _) = listener.accept().unwrap();
        let mut frame = [7; 30];
        frame[..8].copy_from_slice(&[1, 0, 0, 0, 6, 0, 0, 0]);
        for part in frame.chunks(20) {
            (&source).write_all(part).unwrap();
        }
        source.close(Shutdown::Write);
        let mut arrived = Vec::new();
        destination.read_to_end(&mut arrived).unwrap();
        (arrived, matches!(proxy.events.try_recv(), Ok(Event::Reached(_))))
    }

    #[test]
    fn what_is_cut_ends_where_it_is_cut() {
        let len_by = |way, fault| {
            let (arrived, is_told) = arrives(way, fault);
            assert_eq!(is_told, fault.is_some());
            arrived.len()
        };
        let len = |fault| len_by(Way::Tcp, fault);
        assert_eq!(len(None), 30);
        for at in [0, 19, 20, 29] {
            assert_eq!(len_by(Way::Tls, Some(Fault::CutAt(at))), at);
        }
        assert_eq!(len(Some(Fault::Lost)), 0);
        assert_eq!(len(Some(Fault::Halved)), 15);
        assert_eq!(len(Some(Fault::CutAt(29))), 29);
        assert_eq!(len(Some(Fault::Doubled)), 60);
    }
}
