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

    /// How many words are in the set: 1 to 2^32.
    #[must_use]
    pub const fn word_count(self) -> u64 {
        1 << self.mask.count_zeros()
    }

    /// The words of this set that are not in `other`, as cubes of which no two meet.
    pub fn minus(self, other: Self) -> impl Iterator<Item = Self> {
        let meets = self.meets(other);
        // Split off, bit by bit, the half that `other` does not reach into. What is left after the
        // last bit lies inside `other`.
        let mut rest = self;
        let halves = (0..32).filter_map(move |number| {
            let bit = 1 << number;
            if !meets || other.mask & bit == 0 || rest.mask & bit != 0 {
                return None;
            }
            let inside = other.value & bit;
            let half = Self { mask: rest.mask | bit, value: rest.value | (inside ^ bit) };
            rest = Self { mask: rest.mask | bit, value: rest.value | inside };
            Some(half)
        });
        (!meets).then_some(self).into_iter().chain(halves)
    }

    /// A word of the set: the free bits are taken from `free`.
    #[must_use]
    pub const fn word(self, free: u32) -> u32 {
        self.value | (free & !self.mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_from_bit_31_down() {
        let cube = Cube::parse("1 0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx 1");
        assert_eq!((cube.mask(), cube.value()), (0xc000_0001, 0x8000_0001));
        assert!(cube.contains(0xbfff_ffff));
        assert!(!cube.contains(0xffff_ffff));
        assert_eq!(cube.word(u32::MAX), 0xbfff_ffff);
        assert_eq!(cube.word_count(), 1 << 29);
        assert_eq!(Cube::ALL.word_count(), 1 << 32);
    }

    #[test]
    fn high_bits_of_every_count() {
        assert_eq!(Cube::high_bits(u32::MAX, 0), Cube::ALL);
        assert_eq!(Cube::high_bits(0xabcd_ef01, 8).value(), 0xab00_0000);
        assert_eq!(Cube::high_bits(0xabcd_ef01, 32).word_count(), 1);
    }

    /// Checked word by word in the sixteen words that differ in four bits.
    #[test]
    fn a_difference_has_the_right_words_each_once() {
        let cube = |mask: u32, value: u32| Cube { mask: mask | !0xf, value: value & mask };
        let all = || (0..16).flat_map(|mask| (0..16).map(move |value| cube(mask, value)));
        for left in all() {
            for right in all() {
                let parts: Vec<_> = left.minus(right).collect();
                for word in 0..16 {
                    let claims = parts.iter().filter(|part| part.contains(word)).count();
                    let expected = left.contains(word) && !right.contains(word);
                    assert_eq!(claims, usize::from(expected), "{left:?} - {right:?}: {word}");
                }
                let meets = (0..16).any(|word| left.contains(word) && right.contains(word));
                assert_eq!(left.meets(right), meets);
            }
        }
    }
}
