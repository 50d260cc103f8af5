//! The matrix as text: for the terminal, as data, and as a page.

use super::judge::Names;
use super::matrix::{Move, Row};
use super::stay::HUNG;
use crate::paths;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;

/// Prints a row, and returns what of it was not predicted.
pub fn print(row: &Row) -> Vec<String> {
    let Row { cpu, host, go, back, .. } = row;
    let birth = row.birth();
    let mut found = go.disagreements();
    let mut line = format!("{cpu}: {birth} → {host}: {}", go.in_words());
    if let Some(back) = back {
        found.extend(back.disagreements().into_iter().map(|text| format!("back: {text}")));
        line += &format!("; back: {}", back.in_words());
    }
    let word = if found.is_empty() { "pass" } else { "FAIL" };
    println!("{word}  {line}");
    for text in &found {
        println!("      {text}");
    }
    found
}

impl Row {
    /// Where and how it was born.
    fn birth(&self) -> String {
        let how = if self.promised { " under the contract" } else { "" };
        format!("{}{how}", self.birth)
    }
}

impl Move {
    /// The outcome in a few words.
    fn in_words(&self) -> String {
        let Self { predicted, outcome } = self;
        if outcome.said == HUNG {
            return HUNG.to_owned();
        }
        if !outcome.went {
            let count = predicted.refused.len();
            return format!("refused, {count} registers in the way");
        }
        let mut words = "went".to_owned();
        for (what, names) in [
            ("changed", &outcome.changed),
            ("dropped", &outcome.dropped),
            ("added", &outcome.added),
            ("seen by the guest", &outcome.seen),
        ] {
            if !names.is_empty() {
                let _ = write!(words, ", {} {what}", names.len());
            }
        }
        words
    }

    fn data(&self, name: &str, text: &mut String) {
        let Self { predicted, outcome } = self;
        let _ = writeln!(text, "\n[move.{name}.predicted]\nfine = {}", predicted.fine);
        let _ = writeln!(text, "carried = {}", predicted.carried);
        for (name, names) in [
            ("refused", &predicted.refused),
            ("masked", &predicted.masked),
            ("original", &predicted.original),
            ("dropped", &predicted.dropped),
            ("added", &predicted.added),
        ] {
            list(name, names, text);
        }
        let _ = writeln!(text, "\n[move.{name}.outcome]\nwent = {}", outcome.went);
        for (name, names) in [
            ("refused", &outcome.refused),
            ("dropped", &outcome.dropped),
            ("added", &outcome.added),
            ("changed", &outcome.changed),
            ("seen", &outcome.seen),
            ("excepted", &outcome.excepted),
        ] {
            list(name, names, text);
        }
        if outcome.said == HUNG {
            let _ = writeln!(text, "hung = true");
        }
        let agree = self.disagreements().is_empty();
        let _ = writeln!(text, "as_predicted = {agree}");
    }
}

/// Empty lists are left out.
fn list(name: &str, names: &Names, text: &mut String) {
    if names.is_empty() {
        return;
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    let _ = writeln!(text, "{name} = [\n{}]", quoted.concat());
}

/// Writes the committed files.
///
/// # Errors
/// If one cannot be written.
pub fn write(rows: &[Row], notes: &[String]) -> Result<()> {
    let folder = paths::root().join("docs/lab");
    fs::create_dir_all(&folder)?;
    for (name, text) in [("matrix.toml", data(rows)), ("matrix.md", page(rows, notes))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {path:?}"))?;
    }
    Ok(())
}

fn data(rows: &[Row]) -> String {
    let mut text =
        "# Written by `cargo xtask lab --matrix`; docs/lab.md tells how to read it.\n".to_owned();
    for Row { cpu, birth, promised, host, go, back } in rows {
        let _ = writeln!(
            text,
            "\n[[move]]\ncpu = \"{cpu}\"\nbirth = \"{birth}\"\nunder_contract = {promised}\n\
             host = \"{host}\""
        );
        go.data("go", &mut text);
        if let Some(back) = back {
            back.data("back", &mut text);
        }
    }
    text
}

fn page(rows: &[Row], notes: &[String]) -> String {
    let mut text = "# Moves among real kernels\n\n\
        Written by `cargo xtask lab --matrix`; [lab.md](../lab.md) tells how to read it, and \
        [matrix.toml](matrix.toml) names every register.\n\n\
        | CPU | born on | goes to | predicted | came | and home | predicted | came |\n\
        |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let Row { cpu, host, go, back, .. } = row;
        let birth = row.birth();
        let _ = write!(text, "| `{cpu}` | {birth} | {host} | {}", cells(go));
        let _ = match back {
            Some(back) => writeln!(text, " | {} | {} |", row.birth, cells(back)),
            None => writeln!(text, " | | | |"),
        };
    }
    for note in notes {
        let _ = write!(text, "\n- {}\n", note.replace('\n', "; "));
    }
    text
}

fn cells(moved: &Move) -> String {
    let predicted = &moved.predicted;
    let mut words = match predicted.fine {
        true => "goes".to_owned(),
        false => format!("refused: {}", short(&predicted.refused)),
    };
    for (what, names) in [("masked", &predicted.masked), ("dropped", &predicted.dropped)] {
        if predicted.fine && !names.is_empty() {
            let _ = write!(words, "; {what}: {}", short(names));
        }
    }
    let wrong = if moved.disagreements().is_empty() { "" } else { "**not as predicted**: " };
    format!("{words} | {wrong}{}", moved.in_words())
}

/// The first names, and how many more.
fn short(names: &Names) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
