//! A host: a kernel and a CPU model under QEMU, with an initramfs made for one cell.

use super::console::{self, Progress};
use crate::debian::kernel;
use crate::process::{self, Ended};
use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What differs from host to host.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// The series of the Debian kernel.
    pub kernel: &'static str,
    /// As QEMU's `-cpu` takes it.
    pub cpu: &'static str,
    /// The version of the host's interrupt controller.
    pub gic: u8,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Debian {} · {} · GICv{}", self.kernel, self.cpu, self.gic)
    }
}

/// A file that the host finds in its root directory.
pub struct File {
    pub name: &'static str,
    pub permissions: u32,
    pub content: Vec<u8>,
}

/// What a command inside came to.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub output: String,
    /// Why the host had to be started twice.
    pub restarted: Option<String>,
}

impl Host {
    /// Starts the host, runs the shell commands `script` as root, and waits for their end.
    ///
    /// A host that does not come up is started once more, which [`Finished`] tells. Once it is up,
    /// nothing is tried twice.
    ///
    /// # Errors
    /// If the host does not come up twice, or the commands do not end within `limit`.
    pub fn run(
        &self,
        files: &[File],
        script: &str,
        limit: Duration,
        show: bool,
    ) -> Result<Finished> {
        let folder = tempfile::tempdir()?;
        let initrd = folder.path().join("initrd.gz");
        fs::write(&initrd, initramfs(files, script)?)?;
        let mut restarted = None;
        loop {
            let (ended, progress, said) = self.start(&initrd, limit, show)?;
            match (progress.exit, &progress.release) {
                (Some(code), _) => {
                    return Ok(Finished { code, output: progress.output, restarted });
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
        limit: Duration,
        show: bool,
    ) -> Result<(Ended, Progress, String)> {
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.arg("-M").arg(format!("virt,virtualization=on,gic-version={}", self.gic));
        qemu.args(["-cpu", self.cpu, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "2G"]);
        qemu.arg("-kernel").arg(kernel::get(self.kernel)?).arg("-initrd").arg(initrd);
        qemu.args(["-append", "console=ttyAMA0 quiet panic=-1"]);
        qemu.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
        qemu.args(["-nic", "none", "-no-reboot"]);
        let mut said = Vec::new();
        let ended = process::pour(&mut qemu, limit, |chunk| {
            said.extend_from_slice(chunk);
            if show {
                print!("{}", String::from_utf8_lossy(chunk));
            }
            console::progress(&String::from_utf8_lossy(&said)).exit.is_some()
        })
        .context("QEMU; `cargo xtask setup` installs it")?;
        let said = String::from_utf8_lossy(&said).into_owned();
        Ok((ended, console::progress(&said), said))
    }
}

/// busybox, our init, the cell's script and files, packed as the kernel wants them.
fn initramfs(files: &[File], script: &str) -> Result<Vec<u8>> {
    let busybox = fs::read(kernel::busybox()?)?;
    let mut archive = crate::cpio::Archive::new();
    archive.directory("dev", 0o755)?.character_device("dev/console", 0o600, 5, 1)?;
    archive.directory("bin", 0o755)?.file("bin/busybox", 0o755, &busybox)?;
    archive.file("init", 0o755, console::INIT.as_bytes())?;
    archive.file("cell", 0o644, script.as_bytes())?;
    for file in files {
        archive.file(file.name, file.permissions, &file.content)?;
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&archive.finish())?;
    Ok(packed.finish()?)
}

/// The last lines, which tell what went wrong.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
