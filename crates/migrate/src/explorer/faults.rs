//! All that can happen next, and all that can go wrong.

use super::walk::{is_to_discard, is_to_reclaim, is_to_run};
use super::world::{DestinationProcess, Disk, Fate, Link, Packet, Rules, SourceProcess, World};
use crate::handoff::{
    DestinationAction, DestinationEvent, DestinationState, Source, SourceAction, SourceEvent,
    SourceState,
};
use crate::message::Standing;
use crate::ownership::Ownership;

/// The most attempts at a handoff.
const ATTEMPTS: u8 = 2;

/// One step of the world, and whether it is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    SourceActs(Fate),
    DestinationActs(Fate),
    SourceHears,
    DestinationHears,
    SourceSeesEnd,
    DestinationSeesEnd,
    /// A time limit passes although the peer lives.
    SourceLate,
    DestinationLate,
    Connects,
    /// The source dials a host that is gone.
    NobodyAnswers,
    Retries,
    Starts,
    Cancels,
    DestinationCancels,
    Cut,
    RepeatsToSource,
    RepeatsToDestination,
    SourceDies,
    DestinationDies,
    SourceRestarts,
    DestinationRestarts,
    /// Another host answers the source that asks about its attempt.
    WrongHost,
    /// The source's machine burns.
    SourceBurns,
    /// The destination's machine burns.
    DestinationBurns,
    ResolvedToReclaim,
    ResolvedToRun,
    ResolvedToDiscard,
}

use Happening as H;

impl Happening {
    pub fn is_fault(self) -> bool {
        match self {
            H::SourceActs(fate) | H::DestinationActs(fate) => fate != Fate::Good,
            H::SourceLate
            | H::DestinationLate
            | H::Cancels
            | H::DestinationCancels
            | H::Cut
            | H::RepeatsToSource
            | H::RepeatsToDestination
            | H::WrongHost
            | H::SourceBurns
            | H::DestinationBurns
            | H::SourceDies
            | H::DestinationDies => true,
            _ => false,
        }
    }
}

/// All of them, the ordinary ones first and in an order that gets on: what nobody disturbs goes by
/// the first that is possible.
const ALL: [Happening; 31] = [
    H::SourceActs(Fate::Good),
    H::DestinationActs(Fate::Good),
    H::SourceHears,
    H::DestinationHears,
    H::SourceSeesEnd,
    H::DestinationSeesEnd,
    H::SourceRestarts,
    H::DestinationRestarts,
    H::Connects,
    H::NobodyAnswers,
    H::Retries,
    H::ResolvedToReclaim,
    H::ResolvedToRun,
    H::ResolvedToDiscard,
    H::Starts,
    H::SourceActs(Fate::Bad),
    H::SourceActs(Fate::BadButWritten),
    H::DestinationActs(Fate::Bad),
    H::DestinationActs(Fate::BadButWritten),
    H::SourceLate,
    H::DestinationLate,
    H::Cancels,
    H::DestinationCancels,
    H::Cut,
    H::RepeatsToSource,
    H::RepeatsToDestination,
    H::WrongHost,
    H::SourceBurns,
    H::DestinationBurns,
    H::SourceDies,
    H::DestinationDies,
];

/// What can happen in `world`.
pub fn possible(world: &World, rules: &Rules) -> Vec<(Happening, World)> {
    ALL.into_iter()
        .filter_map(|happening| Some((happening, after(world, rules, happening)?)))
        .collect()
}

/// What happens next if nothing goes wrong and nobody starts anything.
pub fn undisturbed(world: &World, rules: &Rules) -> Option<World> {
    let quiet = ALL.into_iter().filter(|h| !h.is_fault() && *h != H::Starts);
    quiet.into_iter().find_map(|happening| after(world, rules, happening))
}

fn after(world: &World, rules: &Rules, happening: Happening) -> Option<World> {
    if happening.is_fault() && world.faults == 0 {
        return None;
    }
    let mut next = world.clone();
    step(&mut next, rules, happening)?;
    next.faults -= u8::from(happening.is_fault());
    next.check();
    Some(next)
}

