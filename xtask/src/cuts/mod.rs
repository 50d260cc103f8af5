//! `cuts`: handoffs of a running guest that are cut off, everywhere.
//!
//! Real processes of abide hand a guest over through a proxy ([`proxy`]), which loses, halves,
//! delays or doubles one of the messages, or cuts the link at any byte, or while it holds a message
//! one of the two processes is killed, or finds its disk full. What goes over TLS it cannot read,
//! and cuts at any byte. Then it is looked whether the guest is where `docs/migration.md` says
//! ([`step`]): it runs in one process and no other, by itself or once it was resolved, or it has
//! crashed, and the journals say so. The guest counts on its console: what lived twice would have
//! said a number twice, what was put back in time too, and what was lost is missing.

mod counting;
mod play;
mod proxy;
mod step;

use crate::abide::live::Abide;
use crate::tally::Count;
use crate::{abide, oracle, paths};
use anyhow::{Context, Result, ensure};
use play::Lane;
use proxy::Passed;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use step::{Case, Cut, Fault, Side, Step, Way, boundaries};

/// How many cases go on at once: they wait more than they work.
const LANES: usize = 6;
const BYTES: u64 = 1000;
const BYTES_QUICK: u64 = 50;
/// So many of them, one of this many, are cuts of TLS.
const ONE_IS_SEALED: u64 = 5;

#[derive(clap::Args)]
pub struct Arguments {
    /// Cut at fewer bytes
    #[arg(long)]
    quick: bool,
    /// At how many bytes the link is cut [default: 1000, with --quick 50]
    #[arg(long, value_name = "N")]
    bytes: Option<u64>,
    /// What they are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    let program = abide::build()?;
    let work = tempfile::tempdir_in(paths::work()?)?;
    let sockets = tempfile::tempdir()?;
    let lane = |number: usize| -> Result<Lane> {
        let folder = work.path().join(number.to_string());
        std::fs::create_dir(&folder)?;
        let place = sockets.path().join(number.to_string());
        std::fs::create_dir(&place)?;
        Lane::new(Abide { program: program.clone(), folder }, place)
    };
    let mut first = lane(0)?;
    let mut undisturbed = |way: Way| -> Result<Vec<Passed>> {
        let passed = first.undisturbed(way).context("an undisturbed handoff")?;
        check_undisturbed(&passed, way)?;
        *count += Count { passed: 1, failed: 0 };
        Ok(passed)
    };
    let default = if arguments.quick { BYTES_QUICK } else { BYTES };
    let bytes = arguments.bytes.unwrap_or(default);
    let sealed = at_sealed_bytes(&undisturbed(Way::Tls)?, bytes / ONE_IS_SEALED, arguments.seed);
    let bytes = at_bytes(&undisturbed(Way::Tcp)?, bytes, arguments.seed);
    let further = undisturbed(Way::Wide).map(|_| boundaries(Way::Wide))?;
    let by_descriptor = undisturbed(Way::Unix).map(|_| boundaries(Way::Unix))?;
    let cases = [boundaries(Way::Tcp), further, by_descriptor, bytes, sealed].concat();
    println!("{} cases, {LANES} at once", cases.len());
    let mut lanes = vec![first];
    for number in 1..LANES {
        lanes.push(lane(number)?);
    }
    let played = play_all(lanes, cases, count);
    print!("{}", table(&played));
    println!("{}", bytes_line(&played));
    if count.failed > 0 {
        let kept = work.keep();
        println!("what the processes said is in {}", kept.display());
    }
    Ok(())
}

/// An undisturbed handoff is what the document shows, step by step.
fn check_undisturbed(passed: &[Passed], way: Way) -> Result<()> {
    if way == Way::Tls {
        let is_sealed = passed.iter().all(|(_, step, _)| matches!(step, Step::Sealed(_)));
        ensure!(is_sealed && !passed.is_empty(), "{way}: {passed:?} went by");
        return Ok(());
    }
    for connection in 0..2 {
        let of_it = passed.iter().filter(|(number, ..)| *number == connection);
        let steps: Vec<Step> = of_it.map(|(_, step, _)| *step).collect();
        let expected: Vec<Step> = way.steps(connection).collect();
        ensure!(steps == expected, "{way}, {connection}: {steps:?} went by, not {expected:?}");
    }
    Ok(())
}

/// Cuts at random bytes: half of them anywhere, half of them anywhere but in the guest's memory,
/// which is most of the stream.
fn at_bytes(passed: &[Passed], count: u64, seed: u64) -> Vec<Case> {
    let anywhere = spread(passed, count.div_ceil(2), seed);
    let words: Vec<Passed> =
        passed.iter().filter(|(_, step, _)| !step.is_memory()).copied().collect();
    let elsewhere = spread(&words, count / 2, seed + 1);
    let case = |(step, at)| {
        let cut = Cut { connection: 0, step, fault: Fault::CutAt(at) };
        Case { way: Way::Tcp, before: None, cut }
    };
    anywhere.into_iter().chain(elsewhere).map(case).collect()
}

