//! The pages of time and generation on KVM: a Debian guest with drivers for both goes from host to
//! host as a copy, and is told so each time. Its PTP clock tells each host's time within the bounds
//! that the page gives.

use super::host::{File, Host, tail};
use super::stay::{Begin, Stay, Visit};
use crate::abide::{self, Linux};
use crate::debian::kernel;
use crate::tasks::guests;
use crate::vmclock::{HostClock, within_bounds};
use anyhow::{Context, Result, ensure};
use std::fs;

/// A guest's kernel that has drivers for both pages.
const GUEST_KERNEL: &str = "7.2";
/// What the guest's program says, and when it is saved.
const SAYS: &str = "abide-vmclock: ";
const UNTIL: Option<(&str, u32)> = Some(("^abide-vmclock: waiting", 1));
/// What the kernel prints at most: else it is saved with much that it still has to print, and what
/// it says of copies is among that.
const NOTICES: u32 = 6;
/// The hosts after the first.
const WAY: [&str; 2] = ["7.2", "6.1"];
/// What each next host's clock is ahead of the one before.
const APART_S: i64 = 100_000;
/// How the guest's kernel names the clock of the page.
const PTP: &str = "PTP vmclock0";

/// The guest is told of each copy before it does anything else there.
///
/// # Errors
/// If a host refuses it, or it is told something else.
pub fn tour(birth: &Host, contract: &str, show: bool) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let guest = guests::vmclock()?;
    let linux = Linux::with_init(GUEST_KERNEL, folder.path(), &guest, &[], |_| false)?;
    let program = fs::read(abide::build_for_arm()?)?;
    let mut files = vec![
        File::data("kernel", fs::read(kernel::get(GUEST_KERNEL)?)?),
        File::data("initrd", fs::read(&linux.initrd)?),
    ];
    let run = format!(
        "--kernel /kernel --initrd /initrd --memory 256M --vcpus 2 --contract {contract} \
         --append '{} loglevel={NOTICES}' {CLOCK}",
        Linux::APPEND
    );
    let hosts: Vec<Host> = std::iter::once(birth.clone())
        .chain(WAY.map(|series| Host::debian(series, &birth.cpu)))
        .collect();
    let (mut life, mut file, mut ptp_since) = (String::new(), None::<Vec<u8>>, None);
    for (ahead_s, host) in (0..).step_by(usize::try_from(APART_S)?).zip(&hosts) {
        let begin = match &file {
            None => Begin::Run(&run),
            Some(file) => Begin::RestoreWith(file, CLOCK),
        };
        let copies = usize::from(file.is_some());
        let clock = HostClock { ahead_s: Some(ahead_s) };
        let first = format!("printf '{}' >/clock\n", clock.description().replace('\n', "\\n"));
        let stays = [Stay { name: "vmclock", begin, until: UNTIL }];
        let files = std::mem::take(&mut files);
        let visit = Visit { host, program: &program, files, first: &first, stays: &stays, show };
        let stayed = visit.run()?.1.pop().context("one stay")?;
        let here = stayed.console.clone();
        file = Some(stayed.saved().with_context(|| host.to_string())?);
        let copies = woken(&life).len() + copies;
        life += &here;
        told(&life, copies).with_context(|| host.to_string())?;
        let ptp = ptp_within_bounds(&here).with_context(|| format!("{host}\n{}", tail(&here)))?;
        if let Some(since) = ptp_since {
            let passed = ptp - since;
            let is_there = (APART_S..APART_S + FOR_THE_WAY_S).contains(&passed);
            ensure!(is_there, "{host}: the PTP clock went on by {passed} s");
        }
        ptp_since = Some(ptp);
    }
    let forks = life.matches(crate::vmclock::FORK).count();
    ensure!(forks == WAY.len(), "Linux noticed {forks} copies\n{}", tail(&life));
    let hosts: Vec<String> = hosts.iter().map(|host| host.kernel.to_string()).collect();
    Ok(format!(
        "{}: told of each copy, by both pages; on each the PTP clock tells its host's time within \
         the page's bounds",
        hosts.join(" → ")
    ))
}

/// The description of a host's clock is there.
const CLOCK: &str = "--host-clock sim:/clock";
/// So long the way to the next host may take at most.
const FOR_THE_WAY_S: i64 = 3000;

/// Holds the answers of the page's PTP clock in one stay against the page; their last second.
fn ptp_within_bounds(here: &str) -> Result<i64> {
    let lines = abide::said(here.as_bytes(), SAYS);
    let answers: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix(PTP)?.split_once(": "))
        .map(|(_, answer)| answer)
        .collect();
    ensure!(answers.len() == 2, "{} answers of {PTP}, read and with the counter", answers.len());
    for answer in &answers {
        within_bounds(answer).with_context(|| format!("{PTP}: {answer}"))?;
    }
    let sec = answers.last().and_then(|answer| answer.split_once('.'));
    Ok(sec.context("no seconds")?.0.parse()?)
}

fn woken(life: &str) -> Vec<String> {
    let lines = abide::said(life.as_bytes(), SAYS);
    lines.into_iter().filter(|line| line.starts_with("woken: ")).collect()
}

/// After so many copies marker and generation are that many more than at birth.
fn told(life: &str, copies: usize) -> Result<()> {
    let woken = woken(life);
    ensure!(woken.len() == copies, "it woke {} times, not {copies}\n{}", woken.len(), tail(life));
    for (number, line) in (2..).zip(&woken) {
        let numbers = format!("marker {number}, generation {number}");
        ensure!(line.ends_with(&numbers), "`{line}`, not `{numbers}`\n{}", tail(life));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ptp_clock_is_held_against_the_page() {
        let line = |how: &str, ns: u32| {
            format!(
                "{SAYS}{PTP}{how}: 50.00000000{ns} s, by the page 50.000000001 to 50.000000003\r\n"
            )
        };
        let both = |ns| line("", 2) + &line(" with the counter", ns);
        assert_eq!(ptp_within_bounds(&both(3)).unwrap(), 50);
        assert!(ptp_within_bounds(&both(4)).is_err() && ptp_within_bounds(&line("", 2)).is_err());
        assert!(ptp_within_bounds(&format!("{SAYS}{PTP}: errno 22\r\n").repeat(2)).is_err());
    }

    #[test]
    fn what_a_guest_is_told_is_counted() {
        let line = |n: u32| format!("{SAYS}woken: status 4, marker {n}, generation {n}\r\n");
        let life = format!("{SAYS}waiting 1\r\n{}{}", line(2), line(3));
        told(&life, 2).unwrap();
        assert!(told(&life, 1).is_err() && told(&life, 3).is_err());
        assert!(told(&format!("{}{}", line(2), line(2)), 2).is_err());
        assert!(told(&format!("{SAYS}woken: status 4, marker 2, generation 1\r\n"), 1).is_err());
    }
}
