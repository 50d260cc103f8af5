//! What the journal tells of a guest whose process is gone.

use super::resolve::told;
use crate::cli::NamedQueryArgs;
use crate::exit::Exit;
use crate::out::print;
use crate::state_dir::StateDir;
use abide_migrate::{Journal, Ownership, Record};
use anyhow::Result;
use serde_json::json;

/// As `status` of a guest that runs; `None` where no journal speaks of it.
pub fn status(args: &NamedQueryArgs, state: &StateDir) -> Result<Option<Exit>> {
    let Some(record) = Journal::look(&state.journal(&args.name)?)? else { return Ok(None) };
    let name = &args.name;
    if args.json {
        let Record { token, peer_address, .. } = &record;
        let value = json!({
            "name": name,
            "state": word(record.ownership),
            "pid": null,
            "guest": token.guest.to_string(),
            "epoch": token.epoch.0,
            "peer": peer_address,
        });
        print(&serde_json::to_string_pretty(&value)?)?;
    } else {
        let next = next(name, record.ownership);
        print(&format!("{name}: {}\n  {}\n  {next}", word(record.ownership), told(&record)))?;
    }
    Ok(Some(Exit::Fine))
}

/// A guest that ends in order takes its journal with it.
fn word(ownership: Ownership) -> String {
    match ownership {
        Ownership::Running => Ownership::Crashed.to_string(),
        other => other.to_string(),
    }
}

fn next(name: &str, ownership: Ownership) -> String {
    match ownership {
        Ownership::Running | Ownership::Crashed => {
            "its process ended with it: it goes on nowhere".to_owned()
        }
        Ownership::Outgoing | Ownership::GivenAway => format!(
            "its destination may have it: `abide migrate {name} ADDRESS --resolve` asks there"
        ),
        Ownership::Settled => "it goes on at the other side".to_owned(),
        Ownership::Incoming | Ownership::Prepared | Ownership::Discarded => {
            "nothing of it is left here; its source has it, or can have it back".to_owned()
        }
    }
}
