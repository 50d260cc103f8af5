//! What checks printed, taken from a console and compared with what is recorded.

use crate::paths;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

const BEGIN: &str = "abide-checks: begin";
const END: &str = "abide-checks: end";

/// The record of a check.
pub fn file(check: &str) -> PathBuf {
    paths::root().join("guests/userland/expected").join(format!("{check}.txt"))
}

/// What a check must print.
///
/// # Errors
/// If nothing is recorded.
pub fn expected(check: &str) -> Result<String> {
    let file = file(check);
    fs::read_to_string(&file).with_context(|| format!("reading {file:?}; --record makes it"))
}

/// Records what `checks` printed; each must have ended well.
///
/// # Errors
/// If one did not run or failed.
pub fn record(console: &str, checks: &[String]) -> Result<()> {
    let sections = sections(console)?;
    for name in checks {
        let text = sections.get(name).with_context(|| format!("{name}: did not run"))?;
        let whole = text.ends_with(&format!("== {name}: exit code 0\n"));
        ensure!(whole, "{name}: did not end well:\n{}", tail(text));
        let file = file(name);
        fs::write(&file, text).with_context(|| format!("writing {file:?}"))?;
        println!("{}: {} lines", file.display(), text.lines().count());
    }
    Ok(())
}

/// For each check the first line that differs from what is expected, in words; `None` if none does.
///
/// # Errors
/// If the guest came to no check, or one has no record.
pub fn compare(console: &str, checks: &[String]) -> Result<Vec<(String, Option<String>)>> {
    let sections = sections(console)?;
    let compared = checks.iter().map(|name| {
        let found = sections.get(name).map_or("", |text| text);
        Ok((name.clone(), difference(&expected(name)?, found)))
    });
    compared.collect()
}

/// What each check printed, by its name, with its last line, which tells how it ended.
fn sections(console: &str) -> Result<BTreeMap<String, String>> {
    let (_, rest) = console
        .split_once(BEGIN)
        .with_context(|| format!("the guest came to no check:\n… {}", tail(console)))?;
    let text = rest.split_once(END).map_or(rest, |(text, _)| text);
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines().map(|line| line.trim_end_matches('\r')) {
        let name = line.strip_prefix("== ").filter(|name| !name.contains(':'));
        if let Some(name) = name {
            current = Some(name.to_owned());
        } else if let Some(name) = &current {
            let section = sections.entry(name.clone()).or_default();
            section.push_str(line);
            section.push('\n');
        }
    }
    Ok(sections)
}

/// The first line that differs, in words.
pub fn difference(expected: &str, found: &str) -> Option<String> {
    let (mut wanted, mut there) = (expected.lines(), found.lines());
    for number in 1.. {
        let (wanted, there) = (wanted.next(), there.next());
        if wanted != there {
            let shown =
                |line: Option<&str>| line.map_or("the end".into(), |line| format!("{line:?}"));
            return Some(format!("line {number} is {}, expected {}", shown(there), shown(wanted)));
        }
        if wanted.is_none() {
            break;
        }
    }
    None
}

/// The last lines of a text that may be long.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// How many lines the guest prints from its first check to its last one.
///
/// # Errors
/// If a check has no record.
pub fn lines(checks: &[String]) -> Result<usize> {
    // A line with its name stands before each.
    checks.iter().map(|name| Ok(expected(name)?.lines().count() + 1)).sum()
}

/// How many lines of checks a console shows so far.
pub fn lines_so_far(console: &[u8]) -> usize {
    let text = String::from_utf8_lossy(console);
    let lines = |rest: &str| rest.bytes().filter(|byte| *byte == b'\n').count();
    text.split_once(BEGIN).map_or(0, |(_, rest)| lines(rest).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::super::CHECKS;
    use super::*;

    const CONSOLE: &str = "Booting\r\nabide-checks: begin\r\n== one\r\na\r\nb\r\n\
        == one: exit code 0\r\n== two\r\n== two: exit code 3\r\nabide-checks: end\r\nrest\r\n";

    #[test]
    fn sections_are_cut_at_their_names() {
        let sections = sections(CONSOLE).expect("checks ran");
        assert_eq!(sections["one"], "a\nb\n== one: exit code 0\n");
        assert_eq!(sections["two"], "== two: exit code 3\n");
        assert!(super::sections("Booting\r\nKernel panic").is_err());
    }

    #[test]
    fn lines_are_counted_from_the_first_check_on() {
        assert_eq!(lines_so_far(b"Booting\r\na\r\nb\r\n"), 0);
        assert_eq!(lines_so_far(b"Booting\r\nabide-checks: begin\r\n"), 0);
        assert_eq!(lines_so_far(b"abide-checks: begin\r\n== one\r\na\r\nb"), 2);
    }

    #[test]
    fn first_difference_is_shown_with_its_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let cases = [
            ("a\nb\n", "a\nc\n", "line 2 is \"c\", expected \"b\""),
            ("a\nb\n", "a\n", "line 2 is the end, expected \"b\""),
            ("a\n", "a\nb\n", "line 2 is \"b\", expected the end"),
            ("a\n", "", "line 1 is the end, expected \"a\""),
        ];
        for (expected, found, text) in cases {
            assert_eq!(difference(expected, found).as_deref(), Some(text));
        }
    }

    #[test]
    fn every_check_has_its_script_and_its_record() {
        for check in CHECKS {
            let name = check.name;
            let script = paths::root().join(format!("guests/userland/checks/{name}.sh"));
            assert!(script.is_file(), "{script:?}");
            let expected = expected(name).expect("it is recorded");
            assert!(expected.ends_with(&format!("== {name}: exit code 0\n")), "{name}");
            assert!(expected.lines().count() > 2, "{name}");
        }
    }
}
