//! Conway's Life, 64 cells a word, on a torus full of gliders.

use crate::Done;
use kit::{Arena, hash};

const ROWS: usize = 512;
const ROW_WORDS: usize = 16;
const GENERATIONS: usize = 24;
/// A glider moves one cell down and right in four generations.
const MOVED: usize = GENERATIONS / 4;
/// Rows between gliders; there is one in each word of such a row. All fly the same way, so they
/// never meet.
const SPACING: usize = 32;

pub fn run(arena: &mut Arena) -> Done {
    let first = arena.take(ROWS * ROW_WORDS);
    let mut now = arena.take(ROWS * ROW_WORDS);
    let mut next = arena.take(ROWS * ROW_WORDS);
    first.fill(0);
    for row in (8..ROWS).step_by(SPACING) {
        for (offset, cells) in [0b010, 0b100, 0b111].into_iter().enumerate() {
            first[(row + offset) * ROW_WORDS..][..ROW_WORDS].fill(cells << (row / 16));
        }
    }
    now.copy_from_slice(first);
    for _ in 0..GENERATIONS {
        generation(now, next);
        core::mem::swap(&mut now, &mut next);
    }
    let right = (0..ROWS).all(|row| {
        let from = row_of(first, row + ROWS - MOVED);
        let to = row_of(now, row);
        (0..ROW_WORDS).all(|word| {
            let carried = from[(word + ROW_WORDS - 1) % ROW_WORDS] >> (64 - MOVED);
            to[word] == from[word] << MOVED | carried
        })
    });
    let alive = now.iter().map(|word| u64::from(word.count_ones())).sum();
    Done { number: alive, unit: "cells after 24 generations", right, hash: hash::of(now) }
}

fn row_of(cells: &[u64], row: usize) -> &[u64] {
    &cells[row % ROWS * ROW_WORDS..][..ROW_WORDS]
}

fn generation(now: &[u64], next: &mut [u64]) {
    for row in 0..ROWS {
        let above = row_of(now, row + ROWS - 1);
        let here = row_of(now, row);
        let below = row_of(now, row + 1);
        for word in 0..ROW_WORDS {
            let (west, east) = ((word + ROW_WORDS - 1) % ROW_WORDS, (word + 1) % ROW_WORDS);
            let three = |row: &[u64]| {
                [row[word] << 1 | row[west] >> 63, row[word], row[word] >> 1 | row[east] << 63]
            };
            let ([a, b, c], [d, alive, e], [f, g, h]) = (three(above), three(here), three(below));
            next[row * ROW_WORDS + word] = rule([a, b, c, d, e, f, g, h], alive);
        }
    }
}

/// Counts neighbours in three bit planes; the third sticks, so that 8 is not taken for 0.
fn rule(neighbours: [u64; 8], alive: u64) -> u64 {
    let (mut ones, mut twos, mut fours) = (0, 0, 0);
    for bit in neighbours {
        let carry = ones & bit;
        ones ^= bit;
        fours |= twos & carry;
        twos ^= carry;
    }
    twos & !fours & (ones | alive)
}
