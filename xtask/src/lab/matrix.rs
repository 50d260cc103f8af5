//! `--matrix`: a guest born on each host goes to each host and comes home, and each move must be
//! what the plan said, register by register. What came of it is written to docs/lab/matrix.toml and
//! docs/lab/matrix.md.

use super::contracts::{self, Promise};
use super::host::{File, Host};
use super::judge::{self, End, Outcome, Prediction, disagreements};
use super::stay::{self, Begin, Stay, Stayed, Visit};
use super::{abi, table};
use crate::abide::{self, SAVED_AWAY};
use crate::paths;
use crate::tally::Count;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// The kernels of the hosts.
pub const KERNELS: [&str; 3] = ["6.1", "6.12", "7.2"];

/// A model of CPUs, and what guests on it are born with.
struct Cpu {
    /// Its name in the table and in files.
    name: &'static str,
    /// As QEMU's `-cpu` takes it.
    model: &'static str,
    /// As abide's `--features` takes it: those with which the profiles that come with abide were
    /// measured.
    features: &'static str,
}

/// The CPUs of the hosts. QEMU's `max` without pointer authentication, whose emulation is slow.
const CPUS: [Cpu; 4] = [
    Cpu { name: "neoverse-n1", model: "neoverse-n1", features: "pmu" },
    Cpu { name: "neoverse-n1 without PMU", model: "neoverse-n1", features: "" },
    Cpu { name: "max,pauth=off", model: "max,pauth=off", features: "pmu,sve" },
    Cpu { name: "cortex-a57", model: "cortex-a57", features: "pmu" },
];

/// Hosts whose KVM is known not to run every guest, and why; docs/lab.md tells more.
const KNOWN_BAD: [(&str, &str, &str); 1] = [(
    "7.2",
    "cortex-a57",
    "runs guests that are born there, and no restored one: the kernel's way around erratum 834220 \
     enters a guest again for ever whose page tables it has not mapped yet",
)];

impl Cpu {
    /// The command line's part that asks for the features.
    fn features(&self) -> String {
        if self.features.is_empty() {
            String::new()
        } else {
            format!(" --features {}", self.features)
        }
    }

    /// A guest on it, for the judge.
    fn guest(&self, is_promised: bool) -> abi::Kind<'static> {
        abi::Kind { cpu: self.model, is_promised }
    }
}

/// A move to a host, and the one back home.
pub struct Row {
    pub cpu: &'static str,
    /// The kernel it was born on.
    pub birth: &'static str,
    /// The kernels whose baseline it was promised at birth.
    pub promise: Option<String>,
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
    /// Whether it went to a host that is known not to run every guest.
    pub at_risk: bool,
}

impl Move {
    /// What was not predicted.
    pub fn disagreements(&self) -> Vec<String> {
        let mut found = disagreements(&self.predicted, &self.outcome);
        if let (End::Unusable(why), false) = (&self.outcome.end, self.at_risk) {
            found.push(format!("the host is not known to be unusable: {why}"));
        }
        found
    }

    /// Whether nothing came of it because of its host, of which that is known.
    pub fn was_not_made(&self) -> bool {
        self.at_risk && matches!(self.outcome.end, End::Unusable(_))
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
    promise: Option<String>,
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
#[derive(Default)]
struct OfCpu {
    rows: Vec<Row>,
    /// Why there is no contract.
    notes: Vec<String>,
    /// Where no guest was born, and should have been.
    failures: Vec<String>,
}

/// Runs it for all CPUs whose name contains `only`, and renews their parts of the committed table.
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
    let names = CPUS.each_ref().map(|cpu| cpu.name);
    let (began, load) = (Instant::now(), load_average());
    let (mut ran, mut not_made) = (false, 0);
    for cpu in CPUS.iter().filter(|cpu| cpu.name.contains(only)) {
        ran = true;
        let came = lab.of_cpu(cpu)?;
        came.notes.iter().for_each(|note| println!("note  {note}"));
        for failure in &came.failures {
            println!("FAIL  {failure}");
            *count += Count::one(false);
        }
        for row in &came.rows {
            match table::print(row) {
                table::Word::Bad => not_made += 1,
                word => *count += Count::one(word == table::Word::Pass),
            }
        }
        let notes: Vec<String> = came.notes.into_iter().chain(came.failures).collect();
        table::write(cpu.name, &names, &came.rows, &notes)?;
        contracts::keep_profiles(&lab.folder)?;
    }
    ensure!(ran, "no CPU's name contains `{only}`; there are {}", names.join(", "));
    if not_made > 0 {
        println!("{not_made} rows not made: their host runs no such guest, as docs/lab.md tells");
    }
    let took_min = began.elapsed().as_secs_f64() / 60.0;
    println!("took {took_min:.1} min; load average {load} before, {} after", load_average());
    Ok(())
}

/// How busy this machine was in the last minute.
fn load_average() -> String {
    let told = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().unwrap_or_default().to_owned()
}

/// Why hosts with this kernel and CPU are known not to run every guest, if they are.
fn known_bad(kernel: &str, cpu: &str) -> Option<&'static str> {
    let known = KNOWN_BAD.iter().find(|(of, on, _)| (*of, *on) == (kernel, cpu));
    known.map(|(.., why)| *why)
}

