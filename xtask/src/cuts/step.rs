//! What goes over the connection of a handoff, what is done to it, and what must become of it.
//!
//! All of this is taken from `docs/migration.md`, not from the code under test.

use std::fmt;

/// One thing that goes over a connection, in the order of a handoff: a message, or memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Hello,
    Welcome,
    Offer,
    Accept,
    /// On a further connection, as the answer to it.
    Join,
    Joined,
    FirstRound,
    /// What follows the first round: its pages, or the descriptor of all of memory.
    FirstMemory,
    RoundDone,
    LastRound,
    LastMemory,
    State,
    Prepared,
    Commit,
    Acknowledged,
    Farewell,
    /// What one side says that nobody between can read.
    Sealed(Side),
}

impl Step {
    /// What goes over the first connection.
    const ALL: [Self; 14] = [
        Self::Hello,
        Self::Welcome,
        Self::Offer,
        Self::Accept,
        Self::FirstRound,
        Self::FirstMemory,
        Self::RoundDone,
        Self::LastRound,
        Self::LastMemory,
        Self::State,
        Self::Prepared,
        Self::Commit,
        Self::Acknowledged,
        Self::Farewell,
    ];
    /// What goes over a further one.
    const FURTHER: [Self; 4] = [Self::Join, Self::Joined, Self::FirstMemory, Self::LastMemory];

    /// Whether it is the guest's memory.
    pub fn is_memory(self) -> bool {
        matches!(self, Self::FirstMemory | Self::LastMemory)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hello => "hello",
            Self::Welcome => "welcome",
            Self::Offer => "offer",
            Self::Accept => "accept",
            Self::Join => "join",
            Self::Joined => "joined",
            Self::FirstRound => "first round",
            Self::FirstMemory => "its memory",
            Self::RoundDone => "round done",
            Self::LastRound => "last round",
            Self::LastMemory => "its pages",
            Self::State => "state",
            Self::Prepared => "prepared",
            Self::Commit => "commit",
            Self::Acknowledged => "acknowledged",
            Self::Farewell => "farewell",
            Self::Sealed(Side::Source) => "source's bytes",
            Self::Sealed(Side::Destination) => "destination's bytes",
        })
    }
}

/// What carries the handoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// TCP: memory as pages.
    Tcp,
    /// TCP, with a further connection for memory.
    Wide,
    /// TCP between those who have keys.
    Tls,
    /// A UNIX socket: memory by its descriptor.
    Unix,
}

impl Way {
    /// What goes over a connection of an undisturbed handoff, if that can be told.
    pub fn steps(self, connection: usize) -> impl Iterator<Item = Step> {
        let steps: &[Step] = match (self, connection) {
            (Self::Tls, _) => &[],
            (_, 0) => &Step::ALL,
            (Self::Wide, 1) => &Step::FURTHER,
            _ => &[],
        };
        // A descriptor is sent once.
        steps.iter().copied().filter(move |step| self != Self::Unix || *step != Step::LastMemory)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Wide => "tcp, further",
            Self::Tls => "tls",
            Self::Unix => "unix",
        })
    }
}

/// One of the two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Source,
    Destination,
}

/// What is done when a step comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The link is cut before it.
    Lost,
    /// The link is cut in its middle.
    Halved,
    /// The link is cut behind this many of its bytes.
    CutAt(usize),
    /// It comes later than anybody waits for it.
    Late,
    /// It comes twice.
    Doubled,
    /// The process is killed before it comes, and the link ends with that.
    Killed(Side),
    /// From here on the process can write no file, until there is room again.
    Full(Side),
    /// As [`Self::Killed`], of a destination of which it is then stated that it is gone for good.
    Fenced,
    /// The link is cut before it, and the destination is told to drop what it has.
    Discarded,
}

impl Fault {
    /// What the columns of the table are.
    pub const ALL: [Self; 10] = [
        Self::Lost,
        Self::Halved,
        Self::Late,
        Self::Doubled,
        Self::Killed(Side::Source),
        Self::Killed(Side::Destination),
        Self::Full(Side::Source),
        Self::Full(Side::Destination),
        Self::Fenced,
        Self::Discarded,
    ];

