//! Compares the decode table with an independent decoder over whole files, or over all words.
//!
//! ```text
//! cargo run --release -p abide-engine-soft --example compare_decoders -- FILE...
//! cargo run --release -p abide-engine-soft --example compare_decoders -- --every-word
//! ```
//!
//! Each aligned 32-bit little-endian word of a file counts, code or data. Prints one line for each
//! disagreement that is new, and ends with 1 if there is any, with 2 if a file cannot be read.

#[path = "../tests/decoder_oracle/mod.rs"]
mod decoder_oracle;

use std::collections::BTreeMap;
use std::process::ExitCode;

use abide_engine_soft::decode::lookup;
use decoder_oracle::{ALIASES, EXCEPTIONS, Outcome, compare, their_text};

/// How often each outcome occurred.
#[derive(Default)]
struct Tally {
    words: u64,
    same: u64,
    both_none: u64,
    not_looked_into: u64,
    explained: BTreeMap<&'static str, u64>,
    disagreements: BTreeMap<String, (u64, u32)>,
}

impl Tally {
    fn add(&mut self, word: u32) {
        self.words += 1;
        match compare(word) {
            Outcome::Same => self.same += 1,
            Outcome::BothNone => self.both_none += 1,
            Outcome::NotLookedInto => self.not_looked_into += 1,
            Outcome::Explained(why) => *self.explained.entry(why).or_default() += 1,
            Outcome::Disagree => {
                let line = lookup(word);
                let theirs = their_text(word);
                let theirs = theirs.split(' ').next().unwrap_or_default();
                let what = format!("ours {:?} ({}), theirs {theirs}", line.kind(), line.class());
                self.disagreements.entry(what).or_insert((0, word)).0 += 1;
            }
        }
    }

    #[expect(clippy::print_stdout, reason = "the report is what this program is for")]
    fn print(&self, name: &str) {
        let Self { words, same, both_none, not_looked_into, .. } = self;
        println!(
            "{name}: {words} words, {same} same, {both_none} no instruction to either, \
             {not_looked_into} in extensions not looked into"
        );
        for (why, count) in &self.explained {
            println!("  {count} explained: {why}");
        }
        for (what, (count, word)) in &self.disagreements {
            println!("  DISAGREE {count} times: {what}, first {word:#010x} {}", their_text(*word));
        }
    }
}

#[expect(clippy::print_stderr, reason = "usage and errors of a small program")]
fn main() -> ExitCode {
    let names: Vec<_> = std::env::args().skip(1).collect();
    if names.is_empty() {
        eprintln!(
            "usage: compare_decoders FILE... | --every-word   ({} aliases, {} exceptions)",
            ALIASES.len(),
            EXCEPTIONS.len()
        );
        return ExitCode::from(2);
    }
    let mut agreed = true;
    for name in names {
        let mut tally = Tally::default();
        if name == "--every-word" {
            (0..=u32::MAX).for_each(|word| tally.add(word));
        } else {
            let bytes = match std::fs::read(&name) {
                Ok(bytes) => bytes,
                Err(error) => {
                    eprintln!("{name}: {error}");
                    return ExitCode::from(2);
                }
            };
            for word in bytes.as_chunks().0 {
                tally.add(u32::from_le_bytes(*word));
            }
        }
        tally.print(&name);
        agreed &= tally.disagreements.is_empty();
    }
    if agreed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
