//! `abide migrate --dry-run`: what a move would take.

use super::guests::finish;
use super::migrate::{request, tunnel_of};
use crate::cli::MigrateArgs;
use crate::control_socket::{Request, Response, ask, ask_told};
use crate::exit::Exit;
use crate::handoff::{Forecast, HandoffReport, ROUNDS_MAX, Writes, forecast};
use crate::out::{print, say};
use crate::state_dir::StateDir;
use anyhow::{Result, bail};
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;

/// Predicts, and moves nothing.
pub fn run(args: &MigrateArgs, state: &StateDir) -> Result<Exit> {
    let name = &args.name;
    if args.to.is_none() && args.link_rate.is_none() {
        bail!("--dry-run needs an address, or --link-rate");
    }
    let mut probed = None;
    if args.to.is_some() {
        match ask_told(state, name, &request(args)?, tunnel_of(args)?, &mut |_| ())? {
            Response::Migrated { report } => probed = Some(report),
            other => return finish(name, other),
        }
    }
    let writes = match ask(state, name, &Request::MeasureWrites)? {
        Response::Writes(writes) => writes,
        other => return finish(name, other),
    };
    let stated = args.link_rate.map(|mib| mib << 20);
    let found = probed.as_ref().filter(|report| report.bytes_per_s != 0);
    let bytes_per_s = stated.or(found.map(|report| report.bytes_per_s));
    let downtime = Duration::from_millis(args.downtime);
    let forecast = bytes_per_s.map(|rate| forecast(&writes, rate, downtime, ROUNDS_MAX as usize));
    if args.json {
        let told = json!({
            "accepted_at": probed.map(|report| report.to),
            "writes": writes,
            "forecast": forecast,
        });
        print(&serde_json::to_string_pretty(&told)?)?;
        return Ok(Exit::Fine);
    }
    if let Some(report) = &probed {
        say(&accepted(name, report));
    }
    match forecast {
        Some(forecast) => print(&text(name, &writes, &forecast))?,
        None => print(&format!("{name}: its memory is passed on whole; nothing is copied"))?,
    }
    Ok(Exit::Fine)
}

fn accepted(name: &str, report: &HandoffReport) -> String {
    let HandoffReport { to, bytes, bytes_per_s, .. } = report;
    let carried = match bytes {
        0 => String::new(),
        _ => format!("; {} KiB of it went there at {} MiB/s", bytes >> 10, bytes_per_s >> 20),
    };
    format!("{name} would be taken at {to}: it was made there, and dropped again{carried}")
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn text(name: &str, writes: &Writes, forecast: &Forecast) -> String {
    let mib = |pages: u64| (pages * abide_memory::PAGE_SIZE) >> 20;
    let mut text = format!(
        "{name}: {} MiB of memory to copy at {} MiB/s\n\n  while it runs for    it writes\n",
        mib(writes.present_pages),
        forecast.bytes_per_s >> 20
    );
    // A string takes whatever is written.
    for span in &writes.spans {
        let _ = writeln!(text, "  {:>10.0} ms  {:>9} pages", ms(span.len_ns), span.pages);
    }
    let _ = writeln!(text, "\n  round      pages        MiB         ms");
    for (n, round) in forecast.rounds.iter().enumerate() {
        let (pages, time) = (round.pages, ms(round.time_ns));
        let _ = writeln!(text, "  {n:>5} {pages:>10} {:>10} {time:>10.1}", mib(pages));
    }
    let _ = writeln!(
        text,
        "  {:>5} {:>10} {:>10} {:>10.1}  standing still",
        "last",
        forecast.pages_left,
        mib(forecast.pages_left),
        ms(forecast.standstill_ns)
    );
    let verdict = if forecast.converges {
        "that is within --downtime"
    } else {
        "that is longer than --downtime: it writes faster than the way carries"
    };
    let _ = write!(
        text,
        "\nIt would take {:.1} s, and stand still for {:.1} ms and what registers and journals \
         take (some ms); {verdict}.",
        ms(forecast.copy_ns) / 1e3,
        ms(forecast.standstill_ns)
    );
    text
}
