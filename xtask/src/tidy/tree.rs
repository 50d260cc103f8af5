//! The texts of the repository, in memory, so that rules can be tested with made-up ones.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Path from the root, with `/`, to content. Files that are not text are left out.
pub struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads all texts below `root` but what is built, fetched or belongs to git.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).with_context(|| format!("reading {folder:?}"))?;
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                let kind = entry.file_type()?;
                if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                    folders.push(path);
                } else if kind.is_file() {
                    let bytes = fs::read(&path).with_context(|| format!("reading {path:?}"))?;
                    let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                    if let Ok(text) = String::from_utf8(bytes) {
                        files.insert(name, text);
                    }
                }
            }
        }
        Ok(Self(files))
    }

    /// A made-up tree.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
    }

    /// One file's text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// All files, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// All Rust files.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// The folders below `crates/`, each with the text of its manifest.
    pub fn crates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter_map(|(path, text)| {
            let folder = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
            (!folder.contains('/')).then_some((folder, text))
        })
    }
}

/// Folders with nothing of ours in them, wherever they are.
const SKIPPED: [&str; 5] = ["target", ".git", "corpus", "artifacts", "coverage"];

/// The folder below `crates/` that a file belongs to.
pub fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.split_once('/').map(|(name, _)| name)
}

/// How many lines come before the tests of a Rust file, which stand at its end or fill it.
pub fn tests_start(path: &str, text: &str) -> usize {
    if path.contains("/tests/") || path.ends_with("tests.rs") {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

/// A line of Rust without its comment and without what stands in plain strings, as far as one line
/// tells.
pub fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut letters = line.chars().peekable();
    let mut in_string = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if in_string => drop(letters.next()),
            '"' => in_string = !in_string,
            '/' if !in_string && letters.peek() == Some(&'/') => break,
            _ if !in_string => code.push(letter),
            _ => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_neither_comment_nor_string() {
        assert_eq!(code_of(r#"let a = "un\"safe"; // unsafe"#), "let a = ; ");
        assert_eq!(code_of("    /// unsafe"), "    ");
    }

    #[test]
    fn files_belong_to_crates() {
        assert_eq!(crate_of("crates/gic/src/lib.rs"), Some("gic"));
        assert_eq!(crate_of("xtask/src/main.rs"), None);
    }
}
