//! `evolution`: this version and the one after it, against each other's files.
//!
//! The one after it is this one built with the feature `next-version`, which adds to every file
//! what a version may add: a key in a record that is there already, optional records, and for some
//! guests a mandatory one (`crates/machine/src/next_version.rs`). A guest is moved between the two
//! programs; what each does not know must fare as `docs/state-format.md` section 6 has it.
//!
//! Release 0.1.0, built from the history, and this version take a running guest over from each
//! other (`abide upgrade`).

mod swap;

use crate::abide::{self, POWERED_OFF, Ran, SAVED_AWAY};
use crate::paths;
use crate::process;
use crate::tally::Count;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the guest carries, and an older version knows nothing of.
const NOTE: &str = "born in a later version";
/// The registers that hold it.
const NOTE_REGISTERS: [&str; 2] = ["board/vm/board.next_note", "nextnote/vm/nextnote.text"];
/// A volatile register that an older version drops.
const SAVES_REGISTER: &str = "nextstat/vm/nextstat.saves";
/// Where the guest is saved, in instructions; its life has some 280 million.
const POINTS: [u64; 3] = [30_000_000, 90_000_000, 170_000_000];
/// The commit of release 0.1.0.
const V0_1_0: &str = "e4ef3a80950ab0c4b8fa51e27d7d429ef8c70ca0";
/// `abide`'s exit code when it refuses.
const REFUSED: i32 = 1;

#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(count: &mut Count) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = Pair {
        old: abide::build()?,
        new: abide::build_next_version()?,
        folder: folder.path().to_path_buf(),
    };
    let untouched = pair.ran("untouched", pair.born(&pair.old), POWERED_OFF)?;
    let mut step = |what: &str, result: Result<()>| {
        match &result {
            Ok(()) => println!("{what}: holds"),
            Err(error) => println!("{what}: FAILED: {error:#}"),
        }
        *count += Count::one(result.is_ok());
    };
    step("old, new and old again: the same guest in the end", pair.old_new_old(&untouched));
    step("new, old and new again: what is static survives", pair.new_old_new(&untouched));
    step("a mandatory record is refused by its name", pair.mandatory());
    let Some(released) = build_released()? else {
        println!("running guests to and from 0.1.0: NOT TRIED, it is not in the history here");
        return Ok(());
    };
    let swap = swap::Swap { released, new: pair.old.clone(), folder: pair.folder.clone() };
    let untouched = pair.ran("released", pair.born(&swap.released), POWERED_OFF)?;
    step("running guest: 0.1.0, this, 0.1.0 and this", swap.there_and_back(&untouched));
    step("running guest that 0.1.0 cannot have: stays, and is told why", swap.refused());
    Ok(())
}

/// Builds release 0.1.0, as [`abide::build_release`] does.
///
/// # Errors
/// If that fails.
pub fn build_released() -> Result<Option<PathBuf>> {
    abide::build_release("v0.1.0", V0_1_0)
}

/// The two programs.
struct Pair {
    old: PathBuf,
    new: PathBuf,
    folder: PathBuf,
}