fn is_at_risk(kernel: &str, cpu: &str) -> bool {
    known_bad(kernel, cpu).is_some()
}

impl Lab {
    /// All births, moves and returns among hosts with this CPU.
    fn of_cpu(&self, cpu: &Cpu) -> Result<OfCpu> {
        let hosts = KERNELS.map(|kernel| (kernel, Host::debian(kernel, cpu.model)));
        let mut came = OfCpu::default();
        for kernel in KERNELS {
            let bad = known_bad(kernel, cpu.model);
            came.notes.extend(bad.map(|why| format!("{kernel} on {} {why}.", cpu.name)));
        }
        let born = self.births(cpu, &hosts, &mut came)?;
        let mut gone = Vec::new();
        for (kernel, host) in &hosts {
            for (guest, moved) in born.iter().zip(self.moves(kernel, cpu, host, &born)?) {
                gone.push((*kernel, guest, moved));
            }
        }
        for (home, host) in &hosts {
            let here: Vec<_> = gone.iter().filter(|(_, guest, _)| guest.birth == *home).collect();
            let returning: Vec<Guest> =
                here.iter().filter_map(|(.., moved)| moved.there.clone()).collect();
            let mut returned = self.moves(home, cpu, host, &returning)?.into_iter();
            for (kernel, guest, moved) in here {
                let back = moved.there.as_ref().and_then(|_| returned.next()).map(|back| back.done);
                let Guest { birth, promise, .. } = (*guest).clone();
                let go = moved.done.clone();
                came.rows.push(Row { cpu: cpu.name, birth, promise, host: kernel, go, back });
            }
        }
        Ok(came)
    }

