//! The cells of the lab: what runs on which host, and what must come of it.

use super::host::{Errand, File, Finished, Host, tail};
use super::{
    Arguments, dirty_log, guest_clock, handoff, implementations, kvm_to_kvm, linux, migrations,
    pmu, refusals, restore, stolen_time, tour, two_hosts, upgrade, vmclock,
};
use crate::abide::{self, Linux, POWERED_OFF, Ran, SAVED_AWAY};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// One check on one host.
pub struct Cell {
    pub name: &'static str,
    pub host: Host,
    /// Not run unless it is named.
    pub long: bool,
    work: Work,
}

/// What a cell does.
enum Work {
    /// The host has a KVM device.
    KvmDevice,
    /// A guest saved on the software engine goes on on the host's KVM and runs to power-off. The
    /// number is how much of its run it has behind it when it is saved, in per cent.
    SoftToKvm { at_percent: u64, as_user: AsUser },
    /// Damage in such a guest's memory ends it with the finding, on the way or at once.
    DamagedToKvm,
    /// A guest born on the host's KVM is saved and restored there.
    KvmToKvm,
    /// A guest that looks at all it can see is born on the host and goes to other hosts and back.
    Tour,
    /// A guest that counts with performance monitors goes to other hosts and back.
    Pmu,
    /// A guest is told of CPUs that other hosts of its contract have.
    Implementations,
    /// What KVM cannot give is asked for.
    Refusals,
    /// A Debian guest is told of copies by the pages of time and generation.
    Vmclock,
    /// What a guest writes to its page of time, and what it first reads there on each host.
    GuestClock,
    /// What a guest wrote is told by rings and by the bitmap.
    DirtyLog,
    /// A Debian guest that works goes twice round all kernels, under [`CONTRACT`].
    LinuxTour,
    /// A Debian guest that works goes from the host's KVM to the software engine, which does not
    /// implement all that it was shown.
    Accepted,
    /// A Debian guest that works goes from the software engine to the host's KVM, back, and there
    /// again.
    BothWays,
    /// What is stolen from a Debian guest is told to it, and never falls over restores and hosts.
    StolenTime,
    /// The host's kernel is replaced under a guest, and replaced back.
    HostUpgrade,
    /// A guest goes over a network from one running host to another.
    TwoHosts,
    /// A guest that looks at all it can see goes from process to process of each host.
    Handoff,
    /// A Debian guest that works does.
    HandoffLinux,
    /// A guest goes from one running host to another and back while it runs.
    HandoffTwoHosts,
    /// A guest under load moves often, within two hosts and between them.
    Migrations,
    /// The host's kernel counts what a restore asks of it.
    RestoreCount,
    /// How long each share of a restore takes.
    RestoreShares,
}

/// Who restores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AsUser {
    /// May have the whole of userfaultfd, so that memory comes as it is touched.
    Root,
    /// May use KVM and not that, so that memory comes first.
    Nobody,
}

impl AsUser {
    /// How the shell starts abide.
    fn abide(self) -> &'static str {
        match self {
            Self::Root => "/abide",
            Self::Nobody => {
                "mkdir /state; chown nobody /state\n\
                 start-stop-daemon -S -c nobody:nogroup -x /abide --"
            }
        }
    }

    /// What abide says of the memory.
    fn memory(self) -> &'static str {
        match self {
            Self::Root => "; memory lazy: userfaultfd\n",
            Self::Nobody => "; memory eager: userfaultfd is not permitted",
        }
    }
}

/// The kernel of the guests inside.
const GUEST_KERNEL: &str = "6.12";
/// How long a host and what runs in it may take.
const LIMIT: Duration = Duration::from_secs(240);

/// The contract of a guest that is to go to all kernels on `neoverse-n1`.
const CONTRACT: &str = "debian-neoverse-n1";

const A57: (&str, &str) = ("6.12", "cortex-a57");

