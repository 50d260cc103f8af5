//! The layer law: who may depend on whom. ARCHITECTURE.md says why; this table is what holds.

use super::Complaint;
use super::tree::{Tree, code_of, crate_of};
use toml_edit::{DocumentMut, Item};

/// Every crate and its layer. `None` is for tests only: no layer may use it outside of them.
const LAYERS: [(&str, Option<u8>); 21] = [
    ("reg", Some(1)),
    ("memory", Some(1)),
    ("arm64", Some(2)),
    ("firmware", Some(2)),
    ("gic", Some(2)),
    ("pvtime", Some(2)),
    ("virtio", Some(2)),
    ("vmclock", Some(2)),
    ("xen", Some(2)),
    ("contract", Some(3)),
    ("engine", Some(3)),
    ("engine-kvm", Some(4)),
    ("engine-soft", Some(4)),
    ("host-time", Some(4)),
    ("net", Some(4)),
    ("interop", Some(5)),
    ("machine", Some(5)),
    ("migrate", Some(5)),
    ("snapshot", Some(5)),
    ("abide", Some(6)),
    ("testkit", None),
];

/// Edges within a layer that are allowed, each with its reason.
const SAME_LAYER: [(&str, &str, &str); 2] = [
    ("memory", "reg", "addresses are a type of `reg`, which needs nothing itself"),
    (
        "machine",
        "snapshot",
        "saving a machine writes the container; the container knows no machine",
    ),
];

/// The engines; below their layer nothing may know which one runs.
const ENGINE_LAYER: u8 = 4;

/// Crates for programs, where an error ends on somebody's terminal.
const PROGRAM_ONLY: [&str; 2] = ["anyhow", "clap"];

/// What lower layers may not reach for by themselves.
const IMPURE: [&str; 7] = [
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
];

fn layer(name: &str) -> Option<&'static (&'static str, Option<u8>)> {
    LAYERS.iter().find(|(known, _)| *known == name)
}

/// One line of a table of dependencies.
struct Dependency {
    name: String,
    is_dev: bool,
    from_workspace: bool,
}

impl Dependency {
    /// The folder below `crates/`, if it is one of ours.
    fn own(&self) -> Option<&str> {
        let folder = self.name.strip_prefix("abide-").unwrap_or(&self.name);
        (self.name != folder || self.name == "abide").then_some(folder)
    }
}

fn dependencies(manifest: &str) -> Result<Vec<Dependency>, String> {
    let document: DocumentMut = manifest.parse().map_err(|error| format!("{error}"))?;
    let mut found = Vec::new();
    let mut tables = vec![document.as_table()];
    // `[target.'cfg(...)'.dependencies]` counts like `[dependencies]`.
    let targets = document.get("target").and_then(Item::as_table);
    tables.extend(
        targets.into_iter().flat_map(|table| table.iter()).filter_map(|(_, item)| item.as_table()),
    );
    for table in tables {
        for (kind, is_dev) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let Some(lines) = table.get(kind).and_then(Item::as_table_like) else { continue };
            found.extend(lines.iter().map(|(name, item)| {
                Dependency {
                    name: name.into(),
                    is_dev,
                    from_workspace: item
                        .as_table_like()
                        .and_then(|line| line.get("workspace"))
                        .and_then(Item::as_bool)
                        .unwrap_or(false),
                }
            }));
        }
    }
    Ok(found)
}

/// Applies `judge` to every dependency of every crate.
fn judge_all(tree: &Tree, judge: impl Fn(&str, &Dependency) -> Option<String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (name, manifest) in tree.crates() {
        let path = format!("crates/{name}/Cargo.toml");
        match dependencies(manifest) {
            Ok(list) => complaints.extend(list.iter().filter_map(|dependency| {
                let text = judge(name, dependency)?;
                Some(Complaint { path: path.clone(), line: 0, text })
            })),
            Err(text) => complaints.push(Complaint { path, line: 0, text }),
        }
    }
    complaints
}

pub fn edges(tree: &Tree) -> Vec<Complaint> {
    judge_all(tree, |name, dependency| {
        let other = dependency.own()?;
        let (_, from) = layer(name)?;
        let Some((_, to)) = layer(other) else {
            return Some(format!("{name} depends on {other}, which has no layer"));
        };
        match (from, to) {
            // The kit for tests may use whatever it tests.
            (None, _) => None,
            (Some(_), None) if dependency.is_dev => None,
            (Some(_), None) => Some(format!("{name} uses {other} outside of tests")),
            (Some(from), Some(to)) => {
                let allowed = SAME_LAYER.iter().any(|(a, b, _)| (*a, *b) == (name, other));
                (to >= from && !allowed)
                    .then(|| format!("{name} (layer {from}) depends on {other} (layer {to})"))
            }
        }
    })
}

pub fn known(tree: &Tree) -> Vec<Complaint> {
    let unknown = tree.crates().filter(|(name, _)| layer(name).is_none());
    unknown
        .map(|(name, _)| Complaint {
            path: format!("crates/{name}/Cargo.toml"),
            line: 0,
            text: format!("give {name} a layer in xtask/src/tidy/layers.rs"),
        })
        .collect()
}

pub fn versions(tree: &Tree) -> Vec<Complaint> {
    judge_all(tree, |_, dependency| {
        let name = &dependency.name;
        (!dependency.from_workspace).then(|| format!("write `{name}.workspace = true`"))
    })
}

pub fn program_only(tree: &Tree) -> Vec<Complaint> {
    judge_all(tree, |name, dependency| {
        let bad = name != "abide" && PROGRAM_ONLY.contains(&dependency.name.as_str());
        bad.then(|| format!("{name} is a library and may not use {}", dependency.name))
    })
}

