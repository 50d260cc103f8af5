//! apt with its own lists and cache in a folder of ours, and the system's keys and proxies.

use super::{lock, sources};
use crate::{paths, process};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One suite of the Debian archive for one architecture.
pub struct Suite {
    name: String,
    folder: PathBuf,
    architecture: String,
    /// Packages that count as installed: none, unless the machine itself is meant.
    status: PathBuf,
    /// Of the folder: apt stands nobody beside it there.
    _held: File,
}

impl Suite {
    /// Opens `name`, a suite such as `bookworm-backports`, and brings its package list up to date.
    ///
    /// # Errors
    /// If apt is missing, has no Debian archive set up, or cannot reach or verify the suite.
    pub fn open(name: &str, architecture: &str) -> Result<Self> {
        let folder = paths::cache()?.join("apt").join(format!("{name}-{architecture}"));
        let status = folder.join("status");
        let held = lock(&folder.join("lock"))?;
        fs::write(&status, "").with_context(|| format!("writing {status:?}"))?;
        let suite = Self {
            name: name.into(),
            folder,
            architecture: architecture.into(),
            status,
            _held: held,
        };
        suite.update(name)?;
        Ok(suite)
    }

    /// Opens `name` together with the machine's own release, over the packages installed here, so
    /// that [`Suite::install`] sees what fits.
    ///
    /// # Errors
    /// As [`Suite::open`].
    pub fn open_for_machine(release: &str, name: &str) -> Result<Self> {
        let folder = paths::cache()?.join("apt").join(format!("machine-{name}"));
        let suite = Self {
            name: name.into(),
            _held: lock(&folder.join("lock"))?,
            folder,
            architecture: Self::architecture_here()?,
            status: PathBuf::from("/var/lib/dpkg/status"),
        };
        let extra = if name == release { "" } else { name };
        suite.update(format!("{release} {release}-updates {extra}").trim_end())?;
        Ok(suite)
    }

