//! Two ends of a handoff in one process: guests that only say who runs, and connections that can
//! be cut after any byte.

use abide_migrate::driver::{
    DestinationGuest, Dial, GuestError, Keep, Link, Listen, Patience, Resolution, SourceGuest,
};
use abide_migrate::message::{Accept, Compression, MemoryWay, Offer, Round};
use abide_migrate::*;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const TOKEN: RunToken = RunToken { guest: GuestId([7; 16]), epoch: Epoch(3) };
pub const ATTEMPT: Attempt = Attempt([9; 16]);
pub const DIGEST: StateDigest = StateDigest([5; 32]);
/// What a destination takes, if it is offered.
pub const CONNECTIONS: u16 = 3;
pub const TICKET: [u8; 4] = *b"pass";
pub const PATIENCE: Patience = Patience {
    message_max: Duration::from_secs(20),
    settle: Duration::from_secs(20),
    retry: Duration::from_millis(1),
};

/// Who runs, as somebody sees it who looks at both.
#[derive(Default)]
pub struct World {
    source: AtomicBool,
    destination: AtomicBool,
    /// The guest at the source went on after it was stopped.
    has_gone_on: AtomicBool,
    pub discards: AtomicUsize,
    pub wrong: Mutex<Vec<&'static str>>,
}

impl World {
    pub fn check(&self) {
        if self.source.load(Ordering::SeqCst) && self.destination.load(Ordering::SeqCst) {
            self.wrong.lock().unwrap().push("two run");
        }
    }

    pub fn who_runs(&self) -> (bool, bool) {
        (self.source.load(Ordering::SeqCst), self.destination.load(Ordering::SeqCst))
    }
}

/// How many bytes a direction of a connection still takes.
#[derive(Clone)]
pub struct Cut {
    /// Which connection, counted from 0 as they are made.
    pub connection: usize,
    pub left: Arc<AtomicI64>,
    pub cuts_writes: bool,
}

/// A connection over a socket pair.
pub struct Pair {
    stream: UnixStream,
    cut: Option<Cut>,
    pub identities: (PeerId, PeerId),
}

impl Pair {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, cut: None, identities: Default::default() }
    }

    /// How many of `len` bytes go through before the cut.
    fn passes(&self, len: usize, is_write: bool) -> usize {
        let Some(cut) = self.cut.as_ref().filter(|cut| cut.cuts_writes == is_write) else {
            return len;
        };
        let left = cut.left.load(Ordering::SeqCst).max(0);
        usize::try_from(left).unwrap().min(len)
    }

    fn passed(&self, len: usize, is_write: bool) {
        if let Some(cut) = self.cut.as_ref().filter(|cut| cut.cuts_writes == is_write) {
            cut.left.fetch_sub(i64::try_from(len).unwrap(), Ordering::SeqCst);
        }
    }
}

impl Read for Pair {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.passes(room.len(), false);
        if len == 0 {
            self.stream.shutdown(std::net::Shutdown::Both).ok();
            return Ok(0);
        }
        let len = self.stream.read(&mut room[..len])?;
        self.passed(len, false);
        Ok(len)
    }
}

impl Write for Pair {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.passes(bytes.len(), true);
        if len == 0 {
            self.stream.shutdown(std::net::Shutdown::Both).ok();
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let len = self.stream.write(&bytes[..len])?;
        self.passed(len, true);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Link for Pair {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(wait))?;
        self.stream.set_write_timeout(Some(wait))
    }

    fn identities(&self) -> (PeerId, PeerId) {
        self.identities
    }

    fn address(&self) -> String {
        "pair".into()
    }
}

/// Connects to a [`Door`]. Only one connection is cut.
pub struct Dialer {
    pub door: Sender<UnixStream>,
    pub cut: Option<Cut>,
    pub dials: usize,
}

impl Dial for Dialer {
    fn dial(&mut self, _: Duration) -> io::Result<Box<dyn Link>> {
        let (here, there) = UnixStream::pair()?;
        self.door.send(there).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        let cut = self.cut.take_if(|cut| cut.connection == self.dials);
        self.dials += 1;
        Ok(Box::new(Pair { cut, ..Pair::new(here) }))
    }
}

pub struct Door(pub Receiver<UnixStream>);

