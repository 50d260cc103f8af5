//! A host: a kernel and a CPU model under QEMU, with an initramfs made for one cell.

use super::console::{self, Progress};
use crate::debian::{kernel, modules};
use crate::process::{self, Ended};
use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
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

    fn image(&self) -> Result<PathBuf> {
        match self {
            Self::Series(series) => kernel::get(series),
            Self::Image(path) if path.is_file() => Ok(path.clone()),
            Self::Image(path) => bail!("{path:?} is neither a kernel image nor a known series"),
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

/// A host's disk is this long, in bytes, and sparse: more than its memory can hold.
const DISK_LEN: u64 = 4 << 30;

impl Host {
    /// A host with Debian's kernel of a series and a GICv3.
    pub fn debian(series: &str, cpu: &str) -> Self {
        Self { kernel: Kernel::Series(series.to_owned()), cpu: cpu.to_owned(), gic: 3 }
    }

    /// Starts the host, runs an errand's commands, and waits for their end.
    ///
    /// A host that does not come up is started once more, which [`Finished`] tells. Once it is up,
    /// nothing is tried twice.
    ///
    /// # Errors
    /// If the host does not come up twice, or the commands do not end within the errand's limit.
    pub fn run(&self, errand: &Errand) -> Result<Finished> {
        let folder = tempfile::tempdir()?;
        let initrd = folder.path().join("initrd.gz");
        fs::write(&initrd, self.initramfs(errand)?)?;
        let disk = errand.brings.then(|| folder.path().join("disk"));
        if let Some(disk) = &disk {
            fs::File::create(disk)?.set_len(DISK_LEN)?;
        }
        let limit = errand.limit;
        let mut restarted = None;
        loop {
            let (ended, progress, said) = self.start(&initrd, disk.as_deref(), errand)?;
            match (progress.exit, &progress.release) {
                (Some(code), _) => {
                    let brought = unpacked(disk.as_deref())?;
                    return Ok(Finished { code, output: progress.output, restarted, brought });
                }
                (None, Some(_)) => bail!(
                    "the command did not end within {limit:?} ({ended:?})\n{}",
                    tail(&progress.output)
                ),
                (None, None) if restarted.is_none() => {
                    restarted = Some(format!("started twice: did not come up ({ended:?})"));
                }
                (None, None) => bail!("did not come up twice ({ended:?})\n{}", tail(&said)),
            }
        }
    }

    fn start(
        &self,
        initrd: &Path,
        disk: Option<&Path>,
        errand: &Errand,
    ) -> Result<(Ended, Progress, String)> {
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.arg("-M").arg(format!("virt,virtualization=on,gic-version={}", self.gic));
        qemu.args(["-cpu", &self.cpu, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "2G"]);
        qemu.arg("-kernel").arg(self.kernel.image()?).arg("-initrd").arg(initrd);
        qemu.args(["-append", "console=ttyAMA0 quiet panic=-1"]);
        qemu.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
        qemu.args(["-nic", "none", "-no-reboot"]);
        if let Some(disk) = disk {
            // A comma in a path is written twice.
            let path = disk.display().to_string().replace(',', ",,");
            qemu.arg("-drive").arg(format!("if=none,id=out,format=raw,file={path}"));
            qemu.args(["-device", "virtio-blk-device,drive=out"]);
        }
        let mut said = Vec::new();
        let ended = process::pour(&mut qemu, errand.limit, |chunk| {
            said.extend_from_slice(chunk);
            if errand.show {
                print!("{}", String::from_utf8_lossy(chunk));
            }
            console::progress(&String::from_utf8_lossy(&said)).exit.is_some()
        })
        .context("QEMU; `cargo xtask setup` installs it")?;
        let said = String::from_utf8_lossy(&said).into_owned();
        Ok((ended, console::progress(&said), said))
    }

    /// busybox, our init, the errand's script and files, packed as the kernel wants them.
    fn initramfs(&self, errand: &Errand) -> Result<Vec<u8>> {
        let busybox = fs::read(kernel::busybox()?)?;
        let mut archive = crate::cpio::Archive::new();
        archive.directory("dev", 0o755)?.character_device("dev/console", 0o600, 5, 1)?;
        archive.directory("bin", 0o755)?.file("bin/busybox", 0o755, &busybox)?;
        archive.file("init", 0o755, console::INIT.as_bytes())?;
        archive.file("cell", 0o644, errand.script.as_bytes())?;
        for file in errand.files {
            archive.file(&file.name, file.permissions, &file.content)?;
        }
        if errand.brings {
            archive.directory("out", 0o755)?.directory("modules", 0o755)?;
            for (at, module) in self.kernel.modules()?.iter().enumerate() {
                let name = format!("modules/{at:02}-{}.ko", module.name);
                archive.file(&name, 0o644, &module.content)?;
            }
            archive.file("bring", 0o644, console::BRING.as_bytes())?;
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&archive.finish())?;
        Ok(packed.finish()?)
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
