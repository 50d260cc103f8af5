//! A Debian guest that works: over many kernels, and between the two engines.

use super::Arguments;
use super::host::{File, Host, tail};
use super::stay::{self, Begin, GUEST_DISK, Stay, Stayed};
use crate::abide::{self, POWERED_OFF};
use crate::debian::{kernel, root};
use crate::paths;
use crate::userland::said;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The kernel of the guest.
const GUEST_KERNEL: &str = "6.12";
/// Smaller than elsewhere: it travels.
const MEMORY_MIB: u32 = 256;
const NAME: &str = "debian";
const ACCEPT: &str = "--accept advertised-not-implemented";
/// What the guest does: `travel` tells of its rounds, and the witness looks on.
const CHECKS: [&str; 3] = ["witness", "shell", "travel"];
/// A round of `travel` has ended.
pub const ROUND: &str = "^round [0-9]* of ";

/// The hosts of the tour after the first.
const TOUR: [&str; 6] = ["6.12", "7.2", "6.1", "6.12", "7.2", "6.1"];
/// Of these, once round.
const ONCE: usize = 3;
/// How many rounds the guest works on each host that it leaves again.
const ROUNDS_OF_TOUR: u32 = 2;
const ROUNDS_OF_BOTH: u32 = 4;

/// A guest is born under a contract and goes twice round all kernels while it works.
///
/// # Errors
/// If a host refuses it, or it finds something wrong.
pub fn tour(birth: &Host, contract: &str, asked: &Arguments) -> Result<String> {
    let tour = &TOUR[..asked.rounds(TOUR.len(), ONCE)];
    let show = asked.show;
    let guest = Debian::new()?;
    let program = fs::read(abide::build_for_arm()?)?;
    let arguments = format!("--contract {contract} {}", guest.arguments_there());
    let files = guest.files()?;
    let born =
        Stay { name: NAME, begin: Begin::Run(&arguments), until: Some((ROUND, ROUNDS_OF_TOUR)) };
    let host = birth.clone().with_disk(&guest.disk);
    let mut way = Way::default();
    let mut file = way.left(birth, stay::alone(&host, &program, files, born, show)?)?;
    for (n, &series) in tour.iter().enumerate() {
        let until = (n + 1 < tour.len()).then_some((ROUND, ROUNDS_OF_TOUR));
        let host = Host::debian(series, &birth.cpu).with_disk(&guest.disk);
        let stayed = on_kvm(&host, &program, &file, until, show)?;
        match until {
            Some(_) => file = way.left(series, stayed)?,
            None => return way.ended(series, &stayed),
        }
    }
    bail!("the way has no end")
}

/// A guest of the software engine goes to a host's KVM, back, and there again.
///
/// # Errors
/// As [`tour`].
pub fn both_ways(host: &Host, show: bool) -> Result<String> {
    let guest = Debian::new()?;
    let (here, there) = (abide::build()?, fs::read(abide::build_for_arm()?)?);
    let host = host.clone().with_disk(&guest.disk);
    let until = Some((ROUND, ROUNDS_OF_BOTH));
    let [kernel, initrd, disk] =
        [&guest.kernel, &guest.boot, &guest.disk].map(|path| path.display());
    let arguments = format!(
        "--cpu portable --kernel '{kernel}' --initrd '{initrd}' --disk '{disk},readonly' {}",
        guest.arguments()
    );
    let elsewhere = format!("--disk 0='{disk}'");
    let mut way = Way::default();
    let born = Stay { name: NAME, begin: Begin::Run(&arguments), until };
    let file = way.left("soft", stay::here(&here, &born)?)?;
    let file = way.left("KVM", on_kvm(&host, &there, &file, until, show)?)?;
    let back = Stay { name: NAME, begin: Begin::RestoreWith(&file, &elsewhere), until };
    let file = way.left("soft", stay::here(&here, &back)?)?;
    way.ended("KVM", &on_kvm(&host, &there, &file, None, show)?)
}

