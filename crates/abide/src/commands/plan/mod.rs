//! `abide plan`: whether guests can go to hosts, and back, told from files.

mod html;
mod json;
mod text;

use super::fleet::{self, Source};
use crate::cli::PlanArgs;
use crate::exit::Exit;
use crate::html::ReportForm;
use crate::out::print;
use abide_contract::{Exceptions, Guest, Plan, Profile, plan_accepting};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// A guest and a host.
pub struct Cell {
    /// The way there.
    pub there: Plan,
    /// The way home, if it was asked for.
    pub back: Option<Plan>,
}

impl Cell {
    /// Whether the guest can go, and come back where that was asked.
    pub fn is_fine(&self) -> bool {
        self.there.is_fine() && self.back.as_ref().is_none_or(Plan::is_fine)
    }
}

/// Guests by hosts.
pub struct Table {
    /// The names of the guests.
    pub guests: Vec<String>,
    /// The names of the hosts.
    pub hosts: Vec<String>,
    /// For each guest, a cell for each host.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Whether every guest can go to every host.
    pub fn is_fine(&self) -> bool {
        self.cells().all(Cell::is_fine)
    }

    /// Every cell, row by row.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flatten()
    }
}

/// Plans, and reports.
pub fn run(args: &PlanArgs) -> Result<Exit> {
    let table = make(args)?;
    if let Some(path) = &args.report {
        let report = report(path, &table)?;
        fleet::write(path, &report, true)?;
    }
    if args.json {
        print(&serde_json::to_string_pretty(&json::table(&table))?)?;
    } else {
        print(text::table(&table, args.all).trim_end())?;
    }
    Ok(if table.is_fine() { Exit::Fine } else { Exit::Refused })
}

fn report(path: &Path, table: &Table) -> Result<String> {
    Ok(match ReportForm::of(path)? {
        ReportForm::Html => html::page(table),
        ReportForm::Json => serde_json::to_string_pretty(&json::table(table))?,
    })
}

fn make(args: &PlanArgs) -> Result<Table> {
    let sources = args.sources.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>>>()?;
    let hosts = hosts(&args.to, &sources)?;
    let exceptions = args.accept.exceptions();
    let home = args.home.as_deref().map(fleet::profile).transpose()?;
    let mut rows = Vec::new();
    for source in &sources {
        let home = match (args.back || home.is_some(), &home, source) {
            (false, ..) => None,
            (true, Some(home), _) | (true, None, Source::Profile(home)) => Some(home),
            (true, None, _) => bail!("--back needs --home PROFILE: the host that the guest is on"),
        };
        let guest = source.guest();
        rows.push(hosts.iter().map(|host| cell(&guest, host, home, exceptions)).collect());
    }
    let guests = sources.iter().map(|source| source.guest().name).collect();
    Ok(Table { guests, hosts: hosts.into_iter().map(|host| host.name).collect(), rows })
}

fn cell(guest: &Guest, host: &Profile, home: Option<&Profile>, accepted: Exceptions) -> Cell {
    let back = home.map(|home| plan_accepting(&guest.after_a_stay(host), home, accepted));
    Cell { there: plan_accepting(guest, host, accepted), back }
}

/// The hosts; where none is named, those that the guests were born on.
fn hosts(to: &[PathBuf], sources: &[Source]) -> Result<Vec<Profile>> {
    if !to.is_empty() {
        return to.iter().map(|path| fleet::profile(path)).collect();
    }
    let own = sources.iter().map(|source| match source {
        Source::Profile(profile) => Ok(profile.clone()),
        _ => bail!("--to PROFILE is needed: only profiles are hosts themselves"),
    });
    own.collect()
}
