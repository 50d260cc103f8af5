//! The decode table against an independent decoder, see [`decoder_oracle`].

mod decoder_oracle;

use abide_engine_soft::decode::{decode, entries, lookup};
use decoder_oracle::{
    ALIASES, EXCEPTIONS, Outcome, SECOND_NAMES, compare, compare_with, their_text,
};
use proptest::prelude::*;

fn assert_agrees(word: u32) {
    assert_ne!(
        compare(word),
        Outcome::Disagree,
        "{word:#010x}: we say {:?}, they say {}",
        lookup(word),
        their_text(word)
    );
}

/// Successive multiples of it, modulo 2^32, are well spread.
const SPREAD: u32 = 0x9e37_79b9; // 2^32 / golden ratio

/// Every value of the 22 bits above the two lowest register fields, with some registers each.
#[test]
fn all_words_but_for_two_registers() {
    for high in 0..1_u32 << 22 {
        for low in [0, 0x3ff, 0x01f, 0x3e0] {
            assert_agrees(high << 10 | low);
        }
        assert_agrees(high << 10 | high.wrapping_mul(SPREAD) >> 22);
    }
}

/// The system space, where the lowest bits choose the instruction: all words with op0 = 0b00.
#[test]
fn all_hints_barriers_and_pstate_words() {
    for low in 0..1_u32 << 19 {
        assert_agrees(0xd500_0000 | low);
        assert_agrees(0xd520_0000 | low);
    }
}

/// All branches to a register: every opc, op3, Rn and op4 where op2 is right.
#[test]
fn all_branches_to_registers() {
    for opc in 0..16 {
        for low in 0..1_u32 << 16 {
            assert_agrees(0xd61f_0000 | opc << 21 | low);
        }
    }
}

/// Words out of each line of the table, so that rare lines are not left to chance.
#[test]
fn words_of_every_line() {
    for line in entries() {
        let pattern = line.pattern();
        let corners = [0, u32::MAX, 0x5555_5555, 0xaaaa_aaaa];
        for free in (0..2_000_u32).map(|n| n.wrapping_mul(SPREAD)).chain(corners) {
            assert_agrees(pattern.word(free));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn random_words(word: u32) {
        assert_agrees(word);
    }
}

/// An alias that explains nothing would hide the next mistake.
#[test]
fn every_alias_is_used() {
    for alias in ALIASES {
        let word = alias.words.word(0);
        assert_eq!(lookup(word).mnemonic(), alias.ours, "{word:#010x}");
        assert_eq!(compare(word), Outcome::Same, "{word:#010x}");
        assert!(!their_text(word).is_empty());
    }
}

#[test]
fn every_second_name_is_used() {
    for name in SECOND_NAMES {
        let lines = entries().filter(|line| line.mnemonic() == *name);
        let mut words =
            lines.flat_map(|line| (0..1000).map(|n| line.pattern().word(SPREAD.wrapping_mul(n))));
        let second = format!("{name}2 ");
        let used = |word| their_text(word).starts_with(&second) && compare(word) == Outcome::Same;
        assert!(words.any(used), "{name}");
    }
}

/// Each exception holds for words spread over its set, and each name in it occurs.
#[test]
fn every_exception_is_used() {
    for exception in EXCEPTIONS {
        let mut said: Vec<String> = Vec::new();
        let mut holds = 0;
        let few = exception.words.word_count() < 4_000;
        for word in (0..4_000_u32).map(|n| exception.words.word(n.wrapping_mul(SPREAD))) {
            if compare(word) == Outcome::Explained(exception.why) {
                assert!(exception.contains(word));
                said.extend(their_text(word).split(' ').next().map(str::to_owned));
                holds += 1;
            }
        }
        assert!(holds > 100 || few && holds > 0, "{holds} words of {:?}", exception.words);
        for name in exception.theirs {
            assert!(said.iter().any(|said| said == name), "{name} of {:?}", exception.words);
        }
    }
}

/// The comparison would notice a table whose lines are mixed up: the line of another mnemonic is
/// refused for a word of each line, but for a pair that no decoder tells apart.
#[test]
fn a_wrong_line_is_noticed() {
    let mut tried = 0;
    let instructions: Vec<_> = entries().filter(|line| !line.mnemonic().is_empty()).collect();
    for right in &instructions {
        // STXR and its like have SBO fields: all ones is a proper word of every line.
        let word = right.pattern().word(0x001f_7c00);
        if decode(word) != right.kind() || compare(word) != Outcome::Same {
            continue;
        }
        tried += 1;
        for wrong in &instructions {
            let is_hint = |name| ["nop", "yield", "wfe", "wfi", "sev", "sevl"].contains(&name);
            let told_apart = right.mnemonic() != wrong.mnemonic()
                && !(is_hint(right.mnemonic()) && wrong.mnemonic() == "hint");
            let noticed = compare_with(word, wrong) == Outcome::Disagree;
            assert_eq!(noticed, told_apart, "{word:#010x} {right:?} as {wrong:?}");
        }
    }
    assert!(tried > 250, "{tried} lines");
}
