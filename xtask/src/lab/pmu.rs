//! Performance monitors over a life on many hosts: what they hold, count, and are to interrupt.

use super::abi;
use super::host::{File, Host};
use super::stay::{Begin, Stay};
use super::tour::{Life, live};
use crate::tasks::guests;
use anyhow::{Result, ensure};

/// What follows `abide run NAME --engine kvm`: the contract promises performance monitors.
const RUN: &str = "--kernel /pmu.img --memory 8M --contract debian-neoverse-n1";
/// It is saved after its third look of a stay.
const UNTIL: Option<(&str, u32)> = Some((" right", 3));
/// The way of a guest that is born on the host it starts from: on 6.12, writes to the registers
/// that set and clear do so, and on the others they store.
const WAY: [&str; 5] = ["6.12", "6.12", "7.2", "6.12", "6.1"];

/// The guest that counts goes from host to host by save and restore, and sees nothing of it.
///
/// # Errors
/// If a host refuses it, or it sees something.
pub fn tour(birth: &Host, show: bool) -> Result<String> {
    let files = vec![File::data("pmu.img", guests::pmu()?)];
    let born = Stay { name: "pmu", begin: Begin::Run(RUN), until: UNTIL };
    let judge = |before: &str, life: &str| {
        ensure!(looks(life)? > looks(before)?, "the guest did not look");
        Ok(())
    };
    let Life { said, hosts } = live(birth, files, born, &WAY, judge, show)?;
    let count = looks(&said)?;
    Ok(format!("{}: {count} looks, all registers, counts and interrupts right", hosts.join(" → ")))
}

/// How often the guest looked; each time all must have been right.
fn looks(console: &str) -> Result<usize> {
    let mut count = 0;
    for line in abi::whole_lines(console) {
        let Some((number, word)) =
            line.strip_prefix("pmu: ").and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        let Ok(number) = number.parse::<usize>() else { continue };
        count += 1;
        ensure!(
            word == "right" && number == count,
            "look {count} of the guest says `{line}`\n{}",
            super::host::tail(console)
        );
    }
    ensure!(count > 0, "the guest did not look\n{}", super::host::tail(console));
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: &str = "pmu: version 0x4, 6 counters\r\npmu: PMCR_EL0=0x3071\r\n\
        pmu: 1: right\r\npmu: 2: right\r\npmu: 3: ri";

    #[test]
    fn looks_are_counted_once_their_lines_are_whole() {
        assert_eq!(looks(LIFE).expect("two"), 2);
        assert_eq!(looks(&format!("{LIFE}ght\r\n")).expect("three"), 3);
        assert!(looks("pmu: version 0x0 with 0 counters is not enough\r\n").is_err());
    }

    #[test]
    fn wrong_look_and_lost_look_are_told() {
        let wrong = format!("{LIFE}ght\r\npmu: PMCR_EL0: 0x3071 -> 0x3000\r\npmu: 4: WRONG\r\n");
        let error = looks(&wrong).expect_err("one").to_string();
        assert!(error.contains("pmu: 4: WRONG") && error.contains("0x3071 -> 0x3000"), "{error}");
        assert!(looks(&format!("{LIFE}ght\r\npmu: 5: right\r\n")).is_err());
    }
}
