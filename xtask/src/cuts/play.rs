//! One case: a handoff, what is done to it, and a look at what became of the guest.

use super::counting::{check_numbers, counting_guest, numbers};
use super::proxy::{Event, Passed, Patience, Proxy};
use super::step::{Becomes, Case, Cut, Fault, Side, Step, Way};
use crate::abide::GIVEN_AWAY;
use crate::abide::live::{Abide, LIMIT, PLAIN, Process, expecting, wait_for};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

/// How many numbers may be lost with a process that was killed: in a pipe of its own.
const LOST_MAX: u64 = 2;
/// How long a disk stays full.
const WITHOUT_ROOM: Duration = Duration::from_millis(700);
const LOOK: Duration = Duration::from_millis(50);

/// A guest that counts.
struct Guest {
    here: Process,
    /// What it printed in the processes that had it before.
    before: Vec<u8>,
    lost: u64,
    moves: u32,
}

impl Guest {
    fn numbers(&self) -> Vec<u64> {
        numbers(&[&self.before[..], &self.here.console()].concat())
    }

    /// It counts on, and has never counted anything twice nor left anything out.
    fn lives(&self) -> Result<()> {
        let count = self.numbers().len();
        wait_for("the guest's next number", || Ok((self.numbers().len() > count).then_some(())))
            .with_context(|| format!("in {}", self.here.name))?;
        check_numbers(&self.numbers(), self.lost)
    }
}

/// A process that expects a guest.
struct Expecting {
    process: Process,
    address: String,
    way: Way,
}

/// Plays one case after another, with the same guest as long as it lives.
pub struct Lane {
    abide: Abide,
    /// How both sides prove who they are, where they do.
    keys: Vec<String>,
    /// For sockets: their paths are short.
    sockets: PathBuf,
    serial: u32,
    guest: Option<Guest>,
    there: Option<Expecting>,
}

/// A handoff in hand.
struct Handoff {
    guest: Guest,
    there: Expecting,
    proxy: Proxy,
    migrate: Process,
}

/// Who is still there after a handoff.
type Left = (Option<Guest>, Option<Expecting>);

impl Lane {
    pub fn new(abide: Abide, sockets: PathBuf) -> Result<Self> {
        let [key, identity] = abide.keygen()?;
        let keys = ["--key", &key, "--trust", &identity, "--volatile-journal"];
        let keys = keys.map(str::to_owned).to_vec();
        Ok(Self { abide, keys, sockets, serial: 0, guest: None, there: None })
    }

    /// Where this way goes, what both sides are told.
    fn told(&self, way: Way) -> Vec<&str> {
        match way {
            Way::Tls => self.keys.iter().map(String::as_str).collect(),
            Way::Tcp | Way::Wide | Way::Unix => PLAIN.to_vec(),
        }
    }

    fn name(&mut self) -> String {
        self.serial += 1;
        format!("guest{}", self.serial)
    }

    /// Plays a case. After a failure the next one begins with a new guest.
    pub fn play(&mut self, case: &Case) -> Result<()> {
        if case.cut.fault != Fault::Late {
            return self.play_with(case, None);
        }
        let mut result = Ok(());
        for patience in Patience::ALL {
            result = self.play_with(case, Some(patience));
            // On a busy machine something else may be late before it.
            let is_missed = result.as_ref().is_err_and(|error| error.is::<Missed>());
            if !is_missed {
                break;
            }
        }
        result
    }

    fn play_with(&mut self, case: &Case, patience: Option<Patience>) -> Result<()> {
        let cuts = case.before.into_iter().chain([case.cut]).collect();
        let mut handoff = self.begin(case.way, cuts, patience)?;
        self.follow(&mut handoff, case)?;
        let left = self.settle(handoff, case.becomes())?;
        (self.guest, self.there) = left;
        Ok(())
    }

