//! Citations: `[IHI0069 12.9]` in a comment names a row of `docs/specs.md`, so that a reader finds
//! the very revision that the code was written from.

use super::Complaint;
use super::tree::Tree;

const SPECS: &str = "docs/specs.md";
/// Columns of the table: id, title, revision, where to find it, when it was read.
const COLUMNS: usize = 5;

pub fn known(tree: &Tree) -> Vec<Complaint> {
    let rows = rows(tree.text(SPECS).unwrap_or_default());
    let sources = tree.files().filter(|(path, _)| path.ends_with(".rs") || path.ends_with(".md"));
    let mut complaints = Vec::new();
    for (path, text) in sources {
        for (index, line) in text.lines().enumerate() {
            let Some(prose) = prose_of(path, line) else { continue };
            for id in citations(prose) {
                if !rows.iter().any(|(_, row)| row.first() == Some(&id)) {
                    let text = format!("cites {id}, which {SPECS} does not list");
                    complaints.push(Complaint { path: path.into(), line: index + 1, text });
                }
            }
        }
    }
    complaints
}

pub fn complete(tree: &Tree) -> Vec<Complaint> {
    let rows = rows(tree.text(SPECS).unwrap_or_default());
    let bad = rows
        .iter()
        .filter(|(_, row)| row.len() != COLUMNS || row.iter().any(|cell| cell.is_empty()));
    let mut complaints: Vec<Complaint> = bad
        .map(|(line, _)| Complaint {
            path: SPECS.into(),
            line: *line,
            text: format!("{COLUMNS} filled cells wanted: id, title, revision, where, checked"),
        })
        .collect();
    for (index, (line, row)) in rows.iter().enumerate() {
        if rows[..index].iter().any(|(_, other)| other.first() == row.first()) {
            let text = format!("{} is listed twice", row[0]);
            complaints.push(Complaint { path: SPECS.into(), line: *line, text });
        }
    }
    complaints
}

/// The rows of the tables in a Markdown text, with their line numbers, without heads and rules.
fn rows(text: &str) -> Vec<(usize, Vec<&str>)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| line.starts_with("|-") || line.starts_with("| -");
    let data = lines.iter().enumerate().filter(|(index, line)| {
        let is_head = lines.get(index + 1).is_some_and(|next| is_rule(next));
        line.starts_with('|') && !is_head && !is_rule(line)
    });
    data.map(|(index, line)| {
        let cells = line.trim().trim_matches('|').split('|').map(|cell| cell.trim()).collect();
        (index + 1, cells)
    })
    .collect()
}

/// The part of a line where a citation may stand: a comment in Rust, all of it elsewhere.
fn prose_of<'a>(path: &str, line: &'a str) -> Option<&'a str> {
    if path.ends_with(".rs") { line.find("//").map(|start| &line[start..]) } else { Some(line) }
}

/// The document ids cited in a line.
fn citations(line: &str) -> Vec<&str> {
    line.match_indices('[').filter_map(|(start, _)| citation(&line[start + 1..])).collect()
}

/// The id, if the text after `[` is a citation and not a link, an index or an array.
fn citation(rest: &str) -> Option<&str> {
    let (inside, after) = rest.split_once(']')?;
    let (id, section) = inside.split_once(' ').unwrap_or((inside, ""));
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    let is_name =
        id.starts_with(|letter: char| letter.is_ascii_alphabetic()) && id.chars().all(plain);
    let digits = id.chars().filter(char::is_ascii_digit).count();
    let is_number = id.starts_with(|letter: char| letter.is_ascii_uppercase()) && digits >= 3;
    let has_place = section.contains(|letter: char| letter.is_ascii_digit() || letter == '/');
    let is_link = after.starts_with('(') || after.starts_with('[');
    (is_name && !is_link && (is_number || has_place)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| id | title | revision | where | read |\n|---|---|---|---|---|\n\
                         | IHI0069 | GIC | H.b | Arm | 2025-01-01 |\n\
                         | linux | Linux | 6.12 | x | y |\n";

    #[test]
    fn unlisted_document_is_caught() {
        for line in [
            "//! see `[DDI0487 C4.1]`",
            "let x = 1; // [DDI0487]",
            "/// Width 32 [DEN0022 5.1], then [IHI0069 12.9].",
            concat!("/", "/ [freebsd sys/arm64/vgic.c]"),
        ] {
            let tree = Tree::of(&[("crates/gic/src/a.rs", line), (SPECS, TABLE)]);
            assert_eq!(known(&tree).len(), 1, "{line}");
        }
    }

    #[test]
    fn listed_document_is_fine() {
        let line = "/// [IHI0069 12.9], `[linux Documentation/virt/kvm/api.rst 4.68]`";
        let tree = Tree::of(&[("crates/gic/src/a.rs", line), (SPECS, TABLE)]);
        assert_eq!(known(&tree), []);
    }

    #[test]
    fn links_arrays_and_code_are_no_citations() {
        for line in [
            "/// [`Gicd`] and [the table](x.md) and [u8; 4] and a[0]",
            "let a = [X1000];",
            "/// [DDI0487](x.md)",
        ] {
            let tree = Tree::of(&[("crates/gic/src/a.rs", line)]);
            assert_eq!(known(&tree), [], "{line}");
        }
    }

    #[test]
    fn incomplete_and_double_rows_are_caught() {
        for row in [
            "| DDI0487 | Arm ARM | K.a | | 2025 |",
            "| DDI0487 | Arm ARM |",
            "| linux | L | 1 | x | y |",
        ] {
            let text = format!("{TABLE}{row}\n");
            assert_eq!(complete(&Tree::of(&[(SPECS, &text)])).len(), 1, "{row}");
        }
        assert_eq!(complete(&Tree::of(&[(SPECS, TABLE)])), []);
    }
}
