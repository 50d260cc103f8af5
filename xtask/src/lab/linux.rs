//! A Linux guest that works: over many kernels, and between the two engines.

use super::cells::Built;
use super::host::{File, Host, tail};
use super::stay::{self, Begin, Stay, Stayed};
use crate::abide::{self, Linux, POWERED_OFF};
use anyhow::{Context, Result, ensure};
use std::fs;

/// Smaller than elsewhere: it travels.
const MEMORY_MIB: u32 = 256;
/// A line of the guest's kernel, and its init's rounds of work.
const KERNEL_LINE: &str = "^\\[";
const ROUND: &str = "abide-init: round";

/// The hosts of the tour after the first, and when the guest leaves each: with so many lines said
/// there.
const TOUR: [(&str, &str, u32); 6] = [
    ("6.12", KERNEL_LINE, 40),
    ("7.2", KERNEL_LINE, 40),
    ("6.1", KERNEL_LINE, 40),
    ("6.12", KERNEL_LINE, 20),
    ("7.2", ROUND, 1),
    ("6.1", "", 0),
];

/// Linux is born on one host and goes twice round all kernels while it boots and works.
///
/// # Errors
/// If a host refuses it, or its init says something else than in a run on the software engine.
pub fn tour(birth: &Host, built: &Built, show: bool) -> Result<String> {
    let program = fs::read(&built.program_for_arm)?;
    let files = vec![
        File::data("kernel", fs::read(&built.linux.kernel)?),
        File::data("initrd", fs::read(&built.linux.initrd)?),
    ];
    let arguments = format!(
        "--kernel /kernel --initrd /initrd --append \"{}\" --memory {MEMORY_MIB}M --vcpus 2",
        Linux::APPEND
    );
    let until = Some((KERNEL_LINE, 40));
    let born = Stay { name: "linux", begin: Begin::Run(&arguments), until };
    let mut way = Way::begin(birth.kernel.to_string());
    let mut file = way.left(stay::alone(birth, &program, files, born, show)?)?;
    for (series, text, times) in TOUR {
        let host = Host::debian(series, &birth.cpu);
        let until = (times > 0).then_some((text, times));
        let next = Stay { name: "linux", begin: Begin::Restore(&file), until };
        let stayed = stay::alone(&host, &program, Vec::new(), next, show)?;
        way.hosts.push(series.to_owned());
        match until {
            Some(_) => file = way.left(stayed).with_context(|| host.to_string())?,
            None => return way.ended(&stayed, built),
        }
    }
    Err(anyhow::anyhow!("the way has no end"))
}

/// A guest of the software engine goes to a host's KVM, back, and there again.
///
/// # Errors
/// As [`tour`].
pub fn both_ways(
    host: &Host,
    built: &Built,
    saved: Vec<u8>,
    before: &[u8],
    show: bool,
) -> Result<String> {
    let program = fs::read(&built.program_for_arm)?;
    let on_kvm = |file: &[u8], until| -> Result<Stayed> {
        let stay = Stay { name: "linux", begin: Begin::Restore(file), until };
        stay::alone(host, &program, Vec::new(), stay, show)
    };
    let mut way = Way::begin("soft".to_owned());
    way.console = String::from_utf8_lossy(before).into_owned();
    way.hosts.push("KVM".to_owned());
    let file = way.left(on_kvm(&saved, Some((ROUND, 1)))?).context("from KVM")?;
    way.hosts.push("soft".to_owned());
    let back = Stay { name: "linux", begin: Begin::Restore(&file), until: Some((ROUND, 1)) };
    let file = way.left(stay::here(&built.program, &back)?).context("from the software engine")?;
    way.hosts.push("KVM".to_owned());
    way.ended(&on_kvm(&file, None)?, built)
}

/// Where a guest was, and all that it said there.
struct Way {
    hosts: Vec<String>,
    console: String,
}

impl Way {
    fn begin(host: String) -> Self {
        Self { hosts: vec![host], console: String::new() }
    }

    fn left(&mut self, stayed: Stayed) -> Result<Vec<u8>> {
        self.console += &stayed.console;
        stayed.saved()
    }

    /// The guest powered itself off, and said what it says untouched.
    fn ended(mut self, stayed: &Stayed, built: &Built) -> Result<String> {
        self.console += &stayed.console;
        let Stayed { code, words, .. } = stayed;
        ensure!(*code == POWERED_OFF, "exit code {code}\n{words}\n{}", tail(&self.console));
        let expected = String::from_utf8_lossy(&built.untouched.console).into_owned();
        let (said, expected) =
            (abide::lines_of_init(&self.console), abide::lines_of_init(&expected));
        ensure!(
            said == expected && !said.is_empty(),
            "the guest's init said something else than on the software engine\n{}",
            tail(&self.console)
        );
        Ok(format!("{}: all {} lines of init as untouched", self.hosts.join(" → "), said.len()))
    }
}
