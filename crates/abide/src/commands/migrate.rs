//! `abide migrate`: a running guest goes to another process.

use super::guests::{await_end, finish};
use crate::cli::MigrateArgs;
use crate::control_socket::{Request, Response, ask};
use crate::exit::Exit;
use crate::out::{print, say};
use crate::state_dir::StateDir;
use anyhow::{Context, Result};

/// Hands a guest over, or gives that up.
pub fn run(args: &MigrateArgs) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    if args.cancel {
        return finish(&args.name, ask(&state, &args.name, &Request::CancelMigration)?);
    }
    if args.resolve {
        return super::resolve::run(args, &state);
    }
    let to = args.to.as_ref().context("an address is needed")?;
    let security = args.network.security()?;
    security.check(to)?;
    let to = to.to_string();
    let (timeout_s, volatile_journal) = (args.timeout, args.journal.volatile_journal);
    let downtime_ms = args.downtime;
    let request = Request::Migrate { to, timeout_s, downtime_ms, volatile_journal, security };
    let report = match ask(&state, &args.name, &request)? {
        Response::Migrated { report } => report,
        other => return finish(&args.name, other),
    };
    await_end(&state, &args.name);
    if args.json {
        print(&serde_json::to_string_pretty(&report)?)?;
        return Ok(Exit::Fine);
    }
    let name = &args.name;
    say(&format!("{name} goes on at {}, in epoch {}", report.to, report.epoch));
    if report.pages != 0 {
        say(&format!(
            "{name}: {} rounds, {} pages, {} MiB, {} MiB/s",
            report.rounds,
            report.pages,
            report.bytes >> 20,
            report.bytes_per_s >> 20
        ));
    }
    say(&format!("{name} stood still for {}", report.text()));
    Ok(Exit::Fine)
}
