//! Little-endian fields in order, for messages and records.

use std::fmt;

/// Why bytes are no message or record: the field, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Reads fields one after another, and never past the end.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (field, rest) = self.rest.split_first_chunk().ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(*field)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length of four bytes and so many bytes, at most `max_len`.
    pub(crate) fn bytes(&mut self, max_len: usize) -> Result<&'a [u8], Malformed> {
        let len = self.u32()? as usize;
        if len > max_len {
            return Err(Malformed("a field is longer than allowed"));
        }
        let (field, rest) = self.rest.split_at_checked(len).ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(field)
    }

    /// [`Self::bytes`] that are text without control characters, lest they rewrite a terminal.
    pub(crate) fn text(&mut self, max_len: usize) -> Result<String, Malformed> {
        let text = str::from_utf8(self.bytes(max_len)?).map_err(|_| Malformed("not UTF-8"))?;
        if text.chars().any(is_unfit) {
            return Err(Malformed("control characters in a text"));
        }
        Ok(text.to_owned())
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes behind the last field")) }
    }
}

fn is_unfit(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\t')
}

/// Appends `field` with its length in four bytes before it.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: &[u8]) {
    let len = u32::try_from(field.len()).expect("fields are bounded far below 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(field);
}

/// `text` without control characters, and no longer than `max_len` bytes: what may be sent.
pub(crate) fn sendable(text: &str, max_len: usize) -> String {
    let clean = |letter: char| if is_unfit(letter) { ' ' } else { letter };
    let mut out = String::new();
    for letter in text.chars().map(clean) {
        if out.len() + letter.len_utf8() > max_len {
            break;
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_not_believed() {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, b"abc");
        assert_eq!(Fields::new(&bytes).bytes(3), Ok(&b"abc"[..]));
        assert_eq!(Fields::new(&bytes).bytes(2), Err(Malformed("a field is longer than allowed")));
        assert_eq!(Fields::new(&bytes[..6]).bytes(3), Err(Malformed("too short")));
        assert!(Fields::new(&[0xff; 4]).bytes(usize::MAX).is_err());
    }

    #[test]
    fn texts_cannot_reach_a_terminal() {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, b"\x1b[2J");
        assert_eq!(Fields::new(&bytes).text(9), Err(Malformed("control characters in a text")));
        assert_eq!(sendable("\x1b[2J\nä", 7), " [2J\nä");
        assert_eq!(sendable("ää", 3), "ä");
    }
}
