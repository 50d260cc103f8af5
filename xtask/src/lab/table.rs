//! The matrix as text: for the terminal, as data, and as a page.

use super::abi::Gic;
use super::judge::{End, Names, Verdicts};
use super::matrix::{Move, Row};
use crate::paths;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

/// How a row is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Pass,
    Fail,
    /// A host that is known not to run every guest did not run this one.
    Bad,
}

/// Prints a row, and judges it.
pub fn print(row: &Row) -> Word {
    let Row { cpu, host, go, back, .. } = row;
    let mut line = format!("{cpu}: {} → {host}: {}", row.birth(), go.in_words());
    if let Some(back) = back {
        line += &format!("; back: {}", back.in_words());
    }
    let (word, found) = row.judged();
    let text = match word {
        Word::Pass => "pass",
        Word::Fail => "FAIL",
        Word::Bad => "bad ",
    };
    println!("{text}  {line}");
    for text in &found {
        println!("      {text}");
    }
    word
}

impl Row {
    /// Where and how it was born.
    fn birth(&self) -> String {
        match &self.promise {
            Some(kernels) => format!("{} under the contract of {kernels}", self.birth),
            None => self.birth.to_owned(),
        }
    }

    /// What of it was not predicted, if that is so.
    fn judged(&self) -> (Word, Vec<String>) {
        let mut found = self.go.disagreements();
        if let Some(back) = &self.back {
            found.extend(back.disagreements().into_iter().map(|text| format!("back: {text}")));
        }
        let not_made = |moved: &Move| moved.was_not_made();
        let word = if !found.is_empty() {
            Word::Fail
        } else if not_made(&self.go) || self.back.as_ref().is_some_and(not_made) {
            Word::Bad
        } else {
            Word::Pass
        };
        (word, found)
    }
}

impl Move {
    /// The outcome in a few words.
    fn in_words(&self) -> String {
        let Self { predicted, outcome, .. } = self;
        let mut words = match &outcome.end {
            End::Went => "went".to_owned(),
            End::Refused => {
                format!("refused, {} registers in the way", predicted.names("refuse").len())
            }
            End::Unusable(_) if self.at_risk => "host unusable, as the note says".to_owned(),
            End::Unusable(why) => format!("host unusable: {}", first_words(why)),
            End::Failed => "failed".to_owned(),
        };
        if !outcome.went() {
            return words;
        }
        for (what, names) in [
            ("changed", &outcome.changed),
            ("gone", &outcome.dropped),
            ("added", &outcome.added),
            ("seen by the guest", &outcome.seen),
            ("excepted", &outcome.excepted),
        ] {
            if !names.is_empty() {
                let _ = write!(words, ", {} {what}", names.len());
            }
        }
        words
    }

    fn data(&self, name: &str, text: &mut String) {
        let Self { predicted, outcome, .. } = self;
        let fine = if predicted.fine { "goes" } else { "refused" };
        let _ = writeln!(text, "\n[move.{name}]\npredicted = \"{fine}\"");
        let (came, why) = match &outcome.end {
            End::Went => ("went", None),
            End::Refused => ("refused", None),
            End::Unusable(why) => ("host unusable", Some(why)),
            End::Failed => ("failed", Some(&outcome.said)),
        };
        let _ = writeln!(text, "came = \"{came}\"");
        if let Some(why) = why {
            let _ = writeln!(text, "why = {}", quoted(why));
        }
        let agree = !self.was_not_made() && self.disagreements().is_empty();
        let _ = writeln!(text, "as_predicted = {agree}\ncarried = {}", predicted.carried);
        if let Some(gic) = &outcome.gic {
            let Gic { iidr, held, looks } = gic;
            let _ = writeln!(
                text,
                "gic = {{ GICD_IIDR = \"{iidr}\", interrupts_taken_as_held = {held}, \
                 looks = {looks} }}"
            );
        }
        self.registers(text);
        for (name, names) in [
            ("gone", &outcome.dropped),
            ("added", &outcome.added),
            ("changed", &outcome.changed),
            ("seen", &outcome.seen),
            ("excepted", &outcome.excepted),
        ] {
            list(name, names, text);
        }
    }

    /// Each register that is not simply written: what was predicted, why, and what the restore
    /// reported; those of several vCPUs together.
    fn registers(&self, text: &mut String) {
        let Self { predicted, outcome, .. } = self;
        let (said, came) = (&predicted.verdicts, &outcome.reported);
        let mut lines: BTreeMap<[&str; 4], usize> = BTreeMap::new();
        for register in said.keys().chain(came.keys()).collect::<BTreeSet<_>>() {
            let (predicted, reason) = told(said, register);
            let (reported, other) = told(came, register);
            let reason = if reason.is_empty() { other } else { reason };
            *lines.entry([&register.1, predicted, reported, reason]).or_default() += 1;
        }
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(text, "registers = [");
        for ([name, predicted, reported, reason], count) in lines {
            let reported = if outcome.went() || predicted == "refuse" { reported } else { "-" };
            let _ = writeln!(
                text,
                "    {{ name = \"{name}\", of = {count}, predicted = \"{predicted}\", reported = \
                 \"{reported}\", reason = {} }},",
                quoted(reason)
            );
        }
        let _ = writeln!(text, "]");
    }
}

