//! Where things are: the repository, what cargo builds, what is kept between runs.

use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    // Cargo sets it for `cargo run` and `cargo test`; the build-time value serves a bare binary.
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What is downloaded or made once and kept, outside the repository.
///
/// # Errors
/// If neither `XDG_CACHE_HOME` nor `HOME` says where the user keeps such things.
pub fn cache() -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("abide"))
        .context("no place for downloads: set HOME or XDG_CACHE_HOME to an absolute path")
}

/// Where runs keep what they need for themselves, each in a folder of its own.
///
/// # Errors
/// If it cannot be made.
pub fn work() -> Result<PathBuf> {
    let work = cache()?.join("work");
    fs::create_dir_all(&work).with_context(|| format!("making {work:?}"))?;
    Ok(work)
}