/// Every cell.
pub fn all() -> Vec<Cell> {
    vec![
        cell("kvm-device", A57, Work::KvmDevice),
        to_kvm("soft-to-kvm-early", 20, AsUser::Root),
        to_kvm("soft-to-kvm-middle", 60, AsUser::Root),
        to_kvm("soft-to-kvm-init", 97, AsUser::Root),
        to_kvm("soft-to-kvm-unprivileged", 97, AsUser::Nobody),
        cell("damaged-to-kvm", A57, Work::DamagedToKvm),
        cell("kvm-to-kvm-oldest", ("6.1", "neoverse-n1"), Work::KvmToKvm),
        cell("kvm-to-kvm-newest", ("7.2", "neoverse-n1"), Work::KvmToKvm),
        cell("tour-abi", ("6.1", "neoverse-n1"), Work::Tour),
        cell("pmu", ("6.1", "neoverse-n1"), Work::Pmu),
        cell("implementations", ("7.2", "neoverse-n1"), Work::Implementations),
        cell("refusals", ("6.12", "neoverse-n1"), Work::Refusals),
        cell("vmclock", ("6.1", "neoverse-n1"), Work::Vmclock),
        cell("guest-clock", ("6.1", "neoverse-n1"), Work::GuestClock),
        cell("dirty-log", ("6.1", "neoverse-n1"), Work::DirtyLog),
        cell("tour-linux", ("6.1", "neoverse-n1"), Work::LinuxTour),
        cell("both-ways", A57, Work::BothWays),
        cell("accepted-on-soft", ("6.1", "cortex-a57"), Work::Accepted),
        cell("stolen-time", ("6.1", "neoverse-n1"), Work::StolenTime),
        cell("host-upgrade", ("6.12", "neoverse-n1"), Work::HostUpgrade),
        cell("two-hosts", ("6.1", "neoverse-n1"), Work::TwoHosts),
        cell("handoff-abi", ("6.1", "neoverse-n1"), Work::Handoff),
        cell("handoff-linux", ("6.1", "neoverse-n1"), Work::HandoffLinux),
        cell("handoff-two-hosts", ("6.1", "neoverse-n1"), Work::HandoffTwoHosts),
        cell("migrations", ("6.1", "neoverse-n1"), Work::Migrations),
        cell("restore-count", ("6.12", "neoverse-n1"), Work::RestoreCount),
        cell("restore-shares", ("6.12", "neoverse-n1"), Work::RestoreShares),
    ]
}

fn cell(name: &'static str, (series, cpu): (&str, &str), work: Work) -> Cell {
    let long = matches!(work, Work::RestoreShares | Work::HandoffLinux | Work::Migrations);
    Cell { name, host: Host::debian(series, cpu), long, work }
}

fn to_kvm(name: &'static str, at_percent: u64, as_user: AsUser) -> Cell {
    cell(name, A57, Work::SoftToKvm { at_percent, as_user })
}

/// What several cells need, made once.
#[derive(Default)]
pub struct Bench {
    built: Option<Built>,
}

pub struct Built {
    pub program: PathBuf,
    pub program_for_arm: PathBuf,
    pub linux: Linux,
    folder: tempfile::TempDir,
    /// A run on the software engine.
    pub untouched: Ran,
}

impl Bench {
    fn get(&mut self) -> Result<&Built> {
        if self.built.is_none() {
            let program = abide::build()?;
            let program_for_arm = abide::build_for_arm()?;
            let linux = Linux::debian(GUEST_KERNEL)?;
            let folder = tempfile::tempdir()?;
            let run = portable(linux.run(&program));
            let untouched = abide::ran(run, folder.path(), "untouched", POWERED_OFF)?;
            self.built = Some(Built { program, program_for_arm, linux, folder, untouched });
        }
        self.built.as_ref().context("built above")
    }
}

/// The CPU that both engines can be.
fn portable(mut run: Command) -> Command {
    run.args(["--cpu", "portable", "--deterministic"]);
    run
}

impl Cell {
    /// Runs the cell and returns what is worth telling about it.
    ///
    /// # Errors
    /// If it could not run, or what came of it is not what must.
    pub fn run(&self, bench: &mut Bench, arguments: &Arguments) -> Result<String> {
        let show = arguments.show;
        match self.work {
            Work::KvmDevice => {
                let script = "test -c /dev/kvm\n";
                let finished = self.host.run(&Errand {
                    files: &[],
                    script,
                    brings: false,
                    limit: LIMIT,
                    show,
                })?;
                ensure!(finished.code == 0, "no /dev/kvm\n{}", tail(&finished.output));
                Ok(told("/dev/kvm is there".into(), &finished))
            }
            Work::SoftToKvm { at_percent, as_user } => {
                soft_to_kvm(&self.host, bench.get()?, at_percent, as_user, show)
            }
            Work::DamagedToKvm => damaged_to_kvm(&self.host, bench.get()?, show),
            Work::KvmToKvm => kvm_to_kvm::saved_and_restored(&self.host, bench.get()?, show),
            Work::Tour => tour::of_abi(&self.host, arguments),
            Work::StolenTime => stolen_time::over_hosts(&self.host, arguments),
            Work::HostUpgrade => upgrade::of_host(&self.host, show),
            Work::TwoHosts => two_hosts::by_wire(&self.host, show),
            Work::Handoff => handoff::judged(&self.host, show),
            Work::HandoffLinux => handoff::worked(&self.host, show),
            Work::HandoffTwoHosts => handoff::between_two(&self.host, CONTRACT, show),
            Work::Migrations => migrations::of_load(&self.host, CONTRACT, show),
            Work::Pmu => pmu::tour(&self.host, show),
            Work::Implementations => implementations::told(&self.host, show),
            Work::Refusals => refusals::by_name(&self.host, show),
            Work::RestoreCount => restore::counted(&self.host, show),
            Work::RestoreShares => restore::shares(&self.host, show),
            Work::Vmclock => vmclock::tour(&self.host, CONTRACT, show),
            Work::GuestClock => guest_clock::tour(&self.host, arguments),
            Work::DirtyLog => dirty_log::compared(&self.host, show),
            Work::LinuxTour => linux::tour(&self.host, CONTRACT, arguments),
            Work::Accepted => linux::accepted(&self.host, show),
            Work::BothWays => linux::both_ways(&self.host, show),
        }
    }
}

