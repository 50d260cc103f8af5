//! A host's kernel is replaced under a guest, and replaced back: 6.12, 7.2, 6.12 on one machine,
//! with a kexec in between. The guest's RAM is a file on persistent memory and stays there.

use super::cells::told;
use super::host::{self, Errand, File, Finished, Host, Kernel, tail};
use super::persistent;
use crate::debian::{modules, programs};
use crate::tasks::guests;
use crate::{abide, paths};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;

/// The kernel in between.
const NEWER: &str = "7.2";
/// Three kernels come up, on an emulated CPU, and each emulates the guest's.
const LIMIT: Duration = Duration::from_secs(600);
/// The guest's RAM.
const MEMORY_MIB: u32 = 64;
/// How much more there may be in the host's page cache, in KiB, where none of RAM is copied there.
const CACHE_KIB_MAX: u64 = 1 << 10;

/// The guest works through its steps on the first kernel, on the newer one, and on the first again.
///
/// # Errors
/// If a step does not come out right in the end, the guest's RAM was not where it was left, or what
/// must be refused was not.
pub fn of_host(host: &Host, show: bool) -> Result<String> {
    let newer = Host { kernel: Kernel::named(NEWER), ..host.clone() };
    let mut files = vec![
        File::program("abide", fs::read(abide::build_for_arm()?)?),
        File::data("demo.img", guests::demo()?),
    ];
    for part in programs::kexec()? {
        files.push(File { name: part.path, permissions: 0o755, content: part.content });
    }
    for kernel in [&host.kernel, &newer.kernel] {
        let Some((release, modules)) = kernel.modules_of(modules::PERSISTENT_MEMORY)? else {
            continue;
        };
        for (at, module) in modules.into_iter().enumerate() {
            let name = format!("modules/{release}/{at:02}-{}.ko", module.name);
            files.push(File::data(&name, module.content));
        }
    }
    let script = script();
    let errand = Errand { files: &files, script: &script, brings: false, limit: LIMIT, show };
    // More than a temporary folder may hold.
    let folder = tempfile::tempdir_in(paths::work()?)?;
    let content = folder.path().join("content");
    fs::create_dir(&content)?;
    fs::write(content.join("stage"), "0\n")?;
    fs::copy(host.kernel.image()?, content.join("first"))?;
    fs::copy(newer.kernel.image()?, content.join("newer"))?;
    fs::write(content.join("initrd"), host.initramfs(&errand, &host::Besides::default())?)?;
    let besides = persistent::besides(host, folder.path(), &content)?;
    let finished = host.run_with(&errand, &besides, |_| ())?;
    ensure!(finished.code == 0, "exit code {}\n{}", finished.code, tail(&finished.output));
    judged(&finished).with_context(|| tail(&finished.output))
}

/// What the first kernel's KVM does to a guest in a file with DAX; there the file is in the page
/// cache instead.
const STAGES: &str = "\
fail() { echo \"abide-lab: $*\"; cat /words; exit 9; }
attach() {
    mount -t ext4 -o dax=$1 /dev/pmem0 /pmem || fail \"no file system with dax=$1\"
    grep pmem /proc/mounts
}
cached() { sed -n 's/^Cached: *\\([0-9]*\\) kB$/\\1/p' /proc/meminfo; }
begin() {
    before=$(cached)
    /abide \"$@\" --engine kvm --state-dir /state </dev/null >>/pmem/console 2>/words &
    guest=$!
}
ended() {
    wait $guest
    code=$?
    cat /words
    [ $code -eq $1 ] || fail \"exit code $code, not $1\"
}
save() {
    turns=0
    until grep -q \"$2\" /pmem/console; do
        kill -0 $guest || fail \"the guest ended before it said $2\"
        [ $turns -lt 600 ] || fail \"the guest never said $2\"
        turns=$((turns + 1))
        sleep 0.2
    done
    echo \"abide-lab: cached $(($(cached) - before)) KiB\"
    /abide save web $1 --keep-memory --move --state-dir /state || fail 'not saved'
    ended 12
}
refused() {
    code=$1
    shift
    /abide \"$@\" --engine kvm --state-dir /state </dev/null >/dev/null 2>/words
    found=$?
    [ $found -eq $code ] || fail \"exit code $found, not $code\"
    sed 's/^/abide-lab: refused: /' /words
}
next() {
    echo $1 >/pmem/stage
    kexec -c -i -l /pmem/$2 --initrd=/pmem/initrd --append=\"$APPEND\" || fail 'kexec refused'
    umount /pmem || fail 'the file system is in use'
    kexec -e
}
";

