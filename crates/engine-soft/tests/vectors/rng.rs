//! Deterministic numbers, and operands at which instructions are most likely to be wrong.

#![expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]

/// SplitMix64: a counter and a mixing function, the same on every host.
pub struct Rng(u64);

/// Spreads every bit of the input over the whole word.
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

impl Rng {
    /// Numbers of their own for each triple.
    pub const fn new(line: u64, case: u64, part: u64) -> Self {
        Self(mix(mix(mix(line) ^ case) ^ part))
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub const fn word(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    /// A number below `limit`, which is small.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True once in `times`.
    pub const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// The free bits of an instruction word: random, often mostly zeros or mostly ones, so that
    /// shifts by 0 and 63 and the ends of immediates occur.
    pub const fn free_bits(&mut self) -> u32 {
        let (bits, other) = (self.word(), self.word());
        match self.below(6) {
            0 => bits & other,
            1 => bits | other,
            2 => bits & other & self.word(),
            3 => bits | other | self.word(),
            _ => bits,
        }
    }

    /// The content of a general register.
    pub fn operand(&mut self) -> u64 {
        const EDGES: [u64; 24] = [
            0,
            1,
            2,
            3,
            31,
            32,
            33,
            63,
            64,
            65,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            1 << 32,
            0xffff_ffff_8000_0000,
            i64::MAX as u64,
            1 << 63,
            u64::MAX,
        ];
        match self.below(8) {
            0..3 => EDGES[self.below(EDGES.len() as u64) as usize],
            3 => 1 << self.below(64),
            4 => (1_u64 << self.below(64)).wrapping_sub(1 + self.below(2)),
            5 => !(1_u64 << self.below(64)),
            6 => self.next() & self.next(),
            _ => self.next(),
        }
    }

    /// The content of a vector register.
    pub fn vector(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}