    /// A handoff to which nothing is done; what went by.
    pub fn undisturbed(&mut self, way: Way) -> Result<Vec<Passed>> {
        let handoff = self.begin(way, Vec::new(), None)?;
        let address = handoff.proxy.address.clone();
        let passed = {
            let mut handoff = handoff;
            let code = handoff.migrate.end()?.code();
            ensure!(code == Some(0), "to {address}: {code:?}: {}", handoff.migrate.words());
            // The last word comes when all is over.
            let all = way.steps(0).chain(way.steps(1)).count();
            let passed = wait_for("every step of a handoff", || {
                let passed = handoff.proxy.passed();
                Ok((passed.len() >= all).then_some(passed))
            })?;
            let left = self.goes(handoff)?;
            (self.guest, self.there) = left;
            passed
        };
        Ok(passed)
    }

    /// Looks at the guest's memory, after a last handoff, and ends it.
    pub fn end(&mut self) -> Result<u32> {
        self.undisturbed(Way::Tcp)?;
        let mut guest = self.guest.take().context("the guest was handed over")?;
        let from = guest.here.console().len();
        guest.here.type_in("\x03")?;
        guest.here.await_text(from, "abide> ")?;
        guest.here.type_in("mem check\n")?;
        guest.here.await_text(from, "hash")?;
        let console = guest.here.console();
        let said = String::from_utf8_lossy(&console[from..]);
        ensure!(said.contains("intact"), "the guest's memory: {said}");
        guest.here.type_in("poweroff\n")?;
        let status = guest.here.end()?;
        ensure!(status.success(), "the guest's end: {status}");
        Ok(guest.moves)
    }

    fn expecting(&mut self, way: Way, name: &str) -> Result<Expecting> {
        let at = match way {
            Way::Tcp | Way::Wide | Way::Tls => "tcp:127.0.0.1:0".to_owned(),
            Way::Unix => {
                self.serial += 1;
                format!("unix:{}", self.sockets.join(format!("there{}", self.serial)).display())
            }
        };
        let (process, address) = expecting(&self.abide, name, &at, &self.told(way))?;
        Ok(Expecting { process, address, way })
    }

    /// Begins a handoff; with a patience nobody waits any longer.
    fn begin(&mut self, way: Way, cuts: Vec<Cut>, patience: Option<Patience>) -> Result<Handoff> {
        let guest = match self.guest.take() {
            Some(guest) => guest,
            None => {
                let name = self.name();
                let here = counting_guest(&self.abide, &name)?;
                Guest { here, before: Vec::new(), lost: 0, moves: 0 }
            }
        };
        let there = match self.there.take().filter(|there| there.way == way) {
            Some(there) => there,
            None => {
                let name = self.name();
                self.expecting(way, &name)?
            }
        };
        self.serial += 1;
        let path = self.sockets.join(format!("proxy{}", self.serial));
        let held = patience.unwrap_or(Patience::ALL[0]);
        let proxy = Proxy::start(way, &there.address, path, cuts, held)?;
        let name = guest.here.name.clone();
        // One copy while the guest runs, and the last one.
        let mut args = vec!["migrate", &name, &proxy.address, "--downtime", "60000"];
        args.extend(self.told(way));
        if way == Way::Wide {
            args.extend(["--connections", "2"]);
        }
        let timeout = patience.map(|patience| patience.timeout_s.to_string());
        if let Some(timeout) = &timeout {
            args.extend(["--timeout", timeout]);
        }
        let words = self.abide.folder.join(format!("migrate{}.err", self.serial));
        let migrate = Process::start("abide migrate", self.abide.command(&args), words)?;
        Ok(Handoff { guest, there, proxy, migrate })
    }

