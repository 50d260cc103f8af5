//! Matrix product modulo 2^64: multiply and add.

use super::Sequence;
use crate::Done;
use kit::{Arena, hash};

const SIDE: usize = 144;

pub fn run(arena: &mut Arena) -> Done {
    let left = arena.take(SIDE * SIDE);
    let right = arena.take(SIDE * SIDE);
    let product = arena.take(SIDE * SIDE);
    let vector = arena.take(SIDE);
    let mut sequence = Sequence::new(3);
    for place in left.iter_mut().chain(right.iter_mut()).chain(vector.iter_mut()) {
        *place = sequence.next();
    }
    for row in 0..SIDE {
        for column in 0..SIDE {
            product[row * SIDE + column] = (0..SIDE).fold(0, |sum: u64, k| {
                let term = left[row * SIDE + k].wrapping_mul(right[k * SIDE + column]);
                sum.wrapping_add(term)
            });
        }
    }
    // (A·B)·v must be A·(B·v), which is far less work [Freivalds 1977].
    let inner = arena.take(SIDE);
    let by_parts = arena.take(SIDE);
    let by_product = arena.take(SIDE);
    apply(right, vector, inner);
    apply(left, inner, by_parts);
    apply(product, vector, by_product);
    Done {
        number: (SIDE * SIDE) as u64,
        unit: "products of 144 terms",
        right: by_parts == by_product,
        hash: hash::of(product),
    }
}

fn apply(matrix: &[u64], vector: &[u64], result: &mut [u64]) {
    for (row, place) in matrix.chunks_exact(SIDE).zip(result) {
        *place = row
            .iter()
            .zip(vector)
            .fold(0, |sum: u64, (&a, &b)| sum.wrapping_add(a.wrapping_mul(b)));
    }
}
