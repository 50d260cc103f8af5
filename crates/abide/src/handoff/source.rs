//! The end of a handoff that has the guest.

use super::progress::{Lap, Progress, per_second};
use super::report::ns;
use super::{
    Address, CopiedRound, Desk, HandoffReport, Security, epoch_of, random, refuse, word_of,
};
use crate::console::Requests;
use crate::descriptors::Pair;
use crate::out::say;
use crate::upgrade::{Around, Standing};
use abide_machine::error::MachineError;
use abide_machine::handoff::Frozen;
use abide_machine::runner::{Command, Reply};
use abide_memory::{GuestRam, PageSet};
use abide_migrate::driver::{
    GuestError, Link, Patience, Resolution, SourceEnd, SourceGuest, SourceHandoff,
};
use abide_migrate::message::{Accept, Compression, DOCUMENT_MAX_LEN, MemoryWay, Offer, Round};
use abide_migrate::transport::{descriptor, pages};
use abide_migrate::{
    Attempt, Durability, Epoch, GuestId, Journal, RunToken, SourceState, StateDigest,
};
use anyhow::{Result, bail};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After so many rounds the guest is stopped however much it writes.
pub const ROUNDS_MAX: u32 = 30;
/// How many pages a probe sends, at most: 64 MiB.
const PROBE_PAGES_MAX: usize = 16 << 10;
/// How long a destination that cannot be asked is looked for before somebody is told, and heard.
const SETTLE: Duration = Duration::from_secs(5);

/// What is wished of a handoff.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Where to.
    pub to: Address,
    /// What protects the way there.
    pub security: Security,
    /// How long the guest may stand still for memory that is still to be copied.
    pub downtime: Duration,
    /// On how many connections its memory goes, if not by descriptor.
    pub connections: u16,
    /// How that is packed.
    pub compression: Compression,
    /// How long one step of the peer may take at most.
    pub timeout: Option<Duration>,
    /// Whether the journal may be where a power cut empties it.
    pub durability: Durability,
    /// Only to offer it, to try what the way there carries, and to withdraw it.
    pub is_probe: bool,
    /// Whether the destination prints where this process does: then all that the guest printed has
    /// to have left before it goes on there.
    pub shares_console: bool,
}

/// Hands the guest behind `desk` over; returns when the destination has it, or when it is known
/// to stay. `tunnel` is the way there if that was made elsewhere. `tell` hears of it after every
/// round, but not while the guest stands still. A probe returns when the guest has been withdrawn.
pub fn migrate(
    desk: &Desk,
    wish: &Wish,
    tunnel: Option<Pair>,
    tell: &dyn Fn(&Progress),
) -> Result<HandoffReport> {
    let Some(requests) = desk.guest() else { bail!("no guest is here yet") };
    let Some(mut right) = desk.right() else { bail!("another handoff of it is under way") };
    desk.begin();
    if right.journal.is_none() {
        right.journal = Some(Journal::open(&desk.journal(), wish.durability)?);
    }
    let token = match right.token {
        Some(token) => token,
        None => RunToken { guest: GuestId(random()?), epoch: Epoch::BIRTH },
    };
    right.token = Some(token);
    let attempt = Attempt(random()?);
    let Some(journal) = &mut right.journal else { bail!("no journal") };
    let mut guest = Outgoing::new(desk, requests, wish, tell);
    let mut dial = wish.security.dial(&wish.to, tunnel)?;
    let patience = Patience::default();
    let message_max = wish.timeout.unwrap_or(patience.message_max);
    let patience = Patience { message_max, settle: SETTLE, ..patience };
    let mut handoff =
        SourceHandoff::new(&mut guest, &mut *dial, journal, (token, attempt), patience);
    let end = loop {
        match handoff.run() {
            // The process that was started for it is known to be gone, and has had it.
            SourceEnd::Unsettled { why, .. }
                if desk.around().and_then(Around::standing) == Some(Standing::Ran) =>
            {
                let _ = requests.ask(Command::GiveAway);
                bail!("the program that took it over has ended with it: {why}");
            }
            end if is_dropped(&end, desk) => break end,
            SourceEnd::Unsettled { state, why } => {
                let progress = troubled(desk, wish, format!("{state}: {why}"));
                tell(&progress);
                desk.report(Some(progress));
            }
            end => break end,
        }
    };
    drop(handoff);
    desk.say(None);
    desk.report(None);
    match end {
        SourceEnd::GivenAway => {
            let mut report = guest.report;
            report.to = wish.to.to_string();
            report.guest = token.guest.to_string();
            report.epoch = token.epoch.of_destination().0;
            report.sum_up();
            Ok(report)
        }
        SourceEnd::Kept { token, why } => {
            guest.withdraw();
            right.token = Some(token);
            if guest.is_probed {
                guest.report.to = wish.to.to_string();
                return Ok(guest.report);
            }
            bail!("it goes on here: {why}")
        }
        SourceEnd::Crashed => bail!("it is lost, on both sides"),
        SourceEnd::Unsettled { .. } => {
            guest.end();
            bail!("it was given away, and ends here as was said; what became of it is not known")
        }
    }
}

