//! Programs of Debian's arm64 packages for the lab's hosts, each with the libraries it needs.

use super::alone;
use super::apt::Suite;
use crate::{paths, process};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of a program: where a host has it, and what is in it.
pub struct Part {
    /// Its path, without the first `/`.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// The loader and the libraries that it finds by itself stand here.
const LIBRARIES: &str = "lib";
/// Where packages have them.
const PLACES: [&str; 4] = ["lib", "lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib"];

/// `/sbin/kexec`, which starts another kernel without firmware in between. Fetched once.
///
/// # Errors
/// If the archive does not offer it.
pub fn kexec() -> Result<Vec<Part>> {
    get("bookworm", "kexec-tools", "sbin/kexec")
}

fn get(suite: &str, package: &str, program: &str) -> Result<Vec<Part>> {
    let folder = paths::cache()?.join("programs").join(format!("{package}-{suite}"));
    alone(
        &folder,
        || {
            if folder.is_dir() { Ok(()) } else { fetch(suite, package, program, &folder) }
        },
    )?;
    let mut parts = Vec::new();
    for within in [LIBRARIES, "sbin"] {
        for entry in fs::read_dir(folder.join(within))? {
            let entry = entry?;
            let path = format!("{within}/{}", entry.file_name().to_string_lossy());
            let content = fs::read(entry.path()).with_context(|| format!("reading {path}"))?;
            parts.push(Part { path, content });
        }
    }
    // The same every time, whatever order the folder has.
    parts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(parts)
}

fn fetch(suite: &str, package: &str, program: &str, folder: &Path) -> Result<()> {
    let parent = folder.parent().context("a folder in a folder")?;
    fs::create_dir_all(parent)?;
    let work = tempfile::tempdir_in(parent)?;
    let tree = work.path().join("tree");
    fs::create_dir(&tree)?;
    Suite::open(suite, "arm64")?.unpack_whole(&[package], &tree)?;
    let found = [program.to_owned(), format!("usr/{program}")].map(|path| tree.join(path));
    let found = found.iter().find(|path| path.is_file());
    let found = found.with_context(|| format!("{package} has no {program}"))?;
    let whole = work.path().join("whole");
    fs::create_dir_all(whole.join(LIBRARIES))?;
    let place = whole.join(program);
    fs::create_dir_all(place.parent().context("a file in a folder")?)?;
    fs::copy(found, &place)?;
    let mut open = vec![place];
    while let Some(file) = open.pop() {
        for name in needed(&file)? {
            let to = whole.join(LIBRARIES).join(&name);
            if !to.exists() {
                fs::copy(library(&tree, &name)?, &to)?;
                open.push(to);
            }
        }
    }
    fs::rename(&whole, folder).with_context(|| format!("placing {folder:?}"))
}

fn library(tree: &Path, name: &str) -> Result<PathBuf> {
    let mut places = PLACES.iter().map(|place| tree.join(place).join(name));
    places.find(|path| path.is_file()).with_context(|| format!("no package has {name}"))
}

/// The libraries that a program or library names, its loader among them.
fn needed(file: &Path) -> Result<Vec<String>> {
    let mut readelf = Command::new("aarch64-linux-gnu-readelf");
    let said = process::capture(readelf.args(["--dynamic", "--wide"]).arg(file))
        .context("readelf for arm64; `cargo xtask setup` installs it")?;
    let names = names(&said);
    ensure!(names.iter().all(|name| !name.contains('/')), "{file:?} needs {names:?}");
    Ok(names)
}

fn names(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| line.contains("(NEEDED)"));
    let names = lines.filter_map(|line| line.split_once('[')?.1.split_once(']'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_libraries_are_found() {
        let said = "Dynamic section at offset 0x2fcd8 contains 29 entries:\n\
                    0x0000000000000001 (NEEDED)             Shared library: [libz.so.1]\n\
                    0x000000000000000e (SONAME)             Library soname: [libown.so.1]\n\
                    0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]\n";
        assert_eq!(names(said), ["libz.so.1", "libc.so.6"]);
        assert!(names("There is no dynamic section in this file.").is_empty());
    }
}
