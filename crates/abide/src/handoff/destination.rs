//! The end of a handoff that gets the guest.

use super::report::ns;
use super::{ArrivalReport, Desk, epoch_of, random, refuse, word_of};
use crate::cli::{EngineName, StolenTimeArgs};
use crate::commands::restore::engine_for;
use crate::console::Output;
use crate::out::say;
use crate::state_dir::Place;
use abide_contract::Exceptions;
use abide_engine::Engine;
use abide_machine::Machine;
use abide_machine::board::RAM_BASE;
use abide_machine::departure::ClockPolicy;
use abide_machine::devices::virtio::DiskError;
use abide_machine::error::MachineError;
use abide_machine::lifecycle::Prepared;
use abide_machine::restore::{Elsewhere, RestoreReport, restore_onto};
use abide_memory::GuestRam;
use abide_migrate::driver::{
    DestinationEnd, DestinationGuest, DestinationHandoff, GuestError, HandoffError, Keep, Link,
    Listen, Patience, Resolution,
};
use abide_migrate::message::{Accept, Compression, MemoryWay, Offer, Round};
use abide_migrate::transport::{descriptor, pages};
use abide_migrate::{
    DestinationState, Durability, Journal, JournalError, Record, RunToken, StateDigest,
};
use abide_snapshot::Reader;
use anyhow::{Result, bail};
use rustix::process::getppid;
use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a descriptor may take to come once it is announced.
const DESCRIPTOR_WAIT: Duration = Duration::from_secs(10);
/// How long what the source has left may take to be free. Then the guest goes back.
const CLAIM_WAIT: Duration = Duration::from_secs(5);
const CLAIM_PAUSE: Duration = Duration::from_millis(20);

/// How many connections are taken beside the first.
const FURTHER_MAX: u16 = 15;

/// What is to become of the guest that is expected.
pub struct Plan {
    /// What executes it, if somebody chose.
    pub engine: Option<EngineName>,
    /// What its owner takes upon himself.
    pub exceptions: Exceptions,
    /// What its engine may offer of stolen time.
    pub stolen_time: StolenTimeArgs,
    /// What is elsewhere here than at the source.
    pub elsewhere: Elsewhere,
    /// What its counter shows of the time for which it stood still.
    pub clock: ClockPolicy,
    /// Where it prints.
    pub output: Output,
    /// How its memory comes.
    pub memory: MemoryWay,
    /// Whether nobody can come but who is there already.
    pub is_tunnel: bool,
    /// Whether the journal may be where a power cut empties it.
    pub durability: Durability,
    /// The place that this process shares with the one that has the guest, and takes over.
    pub takes_over: Option<Arc<Place>>,
}

/// A guest that has come.
pub struct Arrived {
    /// It, to be run.
    pub machine: Machine,
    /// What the restore did.
    pub restored: RestoreReport,
    /// How long it stood still.
    pub report: ArrivalReport,
    /// Why it is not on KVM, where nobody chose.
    pub instead: String,
}

/// A reception under way.
pub struct Receiving {
    arrived: Receiver<Arrived>,
    thread: JoinHandle<Result<()>>,
}

impl Receiving {
    /// The guest, once it has come.
    pub fn wait(&self) -> Option<Arrived> {
        self.arrived.recv().ok()
    }

    /// Why none came.
    pub fn why(self) -> Result<()> {
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => bail!("the reception ended by a defect of abide; please report it"),
        }
    }
}

/// Receives a guest from `listen`, on a thread of its own, which goes on to answer a source that
/// has not heard what became of it.
pub fn receive(desk: Arc<Desk>, plan: Plan, listen: Box<dyn Listen + Send>) -> Receiving {
    let (sender, arrived) = channel();
    let thread = std::thread::spawn(move || attend(&desk, plan, listen, sender));
    Receiving { arrived, thread }
}

