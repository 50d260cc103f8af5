//! Debian packages, fetched with apt in a private root: nothing on the machine is changed, no root
//! rights are needed, and the archive's address is the one that this machine's apt already uses.
//! apt checks what it fetches: the signature of the suite, and by it every package's checksum.

//! What is there is shared by all that runs: [`alone`] keeps the ones who make it apart.

pub mod apt;
pub mod driver;
pub mod kernel;
pub mod modules;
pub mod programs;
pub mod root;
pub mod sources;

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::Path;

/// Does `work`, which makes `place` unless it is there, while nobody else does, in this process or
/// another: who comes meanwhile, waits and finds it.
fn alone<T>(place: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _held = lock(&kernel::with_ending(place, "lock"))?;
    work()
}

/// The lock that `file` is, until it is dropped.
fn lock(file: &Path) -> Result<File> {
    let folder = file.parent().context("a file in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {folder:?}"))?;
    let held = File::create(file).with_context(|| format!("making {file:?}"))?;
    held.lock().with_context(|| format!("locking {file:?}"))?;
    Ok(held)
}
