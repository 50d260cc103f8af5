//! `guest-kernel`: Debian's arm64 kernels, unmodified, for guests and for the lab's hosts.

use super::alone;
use super::apt::Suite;
use crate::paths;
use anyhow::{Context, Result, bail, ensure};
use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

/// Which suites are asked for a kernel series, first to last.
const SUITES: [(&str, &[&str]); 3] = [
    ("6.1", &["bookworm"]),
    ("6.12", &["bookworm-backports", "trixie"]),
    ("7.2", &["trixie-backports", "sid"]),
];

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series: 6.1, 6.12 or 7.2
    #[arg(required = true)]
    series: Vec<String>,
    /// Look for a newer release even if one is there
    #[arg(long)]
    refresh: bool,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    for series in &arguments.series {
        if arguments.refresh {
            println!("{}", alone(&place(series)?, || download(series))?.display());
        } else {
            println!("{}", get(series)?.display());
        }
    }
    Ok(())
}

/// The kernel image of a series, downloaded if it is not there yet.
///
/// # Errors
/// If no suite offers the series or the download fails.
pub fn get(series: &str) -> Result<PathBuf> {
    let image = place(series)?;
    alone(&image, || if image.is_file() { Ok(image.clone()) } else { download(series) })
}

/// A statically linked arm64 busybox, downloaded if it is not there yet.
///
/// # Errors
/// If the download fails.
pub fn busybox() -> Result<PathBuf> {
    let program = paths::cache()?.join("busybox-arm64");
    alone(&program, || {
        if program.is_file() {
            return Ok(());
        }
        let suite = Suite::open("bookworm", "arm64")?;
        fetch_file(&suite, "busybox-static", &program, |tree| {
            let candidates = ["bin/busybox", "usr/bin/busybox"].map(|path| tree.join(path));
            candidates.into_iter().find(|path| path.is_file())
        })
    })?;
    Ok(program)
}

/// The package that a series' kernel image was taken from, and its version.
///
/// # Errors
/// If nothing tells.
pub fn origin(series: &str) -> Result<(String, String)> {
    let file = with_ending(&get(series)?, "txt");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {file:?}"))?;
    let mut words = text.split_whitespace().map(str::to_owned);
    let known = words.next().zip(words.next());
    known.with_context(|| format!("{file:?} names no package; delete it and its kernel"))
}

/// What `uname -r` says on a series' kernel.
///
/// # Errors
/// If nothing tells.
pub fn release(series: &str) -> Result<String> {
    let (package, _) = origin(series)?;
    let release = package.strip_prefix("linux-image-");
    let release = release.or_else(|| package.strip_prefix("linux-binary-"));
    Ok(release.with_context(|| format!("package {package} names no release"))?.to_owned())
}

/// The suites that may offer a series, first to last.
///
/// # Errors
/// If the series is none that is known.
pub fn suites(series: &str) -> Result<&'static [&'static str]> {
    let known = SUITES.iter().find(|(name, _)| *name == series);
    let Some((_, suites)) = known else {
        let names = SUITES.map(|(name, _)| name).join(", ");
        bail!("no kernel series {series}; known are {names}");
    };
    Ok(suites)
}

fn place(series: &str) -> Result<PathBuf> {
    Ok(paths::cache()?.join("kernels").join(format!("arm64-{series}")))
}

fn download(series: &str) -> Result<PathBuf> {
    let mut tried = Vec::new();
    for name in suites(series)? {
        let found = Suite::open(name, "arm64").and_then(|suite| {
            let package =
                newest(&suite.search(&format!("^linux-(binary|image)-{series}"))?, series);
            Ok((suite, package))
        });
        match found {
            Ok((suite, Some(package))) => return take(&suite, &package, &place(series)?),
            Ok((_, None)) => tried.push(format!("{name}: no such package")),
            Err(error) => tried.push(format!("{name}: {error:#}")),
        }
    }
    bail!("no suite offers kernel {series} for arm64:\n  {}", tried.join("\n  "))
}

fn take(suite: &Suite, package: &str, image: &Path) -> Result<PathBuf> {
    fetch_file(suite, package, image, |tree| {
        // Either `boot/vmlinuz-RELEASE`, or `usr/lib/modules/RELEASE/vmlinuz` since the split.
        let direct = children(&tree.join("boot"));
        let split =
            children(&tree.join("usr/lib/modules")).into_iter().map(|dir| dir.join("vmlinuz"));
        direct.into_iter().chain(split).find(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            name.is_some_and(|name| name.starts_with("vmlinuz")) && path.is_file()
        })
    })?;
    Ok(image.to_path_buf())
}

