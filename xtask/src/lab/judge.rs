//! What a plan predicts of a move, what came of the move, and whether the two agree, register by
//! register.

use super::abi::{self, Looks};
use super::stay::{HUNG, Stayed};
use crate::abide::SAVED_AWAY;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Names of registers.
pub type Names = BTreeSet<String>;

/// What `abide plan` says of a move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prediction {
    /// Whether the guest can go.
    pub fine: bool,
    /// Registers that are written as they are.
    pub carried: usize,
    /// Registers that stand in the way.
    pub refused: Names,
    /// Registers whose value here is hidden: the guest goes on seeing its own.
    pub masked: Names,
    /// Registers that read back different, and whose original value is kept for the way on.
    pub original: Names,
    /// Registers that are not written there; a file may carry them along.
    pub dropped: Names,
    /// Registers that only the host has.
    pub added: Names,
}

/// What came of a move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the guest went on, looked, and was saved.
    pub went: bool,
    /// Registers that the refusal named.
    pub refused: Names,
    /// Registers that its file no longer has.
    pub dropped: Names,
    /// Registers that its file has now.
    pub added: Names,
    /// Registers that hold something else, and do not move by themselves.
    pub changed: Names,
    /// What the guest itself saw change.
    pub seen: Names,
    /// Changes that are known exceptions.
    pub excepted: Names,
    /// What abide said last, where the guest did not go.
    pub said: String,
}

/// Asks for a plan of moving the guest in `file` to a host.
///
/// # Errors
/// If there is no answer.
pub fn predict(abide: &Path, file: &Path, profile: &Path) -> Result<Prediction> {
    let mut command = Command::new(abide);
    command.arg("plan").arg(file).arg("--to").arg(profile).args(["--json", "--all"]);
    let output = command.output().context("starting abide plan")?;
    let json: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("abide plan: {}", String::from_utf8_lossy(&output.stderr).trim_end())
    })?;
    prediction(&json["plans"][0]).context("an answer of abide plan with no plan")
}

fn prediction(plan: &Value) -> Option<Prediction> {
    let mut prediction = Prediction { fine: plan["fine"].as_bool()?, ..Prediction::default() };
    for register in plan["registers"].as_array()? {
        let name = register["name"].as_str()?.to_owned();
        let names = match register["verdict"].as_str()? {
            "refuse" => &mut prediction.refused,
            "mask" => &mut prediction.masked,
            "original" => &mut prediction.original,
            "drop" => &mut prediction.dropped,
            _ => {
                prediction.carried += 1;
                continue;
            }
        };
        names.insert(name);
    }
    for register in plan["only_there"].as_array()? {
        prediction.added.insert(register["name"].as_str()?.to_owned());
    }
    Some(prediction)
}

/// Looks at what came of a move: the stay, the guest's console before it, and the differences of
/// its two files.
///
/// # Errors
/// If the files cannot be compared.
pub fn outcome(
    abide: &Path,
    life: &str,
    stayed: &Stayed,
    files: Option<(&Path, &Path)>,
    predicted: &Prediction,
) -> Result<Outcome> {
    let mut outcome = Outcome { went: stayed.code == SAVED_AWAY, ..Outcome::default() };
    let (Some((before, after)), true) = (files, outcome.went) else {
        let named = |name: &&String| mentions(&stayed.words, name);
        outcome.refused = predicted.refused.iter().filter(named).cloned().collect();
        outcome.said = last_line(&stayed.words);
        return Ok(outcome);
    };
    let mut diff = Command::new(abide);
    diff.arg("diff").arg(before).arg(after).arg("--json");
    let output = diff.output().context("starting abide diff")?;
    let lines: Vec<String> =
        serde_json::from_slice(&output.stdout).context("an answer of abide diff")?;
    for line in &lines {
        sort_in(line, &mut outcome);
    }
    let whole = format!("{life}{}", stayed.console);
    match Looks::of(&whole) {
        Ok(looks) => {
            outcome.excepted = looks.excepted.iter().map(|change| change.name.clone()).collect();
        }
        Err(error) => {
            outcome.seen = abi::changes(&whole).into_iter().map(|change| change.name).collect();
            outcome.said = format!("{error:#}");
        }
    }
    Ok(outcome)
}

/// `UNIT SCOPE: NAME: LEFT | RIGHT`, or `UNIT SCOPE: NAME missing in the first file, …`.
fn sort_in(line: &str, outcome: &mut Outcome) {
    let Some((record, rest)) = line.split_once(": ") else { return };
    let unit = record.split(' ').next().unwrap_or_default();
    if let Some((name, rest)) = rest.split_once(" missing in the ") {
        let gone = rest.starts_with("second file");
        let names = if gone { &mut outcome.dropped } else { &mut outcome.added };
        names.insert(name.to_owned());
    } else if let Some((name, _)) = rest.split_once(": ")
        && !moves_by_itself(unit, name)
    {
        outcome.changed.insert(name.to_owned());
    }
}