    /// Waits until all that is to be done to the handoff was done.
    fn follow(&self, handoff: &mut Handoff, case: &Case) -> Result<()> {
        let mut end = Instant::now() + LIMIT;
        let mut is_over = false;
        loop {
            match handoff.proxy.events.recv_timeout(LOOK) {
                Ok(Event::Reached(cut)) if cut == case.cut => {
                    if !cut.fault.is_of_process() {
                        return Ok(());
                    }
                }
                Ok(Event::Reached(_)) => {}
                Ok(Event::Do(fault, done)) => {
                    self.inflict(handoff, fault)?;
                    done.send(()).ok();
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the proxy is gone"),
            }
            if !is_over && handoff.migrate.ended()?.is_some() {
                is_over = true;
                // The farewell goes beside the answer.
                end = end.min(Instant::now() + Duration::from_secs(2));
            }
            if Instant::now() >= end {
                return Err(Missed { step: case.cut.step, said: handoff.migrate.words() }.into());
            }
        }
    }

    fn inflict(&self, handoff: &mut Handoff, fault: Fault) -> Result<()> {
        let (here, there) = (&mut handoff.guest.here, &mut handoff.there.process);
        match fault {
            Fault::Killed(Side::Source) => here.kill(),
            Fault::Killed(Side::Destination) | Fault::Fenced => there.kill(),
            Fault::Full(Side::Source) => here.limit_files(true),
            Fault::Full(Side::Destination) => there.limit_files(true),
            Fault::Discarded => self.abide.resolve(&there.name, &["--discard"], 0).map(drop),
            _ => bail!("{fault} is of the link"),
        }
    }

    /// Looks whether it became of the guest what had to, and settles it where it has to be settled.
    fn settle(&mut self, handoff: Handoff, becomes: Becomes) -> Result<Left> {
        match becomes {
            Becomes::Stays { may_be_prepared, must_be_prepared } => {
                self.stays(handoff, may_be_prepared, must_be_prepared)
            }
            Becomes::Goes => self.goes(handoff),
            Becomes::StaysOrGoes => self.stays_or_goes(handoff),
            Becomes::Rests => {
                self.waits_for_room(&handoff, "frozen")?;
                self.stays_or_goes(handoff)
            }
            Becomes::Waits => {
                self.waits_for_room(&handoff, "given away")?;
                self.goes(handoff)
            }
            Becomes::Dropped => self.stays(handoff, false, false),
            Becomes::StaysAlone => self.stays_alone(handoff),
            Becomes::Crashed { is_announced } => self.crashed(handoff, is_announced),
            Becomes::Asks => self.asks(handoff),
            Becomes::HasGone => self.has_gone(handoff),
            Becomes::ComesBack { by_statement } => self.comes_back(handoff, by_statement),
            Becomes::CrashedThere { source_lives } => self.crashed_there(handoff, source_lives),
        }
    }

    fn stays(
        &self,
        mut handoff: Handoff,
        may_be_prepared: bool,
        must_be_prepared: bool,
    ) -> Result<Left> {
        handoff.is_kept()?;
        self.abide.await_state(&handoff.guest.here.name, "running")?;
        let there = &handoff.there.process;
        let mut state = None;
        let is_right = wait_for("the destination's state", || {
            state = self.abide.state(&there.name)?;
            Ok(match state.as_deref() {
                Some("prepared") => may_be_prepared,
                Some("expected") => !must_be_prepared,
                _ => false,
            }
            .then_some(()))
        });
        is_right.with_context(|| format!("the destination is {state:?}"))?;
        handoff.guest.lives()?;
        ensure!(there.console().is_empty(), "the guest printed at the destination too");
        handoff.guest.here.limit_files(false)?;
        there.limit_files(false)?;
        Ok((Some(handoff.guest), Some(handoff.there)))
    }

    fn stays_or_goes(&self, mut handoff: Handoff) -> Result<Left> {
        match handoff.migrate.end()?.code() {
            Some(0) => self.goes(handoff),
            _ => self.stays(handoff, true, false),
        }
    }

    /// The guest runs nowhere as long as one of the two cannot write what it must; then it can.
    fn waits_for_room(&self, handoff: &Handoff, state: &str) -> Result<()> {
        let (here, there) = (&handoff.guest.here, &handoff.there.process);
        self.abide.await_state(&here.name, state)?;
        self.abide.await_state(&there.name, "prepared")?;
        let console = here.console();
        thread::sleep(WITHOUT_ROOM);
        let states = [self.abide.state(&here.name)?, self.abide.state(&there.name)?];
        let is_right = states == [Some(state.to_owned()), Some("prepared".to_owned())];
        ensure!(is_right, "without room for journals they are {states:?}");
        let is_still = console == here.console() && there.console().is_empty();
        ensure!(is_still, "the guest ran without a journal");
        here.limit_files(false)?;
        there.limit_files(false)
    }

    fn stays_alone(&mut self, mut handoff: Handoff) -> Result<Left> {
        handoff.is_kept()?;
        self.abide.await_state(&handoff.guest.here.name, "running")?;
        let name = handoff.there.process.name.clone();
        ensure!(self.abide.state(&name)?.is_none(), "{name} is still there");
        handoff.guest.lives()?;
        // It begins anew with the journal of the one that was killed.
        let there = self.expecting(handoff.there.way, &name)?;
        Ok((Some(handoff.guest), Some(there)))
    }

    fn goes(&self, mut handoff: Handoff) -> Result<Left> {
        let status = handoff.migrate.end()?;
        ensure!(status.success(), "abide migrate: {status}: {}", handoff.migrate.words());
        handoff.has_left()?;
        self.abide.await_state(&handoff.there.process.name, "running")?;
        handoff.there.process.limit_files(false)?;
        Ok((Some(handoff.arrive(0)?), None))
    }

    fn crashed(&self, mut handoff: Handoff, is_announced: bool) -> Result<Left> {
        handoff.migrate.end()?;
        let name = handoff.guest.here.name.clone();
        ensure!(self.abide.state(&name)?.is_none(), "{name} is still there");
        let there = &handoff.there;
        self.abide.await_state(&there.process.name, "expected")?;
        if is_announced {
            let words = self.abide.resolve(&name, &[&there.address], 1)?;
            ensure!(words.contains("it has crashed"), "the resolution: {words}");
        }
        let words = self.abide.resolve(&name, &[], 0)?;
        let known = if is_announced { "crashed here" } else { "running here" };
        ensure!(words.contains(known) && words.contains("no process has it"), "{words}");
        self.abide.await_state(&there.process.name, "expected")?;
        ensure!(there.process.console().is_empty(), "the guest printed at the destination");
        Ok((None, Some(handoff.there)))
    }

    fn asks(&self, mut handoff: Handoff) -> Result<Left> {
        handoff.migrate.end()?;
        let name = handoff.guest.here.name.clone();
        let there = &handoff.there;
        self.abide.await_state(&there.process.name, "prepared")?;
        let words = self.abide.resolve(&name, &[], 1)?;
        ensure!(words.contains("give the destination"), "the journal alone: {words}");
        self.abide.await_state(&there.process.name, "prepared")?;
        ensure!(there.process.console().is_empty(), "the guest ran before it was resolved");
        let words = self.abide.resolve(&name, &[&there.address], 0)?;
        ensure!(words.contains("the destination has it"), "the resolution: {words}");
        self.abide.await_state(&there.process.name, "running")?;
        Ok((Some(handoff.arrive(LOST_MAX)?), None))
    }

    fn has_gone(&self, mut handoff: Handoff) -> Result<Left> {
        handoff.migrate.end()?;
        let name = handoff.guest.here.name.clone();
        self.abide.await_state(&handoff.there.process.name, "running")?;
        let words = self.abide.resolve(&name, &[&handoff.there.address], 0)?;
        let is_known = ["the destination has it", "given away, confirmed"];
        ensure!(is_known.iter().any(|known| words.contains(known)), "the resolution: {words}");
        Ok((Some(handoff.arrive(LOST_MAX)?), None))
    }

    fn comes_back(&mut self, mut handoff: Handoff, by_statement: bool) -> Result<Left> {
        let name = handoff.guest.here.name.clone();
        self.abide.await_state(&name, "given away")?;
        let there = handoff.there.process.name.clone();
        ensure!(self.abide.state(&there)?.is_none(), "{there} is still there");
        let console = handoff.guest.here.console();
        let words = self.abide.resolve(&name, &[], 1)?;
        ensure!(words.contains("its process lives"), "{words}");
        ensure!(handoff.migrate.ended()?.is_none(), "{}", handoff.migrate.words());
        ensure!(console == handoff.guest.here.console(), "it ran while it was given away");
        let new = if by_statement {
            self.abide.resolve(&name, &["--fenced"], 0)?;
            handoff.is_kept()?;
            self.expecting(handoff.there.way, &there)?
        } else {
            let new = self.expecting(handoff.there.way, &there)?;
            handoff.proxy.lead_to(&new.address);
            handoff.is_kept()?;
            new
        };
        self.abide.await_state(&name, "running")?;
        handoff.guest.lives()?;
        self.abide.await_state(&there, "expected")?;
        Ok((Some(handoff.guest), Some(new)))
    }

    fn crashed_there(&mut self, mut handoff: Handoff, source_lives: bool) -> Result<Left> {
        let there = handoff.there.process.name.clone();
        ensure!(self.abide.state(&there)?.is_none(), "{there} is still there");
        let words = self.abide.resolve(&there, &[], 0)?;
        let is_known = words.contains("running here") && words.contains("no process has it");
        ensure!(is_known, "the destination's journal: {words}");
        if source_lives {
            self.abide.await_state(&handoff.guest.here.name, "given away")?;
            // Whoever has its journal says that it was taken.
            let new = self.expecting(handoff.there.way, &there)?;
            handoff.proxy.lead_to(&new.address);
            handoff.migrate.end()?;
            handoff.has_left()?;
            self.abide.await_state(&there, "expected")?;
        }
        let status = handoff.migrate.end()?;
        ensure!(status.success(), "abide migrate: {status}: {}", handoff.migrate.words());
        handoff.has_left()?;
        let console = [handoff.guest.before, handoff.guest.here.console()].concat();
        let console = [console, handoff.there.process.console()].concat();
        check_numbers(&numbers(&console), handoff.guest.lost + LOST_MAX)?;
        Ok((None, None))
    }
}

impl Handoff {
    /// The guest stays, as it is said to who asked.
    fn is_kept(&mut self) -> Result<()> {
        let status = self.migrate.end()?;
        let words = self.migrate.words();
        let is_said = status.code() == Some(1) && words.contains("goes on here");
        ensure!(is_said, "abide migrate: {status}: {words}");
        Ok(())
    }

    /// The source's process ends and says that the guest is elsewhere.
    fn has_left(&mut self) -> Result<()> {
        let here = &mut self.guest.here;
        let status: ExitStatus = here.end()?;
        let is_right = status.code() == Some(GIVEN_AWAY);
        ensure!(is_right, "the source ended with {status}: {}", here.words());
        Ok(())
    }

    /// The guest lives at the destination. So many of its numbers may be lost with the source.
    fn arrive(mut self, lost: u64) -> Result<Guest> {
        self.guest.here.end()?;
        let mut guest = self.guest;
        let before = [guest.before, guest.here.console()].concat();
        let (lost, moves) = (guest.lost + lost, guest.moves + 1);
        guest = Guest { here: self.there.process, before, lost, moves };
        guest.lives()?;
        Ok(guest)
    }
}

/// The case did not happen.
#[derive(Debug, thiserror::Error)]
#[error("{step} never came by: the case did not happen: {said}")]
struct Missed {
    step: Step,
    said: String,
}
