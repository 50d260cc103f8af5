//! How long files and lines may be.

use super::Complaint;
use super::tree::{Tree, tests_start};

/// Lines of a file, without the tests at its end.
const CODE_LINES_MAX: usize = 800;
/// Lines of a file, tests included, and of a file of tests.
const ALL_LINES_MAX: usize = 1200;
/// Letters in a line of Rust. A row of a table in a comment may be longer: it cannot be broken.
const COLUMNS_MAX: usize = 100;

pub fn short(tree: &Tree) -> Vec<Complaint> {
    tree.rust().flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |line, text| complaints.push(Complaint { path: path.into(), line, text });
    let all = text.lines().count();
    let code = tests_start(path, text);
    if code > CODE_LINES_MAX {
        complain(0, format!("{code} lines of code, at most {CODE_LINES_MAX}: split by mechanism"));
    }
    if all > ALL_LINES_MAX {
        complain(0, format!("{all} lines, at most {ALL_LINES_MAX}: give the tests their own file"));
    }
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        let is_table = ["//! |", "/// |"].iter().any(|mark| line.trim_start().starts_with(mark));
        if !is_table && columns > COLUMNS_MAX {
            complain(index + 1, format!("{columns} columns, at most {COLUMNS_MAX}"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_file_is_caught() {
        let text = "\n".repeat(CODE_LINES_MAX + 1);
        assert_eq!(check_file("crates/gic/src/a.rs", &text).len(), 1);
        assert_eq!(check_file("crates/gic/tests/a.rs", &text), []);
    }

    #[test]
    fn tests_at_the_end_count_only_for_the_whole() {
        let tests = |lines| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(lines));
        assert_eq!(check_file("a.rs", &tests(CODE_LINES_MAX + 1)), []);
        assert_eq!(check_file("a.rs", &tests(ALL_LINES_MAX)).len(), 1);
    }

    #[test]
    fn long_line_is_caught_by_letters_not_bytes() {
        assert_eq!(check_file("a.rs", &format!("// {}\n", "é".repeat(97))), []);
        let complaints = check_file("a.rs", &format!("\n// {}\n", "é".repeat(98)));
        assert_eq!(complaints[0].line, 2);
        assert_eq!(check_file("a.rs", &format!("//! | {} |\n", "x".repeat(98))), []);
    }
}
