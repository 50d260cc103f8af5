//! Instructions on the software engine against recorded results.
//!
//! For each [`Group`] of instructions, `vectors/<group>/results.txt` holds, for some cases of each
//! line of the decode table, all that they changed; `digests.txt` holds a digest for each 32 of
//! many more. Inputs are in neither file: `vectors/cases.rs` makes them. The recorder,
//! `../recorder`, ran the same cases on QEMU's emulation of a Cortex-A57 (the base set) and of a
//! Neoverse-N1 (all else):
//!
//! ```text
//! cargo xtask vectors --group simd          # records one group anew; all without --group
//! cargo xtask vectors --check               # records all, compares with the committed files
//! cargo xtask vectors --show 0e000c00/bfe0fc00 --first 3072 --count 32   # behind a digest
//! cargo test -p abide-engine-soft --test vectors simd                   # replays one group
//! ```
//!
//! Each line of the table is recorded, so one that the engine decodes and does not execute fails.
//! After a change of lines in the table, record their group. A line whose words need operands of a
//! shape of its own (memory, aligned or unequal registers) needs a `Family` in `vectors/cases.rs`;
//! a new group needs a line in each `match` of `vectors/groups.rs` and one in `groups!` below.

#[path = "vectors/board.rs"]
mod board;
#[path = "vectors/cases.rs"]
mod cases;
#[path = "vectors/groups.rs"]
mod groups;
#[path = "vectors/half.rs"]
mod half;
#[path = "vectors/operands.rs"]
mod operands;
#[path = "vectors/programs.rs"]
mod programs;
#[path = "vectors/rng.rs"]
mod rng;
#[path = "vectors/text.rs"]
mod text;

use std::collections::BTreeSet;
use std::path::Path;

use abide_arm64::SysReg;
use abide_engine_soft::cpu_model::{CpuModel, PORTABLE};
use abide_engine_soft::decode::entries;
use board::{Board, Level};
use cases::{BLOCK, End, FCVTZS_HALF, Family, Line, Outcome, lines};
use groups::Group;
use text::{Digest, heading, inputs, row};

/// A recorded file of a group: `results` or `digests`.
fn file(group: Group, name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(group.name());
    let path = folder.join(name).with_extension("txt");
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        let name = group.name();
        panic!("{}: {error}; record it by `cargo xtask vectors --group {name}`", path.display())
    })
}

/// What a Neoverse-N1 shows of its instructions.
static NEOVERSE_N1: CpuModel = CpuModel {
    name: "vectors",
    registers: &[
        // CTR_EL0, as of the other models.
        (SysReg::new(3, 3, 0, 0, 1), 0x8444_c004),
        // ID_AA64PFR0_EL1: Advanced SIMD and floating point with FP16, AArch64 at EL1 and EL0.
        (SysReg::new(3, 0, 0, 4, 0), 0x1000_0000_0111_0011),
        // ID_AA64ISAR0_EL1: DP, RDM, Atomic, CRC32, SHA2, SHA1, AES with PMULL.
        (SysReg::new(3, 0, 0, 6, 0), 0x0000_1000_1021_1120),
        // ID_AA64ISAR1_EL1: LRCPC, DPB.
        (SysReg::new(3, 0, 0, 6, 1), 0x0010_0001),
        // ID_AA64MMFR0_EL1: 4 KiB granule, 40-bit physical addresses.
        (SysReg::new(3, 0, 0, 7, 0), 0x0f00_0022),
    ],
};

/// The CPU on which a group is replayed.
const fn model(group: Group) -> &'static CpuModel {
    match group {
        Group::Base => &PORTABLE,
        _ => &NEOVERSE_N1,
    }
}

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

fn compare_results(group: Group, level: Level) {
    let results = file(group, "results");
    let mut board = Board::new(level, model(group));
    let mut wrong = Vec::new();
    for line in lines(group).iter().filter(|line| line.full_cases() > 0) {
        let expected = recorded(&results, &heading(line));
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
fn compare_digests(group: Group, level: Level) {
    let digests = file(group, "digests");
    let mut board = Board::new(level, model(group));
    let mut wrong = Vec::new();
    for line in lines(group) {
        let expected = recorded(&digests, &heading(&line));
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
    let hint = format!("compare with `xtask vectors --show {id} --first {first} --count {BLOCK}`");
    format!("{name}: cases from {first}; {hint}\n{rows}")
}

/// The tests of each group, in a module of its name.
macro_rules! groups {
    ($($module:ident $group:ident;)+) => {$(
        mod $module {
            use super::{Group, Level, compare_digests, compare_results};

            #[test]
            fn results_at_el0_are_the_recorded_ones() {
                compare_results(Group::$group, Level::El0);
            }

            #[test]
            fn results_at_el1_are_the_recorded_ones() {
                compare_results(Group::$group, Level::El1);
            }

            #[test]
            fn digests_at_el0_are_the_recorded_ones() {
                compare_digests(Group::$group, Level::El0);
            }

            #[test]
            fn digests_at_el1_are_the_recorded_ones() {
                compare_digests(Group::$group, Level::El1);
            }
        }
    )+

    /// No group is without tests.
    #[test]
    fn every_group_is_replayed() {
        assert_eq!([$(Group::$group),+], Group::ALL);
    }};
}

groups! {
    base Base;
    scalar_fp ScalarFp;
    simd Simd;
    simd_fp SimdFp;
    structures Structures;
    atomic Atomic;
    crypto Crypto;
}

/// Where a slice ends changes nothing.
#[test]
fn slices_of_any_length_have_the_same_digests() {
    let digests = file(Group::Base, "digests");
    let mut board = Board::new(Level::El0, model(Group::Base));
    let lines = lines(Group::Base);
    let several =
        lines.iter().filter(|line| matches!(line.family, Family::Neighbours | Family::Program));
    for line in several {
        let expected = recorded(&digests, &heading(line));
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
    for group in Group::ALL {
        let known: Vec<String> = lines(group).iter().map(heading).collect();
        let digests = file(group, "digests");
        let digested: Vec<&str> = digests.lines().filter(|row| is_heading(row)).collect();
        let name = group.name();
        assert_eq!(known, digested, "record them by `cargo xtask vectors --group {name}`");
    }
    let reasons: BTreeSet<&str> =
        entries().filter_map(|entry| cases::family(entry).err()).collect();
    assert_eq!(reasons.len(), 7, "{reasons:?}");
    let tried = entries().filter(|entry| cases::family(entry).is_ok()).count();
    assert!(tried > 400, "{tried} lines");
}

/// The one instruction of which no results are recorded does what its vector form, of which there
/// are, does to the first element, and clears all others.
#[test]
fn fcvtzs_of_one_half_precision_element_is_that_of_the_first() {
    let mut board = Board::new(Level::El0, model(Group::SimdFp));
    let lines = lines(Group::SimdFp);
    let vector = lines.iter().find(|line| line.value == 0x0f10_fc00).unwrap();
    for mut case in (0..2_000).map(|index| vector.case(index)) {
        let d = case.words[0] as usize & 31;
        let first = board.run(&case).after.v[d] & 0xffff;
        case.words[0] = FCVTZS_HALF.word(case.words[0]);
        let found = board.run(&case).after;
        assert_eq!(found.v[d], first, "{}", inputs(&case));
    }
}

/// Each bit of a result counts.
#[test]
fn a_wrong_bit_is_noticed() {
    let line = &lines(Group::Base)[2];
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
