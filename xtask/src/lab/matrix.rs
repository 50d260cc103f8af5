//! `--matrix`: a guest born on each host goes to each host and comes home, and each move must be
//! what the plan said. What came of it is written to docs/lab/matrix.toml and docs/lab/matrix.md.

use super::host::{File, Host};
use super::judge::{self, Outcome, Prediction, disagreements};
use super::stay::{self, Begin, Stay, Stayed, Visit};
use super::{abi, table};
use crate::abide::{self, SAVED_AWAY};
use crate::paths;
use crate::tally::Count;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The kernels of the hosts.
const KERNELS: [&str; 3] = ["6.1", "6.12", "7.2"];
/// Their CPUs. QEMU's `max` without pointer authentication, whose emulation is slow.
const CPUS: [&str; 3] = ["neoverse-n1", "max,pauth=off", "cortex-a57"];

/// A kernel and a CPU whose hosts may hang; docs/lab.md tells what is known.
const HANGS: (&str, &str) = ("7.2", "cortex-a57");

/// A move to a host, and the one back home.
pub struct Row {
    pub cpu: &'static str,
    /// The kernel it was born on.
    pub birth: &'static str,
    /// Whether it was born under the contract that all hosts with this CPU can honour.
    pub promised: bool,
    /// The kernel it went to.
    pub host: &'static str,
    pub go: Move,
    /// Nothing if it did not go.
    pub back: Option<Move>,
}

/// One move.
#[derive(Clone)]
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
#[derive(Clone)]
struct Guest {
    birth: &'static str,
    promised: bool,
    file: PathBuf,
    life: String,
}

/// A guest that was moved.
struct Moved {
    done: Move,
    /// Nothing if it did not go.
    there: Option<Guest>,
}

/// What came of one CPU.
struct OfCpu {
    rows: Vec<Row>,
    /// Why there is no contract, or where no guest could be born.
    notes: Vec<String>,
}

/// Runs it for all CPUs whose name contains `only`. The committed table is written if all are.
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
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for cpu in CPUS.into_iter().filter(|cpu| cpu.contains(only)) {
        let came = lab.of_cpu(cpu)?;
        came.notes.iter().for_each(|note| println!("note  {note}"));
        for row in &came.rows {
            *count += Count::one(table::print(row).is_empty());
        }
        rows.extend(came.rows);
        notes.extend(came.notes);
        // As far as it came: a later CPU may take long.
        if only.is_empty() {
            table::write(&rows, &notes)?;
        }
    }
    ensure!(!rows.is_empty(), "no CPU's name contains `{only}`; there are {}", CPUS.join(", "));
    Ok(())
}

impl Lab {
    /// All births, moves and returns among hosts with this CPU.
    fn of_cpu(&self, cpu: &'static str) -> Result<OfCpu> {
        let hosts = KERNELS.map(|kernel| (kernel, Host::debian(kernel, cpu)));
        let (born, notes) = self.births(cpu, &hosts)?;
        let mut gone = Vec::new();
        for (kernel, host) in &hosts {
            for (guest, moved) in born.iter().zip(self.moves(kernel, host, &born)?) {
                gone.push((*kernel, guest, moved));
            }
        }
        let mut rows = Vec::new();
        for (home, host) in &hosts {
            let here: Vec<_> = gone.iter().filter(|(_, guest, _)| guest.birth == *home).collect();
            let returning: Vec<Guest> =
                here.iter().filter_map(|(.., moved)| moved.there.clone()).collect();
            let mut returned = self.moves(home, host, &returning)?.into_iter();
            for (kernel, guest, moved) in here {
                let back = moved.there.as_ref().and_then(|_| returned.next()).map(|back| back.done);
                let Guest { birth, promised, .. } = **guest;
                let go = moved.done.clone();
                rows.push(Row { cpu, birth, promised, host: kernel, go, back });
            }
        }
        Ok(OfCpu { rows, notes })
    }

