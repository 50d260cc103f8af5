//! Where `unsafe` may stand.

use super::Complaint;
use super::tree::{Tree, code_of, crate_of};

/// The crates that may contain it: guest RAM is a mapping that others write to, and KVM is ioctls.
const ALLOWED: [&str; 2] = ["memory", "engine-kvm"];

/// The file besides that makes one system call which no library with users wraps.
const SYSTEM_CALL: &str = "crates/host-time/src/kernel.rs";

/// Beside a crate and no part of the product: a program of its own for another processor, and the
/// instruction that a bench compares readers of a counter with.
const OUTSIDE: [&str; 2] = ["crates/engine-soft/recorder/", "crates/vmclock/benches/counter.rs"];

pub fn confined(tree: &Tree) -> Vec<Complaint> {
    let product = tree.rust().filter(|(path, _)| {
        let own = crate_of(path);
        (own.is_some() || path.starts_with("xtask/"))
            && own.is_none_or(|name| !ALLOWED.contains(&name))
            && *path != SYSTEM_CALL
            && !OUTSIDE.iter().any(|folder| path.starts_with(folder))
    });
    let found = product.flat_map(|(path, text)| {
        let lines = text.lines().enumerate().filter(|(_, line)| has_unsafe(line));
        lines.map(|(index, _)| Complaint {
            path: path.into(),
            line: index + 1,
            text: format!("unsafe is for {} and {SYSTEM_CALL} only", ALLOWED.join(", ")),
        })
    });
    found.collect()
}

fn has_unsafe(line: &str) -> bool {
    let code = code_of(line);
    let mut words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.any(|word| word == "unsafe")
        // The lint may be switched off for a module without the word standing alone.
        || (code.contains("unsafe_code") && !code.contains("forbid(") && !code.contains("deny("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_elsewhere_is_caught_in_every_shape() {
        for line in [
            "let x = unsafe { y };",
            "unsafe fn f() {}",
            "unsafe",
            "#[expect(unsafe_code, reason = \"fast\")]",
        ] {
            assert_eq!(confined(&Tree::of(&[("crates/gic/src/a.rs", line)])).len(), 1, "{line}");
            assert_eq!(confined(&Tree::of(&[("crates/memory/src/a.rs", line)])), [], "{line}");
            assert_eq!(confined(&Tree::of(&[(SYSTEM_CALL, line)])), [], "{line}");
            let beside = "crates/host-time/src/lib.rs";
            assert_eq!(confined(&Tree::of(&[(beside, line)])).len(), 1, "{line}");
        }
    }

    #[test]
    fn talk_of_it_is_not_caught() {
        for line in ["// unsafe here", "#![forbid(unsafe_code)]", "let a = \"unsafe\";"] {
            assert_eq!(confined(&Tree::of(&[("crates/gic/src/a.rs", line)])), [], "{line}");
        }
    }
}
