//! Instructions on the software engine against results recorded from a Cortex-A57.
//!
//! `vectors/results.txt` holds, for some cases of each line of the decode table, all that they
//! changed; `vectors/digests.txt` holds a digest for each 32 of many more. Inputs are in neither
//! file: `vectors/cases.rs` makes them. The recorder, `../recorder`, ran the same cases on QEMU's
//! emulation of a Cortex-A57; its `main.rs` tells how to record anew, and how to print the results
//! behind a digest.

#[path = "vectors/board.rs"]
mod board;
#[path = "vectors/cases.rs"]
mod cases;
#[path = "vectors/programs.rs"]
mod programs;
#[path = "vectors/rng.rs"]
mod rng;
#[path = "vectors/text.rs"]
mod text;

use std::collections::BTreeSet;

use abide_engine_soft::decode::entries;
use board::{Board, Level};
use cases::{BLOCK, End, Family, Line, Outcome, lines};
use text::{Digest, heading, inputs, row};

const RESULTS: &str = include_str!("vectors/results.txt");
const DIGESTS: &str = include_str!("vectors/digests.txt");

/// The rows of a line that follow its heading in a recorded file.
fn recorded<'a>(file: &'a str, heading: &str) -> Vec<&'a str> {
    let mut rows = file.lines();
    assert!(rows.any(|row| row == heading), "nothing is recorded for {heading}");
    rows.take_while(|row| !is_heading(row)).collect()
}

fn is_heading(row: &str) -> bool {
    row.split(' ').next().is_some_and(|first| first.contains('/'))
}

fn fail(wrong: &[String]) {
    let shown = &wrong[..wrong.len().min(40)];
    assert!(wrong.is_empty(), "{} lines are wrong:\n{}", wrong.len(), shown.join("\n"));
}

fn compare_results(level: Level) {
    let mut board = Board::new(level);
    let mut wrong = Vec::new();
    for line in lines().iter().filter(|line| line.full_cases() > 0) {
        let expected = recorded(RESULTS, &heading(line));
        assert_eq!(expected.len() as u64, line.full_cases(), "{}", heading(line));
        for (index, expected) in (0..).zip(expected) {
            let case = line.case(index);
            let found = row(&case, &board.run(&case));
            if found != expected {
                let (name, inputs) = (heading(line), inputs(&case));
                wrong.push(format!("{name}\n expected {expected}\n found    {found}\n {inputs}"));
                break;
            }
        }
    }
    fail(&wrong);
}

/// Runs every second block of each line, so that the blocks at EL0 and at EL1 are all of them.
fn compare_digests(level: Level) {
    let mut board = Board::new(level);
    let mut wrong = Vec::new();
    for line in lines() {
        let expected = recorded(DIGESTS, &heading(&line));
        let expected: Vec<&str> = expected.iter().flat_map(|row| row.split(' ')).collect();
        assert_eq!(expected.len() as u64, line.blocks(), "{}", heading(&line));
        let blocks = (0..).zip(expected).skip(usize::from(level == Level::El1)).step_by(2);
        for (block, expected) in blocks {
            if text::block_digest(&line, block, |case| board.run(case)) != expected {
                wrong.push(describe(&line, block, &mut board));
                break;
            }
        }
    }
    fail(&wrong);
}

fn describe(line: &Line, block: u64, board: &mut Board) -> String {
    let first = block * BLOCK;
    let rows = (first..first + BLOCK).map(|index| {
        let case = line.case(index);
        format!("    {}\n", row(&case, &board.run(&case)))
    });
    let (name, rows) = (heading(line), rows.collect::<String>());
    let id = name.split(' ').next().unwrap_or_default();
    let hint = format!("compare with the recorder's `show {id} {first} {BLOCK}`");
    format!("{name}: cases from {first}; {hint}\n{rows}")
}

#[test]
fn results_at_el0_are_those_of_a_cortex_a57() {
    compare_results(Level::El0);
}

#[test]
fn results_at_el1_are_those_of_a_cortex_a57() {
    compare_results(Level::El1);
}

#[test]
fn digests_at_el0_are_those_of_a_cortex_a57() {
    compare_digests(Level::El0);
}

#[test]
fn digests_at_el1_are_those_of_a_cortex_a57() {
    compare_digests(Level::El1);
}

/// Where a slice ends changes nothing.
#[test]
fn slices_of_any_length_have_the_same_digests() {
    let mut board = Board::new(Level::El0);
    let lines = lines();
    let several =
        lines.iter().filter(|line| matches!(line.family, Family::Neighbours | Family::Program));
    for line in several {
        let expected = recorded(DIGESTS, &heading(line));
        let expected = expected.iter().flat_map(|row| row.split(' '));
        for (block, expected) in (0..).zip(expected).take(64) {
            let run = |case: &_| board.run_in_slices(case, 1 + block % 9);
            assert_eq!(text::block_digest(line, block, run), expected, "{}", heading(line));
        }
    }
}

/// No line of the decode table is left out without a reason, no recorded line is left over.
#[test]
fn every_line_of_the_table_is_recorded() {
    let known: BTreeSet<String> = lines().iter().map(heading).collect();
    let digested: BTreeSet<String> =
        DIGESTS.lines().filter(|row| is_heading(row)).map(str::to_owned).collect();
    assert_eq!(known, digested);
    let reasons: BTreeSet<&str> =
        entries().filter_map(|entry| cases::family(entry).err()).collect();
    assert_eq!(reasons.len(), 7, "{reasons:?}");
    let tried = entries().filter(|entry| cases::family(entry).is_ok()).count();
    assert!(tried > 400, "{tried} lines");
}

/// Each bit of a result counts.
#[test]
fn a_wrong_bit_is_noticed() {
    let line = &lines()[2];
    let case = line.case(0);
    let right = || Outcome { end: End::Break, pc: case.at + 4, after: case.before.clone() };
    let forms = |outcome: &Outcome| {
        let mut digest = Digest::default();
        digest.add(&case, outcome);
        (row(&case, outcome), digest.text())
    };
    let expected = forms(&right());
    let assert_noticed = |spoil: &dyn Fn(&mut Outcome)| {
        let mut wrong = right();
        spoil(&mut wrong);
        let found = forms(&wrong);
        assert!(found.0 != expected.0 && found.1 != expected.1, "{found:?}");
    };
    for bit in 0..64 {
        for x in 0..31 {
            assert_noticed(&|outcome| outcome.after.x[x] ^= 1 << bit);
        }
        assert_noticed(&|outcome| outcome.after.sp ^= 1 << bit);
        assert_noticed(&|outcome| outcome.pc ^= 1 << bit);
    }
    for flag in 28..32 {
        assert_noticed(&|outcome| outcome.after.nzcv ^= 1 << flag);
    }
    for byte in 0..cases::WINDOW_SIZE {
        assert_noticed(&|outcome| outcome.after.memory[byte] ^= 1);
    }
    assert_noticed(&|outcome| outcome.end = End::Undefined);
}
