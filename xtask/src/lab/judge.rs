//! What a plan predicts of a move, what the restore reported, what came of it, and whether they
//! agree, register by register.

use super::abi::{self, Kind, Looks};
use super::stay::{HUNG, Stayed};
use crate::abide::{HOST_CANNOT, SAVED_AWAY};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Names of registers.
pub type Names = BTreeSet<String>;

/// What becomes of registers that are not simply written: by scope and name, the verdict in a
/// plan's word and the reason.
pub type Verdicts = BTreeMap<(String, String), (String, String)>;

/// What `abide plan` says of a move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prediction {
    /// Whether the guest can go.
    pub fine: bool,
    /// Registers that are written as they are.
    pub carried: usize,
    /// What becomes of the others.
    pub verdicts: Verdicts,
    /// Registers that only the host has.
    pub added: Names,
}

/// What came of a move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub end: End,
    /// What the restore reported to have done to registers.
    pub reported: Verdicts,
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
    /// What its interrupt controller was to the guest.
    pub gic: Option<abi::Gic>,
    /// What abide said last, where something is not as it must be.
    pub said: String,
}

/// How a move ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum End {
    /// The guest went on, looked, and was saved.
    Went,
    /// abide refused the guest.
    Refused,
    /// The host's KVM runs no guest like this, and abide said so: why.
    Unusable(String),
    /// Anything else.
    #[default]
    Failed,
}

impl Prediction {
    /// The names of registers with this verdict.
    pub fn names(&self, verdict: &str) -> Names {
        names_of(&self.verdicts, verdict)
    }
}

fn names_of(verdicts: &Verdicts, wanted: &str) -> Names {
    let wanted = verdicts.iter().filter(|(_, (verdict, _))| verdict == wanted);
    wanted.map(|((_, name), _)| name.clone()).collect()
}

impl Outcome {
    fn of(end: End) -> Self {
        Self { end, ..Self::default() }
    }

    /// Whether the guest went on, looked, and was saved.
    pub fn went(&self) -> bool {
        self.end == End::Went
    }
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
        let (register, (verdict, reason)) = verdict(register)?;
        match verdict.as_str() {
            "carry" | "write-once" => prediction.carried += 1,
            _ => drop(prediction.verdicts.insert(register, (verdict, reason))),
        }
    }
    for register in plan["only_there"].as_array()? {
        prediction.added.insert(register["name"].as_str()?.to_owned());
    }
    Some(prediction)
}

/// One register in the answer of a plan, or in the report of a restore.
fn verdict(register: &Value) -> Option<((String, String), (String, String))> {
    let text = |key: &str| register[key].as_str().map(str::to_owned);
    Some(((text("scope")?, text("name")?), (text("verdict")?, text("reason")?)))
}

/// What a restore reported. What only the host has is no register of the guest.
fn reported(report: &[u8]) -> Option<Verdicts> {
    let json: Value = serde_json::from_slice(report).ok()?;
    let steps = json["restored_steps"].as_array()?.iter();
    let steps = steps.filter(|step| step["verdict"] != "hide");
    steps.map(verdict).collect()
}

