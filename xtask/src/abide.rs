//! Building abide, and running guests with it the way a user would: by its command line.

pub mod live;

use crate::process::{self, Ended};
use crate::tally::Count;
use crate::tasks::guests;
use crate::{cpio, debian, paths};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// `abide`'s exit code when the guest powered itself off.
pub const POWERED_OFF: i32 = 0;
/// `abide`'s exit code when the guest was saved and is no longer here.
pub const SAVED_AWAY: i32 = 12;
/// `abide`'s exit code when another process has the guest.
pub const GIVEN_AWAY: i32 = 14;
/// `abide`'s exit code when the host cannot run the guest.
pub const HOST_CANNOT: i32 = 4;

/// One guest's run may take this long, on two slow cores that others use too.
const LIMIT: Duration = Duration::from_secs(180);

/// For 64-bit Arm hosts.
const ARM: &str = "aarch64-unknown-linux-gnu";

/// Builds the program for this machine and returns where it is.
///
/// # Errors
/// If the build fails.
pub fn build() -> Result<PathBuf> {
    process::run(process::cargo().args(["build", "--release", "--package", "abide"]))?;
    Ok(paths::target().join("release/abide"))
}

/// Builds what a later version of the program might be, beside the program itself: of the same
/// libraries.
///
/// # Errors
/// If the build fails.
pub fn build_next_version() -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--package", "abide", "--features", "next-version"]);
    process::run(&mut cargo)?;
    let apart = paths::target().join("next-version");
    fs::create_dir_all(&apart).with_context(|| format!("making {apart:?}"))?;
    let (from, to) = (paths::target().join("release/abide"), apart.join("abide"));
    fs::copy(&from, &to).with_context(|| format!("copying {from:?}"))?;
    // Its place is the program's.
    build()?;
    Ok(to)
}

/// Builds a release from its commit in the repository's history, apart from the program itself;
/// `None` where that history is not here, as in a source archive or a shallow clone.
///
/// # Errors
/// If the build fails.
pub fn build_release(name: &str, commit: &str) -> Result<Option<PathBuf>> {
    let target = paths::target().join(name);
    let source = target.join("source");
    if !source.exists() {
        let mut git = Command::new("git");
        git.arg("-C").arg(paths::root()).args(["cat-file", "-e", commit]);
        if process::capture(&mut git).is_err() {
            return Ok(None);
        }
        let unpacked = target.join("unpacked");
        fs::create_dir_all(&unpacked).with_context(|| format!("making {unpacked:?}"))?;
        let archive = target.join("source.tar");
        let mut git = Command::new("git");
        git.arg("-C").arg(paths::root()).args(["archive", "--output"]).arg(&archive).arg(commit);
        process::run(&mut git)?;
        process::run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&unpacked))?;
        fs::rename(&unpacked, &source).with_context(|| format!("making {source:?}"))?;
    }
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--locked", "--package", "abide", "--target-dir"]);
    // It is only compared, and its own profile takes minutes.
    for (key, value) in [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "1")] {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    process::run(cargo.arg(&target).current_dir(&source))?;
    Ok(Some(target.join("release/abide")))
}

/// Builds the program for a 64-bit Arm host, without anything it would need there.
///
/// # Errors
/// If the build fails: `cargo xtask setup` installs what it takes.
pub fn build_for_arm() -> Result<PathBuf> {
    Ok(build_there()?.join("abide"))
}

/// As [`build_for_arm`], one of [`EXAMPLES`].
///
/// # Errors
/// As [`build_for_arm`].
pub fn build_example_for_arm(name: &str) -> Result<PathBuf> {
    ensure!(EXAMPLES.contains(&name), "{name} is none of {EXAMPLES:?}");
    Ok(build_there()?.join("examples").join(name))
}

/// What the lab runs on its hosts besides abide.
const EXAMPLES: [&str; 3] = ["guest_clock", "kvm_probe", "restore_shares"];

/// All at once, every time: by themselves they would not share what they are made of.
fn build_there() -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--target", ARM, "--bin", "abide"]);
    for package in ["abide", "abide-machine", "abide-engine-kvm"] {
        cargo.args(["--package", package]);
    }
    for example in EXAMPLES {
        cargo.args(["--example", example]);
    }
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static");
    process::run(&mut cargo).context("building abide for arm64 hosts")?;
    Ok(paths::target().join(ARM).join("release"))
}

/// A Linux guest: a Debian kernel and a RAM disk, whose init works a little and powers off.
pub struct Linux {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
}

impl Linux {
    /// Its console is the UART; the kernel's own tests of its ciphers would take most of the time.
    pub const APPEND: &'static str = "console=ttyAMA0 cryptomgr.notests";
    /// In MiB.
    pub const MEMORY_MIB: u32 = 512;

