//! `disks`: Linux guests that work on virtio disks, saved in the middle of it.
//!
//! The guest (`guests/disk`) writes and reads one disk past the page cache, and another as a file
//! system, and checks all that it reads. It runs once untouched, once in QEMU, and once for each
//! save point: saved away there, and restored by another process with a disk that was moved. The
//! state at the end, the console and every byte of the disks must agree; with QEMU, what the guest
//! says of its disks and the first disk's bytes.

use crate::abide::{self, Linux, POWERED_OFF, Ran, SAVED_AWAY};
use crate::oracle::{KERNELS, points};
use crate::paths;
use crate::process::{self, Ended};
use crate::tally::Count;
use crate::tasks::guests;
use anyhow::{Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Length of the disk that is used raw, in bytes.
const RAW_LEN: u64 = 16 << 20;
/// Length of the disk with a file system, in bytes.
const FILES_LEN: u64 = 32 << 20;
/// What the guest says.
const SAYS: &str = "abide-disk: ";
/// What it says on a virtio console, which it has here and not in QEMU.
const OVER_VIRTIO: &str = "this is hvc0";
/// QEMU's run may take this long.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long = "kernel", value_name = "SERIES", default_values_t = KERNELS.map(String::from))]
    kernels: Vec<String>,
    /// Save points for each kernel
    #[arg(long, default_value_t = 3)]
    points: u64,
    /// What the save points are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    let program = abide::build()?;
    let work = paths::work()?;
    for series in &arguments.kernels {
        let folder = tempfile::tempdir_in(&work)?;
        if let Err(error) = run_kernel(arguments, series, &program, folder.path(), count) {
            println!("{series}: FAILED: {error:#}");
            *count += Count::one(false);
        }
    }
    Ok(())
}

/// A pair of disks: raw, and with a file system.
struct Disks {
    raw: PathBuf,
    files: PathBuf,
}

impl Disks {
    fn at(folder: &Path, name: &str) -> Self {
        Self {
            raw: folder.join(format!("{name}.raw.img")),
            files: folder.join(format!("{name}.files.img")),
        }
    }

    fn make(folder: &Path) -> Result<Self> {
        let disks = Self::at(folder, "empty");
        File::create(&disks.raw)?.set_len(RAW_LEN)?;
        File::create(&disks.files)?.set_len(FILES_LEN)?;
        process::capture(Command::new("mke2fs").args(["-q", "-t", "ext4"]).arg(&disks.files))?;
        Ok(disks)
    }

    fn copy(&self, folder: &Path, name: &str) -> Result<Self> {
        let copy = Self::at(folder, name);
        fs::copy(&self.raw, &copy.raw)?;
        fs::copy(&self.files, &copy.files)?;
        Ok(copy)
    }

    fn remove(&self) {
        // What is left goes with the folder.
        let _ = fs::remove_file(&self.raw);
        let _ = fs::remove_file(&self.files);
    }
}

fn same_bytes(one: &Path, other: &Path) -> Result<()> {
    let (a, b) = (fs::read(one)?, fs::read(other)?);
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    ensure!(a == b, "{} differs from {} at byte {same}", one.display(), other.display());
    Ok(())
}

/// A kernel, its initial RAM disk, and the disks before the guest has seen them.
struct Guest<'a> {
    linux: Linux,
    disks: Disks,
    program: &'a Path,
    folder: &'a Path,
}

fn run_kernel(
    arguments: &Arguments,
    series: &str,
    program: &Path,
    folder: &Path,
    count: &mut Count,
) -> Result<()> {
    // All modules, for it has devices of all kinds.
    let linux = Linux::with_init(series, folder, &guests::disk()?, &[], |_| true)?;
    let guest = Guest { linux, disks: Disks::make(folder)?, program, folder };
    let disks = guest.disks.copy(folder, "untouched")?;
    let whole = abide::ran(guest.run(&disks), folder, "untouched", POWERED_OFF)?;
    let said = said(&whole.console);
    ensure!(said.last().is_some_and(|line| line == "done"), "the guest did not finish: {said:?}");
    let over_virtio = format!("{SAYS}{OVER_VIRTIO}");
    let console = String::from_utf8_lossy(&whole.console);
    ensure!(console.contains(&over_virtio), "nothing came over the virtio console");
    println!(
        "{series}: {} instructions, ends as {}",
        whole.report.instructions, whole.report.state_hash
    );
    process::capture(Command::new("e2fsck").arg("-fn").arg(&disks.files))?;
    tell(series, "QEMU", guest.compare_with_qemu(&said, &disks), count);
    for point in points(arguments.seed, arguments.points, whole.report.instructions) {
        let result = guest.check(point, &whole, &disks);
        tell(series, &format!("save at {point}"), result, count);
    }
    Ok(())
}

