//! Profiles, contracts and snapshots by path, and the profiles that come with abide by name.

use abide_contract::codec::{self, Kind, MAX_TEXT_LEN, ReadError};
use abide_contract::{Contract, Guest, Profile};
use abide_machine::GuestContract;
use abide_machine::board::RAM_BASE;
use abide_reg::RegId;
use abide_snapshot::{MAGIC, Reader, UnitRecord};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// To what abide's board aligns memory and devices, in bytes.
const BOARD_ALIGNMENT: u64 = 64 << 10;

/// What a plan can be made for.
pub enum Source {
    /// A guest that would be born on this host, with all that it offers by itself.
    Profile(Profile),
    /// A guest that would be born under this contract.
    Contract(Contract),
    /// A guest that was saved.
    Snapshot(Guest),
}

impl Source {
    /// Opens a file, or what comes with abide under this name.
    ///
    /// # Errors
    /// If it is neither, or cannot be read, or is damaged.
    pub fn open(argument: &Path) -> Result<Self> {
        let text = match text_of(argument)? {
            Content::Text(text) => text,
            Content::Snapshot => return Ok(Self::Snapshot(saved(argument)?)),
        };
        let of = || argument.display().to_string();
        match codec::kind_of(&text).with_context(of)? {
            Kind::Profile => Ok(Self::Profile(codec::read_profile(&text).with_context(of)?)),
            Kind::Contract => Ok(Self::Contract(codec::read_contract(&text).with_context(of)?)),
        }
    }

    /// The guest that it is about.
    pub fn guest(&self) -> Guest {
        match self {
            Self::Profile(profile) => Guest::fresh(profile),
            Self::Contract(contract) => Guest::promised(contract),
            Self::Snapshot(guest) => guest.clone(),
        }
    }
}

/// Opens a profile, by path or by the name of one that comes with abide.
///
/// # Errors
/// As [`Source::open`].
pub fn profile(argument: &Path) -> Result<Profile> {
    let of = || argument.display().to_string();
    match text_of(argument)? {
        Content::Text(text) => Ok(codec::read_profile(&text).with_context(of)?),
        Content::Snapshot => bail!("{}: a snapshot found, a host's profile is needed", of()),
    }
}

/// Opens a contract, by path or by the name of one that comes with abide.
///
/// # Errors
/// As [`Source::open`].
pub fn contract(argument: &Path) -> Result<Contract> {
    let of = || argument.display().to_string();
    match text_of(argument)? {
        Content::Text(text) => Ok(codec::read_contract(&text).with_context(of)?),
        Content::Snapshot => bail!("{}: a snapshot found, a guest's contract is needed", of()),
    }
}

/// The text of the contract in a file, brought up to date.
///
/// # Errors
/// If the file cannot be read, or is no contract.
pub fn updated_contract(path: &Path, contract: &Contract) -> Result<String> {
    let of = || path.display().to_string();
    match text_of(path)? {
        Content::Text(text) => codec::update_contract(&text, contract).with_context(of),
        Content::Snapshot => bail!("{}: a snapshot found, a contract is needed", of()),
    }
}

enum Content {
    Text(String),
    Snapshot,
}

fn text_of(argument: &Path) -> Result<Content> {
    if let Some(text) = argument.to_str().and_then(abide_contract::shipped::text) {
        // A file of that name comes first: it is what the user sees.
        if !argument.exists() {
            return Ok(Content::Text(text.to_owned()));
        }
    }
    let reading = || format!("reading {}", argument.display());
    let mut file = match File::open(argument) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let names: Vec<&str> = abide_contract::shipped::names().collect();
            let (path, names) = (argument.display(), names.join(", "));
            bail!("{path}: no such file, and nothing of that name comes with abide ({names})")
        }
        file => file.with_context(reading)?,
    };
    // Once and from the front, as from a pipe; and no more than would be understood.
    let mut bytes = Vec::new();
    let mut head = Read::by_ref(&mut file).take(MAGIC.len() as u64);
    head.read_to_end(&mut bytes).with_context(reading)?;
    if bytes == MAGIC {
        return Ok(Content::Snapshot);
    }
    let limit = (MAX_TEXT_LEN + 1 - bytes.len()) as u64;
    file.take(limit).read_to_end(&mut bytes).with_context(reading)?;
    let of = || argument.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| NotText).with_context(of)?;
    Ok(Content::Text(text))
}

/// A file that is neither text nor a snapshot.
#[derive(Debug)]
pub struct NotText;

impl std::fmt::Display for NotText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("neither a snapshot nor text")
    }
}

impl std::error::Error for NotText {}

fn saved(path: &Path) -> Result<Guest> {
    let reader = Reader::open(path).with_context(|| path.display().to_string())?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    // A terminal obeys control characters.
    let name: String = name
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    let units: Vec<&UnitRecord> = reader.snapshot().units().collect();
    let ram_len = units.iter().flat_map(|unit| &unit.entries).find_map(|entry| {
        (entry.id == RegId::named("board.ram_len")).then(|| entry.value.to_u64()).flatten()
    });
    let memory_end = RAM_BASE.0.saturating_add(ram_len.unwrap_or(0));
    let units = units.iter().map(|unit| (unit.unit, unit.scope, unit.entries.as_slice()));
    let guest = Guest::saved(&name, units, memory_end, BOARD_ALIGNMENT);
    let contract = GuestContract::of_snapshot(reader.snapshot())
        .with_context(|| path.display().to_string())?;
    Ok(match contract {
        Some(contract) => guest.under(contract.contract()),
        None => guest,
    })
}

/// Whether what is wrong with a text is that it is not for this abide.
pub fn is_refusal(error: &ReadError) -> bool {
    error.problem.is_refusal()
}

/// Writes a file that is not there yet, or replaces it if that is wished.
///
/// # Errors
/// If it exists, or cannot be written.
pub fn write(path: &Path, text: &str, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        bail!("{} exists; --overwrite replaces it", path.display());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let writing = || format!("writing {}", path.display());
    // Whole or not at all: half a contract would still be text.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(writing)?;
    file.write_all(text.as_bytes()).with_context(writing)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).with_context(writing)?;
    file.persist(path).with_context(writing)?;
    Ok(())
}
