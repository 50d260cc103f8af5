//! How soon a restored guest goes on.

use super::save::guest;
use super::{host, table};
use crate::abide::{self, SAVED_AWAY};
use crate::process::{self, Ended};
use anyhow::{Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a guest may take to its first word.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub struct Arguments {
    /// Runs of each
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Memory without a zero byte, in MiB; may be repeated
    #[arg(long, default_values_t = [256, 1024, 4096])]
    mib: Vec<usize>,
    /// Where the files go
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
}

pub fn bench(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0, "--runs must be at least 1");
    let program = abide::build()?;
    println!("{}; files in the page cache; to the first byte of the console", host()?);
    let mut least: Option<f64> = None;
    for &mib in &arguments.mib {
        ensure!(mib > 0, "--mib must be at least 1");
        let folder = tempfile::tempdir_in(&arguments.dir)?;
        let file = folder.path().join("dots.abide");
        save(&program, folder.path(), &file, mib)?;
        let (mut lazy, mut eager, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..arguments.runs {
            lazy.push(first_word_ms(&program, folder.path(), &file, None)?);
            eager.push(first_word_ms(&program, folder.path(), &file, Some("--eager"))?);
        }
        let base = *least.get_or_insert_with(|| super::spread(lazy.clone()).1);
        ratios.extend(lazy.iter().map(|ms| ms / base));
        let head = format!("{mib} MiB");
        let first = arguments.mib.first().copied().unwrap_or_default();
        let ratio = format!("lazy / lazy at {first} MiB");
        table(&head, [("lazy, ms", lazy), ("eager, ms", eager), (ratio.as_str(), ratios)]);
    }
    Ok(())
}

/// Saves the guest after its first dots.
fn save(program: &Path, folder: &Path, file: &Path, mib: usize) -> Result<()> {
    let mut command = guest(program, folder, mib)?;
    command.arg("--deterministic").args(["--save-at", "3000000", "--save-to"]).arg(file);
    command.arg("--report").arg(folder.join("report"));
    command.stderr(Stdio::null());
    let ended = process::pour(&mut command, LIMIT, |_| false)?;
    ensure!(ended == Ended::Exit(SAVED_AWAY), "the guest was not saved: {ended:?}");
    fs::remove_file(folder.join("random"))?;
    Ok(())
}

fn first_word_ms(program: &Path, folder: &Path, file: &Path, more: Option<&str>) -> Result<f64> {
    let mut command = Command::new(program);
    command.arg("restore").arg(file).args(["dots"]).args(more);
    command.arg("--state-dir").arg(folder.join("state")).stderr(Stdio::null());
    let mut taken = None;
    let begin = Instant::now();
    let ended = process::pour(&mut command, LIMIT, |chunk| {
        taken.get_or_insert_with(|| begin.elapsed());
        !chunk.is_empty()
    })?;
    ensure!(ended == Ended::Stopped, "the guest printed nothing: {ended:?}");
    Ok(taken.unwrap_or_default().as_secs_f64() * 1e3)
}
