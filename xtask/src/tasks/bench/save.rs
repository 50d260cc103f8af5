//! How fast memory goes to a file, beside plainly writing it.

use super::{host, table};
use crate::abide;
use crate::process;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

#[derive(clap::Args)]
pub struct Arguments {
    /// Rounds, each with one run of both
    #[arg(long, default_value_t = 8)]
    runs: usize,
    /// Memory without a zero byte, in MiB
    #[arg(long, default_value_t = 1024)]
    mib: usize,
    /// Where the files go: its file system is what is measured
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
}

/// A guest that prints a dot every few hundred thousand instructions: a flat binary. It reads and
/// writes no memory, so that its RAM is what was put there.
const DOTS: [u32; 9] = [
    0xd2a1_2001, // mov x1, #0x9000000: the PL011
    0x5280_6022, // mov w2, #0x301: enabled, transmits and receives
    0xb900_3022, // str w2, [x1, #0x30]: UARTCR
    0x5280_05c2, // mov w2, #'.'
    0xb900_0022, // str w2, [x1]: UARTDR
    0xd2a0_0043, // mov x3, #0x20000
    0xf100_0463, // subs x3, x3, #1
    0x54ff_ffe1, // b.ne -4
    0x17ff_fffc, // b -16
];

/// What RAM holds besides the initial RAM disk: kernel and device tree, with their alignment.
const BESIDE_MIB: usize = 8;
const PIECE_LEN: usize = 2 << 20;

/// The dots guest with `mib` MiB of random bytes in RAM, brought as its initial RAM disk.
pub(super) fn guest(program: &Path, folder: &Path, mib: usize) -> Result<Command> {
    let (kernel, initrd) = (folder.join("dots.bin"), folder.join("random"));
    fs::write(&kernel, DOTS.map(u32::to_le_bytes).as_flattened())?;
    let mut random = File::open("/dev/urandom")?;
    let mut file = File::create(&initrd)?;
    let mut piece = vec![0; 1 << 20];
    for _ in 0..mib {
        random.read_exact(&mut piece)?;
        file.write_all(&piece)?;
    }
    let mut command = Command::new(program);
    command
        .args(["run", "--engine", "soft"])
        .arg("dots")
        .arg("--kernel")
        .arg(kernel)
        .arg("--initrd")
        .arg(initrd);
    command.arg("--memory").arg(format!("{}M", mib + BESIDE_MIB));
    command.arg("--state-dir").arg(folder.join("state"));
    Ok(command)
}

/// A guest that runs meanwhile; ended when dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn bench(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0 && arguments.mib > 0, "--runs and --mib must be at least 1");
    let program = abide::build()?;
    let folder = tempfile::tempdir_in(&arguments.dir)?;
    let folder = folder.path();
    println!("{}; {} MiB of random bytes, {}", host()?, arguments.mib, folder.display());
    let mut run = guest(&program, folder, arguments.mib)?;
    let run = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(run.spawn().context("cannot start the guest")?);
    let output = running.0.stdout.as_mut().context("standard output is a pipe")?;
    output.read_exact(&mut [0]).context("the guest printed nothing")?;
    let asked = |words: &[&str]| {
        let state = folder.join("state");
        process::capture(Command::new(&program).args(words).arg("--state-dir").arg(state))
    };
    asked(&["pause", "dots"])?;
    let random = fs::read(folder.join("random"))?;
    fs::remove_file(folder.join("random"))?;
    let saved = folder.join("dots.abide");
    let saved = saved.to_str().context("the directory's name is text")?;
    let (mut saves, mut plains, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let save = || {
        let begin = Instant::now();
        asked(&["save", "dots", saved, "--keep-running", "--overwrite"])?;
        Ok::<_, anyhow::Error>(begin.elapsed().as_secs_f64())
    };
    let plainly = || {
        let begin = Instant::now();
        write_plain(&folder.join("plain"), &random)?;
        Ok::<_, anyhow::Error>(begin.elapsed().as_secs_f64())
    };
    // Once before, so that neither finds a colder host than the other.
    for run in 0..=arguments.runs {
        // Each goes first as often as the other.
        let (save, plain) = if run % 2 == 0 {
            let plain = plainly()?;
            (save()?, plain)
        } else {
            (save()?, plainly()?)
        };
        let ratio = plain / save;
        println!("run {run}: save {save:.2} s, plain {plain:.2} s, of the plain speed {ratio:.3}");
        if run > 0 {
            saves.push(save);
            plains.push(plain);
            ratios.push(ratio);
        }
    }
    println!("run 0 does not count");
    let rows = [("save, s", saves), ("plain write, s", plains), ("of the plain speed", ratios)];
    table("time", rows);
    Ok(())
}

/// What a save does besides: beside the old file, synchronized, then in its place.
fn write_plain(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    for piece in bytes.chunks(PIECE_LEN) {
        file.write_all(piece)?;
    }
    file.sync_all()?;
    fs::rename(&partial, path)?;
    Ok(File::open(path.parent().context("it is in a directory")?)?.sync_all()?)
}
