//! Two processes, two disks, one connection.

use crate::handoff::{
    Destination, DestinationAction, DestinationEvent, DestinationState, Rule, Source, SourceAction,
    SourceEvent, SourceState, greet,
};
use crate::message::{Hello, Purpose, Standing, VERSIONS};
use crate::ownership::{Ownership, Record};
use crate::token::{Attempt, Epoch, GuestId, PeerId, RunToken, StateDigest};

pub type SourceRules = Vec<Rule<SourceState, SourceEvent, SourceAction>>;
pub type DestinationRules = Vec<Rule<DestinationState, DestinationEvent, DestinationAction>>;

/// The tables that are walked: the product's, or changed ones.
pub struct Rules {
    pub source: SourceRules,
    pub destination: DestinationRules,
}

/// A message on its way, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packet {
    Hello { purpose: bool, attempt: u8, epoch: u8 },
    Welcome { standing: Standing, attempt: u8 },
    Offer,
    Accept,
    Refuse,
    Round { is_last: bool },
    RoundDone,
    State { attempt: u8 },
    Prepared { attempt: u8 },
    Commit { attempt: u8, epoch: u8 },
    Acknowledged { attempt: u8 },
    Withdraw { attempt: u8 },
    Discarded { attempt: u8 },
    Farewell { attempt: u8 },
}

/// What a disk says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    pub ownership: Ownership,
    pub epoch: u8,
    pub attempt: u8,
}

impl Disk {
    pub fn record(self) -> Record {
        Record {
            ownership: self.ownership,
            token: token(self.epoch),
            attempt: attempt(self.attempt),
            digest: StateDigest([0; 32]),
            peer: PeerId::default(),
            peer_address: String::new(),
        }
    }
}

fn token(epoch: u8) -> RunToken {
    RunToken { guest: GuestId([1; 16]), epoch: Epoch(u64::from(epoch)) }
}

fn attempt(number: u8) -> Attempt {
    Attempt([number; 16])
}

/// The source's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceProcess {
    pub machine: Source,
    pub has_guest: bool,
    pub runs: bool,
    /// It holds the locks of the guest's disks.
    pub locks: bool,
    /// It logs dirty pages.
    pub logs: bool,
    pub epoch: u8,
    pub attempt: u8,
    /// The rest of what it is about to do.
    pub due: &'static [SourceAction],
    /// What has followed from it so far.
    pub follows: Option<SourceEvent>,
}

/// What the destination has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    pub attempt: u8,
    pub is_complete: bool,
    pub runs: bool,
}

/// The destination's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DestinationProcess {
    pub machine: Destination,
    /// The attempt of the last hello.
    pub greeted: u8,
    pub record: Option<Disk>,
    pub image: Option<Image>,
    pub has_last_round: bool,
    pub offered: (u8, u8),
    pub due: &'static [DestinationAction],
    pub follows: Option<DestinationEvent>,
}

/// One direction of a connection and its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    pub to_source: Vec<Packet>,
    pub to_destination: Vec<Packet>,
    pub source_open: bool,
    pub destination_open: bool,
    pub is_cut: bool,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub source: Option<SourceProcess>,
    pub source_disk: Disk,
    pub destination: Option<DestinationProcess>,
    pub destination_disk: Option<Disk>,
    pub link: Option<Link>,
    /// How much may still go wrong.
    pub faults: u8,
    pub attempts: u8,
    // What an observer above both has seen.
    /// The attempts that the guest went on from at the source, after it was stopped for them.
    pub gone_on: u8,
    /// The highest epoch that a commit was sent for.
    pub committed: u8,
    pub ran_at_source: u8,
    pub ran_at_destination: u8,
    /// A process was killed, or could not start, that was the only one that had the guest.
    pub is_lost: bool,
    /// The source's machine is gone with its disk.
    pub is_source_gone: bool,
    /// The destination's machine is gone with its disk.
    pub is_destination_gone: bool,
    pub broken: Option<&'static str>,
}

impl World {
    pub fn new(faults: u8) -> Self {
        Self {
            source: Some(SourceProcess {
                machine: Source::running(),
                has_guest: true,
                runs: true,
                locks: true,
                logs: false,
                epoch: 1,
                attempt: 0,
                due: &[],
                follows: None,
            }),
            source_disk: Disk { ownership: Ownership::Running, epoch: 1, attempt: 0 },
            destination: Some(DestinationProcess::new(None)),
            destination_disk: None,
            link: None,
            faults,
            attempts: 0,
            gone_on: 0,
            committed: 0,
            ran_at_source: 1 << 1,
            ran_at_destination: 0,
            is_lost: false,
            is_source_gone: false,
            is_destination_gone: false,
            broken: None,
        }
    }

