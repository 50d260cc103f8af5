//! Reading apt's own configuration: which Debian archive this machine uses, and with which keys.
//!
//! Both forms of `sources.list(5)` are understood: one line per source, and deb822 stanzas.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// One source of packages, as the machine's administrator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The archive's addresses, separated by spaces.
    pub uris: String,
    /// The suites taken from it.
    pub suites: Vec<String>,
    /// The value of `Signed-By`, several lines long if the key itself stands there.
    pub signed_by: Option<String>,
}

/// The suites of the Debian archive that this machine may be using itself.
const KNOWN_SUITES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "sid",
];

impl Source {
    /// Whether this is the Debian archive proper, and not its security suite or somebody else's.
    fn is_debian(&self) -> bool {
        self.suites.iter().any(|suite| {
            let plain = suite.strip_suffix("-updates").or(suite.strip_suffix("-backports"));
            KNOWN_SUITES.contains(&plain.unwrap_or(suite))
        })
    }

    /// The source with other suites and one architecture, in deb822 form.
    pub fn stanza(&self, suites: &str, architecture: &str) -> String {
        let key = self.signed_by.as_ref();
        let key = key.map(|value| format!("Signed-By: {value}\n")).unwrap_or_default();
        format!(
            "Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\n\
             Architectures: {architecture}\n{key}",
            self.uris
        )
    }
}

/// The Debian archive that this machine's apt is set up for.
///
/// # Errors
/// If the configuration cannot be read or names no Debian archive.
pub fn machine_archive() -> Result<Source> {
    let files = configuration_files()?;
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("reading {file:?}"))?;
        let deb822 = file.extension().is_some_and(|ending| ending == "sources");
        let sources = if deb822 { parse_deb822(&text) } else { parse_lines(&text) };
        if let Some(source) = sources.into_iter().find(Source::is_debian) {
            return Ok(source);
        }
    }
    bail!(
        "apt on this machine is set up for no Debian archive (read {files:?}); \
         add one to its sources"
    )
}

fn configuration_files() -> Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = Path::new("/etc/apt/sources.list.d");
    if parts.is_dir() {
        let mut found = fs::read_dir(parts)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()?;
        found.retain(|path| {
            path.extension().is_some_and(|ending| ending == "list" || ending == "sources")
        });
        found.sort();
        files.extend(found);
    }
    files.retain(|path| path.is_file());
    Ok(files)
}

/// `deb [signed-by=FILE arch=A] URI SUITE COMPONENT…`, one a line.
fn parse_lines(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let signed_by = options.split_whitespace().find_map(|option| {
        let (name, value) = option.split_once('=')?;
        name.eq_ignore_ascii_case("signed-by").then(|| value.replace(',', " "))
    });
    Some(Source { uris: uri.into(), suites: vec![suite.into()], signed_by })
}

/// Stanzas of `Field: value`, divided by empty lines; a value goes on over indented lines.
fn parse_deb822(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line.trim_end());
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let field = |name: &str| fields.iter().find(|(have, _)| have == name).map(|(_, value)| value);
    let is_on = field("enabled").is_none_or(|value| value != "no");
    let has_binaries = field("types")?.split_whitespace().any(|kind| kind == "deb");
    (is_on && has_binaries).then_some(())?;
    Some(Source {
        uris: field("uris")?.split_whitespace().collect::<Vec<_>>().join(" "),
        suites: field("suites")?.split_whitespace().map(str::to_owned).collect(),
        signed_by: field("signed-by").cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_form_is_read_with_its_options() {
        let text = "# deb http://old.example/debian bookworm main\n\
                    deb-src http://a.example/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main\n";
        assert_eq!(
            parse_lines(text),
            [Source {
                uris: "http://a.example/debian".into(),
                suites: vec!["bookworm".into()],
                signed_by: Some("/k.gpg".into()),
            }]
        );
    }

    #[test]
    fn stanza_form_is_read_with_comments_folds_and_switched_off_ones() {
        let text = "Types: deb deb-src\n# a comment\nURIs: http://a.example/debian\n\
                    Suites: bookworm bookworm-updates\nSigned-By:\n -----BEGIN\n .\n\
                    \n\
                    Types: deb\nURIs: http://b.example\nSuites: sid\nEnabled: no\n";
        let sources = parse_deb822(text);
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
        assert_eq!(sources[0].signed_by.as_deref(), Some("\n -----BEGIN\n ."));
    }

    #[test]
    fn only_the_debian_archive_itself_is_taken() {
        let source = |suite: &str| Source {
            uris: String::new(),
            suites: vec![suite.into()],
            signed_by: None,
        };
        assert!(source("bookworm").is_debian());
        assert!(source("trixie-updates").is_debian());
        assert!(!source("bookworm-security").is_debian());
        assert!(!source("nodistro").is_debian());
    }

    #[test]
    fn stanza_written_is_read_back() {
        let source = Source {
            uris: "http://a.example/debian".into(),
            suites: vec!["sid".into()],
            signed_by: Some("\n KEY\n ".into()),
        };
        let again = parse_deb822(&source.stanza("sid", "arm64"));
        assert_eq!(again[0].uris, source.uris);
        assert_eq!(again[0].suites, source.suites);
    }
}