fn step(world: &mut World, rules: &Rules, happening: Happening) -> Option<()> {
    match happening {
        H::SourceActs(fate) => {
            let action = *world.source?.due.first()?;
            possible_for_source(action, fate).then(|| world.source_acts(rules, fate))
        }
        H::DestinationActs(fate) => {
            let action = *world.destination?.due.first()?;
            possible_for_destination(action, fate).then(|| world.destination_acts(rules, fate))
        }
        H::SourceHears => {
            let packet = first(world, true)?;
            world.link.as_mut()?.to_source.remove(0);
            world.source_receives(rules, packet);
            Some(())
        }
        H::DestinationHears => {
            let packet = first(world, false)?;
            world.link.as_mut()?.to_destination.remove(0);
            world.destination_receives(rules, packet);
            Some(())
        }
        H::SourceSeesEnd => {
            let link = world.link.as_ref()?;
            let is_end = (!link.destination_open || link.is_cut) && link.to_source.is_empty();
            (is_end && link.source_open && source_can_fail(world, rules)).then(|| {
                world.tell_source(rules, SourceEvent::Failed);
            })
        }
        H::DestinationSeesEnd => {
            let link = world.link.as_ref()?;
            let is_end = (!link.source_open || link.is_cut) && link.to_destination.is_empty();
            (is_end && link.destination_open && destination_can_fail(world, rules)).then(|| {
                world.tell_destination(rules, DestinationEvent::Failed);
            })
        }
        H::SourceLate => {
            let is_linked = world.link.as_ref().is_some_and(|link| link.source_open);
            let is_dialling =
                world.source.is_some_and(|it| it.machine.state() == SourceState::Dialling);
            ((is_linked || is_dialling) && source_can_fail(world, rules)).then(|| {
                world.tell_source(rules, SourceEvent::Failed);
            })
        }
        H::DestinationLate => {
            let is_linked = world.link.as_ref()?.destination_open;
            (is_linked && destination_can_fail(world, rules)).then(|| {
                world.tell_destination(rules, DestinationEvent::Failed);
            })
        }
        H::Connects => connects(world, rules),
        H::NobodyAnswers => {
            let source = world.source.filter(|source| source.due.is_empty())?;
            let is_dialling = source.machine.state() == SourceState::Dialling;
            (is_dialling && world.is_destination_gone)
                .then(|| world.tell_source(rules, SourceEvent::Failed))
        }
        H::Retries => {
            let source = world.source.filter(|source| source.due.is_empty())?;
            let state = source.machine.state();
            matches!(state, SourceState::TakingBack | SourceState::Reclaiming)
                .then(|| world.tell_source(rules, SourceEvent::Retry))
        }
        H::Starts => starts(world, rules),
        H::Cancels => {
            let source = world.source.filter(|source| source.due.is_empty())?;
            takes(&rules.source, source.machine.state(), SourceEvent::Cancel)
                .then(|| world.tell_source(rules, SourceEvent::Cancel))
        }
        H::DestinationCancels => {
            let destination = world.destination.filter(|process| process.due.is_empty())?;
            takes(&rules.destination, destination.machine.state(), DestinationEvent::Cancel)
                .then(|| world.tell_destination(rules, DestinationEvent::Cancel))
        }
        H::Cut => {
            let link = world.link.as_mut().filter(|link| !link.is_cut)?;
            link.is_cut = true;
            link.to_source.clear();
            link.to_destination.clear();
            Some(())
        }
        H::RepeatsToSource => {
            let queue = &mut world.link.as_mut()?.to_source;
            let packet = *queue.first()?;
            queue.insert(0, packet);
            Some(())
        }
        H::RepeatsToDestination => {
            let queue = &mut world.link.as_mut()?.to_destination;
            let packet = *queue.first()?;
            queue.insert(0, packet);
            Some(())
        }
        H::SourceDies | H::DestinationDies => dies(world, happening),
        H::SourceRestarts | H::DestinationRestarts => restarts(world, happening),
        H::WrongHost => {
            let source = world.source.filter(|source| source.due.is_empty())?;
            let state = source.machine.state();
            matches!(state, SourceState::Rejoining | SourceState::OrphanGreeting).then(|| {
                let unknown = SourceEvent::Welcomed(Standing::Unknown);
                world.tell_source(rules, unknown);
            })
        }
        H::SourceBurns => {
            if world.is_source_gone || world.is_destination_gone {
                return None;
            }
            world.is_source_gone = true;
            let is_there = world.source.is_some();
            if is_there { dies(world, H::SourceDies) } else { Some(()) }
        }
        H::DestinationBurns => {
            if world.is_destination_gone || world.is_source_gone {
                return None;
            }
            world.is_destination_gone = true;
            let is_there = world.destination.is_some();
            if is_there { dies(world, H::DestinationDies) } else { Some(()) }
        }
        H::ResolvedToReclaim => {
            let source = world.source.filter(|source| source.due.is_empty())?;
            let is_stranded = source.machine.state() == SourceState::Stranded;
            (is_stranded && is_to_reclaim(world))
                .then(|| world.tell_source(rules, SourceEvent::ResolvedToReclaim))
        }
        H::ResolvedToRun | H::ResolvedToDiscard => resolved(world, rules, happening),
    }
}