    /// Whether both processes wait for something.
    pub fn source_waits(&self) -> bool {
        self.source.is_some_and(|source| source.due.is_empty())
    }

    pub fn destination_waits(&self) -> bool {
        self.destination.is_some_and(|destination| destination.due.is_empty())
    }

    pub fn send_source(&mut self, packet: Packet) {
        if let Some(link) = &mut self.link
            && link.destination_open
            && !link.is_cut
        {
            link.to_source.push(packet);
        }
    }

    pub fn send_destination(&mut self, packet: Packet) {
        if let Some(link) = &mut self.link
            && link.source_open
            && !link.is_cut
        {
            link.to_destination.push(packet);
        }
    }

    pub fn close_source(&mut self) {
        if let Some(link) = &mut self.link {
            link.source_open = false;
            link.to_source.clear();
        }
        self.drop_link();
    }

    pub fn close_destination(&mut self) {
        if let Some(link) = &mut self.link {
            link.destination_open = false;
            link.to_destination.clear();
        }
        self.drop_link();
    }

    fn drop_link(&mut self) {
        if self.link.as_ref().is_some_and(|link| !link.source_open && !link.destination_open) {
            self.link = None;
        }
    }

    fn violated(&mut self, what: &'static str) {
        self.broken.get_or_insert(what);
    }

    /// What holds in every state.
    pub fn check(&mut self) {
        let source_runs = self.source.is_some_and(|source| source.runs);
        let image = self.destination.and_then(|destination| destination.image);
        let running = image.filter(|image| image.runs);
        if source_runs && running.is_some() {
            self.violated("two run");
        }
        if self.ran_at_source & self.ran_at_destination != 0 {
            self.violated("both ran one epoch");
        }
        // With the source's disk gone nobody can know, and an operator has stated that it may be.
        let is_old = running.is_some_and(|image| self.gone_on >> image.attempt & 1 == 1);
        if is_old && !self.is_source_gone {
            self.violated("a state runs that the guest had gone on from");
        }
        let is_idle = self.destination.is_some_and(|destination| {
            destination.due.is_empty() && destination.machine.state() == DestinationState::Listening
        });
        if is_idle && image.is_some() {
            self.violated("the destination holds what it says it does not");
        }
        if let Some(source) = self.source.filter(|source| source.runs)
            && source.epoch <= self.committed
        {
            self.violated("the source runs an epoch that it gave away");
        }
    }

    // The source.

    pub fn tell_source(&mut self, rules: &Rules, event: SourceEvent) {
        let Some(source) = &mut self.source else { return };
        source.due = source.machine.handle_by(&rules.source, event);
        source.follows = None;
    }

    /// Does the next thing that the source is about to do. `fate` is how that goes.
    pub fn source_acts(&mut self, rules: &Rules, fate: Fate) {
        let Some(source) = self.source else { return };
        let Some((&action, rest)) = source.due.split_first() else { return };
        let mut follows = source.follows;
        let (attempt, epoch) = (source.attempt, source.epoch);
        let process = self.source.as_mut().expect("just looked at");
        process.due = rest;
        match action {
            SourceAction::SendHello | SourceAction::SendResume => {
                let purpose = action == SourceAction::SendHello;
                self.send_destination(Packet::Hello { purpose, attempt, epoch });
            }
            SourceAction::SendOffer => self.send_destination(Packet::Offer),
            SourceAction::BeginCopy | SourceAction::SendRound => {
                process.logs = true;
                self.send_destination(Packet::Round { is_last: false });
            }
            SourceAction::SendLastRound => self.send_destination(Packet::Round { is_last: true }),
            SourceAction::SendState => self.send_destination(Packet::State { attempt }),
            SourceAction::Record(ownership) => {
                let disk = Disk { ownership, epoch, attempt };
                follows = Some(self.write_source(disk, fate));
            }
            SourceAction::RecordReclaimed => {
                let disk = Disk { ownership: Ownership::Running, epoch: epoch + 2, attempt };
                let wrote = self.write_source(disk, fate);
                if wrote == SourceEvent::Recorded {
                    self.source.as_mut().expect("it wrote").epoch = epoch + 2;
                }
                follows = Some(wrote);
            }
            SourceAction::Freeze => {
                process.runs = false;
                let is_done = fate == Fate::Good;
                follows = Some(if is_done { SourceEvent::Frozen } else { SourceEvent::Failed });
            }
            SourceAction::Resume => self.source_goes_on(),
            SourceAction::SendCommit => {
                self.committed = self.committed.max(epoch);
                self.send_destination(Packet::Commit { attempt, epoch: epoch + 1 });
            }
            SourceAction::SendWithdraw => self.send_destination(Packet::Withdraw { attempt }),
            SourceAction::SendFarewell => self.send_destination(Packet::Farewell { attempt }),
            SourceAction::Close => self.close_source(),
            SourceAction::EndCopy => process.logs = false,
            SourceAction::Release => process.locks = false,
            SourceAction::End => {
                if process.has_guest && !self.destination_has_it() {
                    self.violated("the source drops a guest that nobody else has");
                }
                let process = self.source.as_mut().expect("just looked at");
                (process.has_guest, process.runs, process.locks) = (false, false, false);
            }
        }
        let process = self.source.as_mut().expect("just looked at");
        process.follows = follows;
        if fate != Fate::Good {
            // As the driver does: what cannot be done ends the list.
            process.due = &[];
        }
        if process.due.is_empty()
            && let Some(event) = process.follows
        {
            self.tell_source(rules, event);
        }
    }

