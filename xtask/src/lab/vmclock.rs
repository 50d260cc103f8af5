//! The pages of time and generation on KVM: a Debian guest with drivers for both goes from host to
//! host, as a copy and then as the same guest, and is told so each time. Its PTP clock tells each
//! host's time within the bounds that the page gives, from its first reading on.

use super::host::{File, Host, tail};
use super::stay::{Begin, Stay, Visit};
use crate::abide::{self, Linux};
use crate::debian::kernel;
use crate::tasks::guests;
use crate::vmclock::{FORK, HostClock, TAI_S, within_bounds};
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
/// How it comes to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Copy,
    Move,
}

impl How {
    /// What save and restore are told.
    const fn option(self) -> &'static str {
        match self {
            Self::Copy => "",
            Self::Move => "--move",
        }
    }
}

/// The hosts after the first.
const WAY: [(&str, How); 2] = [("7.2", How::Copy), ("6.1", How::Move)];
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
    let (mut life, mut file) = (String::new(), None::<Vec<u8>>);
    let stays = std::iter::once((birth.clone(), None))
        .chain(WAY.map(|(series, how)| (Host::debian(series, &birth.cpu), Some(how))));
    for (number, (host, how)) in stays.enumerate() {
        let restore = how.map_or(CLOCK.to_owned(), |how| format!("{CLOCK} {}", how.option()));
        let begin = match &file {
            None => Begin::Run(&run),
            Some(file) => Begin::RestoreWith(file, &restore),
        };
        let ahead_s = APART_S * i64::try_from(number)?;
        let clock = HostClock { ahead_s: Some(ahead_s) };
        let save = WAY.get(number).map_or("", |(_, how)| how.option());
        let first =
            format!("SAVE={save}\nprintf '{}' >/clock\n", clock.description().replace('\n', "\\n"));
        let stays = [Stay { name: "vmclock", begin, until: UNTIL }];
        let files = std::mem::take(&mut files);
        let visit =
            Visit { host: &host, program: &program, files, first: &first, stays: &stays, show };
        let stayed = visit.run()?.1.pop().context("one stay")?;
        let (here, between_s) = (stayed.console.clone(), stayed.between_s);
        file = Some(stayed.saved().with_context(|| host.to_string())?);
        life += &here;
        told(&life, &WAY[..number]).with_context(|| host.to_string())?;
        ptp_is_true(&here, between_s.map(|s| s + ahead_s + TAI_S))
            .with_context(|| format!("{host}\n{}", tail(&here)))?;
    }
    let way: Vec<String> =
        WAY.iter().map(|(series, how)| format!(" → {series} ({how:?})")).collect();
    Ok(format!(
        "{}{}: told so by both pages; on each the PTP clock tells its host's time within the \
         page's bounds from the first reading on",
        birth.kernel,
        way.concat()
    ))
}

/// The description of a host's clock is there.
const CLOCK: &str = "--host-clock sim:/clock";
/// Holds the answers of the page's PTP clock in one stay against the page and the host's clock.
fn ptp_is_true(here: &str, [from_s, to_s]: [i64; 2]) -> Result<()> {
    let lines = abide::said(here.as_bytes(), SAYS);
    let answers: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix(PTP)?.split_once(": "))
        .map(|(_, answer)| answer)
        .collect();
    ensure!(answers.len() == 2, "{} answers of {PTP}, read and with the counter", answers.len());
    for answer in answers {
        within_bounds(answer).with_context(|| format!("{PTP}: {answer}"))?;
        let (s, _) = answer.split_once('.').context("no seconds")?;
        // The host's clock was read in whole seconds, and bounds may reach into the one before.
        let is_of_host = (from_s - 1..=to_s + 1).contains(&s.parse()?);
        ensure!(is_of_host, "{PTP}: {answer}, by the host between {from_s} and {to_s} s");
    }
    Ok(())
}

fn woken(life: &str) -> Vec<String> {
    let lines = abide::said(life.as_bytes(), SAYS);
    lines.into_iter().filter(|line| line.starts_with("woken: ")).collect()
}

/// What the guest and its kernel were told on its way so far: each time its marker is one more, and
/// its generation for a copy alone.
fn told(life: &str, way: &[(&str, How)]) -> Result<()> {
    let woken = woken(life);
    let count = way.len();
    ensure!(woken.len() == count, "it woke {} times, not {count}\n{}", woken.len(), tail(life));
    let (mut marker, mut generation) = (1, 1);
    for ((_, how), line) in way.iter().zip(&woken) {
        marker += 1;
        generation += u32::from(*how == How::Copy);
        let numbers = format!("marker {marker}, generation {generation}");
        ensure!(line.ends_with(&numbers), "`{line}`, not `{numbers}`\n{}", tail(life));
    }
    let (forks, copies) = (life.matches(FORK).count(), generation as usize - 1);
    ensure!(forks == copies, "Linux noticed {forks} copies, not {copies}\n{}", tail(life));
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
        ptp_is_true(&both(3), [49, 50]).unwrap();
        assert!(ptp_is_true(&both(4), [49, 50]).is_err(), "outside of the page's bounds");
        assert!(ptp_is_true(&line("", 2), [49, 50]).is_err(), "one answer is missing");
        assert!(ptp_is_true(&both(3), [52, 60]).is_err(), "another host's time");
        let refused = format!("{SAYS}{PTP}: errno 22\r\n").repeat(2);
        assert!(ptp_is_true(&refused, [49, 50]).is_err());
    }

    #[test]
    fn what_a_guest_is_told_is_counted() {
        let line = |marker: u32, generation: u32| {
            format!("{SAYS}woken: status 4, marker {marker}, generation {generation}\r\n")
        };
        let fork = format!("[ 1.0] random: {FORK}\r\n");
        let way = [("a", How::Copy), ("b", How::Move)];
        let life = format!("{fork}{}{}", line(2, 2), line(3, 2));
        told(&life, &way).unwrap();
        assert!(told(&life, &way[..1]).is_err() && told(&line(2, 2), &way[..1]).is_err());
        assert!(told(&format!("{life}{fork}"), &way).is_err(), "Linux takes a move for a copy");
        for (marker, generation) in [(3, 3), (2, 2), (4, 2)] {
            let life = format!("{fork}{}{}", line(2, 2), line(marker, generation));
            assert!(told(&life, &way).is_err(), "{marker}, {generation}");
        }
    }
}
