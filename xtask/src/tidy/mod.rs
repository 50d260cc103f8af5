//! `tidy`: the house rules that neither rustfmt nor clippy can hold.
//!
//! Each rule is a function over the [`Tree`] of the repository's texts, and each is tested with
//! examples that it must catch.

mod citations;
mod documents;
mod layers;
mod sizes;
mod tree;
mod unsafety;
mod words;

use crate::paths;
use anyhow::{Result, bail};
use std::fmt;
use tree::Tree;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    path: String,
    /// Counted from 1; 0 means the file as a whole.
    line: usize,
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

type Rule = fn(&Tree) -> Vec<Complaint>;

/// Every rule, with what it holds.
const RULES: [(&str, Rule); 14] = [
    ("a crate depends on lower layers only", layers::edges),
    ("every crate has a layer", layers::known),
    ("versions stand in the root manifest only", layers::versions),
    ("anyhow and clap stay in the programs", layers::program_only),
    ("nothing below the engines names one", layers::engine_names),
    ("the lower layers take time and files as inputs", layers::pure),
    ("unsafe stays in its two crates", unsafety::confined),
    ("files and lines are short", sizes::short),
    ("every citation is in docs/specs.md", citations::known),
    ("docs/specs.md is complete", citations::complete),
    ("no banned words", words::banned),
    ("tests do not wait", words::waiting_tests),
    ("no addresses but those of specifications", words::addresses),
    ("every crate says what it is", documents::crate_roots),
];

#[derive(clap::Args)]
pub struct Arguments {}

pub fn task(_: &Arguments) -> Result<()> {
    let complaints = check(&Tree::read(&paths::root())?);
    for complaint in &complaints {
        println!("{complaint}");
    }
    if !complaints.is_empty() {
        bail!("tidy: {} complaints", complaints.len());
    }
    println!("tidy: {} rules hold", RULES.len());
    Ok(())
}

fn check(tree: &Tree) -> Vec<Complaint> {
    RULES
        .iter()
        .flat_map(|(name, rule)| {
            rule(tree).into_iter().map(move |complaint| Complaint {
                text: format!("{} ({name})", complaint.text),
                ..complaint
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::read(&paths::root()).expect("the repository can be read");
        let complaints: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    }
}
