//! Guests that are born on the KVM of a host, saved in the middle, and restored there.

use super::cells::{Built, WORDS, told};
use super::host::{Errand, File, Host, tail};
use crate::abide::{self, Linux, POWERED_OFF, SAVED_AWAY};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;

/// The guest boots on an emulated CPU that emulates it.
const LIMIT: Duration = Duration::from_secs(480);
const VCPUS: u32 = 2;

/// Two vCPUs, a disk and a source of random bits; the console of the whole life must be that of a
/// guest which was never touched.
pub fn saved_and_restored(host: &Host, built: &Built, show: bool) -> Result<String> {
    let files = [
        File::program("abide", fs::read(&built.program_for_arm)?),
        File::data("kernel", fs::read(&built.linux.kernel)?),
        File::data("initrd", fs::read(&built.linux.initrd)?),
    ];
    let script = script();
    let errand = Errand { files: &files, script: &script, brings: false, limit: LIMIT, show };
    let finished = host.run(&errand)?;
    ensure!(
        finished.code == POWERED_OFF,
        "exit code {}\n{}",
        finished.code,
        tail(&finished.output)
    );
    let (console, words) =
        finished.output.split_once(WORDS).context("abide's words are missing")?;
    for word in ["saved to /guest.abide", "registers written and read back"] {
        ensure!(words.contains(word), "`{word}` was not said\n{}", tail(words));
    }
    let expected = String::from_utf8_lossy(&built.untouched.console);
    ensure!(
        abide::lines_of_init(console) == abide::lines_of_init(&expected)
            && !abide::lines_of_init(console).is_empty(),
        "the guest's init said something else than on the software engine\n{}",
        tail(console)
    );
    Ok(told(format!("{VCPUS} vCPUs, born on KVM, saved and restored there"), &finished))
}

fn script() -> String {
    format!(
        "truncate -s 16M /disk\n\
         /abide run guest --engine kvm --kernel /kernel --initrd /initrd --append '{}' \
         --memory {}M --vcpus {VCPUS} --rng --disk /disk --state-dir /state \
         </dev/null >/console 2>/words &\n\
         run=$!\n\
         until grep -q 'round 2/' /console; do kill -0 $run || break; sleep 0.2; done\n\
         /abide save guest /guest.abide --state-dir /state 2>>/words\n\
         wait $run\n\
         code=$?\n\
         if [ $code -eq {SAVED_AWAY} ]; then\n\
         /abide restore /guest.abide --engine kvm --state-dir /state \
         </dev/null >>/console 2>>/words\n\
         code=$?\n\
         fi\n\
         cat /console\n\
         printf '\\nabide-lab: words\\n'\n\
         cat /words\n\
         exit $code\n",
        Linux::APPEND,
        Linux::MEMORY_MIB,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_prints_the_mark_that_is_looked_for() {
        assert!(script().contains(WORDS.trim()));
    }
}