/// Puts one file of a package at `place`, and its origin in a text file beside it. `place` appears
/// in one step, so that an interrupted download leaves nothing that looks whole.
fn fetch_file(
    suite: &Suite,
    package: &str,
    place: &Path,
    choose: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<()> {
    let folder = place.parent().context("a file in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {folder:?}"))?;
    let work = tempfile::tempdir_in(folder)?;
    suite.unpack(package, work.path())?;
    let file = choose(work.path()).with_context(|| format!("{package}: not the file expected"))?;
    fs::write(with_ending(place, "txt"), format!("{package} {}\n", suite.version(package)?))?;
    fs::rename(&file, place).with_context(|| format!("placing {place:?}"))
}

/// `path.ENDING`, also where the name already has a dot in it.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// The package with the highest release of a series, in its plain flavour. Where the image has a
/// package of its own (`linux-binary`), that one holds the file.
fn newest(packages: &[String], series: &str) -> Option<String> {
    let candidates = packages.iter().filter_map(|package| {
        let binary = package.strip_prefix("linux-binary-");
        let release = binary.or_else(|| package.strip_prefix("linux-image-"))?;
        let release = release.strip_suffix("-arm64")?;
        let of_series = release.strip_prefix(series)?.starts_with('.');
        let plain = !release.ends_with("-cloud") && !release.ends_with("-rt");
        (of_series && plain).then(|| (release, binary.is_some(), package))
    });
    candidates
        .max_by(|a, b| compare_releases(a.0, b.0).then(a.1.cmp(&b.1)))
        .map(|(_, _, package)| package.clone())
}

/// Orders `6.12.9+deb12` before `6.12.10+deb12`: by the numbers in them, left to right.
fn compare_releases(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok())
            .collect()
    };
    numbers(a).cmp(&numbers(b))
}

/// The first suite that offers a package, in this version if one is named.
pub fn first_with<'a>(
    suites: &[&'a str],
    architecture: &str,
    package: &str,
    version: Option<&str>,
) -> Result<(Suite, &'a str)> {
    let mut tried = Vec::new();
    for name in suites {
        let suite = Suite::open(name, architecture)?;
        match suite.version(package) {
            Ok(found) if version.is_none_or(|version| found == version) => {
                return Ok((suite, name));
            }
            Ok(found) => tried.push(format!("{name}: {found}")),
            Err(error) => tried.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(version.is_some(), "no suite offers {package}:\n  {}", tried.join("\n  "));
    bail!(
        "the archive has no {package} of the kernel's version:\n  {}\n\
         `cargo xtask guest-kernel --refresh` fetches a newer kernel",
        tried.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(packages: &[&str]) -> Vec<String> {
        packages.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn newest_release_is_chosen_by_number() {
        let packages = names(&[
            "linux-image-6.12.9+deb12-arm64",
            "linux-image-6.12.90+deb12-arm64",
            "linux-image-6.12.90+deb12.1-arm64",
            "linux-image-6.12.95+deb12-cloud-arm64",
            "linux-image-6.12.95+deb12-rt-arm64",
            "linux-image-6.120.1-arm64",
        ]);
        let expected = "linux-image-6.12.90+deb12.1-arm64";
        assert_eq!(newest(&packages, "6.12").as_deref(), Some(expected));
        assert_eq!(newest(&packages, "6.1"), None);
    }

    #[test]
    fn package_with_the_file_wins_over_the_one_that_only_names_it() {
        let packages = names(&[
            "linux-image-7.2.12+deb13-arm64",
            "linux-binary-7.2.12+deb13-arm64",
            "linux-binary-7.2.9+deb13-arm64",
        ]);
        let expected = "linux-binary-7.2.12+deb13-arm64";
        assert_eq!(newest(&packages, "7.2").as_deref(), Some(expected));
    }

    #[test]
    fn ending_is_added_after_a_version() {
        let path = with_ending(Path::new("/k/arm64-6.12"), "txt");
        assert_eq!(path, Path::new("/k/arm64-6.12.txt"));
    }
}