impl Listen for Door {
    fn accept(&mut self, wait: Duration) -> io::Result<Option<Box<dyn Link>>> {
        match self.0.recv_timeout(wait) {
            Ok(stream) => Ok(Some(Box::new(Pair::new(stream)))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// A journal that is not on a disk, and can be told to fail.
#[derive(Default)]
pub struct Memory {
    pub record: Option<Record>,
    /// Which writes fail, the next one first; what is behind the list succeeds.
    pub fails: Vec<bool>,
    pub written: Vec<Ownership>,
}

impl Keep for Memory {
    fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    fn keep(&mut self, record: &Record) -> Result<(), JournalError> {
        if !self.fails.is_empty() && self.fails.remove(0) {
            let source = io::ErrorKind::StorageFull.into();
            return Err(JournalError::Host { path: "memory".into(), step: "write", source });
        }
        self.written.push(record.ownership);
        self.record = Some(record.clone());
        Ok(())
    }
}

pub struct FakeSource {
    pub world: Arc<World>,
    pub rounds: u32,
    pub fails_at: Option<&'static str>,
    pub steps: Vec<SourceState>,
    pub is_cancelled: bool,
    /// How many further connections it offers.
    pub connections: u16,
    next: u32,
}

impl FakeSource {
    pub fn new(world: &Arc<World>) -> Self {
        world.source.store(true, Ordering::SeqCst);
        Self {
            world: world.clone(),
            rounds: 2,
            fails_at: None,
            steps: Vec::new(),
            is_cancelled: false,
            connections: 0,
            next: 0,
        }
    }

    fn may_fail(&self, step: &'static str) -> Result<(), GuestError> {
        if self.fails_at == Some(step) { Err(format!("{step} fails").into()) } else { Ok(()) }
    }
}

impl SourceGuest for FakeSource {
    fn offer(&mut self) -> Result<Offer, GuestError> {
        self.may_fail("offer")?;
        Ok(Offer { connections: self.connections, ..offer() })
    }

    fn begin_copy(&mut self, _: &Accept) -> Result<(), GuestError> {
        self.next = 0;
        self.may_fail("begin_copy")
    }

    fn plan_round(&mut self, is_last: bool) -> Result<Round, GuestError> {
        let number = self.next;
        self.next += 1;
        Ok(Round { number, is_last, pages: 1, digest: [0; 32] })
    }

    fn send_round(&mut self, round: &Round, links: &mut [&mut dyn Link]) -> Result<(), GuestError> {
        self.may_fail(if round.is_last { "last round" } else { "round" })?;
        if links.len() != 1 + usize::from(self.connections) {
            return Err(format!("{} connections", links.len()).into());
        }
        for link in links {
            link.write_all(&[0xda; 16])?;
        }
        Ok(())
    }

    fn wants_another_round(&mut self) -> bool {
        self.next < self.rounds
    }

    fn end_copy(&mut self) {}

    fn freeze(&mut self) -> Result<StateDigest, GuestError> {
        self.world.source.store(false, Ordering::SeqCst);
        self.may_fail("freeze").map(|()| DIGEST)
    }

    fn state(&mut self) -> Result<Vec<u8>, GuestError> {
        self.may_fail("state").map(|()| b"state".to_vec())
    }

    fn resume(&mut self, _: RunToken) -> Result<(), GuestError> {
        self.may_fail("resume")?;
        self.world.has_gone_on.store(true, Ordering::SeqCst);
        self.world.source.store(true, Ordering::SeqCst);
        self.world.check();
        Ok(())
    }

    fn release(&mut self) {}

    fn end(&mut self) {
        self.world.source.store(false, Ordering::SeqCst);
    }

    fn is_cancelled(&mut self) -> bool {
        self.is_cancelled
    }

    fn entered(&mut self, state: SourceState) {
        self.steps.push(state);
    }
}

pub struct FakeDestination {
    pub world: Arc<World>,
    pub fails_at: Option<&'static str>,
    pub digest: StateDigest,
    /// The test is over: nobody comes any more.
    pub is_over: Arc<AtomicBool>,
    has_state: bool,
}

impl FakeDestination {
    pub fn new(world: &Arc<World>) -> Self {
        Self {
            world: world.clone(),
            fails_at: None,
            digest: DIGEST,
            is_over: Arc::default(),
            has_state: false,
        }
    }

    fn may_fail(&self, step: &'static str) -> Result<(), GuestError> {
        if self.fails_at == Some(step) { Err(format!("{step} fails").into()) } else { Ok(()) }
    }
}

impl DestinationGuest for FakeDestination {
    fn check(&mut self, offer: &Offer) -> Result<Accept, GuestError> {
        assert_eq!((offer.vcpus, offer.machine.as_slice()), (1, &[1, 2, 3][..]));
        let compression = Compression::None;
        let accept = Accept { connections: CONNECTIONS, compression, ticket: TICKET.to_vec() };
        self.may_fail("check").map(|()| accept)
    }

    fn receive_round(&mut self, _: &Round, links: &mut [&mut dyn Link]) -> Result<(), GuestError> {
        for link in links {
            link.set_wait(Duration::from_secs(20))?;
            let mut page = [0; 16];
            link.read_exact(&mut page)?;
            assert_eq!(page, [0xda; 16]);
        }
        self.may_fail("receive")
    }

    fn prepare(&mut self, state: Vec<u8>) -> Result<StateDigest, GuestError> {
        assert_eq!(state, b"state");
        self.has_state = true;
        self.may_fail("prepare").map(|()| self.digest)
    }

    fn run(&mut self, token: RunToken) -> Result<(), GuestError> {
        assert!(self.has_state && token.epoch == TOKEN.epoch.of_destination());
        self.may_fail("run")?;
        if self.world.has_gone_on.load(Ordering::SeqCst) {
            self.world.wrong.lock().unwrap().push("an old state runs");
        }
        self.world.destination.store(true, Ordering::SeqCst);
        self.world.check();
        Ok(())
    }

    fn discard(&mut self) {
        self.has_state = false;
        self.world.discards.fetch_add(1, Ordering::SeqCst);
    }

    fn resolution(&mut self) -> Option<Resolution> {
        let kept = self.is_over.load(Ordering::SeqCst) && self.world.who_runs().0;
        kept.then_some(Resolution::Discard)
    }

    fn is_cancelled(&mut self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

/// What the guest is promised and needs.
pub fn offer() -> Offer {
    Offer {
        name: "web".into(),
        memory: MemoryWay::Stream,
        connections: 0,
        compression: Compression::None,
        vcpus: 1,
        ram_size: 1 << 20,
        counter_frequency_hz: 62_500_000,
        contract: String::new(),
        profile: String::new(),
        machine: vec![1, 2, 3],
    }
}
