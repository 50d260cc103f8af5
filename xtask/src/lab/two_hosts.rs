//! A guest goes from one running host to another, over the wire between them.

use super::console::WAIT;
use super::host::{File, Host, tail};
use super::wire::{self, End, Side};
use crate::abide;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;

/// Where the guest goes.
const OTHER: &str = "7.2";
/// Two hosts on one machine, each with a guest, all emulated.
const LIMIT: Duration = Duration::from_secs(420);

/// What the first host says when the wire is to be cut at the other's end, and mended.
const CUT: &str = "abide-lab: cut";
const MEND: &str = "abide-lab: mend";

/// The guest is born, works, and is saved. It is on no host when the wire is cut; once that is
/// mended, its file travels.
const FIRST: &str = "\
wait_until reachable
/abide run web --engine kvm --kernel /demo.img --memory 64M --state-dir /state \\
    </dev/null >/console 2>/words &
guest=$!
said() { grep -q \"$1\" /console || ! kill -0 $guest; }
wait_until said 'step  4/'
/abide save web /web.abide --state-dir /state || { cat /words; exit 8; }
wait $guest
[ $? -eq 12 ] || { cat /words; exit 7; }
echo 'abide-lab: cut'
unreachable() { ! reachable; }
wait_until unreachable
echo \"abide-lab: carrier $(cat /sys/class/net/eth0/carrier)\"
echo 'abide-lab: mend'
wait_until reachable
send() { nc -w 5 $PEER 7000 </web.abide; }
wait_until send
cat /console
nc -l -p 7001
";

/// The guest comes, goes on to its end, and what it said is told back.
const SECOND: &str = "\
nc -l -p 7000 >/web.abide
/abide restore /web.abide --engine kvm --state-dir /state </dev/null >/console 2>/words
code=$?
{ cat /console; echo \"abide-lab: code $code\"; cat /words; } >/told
tell() { nc -w 5 $PEER 7001 </told; }
wait_until tell
";

/// The guest of one host ends on the other, while both run.
///
/// # Errors
/// If it does not, or the wire could not be cut.
pub fn by_wire(birth: &Host, show: bool) -> Result<String> {
    let other = Host::debian(OTHER, &birth.cpu);
    let program = fs::read(abide::build_for_arm()?)?;
    let here = [File::program("abide", program.clone()), File::data("demo.img", guests::demo()?)];
    let there = [File::program("abide", program)];
    let (first, second) = (format!("{WAIT}{FIRST}"), format!("{WAIT}{SECOND}"));
    let mut events = Vec::new();
    let ends = [
        End { host: birth, files: &here, script: &first, brings: false, shared_disk: None },
        End { host: &other, files: &there, script: &second, brings: false, shared_disk: None },
    ];
    let [from, to] = wire::run(ends, LIMIT, show, |wire, side, line| {
        match (side, line.trim()) {
            (Side::First, CUT) => wire.cut(Side::Second)?,
            (Side::First, MEND) => wire.mend(Side::Second)?,
            _ => return Ok(()),
        }
        events.push(line.trim().to_owned());
        Ok(())
    })?;
    let both = || format!("{}\n--- the other:\n{}", tail(&from.output), tail(&to.output));
    ensure!(from.code == 0 && to.code == 0, "exit codes {}, {}\n{}", from.code, to.code, both());
    judged(&from.output).with_context(both)?;
    ensure!(events == [CUT, MEND], "the wire saw {events:?}");
    let hosts = format!("{} → {}", birth.kernel, other.kernel);
    Ok(format!("{hosts}: both run, wire cut and mended, all 12 steps right as told back"))
}

fn judged(said: &str) -> Result<()> {
    for words in [
        // Cut at the other end, so nothing but silence tells.
        "abide-lab: carrier 1",
        "demo: all 12 right",
        "abide-lab: code 0",
        "registers written and read back",
    ] {
        ensure!(said.contains(words), "`{words}` was not said");
    }
    for step in 1..=12 {
        let lines = said.matches(&format!("step {step:2}/12 ")).count();
        ensure!(lines == 1, "step {step} was said {lines} times");
    }
    Ok(())
}
