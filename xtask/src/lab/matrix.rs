//! `--matrix`: a guest born on each host goes to each host and comes home, and each move must be
//! what the plan said. What came of it is written to docs/lab/matrix.toml and docs/lab/matrix.md.

use super::host::{File, Host};
use super::judge::{self, Outcome, Prediction, disagreements};
use super::stay::{self, Begin, Stay, Stayed};
use super::{abi, table};
use crate::abide::{self, SAVED_AWAY};
use crate::paths;
use crate::tally::Count;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;

/// The kernels of the hosts.
const KERNELS: [&str; 3] = ["6.1", "6.12", "7.2"];
/// Their CPUs. QEMU's `max` without pointer authentication, whose emulation is slow.
const CPUS: [&str; 3] = ["cortex-a57", "neoverse-n1", "max,pauth=off"];

/// A move to a host, and the one back home.
pub struct Row {
    pub cpu: &'static str,
    /// The kernel it was born on.
    pub birth: &'static str,
    /// The kernel it went to.
    pub host: &'static str,
    pub go: Move,
    /// Nothing if it did not go.
    pub back: Option<Move>,
}

/// One move.
pub struct Move {
    pub predicted: Prediction,
    pub outcome: Outcome,
}

impl Move {
    /// What was not predicted.
    pub fn disagreements(&self) -> Vec<String> {
        disagreements(&self.predicted, &self.outcome)
    }
}

/// What all hosts need.
struct Lab {
    abide: PathBuf,
    program: Vec<u8>,
    abi: Vec<u8>,
    /// What guests leave, kept until the next matrix.
    folder: PathBuf,
    show: bool,
}

/// A guest that was born, or came somewhere.
struct Guest {
    file: PathBuf,
    life: String,
}

/// A guest that was moved.
struct Moved<'a> {
    /// The kernel it came from.
    from: &'a str,
    moved: Move,
    /// Nothing if it did not go.
    there: Option<Guest>,
}

/// Runs it for all CPUs whose name contains `only`. The committed table is written if that is all.
///
/// # Errors
/// If a host does not come up, or the table cannot be written.
pub fn run(only: &str, show: bool, count: &mut Count) -> Result<()> {
    let folder = paths::target().join("lab-matrix");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("making {folder:?}"))?;
    let lab = Lab {
        abide: abide::build()?,
        program: fs::read(abide::build_for_arm()?)?,
        abi: guests::abi()?,
        folder,
        show,
    };
    let mut rows = Vec::new();
    for cpu in CPUS.into_iter().filter(|cpu| cpu.contains(only)) {
        for row in lab.of_cpu(cpu)? {
            let found = table::print(&row);
            *count += Count::one(found.is_empty());
            rows.push(row);
        }
    }
    ensure!(!rows.is_empty(), "no CPU's name contains `{only}`; there are {}", CPUS.join(", "));
    if CPUS.iter().all(|cpu| cpu.contains(only)) {
        table::write(&rows)?;
    }
    Ok(())
}

impl Lab {
    /// All births, moves and returns among hosts with this CPU.
    fn of_cpu(&self, cpu: &'static str) -> Result<Vec<Row>> {
        let hosts = KERNELS.map(|kernel| Host::debian(kernel, cpu));
        let mut born = Vec::new();
        for (kernel, host) in KERNELS.into_iter().zip(&hosts) {
            born.push(self.birth(kernel, host)?);
        }
        let mut gone = Vec::new();
        for (kernel, host) in KERNELS.into_iter().zip(&hosts) {
            let guests: Vec<_> = KERNELS.into_iter().zip(&born).collect();
            let moved = self.moves(kernel, host, &guests)?;
            gone.extend(moved.into_iter().map(|moved| (kernel, moved)));
        }
        let mut returned = Vec::new();
        for (home, host) in KERNELS.into_iter().zip(&hosts) {
            let guests: Vec<_> = gone
                .iter()
                .filter(|(_, moved)| moved.from == home)
                .filter_map(|(kernel, moved)| Some((*kernel, moved.there.as_ref()?)))
                .collect();
            let moved = self.moves(home, host, &guests)?;
            returned.extend(moved.into_iter().map(|moved| (home, moved.from, moved.moved)));
        }
        let mut rows = Vec::new();
        for (birth, host, go) in gone.into_iter().map(|(host, go)| (go.from, host, go.moved)) {
            let at = returned.iter().position(|(home, from, _)| (*home, *from) == (birth, host));
            let back = at.map(|at| returned.swap_remove(at).2);
            rows.push(Row { cpu, birth, host, go, back });
        }
        Ok(rows)
    }

