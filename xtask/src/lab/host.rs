//! A host: a kernel and a CPU model under QEMU, with an initramfs made for one cell.

use super::console::{self, Progress};
use crate::debian::{kernel, modules};
use crate::process::{self, Ended};
use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What differs from host to host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub kernel: Kernel,
    /// As QEMU's `-cpu` takes it.
    pub cpu: String,
    /// The version of the host's interrupt controller.
    pub gic: u8,
    /// A disk for guests, which nobody writes: `/guest-disk` to the scripts of what brings files.
    pub disk: Option<PathBuf>,
}

/// A host's kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kernel {
    /// Debian's, of this series.
    Series(String),
    /// Any other arm64 `Image`.
    Image(PathBuf),
}

impl Kernel {
    /// A series that Debian has, or else a file.
    pub fn named(name: &str) -> Self {
        match kernel::suites(name) {
            Ok(_) => Self::Series(name.to_owned()),
            Err(_) => Self::Image(name.into()),
        }
    }

    /// The file to start.
    ///
    /// # Errors
    /// If there is none.
    pub fn image(&self) -> Result<PathBuf> {
        match self {
            Self::Series(series) => kernel::get(series),
            Self::Image(path) if path.is_file() => Ok(path.clone()),
            Self::Image(path) => bail!("{path:?} is neither a kernel image nor a known series"),
        }
    }

    /// Those of these modules that are not built in, in their order, and the kernel's release, by
    /// which a host that may run other kernels finds them. Of another kernel than Debian's nothing
    /// is known.
    ///
    /// # Errors
    /// If they cannot be fetched.
    pub fn modules_of(&self, names: &[&str]) -> Result<Option<(String, Vec<modules::Module>)>> {
        match self {
            Self::Series(series) => {
                Ok(Some((kernel::release(series)?, modules::of(series, names)?)))
            }
            Self::Image(_) => Ok(None),
        }
    }

    /// What the host needs for its disk. Another kernel than Debian's must have it built in.
    fn modules(&self) -> Result<Vec<modules::Module>> {
        match self {
            Self::Series(series) => modules::get(series),
            Self::Image(_) => Ok(Vec::new()),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(series) => write!(f, "Debian {series}"),
            Self::Image(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {} · GICv{}", self.kernel, self.cpu, self.gic)
    }
}

/// A file that the host finds in its root directory.
#[derive(Clone)]
pub struct File {
    pub name: String,
    pub permissions: u32,
    pub content: Vec<u8>,
}

impl File {
    /// A program.
    pub fn program(name: &str, content: Vec<u8>) -> Self {
        Self { name: name.to_owned(), permissions: 0o755, content }
    }

    /// Anything else.
    pub fn data(name: &str, content: Vec<u8>) -> Self {
        Self { name: name.to_owned(), permissions: 0o644, content }
    }
}

/// What a host is started for.
pub struct Errand<'a> {
    /// What it finds in its root directory.
    pub files: &'a [File],
    /// Shell commands, run as root.
    pub script: &'a str,
    /// Whether what they leave in `/out` is brought back.
    pub brings: bool,
    /// How long that may take.
    pub limit: Duration,
    /// Whether all that the host says is shown.
    pub show: bool,
}

/// What a command inside came to.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub output: String,
    /// Why the host had to be started twice.
    pub restarted: Option<String>,
    brought: TempDir,
}

impl Finished {
    /// A file that was left in `/out`.
    ///
    /// # Errors
    /// If it was not, or nothing was to be brought.
    pub fn file(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.brought.path().join("out").join(name);
        fs::read(path).with_context(|| format!("the host left no file {name}"))
    }
}

/// What a host has besides what every host has.
#[derive(Debug, Default)]
pub struct Besides {
    /// Goes on after QEMU's `-M`, with a comma before each.
    pub machine: String,
    /// More for QEMU.
    pub arguments: Vec<OsString>,
    /// More for its kernel.
    pub append: String,
    /// Whether it needs the modules for its devices before the commands begin: in `/modules`.
    pub has_modules: bool,
}

/// A host is up within this or never: it takes seconds, ten times that when much else runs.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// A host's disk is this long, in bytes, and sparse: more than its memory can hold.
const DISK_LEN: u64 = 4 << 30;

impl Host {
    /// A host with Debian's kernel of a series and a GICv3.
    pub fn debian(series: &str, cpu: &str) -> Self {
        Self { kernel: Kernel::Series(series.to_owned()), cpu: cpu.to_owned(), gic: 3, disk: None }
    }

    /// The same with a disk for guests.
    pub fn with_disk(self, disk: &Path) -> Self {
        Self { disk: Some(disk.to_owned()), ..self }
    }

    /// Starts the host, runs an errand's commands, and waits for their end.
    ///
    /// A host that does not come up is started once more, which [`Finished`] tells. Once it is up,
    /// nothing is tried twice.
    ///
    /// # Errors
    /// If the host does not come up twice, or the commands do not end within the errand's limit.
    pub fn run(&self, errand: &Errand) -> Result<Finished> {
        self.run_with(errand, &Besides::default(), |_| ())
    }