impl Built {
    /// The guest saved on the software engine, and what it had done until then.
    fn saved(&self, at_percent: u64) -> Result<(Ran, Vec<u8>)> {
        let file = self.folder.path().join(format!("{at_percent}.abide"));
        let point = self.untouched.report.instructions * at_percent / 100;
        let mut save = portable(self.linux.run(&self.program));
        save.arg("--save-at").arg(point.to_string()).arg("--save-to").arg(&file);
        let name = format!("{at_percent}.save");
        let before = abide::ran(save, self.folder.path(), &name, SAVED_AWAY)?;
        let content = fs::read(&file)?;
        fs::remove_file(&file)?;
        Ok((before, content))
    }

    /// Restores `content` on the KVM of `host`.
    fn restore(
        &self,
        host: &Host,
        content: Vec<u8>,
        as_user: AsUser,
        show: bool,
    ) -> Result<Finished> {
        let files = [
            File::program("abide", fs::read(&self.program_for_arm)?),
            File::data("guest.abide", content),
        ];
        let script = restore_script(as_user);
        host.run(&Errand { files: &files, script: &script, brings: false, limit: LIMIT, show })
    }
}

fn soft_to_kvm(
    host: &Host,
    built: &Built,
    at_percent: u64,
    as_user: AsUser,
    show: bool,
) -> Result<String> {
    let (before, content) = built.saved(at_percent)?;
    let finished = built.restore(host, content, as_user, show)?;
    ensure!(
        finished.code == POWERED_OFF,
        "abide restore --engine kvm: exit code {}\n{}",
        finished.code,
        tail(&finished.output)
    );
    let split = finished.output.split_once(WORDS);
    let (console, words) = split.context("abide's words are missing")?;
    ensure!(words.contains(as_user.memory()), "memory came in another way\n{}", tail(words));
    let said = format!("{}{console}", String::from_utf8_lossy(&before.console));
    let expected = String::from_utf8_lossy(&built.untouched.console).into_owned();
    ensure!(
        abide::lines_of_init(&said) == abide::lines_of_init(&expected)
            && !abide::lines_of_init(&said).is_empty(),
        "the guest's init said something else than in the untouched run\n{}",
        tail(&said)
    );
    let saved = before.report.instructions;
    let how = match as_user {
        AsUser::Root => "lazily",
        AsUser::Nobody => "eagerly",
    };
    let note = format!("saved after {saved} instructions, powered off on KVM, restored {how}");
    Ok(told(note, &finished))
}

/// The vCPU stands in KVM and waits for a page that will never come, or is about to.
fn damaged_to_kvm(host: &Host, built: &Built, show: bool) -> Result<String> {
    let (_, mut content) = built.saved(60)?;
    // The file ends with the last chunk.
    *content.last_mut().context("the file is empty")? ^= 1;
    let finished = built.restore(host, content, AsUser::Root, show)?;
    ensure!(finished.code == DAMAGED, "exit code {}\n{}", finished.code, tail(&finished.output));
    let split = finished.output.split_once(WORDS);
    let (_, words) = split.context("abide's words are missing")?;
    for word in [AsUser::Root.memory(), "RAM chunk at 0x", " was ended: "] {
        ensure!(words.contains(word), "`{word}` was not said\n{}", tail(words));
    }
    Ok(told("the guest was ended with the finding".into(), &finished))
}

/// `abide`'s exit code for a damaged file.
const DAMAGED: i32 = 3;
/// Divides the guest's console from abide's own words.
pub const WORDS: &str = "\nabide-lab: words\n";

fn restore_script(as_user: AsUser) -> String {
    format!(
        "mkdir /etc\n\
         echo nobody:x:65534:65534::/:/bin/sh >/etc/passwd\n\
         echo nogroup:x:65534: >/etc/group\n\
         chmod 666 /dev/kvm\n\
         {} restore /guest.abide --engine kvm --state-dir /state </dev/null 2>/words\n\
         code=$?\n\
         printf '\\nabide-lab: words\\n'\n\
         cat /words\n\
         exit $code\n",
        as_user.abide()
    )
}

pub fn told(note: String, finished: &Finished) -> String {
    match &finished.restarted {
        Some(why) => format!("{note} ({why})"),
        None => note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cells_differ() {
        let cells = all();
        for (index, cell) in cells.iter().enumerate() {
            assert!(cells[..index].iter().all(|other| other.name != cell.name), "{}", cell.name);
        }
    }

    #[test]
    fn script_prints_the_mark_that_is_looked_for() {
        assert!(restore_script(AsUser::Root).contains(WORDS.trim()));
    }
}