/// The code lines of crates whose layer is within `layers`.
fn code_lines(
    tree: &Tree,
    layers: std::ops::Range<u8>,
) -> impl Iterator<Item = (&str, &str, usize, String)> {
    tree.rust().flat_map(move |(path, text)| {
        let name = crate_of(path).unwrap_or_default();
        let number = layer(name).and_then(|(_, number)| *number);
        let applies = number.is_some_and(|number| layers.contains(&number));
        let lines = text.lines().take(if applies { usize::MAX } else { 0 }).enumerate();
        lines.map(move |(index, line)| (path, name, index + 1, code_of(line)))
    })
}

pub fn engine_names(tree: &Tree) -> Vec<Complaint> {
    let named = code_lines(tree, 1..ENGINE_LAYER).filter_map(|(path, _, line, code)| {
        let bad = ["engine_soft", "engine_kvm"].into_iter().find(|name| code.contains(name))?;
        Some(Complaint { path: path.into(), line, text: format!("names {bad}") })
    });
    named.collect()
}

pub fn pure(tree: &Tree) -> Vec<Complaint> {
    // Layer 1 is where guest RAM comes from the host; from 2 on everything is handed in.
    let impure = code_lines(tree, 2..ENGINE_LAYER).filter_map(|(path, _, line, code)| {
        let bad = IMPURE.into_iter().find(|name| code.contains(name))?;
        let outside = ["/tests/", "/examples/", "/benches/"];
        let is_test = outside.iter().any(|folder| path.contains(folder));
        (!is_test).then(|| Complaint { path: path.into(), line, text: format!("uses {bad}") })
    });
    impure.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(complaints: Vec<Complaint>) -> Vec<String> {
        complaints.into_iter().map(|complaint| complaint.text).collect()
    }

    fn manifest(name: &str, lines: &str) -> Tree {
        Tree::of(&[(&format!("crates/{name}/Cargo.toml"), lines)])
    }

    #[test]
    fn edge_upwards_is_caught() {
        let tree = manifest("gic", "[dependencies]\nabide-machine.workspace = true\n");
        assert_eq!(texts(edges(&tree)), ["gic (layer 2) depends on machine (layer 5)"]);
    }

    #[test]
    fn edge_between_abi_crates_is_caught_even_for_tests_or_one_target() {
        let dev = manifest("gic", "[dev-dependencies]\nabide-firmware.workspace = true\n");
        assert_eq!(edges(&dev).len(), 1);
        let target =
            manifest("gic", "[target.'cfg(unix)'.dependencies]\nabide-xen.workspace = true\n");
        assert_eq!(edges(&target).len(), 1);
    }

    #[test]
    fn listed_edge_within_a_layer_is_allowed_one_way() {
        let there = manifest("memory", "[dependencies]\nabide-reg.workspace = true\n");
        assert_eq!(edges(&there), []);
        let back = manifest("reg", "[dependencies]\nabide-memory.workspace = true\n");
        assert_eq!(edges(&back).len(), 1);
    }

    #[test]
    fn test_kit_is_for_tests() {
        let tests = manifest("gic", "[dev-dependencies]\nabide-testkit.workspace = true\n");
        assert_eq!(edges(&tests), []);
        let product = manifest("gic", "[dependencies]\nabide-testkit.workspace = true\n");
        assert_eq!(texts(edges(&product)), ["gic uses testkit outside of tests"]);
    }

    #[test]
    fn crate_without_a_layer_is_caught() {
        assert_eq!(known(&manifest("utils", "")).len(), 1);
        let tree = manifest("gic", "[dependencies]\nabide-utils.workspace = true\n");
        assert_eq!(texts(edges(&tree)), ["gic depends on utils, which has no layer"]);
    }

    #[test]
    fn unreadable_manifest_is_caught() {
        assert_eq!(edges(&manifest("gic", "[dependencies\n")).len(), 1);
    }

    #[test]
    fn version_in_a_crate_is_caught() {
        for line in ["flate2 = \"1\"", "flate2 = { version = \"1\" }", "flate2.path = \"../f\""] {
            let tree = manifest("machine", &format!("[dependencies]\n{line}\n"));
            assert_eq!(texts(versions(&tree)), ["write `flate2.workspace = true`"]);
        }
        let good = "[dependencies]\nflate2 = { workspace = true, features = [\"x\"] }\n";
        assert_eq!(versions(&manifest("machine", good)), []);
    }

    #[test]
    fn program_crate_in_a_library_is_caught() {
        let lines = "[dependencies]\nanyhow.workspace = true\nclap.workspace = true\n";
        assert_eq!(program_only(&manifest("machine", lines)).len(), 2);
        assert_eq!(program_only(&manifest("abide", lines)), []);
    }

    #[test]
    fn engine_named_below_its_layer_is_caught() {
        let code = "use abide_engine_soft::Soft;\n// like engine_kvm\n";
        let low = Tree::of(&[("crates/engine/src/lib.rs", code)]);
        assert_eq!(texts(engine_names(&low)), ["names engine_soft"]);
        let high = Tree::of(&[("crates/abide/src/main.rs", code)]);
        assert_eq!(engine_names(&high), []);
    }

    #[test]
    fn clock_read_in_a_lower_layer_is_caught() {
        let code = "let now = std::time::Instant::now();\n";
        assert_eq!(pure(&Tree::of(&[("crates/gic/src/lib.rs", code)])).len(), 1);
        assert_eq!(pure(&Tree::of(&[("crates/machine/src/lib.rs", code)])), []);
    }
}