/// A guest is born on a host that shows more than the software engine implements, and goes there
/// where that is accepted, and only there.
///
/// # Errors
/// As [`tour`].
pub fn accepted(host: &Host, show: bool) -> Result<String> {
    let guest = Debian::new()?;
    let (here, there) = (abide::build()?, fs::read(abide::build_for_arm()?)?);
    let arguments = guest.arguments_there();
    let until = Some((ROUND, ROUNDS_OF_BOTH));
    let born = Stay { name: NAME, begin: Begin::Run(&arguments), until };
    let mut way = Way::default();
    let on_kvm = host.clone().with_disk(&guest.disk);
    let file = way.left(host, stay::alone(&on_kvm, &there, guest.files()?, born, show)?)?;
    let plainly = format!("--disk 0='{}'", guest.disk.display());
    let plain = Stay { name: NAME, begin: Begin::RestoreWith(&file, &plainly), until: None };
    let Stayed { code, words, .. } = stay::here(&here, &plain)?;
    for part in ["ID_AA64PFR0_EL1", ACCEPT] {
        ensure!(code == 1 && words.contains(part), "no `{part}`: exit code {code}\n{words}");
    }
    let accepting = format!("{plainly} {ACCEPT}");
    let all_the_same = Begin::RestoreWith(&file, &accepting);
    let stayed = stay::here(&here, &Stay { name: NAME, begin: all_the_same, until: None })?;
    let named = stayed.words.lines().filter(|line| line.contains(": accept: ")).count();
    ensure!(named > 0, "nothing was accepted\n{}", stayed.words);
    let note = way.ended("soft", &stayed)?;
    Ok(format!("{note}; accepted for {named} registers, refused without"))
}

/// A stay on a host that has the guest's disk.
fn on_kvm(
    host: &Host,
    program: &[u8],
    file: &[u8],
    until: Option<(&str, u32)>,
    show: bool,
) -> Result<Stayed> {
    let disk = format!("--disk 0={GUEST_DISK}");
    let stay = Stay { name: NAME, begin: Begin::RestoreWith(file, &disk), until };
    stay::alone(host, program, Vec::new(), stay, show).with_context(|| host.to_string())
}

/// What the guest is made of. Its disk is read by all hosts, and written by none.
pub struct Debian {
    kernel: PathBuf,
    boot: PathBuf,
    /// The disk that it reads.
    pub disk: PathBuf,
    _folder: TempDir,
}

impl Debian {
    /// # Errors
    /// If its root or its kernel cannot be fetched.
    pub fn new() -> Result<Self> {
        let images = root::make(&root::Arguments::new(&[], GUEST_KERNEL))?;
        // Links: a root that is made anew meanwhile takes the old one's place, not its content.
        let folder = tempfile::tempdir_in(paths::work()?)?;
        let [boot, disk] = ["boot", "disk"].map(|name| folder.path().join(name));
        fs::hard_link(&images.boot, &boot).context("linking the RAM disk")?;
        fs::hard_link(&images.disk, &disk).context("linking the disk")?;
        Ok(Self { kernel: kernel::get(GUEST_KERNEL)?, boot, disk, _folder: folder })
    }

    /// What a host finds in its root directory.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn files(&self) -> Result<Vec<File>> {
        let kernel = File::data("kernel", fs::read(&self.kernel)?);
        Ok(vec![kernel, File::data("initrd", fs::read(&self.boot)?)])
    }

    /// What follows `abide run` on a host that has [`files`](Self::files) and the disk.
    pub fn arguments_there(&self) -> String {
        let own = self.arguments();
        format!("--kernel /kernel --initrd /initrd --disk {GUEST_DISK},readonly {own}")
    }

    /// What follows `abide run`, wherever its files are.
    fn arguments(&self) -> String {
        // Messages of the kernel must not cut through what the checks say.
        format!(
            "--memory {MEMORY_MIB}M --vcpus 2 --append 'console=ttyAMA0 cryptomgr.notests quiet \
             loglevel=1 root=/dev/vda ro abide.checks={}'",
            CHECKS.join(",")
        )
    }
}

/// Where a guest was, and all that it said there.
#[derive(Default)]
struct Way {
    hosts: Vec<String>,
    console: String,
}

impl Way {
    /// The guest was saved on `host`; returns the file.
    fn left(&mut self, host: impl ToString, stayed: Stayed) -> Result<Vec<u8>> {
        self.came(host, &stayed);
        stayed.saved().with_context(|| self.hosts.join(" → "))
    }

    fn came(&mut self, host: impl ToString, stayed: &Stayed) {
        self.hosts.push(host.to_string());
        self.console += &stayed.console;
    }

    /// The guest powered itself off on `host`, and said what it says anywhere.
    fn ended(mut self, host: impl ToString, stayed: &Stayed) -> Result<String> {
        self.came(host, stayed);
        let (way, Stayed { code, words, .. }) = (self.hosts.join(" → "), stayed);
        ensure!(*code == POWERED_OFF, "{way}: exit code {code}\n{words}\n{}", tail(&self.console));
        let said = as_everywhere(&self.console).with_context(|| way.clone())?;
        Ok(format!("{way}: {said}"))
    }
}

/// Whether the checks said in a whole life what they say anywhere.
///
/// # Errors
/// If they said something else.
pub fn as_everywhere(console: &str) -> Result<String> {
    for (check, difference) in said::compare(console, &CHECKS.map(str::to_owned))? {
        if let Some(difference) = difference {
            bail!("{check}: {difference}\n{}", tail(console));
        }
    }
    Ok(format!("{} as everywhere", CHECKS.join(", ")))
}