    fn update(&self, suites: &str) -> Result<()> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let folder = self.folder.join(part);
            fs::create_dir_all(&folder).with_context(|| format!("making {folder:?}"))?;
        }
        let stanza = sources::machine_archive()?.stanza(suites, &self.architecture);
        fs::write(self.folder.join("suite.sources"), stanza)?;
        // A suite that cannot be fetched is only a warning to apt unless told otherwise.
        let mut update = self.command("apt-get");
        update.args(["-o", "APT::Update::Error-Mode=any", "update"]);
        process::capture(&mut update).with_context(|| format!("apt suite {}", self.name))?;
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        for option in [
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures::={}", self.architecture),
            format!("Dir::Etc::sourcelist={folder}/suite.sources"),
            "Dir::Etc::sourceparts=-".into(),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::State::status={}", self.status.display()),
            format!("Dir::Cache={folder}/cache"),
            // Apt's own user may be unable to enter the folder; signatures are checked as ever.
            "APT::Sandbox::User=".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
        ] {
            command.arg("-o").arg(option);
        }
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// The names of the suite's packages that match a regular expression.
    ///
    /// # Errors
    /// If apt fails.
    pub fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let mut search = self.command("apt-cache");
        let found = process::capture(search.args(["search", "--names-only", pattern]))?;
        let names = found.lines().filter_map(|line| line.split_once(" - "));
        Ok(names.map(|(name, _)| name.to_owned()).collect())
    }

    /// The version of `package` that the suite offers.
    ///
    /// # Errors
    /// If it offers none.
    pub fn version(&self, package: &str) -> Result<String> {
        let mut show = self.command("apt-cache");
        let shown = process::capture(show.args(["show", "--no-all-versions", package]))?;
        let version = shown.lines().find_map(|line| line.strip_prefix("Version: "));
        version
            .map(str::to_owned)
            .with_context(|| format!("suite {} has no package {package}", self.name))
    }

    /// The names of the packages that `package` depends on.
    ///
    /// # Errors
    /// If the suite does not offer it.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let mut show = self.command("apt-cache");
        let shown = process::capture(show.args(["show", "--no-all-versions", package]))?;
        let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: "));
        let each = depends.unwrap_or_default().split(',').filter_map(|one| {
            let name = one.split_whitespace().next()?;
            Some(name.split(':').next().unwrap_or(name).to_owned())
        });
        Ok(each.collect())
    }

    /// The architecture of this machine's own packages.
    ///
    /// # Errors
    /// If dpkg does not say.
    pub fn architecture_here() -> Result<String> {
        let said = process::capture(Command::new("dpkg").arg("--print-architecture"))?;
        Ok(said.trim().to_owned())
    }

    /// Downloads `package` and unpacks it into `folder`.
    ///
    /// # Errors
    /// If the package cannot be fetched, fails verification, or cannot be unpacked.
    pub fn unpack(&self, package: &str, folder: &Path) -> Result<()> {
        let download = tempfile::tempdir_in(&self.folder)?;
        let mut get = self.command("apt-get");
        process::capture(get.current_dir(download.path()).args(["download", package]))?;
        let mut archives = fs::read_dir(download.path())?;
        let Some(archive) = archives.next().transpose()? else {
            bail!("apt-get download {package} left no file");
        };
        process::capture(Command::new("dpkg").arg("-x").arg(archive.path()).arg(folder))?;
        Ok(())
    }

    /// Downloads `packages` with all that they depend on, and nothing that is only recommended, and
    /// unpacks them over each other into `folder`: no script of theirs is run. Directories that are
    /// symbolic links there already (`/bin` of a merged `/usr`) are followed. Returns the names of
    /// the archives, which hold package, version and architecture, sorted.
    ///
    /// # Errors
    /// As [`Suite::unpack`].
    pub fn unpack_whole(&self, packages: &[&str], folder: &Path) -> Result<Vec<String>> {
        let download = tempfile::tempdir_in(&self.folder)?;
        fs::create_dir(download.path().join("partial"))?;
        let mut get = self.command("apt-get");
        get.arg("-o").arg(format!("Dir::Cache::archives={}", download.path().display()));
        // Nothing is installed, so the machine's own package database need not stand still.
        get.args(["-o", "Debug::NoLocking=true"]);
        get.args(["install", "--yes", "--download-only", "--no-install-recommends"]);
        process::capture(get.args(packages))
            .with_context(|| format!("fetching {}", packages.join(", ")))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(download.path())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".deb") {
                names.push(name);
            }
        }
        names.sort();
        for name in &names {
            extract(&download.path().join(name), folder)
                .with_context(|| format!("unpacking {name}"))?;
        }
        Ok(names)
    }

    /// Installs `packages` on this machine, which needs root, as this suite has them.
    ///
    /// # Errors
    /// If apt fails.
    pub fn install(&self, packages: &[&str]) -> Result<()> {
        let mut get = self.command("apt-get");
        get.args(["install", "--yes", "--no-install-recommends", "--target-release", &self.name]);
        process::capture(get.args(packages))
            .with_context(|| format!("installing {}, which takes root", packages.join(", ")))?;
        Ok(())
    }
}

/// Unpacks one archive into `folder`, as `dpkg --extract` does, through symbolic links to folders.
fn extract(archive: &Path, folder: &Path) -> Result<()> {
    let mut reader = Command::new("dpkg-deb");
    let mut reader = reader
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let stream = reader.stdout.take().context("standard output is a pipe")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--keep-directory-symlink", "--preserve-permissions"]);
    tar.args(["--no-same-owner", "--directory"]).arg(folder).stdin(stream);
    process::run(&mut tar)?;
    let status = reader.wait().context("waiting for dpkg-deb")?;
    ensure!(status.success(), "dpkg-deb: {status}");
    Ok(())
}
