//! Taking TOML apart, with the place of everything that is wrong.

use super::{Kind, MAX_LINE_LEN, MAX_LIST_TEXT_LEN, MAX_REGISTERS, MAX_TEXT_LEN};
use abide_reg::{Name, RegId, Value};
use std::fmt;
use toml_edit::{Document, Item, TableLike};

/// The version of both formats.
pub(super) const VERSION: i64 = 1;
/// The version of profiles of which some register has `advertised`; all others are as before.
pub(super) const VERSION_ADVERTISED: i64 = 2;
/// The architecture that registers are of.
pub(super) const ARCHITECTURE: &str = "aarch64";
/// The widest register, in bytes: an SVE register.
const MAX_WIDTH: usize = 256;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The keys that lead there, with `.` between them; empty for the whole text.
    pub place: String,
    /// What is wrong.
    pub problem: ReadProblem,
}

/// What is wrong with a profile or a contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadProblem {
    /// It is longer than is read.
    #[error(
        "{found} bytes found, at most {MAX_TEXT_LEN} allowed: no profile or contract is longer"
    )]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// It is no TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// It is neither a profile nor a contract, or the other of them.
    #[error("found {found:?}, allowed: \"abide-profile\" for hosts, \"abide-contract\" for guests")]
    Format {
        /// What it says it is.
        found: String,
    },
    /// A profile where a contract is needed, or the other way round.
    #[error(
        "{} found, {} is needed; {}",
        .found.in_words(),
        .found.other().in_words(),
        .found.other().made_by()
    )]
    Other {
        /// What was found.
        found: Kind,
    },
    /// Another version of the format.
    #[error("version {found} found, this abide reads {newest}; use a newer one")]
    Version {
        /// The version found.
        found: i64,
        /// The newest version that is known.
        newest: i64,
    },
    /// Another architecture.
    #[error(
        "architecture {found:?} found, {ARCHITECTURE:?} allowed; `abide probe` makes profiles of \
         arm64 hosts, and with --engine soft of any host"
    )]
    Architecture {
        /// The architecture found.
        found: String,
    },
    /// A key is missing.
    #[error("the key {0:?} is missing")]
    Missing(&'static str),
    /// A key has no meaning.
    #[error("the key {found:?} has no meaning here; allowed: {allowed}")]
    UnknownKey {
        /// The key found.
        found: String,
        /// The keys that have one.
        allowed: &'static str,
    },
    /// A value is of another kind.
    #[error("{0} is needed")]
    Needed(&'static str),
    /// A key is no identity of a register.
    #[error("{found:?} is no register; write kvm:0x6030000000140000, gic:1:0x8 or a name")]
    NotARegister {
        /// What was found.
        found: String,
    },
    /// A rule has no meaning.
    #[error("the rule {found:?} is not known; known: {known}")]
    UnknownRule {
        /// What was found.
        found: String,
        /// The rules known.
        known: &'static str,
    },
    /// A register stands there twice.
    #[error("the register stands there twice")]
    Twice,
    /// There are too many registers.
    #[error("more than {MAX_REGISTERS} registers found")]
    TooMany,
    /// Two things that are said contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

impl ReadProblem {
    /// Whether the text is right, and only not for this abide.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::Architecture { .. })
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for ReadError {}

/// Parses the text.
pub(super) fn parse(text: &str) -> Result<Document<&str>, ReadError> {
    let whole = |problem, line| ReadError { line, place: String::new(), problem };
    if text.len() > MAX_TEXT_LEN {
        return Err(whole(ReadProblem::TooLong { found: text.len() }, None));
    }
    Document::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        let message: String = error.message().chars().take(MAX_LINE_LEN).collect();
        whole(ReadProblem::Syntax(message), line)
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// A place in the text, with what stands there.
#[derive(Clone)]
pub(super) struct Node<'a> {
    item: Option<&'a Item>,
    table: Option<&'a dyn TableLike>,
    text: &'a str,
    place: String,
    offset: Option<usize>,
}

impl<'a> Node<'a> {
    pub(super) fn root(document: &'a Document<&str>, text: &'a str) -> Self {
        let table: &dyn TableLike = document.as_table();
        Self { item: None, table: Some(table), text, place: String::new(), offset: None }
    }

    /// An error at this place.
    pub(super) fn problem(&self, problem: ReadProblem) -> ReadError {
        let line = self.offset.map(|offset| line_of(self.text, offset));
        ReadError { line, place: self.place.clone(), problem }
    }

    fn child(&self, key: &str, item: &'a Item) -> Self {
        let key: String = key.chars().take(MAX_LINE_LEN).collect();
        let place = if self.place.is_empty() { key } else { format!("{}.{key}", self.place) };
        let offset = item.span().map(|span| span.start).or(self.offset);
        Self { item: Some(item), table: item.as_table_like(), text: self.text, place, offset }
    }

    pub(super) fn optional(&self, key: &str) -> Option<Self> {
        Some(self.child(key, self.table?.get(key)?))
    }

    pub(super) fn required(&self, key: &'static str) -> Result<Self, ReadError> {
        self.optional(key).ok_or_else(|| self.problem(ReadProblem::Missing(key)))
    }

    /// The keys and what stands behind each.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, ReadError> {
        let table = self.table.ok_or_else(|| self.problem(ReadProblem::Needed("a table")))?;
        let entries = table.iter().map(|(key, item)| (key, self.child(key, item)));
        Ok(entries.collect())
    }

    /// Refuses every key but these.
    pub(super) fn only(&self, keys: &[&str], allowed: &'static str) -> Result<(), ReadError> {
        for (key, node) in self.entries()? {
            if !keys.contains(&key) {
                let found = key.chars().take(MAX_LINE_LEN).collect();
                return Err(node.problem(ReadProblem::UnknownKey { found, allowed }));
            }
        }
        Ok(())
    }

    /// The head that both formats have.
    pub(super) fn head(&self, kind: Kind) -> Result<String, ReadError> {
        let format = self.required("format")?;
        let found = format.text()?;
        if found == kind.other().word() {
            return Err(format.problem(ReadProblem::Other { found: kind.other() }));
        }
        if found != kind.word() {
            let found = found.to_owned();
            return Err(format.problem(ReadProblem::Format { found }));
        }
        let version = self.required("version")?;
        let found = version.integer()?;
        let newest = if kind == Kind::Profile { VERSION_ADVERTISED } else { VERSION };
        if !(VERSION..=newest).contains(&found) {
            return Err(version.problem(ReadProblem::Version { found, newest }));
        }
        let architecture = self.required("architecture")?;
        let found = architecture.text()?;
        if found != ARCHITECTURE {
            let found = found.to_owned();
            return Err(architecture.problem(ReadProblem::Architecture { found }));
        }
        Ok(self.required("name")?.text()?.to_owned())
    }

    /// A line of text.
    pub(super) fn text(&self) -> Result<&'a str, ReadError> {
        let text = self.item.and_then(Item::as_str);
        let fits = |text: &&str| text.len() <= MAX_LINE_LEN && !text.chars().any(char::is_control);
        let needed = ReadProblem::Needed("one line of text, at most 200 bytes");
        text.filter(fits).ok_or_else(|| self.problem(needed))
    }

    pub(super) fn integer(&self) -> Result<i64, ReadError> {
        let number = self.item.and_then(Item::as_integer);
        number.ok_or_else(|| self.problem(ReadProblem::Needed("a whole number")))
    }

    /// A hexadecimal number in quotes.
    pub(super) fn number(&self) -> Result<u64, ReadError> {
        parse_number(self.text()?).ok_or_else(|| self.problem(NUMBER_NEEDED))
    }

    /// A value in quotes: two digits for each byte, most significant first.
    pub(super) fn value(&self) -> Result<Value, ReadError> {
        let text = self.item.and_then(Item::as_str).unwrap_or("");
        parse_value(text).ok_or_else(|| {
            self.problem(ReadProblem::Needed(
                "a value like \"0x0000001f\": two digits for each byte, at most 256 bytes",
            ))
        })
    }
}

/// The texts of a list's elements, with errors at the list.
pub(super) fn texts<'a>(node: &Node<'a>) -> Result<Vec<&'a str>, ReadError> {
    let list = node.item.and_then(Item::as_array);
    let list = list.ok_or_else(|| node.problem(ReadProblem::Needed("a list")))?;
    if list.len() > MAX_REGISTERS {
        return Err(node.problem(ReadProblem::TooMany));
    }
    let texts =
        list.iter().map(|value| value.as_str().filter(|text| text.len() <= MAX_LIST_TEXT_LEN));
    let texts: Option<Vec<&str>> = texts.collect();
    texts.ok_or_else(|| node.problem(ReadProblem::Needed("a list of texts in quotes")))
}

