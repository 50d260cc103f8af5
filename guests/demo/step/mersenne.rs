//! The Lucas–Lehmer test: 64×64→128-bit products and long carries.

use crate::Done;
use kit::{Arena, hash};

/// Exponents, and whether 2^p − 1 is prime.
const CASES: [(usize, bool); 3] = [(1279, true), (1283, false), (2203, true)];
const LIMBS_MAX: usize = 2203 / 64 + 1;

pub fn run(arena: &mut Arena) -> Done {
    let residues = arena.take(CASES.len() * LIMBS_MAX);
    residues.fill(0);
    let mut right = true;
    let mut primes = 0;
    for (&(exponent, is_prime), residue) in CASES.iter().zip(residues.chunks_exact_mut(LIMBS_MAX)) {
        test(exponent, residue);
        let found = residue.iter().all(|&limb| limb == 0);
        right &= found == is_prime;
        primes += u64::from(found);
    }
    Done { number: primes, unit: "Mersenne primes of 3", right, hash: hash::of(residues) }
}

/// Leaves the last term of s → s² − 2, from 4, modulo 2^p − 1; 0 for a prime.
fn test(exponent: usize, s: &mut [u64]) {
    let limbs = exponent / 64 + 1;
    let s = &mut s[..limbs];
    s[0] = 4;
    let mut square = [0; 2 * LIMBS_MAX];
    for _ in 0..exponent - 2 {
        let square = &mut square[..2 * limbs];
        multiply(s, square);
        reduce(exponent, square, s);
        subtract_two(exponent, s);
    }
}

fn multiply(s: &[u64], square: &mut [u64]) {
    square.fill(0);
    for (i, &a) in s.iter().enumerate() {
        let mut carry = 0;
        for (j, &b) in s.iter().enumerate() {
            let sum = u128::from(a) * u128::from(b) + u128::from(square[i + j]) + carry;
            square[i + j] = sum as u64;
            carry = sum >> 64;
        }
        square[i + s.len()] = carry as u64;
    }
}

/// Adds the part above 2^p to the part below: 2^p is 1.
fn reduce(exponent: usize, square: &[u64], s: &mut [u64]) {
    let (word, shift) = (exponent / 64, exponent % 64);
    let top_mask = (1 << shift) - 1;
    let mut carry = 0;
    for i in 0..s.len() {
        let low = if i == word { square[i] & top_mask } else { square[i] };
        let above = square.get(i + word + 1).copied().unwrap_or(0);
        let high = square.get(i + word).map_or(0, |limb| limb >> shift) | above << (64 - shift);
        let sum = u128::from(low) + u128::from(high) + carry;
        s[i] = sum as u64;
        carry = sum >> 64;
    }
    // At most one more bit got above 2^p.
    let over = s[word] >> shift;
    s[word] &= top_mask;
    add_small(s, over);
    normalise(s, top_mask);
}

fn add_small(s: &mut [u64], mut number: u64) {
    for limb in s {
        let (sum, carry) = limb.overflowing_add(number);
        *limb = sum;
        number = u64::from(carry);
    }
}

/// 2^p − 1 itself is 0.
fn normalise(s: &mut [u64], top_mask: u64) {
    let Some((top, rest)) = s.split_last() else { return };
    if *top == top_mask && rest.iter().all(|&limb| limb == u64::MAX) {
        s.fill(0);
    }
}

fn subtract_two(exponent: usize, s: &mut [u64]) {
    let top_mask = (1 << (exponent % 64)) - 1;
    if s[0] < 2 && s[1..].iter().all(|&limb| limb == 0) {
        // s + (2^p − 1) − 2, written out.
        let small = s[0];
        s.fill(u64::MAX);
        s[0] = u64::MAX - 2 + small;
        s[exponent / 64] = top_mask;
        return;
    }
    let mut borrow = 2;
    for limb in s {
        let (rest, under) = limb.overflowing_sub(borrow);
        *limb = rest;
        borrow = u64::from(under);
    }
}