    /// Guests on each host: one born with all that it offers, and one under each contract.
    fn births(
        &self,
        cpu: &Cpu,
        hosts: &[(&'static str, Host)],
        came: &mut OfCpu,
    ) -> Result<Vec<Guest>> {
        let mut born = Vec::new();
        for (kernel, host) in hosts {
            born.extend(self.born_on(kernel, host, cpu, &[], came)?);
        }
        let profiles = KERNELS.map(|kernel| (kernel, self.profile(kernel, cpu)));
        let (promises, notes) = contracts::of(&self.abide, &self.folder, cpu.name, &profiles)?;
        came.notes.extend(notes);
        for (kernel, host) in hosts {
            let here: Vec<&Promise> =
                promises.iter().filter(|promise| promise.kernels.contains(kernel)).collect();
            if !here.is_empty() {
                born.extend(self.born_on(kernel, host, cpu, &here, came)?);
            }
        }
        Ok(born)
    }

    /// Lets a guest be born on a host under each of these contracts; or one without, after the
    /// host was probed.
    fn born_on(
        &self,
        kernel: &'static str,
        host: &Host,
        cpu: &Cpu,
        promises: &[&Promise],
        came: &mut OfCpu,
    ) -> Result<Vec<Guest>> {
        let name = contracts::profile_name(kernel, cpu.name);
        let features = cpu.features();
        let probe =
            format!("/abide probe --engine kvm{features} --name {name} -o /out/profile.toml\n");
        let free = promises.is_empty();
        let mut files = vec![File::data("abi.img", self.abi.clone())];
        let mut births = vec![(None, format!("{}{features}", abi::RUN))];
        if !free {
            births.clear();
        }
        for (number, promise) in promises.iter().enumerate() {
            let file = format!("contract-{number}.toml");
            births.push((Some(*promise), format!("{} --contract /{file}", abi::RUN)));
            files.push(File::data(&file, promise.text.clone()));
        }
        let names: Vec<String> = (0..births.len()).map(|number| format!("born-{number}")).collect();
        let stays: Vec<Stay> = births
            .iter()
            .zip(&names)
            .map(|((_, run), name)| Stay { name, begin: Begin::Run(run), until: abi::UNTIL })
            .collect();
        let first = if free { probe.as_str() } else { "" };
        let visit = Visit { files, first, ..self.visit(host, &stays) };
        let (finished, stayed) = match visit.run() {
            Err(error) if !free && is_at_risk(kernel, &host.cpu) => {
                came.notes.push(format!("no guest is born under a contract on {host}: {error:#}"));
                return Ok(Vec::new());
            }
            on_host => on_host?,
        };
        if free {
            let profile = finished.file("profile.toml").with_context(|| host.to_string())?;
            fs::write(self.profile(kernel, cpu), profile)?;
        }
        let mut born = Vec::new();
        for ((promise, _), stayed) in births.into_iter().zip(stayed) {
            match self.kept(kernel, cpu, promise, stayed) {
                Ok(guest) => born.push(guest),
                Err(error) => {
                    let under = promise.map_or(String::new(), |promise| {
                        format!(" under the contract of {}", promise.title())
                    });
                    came.failures.push(format!("no guest is born on {host}{under}: {error:#}"));
                }
            }
        }
        Ok(born)
    }

    /// Keeps the file of a guest that was born, looked, and found nothing.
    fn kept(
        &self,
        birth: &'static str,
        cpu: &Cpu,
        promise: Option<&Promise>,
        born: Stayed,
    ) -> Result<Guest> {
        let life = born.console.clone();
        let kind = promise.map_or("free".to_owned(), |promise| promise.kernels.join("-"));
        let name = contracts::profile_name(birth, cpu.name);
        let stem = self.folder.join(format!("{name}-{kind}"));
        let said = format!("{}\n{}", born.words, born.console);
        fs::write(stem.with_added_extension("txt"), said)?;
        let content = born.saved()?;
        abi::Looks::of(&life, cpu.guest(promise.is_some()))?;
        let file = stem.with_added_extension("abide");
        fs::write(&file, content)?;
        Ok(Guest { birth, promise: promise.map(Promise::title), file, life })
    }

    /// Guests on a host, and nothing besides.
    fn visit<'a>(&'a self, host: &'a Host, stays: &'a [Stay<'a>]) -> Visit<'a> {
        let (program, show) = (&self.program, self.show);
        Visit { host, program, files: Vec::new(), first: "", stays, show }
    }

    /// Moves guests, each from where it is, to a host.
    fn moves(&self, kernel: &str, cpu: &Cpu, host: &Host, guests: &[Guest]) -> Result<Vec<Moved>> {
        let mut contents = Vec::new();
        for (number, guest) in guests.iter().enumerate() {
            contents.push((format!("guest-{number}"), fs::read(&guest.file)?));
        }
        let stays: Vec<Stay> = contents
            .iter()
            .map(|(name, content)| Stay { name, begin: Begin::Restore(content), until: abi::UNTIL })
            .collect();
        let stayed = if stays.is_empty() {
            Vec::new()
        } else if is_at_risk(kernel, cpu.model) {
            stay::at_risk(host, &self.program, &stays, self.show)
        } else {
            self.visit(host, &stays).run()?.1
        };
        guests
            .iter()
            .zip(stayed)
            .map(|(guest, stayed)| self.judged(kernel, cpu, guest, stayed))
            .collect()
    }

    fn judged(&self, kernel: &str, cpu: &Cpu, guest: &Guest, stayed: Stayed) -> Result<Moved> {
        let predicted = judge::predict(&self.abide, &guest.file, &self.profile(kernel, cpu))?;
        let stem = guest.file.file_stem().unwrap_or_default().to_string_lossy();
        let stem = self.folder.join(format!("{stem}-{kernel}"));
        let file = stem.with_added_extension("abide");
        let life = format!("{}{}", guest.life, stayed.console);
        let said = format!("{}\n{}", stayed.words, stayed.console);
        fs::write(stem.with_added_extension("txt"), said)?;
        let there = match (&stayed.file, stayed.code) {
            (Some(content), SAVED_AWAY) => {
                fs::write(&file, content)?;
                Some(Guest { file, life, ..guest.clone() })
            }
            _ => None,
        };
        let files = there.as_ref().map(|there| (guest.file.as_path(), there.file.as_path()));
        let of = cpu.guest(guest.promise.is_some());
        let outcome = judge::outcome(&self.abide, of, &guest.life, &stayed, files)?;
        let at_risk = is_at_risk(kernel, cpu.model);
        Ok(Moved { done: Move { predicted, outcome, at_risk }, there })
    }

    fn profile(&self, kernel: &str, cpu: &Cpu) -> PathBuf {
        self.folder.join(contracts::profile_file(kernel, cpu.name))
    }
}