/// Looks at what came of a guest's move: the stay, the guest's console before it, and the
/// differences of its two files.
///
/// # Errors
/// If the files cannot be compared.
pub fn outcome(
    abide: &Path,
    guest: Kind,
    life: &str,
    stayed: &Stayed,
    files: Option<(&Path, &Path)>,
) -> Result<Outcome> {
    let mut outcome = Outcome::of(end(stayed));
    let no_report = || "the restore left no report".to_owned();
    match stayed.report.as_deref().and_then(reported) {
        Some(verdicts) => outcome.reported = verdicts,
        None if outcome.went() => outcome.said = no_report(),
        None => {}
    }
    let (Some((before, after)), true) = (files, outcome.went()) else {
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
    match Looks::of(&whole, guest) {
        Ok(looks) => {
            outcome.excepted = looks.excepted.iter().map(ToString::to_string).collect();
            outcome.gic = abi::Gic::of(&whole, &stayed.console);
        }
        Err(error) => {
            outcome.seen = abi::changes(&whole).into_iter().map(|change| change.name).collect();
            outcome.said = format!("{error:#}");
        }
    }
    Ok(outcome)
}

fn end(stayed: &Stayed) -> End {
    match stayed.code {
        SAVED_AWAY => End::Went,
        HOST_CANNOT => End::Unusable(last_line(&stayed.words)),
        REFUSED => End::Refused,
        _ if stayed.words == HUNG => End::Unusable(HUNG.to_owned()),
        _ => End::Failed,
    }
}

/// `abide`'s exit code for a guest that cannot go to a host.
const REFUSED: i32 = 1;

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
    const NAMES: [&str; 15] = [
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
        "pvtime.stolen-ns",
    ];
    const BEGINNINGS: [&str; 4] = ["LEVEL_INFO", "GICD_IS", "GICR_IS", "ICC_AP"];
    let general = name.strip_prefix('x').is_some_and(|number| number.parse::<u8>().is_ok());
    general
        || UNITS.contains(&unit)
        || NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn last_line(words: &str) -> String {
    words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

/// What of an outcome was not predicted; nothing if the two agree. Of a host that runs no such
/// guest registers tell nothing: whether it may be so, the caller knows.
pub fn disagreements(predicted: &Prediction, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    match (&outcome.end, predicted.fine) {
        (End::Unusable(_), _) => return found,
        (End::Failed, _) => found.push(format!("neither went nor was refused: {}", outcome.said)),
        (End::Refused, true) => {
            found.push(format!("predicted to go, and did not: {}", outcome.said))
        }
        (End::Went, false) => found.push("predicted to be refused, and went".to_owned()),
        (End::Went, true) | (End::Refused, false) => {}
    }
    found.extend(registers_otherwise(predicted, outcome));
    if !outcome.went() {
        return found;
    }
    let mut beyond = |what: &str, names: &Names, allowed: &Names| {
        let names: Vec<&str> = names.difference(allowed).map(String::as_str).collect();
        if !names.is_empty() {
            found.push(format!("{what}, not predicted: {}", names.join(", ")));
        }
    };
    beyond("changed", &outcome.changed, &predicted.names("original"));
    beyond("gone from its file", &outcome.dropped, &predicted.names("drop"));
    beyond("added to its file", &outcome.added, &predicted.added);
    beyond("seen by the guest", &outcome.seen, &Names::new());
    if outcome.seen.is_empty() && !outcome.said.is_empty() {
        found.push(outcome.said.clone());
    }
    found
}

/// Each register of which the restore reported something else than the plan said. A refusal tells
/// what stands in the way, and not what would have become of the rest.
fn registers_otherwise(predicted: &Prediction, outcome: &Outcome) -> Vec<String> {
    let tells = |verdicts: &Verdicts| -> BTreeMap<(String, String), String> {
        let told = verdicts.iter().map(|(register, (verdict, _))| (register, verdict));
        let told = told.filter(|(_, verdict)| outcome.went() || *verdict == "refuse");
        told.map(|(register, verdict)| (register.clone(), verdict.clone())).collect()
    };
    let (said, came) = (tells(&predicted.verdicts), tells(&outcome.reported));
    let registers: BTreeSet<_> = said.keys().chain(came.keys()).collect();
    let of = |verdicts: &BTreeMap<_, String>, register| {
        verdicts.get(register).map_or("carry", String::as_str).to_owned()
    };
    let both =
        registers.into_iter().map(|register| (register, of(&said, register), of(&came, register)));
    both.filter(|(_, said, came)| said != came)
        .map(|((scope, name), said, came)| {
            format!("{scope} {name}: predicted {said}, the restore reported {came}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(names: &[&str]) -> Names {
        names.iter().map(ToString::to_string).collect()
    }

    fn verdicts(list: &[(&str, &str)]) -> Verdicts {
        let entry = |(name, verdict): &(&str, &str)| {
            (("vcpu0".into(), (*name).into()), ((*verdict).into(), "as it is".into()))
        };
        list.iter().map(entry).collect()
    }

    fn register(name: &str, verdict: &str) -> Value {
        json!({ "scope": "vcpu0", "name": name, "verdict": verdict, "reason": "as it is" })
    }

    #[test]
    fn plan_is_read_by_verdict() {
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
        assert_eq!(read.verdicts, verdicts(&[("CLIDR_EL1", "refuse"), ("PIR_EL1", "drop")]));
        assert_eq!(read.names("refuse"), names(&["CLIDR_EL1"]));
        assert_eq!(read.added, names(&["PTIMER"]));
        assert!(prediction(&json!({})).is_none());
    }

    #[test]
    fn report_is_read_without_what_only_the_host_has() {
        let steps = json!([register("PIR_EL1", "drop"), register("BMAP_2", "hide")]);
        let report = json!({ "restored_steps": steps }).to_string();
        assert_eq!(reported(report.as_bytes()), Some(verdicts(&[("PIR_EL1", "drop")])));
        assert_eq!(reported(b"{}"), None);
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
        let went = Outcome::of(End::Went);
        assert!(disagreements(&fine, &went).is_empty());
        for end in [End::Failed, End::Refused] {
            assert!(!disagreements(&fine, &Outcome::of(end)).is_empty());
        }
        assert!(!disagreements(&Prediction::default(), &went).is_empty());
        let changed = Outcome { changed: names(&["CLIDR_EL1"]), ..went.clone() };
        assert!(!disagreements(&fine, &changed).is_empty());
        let list = verdicts(&[("CLIDR_EL1", "original")]);
        let original = Prediction { verdicts: list.clone(), ..fine.clone() };
        assert!(disagreements(&original, &Outcome { reported: list, ..changed }).is_empty());
        let dropped = Outcome { dropped: names(&["PIR_EL1"]), ..went.clone() };
        assert!(!disagreements(&fine, &dropped).is_empty());
        let seen = Outcome { seen: names(&["CTR_EL0"]), ..went };
        assert!(!disagreements(&fine, &seen).is_empty());
    }

    #[test]
    fn every_register_must_be_reported_as_it_was_predicted() {
        let refusal = |list| Prediction { verdicts: verdicts(list), ..Prediction::default() };
        let refused = |list| Outcome { reported: verdicts(list), ..Outcome::of(End::Refused) };
        let two = refusal(&[("CLIDR_EL1", "refuse"), ("PSCI", "refuse"), ("PIR_EL1", "drop")]);
        let found = disagreements(&two, &refused(&[("CLIDR_EL1", "refuse")]));
        assert_eq!(found, ["vcpu0 PSCI: predicted refuse, the restore reported carry"]);
        let all = refused(&[("CLIDR_EL1", "refuse"), ("PSCI", "refuse")]);
        assert!(disagreements(&two, &all).is_empty());
        assert!(!disagreements(&refusal(&[("PSCI", "refuse")]), &all).is_empty());
        let drops = verdicts(&[("PIR_EL1", "drop")]);
        let fine = Prediction { fine: true, verdicts: drops.clone(), ..Prediction::default() };
        assert!(!disagreements(&fine, &Outcome::of(End::Went)).is_empty());
        let outcome = Outcome { reported: drops, ..Outcome::of(End::Went) };
        assert!(disagreements(&fine, &outcome).is_empty());
    }

    #[test]
    fn hosts_own_inability_is_told_apart() {
        let stayed = |code, words: &str| {
            let (console, words) = (String::new(), words.to_owned());
            Stayed { console, words, code, between_s: [0; 2], file: None, report: None }
        };
        assert_eq!(end(&stayed(4, "a\nno guest")), End::Unusable("no guest".into()));
        assert_eq!(end(&stayed(-1, HUNG)), End::Unusable(HUNG.into()));
        assert_eq!(end(&stayed(1, "a")), End::Refused);
        assert_eq!(end(&stayed(3, "a")), End::Failed);
        assert_eq!(end(&stayed(12, "")), End::Went);
    }
}