/// The verdict and its reason; a register of which nothing is told is simply written.
fn told<'a>(verdicts: &'a Verdicts, register: &(String, String)) -> (&'a str, &'a str) {
    let told = verdicts.get(register);
    told.map_or(("carry", ""), |(verdict, reason)| (verdict.as_str(), reason.as_str()))
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = clean.collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What is said, as far as the first colon or parenthesis after a few words.
fn first_words(text: &str) -> &str {
    const SHOWN: usize = 60;
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
    text[..end].trim_end()
}

/// Empty lists are left out.
fn list(name: &str, names: &Names, text: &mut String) {
    if names.is_empty() {
        return;
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let _ = writeln!(text, "{name} = [{}]", quoted.join(", "));
}

/// A committed file: what stands before its sections, and how each begins.
struct Kept {
    name: &'static str,
    head: &'static str,
    marks: [&'static str; 2],
}

const DATA: Kept = Kept {
    name: "matrix.toml",
    head: "# Written by `cargo xtask lab --matrix`; docs/lab.md tells how to read it.\n",
    marks: ["\n# CPU ", "\n"],
};
const PAGE: Kept = Kept {
    name: "matrix.md",
    head: "# Moves among real kernels\n\n\
        Written by `cargo xtask lab --matrix`; [lab.md](../lab.md) tells how to read it, and \
        [matrix.toml](matrix.toml) names every register.\n",
    marks: ["\n## CPU `", "`\n"],
};

/// Writes a CPU's part of the committed files; the parts of the others of `cpus` stay.
///
/// # Errors
/// If a file cannot be written.
pub fn write(cpu: &str, cpus: &[&str], rows: &[Row], notes: &[String]) -> Result<()> {
    let folder = paths::root().join("docs/lab");
    fs::create_dir_all(&folder)?;
    for (kept, text) in [(DATA, data(rows)), (PAGE, page(rows, notes))] {
        let path = folder.join(kept.name);
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, kept.renewed(&old, cpus, cpu, &text))
            .with_context(|| format!("writing {path:?}"))?;
    }
    Ok(())
}

impl Kept {
    /// `old` with another section of one CPU, in the order of all CPUs.
    fn renewed(&self, old: &str, cpus: &[&str], cpu: &str, section: &str) -> String {
        let [begin, end] = self.marks;
        let mark = |cpu: &str| format!("{begin}{cpu}{end}");
        let mut text = self.head.to_owned();
        for &other in cpus {
            let mark = mark(other);
            if other == cpu {
                text += &mark;
                text += section;
            } else if let Some((_, rest)) = old.split_once(&mark) {
                text += &mark;
                text += rest.split(begin).next().unwrap_or(rest);
            }
        }
        text
    }
}

fn data(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let Row { cpu, birth, promise, host, go, back } = row;
        let _ = writeln!(text, "\n[[move]]\ncpu = \"{cpu}\"\nbirth = \"{birth}\"");
        if let Some(kernels) = promise {
            let _ = writeln!(text, "contract_of = \"{kernels}\"");
        }
        let _ = writeln!(text, "host = \"{host}\"");
        go.data("go", &mut text);
        if let Some(back) = back {
            back.data("back", &mut text);
        }
    }
    text
}

fn page(rows: &[Row], notes: &[String]) -> String {
    let mut text = "\n| born on | goes to | predicted | came | and home | predicted | came |\n\
        |---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let Row { host, go, back, .. } = row;
        let birth = row.birth();
        let _ = write!(text, "| {birth} | {host} | {}", cells(go));
        let _ = match back {
            Some(back) => writeln!(text, " | {} | {} |", row.birth, cells(back)),
            None => writeln!(text, " | | | |"),
        };
    }
    controllers(rows, &mut text);
    for note in notes {
        let _ = write!(text, "\n- {}\n", note.replace('\n', "; "));
    }
    text
}

/// What the guest saw of its interrupt controller on each way.
fn controllers(rows: &[Row], text: &mut String) {
    *text += "\nThe interrupt controller: GICD_IIDR as the guest saw it at birth and at each look \
        since, and how many interrupts it held over each look (pending, active, both, level, \
        disabled, software generated) and took afterwards, each once and in the one right \
        order.\n\n\
        | born on | goes to | GICD_IIDR | interrupts × looks there | at home again |\n\
        |---|---|---|---|---|\n";
    for row in rows {
        let Some(gic) = &row.go.outcome.gic else { continue };
        let held = |gic: &Gic| format!("{} × {}", gic.held, gic.looks);
        let home = row.back.as_ref().and_then(|back| back.outcome.gic.as_ref());
        let (host, birth) = (row.host, row.birth());
        let Gic { iidr, .. } = gic;
        let home = home.map_or(String::new(), held);
        let there = held(gic);
        let _ = writeln!(text, "| {birth} | {host} | {iidr} | {there} | {home} |");
    }
}

fn cells(moved: &Move) -> String {
    let predicted = &moved.predicted;
    let mut words = match predicted.fine {
        true => "goes".to_owned(),
        false => format!("refused: {}", short(&predicted.names("refuse"))),
    };
    for (what, verdict) in [("masked", "mask"), ("dropped", "drop"), ("original", "original")] {
        let names = predicted.names(verdict);
        if predicted.fine && !names.is_empty() {
            let _ = write!(words, "; {what}: {}", short(&names));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_cpus_section_is_renewed() {
        let cpus = ["a", "b", "c"];
        let old = DATA.renewed("", &cpus, "c", "\nof c\n");
        let both = DATA.renewed(&old, &cpus, "a", "\nof a\n");
        let again = DATA.renewed(&both, &cpus, "c", "\nnew\n");
        let head = DATA.head;
        assert_eq!(both, format!("{head}\n# CPU a\n\nof a\n\n# CPU c\n\nof c\n"));
        assert_eq!(again, format!("{head}\n# CPU a\n\nof a\n\n# CPU c\n\nnew\n"));
    }

    #[test]
    fn strings_are_quoted_as_toml_has_them() {
        assert_eq!(quoted("a \"b\"\\\n"), "\"a \\\"b\\\"\\\\ \"");
    }
}
