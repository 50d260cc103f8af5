//! One guest: which, how it is run, and through how many files.

use super::said;
use crate::abide::{self, POWERED_OFF, Ran, SAVED_AWAY};
use crate::debian::{kernel, root};
use crate::paths;
use crate::process::{self, Ended};
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Room for a root that is all in RAM, and to compile there.
const MEMORY_MIB: u32 = 1024;
/// The guest's name in its state directory.
const NAME: &str = "guest";

/// Where the root file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Root {
    /// On a virtio disk that the guest cannot write
    Disk,
    /// All of it in RAM
    Ram,
}

/// What makes time pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Time {
    /// Instructions; all vCPUs in turn on one thread, each run the same to the last bit
    Lockstep,
    /// The host's clock, and a host thread for each vCPU
    Threads,
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lockstep => "lockstep",
            Self::Threads => "threads",
        })
    }
}

/// What a guest is made of.
#[derive(Clone)]
pub struct Choice {
    pub kernel: String,
    pub vcpus: u32,
    pub time: Time,
    pub root: Root,
    pub with: Vec<String>,
    pub checks: Vec<String>,
    pub limit: Duration,
}

pub struct Guest {
    choice: Choice,
    kernel: PathBuf,
    images: root::Images,
}

/// What a guest printed, and how much it took.
pub struct Life {
    pub console: String,
    pub instructions: u64,
    /// Lines in which the engine names what it does not know.
    pub undefined: String,
    /// The hash of its state at the end, where it is the same in each run.
    pub state_hash: Option<String>,
}

impl Guest {
    /// Makes what the guest needs, if it is not there.
    ///
    /// # Errors
    /// If the kernel or the packages cannot be fetched.
    pub fn new(choice: Choice) -> Result<Self> {
        let images = root::make(&root::Arguments::new(&choice.with, &choice.kernel))?;
        Ok(Self { kernel: kernel::get(&choice.kernel)?, images, choice })
    }

    fn initrd(&self) -> &Path {
        match self.choice.root {
            Root::Disk => &self.images.boot,
            Root::Ram => &self.images.initramfs,
        }
    }

    fn append(&self) -> String {
        let checks = self.choice.checks.join(",");
        // Messages of the kernel must not cut through what the checks say.
        let mut words =
            format!("console=ttyAMA0 cryptomgr.notests quiet loglevel=1 abide.checks={checks}");
        if self.choice.root == Root::Disk {
            words.push_str(" root=/dev/vda ro");
        }
        words
    }

    /// Runs the guest in QEMU, and returns what it printed.
    ///
    /// # Errors
    /// If QEMU is not there, or the guest does not power itself off in time.
    pub fn qemu(&self) -> Result<String> {
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(["-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-accel", "tcg"]);
        qemu.arg("-smp").arg(self.choice.vcpus.to_string());
        qemu.arg("-m").arg(MEMORY_MIB.to_string());
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(self.initrd());
        qemu.args(["-append", &self.append()]);
        if self.choice.root == Root::Disk {
            let disk =
                format!("if=none,id=d,format=raw,readonly=on,file={}", self.images.disk.display());
            qemu.args(["-drive", &disk, "-device", "virtio-blk-device,drive=d"]);
        }
        qemu.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
        qemu.args(["-nic", "none", "-no-reboot"]).stderr(Stdio::null());
        let mut console = Vec::new();
        let ended = process::pour(&mut qemu, self.choice.limit, |chunk| {
            console.extend_from_slice(chunk);
            false
        })?;
        let console = String::from_utf8_lossy(&console).into_owned();
        ensure!(ended == Ended::Exit(0), "QEMU: {ended:?}\n… {}", said::tail(&console));
        Ok(console)
    }

    /// Runs the guest in abide, through `saves` files, each restored by a process of its own. In
    /// lockstep it is run untouched first, and both lives must agree to the last bit.
    ///
    /// # Errors
    /// If a run does not end well, or the saved life is another one.
    pub fn abide(&self, saves: u32) -> Result<Life> {
        let program = abide::build()?;
        let folder = tempfile::tempdir_in(paths::work()?)?;
        // Links: a root that is made anew meanwhile takes the old one's place, not its content.
        let (disk, initrd) = (folder.path().join("disk"), folder.path().join("initrd"));
        fs::hard_link(&self.images.disk, &disk).context("linking the disk")?;
        fs::hard_link(self.initrd(), &initrd).context("linking the RAM disk")?;
        let place = Place { program: &program, folder: folder.path(), disk, initrd };
        match self.choice.time {
            Time::Lockstep => self.lockstep(saves, &place),
            Time::Threads => self.threads(saves, &place),
        }
    }

    fn lockstep(&self, saves: u32, place: &Place<'_>) -> Result<Life> {
        let limit = self.choice.limit;
        let untouched =
            abide::ran_within(self.run(place), place.folder, "untouched", POWERED_OFF, limit)?;
        if saves > 0 {
            self.saved_at_instructions(saves, &untouched, place)
                .with_context(|| format!("through {saves} files"))?;
        }
        Ok(Life {
            console: String::from_utf8_lossy(&untouched.console).into_owned(),
            instructions: untouched.report.instructions,
            undefined: named_as_undefined(&untouched.words),
            state_hash: Some(untouched.report.state_hash),
        })
    }

