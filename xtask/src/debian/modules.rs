//! The kernel modules that a guest needs to reach its disk, of the very release of its kernel.

use super::{alone, kernel};
use crate::{paths, process};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Debian does not build into its kernel, in the order of loading; each brings what it
/// depends on.
const WANTED: [&str; 8] = [
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "virtio_console",
    "vmw_vsock_virtio_transport",
    "crc32c_generic",
    "ext4",
];
/// What a host needs to have a file system on persistent memory.
pub const PERSISTENT_MEMORY: &[&str] = &["of_pmem", "nd_pmem", "crc32c_generic", "ext4"];
/// Not in every release: built in, or gone.
const MAY_LACK: [&str; 2] = ["virtio_console", "crc32c_generic"];

/// A module, uncompressed.
pub struct Module {
    /// Its name, as in `name.ko`.
    pub name: String,
    /// The ELF file.
    pub content: Vec<u8>,
}

/// The modules for a series' kernel, in the order in which to load them. They are fetched once.
///
/// # Errors
/// If the archive does not offer them in the version of the kernel that is there.
pub fn get(series: &str) -> Result<Vec<Module>> {
    of(series, &WANTED)
}

/// As [`get`], other modules.
///
/// # Errors
/// As [`get`].
pub fn of(series: &str, wanted: &[&str]) -> Result<Vec<Module>> {
    let (package, version) = kernel::origin(series)?;
    // Another list is another folder, so that an old cache never lacks what is wanted now.
    let list = paths::cache()?.join("modules").join(wanted.join("+"));
    let folder = list.join(format!("{package}_{version}"));
    alone(&folder, || {
        let origin = (&*package, &*version);
        if folder.is_dir() { Ok(()) } else { fetch(series, wanted, origin, &folder) }
    })?;
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    // Numbered by place.
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_stem().context("a file's name")?.to_string_lossy();
            let name = name.split_once('-').map_or(&*name, |(_, name)| name).to_owned();
            let content = fs::read(&path).with_context(|| format!("reading {path:?}"))?;
            Ok(Module { name, content })
        })
        .collect()
}

fn fetch(
    series: &str,
    wanted: &[&str],
    (package, version): (&str, &str),
    folder: &Path,
) -> Result<()> {
    let parent = folder.parent().context("a folder in a folder")?;
    fs::create_dir_all(parent)?;
    let work = tempfile::tempdir_in(parent)?;
    let tree = work.path().join("tree");
    unpack(series, package, version, &tree)?;
    let found = find(&tree)?;
    let place = work.path().join("modules");
    fs::create_dir(&place)?;
    for (at, module) in ordered(&found, wanted)?.into_iter().enumerate() {
        fs::write(place.join(format!("{at:02}-{}.ko", module.name)), module.content)?;
    }
    fs::rename(&place, folder).with_context(|| format!("placing {folder:?}"))
}

fn unpack(series: &str, package: &str, version: &str, tree: &Path) -> Result<()> {
    // Since the split the modules have a package of their own, of the same version.
    let package = package
        .strip_prefix("linux-binary-")
        .map_or_else(|| package.to_owned(), |release| format!("linux-modules-{release}"));
    let suites = kernel::suites(series)?;
    let (suite, _) = kernel::first_with(suites, "arm64", &package, Some(version))?;
    suite.unpack(&package, tree)
}

/// Every module below `tree`, by name.
fn find(tree: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        ["lib/modules", "usr/lib/modules"].map(|path| tree.join(path)).into();
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if let Some((name, "ko" | "ko.xz")) = name.split_once('.') {
                found.insert(name.replace('-', "_"), entry.path());
            }
        }
    }
    Ok(found)
}

/// The wanted modules and what they depend on, each after what it depends on.
fn ordered(found: &BTreeMap<String, PathBuf>, wanted: &[&str]) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    for &name in wanted {
        if found.contains_key(name) || !MAY_LACK.contains(&name) {
            add(name, found, &mut modules, 0)?;
        }
    }
    Ok(modules)
}

fn add(
    name: &str,
    found: &BTreeMap<String, PathBuf>,
    modules: &mut Vec<Module>,
    depth: usize,
) -> Result<()> {
    if modules.iter().any(|module| module.name == name) {
        return Ok(());
    }
    ensure!(depth <= found.len(), "modules depend on each other, {name} among them");
    let path = found.get(name).with_context(|| format!("the package has no module {name}"))?;
    let content = read(path)?;
    for needed in dependencies(&content) {
        add(&needed, found, modules, depth + 1)?;
    }
    modules.push(Module { name: name.to_owned(), content });
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|ending| ending != "xz") {
        return fs::read(path).with_context(|| format!("reading {path:?}"));
    }
    process::capture_bytes(Command::new("xz").args(["--decompress", "--stdout"]).arg(path))
}

/// What a module's section `.modinfo` says it depends on.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(value);
    text.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_modinfo() {
        let module = b"\x7fELF\0license=GPL\0depends=mbcache,jbd2,crc-16\0intree=Y\0";
        assert_eq!(dependencies(module), ["mbcache", "jbd2", "crc_16"]);
        assert!(dependencies(b"\0depends=\0name=virtio").is_empty());
        assert!(dependencies(b"nothing").is_empty());
    }

    #[test]
    fn modules_stand_after_what_they_depend_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut found = BTreeMap::new();
        for (name, needs) in [
            ("virtio_mmio", "virtio_ring"),
            ("virtio_ring", "virtio"),
            ("virtio", ""),
            ("virtio_blk", "virtio_ring,virtio"),
            ("virtio_net", "virtio"),
            ("virtio_rng", ""),
            ("vmw_vsock_virtio_transport", "vsock,virtio"),
            ("vsock", ""),
            ("ext4", "jbd2"),
            ("jbd2", ""),
        ] {
            let path = folder.path().join(name).with_extension("ko");
            fs::write(&path, format!("ELF\0depends={needs}\0")).expect("written");
            found.insert(name.to_owned(), path);
        }
        let names: Vec<_> = ordered(&found, &WANTED)
            .expect("all are there")
            .into_iter()
            .map(|module| module.name)
            .collect();
        let expected = [
            "virtio",
            "virtio_ring",
            "virtio_mmio",
            "virtio_blk",
            "virtio_net",
            "virtio_rng",
            "vsock",
            "vmw_vsock_virtio_transport",
            "jbd2",
            "ext4",
        ];
        assert_eq!(names, expected);
        found.remove("jbd2");
        let error = ordered(&found, &WANTED).map(|_| ()).expect_err("one is not there").to_string();
        assert!(error.contains("no module jbd2"), "{error}");
    }

    #[test]
    fn modules_in_a_circle_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("circle.ko");
        fs::write(&path, "ELF\0depends=virtio_mmio\0").expect("written");
        let found = BTreeMap::from([("virtio_mmio".to_owned(), path)]);
        assert!(ordered(&found, &WANTED).is_err());
    }
}
