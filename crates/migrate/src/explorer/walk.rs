//! The walk itself.

use super::faults::{Happening, is_listening, possible, started, undisturbed};
use super::world::{Rules, SourceProcess, World};
use crate::handoff::{DESTINATION_RULES, SOURCE_RULES};
use crate::resolve::{Side, Verdict, View, resolve};
use std::collections::HashMap;

/// How many steps it may take to come to an end when nothing goes wrong any more.
const STEPS_MAX: usize = 200;

impl Rules {
    pub fn of_the_product() -> Self {
        Self { source: SOURCE_RULES.to_vec(), destination: DESTINATION_RULES.to_vec() }
    }
}

/// What was found: the way there, and what is wrong.
#[derive(Debug)]
pub struct Found {
    pub what: &'static str,
    pub way: Vec<Happening>,
    pub world: World,
}

/// Walks everything that `faults` faults can lead to. The number of states, if all are well.
pub fn walk(rules: &Rules, faults: u8) -> Result<usize, Box<Found>> {
    let first = World::new(faults);
    let mut known: HashMap<World, usize> = HashMap::from([(first.clone(), 0)]);
    let mut states = vec![(first, 0, None)];
    let mut settled = HashMap::new();
    let mut next = 0;
    while next < states.len() {
        let world = states[next].0.clone();
        let wrong = world.broken.or_else(|| {
            is_resolution_wrong(&world).or_else(|| never_settles(&world, rules, &mut settled))
        });
        if let Some(what) = wrong {
            return Err(Box::new(Found { what, way: way(&states, next), world }));
        }
        for (happening, after) in possible(&world, rules) {
            if !known.contains_key(&after) {
                known.insert(after.clone(), states.len());
                states.push((after, next, Some(happening)));
            }
        }
        next += 1;
    }
    Ok(states.len())
}

fn way(states: &[(World, usize, Option<Happening>)], last: usize) -> Vec<Happening> {
    let mut way = Vec::new();
    let mut at = last;
    while let Some(happening) = states[at].2 {
        way.push(happening);
        at = states[at].1;
    }
    way.reverse();
    way
}

/// What the two journals say.
fn verdict(world: &World) -> Verdict {
    let source = world.source_disk.record();
    let source_lives = world.source.is_some_and(|source| source.has_guest);
    // A process that has the guest speaks for itself: a failed write may stand on its disk.
    let holder = world.destination.filter(|process| process.image.is_some());
    let disk = holder.map_or(world.destination_disk, |process| process.record);
    let destination = disk.map(super::world::Disk::record);
    let source = View::Journal { record: Some(&source), is_alive: source_lives };
    let destination = View::Journal { record: destination.as_ref(), is_alive: holder.is_some() };
    resolve(
        if world.is_source_gone { View::Fenced } else { source },
        if world.is_destination_gone { View::Fenced } else { destination },
    )
}

pub fn is_to_reclaim(world: &World) -> bool {
    verdict(world) == Verdict::Reclaim { by_statement: true }
}

pub fn is_to_run(world: &World) -> bool {
    verdict(world) == Verdict::GiveToDestination { by_statement: true }
}

pub fn is_to_discard(world: &World) -> bool {
    matches!(verdict(world), Verdict::Source | Verdict::Crashed(Side::Source))
}

/// Whether what the journals say would do harm.
fn is_resolution_wrong(world: &World) -> Option<&'static str> {
    let image = world.destination.and_then(|process| process.image);
    let source_has = world.source.is_some_and(|source| source.has_guest);
    match verdict(world) {
        Verdict::GiveToDestination { .. } => {
            let is_old = image.is_some_and(|image| world.gone_on >> image.attempt & 1 == 1);
            let is_old = is_old && !world.is_source_gone;
            (source_has || is_old).then_some("a resolution gives away what the source has")
        }
        Verdict::Reclaim { .. } => (!source_has || image.is_some_and(|image| image.runs))
            .then_some("a resolution gives back what the destination has"),
        Verdict::Crashed(_) => {
            let runs = image.is_some_and(|image| image.runs)
                || world.source.is_some_and(|source| source.runs);
            runs.then_some("a resolution buries a guest that runs")
        }
        _ => None,
    }
}

/// Lets the world go on without any fault, and looks how it ends.
fn never_settles(
    world: &World,
    rules: &Rules,
    settled: &mut HashMap<World, Option<&'static str>>,
) -> Option<&'static str> {
    let mut now = world.clone();
    let mut path = Vec::new();
    let mut wrong = Some("it never comes to an end");
    for _ in 0..STEPS_MAX {
        if let Some(known) = settled.get(&now) {
            wrong = *known;
            break;
        }
        path.push(now.clone());
        match undisturbed(&now, rules) {
            Some(_) if now.broken.is_some() => {
                wrong = now.broken;
                break;
            }
            Some(after) => now = after,
            None => {
                wrong = judge_end(&now, rules);
                break;
            }
        }
    }
    for state in path {
        settled.insert(state, wrong);
    }
    wrong
}

/// What is wrong with an end.
fn judge_end(world: &World, rules: &Rules) -> Option<&'static str> {
    if world.broken.is_some() {
        return world.broken;
    }
    if world.link.is_some() {
        return Some("a connection stays open that nobody uses");
    }
    if !is_listening(world, rules) && !world.is_destination_gone {
        return Some("nobody can connect to the destination any more");
    }
    let image = world.destination.and_then(|process| process.image);
    let source = world.source.filter(|source| source.has_guest);
    match (source, image) {
        (Some(_), Some(image)) if image.runs => Some("the source holds what it gave away"),
        // If its last word was lost, the destination is prepared until the next try.
        (Some(source), _) => judge_kept(world, source, rules),
        (None, Some(image)) if image.runs => None,
        (None, Some(_)) => Some("nobody runs what is prepared"),
        (None, None) if !world.is_lost => Some("the guest is lost, and nobody knows why"),
        (None, None) => {
            let says_so = match verdict(world) {
                Verdict::Crashed(_) => true,
                // The source is gone, and the destination never heard of it.
                Verdict::Unrelated => world.is_source_gone,
                _ => false,
            };
            (!says_so).then_some("the guest is lost, and the journals do not say so")
        }
    }
}

/// The guest stays at the source: everything must be as before, and ready for another try.
fn judge_kept(world: &World, source: SourceProcess, rules: &Rules) -> Option<&'static str> {
    if !source.runs {
        return Some("the source holds a guest and nobody runs it");
    }
    if source.logs || !source.locks {
        return Some("the guest goes on, but not as before");
    }
    let Some(mut now) = started(world, rules) else {
        return Some("the guest runs, and the source is not ready for another try");
    };
    if world.is_destination_gone {
        return None;
    }
    for _ in 0..STEPS_MAX {
        match undisturbed(&now, rules) {
            Some(after) => now = after,
            None => break,
        }
    }
    let arrived = now.destination.and_then(|process| process.image).is_some_and(|it| it.runs);
    now.broken.or((!arrived).then_some("another try does not succeed"))
}

#[test]
fn no_fault_leads_to_two_or_to_none() {
    let rules = Rules::of_the_product();
    for faults in 0..=4 {
        match walk(&rules, faults) {
            Ok(states) => println!("{faults} faults: {states} states"),
            Err(found) => {
                panic!("{faults} faults: {} after {:#?}\n{:#?}", found.what, found.way, found.world)
            }
        }
    }
}
