//! Cases of two instructions that stand side by side in many programs, and of many: straight data
//! processing on few registers, loads and stores, branches forward, all inside a loop. They are for
//! what single instructions cannot show, such as flags that are kept or lost from one instruction
//! to the next.

#![expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]

use std::sync::LazyLock;

use abide_engine_soft::decode::decode;

use crate::cases::{Case, DATA, Family, Line, lines};
use crate::groups::Group;
use crate::rng::Rng;

/// Holds the border between the two pages of data; never written.
const BASE: u32 = 28;
/// Counts how often the loop is still to be run.
const COUNTER: u32 = 29;
/// Registers from 0 to this one are written by the body.
const LAST_WRITTEN: u64 = 20;

/// Lines of data processing.
static PLAIN: LazyLock<Vec<Line>> = LazyLock::new(|| {
    let registers = |line: &Line| {
        line.family == Family::Plain
            && !["Hints", "Barriers"].contains(&line.class)
            && !line.name.starts_with("prf")
    };
    lines(Group::Base).into_iter().filter(registers).collect()
});

/// Lines of vectors of integers.
static VECTORS: LazyLock<Vec<Line>> = LazyLock::new(|| {
    lines(Group::Simd).into_iter().filter(|line| line.family == Family::Plain).collect()
});

/// Makes `case` a program.
pub fn fill(case: &mut Case, rng: &mut Rng) {
    let length = 6 + rng.below(9);
    let mut words: Vec<u32> = Vec::new();
    for place in 0..length {
        words.push(match rng.below(8) {
            0 => forward_branch(rng, length - place),
            1 => access(rng),
            2 => pair(rng),
            _ => data_processing(rng),
        });
    }
    case.before.x[BASE as usize] = DATA + 0x1000;
    repeat(case, words, rng);
}

/// Makes `case` a program on few vector registers.
pub fn vectors(case: &mut Case, rng: &mut Rng) {
    let length = 6 + rng.below(11);
    let words = (0..length).map(|_| on_vectors(rng)).collect();
    repeat(case, words, rng);
}

/// Makes `words` a loop.
fn repeat(case: &mut Case, mut words: Vec<u32>, rng: &mut Rng) {
    words.push(0xd100_0400 | COUNTER << 5 | COUNTER); // sub x29, x29, #1
    let back = words.len() as u32;
    words.push(0xb500_0000 | (0x8_0000 - back) << 5 | COUNTER); // cbnz x29, the first word
    case.words = words;
    case.before.x[COUNTER as usize] = 1 + rng.below(5);
}

/// An instruction on registers 0 to 7, where its word has room for them.
fn on_vectors(rng: &mut Rng) -> u32 {
    let line = &VECTORS[rng.below(VECTORS.len() as u64) as usize];
    let word = line.case(rng.next()).words[0] & !0x18;
    let low = word & !(!line.mask & 0x0018_0300);
    if decode(low) == decode(word) { low } else { word }
}

/// Makes `case` a comparison with a branch, or ADRP with an ADD; or a jump to the second of them.
pub fn neighbours(case: &mut Case, rng: &mut Rng) {
    let pair = if rng.once_in(4) { page_address(rng) } else { compare_and_branch(case, rng) };
    case.words = pair.to_vec();
    if rng.once_in(4) {
        case.words.insert(0, 0x1400_0002); // b over the first of the pair
    }
}

/// SUBS, ADDS or ANDS, often without result and often of equal operands, then B.cond.
fn compare_and_branch(case: &mut Case, rng: &mut Rng) -> [u32; 2] {
    let (n, m) = (rng.word() & 0x1f, rng.word() & 0x1f);
    let width = rng.word() & 1 << 31;
    let d = if rng.once_in(4) { rng.word() & 0x1f } else { 31 };
    let equal = rng.once_in(2);
    let m = if equal { n } else { m };
    let compare = match rng.below(6) {
        0 => 0x6b00_0000 | m << 16, // subs d, n, m
        1 => 0x2b00_0000 | m << 16, // adds d, n, m
        2 => 0x6a00_0000 | m << 16, // ands d, n, m
        3 => 0x3100_0000 | rng.free_bits() & 0x7f_fc00,
        _ => {
            let immediate = rng.free_bits() & 0x7f_fc00; // subs d, n, #immediate
            if equal && n != 31 {
                let shift = if immediate >> 22 == 1 { 12 } else { 0 };
                case.before.x[n as usize] = u64::from(immediate >> 10 & 0xfff) << shift;
            }
            0x7100_0000 | immediate
        }
    };
    let cond = if rng.once_in(4) { rng.word() & 0xf } else { rng.word() & 1 };
    // Anywhere but to itself or back to the comparison, which would never end.
    let offset = match rng.below(4) {
        0 => 1 + rng.below(3) as u32,
        1 => 1 + rng.below(1200) as u32,
        2 => 0x8_0000 - 3 - rng.below(1200) as u32,
        _ => 2 + rng.below(0x7_fff0) as u32,
    };
    [compare | width | n << 5 | d, 0x5400_0000 | offset << 5 | cond]
}