    /// The guest with Debian's kernel of a series.
    ///
    /// # Errors
    /// If the kernel cannot be fetched.
    pub fn debian(series: &str) -> Result<Self> {
        Ok(Self { kernel: debian::kernel::get(series)?, initrd: guests::initramfs() })
    }

    /// The guest with another init and what that finds in its RAM disk, which is made in `folder`:
    /// `files`, and those of the kernel's modules that `is_wanted` names, in the order of loading.
    ///
    /// # Errors
    /// If kernel or modules cannot be fetched, or the RAM disk cannot be written.
    pub fn with_init(
        series: &str,
        folder: &Path,
        init: &[u8],
        files: &[(&str, &[u8])],
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        Self::with_drivers(series, folder, init, files, is_wanted, &[])
    }

    /// As [`Self::with_init`], with modules behind the kernel's own that its package has not.
    ///
    /// # Errors
    /// As [`Self::with_init`].
    pub fn with_drivers(
        series: &str,
        folder: &Path,
        init: &[u8],
        files: &[(&str, &[u8])],
        is_wanted: impl Fn(&str) -> bool,
        drivers: &[PathBuf],
    ) -> Result<Self> {
        let mut archive = cpio::Archive::new();
        archive.directory("dev", 0o755)?.character_device("dev/console", 0o600, 5, 1)?;
        archive.directory("sys", 0o755)?;
        archive.file("init", 0o755, init)?;
        for (name, content) in files {
            archive.file(name, 0o644, content)?;
        }
        archive.directory("modules", 0o755)?;
        let modules = debian::modules::get(series)?;
        let wanted = modules.into_iter().filter(|module| is_wanted(&module.name));
        let mut contents: Vec<_> = wanted.map(|module| module.content).collect();
        for path in drivers {
            contents.push(fs::read(path).with_context(|| format!("reading {path:?}"))?);
        }
        for (n, content) in contents.iter().enumerate() {
            archive.file(&format!("modules/{n}.ko"), 0o644, content)?;
        }
        let initrd = folder.join("initramfs.cpio");
        fs::write(&initrd, archive.finish()).with_context(|| format!("writing {initrd:?}"))?;
        Ok(Self { kernel: debian::kernel::get(series)?, initrd })
    }

    /// `abide run` of this guest.
    pub fn run(&self, abide: &Path) -> Command {
        self.run_with(abide, "")
    }

    /// As [`Self::run`], with more on the kernel's command line.
    pub fn run_with(&self, abide: &Path, append: &str) -> Command {
        let mut command = Command::new(abide);
        command
            .args(["run", "--engine", "soft"])
            .arg("--kernel")
            .arg(&self.kernel)
            .arg("--initrd")
            .arg(&self.initrd);
        command.args(["--append", format!("{} {append}", Self::APPEND).trim_end()]);
        command.arg("--memory").arg(format!("{}M", Self::MEMORY_MIB));
        command
    }
}

/// Runs `check` with each kernel on each number of vCPUs, with abide and a folder of its own, and
/// tells what came of it.
///
/// # Errors
/// If abide cannot be built or a folder not be made; what `check` finds is counted.
pub fn each_guest(
    kernels: &[String],
    vcpus: &[u32],
    count: &mut Count,
    check: impl Fn(&str, u32, &Path, &Path) -> Result<()>,
) -> Result<()> {
    let program = build()?;
    let work = paths::work()?;
    for series in kernels {
        for &vcpus in vcpus {
            let folder = tempfile::tempdir_in(&work)?;
            let result = check(series, vcpus, &program, folder.path());
            *count += Count::one(result.is_ok());
            match result {
                Ok(()) => println!("{series}, {vcpus} vCPUs: as it should be"),
                Err(error) => println!("{series}, {vcpus} vCPUs: FAILED: {error:#}"),
            }
        }
    }
    Ok(())
}

/// What the guest's init said, line by line: the same on every engine, while the kernel's own
/// lines tell of times and features.
pub fn lines_of_init(console: &str) -> Vec<String> {
    let lines = console.lines().filter_map(|line| line.find("abide-init: ").map(|at| &line[at..]));
    lines.map(|line| before_kernel(line).trim_end().to_owned()).collect()
}

/// What the guest's program that begins its lines with `prefix` said, without it, line by line.
pub fn said(console: &[u8], prefix: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(console);
    let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
    lines.map(|line| before_kernel(line).trim_end().to_owned()).collect()
}