/// How far it is, where it does not go on for now, which is said here too.
fn troubled(desk: &Desk, wish: &Wish, trouble: String) -> Progress {
    let to = wish.to.to_string();
    let before = desk.progress().unwrap_or(Progress { to, ..Progress::default() });
    let progress = Progress { trouble: Some(trouble), ..before };
    say(&format!("{} {}", desk.name, progress.text()));
    progress
}

/// Whether somebody says that what was given away shall end here, since nobody there can be asked.
fn is_dropped(end: &SourceEnd, desk: &Desk) -> bool {
    matches!(end, SourceEnd::Unsettled { state: SourceState::Stranded, .. })
        && desk.resolution() == Some(Resolution::Discard)
}

/// A guest on its way out.
struct Outgoing<'a> {
    desk: &'a Desk,
    requests: &'a Requests,
    tell: &'a dyn Fn(&Progress),
    progress: Progress,
    /// Since when what the guest writes is counted.
    writing: Lap,
    /// Since when a probe is under way.
    probing: Lap,
    memory: MemoryWay,
    downtime: Duration,
    connections: u16,
    /// As it was wished, then as it was agreed upon.
    compression: Compression,
    shares_console: bool,
    ram: Option<Arc<GuestRam>>,
    frozen: Option<Box<Frozen>>,
    is_offered: bool,
    is_probe: bool,
    /// The probe has found what it was sent for.
    is_probed: bool,
    rounds: u32,
    /// Pages that are still to be sent.
    left: PageSet,
    /// The round that was planned.
    planned: Option<pages::Outgoing>,
    /// How long rounds took that were sent while the guest ran.
    sending: Duration,
    report: HandoffReport,
    /// When the last share of the blackout ended.
    mark: Instant,
}

impl<'a> Outgoing<'a> {
    fn new(
        desk: &'a Desk,
        requests: &'a Requests,
        wish: &Wish,
        tell: &'a dyn Fn(&Progress),
    ) -> Self {
        let memory = wish.to.memory();
        let report =
            HandoffReport { memory: word_of(memory).to_owned(), ..HandoffReport::default() };
        Self {
            desk,
            requests,
            tell,
            progress: Progress { to: wish.to.to_string(), ..Progress::default() },
            writing: Lap::new(),
            probing: Lap::new(),
            memory,
            downtime: wish.downtime,
            connections: wish.connections,
            compression: wish.compression,
            shares_console: wish.shares_console,
            ram: None,
            frozen: None,
            is_offered: false,
            is_probe: wish.is_probe,
            is_probed: false,
            rounds: 0,
            left: PageSet::default(),
            planned: None,
            sending: Duration::ZERO,
            report,
            mark: Instant::now(),
        }
    }

    fn ask(&self, command: Command) -> Result<Reply, GuestError> {
        match self.requests.ask(command) {
            None => Err(refuse("the guest has ended")),
            Some(Reply::Failed(error)) => Err(error.into()),
            Some(reply) => Ok(reply),
        }
    }

    /// The guest stays as it was before it was offered.
    fn withdraw(&mut self) {
        if std::mem::take(&mut self.is_offered) {
            match self.requests.ask(Command::TakeBack { epoch: None }) {
                Some(Reply::Failed(MachineError::Handoff { .. })) | None => {}
                Some(Reply::Failed(error)) => tracing::warn!(%error, "not taken back"),
                Some(_) => {}
            }
        }
    }