/// Whether it waits for something that can fail.
fn source_can_fail(world: &World, rules: &Rules) -> bool {
    world.source.is_some_and(|source| {
        source.due.is_empty() && takes(&rules.source, source.machine.state(), SourceEvent::Failed)
    })
}

fn destination_can_fail(world: &World, rules: &Rules) -> bool {
    world.destination.is_some_and(|process| {
        let state = process.machine.state();
        process.due.is_empty() && takes(&rules.destination, state, DestinationEvent::Failed)
    })
}

/// Somebody tries a handoff for the last time.
pub fn started(world: &World, rules: &Rules) -> Option<World> {
    let mut next = world.clone();
    next.attempts = next.attempts.min(ATTEMPTS - 1);
    // A name that no attempt in this world had.
    starts(&mut next, rules)?;
    next.source.as_mut()?.attempt = ATTEMPTS + 1;
    Some(next)
}

fn takes<S: PartialEq, E: PartialEq, A>(
    rules: &[crate::handoff::Rule<S, E, A>],
    state: S,
    event: E,
) -> bool {
    rules.iter().any(|rule| rule.from == state && rule.on == event)
}

fn first(world: &World, is_to_source: bool) -> Option<Packet> {
    let link = world.link.as_ref()?;
    let (queue, waits) = if is_to_source {
        (&link.to_source, world.source_waits())
    } else {
        (&link.to_destination, world.destination_waits())
    };
    queue.first().copied().filter(|_| waits)
}

fn possible_for_source(action: SourceAction, fate: Fate) -> bool {
    match action {
        SourceAction::Record(_) | SourceAction::RecordReclaimed => true,
        SourceAction::Freeze => fate != Fate::BadButWritten,
        _ => fate == Fate::Good,
    }
}

fn possible_for_destination(action: DestinationAction, fate: Fate) -> bool {
    match action {
        DestinationAction::Record(_) => true,
        DestinationAction::CheckOffer | DestinationAction::Prepare | DestinationAction::Run => {
            fate != Fate::BadButWritten
        }
        _ => fate == Fate::Good,
    }
}

fn connects(world: &mut World, rules: &Rules) -> Option<()> {
    let source = world.source.filter(|source| source.due.is_empty())?;
    let is_seeking = matches!(
        source.machine.state(),
        SourceState::Dialling | SourceState::Stranded | SourceState::Orphaned
    );
    is_seeking.then(|| link_up(world, rules)).flatten()
}