fn attend(
    desk: &Desk,
    plan: Plan,
    mut listen: Box<dyn Listen + Send>,
    sender: Sender<Arrived>,
) -> Result<()> {
    let Some(mut right) = desk.right() else { bail!("another handoff is under way") };
    let journal = RefCell::new(Some(Journal::open(&desk.journal(), plan.durability)?));
    let mut lent = Lent { record: None, journal: &journal };
    lent.record = journal.borrow().as_ref().and_then(Journal::record).cloned();
    let is_tunnel = plan.is_tunnel;
    let (parent, takes_over) = (getppid(), plan.takes_over.clone());
    let mut guest = Incoming::new(desk, plan, sender);
    let mut handoff =
        DestinationHandoff::new(&mut guest, &mut *listen, &mut lent, Patience::default());
    let (token, mut is_settled) = loop {
        match handoff.run() {
            DestinationEnd::Runs { token, is_settled } => break (token, is_settled),
            DestinationEnd::Nothing { .. } if desk.is_cancelled() => bail!("cancelled"),
            // Nobody else can come.
            DestinationEnd::Nothing { why } if is_tunnel => bail!("nothing came: {why}"),
            DestinationEnd::Nothing { .. } if takes_over.is_some() && getppid() != parent => {
                bail!("the process that had the guest is gone")
            }
            // Nobody came yet.
            DestinationEnd::Nothing { why: HandoffError::Cancelled } => {}
            DestinationEnd::Nothing { why } => {
                say(&format!("{}: nothing came: {why}; still expecting it", desk.name));
            }
            DestinationEnd::Unsettled { why, .. } => {
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                say(&format!(
                    "{} is prepared, and its source does not say whether to run it{why}",
                    desk.name
                ));
            }
            DestinationEnd::Deaf { source } => return Err(source.into()),
        }
    };
    // The guest can go on to others, while a source that has not heard of it is still answered.
    desk.await_source(!is_settled);
    (right.token, right.journal) = (Some(token), journal.take());
    drop(right);
    while !is_settled {
        match handoff.run() {
            DestinationEnd::Runs { is_settled: heard, .. } => is_settled = heard,
            DestinationEnd::Deaf { source } => return Err(source.into()),
            _ => {}
        }
    }
    desk.await_source(false);
    if let Some(place) = takes_over {
        desk.move_journal(place.journal()?)?;
    }
    Ok(())
}

/// The journal, until the guest runs: then it is of whoever hands that guest on.
struct Lent<'a> {
    record: Option<Record>,
    journal: &'a RefCell<Option<Journal>>,
}

impl Keep for Lent<'_> {
    fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    fn keep(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut journal = self.journal.borrow_mut();
        let journal = journal.as_mut().expect("a guest that runs needs no record of its arrival");
        journal.keep(record)?;
        self.record = Some(record.clone());
        Ok(())
    }
}

/// A guest on its way in.
struct Incoming<'a> {
    desk: &'a Desk,
    plan: Plan,
    sender: Option<Sender<Arrived>>,
    ram_size: u64,
    compression: Compression,
    engine: Option<(Box<dyn Engine>, String)>,
    ram: Option<GuestRam>,
    prepared: Option<Prepared>,
    report: ArrivalReport,
    /// When the last share of the blackout ended.
    mark: Instant,
    /// What is said of it at the desk is the machine's business, or of a handoff that goes on.
    is_here: bool,
    /// Who asks for the guest by its name asks this process.
    is_asked: bool,
}

impl<'a> Incoming<'a> {
    fn new(desk: &'a Desk, plan: Plan, sender: Sender<Arrived>) -> Self {
        Self {
            desk,
            plan,
            sender: Some(sender),
            ram_size: 0,
            compression: Compression::None,
            engine: None,
            ram: None,
            prepared: None,
            report: ArrivalReport::default(),
            mark: Instant::now(),
            is_here: false,
            is_asked: false,
        }
    }

    fn restore(
        &self,
        engine: &dyn Engine,
        reader: &Reader,
        ram: GuestRam,
        console: Box<dyn Write + Send>,
    ) -> Result<Prepared, GuestError> {
        Ok(restore_onto(engine, reader, ram, console, &self.plan.elsewhere)?)
    }

    /// Makes the whole machine from the registers that are offered, on empty RAM, and drops it.
    fn try_on(&self, engine: &dyn Engine, reader: &Reader) -> Result<(), GuestError> {
        let ram = GuestRam::new(RAM_BASE, self.ram_size)?;
        self.restore(engine, reader, ram, Box::new(std::io::sink())).map(drop)
    }

    fn lap(&mut self) -> u64 {
        let now = Instant::now();
        ns(now.duration_since(std::mem::replace(&mut self.mark, now)))
    }

    /// Takes what the source has left, which is a matter of moments.
    fn claim(prepared: &mut Prepared, token: RunToken) -> Result<(), GuestError> {
        let give_up = Instant::now() + CLAIM_WAIT;
        loop {
            match prepared.claim(Some(epoch_of(token))) {
                Ok(()) => return Ok(()),
                // It will not become free.
                Err(error @ MachineError::Disk(DiskError::Epoch { .. })) => {
                    return Err(error.into());
                }
                Err(error) if Instant::now() >= give_up => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "not free yet"),
            }
            std::thread::sleep(CLAIM_PAUSE);
        }
    }
}