fn script() -> String {
    let run = format!("--kernel /demo.img --memory {MEMORY_MIB}M");
    format!(
        "export PATH=/sbin:/bin\n\
         APPEND='{} {}'\n\
         {STAGES}\
         for module in /modules/$(uname -r)/*.ko; do insmod $module; done\n\
         mkdir /pmem\n\
         attach always\n\
         case $(cat /pmem/stage) in\n\
         0)\n\
         refused 4 run web {run} --memory-file /pmem/refused.ram\n\
         [ ! -e /pmem/refused.ram ] || fail 'a refusal left its file'\n\
         umount /pmem; attach never\n\
         begin run web {run} --memory-file /pmem/web.ram\n\
         save /pmem/first.abide 'step  4/'\n\
         next 1 newer;;\n\
         1)\n\
         begin restore /pmem/first.abide web --move\n\
         save /pmem/newer.abide 'step  8/'\n\
         next 2 first;;\n\
         2)\n\
         refused 4 restore /pmem/newer.abide web --move\n\
         umount /pmem; attach never\n\
         refused 1 restore /pmem/first.abide web\n\
         begin restore /pmem/newer.abide web --move\n\
         ended 0\n\
         cat /pmem/console;;\n\
         esac\n",
        host::APPEND,
        persistent::APPEND,
    )
}

/// What was said on each of the three kernels.
fn judged(finished: &Finished) -> Result<String> {
    let mark = "\nabide-lab: up ";
    let mut stages = finished.output.splitn(3, mark);
    let mut stage = || stages.next().context("a kernel did not come up");
    let (first, newer, last) = (stage()?, stage()?, stage()?);
    ensure!(newer.starts_with(&format!("{NEWER}.")), "another kernel than {NEWER} came up");
    for (said, words) in [
        (first, "refused: abide: memory file /pmem/refused.ram, Linux "),
        (first, "in this very memory met an abort"),
        (first, "dax=never"),
        (first, "its memory stays in its file"),
        (newer, "dax=always"),
        (newer, "memory in place"),
        (last, "in this very memory met an abort"),
        (last, "memory file /pmem/web.ram: of save "),
        (last, "memory in place"),
        (last, "demo: all 12 right"),
    ] {
        ensure!(said.contains(words), "`{words}` was not said");
    }
    for step in 1..=12 {
        let lines = last.matches(&format!("step {step:2}/12 ")).count();
        ensure!(lines == 1, "step {step} was said {lines} times");
    }
    let copied_kib = cached_kib(newer)?;
    ensure!(
        copied_kib < CACHE_KIB_MAX,
        "{copied_kib} KiB came into the page cache of a host whose guest's RAM is in place"
    );
    let cached_kib = cached_kib(first)?;
    ensure!(cached_kib > CACHE_KIB_MAX, "{cached_kib} KiB: the page cache tells nothing");
    let note = format!(
        "one machine, three kernels, all 12 steps right; {MEMORY_MIB} MiB in place, {copied_kib} \
         KiB of it cached on {NEWER}; refused with DAX on the others, and with another save's RAM"
    );
    Ok(told(note, finished))
}

fn cached_kib(said: &str) -> Result<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix("abide-lab: cached "));
    let kib = line.and_then(|line| line.strip_suffix(" KiB"));
    let kib: i64 = kib.context("the page cache was not looked at")?.parse()?;
    // Other things may have left it.
    Ok(u64::try_from(kib).unwrap_or(0))
}