    /// Whether it can be done to `step`.
    pub fn fits(self, step: Step, way: Way) -> bool {
        let is_descriptor = step.is_memory() && way == Way::Unix;
        match self {
            // One byte has no middle, and a second descriptor is another matter.
            Self::Halved | Self::Doubled => !is_descriptor,
            // Only then there is anything to state.
            Self::Fenced | Self::Discarded => step == Step::Commit,
            _ => true,
        }
    }

    /// Whether it is done to a process, not to the link alone.
    pub fn is_of_process(self) -> bool {
        matches!(self, Self::Killed(_) | Self::Full(_) | Self::Fenced | Self::Discarded)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.pad("lost"),
            Self::Halved => f.pad("halved"),
            Self::CutAt(bytes) => write!(f, "cut behind byte {bytes}"),
            Self::Late => f.pad("late"),
            Self::Doubled => f.pad("doubled"),
            Self::Killed(Side::Source) => f.pad("source killed"),
            Self::Killed(Side::Destination) => f.pad("dest. killed"),
            Self::Full(Side::Source) => f.pad("source full"),
            Self::Full(Side::Destination) => f.pad("dest. full"),
            Self::Fenced => f.pad("dest. fenced"),
            Self::Discarded => f.pad("discarded"),
        }
    }
}

/// A fault at a step of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which of the handoff's connections, from 0.
    pub connection: usize,
    pub step: Step,
    pub fault: Fault,
}

/// One handoff with what is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub way: Way,
    /// What goes before [`Self::cut`], so that there is a further connection.
    pub before: Option<Cut>,
    pub cut: Cut,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.way)?;
        if let Some(Cut { step, fault, .. }) = self.before {
            write!(f, "{step} {fault}, and then at the next connection's ")?;
        }
        write!(f, "{}: {}", self.cut.step, self.cut.fault)
    }
}

/// What must become of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// It stays, by itself; the destination is expecting it, or prepared in vain.
    Stays { may_be_prepared: bool, must_be_prepared: bool },
    /// It goes, by itself.
    Goes,
    /// One of the two: which, a race decides.
    StaysOrGoes,
    /// It stays; its destination is gone.
    StaysAlone,
    /// It rests at the source until that can write again, and then stays or goes.
    Rests,
    /// It was given away to a destination that cannot write: it goes when that can.
    Waits,
    /// Nobody has it, and the journal at the source says so, once the destination was asked if
    /// the handoff had been announced.
    Crashed { is_announced: bool },
    /// The destination is prepared, and asks; a resolution gives it the guest.
    Asks,
    /// The destination runs it; a resolution at the source finds that out.
    HasGone,
    /// It was given away to a destination that is gone: it comes back when that is started anew,
    /// or when it is stated that it never will be.
    ComesBack { by_statement: bool },
    /// It was given away to a destination that drops it, and comes back.
    Dropped,
    /// Nobody has it: it ran at the destination.
    CrashedThere { source_lives: bool },
}

impl fmt::Display for Becomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stays { .. } | Self::StaysAlone => "stays",
            Self::Goes => "goes",
            Self::Rests => "rests",
            Self::Waits => "waits, goes",
            Self::StaysOrGoes => "one of them",
            Self::Crashed { .. } => "crash",
            Self::Asks => "asks, goes",
            Self::HasGone => "has gone",
            Self::ComesBack { by_statement: false } => "comes back",
            Self::ComesBack { by_statement: true } => "stated, back",
            Self::Dropped => "comes back",
            Self::CrashedThere { .. } => "crash there",
        })
    }
}