    /// Probes the host, and lets a guest be born there with all that it offers.
    fn birth(&self, kernel: &str, host: &Host) -> Result<Guest> {
        let name = profile_name(kernel, &host.cpu);
        let probe = format!("/abide probe --engine kvm --name {name} -o /out/profile.toml\n");
        let files = vec![File::data("abi.img", self.abi.clone())];
        let stays = [Stay { name: "born", begin: Begin::Run(abi::RUN), until: abi::UNTIL }];
        let (finished, mut stayed) =
            stay::on(host, &self.program, files, &probe, &stays, self.show)?;
        let profile = finished.file("profile.toml").with_context(|| host.to_string())?;
        fs::write(self.profile(kernel, &host.cpu), profile)?;
        let born = stayed.pop().context("one stay")?;
        let life = born.console.clone();
        abi::Looks::of(&life).with_context(|| format!("born on {host}"))?;
        let file = self.folder.join(format!("{name}.abide"));
        fs::write(&file, born.saved().with_context(|| host.to_string())?)?;
        Ok(Guest { file, life })
    }

    /// Moves guests, each from where it is, to a host.
    fn moves<'a>(
        &self,
        kernel: &str,
        host: &Host,
        guests: &[(&'a str, &Guest)],
    ) -> Result<Vec<Moved<'a>>> {
        let mut contents = Vec::new();
        for (from, guest) in guests {
            contents.push((format!("from-{from}"), fs::read(&guest.file)?));
        }
        let stays: Vec<Stay> = contents
            .iter()
            .map(|(name, content)| Stay { name, begin: Begin::Restore(content), until: abi::UNTIL })
            .collect();
        let (_, stayed) = stay::on(host, &self.program, Vec::new(), "", &stays, self.show)?;
        let mut moved = Vec::new();
        for ((from, guest), stayed) in guests.iter().zip(stayed) {
            let (judged, there) = self.judged(kernel, host, guest, stayed)?;
            moved.push(Moved { from, moved: judged, there });
        }
        Ok(moved)
    }

    fn judged(
        &self,
        kernel: &str,
        host: &Host,
        guest: &Guest,
        stayed: Stayed,
    ) -> Result<(Move, Option<Guest>)> {
        let predicted = judge::predict(&self.abide, &guest.file, &self.profile(kernel, &host.cpu))?;
        let stem = guest.file.file_stem().unwrap_or_default().to_string_lossy();
        let file = self.folder.join(format!("{stem}-{kernel}.abide"));
        let life = format!("{}{}", guest.life, stayed.console);
        let said = format!("{}\n{}", stayed.words, stayed.console);
        fs::write(self.folder.join(format!("{stem}-{kernel}.txt")), said)?;
        let there = match (&stayed.file, stayed.code) {
            (Some(content), SAVED_AWAY) => {
                fs::write(&file, content)?;
                Some(Guest { file, life })
            }
            _ => None,
        };
        let files = there.as_ref().map(|there| (guest.file.as_path(), there.file.as_path()));
        let outcome = judge::outcome(&self.abide, &guest.life, &stayed, files, &predicted)?;
        Ok((Move { predicted, outcome }, there))
    }

    fn profile(&self, kernel: &str, cpu: &str) -> PathBuf {
        self.folder.join(profile_name(kernel, cpu)).with_added_extension("toml")
    }
}

fn profile_name(kernel: &str, cpu: &str) -> String {
    let cpu = cpu.split(',').next().unwrap_or(cpu);
    format!("debian-{kernel}-{cpu}")
}
