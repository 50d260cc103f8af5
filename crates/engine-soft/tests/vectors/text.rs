//! The form in which results are recorded: a line of text for some cases, a digest for all.

#![expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]

use std::fmt::Write;

use crate::cases::{BLOCK, Case, End, Line, Outcome, State, WINDOW_SIZE};
use crate::rng::mix;

/// The heading of a group of cases.
pub fn heading(line: &Line) -> String {
    let name = if line.name.is_empty() { "(no instruction)" } else { line.name };
    format!("{:08x}/{:08x} {name}, {}", line.value, line.mask, line.class)
}

/// The case's number and words, and everything that it changed.
pub fn row(case: &Case, outcome: &Outcome) -> String {
    let mut row = format!("{}", case.index);
    for word in &case.words {
        write!(row, " {word:08x}").expect("a String takes all");
    }
    row.push(':');
    for change in changes(case, outcome) {
        row.push(' ');
        row.push_str(&change);
    }
    row
}

fn changes(case: &Case, outcome: &Outcome) -> Vec<String> {
    let (before, after) = (&case.before, &outcome.after);
    let mut changes = Vec::new();
    match outcome.end {
        End::Break => {}
        End::Undefined => changes.push("undefined".to_owned()),
        End::Other(what) => changes.push(format!("other={what:x}")),
    }
    if outcome.pc != case.at + 4 * case.words.len() as u64 {
        changes.push(format!("pc={:x}", outcome.pc));
    }
    for (number, (old, new)) in before.x.iter().zip(&after.x).enumerate() {
        if old != new {
            changes.push(format!("x{number}={new:x}"));
        }
    }
    let mut scalar = |name: &str, old: u64, new: u64| {
        if old != new {
            changes.push(format!("{name}={new:x}"));
        }
    };
    scalar("sp", before.sp, after.sp);
    scalar("nzcv", before.nzcv >> 28, after.nzcv >> 28);
    if case.uses_v {
        scalar("fpsr", before.fpsr.into(), after.fpsr.into());
        scalar("fpcr", before.fpcr.into(), after.fpcr.into());
        for (number, (old, new)) in before.v.iter().zip(&after.v).enumerate() {
            if old != new {
                changes.push(format!("v{number}={new:x}"));
            }
        }
    }
    changes.extend(memory_changes(before, after));
    changes
}

/// The bytes from the first to the last that changed, in memory order.
fn memory_changes(before: &State, after: &State) -> Option<String> {
    let differs = |&at: &usize| before.memory[at] != after.memory[at];
    let first = (0..WINDOW_SIZE).find(differs)?;
    let last = (0..WINDOW_SIZE).rev().find(differs)?;
    let mut text = format!("m[{first:x}]=");
    for byte in &after.memory[first..=last] {
        write!(text, "{byte:02x}").expect("a String takes all");
    }
    Some(text)
}

/// What was before the case, to show beside a failure.
pub fn inputs(case: &Case) -> String {
    let before = &case.before;
    let mut text = format!("at {:x}, nzcv {:x}, sp {:x}", case.at, before.nzcv >> 28, before.sp);
    for (number, x) in before.x.iter().enumerate() {
        let space = if number % 6 == 0 { "\n  " } else { " " };
        write!(text, "{space}x{number}={x:x}").expect("a String takes all");
    }
    if case.uses_v {
        write!(text, "\n  fpcr={:x} fpsr={:x}", before.fpcr, before.fpsr)
            .expect("a String takes all");
        // The registers that data processing names: Rd, Rn, Ra, Rm.
        for place in [0, 5, 10, 16] {
            let number = case.words[0] >> place & 31;
            write!(text, "\n  v{number}={:032x}", before.v[number as usize])
                .expect("a String takes all");
        }
    }
    text
}

/// A digest of many results: everything that can change, changed or not.
#[derive(Clone, Copy, Default)]
pub struct Digest(u64);

impl Digest {
    pub fn add(&mut self, case: &Case, outcome: &Outcome) {
        let end = match outcome.end {
            End::Break => 0,
            End::Undefined => 1,
            End::Other(what) => what.wrapping_add(2),
        };
        let after = &outcome.after;
        self.mix(end);
        self.mix(outcome.pc);
        after.x.iter().for_each(|&x| self.mix(x));
        self.mix(after.sp);
        self.mix(after.nzcv);
        if case.uses_v {
            self.mix(u64::from(after.fpsr) << 32 | u64::from(after.fpcr));
            for v in &after.v {
                self.mix((*v >> 64) as u64);
                self.mix(*v as u64);
            }
        }
        for bytes in after.memory.as_chunks().0 {
            self.mix(u64::from_le_bytes(*bytes));
        }
    }

    fn mix(&mut self, value: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ value);
    }

    /// Its recorded form.
    pub fn text(self) -> String {
        format!("{:08x}", self.0 >> 32)
    }
}

/// The digest of one block of a line's cases.
pub fn block_digest(line: &Line, block: u64, mut run: impl FnMut(&Case) -> Outcome) -> String {
    let mut digest = Digest::default();
    for index in block * BLOCK..(block + 1) * BLOCK {
        let case = line.case(index);
        digest.add(&case, &run(&case));
    }
    digest.text()
}
