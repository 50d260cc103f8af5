//! All that the other steps left behind, and what is left of the arena, filled and read back.

use super::Sequence;
use crate::Done;
use kit::{Arena, hash};

const WORDS: usize = 1 << 20;

pub fn run(arena: &mut Arena) -> Done {
    let words = arena.take(WORDS);
    let mut sequence = Sequence::new(12);
    words.fill_with(|| sequence.next());
    let mut again = Sequence::new(12);
    let right = words.iter().all(|&word| word == again.next());
    Done {
        number: ((WORDS * 8) >> 20) as u64,
        unit: "MiB written and read back",
        right,
        hash: hash::of(words),
    }
}