pub(super) const NUMBER_NEEDED: ReadProblem =
    ReadProblem::Needed("a number in quotes, like \"0x10001\"");

/// A hexadecimal number.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").filter(|digits| (1..=16).contains(&digits.len()))?;
    // A sign is no digit, though the parser would take one.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

fn parse_value(text: &str) -> Option<Value> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 2 * MAX_WIDTH {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes = digits.chunks(2).rev().map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    Some(Value::bytes(&bytes.collect::<Option<Vec<u8>>>()?))
}

/// A width in bytes that a register may have.
pub(super) fn is_width(width: i64) -> Option<usize> {
    usize::try_from(width).ok().filter(|width| (1..=MAX_WIDTH).contains(width))
}

/// The identity of a register, as reports spell it.
pub(super) fn parse_id(text: &str) -> Option<RegId> {
    if let Some(number) = text.strip_prefix("kvm:") {
        return parse_number(number).map(RegId::Kvm);
    }
    if let Some(rest) = text.strip_prefix("gic:") {
        let (group, attr) = rest.split_once(':')?;
        let plain = group.bytes().all(|byte| byte.is_ascii_digit());
        let group = group.parse().ok().filter(|_| plain)?;
        return parse_number(attr).map(|attr| RegId::gic(group, attr));
    }
    Name::try_new(text).map(RegId::Named)
}

/// The identity that a key is, of AArch64 if it is KVM's.
pub(super) fn id_at(key: &str, node: &Node) -> Result<RegId, ReadError> {
    let not = |()| {
        let found = key.chars().take(60).collect();
        node.problem(ReadProblem::NotARegister { found })
    };
    let id = parse_id(key).ok_or(()).map_err(not)?;
    if let RegId::Kvm(number) = id
        && number >> 60 != 6
    {
        let found = format!("a register with architecture number {:#x}", number >> 60);
        return Err(node.problem(ReadProblem::Architecture { found }));
    }
    Ok(id)
}

/// The width in bytes that a register's identity tells, if it does.
pub(super) fn width_in(id: RegId) -> Option<usize> {
    match id {
        RegId::Kvm(number) => Some(1 << (number >> 52 & 0xf).min(12)),
        _ => None,
    }
}
