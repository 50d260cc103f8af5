//! The cells of the lab: what runs on which host, and what must come of it.

use super::host::{File, Finished, Host, tail};
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
    work: Work,
}

/// What a cell does.
enum Work {
    /// The host has a KVM device.
    KvmDevice,
    /// A guest saved on the software engine goes on on the host's KVM and runs to power-off. The
    /// number is how much of its run it has behind it when it is saved, in per cent.
    SoftToKvm { at_percent: u64 },
}

/// The kernel of the guests inside.
const GUEST_KERNEL: &str = "6.12";
/// How long a host and what runs in it may take.
const LIMIT: Duration = Duration::from_secs(240);

const A57: Host = Host { kernel: "6.12", cpu: "cortex-a57", gic: 3 };

/// Every cell.
pub fn all() -> Vec<Cell> {
    vec![
        Cell { name: "kvm-device", host: A57, work: Work::KvmDevice },
        Cell { name: "soft-to-kvm-early", host: A57, work: Work::SoftToKvm { at_percent: 20 } },
        Cell { name: "soft-to-kvm-middle", host: A57, work: Work::SoftToKvm { at_percent: 60 } },
        Cell { name: "soft-to-kvm-init", host: A57, work: Work::SoftToKvm { at_percent: 97 } },
    ]
}

/// What several cells need, made once.
#[derive(Default)]
pub struct Bench {
    built: Option<Built>,
}

struct Built {
    program: PathBuf,
    program_for_arm: PathBuf,
    linux: Linux,
    folder: tempfile::TempDir,
    untouched: Ran,
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
    pub fn run(&self, bench: &mut Bench, show: bool) -> Result<String> {
        match self.work {
            Work::KvmDevice => {
                let finished = self.host.run(&[], "test -c /dev/kvm\n", LIMIT, show)?;
                ensure!(finished.code == 0, "no /dev/kvm\n{}", tail(&finished.output));
                Ok(told("/dev/kvm is there".into(), &finished))
            }
            Work::SoftToKvm { at_percent } => {
                soft_to_kvm(&self.host, bench.get()?, at_percent, show)
            }
        }
    }
}

fn soft_to_kvm(host: &Host, built: &Built, at_percent: u64, show: bool) -> Result<String> {
    let file = built.folder.path().join(format!("{at_percent}.abide"));
    let point = built.untouched.report.instructions * at_percent / 100;
    let mut save = portable(built.linux.run(&built.program));
    save.arg("--save-at").arg(point.to_string()).arg("--save-to").arg(&file);
    let name = format!("{at_percent}.save");
    let before = abide::ran(save, built.folder.path(), &name, SAVED_AWAY)?;
    let files = [
        File { name: "abide", permissions: 0o755, content: fs::read(&built.program_for_arm)? },
        File { name: "guest.abide", permissions: 0o644, content: fs::read(&file)? },
    ];
    fs::remove_file(&file)?;
    let finished = host.run(&files, RESTORE, LIMIT, show)?;
    ensure!(
        finished.code == POWERED_OFF,
        "abide restore --engine kvm: exit code {}\n{}",
        finished.code,
        tail(&finished.output)
    );
    let (console, _) = finished.output.split_once(WORDS).context("abide's words are missing")?;
    let said = format!("{}{console}", String::from_utf8_lossy(&before.console));
    let expected = String::from_utf8_lossy(&built.untouched.console).into_owned();
    ensure!(
        lines_of_init(&said) == lines_of_init(&expected) && !lines_of_init(&said).is_empty(),
        "the guest's init said something else than in the untouched run\n{}",
        tail(&said)
    );
    let saved = before.report.instructions;
    Ok(told(format!("saved after {saved} instructions, powered off on KVM"), &finished))
}

/// Divides the guest's console from abide's own words.
const WORDS: &str = "\nabide-lab: words\n";
const RESTORE: &str = "\
/abide restore /guest.abide --engine kvm --state-dir /state </dev/null 2>/words
code=$?
printf '\\nabide-lab: words\\n'
cat /words
exit $code
";

/// What the guest's init said, line by line: the same on every engine, while the kernel's own
/// lines tell of times and features.
fn lines_of_init(console: &str) -> Vec<String> {
    let lines = console.lines().filter_map(|line| line.find("abide-init: ").map(|at| &line[at..]));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

fn told(note: String, finished: &Finished) -> String {
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
    fn lines_of_init_are_found_among_others() {
        let console = "[ 0.1] boot\r\nabide-init: hello\r\nrandom: \nabide-init: done\n";
        assert_eq!(lines_of_init(console), ["abide-init: hello", "abide-init: done"]);
    }

    #[test]
    fn script_prints_the_mark_that_is_looked_for() {
        assert!(RESTORE.contains(WORDS.trim()));
    }
}