/// Cuts at random bytes of what nobody can read: half of them in what the destination says, which
/// is as long each time, half of them in the first half of what the source says, whose end is not.
fn at_sealed_bytes(passed: &[Passed], count: u64, seed: u64) -> Vec<Case> {
    let of = |side: Side, part: usize, count: u64| {
        let step = Step::Sealed(side);
        let total: usize =
            passed.iter().filter(|(_, of, _)| *of == step).map(|(.., len)| len).sum();
        let places = oracle::points(seed, count, (total / part) as u64);
        places.into_iter().map(move |at| {
            let fault = Fault::CutAt(usize::try_from(at).unwrap_or(0));
            Case { way: Way::Tls, before: None, cut: Cut { connection: 0, step, fault } }
        })
    };
    let (half, rest) = (count / 2, count.div_ceil(2));
    of(Side::Destination, 1, rest).chain(of(Side::Source, 2, half)).collect()
}

/// Places in what went by: a step, and how many of its bytes come.
fn spread(passed: &[Passed], count: u64, seed: u64) -> Vec<(Step, usize)> {
    let total: usize = passed.iter().map(|(.., len)| len).sum();
    let places = oracle::points(seed, count, total as u64);
    let place = |at: u64| {
        let mut left = usize::try_from(at).unwrap_or(0);
        for &(_, step, len) in passed {
            if left < len {
                return Some((step, left));
            }
            left -= len;
        }
        None
    };
    places.into_iter().filter_map(place).collect()
}

/// A case that was played, and whether it went as it had to.
type Played = (Case, bool);

fn play_all(lanes: Vec<Lane>, cases: Vec<Case>, count: &mut Count) -> Vec<Played> {
    let queue = Mutex::new(VecDeque::from(cases));
    let done = Mutex::new((Vec::new(), count));
    let note = |case: Option<Case>, what: &str, result: Result<String>| {
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        *done.1 += Count::one(result.is_ok());
        let is_right = result.is_ok();
        match result {
            Ok(told) if case.is_none() => println!("{what}: {told}"),
            Ok(_) => {}
            Err(error) => println!("FAILED: {what}: {error:#}"),
        }
        done.0.extend(case.map(|case| (case, is_right)));
    };
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    thread::scope(|scope| {
        for mut lane in lanes {
            let (next, note) = (&next, &note);
            scope.spawn(move || {
                while let Some(case) = next() {
                    let result = lane.play(&case).map(|()| String::new());
                    let what = case.to_string();
                    note(Some(case), &what, result);
                }
                let told = |moves| format!("its memory is intact after {moves} handoffs");
                note(None, "the last guest", lane.end().map(told));
            });
        }
    });
    let (played, _) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    played
}

/// What became of the guest, by step and fault.
fn table(played: &[Played]) -> String {
    let mut text = String::new();
    for way in [Way::Tcp, Way::Wide, Way::Unix] {
        let head: String = Fault::ALL.iter().map(|fault| format!(" {fault:<13}")).collect();
        text += &format!("\n{:<31}{head}\n", format!("{way}, at"));
        let mut rows: Vec<(Option<Step>, Step)> = Vec::new();
        let of_way =
            |(case, _): &&Played| case.way == way && !matches!(case.cut.fault, Fault::CutAt(_));
        for (case, _) in played.iter().filter(of_way) {
            rows.push((case.before.map(|before| before.step), case.cut.step));
        }
        rows.sort();
        rows.dedup();
        for (before, step) in rows {
            let lost = before.map_or_else(String::new, |before| format!("{before} lost, "));
            text += &format!("{:<31}", format!("{lost}{step}"));
            for fault in Fault::ALL {
                let is_cell = |(case, _): &&Played| {
                    let place = (case.before.map(|before| before.step), case.cut.step);
                    place == (before, step) && case.cut.fault == fault
                };
                let cell = played.iter().filter(of_way).find(is_cell);
                text += &match cell {
                    Some((case, true)) => format!(" {:<13}", case.becomes()),
                    Some((_, false)) => format!(" {:<13}", "FAILED"),
                    None => format!(" {:<13}", ""),
                };
            }
            text = text.trim_end().to_owned() + "\n";
        }
    }
    text
}

fn bytes_line(played: &[Played]) -> String {
    let is_byte = |(case, _): &&Played| matches!(case.cut.fault, Fault::CutAt(_));
    let (mut right, mut wrong) = (0, 0);
    for (_, is_right) in played.iter().filter(is_byte) {
        *if *is_right { &mut right } else { &mut wrong } += 1;
    }
    let sealed = played.iter().filter(|(case, _)| case.way == Way::Tls).count();
    format!(
        "\ncut at {} random bytes, {sealed} of them of TLS: {right} as it should be, {wrong} not",
        right + wrong
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_in_what_went_by() {
        let passed = [(0, Step::Hello, 10), (0, Step::FirstMemory, 1000), (0, Step::Farewell, 5)];
        let cases = at_bytes(&passed, 100, 1);
        assert_eq!(cases.len(), 100);
        for case in &cases {
            let Fault::CutAt(at) = case.cut.fault else { panic!("{case}") };
            let len = passed.iter().find(|(_, step, _)| *step == case.cut.step).unwrap().2;
            assert!(at < len, "{case}");
        }
        let words = cases.iter().filter(|case| !case.cut.step.is_memory()).count();
        assert!(words >= 50, "{words}");
    }

    #[test]
    fn table_shows_what_failed() {
        let [tcp, unix] = [Way::Tcp, Way::Unix].map(boundaries);
        let played: Vec<Played> =
            tcp.into_iter().map(|case| (case, true)).chain([(unix[0].clone(), false)]).collect();
        let text = table(&played);
        assert_eq!(text.matches("FAILED").count(), 1);
        assert!(text.contains("comes back") && text.contains("commit lost, hello"), "{text}");
    }
}
