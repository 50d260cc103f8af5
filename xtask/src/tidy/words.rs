//! Words and addresses that may not stand in the repository.

use super::Complaint;
use super::tree::{Tree, code_of, tests_start};

/// Whole words, in any case, with the reason. Written in two parts, lest this file hold them.
const WORDS: [(&str, &str); 8] = [
    (concat!("to", "do"), "finish it, or write it into an issue"),
    (concat!("fix", "me"), "finish it, or write it into an issue"),
    (concat!("blazing", "ly"), "give the figure and its conditions"),
    (concat!("seam", "less"), "say what happens"),
    (concat!("seam", "lessly"), "say what happens"),
    (concat!("cutting", "-edge"), "say what it does"),
    (concat!("lever", "age"), "write `use`"),
    (concat!("util", "ize"), "write `use`"),
];

/// Parts of a line of Rust, with the reason.
const CODE: [(&str, &str); 3] = [
    (concat!("#[ign", "ore"), "a test that does not run shows nothing"),
    (concat!("#[should_", "panic"), "assert the error instead"),
    (concat!("#[al", "low("), "write `#[expect(lint, reason = \"...\")]`"),
];

/// What a test may not call: it would pass or fail by the clock on the wall.
const WAITING: [&str; 3] = ["thread::sleep", "Instant::now", "SystemTime::now"];

/// Folders of one person's machine.
const PLACES: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

/// Ends of a type's name that say nothing.
const NAME_ENDS: [&str; 5] = ["Manager", "Helper", "Helpers", "Utils", "Util"];

/// Hosts that a text may point at: where specifications, sources and licences are found.
/// Package registries are not among them: a machine's own set-up knows those.
const HOSTS: [&str; 16] = [
    "developer.arm.com",
    "docs.rs",
    "oeis.org",
    "rustup.rs",
    "docs.kernel.org",
    "git.kernel.org",
    "github.com",
    "gitlab.com",
    "docs.oasis-open.org",
    "www.apache.org",
    "www.rfc-editor.org",
    // The name of SVG, in every drawing.
    "www.w3.org",
    "uefi.org",
    "xenbits.xen.org",
    "www.devicetree.org",
    "semver.org",
];

pub fn banned(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_written(path)) {
        for (index, line) in text.lines().enumerate() {
            let mut found = words_in(line);
            if path.ends_with(".rs") {
                found.extend(code_in(line));
            }
            let line = index + 1;
            let new = found.into_iter().map(|text| Complaint { path: path.into(), line, text });
            complaints.extend(new);
        }
    }
    complaints
}

/// Prose and code, as against lists that tools write and licence texts.
fn is_written(path: &str) -> bool {
    [".rs", ".md", ".yml", ".html"].iter().any(|ending| path.ends_with(ending)) || path == ".ci/run"
}

fn words_in(line: &str) -> Vec<String> {
    let lower = line.to_ascii_lowercase();
    let words: Vec<String> = lower
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_')
        .map(str::to_owned)
        .collect();
    let named = WORDS.iter().filter(move |(word, _)| words.iter().any(|have| have == word));
    let places = PLACES.iter().filter(|place| line.contains(**place));
    named
        .map(|(word, why)| format!("`{word}`: {why}"))
        .chain(places.map(|place| format!("`{place}` is a place on one machine")))
        .collect()
}

fn code_in(line: &str) -> Vec<String> {
    let code = code_of(line);
    let parts = CODE.iter().filter(|(part, _)| code.contains(part));
    let mut found: Vec<String> = parts.map(|(part, why)| format!("`{part}`: {why}")).collect();
    let words: Vec<&str> = code.split(|letter: char| !letter.is_alphanumeric()).collect();
    for pair in words.windows(2) {
        let defines = ["struct", "enum", "trait", "type"].contains(&pair[0]);
        if defines && NAME_ENDS.iter().any(|end| pair[1].ends_with(end)) {
            found.push(format!("`{}`: name what it is or does", pair[1]));
        }
    }
    found
}