    /// The time since the last share ended.
    fn lap(&mut self) -> u64 {
        let now = Instant::now();
        ns(now.duration_since(std::mem::replace(&mut self.mark, now)))
    }
}

impl SourceGuest for Outgoing<'_> {
    fn offer(&mut self) -> Result<Offer, GuestError> {
        let logs_writes = self.memory == MemoryWay::Stream;
        let Reply::Offered(offered) = self.ask(Command::Offer { logs_writes })? else {
            return Err(refuse("no offer"));
        };
        self.is_offered = true;
        self.writing.end();
        if offered.state.len() > DOCUMENT_MAX_LEN {
            return Err(refuse(format!(
                "its registers take {} bytes, at most {DOCUMENT_MAX_LEN} can be offered",
                offered.state.len()
            )));
        }
        let board = &offered.board;
        let offer = Offer {
            name: self.desk.name.clone(),
            memory: self.memory,
            connections: self.connections.saturating_sub(1),
            compression: self.compression,
            vcpus: board.vcpu_count,
            ram_size: board.ram_len,
            counter_frequency_hz: board.cntfrq_hz,
            // Both stand in the registers, which the destination tries.
            contract: String::new(),
            profile: String::new(),
            machine: offered.state.clone(),
        };
        self.ram = Some(Arc::clone(&offered.ram));
        Ok(offer)
    }

    fn begin_copy(&mut self, accept: &Accept) -> Result<(), GuestError> {
        self.report.connections = 1 + accept.connections;
        self.compression = accept.compression;
        Ok(())
    }

    fn plan_round(&mut self, is_last: bool) -> Result<Round, GuestError> {
        let number = self.rounds;
        self.rounds += 1;
        if self.memory == MemoryWay::Descriptor {
            return Ok(Round { number, is_last, pages: 0, digest: [0; 32] });
        }
        let ram = self.ram.as_ref().ok_or_else(|| refuse("no memory was offered"))?;
        if let Some(frozen) = self.frozen.as_ref().filter(|_| is_last) {
            self.left.merge(&frozen.written);
        }
        let planned = match number {
            0 => {
                let mut present = pages::present(ram)?;
                if self.is_probe {
                    present.truncate(PROBE_PAGES_MAX);
                }
                pages::Outgoing::of(present)
            }
            _ if self.is_probe => pages::Outgoing::of(Vec::new()),
            _ => pages::Outgoing::of_set(&std::mem::take(&mut self.left)),
        };
        let round = planned.announce(number, is_last);
        self.planned = Some(planned);
        Ok(round)
    }

    fn send_round(&mut self, round: &Round, links: &mut [&mut dyn Link]) -> Result<(), GuestError> {
        self.report.rounds = self.rounds;
        let ram = self.ram.as_ref().ok_or_else(|| refuse("no memory was offered"))?;
        if self.memory == MemoryWay::Descriptor {
            self.is_probed = self.is_probe;
            // One descriptor is all of RAM, now and later.
            return match links {
                [link, ..] if round.number == 0 => Ok(descriptor::send(&**link, ram)?),
                _ => Ok(()),
            };
        }
        let planned = self.planned.take().ok_or_else(|| refuse("no round was planned"))?;
        let (desk, begun) = (self.desk, Instant::now());
        if round.number == 0 {
            self.probing.end();
        }
        // The last round is short, and a cancel is heard right after it.
        let is_cancelled = || !round.is_last && desk.is_cancelled();
        let sent = planned.send(round, ram, links, self.compression, is_cancelled)?;
        self.report.pages += round.pages;
        self.report.bytes += sent;
        let (took, is_last) = (begun.elapsed(), round.is_last);
        let sending_ns = ns(took);
        let copied = CopiedRound { pages: round.pages, bytes: sent, sending_ns, is_last };
        self.report.copied.push(copied);
        if !is_last {
            self.sending += took;
            self.report.bytes_per_s = per_second(self.report.bytes, self.sending);
        }
        Ok(())
    }

    fn wants_another_round(&mut self) -> bool {
        if self.memory == MemoryWay::Descriptor {
            return false;
        }
        if self.is_probe {
            // The round has arrived, so that nothing of it counts that is still in a buffer.
            let report = &mut self.report;
            report.bytes_per_s = per_second(report.bytes, self.probing.end());
            self.is_probed = true;
            return true;
        }
        // What is wrong is said when it is frozen.
        let Ok(Reply::Written(written)) = self.ask(Command::Harvest) else { return false };
        self.left.merge(&written);
        let report = &self.report;
        let progress = &mut self.progress;
        (progress.rounds, progress.pages) = (self.rounds, report.pages);
        (progress.bytes, progress.bytes_per_s) = (report.bytes, report.bytes_per_s);
        progress.written(written.len(), self.left.len(), self.writing.end());
        self.desk.report(Some(progress.clone()));
        (self.tell)(progress);
        progress.standstill_ns > ns(self.downtime) && self.rounds < ROUNDS_MAX
    }

    fn end_copy(&mut self) {
        self.withdraw();
    }

    fn freeze(&mut self) -> Result<StateDigest, GuestError> {
        if self.is_probe {
            return Err(refuse("it was only to be tried"));
        }
        self.mark = Instant::now();
        let Reply::Frozen(frozen) = self.ask(Command::Freeze)? else {
            return Err(refuse("it does not stand still"));
        };
        if self.shares_console && !self.requests.has_printed() {
            return Err(refuse(
                "what it printed is not read where its console is; let it be read, and try again",
            ));
        }
        let times = frozen.times;
        self.report.flush_ns = ns(times.flush);
        self.report.find_pages_ns = ns(times.pages);
        self.report.save_ns = ns(times.save);
        // With what it took to ask.
        let known = times.flush + times.pages + times.save;
        self.report.pause_ns = self.lap().saturating_sub(ns(known));
        let digest = StateDigest(frozen.digest.0);
        self.frozen = Some(frozen);
        Ok(digest)
    }

    fn state(&mut self) -> Result<Vec<u8>, GuestError> {
        self.report.last_pages_ns = self.lap();
        let frozen = self.frozen.as_mut().ok_or_else(|| refuse("it does not stand still"))?;
        Ok(std::mem::take(&mut frozen.state))
    }

    fn resume(&mut self, token: RunToken) -> Result<(), GuestError> {
        self.frozen = None;
        // A machine that has ended needs no resume.
        match self.requests.ask(Command::TakeBack { epoch: Some(epoch_of(token)) }) {
            Some(Reply::Failed(error)) => Err(error.into()),
            _ => {
                self.is_offered = false;
                Ok(())
            }
        }
    }

    fn release(&mut self) {
        if let Err(error) = self.ask(Command::Release) {
            // The destination finds out, and gives the guest back.
            tracing::error!(%error, "not all that the guest had here is free");
        }
        self.report.release_ns = self.lap();
    }

    fn end(&mut self) {
        self.is_offered = false;
        if let Err(error) = self.ask(Command::GiveAway) {
            tracing::error!(%error, "the guest that was given away does not end here");
        }
    }

    fn is_reclaimed(&mut self) -> bool {
        // What was started here, this process sees end.
        self.desk.resolution() == Some(Resolution::Run)
            || self.desk.around().and_then(Around::standing) == Some(Standing::NeverRan)
    }

    fn is_cancelled(&mut self) -> bool {
        self.is_probed || self.desk.is_cancelled()
    }

    fn entered(&mut self, state: SourceState) {
        use SourceState as S;
        if state != S::Stranded {
            self.desk.resolve(None);
        }
        self.desk.say(match state {
            S::Running => None,
            S::Beginning | S::Dialling => Some("outgoing"),
            S::Greeting | S::Offering | S::Copying | S::Announcing => Some("outgoing"),
            S::Freezing | S::AwaitingPrepared | S::GivingAway | S::TakingBack => Some("frozen"),
            S::Committing | S::Stranded | S::Rejoining | S::Settling | S::Reclaiming => {
                Some("given away")
            }
            S::Orphaned | S::OrphanGreeting | S::OrphanGivingAway => Some("outgoing"),
            S::Ended => Some("given away"),
            S::Burying | S::Crashed => Some("crashed"),
        });
        match state {
            S::GivingAway => self.report.prepare_ns = self.lap(),
            S::Committing => self.report.journal_ns = self.lap(),
            S::Settling => self.report.commit_ns = self.lap(),
            _ => {}
        }
    }
}
