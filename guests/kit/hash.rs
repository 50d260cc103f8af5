//! A small hash, so that a guest can say in 16 digits what its memory holds.

/// A running 64-bit hash over words. Any one changed bit changes it; it is no defence against
/// anyone who chooses the input.
#[derive(Clone, Copy)]
pub struct Hash(u64);

impl Hash {
    /// The hash of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// Takes one more word. Each step is a bijection of the state, so nothing is forgotten.
    pub fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ (mixed >> 32);
    }

    /// Takes all words.
    pub fn words(&mut self, words: &[u64]) {
        words.iter().for_each(|&word| self.word(word));
    }

    /// The hash so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

/// The hash of `words`.
#[must_use]
pub fn of(words: &[u64]) -> u64 {
    let mut hash = Hash::new();
    hash.words(words);
    hash.value()
}
