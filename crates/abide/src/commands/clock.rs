//! `clock`: what a guest reads of its clock, and where its time comes from.

use crate::cli::{Announcement, ClockArgs, HostClock, HostClockArgs};
use crate::clock_report::{ClockReport, TimeReport};
use crate::control_socket::{Notice, Request, Response, ask};
use crate::exit::Exit;
use crate::out::{print, say};
use crate::state_dir::StateDir;
use abide_host_time::{HostClock as Source, HostTime, KernelClock, Kind, SimulatedClock};
use abide_machine::host_time::HostTimeOfDay;
use anyhow::{Result, bail};

/// The time that these arguments ask for.
pub fn source(args: &HostClockArgs) -> Result<Box<HostTimeOfDay>> {
    let (clock, kind): (Box<dyn Source>, _) = match &args.host_clock {
        HostClock::Kernel(kind) => (Box::new(KernelClock), *kind),
        HostClock::Simulated(path) => (Box::new(SimulatedClock::open(path)?), Kind::Unstated),
    };
    let time = HostTime::new(clock, kind, args.leap_seconds.clone());
    Ok(Box::new(HostTimeOfDay::new(time)))
}

/// Tells what a guest reads, or tells the guest what is to come.
pub fn clock(args: &ClockArgs) -> Result<Exit> {
    let state = StateDir::open(args.state.state_dir.as_deref())?;
    let name = &args.name;
    if let Some(announcement) = args.announce {
        let notice = match announcement {
            Announcement::None => Notice::None,
            Announcement::Soon => Notice::Soon,
            Announcement::Imminent => Notice::Imminent,
        };
        return super::guests::finish(name, ask(&state, name, &Request::Announce { notice })?);
    }
    let clock = match ask(&state, name, &Request::Clock)? {
        Response::Clock { clock: Some(clock) } => clock,
        Response::Clock { clock: None } => {
            say(&format!("{name} has no vmclock; guests have one unless born with --no-vmclock"));
            return Ok(Exit::Refused);
        }
        other => return super::guests::finish(name, other),
    };
    if args.page_path {
        let Some(path) = &clock.page_path else {
            bail!("{name}: this host's kernel cannot keep others from writing to the page");
        };
        print(path)?;
    } else if args.json {
        print(&serde_json::to_string_pretty(&clock)?)?;
    } else {
        print(&table(name, &clock))?;
    }
    Ok(Exit::Fine)
}

fn table(name: &str, clock: &ClockReport) -> String {
    let mut lines = vec![format!("{name}: {}", clock.status)];
    let mut line = |word: &str, text: String| lines.push(format!("  {word:<14}{text}"));
    if let Some(time) = &clock.time {
        line("TAI", format!("{} s{}", time.tai, bounds(time)));
        let offset = time.tai_offset_s;
        line("UTC - TAI", offset.map_or("not known".to_owned(), |s| format!("{s} s")));
        line("leap second", time.leap.clone());
    }
    if let Some(reason) = &clock.no_time {
        line("reading", reason.clone());
    }
    if let Some(reason) = &clock.host_clock {
        line("because", reason.clone());
    }
    line("marker", clock.disruption_marker.to_string());
    line("generation", clock.vm_generation_counter.to_string());
    line("flags", clock.flags.join(" "));
    line("interrupts", told(clock));
    if clock.refused_writes > 0 {
        line("refused", format!("{} writes of the guest", clock.refused_writes));
    }
    lines.join("\n")
}

fn bounds(time: &TimeReport) -> String {
    time.maxerror_ns.map_or_else(String::new, |ns| format!(", at most {ns} ns wrong"))
}

fn told(clock: &ClockReport) -> String {
    let count = clock.notifications;
    let Some(ns_ago) = clock.notified_ns_ago else { return count.to_string() };
    let to = clock.notified_vcpu.map_or_else(String::new, |vcpu| format!(" to vCPU {vcpu}"));
    let taken = match clock.notified_is_taken {
        Some(true) => ", taken",
        Some(false) => ", not taken yet",
        None => "",
    };
    format!("{count}, the last {} s ago{to}{taken}", ns_ago / 1_000_000_000)
}
