//! A Debian kernel that is told of stolen time, over restores, clones and hosts: what it counts
//! rises while its vCPUs share one CPU of their host, and never falls.

use super::Arguments;
use super::host::{Errand, File, Host, tail};
use super::stay::FUNCTIONS;
use crate::abide::{self, SAVED_AWAY};
use crate::debian::kernel;
use crate::{cpio, process};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The kernel of the guest.
const GUEST_KERNEL: &str = "7.2";
const CONTRACT: &str = "debian-neoverse-n1";
/// The host kernels that it comes to, one after another.
const HOSTS: [&str; 3] = ["6.1", "6.12", "7.2"];
/// How often it is restored on each: 21 times in all; and where it must be short.
const RESTORES: usize = 7;
const RESTORES_SHORT: usize = 3;
/// The same on the software engine.
const RESTORES_HERE: usize = 20;
const RESTORES_HERE_SHORT: usize = 6;
/// How many lines the guest says between two saves.
const LINES: usize = 4;
/// A host and all of its guest's stays.
const LIMIT: Duration = Duration::from_secs(900);

/// Keeps both CPUs busy, and tells what was stolen: of both, of the first, of the second.
const INIT: &str = "\
#!/bin/busybox sh
busybox=/bin/busybox
$busybox mkdir -p /proc
$busybox mount -t proc proc /proc
$busybox dmesg | $busybox grep 'stolen time'
for cpu in 0 1; do
    while :; do :; done &
done
while $busybox sleep 0.2; do
    $busybox awk '/^cpu/ { line = line \" \" $9 } END { print \"steal:\" line }' /proc/stat
done
";
/// What Linux says once its vCPUs have records.
const IN_USE: &str = "using stolen time PV";
/// What the guest's lines begin with.
const STEAL: &str = "steal:";

/// All of abide's threads on one CPU of the host: two busy vCPUs wait for each other.
fn pinned(program: &str) -> String {
    format!("#!/bin/sh\nexec taskset 1 {program} \"$@\"\n")
}

/// # Errors
/// If a host refuses the guest, or what it counts falls, or does not rise.
pub fn over_hosts(birth: &Host, asked: &Arguments) -> Result<String> {
    let restores = asked.rounds(RESTORES, RESTORES_SHORT);
    let restores_here = asked.rounds(RESTORES_HERE, RESTORES_HERE_SHORT);
    let folder = tempfile::tempdir()?;
    let initrd = folder.path().join("initrd");
    fs::write(&initrd, initramfs()?)?;
    let here = on_soft(folder.path(), &initrd, restores_here)?;
    let program = fs::read(abide::build_for_arm()?)?;
    let mut guest = None;
    let mut before = None;
    let mut notes = vec![format!("soft {here}")];
    for series in HOSTS {
        let host = Host::debian(series, &birth.cpu);
        let mut files = vec![
            File::program("abide", program.clone()),
            File::program("pinned", pinned("/abide").into_bytes()),
        ];
        let begin = match guest.take() {
            Some(content) => {
                files.push(File::data("guest.abide", content));
                "restore /guest.abide g0 --engine kvm".to_owned()
            }
            None => {
                files.push(File::data("kernel", fs::read(kernel::get(GUEST_KERNEL)?)?));
                files.push(File::data("initrd", fs::read(&initrd)?));
                format!("run g0 --engine kvm --contract {CONTRACT} {}", arguments("/", "/"))
            }
        };
        let script = script("/pinned", "/out", "kvm", &begin, restores) + REFUSED;
        let show = asked.show;
        let errand = Errand { files: &files, script: &script, brings: true, limit: LIMIT, show };
        let finished = host.run(&errand).with_context(|| host.to_string())?;
        ensure!(
            finished.code == 0,
            "{host}: exit code {}\n{}",
            finished.code,
            tail(&finished.output)
        );
        let file = |name: &str| finished.file(name);
        let rose = followed(restores, &mut before, file).with_context(|| host.to_string())?;
        let words = String::from_utf8_lossy(&finished.file("refused.words")?).into_owned();
        ensure!(words.contains("stolen time"), "not refused without stolen time:\n{words}");
        notes.push(format!("{series} {rose}"));
        guest = Some(finished.file("last.abide")?);
    }
    let restores = restores * HOSTS.len();
    Ok(format!(
        "never fell over {restores} restores on KVM and {restores_here} on soft: {}",
        notes.join(", ")
    ))
}

/// The guest on this machine's software engine.
fn on_soft(folder: &Path, initrd: &Path, restores: usize) -> Result<String> {
    let program = folder.join("pinned");
    fs::write(&program, pinned(&abide::build()?.display().to_string()))?;
    process::capture(Command::new("chmod").arg("755").arg(&program))?;
    let out = folder.join("out");
    fs::create_dir(&out)?;
    let kernel = kernel::get(GUEST_KERNEL)?;
    std::os::unix::fs::symlink(&kernel, out.join("kernel"))?;
    std::os::unix::fs::symlink(initrd, out.join("initrd"))?;
    let at = format!("{}/", out.display());
    let begin = format!("run g0 --engine soft {}", arguments(&at, &at));
    let script = script(
        &program.display().to_string(),
        &out.display().to_string(),
        "soft",
        &begin,
        restores,
    );
    process::capture(Command::new("sh").arg("-c").arg(script))?;
    let file = |name: &str| fs::read(out.join(name)).with_context(|| format!("no file {name}"));
    followed(restores, &mut None, file).context("on the software engine")
}