    /// Whether the destination took the guest, alive or crashed since.
    fn destination_has_it(&self) -> bool {
        self.destination_disk.is_some_and(|disk| disk.ownership == Ownership::Running)
    }

    fn write_source(&mut self, disk: Disk, fate: Fate) -> SourceEvent {
        if fate != Fate::Bad {
            self.source_disk = disk;
        }
        if fate == Fate::Good { SourceEvent::Recorded } else { SourceEvent::RecordFailed }
    }

    fn source_goes_on(&mut self) {
        let Some(source) = &mut self.source else { return };
        if !source.has_guest {
            return self.violated("a guest goes on that is gone");
        }
        (source.runs, source.locks, source.logs) = (true, true, false);
        self.gone_on |= 1 << source.attempt;
        self.ran_at_source |= 1 << source.epoch;
    }

    /// What a packet means to the source, or `None` if there is nobody.
    pub fn source_receives(&mut self, rules: &Rules, packet: Packet) {
        let Some(source) = self.source else { return };
        let ours = source.attempt;
        let about = |attempt, event| if attempt == ours { event } else { SourceEvent::Failed };
        let event = match packet {
            Packet::Welcome { standing, attempt } => {
                about(attempt, SourceEvent::Welcomed(standing))
            }
            Packet::Accept => SourceEvent::Accepted,
            Packet::Refuse => SourceEvent::Refused,
            Packet::RoundDone => SourceEvent::Converged,
            Packet::Prepared { attempt } => about(attempt, SourceEvent::Prepared),
            Packet::Acknowledged { attempt } => about(attempt, SourceEvent::Acknowledged),
            Packet::Discarded { attempt } => about(attempt, SourceEvent::Discarded),
            _ => SourceEvent::Failed,
        };
        self.tell_source(rules, event);
    }

    // The destination.

    pub fn tell_destination(&mut self, rules: &Rules, event: DestinationEvent) {
        let Some(destination) = &mut self.destination else { return };
        destination.due = destination.machine.handle_by(&rules.destination, event);
        destination.follows = None;
    }

    /// Does the next thing that the destination is about to do.
    pub fn destination_acts(&mut self, rules: &Rules, fate: Fate) {
        let Some(destination) = self.destination else { return };
        let Some((&action, rest)) = destination.due.split_first() else { return };
        self.destination.as_mut().expect("just looked at").due = rest;
        let follows = self.destination_does(destination, action, fate);
        let process = self.destination.as_mut().expect("just looked at");
        process.follows = follows.or(process.follows);
        if fate != Fate::Good {
            process.due = &[];
        }
        if process.due.is_empty()
            && let Some(event) = process.follows
        {
            self.tell_destination(rules, event);
        }
    }

