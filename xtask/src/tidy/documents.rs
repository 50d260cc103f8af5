//! What must be said about each crate.

use super::Complaint;
use super::tree::Tree;

pub fn crate_roots(tree: &Tree) -> Vec<Complaint> {
    let roots = tree.rust().filter(|(path, _)| {
        let inside = path.strip_prefix("crates/").or_else(|| path.strip_prefix("xtask/"));
        inside.is_some_and(|_| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"))
    });
    roots
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| Complaint {
            path: path.into(),
            line: 1,
            text: "begin with `//!`: what the crate is, and for whom".into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_crate_is_caught() {
        let tree = Tree::of(&[
            ("crates/gic/src/lib.rs", "mod a;\n"),
            ("crates/reg/src/lib.rs", "//! # Registers\n"),
            ("crates/abide/src/main.rs", "fn main() {}\n"),
        ]);
        assert_eq!(crate_roots(&tree).len(), 2);
    }
}
