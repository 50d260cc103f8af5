//! Heap sort: data-dependent branches.

use super::Sequence;
use crate::Done;
use kit::{Arena, hash};

const KEYS: usize = 1 << 16;

pub fn run(arena: &mut Arena) -> Done {
    let keys = arena.take(KEYS);
    let mut sequence = Sequence::new(2);
    keys.fill_with(|| sequence.next());
    let sum_before = sum(keys);
    sort(keys);
    let right = keys.is_sorted() && sum(keys) == sum_before;
    Done { number: KEYS as u64, unit: "keys in order", right, hash: hash::of(keys) }
}

fn sum(keys: &[u64]) -> u64 {
    keys.iter().fold(0, |sum, &key| sum.wrapping_add(key))
}

fn sort(keys: &mut [u64]) {
    for root in (0..keys.len() / 2).rev() {
        sift_down(keys, root);
    }
    for end in (1..keys.len()).rev() {
        keys.swap(0, end);
        sift_down(&mut keys[..end], 0);
    }
}

fn sift_down(heap: &mut [u64], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child] < heap[child + 1] {
            child += 1;
        }
        if heap[root] >= heap[child] {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}