impl Case {
    /// What the document says of it.
    pub fn becomes(&self) -> Becomes {
        let Cut { step, fault, .. } = self.cut;
        match fault {
            Fault::Killed(Side::Source) => self.without_source(step),
            Fault::Killed(Side::Destination) | Fault::Fenced => self.without_destination(step),
            Fault::Discarded => Becomes::Dropped,
            Fault::Full(side) => Self::without_room(side, step),
            _ if matches!(step, Step::Sealed(_)) => Becomes::StaysOrGoes,
            _ if self.before.is_some() || step >= Step::Commit => Becomes::Goes,
            // Nothing is read behind these.
            Fault::Doubled if self.cut.connection > 0 && self.is_last_of_its_side() => {
                Becomes::Goes
            }
            // The first copy is good, and its answer may or may not arrive before the link ends.
            Fault::Doubled if step == Step::State => Becomes::StaysOrGoes,
            Fault::Doubled if step == Step::Prepared => Becomes::Goes,
            _ => Becomes::Stays {
                // What a source says that has given up may end with the link.
                may_be_prepared: step >= Step::State
                    || (step == Step::RoundDone && fault == Fault::Doubled),
                must_be_prepared: step == Step::Prepared && fault != Fault::Late,
            },
        }
    }

    /// Whether nothing follows it on its connection in its direction.
    fn is_last_of_its_side(&self) -> bool {
        matches!(self.cut.step, Step::Joined | Step::LastMemory)
    }

    /// How far it had come before [`Self::cut`], as a step of an undisturbed handoff.
    fn reached(&self, step: Step) -> Step {
        match self.before {
            Some(before) if step < before.step => before.step,
            _ => step,
        }
    }

    /// What is written when, says the overview of the document's first chapter.
    fn without_room(side: Side, step: Step) -> Becomes {
        // Which records are still to come where: all of them, or the one that decides.
        let (all, decides) = match side {
            Side::Source => (Step::RoundDone, Step::Prepared),
            Side::Destination => (Step::State, Step::Commit),
        };
        match side {
            _ if step <= all => Becomes::Stays { may_be_prepared: false, must_be_prepared: false },
            _ if step > decides => Becomes::Goes,
            Side::Source => Becomes::Rests,
            Side::Destination => Becomes::Waits,
        }
    }

    fn without_source(&self, step: Step) -> Becomes {
        match self.reached(step) {
            step if step < Step::Prepared => {
                Becomes::Crashed { is_announced: step >= Step::LastRound }
            }
            Step::Prepared | Step::Commit => Becomes::Asks,
            _ => Becomes::HasGone,
        }
    }

    fn without_destination(&self, step: Step) -> Becomes {
        match self.reached(step) {
            step if step < Step::Commit => Becomes::StaysAlone,
            Step::Commit => Becomes::ComesBack { by_statement: self.cut.fault == Fault::Fenced },
            step => Becomes::CrashedThere { source_lives: step != Step::Farewell },
        }
    }
}

