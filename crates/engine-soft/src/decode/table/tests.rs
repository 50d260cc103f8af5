//! The table is a partition of all instruction words, and the index finds its lines.
//!
//! Proved by arithmetic on cubes, exactly and for all 2^32 words. Mutated tables show that the
//! proof notices.

use super::super::kind::{Atomic, Feature, Simd};
use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a table, with a word that shows it.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// No line claims the word.
    Hole(u32),
    /// Two lines claim the word.
    Overlap(u32),
}

/// The words of a line as cubes of which no two meet.
fn cubes(line: &Entry) -> Vec<Cube> {
    line.except().iter().fold(vec![line.pattern()], |cubes, except| {
        cubes.into_iter().flat_map(|cube| cube.minus(*except)).collect()
    })
}

/// A word that two lines share.
fn shared_word(one: &[Cube], other: &[Cube]) -> Option<u32> {
    one.iter().find_map(|a| other.iter().find(|b| a.meets(**b)).map(|b| a.value() | b.value()))
}

/// Whether every word is claimed by exactly one line: no two lines meet, and nothing is left of
/// the set of all words when all lines are taken away.
fn check(lines: &[Vec<Cube>]) -> Result<(), Fault> {
    for (at, one) in lines.iter().enumerate() {
        for other in &lines[..at] {
            if let Some(word) = shared_word(one, other) {
                return Err(Fault::Overlap(word));
            }
        }
    }
    let rest = lines.iter().flatten().fold(vec![Cube::ALL], |mut rest, cube| {
        let cut: Vec<_> = rest.extract_if(.., |left| left.meets(*cube)).collect();
        rest.extend(cut.into_iter().flat_map(|left| left.minus(*cube)));
        rest
    });
    rest.first().map_or(Ok(()), |cube| Err(Fault::Hole(cube.value())))
}

fn table() -> Vec<Vec<Cube>> {
    entries().map(cubes).collect()
}

#[test]
fn every_word_is_claimed_by_exactly_one_line() {
    let table = table();
    assert_eq!(check(&table), Ok(()));
    // The same again by counting, which shares no step with the subtraction above.
    let words: u64 = table.iter().flatten().map(|cube| cube.word_count()).sum();
    assert_eq!(words, 1 << 32);
}

#[test]
fn a_missing_line_is_noticed() {
    let whole = table();
    for (number, line) in whole.iter().enumerate() {
        assert!(!line.is_empty(), "line {number} claims nothing");
    }
    for removed in (0..whole.len()).step_by(101) {
        let mut table = whole.clone();
        let line = table.remove(removed);
        let Err(Fault::Hole(word)) = check(&table) else { panic!("line {removed} is not missed") };
        assert!(line.iter().any(|cube| cube.contains(word)));
    }
}

#[test]
fn a_line_written_twice_is_noticed() {
    let whole = table();
    for doubled in (0..whole.len()).step_by(37) {
        let mut table = whole.clone();
        table.insert(0, whole[doubled].clone());
        let Err(Fault::Overlap(word)) = check(&table) else {
            panic!("line {doubled} twice is not")
        };
        assert!(whole[doubled].iter().any(|cube| cube.contains(word)));
    }
}

/// Any fixed bit of any line, written the other way round: the line then meets another one, as
/// all words were taken.
#[test]
fn a_wrong_bit_is_noticed() {
    let whole = table();
    let mut mutants = 0_u32;
    for (at, line) in entries().enumerate() {
        for bit in (0..32).map(|number| 1_u32 << number) {
            if line.pattern().mask() & bit == 0 {
                continue;
            }
            let wrong = [flipped(line.pattern(), bit)];
            let noticed = whole
                .iter()
                .enumerate()
                .any(|(other, cubes)| other != at && shared_word(&wrong, cubes).is_some());
            assert!(noticed, "line {at} with bit mask {bit:#x} flipped");
            mutants += 1;
        }
    }
    assert!(mutants > 5_000, "only {mutants} mutants");
}

/// The pattern with one fixed bit inverted.
fn flipped(pattern: Cube, bit: u32) -> Cube {
    let text: String = (0..32)
        .rev()
        .map(|number| match (pattern.mask() >> number & 1, pattern.value() >> number & 1) {
            (0, _) => 'x',
            (_, value) if (value == 1) == (bit >> number & 1 == 0) => '1',
            _ => '0',
        })
        .collect();
    Cube::parse(&text)
}

/// An exception outside of all the lines that have it would be a slip of the pen. (Lines may share
/// a list of which some is about others.)
#[test]
fn every_exception_takes_something_away() {
    let mut excepts = BTreeMap::new();
    for line in entries() {
        for except in line.except() {
            *excepts.entry((except.mask(), except.value())).or_insert(false) |=
                line.pattern().meets(*except);
        }
    }
    assert!(excepts.len() > 50);
    assert!(excepts.values().all(|takes| *takes), "{excepts:x?}");
}

/// Words of a line: its corners and some from inside.
fn sample(line: &Entry) -> impl Iterator<Item = u32> {
    const SPREAD: u32 = 0x9e37_79b9; // 2^32 / golden ratio: successive multiples are well spread
    let corners = [0, u32::MAX, 0x5555_5555, 0xaaaa_aaaa];
    let inside = (1..200_u32).map(|n| n.wrapping_mul(SPREAD));
    cubes(line)
        .into_iter()
        .flat_map(move |cube| corners.into_iter().chain(inside.clone()).map(move |f| cube.word(f)))
}

#[test]
fn the_index_finds_every_line() {
    for line in entries() {
        for word in sample(line) {
            assert!(line.contains(word));
            let found = lookup(word);
            assert!(std::ptr::eq(found, line), "{word:#010x}: {found:?} for {line:?}");
            assert_eq!(decode(word), line.kind());
        }
    }
}

