//! Vector registers at whose contents instructions are most likely to be wrong.

#![expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]

use crate::rng::Rng;

/// A binary floating-point format [DDI0487 A1.4].
#[derive(Clone, Copy)]
struct Format {
    exponent_bits: u32,
    fraction_bits: u32,
}

impl Format {
    const fn of(lane_bits: u32) -> Self {
        match lane_bits {
            16 => Self { exponent_bits: 5, fraction_bits: 10 },
            32 => Self { exponent_bits: 8, fraction_bits: 23 },
            _ => Self { exponent_bits: 11, fraction_bits: 52 },
        }
    }

    const fn bias(self) -> i64 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    const fn biased_max(self) -> i64 {
        (1 << self.exponent_bits) - 1
    }
}

/// Exponents at which formats and integers end: 2^-1074 to 2^1023.
const ENDS: [i64; 36] = [
    -1074, -1023, -1022, -1021, -512, -150, -149, -127, -126, -125, -64, -25, -24, -15, -14, -13,
    -2, -1, 0, 1, 2, 7, 8, 10, 11, 15, 16, 17, 24, 31, 32, 53, 63, 64, 127, 1023,
];

/// Where vectors of half-precision elements are sources, as mask and value [DDI0487 C4.1]: three
/// same, two registers, across lanes, shift by immediate, by element, FCVTL.
const HALF_VECTORS: [(u32, u32); 6] = [
    (0x0f60_c400, 0x0e40_0400),
    (0x0f7e_0c00, 0x0e78_0800),
    (0x2f3e_0c00, 0x0e30_0800),
    (0x0ff0_0400, 0x0f10_0400),
    (0x0fc0_0400, 0x0f00_0000),
    (0x3fff_fc00, 0x0e21_7800),
];

fn is_half_vector(word: u32) -> bool {
    let scalar_fp = word >> 28 & 5 == 1;
    !scalar_fp && HALF_VECTORS.iter().any(|&(mask, value)| word & mask == value)
}

/// How the vector registers of one case are filled.
#[derive(Clone, Copy)]
pub struct Source {
    lane_bits: u32,
    float: bool,
    /// The exponent near which many numbers are, so that sums cancel and products meet addends.
    centre: i64,
}

impl Source {
    /// For a word of a line that is, or is not, about floating-point numbers.
    pub fn new(rng: &mut Rng, word: u32, float: bool) -> Self {
        let any = |rng: &mut Rng| 8 << rng.below(4);
        let lane_bits = match (float, rng.below(4)) {
            (false, _) => any(rng),
            // `ftype` of scalars, `sz` of vectors.
            (true, 0) => any(rng).max(16),
            (true, _) if word >> 22 & 3 == 3 && word >> 28 & 5 == 1 => 16,
            (true, _) if is_half_vector(word) => 16,
            (true, _) if word >> 22 & 1 == 1 => 64,
            (true, _) => 32,
        };
        let centre = match rng.below(3) {
            0 => 0,
            1 => ENDS[rng.below(ENDS.len() as u64) as usize],
            _ => rng.below(80).cast_signed() - 40,
        };
        Self { lane_bits, float, centre }
    }

    /// The content of one register.
    pub fn register(self, rng: &mut Rng) -> u128 {
        if rng.once_in(16) {
            return rng.vector();
        }
        let lanes = (0..128).step_by(self.lane_bits as usize);
        lanes.fold(0, |vector, place| vector | u128::from(self.lane(rng)) << place)
    }

    fn lane(self, rng: &mut Rng) -> u64 {
        let lane = if self.float { self.number(rng) } else { integer(rng, self.lane_bits) };
        lane & (u64::MAX >> (64 - self.lane_bits))
    }

    fn number(self, rng: &mut Rng) -> u64 {
        let format = Format::of(self.lane_bits);
        let fraction_mask = (1 << format.fraction_bits) - 1;
        let sign = (rng.next() & 1) << (self.lane_bits - 1);
        let join = |exponent: i64, fraction: u64| {
            let biased = exponent.clamp(0, format.biased_max()).cast_unsigned();
            sign | biased << format.fraction_bits | fraction & fraction_mask
        };
        let quiet = 1 << (format.fraction_bits - 1);
        let payload = rng.next() & rng.next() & (quiet - 1);
        match rng.below(16) {
            0 => join(0, 0),
            1 => join(format.biased_max(), 0),
            2 => join(format.biased_max(), quiet | payload),
            3 => join(format.biased_max(), payload | 1 << rng.below(9)),
            // Subnormal, or zero.
            4 => join(0, fraction(rng, format.fraction_bits)),
            // The ends of the format.
            5 => join(rng.below(3).cast_signed(), fraction(rng, format.fraction_bits)),
            6 => {
                let last = format.biased_max() - 1 - rng.below(2).cast_signed();
                join(last, fraction(rng, format.fraction_bits))
            }
            7 => {
                let end = ENDS[rng.below(ENDS.len() as u64) as usize];
                join(end + format.bias(), fraction(rng, format.fraction_bits))
            }
            8 => join(rng.next().cast_signed() & format.biased_max(), rng.next()),
            9 => rng.next(),
            10..12 => join(format.bias() + rng.below(4).cast_signed() - 1, 0),
            _ => {
                let exponent = self.centre + format.bias() + rng.below(5).cast_signed() - 2;
                join(exponent, fraction(rng, format.fraction_bits))
            }
        }
    }
}

/// Fractions with few ones, many ones, or one run of them: ties and carries.
fn fraction(rng: &mut Rng, bits: u32) -> u64 {
    let bits = u64::from(bits);
    let run = |rng: &mut Rng| u64::MAX >> rng.below(64) << rng.below(bits);
    match rng.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << rng.below(bits),
        3 => 1 << rng.below(bits) | 1 << rng.below(bits),
        4 => run(rng),
        5 => run(rng) ^ 1 << rng.below(bits),
        _ => rng.next(),
    }
}

/// Ends of ranges, small numbers for shifts and table indices, and anything.
fn integer(rng: &mut Rng, bits: u32) -> u64 {
    let top = 1_u64 << (bits - 1);
    match rng.below(8) {
        0 => [0, 1, u64::MAX, top, top - 1, top + 1][rng.below(6) as usize],
        1 | 2 => rng.below(144).wrapping_sub(72),
        3 => rng.below(u64::from(bits) + 2),
        4 => 1 << rng.below(u64::from(bits)),
        5 => rng.next() & rng.next(),
        _ => rng.next(),
    }
}