/// ADRP, then ADD of its result, or of another register.
fn page_address(rng: &mut Rng) -> [u32; 2] {
    let d = rng.word() & 0x1f;
    let mut other = |same: u32| if rng.once_in(4) { rng.word() & 0x1f } else { same };
    let (sum, base) = (other(d), other(d));
    let add = if rng.once_in(8) { 0x1100_0000 } else { 0x9100_0000 };
    let adrp = 0x9000_0000 | rng.free_bits() & 0x60ff_ffe0 | d;
    [adrp, add | rng.free_bits() & 0x7f_fc00 | base << 5 | sum]
}

fn written(rng: &mut Rng) -> u32 {
    rng.below(LAST_WRITTEN + 1) as u32
}

fn data_processing(rng: &mut Rng) -> u32 {
    let line = &PLAIN[rng.below(PLAIN.len() as u64) as usize];
    let word = line.case(rng.next()).words[0];
    if line.class.starts_with("Conditional compare") {
        return word;
    }
    word & !0x1f | written(rng)
}

/// A branch over at least one and at most `rest` instructions.
fn forward_branch(rng: &mut Rng, rest: u64) -> u32 {
    let offset = (1 + rng.below(rest.min(3))) as u32;
    let register = rng.word() & 0x1f;
    match rng.below(4) {
        0 => 0x3600_0000 | rng.word() & 0x81f8_0000 | offset << 5 | register, // tbz, tbnz
        1 => 0x3400_0000 | rng.word() & 0x8100_0000 | offset << 5 | register, // cbz, cbnz
        _ => 0x5400_0000 | offset << 5 | rng.word() & 0xf,                    // b.cond
    }
}

/// LDUR, STUR and their like of every size at most 256 bytes below and 239 above the base.
fn access(rng: &mut Rng) -> u32 {
    let imm9 = (rng.below(496) as u32).wrapping_sub(256) & 0x1ff;
    let common = 0x3800_0000 | imm9 << 12 | BASE << 5 | written(rng);
    let size = rng.word() & 3;
    if rng.once_in(4) {
        // B, H, S, D, or Q.
        let q = size == 0 && rng.once_in(2);
        let opc = (rng.word() & 1) | u32::from(q) << 1;
        return common | 1 << 26 | size << 30 | opc << 22;
    }
    // Sign-extending loads do not exist for 64 bits, nor to 32 bits from 32.
    let opc = rng.below([4, 4, 3, 2][size as usize]) as u32;
    common | size << 30 | opc << 22
}

/// LDP, STP, LDPSW with a signed offset.
fn pair(rng: &mut Rng) -> u32 {
    let (t, t2) = (written(rng), written(rng));
    let t2 = if t == t2 { (t + 1) % 21 } else { t2 };
    let load = rng.word() & 1;
    let (opc, vector) = match rng.below(6) {
        0 => (0, 0),
        1 | 2 => (2, 0),
        3 => (load, 0), // LDPSW, or STP of 32 bits
        4 => (1, 1),
        _ => (2, 1),
    };
    let scale = if vector == 1 { 2 + opc } else { 2 + (opc >> 1) };
    let lowest = 64.min(256_u32 >> scale);
    let highest = 63.min((256_u32 >> scale) - 2);
    let imm7 = (rng.below(u64::from(lowest + highest + 1)) as u32).wrapping_sub(lowest) & 0x7f;
    let fixed = 0x2900_0000 | opc << 30 | vector << 26 | load << 22;
    fixed | imm7 << 15 | t2 << 10 | BASE << 5 | t
}
