//! Replaying a fuzzer's corpus in ordinary tests.
//!
//! The body of each fuzz target is a library function. Tests run it on every file of its corpus
//! and on simple changes of each, the same in every run, so that what a fuzzer once found stays
//! found without a fuzzer.

use crate::rng::Rng;
use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// How many times the body was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// On files as they are.
    pub files: usize,
    /// On changes of files.
    pub changes: usize,
}

/// Runs `body` on each file below `folder`, in the order of their paths, and on up to `changes`
/// changes of each.
///
/// # Panics
/// If there is no file, if one cannot be read, or if the body panics: then with the file, the
/// change and the body's words.
pub fn replay(folder: impl AsRef<Path>, changes: usize, body: impl Fn(&[u8])) -> Replayed {
    let folder = folder.as_ref();
    let mut files = Vec::new();
    if let Err(error) = list(folder, &mut files) {
        panic!("corpus {}: {error}", folder.display());
    }
    assert!(!files.is_empty(), "corpus {}: no file, so nothing would be tested", folder.display());
    files.sort();
    let mut replayed = Replayed::default();
    for path in files {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => panic!("corpus file {}: {error}", path.display()),
        };
        run(&path, &Change::None, &bytes, &body);
        replayed.files += 1;
        for change in choose(&bytes, changes) {
            run(&path, &change, &change.apply(&bytes), &body);
            replayed.changes += 1;
        }
    }
    replayed
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for member in fs::read_dir(folder)? {
        let member = member?;
        if member.file_type()?.is_dir() {
            list(&member.path(), files)?;
        } else {
            files.push(member.path());
        }
    }
    Ok(())
}

fn run(path: &Path, change: &Change, bytes: &[u8], body: impl Fn(&[u8])) {
    let result = catch_unwind(AssertUnwindSafe(|| body(bytes)));
    if let Err(panic) = result {
        panic!("corpus file {}, {change:?}: {}", path.display(), message(&*panic));
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}

/// What is done to a file before it is given to the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Only its first bytes are left.
    Cut {
        /// How many.
        len: usize,
    },
    /// One bit is the other.
    Flip {
        /// Counted from bit 0 of byte 0.
        bit: usize,
    },
    /// Bytes are overwritten: lengths and counts at their extremes.
    Overwrite {
        /// Where they begin.
        offset: usize,
        /// By what; cut at the file's end.
        with: Vec<u8>,
    },
    /// Bytes stand there twice.
    Repeat {
        /// Where they begin.
        offset: usize,
        /// How many.
        len: usize,
    },
    /// Bytes are taken out.
    Remove {
        /// Where they begin.
        offset: usize,
        /// How many.
        len: usize,
    },
}

impl Change {
    /// The file after the change. Places outside it are cut to it.
    #[must_use]
    pub fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        match self {
            Self::None => {}
            Self::Cut { len } => out.truncate(*len),
            Self::Flip { bit } => {
                if let Some(byte) = out.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Overwrite { offset, with } => {
                let places = out.iter_mut().skip(*offset);
                places.zip(with).for_each(|(place, &byte)| *place = byte);
            }
            Self::Repeat { offset, len } => {
                let start = (*offset).min(out.len());
                let end = start.saturating_add(*len).min(out.len());
                let again = out[start..end].to_vec();
                out.splice(end..end, again);
            }
            Self::Remove { offset, len } => {
                let start = (*offset).min(out.len());
                let end = start.saturating_add(*len).min(out.len());
                out.drain(start..end);
            }
        }
        out
    }
}

/// Numbers that lengths and counts are often compared with wrongly.
const EXTREMES: [u64; 6] = [0, 1, 0x7fff_ffff, 0xffff_ffff, u64::MAX >> 1, u64::MAX];

/// Up to `limit` changes, different in each file and the same in each run.
fn choose(bytes: &[u8], limit: usize) -> Vec<Change> {
    let seed = bytes
        .iter()
        .fold(bytes.len() as u64, |seed, &byte| Rng::new(seed ^ u64::from(byte)).next_u64());
    let mut rng = Rng::new(seed);
    if bytes.is_empty() {
        return Vec::new();
    }
    (0..limit)
        .map(|number| {
            let offset = rng.below(bytes.len());
            match number % 5 {
                0 => Change::Cut { len: offset },
                1 => Change::Flip { bit: rng.below(8 * bytes.len()) },
                2 => {
                    let width = 1 << rng.below(4);
                    let number = EXTREMES[rng.below(EXTREMES.len())].to_le_bytes();
                    // Fields are mostly aligned to their width.
                    Change::Overwrite {
                        offset: offset / width * width,
                        with: number[..width].to_vec(),
                    }
                }
                3 => Change::Repeat { offset, len: 1 + rng.below(64) },
                _ => Change::Remove { offset, len: 1 + rng.below(16) },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn corpus(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    #[test]
    fn every_file_and_its_changes_are_run_in_the_same_order_each_time() {
        let folder = corpus(&[("b", b"second"), ("a/deep", b"first"), ("c", b"")]);
        let once = || {
            let inputs = RefCell::new(Vec::new());
            let replayed =
                replay(folder.path(), 50, |bytes| inputs.borrow_mut().push(bytes.to_vec()));
            (replayed, inputs.into_inner())
        };
        let (replayed, inputs) = once();
        // An empty file has no changes.
        assert_eq!(replayed, Replayed { files: 3, changes: 100 });
        assert_eq!((&inputs[0][..], &inputs[51][..]), (&b"first"[..], &b"second"[..]));
        assert!(inputs[1..51].iter().filter(|input| *input != b"first").count() > 40);
        assert_eq!(once(), (replayed, inputs));
    }

    #[test]
    fn panic_names_the_file_and_the_change() {
        let folder = corpus(&[("short", b"0123456789abcdef")]);
        let result = catch_unwind(AssertUnwindSafe(|| {
            replay(folder.path(), 50, |bytes| assert!(bytes.len() == 16, "length trusted"));
        }));
        let text = message(&*result.unwrap_err()).to_owned();
        assert!(text.contains("short, Cut { len: "), "{text}");
        assert!(text.contains("length trusted"), "{text}");
    }

    #[test]
    fn empty_or_missing_corpus_is_no_success() {
        let folder = corpus(&[]);
        for path in [folder.path().to_owned(), folder.path().join("missing")] {
            let result = catch_unwind(|| replay(&path, 1, |_| ()));
            assert!(message(&*result.unwrap_err()).starts_with("corpus "));
        }
    }

    #[test]
    fn changes_do_what_their_names_say() {
        let bytes = b"abcdef";
        let cases: [(Change, &[u8]); 7] = [
            (Change::None, b"abcdef"),
            (Change::Cut { len: 2 }, b"ab"),
            (Change::Flip { bit: 8 }, b"accdef"),
            (Change::Overwrite { offset: 4, with: vec![b'X'; 4] }, b"abcdXX"),
            (Change::Repeat { offset: 1, len: 2 }, b"abcbcdef"),
            (Change::Remove { offset: 4, len: 9 }, b"abcd"),
            (Change::Remove { offset: 9, len: 9 }, b"abcdef"),
        ];
        for (change, expected) in cases {
            assert_eq!(change.apply(bytes), expected, "{change:?}");
        }
    }
}
