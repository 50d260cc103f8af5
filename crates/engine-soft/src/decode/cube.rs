//! Sets of instruction words.

/// The words that agree with a pattern of fixed bits: a face of the 32-dimensional cube of words.
///
/// Two cubes meet in a cube or not at all, so questions about a table of them ("do two lines claim
/// the same word?", "is a word left over?") have exact answers without walking 2^32 words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cube {
    mask: u32,
    value: u32,
}

impl Cube {
    /// Every word.
    pub const ALL: Self = Self { mask: 0, value: 0 };

    /// Reads a pattern as the manual's tables print it: 32 of `0`, `1` and `x`, bit 31 first;
    /// blanks may part the fields.
    ///
    /// Called in constants only, so that a malformed pattern does not compile.
    ///
    /// # Panics
    /// When the pattern has another character, or not exactly 32 of them.
    #[must_use]
    pub const fn parse(pattern: &str) -> Self {
        let text = pattern.as_bytes();
        let mut cube = Self::ALL;
        let mut bits = 0;
        let mut at = 0;
        while at < text.len() {
            let (fixed, value) = match text[at] {
                b'0' => (1, 0),
                b'1' => (1, 1),
                b'x' => (0, 0),
                b' ' => {
                    at += 1;
                    continue;
                }
                _ => panic!("a pattern consists of 0, 1, x and blanks"),
            };
            assert!(bits < 32, "a pattern has 32 bits, this one has more");
            cube.mask = cube.mask << 1 | fixed;
            cube.value = cube.value << 1 | value;
            bits += 1;
            at += 1;
        }
        assert!(bits == 32, "a pattern has 32 bits, this one has fewer");
        cube
    }

    /// The words whose `count` highest bits, at most 32, are those of `word`.
    #[must_use]
    pub const fn high_bits(word: u32, count: u32) -> Self {
        let mask = match u32::MAX.checked_shr(count) {
            Some(low) => !low,
            None => u32::MAX,
        };
        Self { mask, value: word & mask }
    }

    /// Bits that every word of the set has in common.
    #[must_use]
    pub const fn mask(self) -> u32 {
        self.mask
    }

    /// The value of those bits; all others are zero.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.value
    }

    /// Whether `word` is in the set.
    #[must_use]
    pub const fn contains(self, word: u32) -> bool {
        word & self.mask == self.value
    }

    /// Whether a word is in both sets.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }
}