    /// As [`Host::run`], a host that has more, and every line of whose console is `heard` once it
    /// is up.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub fn run_with(
        &self,
        errand: &Errand,
        besides: &Besides,
        mut heard: impl FnMut(&str),
    ) -> Result<Finished> {
        let folder = tempfile::tempdir()?;
        let initrd = folder.path().join("initrd.gz");
        fs::write(&initrd, self.initramfs(errand, besides)?)?;
        let disk = errand.brings.then(|| folder.path().join("disk"));
        if let Some(disk) = &disk {
            fs::File::create(disk)?.set_len(DISK_LEN)?;
        }
        let mut restarted = None;
        loop {
            let mut qemu = self.machine(&initrd, besides)?;
            if let Some(disk) = &disk {
                attach(&mut qemu, disk, "out", "readonly=off");
            }
            let (ended, progress, said) = watch(&mut qemu, errand, &mut heard)?;
            match (progress.exit, &progress.release) {
                (Some(code), _) => {
                    let brought = unpacked(disk.as_deref())?;
                    return Ok(Finished { code, output: progress.output, restarted, brought });
                }
                (None, Some(_)) => {
                    bail!("{}\n{}", unfinished(ended, errand.limit), tail(&progress.output))
                }
                (None, None) if restarted.is_none() => {
                    restarted = Some(format!("started twice: did not come up ({ended:?})"));
                }
                (None, None) => bail!("did not come up twice ({ended:?})\n{}", tail(&said)),
            }
        }
    }

    /// QEMU with what the machine is made of, and no console yet.
    pub fn hardware(&self, besides: &Besides) -> Command {
        let mut qemu = Command::new("qemu-system-aarch64");
        let more = &besides.machine;
        qemu.arg("-M").arg(format!("virt,virtualization=on,gic-version={}{more}", self.gic));
        qemu.args(["-cpu", &self.cpu, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "2G"]);
        qemu.args(["-display", "none", "-monitor", "none", "-nic", "none"]);
        qemu.args(&besides.arguments);
        qemu
    }

    fn machine(&self, initrd: &Path, besides: &Besides) -> Result<Command> {
        let mut qemu = self.hardware(besides);
        qemu.arg("-kernel").arg(self.kernel.image()?).arg("-initrd").arg(initrd);
        qemu.arg("-append").arg(format!("{APPEND} {}", besides.append).trim_end());
        qemu.args(["-serial", "stdio", "-no-reboot"]);
        if let Some(disk) = &self.disk {
            attach(&mut qemu, disk, "guest", "readonly=on");
        }
        Ok(qemu)
    }

    /// busybox, our init, the errand's script and files, packed as the kernel wants them.
    pub fn initramfs(&self, errand: &Errand, besides: &Besides) -> Result<Vec<u8>> {
        let busybox = fs::read(kernel::busybox()?)?;
        let mut archive = crate::cpio::Archive::new();
        archive.directory("dev", 0o755)?.character_device("dev/console", 0o600, 5, 1)?;
        archive.directory("bin", 0o755)?.file("bin/busybox", 0o755, &busybox)?;
        archive.file("init", 0o755, console::INIT.as_bytes())?;
        archive.file("cell", 0o644, errand.script.as_bytes())?;
        for file in errand.files {
            for (at, _) in file.name.match_indices('/') {
                archive.directory(&file.name[..at], 0o755)?;
            }
            archive.file(&file.name, file.permissions, &file.content)?;
        }
        if errand.brings || besides.has_modules {
            archive.directory("modules", 0o755)?;
            for (at, module) in self.kernel.modules()?.iter().enumerate() {
                let name = format!("modules/{at:02}-{}.ko", module.name);
                archive.file(&name, 0o644, &module.content)?;
            }
            archive.file("disk", 0o644, console::DISK.as_bytes())?;
        }
        if errand.brings {
            archive.directory("out", 0o755)?;
            archive.file("bring", 0o644, console::BRING.as_bytes())?;
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&archive.finish())?;
        Ok(packed.finish()?)
    }
}

/// What every host's kernel is told.
pub const APPEND: &str = "console=ttyAMA0 quiet panic=-1";

/// A path as QEMU takes it in a list of options: a comma is written twice.
pub fn option(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Gives the machine a disk, which its kernel knows by `name`.
fn attach(qemu: &mut Command, disk: &Path, name: &str, access: &str) {
    let file = option(disk);
    qemu.arg("-drive").arg(format!("if=none,id={name},format=raw,{access},file={file}"));
    qemu.arg("-device").arg(format!("virtio-blk-device,drive={name},serial={name}"));
}

/// Lets the machine run until its errand is done.
fn watch(
    qemu: &mut Command,
    errand: &Errand,
    heard: &mut impl FnMut(&str),
) -> Result<(Ended, Progress, String)> {
    let mut said = Vec::new();
    let mut lines_heard = 0;
    let ended = process::pour_in_time(qemu, BOOT_LIMIT, |chunk| {
        said.extend_from_slice(chunk);
        if errand.show {
            print!("{}", String::from_utf8_lossy(chunk));
        }
        let progress = console::progress(&String::from_utf8_lossy(&said));
        // What follows the last line end is no line yet.
        let whole = progress.output.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().skip(lines_heard).for_each(&mut *heard);
        lines_heard = lines_heard.max(whole.lines().count());
        let limit = if progress.release.is_some() { errand.limit } else { BOOT_LIMIT };
        progress.exit.is_none().then_some(limit)
    })
    .context("QEMU; `cargo xtask setup` installs it")?;
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((ended, console::progress(&said), said))
}

/// Why a host that was up did not come to the end of its errand.
fn unfinished(ended: Ended, limit: Duration) -> String {
    match ended {
        Ended::Exit(code) => format!("QEMU ended before the commands did, with exit code {code}"),
        Ended::OutOfTime | Ended::Stopped => format!("the commands did not end within {limit:?}"),
    }
}

/// What a host put on its disk.
fn unpacked(disk: Option<&Path>) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    if let Some(disk) = disk {
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(disk).arg("-C").arg(folder.path());
        process::capture(&mut tar).context("the host wrote no archive on its disk")?;
    }
    Ok(folder)
}

/// The last lines, which tell what went wrong.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