fn initramfs() -> Result<Vec<u8>> {
    let mut archive = cpio::Archive::new();
    archive.directory("dev", 0o755)?.character_device("dev/console", 0o600, 5, 1)?;
    archive.directory("bin", 0o755)?;
    archive.file("bin/busybox", 0o755, &fs::read(kernel::busybox()?)?)?;
    archive.file("init", 0o755, INIT.as_bytes())?;
    Ok(archive.finish())
}

/// What follows `abide run NAME --engine ENGINE`.
fn arguments(kernel_at: &str, initrd_at: &str) -> String {
    format!(
        "--kernel {kernel_at}kernel --initrd {initrd_at}initrd --memory 256M --vcpus 2 --append \
         'console=ttyAMA0 cryptomgr.notests quiet loglevel=1'"
    )
}

/// The guest begins, and is saved and restored so many times; then a copy of it goes on from the
/// first file, which the first already did. Each leaves its console and its exit code.
fn script(program: &str, out: &str, engine: &str, begin: &str, restores: usize) -> String {
    let mut script = format!("ABIDE={program} OUT={out} PAUSE=0.1 TURNS=1200\n{FUNCTIONS}");
    let stay = |name: &str, begin: &str| format!("stay {name} {LINES} '^{STEAL}' {begin}\n");
    script += &stay("g0", begin);
    for n in 1..=restores {
        let before = n - 1;
        let name = format!("g{n}");
        let file = format!("{out}/g{before}.abide");
        script += &stay(&name, &format!("restore {file} {name} --engine {engine}"));
        if before > 0 {
            script += &format!("rm -f {file}\n");
        }
    }
    script += &stay("clone", &format!("restore {out}/g0.abide clone --engine {engine}"));
    script += &format!("rm -f {out}/clone.abide {out}/g0.abide\n");
    script + &format!("mv {out}/g{restores}.abide {out}/last.abide\n")
}

/// What the last host also tries.
const REFUSED: &str = "\
/abide restore /out/last.abide refused --engine kvm --stolen-time none --state-dir /out/state \
</dev/null >/dev/null 2>/out/refused.words && exit 1
exit 0
";

/// Follows the guest over its stays: from `before`, what it last told elsewhere, to the end, which
/// is `before` then. Returns what was stolen, in hundredths of a second.
fn followed(
    restores: usize,
    before: &mut Option<Vec<u64>>,
    file: impl Fn(&str) -> Result<Vec<u8>>,
) -> Result<String> {
    let text = |name: String| file(&name).map(|text| String::from_utf8_lossy(&text).into_owned());
    let born_here = before.is_none();
    let mut first = None;
    for n in 0..=restores {
        let console = text(format!("g{n}.console"))?;
        let (words, code) = (text(format!("g{n}.words"))?, text(format!("g{n}.code"))?);
        ensure!(
            code.trim() == SAVED_AWAY.to_string(),
            "stay {n}: exit code {}\n{words}\n{}",
            code.trim(),
            tail(&console)
        );
        ensure!(
            n > 0 || !born_here || console.contains(IN_USE),
            "no `{IN_USE}`\n{}",
            tail(&console)
        );
        never_falls(before, &console).with_context(|| format!("stay {n}"))?;
        first = first.or_else(|| before.clone());
    }
    let mut of_clone = first.clone();
    never_falls(&mut of_clone, &text("clone.console".into())?).context("the clone")?;
    let (first, last) = (first.context("no line")?, before.clone().context("no line")?);
    // Both CPUs were busy all the time, and shared one.
    for (number, (first, last)) in first.iter().zip(&last).enumerate() {
        ensure!(last > first, "column {number} of /proc/stat did not rise: {first} to {last}");
    }
    Ok(format!("+{}", last[0] - first[0]))
}

/// Every line is one of a guest whose counts never fell since `before`.
fn never_falls(before: &mut Option<Vec<u64>>, console: &str) -> Result<()> {
    for line in console.lines().filter_map(|line| line.strip_prefix(STEAL)) {
        let counts: Vec<u64> =
            line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        // One that was cut through by the end of the stay.
        if counts.len() != 3 {
            continue;
        }
        if let Some(before) = before.as_deref() {
            let fell = before.iter().zip(&counts).any(|(before, now)| now < before);
            ensure!(!fell, "it fell from {before:?} to {counts:?}\n{}", tail(console));
        }
        *before = Some(counts);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_fall_are_found_and_cut_lines_are_not_taken_for_any() {
        let mut before = Some(vec![5, 2, 3]);
        never_falls(&mut before, "noise\nsteal: 5 2 3\nsteal: 7 3 4\nsteal: 8").expect("it rises");
        assert_eq!(before, Some(vec![7, 3, 4]));
        for console in ["steal: 7 3 3", "steal: 6 3 3\nsteal: 9 4 5"] {
            assert!(never_falls(&mut before.clone(), console).is_err(), "{console}");
        }
    }

    #[test]
    fn the_script_restores_each_file_once_and_the_first_twice() {
        let script = script("/pinned", "/out", "kvm", "run g0", RESTORES);
        let restored = |n: usize| script.matches(&format!("restore /out/g{n}.abide ")).count();
        assert_eq!(restored(0), 2);
        assert!((1..RESTORES).all(|n| restored(n) == 1) && restored(RESTORES) == 0);
    }
}
