//! `abide migrate --resolve`: a handoff that was cut off is settled.

use super::guests::finish;
use crate::cli::MigrateArgs;
use crate::control_socket::{Request, ask};
use crate::exit::Exit;
use crate::handoff;
use crate::out::say;
use crate::state_dir::StateDir;
use abide_migrate::driver::{Keep, Patience, SourceEnd, SourceHandoff};
use abide_migrate::{Journal, Ownership, Record};
use anyhow::Result;

/// Settles by the journal of this side what a process has left, or tells a living one that the
/// other side is fenced.
pub fn run(args: &MigrateArgs, state: &StateDir) -> Result<Exit> {
    let name = &args.name;
    if state.is_running(name) {
        return by_process(args, state);
    }
    // Whoever holds the place knows that the process is gone, and that none begins meanwhile.
    let place = state.take(Some(name), None)?;
    let mut journal = Journal::open(&place.journal()?, args.journal.durability())?;
    let Some(record) = journal.record().cloned() else {
        say(&format!("{name}: no journal here speaks of it"));
        return Ok(Exit::Refused);
    };
    say(&format!("{name}: {}", told(&record)));
    match record.ownership {
        Ownership::Outgoing | Ownership::GivenAway if args.discard => {
            say(&format!("{name}: only what is prepared at its destination can be discarded"));
            Ok(Exit::Refused)
        }
        Ownership::Outgoing | Ownership::GivenAway => by_source(args, &mut journal, &record),
        Ownership::Incoming | Ownership::Prepared if args.fenced || args.discard => {
            // Its memory went with its process.
            let ownership = Ownership::Discarded;
            journal.keep(&Record { ownership, ..record })?;
            say(&format!("{name}: nothing of it is left here, and the journal says so now"));
            Ok(Exit::Fine)
        }
        Ownership::Prepared => {
            say(&format!(
                "{name}: nothing of it is left here; its source has it, or can have it back: \
                 `abide receive {name}` answers it, and --discard forgets it"
            ));
            Ok(Exit::Refused)
        }
        _ => Ok(Exit::Fine),
    }
}

/// The guest's process lives, and asks the other side by itself.
fn by_process(args: &MigrateArgs, state: &StateDir) -> Result<Exit> {
    let name = &args.name;
    let request = match (args.fenced, args.discard) {
        (true, _) => Request::Fenced,
        (_, true) => Request::Discard,
        _ => {
            say(&format!(
                "{name}: its process lives, and asks the other side by itself (`abide status \
                 {name}`); where that is gone for good, say --fenced, or --discard to drop what \
                 is here"
            ));
            return Ok(Exit::Refused);
        }
    };
    finish(name, ask(state, name, &request)?)
}

/// What a journal says of a guest that no process has.
pub fn told(record: &Record) -> String {
    let Record { ownership, token, peer_address, .. } = record;
    let peer = if peer_address.is_empty() {
        String::new()
    } else {
        format!(", the other side is {peer_address}")
    };
    format!(
        "{ownership} here, guest {} in epoch {}{peer}; no process has it",
        token.guest, token.epoch
    )
}

/// The process that had the guest is gone: the destination has its last state, or nobody.
fn by_source(args: &MigrateArgs, journal: &mut Journal, record: &Record) -> Result<Exit> {
    let name = &args.name;
    let Some(to) = &args.to else {
        if args.fenced {
            let ownership = Ownership::Crashed;
            journal.keep(&Record { ownership, ..record.clone() })?;
            say(&format!("{name}: it has crashed, and the journal says so now"));
            return Ok(Exit::Fine);
        }
        say(&format!("{name}: give the destination's address, or say --fenced if that is gone"));
        return Ok(Exit::Refused);
    };
    let security = args.network.security()?;
    security.check(to)?;
    let mut dial = security.dial(to, handoff::tunnel::open(to)?)?;
    let Some(mut handoff) = SourceHandoff::orphan(&mut *dial, journal, Patience::default()) else {
        return Ok(Exit::Fine);
    };
    match handoff.run() {
        SourceEnd::GivenAway => {
            say(&format!("{name}: the destination has it, and runs it"));
            Ok(Exit::Fine)
        }
        SourceEnd::Crashed => {
            say(&format!("{name}: the destination has nothing of it: it has crashed"));
            Ok(Exit::Refused)
        }
        SourceEnd::Unsettled { why, .. } | SourceEnd::Kept { why, .. } => {
            say(&format!("{name}: not settled: {why}"));
            Ok(Exit::Refused)
        }
    }
}