/// Tests may not depend on how fast the machine is.
pub fn waiting_tests(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with("crates/")) {
        let lines = text.lines().enumerate().skip(tests_start(path, text));
        for (index, line) in lines {
            let code = code_of(line);
            if let Some(call) = WAITING.into_iter().find(|call| code.contains(call)) {
                let text = format!("a test uses {call}: hand the time in");
                complaints.push(Complaint { path: path.into(), line: index + 1, text });
            }
        }
    }
    complaints
}

pub fn addresses(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    // Cargo writes the registry's name into its own lists.
    let files = tree.files().filter(|(path, _)| !path.ends_with("Cargo.lock"));
    for (path, text) in files {
        for (index, line) in text.lines().enumerate() {
            for host in hosts(line) {
                let reserved = host.ends_with(".example") || host == "example.com";
                if !reserved && !HOSTS.contains(&host) {
                    let text = format!("points at {host}, which is not on the list in words.rs");
                    complaints.push(Complaint { path: path.into(), line: index + 1, text });
                }
            }
        }
    }
    complaints
}

/// The hosts of the addresses in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("://").filter_map(move |(at, mark)| {
        let scheme = &line[..at];
        let is_web = ["http", "https", "ftp"].iter().any(|name| scheme.ends_with(name));
        let rest = &line[at + mark.len()..];
        let end = rest.find(|l: char| !l.is_ascii_alphanumeric() && l != '.' && l != '-');
        let host = &rest[..end.unwrap_or(rest.len())];
        (is_web && !host.is_empty()).then_some(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, line: &str) -> usize {
        let tree = Tree::of(&[(path, line)]);
        banned(&tree).len() + addresses(&tree).len()
    }

    #[test]
    fn every_banned_word_is_caught() {
        for (word, _) in WORDS {
            assert_eq!(count("a.md", &format!("We {} it.", word.to_uppercase())), 1, "{word}");
            assert_eq!(count("a.md", &format!("We pre{word}x it.")), 0, "{word}");
        }
        for place in PLACES {
            assert_eq!(count("a.md", &format!("see {place}me")), 1, "{place}");
        }
    }

    #[test]
    fn banned_code_is_caught_in_code_only() {
        for (part, _) in CODE {
            assert_eq!(count("a.rs", &format!("    {part}")), 1, "{part}");
            assert_eq!(count("a.rs", &format!("// {part}")), 0, "{part}");
            assert_eq!(count("a.md", part), 0, "{part}");
        }
    }

    #[test]
    fn waiting_is_caught_in_tests_only() {
        let line = "    std::thread::sleep(pause);\n";
        let inline = format!("{line}#[cfg(test)]\nmod tests {{\n{line}}}\n");
        let complaints = waiting_tests(&Tree::of(&[("crates/gic/src/a.rs", &inline)]));
        assert_eq!(complaints.iter().map(|found| found.line).collect::<Vec<_>>(), [4]);
        let apart = Tree::of(&[("crates/gic/tests/a.rs", line), ("crates/gic/src/b.rs", line)]);
        assert_eq!(waiting_tests(&apart).len(), 1);
    }

    #[test]
    fn name_that_says_nothing_is_caught() {
        assert_eq!(count("a.rs", "pub struct VcpuManager {"), 1);
        assert_eq!(count("a.rs", "enum Utils {"), 1);
        assert_eq!(count("a.rs", "let managers = 1;"), 0);
    }

    #[test]
    fn address_off_the_list_is_caught() {
        assert_eq!(count("a.toml", concat!("url = \"https:", "//files.invalid/x\"")), 1);
        assert_eq!(count("a.md", "<https://developer.arm.com/documentation/ihi0069>"), 0);
        assert_eq!(count("a.md", "http://a.example/debian"), 0);
    }
}
