//! Golden files: bytes that must come out the same for ever.
//!
//! A file is written, or written anew, only if the environment says `ABIDE_BLESS=1`; the change
//! then stands in the commit, for everyone to see. Files of a release are never blessed again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The environment variable that lets golden files be written; its value must be `1`.
pub const BLESS: &str = "ABIDE_BLESS";

/// Why bytes are not what a golden file holds.
#[derive(Debug, Error)]
pub enum GoldenError {
    /// There is no such file.
    #[error("{}: no such golden file; if {len} bytes are right, run again with ABIDE_BLESS=1",
        path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// How many bytes came out.
        len: usize,
    },
    /// The bytes are others.
    #[error(
        "{}: differs at byte {offset:#x}: {expected} in the file ({expected_len} bytes), {found} \
         came out ({found_len} bytes); if that is right, run again with ABIDE_BLESS=1",
        path.display()
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// The first byte that differs.
        offset: usize,
        /// Up to 16 bytes of the file from there on, in hex.
        expected: String,
        /// The file's length.
        expected_len: usize,
        /// Up to 16 bytes that came out, from there on, in hex.
        found: String,
        /// How many came out.
        found_len: usize,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

/// Demands that `found` is what the file at `path` holds. A relative path begins at the package
/// under test, which is where cargo runs tests.
///
/// # Panics
/// With a [`GoldenError`]'s text.
pub fn assert_golden(path: impl AsRef<Path>, found: &[u8]) {
    let bless = std::env::var_os(BLESS).is_some_and(|value| value == "1");
    if let Err(error) = check_golden(path.as_ref(), found, bless) {
        panic!("{error}");
    }
}

/// As [`assert_golden`]; with `bless` the file is written where it is missing or differs.
///
/// # Errors
/// [`GoldenError`].
pub fn check_golden(path: &Path, found: &[u8], bless: bool) -> Result<(), GoldenError> {
    let io_error = |source| GoldenError::Io { path: path.to_owned(), source };
    let expected = match fs::read(path) {
        Ok(expected) => Some(expected),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io_error(error)),
    };
    if expected.as_deref() == Some(found) {
        return Ok(());
    }
    if bless {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error)?;
        }
        return fs::write(path, found).map_err(io_error);
    }
    let path = path.to_owned();
    let Some(expected) = expected else {
        return Err(GoldenError::Missing { path, len: found.len() });
    };
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    Err(GoldenError::Differs {
        path,
        offset: same,
        expected: hex(&expected[same..]),
        expected_len: expected.len(),
        found: hex(&found[same..]),
        found_len: found.len(),
    })
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the end".to_owned();
    }
    let digits: Vec<String> = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compared_and_written_only_when_blessed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v1").join("unit.bin");
        assert!(matches!(
            check_golden(&path, b"abc", false),
            Err(GoldenError::Missing { len: 3, .. })
        ));
        assert!(!path.exists());
        check_golden(&path, b"abc", true).unwrap();
        check_golden(&path, b"abc", false).unwrap();
        check_golden(&path, b"abd", false).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        check_golden(&path, b"abd", true).unwrap();
        check_golden(&path, b"abd", false).unwrap();
    }

    #[test]
    fn difference_is_shown_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("unit.bin");
        fs::write(&path, b"abcdef").unwrap();
        let changed = check_golden(&path, b"abcXef", false).unwrap_err().to_string();
        assert!(changed.contains("at byte 0x3: 64 65 66 in the file"), "{changed}");
        assert!(changed.contains("58 65 66 came out"), "{changed}");
        let shorter = check_golden(&path, b"ab", false).unwrap_err().to_string();
        assert!(shorter.contains("the end came out (2 bytes)"), "{shorter}");
    }
}
