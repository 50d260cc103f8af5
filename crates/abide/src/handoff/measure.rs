//! How fast a guest writes to its memory, while it runs.

use super::Desk;
use super::forecast::{Span, Writes};
use super::progress::Lap;
use super::report::ns;
use crate::console::Requests;
use abide_machine::runner::{Command, Reply};
use abide_memory::PAGE_SIZE;
use abide_migrate::transport::pages;
use anyhow::{Result, bail};
use std::time::Duration;

/// Who writes the same pages again and again shows in that longer spans have hardly more of them.
const SPANS_MS: [u64; 5] = [50, 100, 200, 400, 800];

/// Logs the guest's writes for a while; afterwards it is as before.
pub fn measure(desk: &Desk) -> Result<Writes> {
    let Some(requests) = desk.guest() else { bail!("no guest is here yet") };
    let Some(_right) = desk.right() else { bail!("a handoff of it is under way") };
    desk.begin();
    let ram = match requests.ask(Command::Offer { logs_writes: true }) {
        Some(Reply::Offered(offered)) => offered.ram,
        Some(Reply::Failed(error)) => bail!(error),
        _ => bail!("the guest has ended"),
    };
    let spans = SPANS_MS.iter().map(|&ms| written_in(desk, requests, Duration::from_millis(ms)));
    let spans = spans.collect::<Result<Vec<_>>>();
    if let Some(Reply::Failed(error)) = requests.ask(Command::TakeBack { epoch: None }) {
        bail!(error);
    }
    let present_pages = pages::present(&ram)?.len() as u64;
    Ok(Writes { ram_pages: ram.size() / PAGE_SIZE, present_pages, spans: spans? })
}

fn written_in(desk: &Desk, requests: &Requests, span: Duration) -> Result<Span> {
    if desk.is_cancelled() {
        bail!("cancelled");
    }
    let mut lap = Lap::new();
    harvest(requests)?;
    lap.end();
    std::thread::sleep(span);
    let pages = harvest(requests)?;
    Ok(Span { len_ns: ns(lap.end()), pages })
}

fn harvest(requests: &Requests) -> Result<u64> {
    match requests.ask(Command::Harvest) {
        Some(Reply::Written(pages)) => Ok(pages.len()),
        Some(Reply::Failed(error)) => bail!(error),
        _ => bail!("the guest has ended"),
    }
}
