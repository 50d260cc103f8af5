//! What a guest wrote, as each kernel tells it: by dirty rings where it has them, and by a bitmap.

use super::host::{Errand, File, Host, tail};
use crate::abide;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;

/// The hosts after the first, and whether each has dirty rings: they came to arm64 with Linux 6.2.
const OTHERS: [&str; 2] = ["6.12", "7.2"];
const WITHOUT_RINGS: [&str; 1] = ["6.1"];
/// The example compares with what the guest is known to have written; its other parts come along.
const SCRIPT: &str = "/kvm_probe guest pair dirty walk 2>&1\n";
const LIMIT: Duration = Duration::from_secs(400);

/// Each host tells what was written, to the page.
///
/// # Errors
/// If it does not, or has another log than it is known to have.
pub fn compared(first: &Host, show: bool) -> Result<String> {
    let program = fs::read(abide::build_example_for_arm("kvm_probe")?)?;
    let files = [File::program("kvm_probe", program)];
    let others = OTHERS.map(|series| Host::debian(series, &first.cpu));
    let mut notes = Vec::new();
    for host in std::iter::once(first).chain(&others) {
        let finished =
            host.run(&Errand { files: &files, script: SCRIPT, brings: false, limit: LIMIT, show })?;
        let said = &finished.output;
        ensure!(finished.code == 0, "exit code {} on {host}\n{}", finished.code, tail(said));
        let note = judged(said).with_context(|| format!("{host}\n{}", tail(said)))?;
        let known = OTHERS.iter().chain(&WITHOUT_RINGS).find(|series| is_of(host, series));
        if let Some(series) = known {
            let expected = !WITHOUT_RINGS.contains(series);
            ensure!(note.has_rings == expected, "{host}: rings: {}", note.has_rings);
        }
        notes.push(format!("{}: {}", host.kernel, note.words()));
    }
    Ok(notes.join("; "))
}

fn is_of(host: &Host, series: &str) -> bool {
    host.kernel == super::host::Kernel::Series(series.to_owned())
}

/// What one host said.
#[derive(Debug)]
struct Note {
    has_rings: bool,
    by_rings: usize,
    by_bitmap: usize,
}

impl Note {
    fn words(&self) -> String {
        let Self { has_rings, by_rings, by_bitmap } = self;
        let bitmap = format!("{by_bitmap} sets of pages right by the bitmap");
        if *has_rings {
            format!("{bitmap}, {by_rings} by dirty rings")
        } else {
            format!("{bitmap}; no dirty rings")
        }
    }
}

fn judged(said: &str) -> Result<Note> {
    let ok: Vec<&str> =
        said.lines().filter_map(|line| line.trim_end().strip_prefix("ok   ")).collect();
    let sets = |name: &str| ok.iter().filter(|line| line.starts_with(name)).count();
    let has = said.lines().find_map(|line| line.trim().strip_prefix("dirty rings: "));
    let has_rings =
        has.context("it did not say whether there are dirty rings")?.trim_end() == "yes";
    let note = Note { has_rings, by_rings: sets("rings, "), by_bitmap: sets("bitmap, ") };
    let expected = if has_rings { SETS } else { 0 };
    ensure!(note.by_bitmap == SETS && note.by_rings == expected, "{note:?}, {SETS} sets expected");
    Ok(note)
}

/// How many sets of pages the example compares by each way.
const SETS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rings: &str, by_rings: usize, by_bitmap: usize) -> String {
        format!("     dirty rings: {rings}\r\n")
            + &"ok   rings, many: (1, 0, 0)\r\n".repeat(by_rings)
            + &"ok   bitmap, many: (1, 0, 0)\r\n".repeat(by_bitmap)
    }

    #[test]
    fn a_set_that_was_not_compared_is_noticed() {
        assert!(judged(&said("yes", SETS, SETS)).unwrap().has_rings);
        assert!(!judged(&said("no: this kernel has none", 0, SETS)).unwrap().has_rings);
        assert!(judged(&said("yes", SETS - 1, SETS)).is_err());
        assert!(judged(&said("yes", SETS, 0)).is_err());
        assert!(judged("").is_err());
    }
}
