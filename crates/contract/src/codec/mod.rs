//! Profiles and contracts as text: TOML with comments, described in `docs/profile-format.md`.

mod contract;
mod profile;
mod read;
mod update;
mod write;

pub use contract::{canonical_contract, read_contract, write_contract};
pub use profile::{read_profile, write_profile};
pub use read::{ReadError, ReadProblem};
pub use update::update_contract;

use toml_edit::Document;

/// The longest text that is read, in bytes.
pub const MAX_TEXT_LEN: usize = 4 << 20;
/// The most registers that a profile or a contract may have.
pub const MAX_REGISTERS: usize = 20_000;
/// The longest name, and the longest line about a host, in bytes.
pub const MAX_LINE_LEN: usize = 200;
/// The longest text in a list, in bytes: all numbers of a field of nine bits.
pub const MAX_LIST_TEXT_LEN: usize = 4096;

/// What a text says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A host's profile.
    Profile,
    /// A guest's contract.
    Contract,
}

impl Kind {
    /// Its word in the text.
    const fn word(self) -> &'static str {
        match self {
            Self::Profile => "abide-profile",
            Self::Contract => "abide-contract",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Profile => Self::Contract,
            Self::Contract => Self::Profile,
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Profile => "a host's profile",
            Self::Contract => "a guest's contract",
        }
    }

    /// How one comes to be.
    const fn made_by(self) -> &'static str {
        match self {
            Self::Profile => "`abide probe` makes one of its host",
            Self::Contract => "`abide baseline` makes one of profiles",
        }
    }
}

/// What the text says it is, without reading the rest.
///
/// # Errors
/// [`ReadError`] if it is neither a profile nor a contract.
pub fn kind_of(text: &str) -> Result<Kind, ReadError> {
    let document = read::parse(text)?;
    kind_in(&document, text)
}

fn kind_in(document: &Document<&str>, text: &str) -> Result<Kind, ReadError> {
    let root = read::Node::root(document, text);
    let format = root.required("format")?;
    match format.text()? {
        "abide-profile" => Ok(Kind::Profile),
        "abide-contract" => Ok(Kind::Contract),
        other => Err(format.problem(ReadProblem::Format { found: other.to_owned() })),
    }
}
