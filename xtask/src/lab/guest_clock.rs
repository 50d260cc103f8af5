//! The page of time on KVM, as its guest meets it: what it writes there is refused as on the
//! software engine, and its first reading on each host is held against that host's clock.

use super::Arguments;
use super::host::{Errand, File, Host, tail};
use crate::abide;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;

/// The hosts after the first.
const WAY: [&str; 3] = ["6.12", "7.2", "6.1"];
/// Restores, clones and moves on each host: whole, and where it must be short.
const ROUNDS: usize = 20;
const ROUNDS_SHORT: usize = 5;
/// What each next host's clock is ahead of the one before: so much that no reading of another
/// host's time can be taken for one of its own.
const APART_S: i64 = 100_000;
const LIMIT: Duration = Duration::from_secs(600);

/// The example judges; here the guest is carried from host to host.
///
/// # Errors
/// If it found something wrong, or said less than it must.
pub fn tour(birth: &Host, arguments: &Arguments) -> Result<String> {
    let program = fs::read(abide::build_example_for_arm("guest_clock")?)?;
    let rounds = arguments.rounds(ROUNDS, ROUNDS_SHORT);
    let hosts: Vec<Host> = std::iter::once(birth.clone())
        .chain(WAY.map(|series| Host::debian(series, &birth.cpu)))
        .collect();
    let (mut file, mut notes) = (None, Vec::new());
    for (offset_s, host) in (0..).step_by(usize::try_from(APART_S)?).zip(&hosts) {
        let (next, note) = stay(host, (&program, rounds), file.take(), offset_s, arguments.show)
            .with_context(|| host.to_string())?;
        notes.push(format!("{}: {note}", host.kernel));
        file = Some(next);
    }
    Ok(notes.join("; "))
}

/// One host: the file that the guest leaves in, and what is worth telling.
fn stay(
    host: &Host,
    (program, rounds): (&[u8], usize),
    file: Option<Vec<u8>>,
    offset_s: i64,
    show: bool,
) -> Result<(Vec<u8>, String)> {
    let mut files = vec![File::program("guest_clock", program.to_vec())];
    let from = if file.is_some() { "/came.abide" } else { "-" };
    files.extend(file.map(|file| File::data("came.abide", file)));
    let script = format!(
        "/guest_clock page soft kvm 2>&1 || exit 1\n\
         /guest_clock time kvm {offset_s}000000000 {rounds} {from} /out/gone.abide 2>&1\n"
    );
    let errand = Errand { files: &files, script: &script, brings: true, limit: LIMIT, show };
    let finished = host.run(&errand)?;
    let said = &finished.output;
    ensure!(finished.code == 0, "exit code {}\n{}", finished.code, tail(said));
    let note = judged(said, rounds).with_context(|| tail(said))?;
    Ok((finished.file("gone.abide")?, note))
}

/// What the example said, once nothing is missing in it.
fn judged(said: &str, rounds: usize) -> Result<String> {
    let ok: Vec<&str> =
        said.lines().filter_map(|line| line.trim_end().strip_prefix("ok   ")).collect();
    let writes = |engine: &str| ok.iter().filter(|line| line.starts_with(engine)).count();
    let (soft, kvm) = (writes("soft "), writes("kvm "));
    ensure!(soft == kvm && soft >= STORES, "{soft} ways to write on soft, {kvm} on kvm");
    for way in ["restore", "clone", "move"] {
        let lives = format!("{way}: {rounds} lives, ");
        ensure!(ok.iter().any(|line| line.starts_with(&lives)), "no `{lives}`");
    }
    let of_restores = ok.iter().find_map(|line| line.strip_prefix("restore: "));
    let (_, first) = of_restores.and_then(|line| line.split_once("; ")).context("no reading")?;
    Ok(format!("{soft} ways to write refused as on soft, {} lives, {first}", 3 * rounds))
}

/// At least so many ways to write there are.
const STORES: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kvm: usize, clones: usize) -> String {
        let lines = |engine: &str, count| format!("ok   {engine} str: refused\r\n").repeat(count);
        let lives =
            |way: &str, count| format!("ok   {way}: {count} lives, 9 readings; the first\r\n");
        lines("soft", 18)
            + &lines("kvm", kvm)
            + &lives("restore", ROUNDS)
            + &lives("clone", clones)
            + &lives("move", ROUNDS)
    }

    #[test]
    fn what_is_missing_is_noticed() {
        judged(&said(18, ROUNDS), ROUNDS).unwrap();
        assert!(judged(&said(17, ROUNDS), ROUNDS).is_err());
        assert!(judged(&said(18, ROUNDS - 1), ROUNDS).is_err());
        assert!(judged("", ROUNDS).is_err());
    }
}