/// Words near the edges of the buckets, where an index can be off by one.
#[test]
fn the_index_is_right_at_the_edges_of_its_buckets() {
    for bucket in 0..BUCKETS {
        for word in [bucket << BUCKET_SHIFT, (bucket << BUCKET_SHIFT) | ((1 << BUCKET_SHIFT) - 1)] {
            let found = lookup(word);
            assert!(found.contains(word), "{word:#010x}");
            assert_eq!(entries().filter(|line| line.contains(word)).count(), 1);
        }
    }
}

#[test]
fn each_kind_has_lines_and_one_mnemonic() {
    let instructions: BTreeSet<_> = Kind::instructions().collect();
    let mut mnemonics = BTreeMap::new();
    for line in entries() {
        let name = without_order_and_size(line);
        let before = mnemonics.insert(line.kind(), name);
        assert!(before.is_none_or(|before| before == name), "{line:?}");
        let is_instruction = instructions.contains(&line.kind());
        assert_eq!(line.mnemonic().is_empty(), !is_instruction, "{line:?}");
        assert!(!line.class().is_empty());
    }
    for kind in instructions {
        assert!(mnemonics.contains_key(&kind), "{kind:?} has no line");
        let page = kind.title().split([' ', ',']).next().expect("a title").to_lowercase();
        let page = if page == "b.cond" { "b" } else { &page };
        assert_eq!(page, mnemonics[&kind], "the page's title is not that of {kind:?}");
    }
    for feature in Feature::ALL {
        assert!(mnemonics.contains_key(&Kind::Unimplemented(*feature)), "{feature:?} has no line");
    }
}

/// The mnemonic; that of an atomic operation without A, AL or L and without B or H.
fn without_order_and_size(line: &Entry) -> &'static str {
    if !matches!(line.kind(), Kind::Atomic(_)) {
        return line.mnemonic();
    }
    let name = line.mnemonic();
    let name = name.strip_suffix(['b', 'h']).unwrap_or(name);
    let stem = ["al", "a", "l"].iter().find_map(|order| name.strip_suffix(order));
    stem.unwrap_or(name)
}

#[test]
fn names_are_told_apart() {
    let titles: BTreeSet<_> = Kind::instructions().map(Kind::title).collect();
    assert_eq!(titles.len(), Kind::instructions().count());
    assert_eq!(Kind::AddImmediate.to_string(), "ADD (immediate)");
    assert_eq!(
        Kind::Unimplemented(Feature::Wfxt).to_string(),
        "waits with a time limit: WFET, WFIT (FEAT_WFxT) (not implemented)"
    );
}

/// One word of each kind of trouble, decoded by hand.
#[test]
fn reserved_values_are_unallocated() {
    let unallocated = [
        (0x0b02_8020, "add w0, w1, w2, lsl #32: imm6 beyond the register"),
        (0x8bc2_0020, "add x0, x1, x2 with shift = 0b11"),
        (0x8b22_7420, "add x0, x1, x2, uxtx #5: imm3 above 4"),
        (0x1240_0020, "and w0, w1 with N = 1"),
        (0x9200_fc20, "and x0, x1 with imms = 0b111111, N = 0"),
        (0x9240_fc20, "and x0, x1 with imms = 0b111111, N = 1"),
        (0x9300_0020, "sbfm x0, x1 with N = 0"),
        (0x5320_0020, "ubfm w0, w1 with immr = 32"),
        (0x52c0_0000, "movz w0 with hw = 2"),
        (0x1382_8020, "extr w0, w1, w2 with imms = 32"),
        (0xb9c0_0000, "size = 0b10, opc = 0b11"),
        (0x7d80_0000, "SIMD&FP with size = 0b01, opc = 0b10"),
        (0x0ee1_8420, "add v0.1d"),
        (0x5ea1_8420, "add s0, s1"),
        (0x4ee1_9c20, "mul v0.2d"),
        (0x0e61_9c20 | 1 << 29, "pmul v0.4h"),
        (0x0ee0_0820, "rev64 of doublewords"),
        (0x0eb1_b820, "addv s0, v1.2s"),
        (0x0f00_0420 | 1 << 23, "shift by immediate with bit 23 set"),
        (0x0f40_0420, "sshr v0.1d"),
        (0x5f38_0420, "sshr s0"),
        (0x0f08_9420 | 1 << 22, "sqshrn to doublewords"),
        (0x2e00_4020, "ext v0.8b, #8"),
        (0x0fc1_9020, "fmul by element with sz = 1, Q = 0"),
        (0x4fe1_9020, "fmul v0.2d by element with L = 1"),
        (0x4f01_8020, "mul by element of bytes"),
        (0x0e08_0420, "dup v0.1d, v1.d[0]"),
        (0x2f00_f420, "fmov v0.1d"),
        (0xf862_0820, "register offset with option = 0b000"),
        (0x1ac2_4c20, "crc32 with sf = 0, sz = 0b11"),
        (0xd503_201e, "hint with Rt = 30"),
        (0xd61f_0001, "br x0 with op4 = 1"),
        (0x0001_0000, "reserved, next to udf"),
    ];
    for (word, what) in unallocated {
        assert_eq!(decode(word), Kind::Unallocated, "{word:#010x}: {what}");
    }
    assert_eq!(decode(0x0000_ffff), Kind::Udf);
    assert_eq!(decode(0x0e21_8420), Kind::Simd(Simd::AddVector)); // add v0.8b, ...
    assert_eq!(decode(0x1e7e_0020), Kind::Unimplemented(Feature::Jscvt)); // fjcvtzs w0, d1
    assert_eq!(decode(0xc8a0_7c41), Kind::Atomic(Atomic::Cas)); // cas x0, x1, [x2]
}