    fn destination_does(
        &mut self,
        destination: DestinationProcess,
        action: DestinationAction,
        fate: Fate,
    ) -> Option<DestinationEvent> {
        let is_good = fate == Fate::Good;
        let either = |good, bad| Some(if is_good { good } else { bad });
        let attempt = destination.record.map_or(0, |record| record.attempt);
        let greeted = destination.greeted;
        let process = self.destination.as_mut()?;
        match action {
            DestinationAction::SendWelcome(standing) => {
                self.send_source(Packet::Welcome { standing, attempt: greeted });
            }
            DestinationAction::SendRefuse => self.send_source(Packet::Refuse),
            DestinationAction::CheckOffer => {
                let (attempt, epoch) = destination.offered;
                if is_good {
                    let ownership = Ownership::Discarded;
                    process.record = Some(Disk { ownership, epoch: epoch + 1, attempt });
                }
                return either(DestinationEvent::Fits, DestinationEvent::Unfit);
            }
            DestinationAction::Record(ownership) => {
                let disk = Disk { ownership, ..destination.record? };
                if fate != Fate::Bad {
                    self.destination_disk = Some(disk);
                }
                let process = self.destination.as_mut()?;
                if is_good {
                    process.record = Some(disk);
                }
                return either(DestinationEvent::Recorded, DestinationEvent::RecordFailed);
            }
            DestinationAction::SendAccept => {
                process.has_last_round = false;
                process.image = Some(Image { attempt, is_complete: false, runs: false });
                self.send_source(Packet::Accept);
            }
            DestinationAction::ReceiveRound => self.send_source(Packet::RoundDone),
            DestinationAction::Prepare => {
                if is_good && let Some(image) = &mut process.image {
                    image.is_complete = true;
                }
                return either(DestinationEvent::Made, DestinationEvent::Failed);
            }
            DestinationAction::SendPrepared => self.send_source(Packet::Prepared { attempt }),
            DestinationAction::Run => {
                let Some(image) = process.image.as_mut().filter(|image| image.is_complete) else {
                    self.violated("the destination runs what it does not have");
                    return None;
                };
                if self.source.is_some_and(|source| source.locks) {
                    self.violated("the destination cannot lock what the source holds");
                    return None;
                }
                if !is_good {
                    self.is_lost |= self.source.is_none_or(|source| !source.has_guest);
                    return Some(DestinationEvent::StartFailed);
                }
                image.runs = true;
                self.ran_at_destination |= 1 << destination.record?.epoch;
                return Some(DestinationEvent::Started);
            }
            DestinationAction::SendAcknowledged => {
                self.send_source(Packet::Acknowledged { attempt })
            }
            DestinationAction::Discard => {
                if process.image.is_some_and(|image| image.runs) {
                    self.violated("a running guest is discarded");
                }
                let process = self.destination.as_mut()?;
                process.image = None;
                if let Some(record) = &mut process.record {
                    record.ownership = Ownership::Discarded;
                }
            }
            DestinationAction::SendDiscarded => self.send_source(Packet::Discarded { attempt }),
            DestinationAction::Close => self.close_destination(),
        }
        None
    }

    /// What a packet means to the destination.
    pub fn destination_receives(&mut self, rules: &Rules, packet: Packet) {
        let Some(destination) = &mut self.destination else { return };
        let ours = destination.record.map(|record| (record.attempt, record.epoch));
        let about = |attempt, event| {
            let is_ours = ours.is_some_and(|(ours, _)| ours == attempt);
            if is_ours { event } else { DestinationEvent::Failed }
        };
        let event = match packet {
            Packet::Hello { purpose, attempt, epoch } => {
                (destination.greeted, destination.offered) = (attempt, (attempt, epoch));
                destination.hello(purpose)
            }
            Packet::Offer => DestinationEvent::Offered,
            // The last one needs no answer.
            Packet::Round { is_last: true } => {
                destination.has_last_round = true;
                return;
            }
            Packet::Round { is_last: false } => DestinationEvent::Round,
            Packet::State { .. } if !destination.has_last_round => DestinationEvent::Failed,
            Packet::State { attempt } => about(attempt, DestinationEvent::State),
            Packet::Commit { attempt, epoch } => {
                let is_next = ours.is_some_and(|(_, ours)| ours == epoch);
                let event =
                    if is_next { DestinationEvent::Commit } else { DestinationEvent::Failed };
                about(attempt, event)
            }
            Packet::Withdraw { attempt } if attempt == destination.greeted => {
                DestinationEvent::Withdrawn
            }
            Packet::Withdraw { attempt } => about(attempt, DestinationEvent::Withdrawn),
            Packet::Farewell { attempt } => about(attempt, DestinationEvent::Farewell),
            _ => DestinationEvent::Failed,
        };
        self.tell_destination(rules, event);
    }
}

impl DestinationProcess {
    /// One that begins, by what the disk says.
    pub fn new(left: Option<Disk>) -> Self {
        Self {
            machine: Destination::new(),
            greeted: 0,
            record: left,
            image: None,
            has_last_round: false,
            offered: (0, 0),
            due: &[],
            follows: None,
        }
    }

    fn hello(&self, begins: bool) -> DestinationEvent {
        let (number, epoch) = self.offered;
        let hello = Hello {
            versions: VERSIONS,
            purpose: if begins { Purpose::Begin } else { Purpose::Resume },
            token: token(epoch),
            attempt: attempt(number),
            identities: Default::default(),
        };
        let record = self.record.map(Disk::record);
        let holds = self.machine.state() == DestinationState::PreparedGreeting;
        greet(&hello, record.as_ref(), Default::default(), holds).event()
    }
}

/// How something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Good,
    /// It fails, and nothing is on the disk.
    Bad,
    /// It fails, and is on the disk all the same.
    BadButWritten,
}