fn starts(world: &mut World, rules: &Rules) -> Option<()> {
    let is_idle = world.source.is_some_and(|source| {
        source.due.is_empty() && source.runs && source.machine.state() == SourceState::Running
    });
    if !is_idle || world.attempts == ATTEMPTS {
        return None;
    }
    world.attempts += 1;
    world.source.as_mut()?.attempt = world.attempts;
    world.tell_source(rules, SourceEvent::Begin);
    Some(())
}

/// Whether somebody can connect to the destination.
pub fn is_listening(world: &World, rules: &Rules) -> bool {
    world.destination.is_some_and(|process| {
        let state = process.machine.state();
        process.due.is_empty() && takes(&rules.destination, state, DestinationEvent::Linked)
    })
}

fn link_up(world: &mut World, rules: &Rules) -> Option<()> {
    if world.link.is_some() || !is_listening(world, rules) {
        return None;
    }
    world.link = Some(Link {
        to_source: Vec::new(),
        to_destination: Vec::new(),
        source_open: true,
        destination_open: true,
        is_cut: false,
    });
    world.tell_source(rules, SourceEvent::Linked);
    world.tell_destination(rules, DestinationEvent::Linked);
    Some(())
}

fn dies(world: &mut World, happening: Happening) -> Option<()> {
    let image = world.destination.and_then(|process| process.image);
    if happening == H::SourceDies {
        let source = world.source.take()?;
        if source.has_guest {
            // Whether it can go on: the destination holds its last state, and has vouched for it.
            let vouched = world.destination.and_then(|process| process.record);
            let is_vouched = image.is_some_and(|image| image.is_complete)
                && vouched.is_some_and(|disk| {
                    disk.ownership == Ownership::Prepared && disk.attempt == source.attempt
                });
            // Once the source's disk says that it keeps it, nobody can know whether it went on.
            let state = source.machine.state();
            let is_kept = world.source_disk.ownership == Ownership::Running
                && matches!(
                    state,
                    SourceState::Running | SourceState::TakingBack | SourceState::Reclaiming
                );
            let was_taken = image.is_some_and(|image| image.runs);
            world.is_lost |= !was_taken && (!is_vouched || is_kept);
        }
        world.close_source();
    } else {
        let process = world.destination.take()?;
        let took = process.record.is_some_and(|disk| disk.ownership == Ownership::Running)
            || world.destination_disk.is_some_and(|disk| disk.ownership == Ownership::Running);
        let nobody_else = world.source.is_none_or(|source| !source.has_guest);
        world.is_lost |= took || (process.image.is_some() && nobody_else);
        world.close_destination();
    }
    Some(())
}

fn restarts(world: &mut World, happening: Happening) -> Option<()> {
    if happening == H::SourceRestarts {
        if world.source.is_some() || world.is_source_gone {
            return None;
        }
        let Disk { ownership, epoch, attempt } = world.source_disk;
        let machine = Source::orphan(ownership)?;
        world.source = Some(SourceProcess {
            machine,
            has_guest: false,
            runs: false,
            locks: false,
            logs: false,
            epoch,
            attempt,
            due: &[],
            follows: None,
        });
    } else {
        if world.destination.is_some() || world.is_destination_gone {
            return None;
        }
        world.destination = Some(DestinationProcess::new(world.destination_disk));
    }
    Some(())
}

/// Where the source's process is gone, an operator looks at both disks, or states that there is
/// only one.
fn resolved(world: &mut World, rules: &Rules, happening: Happening) -> Option<()> {
    let destination = world.destination.filter(|process| process.due.is_empty())?;
    let is_alone = destination.machine.state() == DestinationState::PreparedAlone;
    let (found, event) = match happening {
        H::ResolvedToRun => (is_to_run(world), DestinationEvent::ResolvedToRun),
        _ => (is_to_discard(world), DestinationEvent::ResolvedToDiscard),
    };
    let has_source = world.source.is_some_and(|source| source.has_guest);
    (is_alone && found && !has_source).then(|| world.tell_destination(rules, event))
}
