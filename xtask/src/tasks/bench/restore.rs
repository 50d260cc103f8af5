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
    /// Rounds, each with one run of every kind and size
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Memory without a zero byte, in MiB; may be repeated
    #[arg(long, default_values_t = [64, 512, 2048])]
    mib: Vec<usize>,
    /// Where the files go
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
}

pub fn bench(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0, "--runs must be at least 1");
    let program = abide::build()?;
    println!("{}; files in the page cache; to the first byte of the console", host()?);
    let folder = tempfile::tempdir_in(&arguments.dir)?;
    let folder = folder.path();
    let mut files = Vec::new();
    for &mib in &arguments.mib {
        ensure!(mib > 0, "--mib must be at least 1");
        let file = folder.join(format!("{mib}.abide"));
        save(&program, folder, &file, mib)?;
        files.push(file);
    }
    let mut lazy = vec![Vec::new(); files.len()];
    let mut eager = lazy.clone();
    // Every size in every round, so that a busy machine slows all of them. Round 0 only warms.
    for round in 0..=arguments.runs {
        for (size, file) in files.iter().enumerate() {
            let lazy_ms = first_word_ms(&program, folder, file, None)?;
            let eager_ms = first_word_ms(&program, folder, file, Some("--eager"))?;
            if round > 0 {
                lazy[size].push(lazy_ms);
                eager[size].push(eager_ms);
            }
        }
    }
    let least = arguments.mib.first().copied().unwrap_or_default();
    let base = lazy.first().cloned().unwrap_or_default();
    let of_base = format!("lazy / lazy at {least} MiB");
    for ((&mib, lazy), eager) in arguments.mib.iter().zip(lazy).zip(eager) {
        let ratios = lazy.iter().zip(&base).map(|(ms, base)| ms / base).collect();
        let rows = [("lazy, ms", lazy), ("eager, ms", eager), (of_base.as_str(), ratios)];
        table(&format!("{mib} MiB"), rows);
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
    command.args(["restore", "--engine", "soft"]).arg(file).args(["dots"]).args(more);
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
