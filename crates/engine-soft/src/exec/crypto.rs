//! AES and the secure hashes: single rounds, as the manual writes them [DDI0487 J1.3].

use crate::cpu::Cpu;
use crate::decode::{Crypto, fields};

use super::vector::lanes::Lane;

/// Executes an instruction that is neither hidden nor switched off.
pub(super) fn execute(cpu: &mut Cpu, kind: Crypto, word: u32) {
    let d = usize::from(fields::rd(word));
    let v = |number: u8| cpu.v[usize::from(number)];
    let (first, n, m) = (cpu.v[d], v(fields::rn(word)), v(fields::rm(word)));
    cpu.v[d] = match kind {
        Crypto::Aese => substitute(shift_rows(first ^ n), &SBOX),
        Crypto::Aesd => substitute(unshift_rows(first ^ n), &INVERSE_SBOX),
        Crypto::Aesmc => mix_columns(n),
        Crypto::Aesimc => unmix_columns(n),
        Crypto::Sha1c => sha1(first, n as u32, m, choose),
        Crypto::Sha1p => sha1(first, n as u32, m, |x, y, z| x ^ y ^ z),
        Crypto::Sha1m => sha1(first, n as u32, m, majority),
        Crypto::Sha1h => (n as u32).rotate_left(30).into(),
        Crypto::Sha1su0 => (n << 64 | first >> 64) ^ first ^ m,
        Crypto::Sha1su1 => sha1_schedule(first, n),
        Crypto::Sha256h => sha256(first, n, m).0,
        Crypto::Sha256h2 => sha256(n, first, m).1,
        Crypto::Sha256su0 => {
            let next = lanes(n << 96 | first >> 32);
            let mixed = next.map(|x| x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3);
            vector(sums(mixed, lanes(first)))
        }
        Crypto::Sha256su1 => sha256_schedule(first, n, m),
    };
}

/// Multiplication by x in the field of AES [FIPS197 4.2.1].
const fn double(byte: u8) -> u8 {
    byte << 1 ^ if byte >> 7 == 1 { 0x1b } else { 0 }
}

/// Multiplication in the field of AES.
const fn product(mut a: u8, mut b: u8) -> u8 {
    let mut sum = 0;
    while b != 0 {
        if b & 1 == 1 {
            sum ^= a;
        }
        a = double(a);
        b >>= 1;
    }
    sum
}

/// What SubBytes makes of each byte [FIPS197 5.1.1].
const SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    loop {
        // The inverse is the 254th power: 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128.
        let mut power = byte;
        let mut inverse = 1;
        let mut bit = 1;
        while bit < 8 {
            power = product(power, power);
            inverse = product(inverse, power);
            bit += 1;
        }
        table[byte as usize] = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4)
            ^ 0x63;
        if byte == 255 {
            break table;
        }
        byte += 1;
    }
};

const INVERSE_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    loop {
        table[SBOX[byte as usize] as usize] = byte;
        if byte == 255 {
            break table;
        }
        byte += 1;
    }
};

fn substitute(state: u128, table: &[u8; 256]) -> u128 {
    u128::from_le_bytes(state.to_le_bytes().map(|byte| table[usize::from(byte)]))
}

/// The byte of row r and column c of the state stands at r + 4c.
fn shift_rows(state: u128) -> u128 {
    let bytes = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|at| bytes[(at + 4 * (at % 4)) % 16]))
}

fn unshift_rows(state: u128) -> u128 {
    let bytes = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|at| bytes[(at + 12 * (at % 4)) % 16]))
}

/// Four bytes, each times x.
const fn doubled(column: u32) -> u32 {
    ((column & 0x7f7f_7f7f) << 1) ^ ((column >> 7 & 0x0101_0101) * 0x1b)
}

/// Multiplies each column by the matrix whose first row is 2, 3, 1, 1 and whose others are that row
/// turned to the right [FIPS197 5.1.3].
fn mix_columns(state: u128) -> u128 {
    u32::map(state, |column| {
        let next = column.rotate_right(8);
        doubled(column ^ next) ^ next ^ column.rotate_right(16) ^ column.rotate_right(24)
    })
}

/// The inverse, whose first row is 14, 11, 13, 9: that is 5, 0, 4, 0 and then 2, 3, 1, 1.
fn unmix_columns(state: u128) -> u128 {
    mix_columns(u32::map(state, |column| {
        column ^ doubled(doubled(column ^ column.rotate_right(16)))
    }))
}

fn lanes(vector: u128) -> [u32; 4] {
    std::array::from_fn(|at| (vector >> (32 * at)) as u32)
}

fn vector(lanes: [u32; 4]) -> u128 {
    lanes.iter().rev().fold(0, |vector, &lane| vector << 32 | u128::from(lane))
}

fn sums(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
    std::array::from_fn(|at| a[at].wrapping_add(b[at]))
}

const fn choose(x: u32, y: u32, z: u32) -> u32 {
    (y ^ z) & x ^ z
}

const fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | (x | y) & z
}

/// Four rounds of SHA-1.
fn sha1(x: u128, y: u32, w: u128, mix: fn(u32, u32, u32) -> u32) -> u128 {
    let ([mut a, mut b, mut c, mut d], mut e) = (lanes(x), y);
    for word in lanes(w) {
        let sum = e.wrapping_add(a.rotate_left(5)).wrapping_add(mix(b, c, d)).wrapping_add(word);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    vector([a, b, c, d])
}

fn sha1_schedule(first: u128, n: u128) -> u128 {
    let mixed = lanes(first ^ n >> 32);
    let mut words = mixed.map(|word| word.rotate_left(1));
    words[3] ^= mixed[0].rotate_left(2);
    vector(words)
}

/// Four rounds of SHA-256, on a to d in `x` and e to h in `y`.
fn sha256(x: u128, y: u128, w: u128) -> (u128, u128) {
    let (mut x, mut y) = (lanes(x), lanes(y));
    for word in lanes(w) {
        let [a, b, c, d] = x;
        let [e, f, g, h] = y;
        let sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let sum = h.wrapping_add(sigma1).wrapping_add(choose(e, f, g)).wrapping_add(word);
        let next = sum.wrapping_add(sigma0).wrapping_add(majority(a, b, c));
        x = [next, a, b, c];
        y = [sum.wrapping_add(d), e, f, g];
    }
    (vector(x), vector(y))
}

fn sha256_schedule(first: u128, n: u128, m: u128) -> u128 {
    let mix = |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
    let mut words = sums(lanes(first), lanes(m << 96 | n >> 32));
    let before = lanes(m);
    words[0] = words[0].wrapping_add(mix(before[2]));
    words[1] = words[1].wrapping_add(mix(before[3]));
    words[2] = words[2].wrapping_add(mix(words[0]));
    words[3] = words[3].wrapping_add(mix(words[1]));
    vector(words)
}