impl Pair {
    fn born(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["run", "--deterministic", "--memory", "64M", "--kernel"]);
        command.arg(paths::root().join("guests/bin/demo.img"));
        command.env_remove("ABIDE_NEXT_NOTE").env_remove("ABIDE_NEXT_DEVICE");
        command
    }

    fn restored(&self, program: &Path, file: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("restore").arg(self.folder.join(file));
        command
    }

    fn ran(&self, name: &str, command: Command, expected: i32) -> Result<Ran> {
        abide::ran(command, &self.folder, name, expected)
    }

    /// Runs the guest up to a point and saves it there.
    fn saved(&self, mut command: Command, at: u64, file: &str) -> Result<Ran> {
        command.arg("--save-at").arg(at.to_string());
        command.arg("--save-to").arg(self.folder.join(file));
        self.ran(file, command, SAVED_AWAY)
    }

    /// Every register of a file, by `unit/scope/id`, with its value.
    fn registers(&self, program: &Path, file: &str) -> Result<BTreeMap<String, String>> {
        let mut inspect = Command::new(program);
        inspect.args(["inspect", "--json"]).arg(self.folder.join(file));
        let text = process::capture(&mut inspect)?;
        parse_registers(&text).with_context(|| format!("reading what {file} holds"))
    }

    fn old_new_old(&self, untouched: &Ran) -> Result<()> {
        let mut console = self.saved(self.born(&self.old), POINTS[0], "o1.abide")?.console;
        let new = self.saved(self.restored(&self.new, "o1.abide"), POINTS[1], "o2.abide")?;
        console.extend(new.console);
        let end = self.ran("o-end", self.restored(&self.old, "o2.abide"), POWERED_OFF)?;
        console.extend(end.console);
        says(&end.words, "nextstat.saves dropped: volatile, and unknown here")?;
        ensure!(console == untouched.console, "the console differs");
        ensure!(end.report == untouched.report, "ends as {:?}", end.report);
        Ok(())
    }

    fn new_old_new(&self, untouched: &Ran) -> Result<()> {
        let mut born = self.born(&self.new);
        born.env("ABIDE_NEXT_NOTE", NOTE);
        let first = self.saved(born, POINTS[0], "n1.abide")?;
        let second = self.saved(self.restored(&self.old, "n1.abide"), POINTS[1], "n2.abide")?;
        says(&second.words, "board.next_note carried along: unknown here")?;
        says(&second.words, "nextnote.text carried along: unknown here")?;
        says(&second.words, "nextstat.saves dropped: volatile, and unknown here")?;
        let third = self.saved(self.restored(&self.new, "n2.abide"), POINTS[2], "n3.abide")?;
        ensure!(!third.words.contains("unknown here"), "the new version says:\n{}", third.words);
        let end = self.ran("n-end", self.restored(&self.new, "n3.abide"), POWERED_OFF)?;

        let note: String = NOTE.bytes().map(|byte| format!("{byte:02x}")).collect();
        let files = ["n1.abide", "n2.abide", "n3.abide"];
        let saves = [Some("0x00000001"), None, Some("0x00000001")];
        for (file, saves) in files.into_iter().zip(saves) {
            let registers = self.registers(&self.old, file)?;
            for name in NOTE_REGISTERS {
                let found = registers.get(name).map_or("nothing", String::as_str);
                ensure!(found == note, "{file}: {name} is {found}, not {note}");
            }
            let found = registers.get(SAVES_REGISTER).map(String::as_str);
            ensure!(found == saves, "{file}: {SAVES_REGISTER} is {found:?}, not {saves:?}");
        }
        let console = [first.console, second.console, third.console, end.console].concat();
        ensure!(console == untouched.console, "the console differs");
        let (found, expected) = (end.report.instructions, untouched.report.instructions);
        ensure!(found == expected, "{found} instructions in all, not {expected}");
        Ok(())
    }

    fn mandatory(&self) -> Result<()> {
        let mut born = self.born(&self.new);
        born.env("ABIDE_NEXT_DEVICE", "1");
        self.saved(born, POINTS[0], "m1.abide")?;
        let mut refused = self.restored(&self.old, "m1.abide");
        refused.arg("--state-dir").arg(self.folder.join("refused.state"));
        let output = refused.output().context("starting abide")?;
        let words = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        ensure!(code == Some(REFUSED), "exit code {code:?}, not {REFUSED}:\n{words}");
        says(&words, "nextdev")?;
        ensure!(output.stdout.is_empty(), "the guest ran");
        // To look at, the file is as good as any.
        process::capture(Command::new(&self.old).arg("verify").arg(self.folder.join("m1.abide")))?;
        let registers = self.registers(&self.old, "m1.abide")?;
        ensure!(registers.contains_key("nextdev/vm/nextdev.cr"), "inspect does not show it");
        let end = self.ran("m-end", self.restored(&self.new, "m1.abide"), POWERED_OFF)?;
        ensure!(!end.words.contains("unknown here"), "the new version says:\n{}", end.words);
        Ok(())
    }
}

fn says(words: &str, text: &str) -> Result<()> {
    if !words.contains(text) {
        bail!("it does not say {text:?}, but:\n{words}");
    }
    Ok(())
}

fn parse_registers(text: &str) -> Result<BTreeMap<String, String>> {
    let json: Value = serde_json::from_str(text)?;
    let list = |value: &Value, name: &str| {
        let list = value.get(name).and_then(Value::as_array).cloned();
        list.with_context(|| format!("no list `{name}`"))
    };
    let field = |value: &Value, name: &str| {
        let field = value.get(name).and_then(Value::as_str).map(str::to_owned);
        field.with_context(|| format!("no text `{name}`"))
    };
    let mut registers = BTreeMap::new();
    for record in list(&json, "records")? {
        let place = format!("{}/{}", field(&record, "unit")?, field(&record, "scope")?);
        for register in list(&record, "registers")? {
            let id = field(&register, "id")?;
            registers.insert(format!("{place}/{id}"), field(&register, "value")?);
        }
    }
    Ok(registers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_read_with_their_place() {
        let text = r#"{"records": [{"unit": "cpu", "scope": "vcpu 1", "registers":
            [{"id": "0x1", "name": "X0", "value": "0x7"}]},
            {"unit": "ram", "scope": "vm", "registers": []}]}"#;
        let registers = parse_registers(text).expect("it is whole");
        assert_eq!(registers, BTreeMap::from([("cpu/vcpu 1/0x1".into(), "0x7".into())]));
        assert!(parse_registers("{}").is_err());
    }
}