fn tell(series: &str, what: &str, result: Result<()>, count: &mut Count) {
    *count += Count::one(result.is_ok());
    match result {
        Ok(()) => println!("{series}: {what}: equal"),
        Err(error) => println!("{series}: {what}: FAILED: {error:#}"),
    }
}

/// What the guest itself said, line by line, of its disks.
fn said(console: &[u8]) -> Vec<String> {
    let is_of_disks = |line: &String| !line.starts_with("random") && line != OVER_VIRTIO;
    abide::said(console, SAYS).into_iter().filter(is_of_disks).collect()
}

impl Guest<'_> {
    fn run(&self, disks: &Disks) -> Command {
        let mut command = self.linux.run(self.program);
        command.args(["--deterministic", "--rng", "--virtio-console"]);
        command.arg("--disk").arg(&disks.raw).arg("--disk").arg(&disks.files);
        command
    }

    fn compare_with_qemu(&self, said_here: &[String], disks_here: &Disks) -> Result<()> {
        let disks = self.disks.copy(self.folder, "qemu")?;
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(["-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "512"]);
        qemu.arg("-kernel").arg(&self.linux.kernel).arg("-initrd").arg(&self.linux.initrd);
        qemu.args(["-append", &format!("{} quiet", Linux::APPEND)]);
        qemu.args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none"]);
        qemu.args(["-no-reboot", "-global", "virtio-mmio.force-legacy=false"]);
        // QEMU fills its slots from the last one.
        for (id, disk) in [("files", &disks.files), ("raw", &disks.raw)] {
            let disk = disk.display();
            let drive = format!("if=none,format=raw,discard=unmap,id={id},file={disk}");
            let device = format!("virtio-blk-device,drive={id}");
            qemu.args(["-drive", &drive, "-device", &device]);
        }
        qemu.args(["-device", "virtio-rng-device"]).stderr(Stdio::null());
        let mut console = Vec::new();
        let ended = process::pour(&mut qemu, LIMIT, |chunk| {
            console.extend_from_slice(chunk);
            false
        })?;
        ensure!(ended == Ended::Exit(0), "QEMU: {ended:?}");
        let there = said(&console);
        if there != said_here {
            bail!("there the guest says {there:?}, here {said_here:?}");
        }
        same_bytes(&disks.raw, &disks_here.raw)?;
        disks.remove();
        Ok(())
    }

    /// Saves the guest after `point` instructions, moves its first disk, restores it, and compares
    /// the end.
    fn check(&self, point: u64, untouched: &Ran, disks_untouched: &Disks) -> Result<()> {
        let disks = self.disks.copy(self.folder, &point.to_string())?;
        let file = self.folder.join(format!("{point}.abide"));
        let mut save = self.run(&disks);
        save.arg("--save-at").arg(point.to_string()).arg("--save-to").arg(&file);
        let before = abide::ran(save, self.folder, &format!("{point}.save"), SAVED_AWAY)?;
        let moved = self.folder.join(format!("{point}.moved.img"));
        fs::rename(&disks.raw, &moved)?;
        let mut restore = Command::new(self.program);
        let change = format!("{}={}", disks.raw.display(), moved.display());
        restore.args(["restore", "--engine", "soft"]).arg(&file).arg("--disk").arg(change);
        let name = format!("{point}.restore");
        let after = abide::ran(restore, self.folder, &name, POWERED_OFF);
        // Files of a guest's RAM would fill a small disk.
        let _ = fs::remove_file(&file);
        let after = after?;
        let console = [before.console, after.console].concat();
        ensure!(console == untouched.console, "the console differs");
        let (found, expected) = (&after.report.state_hash, &untouched.report.state_hash);
        ensure!(found == expected, "ends as {found}");
        same_bytes(&moved, &disks_untouched.raw)?;
        same_bytes(&disks.files, &disks_untouched.files)?;
        fs::remove_file(&moved)?;
        disks.remove();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guest_says_is_taken_out_of_its_console() {
        let console = b"[ 0.1] kernel\r\nabide-disk: round 1\r\nabide-disk: random bits, 7\r\n";
        assert_eq!(said(console), ["round 1"]);
    }
}