/// Every fault at every step of the first connection, and of the one after a commit or its
/// acknowledgement was lost; where there is a further one, at every step of that.
pub fn boundaries(way: Way) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |before: Option<Cut>, connection: usize, step: Step| {
        // What a full disk stops is written on the first connection.
        let is_meant = |fault: &Fault| connection == 0 || !matches!(fault, Fault::Full(_));
        let faults = Fault::ALL.into_iter().filter(|fault| fault.fits(step, way));
        for fault in faults.filter(is_meant) {
            cases.push(Case { way, before, cut: Cut { connection, step, fault } });
        }
    };
    if way == Way::Wide {
        way.steps(1).for_each(|step| add(None, 1, step));
        return cases;
    }
    way.steps(0).for_each(|step| add(None, 0, step));
    use Step as S;
    let settling: [(Step, &[Step]); 2] = [
        (S::Commit, &[S::Hello, S::Welcome, S::Commit, S::Acknowledged, S::Farewell]),
        (S::Acknowledged, &[S::Hello, S::Welcome, S::Farewell]),
    ];
    for (step, then) in settling {
        let before = Cut { connection: 0, step, fault: Fault::Lost };
        then.iter().for_each(|step| add(Some(before), 1, *step));
    }
    // Those that take longest first.
    cases.sort_by_key(|case| case.cut.fault != Fault::Late);
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(step: Step, fault: Fault) -> Case {
        Case { way: Way::Tcp, before: None, cut: Cut { connection: 0, step, fault } }
    }

    #[test]
    fn the_record_decides_who_has_the_guest_after_a_cut() {
        for step in Step::ALL {
            let stays = matches!(case(step, Fault::Lost).becomes(), Becomes::Stays { .. });
            assert_eq!(stays, step < Step::Commit, "{step}");
        }
    }

    #[test]
    fn killed_sides_are_those_of_the_document() {
        use Becomes as B;
        let source = |step| case(step, Fault::Killed(Side::Source)).becomes();
        let destination = |step| case(step, Fault::Killed(Side::Destination)).becomes();
        assert_eq!(source(Step::State), B::Crashed { is_announced: true });
        assert_eq!(source(Step::RoundDone), B::Crashed { is_announced: false });
        assert_eq!((source(Step::Prepared), source(Step::Commit)), (B::Asks, B::Asks));
        assert_eq!(source(Step::Acknowledged), B::HasGone);
        assert_eq!(destination(Step::Prepared), B::StaysAlone);
        assert_eq!(destination(Step::Commit), B::ComesBack { by_statement: false });
        assert_eq!(destination(Step::Acknowledged), B::CrashedThere { source_lives: true });
        let lost = Cut { connection: 0, step: Step::Acknowledged, fault: Fault::Lost };
        let then = case(Step::Hello, Fault::Killed(Side::Source));
        assert_eq!(Case { before: Some(lost), ..then }.becomes(), B::HasGone);
    }

    #[test]
    fn full_disk_counts_where_something_is_written() {
        use Becomes as B;
        let source = |step| case(step, Fault::Full(Side::Source)).becomes();
        let destination = |step| case(step, Fault::Full(Side::Destination)).becomes();
        assert_eq!((source(Step::LastRound), source(Step::Prepared)), (B::Rests, B::Rests));
        assert!(matches!(source(Step::Hello), B::Stays { .. }));
        assert!(matches!(destination(Step::State), B::Stays { .. }));
        assert_eq!((destination(Step::Prepared), destination(Step::Commit)), (B::Waits, B::Waits));
        assert_eq!((source(Step::Commit), destination(Step::Acknowledged)), (B::Goes, B::Goes));
    }

    #[test]
    fn further_connection_is_missed_until_nothing_is_due_on_it() {
        let becomes = |step, fault| {
            let cut = Cut { connection: 1, step, fault };
            Case { way: Way::Wide, before: None, cut }.becomes()
        };
        let stays = Becomes::Stays { may_be_prepared: false, must_be_prepared: false };
        for step in Step::FURTHER {
            assert_eq!(becomes(step, Fault::Lost), stays, "{step}");
            assert_eq!(becomes(step, Fault::Killed(Side::Destination)), Becomes::StaysAlone);
        }
        assert_eq!(becomes(Step::FirstMemory, Fault::Doubled), stays);
        assert_eq!(becomes(Step::LastMemory, Fault::Doubled), Becomes::Goes);
        let crashed = Becomes::Crashed { is_announced: false };
        assert_eq!(becomes(Step::Joined, Fault::Killed(Side::Source)), crashed);
        assert_eq!(boundaries(Way::Wide).len(), 4 * 6);
    }

    #[test]
    fn every_step_of_both_ways_has_its_faults() {
        for way in [Way::Tcp, Way::Unix] {
            let cases = boundaries(way);
            for step in way.steps(0) {
                let first = |case: &&Case| case.before.is_none() && case.cut.step == step;
                let count = cases.iter().filter(first).count();
                let is_descriptor = way == Way::Unix && step.is_memory();
                let more = usize::from(step == Step::Commit);
                assert_eq!(count, if is_descriptor { 6 } else { 8 + 2 * more }, "{way}: {step}");
            }
        }
    }
}
