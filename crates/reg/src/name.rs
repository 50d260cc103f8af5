//! Names short enough to be copied like numbers.

use core::fmt;

/// A stable name: 1 to [`Name::MAX_LEN`] bytes of `a-z`, `0-9`, `_`, `-` and `.`.
///
/// Names are part of the state format, so they are kept to letters that look the same in every
/// report, shell and file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    // Unused bytes are 0, so that derived order is the order of the text.
    bytes: [u8; Name::MAX_LEN],
    len: u8,
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 31;

    /// The name spelled `text`, or `None` where it is empty, too long or has another letter.
    #[must_use]
    pub const fn try_new(text: &str) -> Option<Self> {
        Self::from_bytes(text.as_bytes())
    }

    /// As [`Self::try_new`], from bytes that a file or a peer sent.
    #[must_use]
    pub const fn from_bytes(source: &[u8]) -> Option<Self> {
        if source.is_empty() || source.len() > Self::MAX_LEN {
            return None;
        }
        let mut bytes = [0; Self::MAX_LEN];
        let mut at = 0;
        while at < source.len() {
            if !matches!(source[at], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.') {
                return None;
            }
            bytes[at] = source[at];
            at += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_LEN")]
        let len = source.len() as u8;
        Some(Self { bytes, len })
    }

    /// The name spelled `text`.
    ///
    /// # Panics
    /// If `text` is no name. Meant for constants, where that stops the build.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        match Self::try_new(text) {
            Some(name) => name,
            None => panic!("a name is 1 to 31 bytes of a-z, 0-9, '_', '-' and '.'"),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in, so this never falls back.
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// The name as bytes, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_letters_or_lengths_are_refused() {
        for bad in ["", "Upper", "with space", "ünicode", "0123456789012345678901234567890x"] {
            assert_eq!(Name::try_new(bad), None, "{bad:?}");
        }
        assert_eq!(Name::new("gic.line").as_str(), "gic.line");
        assert!(Name::try_new("0123456789012345678901234567890").is_some());
    }

    #[test]
    fn order_is_that_of_the_text() {
        assert!(Name::new("a") < Name::new("ab"));
        assert!(Name::new("ab") < Name::new("b"));
    }
}