impl DestinationGuest for Incoming<'_> {
    fn check(&mut self, offer: &Offer) -> Result<Accept, GuestError> {
        if offer.memory != self.plan.memory {
            let (found, allowed) = (word_of(offer.memory), word_of(self.plan.memory));
            return Err(refuse(format!(
                "memory by {found} was offered; by {allowed} it comes to this address"
            )));
        }
        self.ram_size = offer.ram_size;
        let reader = Reader::from_bytes(offer.machine.clone())?;
        let (asked, exceptions) = (self.plan.engine, self.plan.exceptions);
        let stolen = &self.plan.stolen_time;
        let words = |error: anyhow::Error| refuse(format!("{error:#}"));
        let (engine, mut instead) =
            engine_for(asked, exceptions, stolen, &reader).map_err(words)?;
        let mut engine = engine;
        if let Err(error) = self.try_on(engine.as_ref(), &reader) {
            let soft = Some(EngineName::Soft);
            if asked.is_some() || engine.name() == "soft" {
                return Err(error);
            }
            // Nobody asked for KVM.
            instead = format!(" (engine kvm: {error})");
            (engine, _) = engine_for(soft, exceptions, stolen, &reader).map_err(words)?;
            self.try_on(engine.as_ref(), &reader)?;
        }
        self.engine = Some((engine, instead));
        self.compression = offer.compression;
        let connections = offer.connections.min(FURTHER_MAX);
        let ticket = random().map_err(words)?.to_vec();
        Ok(Accept { connections, compression: offer.compression, ticket })
    }

    fn receive_round(
        &mut self,
        round: &Round,
        links: &mut [&mut dyn Link],
    ) -> Result<(), GuestError> {
        if self.plan.memory == MemoryWay::Stream {
            let ram = match self.ram.take() {
                Some(ram) => ram,
                None => GuestRam::new(RAM_BASE, self.ram_size)?,
            };
            let ram = self.ram.insert(ram);
            return Ok(pages::receive(round, ram, links, self.compression)?);
        }
        if let (None, [link, ..]) = (&self.ram, links) {
            link.set_wait(DESCRIPTOR_WAIT)?;
            self.ram = Some(descriptor::receive(&**link, RAM_BASE, self.ram_size)?);
        }
        Ok(())
    }

    fn prepare(&mut self, state: Vec<u8>) -> Result<StateDigest, GuestError> {
        self.mark = Instant::now();
        let ram = self.ram.take().ok_or_else(|| refuse("no memory has come"))?;
        let reader = Reader::from_bytes(state)?;
        let (engine, _) = self.engine.as_ref().ok_or_else(|| refuse("nothing was offered"))?;
        let console = Box::new(self.plan.output.clone());
        let prepared = self.restore(engine.as_ref(), &reader, ram, console)?;
        let report = prepared.report();
        self.report.restored(report.departure.as_ref(), &report.times);
        self.mark = Instant::now();
        let digest = StateDigest(report.digest.0);
        self.prepared = Some(prepared);
        Ok(digest)
    }

    fn run(&mut self, token: RunToken) -> Result<(), GuestError> {
        self.report.journal_running_ns = self.lap();
        let mut prepared = self.prepared.take().ok_or_else(|| refuse("nothing is prepared"))?;
        Self::claim(&mut prepared, token)?;
        self.report.claim_ns = self.lap();
        let restored = prepared.report().clone();
        let (machine, arrival) = prepared.commit_arrival(self.plan.clock)?;
        self.report.activate_ns = self.lap();
        self.report.arrived(&arrival, machine.board().cntfrq_hz);
        self.report.epoch = token.epoch.0;
        self.report.memory = word_of(self.plan.memory).to_owned();
        self.report.clock = match self.plan.clock {
            ClockPolicy::Continue => "continue".to_owned(),
            ClockPolicy::Freeze => "freeze".to_owned(),
        };
        let instead = self.engine.take().map_or_else(String::new, |(_, instead)| instead);
        let report = self.report.clone();
        let sender = self.sender.take().ok_or_else(|| refuse("a guest has come already"))?;
        let sent = sender.send(Arrived { machine, restored, report, instead });
        sent.map_err(|_| refuse("this process is ending"))
    }

    fn discard(&mut self) {
        (self.ram, self.prepared, self.engine) = (None, None, None);
    }

    fn resolution(&mut self) -> Option<Resolution> {
        self.desk.resolution()
    }

    fn is_cancelled(&mut self) -> bool {
        !self.is_here && self.desk.is_cancelled()
    }

    fn entered(&mut self, state: DestinationState) {
        use DestinationState as S;
        if self.is_here {
            return;
        }
        self.is_here = state == S::Running;
        if state != S::PreparedAlone {
            self.desk.resolve(None);
        }
        self.desk.say(match state {
            S::Listening | S::Greeting => Some("expected"),
            S::Greeted | S::Checking | S::Claiming | S::Receiving | S::Preparing => {
                Some("incoming")
            }
            S::Discarding | S::Renewing => Some("discarded"),
            S::Vouching | S::Prepared | S::PreparedAlone | S::PreparedGreeting => Some("prepared"),
            S::Taking | S::Starting => Some("taken"),
            // From here on the machine tells.
            S::Running => None,
        });
        // Who asks for the guest is to ask who has it, or alone knows of it.
        if let (S::Running | S::PreparedAlone, Some(place)) = (state, &self.plan.takes_over)
            && !std::mem::replace(&mut self.is_asked, true)
            && let Err(error) = place.take_socket()
        {
            tracing::error!(%error, "the guest cannot be asked");
        }
        match state {
            S::Prepared if self.report.journal_prepared_ns == 0 => {
                self.report.journal_prepared_ns = self.lap();
            }
            S::Taking => self.report.wait_ns = self.lap(),
            _ => {}
        }
    }
}