/// A line up to where the kernel's own begins: a terminal writes a line's end by itself, and the
/// kernel's console may come between the two.
fn before_kernel(line: &str) -> &str {
    let stamps = line.match_indices('[').find(|(at, _)| {
        let stamp = line[at + 1..].split_once(']').map(|(stamp, _)| stamp.trim_start());
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        stamp.and_then(|stamp| stamp.split_once('.')).is_some_and(|(s, us)| digits(s) && digits(us))
    });
    stamps.map_or(line, |(at, _)| &line[..at])
}

/// What came of a run.
pub struct Ran {
    /// What the guest said.
    pub console: Vec<u8>,
    /// What abide said.
    pub words: String,
    pub report: Report,
}

/// What is used of the JSON report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub instructions: u64,
    pub state_hash: String,
    pub state_bytes: u64,
}

/// Runs a command of abide's with files of its own in `folder`, under `name`.
///
/// # Errors
/// If it does not end in time, ends with another code than `expected`, or leaves no good report.
pub fn ran(command: Command, folder: &Path, name: &str, expected: i32) -> Result<Ran> {
    ran_within(command, folder, name, expected, LIMIT)
}

/// As [`ran`], for a guest that may take `limit`.
///
/// # Errors
/// As [`ran`].
pub fn ran_within(
    mut command: Command,
    folder: &Path,
    name: &str,
    expected: i32,
    limit: Duration,
) -> Result<Ran> {
    let report = folder.join(format!("{name}.json"));
    let words = folder.join(format!("{name}.err"));
    command.arg("--state-dir").arg(folder.join(format!("{name}.state")));
    command.arg("--report").arg(&report).stderr(File::create(&words)?);
    let mut console = Vec::new();
    let ended = process::pour(&mut command, limit, |chunk| {
        console.extend_from_slice(chunk);
        false
    })?;
    let words = fs::read_to_string(&words).unwrap_or_default();
    let code = match ended {
        Ended::Exit(code) => code,
        Ended::Stopped | Ended::OutOfTime => bail!("{name}: not ended after {limit:?}\n{words}"),
    };
    if code != expected {
        let text = String::from_utf8_lossy(&console);
        let from = text.char_indices().rev().nth(600).map_or(0, |(index, _)| index);
        bail!("{name}: exit code {code}, not {expected}\n{words}\n… {}", &text[from..]);
    }
    let report = self::report(&report).with_context(|| format!("{name}: no report"))?;
    Ok(Ran { console, words, report })
}

/// Reads the report that a guest's process left.
///
/// # Errors
/// If it is not there or not whole.
pub fn report(file: &Path) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {file:?}"))?;
    parse_report(&text)
}

fn parse_report(text: &str) -> Result<Report> {
    let json: serde_json::Value = serde_json::from_str(text).context("reading the report")?;
    let number = |name: &str| {
        json.get(name)
            .and_then(serde_json::Value::as_u64)
            .with_context(|| format!("the report has no number `{name}`"))
    };
    let state_hash = json.get("state_hash").and_then(serde_json::Value::as_str);
    let state_hash = state_hash.filter(|hash| !hash.is_empty());
    Ok(Report {
        instructions: number("instructions")?,
        state_hash: state_hash.context("the report has no `state_hash`")?.to_owned(),
        state_bytes: number("state_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_init_are_found_among_others() {
        let console = "[ 0.1] boot\r\nabide-init: hello\r\nrandom: \nabide-init: done\n";
        assert_eq!(lines_of_init(console), ["abide-init: hello", "abide-init: done"]);
        // A guest's console had this.
        let console = "abide-init: hello, 7.2[    0.986982] Checked W+X mappings\r\n\r\n";
        assert_eq!(lines_of_init(console), ["abide-init: hello, 7.2"]);
        let console = "abide-init: a [b] c[0] and [1.5\n";
        assert_eq!(lines_of_init(console), ["abide-init: a [b] c[0] and [1.5"]);
    }

    #[test]
    fn what_a_program_said_is_told_without_its_name() {
        let console = b"[ 0.1] kernel\r\nabide-x: one\r\nabide-y: two\r\nabide-x: three\n";
        assert_eq!(said(console, "abide-x: "), ["one", "three"]);
        let console = b"abide-x: one[    4.020000] random: crng init done\r\n\r\nabide-x: two\r\n";
        assert_eq!(said(console, "abide-x: "), ["one", "two"]);
    }

    #[test]
    fn report_is_read_and_a_bad_one_refused() {
        let text = r#"{"instructions": 7, "state_hash": "ab", "state_bytes": 9, "name": "x"}"#;
        let report = parse_report(text).expect("it is whole");
        assert_eq!((report.instructions, report.state_bytes), (7, 9));
        assert_eq!(report.state_hash, "ab");
        for bad in ["", "{}", r#"{"instructions": 7, "state_hash": "", "state_bytes": 9}"#] {
            assert!(parse_report(bad).is_err(), "{bad}");
        }
    }
}