    /// Runs the guest through `saves` files, at points that divide its life evenly.
    fn saved_at_instructions(&self, saves: u32, untouched: &Ran, place: &Place<'_>) -> Result<()> {
        let whole = untouched.report.instructions;
        let mut console = Vec::new();
        for n in 0..=saves {
            let mut command = self.piece(n, place);
            if n < saves {
                let point = whole / (u64::from(saves) + 1) * (u64::from(n) + 1);
                command.arg("--save-at").arg(point.to_string());
                command.arg("--save-to").arg(place.file(n));
            }
            let expected = if n < saves { SAVED_AWAY } else { POWERED_OFF };
            let name = format!("piece {n}");
            let ran = abide::ran_within(command, place.folder, &name, expected, self.choice.limit)?;
            console.extend_from_slice(&ran.console);
            place.forget_before(n)?;
            if n == saves {
                let same = console.iter().zip(&untouched.console).take_while(|(a, b)| a == b);
                let same = same.count();
                ensure!(console == untouched.console, "the console differs from byte {same} on");
                ensure!(ran.report == untouched.report, "ends as {:?}", ran.report);
            }
        }
        Ok(())
    }

    /// Runs the guest in the host's time. What is recorded tells how many lines it prints; `abide
    /// save` is called after each `saves + 1`th part of them.
    fn threads(&self, saves: u32, place: &Place<'_>) -> Result<Life> {
        let lines = said::lines(&self.choice.checks)?;
        let mut life = Life {
            console: String::new(),
            instructions: 0,
            undefined: String::new(),
            state_hash: None,
        };
        let mut console = Vec::new();
        for n in 0..=saves {
            let words_file = place.folder.join(format!("{n}.err"));
            let report_file = place.folder.join(format!("{n}.json"));
            let mut command = self.piece(n, place);
            command.arg("--state-dir").arg(place.state()).arg("--report").arg(&report_file);
            command.stderr(File::create(&words_file)?);
            let due = lines * (n as usize + 1) / (saves as usize + 1);
            let mut saved: Option<Result<String>> = None;
            let ended = process::pour(&mut command, self.choice.limit, |chunk| {
                console.extend_from_slice(chunk);
                if n < saves && saved.is_none() && said::lines_so_far(&console) >= due {
                    saved = Some(place.save(n));
                }
                false
            })?;
            if let Some(Err(error)) = saved {
                return Err(error.context(format!("save {n}")));
            }
            let words = fs::read_to_string(&words_file).unwrap_or_default();
            let expected = if n < saves { SAVED_AWAY } else { POWERED_OFF };
            let said = String::from_utf8_lossy(&console);
            ensure!(
                ended == Ended::Exit(expected),
                "piece {n}: {ended:?}, not {expected}\n{words}\n… {}",
                said::tail(&said)
            );
            life.undefined += &named_as_undefined(&words);
            life.instructions = abide::report(&report_file)?.instructions;
            place.forget_before(n)?;
        }
        life.console = String::from_utf8_lossy(&console).into_owned();
        Ok(life)
    }

    /// The command for one part of a life: its birth, or the file of the part before.
    fn piece(&self, n: u32, place: &Place<'_>) -> Command {
        let Some(before) = n.checked_sub(1) else { return self.run(place) };
        let mut command = Command::new(place.program);
        command.args(["restore", "--engine", "soft"]).arg(place.file(before)).arg(NAME);
        command
    }

    fn run(&self, place: &Place<'_>) -> Command {
        let mut command = Command::new(place.program);
        command.args(["run", NAME, "--cpu", "portable"]);
        if self.choice.time == Time::Lockstep {
            command.arg("--deterministic");
        }
        command.arg("--vcpus").arg(self.choice.vcpus.to_string());
        command.arg("--memory").arg(format!("{MEMORY_MIB}M"));
        command.arg("--kernel").arg(&self.kernel).arg("--initrd").arg(&place.initrd);
        if self.choice.root == Root::Disk {
            command.arg("--disk").arg(format!("{},readonly", place.disk.display()));
        }
        command.args(["--append", &self.append()]);
        command
    }
}

/// The program, and where a life's files are.
struct Place<'a> {
    program: &'a Path,
    folder: &'a Path,
    disk: PathBuf,
    initrd: PathBuf,
}

impl Place<'_> {
    fn file(&self, n: u32) -> PathBuf {
        self.folder.join(format!("{n}.abide"))
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Saves the running guest, which ends its process.
    fn save(&self, n: u32) -> Result<String> {
        let mut command = Command::new(self.program);
        command.args(["save", NAME]).arg(self.file(n)).arg("--state-dir").arg(self.state());
        process::capture(&mut command)
    }

    /// Removes the file that piece `n` went on from: ten of them would fill a small disk.
    fn forget_before(&self, n: u32) -> Result<()> {
        let Some(before) = n.checked_sub(1) else { return Ok(()) };
        let file = self.file(before);
        fs::remove_file(&file).with_context(|| format!("removing {file:?}"))
    }
}

fn named_as_undefined(words: &str) -> String {
    let lines = words.lines().filter(|line| line.contains("UNDEFINED to the guest"));
    lines.map(|line| format!("{line}\n")).collect()
}