/// What a running guest changes, or time does. The state of interrupts the guest judges itself.
fn moves_by_itself(unit: &str, name: &str) -> bool {
    const UNITS: [&str; 5] = ["clock", "console", "counter", "memory", "rtc"];
    const NAMES: [&str; 14] = [
        "SP_EL0",
        "SP_EL1",
        "PC",
        "PSTATE",
        "ELR_EL1",
        "SPSR_EL1",
        "ESR_EL1",
        "FAR_EL1",
        "PAR_EL1",
        "CSSELR_EL1",
        "CNTV_CVAL_EL0",
        "CNTV_CTL_EL0",
        "CNTP_CTL_EL0",
        "ICC_PMR_EL1",
    ];
    const BEGINNINGS: [&str; 4] = ["LEVEL_INFO", "GICD_IS", "GICR_IS", "ICC_AP"];
    let general = name.strip_prefix('x').is_some_and(|number| number.parse::<u8>().is_ok());
    general
        || UNITS.contains(&unit)
        || NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether `text` has `name` as a word.
fn mentions(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '[';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part))
}

fn last_line(words: &str) -> String {
    words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

/// What of an outcome was not predicted; nothing if the two agree.
pub fn disagreements(predicted: &Prediction, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    match (predicted.fine, outcome.went) {
        // Known, named in the table, and nothing that registers could tell.
        (_, false) if outcome.said == HUNG => {}
        (true, false) => found.push(format!("predicted to go, and did not: {}", outcome.said)),
        (false, true) => found.push("predicted to be refused, and went".to_owned()),
        (false, false) if outcome.refused.is_empty() => {
            found.push(format!("refused for another reason: {}", outcome.said));
        }
        _ => {}
    }
    if !outcome.went {
        return found;
    }
    let mut beyond = |what: &str, names: &Names, allowed: &Names| {
        let names: Vec<&str> = names.difference(allowed).map(String::as_str).collect();
        if !names.is_empty() {
            found.push(format!("{what}, not predicted: {}", names.join(", ")));
        }
    };
    beyond("changed", &outcome.changed, &predicted.original);
    beyond("dropped", &outcome.dropped, &predicted.dropped);
    beyond("added", &outcome.added, &predicted.added);
    beyond("seen by the guest", &outcome.seen, &Names::new());
    if outcome.seen.is_empty() && !outcome.said.is_empty() {
        found.push(outcome.said.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(names: &[&str]) -> Names {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn plan_is_read_by_verdict() {
        let register = |name, verdict| json!({ "name": name, "verdict": verdict });
        let plan = json!({
            "fine": false,
            "registers": [
                register("MIDR_EL1", "write-once"),
                register("CLIDR_EL1", "refuse"),
                register("PIR_EL1", "drop"),
            ],
            "only_there": [{ "name": "PTIMER" }],
        });
        let read = prediction(&plan).expect("it is whole");
        assert_eq!((read.fine, read.carried), (false, 1));
        assert_eq!((read.refused, read.dropped), (names(&["CLIDR_EL1"]), names(&["PIR_EL1"])));
        assert_eq!(read.added, names(&["PTIMER"]));
        assert!(prediction(&json!({})).is_none());
    }

    #[test]
    fn differences_are_sorted_and_what_runs_is_left_out() {
        let mut outcome = Outcome::default();
        for line in [
            "cpu vcpu0: x8: 0x02 | 0x04",
            "counter vm: CNTVCT_EL0: 0x1 | 0x2",
            "identity vm: ID_AA64MMFR2_EL1: 0x1 | 0x0",
            "cpu vcpu1: PIR_EL1 missing in the second file, 0x0 in the other",
            "cpu vcpu1: CCSIDR_EL1[3] missing in the first file, 0x2 in the other",
            "memory: chunk at 0x40000000 differs",
        ] {
            sort_in(line, &mut outcome);
        }
        assert_eq!(outcome.changed, names(&["ID_AA64MMFR2_EL1"]));
        assert_eq!(outcome.dropped, names(&["PIR_EL1"]));
        assert_eq!(outcome.added, names(&["CCSIDR_EL1[3]"]));
    }

    #[test]
    fn outcome_that_was_not_predicted_is_told() {
        let fine = Prediction { fine: true, ..Prediction::default() };
        let went = Outcome { went: true, ..Outcome::default() };
        assert!(disagreements(&fine, &went).is_empty());
        assert!(!disagreements(&fine, &Outcome::default()).is_empty());
        assert!(!disagreements(&Prediction::default(), &went).is_empty());
        let refusal = Prediction { refused: names(&["CLIDR_EL1"]), ..Prediction::default() };
        assert!(!disagreements(&refusal, &Outcome::default()).is_empty());
        let refused = Outcome { refused: names(&["CLIDR_EL1"]), ..Outcome::default() };
        assert!(disagreements(&refusal, &refused).is_empty());
        let changed = Outcome { changed: names(&["CLIDR_EL1"]), ..went.clone() };
        assert!(!disagreements(&fine, &changed).is_empty());
        let original = Prediction { original: names(&["CLIDR_EL1"]), ..fine };
        assert!(disagreements(&original, &changed).is_empty());
        let dropped = Outcome { dropped: names(&["PIR_EL1"]), ..went };
        assert!(!disagreements(&original, &dropped).is_empty());
    }

    #[test]
    fn names_are_whole_words() {
        assert!(mentions("CLIDR_EL1: found 1", "CLIDR_EL1"));
        assert!(!mentions("CCSIDR_EL1[3]: found", "CCSIDR_EL1"));
        assert!(!mentions("ID_AA64MMFR2_EL1", "MMFR2_EL1"));
    }
}
