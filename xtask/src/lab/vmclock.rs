//! The pages of time and generation on KVM: a Debian guest with drivers for both goes from host to
//! host as a copy, and is told so each time.

use super::host::{File, Host, tail};
use super::stay::{Begin, Stay};
use super::tour::{Life, live};
use crate::abide::{self, Linux};
use crate::debian::kernel;
use crate::tasks::guests;
use anyhow::{Result, ensure};
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

/// The guest is told of each copy before it does anything else there.
///
/// # Errors
/// If a host refuses it, or it is told something else.
pub fn tour(birth: &Host, contract: &str, show: bool) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let guest = guests::vmclock()?;
    let linux = Linux::with_init(GUEST_KERNEL, folder.path(), &guest, &[], |_| false)?;
    let files = vec![
        File::data("kernel", fs::read(kernel::get(GUEST_KERNEL)?)?),
        File::data("initrd", fs::read(&linux.initrd)?),
    ];
    let run = format!(
        "--kernel /kernel --initrd /initrd --memory 256M --vcpus 2 --contract {contract} \
         --append '{} loglevel={NOTICES}'",
        Linux::APPEND
    );
    let born = Stay { name: "vmclock", begin: Begin::Run(&run), until: UNTIL };
    let judge = |before: &str, life: &str| told(life, woken(before).len() + 1);
    let Life { said, hosts } = live(birth, files, born, &WAY, judge, show)?;
    let forks = said.matches(crate::vmclock::FORK).count();
    ensure!(forks == WAY.len(), "Linux noticed {forks} copies\n{}", tail(&said));
    Ok(format!("{}: told of each copy, by both pages", hosts.join(" → ")))
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
    fn what_a_guest_is_told_is_counted() {
        let line = |n: u32| format!("{SAYS}woken: status 4, marker {n}, generation {n}\r\n");
        let life = format!("{SAYS}waiting 1\r\n{}{}", line(2), line(3));
        told(&life, 2).unwrap();
        assert!(told(&life, 1).is_err() && told(&life, 3).is_err());
        assert!(told(&format!("{}{}", line(2), line(2)), 2).is_err());
        assert!(told(&format!("{SAYS}woken: status 4, marker 2, generation 1\r\n"), 1).is_err());
    }
}