    /// Two guests on each host: one born with all that it offers, one under the contract.
    fn births(
        &self,
        cpu: &str,
        hosts: &[(&'static str, Host)],
    ) -> Result<(Vec<Guest>, Vec<String>)> {
        let (mut born, mut notes) = (Vec::new(), Vec::new());
        for (kernel, host) in hosts {
            match self.birth(kernel, host, None)? {
                Ok(guest) => born.push(guest),
                Err(words) => notes.push(format!("no guest is born on {host}: {words}")),
            }
        }
        let contract = match self.contract(cpu)? {
            Ok(contract) => contract,
            Err(words) => {
                notes.push(format!("no contract for {cpu} on all kernels: {words}"));
                return Ok((born, notes));
            }
        };
        for (kernel, host) in hosts {
            match self.birth(kernel, host, Some(&contract))? {
                Ok(guest) => born.push(guest),
                Err(words) => notes.push(format!("none under the contract on {host}: {words}")),
            }
        }
        Ok((born, notes))
    }

    /// What all hosts with this CPU can honour; or what abide says against it.
    fn contract(&self, cpu: &str) -> Result<Result<Vec<u8>, String>> {
        let file = self.folder.join(format!("contract-{cpu}.toml"));
        let mut command = Command::new(&self.abide);
        command.arg("baseline").args(KERNELS.map(|kernel| self.profile(kernel, cpu)));
        command.arg("-o").arg(&file);
        let output = command.output().context("starting abide baseline")?;
        if output.status.success() {
            return Ok(Ok(fs::read(file)?));
        }
        Ok(Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()))
    }

    /// Lets a guest be born on a host, which is probed before; or what abide says against it.
    fn birth(
        &self,
        kernel: &'static str,
        host: &Host,
        contract: Option<&[u8]>,
    ) -> Result<Result<Guest, String>> {
        let name = profile_name(kernel, &host.cpu);
        let probe = format!("/abide probe --engine kvm --name {name} -o /out/profile.toml\n");
        let mut files = vec![File::data("abi.img", self.abi.clone())];
        let mut run = abi::RUN.to_owned();
        if let Some(contract) = contract {
            files.push(File::data("contract.toml", contract.to_vec()));
            run += " --contract /contract.toml";
        }
        let stays = [Stay { name: "born", begin: Begin::Run(&run), until: abi::UNTIL }];
        let visit = Visit { files, first: &probe, ..self.visit(host, &stays) };
        let (finished, mut stayed) = visit.run()?;
        if contract.is_none() {
            let profile = finished.file("profile.toml").with_context(|| host.to_string())?;
            fs::write(self.profile(kernel, &host.cpu), profile)?;
        }
        let born = stayed.pop().context("one stay")?;
        if born.console.is_empty() {
            return Ok(Err(born.words.trim_end().to_owned()));
        }
        let life = born.console.clone();
        abi::Looks::of(&life).with_context(|| format!("born on {host}"))?;
        let promised = contract.is_some();
        let kind = if promised { "promised" } else { "free" };
        let file = self.folder.join(format!("{name}-{kind}.abide"));
        fs::write(&file, born.saved().with_context(|| host.to_string())?)?;
        Ok(Ok(Guest { birth: kernel, promised, file, life }))
    }

    /// Guests on a host, and nothing besides.
    fn visit<'a>(&'a self, host: &'a Host, stays: &'a [Stay<'a>]) -> Visit<'a> {
        let (program, show) = (&self.program, self.show);
        Visit { host, program, files: Vec::new(), first: "", stays, show }
    }

    /// Moves guests, each from where it is, to a host.
    fn moves(&self, kernel: &str, host: &Host, guests: &[Guest]) -> Result<Vec<Moved>> {
        let mut contents = Vec::new();
        for (number, guest) in guests.iter().enumerate() {
            contents.push((format!("guest-{number}"), fs::read(&guest.file)?));
        }
        let stays: Vec<Stay> = contents
            .iter()
            .map(|(name, content)| Stay { name, begin: Begin::Restore(content), until: abi::UNTIL })
            .collect();
        let stayed = if (kernel, host.cpu.as_str()) == HANGS {
            let at_risk = |stay| stay::at_risk(host, &self.program, stay, self.show);
            stays.iter().map(at_risk).collect()
        } else if stays.is_empty() {
            Vec::new()
        } else {
            self.visit(host, &stays).run()?.1
        };
        guests
            .iter()
            .zip(stayed)
            .map(|(guest, stayed)| self.judged(kernel, host, guest, stayed))
            .collect()
    }

    fn judged(&self, kernel: &str, host: &Host, guest: &Guest, stayed: Stayed) -> Result<Moved> {
        let predicted = judge::predict(&self.abide, &guest.file, &self.profile(kernel, &host.cpu))?;
        let stem = guest.file.file_stem().unwrap_or_default().to_string_lossy();
        let file = self.folder.join(format!("{stem}-{kernel}.abide"));
        let life = format!("{}{}", guest.life, stayed.console);
        let said = format!("{}\n{}", stayed.words, stayed.console);
        fs::write(self.folder.join(format!("{stem}-{kernel}.txt")), said)?;
        let there = match (&stayed.file, stayed.code) {
            (Some(content), SAVED_AWAY) => {
                fs::write(&file, content)?;
                Some(Guest { file, life, ..guest.clone() })
            }
            _ => None,
        };
        let files = there.as_ref().map(|there| (guest.file.as_path(), there.file.as_path()));
        let outcome = judge::outcome(&self.abide, &guest.life, &stayed, files, &predicted)?;
        Ok(Moved { done: Move { predicted, outcome }, there })
    }

    fn profile(&self, kernel: &str, cpu: &str) -> PathBuf {
        self.folder.join(profile_name(kernel, cpu)).with_added_extension("toml")
    }
}

fn profile_name(kernel: &str, cpu: &str) -> String {
    let cpu = cpu.split(',').next().unwrap_or(cpu);
    format!("debian-{kernel}-{cpu}")
}
